//! Ids and names of containers.

use crate::error::{At, Error, Kind, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// 32 random bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId([u8; 32]);

impl ContainerId {
    /// A new one, from the kernel's generator.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The first 12 digits, as people see it.
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }

    /// The first 32 digits: 128 random bits tell any two apart, and a symbolic link to a directory of
    /// that name fits into its inode (see the crate's invariants).
    pub(crate) fn key(&self) -> String {
        hex(&self.0[..16])
    }

    /// A number spread evenly over all ids.
    pub(crate) fn spread(&self) -> u32 {
        u32::from_be_bytes([self.0[28], self.0[29], self.0[30], self.0[31]])
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContainerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::new(Kind::Invalid, format!("`{text}` is not a container id"));
        if text.len() != 64 || !is_hex(text) {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = digit(digits[0]) << 4 | digit(digits[1]);
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ContainerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContainerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A container's name: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A pleasant one, of the store's own words; see `words.rs`.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 4];
        fill_random(&mut bytes)?;
        Ok(Self(crate::words::name(u32::from_ne_bytes(bytes))))
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // docker takes, and drops, one leading slash: names were paths once.
        let name = text.strip_prefix('/').unwrap_or(text);
        let mut bytes = name.bytes();
        let start = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest =
            bytes.len() > 0 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if start && rest && name.len() <= 255 {
            return Ok(Self(name.into()));
        }
        let what = format!("Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
        Err(Error::new(Kind::Invalid, what.replacen('I', "i", 1)))
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name for a draft or a piece of trash that nothing else has.
pub(crate) fn unique() -> Result<String> {
    let mut bytes = [0; 12];
    fill_random(&mut bytes)?;
    Ok(hex(&bytes))
}

fn fill_random(bytes: &mut [u8]) -> Result<()> {
    let wanted = bytes.len();
    let filled = rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())
        .at(|| "read random bytes".into())?;
    debug_assert_eq!(filled, wanted, "getrandom(2) never returns less for up to 256 bytes");
    Ok(())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Whether all of it is lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn digit(byte: u8) -> u8 {
    if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = ContainerId::random().unwrap();
        assert_eq!(id.to_string().parse::<ContainerId>().unwrap(), id);
        assert_eq!(id.to_string().len(), 64);
        assert!(id.to_string().starts_with(&id.key()) && id.key().starts_with(&id.short()));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "ab", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert_eq!(text.parse::<ContainerId>().unwrap_err().kind(), &Kind::Invalid, "{text}");
        }
    }

    #[test]
    fn names_follow_dockers_grammar() {
        for name in ["ab", "a1", "0-.", "/web", "Web_1.x-y"] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name.trim_start_matches('/'));
        }
        for name in ["", "a", "-a", ".a", "_a", "a/b", "a b", "ä1", "..", "//ab", &"a".repeat(256)] {
            let error = name.parse::<Name>().unwrap_err();
            assert!(
                error.to_string().contains("only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn a_random_name_is_a_name() {
        for _ in 0..100 {
            let name = Name::random().unwrap();
            assert_eq!(name.as_str().parse::<Name>().unwrap(), name);
        }
    }
}

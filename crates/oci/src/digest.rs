//! Content digests, OCI image-spec descriptor.md "Digests".

use crate::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A hash function that digests are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 64 hex digits.
    Sha256,
    /// SHA-512, 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// The name before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex digits follow the colon.
    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// `sha256:<64 hex>` or `sha512:<128 hex>`, lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of these 32 bytes that SHA-256 gave.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self::from_bytes(Algorithm::Sha256, &bytes)
    }

    /// The digest of these 64 bytes that SHA-512 gave.
    pub fn from_sha512(bytes: [u8; 64]) -> Self {
        Self::from_bytes(Algorithm::Sha512, &bytes)
    }

    /// The whole text, algorithm and hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }

    /// The hex digits alone: a safe file name.
    pub fn hex(&self) -> &str {
        &self.0[7..]
    }

    /// The first 12 hex digits, as docker shows ids.
    pub fn short(&self) -> &str {
        &self.0[7..19]
    }

    fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(8 + 2 * bytes.len());
        text.push_str(algorithm.name());
        text.push(':');
        for byte in bytes {
            text.extend([byte >> 4, byte & 15].map(hex_digit));
        }
        Self(text)
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble)])
}

/// Whether every byte is a lower-case hex digit.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for Digest {
    type Err = Error;

    /// Errors are those of opencontainers/go-digest, which docker shows.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| Error::new(Kind::Digest, format!("{why}: `{text}`"));
        let (name, hex) = text.split_once(':').ok_or_else(|| refuse("invalid checksum digest format"))?;
        let algorithm = Algorithm::named(name).ok_or_else(|| refuse("unsupported digest algorithm"))?;
        if hex.len() != algorithm.digits() {
            return Err(refuse("invalid checksum digest length"));
        }
        if !is_hex(hex) {
            return Err(refuse("invalid checksum digest format"));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest that stands for one kind of thing.
macro_rules! digest_of {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl $name {
            /// The id of these 32 bytes that SHA-256 gave.
            pub fn from_sha256(bytes: [u8; 32]) -> Self {
                Self(Digest::from_sha256(bytes))
            }

            /// The whole text, algorithm and hex.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The hex digits alone: a safe file name.
            pub fn hex(&self) -> &str {
                self.0.hex()
            }

            /// The first 12 hex digits, as docker shows ids.
            pub fn short(&self) -> &str {
                self.0.short()
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

digest_of! {
    /// The digest of a layer's plain (uncompressed) tar, image-spec config.md "Layer DiffID".
    DiffId
}

digest_of! {
    /// The digest of an image's configuration bytes, image-spec config.md "ImageID".
    ImageId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_hex() {
        let digest = Digest::from_sha256([0xe3; 32]);
        assert_eq!(digest.to_string(), format!("sha256:{}", "e3".repeat(32)));
        assert_eq!((digest.short(), digest.hex().len()), ("e3e3e3e3e3e3", 64));
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert_eq!(Digest::from_sha512([1; 64]).algorithm(), Algorithm::Sha512);
    }

    #[test]
    fn what_is_no_digest_is_refused_with_the_reason() {
        let reason = |text: &str| text.parse::<Digest>().unwrap_err().to_string();
        assert!(reason("abc").starts_with("invalid checksum digest format"));
        assert!(reason(&format!("md5:{}", "a".repeat(32))).starts_with("unsupported digest algorithm"));
        assert!(reason(&format!("SHA256:{}", "a".repeat(64))).starts_with("unsupported digest algorithm"));
        assert!(reason(&format!("sha256:{}", "a".repeat(63))).starts_with("invalid checksum digest length"));
        assert!(reason(&format!("sha256:{}", "A".repeat(64))).starts_with("invalid checksum digest format"));
        assert!(
            reason(&format!("sha256:../{}", "a".repeat(61))).starts_with("invalid checksum digest format")
        );
    }

    #[test]
    fn json_is_a_string_and_is_checked() {
        let id = ImageId::from_sha256([7; 32]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<ImageId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<DiffId>("\"sha256:12\"").is_err());
    }
}

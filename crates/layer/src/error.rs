//! The crate's error: its kinds, and how an errno or a reader's failure becomes one.

use rustix::io::Errno;
use std::io;

/// What went wrong, to decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The stream is not what it claims to be: a bad checksum, a bad number, a broken compressed block.
    Corrupt,
    /// The stream ends before the archive does.
    Truncated,
    /// One of [`Limits`](crate::Limits) was exceeded; the message names it.
    Limit,
    /// More memory would be needed than [`Limits::memory`](crate::Limits) has.
    Memory,
    /// The disk or the quota is full (ENOSPC, EDQUOT).
    NoSpace,
    /// A system call failed, or reading the input did.
    Io,
    /// Something that tar can say and a layer cannot hold.
    Unsupported,
}

/// The error of this crate.
pub type Error = fault::Error<Kind>;
/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Says which operation on which path inside the layer failed.
pub(crate) trait At<T> {
    /// `operation` is a plain verb; `path` is relative to the layer's root.
    fn at(self, operation: &str, path: &[u8]) -> Result<T>;
}

impl<T> At<T> for std::result::Result<T, Errno> {
    fn at(self, operation: &str, path: &[u8]) -> Result<T> {
        self.map_err(|errno| Error::new(kind(errno), what(operation, path)).caused_by(errno))
    }
}

pub(crate) fn corrupt<T>(operation: &str, path: &[u8], why: &str) -> Result<T> {
    Err(Error::new(Kind::Corrupt, format!("{}: {why}", what(operation, path))))
}

pub(crate) fn unsupported<T>(operation: &str, path: &[u8], why: &str) -> Result<T> {
    Err(Error::new(Kind::Unsupported, format!("{}: {why}", what(operation, path))))
}

/// The limit `name` was exceeded by `subject`.
pub(crate) fn limit<T>(name: &str, most: impl std::fmt::Display, subject: &[u8]) -> Result<T> {
    let subject = if subject.is_empty() { String::new() } else { format!(" at {}", shown(subject)) };
    Err(Error::new(Kind::Limit, format!("unpack layer: more than the limit of {most} {name}{subject}")))
}

/// A failure of the stream: the decoder's own words, or those of whoever reads.
pub(crate) fn stream(operation: &str, cause: io::Error) -> Error {
    let kind = match (cause.raw_os_error(), cause.kind()) {
        _ if crate::window::is_too_large(&cause) => Kind::Memory,
        (Some(raw), _) => kind(Errno::from_raw_os_error(raw)),
        (_, io::ErrorKind::UnexpectedEof) => Kind::Truncated,
        (_, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other) => Kind::Corrupt,
        _ => Kind::Io,
    };
    Error::new(kind, operation).caused_by(cause)
}

fn kind(errno: Errno) -> Kind {
    match errno {
        Errno::NOSPC | Errno::DQUOT => Kind::NoSpace,
        Errno::NAMETOOLONG => Kind::Limit,
        Errno::OPNOTSUPP => Kind::Unsupported,
        _ => Kind::Io,
    }
}

fn what(operation: &str, path: &[u8]) -> String {
    format!("{operation} {}", shown(path))
}

/// A path as a user can read it: at most 200 characters, control characters escaped.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(if path.is_empty() { b"/" } else { path });
    let mut shown: String = text.chars().take(200).flat_map(visible).collect();
    if text.chars().nth(200).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = (!c.is_control()).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_full_quota_are_no_space() {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            let error = Err::<(), _>(errno).at("write", b"usr/x").unwrap_err();
            assert_eq!(*error.kind(), Kind::NoSpace);
            assert_eq!(error.to_string(), "write `usr/x`");
        }
    }

    #[test]
    fn a_hostile_name_cannot_draw_on_the_terminal_or_fill_it() {
        let name = [b"\x1b[2J".as_slice(), &[b'x'; 4000]].concat();
        let text = shown(&name);
        assert!(text.starts_with("`\\u{1b}[2J") && text.len() < 250, "{text}");
    }
}

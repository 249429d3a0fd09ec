//! The store's error: a kind, and the words.

use rustix::io::Errno;

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No such image, container, layer or blob.
    NotFound,
    /// A prefix of an id that fits several.
    Ambiguous,
    /// Something or somebody still uses it.
    InUse,
    /// The container name is another's.
    NameTaken,
    /// Not a name, an id or a record as the store takes them.
    Invalid,
    /// What is on disk is not what was written, or bytes do not have the digest they claim.
    Corrupt,
    /// The disk or the quota is full (ENOSPC, EDQUOT).
    NoSpace,
    /// The file system is read-only (EROFS).
    ReadOnly,
    /// Every range of ids is taken.
    Exhausted,
    /// Any other answer of the kernel; it is the source.
    Io,
}

/// An error of the store.
pub type Error = fault::Error<Kind>;
/// What the store answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was being done when the kernel refused.
pub(crate) trait At<T> {
    /// `what` names operation and subject, and is only called on failure.
    fn at(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> At<T> for std::result::Result<T, Errno> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| refused(errno, what()))
    }
}

impl<T> At<T> for serde_json::Result<T> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::new(Kind::Corrupt, what()).caused_by(cause))
    }
}

/// The error for an errno, its kind told by it.
pub(crate) fn refused(errno: Errno, what: String) -> Error {
    let kind = match errno {
        Errno::NOSPC | Errno::DQUOT => Kind::NoSpace,
        Errno::ROFS => Kind::ReadOnly,
        _ => Kind::Io,
    };
    let error = Error::new(kind, what).caused_by(std::io::Error::from(errno));
    match kind {
        Kind::NoSpace => error.with_hint("`hull system prune` frees what is not used"),
        Kind::ReadOnly => error.with_hint("the store can only be looked at; `--root DIR` is another"),
        _ => error,
    }
}

/// An absent thing.
pub(crate) fn absent(what: impl Into<String>) -> Error {
    Error::new(Kind::NotFound, what)
}

//! Errors: one opaque type with a kind, a subject, a cause and a hint.
//!
//! Every crate of hull has one error type, `fault::Error<Kind>` with a `Kind` of its own, so that
//! a caller can decide by kind while a user reads a chain:
//!
//! ```text
//! error: load `app.tar`: layer 3 of 5          what: operation and subject
//! caused by: write `usr/lib/x.so`              source, source of the source, …
//! caused by: No space left on device           the errno at the leaf
//! hint: `hull system prune` frees space        where the user can act
//! ```
//!
//! Messages are lower case, name values in backticks and end without a full stop. Printing is the
//! edge's; nothing here writes anywhere.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong: a kind to decide by, and the words for the user.
pub struct Error<K>(Box<Inner<K>>);

struct Inner<K> {
    kind: K,
    what: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hint: Option<String>,
}

impl<K> Error<K> {
    /// An error of a kind; `what` names the operation and its subject.
    pub fn new(kind: K, what: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), source: None, hint: None }))
    }

    /// The same error with the reason below it.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error with what the user can do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The kind, to decide by.
    pub fn kind(&self) -> &K {
        &self.0.kind
    }

    /// What the user can do about it, if there is something.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Its words and those of its causes, the outermost first.
    pub fn words(&self) -> Vec<String> {
        let source = self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static));
        let causes = std::iter::successors(source, |&cause| cause.source());
        std::iter::once(self.0.what.clone()).chain(causes.map(ToString::to_string)).collect()
    }

    /// The same in one line, the causes behind colons.
    pub fn line(&self) -> String {
        self.words().join(": ")
    }

    /// The same error under the kind of a crate further up.
    pub fn map_kind<L>(self, kind: impl FnOnce(K) -> L) -> Error<L> {
        let Inner { kind: old, what, source, hint } = *self.0;
        Error(Box::new(Inner { kind: kind(old), what, source, hint }))
    }
}

impl<K> fmt::Display for Error<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl<K: fmt::Debug> fmt::Debug for Error<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.what)?;
        self.0.source.iter().try_for_each(|source| write!(f, ": {source:?}"))
    }
}

impl<K: fmt::Debug> StdError for Error<K> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Wraps the cause in an error of `kind`; `what` is only called on failure.
    fn or_err<K>(self, kind: K, what: impl FnOnce() -> String) -> Result<T, Error<K>>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for Result<T, E> {
    fn or_err<K>(self, kind: K, what: impl FnOnce() -> String) -> Result<T, Error<K>> {
        self.map_err(|cause| Error::new(kind, what()).caused_by(cause))
    }
}

impl<T> Context<T> for Option<T> {
    fn or_err<K>(self, kind: K, what: impl FnOnce() -> String) -> Result<T, Error<K>> {
        self.ok_or_else(|| Error::new(kind, what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Kind {
        Io,
        Full,
    }

    #[test]
    fn a_chain_is_read_from_the_operation_down_to_the_errno() {
        let error = Err::<(), _>(std::io::Error::from_raw_os_error(28))
            .or_err(Kind::Io, || "write `x`".into())
            .unwrap_err()
            .with_hint("free some space");
        assert_eq!(error.to_string(), "write `x`");
        assert!(error.source().unwrap().to_string().contains("No space left"));
        assert_eq!(error.hint(), Some("free some space"));
    }

    #[test]
    fn a_kind_changes_and_the_words_stay() {
        let error = Error::new(Kind::Io, "read `y`").map_kind(|_| Kind::Full);
        assert_eq!((error.kind(), error.to_string().as_str()), (&Kind::Full, "read `y`"));
    }
}

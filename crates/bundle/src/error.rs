//! Why an operation on a container came to nothing.

use fault::Context;

/// Why an operation came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such container.
    NotFound,
    /// The id is taken.
    Exists,
    /// The container's status does not allow it.
    Status,
    /// What was asked for makes no sense.
    Invalid,
    /// The container's own start failed.
    Start(runtime::Kind),
    /// A control group refused.
    Cgroup,
    /// A hook failed.
    Hook,
    /// The kernel or a file refused.
    Failed,
}

/// Why an operation came to nothing.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Names what failed where only the kernel speaks.
pub(crate) trait At<T> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> At<T> for std::result::Result<T, E> {
    fn at(self, what: impl FnOnce() -> String) -> Result<T> {
        self.or_err(Kind::Failed, what)
    }
}

pub(crate) fn invalid(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

pub(crate) fn status(what: impl Into<String>) -> Error {
    Error::new(Kind::Status, what)
}

pub(crate) fn from_runtime(error: runtime::Error) -> Error {
    error.map_kind(Kind::Start)
}

pub(crate) fn from_cgroup(error: cgroup::Error) -> Error {
    error.map_kind(|_| Kind::Cgroup)
}

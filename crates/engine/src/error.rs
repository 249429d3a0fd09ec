//! Why a journey ended early.

/// What a caller can decide by; each has docker's exit code in the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A request that makes no sense.
    Invalid,
    /// No such image, container or file.
    NotFound,
    /// A name or id that means more than one thing.
    Ambiguous,
    /// Somebody else has the name, the file, the container.
    Conflict,
    /// This kernel or host cannot do what was asked.
    Unsupported,
    /// The program is not in the container.
    ProgramNotFound,
    /// The program is in the container and cannot be executed.
    ProgramNotExecutable,
    /// An archive, a manifest or the store itself is not what it should be.
    Corrupt,
    /// An archive asked for more than the limits allow.
    Limit,
    /// An archive asked for more memory than the store's configuration grants.
    Memory,
    /// No room: ENOSPC or EDQUOT.
    NoSpace,
    /// The store or a file may not be written.
    ReadOnly,
    /// The caller may not.
    Permission,
    /// Nobody reads any more what a container writes.
    OutputClosed,
    /// Any other refusal.
    Failed,
}

/// Why a journey ended early.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A chain of causes in one line, for an error that is told again where it cannot be moved to.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Takes an error of the store over as it is.
pub(crate) fn from_store(error: store::Error) -> Error {
    use store::Kind as Store;
    error.map_kind(|kind| match kind {
        Store::NotFound => Kind::NotFound,
        Store::Ambiguous => Kind::Ambiguous,
        Store::InUse | Store::NameTaken => Kind::Conflict,
        Store::Invalid => Kind::Invalid,
        Store::Corrupt => Kind::Corrupt,
        Store::NoSpace => Kind::NoSpace,
        Store::ReadOnly => Kind::ReadOnly,
        _ => Kind::Failed,
    })
}

/// Takes an error of the runtime over as it is.
pub(crate) fn from_runtime(error: runtime::Error) -> Error {
    use runtime::Kind as Runtime;
    error.map_kind(|kind| match kind {
        Runtime::Invalid => Kind::Invalid,
        Runtime::Unsupported => Kind::Unsupported,
        Runtime::NotFound => Kind::ProgramNotFound,
        Runtime::NotExecutable => Kind::ProgramNotExecutable,
        Runtime::NoSpace => Kind::NoSpace,
        Runtime::NotMappable | Runtime::Cgroup | Runtime::Hook | Runtime::Kernel => Kind::Failed,
    })
}

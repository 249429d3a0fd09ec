//! The crate's error.

use crate::answer::Answer;

/// What went wrong, to decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Settings, credentials or certificates that make no sense.
    Invalid,
    /// The registry has no such repository, manifest or blob.
    NotFound,
    /// The registry wants other credentials, or any.
    Denied,
    /// The settings forbid this registry.
    Blocked,
    /// Nobody answers: no address, no connection, no word in time.
    Unreachable,
    /// Somebody answers who cannot prove to be the one.
    Untrusted,
    /// Bytes that are not what their digest, size or media type says.
    Corrupt,
    /// More than the bounds allow.
    Limit,
    /// Documents or protocols that hull does not speak.
    Unsupported,
    /// Reading or writing on this side failed.
    Io,
    /// Any other refusal of the registry's.
    Refused,
}

/// The error of this crate.
pub type Error = fault::Error<Kind>;
/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What a request that brought no answer failed with.
pub(crate) fn from_ureq(error: ureq::Error, what: &str) -> Error {
    let kind = kind_of(&error);
    let error = Error::new(kind, what).caused_by(plain(error));
    match kind {
        Kind::Untrusted => error.with_hint(
            "put the registry's certificate authority into /etc/hull/certs.d/HOST:PORT/ca.crt, or name the registry as insecure in registries.toml",
        ),
        _ => error,
    }
}

pub(crate) fn kind_of(error: &ureq::Error) -> Kind {
    match error {
        ureq::Error::Rustls(rustls) if !is_no_tls(rustls) => Kind::Untrusted,
        ureq::Error::Io(io) if of_tls(io).is_some_and(|rustls| !is_no_tls(rustls)) => Kind::Untrusted,
        ureq::Error::Pem(_) | ureq::Error::InvalidProxyUrl | ureq::Error::BadUri(_) => Kind::Invalid,
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => Kind::Refused,
        ureq::Error::LargeResponseHeader(..) | ureq::Error::BodyExceedsLimit(_) => Kind::Limit,
        _ => Kind::Unreachable,
    }
}

/// Whether the other side does not speak TLS at all.
pub(crate) fn speaks_no_tls(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(rustls) => is_no_tls(rustls),
        ureq::Error::Io(io) => of_tls(io).is_some_and(is_no_tls) || is_closed(io),
        ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Io;
    matches!(error.kind(), Io::ConnectionRefused | Io::ConnectionReset | Io::UnexpectedEof | Io::BrokenPipe)
}

fn of_tls(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn is_no_tls(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. })
}

/// The words of the library, shortened to what a user can use.
fn plain(error: ureq::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        ureq::Error::Io(error) => Box::new(error),
        ureq::Error::Other(error) => error,
        ureq::Error::Timeout(reason) => format!("no answer in time ({reason})").into(),
        other => Box::new(other),
    }
}

/// What an answer of another status than was hoped for means.
pub(crate) fn refusal(answer: Answer, what: &str) -> Error {
    let status = answer.status;
    let kind = match status {
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        _ => Kind::Refused,
    };
    let said = answer.reason();
    let cause = if said.is_empty() { format!("status {status}") } else { said };
    Error::new(kind, what).caused_by(cause)
}

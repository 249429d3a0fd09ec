//! Who the user is at a registry.

use crate::error::Result;
use std::fmt;

/// docker's name of the registry docker.io in its configuration.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// What is shown to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A user and a password, or a token that stands for one.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// An identity token, which the token service takes for refresh, RFC 6749 section 6.
    Identity {
        /// The token.
        token: String,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "the password of {user}"),
            Self::Identity { .. } => f.write_str("an identity token"),
        }
    }
}

/// Where logins are kept.
pub trait Credentials: Send + Sync {
    /// The login for a server as [`server_of`] names it; none for one that has none.
    fn of(&self, server: &str) -> Result<Option<Login>>;
}

/// Nobody is logged in anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

impl Credentials for NoCredentials {
    fn of(&self, _: &str) -> Result<Option<Login>> {
        Ok(None)
    }
}

/// docker's name for a registry where logins are kept.
pub fn server_of(host: &str) -> String {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB_SERVER.to_owned(),
        other => other.to_owned(),
    }
}

//! Restart policies.

use super::{Error, Result, invalid};
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// `--restart`: when a container that ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// When its exit code is not 0.
    OnFailure {
        /// So often at most; none: without end.
        max: Option<u32>,
    },
    /// Whatever its exit code, until it is stopped; and at each start of the host.
    Always,
    /// Likewise, but at a start of the host not what was stopped before.
    UnlessStopped,
}

impl Restart {
    /// docker's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure { .. } => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    /// docker's `MaximumRetryCount`: 0 where there is none.
    pub fn max(self) -> u32 {
        if let Self::OnFailure { max } = self { max.unwrap_or(0) } else { 0 }
    }

    /// Nothing was asked for.
    pub fn is_no(&self) -> bool {
        *self == Self::No
    }
}

impl FromStr for Restart {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
        let max = match count.map(str::parse::<i64>) {
            None => None,
            Some(Ok(count)) if count < 0 => return invalid("maximum retry count cannot be negative"),
            Some(Ok(count)) => u32::try_from(count).ok().filter(|count| *count > 0),
            Some(Err(_)) => return invalid("maximum retry count must be an integer"),
        };
        match name {
            "on-failure" => Ok(Self::OnFailure { max }),
            "no" | "" | "always" | "unless-stopped" if count.is_some_and(|count| count != "0") => {
                invalid("maximum retry count cannot be used with restart policy '".to_owned() + name + "'")
            }
            "no" | "" => Ok(Self::No),
            "always" => Ok(Self::Always),
            "unless-stopped" => Ok(Self::UnlessStopped),
            _ => invalid(format!(
                "unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )),
        }
    }
}

impl Display for Restart {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OnFailure { max: Some(max) } => write!(f, "on-failure:{max}"),
            other => f.write_str(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_dockers_words() {
        for text in ["no", "on-failure", "on-failure:5", "always", "unless-stopped"] {
            assert_eq!(text.parse::<Restart>().unwrap().to_string(), text);
        }
        assert_eq!("on-failure:0".parse::<Restart>().unwrap(), Restart::OnFailure { max: None });
        for bad in ["sometimes", "always:3", "unless-stopped:1", "on-failure:x", "on-failure:-1", "no:2"] {
            assert!(bad.parse::<Restart>().is_err(), "{bad}");
        }
    }
}

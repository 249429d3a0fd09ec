//! Where an archive comes from.

use super::from_io;
use crate::error::{Error, Kind, Result};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// A file, a URL or the caller's standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `-`
    Stdin,
    /// On this host.
    File(PathBuf),
    /// `http://` or `https://`
    Url(String),
}

impl Source {
    /// What a word means.
    pub fn parse(word: &str) -> Self {
        match word {
            "-" => Self::Stdin,
            _ if word.starts_with("http://") || word.starts_with("https://") => Self::Url(word.into()),
            _ => Self::File(word.into()),
        }
    }

    /// Its bytes.
    pub fn open(&self) -> Result<Box<dyn Read + Send>> {
        match self {
            // Not std's, whose lock and buffer are the process's own.
            Self::Stdin => {
                let stdin = rustix::io::dup(rustix::stdio::stdin());
                let stdin = stdin.map_err(|errno| from_io(errno.into(), "open standard input".into()))?;
                Ok(Box::new(File::from(stdin)))
            }
            Self::File(path) => {
                let file =
                    File::open(path).map_err(|error| from_io(error, format!("open `{}`", path.display())))?;
                Ok(Box::new(file))
            }
            Self::Url(url) => fetch(url),
        }
    }
}

fn fetch(url: &str) -> Result<Box<dyn Read + Send>> {
    let failed = |error: ureq::Error| Error::new(Kind::Failed, format!("download `{url}`")).caused_by(error);
    let answer = ureq::get(url).call().map_err(failed)?;
    Ok(Box::new(answer.into_body().into_with_config().limit(u64::MAX).reader()))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

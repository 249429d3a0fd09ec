//! Where an archive comes from.

use super::from_io;
use crate::error::{Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, fcntl_setfl, openat};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

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

    /// What an error calls it.
    pub(super) fn named(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            other => format!("`{other}`"),
        }
    }

    /// Its bytes. `tell` is told when they are waited for.
    pub(super) fn open(&self, tell: fn(&str)) -> Result<Box<dyn Read + Send>> {
        match self {
            // Not std's, whose lock and buffer are the process's own.
            Self::Stdin => {
                let stdin = rustix::io::dup(rustix::stdio::stdin());
                let stdin = stdin.map_err(|errno| from_io(errno.into(), "open standard input".into()))?;
                Ok(Box::new(File::from(stdin)))
            }
            Self::File(path) => Ok(Box::new(open_file(path, tell)?)),
            Self::Url(url) => fetch(url),
        }
    }
}

/// Opens a file of the host. A fifo has to be opened by a writer, too, and whoever waits for one is told.
pub(super) fn open_file(path: &Path, tell: fn(&str)) -> Result<File> {
    let what = || format!("open `{}`", path.display());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty()).map(File::from);
    let file = file.map_err(|errno| from_io(errno.into(), what()))?;
    let kind = file.metadata().map_err(|error| from_io(error, what()))?.file_type();
    if kind.is_dir() || kind.is_char_device() {
        let is = if kind.is_dir() { "a directory" } else { "a device" };
        let error = Error::new(Kind::Invalid, format!("`{}` is {is} and no archive", path.display()));
        return Err(error.with_hint("`-` reads standard input"));
    }
    if kind.is_fifo() {
        await_writer(&file, path, tell).map_err(|errno| from_io(errno.into(), what()))?;
    }
    fcntl_setfl(&file, OFlags::RDONLY).map_err(|errno| from_io(errno.into(), what()))?;
    Ok(file)
}

/// How long one waits for a writer without a word, seconds.
const WORDLESS: i64 = 2;

fn await_writer(fifo: &File, path: &Path, tell: fn(&str)) -> rustix::io::Result<()> {
    let wait = |limit: Option<&Timespec>| {
        rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(fifo, PollFlags::IN)], limit))
    };
    if wait(Some(&Timespec { tv_sec: WORDLESS, tv_nsec: 0 }))? == 0 {
        tell(&format!("waiting for somebody to write into the fifo `{}`", path.display()));
        wait(None)?;
    }
    Ok(())
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

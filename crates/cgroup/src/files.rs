//! Small files of a group's directory.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::{Errno, Result, read, write};
use std::path::Path;

/// Opens a group.
pub(crate) fn open_dir(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Makes a group and its parents. True if the group itself is new.
pub(crate) fn make_dir(path: &Path) -> Result<bool> {
    match mkdirat(CWD, path, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(Errno::NOENT) => {
            let parent = path.parent().ok_or(Errno::NOENT)?;
            make_dir(parent)?;
            make_dir(path)
        }
        Err(errno) => Err(errno),
    }
}

/// Removes an empty group; none is no error.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Writes a value in one call.
pub(crate) fn put(dir: impl AsFd, file: &str, value: &str) -> Result<()> {
    let file = openat(dir, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write(file, value.as_bytes()).map(drop)
}

/// Reads a whole small file.
pub(crate) fn get(dir: impl AsFd, file: &str) -> Result<String> {
    let file = openat(dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match read(&file, &mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            length => text.extend(&buffer[..length]),
        }
    }
}

/// The number behind a key in a file of `key value` lines.
pub(crate) fn keyed(dir: impl AsFd, file: &str, key: &str) -> Option<u64> {
    let text = get(dir, file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}

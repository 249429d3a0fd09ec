//! Small files of a group's directory.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, accessat, mkdirat, open, openat, unlinkat,
};
use rustix::io::{Errno, Result, write};
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
            if make_dir(parent)? {
                crate::parents::mark(parent);
            }
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
    write(open_to_write(dir, file)?, value.as_bytes()).map(drop)
}

/// Opens a file for values, each written in one call.
pub(crate) fn open_to_write(dir: impl AsFd, file: &str) -> Result<OwnedFd> {
    openat(dir, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Reads a whole small file.
pub(crate) fn get(dir: impl AsFd, file: &str) -> Result<String> {
    let file = openat(dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    sys::file::read_whole(file, 4095).map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// Does a file exist?
pub(crate) fn is_there(dir: impl AsFd, file: &str) -> bool {
    accessat(dir, file, Access::EXISTS, AtFlags::empty()).is_ok()
}

/// The number in a file; `max` is the largest. None where there is no such file, or no number in it.
pub(crate) fn number(dir: impl AsFd, file: &str) -> Option<u64> {
    parse(get(dir, file).ok()?.trim())
}

/// A number as the kernel writes limits: `max`, and -1 on v1, is none.
pub(crate) fn parse(text: &str) -> Option<u64> {
    match text {
        "max" | "-1" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

/// All `key value` lines of a file.
pub(crate) fn table(dir: impl AsFd, file: &str) -> Vec<(String, u64)> {
    let text = get(dir, file).unwrap_or_default();
    let line = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Names of the directories in a directory; links such as `cpu` → `cpu,cpuacct` are none.
pub(crate) fn directories(dir: impl AsFd) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type() == FileType::Directory && !name.starts_with('.') {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

/// The groups below a group.
pub(crate) fn children(dir: &OwnedFd) -> Vec<OwnedFd> {
    let names = directories(dir).unwrap_or_default();
    let open = |name: &String| {
        openat(dir, name.as_str(), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
    };
    names.iter().filter_map(open).collect()
}

/// The number behind a key in a file of `key value` lines.
pub(crate) fn keyed(dir: impl AsFd, file: &str, key: &str) -> Option<u64> {
    let text = get(dir, file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}

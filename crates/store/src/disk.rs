//! Small files and directories, relative to open descriptors.

use crate::error::{At, Error, Kind, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, fchmod, fchown, fstat, fsync, ftruncate, mkdirat, openat, renameat,
};
use rustix::fs::{FlockOperation, Gid, RenameFlags, Stat, Uid, flock, renameat_with, statat, unlinkat};
use rustix::io::{Errno, pread, pwrite};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the kernel answers.
pub(crate) type Sys<T> = std::result::Result<T, Errno>;

/// Opens a directory for reading and locking; never follows a link at its end.
pub(crate) fn open_dir(at: impl AsFd, path: &str) -> Sys<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Whether an open directory is the one of this path.
pub(crate) fn is_at(dir: &OwnedFd, at: impl AsFd, path: &str) -> Sys<bool> {
    match statat(at, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        there => Ok(there?.st_ino == fstat(dir)?.st_ino),
    }
}

/// Makes a directory; one that is there already is fine.
pub(crate) fn make_dir(at: impl AsFd, path: &str, mode: u32) -> Sys<()> {
    match mkdirat(at, path, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// The whole of a small file.
pub(crate) fn read_file(at: impl AsFd, path: &str) -> Sys<Vec<u8>> {
    let file = openat(at, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    sys::file::read_whole(&file, 8191)
}

/// The whole of an open file from its start, leaving its position alone.
pub(crate) fn reread(file: impl AsFd) -> Sys<Vec<u8>> {
    let mut bytes = vec![0; 8192];
    let mut filled = 0;
    loop {
        match pread(&file, &mut bytes[filled..], filled as u64)? {
            0 => break bytes.truncate(filled),
            count => filled += count,
        }
        if filled == bytes.len() {
            bytes.resize(filled * 2, 0);
        }
    }
    Ok(bytes)
}

/// A JSON record; `Ok(None)` where there is no such file. What is no file, cannot be read off the disk or is
/// not JSON of this kind is corrupt.
pub(crate) fn read_record<T: DeserializeOwned>(at: impl AsFd, path: &str) -> Result<Option<T>> {
    let what = || format!("read `{path}`");
    let bytes = match read_file(at, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno @ (Errno::ISDIR | Errno::LOOP | Errno::IO | Errno::UCLEAN)) => {
            return Err(Error::new(Kind::Corrupt, what()).caused_by(std::io::Error::from(errno)));
        }
        other => other.at(what)?,
    };
    serde_json::from_slice(&bytes).at(what).map(Some)
}

/// The bytes of a record.
pub(crate) fn to_json(record: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(record).at(|| "encode a record".into())?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Makes a file that must not be there yet and writes all of it; flushed if `durable`.
pub(crate) fn write_new(at: impl AsFd, path: &str, bytes: &[u8], durable: bool) -> Sys<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(at, path, flags, Mode::from_raw_mode(0o644))?;
    write_at(&file, bytes, 0)?;
    if durable {
        fsync(&file)?;
    }
    Ok(file)
}

/// Writes a file in place and cuts off what was longer. Blocks are reused: on a file system
/// mounted with `discard` and without journal, each block given back waits for the disk.
pub(crate) fn overwrite(at: impl AsFd, path: &str, bytes: &[u8], durable: bool) -> Sys<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(at, path, flags, Mode::from_raw_mode(0o644))?;
    let stat = fstat(&file)?;
    if stat.st_mode & 0o7777 != 0o644 || stat.st_uid != 0 || stat.st_gid != 0 {
        fchown(&file, Some(Uid::ROOT), Some(Gid::ROOT))?;
        fchmod(&file, Mode::from_raw_mode(0o644))?;
    }
    write_at(&file, bytes, 0)?;
    if stat.st_size > bytes.len() as i64 {
        ftruncate(&file, bytes.len() as u64)?;
    }
    if durable { fsync(&file) } else { Ok(()) }
}

/// Writes all bytes at an offset.
pub(crate) fn write_at(file: impl AsFd, mut bytes: &[u8], mut offset: u64) -> Sys<()> {
    while !bytes.is_empty() {
        let count = pwrite(&file, bytes, offset)?;
        bytes = &bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

/// Renames without replacing.
pub(crate) fn move_new(from: impl AsFd, old: &str, to: impl AsFd, new: &str) -> Sys<()> {
    renameat_with(from, old, to, new, RenameFlags::NOREPLACE)
}

/// Renames, replacing what is there, then flushes the directory that holds the new name.
pub(crate) fn move_durably(root: BorrowedFd<'_>, old: &str, new: &str) -> Sys<()> {
    renameat(root, old, root, new)?;
    sync_dir(root, parent(new))
}

/// Flushes a directory's entries.
pub(crate) fn sync_dir(at: impl AsFd, path: &str) -> Sys<()> {
    fsync(open_dir(at, path)?)
}

/// Removes a file; one that is absent is fine.
pub(crate) fn unlink(at: impl AsFd, path: &str) -> Sys<()> {
    match unlinkat(at, path, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Removes a file that may be absent; the bytes that the disk has again.
pub(crate) fn unlink_counted(at: impl AsFd, path: &str) -> Sys<u64> {
    let stat = match statat(&at, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(0),
        there => there?,
    };
    match unlinkat(at, path, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(0),
        done => done.map(|()| freed(&stat)),
    }
}

/// What the disk has again once this name of a file is gone: nothing while it has others.
pub(crate) fn freed(stat: &Stat) -> u64 {
    let is_last = stat.st_nlink <= 1 || FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if is_last { blocks(stat) } else { 0 }
}

/// Bytes on the disk, as du(1) counts.
pub(crate) fn blocks(stat: &Stat) -> u64 {
    stat.st_blocks as u64 * 512
}

/// The entries of a directory but `.` and `..`; none where it is absent.
pub(crate) fn entries(at: impl AsFd, path: &str) -> Sys<Vec<(String, FileType)>> {
    match open_dir(at, path) {
        Err(Errno::NOENT) => Ok(Vec::new()),
        other => listing(other?),
    }
}

/// The entries of an open directory but `.` and `..`. Names that are not UTF-8 are none of ours
/// and are written with replacement characters; whoever opens them finds nothing.
pub(crate) fn listing(dir: impl AsFd) -> Sys<Vec<(String, FileType)>> {
    let mut list = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if name != "." && name != ".." {
            list.push((name.into_owned(), entry.file_type()));
        }
    }
    Ok(list)
}

/// The names in a directory, sorted.
pub(crate) fn sorted_names(at: impl AsFd, path: &str) -> Result<Vec<String>> {
    let list = entries(at, path).at(|| format!("list `{path}`"))?;
    let mut names: Vec<String> = list.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Takes a flock without waiting; `Ok(false)` where another holds it.
pub(crate) fn try_lock(file: impl AsFd, operation: FlockOperation) -> Sys<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Waits for a flock, through signals.
pub(crate) fn wait_lock(file: impl AsFd, operation: FlockOperation) -> Sys<()> {
    rustix::io::retry_on_intr(|| flock(&file, operation))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

//! Garbage: renamed out of sight at once, deleted when there is time.

use crate::disk::{self, Sys};
use crate::error::{At, Result};
use crate::id::unique;
use crate::root::Store;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// How deep a tree is walked with a descriptor per level. What lies deeper is renamed to the top of the
/// trash first: a stranger's tree may be deeper than descriptors and stack allow.
const DEPTH: usize = 64;

impl Store {
    /// Puts something aside, `path` relative to the root. Whoever put the same thing aside before, fine.
    pub(crate) fn discard(&self, path: &str) -> Result<()> {
        let trash = format!("trash/{}", unique()?);
        match renameat(self.root(), path, self.root(), &trash) {
            Err(Errno::NOENT) => Ok(()),
            other => other.at(|| format!("remove `{path}`")),
        }
    }

    /// Deletes what was put aside; the number of things that went. Takes no lock: nothing in the trash
    /// is anybody's, and several may empty it at once.
    pub fn empty_trash(&self) -> Result<usize> {
        let trash = disk::open_dir(self.root(), "trash").at(|| "open `trash`".into())?;
        let mut count = 0;
        loop {
            let entries = raw_entries(trash.as_fd()).at(|| "list `trash`".into())?;
            if entries.is_empty() {
                return Ok(count);
            }
            for (name, kind) in &entries {
                delete(trash.as_fd(), name, *kind, trash.as_fd(), 0)
                    .at(|| format!("delete `trash/{}`", name.to_string_lossy()))?;
                sys::step!("store.trash.delete");
            }
            count += entries.len();
        }
    }
}

/// Deletes one thing. Names are bytes here: what a stranger's layer holds need not be UTF-8.
fn delete(at: BorrowedFd<'_>, name: &CStr, kind: FileType, trash: BorrowedFd<'_>, depth: usize) -> Sys<()> {
    if kind != FileType::Directory {
        return ignore_absent(unlinkat(at, name, AtFlags::empty()));
    }
    if depth == DEPTH {
        return ignore_absent(renameat(at, name, trash, unique().map_err(|_| Errno::IO)?));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(at, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        dir => delete_entries(dir?.as_fd(), trash, depth + 1)?,
    }
    ignore_absent(unlinkat(at, name, AtFlags::REMOVEDIR))
}

fn delete_entries(dir: BorrowedFd<'_>, trash: BorrowedFd<'_>, depth: usize) -> Sys<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            delete(dir, entry.file_name(), entry.file_type(), trash, depth)?;
        }
    }
    Ok(())
}

fn ignore_absent(result: Sys<()>) -> Sys<()> {
    if result == Err(Errno::NOENT) { Ok(()) } else { result }
}

fn raw_entries(dir: BorrowedFd<'_>) -> Sys<Vec<(CString, FileType)>> {
    let mut list = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            list.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(list)
}

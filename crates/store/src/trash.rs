//! Garbage: renamed out of sight at once, deleted when there is time.
//!
//! Who puts something aside deletes it, and counts what that frees; its lock keeps everybody else from it. What
//! is in the trash and not locked was left by somebody who died, and anybody's to delete.

use crate::disk::{self, Sys, freed};
use crate::error::{At, Result};
use crate::id::unique;
use crate::root::Store;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// How deep a tree is walked with a descriptor per level. What lies deeper is renamed to the top of the
/// trash first: a stranger's tree may be deeper than descriptors and stack allow.
const DEPTH: usize = 64;

/// How something in the trash is opened to be locked: whatever it is, without waiting.
const ANY: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Something that this process put into the trash.
#[derive(Debug)]
#[must_use = "whoever puts something aside deletes it"]
pub(crate) struct Aside {
    name: CString,
    _lock: Option<OwnedFd>,
}

impl Store {
    /// Puts something aside, `path` relative to `at`. Nothing where somebody else did so before.
    pub(crate) fn set_aside(&self, at: impl AsFd, path: &str) -> Sys<Option<Aside>> {
        // A container's directory is locked already, by who removes it.
        let lock = openat(&at, path, ANY, Mode::empty()).ok();
        let lock = lock.filter(|file| {
            disk::try_lock(file, FlockOperation::NonBlockingLockExclusive).is_ok_and(|locked| locked)
        });
        let name = CString::new(unique().map_err(|_| Errno::IO)?).map_err(|_| Errno::INVAL)?;
        let trash = disk::open_dir(self.root(), "trash")?;
        match renameat(at, path, &trash, &name) {
            Err(Errno::NOENT) => Ok(None),
            done => done.map(|()| Some(Aside { name, _lock: lock })),
        }
    }

    /// Deletes what was put aside. The bytes that the disk has again.
    pub(crate) fn delete(&self, things: impl IntoIterator<Item = Aside>) -> Result<u64> {
        let trash = disk::open_dir(self.root(), "trash").at(|| "open `trash`".into())?;
        let mut deletion = Deletion::of(trash.as_fd());
        for thing in things {
            deletion.run(&thing.name)?;
        }
        Ok(deletion.bytes)
    }

    /// Puts something aside and deletes it, `path` relative to the root.
    pub(crate) fn discard(&self, path: &str) -> Result<u64> {
        let aside = self.set_aside(self.root(), path).at(|| format!("remove `{path}`"))?;
        self.delete(aside)
    }

    /// Deletes what others put aside and did not live to delete. The bytes that the disk has again.
    pub fn empty_trash(&self) -> Result<u64> {
        let trash = disk::open_dir(self.root(), "trash").at(|| "open `trash`".into())?;
        let mut deletion = Deletion::of(trash.as_fd());
        for name in names_in(trash.as_fd()).at(|| "list `trash`".into())? {
            // Held meanwhile, so that another who empties it leaves this to us.
            if let Some(_lock) = left(trash.as_fd(), &name, FlockOperation::NonBlockingLockExclusive) {
                deletion.run(&name)?;
            }
        }
        Ok(deletion.bytes)
    }

    /// The names of what nobody alive is deleting.
    pub(crate) fn left_in_trash(&self) -> Result<Vec<String>> {
        let trash = match disk::open_dir(self.root(), "trash") {
            Err(Errno::NOENT) => return Ok(Vec::new()),
            trash => trash.at(|| "open `trash`".into())?,
        };
        let mut names = names_in(trash.as_fd()).at(|| "list `trash`".into())?;
        names.retain(|name| left(trash.as_fd(), name, FlockOperation::NonBlockingLockShared).is_some());
        names.sort();
        Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
    }
}

/// Locks something in the trash, if nobody else has it locked; what cannot be opened, such as a symbolic link, is not.
fn left(trash: BorrowedFd<'_>, name: &CStr, lock: FlockOperation) -> Option<Option<OwnedFd>> {
    match openat(trash, name, ANY, Mode::empty()) {
        Err(Errno::NOENT) => None,
        Err(_) => Some(None),
        Ok(file) => (disk::try_lock(&file, lock) != Ok(false)).then_some(Some(file)),
    }
}

/// Deleting, and what it came to. Names are bytes here: what a stranger's layer holds need not be UTF-8.
struct Deletion<'a> {
    trash: BorrowedFd<'a>,
    /// Trees that lay too deep, at the top of the trash now.
    deep: Vec<CString>,
    bytes: u64,
}

impl<'a> Deletion<'a> {
    fn of(trash: BorrowedFd<'a>) -> Self {
        Self { trash, deep: Vec::new(), bytes: 0 }
    }

    /// Deletes one thing in the trash, and what turned out to be too deep in it.
    fn run(&mut self, name: &CStr) -> Result<()> {
        let mut next = Some(name.to_owned());
        while let Some(name) = next {
            self.delete(self.trash, &name, 0).at(|| format!("delete `trash/{}`", name.to_string_lossy()))?;
            sys::step!("store.trash.delete");
            next = self.deep.pop();
        }
        Ok(())
    }

    fn delete(&mut self, at: BorrowedFd<'_>, name: &CStr, depth: usize) -> Sys<()> {
        let stat = match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            there => there?,
        };
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_dir && depth == DEPTH {
            return self.bring_up(at, name);
        }
        if is_dir {
            self.delete_entries(at, name, depth)?;
        }
        match unlinkat(at, name, if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() }) {
            Err(Errno::NOENT) => {}
            done => {
                done?;
                self.bytes += freed(&stat);
            }
        }
        Ok(())
    }

    fn delete_entries(&mut self, at: BorrowedFd<'_>, name: &CStr, depth: usize) -> Sys<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match openat(at, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            dir => dir?,
        };
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                self.delete(dir.as_fd(), entry.file_name(), depth + 1)?;
            }
        }
        Ok(())
    }

    fn bring_up(&mut self, at: BorrowedFd<'_>, name: &CStr) -> Sys<()> {
        let new = CString::new(unique().map_err(|_| Errno::IO)?).map_err(|_| Errno::INVAL)?;
        match renameat(at, name, self.trash, &new) {
            Err(Errno::NOENT) => {}
            done => {
                done?;
                self.deep.push(new);
            }
        }
        Ok(())
    }
}

fn names_in(dir: BorrowedFd<'_>) -> Sys<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

//! Files of procfs, and of nothing else.
//!
//! Whoever can mount something over a file of `/proc`, or lead a path there elsewhere, decides what a write
//! to it does: CVE-2019-16884, CVE-2025-52881. So the root is looked at (fstatfs(2)), and paths below it cross no
//! mount and no magic link (openat2(2)).

use crate::mount::FileSystem;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat2};
use rustix::io::{Errno, Result};
use std::path::Path;

/// The root of a procfs.
#[derive(Debug)]
pub struct Procfs(OwnedFd);

/// PROC_ROOT_INO of linux/proc_ns.h
const ROOT: u64 = 1;

impl Procfs {
    /// What is mounted on `/proc` here.
    ///
    /// # Errors
    /// EXDEV when that is no procfs, or not its root.
    pub fn mounted() -> Result<Self> {
        let root = open(c"/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if !is_procfs(&root) || fstat(&root)?.st_ino != ROOT {
            return Err(Errno::XDEV);
        }
        Ok(Self(root))
    }

    /// One of this pid namespace that nobody else can see, let alone mount over.
    ///
    /// # Errors
    /// EPERM without power over the pid namespace, or where another procfs is in sight only in part.
    pub fn detached() -> Result<Self> {
        FileSystem::open("proc")?.mount(0).map(Self)
    }

    /// Opens a file below, as `sys/kernel/sem`. Links such as `self` are followed, and lead nowhere else.
    pub fn open(&self, path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.0, path.as_ref(), flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// Writes a whole text in one call, as files of procfs demand.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) -> Result<()> {
        let file = self.open(path, OFlags::WRONLY)?;
        match rustix::io::write(file, text.as_bytes())? {
            length if length == text.len() => Ok(()),
            _ => Err(Errno::IO),
        }
    }
}

impl AsFd for Procfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Is it a file of a procfs?
pub fn is_procfs(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|stat| stat.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// Is there a file of the kernel's at this path of the host's `/sys` or `/proc`, that reads as `text`?
pub fn reads_as(path: &str, text: &str) -> bool {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let mut buffer = [0; 16];
    let length = file.and_then(|file| rustix::io::read(file, &mut buffer)).unwrap_or(0);
    buffer[..length].trim_ascii() == text.as_bytes()
}

//! Files of procfs, and of nothing else.
//!
//! Whoever can mount something over a file of `/proc`, or lead a path there elsewhere, decides what a write
//! to it does: CVE-2019-16884, CVE-2025-52881. So the root is looked at (fstatfs(2)), and paths below it cross no
//! mount and no magic link (openat2(2)).

use crate::mount::FileSystem;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat, openat2};
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
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let mut buffer = [0; 16];
    let length = file.and_then(|file| rustix::io::read(file, &mut buffer)).unwrap_or(0);
    buffer[..length].trim_ascii() == text.as_bytes()
}

/// What is asked of proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// A zombie does not, nor does the first process of a pid namespace that has ended and waits for somebody on the
    /// host to reap what was put into the namespace from there.
    pub lives: bool,
    /// It has executed a program since it was forked. Until then it is its maker's image, and where it is to be it may
    /// not have come yet.
    pub has_program: bool,
    /// When it began, in clock ticks since boot: with its id it is this process and no other.
    pub born: u64,
}

/// PF_EXITING of linux/sched.h.
const EXITING: u32 = 4;
/// PF_FORKNOEXEC of the same.
const NO_PROGRAM: u32 = 0x40;

/// Looks at a process of this procfs.
///
/// # Errors
/// ENOENT or ESRCH where there is none.
pub fn stat(pid: i32) -> Result<Stat> {
    let file = openat(CWD, format!("/proc/{pid}/stat"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    parse_stat(&crate::file::read_whole(file, 1023)?).ok_or(Errno::PROTO)
}

/// The name in parentheses may contain anything, also parentheses.
pub fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let end = bytes.iter().rposition(|&byte| byte == b')')?;
    let text = std::str::from_utf8(bytes.get(end + 2..)?).ok()?;
    let mut fields = text.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let flags: u32 = fields.nth(5)?.parse().ok()?;
    let born = fields.nth(12)?.trim_end().parse().ok()?;
    let lives = !matches!(state, b'Z' | b'X') && flags & EXITING == 0;
    Some(Stat { lives, has_program: flags & NO_PROGRAM == 0, born })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_moves_no_field() {
        let line = b"12 (a) Z 1) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20\n";
        assert_eq!(
            parse_stat(line),
            Some(Stat { lives: false, has_program: true, born: 4711 }),
            "flags 6: it is exiting"
        );
        let line = b"12 (a) S 1 2 3 4 5 4194560 7 8 9 10 11 12 13 14 15 16 17 18 4711 20\n";
        assert_eq!(parse_stat(line), Some(Stat { lives: true, has_program: true, born: 4711 }));
        let line = b"12 (a) S 1 2 3 4 5 4194368 7 8 9 10 11 12 13 14 15 16 17 18 4711 20\n";
        assert_eq!(parse_stat(line).map(|stat| stat.has_program), Some(false));
        assert_eq!(parse_stat(b"12 (x"), None);
        assert_eq!(parse_stat(b"12 (x)"), None);
    }
}

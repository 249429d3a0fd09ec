//! What a file is, apart from its name and its data.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timespec, XattrFlags, fgetxattr, flistxattr, fsetxattr, openat,
    statat,
};
use rustix::io::{Errno, Result};

/// Extended attributes, by name.
pub(super) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// A capability of a file: as good as a set-id bit.
const CAPABILITY: &[u8] = b"security.capability";

/// XATTR_SIZE_MAX and XATTR_LIST_MAX, bytes.
const LARGEST: usize = 64 << 10;

/// A file's attributes.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) stat: Stat,
    /// Of symbolic links: the target.
    pub(super) link: Vec<u8>,
    pub(super) xattrs: Xattrs,
}

impl Node {
    pub(super) fn kind(&self) -> FileType {
        kind(&self.stat)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// Permission bits, those of set-id and sticky with them.
    pub(super) fn mode(&self) -> Mode {
        Mode::from_raw_mode(self.stat.st_mode & 0o7777)
    }

    pub(super) fn size(&self) -> u64 {
        self.stat.st_size.unsigned_abs()
    }

    /// Has it further names?
    pub(super) fn is_shared(&self) -> bool {
        self.stat.st_nlink > 1 && !self.is_dir()
    }

    pub(super) fn times(&self) -> rustix::fs::Timestamps {
        let time = |tv_sec, nanos: u64| Timespec { tv_sec, tv_nsec: nanos as i64 };
        rustix::fs::Timestamps {
            last_access: time(self.stat.st_atime, self.stat.st_atime_nsec),
            last_modification: time(self.stat.st_mtime, self.stat.st_mtime_nsec),
        }
    }

    /// Set-id bits and capabilities act for an owner. Where the owner is not kept they would act for another.
    pub(super) fn drop_powers(&mut self) {
        if !self.is_dir() {
            self.stat.st_mode &= !0o6000;
        }
        self.xattrs.retain(|(name, _)| name != CAPABILITY);
    }

    /// Of a file that is open for reading.
    pub(super) fn of_open(file: &OwnedFd) -> Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self { stat, link: Vec::new(), xattrs: xattrs_of_open(file)? })
    }

    /// Of what is never opened: a link, a device, a fifo; none of what is gone.
    pub(super) fn of_closed(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = match openat(dir, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let stat = rustix::fs::fstat(&node)?;
        let link = match kind(&stat) {
            FileType::Symlink => rustix::fs::readlinkat(&node, c"", Vec::new())?.into_bytes(),
            _ => Vec::new(),
        };
        Ok(Some(Self { stat, link, xattrs: Xattrs::new() }))
    }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// What a name in a directory is, links not followed; none if there is nothing.
pub(super) fn look(dir: impl AsFd, name: &[u8]) -> Result<Option<Stat>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// Those that mean the same elsewhere: a user's own, and capabilities. What overlay, SELinux or an access control list
/// keeps there is of this file system, this host, these ids.
fn is_portable(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == CAPABILITY
}

fn xattrs_of_open(file: &OwnedFd) -> Result<Xattrs> {
    let mut names = vec![0; 256];
    let length = loop {
        match flistxattr(file, names.as_mut_slice()) {
            Err(Errno::RANGE) if names.len() < LARGEST => names.resize(LARGEST, 0),
            Err(Errno::NOTSUP) => break 0,
            length => break length?,
        }
    };
    let mut found = Xattrs::new();
    for name in names[..length].split(|&byte| byte == 0).filter(|name| is_portable(name)) {
        let mut value = vec![0; LARGEST];
        let length = fgetxattr(file, name, value.as_mut_slice())?;
        found.push((name.to_vec(), value[..length].to_vec()));
    }
    Ok(found)
}

/// Gives a file its extended attributes; a file system without any takes none.
pub(super) fn set_xattrs(file: impl AsFd, xattrs: &Xattrs) -> Result<()> {
    for (name, value) in xattrs.iter().filter(|(name, _)| is_portable(name)) {
        match fsetxattr(&file, name.as_slice(), value, XattrFlags::empty()) {
            Err(Errno::NOTSUP) => {}
            other => other?,
        }
    }
    Ok(())
}

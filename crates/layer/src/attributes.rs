//! Owner, mode, times and extended attributes onto what has been made.

use crate::error::{At, Result, corrupt};
use crate::tar::member::Meta;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Who new files belong to without being told: the effective user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker {
    uid: u32,
    gid: u32,
}

impl Maker {
    pub(crate) fn current() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    fn made(self, meta: &Meta) -> bool {
        (self.uid, self.gid) == (meta.uid, meta.gid)
    }

    /// The mode to create with. Set-id bits wait until the owner is right: chown(2) would clear them.
    pub(crate) fn first_mode(meta: &Meta) -> Mode {
        Mode::from(meta.mode & 0o1777)
    }

    /// A regular file just created with [`first_mode`](Self::first_mode) and written. The order matters: chown
    /// clears set-id bits and capabilities, and everything but the last call changes the times.
    pub(crate) fn finish_file(self, fd: &OwnedFd, meta: &Meta, path: &[u8]) -> Result<()> {
        if !self.made(meta) {
            chown(fd, meta, path)?;
        }
        if meta.mode & 0o6000 != 0 {
            rustix::fs::fchmod(fd, Mode::from(meta.mode)).at("set mode of", path)?;
        }
        set_xattrs(fd, meta, path)?;
        rustix::fs::futimens(fd, &times(meta)).at("set times of", path)
    }

    /// A symbolic link, device or fifo just created: through its parent, as it must not be opened.
    pub(crate) fn finish_node(
        self,
        dir: impl AsFd,
        name: &[u8],
        meta: &Meta,
        path: &[u8],
        is_link: bool,
    ) -> Result<()> {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if !self.made(meta) {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            rustix::fs::chownat(&dir, name, Some(uid), Some(gid), nofollow).at("set owner of", path)?;
        }
        if meta.mode & 0o6000 != 0 && !is_link {
            rustix::fs::chmodat(&dir, name, Mode::from(meta.mode), AtFlags::empty())
                .at("set mode of", path)?;
        }
        if !meta.xattrs.is_empty() {
            set_xattrs_of_node(&dir, name, meta, path)?;
        }
        rustix::fs::utimensat(&dir, name, &times(meta), nofollow).at("set times of", path)
    }
}

/// A directory whose children are all there.
pub(crate) fn finish_dir(fd: &OwnedFd, meta: &Meta, path: &[u8]) -> Result<()> {
    chown(fd, meta, path)?;
    rustix::fs::fchmod(fd, Mode::from(meta.mode)).at("set mode of", path)?;
    set_xattrs(fd, meta, path)?;
    rustix::fs::futimens(fd, &times(meta)).at("set times of", path)
}

/// Leaves out, and counts, what no archive may bring: attributes that would change how the overlay reads the layer.
/// An archive of an overlay's own upper directory has them; containerd ignores them as well.
pub(crate) fn leave_out_overlays(meta: &mut Meta) -> u64 {
    let before = meta.xattrs.len();
    meta.xattrs.retain(|(name, _)| !name.starts_with(b"trusted.overlay."));
    (before - meta.xattrs.len()) as u64
}

/// Names that no attribute can have.
pub(crate) fn check_xattrs(meta: &Meta, path: &[u8]) -> Result<()> {
    for (name, _) in &meta.xattrs {
        if name.is_empty() || name.contains(&0) {
            return corrupt(
                "unpack",
                path,
                &format!("extended attribute `{}` is not allowed", name.escape_ascii()),
            );
        }
    }
    Ok(())
}

fn chown(fd: &OwnedFd, meta: &Meta, path: &[u8]) -> Result<()> {
    rustix::fs::fchown(fd, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)))
        .at("set owner of", path)
}

fn set_xattrs(fd: &OwnedFd, meta: &Meta, path: &[u8]) -> Result<()> {
    for (name, value) in &meta.xattrs {
        rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty()).at(&setting(name), path)?;
    }
    Ok(())
}

/// Through the magic link of an O_PATH descriptor, which leads to the very inode, links included; the
/// *xattr calls by descriptor refuse O_PATH, and setxattrat(2) is of Linux 6.13.
fn set_xattrs_of_node(dir: impl AsFd, name: &[u8], meta: &Meta, path: &[u8]) -> Result<()> {
    use rustix::fs::{OFlags, openat};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = openat(dir, name, flags, Mode::empty()).at("open", path)?;
    let magic = format!("/proc/self/fd/{}", node.as_raw_fd());
    for (name, value) in &meta.xattrs {
        rustix::fs::setxattr(&magic, name.as_slice(), value, XattrFlags::empty()).at(&setting(name), path)?;
    }
    Ok(())
}

fn setting(name: &[u8]) -> String {
    format!("set extended attribute `{}` of", name.escape_ascii())
}

/// The access time is the modification time: an archive of a layer has no other worth keeping.
fn times(meta: &Meta) -> Timestamps {
    let time = Timespec { tv_sec: meta.mtime.0, tv_nsec: meta.mtime.1.into() };
    Timestamps { last_access: time, last_modification: time }
}

//! The mount API by file descriptor: detached trees, attributes, file systems from parts.
//!
//! A *detached* mount belongs to no namespace until it is moved somewhere; it is gone when its
//! descriptor is closed. Everything a container gets is made detached and attached last.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Result;
use rustix::mount as raw;
use rustix::path::Arg;

pub use raw::{
    MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, unmount,
};

/// A change of a mount's attributes, see mount_setattr(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes {
    /// MOUNT_ATTR_* to set.
    pub set: u64,
    /// MOUNT_ATTR_* to clear.
    pub clear: u64,
    /// MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE; 0 leaves propagation as it is.
    pub propagation: u64,
}

/// MOUNT_ATTR_RDONLY
pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// MOUNT_ATTR_NOSUID
pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// MOUNT_ATTR_NODEV
pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
/// MOUNT_ATTR_NOEXEC
pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
/// MOUNT_ATTR_NOSYMFOLLOW (Linux 5.14)
pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
/// The field of all access-time attributes.
pub const ATIME: u64 = libc::MOUNT_ATTR__ATIME;
/// MOUNT_ATTR_NOATIME
pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
/// MOUNT_ATTR_STRICTATIME
pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
/// MOUNT_ATTR_NODIRATIME
pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
/// MS_PRIVATE as mount_setattr takes it.
pub const PRIVATE: u64 = libc::MS_PRIVATE;
/// MS_SLAVE as mount_setattr takes it.
pub const SLAVE: u64 = libc::MS_SLAVE;
/// MS_SHARED as mount_setattr takes it.
pub const SHARED: u64 = libc::MS_SHARED;
/// MS_UNBINDABLE as mount_setattr takes it.
pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;

/// Changes attributes of a mount, and with `recursive` of all below it.
///
/// # Errors
/// EINVAL where the kernel lacks an attribute or `fd` is no mount's root, EPERM where a flag is locked.
pub fn set_attributes(fd: impl AsFd, change: &Attributes, recursive: bool) -> Result<()> {
    let attr = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: 0,
    };
    setattr(fd.as_fd(), &attr, recursive)
}

/// Makes a detached mount show the ids of its files through the map of a user namespace.
///
/// # Errors
/// EINVAL where the file system or kernel cannot, or the mount is attached; EPERM where it is mapped already.
pub fn set_id_map(fd: impl AsFd, userns: impl AsFd, recursive: bool) -> Result<()> {
    let attr = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: userns.as_fd().as_raw_fd() as u64,
    };
    setattr(fd.as_fd(), &attr, recursive)
}

fn setattr(fd: BorrowedFd<'_>, attr: &libc::mount_attr, recursive: bool) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated constant, `attr` outlives the call and its true size is given.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, fd.as_raw_fd(), c"".as_ptr(), flags, attr, size_of_val(attr))
    };
    crate::check(result).map(drop)
}

/// A detached copy of the mount at `path`; with `recursive`, of all mounted below, too.
pub fn clone_tree(dir: impl AsFd, path: impl Arg, recursive: bool) -> Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    raw::open_tree(dir, path, flags)
}

/// Attaches a detached mount on the directory or file that `target` refers to.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    raw::move_mount(mount, c"", target, c"", flags)
}

/// A file system being put together, see fsopen(2).
#[derive(Debug)]
pub struct FileSystem(OwnedFd);

impl FileSystem {
    /// Begins a file system of the named type.
    ///
    /// # Errors
    /// ENODEV where the kernel does not know the type.
    pub fn open(kind: &str) -> Result<Self> {
        raw::fsopen(kind, raw::FsOpenFlags::FSOPEN_CLOEXEC).map(Self)
    }

    /// Sets an option with a value.
    pub fn set(&self, key: &str, value: impl Arg) -> Result<()> {
        raw::fsconfig_set_string(&self.0, key, value)
    }

    /// Sets an option that has no value.
    pub fn flag(&self, key: &str) -> Result<()> {
        raw::fsconfig_set_flag(&self.0, key)
    }

    /// Sets an option to an open file (for overlay's directories since Linux 6.13).
    pub fn set_fd(&self, key: &str, value: impl AsFd) -> Result<()> {
        raw::fsconfig_set_fd(&self.0, key, value)
    }

    /// Begins a change of the file system that `fd` is on, see fspick(2).
    ///
    /// # Errors
    /// EINVAL when `fd` is no mount's root.
    pub fn pick(fd: impl AsFd) -> Result<Self> {
        let flags = raw::FsPickFlags::FSPICK_CLOEXEC | raw::FsPickFlags::FSPICK_EMPTY_PATH;
        raw::fspick(fd, c"", flags).map(Self)
    }

    /// Carries a change out.
    pub fn reconfigure(self) -> Result<()> {
        raw::fsconfig_reconfigure(&self.0)
    }

    /// Makes the file system and gives its root as a detached mount.
    pub fn mount(self, attributes: u64) -> Result<OwnedFd> {
        raw::fsconfig_create(&self.0)?;
        let flags = MountAttrFlags::from_bits_retain(attributes as u32);
        raw::fsmount(&self.0, raw::FsMountFlags::FSMOUNT_CLOEXEC, flags)
    }

    /// What the kernel had to say about the failure, one message a line; often nothing.
    pub fn messages(&self) -> String {
        let mut text = String::new();
        let mut buffer = [0; 512];
        while let Ok(length) = rustix::io::read(&self.0, &mut buffer) {
            text.push_str(String::from_utf8_lossy(&buffer[..length]).trim_end());
            text.push('\n');
        }
        text
    }
}

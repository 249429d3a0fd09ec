//! The root file system, made by the parent as a detached mount.
//!
//! Layers, upper and work directory lie below one directory, and one id-mapped clone of the mount
//! they are on serves all of them: a clone for each layer would cost an RCU grace period each.
//!
//! Options, chosen and not left to the kernel's configuration:
//! - `volatile` for a container that is removed at its end: unmounting does not sync the file
//!   system below. A kept one goes without, or it could not be mounted again after a crash.
//! - `redirect_dir=off`, `metacopy=off`, `index=off`: the upper directory stays what a layer is, so
//!   that it can be compared, exported and committed by reading it. A rename of a directory from
//!   a lower layer gives EXDEV, and every program that moves directories copies then.
//! - `userxattr` stays off: the parent mounts, and it may write `trusted.overlay.*`, which no
//!   process in the container can forge.

use crate::{Error, Kind, Result, refused};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use sys::mount::{self, FileSystem};

/// What becomes the container's `/`.
#[derive(Debug)]
pub enum Rootfs {
    /// A directory as it is.
    Directory(PathBuf),
    /// Layers, and what is written above them.
    Overlay(Overlay),
}

/// An overlay mount to be.
#[derive(Debug)]
pub struct Overlay {
    /// The directory all others lie below; on an attached mount.
    pub base: OwnedFd,
    /// Read-only directories relative to `base`, the topmost first; at most 500.
    pub lower: Vec<PathBuf>,
    /// The upper and the work directory, relative to `base`; without them the root is read-only.
    pub upper: Option<(PathBuf, PathBuf)>,
    /// Nothing of the upper directory has to survive a crash of the host.
    pub volatile: bool,
}

/// The ids that own a user namespace's files on disk, and the namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped<'a> {
    pub(crate) userns: BorrowedFd<'a>,
    /// Host ids of the container's root.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// OVL_MAX_STACK of the kernel.
const LAYERS: usize = 500;

impl Overlay {
    /// A detached mount of the overlay, and what must stay open until the container ends.
    pub(crate) fn make(&self, mapped: Option<Mapped<'_>>) -> Result<(OwnedFd, Vec<OwnedFd>)> {
        if self.lower.len() > LAYERS {
            return Err(Error::new(
                Kind::Unsupported,
                format!("{} layers: overlay takes {LAYERS}", self.lower.len()),
            ));
        }
        let mut held = Vec::with_capacity(self.lower.len() + 3);
        let tree = mapped.map(|mapped| mapped_clone(&self.base, mapped.userns)).transpose()?;
        let base = tree.as_ref().unwrap_or(&self.base);
        let lower = self.open(base, &self.lower)?;
        let upper = match &self.upper {
            Some((upper, work)) => Some((open(base, upper)?, open(base, work)?)),
            None => None,
        };
        let made = as_root_of(mapped, || self.mount(&lower, upper.as_ref(), tree.as_ref()))?;
        held.extend(lower);
        held.extend(upper.into_iter().flat_map(|(upper, work)| [upper, work]));
        held.extend(tree);
        Ok((made, held))
    }

    /// The layers alone, merged and read-only, as a detached mount: to look files up in, gone when closed.
    pub fn view(&self) -> Result<OwnedFd> {
        let lower = self.open(&self.base, &self.lower)?;
        match lower.as_slice() {
            [only] => {
                only.try_clone().map_err(|cause| Error::new(Kind::Kernel, "open a layer").caused_by(cause))
            }
            several => self.mount(several, None, None),
        }
    }

    /// The layers' directories, the topmost first.
    pub fn open_layers(&self) -> Result<Vec<OwnedFd>> {
        self.open(&self.base, &self.lower)
    }

    fn open(&self, base: &OwnedFd, paths: &[PathBuf]) -> Result<Vec<OwnedFd>> {
        paths.iter().map(|path| open(base, path)).collect()
    }

    /// By descriptor since Linux 6.13, by path since 6.8; before 6.15 overlay takes no directory of a detached mount, so
    /// the id-mapped clone is attached where nobody sees it; and before 6.8 all directories are one string.
    fn mount(
        &self,
        lower: &[OwnedFd],
        upper: Option<&(OwnedFd, OwnedFd)>,
        tree: Option<&OwnedFd>,
    ) -> Result<OwnedFd> {
        let unknown = |errno: &Errno| {
            matches!(*errno, Errno::INVAL | Errno::BADF | Errno::OPNOTSUPP | Errno::NAMETOOLONG)
        };
        let by_parts = |handed| self.mount_by_parts(lower, upper, handed);
        let mut made = by_parts(Handed::Descriptor);
        if made.as_ref().is_err_and(unknown) {
            made = by_parts(Handed::Path);
        }
        if let (true, Some(tree)) = (made.as_ref().is_err_and(unknown), tree) {
            made = self.with_attached(tree, || by_parts(Handed::Path));
        }
        if made.as_ref().is_err_and(unknown) {
            made = self.mount_whole(lower, upper);
        }
        made.map_err(|errno| refused(errno, "mount overlay".into()))
    }

    /// Acts while the clone is attached, over the work directory, in a mount namespace of this process's own.
    fn with_attached<T>(
        &self,
        tree: &OwnedFd,
        act: impl FnOnce() -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        let place = self.upper.as_ref().map(|(_, work)| work).or(self.lower.first()).ok_or(Errno::INVAL)?;
        leave_hosts_mounts()?;
        // Looked up anew: the descriptor's mount is the host's, and that is not ours any more.
        let base = format!("/proc/self/fd/{}", self.base.as_raw_fd());
        let place = std::fs::read_link(base).map_err(|_| Errno::NOENT)?.join(place);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        mount::attach(tree, openat(rustix::fs::CWD, &place, flags, Mode::empty())?)?;
        let done = act();
        mount::unmount(&place, mount::UnmountFlags::DETACH)?;
        done
    }

    fn mount_by_parts(
        &self,
        lower: &[OwnedFd],
        upper: Option<&(OwnedFd, OwnedFd)>,
        handed: Handed,
    ) -> rustix::io::Result<OwnedFd> {
        let fs = FileSystem::open("overlay")?;
        for layer in lower {
            handed.set(&fs, "lowerdir+", layer)?;
        }
        if let Some((upper, work)) = upper {
            handed.set(&fs, "upperdir", upper)?;
            handed.set(&fs, "workdir", work)?;
        }
        for (key, value) in [("redirect_dir", "off"), ("metacopy", "off"), ("index", "off")] {
            fs.set(key, value)?;
        }
        if self.volatile && upper.is_some() {
            fs.flag("volatile")?;
        }
        fs.set("source", "overlay")?;
        fs.mount(0)
    }

    /// The way of old kernels: one option string of at most a page, so directories are named as
    /// briefly as can be, by number in `/proc/self/fd`; and the mount has to be attached to be made,
    /// so it is done in a mount namespace of this process's own.
    fn mount_whole(
        &self,
        lower: &[OwnedFd],
        upper: Option<&(OwnedFd, OwnedFd)>,
    ) -> rustix::io::Result<OwnedFd> {
        let numbers: Vec<_> = lower.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        let mut options = format!("lowerdir={},redirect_dir=off,metacopy=off,index=off", numbers.join(":"));
        if let Some((upper, work)) = upper {
            options += &format!(",upperdir={},workdir={}", upper.as_raw_fd(), work.as_raw_fd());
            options += if self.volatile { ",volatile" } else { "" };
        }
        mount_aside(&options)
    }
}

/// How a directory is handed to overlay.
#[derive(Clone, Copy)]
enum Handed {
    Descriptor,
    Path,
}

impl Handed {
    fn set(self, fs: &FileSystem, key: &str, directory: &OwnedFd) -> rustix::io::Result<()> {
        match self {
            Self::Descriptor => fs.set_fd(key, directory),
            Self::Path => fs.set(key, format!("/proc/self/fd/{}", directory.as_raw_fd())),
        }
    }
}

/// From here on what this process mounts is its own, and goes with it.
fn leave_hosts_mounts() -> rustix::io::Result<()> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    sys::process::unshare(sys::process::Namespaces::MOUNT)?;
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
}

fn mount_aside(options: &str) -> rustix::io::Result<OwnedFd> {
    use rustix::mount::{MountFlags, mount};
    leave_hosts_mounts()?;
    let here =
        openat(rustix::fs::CWD, c".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::process::chdir(c"/proc/self/fd")?;
    let data = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
    let made = mount(c"overlay", c"/proc", c"overlay", MountFlags::empty(), data.as_c_str());
    let tree = made.and_then(|()| mount::clone_tree(rustix::fs::CWD, c"/proc", false));
    rustix::process::fchdir(here)?;
    let tree = tree?;
    mount::unmount(c"/proc", mount::UnmountFlags::DETACH)?;
    Ok(tree)
}

/// A detached copy of the mount `base` is on, showing ids as the user namespace has them.
fn mapped_clone(base: &OwnedFd, userns: BorrowedFd<'_>) -> Result<OwnedFd> {
    let tree = mount::clone_tree(base, c"", false)
        .map_err(|errno| refused(errno, "clone the store's mount".into()))?;
    mount::set_id_map(&tree, userns, false).map_err(|errno| {
        Error::new(Kind::NotMappable, "map the ids of the store's file system").caused_by(errno)
    })?;
    Ok(tree)
}

fn open(base: &OwnedFd, path: &Path) -> Result<OwnedFd> {
    openat(base, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| refused(errno, format!("open layer `{}`", path.display())))
}

/// Overlay makes its work directory, and later acts, as who mounts it. An id-mapped directory knows
/// no id of the host's, and the mount would quietly be read-only: be the container's root for this.
/// The capabilities stay because the caller of `start` has set SECBIT_NO_SETUID_FIXUP.
fn as_root_of<T>(mapped: Option<Mapped<'_>>, act: impl FnOnce() -> T) -> T {
    let Some(Mapped { uid, gid, .. }) = mapped else { return act() };
    sys::process::set_fs_ids(uid, gid);
    let done = act();
    sys::process::set_fs_ids(0, 0);
    done
}

impl Rootfs {
    /// A detached mount of the root, and what must stay open until the container ends.
    pub(crate) fn make(&self, mapped: Option<Mapped<'_>>) -> Result<(OwnedFd, Vec<OwnedFd>)> {
        match self {
            Self::Overlay(overlay) => overlay.make(mapped),
            Self::Directory(path) => mount::clone_tree(rustix::fs::CWD, path.as_path(), true)
                .map(|tree| (tree, Vec::new()))
                .map_err(|errno| refused(errno, format!("open root `{}`", path.display()))),
        }
    }
}

/// What stays open lets the kernel take the mounts down after the status is out, not before.
pub(crate) fn hold(pidfd: impl AsFd) -> Option<OwnedFd> {
    sys::process::namespace_of(pidfd, sys::process::NamespaceOf::Mount).ok()
}

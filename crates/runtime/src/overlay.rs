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

use crate::aside::aside;
use crate::{Error, Kind, Result, refused};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use sys::mount::{self, Attributes, FileSystem};

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
        let tree = mapped.map(|mapped| mapped_clone(&self.base, mapped.userns)).transpose()?;
        let stack = self.open(tree.as_ref().unwrap_or(&self.base))?;
        let made = as_root_of(mapped, || self.mount(&stack, tree.as_ref()))?;
        Ok((made, stack.into_descriptors().chain(tree).collect()))
    }

    /// The overlay before any container has it, a single layer as it is: to look files up in, gone when closed.
    pub fn view(&self) -> Result<OwnedFd> {
        match (self.lower.as_slice(), &self.upper) {
            ([only], None) => open(&self.base, only),
            _ => self.mount(&self.open(&self.base)?, None),
        }
    }

    /// The layers' directories, the topmost first.
    pub fn open_layers(&self) -> Result<Vec<OwnedFd>> {
        self.lower.iter().map(|path| open(&self.base, path)).collect()
    }

    fn open(&self, base: &OwnedFd) -> Result<Stack> {
        let lower = self.lower.iter().map(|path| open(base, path)).collect::<Result<_>>()?;
        let upper = match &self.upper {
            Some((upper, work)) => Some((open(base, upper)?, open(base, work)?)),
            None => None,
        };
        Ok(Stack { lower, upper, volatile: self.volatile })
    }

    /// By descriptor since Linux 6.13, by path since 6.8. Before 6.15 overlay takes no directory of a detached mount, and
    /// before 6.8 it has to be attached itself to be made: both are done where nobody sees it.
    fn mount(&self, stack: &Stack, tree: Option<&OwnedFd>) -> Result<OwnedFd> {
        let mut made = stack.mount(Handed::Descriptor);
        if made.as_ref().is_err_and(is_unknown) {
            made = stack.mount(Handed::Path);
        }
        if made.as_ref().is_err_and(is_unknown) {
            made = aside(|| self.mount_attached(tree));
        }
        made.map_err(|errno| match tree {
            // Overlay takes id-mapped layers since Linux 5.19.
            Some(_) if is_unknown(&errno) => {
                Error::new(Kind::NotMappable, "mount overlay on layers with mapped ids").caused_by(errno)
            }
            _ => refused(errno, "mount overlay".into()),
        })
    }

    /// In a mount namespace of this process's own. What was open before is of another and no good here, so all
    /// is looked up anew; an id-mapped tree is attached over the work directory, which lies in it again.
    fn mount_attached(&self, tree: Option<&OwnedFd>) -> rustix::io::Result<OwnedFd> {
        leave_hosts_mounts()?;
        let base = std::fs::read_link(format!("/proc/self/fd/{}", self.base.as_raw_fd()));
        let mut base = directory(CWD, &base.map_err(|_| Errno::NOENT)?)?;
        if let Some(tree) = tree {
            let place =
                self.upper.as_ref().map(|(_, work)| work).or(self.lower.first()).ok_or(Errno::INVAL)?;
            mount::attach(tree, directory(&base, place)?)?;
            base = directory(&base, place)?;
        }
        let stack = self.open(&base).map_err(|_| Errno::NOENT)?;
        match stack.mount(Handed::Path) {
            Err(errno) if is_unknown(&errno) => stack.mount_whole(),
            made => made,
        }
    }
}

/// What is stacked, open.
struct Stack {
    lower: Vec<OwnedFd>,
    upper: Option<(OwnedFd, OwnedFd)>,
    volatile: bool,
}

impl Stack {
    fn into_descriptors(self) -> impl Iterator<Item = OwnedFd> {
        self.lower.into_iter().chain(self.upper.into_iter().flat_map(|(upper, work)| [upper, work]))
    }

    fn mount(&self, handed: Handed) -> rustix::io::Result<OwnedFd> {
        let fs = FileSystem::open("overlay")?;
        if let Handed::Path = handed
            && fs.set("any word", "").is_ok()
        {
            // So were contexts before Linux 6.5: they would say only at the end, and in the kernel's log, what is wrong.
            return Err(Errno::INVAL);
        }
        for layer in &self.lower {
            handed.set(&fs, "lowerdir+", layer)?;
        }
        if let Some((upper, work)) = &self.upper {
            handed.set(&fs, "upperdir", upper)?;
            handed.set(&fs, "workdir", work)?;
        }
        for (key, value) in [("redirect_dir", "off"), ("metacopy", "off"), ("index", "off")] {
            fs.set(key, value)?;
        }
        if self.volatile && self.upper.is_some() {
            fs.flag("volatile")?;
        }
        fs.set("source", "overlay")?;
        fs.mount(0)
    }

    /// The way of old kernels, mount(2): one option string of at most a page, so directories are named as briefly
    /// as can be, by number in `/proc/self/fd`.
    fn mount_whole(&self) -> rustix::io::Result<OwnedFd> {
        use rustix::mount::{MountFlags, mount};
        let numbers: Vec<_> = self.lower.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        let mut options = format!("lowerdir={},redirect_dir=off,metacopy=off,index=off", numbers.join(":"));
        if let Some((upper, work)) = &self.upper {
            options += &format!(",upperdir={},workdir={}", upper.as_raw_fd(), work.as_raw_fd());
            options += if self.volatile { ",volatile" } else { "" };
        }
        let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
        rustix::process::chdir(c"/proc/self/fd")?;
        mount(c"overlay", c"/proc", c"overlay", MountFlags::empty(), options.as_c_str())?;
        mount::clone_tree(CWD, c"/proc", false)
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

/// What a kernel says that does not know this way.
fn is_unknown(errno: &Errno) -> bool {
    matches!(*errno, Errno::INVAL | Errno::BADF | Errno::OPNOTSUPP | Errno::NAMETOOLONG)
}

/// From here on what this process mounts is its own, and goes with it.
pub(crate) fn leave_hosts_mounts() -> rustix::io::Result<()> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    sys::process::unshare(sys::process::Namespaces::MOUNT)?;
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
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
    directory(base, path).map_err(|errno| refused(errno, format!("open layer `{}`", path.display())))
}

fn directory(base: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    openat(base, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Acts with the file system ids of the container's root. Overlay makes its work directory, and later acts, as who
/// mounts it: an id-mapped directory knows no id of the host's, and the mount would quietly be read-only.
/// The capabilities stay because the caller of `start` has set SECBIT_NO_SETUID_FIXUP.
pub(crate) fn as_root_of<T>(mapped: Option<Mapped<'_>>, act: impl FnOnce() -> T) -> T {
    let Some(Mapped { uid, gid, .. }) = mapped else { return act() };
    sys::process::set_fs_ids(uid, gid);
    let done = act();
    sys::process::set_fs_ids(0, 0);
    done
}

impl Rootfs {
    /// A detached mount of the root, and the layers it was made of, which it needs no more.
    pub(crate) fn make(&self, mapped: Option<Mapped<'_>>) -> Result<(OwnedFd, Vec<OwnedFd>)> {
        match self {
            Self::Overlay(overlay) => overlay.make(mapped),
            Self::Directory(path) => {
                let failed = |errno| refused(errno, format!("open root `{}`", path.display()));
                let tree = mount::clone_tree(CWD, path.as_path(), true).map_err(failed)?;
                // It has the host's mount for a peer: what is mounted below would be mounted on the host, too.
                let slave = Attributes { propagation: mount::SLAVE, ..Attributes::default() };
                mount::set_attributes(&tree, &slave, true).map_err(failed)?;
                Ok((tree, Vec::new()))
            }
        }
    }
}

/// What stays open lets the kernel take the mounts down after the status is out, not before.
pub(crate) fn hold(pidfd: impl AsFd) -> Option<OwnedFd> {
    sys::process::namespace_of(pidfd, sys::process::NamespaceOf::Mount).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each way of handing layers over, those of older kernels too, gives the same tree. In threads of their own:
    /// a mount namespace is a thread's.
    #[test]
    fn layers_are_the_same_whichever_way_they_are_handed_over() {
        let place = std::env::temp_dir().join(format!("hull-overlay-{}", std::process::id()));
        for number in 0..64 {
            std::fs::create_dir_all(place.join(number.to_string())).unwrap();
            std::fs::write(place.join(format!("{number}/{number}")), number.to_string()).unwrap();
            std::fs::write(place.join(format!("{number}/top")), number.to_string()).unwrap();
        }
        let ways: [fn(&Stack) -> rustix::io::Result<OwnedFd>; 3] =
            [|stack| stack.mount(Handed::Descriptor), |stack| stack.mount(Handed::Path), Stack::mount_whole];
        for (number, way) in ways.into_iter().enumerate() {
            std::thread::scope(|scope| scope.spawn(|| assert_merged(&place, number, way)).join().unwrap());
        }
        std::fs::remove_dir_all(place).unwrap();
    }

    fn assert_merged(place: &Path, number: usize, way: fn(&Stack) -> rustix::io::Result<OwnedFd>) {
        leave_hosts_mounts().unwrap();
        let lower = (0..64).map(|number| directory(CWD, &place.join(number.to_string())).unwrap());
        let stack = Stack { lower: lower.collect(), upper: None, volatile: false };
        let tree = match way(&stack) {
            // By descriptor is of Linux 6.13, by parts of 6.8.
            Err(errno) if is_unknown(&errno) && number < 2 => return,
            made => made.unwrap(),
        };
        let read = |name: &str| {
            let file = openat(&tree, name, OFlags::RDONLY, Mode::empty()).unwrap();
            std::io::read_to_string(std::fs::File::from(file)).unwrap()
        };
        assert_eq!(read("top"), "0", "the first is the topmost");
        for number in 0..64 {
            assert_eq!(read(&number.to_string()), number.to_string());
        }
    }
}

//! Directories of containers, used again: making and removing them is most of what a short-lived
//! container costs the disk.

use crate::disk::{self, Sys};
use crate::error::{At, Result};
use crate::root::Store;
use crate::trash::Aside;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, FlockOperation, Mode, fchmod, flistxattr, fremovexattr, fstat};
use rustix::io::Errno;

/// How many are kept. As many as containers are often started at once.
pub(crate) const SPARES: u32 = 4;

/// What a container's directory holds that nobody added to.
const PLAIN: [&str; 6] = ["container.json", "hostname", "hosts", "resolv.conf", "upper", "work"];

/// A directory for a container to be: spare or new, locked, put back or aside unless kept.
pub(crate) struct FreshDir<'a> {
    store: &'a Store,
    path: String,
    dir: Option<OwnedFd>,
    spare: bool,
}

impl FreshDir<'_> {
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_ref().expect("only `keep` takes it, and the whole with it").as_fd()
    }

    /// Relative to the root.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// It has become a container.
    pub(crate) fn keep(mut self) -> OwnedFd {
        self.dir.take().expect("only `keep` takes it, and the whole with it")
    }
}

impl Drop for FreshDir<'_> {
    fn drop(&mut self) {
        if self.dir.is_some() && !self.spare {
            // What cannot be removed now is found by the next collection.
            let _ = self.store.discard(&self.path);
        }
    }
}

impl Store {
    /// A directory with an empty `upper` and `work`, locked by this process.
    pub(crate) fn fresh_dir(&self, key: &str) -> Result<FreshDir<'_>> {
        for number in 0..SPARES {
            let path = format!("spare/{number}");
            if let Some(dir) = self.take_spare(&path).at(|| format!("take `{path}`"))? {
                return Ok(FreshDir { store: self, path, dir: Some(dir), spare: true });
            }
        }
        let path = format!("tmp/{key}");
        let dir = self.make_fresh(&path).at(|| "make the directory of a container".into());
        dir.map(|dir| FreshDir { store: self, path, dir: Some(dir), spare: false })
    }

    /// Only who holds its lock moves a spare. So one that is locked and still where it was stays.
    fn take_spare(&self, path: &str) -> Sys<Option<OwnedFd>> {
        let dir = match disk::open_dir(self.root(), path) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        if !disk::try_lock(&dir, FlockOperation::NonBlockingLockExclusive)? {
            return Ok(None);
        }
        Ok(disk::is_at(&dir, self.root(), path)?.then_some(dir))
    }

    fn make_fresh(&self, path: &str) -> Sys<OwnedFd> {
        disk::make_dir(self.root(), path, 0o700)?;
        sys::step!("store.container.draft");
        let dir = disk::open_dir(self.root(), path)?;
        for name in ["upper", "work"] {
            disk::make_dir(&dir, name, 0o755)?;
            fchmod(disk::open_dir(&dir, name)?, Mode::from_raw_mode(0o755))?;
        }
        disk::wait_lock(&dir, FlockOperation::LockExclusive)?;
        Ok(dir)
    }

    /// Takes a held container's directory out of sight: to the spares if it is as good as new, to the
    /// trash otherwise. What is to be deleted of it.
    pub(crate) fn retire(&self, dir: BorrowedFd<'_>, path: &str) -> Result<Vec<Aside>> {
        let what = || format!("remove `{path}`");
        let mut things = Vec::new();
        if self.clean(dir, &mut things).at(what)? {
            for number in 0..SPARES {
                match disk::move_new(self.root(), path, self.root(), &format!("spare/{number}")) {
                    Err(Errno::EXIST) => {}
                    other => return other.at(what).map(|()| things),
                }
            }
        }
        things.extend(self.set_aside(self.root(), path).at(what)?);
        Ok(things)
    }

    /// Whether the directory is as good as new, after what the kernel left in `work` is put aside.
    fn clean(&self, dir: BorrowedFd<'_>, things: &mut Vec<Aside>) -> Sys<bool> {
        let plain = disk::listing(dir)?.iter().all(|(name, _)| PLAIN.contains(&name.as_str()));
        if !plain || !is_untouched(disk::open_dir(dir, "upper")?.as_fd())? {
            return Ok(false);
        }
        for name in &PLAIN[..4] {
            if !is_plain_file(dir, name)? {
                return Ok(false);
            }
        }
        let work = disk::open_dir(dir, "work")?;
        for (name, kind) in disk::listing(&work)? {
            if name != "work" || kind != FileType::Directory {
                return Ok(false);
            }
            // Overlay's own; with `volatile` it holds incompat/volatile/dirty, and no mount takes it again
            // (Documentation/filesystems/overlayfs.rst, "Volatile mount").
            things.extend(self.set_aside(&work, "work")?);
            sys::step!("store.recycle.work");
        }
        Ok(true)
    }
}

/// Empty, 0755, root's, without attributes: what the container did to its `/` itself is here.
fn is_untouched(upper: BorrowedFd<'_>) -> Sys<bool> {
    let stat = fstat(upper)?;
    let same = stat.st_mode & 0o7777 == 0o755 && stat.st_uid == 0 && stat.st_gid == 0;
    drop_overlay_marks(upper)?;
    Ok(same && !has_attributes(upper)? && disk::listing(upper)?.is_empty())
}

/// Takes off what overlay notes on an upper's root for itself, such as `trusted.overlay.uuid`
/// (Documentation/filesystems/overlayfs.rst, "UUID and fsid"). Of an empty one none of it means anything.
fn drop_overlay_marks(upper: BorrowedFd<'_>) -> Sys<()> {
    for name in attributes(upper)?.split(|byte| *byte == 0) {
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            fremovexattr(upper, name)?;
        }
    }
    Ok(())
}

/// Without attributes (owner and mode are set again when it is written).
fn is_plain_file(dir: BorrowedFd<'_>, name: &str) -> Sys<bool> {
    use rustix::fs::{OFlags, openat};
    match openat(dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Ok(true),
        file => has_attributes(file?.as_fd()).map(|has| !has),
    }
}

/// Whether there is an extended attribute but the label that SELinux gives every file.
fn has_attributes(file: BorrowedFd<'_>) -> Sys<bool> {
    Ok(!matches!(attributes(file)?.as_slice(), b"" | b"security.selinux\0"))
}

/// The names of all extended attributes, each ended by a zero byte.
fn attributes(file: BorrowedFd<'_>) -> Sys<Vec<u8>> {
    let mut names = vec![0; 1024];
    let mut listed = flistxattr(file, &mut names[..]);
    if listed == Err(Errno::RANGE) {
        // XATTR_LIST_MAX: what the kernel never exceeds; listxattr(2).
        names.resize(65_536, 0);
        listed = flistxattr(file, &mut names[..]);
    }
    match listed {
        Ok(size) => names.truncate(size),
        Err(Errno::OPNOTSUPP) => names.clear(),
        Err(errno) => return Err(errno),
    }
    Ok(names)
}

//! From the host's tree into the container's.

use super::mounts::{KERNELS, Kept, Prepared, attach_all, open_in};
use super::{During, Result, device};
use crate::caller::Caller;
use crate::failure::{Failure, Step};
use crate::plan::{FileSystemPlan, Plan};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use std::path::Path;
use sys::mount::{self, Attributes};

/// The container's root, entered, and what is still to be done to it.
pub(super) struct Root {
    pub(super) root: OwnedFd,
    kept: Vec<Kept>,
    null: Option<OwnedFd>,
}

/// From here on no mount of ours is the host's, too.
pub(super) fn leave_hosts_mounts() -> Result<()> {
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
        .during(Step::EnterRoot, "/")
}

/// Makes the first of the sent mounts the root, with all other mounts and the devices in it. `before` acts when all is
/// mounted and nothing entered; who must find the root then gives its `place` on the host.
pub(super) fn enter(
    plan: &Plan,
    sent: Vec<OwnedFd>,
    prepared: Prepared,
    (pivots, place, caller): (bool, Option<&Path>, Caller),
    before: impl FnOnce() -> Result<()>,
) -> Result<Root> {
    let mut sent = sent.into_iter();
    let root =
        sent.next().ok_or_else(|| Failure::new(Step::Receive, Errno::PROTO, "the root file system"))?;
    // Onto `/`, then below it: no mount point is needed.
    attach_on(&root, place.unwrap_or(Path::new("/"))).during(Step::EnterRoot, "/")?;
    let Prepared { trees, null } = prepared;
    let kept = attach_all(plan, &root, &mut sent, trees)?;
    device::make_all(plan, &root, &mut sent, caller)?;
    before()?;
    let enter = || {
        rustix::process::fchdir(&root)?;
        // A root on a ramdisk cannot be moved: there the new one stays over it, for this process and its own.
        if !pivots {
            place.map_or(Ok(()), |_| attach_on(&root, Path::new("/")))?;
            return rustix::process::chroot(c".");
        }
        rustix::process::pivot_root(c".", c".")?;
        // The old root now lies on the new one, where `..` leads to it, also that of a link in the image and whatever
        // openat2(2) is told. So it goes before any path is looked up again.
        unmount(c".", UnmountFlags::DETACH)
    };
    enter().during(Step::EnterRoot, "/")?;
    Ok(Root { root, kept, null })
}

fn attach_on(root: &OwnedFd, place: &Path) -> rustix::io::Result<()> {
    mount::attach(root, openat(CWD, place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// Settings, masks, and no way back.
pub(super) fn finish(plan: &Plan, entered: &Root) -> Result<()> {
    let root = &entered.root;
    make_workdir(plan, root)?;
    plan.read_only.iter().try_for_each(|path| make_read_only(entered, path).during(Step::ReadOnly, path))?;
    mask(plan, entered)?;
    let read_only = Attributes { set: mount::RDONLY, ..Attributes::default() };
    for late in entered.kept.iter().filter(|kept| kept.is_late) {
        mount::set_attributes(&late.tree, &read_only, false).during(Step::ReadOnly, "a tmpfs")?;
    }
    if let Some(propagation) = plan.root_propagation {
        let change_to = Attributes { propagation, ..Attributes::default() };
        mount::set_attributes(root, &change_to, true).during(Step::EnterRoot, "propagation")?;
    }
    if plan.root_read_only {
        mount::set_attributes(root, &read_only, false).during(Step::ReadOnly, "/")?;
    }
    rustix::process::chdir(c"/").during(Step::Leave, "the host's root")
}

/// docker makes a working directory that is not there, as the container's root.
fn make_workdir(plan: &Plan, root: &OwnedFd) -> Result<()> {
    let cwd = Path::new(&plan.process.cwd);
    match open_in(root, cwd, false) {
        Err(Errno::NOENT) => {
            super::mounts::make_directory(root, cwd).during(Step::WorkDir, &plan.process.cwd)
        }
        // A link of procfs leads anywhere, also out of the root.
        Err(Errno::LOOP) => Err(Failure::new(Step::WorkDir, Errno::LOOP, &plan.process.cwd)),
        _ => Ok(()), // if it cannot be entered, the user's own chdir will tell
    }
}

impl Root {
    /// A path that is hidden or protected, if it is there. The kernel's own files are looked up from where they are
    /// mounted: whoever shares the root may exchange the name at any moment. A link on the way would be somebody's trick.
    fn find(&self, path: &str) -> rustix::io::Result<Option<OwnedFd>> {
        let path = Path::new(path);
        let found = match KERNELS.iter().find(|kernels| path.starts_with(kernels)) {
            Some(kernels) => match self.kept.iter().rfind(|kept| kept.place == Path::new(kernels)) {
                Some(kept) => open_in(&kept.tree, path.strip_prefix(kernels).unwrap_or(path), true),
                None => open_in(&self.root, path, true),
            },
            None => open_in(&self.root, path, false),
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// A bind on itself, with all that is mounted below.
fn make_read_only(root: &Root, path: &str) -> rustix::io::Result<()> {
    let Some(target) = root.find(path)? else { return Ok(()) };
    let tree = mount::clone_tree(&target, c"", true)?;
    mount::set_attributes(&tree, &Attributes { set: mount::RDONLY, ..Attributes::default() }, true)?;
    mount::attach(&tree, &target)
}

/// Files are covered by the null device, directories by one empty read-only tmpfs, cloned for each further one.
fn mask(plan: &Plan, entered: &Root) -> Result<()> {
    let (mut empty, mut null) = (None, None);
    for path in &plan.masked {
        let Some(target) = entered.find(path).during(Step::Mask, path)? else { continue };
        let covered = match is_directory(&target).during(Step::Mask, path)? {
            true => cover(&target, &mut empty, nothing),
            false => cover(&target, &mut null, || entered.null.as_ref().ok_or(Errno::NXIO)),
        };
        covered.during(Step::Mask, path)?;
    }
    Ok(())
}

/// The first time the mount itself, then copies of it: before Linux 6.15 one that is attached nowhere is not copied.
fn cover<M: AsFd>(
    target: &OwnedFd,
    mounted: &mut Option<M>,
    first: impl FnOnce() -> rustix::io::Result<M>,
) -> rustix::io::Result<()> {
    match mounted {
        Some(mounted) => mount::attach(mount::clone_tree(mounted, c"", false)?, target),
        None => mount::attach(mounted.insert(first()?), target),
    }
}

fn is_directory(target: &OwnedFd) -> rustix::io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(target)?.st_mode).is_dir())
}

fn nothing() -> rustix::io::Result<OwnedFd> {
    let data = [("nr_blocks", "1"), ("nr_inodes", "1")].map(|(key, value)| (key.into(), Some(value.into())));
    let plan = FileSystemPlan {
        kind: "tmpfs".into(),
        source: Some("tmpfs".into()),
        data: data.into(),
        copy_up: false,
    };
    super::make_file_system(&plan, mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC)
}

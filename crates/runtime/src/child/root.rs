//! From the host's tree into the container's.

use super::mounts::{TakenOver, attach_all, change, open_in};
use super::{During, Result, write_at};
use crate::failure::{Failure, Step};
use crate::plan::{Attach, Plan};
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
use rustix::mount::{mount as mount_string, mount_remount};
use std::path::Path;
use sys::mount::{self, Attributes};

/// Makes the first of the sent mounts the root, with all other mounts in it. The old root stays, below `.`,
/// until [`finish`]: in a user namespace a new proc or sysfs is allowed only while another is in sight.
pub(super) fn enter(plan: &Plan, mut sent: Vec<OwnedFd>, before: TakenOver) -> Result<OwnedFd> {
    if sent.is_empty() {
        return Err(Failure::new(Step::Receive, Errno::PROTO, "the root file system"));
    }
    let root = sent.remove(0);
    let entered = (|| {
        mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)?;
        // Onto `/`, then below it: no mount point is needed.
        let slash = rustix::fs::openat(
            CWD,
            c"/",
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        mount::attach(&root, &slash)?;
        rustix::process::fchdir(&root)?;
        rustix::process::pivot_root(c".", c".")
    })();
    entered.during(Step::EnterRoot, "/")?;
    attach_all(plan, &root, sent, before)?;
    Ok(root)
}

/// Settings, masks, and no way back.
pub(super) fn finish(plan: &Plan, root: &OwnedFd) -> Result<()> {
    for (name, value) in &plan.sysctls {
        let path = format!("proc/sys/{}", name.replace('.', "/"));
        write_at(root, path.as_str(), value).during(Step::Sysctl, format!("{name}={value}"))?;
    }
    make_workdir(plan, root)?;
    plan.read_only.iter().try_for_each(|path| make_read_only(path))?;
    mask(&plan.masked)?;
    if let Some(propagation) = plan.root_propagation {
        let change_to = Attributes { propagation, ..Attributes::default() };
        mount::set_attributes(root, &change_to, true).during(Step::EnterRoot, "propagation")?;
    }
    if plan.root_read_only {
        let own = Attributes { set: mount::RDONLY, ..Attributes::default() };
        change(root, &Attach { own, below: Attributes::default() }).during(Step::ReadOnly, "/")?;
    }
    unmount(c".", UnmountFlags::DETACH).during(Step::Leave, "the host's root")?;
    rustix::process::chdir(c"/").during(Step::Leave, "the host's root")
}

/// docker makes a working directory that is not there, as the container's root.
fn make_workdir(plan: &Plan, root: &OwnedFd) -> Result<()> {
    let cwd = Path::new(&plan.process.cwd);
    match open_in(root, cwd, false) {
        Err(Errno::NOENT) => {
            super::mounts::make_directory(root, cwd).during(Step::WorkDir, &plan.process.cwd)
        }
        _ => Ok(()), // if it cannot be entered, the user's own chdir will tell
    }
}

/// A bind on itself. Remounting must repeat the flags that are locked in a user namespace, or is EPERM.
fn make_read_only(path: &str) -> Result<()> {
    match mount_bind(path, path) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.during(Step::ReadOnly, path)?,
    }
    let flags = MountFlags::BIND | MountFlags::RDONLY | locked(path);
    mount_remount(path, flags, c"").during(Step::ReadOnly, path)
}

fn locked(path: &str) -> MountFlags {
    let Ok(stat) = rustix::fs::statvfs(path) else { return MountFlags::empty() };
    let held = |flag, there: rustix::fs::StatVfsMountFlags| {
        if stat.f_flag.contains(there) { flag } else { MountFlags::empty() }
    };
    held(MountFlags::NOSUID, rustix::fs::StatVfsMountFlags::NOSUID)
        | held(MountFlags::NODEV, rustix::fs::StatVfsMountFlags::NODEV)
        | held(MountFlags::NOEXEC, rustix::fs::StatVfsMountFlags::NOEXEC)
}

/// Files are covered by `/dev/null`, directories by one empty read-only tmpfs, bound again for each further one.
fn mask(paths: &[String]) -> Result<()> {
    let mut empty: Option<&str> = None;
    for path in paths {
        match mount_bind(c"/dev/null", path.as_str()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::NOTDIR) => {}
            Err(errno) => return Err(Failure::new(Step::Mask, errno, path)),
        }
        match empty {
            Some(covered) => mount_bind(covered, path.as_str()),
            None => mount_string(
                c"tmpfs",
                path.as_str(),
                c"tmpfs",
                MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
                c"nr_blocks=1,nr_inodes=1",
            ),
        }
        .during(Step::Mask, path)?;
        empty = empty.or(Some(path));
    }
    Ok(())
}

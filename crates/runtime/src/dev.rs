//! `/dev`: a tmpfs filled before it is attached anywhere.
//!
//! The parent may make device nodes, a process in a user namespace may not; and on a tmpfs of the
//! parent's they work even for the user namespace. One attach replaces a bind for each node. The
//! parent's file system ids are the container's root's meanwhile, so that all of it belongs to that
//! root without a map of ids, which tmpfs has only since Linux 6.3.
//!
//! Where the parent is root of a user namespace only, it may make none either: the host's are bound, and what the
//! specification says of their modes and owners is the host's matter then.

use crate::aside::aside;
use crate::caller::Caller;
use crate::child::make_file_system;
use crate::overlay::leave_hosts_mounts;
use crate::plan::{Datum, DevicePlan, FileSystemPlan, Plan, Source, may_make};
use crate::{Error, Kind, Result, refused};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, mkdirat, mknodat, statat, symlinkat,
};
use rustix::io::Errno;
use std::path::Path;
use sys::mount::{self, clone_tree};

/// Links from `/dev`, as the specification and every distribution have them.
pub(crate) const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
    ("/proc/kcore", "core"),
];

/// Mount points for what is commonly mounted below.
const DIRECTORIES: [&str; 3] = ["pts", "shm", "mqueue"];

/// A detached `/dev`, if the plan has one. If it is to be read-only, the child makes it so at its end.
pub(crate) fn make(plan: &Plan, caller: Caller) -> Result<Option<OwnedFd>> {
    let tmpfs = plan.mounts.iter().find_map(|mount| match &mount.source {
        Source::Dev(tmpfs) => Some((tmpfs, mount.attach.own.set & !mount::RDONLY)),
        _ => None,
    });
    let Some((tmpfs, attributes)) = tmpfs else { return Ok(None) };
    let _umask = Umask::clear();
    let dev = make_file_system(tmpfs, attributes).map_err(|errno| refused(errno, "mount `/dev`".into()))?;
    fill(&dev, plan, caller).map_err(|(errno, name)| refused(errno, format!("make `/dev/{name}`")))?;
    Ok(Some(dev))
}

/// The caller's umask, put aside.
struct Umask(Mode);

impl Umask {
    fn clear() -> Self {
        Self(rustix::process::umask(Mode::empty()))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}

/// Nodes that the child is to bind where it may make none itself: on one file system, and a clone for each.
pub(crate) fn make_outer(plan: &Plan, caller: Caller) -> Result<Vec<OwnedFd>> {
    let outer: Vec<_> = plan.outer_devices(caller).collect();
    if outer.is_empty() || may_make(&plan.namespaces) || !caller.makes_nodes() {
        return Ok(Vec::new());
    }
    let _umask = Umask::clear();
    let made = match nodes_of(plan, &outer) {
        // Before Linux 6.15 nothing is cloned off a mount that is attached nowhere.
        Err(Errno::INVAL) => outer.iter().map(|device| aside(|| node_aside(plan, device))).collect(),
        made => made,
    };
    made.map_err(|errno| refused(errno, "make device nodes".into()))
}

fn nodes_of(plan: &Plan, outer: &[&DevicePlan]) -> rustix::io::Result<Vec<OwnedFd>> {
    let shelf = make_shelf()?;
    for (number, device) in outer.iter().enumerate() {
        extra(plan, &shelf, device, Path::new(&number.to_string()))?;
    }
    (0..outer.len()).map(|number| clone_tree(&shelf, number.to_string(), false)).collect()
}

fn make_shelf() -> rustix::io::Result<OwnedFd> {
    let mode: Datum = ("mode".into(), Some("700".into()));
    let tmpfs = FileSystemPlan { kind: "tmpfs".into(), data: vec![mode], ..FileSystemPlan::default() };
    make_file_system(&tmpfs, mount::NOSUID | mount::NOEXEC)
}

/// On a file system that is attached where only this process sees it: over its `/proc`.
fn node_aside(plan: &Plan, device: &DevicePlan) -> rustix::io::Result<OwnedFd> {
    let shelf = make_shelf()?;
    extra(plan, &shelf, device, Path::new("node"))?;
    leave_hosts_mounts()?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    mount::attach(&shelf, rustix::fs::open(c"/proc", flags, Mode::empty())?)?;
    clone_tree(CWD, "/proc/node", false)
}

/// The host's own nodes, where none can be made. A fifo can.
pub(crate) fn hosts(plan: &Plan, caller: Caller) -> Result<Vec<OwnedFd>> {
    if caller.makes_nodes() {
        return Ok(Vec::new());
    }
    plan.outer_devices(caller).filter(|device| device.kind != FileType::Fifo).map(hosts_node).collect()
}

fn hosts_node(device: &DevicePlan) -> Result<OwnedFd> {
    let failed = |errno| {
        let what =
            format!("bind the host's `{}`, as a user namespace makes no devices", device.path.display());
        Error::new(Kind::Unsupported, what).caused_by(errno)
    };
    let node = clone_tree(CWD, device.path.as_path(), false).map_err(failed)?;
    let stat = fstat(&node).map_err(failed)?;
    match device.is_same(FileType::from_raw_mode(stat.st_mode), stat.st_rdev) {
        true => Ok(node),
        false => Err(failed(Errno::NXIO)),
    }
}

type Failed = (Errno, String);

fn fill(dev: &OwnedFd, plan: &Plan, caller: Caller) -> std::result::Result<(), Failed> {
    for (target, name) in LINKS {
        symlinkat(target, dev, name).map_err(|errno| (errno, name.to_owned()))?;
    }
    for name in DIRECTORIES {
        mkdirat(dev, name, Mode::from_raw_mode(0o755)).map_err(|errno| (errno, name.to_owned()))?;
    }
    if plan.process.terminal {
        let mode = Mode::from_raw_mode(0o600);
        mknodat(dev, "console", FileType::RegularFile, mode, 0)
            .map_err(|errno| (errno, "console".to_owned()))?;
    }
    for device in plan.devices.iter().filter(|_| caller.makes_nodes()) {
        if let Ok(name) = device.path.strip_prefix("/dev") {
            extra(plan, dev, device, name).map_err(|errno| (errno, name.display().to_string()))?;
        }
    }
    Ok(())
}

fn extra(plan: &Plan, dev: &OwnedFd, device: &DevicePlan, name: &Path) -> rustix::io::Result<()> {
    let parent = parents(dev, name)?;
    let dir = parent.as_ref().unwrap_or(dev).as_fd();
    let leaf = name.file_name().ok_or(Errno::INVAL)?;
    let mode = Mode::from_raw_mode(device.mode);
    match mknodat(dir, leaf, device.kind, mode, device.number) {
        Err(Errno::EXIST) if is_there(dir, leaf, device) => return Ok(()),
        made => made?,
    }
    match owner(plan, device) {
        (None, None) => Ok(()),
        (uid, gid) => chownat(dir, leaf, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
    }
}

/// Whom the device is to belong to, as the host counts; nobody said: whoever makes it.
fn owner(plan: &Plan, device: &DevicePlan) -> (Option<Uid>, Option<Gid>) {
    let (uid, gid) = plan.namespaces.host_ids(device.uid.unwrap_or(0), device.gid.unwrap_or(0));
    (device.uid.map(|_| Uid::from_raw(uid)), device.gid.map(|_| Gid::from_raw(gid)))
}

fn is_there(dir: impl AsFd, leaf: &std::ffi::OsStr, device: &DevicePlan) -> bool {
    statat(dir, leaf, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| device.is_same(FileType::from_raw_mode(stat.st_mode), stat.st_rdev))
}

/// The directory that `name` lies in, made if need be. The tree is ours alone: no link is in it but ours.
fn parents(dev: &OwnedFd, name: &Path) -> rustix::io::Result<Option<OwnedFd>> {
    let mut dir: Option<OwnedFd> = None;
    for part in name.parent().into_iter().flat_map(Path::components) {
        let here = dir.as_ref().unwrap_or(dev);
        match mkdirat(here, part.as_os_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        dir = Some(rustix::fs::openat(here, part.as_os_str(), flags, Mode::empty())?);
    }
    Ok(dir)
}

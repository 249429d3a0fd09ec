//! `/dev`: a tmpfs filled before it is attached anywhere.
//!
//! The parent may make device nodes, a process in a user namespace may not; and on a tmpfs of the
//! parent's they work even for the user namespace. One attach replaces a bind for each node. The
//! parent's file system ids are the container's root's meanwhile, so that all of it belongs to that
//! root without a map of ids, which tmpfs has only since Linux 6.3.

use crate::child::make_file_system;
use crate::plan::{Plan, Source};
use crate::{Result, refused};
use oci::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, chmodat, chownat, makedev, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use std::path::Path;

/// The nodes that every container has (runtime-spec, config-linux.md, default devices).
const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links from `/dev`, as the specification and every distribution have them.
const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
    ("/proc/kcore", "core"),
];

/// Mount points for what is commonly mounted below.
const DIRECTORIES: [&str; 3] = ["pts", "shm", "mqueue"];

/// A detached `/dev`, if the plan has one.
pub(crate) fn make(plan: &Plan) -> Result<Option<OwnedFd>> {
    let tmpfs = plan.mounts.iter().find_map(|mount| match &mount.source {
        Source::Dev(tmpfs) => Some((tmpfs, mount.attach.own.set)),
        _ => None,
    });
    let Some((tmpfs, attributes)) = tmpfs else { return Ok(None) };
    let dev = make_file_system(tmpfs, attributes).map_err(|errno| refused(errno, "mount `/dev`".into()))?;
    fill(&dev, plan).map_err(|(errno, name)| refused(errno, format!("make `/dev/{name}`")))?;
    Ok(Some(dev))
}

type Failed = (Errno, String);

fn fill(dev: &OwnedFd, plan: &Plan) -> std::result::Result<(), Failed> {
    let open_to_all = Mode::from_raw_mode(0o666);
    for (name, major, minor) in NODES {
        node(dev, name, FileType::CharacterDevice, open_to_all, makedev(major, minor))?;
    }
    for (target, name) in LINKS {
        symlinkat(target, dev, name).map_err(|errno| (errno, name.to_owned()))?;
    }
    for name in DIRECTORIES {
        mkdirat(dev, name, Mode::from_raw_mode(0o755)).map_err(|errno| (errno, name.to_owned()))?;
    }
    if plan.process.terminal {
        node(dev, "console", FileType::RegularFile, Mode::from_raw_mode(0o600), 0)?;
    }
    plan.devices.iter().try_for_each(|device| extra(dev, device, owner(plan, device)))
}

/// Whom the device is to belong to, as the host counts; nobody said: whoever makes it.
fn owner(plan: &Plan, device: &LinuxDevice) -> (Option<Uid>, Option<Gid>) {
    let (uid, gid) = plan.namespaces.host_ids(device.uid().unwrap_or(0), device.gid().unwrap_or(0));
    (device.uid().map(|_| Uid::from_raw(uid)), device.gid().map(|_| Gid::from_raw(gid)))
}

/// mknodat(2) applies the umask, so the mode is set again.
fn node(
    dev: &OwnedFd,
    name: &str,
    kind: FileType,
    mode: Mode,
    number: u64,
) -> std::result::Result<(), Failed> {
    mknodat(dev, name, kind, mode, number)
        .and_then(|()| chmodat(dev, name, mode, AtFlags::empty()))
        .map_err(|errno| (errno, name.to_owned()))
}

/// A device that was asked for. One outside `/dev` would be made in the image's tree: refused there.
fn extra(
    dev: &OwnedFd,
    device: &LinuxDevice,
    owner: (Option<Uid>, Option<Gid>),
) -> std::result::Result<(), Failed> {
    let path = device.path();
    let failed = |errno| (errno, path.strip_prefix("/dev").unwrap_or(path).display().to_string());
    let name = path.strip_prefix("/dev").map_err(|_| failed(Errno::INVAL))?;
    let parent = parents(dev, name).map_err(failed)?;
    let dir = parent.as_ref().unwrap_or(dev).as_fd();
    let leaf = name.file_name().ok_or_else(|| failed(Errno::INVAL))?;
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::P => FileType::Fifo,
        _ => FileType::CharacterDevice,
    };
    let mode = Mode::from_raw_mode(device.file_mode().unwrap_or(0o666) & 0o7777);
    let number = makedev(device.major() as u32, device.minor() as u32);
    match mknodat(dir, leaf, kind, mode, number) {
        // A default node or link was named again: it is there, and stays as it is.
        Err(Errno::EXIST) => return Ok(()),
        other => other.map_err(failed)?,
    }
    chmodat(dir, leaf, mode, AtFlags::empty())
        .and_then(|()| chownat(dir, leaf, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW))
        .map_err(failed)
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
        let flags = rustix::fs::OFlags::PATH
            | rustix::fs::OFlags::DIRECTORY
            | rustix::fs::OFlags::NOFOLLOW
            | rustix::fs::OFlags::CLOEXEC;
        dir = Some(rustix::fs::openat(here, part.as_os_str(), flags, Mode::empty())?);
    }
    Ok(dir)
}

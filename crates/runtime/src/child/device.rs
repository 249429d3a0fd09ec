//! Device nodes outside of a `/dev` that the parent made.

use super::mounts::{make_directory, make_in, open_in};
use super::{During, Result};
use crate::caller::Caller;
use crate::dev::LINKS;
use crate::failure::{Failure, Step};
use crate::plan::{DevicePlan, Plan, may_make};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, chownat, mknodat, statat, symlinkat};
use rustix::io::Errno;
use std::path::Path;

/// Makes the nodes. In a user namespace nobody may: there the parent's are bound on empty files; `sent` are those.
pub(super) fn make_all(
    plan: &Plan,
    root: &OwnedFd,
    sent: &mut std::vec::IntoIter<OwnedFd>,
    caller: Caller,
) -> Result<()> {
    for device in plan.outer_devices(caller) {
        let makes = match caller.makes_nodes() {
            true => may_make(&plan.namespaces),
            false => device.kind == FileType::Fifo,
        };
        let node = if makes { None } else { sent.next() };
        let subject = device.path.display().to_string();
        match make(root, device, node) {
            Err(Errno::EXIST) => return Err(Failure::new(Step::Device, Errno::EXIST, subject)),
            made => made.during(Step::Device, subject)?,
        }
    }
    if plan.fills_dev() { link(root) } else { Ok(()) }
}

/// The device itself may be there already, another file may not (config-linux.md, Devices).
fn make(root: &OwnedFd, device: &DevicePlan, node: Option<OwnedFd>) -> rustix::io::Result<()> {
    let parent = device.path.parent().unwrap_or(Path::new("/"));
    make_directory(root, parent)?;
    let dir = open_in(root, parent, false)?;
    let leaf = device.path.file_name().ok_or(Errno::INVAL)?;
    match statat(&dir, leaf, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if device.is_same(FileType::from_raw_mode(stat.st_mode), stat.st_rdev) => return Ok(()),
        // Where a node was bound before.
        Ok(stat) if node.is_some() && is_empty_file(&stat) => {}
        Ok(_) => return Err(Errno::EXIST),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    if let Some(node) = node {
        make_in(&dir, Path::new(leaf), false)?;
        return sys::mount::attach(node, open_in(&dir, Path::new(leaf), true)?);
    }
    let mode = Mode::from_raw_mode(device.mode);
    mknodat(&dir, leaf, device.kind, mode, device.number)?;
    let owner = (device.uid.map(Uid::from_raw), device.gid.map(Gid::from_raw));
    chownat(&dir, leaf, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
}

fn is_empty_file(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_size == 0
}

/// The links of every `/dev`; an image's own stay.
fn link(root: &OwnedFd) -> Result<()> {
    let dev = open_in(root, Path::new("/dev"), false).during(Step::Device, "/dev")?;
    for (target, name) in LINKS {
        match symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Failure::new(Step::Device, errno, format!("/dev/{name}"))),
        }
    }
    Ok(())
}

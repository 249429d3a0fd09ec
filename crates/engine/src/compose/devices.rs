//! Device nodes, and the rules of the device cgroup.

use super::{Error, Facts, Kind, Node, Result};
use crate::request::{DeviceRequest, RunRequest};
use oci::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};
use std::path::{Path, PathBuf};

/// Directories below `/dev` that are no devices of the host's but file systems of their own.
const NOT_DEVICES: [&str; 5] = ["/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.udev"];

/// A device, where the container sees it, and what it may do with it.
type Found = (PathBuf, Node, String);

/// The nodes to make besides the runtime's own (null, zero, full, random, urandom, tty, ptmx, console).
pub(super) fn devices(request: &RunRequest, facts: &Facts<'_>) -> Result<Vec<LinuxDevice>> {
    let asked = found(request, facts)?;
    let hosts = if request.isolation.privileged { hosts(facts)? } else { Vec::new() };
    let is_asked = |path: &Path| asked.iter().any(|(other, _, _)| other == path);
    let hosts = hosts.iter().filter(|(path, _)| !is_asked(path)).map(|(path, node)| device(path, *node));
    Ok(asked.iter().map(|(path, node, _)| device(path, *node)).chain(hosts).flatten().collect())
}

/// All of the host's devices, for a privileged container.
fn hosts(facts: &Facts<'_>) -> Result<Vec<(PathBuf, Node)>> {
    let mut devices = facts
        .host
        .devices_below(Path::new("/dev"))
        .map_err(|cause| Error::new(Kind::Unsupported, "list the devices of the host").caused_by(cause))?;
    let is_foreign = |path: &Path| NOT_DEVICES.iter().any(|skip| path.starts_with(skip));
    devices.retain(|(path, _)| !is_foreign(path) && path != Path::new("/dev/console"));
    Ok(devices)
}

fn found(request: &RunRequest, facts: &Facts<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for asked in &request.files.devices {
        found.extend(find(asked, facts)?);
    }
    Ok(found)
}

/// A node, or all nodes below a directory.
fn find(asked: &DeviceRequest, facts: &Facts<'_>) -> Result<Vec<Found>> {
    let absent = |cause: std::io::Error| missing(asked).caused_by(cause);
    let found = |path: PathBuf, node| (path, node, asked.access.clone());
    match facts.host.node(&asked.host).map_err(absent)? {
        node @ Node::Device { .. } => Ok(vec![found(asked.container.clone(), node)]),
        Node::Other => Err(missing(asked).caused_by("not a device node")),
        Node::Directory => {
            let below = facts.host.devices_below(&asked.host).map_err(absent)?;
            let inside = |path: &Path| asked.container.join(path.strip_prefix(&asked.host).unwrap_or(path));
            match below.is_empty() {
                true => Err(missing(asked).caused_by("not a device node")),
                false => Ok(below.into_iter().map(|(path, node)| found(inside(&path), node)).collect()),
            }
        }
    }
}

fn missing(asked: &DeviceRequest) -> Error {
    let path = asked.host.display();
    Error::new(
        Kind::NotFound,
        format!("error gathering device information while adding custom device \"{path}\""),
    )
}

fn device(path: &Path, node: Node) -> Option<LinuxDevice> {
    let Node::Device { kind, major, minor, mode, uid, gid } = node else { return None };
    let mut device = LinuxDevice::default();
    device.set_path(path.to_path_buf()).set_typ(device_type(kind));
    device.set_major(major.into()).set_minor(minor.into());
    device.set_file_mode(Some(mode)).set_uid(Some(uid)).set_gid(Some(gid));
    Some(device)
}

fn device_type(kind: char) -> LinuxDeviceType {
    match kind {
        'b' => LinuxDeviceType::B,
        'c' => LinuxDeviceType::C,
        _ => LinuxDeviceType::A,
    }
}

/// Default rules: any node may be made, few may be opened. docker lists some and leaves the rest to
/// runc; here they are all, so that the `Spec` means the same to every runtime.
const DEFAULT: [(char, Option<u32>, Option<u32>, &str); 11] = [
    ('c', None, None, "m"),
    ('b', None, None, "m"),
    ('c', Some(1), Some(3), "rwm"), // null
    ('c', Some(1), Some(5), "rwm"), // zero
    ('c', Some(1), Some(7), "rwm"), // full
    ('c', Some(1), Some(8), "rwm"), // random
    ('c', Some(1), Some(9), "rwm"), // urandom
    ('c', Some(5), Some(0), "rwm"), // tty
    ('c', Some(5), Some(1), "rwm"), // console
    ('c', Some(5), Some(2), "rwm"), // ptmx
    ('c', Some(136), None, "rwm"),  // pts
];

pub(super) fn rules(request: &RunRequest, facts: &Facts<'_>) -> Result<Vec<LinuxDeviceCgroup>> {
    if request.isolation.privileged {
        return Ok(vec![all(true)]);
    }
    let defaults = DEFAULT.iter().map(|(kind, major, minor, access)| rule(*kind, *major, *minor, access));
    let found = found(request, facts)?;
    let found = found.iter().filter_map(|(_, node, access)| match node {
        Node::Device { kind, major, minor, .. } => Some(rule(*kind, Some(*major), Some(*minor), access)),
        _ => None,
    });
    let asked =
        request.files.device_rules.iter().map(|one| rule(one.kind, one.major, one.minor, &one.access));
    Ok([all(false)].into_iter().chain(defaults).chain(found).chain(asked).collect())
}

fn all(allow: bool) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow).set_access(Some("rwm".to_string()));
    rule
}

/// An absent number is any.
fn rule(kind: char, major: Option<u32>, minor: Option<u32>, access: &str) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(true).set_typ(Some(device_type(kind))).set_access(Some(access.to_string()));
    rule.set_major(major.map(i64::from)).set_minor(minor.map(i64::from));
    rule
}

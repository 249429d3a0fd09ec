//! Device nodes.

use super::{NamespacePlan, invalid};
use crate::Result;
use oci::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{Dev, FileType, makedev};
use std::path::{Component, Path, PathBuf};

/// One node that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevicePlan {
    /// In the container; absolute.
    pub(crate) path: PathBuf,
    pub(crate) kind: FileType,
    pub(crate) number: Dev,
    pub(crate) mode: u32,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

/// The nodes that every container has (config-linux.md, Default Devices).
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// All nodes: those of the `Spec`, and of the default ones those it does not name.
///
/// `/dev/ptmx` is the container's own, and `/dev/console` its terminal's, whatever the `Spec` says.
pub(super) fn devices(asked: &[LinuxDevice], terminal: bool) -> Result<Vec<DevicePlan>> {
    let mut devices: Vec<DevicePlan> = Vec::with_capacity(DEFAULT.len() + asked.len());
    for device in asked.iter().map(DevicePlan::new) {
        let device = device?;
        match devices.iter().find(|other| other.path == device.path) {
            Some(other) if other.is_same(device.kind, device.number) => {}
            Some(_) => {
                return Err(invalid(format!("`linux.devices`: `{}` is two devices", device.path.display())));
            }
            None => devices.push(device),
        }
    }
    devices.retain(|device| {
        !(device.path == Path::new("/dev/ptmx") || terminal && device.path == Path::new("/dev/console"))
    });
    for (path, major, minor) in DEFAULT {
        if !devices.iter().any(|device| device.path == Path::new(path)) {
            let number = makedev(major, minor);
            let kind = FileType::CharacterDevice;
            devices.push(DevicePlan { path: path.into(), kind, number, mode: 0o666, uid: None, gid: None });
        }
    }
    Ok(devices)
}

impl DevicePlan {
    fn new(device: &LinuxDevice) -> Result<Self> {
        let path = device.path();
        let wrong = |what: &str| invalid(format!("`linux.devices`: {what} of `{}`", path.display()));
        let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
        if path.is_relative() || !plain || path.components().count() < 2 {
            return Err(wrong("the path"));
        }
        let kind = match device.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
            LinuxDeviceType::B => FileType::BlockDevice,
            LinuxDeviceType::P => FileType::Fifo,
            LinuxDeviceType::A => return Err(wrong("the type `a`")),
        };
        let number = match kind {
            FileType::Fifo => 0,
            // Twelve bits and twenty, see makedev(3) and MKDEV of linux/kdev_t.h.
            _ => match (u32::try_from(device.major()), u32::try_from(device.minor())) {
                (Ok(major), Ok(minor)) if major < 1 << 12 && minor < 1 << 20 => makedev(major, minor),
                _ => return Err(wrong(&format!("the number {}:{}", device.major(), device.minor()))),
            },
        };
        let mode = device.file_mode().unwrap_or(0o666) & 0o7777;
        let (uid, gid) = (device.uid(), device.gid());
        Ok(Self { path: path.components().collect(), kind, number, mode, uid, gid })
    }

    /// Is a file of this kind and number the device?
    pub(crate) fn is_same(&self, kind: FileType, number: Dev) -> bool {
        self.kind == kind && (kind == FileType::Fifo || self.number == number)
    }
}

/// May processes of the container make nodes of their own, that is: is it in no user namespace?
pub(crate) fn may_make(namespaces: &NamespacePlan) -> bool {
    !namespaces.has_user()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<Vec<DevicePlan>> {
        devices(&serde_json::from_str::<Vec<LinuxDevice>>(json).unwrap(), true)
    }

    #[test]
    fn the_default_devices_are_there_and_can_be_changed() {
        let all =
            plan(r#"[{"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 384}]"#).unwrap();
        assert_eq!(all.len(), DEFAULT.len());
        assert_eq!(all[0].mode, 0o600);
    }

    #[test]
    fn nodes_of_all_kinds_are_planned() {
        let all = plan(
            r#"[{"type": "b", "path": "/dev/sda", "major": 8, "minor": 0}, {"type": "p", "path": "/run/fifo"},
                {"type": "u", "path": "/dev/u", "major": 1, "minor": 3, "uid": 5, "gid": 6}]"#,
        )
        .unwrap();
        let kinds: Vec<_> = all[..3].iter().map(|device| device.kind).collect();
        assert_eq!(kinds, [FileType::BlockDevice, FileType::Fifo, FileType::CharacterDevice]);
        assert_eq!((all[2].uid, all[2].gid), (Some(5), Some(6)));
    }

    #[test]
    fn what_is_no_device_is_refused_by_path() {
        for wrong in [
            r#"[{"type": "a", "path": "/dev/x", "major": 1, "minor": 1}]"#,
            r#"[{"type": "c", "path": "dev/x", "major": 1, "minor": 1}]"#,
            r#"[{"type": "c", "path": "/dev/../x", "major": 1, "minor": 1}]"#,
            r#"[{"type": "c", "path": "/dev/x", "major": -1, "minor": 1}]"#,
            r#"[{"type": "c", "path": "/dev/x", "major": 1, "minor": 1048576}]"#,
            r#"[{"type": "c", "path": "/dev/x", "major": 1, "minor": 1},
                {"type": "c", "path": "/dev/x", "major": 1, "minor": 2}]"#,
        ] {
            assert!(plan(wrong).unwrap_err().to_string().contains('x'), "{wrong}");
        }
    }

    #[test]
    fn the_containers_own_terminals_are_not_replaced() {
        let all = plan(
            r#"[{"type": "c", "path": "/dev/ptmx", "major": 5, "minor": 2},
                {"type": "c", "path": "/dev/console", "major": 5, "minor": 1}]"#,
        );
        assert_eq!(all.unwrap().len(), DEFAULT.len());
    }
}

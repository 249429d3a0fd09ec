//! The runtime-spec's resources as files of controllers, wherever the host has each.

use crate::setting::{Setting, Shown};
use crate::{Error, Host, Kind, Mode, Result, v1, v2};
use oci::runtime::LinuxResources;

/// Turns one part of the resources into values to be written.
type Write = fn(&LinuxResources, &Held, &mut Vec<Setting>) -> Result<()>;

/// What a group holds already, where a new value depends on it. Nothing for a new group.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// v2: bytes of `memory.max`; none is no limit.
    pub(crate) memory: Option<u64>,
    /// v2: the quota of `cpu.max`, microseconds or `max`.
    pub(crate) quota: Option<String>,
    /// Is there a group already, so that a value which a new group has anyway must be written?
    pub(crate) update: bool,
}

/// A part of the resources: its controller and its files on v1 and on v2.
struct Part {
    v1: &'static str,
    v2: &'static str,
    old: Write,
    new: Write,
}

/// In an order the kernel accepts.
const PARTS: [Part; 9] = [
    Part { v1: "cpuset", v2: "cpuset", old: cpuset, new: cpuset },
    Part { v1: "cpu", v2: "cpu", old: v1::cpu, new: v2::cpu },
    Part { v1: "memory", v2: "memory", old: v1::memory, new: v2::memory },
    Part { v1: "pids", v2: "pids", old: pids, new: pids },
    Part { v1: "blkio", v2: "io", old: v1::block_io, new: v2::io },
    Part { v1: "hugetlb", v2: "hugetlb", old: v1::hugetlb, new: v2::hugetlb },
    Part { v1: "rdma", v2: "rdma", old: rdma, new: rdma },
    Part { v1: "net_cls", v2: "net_cls", old: v1::net_cls, new: v2::network },
    Part { v1: "net_prio", v2: "net_prio", old: v1::net_prio, new: v2::nothing },
];

impl Part {
    /// On a hybrid host a controller is where it is; one that is nowhere is named as v1 names it.
    fn settings(&self, host: &Host, resources: &LinuxResources, held: &Held) -> Result<Vec<Setting>> {
        let write = |write: Write| {
            let mut settings = Vec::new();
            write(resources, held, &mut settings).map(|()| settings)
        };
        match host.mode() {
            Mode::V2 => write(self.new),
            Mode::V1 => write(self.old),
            Mode::Hybrid => match write(self.old)? {
                old if old.is_empty() || host.hierarchy(self.v1).is_some() => Ok(old),
                _ if host.has_v2(self.v2) => write(self.new),
                old => Ok(old),
            },
        }
    }
}

/// All values to be written. Device rules are not among them.
pub(crate) fn settings(host: &Host, resources: &LinuxResources, held: &Held) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    for part in &PARTS {
        settings.extend(part.settings(host, resources, held)?);
    }
    for (file, value) in resources.unified().iter().flatten() {
        settings.push(unified(host, file, value)?);
    }
    Ok(settings)
}

fn unified(host: &Host, file: &str, value: &str) -> Result<Setting> {
    let invalid = |why: &str| Err(Error::new(Kind::Invalid, format!("unified resource `{file}`: {why}")));
    let Some((controller, _)) = file.split_once('.').filter(|(controller, _)| !controller.is_empty()) else {
        return invalid("must be of the form CONTROLLER.PARAMETER");
    };
    if file.contains('/') {
        return invalid("must be a file name");
    }
    if host.mode() == Mode::V1 {
        return Err(Error::new(
            Kind::Unsupported,
            format!("unified resource `{file}`: needs cgroup v2, this host has v1"),
        ));
    }
    let is_core = controller == "cgroup" && !matches!(file, "cgroup.procs" | "cgroup.threads");
    if !is_core && !host.has_v2(controller) {
        return Err(Error::new(
            Kind::Unsupported,
            format!("unified resource `{file}`: the cgroup2 tree of this host has no `{controller}`"),
        ));
    }
    Ok(v2::unified(file, value))
}

/// `cpuset.cpus` and `cpuset.mems`, which v1 and v2 have alike.
fn cpuset(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let Some(cpu) = resources.cpu() else { return Ok(()) };
    let list = |list: &Option<String>| list.clone().filter(|list| !list.is_empty());
    to.extend(list(cpu.cpus()).map(|list| Setting::new("cpuset", "cpuset.cpus", list, Shown::List)));
    to.extend(list(cpu.mems()).map(|list| Setting::new("cpuset", "cpuset.mems", list, Shown::List)));
    Ok(())
}

/// `pids.max`, likewise; less than 0 is no limit. 0 would let no process be born: it is 1,
/// as runc and systemd have it.
fn pids(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let text = |limit: i64| if limit < 0 { "max".into() } else { limit.max(1).to_string() };
    to.extend(resources.pids().map(|pids| Setting::new("pids", "pids.max", text(pids.limit()), Shown::Same)));
    Ok(())
}

/// `rdma.max`, likewise.
fn rdma(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let part = |key: &str, value: Option<u32>| value.map_or(String::new(), |value| format!(" {key}={value}"));
    for (device, limit) in resources.rdma().iter().flatten() {
        let handles = part("hca_handle", limit.hca_handles());
        let objects = part("hca_object", limit.hca_objects());
        let value = format!("{device}{handles}{objects}");
        to.push(Setting::new("rdma", "rdma.max", value, Shown::Line));
    }
    Ok(())
}

/// A size of huge pages as the kernel names them, e.g. `2MB`, in bytes.
pub(crate) fn page_size(name: &str) -> Result<u64> {
    let units = [("KB", 10), ("MB", 20), ("GB", 30)];
    let size = units.iter().find_map(|(unit, shift)| {
        let number: u64 = name.strip_suffix(unit)?.parse().ok()?;
        number.checked_shl(*shift).filter(|bytes| *bytes > 0)
    });
    size.ok_or_else(|| {
        Error::new(Kind::Invalid, format!("`{name}` is no size of huge pages, e.g. `2MB` or `1GB`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_huge_pages_are_the_kernels() {
        assert_eq!(page_size("2MB").unwrap(), 2 << 20);
        assert_eq!(page_size("1GB").unwrap(), 1 << 30);
        assert_eq!(page_size("64KB").unwrap(), 64 << 10);
        for name in ["2", "MB", "0MB", "2MiB", "../x"] {
            assert!(page_size(name).is_err(), "{name}");
        }
    }
}

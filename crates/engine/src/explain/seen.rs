//! What a container has: the kernel's word, by its first process and its control group.

use super::process::{Process, limits as process_limits, outside, ranges};
use super::value::{Capabilities, Devices, Ids, Isolation, Limits, Modules, Namespace, Oom, Owner, Seccomp};
use super::{Asked, Neighbour, calls, devices, limits, mounts, network, wanted, words};
use crate::Engine;
use cgroup::Cgroup;
use std::path::Path;
use store::Running;

/// Who is looked at, and who stands beside.
pub(super) struct Look<'a> {
    pub(super) engine: &'a Engine,
    pub(super) process: &'a Process,
    pub(super) running: &'a Running,
    pub(super) asked: &'a Asked,
    pub(super) neighbours: &'a [Neighbour],
}

impl Look<'_> {
    pub(super) fn isolation(&self) -> Isolation {
        let namespaces = self.namespaces();
        let owner =
            |kind: &str| namespaces.iter().find(|one| one.kind == kind).map_or(Owner::Own, |one| one.owner);
        let (net, over_host) = (owner("net"), owner("user") == Owner::Host);
        let status = self.process.status();
        let group =
            self.running.cgroup.as_ref().and_then(|path| self.engine.cgroups.open(Path::new(path)).ok()?);
        let kept = self.engine.store().path().display().to_string();
        let host = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let asked_masks: Vec<String> =
            serde_json::from_value(self.asked.spec["linux"]["maskedPaths"].clone()).unwrap_or_default();
        let own = mounts::lines(&self.process.text("mountinfo"));
        let (mounts, masked) = mounts::seen(&own, &mounts::lines(&host), &kept, &asked_masks);
        let is_own_group = |mount: &&super::Mount| {
            mount.target.starts_with("/sys/fs/cgroup") && mount.kind.starts_with("cgroup")
        };
        let writable = mounts.iter().filter(is_own_group).any(|mount| mount.writable);
        Isolation {
            ids: self.ids(status.number("Uid").unwrap_or(0)),
            capabilities: capabilities(&status, over_host),
            seccomp: self.seccomp(&status),
            no_new_privileges: status.number("NoNewPrivs") == Some(1),
            modules: self.modules(),
            masked,
            devices: self.devices(group.as_ref()),
            network: network::seen(self.process, net),
            limits: Limits {
                group: self.group(),
                writable,
                processes: process_limits(&self.process.text("limits")),
                ..group.as_ref().map(limits::seen).unwrap_or_default()
            },
            oom: Oom { adjust: self.number("oom_score_adj").unwrap_or(0), score: self.number("oom_score") },
            mounts,
            namespaces,
        }
    }

    fn number(&self, file: &str) -> Option<i32> {
        self.process.text(file).trim().parse().ok()
    }

    /// A namespace that hull itself is in is the host's.
    fn namespaces(&self) -> Vec<Namespace> {
        let host = [std::process::id() as i32, 1].map(|pid| Process::open(pid).ok());
        let others: Vec<_> =
            self.neighbours.iter().filter_map(|one| Some((one, Process::open(one.pid).ok()?))).collect();
        let one = |(kind, isolates): (&'static str, &'static str)| {
            let inode = self.process.namespace(kind);
            let is_hosts = host.iter().flatten().any(|host| host.namespace(kind) == inode);
            let same = others.iter().filter(|(_, process)| !is_hosts && process.namespace(kind) == inode);
            let with: Vec<_> = same.map(|(one, _)| self.engine.name_of(one)).collect();
            let owner = match (is_hosts, with.is_empty()) {
                (true, _) => Owner::Host,
                (false, true) => Owner::Own,
                (false, false) => Owner::Shared,
            };
            Namespace { kind, isolates, owner, with, inode }
        };
        words::NAMESPACES.map(one).to_vec()
    }

    fn ids(&self, user: u32) -> Ids {
        let users = ranges(&self.process.text("uid_map"));
        let meets = |other: &&Neighbour| {
            let theirs =
                Process::open(other.pid).map(|process| ranges(&process.text("uid_map"))).unwrap_or_default();
            let end = |range: &super::Range| u64::from(range.host) + u64::from(range.size);
            let both = |one: &super::Range, other: &super::Range| {
                u64::from(one.host) < end(other) && u64::from(other.host) < end(one)
            };
            // Whoever has the host's map has everybody's ids: that is its own weakness, and told there.
            let theirs = theirs.iter().filter(|range| range.size != u32::MAX);
            users.iter().any(|one| theirs.clone().any(|other| both(one, other)))
        };
        let is_hosts = users.iter().any(|range| range.size == u32::MAX);
        let with = self.neighbours.iter().filter(|_| !is_hosts).filter(meets);
        Ids {
            with: with.map(|other| self.engine.name_of(other)).collect(),
            groups: ranges(&self.process.text("gid_map")),
            user: wanted::user(&users, user),
            root: outside(&users, 0),
            users,
        }
    }

    /// Whether there is a filter the kernel tells; what it does, the profile that was loaded.
    fn seccomp(&self, status: &super::process::Status) -> Seccomp {
        let filters = status.number("Seccomp_filters");
        match status.number("Seccomp") {
            Some(2) => Seccomp { mode: "filter", filters, ..calls::of(&self.asked.spec) },
            Some(1) => Seccomp { mode: "strict", filters, ..Seccomp::default() },
            _ => Seccomp { filters, ..calls::of(&serde_json::Value::Null) },
        }
    }

    fn modules(&self) -> Modules {
        let label = self.process.text("attr/current").trim_end_matches(['\0', '\n']).to_owned();
        Modules { label: Some(label).filter(|label| !label.is_empty()), ..wanted::modules() }
    }

    /// v1 shows its list. v2 tells only that there is a program; its rules are those it was made of.
    fn devices(&self, group: Option<&Cgroup>) -> Devices {
        let paths = group.map(Cgroup::paths).unwrap_or_default();
        let path = |name: &str| paths.iter().find(|(controller, _)| controller == name).map(|(_, path)| path);
        if let Some(text) =
            path("devices").and_then(|path| std::fs::read_to_string(path.join("devices.list")).ok())
        {
            return devices::listed(&text);
        }
        let dir = path("").and_then(|path| std::fs::File::open(path).ok());
        let programs = dir.map(sys::bpf::device_programs);
        match programs {
            Some(Ok(programs)) if programs.is_empty() => {
                Devices { all: true, enforced: "none", rules: Vec::new() }
            }
            _ => devices::wanted(&self.asked.spec, "program"),
        }
    }

    /// The longest path that the first process is in.
    fn group(&self) -> String {
        let text = self.process.text("cgroup");
        let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        paths.max_by_key(|path| path.len()).unwrap_or_default().to_owned()
    }
}

fn capabilities(status: &super::process::Status, over_host: bool) -> Capabilities {
    let set = |name: &str| -> Vec<String> {
        seccomp::Capabilities::from_bits(status.mask(name)).iter().map(|one| one.to_string()).collect()
    };
    let bounding = set("CapBnd");
    Capabilities {
        effective: set("CapEff"),
        permitted: set("CapPrm"),
        inheritable: set("CapInh"),
        ambient: set("CapAmb"),
        meaning: wanted::meaning(&bounding, over_host),
        over_host,
        bounding,
    }
}

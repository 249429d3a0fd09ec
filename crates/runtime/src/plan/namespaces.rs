//! Which namespaces are new, which are joined, which stay the host's.

use super::{invalid, unsupported};
use crate::Result;
use oci::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType as Type};
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use sys::process::Namespaces;

/// A namespace that somebody else made.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) kind: Namespaces,
    pub(crate) path: PathBuf,
}

/// The isolation of one container.
#[derive(Debug)]
pub(crate) struct NamespacePlan {
    /// To be made.
    pub(crate) new: Namespaces,
    /// To be joined.
    pub(crate) joins: Vec<Join>,
    /// Text for `uid_map` and `gid_map`; some exactly if a user namespace is made.
    pub(crate) id_maps: Option<(String, String)>,
    pub(crate) uids: Map,
    pub(crate) gids: Map,
    /// Text for `timens_offsets`.
    pub(crate) time_offsets: Option<String>,
}

impl NamespacePlan {
    pub(super) fn new(linux: &Linux) -> Result<Self> {
        let mut plan = Self {
            new: Namespaces::empty(),
            joins: Vec::new(),
            id_maps: None,
            uids: Map::default(),
            gids: Map::default(),
            time_offsets: None,
        };
        for namespace in linux.namespaces().iter().flatten() {
            let kind = flag(namespace.typ());
            if !plan.is_hosts(kind) {
                return Err(invalid(format!("`linux.namespaces`: {kind:?} twice")));
            }
            match namespace.path().as_ref().filter(|path| !path.as_os_str().is_empty()) {
                None => plan.new |= kind,
                Some(path) if path.is_relative() => {
                    return Err(invalid(format!("`linux.namespaces`: `{}` is not absolute", path.display())));
                }
                Some(path) => plan.joins.push(Join { kind, path: path.clone() }),
            }
        }
        if plan.is_hosts(Namespaces::MOUNT) {
            return Err(unsupported("a container in the runtime's own mount namespace"));
        }
        // One that is joined is only where mounts come from: the container's are made in a copy, nobody else sees them.
        plan.new |= Namespaces::MOUNT;
        plan.set_id_maps(linux)?;
        plan.set_time_offsets(linux.time_offsets().as_ref())?;
        Ok(plan)
    }

    /// Is the namespace the host's?
    pub(crate) fn is_hosts(&self, kind: Namespaces) -> bool {
        !self.new.contains(kind) && !self.joins.iter().any(|join| join.kind == kind)
    }

    /// Those that are not the host's.
    pub(crate) fn all(&self) -> Namespaces {
        self.joins.iter().fold(self.new, |all, join| all | join.kind)
    }

    /// Is there a user namespace, new or joined?
    pub(crate) fn has_user(&self) -> bool {
        !self.is_hosts(Namespaces::USER)
    }

    /// Has the container's root no power over the namespace, so that file systems which show it
    /// cannot be mounted anew and are the host's, bound?
    pub(crate) fn is_foreign(&self, kind: Namespaces) -> bool {
        self.new.contains(Namespaces::USER) && !self.new.contains(kind)
    }

    /// Ids of the container as the host counts them.
    pub(crate) fn host_ids(&self, uid: u32, gid: u32) -> (u32, u32) {
        if self.is_hosts(Namespaces::USER) { (uid, gid) } else { (self.uids.host(uid), self.gids.host(gid)) }
    }

    fn set_id_maps(&mut self, linux: &Linux) -> Result<()> {
        let (uids, gids) = (linux.uid_mappings().as_deref(), linux.gid_mappings().as_deref());
        match (uids.unwrap_or_default(), gids.unwrap_or_default()) {
            ([], []) if self.new.contains(Namespaces::USER) => {
                Err(invalid("a user namespace without id mappings"))
            }
            ([], []) => Ok(()),
            (uids, gids) if self.new.contains(Namespaces::USER) => {
                self.uids = Map::new(uids)?;
                self.gids = Map::new(gids)?;
                self.id_maps = Some((map_text(uids), map_text(gids)));
                Ok(())
            }
            (uids, gids) if self.has_user() => {
                self.uids = Map::new(uids)?;
                self.gids = Map::new(gids)?;
                Ok(())
            }
            _ => Err(invalid("id mappings without a user namespace")),
        }
    }

    fn set_time_offsets(
        &mut self,
        offsets: Option<&HashMap<String, oci::runtime::LinuxTimeOffset>>,
    ) -> Result<()> {
        let Some(offsets) = offsets.filter(|offsets| !offsets.is_empty()) else { return Ok(()) };
        if !self.new.contains(Namespaces::TIME) {
            return Err(invalid("`linux.timeOffsets` without a time namespace of its own"));
        }
        let mut text = String::new();
        for (clock, offset) in offsets {
            if !matches!(clock.as_str(), "monotonic" | "boottime") {
                return Err(invalid(format!("`linux.timeOffsets` of unknown clock `{clock}`")));
            }
            let (secs, nanos) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
            writeln!(text, "{clock} {secs} {nanos}").expect("a String takes everything");
        }
        self.time_offsets = Some(text);
        Ok(())
    }
}

fn flag(kind: Type) -> Namespaces {
    match kind {
        Type::Mount => Namespaces::MOUNT,
        Type::Cgroup => Namespaces::CGROUP,
        Type::Uts => Namespaces::UTS,
        Type::Ipc => Namespaces::IPC,
        Type::User => Namespaces::USER,
        Type::Pid => Namespaces::PID,
        Type::Network => Namespaces::NET,
        Type::Time => Namespaces::TIME,
    }
}

pub(super) fn map_text(map: &[LinuxIdMapping]) -> String {
    map.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{} {} {}", line.container_id(), line.host_id(), line.size())
            .expect("a String takes everything");
        text
    })
}

/// The last id, -1, is none; see user_namespaces(7).
fn fits(line: &LinuxIdMapping) -> bool {
    let has_end = |first: u32| first.checked_add(line.size()).is_some();
    line.size() > 0 && has_end(line.container_id()) && has_end(line.host_id())
}

/// The lines of an id map: (inside, host, size).
#[derive(Debug, Default)]
pub(crate) struct Map(Vec<(u32, u32, u32)>);

impl Map {
    fn new(lines: &[LinuxIdMapping]) -> Result<Self> {
        if let Some(line) = lines.iter().find(|line| !fits(line)) {
            let (inside, host, size) = (line.container_id(), line.host_id(), line.size());
            return Err(invalid(format!("id mapping {inside} {host} {size}: there are no such ids")));
        }
        let map = Self(lines.iter().map(|line| (line.container_id(), line.host_id(), line.size())).collect());
        match map.find(0) {
            Some(_) => Ok(map),
            None => Err(invalid("id mappings without the container's id 0")),
        }
    }

    pub(crate) fn has(&self, id: u32) -> bool {
        self.find(id).is_some()
    }

    fn find(&self, id: u32) -> Option<u32> {
        let mut lines = self.0.iter().filter(|(inside, _, size)| id >= *inside && id - inside < *size);
        lines.next().map(|(inside, host, _)| host + (id - inside))
    }

    /// The host's id; root's for one that has none.
    pub(crate) fn host(&self, id: u32) -> u32 {
        self.find(id).or_else(|| self.find(0)).unwrap_or(0)
    }
}

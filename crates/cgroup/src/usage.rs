//! What a group uses, in the few numbers that a table of many has: one pass over a handful of files, and nothing kept open.

use crate::place::Place;
use crate::stats::io_bytes;
use crate::{Host, Result, files};
use rustix::fd::OwnedFd;
use std::path::Path;

/// What a group uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds on CPUs until now.
    pub cpu: u64,
    /// Bytes of memory but for files that nobody has used of late: those the kernel takes back first, as docker and
    /// Kubernetes count.
    pub memory: u64,
    /// Bytes of memory it may use; `u64::MAX` is no limit.
    pub memory_limit: u64,
    /// Tasks.
    pub pids: u64,
    /// Bytes read from and written to block devices, where somebody counts that: on v1, in a group of its own.
    pub io: Option<(u64, u64)>,
}

impl Host {
    /// What the group at a path uses, in the notation of [`Host::open`]; none where there is no group.
    pub fn usage(&self, path: &Path) -> Result<Option<Usage>> {
        let place = Place::of(path)?;
        let open = |controller: &str| self.dir_of(controller, &place);
        let Some(memory) = open("memory") else { return Ok(None) };
        let mut usage = Usage::default();
        memory.tell(&mut usage);
        usage.cpu = open("cpuacct").map_or(0, |group| group.cpu());
        usage.pids = open("pids").and_then(|group| files::number(&group.dir, "pids.current")).unwrap_or(0);
        usage.io = open("blkio").map(|group| group.io());
        Ok(Some(usage))
    }

    /// By v1's name of the controller.
    fn dir_of(&self, controller: &str, place: &Place) -> Option<Dir> {
        let old = self.hierarchy(controller).map(|one| (place.old(&one.name, &one.path), false));
        let (path, is_v2) = old.or_else(|| Some((place.tree(&self.tree()?), true)))?;
        Some(Dir { dir: files::open_dir(&path).ok()?, is_v2 })
    }
}

struct Dir {
    dir: OwnedFd,
    is_v2: bool,
}

impl Dir {
    fn tell(&self, usage: &mut Usage) {
        let names = match self.is_v2 {
            true => ["memory.current", "memory.max", "inactive_file "],
            false => ["memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file "],
        };
        let used = files::number(&self.dir, names[0]).unwrap_or(0);
        let limit = files::number(&self.dir, names[1]).unwrap_or(u64::MAX);
        let inactive = files::keyed(&self.dir, "memory.stat", names[2]).unwrap_or(0);
        usage.memory = if inactive < used { used - inactive } else { used };
        usage.memory_limit = limit;
    }

    fn cpu(&self) -> u64 {
        match self.is_v2 {
            true => files::keyed(&self.dir, "cpu.stat", "usage_usec ").unwrap_or(0) * 1000,
            false => files::number(&self.dir, "cpuacct.usage").unwrap_or(0),
        }
    }

    fn io(&self) -> (u64, u64) {
        io_bytes(&self.dir, self.is_v2)
    }
}

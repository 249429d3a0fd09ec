//! The host and the store as a whole: what it can isolate, what is kept, what a crash left.

use crate::Engine;
use crate::error::{Result, from_store};
pub use crate::probe::Feature;
use rustix::fs::statfs;
use store::{Finding, State, Usage};

/// What this host can isolate.
#[derive(Debug, Clone)]
pub struct Info {
    /// e.g. `6.18.44`
    pub kernel: String,
    /// `v1`, `hybrid`, `v2`
    pub cgroups: &'static str,
    /// Controllers a container can be limited by.
    pub controllers: Vec<String>,
    /// What was tried, whether it works, and what is lost without.
    pub features: Vec<Feature>,
    /// Where everything is kept.
    pub root: String,
    /// The file system there.
    pub file_system: String,
    /// Containers: running, ended.
    pub containers: (usize, usize),
    /// Images.
    pub images: usize,
    /// Processors of the host.
    pub cpus: usize,
    /// Bytes of memory of the host.
    pub memory: u64,
}

impl Engine {
    /// Looks at the host; each feature is tried, not guessed from a version.
    pub fn info(&self) -> Result<Info> {
        let containers = self.store.containers().map_err(from_store)?;
        let running =
            containers.iter().filter(|container| matches!(container.state, State::Running(_))).count();
        let system = rustix::system::sysinfo();
        Ok(Info {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cgroups: match self.cgroups.mode() {
                cgroup::Mode::V1 => "v1",
                cgroup::Mode::Hybrid => "hybrid",
                cgroup::Mode::V2 => "v2",
            },
            controllers: self.cgroups.controllers(),
            features: self.features(),
            root: self.store.path().display().to_string(),
            file_system: file_system(self.store.path()),
            containers: (running, containers.len() - running),
            images: self.store.images().map_err(from_store)?.len(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: system.totalram * u64::from(system.mem_unit),
        })
    }

    /// What everything takes on the disk, to the byte.
    pub fn usage(&self) -> Result<Usage> {
        self.store.usage().map_err(from_store)
    }

    /// Looks for what a crash left or somebody broke; with `repair`, removes what is garbage. A finding that is
    /// left is one that only its owner can mend.
    pub fn check(&self, repair: bool) -> Result<Vec<Finding>> {
        if repair {
            self.bury()?;
        }
        self.store.check(repair).map_err(from_store)
    }
}

pub(crate) fn file_system(path: &std::path::Path) -> String {
    let known = [
        (0xEF53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683E, "btrfs"),
        (0x0102_1994, "tmpfs"),
        (0x794C_7630, "overlay"),
        (0x2FC1_2FC1, "zfs"),
        (0xF2F5_2010, "f2fs"),
    ];
    // Where nothing is kept yet, it will be on what is above.
    let magic = path.ancestors().find_map(|path| statfs(path).ok()).map_or(0, |stat| stat.f_type as u64);
    known
        .iter()
        .find(|(number, _)| *number == magic)
        .map_or_else(|| format!("{magic:#x}"), |(_, name)| (*name).to_owned())
}

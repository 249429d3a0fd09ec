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
    /// Containers by what they do.
    pub containers: Population,
    /// Images.
    pub images: usize,
    /// Processors of the host.
    pub cpus: usize,
    /// Bytes of memory of the host.
    pub memory: u64,
    /// The host's name.
    pub name: String,
    /// As the kernel calls it, e.g. `x86_64`.
    pub architecture: String,
    /// The distribution, e.g. `Debian GNU/Linux 12 (bookworm)`, and its version; see os-release(5).
    pub system: (String, String),
    /// Packets are passed on between interfaces.
    pub forwards: bool,
}

/// How many containers there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Population {
    /// Those that run, and are not paused.
    pub running: usize,
    /// Those that are frozen.
    pub paused: usize,
    /// Those that do not run.
    pub stopped: usize,
}

impl Population {
    /// All of them.
    pub fn all(&self) -> usize {
        self.running + self.paused + self.stopped
    }
}

impl Engine {
    /// Looks at the host; each feature is tried, not guessed from a version.
    pub fn info(&self) -> Result<Info> {
        let system = rustix::system::sysinfo();
        let host = rustix::system::uname();
        let own = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Ok(Info {
            kernel: own(host.release()),
            name: own(host.nodename()),
            architecture: own(host.machine()),
            system: distribution(),
            forwards: std::fs::read("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.starts_with(b"1")),
            cgroups: match self.cgroups.mode() {
                cgroup::Mode::V1 => "v1",
                cgroup::Mode::Hybrid => "hybrid",
                cgroup::Mode::V2 => "v2",
            },
            controllers: self.cgroups.controllers(),
            features: self.features(),
            root: self.store.path().display().to_string(),
            file_system: file_system(self.store.path()),
            containers: self.population()?,
            images: self.store.images().map_err(from_store)?.len(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: system.totalram * u64::from(system.mem_unit),
        })
    }

    fn population(&self) -> Result<Population> {
        let mut count = Population::default();
        for one in self.store.containers().map_err(from_store)? {
            let place = match &one.state {
                state if self.is_paused(state) => &mut count.paused,
                State::Running(_) => &mut count.running,
                _ => &mut count.stopped,
            };
            *place += 1;
        }
        Ok(count)
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

/// Its name, and its version.
fn distribution() -> (String, String) {
    let files = ["/etc/os-release", "/usr/lib/os-release"];
    let text = files.iter().find_map(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    (field("PRETTY_NAME").unwrap_or_else(|| "Linux".into()), field("VERSION_ID").unwrap_or_default())
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

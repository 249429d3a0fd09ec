//! The host and the store as a whole: what it can isolate, what is kept, what a crash left.

use crate::Engine;
use crate::error::{Result, from_store};
use rustix::fs::{CWD, statfs};
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

/// Something a host has or lacks.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Does it work here?
    pub works: bool,
    /// What is lost without.
    pub without: &'static str,
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

    fn features(&self) -> Vec<Feature> {
        let exists = |path: &str| std::path::Path::new(path).exists();
        let reads =
            |path: &str, yes: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == yes);
        let feature = |name, works, without| Feature { name, works, without };
        vec![
            feature("user namespaces", exists("/proc/self/ns/user"), "a container's root is the host's"),
            feature("id-mapped mounts", self.maps_ids(), "containers share the host's user namespace"),
            feature("time namespaces", exists("/proc/self/ns/time"), "`--time` is refused"),
            feature("cgroup namespaces", exists("/proc/self/ns/cgroup"), "containers see the host's groups"),
            feature("network namespaces", exists("/proc/self/ns/net"), "only `--network host`"),
            feature("overlay", sys::mount::FileSystem::open("overlay").is_ok(), "no container can run"),
            feature(
                "overlay layers by descriptor",
                overlay_takes_descriptors(),
                "layers are handed over by path",
            ),
            feature(
                "seccomp filters",
                exists("/proc/sys/kernel/seccomp/actions_avail"),
                "every system call is open",
            ),
            feature(
                "AppArmor",
                reads("/sys/module/apparmor/parameters/enabled", "Y"),
                "`--security-opt apparmor` is refused",
            ),
            feature("SELinux", exists("/sys/fs/selinux/enforce"), "`--security-opt label` is refused"),
        ]
    }

    /// Tries it on the store's own file system, with a process that lives only for its user namespace.
    fn maps_ids(&self) -> bool {
        use sys::process::{Birth, Clone3, NamespaceOf, Namespaces, clone3, exit_now, namespace_of};
        let how = Clone3 { namespaces: Namespaces::USER, ..Clone3::default() };
        let Ok(Birth::Parent { pid, pidfd }) = clone3(&how).map(|birth| match birth {
            Birth::Child => {
                let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
                rustix::event::pause();
                exit_now(0)
            }
            parent => parent,
        }) else {
            return false;
        };
        let map =
            |name: &str| std::fs::write(format!("/proc/{}/{name}", pid.as_raw_nonzero()), "0 1000000 65536");
        let works = map("uid_map").and_then(|()| map("gid_map")).is_ok()
            && namespace_of(&pidfd, NamespaceOf::User).is_ok_and(|userns| {
                sys::mount::clone_tree(self.store.root(), c"", false)
                    .and_then(|tree| sys::mount::set_id_map(&tree, &userns, false))
                    .is_ok()
            });
        let _ = sys::signal::send(&pidfd, rustix::process::Signal::KILL.as_raw());
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        works
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

/// Linux 6.13.
fn overlay_takes_descriptors() -> bool {
    use rustix::fs::{Mode, OFlags, openat};
    let Ok(root) = openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    else {
        return false;
    };
    sys::mount::FileSystem::open("overlay").is_ok_and(|overlay| overlay.set_fd("lowerdir+", &root).is_ok())
}

fn file_system(path: &std::path::Path) -> String {
    let known = [
        (0xEF53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683E, "btrfs"),
        (0x0102_1994, "tmpfs"),
        (0x794C_7630, "overlay"),
        (0x2FC1_2FC1, "zfs"),
        (0xF2F5_2010, "f2fs"),
    ];
    let magic = statfs(path).map_or(0, |stat| stat.f_type as u64);
    known
        .iter()
        .find(|(number, _)| *number == magic)
        .map_or_else(|| format!("{magic:#x}"), |(_, name)| (*name).to_owned())
}

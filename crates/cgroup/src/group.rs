//! A container's groups.

use crate::setting::Setting;
use crate::{Entry, Error, Host, Kind, Mode, Result, device, files, v1, v2};
use oci::runtime::LinuxResources;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode as FileMode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// One group of one hierarchy.
#[derive(Debug)]
struct Group {
    /// The hierarchy's directory, e.g. `cpu,cpuacct`; empty on v2.
    hierarchy: String,
    path: PathBuf,
    dir: OwnedFd,
    /// Made by us, so removed by us when something fails.
    new: bool,
}

impl Group {
    /// Opens one that is there; the errno comes with what was being done.
    fn open(hierarchy: &str, path: PathBuf, new: bool) -> std::result::Result<Self, (Errno, String)> {
        match files::open_dir(&path) {
            Ok(dir) => Ok(Self { hierarchy: hierarchy.into(), path, dir, new }),
            Err(errno) => Err((errno, format!("open group `{}`", path.display()))),
        }
    }
}

/// A container's place in every hierarchy it needs.
#[derive(Debug)]
pub struct Cgroup {
    mode: Mode,
    groups: Vec<Group>,
}

/// What is mounted for the container below its `/sys/fs/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The directory there; empty on v2: the mount is `/sys/fs/cgroup` itself.
    pub name: PathBuf,
    /// The container's group on the host.
    pub path: PathBuf,
    /// Links to `name`, e.g. `cpu` and `cpuacct` to `cpu,cpuacct`.
    pub aliases: Vec<String>,
}

impl Host {
    /// Makes a container's groups with all their limits, or nothing.
    ///
    /// `path` is relative to each hierarchy's root, a leading slash is of no account.
    pub fn create(&self, path: &Path, resources: &LinuxResources) -> Result<Cgroup> {
        let path = below_root(path)?;
        let draft = match self.mode() {
            Mode::V2 => self.create_v2(&path, resources)?,
            _ => self.create_v1(&path, resources)?,
        };
        Ok(draft.keep())
    }

    /// The groups at a path, if there are any.
    pub fn open(&self, path: &Path) -> Result<Option<Cgroup>> {
        let path = below_root(path)?;
        let all: Vec<_> = match self.mode() {
            Mode::V2 => vec![("", self.root().join(&path))],
            _ => self.hierarchies().iter().map(|h| (h.name.as_str(), h.path.join(&path))).collect(),
        };
        let found =
            all.into_iter().filter_map(|(hierarchy, path)| match Group::open(hierarchy, path, false) {
                Err((Errno::NOENT, _)) => None,
                other => Some(other.map_err(|(errno, what)| kernel(errno, what))),
            });
        let groups: Vec<_> = found.collect::<Result<_>>()?;
        Ok((!groups.is_empty()).then_some(Cgroup { mode: self.mode(), groups }))
    }

    fn create_v1(&self, path: &Path, resources: &LinuxResources) -> Result<Draft> {
        let settings = v1::settings(resources)?;
        let mut draft = Draft(Cgroup { mode: self.mode(), groups: Vec::new() });
        let asked = settings.iter().map(|setting| setting.controller.as_str());
        for controller in v1::ALWAYS.into_iter().chain(asked) {
            let always = v1::ALWAYS.contains(&controller);
            let asked = settings.iter().any(|setting| setting.controller == controller);
            match self.hierarchy(controller) {
                None if !asked && always => continue,
                None => return Err(absent(controller)),
                Some(hierarchy) if draft.0.groups.iter().any(|group| group.hierarchy == hierarchy.name) => {}
                Some(hierarchy) => draft.make(&hierarchy.name, hierarchy.path.join(path), &hierarchy.path)?,
            }
        }
        for setting in &settings {
            let hierarchy = self.hierarchy(&setting.controller).ok_or_else(|| absent(&setting.controller))?;
            draft.apply(&hierarchy.name, setting)?;
        }
        Ok(draft)
    }

    fn create_v2(&self, path: &Path, resources: &LinuxResources) -> Result<Draft> {
        let settings = v2::settings(resources)?;
        let there = self.controllers();
        let mut wanted: Vec<&str> = settings.iter().map(|setting| setting.controller.as_str()).collect();
        if let Some(missing) =
            wanted.iter().find(|name| !there.iter().any(|t| t == *name) && **name != "cgroup")
        {
            return Err(absent(missing));
        }
        wanted.extend(v2::ALWAYS.into_iter().filter(|name| there.iter().any(|t| t == name)));
        wanted.sort_unstable();
        wanted.dedup();
        let mut draft = Draft(Cgroup { mode: self.mode(), groups: Vec::new() });
        self.delegate(path, &wanted)?;
        draft.make("", self.root().join(path), self.root())?;
        settings.iter().try_for_each(|setting| draft.apply("", setting))?;
        let rules = resources.devices().as_deref().unwrap_or_default();
        if !rules.is_empty() {
            device::attach_v2(&draft.group("", "devices")?.dir, rules)?;
        }
        Ok(draft)
    }

    /// Turns controllers on in every parent, see cgroup-v2.rst, "Enabling and Disabling".
    fn delegate(&self, path: &Path, controllers: &[&str]) -> Result<()> {
        let mut parent = self.root().to_owned();
        for part in path.components() {
            let failed = |errno, parent: &Path| {
                kernel(errno, format!("turn on controllers in `{}`", parent.display()))
            };
            let dir = files::open_dir(&parent).map_err(|errno| failed(errno, &parent))?;
            let on = files::get(&dir, "cgroup.subtree_control").map_err(|errno| failed(errno, &parent))?;
            let off: Vec<_> =
                controllers.iter().filter(|name| !on.split_whitespace().any(|word| word == **name)).collect();
            for name in off {
                files::put(&dir, "cgroup.subtree_control", &format!("+{name}"))
                    .map_err(|errno| failed(errno, &parent))?;
            }
            parent.push(part);
            files::make_dir(&parent).map_err(|errno| failed(errno, &parent))?;
        }
        Ok(())
    }
}

/// Groups in the making: gone again unless kept.
struct Draft(Cgroup);

impl Draft {
    fn make(&mut self, hierarchy: &str, path: PathBuf, root: &Path) -> Result<()> {
        let new = files::make_dir(&path)
            .map_err(|errno| kernel(errno, format!("make group `{}`", path.display())))?;
        if hierarchy.split(',').any(|name| name == "cpuset") {
            inherit_cpuset(&path, root)?;
        }
        let group = Group::open(hierarchy, path, new).map_err(|(errno, what)| kernel(errno, what))?;
        self.0.groups.push(group);
        Ok(())
    }

    fn group(&self, hierarchy: &str, controller: &str) -> Result<&Group> {
        let found = self.0.groups.iter().find(|group| group.hierarchy == hierarchy);
        found.ok_or_else(|| absent(controller))
    }

    fn apply(&self, hierarchy: &str, setting: &Setting) -> Result<()> {
        let dir = &self.group(hierarchy, &setting.controller)?.dir;
        match setting.apply(dir) {
            // Without swap accounting, docker limits memory and says so; it is an error only where swap was asked for.
            Err(error)
                if *error.kind() == Kind::Unsupported
                    && setting.file == "memory.memsw.limit_in_bytes"
                    && is_default_swap(dir, setting) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn keep(mut self) -> Cgroup {
        let groups = std::mem::take(&mut self.0.groups);
        Cgroup { mode: self.0.mode, groups }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for group in self.0.groups.iter().filter(|group| group.new) {
            let _ = files::remove_dir(&group.path);
        }
    }
}

/// Twice the memory: what docker sets where nothing was said.
fn is_default_swap(dir: &OwnedFd, setting: &Setting) -> bool {
    let limit =
        files::get(dir, "memory.limit_in_bytes").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let asked = setting.value.parse::<u64>().ok();
    limit.zip(asked).is_some_and(|(limit, asked)| asked / 8192 == limit / 4096)
}

/// A new cpuset of v1 has no CPU and no node, and takes no process, until it is given some.
fn inherit_cpuset(path: &Path, root: &Path) -> Result<()> {
    let Some(parent) = path.parent().filter(|_| path != root) else { return Ok(()) };
    inherit_cpuset(parent, root)?;
    let inherit = || -> rustix::io::Result<()> {
        let (own, above) = (files::open_dir(path)?, files::open_dir(parent)?);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if files::get(&own, file)?.trim().is_empty() {
                files::put(&own, file, files::get(&above, file)?.trim())?;
            }
        }
        Ok(())
    };
    inherit().map_err(|errno| kernel(errno, format!("give CPUs to `{}`", path.display())))
}

impl Cgroup {
    /// What a process needs to be in it.
    pub fn entry(&self) -> Result<Entry> {
        let open = |group: &Group, file: &str, flags| {
            openat(&group.dir, file, flags | OFlags::CLOEXEC, FileMode::empty())
                .map_err(|errno| kernel(errno, format!("open `{file}` of `{}`", group.path.display())))
        };
        match (self.mode, self.groups.as_slice()) {
            (Mode::V2, [group]) => open(group, ".", OFlags::RDONLY | OFlags::DIRECTORY).map(Entry::Born),
            (_, groups) => {
                let tasks = groups.iter().map(|group| open(group, "tasks", OFlags::WRONLY));
                tasks.collect::<Result<_>>().map(Entry::Tasks)
            }
        }
    }

    /// What is mounted for the container.
    pub fn mounts(&self) -> Vec<Mount> {
        let aliases = |name: &str| name.split(',').filter(|one| *one != name).map(str::to_owned).collect();
        self.groups
            .iter()
            .map(|group| Mount {
                name: group.hierarchy.clone().into(),
                path: group.path.clone(),
                aliases: aliases(&group.hierarchy),
            })
            .collect()
    }

    /// Was a process of it killed for want of memory?
    pub fn oom_killed(&self) -> bool {
        let file = if self.mode == Mode::V2 { "memory.events" } else { "memory.oom_control" };
        let Some(group) = self.group_of("memory") else { return false };
        files::keyed(&group.dir, file, "oom_kill ").is_some_and(|count| count > 0)
    }

    /// The processes in it, as the host counts them.
    pub fn procs(&self) -> Vec<Pid> {
        let first = self.groups.first();
        let text = first.and_then(|group| files::get(&group.dir, "cgroup.procs").ok()).unwrap_or_default();
        text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
    }

    /// Kills every process in it, and those they start meanwhile.
    pub fn kill_all(&self) -> Result<()> {
        if let (Mode::V2, Some(group)) = (self.mode, self.groups.first())
            && files::put(&group.dir, "cgroup.kill", "1").is_ok()
        {
            return Ok(());
        }
        for _ in 0..100 {
            let procs = self.procs();
            if procs.is_empty() {
                return Ok(());
            }
            procs.into_iter().for_each(|pid| _ = kill_process(pid, Signal::KILL));
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Error::new(Kind::Kernel, "kill the processes of a group: they do not end"))
    }

    /// Removes it. A process that is still there is killed: what outlives a container's first process is its own.
    pub fn remove(self) -> Result<()> {
        self.groups.iter().rev().try_for_each(|group| self.remove_one(group))
    }

    /// A group is busy for a moment after its last process was reaped.
    fn remove_one(&self, group: &Group) -> Result<()> {
        let mut result = files::remove_dir(&group.path);
        for attempt in 0..200 {
            match result {
                Err(Errno::BUSY) if attempt < 3 => std::thread::yield_now(),
                Err(Errno::BUSY) => {
                    self.kill_all()?;
                    remove_children(&group.path);
                    std::thread::sleep(Duration::from_millis(attempt.min(20)));
                }
                _ => break,
            }
            result = files::remove_dir(&group.path);
        }
        result.map_err(|errno| kernel(errno, format!("remove `{}`", group.path.display())))
    }

    fn group_of(&self, controller: &str) -> Option<&Group> {
        self.groups
            .iter()
            .find(|group| self.mode == Mode::V2 || group.hierarchy.split(',').any(|name| name == controller))
    }
}

/// Groups that the container made below its own.
fn remove_children(path: &Path) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_children(&entry.path());
        let _ = files::remove_dir(&entry.path());
    }
}

fn below_root(path: &Path) -> Result<PathBuf> {
    let relative: PathBuf =
        path.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir)).collect();
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    match plain && !relative.as_os_str().is_empty() {
        true => Ok(relative),
        false => Err(Error::new(Kind::Invalid, format!("`{}` is no path of a group", path.display()))),
    }
}

fn absent(controller: &str) -> Error {
    Error::new(Kind::Unsupported, format!("this host has no `{controller}` controller"))
}

fn kernel(errno: Errno, what: String) -> Error {
    Error::new(Kind::Kernel, what).caused_by(errno)
}

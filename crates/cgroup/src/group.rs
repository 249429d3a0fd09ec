//! A container's groups.

use crate::host::UNIFIED;
use crate::systemd::{Driver, Seat};
use crate::{Entry, Error, Kind, Mode, Result, files};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode as FileMode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;
use std::path::{Path, PathBuf};

/// One group of one hierarchy.
#[derive(Debug)]
pub(crate) struct Group {
    /// The hierarchy's directory, e.g. `cpu,cpuacct`; empty in the cgroup2 tree.
    pub(crate) hierarchy: String,
    pub(crate) path: PathBuf,
    pub(crate) dir: OwnedFd,
    /// Made by us, so removed by us when something fails.
    pub(crate) new: bool,
}

impl Group {
    /// Opens one that is there; none if it is not.
    pub(crate) fn open(hierarchy: &str, path: PathBuf) -> Result<Option<Self>> {
        match files::open_dir(&path) {
            Ok(dir) => Ok(Some(Self { hierarchy: hierarchy.into(), path, dir, new: false })),
            Err(Errno::NOENT | Errno::NODEV) => Ok(None),
            Err(errno) => Err(kernel(errno, format!("open group `{}`", path.display()))),
        }
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.hierarchy.is_empty()
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.hierarchy.split(',').any(|name| name == controller)
    }
}

/// A container's place in every hierarchy it needs.
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) mode: Mode,
    pub(crate) groups: Vec<Group>,
    /// v1: where the group of the freezer is, or will be made when it is first frozen.
    pub(crate) freezer: Option<PathBuf>,
    /// Who keeps a scope of systemd alive.
    pub(crate) seat: Option<Seat>,
    /// Whose unit it is, if not ours.
    pub(crate) driver: Option<Driver>,
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

impl Cgroup {
    /// What a process needs to be in it.
    pub fn entry(&self) -> Result<Entry> {
        let open = |group: &Group, file: &str, flags| {
            openat(&group.dir, file, flags | OFlags::CLOEXEC, FileMode::empty())
                .map_err(|errno| kernel(errno, format!("open `{file}` of `{}`", group.path.display())))
        };
        let is_fetched = self.driver.as_ref().is_some_and(Driver::is_users);
        match (self.mode, self.groups.as_slice()) {
            _ if is_fetched => Ok(Entry::Tasks(Vec::new())),
            (Mode::V2, [group]) => open(group, ".", OFlags::RDONLY | OFlags::DIRECTORY).map(Entry::Born),
            (_, groups) => {
                // The tree takes no single thread.
                let file = |group: &Group| if group.is_v2() { "cgroup.procs" } else { "tasks" };
                let tasks = groups.iter().map(|group| open(group, file(group), OFlags::WRONLY));
                tasks.collect::<Result<_>>().map(Entry::Tasks)
            }
        }
    }

    /// Is there no group at all? See [`Host::optional`](crate::Host::optional).
    pub fn is_absent(&self) -> bool {
        self.groups.is_empty()
    }

    /// Lets a user's systemd move a process in that was not born there: between the caller's own group and the unit's lie
    /// groups of root's. The process must still have the caller's ids.
    pub fn fetch(&self, pid: Pid) -> Result<()> {
        match self.driver.as_ref().filter(|driver| driver.is_users()) {
            Some(driver) => driver.attach(self, pid),
            None => Ok(()),
        }
    }

    /// The container's first process is in it: nobody else need be, see [`crate::systemd`].
    pub fn seated(&mut self) -> Result<()> {
        let Some(pids) = self.seat.take().and_then(|mut seat| seat.pids.take()) else { return Ok(()) };
        crate::setting::apply_all(&self.placed(&[pids])?)
    }

    /// Moves a process that is not the caller's child-to-be into it. On v1 that waits for RCU, 3 to 20 ms.
    ///
    /// # Errors
    /// [`Kind::Refused`] on v2 where the group has groups of its own: processes live in leaves only.
    pub fn take_in(&self, pid: Pid) -> Result<()> {
        let text = pid.as_raw_nonzero().to_string();
        self.groups.iter().try_for_each(|group| {
            files::put(&group.dir, "cgroup.procs", &text).map_err(|errno| {
                kernel(errno, format!("move process {text} into `{}`", group.path.display()))
            })
        })
    }

    /// What is mounted for the container.
    pub fn mounts(&self) -> Vec<Mount> {
        let aliases = |name: &str| name.split(',').filter(|one| *one != name).map(str::to_owned).collect();
        let name = |group: &Group| match (self.mode, group.is_v2()) {
            (Mode::Hybrid, true) => UNIFIED.into(),
            _ => PathBuf::from(&group.hierarchy),
        };
        let mount = |group: &Group| Mount {
            name: name(group),
            path: group.path.clone(),
            aliases: aliases(&group.hierarchy),
        };
        self.groups.iter().map(mount).collect()
    }

    /// The directories on the host by controller, as runc keeps them in a container's state; the name is empty for
    /// the cgroup2 tree.
    pub fn paths(&self) -> Vec<(String, PathBuf)> {
        let each = |group: &Group| {
            let names: Vec<_> = group.hierarchy.split(',').map(str::to_owned).collect();
            names.into_iter().map(move |name| (name, group.path.clone())).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(each).collect()
    }

    /// The groups at a path below this one, of some controllers or of all; they must exist.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a path that leads out, [`Kind::Kernel`] where a group is not there.
    pub fn below(&self, path: &Path, controllers: Option<&[&str]>) -> Result<Self> {
        let plain = crate::place::plain(path)?;
        let wanted =
            |group: &&Group| controllers.is_none_or(|names| names.iter().any(|name| group.has(name)));
        let open = |group: &Group| {
            let (path, wanted) = (group.path.join(&plain), wanted(&group));
            let path = if wanted { path } else { group.path.clone() };
            let what = format!("open group `{}`", path.display());
            Group::open(&group.hierarchy, path)?.ok_or_else(|| kernel(Errno::NOENT, what))
        };
        let groups = self.groups.iter().map(open).collect::<Result<_>>()?;
        let freezer = self.freezer.as_ref().map(|freezer| freezer.join(&plain));
        Ok(Self { mode: self.mode, groups, freezer, seat: None, driver: None })
    }

    /// Was a process of it killed for want of memory?
    pub fn oom_killed(&self) -> bool {
        self.oom_kills() > 0
    }

    /// How many of its processes were killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let Some(group) = self.group_of("memory") else { return 0 };
        let file = if group.is_v2() { "memory.events" } else { "memory.oom_control" };
        files::keyed(&group.dir, file, "oom_kill ").unwrap_or(0)
    }

    /// The group that has a controller; on v2, and for what a hybrid host's v1 lacks, the tree's.
    pub(crate) fn group_of(&self, controller: &str) -> Option<&Group> {
        let old = self.groups.iter().find(|group| group.has(controller));
        old.or_else(|| self.tree().filter(|_| self.mode == Mode::V2))
    }

    /// The group in the cgroup2 tree.
    pub(crate) fn tree(&self) -> Option<&Group> {
        self.groups.iter().find(|group| group.is_v2())
    }
}

pub(crate) fn kernel(errno: Errno, what: String) -> Error {
    Error::new(Kind::of(errno), what).caused_by(errno)
}

//! Which hierarchies the host has.

use crate::systemd::Driver;
use crate::{Error, Kind, Result, files};
use rustix::fs::statfs;
use std::path::{Path, PathBuf};

/// Where the kernel's documentation, systemd and everybody else mount them.
const ROOT: &str = "/sys/fs/cgroup";

/// CGROUP_SUPER_MAGIC and CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP: u64 = 0x0027_e0eb;
const CGROUP2: u64 = 0x6367_7270;

/// The cgroup2 tree of a hybrid host, as systemd names it.
pub(crate) const UNIFIED: &str = "unified";

/// How the controllers are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Hierarchies of v1 only.
    V1,
    /// Hierarchies of v1, and a cgroup2 tree at `unified` with what is left.
    Hybrid,
    /// One tree.
    V2,
}

/// A hierarchy of v1: a directory, and the controllers bound to it.
#[derive(Debug, Clone)]
pub(crate) struct Hierarchy {
    /// Its directory's name, e.g. `cpu,cpuacct`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl Hierarchy {
    pub(crate) fn controllers(&self) -> impl Iterator<Item = &str> {
        self.name.split(',')
    }
}

/// The host's control groups.
#[derive(Debug, Clone)]
pub struct Host {
    mode: Mode,
    root: PathBuf,
    hierarchies: Vec<Hierarchy>,
    driver: Option<Driver>,
    holds_devices: bool,
    optional: bool,
}

impl Host {
    /// Looks at `/sys/fs/cgroup`: one statfs, and on v1 one look into the directory and a statfs for each hierarchy.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where nothing is mounted there.
    pub fn probe() -> Result<Self> {
        Self::at(Path::new(ROOT))
    }

    /// The same for another place.
    pub fn at(root: &Path) -> Result<Self> {
        let failed = |errno| {
            Error::new(Kind::Unsupported, format!("no control groups at `{}`", root.display()))
                .caused_by(errno)
        };
        let kind = |path: &Path| statfs(path).map(|found| found.f_type as u64);
        if kind(root).map_err(failed)? == CGROUP2 {
            return Ok(Self::of(Mode::V2, root, Vec::new()));
        }
        let names = files::open_dir(root).and_then(files::directories).map_err(failed)?;
        let is_hybrid = names.iter().any(|name| name == UNIFIED) && kind(&root.join(UNIFIED)) == Ok(CGROUP2);
        let hierarchies: Vec<_> = names
            .into_iter()
            .filter(|name| name != UNIFIED && name != "systemd")
            .map(|name| Hierarchy { path: root.join(&name), name })
            // systemd makes directories for what may be mounted together, and leaves them empty.
            .filter(|hierarchy| kind(&hierarchy.path) == Ok(CGROUP))
            .collect();
        if hierarchies.is_empty() {
            return Err(Error::new(Kind::Unsupported, format!("no control groups at `{}`", root.display())));
        }
        Ok(Self::of(if is_hybrid { Mode::Hybrid } else { Mode::V1 }, root, hierarchies))
    }

    fn of(mode: Mode, root: &Path, hierarchies: Vec<Hierarchy>) -> Self {
        let root = root.to_owned();
        Self { mode, root, hierarchies, driver: None, holds_devices: true, optional: false }
    }

    /// The same host, whose groups systemd makes.
    pub fn under_systemd(self, driver: Driver) -> Self {
        Self { driver: Some(driver), ..self }
    }

    /// The same for who is not the host's root: device rules are nobody else's to set. In a user namespace nothing needs
    /// them, as no device can be made there.
    pub fn without_devices(self) -> Self {
        Self { holds_devices: false, ..self }
    }

    /// The same for who may do without: groups that are refused, and of which no limit is asked, are left out.
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub(crate) fn holds_devices(&self) -> bool {
        self.holds_devices
    }

    pub(crate) fn is_optional(&self) -> bool {
        self.optional
    }

    pub(crate) fn driver(&self) -> Option<&Driver> {
        self.driver.as_ref()
    }

    /// How the controllers are laid out.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The controllers a group can have, e.g. `memory`; on a hybrid host, those of v1 and of the tree.
    pub fn controllers(&self) -> Vec<String> {
        let old = self.hierarchies.iter().flat_map(Hierarchy::controllers).map(str::to_owned);
        old.chain(self.tree_controllers()).collect()
    }

    /// The top of the cgroup2 tree, if the host has one.
    pub(crate) fn tree(&self) -> Option<PathBuf> {
        match self.mode {
            Mode::V1 => None,
            Mode::Hybrid => Some(self.root.join(UNIFIED)),
            Mode::V2 => Some(self.root.clone()),
        }
    }

    /// The top of systemd's own hierarchy of v1, if it is mounted.
    pub(crate) fn named(&self) -> Option<PathBuf> {
        let path = self.root.join("systemd");
        statfs(&path).is_ok_and(|found| found.f_type as u64 == CGROUP).then_some(path)
    }

    pub(crate) fn tree_controllers(&self) -> Vec<String> {
        let Some(tree) = self.tree() else { return Vec::new() };
        let text = files::open_dir(&tree).and_then(|dir| files::get(dir, "cgroup.controllers"));
        text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    pub(crate) fn has_v2(&self, controller: &str) -> bool {
        self.tree_controllers().iter().any(|name| name == controller)
    }

    pub(crate) fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The hierarchy of v1 that a controller is bound to.
    pub(crate) fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.controllers().any(|name| name == controller))
    }
}

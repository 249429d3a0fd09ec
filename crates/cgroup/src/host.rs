//! Which hierarchies the host has.

use crate::{Error, Kind, Result, files};
use rustix::fs::{Dir, FileType, statfs};
use std::path::{Path, PathBuf};

/// Where the kernel's documentation, systemd and everybody else mount them.
const ROOT: &str = "/sys/fs/cgroup";

/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP2: u64 = 0x6367_7270;

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
}

impl Host {
    /// Looks at `/sys/fs/cgroup`: one statfs, and on v1 one look into the directory.
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
        let kind = statfs(root).map_err(failed)?.f_type as u64;
        if kind == CGROUP2 {
            return Ok(Self { mode: Mode::V2, root: root.to_owned(), hierarchies: Vec::new() });
        }
        let names = directories(root).map_err(failed)?;
        let mode = if names.iter().any(|name| name == "unified") { Mode::Hybrid } else { Mode::V1 };
        let hierarchies: Vec<_> = names
            .into_iter()
            .filter(|name| name != "unified" && name != "systemd")
            .map(|name| Hierarchy { path: root.join(&name), name })
            .collect();
        if hierarchies.is_empty() {
            return Err(Error::new(Kind::Unsupported, format!("no control groups at `{}`", root.display())));
        }
        Ok(Self { mode, root: root.to_owned(), hierarchies })
    }

    /// How the controllers are laid out.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The controllers a group can have, e.g. `memory`.
    pub fn controllers(&self) -> Vec<String> {
        match self.mode {
            Mode::V2 => files::open_dir(&self.root)
                .and_then(|dir| files::get(dir, "cgroup.controllers"))
                .map(|text| text.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            _ => self.hierarchies.iter().flat_map(Hierarchy::controllers).map(str::to_owned).collect(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The hierarchy of v1 that a controller is bound to.
    pub(crate) fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.controllers().any(|name| name == controller))
    }
}

/// Names of the directories in a directory; links such as `cpu` → `cpu,cpuacct` are none.
fn directories(path: &Path) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(files::open_dir(path)?)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type() == FileType::Directory && !name.starts_with('.') {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

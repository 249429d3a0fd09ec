//! Where groups are: `cgroupsPath` of config-linux.md in every hierarchy.

use crate::group::Group;
use crate::{Cgroup, Error, Host, Kind, Result, files, own};
use rustix::process::Pid;
use std::path::{Component, Path, PathBuf};

/// Names under which systemd says that a group was handed over, see systemd.resource-control(5), "Delegate=".
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// A container's path, below each hierarchy's own start.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: PathBuf,
    own: Option<Vec<own::Membership>>,
}

/// A path without `..`; a leading slash is of no account here.
pub(crate) fn plain(path: &Path) -> Result<PathBuf> {
    let relative: PathBuf =
        path.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir)).collect();
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    match plain && !relative.as_os_str().is_empty() {
        true => Ok(relative),
        false => Err(Error::new(Kind::Invalid, format!("`{}` is no path of a group", path.display()))),
    }
}

impl Place {
    /// An absolute path starts at each hierarchy's root; a relative one at the caller's own group, as in runc.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let own = if path.is_absolute() { None } else { Some(own::of(None)?) };
        Ok(Self { path: plain(path)?, own })
    }

    /// In a hierarchy of v1.
    pub(crate) fn old(&self, name: &str, root: &Path) -> PathBuf {
        let own = self.own.as_ref().and_then(|own| own::path_of(own, name.split(',').next()));
        start(root, own).join(&self.path)
    }

    /// In the cgroup2 tree. The caller's own group has processes, the caller at least, so that it can have no groups
    /// with controllers below: the container's is made beside it. Unless nothing above is ours: see [`is_ours`].
    pub(crate) fn tree(&self, root: &Path) -> PathBuf {
        let own = start(root, self.own.as_ref().and_then(|own| own::path_of(own, None)));
        match own.parent() {
            Some(parent) if own != root && !is_delegated(&own) => parent.join(&self.path),
            _ => own.join(&self.path),
        }
    }
}

/// In a container without a cgroup namespace the mount shows its own group as the root, and paths of the host.
fn start(root: &Path, own: Option<&Path>) -> PathBuf {
    let below = own.map_or_else(PathBuf::new, |own| own.components().skip(1).collect());
    let own = root.join(below);
    if own.is_dir() { own } else { root.to_owned() }
}

/// May the caller move a process of its own group into this one: is it allowed to in the group that both are below?
pub(crate) fn check_way(root: &Path, group: &Path) -> Result<()> {
    let all = own::of(None)?;
    let own = start(root, own::path_of(&all, None));
    let common = own.ancestors().find(|above| group.starts_with(above)).unwrap_or(root);
    rustix::fs::access(common.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).map_err(|errno| {
        crate::group::kernel(errno, format!("move from `{}` to `{}`", own.display(), group.display()))
    })
}

/// Was this group handed over to us, and what is above it not?
fn is_delegated(group: &Path) -> bool {
    let mut value = [0u8; 1];
    DELEGATED.iter().any(|name| {
        rustix::fs::getxattr(group, *name, &mut value).is_ok_and(|length| length == 1 && value == *b"1")
    })
}

impl Host {
    /// The groups at a path, if there are any: those that [`Host::create`] made.
    ///
    /// A relative path means another place to a caller in another group: who opens it later keeps
    /// [`Cgroup::paths`] and uses [`Host::reopen`].
    pub fn open(&self, path: &Path) -> Result<Option<Cgroup>> {
        let place = match self.driver() {
            Some(driver) => Place::of(&Path::new("/").join(driver.unit(path)?.path()?))?,
            None => Place::of(path)?,
        };
        let old = self.hierarchies().iter().map(|one| (one.name.clone(), place.old(&one.name, &one.path)));
        let tree = self.tree().map(|root| (String::new(), place.tree(&root)));
        self.open_all(old.chain(tree))
    }

    /// The groups in given directories, if there are any.
    pub fn reopen(&self, paths: &[(String, PathBuf)]) -> Result<Option<Cgroup>> {
        let name = |controller: &str| {
            self.hierarchy(controller).map_or(controller.to_owned(), |hierarchy| hierarchy.name.clone())
        };
        let mut all: Vec<_> =
            paths.iter().map(|(controller, path)| (name(controller), path.clone())).collect();
        all.dedup();
        // Made when it was first frozen, maybe after the paths were kept.
        let inside = all.first().and_then(|(_, path)| self.inside(path));
        let frozen = self.hierarchy("freezer").zip(inside);
        let frozen = frozen.map(|(freezer, inside)| (freezer.name.clone(), freezer.path.join(inside)));
        all.extend(frozen.filter(|frozen| !all.contains(frozen)).into_iter().collect::<Vec<_>>());
        self.open_all(all.into_iter())
    }

    /// The groups that a process is in, but for the roots of hierarchies.
    ///
    /// # Errors
    /// [`Kind::Kernel`] where there is no such process.
    pub fn adopt(&self, pid: Pid) -> Result<Option<Cgroup>> {
        let all = own::of(Some(pid))?;
        let below = |root: &Path, controller: Option<&str>| {
            let path = start(root, own::path_of(&all, controller));
            (path != *root).then_some(path)
        };
        let old = self
            .hierarchies()
            .iter()
            .filter_map(|one| Some((one.name.clone(), below(&one.path, one.controllers().next())?)));
        let tree = self.tree().and_then(|root| Some((String::new(), below(&root, None)?)));
        self.open_all(old.chain(tree))
    }

    fn open_all(&self, all: impl Iterator<Item = (String, PathBuf)>) -> Result<Option<Cgroup>> {
        let mut groups = Vec::new();
        let mut freezer = None;
        for (hierarchy, path) in all {
            if hierarchy.split(',').any(|name| name == "freezer") {
                freezer = Some(path.clone());
            }
            groups.extend(Group::open(&hierarchy, path)?);
        }
        Ok((!groups.is_empty()).then_some(Cgroup {
            mode: self.mode(),
            groups,
            freezer,
            seat: None,
            driver: self.driver().cloned(),
        }))
    }

    /// The path below its hierarchy's root.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let roots = self.hierarchies().iter().map(|hierarchy| hierarchy.path.clone()).chain(self.tree());
        roots.filter_map(|root| path.strip_prefix(&root).ok().map(Path::to_owned)).next()
    }
}

/// The group of the caller in the tree, and a leaf of it to go to, where no-internal-processes asks for one: see
/// cgroup-v2.rst, "No Internal Process Constraint".
pub(crate) fn step_aside(group: &Path, root: &Path) -> Result<()> {
    let own = own::of(None)?;
    if start(root, own::path_of(&own, None)) != group {
        return Err(Error::new(
            Kind::Refused,
            format!("group `{}` has processes, so it can have no groups with limits below", group.display()),
        ));
    }
    let leaf = group.join("hull.self");
    let step = || {
        files::make_dir(&leaf)?;
        files::put(files::open_dir(&leaf)?, "cgroup.procs", "0")
    };
    step().map_err(|errno| crate::group::kernel(errno, format!("step aside into `{}`", leaf.display())))
}

//! Groups in the making.

use crate::group::{Group, kernel};
use crate::limits::{self, Held};
use crate::place::{Place, step_aside};
use crate::setting::{self, Setting};
use crate::{Cgroup, Error, Host, Kind, Mode, Result, device, files, own, parents, realtime, v1, v2};
use oci::runtime::{LinuxDeviceCgroup, LinuxResources};
use rustix::io::Errno;
use rustix::process::Pid;
use std::path::{Path, PathBuf};

impl Host {
    /// Makes a container's groups with all their limits, or nothing.
    ///
    /// An absolute `path` starts at each hierarchy's root. A relative one starts at the caller's own group; on v2
    /// beside it, for a group with processes has no groups with limits below, but below it where systemd handed
    /// it over (`Delegate=`): the caller then moves into a leaf. With systemd's driver it is `slice:prefix:name`.
    ///
    /// # Errors
    /// [`Kind::InUse`] where a group is there already and has processes; [`Kind::Denied`] where the caller may not, and
    /// a limit needs it or groups are not [`optional`](Host::optional). What is left without any
    /// [is absent](Cgroup::is_absent).
    pub fn create(&self, path: &Path, resources: &LinuxResources) -> Result<Cgroup> {
        if let Some(driver) = self.driver() {
            return driver.create(self, path, resources);
        }
        let place = Place::of(path)?;
        let rules = self.rules(resources)?;
        let settings = limits::settings(self, resources, &Held::default())?;
        let mut draft = Draft::new(self, &place, true);
        match self.mode() {
            Mode::V2 => draft.make_the_tree(&place, &settings)?,
            _ => draft.make_old(&place, &settings)?,
        }
        draft.made.hold(&settings)?;
        draft.made.hold_devices(rules, true)?;
        Ok(draft.keep())
    }

    /// The device rules, as far as they are held.
    pub(crate) fn rules<'a>(&self, resources: &'a LinuxResources) -> Result<&'a [LinuxDeviceCgroup]> {
        let rules = resources.devices().as_deref().filter(|_| self.holds_devices()).unwrap_or_default();
        device::check(rules, self.mode() != Mode::V2).map(|()| rules)
    }

    /// The groups of a process that systemd put into a unit, with the limits; those that systemd does not make are
    /// made.
    pub(crate) fn in_unit(
        &self,
        pid: Pid,
        settings: &[Setting],
        rules: &[LinuxDeviceCgroup],
    ) -> Result<Cgroup> {
        let all = own::of(Some(pid))?;
        let unit = if self.mode() == Mode::V2 { None } else { Some("name=systemd") };
        let path = own::path_of(&all, unit).filter(|path| *path != Path::new("/"));
        let place = Place::of(path.ok_or_else(|| absent("systemd"))?)?;
        let mut draft = Draft::new(self, &place, false);
        match self.tree() {
            Some(root) if self.mode() == Mode::V2 => draft.make("", place.tree(&root), &root)?,
            tree => {
                draft.make_old(&place, settings)?;
                // What systemd counts the unit's processes by.
                if let Some(root) = self.named() {
                    draft.make("systemd", place.old("name=systemd", &root), &root)?;
                }
                if let (Some(root), None) = (tree, draft.made.tree()) {
                    draft.make("", place.tree(&root), &root)?;
                }
                draft.made.take_in(pid)?;
            }
        }
        draft.made.hold(settings)?;
        draft.made.hold_devices(rules, true)?;
        Ok(draft.keep())
    }

    /// The tree's controllers that settings need, and those every group has.
    fn tree_wanted<'a>(&self, settings: &'a [Setting]) -> Result<Vec<&'a str>> {
        let there = self.tree_controllers();
        let is_there = |name: &&str| there.iter().any(|one| one == name);
        let mut wanted = asked_of(settings);
        if let Some(missing) = wanted.iter().find(|name| !is_there(name)) {
            return Err(absent(missing));
        }
        wanted.extend(v2::ALWAYS.into_iter().filter(is_there));
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }
}

/// The controllers that settings need; `cgroup` is none.
fn asked_of(settings: &[Setting]) -> Vec<&'static str> {
    settings.iter().map(|setting| setting.controller).filter(|name| *name != "cgroup").collect()
}

/// Groups in the making: gone again unless kept.
struct Draft<'a> {
    made: Cgroup,
    host: &'a Host,
    /// Must they be without processes?
    empty: bool,
}

impl<'a> Draft<'a> {
    fn new(host: &'a Host, place: &Place, empty: bool) -> Self {
        let freezer = host.hierarchy("freezer").map(|one| place.old(&one.name, &one.path));
        Self {
            made: Cgroup { mode: host.mode(), groups: Vec::new(), freezer, seat: None, driver: None },
            host,
            empty,
        }
    }

    /// v1's groups, and on a hybrid host the tree's where a setting needs it.
    fn make_old(&mut self, place: &Place, settings: &[Setting]) -> Result<()> {
        let asked: Vec<_> = settings.iter().map(|setting| setting.controller).collect();
        for controller in v1::ALWAYS.into_iter().chain(asked.iter().copied()) {
            let is_asked = asked.contains(&controller);
            match self.host.hierarchy(controller) {
                None if !is_asked => continue,
                None if self.host.has_v2(controller)
                    || self.host.mode() == Mode::Hybrid && controller == "cgroup" => {}
                None => return Err(absent(controller)),
                Some(hierarchy) if self.made.groups.iter().any(|group| group.hierarchy == hierarchy.name) => {
                }
                Some(hierarchy) => {
                    let path = place.old(&hierarchy.name, &hierarchy.path);
                    match self.make(&hierarchy.name, path, &hierarchy.path) {
                        Err(error) if !is_asked && self.may_do_without(&error) => {}
                        made => made?,
                    }
                }
            }
        }
        let of_tree = |name: &&str| self.host.hierarchy(name).is_none();
        let mut tree: Vec<_> = asked.iter().copied().filter(of_tree).collect();
        tree.dedup();
        if tree.is_empty() {
            return Ok(());
        }
        tree.retain(|name| *name != "cgroup");
        self.make_tree(place, tree)
    }

    fn may_do_without(&self, error: &Error) -> bool {
        self.host.is_optional() && *error.kind() == Kind::Denied
    }

    /// v2's only group, if there must be one.
    fn make_the_tree(&mut self, place: &Place, settings: &[Setting]) -> Result<()> {
        let made = match self.make_tree(place, self.host.tree_wanted(settings)?) {
            // Not every controller is handed over.
            Err(error) if self.may_do_without(&error) => self.make_tree(place, asked_of(settings)),
            made => made,
        };
        match made.and_then(|()| self.check_way()) {
            Err(error) if settings.is_empty() && self.may_do_without(&error) => {
                self.undo();
                Ok(())
            }
            made => made,
        }
    }

    /// May the caller put its child there? See cgroup-v2.rst, "Delegation Containment".
    fn check_way(&self) -> Result<()> {
        match (self.host.is_optional(), self.host.tree(), self.made.tree()) {
            (true, Some(root), Some(group)) => crate::place::check_way(&root, &group.path),
            _ => Ok(()),
        }
    }

    fn make_tree(&mut self, place: &Place, controllers: Vec<&str>) -> Result<()> {
        let root = self.host.tree().ok_or_else(|| absent("cgroup2"))?;
        let path = place.tree(&root);
        turn_on(&root, &path, &controllers)?;
        self.make("", path, &root)
    }

    fn make(&mut self, hierarchy: &str, path: PathBuf, root: &Path) -> Result<()> {
        let refused = |errno| kernel(errno, format!("make group `{}`", path.display()));
        let new = files::make_dir(&path).map_err(refused)?;
        if hierarchy.split(',').any(|name| name == "cpuset") {
            inherit_cpuset(&path, root)?;
        }
        let group = Group::open(hierarchy, path.clone())?.ok_or_else(|| refused(Errno::NOENT))?;
        self.made.groups.push(Group { new, ..group });
        let has_processes =
            || self.made.groups.last().is_some_and(|group| !crate::process::of(&group.dir).is_empty());
        if self.empty && !new && has_processes() {
            let what = format!("make group `{}`: it is there and has processes", path.display());
            return Err(Error::new(Kind::InUse, what));
        }
        Ok(())
    }

    fn undo(&mut self) {
        for group in self.made.groups.drain(..).filter(|group| group.new) {
            let _ = files::remove_dir(&group.path);
        }
    }

    fn keep(mut self) -> Cgroup {
        let groups = std::mem::take(&mut self.made.groups);
        Cgroup { mode: self.made.mode, groups, freezer: self.made.freezer.take(), seat: None, driver: None }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.undo();
    }
}

impl Cgroup {
    /// The group each setting goes to.
    pub(crate) fn placed<'a>(&'a self, settings: &[Setting]) -> Result<Vec<setting::Placed<'a>>> {
        let group = |setting: &Setting| {
            let old = self.groups.iter().find(|group| group.has(setting.controller));
            old.or_else(|| self.tree()).ok_or_else(|| absent(setting.controller))
        };
        settings.iter().map(|setting| Ok((&group(setting)?.dir, setting.clone()))).collect()
    }

    fn hold(&self, settings: &[Setting]) -> Result<()> {
        realtime::make_room(self, settings)?;
        setting::apply_all(&self.placed(settings)?)
    }

    pub(crate) fn hold_devices(&self, rules: &[LinuxDeviceCgroup], is_new: bool) -> Result<()> {
        match self.group_of("devices") {
            Some(group) => device::hold(&group.dir, rules, !group.is_v2(), is_new),
            None if rules.is_empty() => Ok(()),
            None => Err(absent("devices")),
        }
    }
}

/// Turns controllers on in every group from the root down to the parent, see cgroup-v2.rst, "Enabling and
/// Disabling".
fn turn_on(root: &Path, path: &Path, controllers: &[&str]) -> Result<()> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let above = below.parent().unwrap_or(below);
    turn_on_in(root, controllers, root)?;
    let mut parent = root.to_owned();
    for part in above.components() {
        parent.push(part);
        let made = files::make_dir(&parent)
            .map_err(|errno| kernel(errno, format!("make group `{}`", parent.display())))?;
        if made {
            parents::mark(&parent);
        }
        turn_on_in(&parent, controllers, root)?;
    }
    Ok(())
}

fn turn_on_in(group: &Path, controllers: &[&str], root: &Path) -> Result<()> {
    let failed = |errno| kernel(errno, format!("turn on controllers in `{}`", group.display()));
    let dir = files::open_dir(group).map_err(failed)?;
    let on = files::get(&dir, "cgroup.subtree_control").map_err(failed)?;
    let is_on = |name: &str| on.split_whitespace().any(|word| word == name);
    let off: Vec<_> = controllers.iter().filter(|name| !is_on(name)).collect();
    // The host's root may have processes and controllers; that of a cgroup namespace only looks like it.
    if !off.is_empty() && group != root && !crate::process::of(&dir).is_empty() {
        step_aside(group, root)?;
    }
    for name in off {
        let turn = || files::put(&dir, "cgroup.subtree_control", &format!("+{name}"));
        match turn() {
            Err(Errno::BUSY | Errno::OPNOTSUPP) => {
                step_aside(group, root)?;
                turn().map_err(failed)?;
            }
            other => other.map_err(failed)?,
        }
    }
    Ok(())
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

pub(crate) fn absent(controller: &str) -> Error {
    Error::new(Kind::Unsupported, format!("this host has no `{controller}` controller"))
}

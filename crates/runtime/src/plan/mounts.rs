//! What a mount of the `Spec` becomes: options sorted into attributes, propagation and data.

use super::namespaces::map_text;
use super::{NamespacePlan, invalid, unsupported};
use crate::{Error, Result};
use oci::runtime::Mount;
use std::path::{Component, Path, PathBuf};
use sys::mount::{self, Attributes};
use sys::process::Namespaces;

/// One mount of the container.
#[derive(Debug)]
pub(crate) struct MountPlan {
    /// Absolute, without `.` and `..`.
    pub(crate) target: PathBuf,
    pub(crate) source: Source,
    pub(crate) attach: Attach,
}

/// Changes to a mount once it is made.
#[derive(Debug, Default, Clone)]
pub(crate) struct Attach {
    pub(crate) own: Attributes,
    pub(crate) below: Attributes,
}

/// What is mounted.
#[derive(Debug)]
pub(crate) enum Source {
    /// A tree of the host's files; made detached by the parent.
    Bind(Bind),
    /// `/dev`, filled by the parent, which may make device nodes.
    Dev(FileSystemPlan),
    /// A file system made in the container's namespaces.
    New(FileSystemPlan),
    /// A file system that shows a namespace the container has no power over: the host's, bound.
    Hosts(&'static str),
    /// The container's own control groups.
    Cgroup,
    /// What is mounted there already, changed: the mount alone, or with data its file system, too.
    Remount(Option<Vec<Datum>>),
}

/// Files of the host's.
#[derive(Debug)]
pub(crate) struct Bind {
    pub(crate) path: PathBuf,
    pub(crate) recursive: bool,
    pub(crate) ids: Option<MountIds>,
}

/// How a mount shows the ids of its files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountIds {
    /// Text for `uid_map` and `gid_map` of a user namespace made for this; none: the container's own.
    pub(crate) maps: Option<(String, String)>,
    pub(crate) recursive: bool,
    /// A file system that cannot is a warning, not an error.
    pub(crate) optional: bool,
}

/// A file system to be made.
#[derive(Debug, Default)]
pub(crate) struct FileSystemPlan {
    pub(crate) kind: String,
    pub(crate) source: Option<String>,
    pub(crate) data: Vec<Datum>,
    pub(crate) copy_up: bool,
}

/// An option of the file system's own, and its value.
pub(crate) type Datum = (String, Option<String>);

/// `ridmap` where the file system can, else a warning: a word of hull's own, beside the specification's.
pub const OPTIONAL_ID_MAP: &str = "x-hull.idmap";

/// An option's word, the attributes it sets and clears.
type Word = (&'static str, u64, u64);

/// The options of mount(8) that are attributes of a mount; `r` before one means: and all below.
#[rustfmt::skip]
const ATTRIBUTES: [Word; 18] = [
    ("ro", mount::RDONLY, 0),                   ("rw", 0, mount::RDONLY),
    ("nosuid", mount::NOSUID, 0),               ("suid", 0, mount::NOSUID),
    ("nodev", mount::NODEV, 0),                 ("dev", 0, mount::NODEV),
    ("noexec", mount::NOEXEC, 0),               ("exec", 0, mount::NOEXEC),
    ("nosymfollow", mount::NOSYMFOLLOW, 0),     ("symfollow", 0, mount::NOSYMFOLLOW),
    ("nodiratime", mount::NODIRATIME, 0),       ("diratime", 0, mount::NODIRATIME),
    ("noatime", mount::NOATIME, mount::ATIME),  ("atime", 0, mount::NOATIME),
    ("strictatime", mount::STRICTATIME, mount::ATIME), ("nostrictatime", 0, mount::STRICTATIME),
    ("relatime", 0, mount::ATIME),              ("norelatime", 0, mount::STRICTATIME),
];

/// Options of a file system as a whole, which the kernel takes for every type; for a bind it ignores them.
const WHOLE: [&str; 7] = ["sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime"];

/// Without effect here. The first are mount(8)'s own; `silent` and `loud` concern the kernel's log, which hears nothing
/// of fsopen(2); and what counts versions always does, fsconfig(2) has no word for it.
#[rustfmt::skip]
const IDLE: [&str; 10] = [
    "defaults", "nouser", "auto", "noauto", "_netdev", "nofail", "silent", "loud", "iversion", "noiversion",
];

/// What may be mounted below `/proc`: files that lxcfs shows in the kernel's place. runc's list.
const BELOW_PROC: [&str; 10] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

/// `Options` being sorted.
#[derive(Default)]
struct Sorted {
    attach: Attach,
    bind: Option<bool>,
    remount: bool,
    /// Recursive or not, and optional or not.
    id_map: Option<(bool, bool)>,
    copy_up: bool,
    whole: Vec<Datum>,
    data: Vec<Datum>,
}

impl MountPlan {
    pub(super) fn new(mount: &Mount, namespaces: &NamespacePlan, inherited: u64) -> Result<Self> {
        let target = clean(mount.destination());
        let sorted = Sorted::from_options(mount.options().as_deref().unwrap_or_default())?;
        let kind = mount.typ().as_deref().unwrap_or("bind");
        let mut attach = sorted.attach.clone();
        let recursive = sorted.bind.or(matches!(kind, "bind" | "rbind").then_some(kind == "rbind"));
        let source = match recursive {
            _ if sorted.remount => remount(sorted),
            Some(recursive) => Source::Bind(bind(mount, recursive, &sorted, namespaces)?),
            None if sorted.id_map.is_some() || mount.uid_mappings().is_some() => {
                return Err(unsupported(format!("`idmap` on `{}`: it is no bind", target.display())));
            }
            None if matches!(kind, "cgroup" | "cgroup2") => Source::Cgroup,
            None => file_system(kind, mount, sorted, &target, namespaces),
        };
        if matches!(source, Source::Bind(_)) && attach.own.propagation == 0 && attach.below.propagation == 0 {
            attach.below.propagation = inherited;
        }
        check_proc(&target, &source)?;
        if let Source::New(made) | Source::Dev(made) = &source {
            check_owners(&target, made, namespaces)?;
        }
        Ok(Self { target, source, attach })
    }

    /// May this cover a file of procfs? One that lxcfs shows, or `/proc` as a whole once more.
    pub(crate) fn is_allowed_on_procfs(&self) -> bool {
        let is_listed = |below: &Path| BELOW_PROC.iter().any(|path| below == Path::new(path));
        let below = self.target.strip_prefix("/proc");
        below.is_ok_and(|below| below.as_os_str().is_empty() || is_listed(below))
    }

    /// Is it to be read-only, and yet written to before the program runs: mount points, device nodes?
    pub(crate) fn is_sealed_late(&self) -> bool {
        let is_memory = match &self.source {
            Source::Dev(_) => true,
            Source::New(file_system) => file_system.kind == "tmpfs",
            _ => false,
        };
        is_memory && self.attach.own.set & mount::RDONLY != 0
    }
}

/// From the root, and without `.` and `..`; a relative destination is one from `/` (config.md, Mounts).
fn clean(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::from("/"), |mut clean, part| {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
        clean
    })
}

/// Masks and settings go by what is below `/proc`, so it has to be the kernel's.
fn check_proc(target: &Path, source: &Source) -> Result<()> {
    let Ok(below) = target.strip_prefix("/proc") else { return Ok(()) };
    let is_proc = match source {
        Source::New(file_system) => file_system.kind == "proc",
        Source::Bind(_) | Source::Hosts(_) | Source::Remount(_) => true, // what is bound is looked at when it is open
        _ => false,
    };
    match below.to_str() {
        Some("") if is_proc => Ok(()),
        Some("") => Err(no_proc()),
        Some(path) if BELOW_PROC.contains(&path) => Ok(()),
        _ => Err(invalid(format!("mount on `{}`: it is inside `/proc`", target.display())).with_hint(
            "few files of `/proc` can be replaced: what is masked there goes by the kernel's own",
        )),
    }
}

/// The kernel would say EINVAL, and not of what.
fn check_owners(target: &Path, made: &FileSystemPlan, namespaces: &NamespacePlan) -> Result<()> {
    for (key, value) in &made.data {
        let Some(id) = value.as_ref().and_then(|value| value.parse().ok()) else { continue };
        let maps = match key.as_str() {
            "uid" => &namespaces.uids,
            "gid" => &namespaces.gids,
            _ => continue,
        };
        if namespaces.id_maps.is_some() && !maps.has(id) {
            return Err(invalid(format!(
                "`mounts`: `{key}={id}` on `{}` is in no id mapping",
                target.display()
            )));
        }
    }
    Ok(())
}

/// Something else on `/proc`.
pub(crate) fn no_proc() -> Error {
    invalid("mount on `/proc`: what is to be mounted there is not of type proc")
        .with_hint("mount it somewhere else: what is masked in `/proc` goes by the kernel's own")
}

fn remount(sorted: Sorted) -> Source {
    let data = sorted.whole.into_iter().chain(sorted.data).collect();
    Source::Remount(sorted.bind.is_none().then_some(data))
}

fn bind(mount: &Mount, recursive: bool, sorted: &Sorted, namespaces: &NamespacePlan) -> Result<Bind> {
    let target = mount.destination().display();
    let path =
        mount.source().clone().ok_or_else(|| invalid(format!("bind on `{target}` without a source")))?;
    if let Some((option, _)) = sorted.data.first() {
        return Err(invalid(format!("bind on `{target}`: `{option}` is no option of a bind")));
    }
    Ok(Bind { path, recursive, ids: ids(mount, sorted.id_map, recursive, namespaces)? })
}

/// Mappings without the option are applied as well, to all that is bound: an older word for the same.
fn ids(
    mount: &Mount,
    option: Option<(bool, bool)>,
    recursive: bool,
    namespaces: &NamespacePlan,
) -> Result<Option<MountIds>> {
    let target = mount.destination().display();
    let maps = match (mount.uid_mappings().as_deref(), mount.gid_mappings().as_deref()) {
        (None | Some([]), None | Some([])) => None,
        (Some(uids @ [_, ..]), Some(gids @ [_, ..])) => Some((map_text(uids), map_text(gids))),
        _ => {
            return Err(invalid(format!("mount on `{target}`: `uidMappings` and `gidMappings` go together")));
        }
    };
    match (option, maps) {
        (None, None) => Ok(None),
        (Some(_), None) if !namespaces.has_user() => {
            Err(invalid(format!("`idmap` on `{target}` without mappings or a user namespace")))
        }
        (option, maps) => {
            let (below, optional) = option.unwrap_or((true, false));
            Ok(Some(MountIds { maps, recursive: below && recursive, optional }))
        }
    }
}

/// A namespace's own file system can be mounted anew only by who has power over that namespace.
fn file_system(
    kind: &str,
    mount: &Mount,
    sorted: Sorted,
    target: &Path,
    namespaces: &NamespacePlan,
) -> Source {
    let plan = FileSystemPlan {
        kind: kind.to_owned(),
        source: mount.source().as_ref().map(|source| source.display().to_string()),
        data: sorted.whole.into_iter().chain(sorted.data).collect(),
        copy_up: sorted.copy_up,
    };
    match shown(kind) {
        _ if kind == "tmpfs" && target == Path::new("/dev") => {
            let source = plan.source.or_else(|| Some("tmpfs".into()));
            Source::Dev(FileSystemPlan { source, ..plan })
        }
        Some((namespace, hosts)) if namespaces.is_foreign(namespace) => Source::Hosts(hosts),
        _ => Source::New(plan),
    }
}

/// The namespace that a file system shows, and where the host's is mounted.
fn shown(kind: &str) -> Option<(Namespaces, &'static str)> {
    match kind {
        "proc" => Some((Namespaces::PID, "/proc")),
        "sysfs" => Some((Namespaces::NET, "/sys")),
        "mqueue" => Some((Namespaces::IPC, "/dev/mqueue")),
        _ => None,
    }
}

impl FileSystemPlan {
    /// What may be bound where the kernel refuses to make this one: it shows a namespace of the runtime's, over which the
    /// runtime may have no power itself.
    pub(crate) fn instead(&self, namespaces: &NamespacePlan) -> Option<&'static str> {
        shown(&self.kind).filter(|(namespace, _)| namespaces.is_hosts(*namespace)).map(|(_, hosts)| hosts)
    }
}

impl Sorted {
    fn from_options(options: &[String]) -> Result<Self> {
        let mut sorted = Self::default();
        for option in options {
            sorted.take(option)?;
        }
        Ok(sorted)
    }

    /// The last word of a kind counts. What no runtime knows is the file system's (config.md, mount options).
    fn take(&mut self, option: &str) -> Result<()> {
        match option {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "remount" => self.remount = true,
            "idmap" => self.id_map = Some((false, false)),
            "ridmap" => self.id_map = Some((true, false)),
            OPTIONAL_ID_MAP => self.id_map = Some((true, true)),
            "tmpcopyup" => self.copy_up = true,
            _ if IDLE.contains(&option) => {}
            _ if WHOLE.contains(&option) => self.whole.push((option.to_owned(), None)),
            _ if self.take_attribute(option) => {}
            _ if propagation(option).is_ok() => self.take_propagation(option)?,
            _ => self.data.push(match option.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (option.to_owned(), None),
            }),
        }
        Ok(())
    }

    fn take_attribute(&mut self, option: &str) -> bool {
        let named = |name: &str| ATTRIBUTES.iter().find(|(word, ..)| *word == name);
        if let Some(&(_, set, clear)) = named(option) {
            change(&mut self.attach.own, set, clear);
        } else if let Some(&(_, set, clear)) = option.strip_prefix('r').and_then(named) {
            change(&mut self.attach.own, set, clear);
            change(&mut self.attach.below, set, clear);
        } else {
            return false;
        }
        true
    }

    fn take_propagation(&mut self, option: &str) -> Result<()> {
        let recursive = option.starts_with('r');
        let target = if recursive { &mut self.attach.below } else { &mut self.attach.own };
        target.propagation = propagation(option)?;
        Ok(())
    }
}

/// A later option overrides an earlier one of the same attribute.
fn change(attributes: &mut Attributes, set: u64, clear: u64) {
    attributes.set = attributes.set & !clear | set;
    attributes.clear = attributes.clear & !set | clear;
    if clear & mount::ATIME != 0 {
        attributes.clear |= mount::ATIME; // the kernel wants the whole field cleared with any change of it
    }
}

/// The kernel's flag for a propagation word, recursive or not.
pub(super) fn propagation(word: &str) -> Result<u64> {
    match word.strip_prefix('r').unwrap_or(word) {
        "private" => Ok(mount::PRIVATE),
        "shared" => Ok(mount::SHARED),
        "slave" => Ok(mount::SLAVE),
        "unbindable" => Ok(mount::UNBINDABLE),
        _ => Err(invalid(format!("unknown propagation `{word}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(options: &[&str]) -> Sorted {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        Sorted::from_options(&options).unwrap()
    }

    #[test]
    fn the_last_word_on_an_attribute_counts() {
        let own = sort(&["ro", "nosuid", "rw"]).attach.own;
        assert_eq!((own.set, own.clear), (mount::NOSUID, mount::RDONLY));
    }

    #[test]
    fn a_leading_r_reaches_what_is_mounted_below() {
        let attach = sort(&["rro", "nodev", "rslave"]).attach;
        assert_eq!(attach.below.set, mount::RDONLY);
        assert_eq!(attach.own.set, mount::RDONLY | mount::NODEV);
        assert_eq!(attach.below.propagation, mount::SLAVE);
    }

    #[test]
    fn relatime_and_rw_are_not_taken_for_recursive_words() {
        let attach = sort(&["relatime", "rw"]).attach;
        assert_eq!((attach.below.set, attach.below.clear), (0, 0));
        assert_eq!(attach.own.clear, mount::ATIME | mount::RDONLY);
    }

    #[test]
    fn the_file_systems_own_options_are_left_to_it() {
        let sorted = sort(&["nosuid", "mode=1777", "size=65536k", "newinstance"]);
        let data: Vec<_> = sorted.data.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        assert_eq!(data, [("mode", Some("1777")), ("size", Some("65536k")), ("newinstance", None)]);
    }
}

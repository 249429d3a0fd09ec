//! What a mount of the `Spec` becomes: options sorted into attributes, propagation and data.

use super::{NamespacePlan, invalid};
use crate::Result;
use oci::runtime::Mount;
use std::path::{Path, PathBuf};
use sys::mount::{self, Attributes};
use sys::process::Namespaces;

/// One mount of the container.
#[derive(Debug)]
pub(crate) struct MountPlan {
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
    Bind { path: PathBuf, recursive: bool, id_map: bool },
    /// `/dev`, filled by the parent, which may make device nodes.
    Dev(FileSystemPlan),
    /// A file system made in the container.
    New(FileSystemPlan),
    /// A file system that shows a namespace the container has no power over: the host's, bound.
    Hosts(&'static str),
    /// The container's own control groups.
    Cgroup,
}

/// A file system to be made.
#[derive(Debug, Default)]
pub(crate) struct FileSystemPlan {
    pub(crate) kind: String,
    pub(crate) source: Option<String>,
    pub(crate) data: Vec<(String, Option<String>)>,
    pub(crate) copy_up: bool,
}

/// An option's word, the attributes it sets and clears.
type Word = (&'static str, u64, u64);

/// The options of mount(8) that are attributes of a mount; `r` before one means: and all below.
#[rustfmt::skip]
const ATTRIBUTES: [Word; 15] = [
    ("ro", mount::RDONLY, 0),                   ("rw", 0, mount::RDONLY),
    ("nosuid", mount::NOSUID, 0),               ("suid", 0, mount::NOSUID),
    ("nodev", mount::NODEV, 0),                 ("dev", 0, mount::NODEV),
    ("noexec", mount::NOEXEC, 0),               ("exec", 0, mount::NOEXEC),
    ("nosymfollow", mount::NOSYMFOLLOW, 0),     ("symfollow", 0, mount::NOSYMFOLLOW),
    ("nodiratime", mount::NODIRATIME, 0),       ("diratime", 0, mount::NODIRATIME),
    ("noatime", mount::NOATIME, mount::ATIME),  ("strictatime", mount::STRICTATIME, mount::ATIME),
    ("relatime", 0, mount::ATIME),
];

/// `Options` being sorted.
#[derive(Default)]
struct Sorted {
    attach: Attach,
    bind: Option<bool>,
    id_map: bool,
    copy_up: bool,
    data: Vec<(String, Option<String>)>,
}

impl MountPlan {
    pub(super) fn new(mount: &Mount, namespaces: &NamespacePlan) -> Result<Self> {
        let target = mount.destination().clone();
        let sorted = Sorted::from_options(mount.options().as_deref().unwrap_or_default())?;
        let kind = mount.typ().as_deref().unwrap_or("bind");
        let attach = sorted.attach.clone();
        let source = match (sorted.bind, kind) {
            (Some(recursive), _) => bind(mount, recursive, sorted.id_map)?,
            (None, "bind" | "rbind") => bind(mount, kind == "rbind", sorted.id_map)?,
            (None, "cgroup" | "cgroup2") => Source::Cgroup,
            (None, _) => file_system(kind, mount, sorted, &target, namespaces),
        };
        Ok(Self { target, source, attach })
    }
}

fn bind(mount: &Mount, recursive: bool, id_map: bool) -> Result<Source> {
    let path = mount.source().clone();
    let path =
        path.ok_or_else(|| invalid(format!("bind on `{}` without a source", mount.destination().display())))?;
    Ok(Source::Bind { path, recursive, id_map: id_map || mount.uid_mappings().is_some() })
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
        data: sorted.data,
        copy_up: sorted.copy_up,
    };
    match kind {
        "tmpfs" if target == Path::new("/dev") => {
            let source = plan.source.or_else(|| Some("tmpfs".into()));
            Source::Dev(FileSystemPlan { source, ..plan })
        }
        "proc" if namespaces.is_foreign(Namespaces::PID) => Source::Hosts("/proc"),
        "sysfs" if namespaces.is_foreign(Namespaces::NET) => Source::Hosts("/sys"),
        "mqueue" if namespaces.is_foreign(Namespaces::IPC) => Source::Hosts("/dev/mqueue"),
        _ => Source::New(plan),
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

    fn take(&mut self, option: &str) -> Result<()> {
        match option {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "idmap" | "ridmap" => self.id_map = true,
            "tmpcopyup" => self.copy_up = true,
            "defaults" | "async" | "nouser" | "auto" | "noauto" => {}
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
    if clear == mount::ATIME {
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

//! Making and attaching the container's mounts.

use super::{During, Result};
use crate::failure::{Failure, Step};
use crate::plan::{Attach, Datum, FileSystemPlan, MountPlan, Plan, Source};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2, symlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use sys::mount::{self, Attributes, FileSystem};
use sys::process::Namespaces;

/// Detached mounts made while the host's tree is still in sight: sources of file systems are paths of the host's.
pub(super) struct Prepared {
    /// One for each mount of the plan.
    pub(super) trees: Vec<Tree>,
    /// The host's null device, which no image has a say in: for files that are masked.
    pub(super) null: Option<OwnedFd>,
}

pub(super) enum Tree {
    /// The parent's, or nothing new.
    Absent,
    One(OwnedFd),
    Groups(Vec<Group>),
}

/// The name of a hierarchy, other names for it, and the container's group there.
pub(super) type Group = (PathBuf, Vec<String>, OwnedFd);

/// Makes the file systems of the plan, and clones what it needs of the host's own.
pub(super) fn prepare(plan: &Plan, groups: &[cgroup::Mount]) -> Result<Prepared> {
    super::root::leave_hosts_mounts()?;
    let trees = plan.mounts.iter().map(|mount| prepare_one(plan, mount, groups)).collect::<Result<_>>()?;
    let null =
        if plan.masked.is_empty() { None } else { Some(null_device().during(Step::Mask, "/dev/null")?) };
    Ok(Prepared { trees, null })
}

fn prepare_one(plan: &Plan, mount: &MountPlan, groups: &[cgroup::Mount]) -> Result<Tree> {
    let subject = || mount.target.display().to_string();
    match &mount.source {
        Source::New(file_system) => {
            let sealed = if mount.is_sealed_late() { mount::RDONLY } else { 0 };
            let made = make_file_system(file_system, mount.attach.own.set & !sealed);
            match (made, file_system.instead(&plan.namespaces)) {
                (Err(Errno::PERM), Some(hosts)) => {
                    let tree = hosts_tree(hosts, mount.attach.own.set)?;
                    change(&tree, &mount.attach).map(|()| Tree::One(tree)).during(Step::Mount, subject())
                }
                (made, _) => made.map(Tree::One).during(Step::Mount, subject()),
            }
        }
        Source::Hosts(path) => hosts_tree(path, mount.attach.own.set).map(Tree::One),
        Source::Cgroup if groups.is_empty() => own_group(plan).map(Tree::One),
        // The one hierarchy of v2 is seen as the cgroup namespace has it; of v1's, the container's groups alone.
        Source::Cgroup
            if plan.namespaces.is_hosts(Namespaces::CGROUP)
                && groups.iter().all(|group| group.name.as_os_str().is_empty()) =>
        {
            hosts_tree("/sys/fs/cgroup", mount.attach.own.set).map(Tree::One)
        }
        Source::Cgroup => groups.iter().map(group_tree).collect::<Result<_>>().map(Tree::Groups),
        Source::Bind(_) | Source::Dev(_) | Source::Remount(_) => Ok(Tree::Absent),
    }
}

/// Of a container without groups: the one it was born into, or the host's, to be read.
fn own_group(plan: &Plan) -> Result<OwnedFd> {
    const CGROUP2: u64 = 0x6367_7270; // CGROUP2_SUPER_MAGIC of linux/magic.h
    const PLACE: &str = "/sys/fs/cgroup";
    let is_tree = || rustix::fs::statfs(PLACE).is_ok_and(|found| found.f_type as u64 == CGROUP2);
    if !plan.namespaces.is_hosts(Namespaces::CGROUP) && is_tree() {
        let tree = FileSystemPlan { kind: "cgroup2".into(), ..Default::default() };
        if let Ok(made) = make_file_system(&tree, mount::NOSUID | mount::NOEXEC | mount::NODEV) {
            return Ok(made);
        }
    }
    hosts_tree(PLACE, mount::RDONLY)
}

fn group_tree(group: &cgroup::Mount) -> Result<Group> {
    let tree = mount::clone_tree(CWD, group.path.as_path(), false);
    let tree = tree.during(Step::CloneHost, group.path.display().to_string())?;
    Ok((group.name.clone(), group.aliases.clone(), tree))
}

/// With all that is mounted below: without, the kernel refuses, as something hidden would come to light. What is asked
/// to be read-only is so to the bottom: groups of the host's lie below `/sys` (CVE-2023-25809).
fn hosts_tree(path: &'static str, asked: u64) -> Result<OwnedFd> {
    let tree = mount::clone_tree(CWD, path, true).during(Step::CloneHost, path)?;
    let set = mount::NOSUID | mount::NOEXEC | mount::NODEV | asked & mount::RDONLY;
    let safe = Attributes { set, ..Attributes::default() };
    mount::set_attributes(&tree, &safe, true).during(Step::CloneHost, path)?;
    Ok(tree)
}

/// CVE-2025-31133: what covers a masked file must be the null device, not what is called so.
fn null_device() -> rustix::io::Result<OwnedFd> {
    let tree = mount::clone_tree(CWD, c"/dev/null", false)?;
    let stat = fstat(&tree)?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(1, 3);
    if is_null { Ok(tree) } else { Err(Errno::NXIO) }
}

/// A mount that is needed once more when all are there.
pub(super) struct Kept {
    pub(super) place: PathBuf,
    pub(super) tree: OwnedFd,
    /// It is made read-only when all else is done.
    pub(super) is_late: bool,
}

/// Attaches every mount of the plan, in order. `sent` are the parent's: `/dev` first if it is made, then the binds.
pub(super) fn attach_all(
    plan: &Plan,
    root: &OwnedFd,
    sent: &mut std::vec::IntoIter<OwnedFd>,
    trees: Vec<Tree>,
) -> Result<Vec<Kept>> {
    let dev = if plan.makes_dev() { sent.next() } else { None };
    let mut mounts = Mounts { root, dev, binds: sent, kept: Vec::new() };
    plan.mounts.iter().zip(trees).try_for_each(|(mount, tree)| mounts.attach(mount, tree))?;
    Ok(mounts.kept)
}

struct Mounts<'a> {
    root: &'a OwnedFd,
    dev: Option<OwnedFd>,
    binds: &'a mut std::vec::IntoIter<OwnedFd>,
    kept: Vec<Kept>,
}

impl Mounts<'_> {
    fn attach(&mut self, plan: &MountPlan, tree: Tree) -> Result<()> {
        let subject = plan.target.display().to_string();
        let missing = || Failure::new(Step::Receive, Errno::PROTO, &subject);
        match (&plan.source, tree) {
            (Source::Bind(_), _) => {
                let tree = self.binds.next().ok_or_else(missing)?;
                let is_dir = is_directory(&tree).during(Step::Mount, &subject)?;
                self.put(plan, &tree, is_dir, false)?;
                self.keep(plan, tree);
                Ok(())
            }
            (Source::Dev(_), _) => {
                let tree = self.dev.take().ok_or_else(missing)?;
                self.put(plan, &tree, true, false)?;
                self.keep(plan, tree);
                Ok(())
            }
            (Source::New(file_system), Tree::One(tree)) => self.attach_new(plan, file_system, tree),
            (Source::Hosts(_), Tree::One(tree)) => {
                change(&tree, &plan.attach).during(Step::Mount, &subject)?;
                self.put(plan, &tree, true, true)?;
                self.keep(plan, tree);
                Ok(())
            }
            (Source::Cgroup, Tree::One(tree)) => {
                change(&tree, &plan.attach).during(Step::Mount, &subject)?;
                self.put(plan, &tree, true, false)
            }
            (Source::Cgroup, Tree::Groups(groups)) => self.attach_groups(plan, &groups),
            (Source::Remount(data), _) => {
                remount(self.root, plan, data.as_deref()).during(Step::Mount, subject)
            }
            _ => Err(missing()),
        }
    }

    fn attach_new(&mut self, plan: &MountPlan, file_system: &FileSystemPlan, tree: OwnedFd) -> Result<()> {
        let subject = plan.target.display().to_string();
        if plan.attach.own.propagation != 0 || plan.attach.below.propagation != 0 {
            let propagation =
                |of: &Attributes| Attributes { propagation: of.propagation, ..Default::default() };
            let attach =
                Attach { own: propagation(&plan.attach.own), below: propagation(&plan.attach.below) };
            change(&tree, &attach).during(Step::Mount, &subject)?;
        }
        let target = mount_point(self.root, &plan.target, true, is_kernels(&file_system.kind))?;
        stay_out_of_proc(plan, &target)?;
        if file_system.copy_up {
            copy_up(&target, &tree).during(Step::CopyUp, &subject)?;
        }
        mount::attach(&tree, &target).during(Step::Mount, &subject)?;
        self.keep(plan, tree);
        Ok(())
    }

    fn put(&self, plan: &MountPlan, tree: &OwnedFd, is_dir: bool, plain: bool) -> Result<()> {
        let target = mount_point(self.root, &plan.target, is_dir, plain)?;
        stay_out_of_proc(plan, &target)?;
        mount::attach(tree, &target).during(Step::Mount, plan.target.display().to_string())
    }

    fn keep(&mut self, plan: &MountPlan, tree: OwnedFd) {
        let (place, is_late) = (plan.target.clone(), plan.is_sealed_late());
        if is_late || KERNELS.iter().any(|kernels| place == Path::new(kernels)) {
            self.kept.push(Kept { place, tree, is_late });
        }
    }

    /// v2: the group itself. v1 and hybrid: a small tmpfs with a directory for each hierarchy.
    fn attach_groups(&self, plan: &MountPlan, groups: &[Group]) -> Result<()> {
        let subject = plan.target.display().to_string();
        if let [(name, _, tree)] = groups
            && name.as_os_str().is_empty()
        {
            change(tree, &plan.attach).during(Step::Mount, &subject)?;
            return self.put(plan, tree, true, false);
        }
        let shelf = FileSystemPlan {
            kind: "tmpfs".into(),
            data: vec![("mode".into(), Some("755".into()))],
            ..Default::default()
        };
        let shelf =
            make_file_system(&shelf, plan.attach.own.set & !mount::RDONLY).during(Step::Mount, &subject)?;
        self.put(plan, &shelf, true, false)?;
        for (name, aliases, tree) in groups {
            change(tree, &plan.attach).during(Step::Mount, name.display().to_string())?;
            mkdirat(&shelf, name.as_path(), Mode::from_raw_mode(0o755))
                .during(Step::MountPoint, name.display().to_string())?;
            let target = mount_point(&shelf, name, true, false)?;
            mount::attach(tree, &target).during(Step::Mount, name.display().to_string())?;
            for alias in aliases {
                symlinkat(name.as_path(), &shelf, alias.as_str()).during(Step::MountPoint, alias)?;
            }
        }
        change(&shelf, &plan.attach).during(Step::Mount, &subject)
    }
}

/// Where the kernel's own files are.
pub(super) const KERNELS: [&str; 2] = ["/proc", "/sys"];

/// The kernel's own file systems are mounted on a directory that is what it looks like: a link in the
/// image could lead them elsewhere, and the masks with them (CVE-2019-19921, CVE-2023-27561).
fn is_kernels(kind: &str) -> bool {
    matches!(kind, "proc" | "sysfs")
}

/// A link in the image could lead a mount over a file of the kernel's, too.
fn stay_out_of_proc(plan: &MountPlan, target: &OwnedFd) -> Result<()> {
    match sys::proc::is_procfs(target) && !plan.is_allowed_on_procfs() {
        true => Err(Failure::new(
            Step::MountPoint,
            Errno::PERM,
            format!("{}: it is in procfs", plan.target.display()),
        )),
        false => Ok(()),
    }
}

/// The longest value that fsconfig(2) takes.
const LONGEST: usize = 255;

/// A detached mount of a file system made as planned.
pub(crate) fn make_file_system(plan: &FileSystemPlan, attributes: u64) -> rustix::io::Result<OwnedFd> {
    let is_long = |(_, value): &Datum| value.as_ref().is_some_and(|value| value.len() > LONGEST);
    if plan.data.iter().any(is_long) {
        return make_by_string(plan, attributes);
    }
    let fs = FileSystem::open(&plan.kind)?;
    if let Some(source) = &plan.source {
        fs.set("source", source.as_str())?;
    }
    configure(&fs, &plan.data)?;
    // What is on a disk must not be written to even by its own file system.
    if attributes & mount::RDONLY != 0 && !is_of_memory(&plan.kind) {
        fs.flag("ro")?;
    }
    fs.mount(attributes)
}

fn is_of_memory(kind: &str) -> bool {
    matches!(kind, "tmpfs" | "proc" | "sysfs" | "mqueue" | "devpts")
}

fn configure(fs: &FileSystem, data: &[Datum]) -> rustix::io::Result<()> {
    data.iter().try_for_each(|(key, value)| match value {
        Some(value) => fs.set(key, value.as_str()),
        None => fs.flag(key),
    })
}

/// By mount(2), whose data may be a page long; for a moment on `/proc`, in this process's own mount namespace.
fn make_by_string(plan: &FileSystemPlan, attributes: u64) -> rustix::io::Result<OwnedFd> {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    let word = |(key, value): &Datum| match value {
        Some(value) => format!("{key}={value}"),
        None => key.clone(),
    };
    let data = plan.data.iter().map(word).collect::<Vec<_>>().join(",");
    let data = std::ffi::CString::new(data).map_err(|_| Errno::INVAL)?;
    let source = plan.source.as_deref().unwrap_or(&plan.kind);
    mount(source, c"/proc", plan.kind.as_str(), MountFlags::empty(), data.as_c_str())?;
    let tree = mount::clone_tree(CWD, c"/proc", false);
    unmount(c"/proc", UnmountFlags::DETACH)?;
    let tree = tree?;
    mount::set_attributes(&tree, &Attributes { set: attributes, ..Attributes::default() }, false)?;
    Ok(tree)
}

/// Changes what is mounted on the target: attributes that are named, and with data the file system.
fn remount(root: &OwnedFd, plan: &MountPlan, data: Option<&[Datum]>) -> rustix::io::Result<()> {
    let target = open_in(root, &plan.target, true)?;
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let fs = FileSystem::pick(&target)?;
        configure(&fs, data)?;
        fs.reconfigure()?;
    }
    change(&target, &plan.attach)
}

/// Changes a mount as the plan says. Nothing to do costs nothing.
pub(crate) fn change(tree: impl AsFd, attach: &Attach) -> rustix::io::Result<()> {
    let idle = |change: &Attributes| change.set == 0 && change.clear == 0 && change.propagation == 0;
    if !idle(&attach.below) {
        mount::set_attributes(&tree, &attach.below, true)?;
    }
    if !idle(&attach.own) {
        mount::set_attributes(&tree, &attach.own, false)?;
    }
    Ok(())
}

/// The mount point in the root, made if it is not there.
pub(super) fn mount_point(root: &OwnedFd, target: &Path, is_dir: bool, plain: bool) -> Result<OwnedFd> {
    let found = match open_in(root, target, plain) {
        Err(Errno::NOENT) => make_in(root, target, is_dir).and_then(|()| open_in(root, target, plain)),
        other => other,
    };
    let subject = target.display().to_string();
    let found = found.during(Step::MountPoint, &subject)?;
    match (is_directory(&found).during(Step::MountPoint, &subject)?, is_dir) {
        (true, false) => Err(Failure::new(Step::MountPoint, Errno::ISDIR, subject)),
        (false, true) => Err(Failure::new(Step::MountPoint, Errno::NOTDIR, subject)),
        _ => Ok(found),
    }
}

/// Opens a path as if the root were `/`; with `plain`, without following any link.
pub(super) fn open_in(root: &OwnedFd, path: &Path, plain: bool) -> rustix::io::Result<OwnedFd> {
    let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::NO_SYMLINKS, plain);
    let is_root = path == Path::new("/") || path.as_os_str().is_empty();
    let path = if is_root { Path::new(".") } else { path };
    let open = || openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
    // A rename or mount anywhere at this moment, and the kernel is not sure of a `..`: see openat2(2).
    let is_settled = |found: &rustix::io::Result<OwnedFd>| !matches!(found, Err(Errno::AGAIN));
    (0..MOST_TRIES).map(|_| open()).find(is_settled).unwrap_or(Err(Errno::AGAIN))
}

/// Who renames all the time must not hold a start up for ever.
const MOST_TRIES: u32 = 1000;

/// Makes a directory or an empty file, and the directories on the way; links are followed in the root, also those that
/// lead to nothing yet.
pub(super) fn make_in(root: &OwnedFd, path: &Path, is_dir: bool) -> rustix::io::Result<()> {
    let mut walked = PathBuf::new(); // never a link
    let mut rest = VecDeque::new();
    prepend(&mut rest, path);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            walked.pop();
            continue;
        }
        let parent = open_in(root, &walked, true)?;
        match make_one(&parent, &part, is_dir || !rest.is_empty()) {
            Err(Errno::EXIST) => {}
            made => made?,
        }
        match rustix::fs::readlinkat(&parent, part.as_os_str(), Vec::new()) {
            Ok(_) if links == LINKS => return Err(Errno::LOOP),
            Ok(link) => {
                links += 1;
                let link = Path::new(OsStr::from_bytes(link.as_bytes()));
                if link.is_absolute() {
                    walked.clear();
                }
                prepend(&mut rest, link);
            }
            Err(_) => walked.push(part),
        }
    }
    Ok(())
}

/// MAXSYMLINKS of the kernel
const LINKS: u32 = 40;

fn prepend(rest: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        if matches!(part, Component::Normal(_) | Component::ParentDir) {
            rest.push_front(part.as_os_str().to_owned());
        }
    }
}

fn make_one(parent: &OwnedFd, name: &OsStr, is_dir: bool) -> rustix::io::Result<()> {
    if is_dir {
        return mkdirat(parent, name, Mode::from_raw_mode(0o755));
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

/// Makes a directory in the root, and those on the way.
pub(super) fn make_directory(root: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    make_in(root, path, true)
}

fn is_directory(fd: &OwnedFd) -> rustix::io::Result<bool> {
    fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// Copies what a directory of the image holds into the fresh tmpfs that will cover it (`tmpcopyup`).
fn copy_up(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    let directory = openat2(
        from,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::empty(),
    )?;
    let mut entries = rustix::fs::Dir::read_from(&directory)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            copy_entry(&directory, to, entry.file_name())?;
        }
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr) -> rustix::io::Result<()> {
    use rustix::fs::{AtFlags, Gid, Uid, chmodat, chownat, mknodat, openat, readlinkat, statat};
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, mode)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            copy_up(&openat(from, name, flags, Mode::empty())?, &openat(to, name, flags, Mode::empty())?)?;
        }
        FileType::Symlink => symlinkat(readlinkat(from, name, Vec::new())?, to, name)?,
        FileType::RegularFile => {
            // Who puts a pipe in its place must not make a start wait.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let source = openat(from, name, flags, Mode::empty())?;
            let made =
                openat(to, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, mode)?;
            while rustix::fs::sendfile(&made, &source, None, 1 << 20)? > 0 {}
        }
        kind => mknodat(to, name, kind, mode, stat.st_rdev)?,
    }
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Ok(()),
        _ => chmodat(to, name, mode, AtFlags::empty()),
    }
}

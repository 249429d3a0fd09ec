//! Making and attaching the container's mounts.

use super::{During, Result};
use crate::failure::{Failure, Step};
use crate::plan::{Attach, FileSystemPlan, MountPlan, Plan, Source};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2, symlinkat};
use rustix::io::Errno;
use std::path::{Component, Path, PathBuf};
use sys::mount::{self, Attributes, FileSystem};
use sys::process::Namespaces;

/// Detached mounts of the host's, taken while the host's tree is still in sight.
pub(super) struct TakenOver {
    hosts: Vec<(&'static str, OwnedFd)>,
    groups: Vec<(PathBuf, Vec<String>, OwnedFd)>,
}

/// Clones what the plan needs of the host's own file systems.
pub(super) fn take_over(plan: &Plan, groups: &[cgroup::Mount]) -> Result<TakenOver> {
    let mut taken = TakenOver { hosts: Vec::new(), groups: Vec::new() };
    for mount in &plan.mounts {
        match mount.source {
            Source::Hosts(path) => taken.hosts.push((path, hosts_tree(path)?)),
            Source::Cgroup if plan.namespaces.is_hosts(Namespaces::CGROUP) => {
                taken.groups.push((PathBuf::new(), Vec::new(), hosts_tree("/sys/fs/cgroup")?));
            }
            Source::Cgroup => {
                for group in groups {
                    let tree = mount::clone_tree(CWD, group.path.as_path(), false);
                    let tree = tree.during(Step::CloneHost, group.path.display().to_string())?;
                    taken.groups.push((group.name.clone(), group.aliases.clone(), tree));
                }
            }
            _ => {}
        }
    }
    Ok(taken)
}

/// With all that is mounted below: without, the kernel refuses, as something hidden would come to light.
fn hosts_tree(path: &'static str) -> Result<OwnedFd> {
    let tree = mount::clone_tree(CWD, path, true).during(Step::CloneHost, path)?;
    let safe = Attributes { set: mount::NOSUID | mount::NOEXEC | mount::NODEV, ..Attributes::default() };
    mount::set_attributes(&tree, &safe, true).during(Step::CloneHost, path)?;
    Ok(tree)
}

/// Attaches every mount of the plan, in order. `sent` are the parent's: `/dev` first if it is made, then the binds.
pub(super) fn attach_all(plan: &Plan, root: &OwnedFd, sent: Vec<OwnedFd>, taken: TakenOver) -> Result<()> {
    let mut sent = sent.into_iter();
    let dev = if plan.makes_dev() { sent.next() } else { None };
    let mut mounts = Mounts { root, dev, binds: sent, taken };
    plan.mounts.iter().try_for_each(|mount| mounts.attach(mount))
}

struct Mounts<'a> {
    root: &'a OwnedFd,
    dev: Option<OwnedFd>,
    binds: std::vec::IntoIter<OwnedFd>,
    taken: TakenOver,
}

impl Mounts<'_> {
    fn attach(&mut self, plan: &MountPlan) -> Result<()> {
        let subject = plan.target.display().to_string();
        let missing = || Failure::new(Step::Receive, Errno::PROTO, &subject);
        match &plan.source {
            Source::Bind { .. } => {
                let tree = self.binds.next().ok_or_else(missing)?;
                let is_dir = is_directory(&tree).during(Step::Mount, &subject)?;
                put(self.root, &plan.target, &tree, is_dir)
            }
            Source::Dev(_) => put(self.root, &plan.target, &self.dev.take().ok_or_else(missing)?, true),
            Source::New(file_system) => self.make(plan, file_system),
            Source::Hosts(path) => {
                let index = self.taken.hosts.iter().position(|(name, _)| name == path).ok_or_else(missing)?;
                let (_, tree) = self.taken.hosts.swap_remove(index);
                change(&tree, &plan.attach).during(Step::Mount, &subject)?;
                put(self.root, &plan.target, &tree, true)
            }
            Source::Cgroup => self.attach_groups(plan),
        }
    }

    fn make(&self, plan: &MountPlan, file_system: &FileSystemPlan) -> Result<()> {
        let subject = plan.target.display().to_string();
        let tree = make_file_system(file_system, plan.attach.own.set).during(Step::Mount, &subject)?;
        if plan.attach.own.propagation != 0 || plan.attach.below.propagation != 0 {
            change(&tree, &plan.attach).during(Step::Mount, &subject)?;
        }
        let target = mount_point(self.root, &plan.target, true, is_kernels(&file_system.kind))?;
        if file_system.copy_up {
            copy_up(&target, &tree).during(Step::CopyUp, &subject)?;
        }
        mount::attach(&tree, &target).during(Step::Mount, &subject)
    }

    /// v2: the group itself. v1 and hybrid: a small tmpfs with a directory for each hierarchy.
    fn attach_groups(&mut self, plan: &MountPlan) -> Result<()> {
        let subject = plan.target.display().to_string();
        let groups = std::mem::take(&mut self.taken.groups);
        if let [(name, _, tree)] = groups.as_slice()
            && name.as_os_str().is_empty()
        {
            change(tree, &plan.attach).during(Step::Mount, &subject)?;
            return put(self.root, &plan.target, tree, true);
        }
        let shelf = FileSystemPlan {
            kind: "tmpfs".into(),
            data: vec![("mode".into(), Some("755".into()))],
            ..Default::default()
        };
        let shelf =
            make_file_system(&shelf, plan.attach.own.set & !mount::RDONLY).during(Step::Mount, &subject)?;
        put(self.root, &plan.target, &shelf, true)?;
        for (name, aliases, tree) in &groups {
            change(tree, &plan.attach).during(Step::Mount, name.display().to_string())?;
            mkdirat(&shelf, name.as_path(), Mode::from_raw_mode(0o755))
                .during(Step::MountPoint, name.display().to_string())?;
            put(&shelf, name, tree, true)?;
            for alias in aliases {
                symlinkat(name.as_path(), &shelf, alias.as_str()).during(Step::MountPoint, alias)?;
            }
        }
        change(&shelf, &plan.attach).during(Step::Mount, &subject)
    }
}

/// The kernel's own file systems are mounted on a directory that is what it looks like: a link in the
/// image could lead them elsewhere, and the masks with them.
fn is_kernels(kind: &str) -> bool {
    matches!(kind, "proc" | "sysfs")
}

/// A detached mount of a file system made as planned.
pub(crate) fn make_file_system(plan: &FileSystemPlan, attributes: u64) -> rustix::io::Result<OwnedFd> {
    let fs = FileSystem::open(&plan.kind)?;
    if let Some(source) = &plan.source {
        fs.set("source", source.as_str())?;
    }
    for (key, value) in &plan.data {
        match value {
            Some(value) => fs.set(key, value.as_str())?,
            None => fs.flag(key)?,
        }
    }
    fs.mount(attributes)
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

fn put(root: &OwnedFd, target: &Path, tree: &OwnedFd, is_dir: bool) -> Result<()> {
    let target_fd = mount_point(root, target, is_dir, false)?;
    mount::attach(tree, &target_fd).during(Step::Mount, target.display().to_string())
}

/// The mount point in the root, made if it is not there.
fn mount_point(root: &OwnedFd, target: &Path, is_dir: bool, plain: bool) -> Result<OwnedFd> {
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
    let path = if path == Path::new("/") { Path::new(".") } else { path };
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Makes a directory or an empty file, and the directories on the way; links are followed in the root.
fn make_in(root: &OwnedFd, path: &Path, is_dir: bool) -> rustix::io::Result<()> {
    let mut walked = PathBuf::new();
    let parts: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    for (index, part) in parts.iter().enumerate() {
        let parent = open_in(root, if index == 0 { Path::new(".") } else { &walked }, false)?;
        walked.push(part);
        let last = index + 1 == parts.len();
        let made = if last && !is_dir {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, part.as_os_str(), flags, Mode::from_raw_mode(0o644)).map(drop)
        } else {
            mkdirat(&parent, part.as_os_str(), Mode::from_raw_mode(0o755))
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
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
            let source =
                openat(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
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

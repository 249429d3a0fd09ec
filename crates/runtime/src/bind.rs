//! Trees of the host's files, made ready by the parent for the container.

use crate::aside::aside;
use crate::channel::Channel;
use crate::child::change;
use crate::overlay::Mapped;
use crate::plan::{Bind, MountIds, MountPlan, Plan, Source, no_proc};
use crate::{Error, Kind, Result, refused};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::path::{Path, PathBuf};
use sys::mount::{clone_tree, set_id_map};
use sys::proc::{Procfs, is_procfs};
use sys::process::{Birth, Clone3, NamespaceOf, Namespaces, clone3, namespace_of};

impl Plan {
    /// A detached tree for each bind of the plan, in order.
    pub(crate) fn binds(
        &self,
        mapped: Option<Mapped<'_>>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<OwnedFd>> {
        let mut maps = Maps { container: mapped, made: Vec::new() };
        let binds = self.mounts.iter().filter_map(|mount| match &mount.source {
            Source::Bind(bind) => Some((mount, bind)),
            _ => None,
        });
        binds.map(|(mount, bind)| tree(mount, bind, &mut maps, warnings)).collect()
    }
}

fn tree(mount: &MountPlan, bind: &Bind, maps: &mut Maps<'_>, warnings: &mut Vec<String>) -> Result<OwnedFd> {
    let failed = |errno| refused(errno, format!("bind `{}`", bind.path.display()));
    let tree = clone(&bind.path, bind.recursive).map_err(failed)?;
    if mount.target == Path::new("/proc") && !is_procfs(&tree) {
        return Err(no_proc());
    }
    if let Some(ids) = &bind.ids {
        match maps.apply(&tree, ids)? {
            Ok(()) => {}
            Err(_) if ids.optional => warnings.push(format!(
                "the ids of `{}` cannot be mapped on its file system: its files belong to `nobody` in the container",
                bind.path.display()
            )),
            Err(errno) => return Err(unmappable(bind, errno)),
        }
    }
    change(&tree, &mount.attach).map_err(failed)?;
    Ok(tree)
}

fn unmappable(bind: &Bind, errno: Errno) -> Error {
    Error::new(Kind::Unsupported, format!("map the ids of `{}`", bind.path.display())).caused_by(errno)
}

/// User namespaces by whose maps mounts show ids.
struct Maps<'a> {
    container: Option<Mapped<'a>>,
    made: Vec<((String, String), OwnedFd)>,
}

impl Maps<'_> {
    /// The outer failure is of making the map, the inner of the file system to follow it.
    fn apply(&mut self, tree: &OwnedFd, ids: &MountIds) -> Result<rustix::io::Result<()>> {
        let own = match (&ids.maps, &self.container) {
            (None, Some(container)) => return Ok(map_tree(tree, container.userns, ids)),
            (None, None) => return Ok(Err(Errno::INVAL)),
            (Some(own), _) => own,
        };
        if !self.made.iter().any(|(maps, _)| maps == own) {
            self.made.push((own.clone(), user_namespace(own)?));
        }
        let made = self.made.iter().find(|(maps, _)| maps == own);
        Ok(made.map_or(Err(Errno::INVAL), |(_, userns)| map_tree(tree, userns, ids)))
    }
}

/// A whole tree, or where that is a wish only and something below cannot be mapped, its top alone.
fn map_tree(tree: &OwnedFd, userns: impl AsFd, ids: &MountIds) -> rustix::io::Result<()> {
    match set_id_map(tree, &userns, ids.recursive) {
        Err(_) if ids.optional && ids.recursive => set_id_map(tree, &userns, false),
        mapped => mapped,
    }
}

/// A user namespace with these maps and nobody in it.
fn user_namespace((uids, gids): &(String, String)) -> Result<OwnedFd> {
    let failed = |errno| refused(errno, format!("make the id map `{}`", uids.trim_end().replace('\n', ", ")));
    let (ours, theirs) = Channel::pair().map_err(failed)?;
    let how = Clone3 { namespaces: Namespaces::USER, ..Clone3::default() };
    let Birth::Parent { pid, pidfd } = clone3(&how).map_err(failed)? else {
        drop(ours);
        let _ = theirs.receive(); // until the parent is done
        sys::process::exit_now(0)
    };
    drop(theirs);
    let number = pid.as_raw_nonzero();
    let made = Procfs::mounted().and_then(|proc| {
        proc.write(format!("{number}/uid_map"), uids)?;
        proc.write(format!("{number}/gid_map"), gids)?;
        namespace_of(&pidfd, NamespaceOf::User).or_else(|_| {
            open(format!("/proc/{number}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        })
    });
    drop(ours);
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    made.map_err(failed)
}

/// A detached copy of what is to be bound. What lies in another container's mount namespace is copied by a process
/// that goes there.
fn clone(path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    match find(path).and_then(|found| clone_tree(&found, c"", recursive)) {
        Err(Errno::INVAL) => match foreign(path) {
            Some((namespace, inside)) => fetch(&namespace, &inside, recursive),
            None => Err(Errno::INVAL),
        },
        cloned => cloned,
    }
}

/// Opens a source. No link of procfs leads there, such as `/proc/self/exe` or what a descriptor of this process has
/// open (CVE-2019-5736, CVE-2024-21626), unless it is another process's, and named as such.
fn find(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // As a directory first: that mounts what autofs has there.
    let plain = |more| openat2(CWD, path, flags | more, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
    match plain(OFlags::DIRECTORY) {
        Err(Errno::NOTDIR) => plain(OFlags::empty()),
        Err(Errno::LOOP) if is_others(path) => open(path, flags, Mode::empty()),
        found => found,
    }
}

/// Below `/proc/PID` of another process?
fn is_others(path: &Path) -> bool {
    let pid = path.strip_prefix("/proc").ok().and_then(|below| below.components().next());
    let pid = pid.and_then(|pid| pid.as_os_str().to_str()?.parse::<i32>().ok());
    pid.is_some_and(|pid| pid != rustix::process::getpid().as_raw_nonzero().get())
}

/// `/proc/PID/root/…`: the mount namespace, and the path in it.
fn foreign(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parts = path.strip_prefix("/proc").ok()?.components();
    let pid = parts.next()?;
    (parts.next()?.as_os_str() == "root").then_some(())?;
    let namespace = Path::new("/proc").join(pid).join("ns/mnt");
    Some((namespace, Path::new("/").join(parts.as_path())))
}

fn fetch(namespace: &Path, path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let namespace = open(namespace, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    aside(|| {
        sys::process::join_namespace(&namespace, Namespaces::MOUNT)?;
        clone_tree(CWD, path, recursive)
    })
}

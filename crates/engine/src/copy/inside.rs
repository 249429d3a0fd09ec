//! The files of a container as it sees them, whether it runs or not.
//!
//! ```text
//! runs       its mounts, copied from its own namespace: detached, without devices
//! does not   its overlay, mounted for the occasion; its binds and files of /etc over it
//! ```
//! Neither is in any namespace that outlives the one who looks: killed at any moment, nothing is left. Nothing of
//! the container's is executed or loaded: who is in its namespace, a thread, opens `/` and ends.

use super::ids::Ids;
use super::side::Side;
use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use crate::request::{MountRequest, MountSource, RunRequest};
use crate::run::parsed;
use fault::Context;
use runtime::Overlay;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstat};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::{Container, Held, Running, State};
use sys::mount::{self, Attributes};
use sys::process::{Namespaces, join_namespace, unshare};

/// How long somebody else may be at it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// To read all that is in it, mounts too.
    Reading,
    /// To write.
    Writing,
    /// To read its root alone, without what is mounted in it.
    Root,
}

/// A container's files.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) side: Side,
    pub(super) ids: Ids,
    /// Its root was made read-only.
    pub(super) is_sealed: bool,
    _held: Option<Held>,
}

impl Engine {
    /// Opens them. In a thread of the caller's own: its mount namespace changes.
    pub(super) fn inside(&self, text: &str, what: For) -> Result<Inside> {
        let end = Instant::now() + PATIENCE;
        loop {
            let (container, state) = self.container(text)?;
            let opened = match state {
                State::Running(running) => self.inside_running(&container, &running, text, what),
                _ => self.inside_stopped(container, text, what),
            };
            match opened {
                // It starts or ends just now, or somebody else copies.
                Err(error) if *error.kind() == Kind::Conflict && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                other => return other,
            }
        }
    }

    fn inside_running(
        &self,
        container: &Container,
        running: &Running,
        text: &str,
        what: For,
    ) -> Result<Inside> {
        let gone = || Error::new(Kind::Conflict, format!("container {text} is starting or ending"));
        let pid = running.pid.and_then(Pid::from_raw).ok_or_else(gone)?;
        let target = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
        let ids = Ids::of(pid.as_raw_nonzero().get()).map_err(|_| gone())?;
        // While the slot still says so, the process is the container's.
        let now = self.store.slot_of(&container.record.id).map_err(from_store)?;
        if now.and_then(|now| now.pid) != running.pid {
            return Err(gone());
        }
        crate::life::await_first_program(pid).map_err(|_| gone())?;
        let root = mounts_of(&target, what).map_err(|errno| gone().caused_by(errno))?;
        let side = Side { root, container: Some(text.to_owned()) };
        Ok(Inside { side, ids, is_sealed: false, _held: None })
    }

    fn inside_stopped(&self, container: Container, text: &str, what: For) -> Result<Inside> {
        let request: RunRequest = parsed(container.record.request.as_deref(), &container.record.name)?;
        let path = self.store.path().join(container.path());
        let (layers, own) = (container.record.layers.clone(), PathBuf::from(container.path()));
        let below = self.layers_of(&layers)?;
        let is_sealed = request.files.read_only;
        let inside = |root, held| {
            let side = Side { root, container: Some(text.to_owned()) };
            Inside { side, ids: Ids::default(), is_sealed, _held: held }
        };
        if what != For::Writing {
            let lower = [vec![own.join("upper")], below.lower].concat();
            let root = Overlay { lower, ..below }.view().map_err(from_runtime)?;
            if what == For::Root || furnish(&root, &path, &request)? {
                return Ok(inside(root, None));
            }
        }
        let held = container.hold().map_err(from_store)?;
        let upper = Some((own.join("upper"), own.join("work")));
        let root = Overlay { upper, ..self.layers_of(&layers)? }.view().map_err(from_runtime)?;
        furnish(&root, &path, &request)?;
        Ok(inside(root, Some(held)))
    }
}

/// A copy of a process's mounts, or of its root alone, where no device can be opened. Detached: of no namespace.
fn mounts_of(target: &OwnedFd, what: For) -> rustix::io::Result<OwnedFd> {
    let look = || {
        sys::umask::own_zero_umask()?; // so that root and directory are this thread's own, too
        join_namespace(target, Namespaces::MOUNT)?;
        mount::clone_tree(CWD, c"/", what != For::Root)
    };
    let tree = std::thread::scope(|scope| scope.spawn(look).join().unwrap_or(Err(rustix::io::Errno::IO)))?;
    let set = mount::NODEV | if what == For::Writing { 0 } else { mount::RDONLY };
    // Of a peer of the container's mounts, what is unmounted there would go here.
    let private = Attributes { set, propagation: mount::PRIVATE, ..Attributes::default() };
    mount::set_attributes(&tree, &private, true)?;
    Ok(tree)
}

/// Puts a container's mounts where a start would, in a mount namespace of this thread's own. False where a place for one
/// is missing and cannot be made.
fn furnish(root: &OwnedFd, own: &Path, request: &RunRequest) -> Result<bool> {
    let failed = || "mount a container's files".to_owned();
    unshare(Namespaces::MOUNT).or_err(Kind::Failed, failed)?;
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
        .or_err(Kind::Failed, failed)?;
    let etc = ["hostname", "hosts", "resolv.conf"].map(|name| (format!("/etc/{name}"), own.join(name)));
    let etc = etc.into_iter().map(|(target, path)| Ok((target, clone(&path, false)?)));
    let binds = request.files.mounts.iter().filter_map(|mount| bound(mount).transpose());
    let mounts: Vec<_> = etc.chain(binds).collect::<Result<_>>()?;
    let place = rustix::fs::open(own, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    place.and_then(|place| mount::attach(root, place)).or_err(Kind::Failed, failed)?;
    let set = Attributes { set: mount::NODEV, ..Attributes::default() };
    mount::set_attributes(root, &set, false).or_err(Kind::Failed, failed)?;
    let side = Side { root: root.try_clone().or_err(Kind::Failed, failed)?, container: Some(String::new()) };
    for (target, tree) in mounts {
        let Some(place) = place_for(&side, &target, &tree)? else { return Ok(false) };
        mount::attach(&tree, place).or_err(Kind::Failed, failed)?;
    }
    Ok(true)
}

/// A bind's tree; tmpfs is gone with the processes. One whose source is gone is left out: a start would say so.
fn bound(mount: &MountRequest) -> Result<Option<(String, OwnedFd)>> {
    let MountSource::Bind { path, non_recursive, .. } = &mount.source else { return Ok(None) };
    if !path.exists() {
        return Ok(None);
    }
    let tree = clone(path, !non_recursive)?;
    if mount.read_only {
        let set = Attributes { set: mount::RDONLY, ..Attributes::default() };
        mount::set_attributes(&tree, &set, true).or_err(Kind::Failed, || "make a mount read-only".into())?;
    }
    Ok(Some((mount.target.clone(), tree)))
}

fn clone(path: &Path, recursive: bool) -> Result<OwnedFd> {
    let what = || format!("bind `{}`", path.display());
    let tree = mount::clone_tree(CWD, path, recursive).or_err(Kind::Failed, what)?;
    let set = Attributes { set: mount::NODEV, ..Attributes::default() };
    mount::set_attributes(&tree, &set, true).or_err(Kind::Failed, what)?;
    Ok(tree)
}

/// Where a tree goes, made where it is missing; none where it cannot be.
fn place_for(side: &Side, target: &str, tree: &OwnedFd) -> Result<Option<OwnedFd>> {
    let failed = || format!("make `{target}` in a container");
    if let Ok(place) = side.open(target, OFlags::PATH) {
        return Ok(Some(place));
    }
    let is_dir = fstat(tree).is_ok_and(|stat| super::node::kind(&stat).is_dir());
    let mut at = String::new();
    let parts: Vec<_> = target.split('/').filter(|part| !part.is_empty()).collect();
    for (number, part) in parts.iter().enumerate() {
        let dir = side.open(&at, OFlags::PATH | OFlags::DIRECTORY).or_err(Kind::Failed, failed)?;
        let made = match number + 1 < parts.len() || is_dir {
            true => rustix::fs::mkdirat(&dir, *part, Mode::from_raw_mode(0o755)),
            false => rustix::fs::mknodat(
                &dir,
                *part,
                rustix::fs::FileType::RegularFile,
                Mode::from_raw_mode(0o755),
                0,
            ),
        };
        match made {
            Ok(()) | Err(rustix::io::Errno::EXIST) => at = format!("{at}/{part}"),
            Err(rustix::io::Errno::ROFS) => return Ok(None),
            Err(errno) => return Err(errno).or_err(Kind::Failed, failed),
        }
    }
    side.open(&at, OFlags::PATH).map(Some).or_err(Kind::Failed, failed)
}

impl Inside {
    /// The file system of what was made for it in `/dev`, if it is one of its own.
    pub(super) fn devices(&self) -> Option<u64> {
        let dev = self.side.open("/dev", OFlags::PATH | OFlags::DIRECTORY).ok()?;
        if self.side.is_own(dev.as_fd()) { None } else { fstat(&dev).ok().map(|stat| stat.st_dev) }
    }
}

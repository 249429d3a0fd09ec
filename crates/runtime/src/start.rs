//! The parent's side of a start.

use crate::caller::Caller;
use crate::channel::{Channel, Tag};
use crate::child::{AFTER_MAP, Child};
use crate::failure::Failure;
use crate::furnish::{Furniture, Inside};
use crate::gate::Gate;
use crate::hook::Hooks;
use crate::overlay::{Mapped, Rootfs, hold};
use crate::plan::{Join, Plan};
use crate::running::Running;
use crate::{Error, Kind, Result, refused};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, Rlimit};
use sys::proc::Procfs;
use sys::process::{Birth, Clone3, NamespaceOf, clone3};
use sys::tty::Winsize;

/// Where the standard streams lead.
#[derive(Debug)]
pub enum Stdio {
    /// A terminal of the container's own; its size is set if given.
    Terminal(Option<Winsize>),
    /// Standard input, output and error.
    Streams([OwnedFd; 3]),
    /// The caller's own.
    Inherited,
}

/// What a start needs besides the plan.
#[derive(Debug)]
pub struct Start<'a> {
    /// The root file system.
    pub rootfs: Rootfs,
    /// The standard streams; both sides' copies are closed once the child is born.
    pub stdio: Stdio,
    /// The host's control groups; none: the container stays in the caller's.
    pub cgroups: Option<&'a cgroup::Host>,
    /// How it lives with its maker.
    pub manner: Manner,
    /// Who its maker is.
    pub caller: Caller,
}

/// How a container lives with its maker: what is no matter of the `Spec`.
#[derive(Debug, Default)]
pub struct Manner {
    /// Whose it is.
    pub bond: Bond,
    /// How many of the caller's descriptors, from 3 on, the program inherits.
    pub kept: u16,
    /// Instead of pivot_root(2), which a root on a ramdisk refuses, chroot(2).
    pub no_pivot: bool,
    /// The program keeps the caller's session keyring.
    pub keeps_keyring: bool,
    /// The container's hooks; those of the runtime's namespaces are the caller's to run.
    pub hooks: Option<Hooks>,
}

/// Whose a container is.
#[derive(Debug, Default)]
pub enum Bond {
    /// Its maker's: if that dies, the container dies.
    #[default]
    Maker,
    /// Nobody's, from [`Running::let_go`] on. With a gate its program then waits for [`Gate::open`].
    Free(Option<Gate>),
}

impl Plan {
    /// Makes the container and lets its program run.
    ///
    /// The caller must be single-threaded, and is made to keep its capabilities through changes of
    /// its file system ids (SECBIT_NO_SETUID_FIXUP); the child's are its own again. On an error
    /// nothing is left; [`Kind::NotMappable`] means the same plan without id maps may work.
    pub fn start(&self, start: Start<'_>) -> Result<Running> {
        let caller = start.caller;
        self.check_kernel()?;
        self.check_caller(caller)?;
        let cgroup = self.make_cgroup(start.cgroups)?;
        let (ours, theirs) = Channel::pair().map_err(|errno| refused(errno, "make a channel".into()))?;
        let entry = cgroup.as_ref().map(|made| made.entry()).transpose();
        let entry = entry.map_err(|cause| cgroup_error("enter the container's cgroup", cause))?;
        let groups = cgroup.as_ref().map(cgroup::Cgroup::mounts).unwrap_or_default();
        let Start { rootfs, stdio, manner, .. } = start;
        let child = Child { plan: self, stdio, channel: theirs, entry, groups: &groups, manner, caller };
        let (pid, pidfd, ours) = self.bear(ours, child)?;
        sys::step!("runtime.start.cloned");
        let warnings = self.warnings.iter().cloned().chain(self.missing_capabilities()).collect();
        let mut running = Running {
            pid,
            pidfd,
            ours: true,
            channel: Some(ours),
            held: Vec::new(),
            cgroup,
            rdt: None,
            warnings,
        };
        match self.furnish(&mut running, &rootfs, caller) {
            Ok(()) => Ok(running),
            Err(error) => Err(give_up(running, error)),
        }
    }

    fn make_cgroup(&self, host: Option<&cgroup::Host>) -> Result<Option<cgroup::Cgroup>> {
        let (Some(host), Some(path)) = (host, &self.cgroup) else { return Ok(None) };
        host.create(path, &self.resources).map(|made| (!made.is_absent()).then_some(made)).map_err(|cause| {
            let denied = *cause.kind() == cgroup::Kind::Denied;
            let error = cgroup_error(format!("make cgroup `{}`", path.display()), cause);
            if denied {
                error.with_hint("without root, limits need a group that was handed over to the caller")
            } else {
                error
            }
        })
    }

    /// The child is born into namespaces that need no id map; the others it makes itself.
    fn bear(&self, ours: Channel, child: Child<'_>) -> Result<(Pid, OwnedFd, Channel)> {
        let namespaces = self.namespaces.new - AFTER_MAP;
        let joins = &self.namespaces.joins;
        if !joins.is_empty() {
            return crate::child::Joining { joins, namespaces }.bear(ours, child);
        }
        let cgroup = child.entry.as_ref().and_then(cgroup::Entry::directory);
        let how = Clone3 { namespaces, cgroup, sibling: false };
        match clone3(&how).map_err(|errno| not_born(errno, format!("clone with new {namespaces:?}")))? {
            Birth::Child => {
                drop(ours); // or its end would never be heard
                child.run()
            }
            Birth::Parent { pid, pidfd } => Ok((pid, pidfd, ours)),
        }
    }

    fn furnish(&self, running: &mut Running, rootfs: &Rootfs, caller: Caller) -> Result<()> {
        let mount = Self::mount_namespace(running, caller)?;
        self.keep_capabilities(caller)?;
        let channel = running.channel.as_ref().ok_or_else(|| Error::new(Kind::Kernel, "no channel"))?;
        let userns = self.map_ids(running.pid, running.pidfd.as_fd(), caller)?;
        self.set_limits(running.pid)?;
        self.set_oom_score(running.pid)?;
        running.rdt = self.rdt.as_ref().map(|plan| crate::rdt::Rdt::enter(plan, running.pid)).transpose()?;
        if let Some(cgroup) = &running.cgroup {
            cgroup.fetch(running.pid).map_err(|cause| cgroup_error("enter the container's cgroup", cause))?;
        }
        // A child that died has said why: that is heard below, EPIPE here says less.
        told(channel.send(Tag::Mapped, &[]))?;
        self.place(channel, running.pid)?;
        let (uid, gid) = self.host_ids_of_root(running.pid);
        if let (Some(cgroup), true) = (&running.cgroup, self.hands_over_groups()) {
            hand_over(cgroup, uid, caller)?;
        }
        let mapped = userns.as_ref().map(|userns| Mapped { userns: userns.as_fd(), uid, gid });
        let Furniture { mounts, layers, warnings } = match (caller, mapped, &mount) {
            (Caller::Ordinary, Some(Mapped { userns, .. }), Some(mount)) => {
                self.furniture_inside(rootfs, Inside { user: userns, mount: mount.as_fd() })?
            }
            _ => self.furniture(rootfs, mapped, caller)?,
        };
        running.warnings.extend(warnings);
        let borrowed: Vec<BorrowedFd<'_>> = mounts.iter().map(AsFd::as_fd).collect();
        sys::step!("runtime.start.mounts-made");
        told(channel.send_mounts(&borrowed))?;
        running.held.extend(mounts.into_iter().chain(userns).chain(mount));
        // Their mount takes a wait for RCU to go, which is free while the child is at work.
        drop(layers);
        Ok(())
    }

    /// The container's, to be held; an ordinary caller needs it to make mounts in, and must open it before the child
    /// hides.
    fn mount_namespace(running: &Running, caller: Caller) -> Result<Option<OwnedFd>> {
        if caller != Caller::Ordinary {
            return Ok(hold(&running.pidfd));
        }
        namespace(running.pid, running.pidfd.as_fd(), NamespaceOf::Mount)
            .map(Some)
            .map_err(|errno| refused(errno, "open the container's mount namespace".into()))
    }

    fn map_ids(&self, pid: Pid, pidfd: BorrowedFd<'_>, caller: Caller) -> Result<Option<OwnedFd>> {
        if !self.namespaces.has_user() {
            return Ok(None);
        }
        self.write_id_maps(pid, caller)?;
        namespace(pid, pidfd, NamespaceOf::User)
            .map(Some)
            .map_err(|errno| refused(errno, "open the container's user namespace".into()))
    }

    /// Files of a user namespace's root are made by a process that is it for the file system, and yet may everything.
    fn keep_capabilities(&self, caller: Caller) -> Result<()> {
        use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
        if !self.namespaces.has_user() || caller == Caller::Ordinary {
            return Ok(());
        }
        set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)
            .map_err(|errno| refused(errno, "keep capabilities".into()))
    }

    /// Of a user namespace that is joined the kernel knows the map, the specification need not.
    fn host_ids_of_root(&self, pid: Pid) -> (u32, u32) {
        if self.namespaces.id_maps.is_some() || !self.namespaces.has_user() {
            return self.namespaces.host_ids(0, 0);
        }
        (host_root(pid, "uid_map"), host_root(pid, "gid_map"))
    }

    /// What a process in a user namespace may not raise for itself. The limits themselves come last of all: until
    /// then the child is the runtime, whose descriptors and memory are not the program's.
    pub(crate) fn set_limits(&self, pid: Pid) -> Result<()> {
        for &(resource, soft, hard) in &self.process.rlimits {
            let now = rustix::process::getrlimit(resource);
            if now.maximum.is_some_and(|most| most < hard) {
                let raised = Rlimit { current: now.current, maximum: (hard != u64::MAX).then_some(hard) };
                rustix::process::prlimit(Some(pid), resource, raised)
                    .map_err(|errno| not_raised(resource, (soft, hard), errno))?;
            }
        }
        Ok(())
    }

    pub(crate) fn set_oom_score(&self, pid: Pid) -> Result<()> {
        match self.process.oom_score_adj {
            Some(score) => write_proc(pid, "oom_score_adj", &score.to_string()),
            None => Ok(()),
        }
    }

    /// What waits until the child is in its groups and namespaces.
    fn place(&self, channel: &Channel, pid: Pid) -> Result<()> {
        self.schedule(channel, pid)?;
        crate::netdev::move_all(&self.net_devices, pid)
    }

    fn await_arrival(&self, channel: &Channel) -> Result<()> {
        if !self.is_placed() {
            return Ok(());
        }
        let word = channel.receive().map_err(|errno| refused(errno, "hear from the container".into()))?;
        match word {
            Some(word) if word.tag == Tag::Arrived => Ok(()),
            Some(word) => Err(Failure::decode(&word.payload).map_or_else(no_word, Failure::into_error)),
            None => Err(no_word()),
        }
    }

    /// Scheduling that a process in a user namespace may not give itself. A group may have no time for what is
    /// urgent, so this is not before the child has joined it.
    pub(crate) fn schedule(&self, channel: &Channel, pid: Pid) -> Result<()> {
        self.await_arrival(channel)?;
        if let Some(scheduler) = &self.placement.scheduler {
            let failed = |errno| refused(errno, "set `process.scheduler`".into());
            scheduler.set(pid).map_err(failed)?;
        }
        let Some((class, level)) = self.placement.io_priority else { return Ok(()) };
        sys::schedule::set_io_priority(pid, class, level)
            .map_err(|errno| refused(errno, "set `process.ioPriority`".into()))
    }
}

fn cgroup_error(what: impl Into<String>, cause: cgroup::Error) -> Error {
    Error::new(Kind::Cgroup, what).caused_by(cause)
}

/// Only a group that it was to be born into says EACCES, see clone3(2).
pub(crate) fn not_born(errno: Errno, what: String) -> Error {
    match errno {
        Errno::ACCESS => Error::new(Kind::Cgroup, "enter the container's cgroup")
            .caused_by(errno)
            .with_hint("the caller's own group has to be below the one that was handed over, too"),
        errno => refused(errno, what),
    }
}

/// Who may not give files away keeps the group; the container's root then makes none below.
fn hand_over(cgroup: &cgroup::Cgroup, uid: u32, caller: Caller) -> Result<()> {
    match cgroup.delegate(rustix::process::Uid::from_raw(uid)) {
        Err(cause) if caller == Caller::Root || *cause.kind() != cgroup::Kind::Denied => {
            Err(cgroup_error("hand the cgroup over", cause))
        }
        _ => Ok(()),
    }
}

/// A namespace of another process, by its pidfd, or before Linux 6.11 by its id.
fn namespace(pid: Pid, pidfd: BorrowedFd<'_>, which: NamespaceOf) -> rustix::io::Result<OwnedFd> {
    sys::process::namespace_of(pidfd, which).or_else(|_| {
        let name = if which == NamespaceOf::User { "user" } else { "mnt" };
        let path = format!("/proc/{}/ns/{name}", pid.as_raw_nonzero());
        open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    })
}

fn no_word() -> Error {
    Error::new(Kind::Kernel, "the container's process ended early")
}

/// See setrlimit(2), "hard limit"; -1 is none, as users type it.
fn not_raised(resource: rustix::process::Resource, (soft, hard): (u64, u64), errno: Errno) -> Error {
    let shown = |limit: u64| i64::try_from(limit).unwrap_or(-1);
    let name = format!("{resource:?}").to_lowercase();
    refused(errno, format!("raise limit `{name}` to {}:{}", shown(soft), shown(hard)))
        .with_hint("a hard limit above the caller's own takes CAP_SYS_RESOURCE")
}

/// The child's own word is better than our EPIPE.
fn told(sent: rustix::io::Result<()>) -> Result<()> {
    match sent {
        Ok(()) | Err(Errno::PIPE) => Ok(()),
        Err(errno) => Err(refused(errno, "tell the container".into())),
    }
}

/// The host's id of a process's 0, see user_namespaces(7); 0 where it has none.
fn host_root(pid: Pid, map: &str) -> u32 {
    let map = std::fs::read_to_string(format!("/proc/{}/{map}", pid.as_raw_nonzero())).unwrap_or_default();
    let mut words = map.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let host =
        words.find_map(|words| (words.first() == Some(&"0")).then(|| words.get(1)?.parse().ok()).flatten());
    host.unwrap_or(0)
}

pub(crate) fn write_proc(pid: Pid, name: &str, text: &str) -> Result<()> {
    let path = format!("{}/{name}", pid.as_raw_nonzero());
    Procfs::mounted()
        .and_then(|proc| proc.write(path, text))
        .map_err(|errno| refused(errno, format!("write `{}` to the container's {name}", text.trim_end())))
}

/// Ends a container that was born and cannot live. Its own reason, if it gave one, is the better error.
pub(crate) fn give_up(mut running: Running, error: Error) -> Error {
    let _ = running.kill(rustix::process::Signal::KILL.as_raw());
    let error = match running.event() {
        Ok(crate::Event::Failed(own)) => own,
        _ => error,
    };
    match running.wait().and_then(crate::Exited::clean_up) {
        Ok(()) => error,
        Err(also) => error.with_hint(format!("and cleaning up failed: {also}")),
    }
}

/// A namespace of another process, open.
pub(crate) fn open_namespace(join: &Join) -> Result<OwnedFd> {
    open(join.path.as_path(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| refused(errno, format!("open namespace `{}`", join.path.display())))
}

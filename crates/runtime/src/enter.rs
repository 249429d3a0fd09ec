//! One more process for a container that is there.

use crate::caller::Caller;
use crate::channel::Channel;
use crate::child::Child;
use crate::plan::Plan;
use crate::running::Running;
use crate::start::{Bond, Manner, Stdio, give_up, not_born};
use crate::{Result, refused};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::sched_setaffinity;
use sys::process::{Birth, Clone3, Namespaces, clone3, join_namespace};

/// What one more process needs besides the plan.
#[derive(Debug)]
pub struct Enter<'a> {
    /// A process of the container's, whose namespaces are joined.
    pub target: BorrowedFd<'a>,
    /// The standard streams.
    pub stdio: Stdio,
    /// The control group to be in; none: the caller's.
    pub cgroup: Option<&'a cgroup::Cgroup>,
    /// How many of the caller's descriptors, from 3 on, the program inherits.
    pub kept: u16,
}

impl Plan {
    /// Makes one more process of a container: the plan is made of the container's `Spec` with that process in the
    /// place of the first. Its [`Event`](crate::Event)s tell whether the program runs.
    ///
    /// The caller enters the container's pid namespace for all children it makes from now on.
    pub fn enter(&self, enter: Enter<'_>) -> Result<Running> {
        let caller = Caller::now();
        self.check_kernel()?;
        // The child hides at once, and is then no business of an ordinary caller's; it inherits its maker's score.
        let inherits = caller == Caller::Ordinary;
        if inherits {
            self.set_oom_score(rustix::process::getpid())?;
        }
        let (ours, theirs) = Channel::pair().map_err(|errno| refused(errno, "make a channel".into()))?;
        let entry = enter.cgroup.map(cgroup::Cgroup::entry).transpose().map_err(enter_error)?;
        let namespaces = self.namespaces.all();
        let rest = self.enter_for_children(enter.target, namespaces)?;
        let Enter { target, stdio, kept, cgroup } = enter;
        let manner = Manner { kept, bond: Bond::Free(None), ..Manner::default() };
        let child = Child { plan: self, stdio, channel: theirs, entry, groups: &[], manner, caller };
        let (pid, pidfd, ours) = bear(ours, child, target, rest)?;
        let warnings = self.warnings.iter().cloned().chain(self.missing_capabilities()).collect();
        let running = Running {
            pid,
            pidfd,
            ours: true,
            channel: Some(ours),
            held: Vec::new(),
            cgroup: None,
            rdt: None,
            warnings,
        };
        let settled = if inherits { Ok(()) } else { self.set_oom_score(running.pid) };
        match settled.and_then(|()| self.settle(&running, cgroup)) {
            Ok(()) => Ok(running),
            Err(error) => Err(give_up(running, error)),
        }
    }

    fn settle(&self, running: &Running, group: Option<&cgroup::Cgroup>) -> Result<()> {
        self.set_limits(running.pid)?;
        if let Some(group) = group {
            group.fetch(running.pid).map_err(enter_error)?;
        }
        if let Some(cpus) = &self.process.affinity.initial {
            sched_setaffinity(Some(running.pid), cpus)
                .map_err(|errno| refused(errno, "set `process.execCPUAffinity.initial`".into()))?;
        }
        running.let_go()?;
        let Some(channel) = running.channel.as_ref().filter(|_| self.is_placed()) else { return Ok(()) };
        self.schedule(channel, running.pid)?;
        running.let_go()
    }

    /// A pid namespace is entered by children only. Without power over it one must be in its user namespace first;
    /// then that is entered here. What is left to the child comes back.
    fn enter_for_children(&self, target: BorrowedFd<'_>, all: Namespaces) -> Result<Namespaces> {
        if !all.contains(Namespaces::PID) {
            return Ok(all);
        }
        let both = Namespaces::PID | Namespaces::USER;
        match join_namespace(target, Namespaces::PID) {
            Ok(()) => Ok(all - Namespaces::PID),
            Err(Errno::PERM) if all.contains(Namespaces::USER) => {
                join_namespace(target, both).map(|()| all - both)
            }
            Err(errno) => Err(errno),
        }
        .map_err(|errno| refused(errno, "join the container's pid namespace".into()))
    }
}

fn enter_error(cause: cgroup::Error) -> crate::Error {
    crate::Error::new(crate::Kind::Cgroup, "enter the container's cgroup").caused_by(cause)
}

fn bear(
    ours: Channel,
    child: Child<'_>,
    target: BorrowedFd<'_>,
    rest: Namespaces,
) -> Result<(Pid, OwnedFd, Channel)> {
    let cgroup = child.entry.as_ref().and_then(cgroup::Entry::directory);
    let how = Clone3 { namespaces: Namespaces::empty(), cgroup, sibling: false };
    match clone3(&how).map_err(|errno| not_born(errno, "fork".into()))? {
        Birth::Child => {
            drop(ours); // or its end would never be heard
            child.run_inside(target, rest)
        }
        Birth::Parent { pid, pidfd } => Ok((pid, pidfd, ours)),
    }
}

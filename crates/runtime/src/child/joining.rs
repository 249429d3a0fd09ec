//! The stage between, where namespaces of others are joined.
//!
//! A pid namespace is entered only by children, a user namespace cannot be left again, so a process
//! of its own joins, makes the container's process as its *sibling* (CLONE_PARENT), and is gone.

use super::{Child, During, Result};
use crate::channel::{Channel, Tag};
use crate::failure::{Failure, Step};
use crate::plan::Join;
use crate::start::open_namespace;
use crate::{Error, Kind, refused};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use sys::process::{Birth, Clone3, Namespaces, clone3};

/// What is joined, and what is new.
pub(crate) struct Joining<'a> {
    pub(crate) joins: &'a [Join],
    pub(crate) namespaces: Namespaces,
}

impl Joining<'_> {
    /// Bears the child by way of the stage.
    pub(crate) fn bear(&self, ours: Channel, child: Child<'_>) -> crate::Result<(Pid, OwnedFd, Channel)> {
        let opened: Vec<_> = self.joins.iter().map(open_namespace).collect::<crate::Result<_>>()?;
        let stage = clone3(&Clone3::default()).map_err(|errno| refused(errno, "fork".into()))?;
        let Birth::Parent { pidfd: stage, .. } = stage else {
            drop(ours); // or its end would never be heard
            self.run_stage(&opened, child)
        };
        drop(child);
        let born = ours.receive().map_err(|errno| refused(errno, "hear of the container's birth".into()));
        let _ = waitid(WaitId::PidFd(stage.as_fd()), WaitIdOptions::EXITED);
        let message =
            born?.ok_or_else(|| Error::new(Kind::Kernel, "the container's process was not born"))?;
        if message.tag == Tag::Failed {
            let failure = Failure::decode(&message.payload);
            return Err(
                failure.map_or_else(|| Error::new(Kind::Kernel, "join namespaces"), Failure::into_error)
            );
        }
        let pid = message.payload.first_chunk().and_then(|bytes| Pid::from_raw(i32::from_ne_bytes(*bytes)));
        let pidfd = message.descriptors.into_iter().next();
        let (pid, pidfd) =
            pid.zip(pidfd).ok_or_else(|| Error::new(Kind::Kernel, "the container's process is not known"))?;
        Ok((pid, pidfd, ours))
    }

    fn run_stage(&self, opened: &[OwnedFd], child: Child<'_>) -> ! {
        match self.join_and_clone(opened, child.entry.as_ref().and_then(cgroup::Entry::directory)) {
            Ok(Birth::Child) => match self.join_late(opened, &child) {
                Ok(()) => child.run(),
                Err(failure) => {
                    let _ = child.channel.send(Tag::Failed, &failure.encode());
                    sys::process::exit_now(125)
                }
            },
            Ok(Birth::Parent { pid, pidfd }) => {
                let number = pid.as_raw_nonzero().get().to_ne_bytes();
                let _ = child.channel.send_with(Tag::Born, &number, &[pidfd.as_fd()]);
                sys::process::exit_now(0)
            }
            Err(failure) => {
                let _ = child.channel.send(Tag::Failed, &failure.encode());
                sys::process::exit_now(125)
            }
        }
    }

    /// On v2 a group outside of what a cgroup namespace shows cannot be entered from there (`nsdelegate`, see
    /// cgroups(7)): who is born into its group joins that namespace afterwards, with the power it still has.
    fn is_late(&self, join: &Join, is_born_into_group: bool) -> bool {
        let has_user = self.joins.iter().any(|join| join.kind == Namespaces::USER);
        is_born_into_group && join.kind == Namespaces::CGROUP && !has_user
    }

    fn join_late(&self, opened: &[OwnedFd], child: &Child<'_>) -> Result<()> {
        let is_born_into_group = child.entry.as_ref().and_then(cgroup::Entry::directory).is_some();
        let all = self.joins.iter().zip(opened);
        all.filter(|(join, _)| self.is_late(join, is_born_into_group)).try_for_each(|(join, namespace)| {
            let joined = sys::process::join_namespace(namespace, join.kind);
            joined.during(Step::Join, join.path.display().to_string())
        })
    }

    fn join_and_clone(&self, opened: &[OwnedFd], cgroup: Option<BorrowedFd<'_>>) -> Result<Birth> {
        let is_user = |(join, _): &(&Join, &OwnedFd)| join.kind == Namespaces::USER;
        let early = self.joins.iter().zip(opened).filter(|(join, _)| !self.is_late(join, cgroup.is_some()));
        let (user, others): (Vec<_>, Vec<_>) = early.partition(is_user);
        // What the user namespace has no power over is joined before it, the rest from within.
        let mut left = Vec::new();
        for (join, namespace) in others {
            match sys::process::join_namespace(namespace, join.kind) {
                Err(Errno::PERM) if !user.is_empty() => left.push((join, namespace)),
                joined => joined.during(Step::Join, join.path.display().to_string())?,
            }
        }
        for (join, namespace) in user.into_iter().chain(left) {
            let joined = sys::process::join_namespace(namespace, join.kind);
            joined.during(Step::Join, join.path.display().to_string())?;
        }
        let how = Clone3 { namespaces: self.namespaces, cgroup, sibling: true };
        clone3(&how).during(Step::Join, format!("clone with new {:?}", self.namespaces))
    }
}

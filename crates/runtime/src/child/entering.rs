//! From the runtime's namespaces into those of a container that is there.

use super::{Child, During, Result, hide, identity, streams};
use crate::channel::Tag;
use crate::failure::Step;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::thread::sched_setaffinity;
use std::convert::Infallible;
use sys::process::{Namespaces, join_namespace};

impl Child<'_> {
    /// Becomes a program in the target's namespaces, or tells the parent why not and ends.
    pub(crate) fn run_inside(self, target: BorrowedFd<'_>, namespaces: Namespaces) -> ! {
        let failure = match self.enter_container(target, namespaces) {
            Ok(never) => match never {},
            Err(failure) => failure,
        };
        let _ = self.channel.send(Tag::Failed, &failure.encode());
        sys::process::exit_now(125)
    }

    fn enter_container(&self, target: BorrowedFd<'_>, namespaces: Namespaces) -> Result<Infallible> {
        // Before the container's processes can see this one: not even its root may look into its memory or at its
        // descriptors (CVE-2016-9962).
        hide()?;
        self.await_maker()?;
        if let Some(entry) = &self.entry {
            entry.join().during(Step::JoinCgroup, "of the container")?;
        }
        if let Some(cpus) = &self.plan.process.affinity.last {
            sched_setaffinity(None, cpus).during(Step::Affinity, "of the program")?;
        }
        if self.plan.is_placed() {
            self.arrive()?;
            self.await_maker()?;
        }
        if !namespaces.is_empty() {
            join_namespace(target, namespaces).during(Step::Join, format!("{namespaces:?}"))?;
        }
        if self.plan.namespaces.has_user() {
            identity::become_root()?;
        }
        let proc = self.procfs()?;
        let console = self.console()?;
        self.become_user(proc.as_ref(), console)?;
        identity::install_last_filter(self.plan, &self.channel)?;
        Err(self.exec())
    }

    fn console(&self) -> Result<Option<OwnedFd>> {
        let root = openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .during(Step::Console, "/")?;
        streams::terminal(self.plan, &root, &self.stdio, &self.channel)
    }
}

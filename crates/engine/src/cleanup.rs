//! What a process that was killed left behind.
//!
//! Whoever runs a container holds its slot's lock; the kernel lets go of it whatever happens. So the next
//! command finds slots without an owner. A container that lives gets another monitor; what is left of others is ended,
//! and their slots given back.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use crate::life::{Adopted, Left, Notes};
use fault::Context;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::path::Path;
use std::time::Duration;
use store::{Container, ContainerId, DeadSlot, Held};

/// How long a dying process is waited for.
const PATIENCE: u32 = 200;

impl Engine {
    /// Ends and removes what killed processes left. Cheap where there is nothing; where nothing can be written,
    /// it stays.
    pub(crate) fn bury(&self) -> Result<()> {
        match self.try_bury() {
            Err(error) if *error.kind() == Kind::ReadOnly => Ok(()),
            other => other,
        }
    }

    /// A process that was killed between the birth of a container and its program leaves a child with a copy of
    /// the lock. It is dying, too, of the end of their channel: a moment's patience, or the slot would outlast
    /// this command.
    fn try_bury(&self) -> Result<()> {
        self.store.recover().map_err(from_store)?;
        for _ in 0..PATIENCE {
            let found = self.store.abandoned_slots(|running| lives(running.monitor)).map_err(from_store)?;
            let settled = self.see_to(found.dead)?;
            if settled && !found.dying {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What lives gets another monitor, and what does not is buried. False: another look, soon, will see to more.
    fn see_to(&self, mut dead: Vec<DeadSlot>) -> Result<bool> {
        // In the order they come: what has further ranges before these.
        dead.reverse();
        let mut settled = true;
        while let Some(slot) = dead.pop() {
            // Processes of another boot are none of this one's.
            let boot = self.store.boot_id().map_err(from_store)?;
            let running = slot.running.as_ref().filter(|running| running.boot == boot);
            let left = running.map_or(Ok(None), Left::of)?;
            let adopted = match left {
                // A copy of this process would have one thread, and the others' locks.
                Some(_) if sys::process::threads() > 1 => return Ok(true),
                Some(left) => self.adopt(slot, left, &mut dead)?,
                None => Adopted::Gone(slot),
            };
            match adopted {
                Adopted::Done => {}
                Adopted::NotYet => settled = false,
                Adopted::Gone(slot) => self.bury_one(slot)?,
            }
        }
        Ok(settled)
    }

    fn bury_one(&self, slot: DeadSlot) -> Result<()> {
        if let Some(running) = &slot.running {
            if let Some(cgroup) = &running.cgroup {
                self.end_group(Path::new(cgroup))?;
            }
            let mut keepers = Notes::of(running).keepers()?.into_iter();
            keepers
                .try_for_each(|(_, kept)| kept.end())
                .or_err(Kind::Failed, || "end a container's keeper".into())?;
            self.end_container(running)?;
        }
        sys::step!("engine.bury.ended");
        // Of a container that did not live to appear there may be a name.
        self.store.sweep_names(true).map_err(from_store)?;
        slot.release().map_err(from_store)
    }

    /// Kills all that is in the group: the parent-death signal took the first process, and with a pid namespace of
    /// its own all others; without one they may live.
    fn end_group(&self, path: &Path) -> Result<()> {
        let opened = self.cgroups.open(path);
        let Some(group) = opened.map_err(|cause| failed("open a dead container's cgroup", cause))? else {
            return Ok(());
        };
        group.kill_all().map_err(|cause| failed("kill what is left of a container", cause))?;
        group.remove().map_err(|cause| failed("remove a dead container's cgroup", cause))?;
        match path.parent().filter(|parent| *parent != Path::new(crate::run::CGROUP_PARENT)) {
            Some(parent) => {
                self.cgroups.remove_made(parent).map_err(|cause| failed("remove its parent", cause))
            }
            None => Ok(()),
        }
    }

    /// A container with `--rm` goes; of another it is recorded that its end was not seen.
    fn end_container(&self, running: &store::Running) -> Result<()> {
        let container = match self.store.container(&running.container.to_string()) {
            Err(error) if *error.kind() == store::Kind::NotFound => return Ok(()),
            other => other.map_err(from_store)?,
        };
        let held = match container.hold() {
            Err(error) if *error.kind() == store::Kind::InUse => return Ok(()),
            other => other.map_err(from_store)?,
        };
        // In the foreground of who was killed it was killed as well.
        let (code, error) = match Notes::of(running) == Notes::default() {
            true => (137, "the process that ran it was killed"),
            false => (runtime::Status::Unknown.code(), "its monitor was killed: how it ended is not known"),
        };
        let exit = store::Exit {
            code,
            oom: false,
            started: Some(running.started),
            finished: jiff::Timestamp::now(),
            error: Some(error.into()),
            restarts: Notes::of(running).restarts,
        };
        if held.record.remove {
            return self.discard_after(vec![self.event_of(&held, "die").ended(&exit)], held).map(drop);
        }
        held.record_exit(&exit).map_err(from_store)?;
        self.report(self.event_of(&held, "die").ended(&exit));
        Ok(())
    }

    /// Holds a container that has ended. One that has lost its monitor just now has not.
    ///
    /// # Errors
    /// Where somebody else holds it, or it runs.
    pub(crate) fn hold_ended(&self, id: &ContainerId) -> Result<Held> {
        for _ in 0..3 {
            let held = self.store.container(&id.to_string()).and_then(Container::hold).map_err(from_store)?;
            if !self.store.has_slot(id).map_err(from_store)? {
                return Ok(held);
            }
            drop(held);
            self.bury()?;
        }
        Err(Error::new(Kind::Conflict, format!("container `{id}` is running or being changed")))
    }

    /// Removes a container and what it wrote, from the disk as well.
    pub(crate) fn discard(&self, held: Held) -> Result<u64> {
        self.discard_after(Vec::new(), held)
    }

    /// The same, which tells what happened to it before in one go.
    pub(crate) fn discard_after(&self, mut untold: Vec<Event>, held: Held) -> Result<u64> {
        untold.push(self.event_of(&held, "destroy"));
        let bytes = self.store.remove(held).map_err(from_store)?;
        self.report_all(untold);
        Ok(bytes)
    }
}

fn lives(process: i32) -> bool {
    Pid::from_raw(process).is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

fn failed(what: &str, cause: cgroup::Error) -> Error {
    Error::new(Kind::Failed, what).caused_by(cause)
}

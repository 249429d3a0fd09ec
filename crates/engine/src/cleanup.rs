//! What a process that was killed left behind.
//!
//! Whoever runs a container holds its slot's lock; the kernel lets go of it whatever happens. So the next
//! command finds slots without an owner, ends what is left of their containers, and gives the slots back.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::path::Path;
use std::time::Duration;
use store::{DeadSlot, Held, Store};

impl Engine {
    /// Ends and removes what killed processes left. Cheap where there is nothing.
    pub(crate) fn bury(&self) -> Result<()> {
        self.store.recover().map_err(from_store)?;
        await_the_dying(&self.store)?;
        for slot in self.store.dead_slots().map_err(from_store)? {
            self.bury_one(slot)?;
        }
        Ok(())
    }

    fn bury_one(&self, slot: DeadSlot) -> Result<()> {
        if let Some(running) = &slot.running {
            if let Some(cgroup) = &running.cgroup {
                self.end_group(Path::new(cgroup))?;
            }
            self.end_container(running)?;
        }
        sys::step!("engine.bury.ended");
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
        if held.record.remove {
            return self.discard(held);
        }
        let exit = store::Exit {
            code: 137,
            oom: false,
            started: Some(running.started),
            finished: jiff::Timestamp::now(),
            error: Some("the process that ran it was killed".into()),
        };
        held.record_exit(&exit).map_err(from_store)
    }

    /// Removes a container and what it wrote, from the disk as well.
    pub(crate) fn discard(&self, held: Held) -> Result<()> {
        self.store.remove(held).map_err(from_store)?;
        self.store.empty_trash().map(drop).map_err(from_store)
    }
}

/// A process that was killed between the birth of a container and its program leaves a child with a copy of the
/// lock. It is dying, too, of the end of their channel: a moment's patience, or the slot would outlast this command.
fn await_the_dying(store: &Store) -> Result<()> {
    for _ in 0..200 {
        let slots = store.slot_list().map_err(from_store)?;
        let is_gone = |monitor: i32| {
            Pid::from_raw(monitor).is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH))
        };
        if !slots.iter().any(|(running, held)| *held && is_gone(running.monitor)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn failed(what: &str, cause: cgroup::Error) -> Error {
    Error::new(Kind::Failed, what).caused_by(cause)
}

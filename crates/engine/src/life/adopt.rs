//! Containers whose monitor was killed: another takes its place, and they do not notice.

use super::flight::InFlight;
use super::fork::{Fork, fork};
use super::live::live_on;
use super::notes::{Notes, Streams};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::request::RunRequest;
use crate::run::{Owned, keep_capabilities, parsed};
use fault::Context;
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use store::{Container, DeadSlot, Running};
use sys::keep::Kept;

/// What is there of a container that lost its monitor.
#[derive(Debug)]
pub(crate) enum Left {
    /// Its first process, or the keeper that knows how that ended.
    Alive { pid: Pid, first: OwnedFd, streams: Streams, keepers: Vec<Kept>, in_flight: Option<InFlight> },
    /// It waits to be started again.
    Resting,
}

impl Left {
    /// None: there is nothing but to clean up.
    pub(crate) fn of(running: &Running) -> Result<Option<Self>> {
        let notes = Notes::of(running);
        if notes.rest.is_some() {
            return Ok(Some(Self::Resting));
        }
        let Some(pid) = running.pid.and_then(Pid::from_raw) else { return Ok(None) };
        let keepers = notes.keepers()?;
        for (place, keeper) in &keepers {
            if let Some((first, streams)) = notes.take(*place, keeper)? {
                let in_flight = notes.in_flight(*place, keeper);
                let keepers = keepers.into_iter().map(|(_, keeper)| keeper).collect();
                return Ok(Some(Self::Alive { pid, first, streams, keepers, in_flight }));
            }
        }
        let first = notes.first(running)?;
        let alive = |first| Self::Alive {
            pid,
            first,
            streams: Streams::default(),
            keepers: Vec::new(),
            in_flight: None,
        };
        Ok(first.map(alive))
    }
}

/// What came of it.
pub(crate) enum Adopted {
    Done,
    /// Another process holds the container, such as a copy of the monitor that is dying as well.
    NotYet,
    /// The container is not there any more, and its slot is to be cleaned up.
    Gone(DeadSlot),
}

impl Engine {
    /// Gives a container another monitor. `others` are the slots without owners among which its further ones are.
    ///
    /// This process must have a single thread.
    pub(crate) fn adopt(&self, slot: DeadSlot, left: Left, others: &mut Vec<DeadSlot>) -> Result<Adopted> {
        let Some(running) = &slot.running else { return Ok(Adopted::Gone(slot)) };
        let container = match self.store.container(&running.container.to_string()) {
            Err(error) if *error.kind() == store::Kind::NotFound => return Ok(Adopted::Gone(slot)),
            other => other.map_err(from_store)?,
        };
        let name = container.record.name.clone();
        let request: RunRequest = parsed(container.record.request.as_deref(), &name)?;
        let owned = match self.take_over(container, slot, others, &request)? {
            Some(owned) => owned,
            None => return Ok(Adopted::NotYet),
        };
        keep_capabilities()?;
        match fork()? {
            Fork::Maker(heard) => {
                owned.leave();
                drop(left);
                heard.listen(&mut |text| (self.tell)(text)).map_err(Error::from)?;
                (self.tell)(&format!(
                    "the monitor of container `{name}` was killed: another has taken its place"
                ));
                Ok(Adopted::Done)
            }
            Fork::Monitor(word) => {
                live_on(owned, request, left, word);
                sys::process::exit_now(0)
            }
        }
    }

    fn take_over(
        &self,
        container: Container,
        slot: DeadSlot,
        others: &mut Vec<DeadSlot>,
        request: &RunRequest,
    ) -> Result<Option<Owned<'_>>> {
        let held = match container.hold() {
            // Somebody holds it just now: another command will take it over, with all its ids.
            Err(error) if *error.kind() == store::Kind::InUse => {
                let more = slot.running.map(|running| running.more).unwrap_or_default();
                others.retain(|other| !more.contains(&other.number));
                return Ok(None);
            }
            other => other.map_err(from_store)?,
        };
        let slot = slot.revive(others).or_err(Kind::Corrupt, || "take over a container's slot".into())?;
        Ok(Some(self.taken_over(held, slot, request)))
    }
}

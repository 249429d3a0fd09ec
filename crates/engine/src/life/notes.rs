//! What a slot says to who finds it without its monitor, and the process that keeps the container's descriptors.

use super::flight::{Flight, InFlight, Place};
use crate::error::{Kind, Result};
use crate::run::raw;
use fault::Context;
use jiff::Timestamp;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use sys::keep::{Keeper, Kept};

/// Kept as the slot's details.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    /// When the first of its lives in this slot began; see [`run_of`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Timestamp>,
    /// When the first process was born, see [`sys::proc::Stat`]: with its pid it is nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) born: Option<u64>,
    /// The newest first; there are two while one takes the place of the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keepers: Vec<KeeperNote>,
    /// How often its policy had it started again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) restarts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rest: Option<Rest>,
}

/// A container has ended, and its policy is to start it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// When it is started.
    pub until: Timestamp,
    /// Its last exit code.
    pub code: i32,
    /// When it ended.
    pub ended: Timestamp,
}

/// What of a container's restarts is to be shown.
#[derive(Debug, Clone, Default)]
pub struct Restarts {
    /// How many there were.
    pub count: u32,
    /// It waits for the next.
    pub rest: Option<Rest>,
}

impl Restarts {
    /// Of one that runs, or is about to again.
    pub fn of(running: &store::Running) -> Self {
        let Notes { restarts, rest, .. } = Notes::of(running);
        Self { count: restarts, rest }
    }
}

/// The keeper, and the numbers that the descriptors have there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeeperNote {
    pid: i32,
    born: u64,
    first: RawFd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<RawFd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<RawFd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<RawFd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    master: Option<RawFd>,
    /// What the monitor has in its hands is there in its memory.
    flight: Place,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The same for all lives that a policy strings together, whoever watches them; another after a start by hand.
pub(crate) fn run_of(running: &store::Running) -> Timestamp {
    Notes::of(running).run(running)
}

/// The descriptors that a monitor has of its container.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) input: Option<OwnedFd>,
    pub(crate) output: Option<OwnedFd>,
    pub(crate) error: Option<OwnedFd>,
    /// A terminal's, in place of the others.
    pub(crate) master: Option<OwnedFd>,
}

impl Streams {
    /// Those that outlive the monitor: all but an input that ends with the guest who sends it, who is gone then, too.
    fn kept(&self, input_once: bool) -> [Option<&OwnedFd>; 4] {
        let is_terminal = self.master.is_some();
        let input = self.input.as_ref().filter(|_| !is_terminal && !input_once);
        let output = self.output.as_ref().filter(|_| !is_terminal);
        [input, output, self.error.as_ref(), self.master.as_ref()]
    }

    /// Reads from and writes to a terminal.
    pub(crate) fn through(master: OwnedFd) -> rustix::io::Result<Self> {
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        let another = || fcntl_dupfd_cloexec(&master, 3);
        Ok(Self { input: Some(another()?), output: Some(another()?), error: None, master: Some(master) })
    }
}

impl Notes {
    /// Of a slot; nothing where it says nothing.
    pub(crate) fn of(running: &store::Running) -> Self {
        let details = running.details.as_ref().and_then(|details| serde_json::from_str(details.get()).ok());
        details.unwrap_or_default()
    }

    /// See [`run_of`].
    pub(crate) fn run(&self, running: &store::Running) -> Timestamp {
        self.begun.unwrap_or(running.started)
    }

    /// It has ended, and is to be started again.
    pub(crate) fn resting(&self, rest: Rest) -> Self {
        Self { begun: self.begun, restarts: self.restarts, rest: Some(rest), ..Self::default() }
    }

    /// It is started again.
    pub(crate) fn counted(self) -> Self {
        Self { restarts: self.restarts.saturating_add(1), ..self }
    }

    /// Writes them into a slot.
    pub(crate) fn tell(&self, running: &mut store::Running) -> Result<()> {
        running.details = Some(raw(self)?);
        Ok(())
    }

    /// Makes a keeper of the first process and the streams. It goes with this process until it is told to
    /// [stay](sys::keep::Keeper::stay), which is when these notes are where they are found.
    pub(crate) fn keep(
        &mut self,
        started: Timestamp,
        (pid, first): (Pid, BorrowedFd<'_>),
        streams: &Streams,
        input_once: bool,
        flight: &Flight,
    ) -> Result<Keeper> {
        let failed = || "keep the container's streams".to_owned();
        let streams = streams.kept(input_once);
        let all = streams.into_iter().flatten().map(AsFd::as_fd).chain([first]);
        let keeper = sys::keep::keep(&all.collect::<Vec<_>>(), "hull-keep").or_err(Kind::Failed, failed)?;
        let born = |pid: Pid| sys::proc::stat(pid.as_raw_nonzero().get()).or_err(Kind::Failed, failed);
        let [input, output, error, master] = streams.map(|fd| fd.map(AsRawFd::as_raw_fd));
        self.rest = None;
        self.begun.get_or_insert(started);
        // Of one that is taken over it is known; ours may be dead already, and is not reaped.
        if self.born.is_none() {
            self.born = Some(born(pid)?.born);
        }
        let note = KeeperNote {
            pid: keeper.pid().as_raw_nonzero().get(),
            born: born(keeper.pid())?.born,
            first: first.as_raw_fd(),
            input,
            output,
            error,
            master,
            flight: flight.place(),
        };
        self.keepers.insert(0, note);
        Ok(keeper)
    }

    /// The first process, if it lives.
    pub(crate) fn first(&self, running: &store::Running) -> Result<Option<OwnedFd>> {
        let (Some(born), Some(pid)) = (self.born, running.pid.and_then(Pid::from_raw)) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            other => other.or_err(Kind::Failed, || format!("open process {}", pid.as_raw_nonzero()))?,
        };
        let is_it =
            sys::proc::stat(pid.as_raw_nonzero().get()).is_ok_and(|stat| stat.born == born && stat.lives);
        Ok(is_it.then_some(pidfd))
    }

    /// Those keepers that live, and which they are.
    pub(crate) fn keepers(&self) -> Result<Vec<(usize, Kept)>> {
        let mut all = Vec::new();
        for (place, note) in self.keepers.iter().enumerate() {
            let kept = Kept::open(note.pid, note.born)
                .or_err(Kind::Failed, || format!("open process {}", note.pid))?;
            all.extend(kept.map(|kept| (place, kept)));
        }
        Ok(all)
    }

    /// There is only the newest any more.
    pub(crate) fn forget_keepers(&mut self) {
        self.keepers.truncate(1);
    }

    /// What the killed monitor of this keeper had in its hands.
    pub(crate) fn in_flight(&self, place: usize, keeper: &Kept) -> Option<InFlight> {
        InFlight::of(keeper, &self.keepers.get(place)?.flight)
    }

    /// What the keeper has: a descriptor of the first process, and the streams. None where it has just been killed.
    pub(crate) fn take(&self, place: usize, keeper: &Kept) -> Result<Option<(OwnedFd, Streams)>> {
        match self.try_take(place, keeper) {
            Err(Errno::SRCH) => Ok(None),
            taken => taken.or_err(Kind::Failed, || "take over the container's streams".into()),
        }
    }

    fn try_take(&self, place: usize, keeper: &Kept) -> rustix::io::Result<Option<(OwnedFd, Streams)>> {
        let take = |number: Option<RawFd>| number.map_or(Ok(None), |number| keeper.take(number));
        let Some(note) = self.keepers.get(place) else { return Ok(None) };
        let Some(first) = take(Some(note.first))? else { return Ok(None) };
        let streams = match take(note.master)? {
            Some(master) => Streams::through(master)?,
            None => Streams {
                input: take(note.input)?,
                output: take(note.output)?,
                error: take(note.error)?,
                master: None,
            },
        };
        Ok(Some((first, streams)))
    }
}

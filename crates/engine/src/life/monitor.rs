//! The monitor of one container: its parent, its log, and the host of whoever attaches.
//!
//! One thread, one poll(2) loop. A guest that takes its output slowly slows the container down, as a terminal does;
//! one that is gone is forgotten.

use super::flight::Flight;
use super::fork::Word;
use super::guest::Guest;
use super::log::Log;
use super::notes::{Notes, Streams};
use super::pulse::Pulse;
use super::wire::{self, Tag};
use crate::error::{Error, Kind, Result, from_runtime};
use crate::health::Check;
use crate::request::Stream;
use crate::run::Owned;
use crate::run::waiting::{self, readable};
use cgroup::{Oom, OomNotice};
use fault::Context;
use runtime::{Event, Exited, Running};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, write};
use rustix::termios::Winsize;
use std::time::{Duration, Instant};
use sys::keep::Kept;

/// For a guest that takes nothing, once all has ended.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Monitor {
    door: OwnedFd,
    guests: Vec<Guest>,
    /// Holds the container as well: it goes before that is let go.
    log: Option<Log>,
    /// None between two lives.
    running: Option<Running>,
    streams: Streams,
    /// Keeps the streams, should this end before the container.
    keeper: Option<Kept>,
    /// What is on its way into the log.
    flight: Flight,
    /// What a guest sent and the container has not read.
    typed: Vec<u8>,
    /// Standard input ends with the guest who sends it.
    input_once: bool,
    memory: Option<OomNotice>,
    check: Option<Check>,
    is_kept_up: bool,
    pulse: Option<Pulse>,
    word: Option<Word>,
    /// Why the program never ran.
    failure: Option<Error>,
    /// The first process has ended, and since then somebody last took what was written.
    ended: Option<Instant>,
    /// A guest said that there is something new in the files.
    is_told: bool,
}

/// How a life ended.
pub(crate) struct Over {
    pub(crate) exited: Exited,
    pub(crate) failure: Option<Error>,
    pub(crate) lost: Option<Error>,
}

/// What the loop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Memory,
    Probe,
    End,
    Child,
    Door,
    Output,
    Error,
    Input,
    /// The log's server takes more.
    Log,
    /// A guest by its place, that says something or takes something.
    Guest(usize),
}

/// What a monitor attends to, from the beginning of a life or from somewhere in it.
pub(crate) struct Attended {
    pub(crate) running: Running,
    pub(crate) streams: Streams,
    pub(crate) log: Log,
    pub(crate) check: Option<Check>,
    /// It has a restart policy.
    pub(crate) is_kept_up: bool,
}

impl Monitor {
    pub(crate) fn new(
        door: OwnedFd,
        guests: Vec<Guest>,
        input_once: bool,
        first: Attended,
        word: Word,
    ) -> Self {
        let Attended { running, streams, log, check, is_kept_up } = first;
        let (running, log) = (Some(running), Some(log));
        Self { guests, log, input_once, running, streams, check, is_kept_up, ..Self::resting(door, word) }
    }

    /// One that begins between two lives.
    pub(crate) fn resting(door: OwnedFd, word: Word) -> Self {
        Self {
            door,
            guests: Vec::new(),
            log: None,
            running: None,
            streams: Streams::default(),
            keeper: None,
            flight: Flight::new(),
            typed: Vec::new(),
            input_once: false,
            memory: None,
            check: None,
            is_kept_up: false,
            pulse: None,
            word: Some(word),
            failure: None,
            ended: None,
            is_told: false,
        }
    }

    /// Takes on the next life.
    pub(crate) fn take_on(&mut self, next: Attended) {
        let Attended { running, streams, log, check, is_kept_up } = next;
        (self.running, self.streams) = (Some(running), streams);
        (self.log, self.check, self.is_kept_up) = (Some(log), check, is_kept_up);
    }

    /// Runs until the container has ended and its output is through.
    pub(crate) fn attend(&mut self, owned: &mut Owned<'_>) -> Result<Over> {
        while !self.turn(owned)? {}
        self.pulse.take().into_iter().for_each(|pulse| pulse.end(owned));
        self.log.iter_mut().for_each(Log::close);
        while self.is_log_behind() {
            let ready = self.wait(None)?;
            self.act(&ready, owned)?;
        }
        let lost = self.log.take().and_then(|mut log| log.finish());
        self.streams = Streams::default();
        self.typed.clear();
        (self.memory, self.ended, self.input_once) = (None, None, false);
        let running = self.running.take().or_err(Kind::Failed, || "nothing runs".into())?;
        let exited = running.wait().map_err(from_runtime)?;
        Ok(Over { exited, failure: self.failure.take(), lost })
    }

    /// The end is recorded: nobody needs the streams, or the first process's status, any more.
    pub(crate) fn end_keeper(&mut self) -> Result<()> {
        self.keeper
            .take()
            .map_or(Ok(()), Kept::end)
            .or_err(Kind::Failed, || "end the container's keeper".into())
    }

    /// It was begun by another, and its program runs.
    pub(crate) fn goes_on(&mut self, owned: &mut Owned<'_>, before: Vec<Kept>) -> Result<()> {
        self.keep(owned)?;
        let ended = before.into_iter().try_for_each(Kept::end);
        ended.or_err(Kind::Failed, || "end the keeper before".into())?;
        let mut notes = Notes::of(owned.running());
        notes.forget_keepers();
        owned.update(|slot| notes.tell(slot))?;
        self.runs(owned, true);
        Ok(())
    }

    /// It was begun by another, and waits for its next start.
    pub(crate) fn rests(&mut self) {
        self.word.take().into_iter().for_each(|word| word.runs(0));
    }

    /// Waits until a moment; less if there is something new in the files.
    pub(crate) fn rest(&mut self, until: Instant, owned: &mut Owned<'_>) -> Result<()> {
        self.is_told = false;
        while !self.is_told && Instant::now() < until {
            let patience = until.saturating_duration_since(Instant::now());
            let ready = self.wait(Some(patience))?;
            self.act(&ready, owned)?;
        }
        Ok(())
    }

    /// All that are there are told of the end.
    pub(crate) fn part(&mut self, code: i32) {
        self.guests.drain(..).for_each(|guest| guest.part(code));
    }

    /// Who waits for a program that never ran.
    pub(crate) fn word(&mut self) -> Option<Word> {
        self.word.take()
    }

    fn turn(&mut self, owned: &mut Owned<'_>) -> Result<bool> {
        let ready = self.wait(self.patience())?;
        self.act(&ready, owned)?;
        self.pulse.as_mut().into_iter().for_each(|pulse| pulse.beat(owned));
        if ready.contains(&Awaited::End) {
            self.ended = Some(Instant::now());
        }
        let Some(since) = self.ended else { return Ok(false) };
        if self.is_held_up() {
            match ready.is_empty() && since.elapsed() >= PATIENCE {
                true => self.guests.retain(|guest| !guest.is_behind()),
                false if !ready.is_empty() => self.ended = Some(Instant::now()),
                false => {}
            }
            return Ok(false);
        }
        // What was written before the end is in the pipes: nothing more to come, nothing on its way.
        Ok(!ready.iter().any(|what| matches!(what, Awaited::Child | Awaited::Output | Awaited::Error)))
    }

    /// How long there may be nothing to do.
    fn patience(&self) -> Option<Duration> {
        match self.ended {
            Some(since) if self.guests.iter().any(Guest::is_behind) => {
                Some(PATIENCE.saturating_sub(since.elapsed()))
            }
            // The log knows how long it waits.
            Some(_) => (!self.is_log_behind()).then_some(Duration::ZERO),
            None => self.pulse.as_ref().and_then(Pulse::rests),
        }
    }

    fn act(&mut self, ready: &[Awaited], owned: &mut Owned<'_>) -> Result<()> {
        for what in ready {
            match *what {
                Awaited::End | Awaited::Log => {}
                Awaited::Child => self.hear_child(owned)?,
                Awaited::Memory => self.look_at_memory(owned),
                Awaited::Probe => self.pulse.as_mut().into_iter().for_each(|pulse| pulse.take(owned)),
                Awaited::Door => self.let_in()?,
                Awaited::Output => self.pass(Stream::Stdout)?,
                Awaited::Error => self.pass(Stream::Stderr)?,
                Awaited::Input => self.type_in(),
                Awaited::Guest(place) => self.attend_to(place),
            }
        }
        self.log.iter_mut().for_each(Log::go_on);
        self.guests.retain(|guest| !guest.is_gone());
        Ok(())
    }

    /// Somebody has not taken yet what was written: more is not read.
    fn is_held_up(&self) -> bool {
        self.guests.iter().any(Guest::is_behind) || self.is_log_behind()
    }

    fn is_log_behind(&self) -> bool {
        self.log.as_ref().is_some_and(Log::is_behind)
    }

    fn wait(&self, patience: Option<Duration>) -> Result<Vec<Awaited>> {
        let mut polled = vec![readable(Awaited::Door, self.door.as_fd())];
        polled.extend(self.memory.as_ref().map(|notice| readable(Awaited::Memory, notice.as_fd())));
        let probe = self.pulse.as_ref().and_then(Pulse::result);
        polled.extend(probe.map(|result| readable(Awaited::Probe, result)));
        if let Some(running) = &self.running {
            // It stays readable.
            polled.extend(self.ended.is_none().then(|| readable(Awaited::End, running.pidfd())));
            polled.extend(running.channel().map(|channel| readable(Awaited::Child, channel)));
        }
        let Streams { input, output, error, .. } = &self.streams;
        if !self.is_held_up() {
            polled.extend(output.as_ref().map(|from| readable(Awaited::Output, from.as_fd())));
            polled.extend(error.as_ref().map(|from| readable(Awaited::Error, from.as_fd())));
        }
        let has_typed = !self.typed.is_empty();
        let input = input.as_ref().filter(|_| has_typed);
        polled.extend(input.map(|to| (Awaited::Input, PollFd::new(to, PollFlags::OUT))));
        let guests = self.guests.iter().enumerate();
        polled.extend(guests.map(|(place, guest)| (Awaited::Guest(place), guest.poll(!has_typed))));
        let server = self.log.as_ref().and_then(Log::awaited);
        polled.extend(server.map(|to| (Awaited::Log, PollFd::from_borrowed_fd(to, PollFlags::OUT))));
        let patience = patience.into_iter().chain(self.log.as_ref().and_then(Log::patience)).min();
        waiting::wait(polled, patience)
    }
}

impl Monitor {
    fn hear_child(&mut self, owned: &mut Owned<'_>) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        match running.event().map_err(from_runtime)? {
            Event::Ready => self.let_go(owned)?,
            Event::Executed if self.failure.is_none() => {
                owned.begun();
                self.remember(owned);
                self.runs(owned, false);
            }
            // No profile of docker's names a listener, and without one the plan takes none that notifies.
            Event::Executed | Event::Prepared | Event::Listener(_) => {}
            Event::Failed(error) => self.failure = Some(from_runtime(error)),
            Event::Terminal(master) => {
                let taken = Streams::through(master);
                self.streams = taken.or_err(Kind::Failed, || "take over the container's terminal".into())?;
            }
        }
        Ok(())
    }

    /// Where a policy keeps it up, before anybody is told that it runs. What cannot be written matters only at the next
    /// boot of the host.
    fn remember(&self, owned: &mut Owned<'_>) {
        if self.is_kept_up {
            let began = owned.running().started;
            let _ = owned.held().set_begun(began);
        }
    }

    /// From here on the container lives without us, and who comes after us finds it.
    fn let_go(&mut self, owned: &mut Owned<'_>) -> Result<()> {
        self.keep(owned)?;
        self.running.as_ref().map_or(Ok(()), Running::let_go).map_err(from_runtime)
    }

    /// Makes a keeper, and says so in the slot before it stays.
    fn keep(&mut self, owned: &mut Owned<'_>) -> Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let mut notes = Notes::of(owned.running());
        let started = owned.running().started;
        let first = (running.pid(), running.pidfd());
        let keeper = notes.keep(started, first, &self.streams, self.input_once, &self.flight)?;
        sys::step!("engine.life.kept");
        owned.update(|slot| notes.tell(slot))?;
        sys::step!("engine.life.noted");
        let kept = keeper.stay().or_err(Kind::Failed, || "keep the container's streams".into())?;
        self.keeper = Some(kept);
        sys::step!("engine.life.stays");
        Ok(())
    }

    /// From here on there is something to watch.
    fn runs(&mut self, owned: &mut Owned<'_>, goes_on: bool) {
        self.pulse = self.check.take().map(|check| Pulse::new(check, owned, goes_on));
        let group = self.running.as_ref().and_then(Running::cgroup);
        self.memory = group.and_then(|group| group.oom_notice().ok());
        let pid = self.running.as_ref().map_or(0, |running| running.pid().as_raw_nonzero().get());
        self.word.take().into_iter().for_each(|word| word.runs(pid));
        // To start it took more than to watch it does.
        owned.lighten();
        sys::memory::give_back();
    }

    fn look_at_memory(&mut self, owned: &mut Owned<'_>) {
        match self.memory.as_mut().map(OomNotice::look) {
            Some(Oom::Killed(count)) => owned.ran_out_of_memory(count),
            Some(Oom::Gone) => self.memory = None,
            None => {}
        }
    }

    fn let_in(&mut self) -> Result<()> {
        let guest = wire::let_in(&self.door).or_err(Kind::Failed, || "let a guest in".into())?;
        self.guests.extend(guest.map(Guest::new));
        Ok(())
    }

    /// What the container wrote: to the log first, then to the guests.
    fn pass(&mut self, stream: Stream) -> Result<()> {
        let (from, tag, wanted) = match stream {
            Stream::Stderr => (&mut self.streams.error, Tag::ErrorOutput, wire::WANTS_ERROR),
            _ => (&mut self.streams.output, Tag::Output, wire::WANTS_OUTPUT),
        };
        let Some(source) = from.as_ref() else { return Ok(()) };
        let mark = self.log.as_ref().map_or((0, 0), Log::mark);
        let bytes = match self.flight.take(source, stream, mark) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            // EIO: the last process on the terminal is gone, see pty(7).
            Ok([]) | Err(_) => {
                *from = None;
                return Ok(());
            }
            Ok(bytes) => bytes,
        };
        self.log.as_mut().into_iter().for_each(|log| log.write(stream, bytes));
        self.guests.iter_mut().filter(|guest| guest.wants(wanted)).for_each(|guest| guest.give(tag, bytes));
        self.flight.land();
        Ok(())
    }

    fn attend_to(&mut self, place: usize) {
        let Some(guest) = self.guests.get_mut(place) else { return };
        guest.give_again();
        if guest.is_gone() {
            return self.forget(place);
        }
        if !self.typed.is_empty() {
            return;
        }
        match guest.hear() {
            Ok(Some(packet)) => self.obey(place, packet),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(None) | Err(_) => self.forget(place),
        }
    }

    /// What it typed last is still for the container, and after that its standard input may end.
    fn forget(&mut self, place: usize) {
        let guest = &mut self.guests[place];
        let typed = guest.wants(wire::SENDS_INPUT);
        guest.leave();
        if typed && self.input_once && self.streams.master.is_none() {
            self.streams.input = None;
        }
    }

    fn obey(&mut self, place: usize, packet: wire::Packet) {
        let wire::Packet { tag, payload } = packet;
        let has_terminal = self.streams.master.is_some();
        match tag {
            Tag::Hello => self.guests[place].welcome(&payload, has_terminal),
            Tag::Look => self.is_told = true,
            Tag::Input if self.streams.input.is_some() => {
                self.typed = payload;
                self.type_in();
            }
            Tag::InputEnd if !has_terminal && self.input_once => self.streams.input = None,
            Tag::Resize => self.resize(&payload),
            _ => {}
        }
    }

    fn type_in(&mut self) {
        let Some(input) = &self.streams.input else { return self.typed.clear() };
        match write(input, &self.typed) {
            Ok(length) => drop(self.typed.drain(..length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.typed.clear();
                self.streams.input = None;
            }
        }
    }

    fn resize(&self, payload: &[u8]) {
        let (Some(master), &[a, b, c, d]) = (&self.streams.master, payload) else { return };
        let size = Winsize {
            ws_row: u16::from_le_bytes([a, b]),
            ws_col: u16::from_le_bytes([c, d]),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

//! The monitor of one container: its parent, its log, and the host of whoever attaches.
//!
//! One thread, one poll(2) loop. A guest that takes its output slowly slows the container down, as a terminal does;
//! one that is gone is forgotten.

use super::fork::Word;
use super::log::Log;
use super::wire::{self, Tag};
use crate::error::{Error, Kind, Result, from_runtime};
use crate::request::Stream;
use crate::run::Ends;
use crate::run::waiting::{self, readable};
use fault::Context;
use runtime::{Event, Exited, Running};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::termios::Winsize;

/// Who attached.
#[derive(Debug)]
pub(crate) struct Guest {
    socket: OwnedFd,
    /// What it asked for; nothing before its hello.
    wants: u8,
    /// What it has not taken yet.
    pending: Option<(Tag, Vec<u8>)>,
}

impl Guest {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, wants: 0, pending: None }
    }

    /// False: it is gone.
    fn give(&mut self, tag: Tag, bytes: &[u8]) -> bool {
        match wire::say(&self.socket, tag, bytes) {
            Ok(()) => true,
            Err(Errno::AGAIN | Errno::NOBUFS) => {
                self.pending = Some((tag, bytes.to_vec()));
                true
            }
            Err(_) => false,
        }
    }

    fn take_pending(&mut self) -> bool {
        self.pending.take().is_none_or(|(tag, bytes)| self.give(tag, &bytes))
    }

    /// One who is there before the container, and needs no hello.
    pub(crate) fn invited(socket: OwnedFd, wants: u8) -> Self {
        Self { socket, wants, pending: None }
    }

    /// The last thing it hears, if it listens within five seconds.
    pub(crate) fn part(self, code: i32) {
        let patience = rustix::time::Timespec { tv_sec: 5, tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&patience));
        let _ = wire::say(&self.socket, Tag::Ended, &code.to_le_bytes());
    }
}

pub(crate) struct Monitor {
    running: Running,
    log: Log,
    door: OwnedFd,
    guests: Vec<Guest>,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
    input: Option<OwnedFd>,
    /// What a guest sent and the container has not read.
    typed: Vec<u8>,
    master: Option<OwnedFd>,
    /// Standard input ends with the guest who sends it.
    input_once: bool,
    word: Option<Word>,
    /// Why the program never ran.
    failure: Option<Error>,
}

/// How a life ended, and who is still to be told.
pub(crate) struct Over {
    pub(crate) exited: Exited,
    pub(crate) failure: Option<Error>,
    pub(crate) lost: Option<Error>,
    pub(crate) guests: Vec<Guest>,
    /// Where nothing ever ran.
    pub(crate) word: Option<Word>,
}

/// What the loop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    End,
    Child,
    Door,
    Output,
    Error,
    Input,
    /// A guest by its place, that says something or takes something.
    Guest(usize),
}

/// How it is wired.
pub(crate) struct Wiring {
    pub(crate) ends: Ends,
    pub(crate) door: OwnedFd,
    pub(crate) log: Log,
    pub(crate) guests: Vec<Guest>,
    pub(crate) input_once: bool,
}

impl Monitor {
    pub(crate) fn new(running: Running, wiring: Wiring, word: Word) -> Self {
        let Wiring { ends, door, log, guests, input_once } = wiring;
        let Ends { input, output, error, .. } = ends;
        Self {
            running,
            log,
            door,
            guests,
            output,
            error,
            input,
            typed: Vec::new(),
            master: None,
            input_once,
            word: Some(word),
            failure: None,
        }
    }

    /// Runs until the container has ended and its output is through; `begun` is called when its program runs.
    pub(crate) fn attend(mut self, begun: &mut dyn FnMut()) -> Result<Over> {
        while !self.turn(begun)? {}
        let lost = self.log.finish();
        let Self { running, failure, guests, word, .. } = self;
        let exited = running.wait().map_err(from_runtime)?;
        Ok(Over { exited, failure, lost, guests, word })
    }

    fn turn(&mut self, begun: &mut dyn FnMut()) -> Result<bool> {
        let (ready, ended) = self.wait()?;
        let mut idle = true;
        for what in ready {
            match what {
                Awaited::End => {}
                Awaited::Child => self.hear_child(begun)?,
                Awaited::Door => self.let_in()?,
                Awaited::Output => self.pass(Stream::Stdout)?,
                Awaited::Error => self.pass(Stream::Stderr)?,
                Awaited::Input => self.type_in(),
                Awaited::Guest(place) => self.attend_to(place),
            }
            idle &= !matches!(what, Awaited::Child | Awaited::Output | Awaited::Error);
        }
        self.guests.retain(|guest| guest.wants != GONE);
        // What was written before the end is in the pipes: nothing more to come, nothing on its way.
        Ok(ended && idle && !self.is_held_up())
    }

    /// Somebody has not taken yet what was written: more is not read.
    fn is_held_up(&self) -> bool {
        self.guests.iter().any(|guest| guest.pending.is_some())
    }

    fn wait(&self) -> Result<(Vec<Awaited>, bool)> {
        let mut polled =
            vec![readable(Awaited::End, self.running.pidfd()), readable(Awaited::Door, self.door.as_fd())];
        polled.extend(self.running.channel().map(|channel| readable(Awaited::Child, channel)));
        if !self.is_held_up() {
            polled.extend(self.output.as_ref().map(|from| readable(Awaited::Output, from.as_fd())));
            polled.extend(self.error.as_ref().map(|from| readable(Awaited::Error, from.as_fd())));
        }
        let has_typed = !self.typed.is_empty();
        let input = self.input.as_ref().filter(|_| has_typed);
        polled.extend(input.map(|to| (Awaited::Input, PollFd::new(to, PollFlags::OUT))));
        for (place, guest) in self.guests.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !has_typed);
            flags.set(PollFlags::OUT, guest.pending.is_some());
            polled.push((Awaited::Guest(place), PollFd::new(&guest.socket, flags)));
        }
        waiting::wait(polled)
    }
}

/// A guest that wants no more.
const GONE: u8 = u8::MAX;

impl Monitor {
    fn hear_child(&mut self, begun: &mut dyn FnMut()) -> Result<()> {
        match self.running.event().map_err(from_runtime)? {
            Event::Executed => {
                let pid = self.running.pid().as_raw_nonzero().get();
                if self.failure.is_none() {
                    begun();
                }
                let word = self.word.take_if(|_| self.failure.is_none());
                word.into_iter().for_each(|word| word.runs(pid));
            }
            // No profile of docker's names a listener, and without one the plan takes none that notifies.
            Event::Prepared | Event::Ready | Event::Listener(_) => {}
            Event::Failed(error) => self.failure = Some(from_runtime(error)),
            Event::Terminal(master) => self.take_terminal(master)?,
        }
        Ok(())
    }

    fn take_terminal(&mut self, master: OwnedFd) -> Result<()> {
        let failed = || "take over the container's terminal".to_owned();
        let flags = fcntl_getfl(&master).or_err(Kind::Failed, failed)?;
        fcntl_setfl(&master, flags | OFlags::NONBLOCK).or_err(Kind::Failed, failed)?;
        let another = || master.try_clone().or_err(Kind::Failed, failed);
        (self.output, self.input) = (Some(another()?), Some(another()?));
        self.master = Some(master);
        Ok(())
    }

    fn let_in(&mut self) -> Result<()> {
        let guest = wire::let_in(&self.door).or_err(Kind::Failed, || "let a guest in".into())?;
        self.guests.extend(guest.map(Guest::new));
        Ok(())
    }

    /// What the container wrote: to the log first, then to the guests.
    fn pass(&mut self, stream: Stream) -> Result<()> {
        let (from, tag, wanted) = match stream {
            Stream::Stderr => (&mut self.error, Tag::ErrorOutput, wire::WANTS_ERROR),
            _ => (&mut self.output, Tag::Output, wire::WANTS_OUTPUT),
        };
        let Some(source) = from.as_ref() else { return Ok(()) };
        let mut buffer = vec![0; wire::MOST];
        let length = match read(source, &mut buffer) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            // EIO: the last process on the terminal is gone, see pty(7).
            Ok(0) | Err(_) => {
                *from = None;
                return Ok(());
            }
            Ok(length) => length,
        };
        let bytes = &buffer[..length];
        self.log.write(stream, bytes);
        for guest in self.guests.iter_mut().filter(|guest| guest.wants != GONE && guest.wants & wanted != 0) {
            if !guest.give(tag, bytes) {
                guest.wants = GONE;
            }
        }
        Ok(())
    }

    fn attend_to(&mut self, place: usize) {
        let Some(guest) = self.guests.get_mut(place) else { return };
        if guest.pending.is_some() && !guest.take_pending() {
            return self.forget(place);
        }
        if !self.typed.is_empty() {
            return;
        }
        match wire::hear_now(&self.guests[place].socket) {
            Ok(Some(packet)) => self.obey(place, packet),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(None) | Err(_) => self.forget(place),
        }
    }

    /// What it typed last is still for the container, and after that its standard input may end.
    fn forget(&mut self, place: usize) {
        let guest = &mut self.guests[place];
        let typed = guest.wants != GONE && guest.wants & wire::SENDS_INPUT != 0;
        guest.wants = GONE;
        guest.pending = None;
        if typed && self.input_once && self.master.is_none() {
            self.input = None;
        }
    }

    fn obey(&mut self, place: usize, packet: wire::Packet) {
        let wire::Packet { tag, payload } = packet;
        match tag {
            Tag::Hello => {
                let wants = payload.get(1).copied().unwrap_or(0);
                let guest = &mut self.guests[place];
                guest.wants = wants & (wire::WANTS_OUTPUT | wire::WANTS_ERROR | wire::SENDS_INPUT);
                if !guest.give(Tag::Welcome, &[wire::VERSION, u8::from(self.master.is_some())]) {
                    self.forget(place);
                }
            }
            Tag::Input if self.input.is_some() => {
                self.typed = payload;
                self.type_in();
            }
            Tag::InputEnd if self.master.is_none() && self.input_once => self.input = None,
            Tag::Resize => self.resize(&payload),
            _ => {}
        }
    }

    fn type_in(&mut self) {
        let Some(input) = &self.input else { return self.typed.clear() };
        match write(input, &self.typed) {
            Ok(length) => drop(self.typed.drain(..length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.typed.clear();
                self.input = None;
            }
        }
    }

    fn resize(&self, payload: &[u8]) {
        let (Some(master), &[a, b, c, d]) = (&self.master, payload) else { return };
        let size = Winsize {
            ws_row: u16::from_le_bytes([a, b]),
            ws_col: u16::from_le_bytes([c, d]),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

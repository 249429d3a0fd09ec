//! The caller's streams at a container that a monitor keeps.

use super::wire::{self, Tag};
use crate::error::{Error, Kind, Result};
use crate::request::{Stream, StreamsRequest};
use crate::run::{HostStreams, Keys, PATIENCE, Raw, Signals, attaches, size_of};
use fault::Context;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use rustix::process::Signal;

/// How to attach.
#[derive(Debug, Clone)]
pub struct Attaching {
    /// The caller's standard input goes to the container.
    pub input: bool,
    /// Its standard output is shown,
    pub output: bool,
    /// and its standard error.
    pub error: bool,
    /// Signals that come to the caller go to the container.
    pub proxy_signals: bool,
    /// Three interrupts that lead to nothing end the container; otherwise they end this.
    pub orders: bool,
    /// Typed on a terminal they end this and not the container.
    pub detach_keys: Vec<u8>,
}

impl Attaching {
    /// As a foreground run is.
    pub(super) fn of(streams: &StreamsRequest) -> Self {
        Self {
            input: attaches(streams, Stream::Stdin),
            output: attaches(streams, Stream::Stdout),
            error: attaches(streams, Stream::Stderr),
            proxy_signals: streams.proxy_signals,
            orders: true,
            detach_keys: streams.detach_keys.clone(),
        }
    }

    /// Neither to hear nor to say anything, but the end.
    pub(super) fn silent() -> Self {
        Self {
            input: false,
            output: false,
            error: false,
            proxy_signals: false,
            orders: false,
            detach_keys: Vec::new(),
        }
    }

    pub(super) fn wants(&self) -> u8 {
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        bit(self.input, wire::SENDS_INPUT)
            | bit(self.output, wire::WANTS_OUTPUT)
            | bit(self.error, wire::WANTS_ERROR)
    }
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parted {
    /// The container ended, with this exit code.
    Ended(i32),
    /// The caller went, by its keys or signal, and the container goes on.
    Detached,
}

/// A line to a monitor.
pub(super) struct Line {
    pub(super) socket: OwnedFd,
    pub(super) tty: bool,
}

impl Line {
    /// From one that is open, after the greetings.
    pub(super) fn greet(socket: OwnedFd, how: &Attaching) -> Result<Self> {
        let failed = || "speak to the container's monitor".to_owned();
        wire::say(&socket, Tag::Hello, &[wire::VERSION, how.wants()]).or_err(Kind::Failed, failed)?;
        match wire::hear(&socket).or_err(Kind::Failed, failed)? {
            Some(packet) if packet.tag == Tag::Welcome => {
                Ok(Self { socket, tty: packet.payload.get(1) == Some(&1) })
            }
            _ => Err(Error::new(Kind::Conflict, "the container has just ended")),
        }
    }

    /// Moves bytes until one side goes; none where that is the monitor, without a word. `signal` sends one to the
    /// container.
    pub(super) fn converse(
        self,
        how: &Attaching,
        host: HostStreams<'_>,
        signals: &Signals,
        signal: &dyn Fn(i32) -> Result<()>,
    ) -> Result<Option<Parted>> {
        let input = how.input.then_some(host.input);
        let raw = if self.tty && how.input { Raw::enter(host.input) } else { None };
        let keys = Keys::new(&how.detach_keys);
        let mut talk = Talk {
            line: &self,
            how,
            host,
            signals,
            signal,
            input,
            unsent: None,
            keys,
            interrupts: 0,
            _raw: raw,
        };
        talk.resize();
        loop {
            match talk.turn()? {
                Turn::On => {}
                Turn::Lost => return Ok(None),
                Turn::Parted(parted) => return Ok(Some(parted)),
            }
        }
    }
}

/// What came of a turn of the loop.
enum Turn {
    On,
    Parted(Parted),
    /// The monitor is gone.
    Lost,
}

struct Talk<'a> {
    line: &'a Line,
    how: &'a Attaching,
    host: HostStreams<'a>,
    signals: &'a Signals,
    signal: &'a dyn Fn(i32) -> Result<()>,
    input: Option<BorrowedFd<'a>>,
    /// For the monitor, once it has room.
    unsent: Option<(Tag, Vec<u8>)>,
    keys: Keys<'a>,
    interrupts: u32,
    _raw: Option<Raw<'a>>,
}

impl Talk<'_> {
    fn turn(&mut self) -> Result<Turn> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.unsent.is_some());
        let mut fds = vec![
            PollFd::new(&self.line.socket, flags),
            PollFd::from_borrowed_fd(self.signals.descriptor(), PollFlags::IN),
        ];
        let input = self.input.filter(|_| self.unsent.is_none());
        fds.extend(input.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::new(Kind::Failed, "wait for the container").caused_by(errno)),
        }
        let happened: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let (hears, takes) = (fds[0].revents() != PollFlags::OUT, fds[0].revents().contains(PollFlags::OUT));
        if let (true, Some((tag, bytes))) = (takes, self.unsent.take_if(|_| takes)) {
            self.say(tag, &bytes)?;
        }
        if happened[1] {
            for number in self.signals.arrived()? {
                if let Some(parted) = self.take_signal(number)? {
                    return Ok(Turn::Parted(parted));
                }
            }
        }
        if happened.get(2) == Some(&true) && self.send_input()? {
            return Ok(Turn::Parted(Parted::Detached));
        }
        if happened[0] && hears { self.hear() } else { Ok(Turn::On) }
    }

    fn hear(&mut self) -> Result<Turn> {
        let heard = wire::hear(&self.line.socket);
        let Some(packet) = heard.or_err(Kind::Failed, || "hear from the container's monitor".into())? else {
            return Ok(Turn::Lost);
        };
        match packet.tag {
            Tag::Output => put(self.host.output, &packet.payload, "output").map(|()| Turn::On),
            Tag::ErrorOutput => put(self.host.error, &packet.payload, "error").map(|()| Turn::On),
            Tag::Ended => {
                let code = packet.payload.first_chunk().map_or(125, |code| i32::from_le_bytes(*code));
                Ok(Turn::Parted(Parted::Ended(code)))
            }
            _ => Ok(Turn::On),
        }
    }

    /// True: the keys to detach were among what was typed.
    fn send_input(&mut self) -> Result<bool> {
        let Some(input) = self.input else { return Ok(false) };
        let mut buffer = vec![0; wire::MOST];
        let length = match read(input, &mut buffer) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Ok(0) | Err(_) => {
                self.input = None;
                self.say(Tag::InputEnd, &[])?;
                return Ok(false);
            }
            Ok(length) => length,
        };
        buffer.truncate(length);
        let detach = self.line.tty && self.keys.hold_back(&mut buffer);
        if !buffer.is_empty() {
            self.say(Tag::Input, &buffer)?;
        }
        Ok(detach)
    }

    fn take_signal(&mut self, number: i32) -> Result<Option<Parted>> {
        let named = Signal::from_named_raw(number);
        self.interrupts += u32::from(matches!(named, Some(Signal::INT | Signal::TERM)));
        match named {
            Some(Signal::WINCH) => self.resize(),
            Some(Signal::INT | Signal::TERM) if self.interrupts >= PATIENCE => {
                if !self.how.orders {
                    return Ok(Some(Parted::Detached));
                }
                (self.signal)(Signal::KILL.as_raw())?;
            }
            _ if self.how.proxy_signals && !self.line.tty => (self.signal)(number)?,
            Some(Signal::INT | Signal::TERM | Signal::HUP | Signal::QUIT) => {
                return Ok(Some(Parted::Detached));
            }
            _ => {}
        }
        Ok(None)
    }

    fn resize(&self) {
        let Some(size) = size_of(&self.host.all()).filter(|_| self.line.tty) else { return };
        let payload = [size.ws_row.to_le_bytes(), size.ws_col.to_le_bytes()].concat();
        let _ = wire::say(&self.line.socket, Tag::Resize, &payload);
    }

    /// What the monitor has no room for waits, and no more is read until it is gone. A monitor that is gone is told by
    /// the end of what it says.
    fn say(&mut self, tag: Tag, payload: &[u8]) -> Result<()> {
        match wire::say(&self.line.socket, tag, payload) {
            Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => {
                self.unsent = Some((tag, payload.to_vec()));
                Ok(())
            }
            Err(errno) => Err(Error::new(Kind::Failed, "send to the container's monitor").caused_by(errno)),
        }
    }
}

/// Writes all, waiting where the other end is slow.
fn put(to: BorrowedFd<'_>, mut bytes: &[u8], stream: &str) -> Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&to.as_fd(), PollFlags::OUT)], None);
            }
            Err(errno) => {
                let kind = if errno == Errno::PIPE { Kind::OutputClosed } else { Kind::Failed };
                let what = format!("write the container's standard {stream}");
                return Err(Error::new(kind, what).caused_by(errno));
            }
        }
    }
    Ok(())
}

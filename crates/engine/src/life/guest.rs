//! Who attached to a container, as its monitor sees them.

use super::wire::{self, Packet, Tag};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::time::Timespec;

/// How long one that is slow is waited for, when all is over.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Who attached.
#[derive(Debug)]
pub(crate) struct Guest {
    socket: OwnedFd,
    /// What it asked for; nothing before its hello.
    wants: u8,
    /// What it has not taken yet.
    pending: Option<(Tag, Vec<u8>)>,
    gone: bool,
}

impl Guest {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self::invited(socket, 0)
    }

    /// One who is there before the container, and needs no hello.
    pub(crate) fn invited(socket: OwnedFd, wants: u8) -> Self {
        Self { socket, wants, pending: None, gone: false }
    }

    pub(super) fn wants(&self, what: u8) -> bool {
        !self.gone && self.wants & what != 0
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// It has not taken yet what it was given.
    pub(super) fn is_behind(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) fn poll(&self, hears: bool) -> PollFd<'_> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, hears);
        flags.set(PollFlags::OUT, self.is_behind());
        PollFd::new(&self.socket, flags)
    }

    /// What it has no room for is given again once it has.
    pub(super) fn give(&mut self, tag: Tag, bytes: &[u8]) {
        match wire::say(&self.socket, tag, bytes) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::NOBUFS) => self.pending = Some((tag, bytes.to_vec())),
            Err(_) => self.leave(),
        }
    }

    pub(super) fn give_again(&mut self) {
        if let Some((tag, bytes)) = self.pending.take() {
            self.give(tag, &bytes);
        }
    }

    /// What it says now.
    pub(super) fn hear(&self) -> Result<Option<Packet>> {
        wire::hear_now(&self.socket)
    }

    /// Answers its hello, of which this is the payload.
    pub(super) fn welcome(&mut self, hello: &[u8], has_terminal: bool) {
        let wants = hello.get(1).copied().unwrap_or(0);
        self.wants = wants & (wire::WANTS_OUTPUT | wire::WANTS_ERROR | wire::SENDS_INPUT);
        self.give(Tag::Welcome, &[wire::VERSION, u8::from(has_terminal)]);
    }

    pub(super) fn leave(&mut self) {
        self.gone = true;
        self.pending = None;
    }

    /// The last thing it hears, if it listens in time.
    pub(crate) fn part(self, code: i32) {
        let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&PATIENCE));
        let _ = wire::say(&self.socket, Tag::Ended, &code.to_le_bytes());
    }
}

//! Bytes from one descriptor to another, without ever blocking and without losing one.

use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, read, write};
use rustix::pipe::{SpliceFlags, splice};

/// How much is moved at once. A pipe holds as much.
const CHUNK: usize = 64 << 10;

/// After poll(2) said a descriptor is writable, this much does not block, see pipe(7), PIPE_BUF.
const SAFE: usize = 4096;

/// One direction of one stream.
#[derive(Debug)]
pub(super) struct Pump<From, To> {
    from: From,
    to: To,
    buffer: Vec<u8>,
    written: usize,
    way: Way,
    /// There is input, as far as poll(2) knows: now wait for the output to take it.
    ready: bool,
    /// Most bytes of one write.
    most: usize,
}

/// How bytes are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From pipe to pipe, in the kernel.
    Splice,
    /// Through a buffer.
    Copy,
}

/// What a turn of the pump led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something moved, or will.
    On,
    /// No more input.
    Done,
    /// The output takes no more, for this reason.
    Refused(Errno),
}

impl<From: AsFd, To: AsFd> Pump<From, To> {
    /// A pump; `ours` says that the output is a description of our own, set not to block.
    pub(super) fn new(from: From, to: To, ours: bool) -> Self {
        let kind = |fd: BorrowedFd<'_>| fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)).ok();
        let (source, sink) = (kind(from.as_fd()), kind(to.as_fd()));
        let way = match (source, sink) {
            (Some(FileType::Fifo), Some(FileType::Fifo)) => Way::Splice,
            _ => Way::Copy,
        };
        let most = if ours || sink == Some(FileType::RegularFile) { CHUNK } else { SAFE };
        Self { from, to, buffer: Vec::new(), written: 0, way, ready: false, most }
    }

    /// One that lets its bytes be looked at on their way.
    pub(super) fn copying(self) -> Self {
        Self { way: Way::Copy, ..self }
    }

    /// What the pump waits for.
    pub(super) fn poll(&self) -> PollFd<'_> {
        match self.ready {
            false => PollFd::from_borrowed_fd(self.from.as_fd(), PollFlags::IN),
            true => PollFd::from_borrowed_fd(self.to.as_fd(), PollFlags::OUT),
        }
    }

    /// Is there something that waits for the output?
    pub(super) fn is_loaded(&self) -> bool {
        self.ready
    }

    /// The bytes just read and not yet written, for one who looks for a key among them.
    pub(super) fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Moves what can be moved now, after poll(2) said so.
    pub(super) fn turn(&mut self) -> Turn {
        if self.ready { self.unload() } else { self.load() }
    }

    /// Takes in what is there, after poll(2) said so.
    fn load(&mut self) -> Turn {
        if self.way == Way::Splice {
            self.ready = true;
            return Turn::On;
        }
        self.buffer.resize(CHUNK, 0);
        let result = read(&self.from, &mut self.buffer);
        self.buffer.truncate(*result.as_ref().unwrap_or(&0));
        self.written = 0;
        match result {
            Ok(0) => Turn::Done,
            Ok(_) => {
                self.ready = true;
                Turn::On
            }
            Err(Errno::AGAIN | Errno::INTR) => Turn::On,
            // EIO: the last process on the terminal is gone, see pty(7).
            Err(_) => Turn::Done,
        }
    }

    /// Gives out, after poll(2) said so.
    fn unload(&mut self) -> Turn {
        match self.way {
            Way::Splice => self.splice(),
            Way::Copy => self.write(),
        }
    }

    fn splice(&mut self) -> Turn {
        self.ready = false;
        match splice(&self.from, None, &self.to, None, CHUNK, SpliceFlags::NONBLOCK) {
            Ok(0) => Turn::Done,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Turn::On,
            Err(Errno::INVAL) => {
                self.way = Way::Copy; // e.g. a pipe opened for appending
                Turn::On
            }
            Err(errno) => Turn::Refused(errno),
        }
    }

    fn write(&mut self) -> Turn {
        let rest = &self.buffer[self.written..];
        match write(&self.to, &rest[..rest.len().min(self.most)]) {
            Ok(length) => self.written += length,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Turn::Refused(errno),
        }
        self.ready = self.written < self.buffer.len();
        Turn::On
    }
}

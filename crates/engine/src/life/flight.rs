//! What a monitor has taken out of a pipe and not yet put into the log, where its successor finds it.
//!
//! The keeper shares the monitor's memory and outlives it, so this needs no more than addresses that are known. Before
//! each read it is noted how much will be taken and how far the log is; the marker that the buffer begins with tells
//! whether the read had come to it.

use super::wire::MOST;
use crate::request::Stream;
use rustix::fd::AsFd;
use rustix::io::{Result, ioctl_fionread, read};
use std::sync::atomic::{AtomicU64, Ordering};
use sys::keep::Kept;

const IDLE: u64 = 0;
const READS: u64 = 1;
const HAS_READ: u64 = 2;

/// What the allocator maps by itself: pages of it that were never written cost nothing.
const MAPPED: usize = 256 << 10;

/// In the monitor.
#[derive(Debug)]
pub(crate) struct Flight {
    head: Box<Head>,
    bytes: Vec<u8>,
    marker: [u8; 16],
}

/// In this order: a successor reads numbers.
#[derive(Debug, Default)]
#[repr(C)]
struct Head {
    phase: AtomicU64,
    /// 1 for standard error.
    stream: AtomicU64,
    length: AtomicU64,
    mark: [AtomicU64; 2],
}

const NUMBERS: usize = size_of::<Head>() / 8;

/// Where it is, for the notes: the head and the buffer, and what the latter begins with until something was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    head: u64,
    bytes: u64,
    marker: [u8; 16],
}

/// What a killed monitor left in it.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) stream: Stream,
    pub(crate) bytes: Vec<u8>,
    /// How far the log was before.
    pub(crate) mark: (u64, u64),
}

impl Flight {
    pub(crate) fn new() -> Self {
        let mut marker = [0; 16];
        // Without it, what a container writes might look like it, and be lost with the monitor.
        let _ = rustix::rand::getrandom(&mut marker, rustix::rand::GetRandomFlags::empty());
        Self { head: Box::default(), bytes: vec![0; MAPPED], marker }
    }

    pub(crate) fn place(&self) -> Place {
        let address = |pointer: *const u8| pointer.addr() as u64;
        let head = address(std::ptr::from_ref(&*self.head).cast());
        Place { head, bytes: address(self.bytes.as_ptr()), marker: self.marker }
    }

    /// Takes what is in a pipe or terminal; the log is as far as `mark`.
    pub(crate) fn take(&mut self, from: impl AsFd, stream: Stream, mark: (u64, u64)) -> Result<&[u8]> {
        // Nobody else reads, so there will be no less. A terminal does not tell, and the end has nothing.
        let there = ioctl_fionread(&from).map_or(0, |there| there.min(MOST as u64));
        self.bytes[..16].copy_from_slice(&self.marker);
        let stream = u64::from(stream == Stream::Stderr);
        let head = &self.head;
        let all =
            [(&head.stream, stream), (&head.length, there), (&head.mark[0], mark.0), (&head.mark[1], mark.1)];
        all.into_iter().for_each(|(place, number)| place.store(number, Ordering::SeqCst));
        head.phase.store(if there > 0 { READS } else { IDLE }, Ordering::SeqCst);
        let most = if there > 0 { there as usize } else { MOST };
        let length = read(from, &mut self.bytes[..most])
            .inspect_err(|_| self.head.phase.store(IDLE, Ordering::SeqCst))?;
        self.head.length.store(length as u64, Ordering::SeqCst);
        self.head.phase.store(HAS_READ, Ordering::SeqCst);
        Ok(&self.bytes[..length])
    }

    /// It is in the log, or counted as lost.
    pub(crate) fn land(&self) {
        self.head.phase.store(IDLE, Ordering::SeqCst);
    }
}

impl InFlight {
    /// Of a monitor that is gone, by its keeper; none where there is nothing.
    pub(crate) fn of(keeper: &Kept, place: &Place) -> Option<Self> {
        let head = keeper.peek(place.head, NUMBERS * 8).ok()?;
        let number = |at: usize| head[at * 8..].first_chunk().map_or(0, |part| u64::from_ne_bytes(*part));
        let length = (number(2) as usize).min(MOST);
        if number(0) == IDLE || length == 0 {
            return None;
        }
        let bytes = keeper.peek(place.bytes, length).ok()?;
        let begins = length.min(place.marker.len());
        // Not yet read: it is in the pipe still.
        if number(0) == READS && bytes[..begins] == place.marker[..begins] {
            return None;
        }
        let stream = if number(1) == 1 { Stream::Stderr } else { Stream::Stdout };
        Some(Self { stream, bytes, mark: (number(3), number(4)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_what_was_there() {
        let (from, to) = rustix::pipe::pipe().unwrap();
        let mut flight = Flight::new();
        rustix::io::write(&to, b"some words").unwrap();
        assert_eq!(flight.take(&from, Stream::Stderr, (1, 2)).unwrap(), b"some words");
        assert_eq!(flight.head.phase.load(Ordering::SeqCst), HAS_READ);
        flight.land();
        drop(to);
        assert_eq!(flight.take(&from, Stream::Stdout, (1, 2)).unwrap(), b"");
    }
}

//! What a container writes, and the readers of it.
//!
//! A [`Log`] is the writer's end: it takes what was read from a container at one time and gives it to the driver that
//! was asked for. What it is not: a poll loop, or a judge of who may read.
//!
//! ```text
//! Choice (as typed) ─▶ Config ─▶ Log ─▶ hull        CONTAINER/logs/00000001, 00000002 …      ─▶ Reader ─▶ Entry
//!                                    ├▶ json-file   CONTAINER/logs/ID-json.log, .1, .2 …     ─▶ Reader
//!                                    ├▶ journald    a datagram for each line                 ─▶ journalctl's, not ours
//!                                    └▶ syslog      a datagram, or a line of a stream
//! ```
//!
//! The driver `hull`: a log is a row of numbered segments, a segment is a header and records, a record is what one
//! read(2) brought, whole:
//!
//! ```text
//! segment   "hull-log" | version 4 | 0 4 | key 8 | bytes lost 8 | losses 8 | 0 24 | record …
//! record    key 8 | time 8 | length 4 | stream 1 | partial 1 | 0 2 | checksum 4 | bytes … | length 4
//! packed    zstd frames of whole records | a skippable frame: where each begins, and at what time
//! ```
//!
//! All numbers are little-endian, times are nanoseconds since 1970. The last segment is written to. One that was rotated
//! out is packed by a process of its own, so that the writer stays small.
//!
//! There is no index beside it that could be wrong: times never go back and a record is recognised wherever one begins to
//! look, so a time is found by bisection; the length behind each record leads from the end to the last lines.
//!
//! Invariants
//! - Bytes come back as they came, and in the order they came.
//! - A record that is not whole, by a crash or by a disk, is passed over, and the next one is found by the segment's key,
//!   which is random: what a container writes is never taken for a record.
//! - A write is one system call, and nothing is held back: what a writer was given is in the file when it returns.
//! - Whatever cannot be kept is counted, and told in the log as soon as there is room.

mod hull;
mod journald;
mod json;
mod line;
mod log;
mod loss;
mod option;
mod pack;
mod read;
mod record;
mod remote;
mod segment;
mod segments;
mod syslog;
mod tag;
mod tail;
#[cfg(test)]
mod tests;
mod watch;

pub use log::Log;
pub use loss::{Lost, lost};
pub use option::{Choice, Config, Driver};
pub use read::Reader;
pub use tag::{Subject, details};
pub use watch::Watch;

use jiff::Timestamp;

/// Where a log lies in a container's directory.
pub const DIR: &str = "logs";

/// What a caller can decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A driver or an option that makes no sense.
    Invalid,
    /// The driver keeps nothing that could be read.
    NotReadable,
    /// The log's disk or its peer refused.
    Failed,
}

/// Why a log was not opened, written or read.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Where bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Stream {
    /// Standard output, or a terminal.
    #[default]
    Output = 1,
    /// Standard error.
    Error = 2,
    /// Not the container: a note of what was lost.
    Note = 3,
}

impl Stream {
    pub(crate) const ALL: [Self; 3] = [Self::Output, Self::Error, Self::Note];

    pub(crate) fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| *stream as u8 == number)
    }

    /// Its place among [`Self::ALL`].
    pub(crate) fn place(self) -> usize {
        self as usize - 1
    }

    /// docker's name; a note is on standard error.
    pub fn name(self) -> &'static str {
        if self == Self::Output { "stdout" } else { "stderr" }
    }
}

/// What is shown of a log: lines, with their ends, or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// When it was read from the container.
    pub time: Timestamp,
    /// Where it came from.
    pub stream: Stream,
    /// As it came.
    pub text: Vec<u8>,
}

/// A time as records have it.
fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// And back.
fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}

/// Names the operation; the errno is its cause.
fn failed(what: &'static str) -> impl FnOnce() -> String {
    move || what.to_owned()
}

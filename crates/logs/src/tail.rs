//! Where the last lines begin.
//!
//! A line belongs to a stream and is as late as its end. Streams take turns in the middle of lines, so each has a
//! beginning of its own.

use crate::Stream;
use memchr::memrchr;

/// A byte of a log: segment, record, place in the record's text.
pub(crate) type Place = (u64, u64, usize);

/// What is known of a stream, seen from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// No line of it is among the last.
    None,
    /// One is, and its beginning lies further back.
    Within,
    /// All of it from here on.
    From(Place),
}

/// Looks at records from the last to the first.
#[derive(Debug)]
pub(crate) struct Tail {
    wanted: u64,
    known: [Known; 3],
    seen: [bool; 3],
}

impl Tail {
    pub(crate) fn new(lines: u64) -> Self {
        Self { wanted: lines, known: [Known::None; 3], seen: [false; 3] }
    }

    /// Nothing further back matters.
    pub(crate) fn is_found(&self) -> bool {
        self.wanted == 0 && !self.known.contains(&Known::Within)
    }

    /// Takes the record before those that were taken.
    pub(crate) fn take(&mut self, stream: Stream, place: (u64, u64), text: &[u8]) {
        let at = stream.place();
        if !std::mem::replace(&mut self.seen[at], true) && !text.ends_with(b"\n") {
            self.take_line(at);
        }
        let mut rest = text;
        while let Some(end) = memrchr(b'\n', rest) {
            if self.known[at] == Known::Within {
                self.known[at] = Known::From((place.0, place.1, end + 1));
            }
            if self.wanted == 0 {
                return;
            }
            self.take_line(at);
            rest = &rest[..end];
        }
    }

    fn take_line(&mut self, at: usize) {
        if self.wanted > 0 {
            self.wanted -= 1;
            self.known[at] = Known::Within;
        }
    }

    /// Where each stream begins; `end` is where none does.
    pub(crate) fn places(&self, end: Place) -> [Place; 3] {
        self.known.map(|known| match known {
            Known::None => end,
            Known::Within => (0, 0, 0),
            Known::From(place) => place,
        })
    }
}

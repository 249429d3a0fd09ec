//! A record: what was read from a container at one time, and how it is recognised.

use crate::Stream;
use memchr::memmem;
use std::ops::Range;

/// Bytes before a record's own.
pub(crate) const HEAD: usize = 28;

/// Bytes after them.
pub(crate) const TAIL: usize = 4;

/// Most bytes of a record's own. What is longer becomes several.
pub(crate) const MOST: usize = 1 << 20;

/// All but the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) time: i64,
    pub(crate) stream: Stream,
    /// Bytes of its own.
    pub(crate) length: usize,
}

/// What stands before a record's bytes, and after them.
pub(crate) fn frame(key: u64, time: i64, stream: Stream, bytes: &[u8]) -> ([u8; HEAD], [u8; TAIL]) {
    let mut head = [0; HEAD];
    let length = (bytes.len() as u32).to_le_bytes();
    head[..8].copy_from_slice(&key.to_le_bytes());
    head[8..16].copy_from_slice(&time.to_le_bytes());
    head[16..20].copy_from_slice(&length);
    head[20] = stream as u8;
    head[21] = u8::from(!bytes.ends_with(b"\n"));
    let checksum = checksum(&head, bytes);
    head[24..].copy_from_slice(&checksum.to_le_bytes());
    (head, length)
}

/// Of all that is in a record but its key and the checksum itself.
fn checksum(head: &[u8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[8..24]);
    hasher.update(bytes);
    hasher.finalize()
}

/// What a record looks like from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Whole and good.
    Whole(Record),
    /// It goes on after these bytes.
    Short(usize),
    /// None.
    Bad,
}

impl Record {
    /// Looks at bytes that begin where a record may.
    pub(crate) fn look(key: u64, bytes: &[u8]) -> Look {
        let Some(head) = bytes.get(..HEAD) else { return Look::Short(HEAD) };
        let length = number(&head[16..20]) as usize;
        let (Some(stream), true, true) =
            (Stream::of(head[20]), head[..8] == key.to_le_bytes(), length <= MOST)
        else {
            return Look::Bad;
        };
        let record = Self { time: time(&head[8..16]), stream, length };
        match bytes.get(HEAD..record.size()) {
            None => Look::Short(record.size()),
            Some(rest) => {
                let (text, tail) = rest.split_at(length);
                let good = checksum(head, text) == number(&head[24..]) && number(tail) as usize == length;
                if good { Look::Whole(record) } else { Look::Bad }
            }
        }
    }

    /// Bytes in the file.
    pub(crate) fn size(&self) -> usize {
        HEAD + self.length + TAIL
    }

    /// Its own bytes within all of it.
    pub(crate) fn text(&self) -> Range<usize> {
        HEAD..HEAD + self.length
    }
}

/// Where in these bytes a record may begin.
pub(crate) fn find(key: u64, bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, &key.to_le_bytes())
}

/// The length that stands behind a record.
pub(crate) fn length_before(tail: &[u8]) -> usize {
    number(tail) as usize
}

fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

/// Eight bytes as a number.
pub(crate) fn wide(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Eight bytes as a time.
pub(crate) fn time(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_le_bytes)
}

//! A segment, read: from the beginning, from the end, or from a time on.

use crate::pack::Index;
use crate::record::{self, HEAD, Look, Record, TAIL, wide};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Result;
use std::os::unix::fs::FileExt;

/// Where the first record is.
pub(crate) const START: u64 = 64;

const MAGIC: &[u8; 8] = b"hull-log";
const VERSION: u32 = 1;

/// How much is read at once.
const WINDOW: usize = 256 << 10;

/// What stands before the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) key: u64,
    /// Of the whole log, until now.
    pub(crate) lost: [u64; 2],
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; START as usize] {
        let mut bytes = [0; START as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        for (at, number) in [(16, self.key), (24, self.lost[0]), (32, self.lost[1])] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// None where it is not whole, or of a version that is not known.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let known =
            bytes.len() >= START as usize && &bytes[..8] == MAGIC && bytes[8..12] == VERSION.to_le_bytes();
        known.then(|| Self { key: wide(&bytes[16..24]), lost: [wide(&bytes[24..32]), wide(&bytes[32..40])] })
    }
}

/// The name of a segment, and of it packed.
pub(crate) fn name(number: u64, packed: bool) -> String {
    format!("{number:08}{}", if packed { ".zst" } else { "" })
}

/// One that is open.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    key: u64,
    lost: [u64; 2],
    index: Option<Index>,
    /// Bytes from `start` on, as they were when they were read.
    window: Vec<u8>,
    start: u64,
}

impl Segment {
    /// Opens one, packed or not; none where it is gone, or nothing is in it.
    pub(crate) fn open(dir: impl AsFd, number: u64) -> Result<Option<Self>> {
        for packed in [false, true] {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            match openat(&dir, name(number, packed), flags, Mode::empty()) {
                Err(Errno::NOENT) => {}
                file => return Self::of(file?, packed),
            }
        }
        Ok(None)
    }

    /// The same of an open file.
    pub(crate) fn of(file: OwnedFd, packed: bool) -> Result<Option<Self>> {
        let file = File::from(file);
        if packed {
            return Ok(Index::read(&file)?.map(|index| Self::new(file, index.key, [0; 2], Some(index))));
        }
        let mut bytes = [0; START as usize];
        let length = read_at(&file, &mut bytes, 0)?;
        Ok(Header::decode(&bytes[..length]).map(|header| Self::new(file, header.key, header.lost, None)))
    }

    fn new(file: File, key: u64, lost: [u64; 2], index: Option<Index>) -> Self {
        Self { file, key, lost, index, window: Vec::new(), start: 0 }
    }

    /// Bytes and times lost in the whole log until its last change.
    pub(crate) fn lost(&self) -> [u64; 2] {
        self.lost
    }

    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    /// Where it ends by now, as if it were not packed.
    pub(crate) fn end(&self) -> Result<u64> {
        match &self.index {
            Some(index) => Ok(index.end),
            None => Ok(self.file.metadata()?.len().max(START)),
        }
    }

    /// At least so many bytes from here on, if there are.
    fn view(&mut self, at: u64, length: usize) -> Result<&[u8]> {
        let held = at.checked_sub(self.start).and_then(|from| self.window.len().checked_sub(from as usize));
        if held.is_none_or(|held| held < length) {
            self.load(at, length)?;
        }
        Ok(at.checked_sub(self.start).and_then(|from| self.window.get(from as usize..)).unwrap_or_default())
    }

    fn load(&mut self, at: u64, length: usize) -> Result<()> {
        match &self.index {
            Some(index) => self.start = index.unpack(&self.file, at, &mut self.window)?.unwrap_or(at),
            None => {
                self.window.resize(length.max(WINDOW), 0);
                let length = read_at(&self.file, &mut self.window, at)?;
                self.window.truncate(length);
                self.start = at;
            }
        }
        Ok(())
    }

    /// What was read may have been written again.
    fn forget(&mut self) {
        self.window.clear();
    }

    /// The record that begins here, whole.
    fn record_at(&mut self, at: u64) -> Result<Look> {
        let key = self.key;
        match Record::look(key, self.view(at, HEAD)?) {
            Look::Short(size) => Ok(Record::look(key, self.view(at, size)?)),
            look => Ok(look),
        }
    }

    /// The first whole record from here on, and where it begins. None: no more by now.
    pub(crate) fn next(&mut self, at: u64) -> Result<Option<(u64, Record)>> {
        if let Look::Whole(record) = self.record_at(at)? {
            return Ok(Some((at, record)));
        }
        // It is half written, or damaged and more comes after it.
        self.forget();
        let found = self.search(at)?;
        if found.is_some_and(|(there, _)| there != at) {
            self.forget();
            if let Look::Whole(record) = self.record_at(at)? {
                return Ok(Some((at, record)));
            }
        }
        Ok(found)
    }

    fn search(&mut self, mut at: u64) -> Result<Option<(u64, Record)>> {
        let key = self.key;
        loop {
            let view = self.view(at, WINDOW)?;
            let length = view.len() as u64;
            match record::find(key, view) {
                Some(there) => {
                    at += there as u64;
                    if let Look::Whole(record) = self.record_at(at)? {
                        return Ok(Some((at, record)));
                    }
                    at += 1;
                }
                None if length < 8 => return Ok(None),
                None => at += length - 7,
            }
        }
    }

    /// The record that ends here, and where it begins; behind what is damaged the last one before.
    pub(crate) fn previous(&mut self, at: u64) -> Result<Option<(u64, Record)>> {
        if at <= START {
            return Ok(None);
        }
        let length = self.view(at - TAIL as u64, TAIL)?.get(..TAIL).map_or(0, record::length_before);
        let size = (HEAD + length + TAIL) as u64;
        if let Some(start) = at.checked_sub(size).filter(|start| *start >= START) {
            self.look_back(start, size)?;
            if let Look::Whole(record) = self.record_at(start)?
                && record.size() as u64 == size
            {
                return Ok(Some((start, record)));
            }
        }
        self.last_before(at)
    }

    /// Reads what lies before a record with it: what is asked for next.
    fn look_back(&mut self, start: u64, size: u64) -> Result<()> {
        if self.index.is_none() && start < self.start {
            let from = (start + size).saturating_sub(WINDOW as u64).max(START).min(start);
            self.load(from, (start + size - from) as usize)?;
        }
        Ok(())
    }

    fn last_before(&mut self, end: u64) -> Result<Option<(u64, Record)>> {
        let mut back = WINDOW as u64;
        loop {
            let from = end.saturating_sub(back).max(START);
            let (mut at, mut last) = (from, None);
            while let Some((start, record)) = self.next(at)? {
                at = start + record.size() as u64;
                if at > end {
                    break;
                }
                last = Some((start, record));
            }
            if last.is_some() || from == START {
                return Ok(last);
            }
            back *= 4;
        }
    }

    /// Where the first record of this time or a later one is, or the end.
    pub(crate) fn seek(&mut self, time: i64) -> Result<u64> {
        let mut from = match &self.index {
            Some(index) => index.before(time),
            None => self.bisect(time)?,
        };
        while let Some((at, record)) = self.next(from)? {
            if record.time >= time {
                return Ok(at);
            }
            from = at + record.size() as u64;
        }
        Ok(from)
    }

    /// A place before the first record of this time, and not far from it.
    fn bisect(&mut self, time: i64) -> Result<u64> {
        let (mut from, mut to) = (START, self.end()?);
        while to - from > WINDOW as u64 {
            let middle = from + (to - from) / 2;
            match self.next(middle)? {
                Some((at, record)) if at < to && record.time < time => from = at + record.size() as u64,
                _ => to = middle,
            }
        }
        Ok(from)
    }

    /// The time of its first record.
    pub(crate) fn first_time(&mut self) -> Result<Option<i64>> {
        match &self.index {
            Some(index) => Ok(index.first_time()),
            None => Ok(self.next(START)?.map(|(_, record)| record.time)),
        }
    }

    /// All of a record, that was found here.
    pub(crate) fn bytes(&mut self, at: u64, record: &Record) -> Result<&[u8]> {
        let size = record.size();
        self.view(at, size)?.get(..size).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// As much as there is.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

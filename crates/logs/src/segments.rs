//! The reader of hull's own driver: forward through the segments, from wherever it was set.

use crate::record::Record;
use crate::segment::{START, Segment};
use crate::tail::{Place, Tail};
use crate::{DIR, Entry, Kind, Result, failed, nanoseconds, timestamp};
use fault::Context;
use jiff::Timestamp;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::Errno;

/// The log's directory in a container's; none where nothing was ever written.
pub(crate) fn directory(container: impl AsFd) -> std::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(container, DIR, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        dir => Ok(Some(dir?)),
    }
}

/// The segments there are, oldest first.
pub(crate) fn numbers(dir: impl AsFd) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        numbers.extend(name.strip_suffix(".zst").unwrap_or(&name).parse::<u64>());
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// Reads a log from its first record, or from where it was set.
#[derive(Debug)]
pub(crate) struct Segments {
    dir: OwnedFd,
    /// The segment that is read, where it is open.
    segment: Option<Segment>,
    number: u64,
    at: u64,
    /// What lies before is not shown, for each stream.
    from: [Place; 3],
}

impl Segments {
    /// Opens the log in a container's directory; none where nothing was ever written.
    pub(crate) fn open(container: impl AsFd) -> Result<Option<Self>> {
        let dir = directory(container).or_err(Kind::Failed, failed("open the container's log"))?;
        Ok(dir.map(|dir| Self { dir, segment: None, number: 0, at: START, from: [(0, 0, 0); 3] }))
    }

    /// Goes to the first record of this time or a later one.
    pub(crate) fn since(&mut self, time: Timestamp) -> Result<()> {
        self.seek(nanoseconds(time)).or_err(Kind::Failed, failed("read the container's log"))
    }

    /// Goes to where the last lines begin.
    pub(crate) fn tail(&mut self, lines: u64) -> Result<()> {
        self.last_lines(lines).or_err(Kind::Failed, failed("read the container's log"))
    }

    /// The next of what is there by now; false: no more.
    pub(crate) fn next(&mut self, entry: &mut Entry) -> Result<bool> {
        self.advance(entry).or_err(Kind::Failed, failed("read the container's log"))
    }

    /// The first times of segments are in order.
    fn seek(&mut self, time: i64) -> std::io::Result<()> {
        let numbers = numbers(&self.dir)?;
        let (mut from, mut to) = (0, numbers.len());
        while to - from > 1 {
            let middle = (from + to) / 2;
            let first = match Segment::open(&self.dir, numbers[middle])? {
                Some(mut segment) => segment.first_time()?,
                None => None,
            };
            if first.is_some_and(|first| first < time) { from = middle } else { to = middle }
        }
        let Some(number) = numbers.get(from) else { return Ok(()) };
        self.go_to(*number)?;
        if let Some(segment) = &mut self.segment {
            self.at = segment.seek(time)?;
        }
        Ok(())
    }

    fn go_to(&mut self, number: u64) -> std::io::Result<()> {
        self.segment = Segment::open(&self.dir, number)?;
        (self.number, self.at) = (number, START);
        Ok(())
    }

    fn last_lines(&mut self, lines: u64) -> std::io::Result<()> {
        let (mut tail, mut end) = (Tail::new(lines), None);
        for number in numbers(&self.dir)?.into_iter().rev() {
            self.go_to(number)?;
            let Some(segment) = &mut self.segment else { continue };
            let mut at = segment.end()?;
            end = end.or(Some((number, at, 0)));
            while !tail.is_found()
                && let Some((start, record)) = segment.previous(at)?
            {
                let text = segment.bytes(start, &record)?;
                tail.take(record.stream, (number, start), &text[record.text()]);
                at = start;
            }
            self.at = at;
            if tail.is_found() {
                break;
            }
        }
        self.from = tail.places(end.unwrap_or_default());
        // The first that is shown may be later than the last that was looked at.
        let first = self.from.iter().min().copied().unwrap_or_default();
        if first.0 > self.number {
            self.go_to(first.0)?;
        }
        self.at = if first.0 == self.number { first.1.max(START) } else { START };
        Ok(())
    }

    fn advance(&mut self, entry: &mut Entry) -> std::io::Result<bool> {
        loop {
            match self.step()? {
                None => return Ok(false),
                Some((at, record)) if self.show(at, &record, entry)? => return Ok(true),
                Some(_) => {}
            }
        }
    }

    /// Into `entry`, if something of it is shown.
    fn show(&mut self, at: u64, record: &Record, entry: &mut Entry) -> std::io::Result<bool> {
        let (segment, record_at, byte) = self.from[record.stream.place()];
        let place = (self.number, at);
        let skip = if place == (segment, record_at) { byte } else { 0 };
        if place < (segment, record_at) || skip >= record.length {
            return Ok(false);
        }
        let Some(open) = &mut self.segment else { return Ok(false) };
        let text = &open.bytes(at, record)?[record.text()];
        entry.text.clear();
        entry.text.extend_from_slice(&text[skip..]);
        (entry.time, entry.stream) = (timestamp(record.time), record.stream);
        Ok(true)
    }

    /// The next record, in this segment or in those after it.
    fn step(&mut self) -> std::io::Result<Option<(u64, Record)>> {
        loop {
            let found = match &mut self.segment {
                Some(segment) => segment.next(self.at)?,
                None => None,
            };
            if let Some((at, record)) = found {
                self.at = at + record.size() as u64;
                return Ok(Some((at, record)));
            }
            let Some(next) = numbers(&self.dir)?.into_iter().find(|number| *number > self.number) else {
                // It may have been made just now, and have had no header then.
                if self.segment.is_none() && self.number > 0 {
                    self.segment = Segment::open(&self.dir, self.number)?;
                }
                return Ok(None);
            };
            // Nothing is written to a segment once there is another: what came before that is read first.
            if let Some(segment) = &mut self.segment
                && let Some((at, record)) = segment.next(self.at)?
            {
                self.at = at + record.size() as u64;
                return Ok(Some((at, record)));
            }
            self.go_to(next)?;
        }
    }
}

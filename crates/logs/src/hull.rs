//! The writer of hull's own driver.

use crate::loss::Loss;
use crate::pack::{self, Packer};
use crate::record::{self, HEAD, TAIL};
use crate::segment::{Header, START, Segment, name};
use crate::{DIR, Lost, Stream, segments};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, ftruncate, mkdirat, openat, unlinkat};
use rustix::io::{Errno, pwrite, pwritev};
use rustix::rand::{GetRandomFlags, getrandom};
use std::io::{IoSlice, Result};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a segment.
    pub(crate) size: u64,
    /// Segments.
    pub(crate) files: usize,
    /// Those that are rotated out are packed.
    pub(crate) packs: bool,
}

/// Open to be written; there is a file from the first byte on.
#[derive(Debug)]
pub(crate) struct Writer {
    limits: Limits,
    /// The container's directory, and the log's.
    container: OwnedFd,
    dir: Option<OwnedFd>,
    open: Option<Open>,
    /// Of the newest segment there ever was.
    number: u64,
    /// Of the last record: times do not go back.
    last: i64,
    loss: Loss,
    packer: Option<Packer>,
}

/// The segment that is written to.
#[derive(Debug)]
struct Open {
    file: OwnedFd,
    key: u64,
    size: u64,
}

impl Writer {
    /// Goes on where another writer stopped, at whatever byte that was.
    pub(crate) fn open(container: BorrowedFd<'_>, limits: Limits) -> Result<Self> {
        let dir = segments::directory(container)?;
        let container = container.try_clone_to_owned()?;
        let (loss, packer) = (Loss::default(), None);
        let mut writer = Self { limits, container, dir, open: None, number: 0, last: 0, loss, packer };
        if let Some(dir) = &writer.dir {
            let numbers = segments::numbers(dir)?;
            writer.number = numbers.last().copied().unwrap_or(0);
            writer.go_on()?;
        }
        Ok(writer)
    }

    fn go_on(&mut self) -> Result<()> {
        let Some(dir) = self.dir.as_ref().filter(|_| self.number > 0) else { return Ok(()) };
        self.last = last_time(dir)?;
        let Some(mut segment) = Segment::open(dir, self.number)? else { return Ok(()) };
        let end = segment.previous(segment.end()?)?;
        let size = end.map_or(START, |(at, record)| at + record.size() as u64);
        let [bytes, times] = segment.lost();
        self.loss = Loss::of(Lost { bytes, times });
        // One that is packed already is followed by another.
        match openat(
            dir,
            name(self.number, false),
            OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Err(Errno::NOENT) => Ok(()),
            file => {
                let file = file?;
                // What was half written is gone, so that what follows is found at once.
                ftruncate(&file, size)?;
                self.open = Some(Open { file, key: segment.key(), size });
                Ok(())
            }
        }
    }

    /// The number of its last segment, and where that ends.
    pub(crate) fn mark(&self) -> (u64, u64) {
        (self.number, self.open.as_ref().map_or(0, |open| open.size))
    }

    /// A segment that has only begun has nothing in it.
    pub(crate) fn is_past(&self, (number, size): (u64, u64)) -> bool {
        let now = self.mark();
        if now.0 == number { now.1 > size } else { now.1 > START }
    }

    /// Appends what was read at one time: one system call, or a few where a segment is full.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        if let Some(note) = self.loss.note() {
            if let Err(error) = self.append(Stream::Note, note.as_bytes()) {
                self.lose(bytes.len(), None);
                return Err(error);
            }
            self.loss.told();
        }
        let mut kept = 0;
        let done: Result<()> = bytes.chunks(record::MOST).try_for_each(|part| {
            self.append(stream, part)?;
            kept += part.len();
            Ok(())
        });
        if let Err(error) = &done {
            self.lose(bytes.len() - kept, error.raw_os_error().map(std::io::Error::from_raw_os_error));
        }
        done
    }

    /// The end: tells what there was no room to tell, and says what was lost in all.
    pub(crate) fn finish(&mut self) -> Lost {
        if let Some(note) = self.loss.note()
            && self.append(Stream::Note, note.as_bytes()).is_ok()
        {
            self.loss.told();
        }
        self.loss.all
    }

    /// Counts what is lost, also where it can be read: the block is there already.
    pub(crate) fn lose(&mut self, bytes: usize, why: Option<std::io::Error>) {
        self.loss.count(bytes, why);
        if let Some(open) = &self.open {
            let header = Header { key: open.key, lost: [self.loss.all.bytes, self.loss.all.times] };
            let _ = pwrite(&open.file, &header.encode(), 0);
        }
    }

    fn append(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let size = (HEAD + bytes.len() + TAIL) as u64;
        let is_full = |open: &Open| open.size > START && open.size + size > self.limits.size;
        if self.open.as_ref().is_none_or(is_full) {
            self.rotate()?;
        }
        let now = crate::nanoseconds(jiff::Timestamp::now()).max(self.last);
        let Some(open) = &mut self.open else { return Ok(()) };
        let (head, tail) = record::frame(open.key, now, stream, bytes);
        let parts = [&head[..], bytes, &tail[..]];
        if let Err(error) = write_all(&open.file, &parts, open.size) {
            let _ = ftruncate(&open.file, open.size);
            return Err(error);
        }
        open.size += size;
        self.last = now;
        Ok(())
    }

    /// The next segment, after the oldest has made room for it.
    fn rotate(&mut self) -> Result<()> {
        if self.dir.is_none() {
            self.dir = Some(make_directory(&self.container)?);
        }
        let Some(dir) = &self.dir else { return Ok(()) };
        let is_next = self.open.is_some();
        if is_next {
            let numbers = segments::numbers(dir)?;
            let spare = (numbers.len() + 1).saturating_sub(self.limits.files);
            numbers.iter().take(spare).for_each(|number| remove(dir, *number));
        }
        let lost = [self.loss.all.bytes, self.loss.all.times];
        let open = make(dir, self.number + 1, lost)?;
        self.open = Some(open);
        self.number += 1;
        if is_next && self.limits.packs {
            self.pack();
        }
        Ok(())
    }

    /// Packs what is not packed yet, unless that is being done.
    fn pack(&mut self) {
        if self.packer.as_ref().is_some_and(Packer::works) {
            return;
        }
        let (Some(dir), newest) = (&self.dir, self.number) else { return };
        self.packer = Packer::start(dir.as_fd(), |dir| {
            let numbers = segments::numbers(dir).unwrap_or_default();
            for number in numbers.into_iter().filter(|number| *number < newest) {
                if openat(dir, name(number, false), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok() {
                    let _ = pack::pack(dir, number);
                }
            }
        });
    }
}

/// Of the newest record there is.
fn last_time(dir: &OwnedFd) -> Result<i64> {
    for number in segments::numbers(dir)?.into_iter().rev() {
        let Some(mut segment) = Segment::open(dir, number)? else { continue };
        if let Some((_, record)) = segment.previous(segment.end()?)? {
            return Ok(record.time);
        }
    }
    Ok(0)
}

fn remove(dir: &OwnedFd, number: u64) {
    for packed in [false, true] {
        let _ = unlinkat(dir, name(number, packed), AtFlags::empty());
    }
}

/// The log's directory in a container's.
pub(crate) fn make_directory(container: &OwnedFd) -> Result<OwnedFd> {
    match mkdirat(container, DIR, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    segments::directory(container)?.ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

fn make(dir: &OwnedFd, number: u64, lost: [u64; 2]) -> Result<Open> {
    let mut key = [0; 8];
    getrandom(&mut key, GetRandomFlags::empty())?;
    let key = u64::from_le_bytes(key);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(dir, name(number, false), flags, Mode::from_raw_mode(0o640))?;
    match write_all(&file, &[&Header { key, lost }.encode()], 0) {
        Ok(()) => Ok(Open { file, key, size: START }),
        Err(error) => {
            let _ = unlinkat(dir, name(number, false), AtFlags::empty());
            Err(error)
        }
    }
}

/// All of it at an offset; in one call unless the disk gets full in the middle.
fn write_all(file: &OwnedFd, parts: &[&[u8]], at: u64) -> Result<()> {
    let whole: usize = parts.iter().map(|part| part.len()).sum();
    let mut done = 0;
    while done < whole {
        let mut skip = done;
        let rest = parts.iter().map(|part| {
            let (from, length) = (skip.min(part.len()), part.len());
            skip = skip.saturating_sub(length);
            IoSlice::new(&part[from..])
        });
        let mut slices = [const { None }; 3];
        slices.iter_mut().zip(rest).for_each(|(slice, part)| *slice = Some(part));
        let slices = slices.map(|slice| slice.unwrap_or(IoSlice::new(&[])));
        match pwritev(file, &slices, at + done as u64) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(length) => done += length,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

//! Segments that were rotated out, packed: by a process of its own, for the writer is to stay small.

use crate::record::{time, wide};
use crate::segment::{START, Segment, name, read_at};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, fdatasync, flock, openat, renameat, unlinkat};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use sys::process::{Birth, Clone3, clone3, close_all_from, exit_now};

/// Bytes of records in a frame: what one who looks for a time has to unpack.
const FRAME: usize = 512 << 10;

/// Fast before small: text becomes a tenth either way.
const LEVEL: i32 = 1;

/// A skippable frame, see RFC 8878, 3.1.2.
const SKIPPABLE: u32 = 0x184D_2A5E;

/// What ends the file.
const MAGIC: &[u8; 4] = b"hlix";

/// Bytes of an entry of the index, and of what follows them.
const ENTRY: usize = 24;
const LAST: usize = 32;

/// Where the frames of a packed segment are.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) key: u64,
    /// Where the segment ended when it was not packed.
    pub(crate) end: u64,
    frames: Vec<Frame>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Where its records begin, as if nothing were packed.
    start: u64,
    /// Where it begins in the file.
    packed: u64,
    /// Of its first record.
    time: i64,
}

impl Index {
    /// None where there is none: the file is not whole.
    pub(crate) fn read(file: &File) -> Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut last = [0; LAST];
        let Some(at) = length.checked_sub(LAST as u64) else { return Ok(None) };
        if read_at(file, &mut last, at)? < LAST || &last[28..] != MAGIC {
            return Ok(None);
        }
        let count = wide(&last[16..24]) as usize;
        let Some(from) = count.checked_mul(ENTRY).and_then(|size| at.checked_sub(size as u64)) else {
            return Ok(None);
        };
        let mut entries = vec![0; count * ENTRY];
        read_at(file, &mut entries, from)?;
        let mut frames: Vec<_> = entries
            .chunks_exact(ENTRY)
            .map(|bytes| Frame {
                start: wide(&bytes[..8]),
                packed: wide(&bytes[8..16]),
                time: time(&bytes[16..]),
            })
            .collect();
        let end = wide(&last[8..16]);
        frames.push(Frame { start: end, packed: from.saturating_sub(8), time: i64::MAX });
        Ok(Some(Self { key: wide(&last[..8]), end, frames }))
    }

    fn encode(&self) -> Vec<u8> {
        let size = self.frames.len() * ENTRY + LAST;
        let mut bytes = Vec::with_capacity(8 + size);
        bytes.extend(SKIPPABLE.to_le_bytes());
        bytes.extend((size as u32).to_le_bytes());
        for frame in &self.frames {
            bytes.extend(frame.start.to_le_bytes());
            bytes.extend(frame.packed.to_le_bytes());
            bytes.extend(frame.time.to_le_bytes());
        }
        bytes.extend(self.key.to_le_bytes());
        bytes.extend(self.end.to_le_bytes());
        bytes.extend((self.frames.len() as u64).to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(MAGIC);
        bytes
    }

    /// The records of the frame in which `at` lies, into `into`, and where they begin.
    pub(crate) fn unpack(&self, file: &File, at: u64, into: &mut Vec<u8>) -> Result<Option<u64>> {
        into.clear();
        let place = self.frames.partition_point(|frame| frame.start <= at);
        let (Some(frame), Some(next)) =
            (place.checked_sub(1).and_then(|one| self.frames.get(one)), self.frames.get(place))
        else {
            return Ok(None);
        };
        let damaged = || Error::new(ErrorKind::InvalidData, "a packed segment's index is damaged");
        let size =
            next.packed.checked_sub(frame.packed).filter(|size| *size < 1 << 32).ok_or_else(damaged)?;
        let mut packed = vec![0; size as usize];
        read_at(file, &mut packed, frame.packed)?;
        *into = zstd::bulk::decompress(&packed, (next.start - frame.start) as usize)?;
        Ok(Some(frame.start))
    }

    /// Where to look for the first record of this time.
    pub(crate) fn before(&self, time: i64) -> u64 {
        let place = self.frames.partition_point(|frame| frame.time < time);
        self.frames.get(place.saturating_sub(1)).map_or(START, |frame| frame.start)
    }

    pub(crate) fn first_time(&self) -> Option<i64> {
        self.frames.first().map(|frame| frame.time).filter(|time| *time != i64::MAX)
    }
}

/// Packs a segment: what is whole of it.
pub(crate) fn pack(dir: BorrowedFd<'_>, number: u64) -> Result<()> {
    let Some(mut segment) = Segment::open(dir, number)? else { return Ok(()) };
    let (draft, packed, plain) =
        (format!("{}.new", name(number, false)), name(number, true), name(number, false));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(openat(dir, &draft, flags, Mode::from_raw_mode(0o640))?);
    let written = write(&mut segment, &mut file);
    if written.is_err() {
        let _ = unlinkat(dir, &draft, AtFlags::empty());
    }
    written?;
    renameat(dir, &draft, dir, &packed)?;
    // Rotated away meanwhile, it stays away.
    if unlinkat(dir, &plain, AtFlags::empty()).is_err() {
        let _ = unlinkat(dir, &packed, AtFlags::empty());
    }
    Ok(())
}

fn write(segment: &mut Segment, file: &mut File) -> Result<()> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
    let mut index = Index { key: segment.key(), end: START, frames: Vec::new() };
    let (mut at, mut packed, mut records) = (START, 0, Vec::with_capacity(FRAME * 2));
    loop {
        let next = segment.next(at)?;
        if !records.is_empty() && (next.is_none() || records.len() >= FRAME) {
            let frame = compressor.compress(&records)?;
            file.write_all(&frame)?;
            packed += frame.len() as u64;
            index.end += records.len() as u64;
            records.clear();
        }
        let Some((start, record)) = next else { break };
        if records.is_empty() {
            index.frames.push(Frame { start: index.end, packed, time: record.time });
        }
        records.extend_from_slice(segment.bytes(start, &record)?);
        at = start + record.size() as u64;
    }
    file.write_all(&index.encode())?;
    Ok(fdatasync(file)?)
}

/// A process that packs; with the writer it is gone.
#[derive(Debug)]
pub(crate) struct Packer {
    pidfd: OwnedFd,
    dir: OwnedFd,
}

impl Packer {
    /// Forks one that does `work` with the log's directory. There must be one thread only.
    pub(crate) fn start(dir: BorrowedFd<'_>, work: impl FnOnce(BorrowedFd<'_>)) -> Option<Self> {
        match clone3(&Clone3::default()).ok()? {
            Birth::Parent { pidfd, .. } => Some(Self { pidfd, dir: dir.try_clone_to_owned().ok()? }),
            Birth::Child => {
                // Of the container and its guests it holds nothing, or they would wait for it.
                let closed = close_all_from(3, &[dir]);
                let _ = rustix::process::nice(10);
                // Another one, of a writer that was killed, may still be at it.
                if closed.is_ok() && flock(dir, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    work(dir);
                }
                exit_now(0)
            }
        }
    }

    /// Does it still work?
    pub(crate) fn works(&self) -> bool {
        matches!(
            waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG),
            Ok(None)
        )
    }
}

impl Drop for Packer {
    /// What it has not finished is done another time.
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        let Ok(entries) = Dir::read_from(&self.dir) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_bytes().ends_with(b".new")) {
            let _ = unlinkat(&self.dir, entry.file_name(), AtFlags::empty());
        }
    }
}

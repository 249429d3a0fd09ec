//! What happened, in the order it was told: lines that any number of processes append and follow.
//!
//! ```text
//! <root>/events      the newest: "\n" RECORD "\n" … each written by one write(2) with O_APPEND
//! <root>/events.1    what was `events` before, up to the size at which it was set aside
//! ```
//!
//! Nobody waits for anybody: a writer holds no lock, and who finds the file full sets it aside under a lock that
//! others only try. A writer that opened the file before writes its record into what is set aside by then; so a
//! reader goes on reading that one, too. A record begins with an empty line, so that what a full disk or a dying
//! host cut off spoils no other; what has no end yet is read later.

use crate::disk::{self, Sys};
use crate::error::{At, Result};
use crate::root::Store;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, fstat, inotify, openat, renameat, statat};
use rustix::io::{Errno, pread, write};
use rustix::time::Timespec;

const NOW: &str = "events";
const BEFORE: &str = "events.1";

/// Bytes at which a journal is set aside: some ten thousand events, twice.
const FULL: i64 = 4 << 20;

impl Store {
    /// Appends records, each a line without its end. They are not flushed: a host that dies may lose the last.
    ///
    /// # Errors
    /// Of a full disk, and where the store cannot be written to.
    pub fn append_events(&self, records: &[Vec<u8>]) -> Result<()> {
        self.append(records, FULL).at(|| "write to the journal of events".into())
    }

    fn append(&self, records: &[Vec<u8>], full: i64) -> Sys<()> {
        let mut bytes = Vec::with_capacity(records.iter().map(|record| record.len() + 2).sum());
        for record in records {
            bytes.push(b'\n');
            bytes.extend_from_slice(record);
            bytes.push(b'\n');
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.root(), NOW, flags, Mode::from_raw_mode(0o600))?;
        let written = rustix::io::retry_on_intr(|| write(&file, &bytes))?;
        if fstat(&file)?.st_size >= full {
            self.put_past(&file)?;
        }
        if written == bytes.len() { Ok(()) } else { Err(Errno::NOSPC) }
    }

    /// By one of those who find it full; whoever comes too late finds another file there.
    fn put_past(&self, file: &OwnedFd) -> Sys<()> {
        if disk::try_lock(file, FlockOperation::NonBlockingLockExclusive)?
            && disk::is_at(file, self.root(), NOW)?
        {
            renameat(self.root(), NOW, self.root(), BEFORE)?;
        }
        Ok(())
    }

    /// What was appended until now and is still kept, and then what comes.
    pub fn events(&self) -> Result<Journal<'_>> {
        let what = || "follow the journal of events".to_owned();
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = inotify::init(flags).at(what)?;
        let of = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        let path = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&self.root()));
        inotify::add_watch(&watch, path, of).at(what)?;
        Ok(Journal { store: self, watch, open: Vec::new() })
    }
}

/// A reader's place in the journal.
#[derive(Debug)]
pub struct Journal<'a> {
    store: &'a Store,
    watch: OwnedFd,
    /// The older one first.
    open: Vec<Part>,
}

/// A file of it, and how far it was read.
#[derive(Debug)]
struct Part {
    file: OwnedFd,
    offset: u64,
    /// A record that has no end yet.
    rest: Vec<u8>,
}

impl Journal<'_> {
    /// The records since the last time, whole ones.
    pub fn read(&mut self) -> Result<Vec<Vec<u8>>> {
        let what = || "read the journal of events".to_owned();
        let mut records = Vec::new();
        // First what is set aside meanwhile: its last records are older than those of the new file.
        self.open.iter_mut().try_for_each(|part| part.read(&mut records)).at(what)?;
        for name in [BEFORE, NOW] {
            if let Some(mut part) = self.unread(name).at(what)? {
                part.read(&mut records).at(what)?;
                self.open.push(part);
            }
        }
        let past = self.open.len().saturating_sub(2);
        self.open.drain(..past);
        Ok(records)
    }

    /// Waits for more: for ever, or for so long. What nobody has appended may wake it, too.
    pub fn wait(&self, timeout: Option<&Timespec>) -> Result<()> {
        match poll(&mut [PollFd::new(&self.watch, PollFlags::IN)], timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).at(|| "wait for events".into()),
        }
        let mut buffer = [0; 4096];
        while matches!(rustix::io::read(&self.watch, &mut buffer), Ok(1..)) {}
        Ok(())
    }

    /// The file of a name, if it is not one of those that are open.
    fn unread(&self, name: &str) -> Sys<Option<Part>> {
        let root = self.store.root();
        let is_known =
            |inode| self.open.iter().any(|part| fstat(&part.file).is_ok_and(|stat| stat.st_ino == inode));
        let there = match statat(root, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => !is_known(stat.st_ino),
            Err(Errno::NOENT) => false,
            Err(errno) => return Err(errno),
        };
        if !there {
            return Ok(None);
        }
        match openat(root, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            file => Ok(Some(Part { file: file?, offset: 0, rest: Vec::new() })),
        }
    }
}

impl Part {
    fn read(&mut self, records: &mut Vec<Vec<u8>>) -> Sys<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match pread(&self.file, &mut buffer, self.offset) {
                Ok(0) => return Ok(()),
                Err(Errno::INTR) => continue,
                count => count?,
            };
            self.offset += count as u64;
            self.rest.extend_from_slice(&buffer[..count]);
            let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let lines = self.rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            records.extend(lines.map(<[u8]>::to_vec));
            self.rest.drain(..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Place(PathBuf, Store);

    impl Place {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("hull-journal-{name}-{}", std::process::id()));
            let store = Store::open(&dir, &dir.join("run")).expect("a store");
            Self(dir, store)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn texts(records: Vec<Vec<u8>>) -> Vec<String> {
        records.into_iter().map(|record| String::from_utf8_lossy(&record).into_owned()).collect()
    }

    #[test]
    fn a_reader_loses_nothing_when_the_file_is_set_aside() {
        let place = Place::new("aside");
        let store = &place.1;
        let mut journal = store.events().expect("a reader");
        let mut seen = Vec::new();
        for number in 0..300 {
            store.append(&[number.to_string().into_bytes(), b"x".to_vec()], 64).expect("appended");
            if number % 7 == 0 {
                seen.extend(texts(journal.read().expect("read")));
            }
        }
        seen.extend(texts(journal.read().expect("read")));
        let expected: Vec<_> = (0..300).flat_map(|number| [number.to_string(), "x".into()]).collect();
        assert_eq!(seen, expected);
        let kept = texts(store.events().expect("another").read().expect("read"));
        assert!(kept.len() < 60, "it is capped: {}", kept.len());
    }

    #[test]
    fn a_record_that_was_cut_off_spoils_no_other() {
        let place = Place::new("torn");
        let store = &place.1;
        store.append(&[b"one".to_vec()], FULL).expect("appended");
        let file = openat(store.root(), NOW, OFlags::WRONLY | OFlags::APPEND, Mode::empty()).expect("open");
        write(&file, b"\n{\"half").expect("written");
        let mut journal = store.events().expect("a reader");
        assert_eq!(texts(journal.read().expect("read")), ["one"], "what has no end may get one");
        store.append(&[b"two".to_vec()], FULL).expect("appended");
        assert_eq!(texts(journal.read().expect("read")), ["{\"half", "two"]);
    }
}

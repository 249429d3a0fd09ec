//! Where a created container waits for its start.
//!
//! Two fifos in the container's directory, opened before the container loses sight of it:
//!
//! ```text
//! container  ── opens `gate` and `word` ──▶ reads `gate` …………… exec (closes `word`) or writes why not to `word`
//! start                                      writes `gate` ──▶ reads `word` to its end: nothing means success
//! ```
//!
//! So no process of hull's stays between the commands, and whether a container was started is a fact of the
//! kernel's: its gate has a reader or it has none, see fifo(7).

use crate::failure::Failure;
use crate::{Error, Kind, Result, refused};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fcntl_setfl, mknodat, openat};
use rustix::io::{Errno, read, retry_on_intr, write};
use std::cell::Cell;

const GATE: &str = "gate";
const WORD: &str = "word";

/// The container's side.
#[derive(Debug)]
pub struct Gate {
    gate: OwnedFd,
    word: OwnedFd,
    passed: Cell<bool>,
}

impl Gate {
    /// Makes a gate in a directory.
    ///
    /// # Errors
    /// EEXIST below [`Kind::Kernel`] if there is one already.
    pub fn make(dir: impl AsFd) -> Result<Self> {
        // For reading and writing, or opening would wait for the other side; see fifo(7).
        let make = |name| {
            mknodat(&dir, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .and_then(|()| openat(&dir, name, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()))
                .map_err(|errno| refused(errno, format!("make fifo `{name}`")))
        };
        Ok(Self { gate: make(GATE)?, word: make(WORD)?, passed: Cell::new(false) })
    }

    /// Is a container waiting at the gate in this directory?
    pub fn is_waited_at(dir: impl AsFd) -> bool {
        knock(&dir).is_ok()
    }

    /// Lets the container that waits at the gate run its program, and hears whether it does. The fifos are removed.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if nobody waits there; the container's own if its program cannot be executed.
    pub fn open(dir: impl AsFd) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let word = openat(&dir, WORD, flags, Mode::empty());
        let (Ok(gate), Ok(word)) = (knock(&dir), word) else {
            return Err(Error::new(Kind::Invalid, "no container waits for its start"));
        };
        let failed = |errno| refused(errno, "open the container's gate".into());
        // The container is killed: its state tells.
        match write(gate, b"0") {
            Ok(_) | Err(Errno::PIPE) => {}
            Err(errno) => return Err(failed(errno)),
        }
        fcntl_setfl(&word, OFlags::empty()).map_err(failed)?;
        let said = sys::file::read_whole(&word, 1023).map_err(failed)?;
        sys::step!("runtime.gate.opened");
        Self::remove(&dir);
        match said.as_slice() {
            [] => Ok(()),
            bytes => Err(Failure::decode(bytes)
                .map_or_else(|| Error::new(Kind::Kernel, "start the container"), Failure::into_error)),
        }
    }

    /// Removes what [`make`](Self::make) made, if it is there.
    pub fn remove(dir: impl AsFd) {
        for name in [GATE, WORD] {
            let _ = rustix::fs::unlinkat(&dir, name, rustix::fs::AtFlags::empty());
        }
    }

    /// Waits until the gate is opened.
    pub(crate) fn wait(&self) -> rustix::io::Result<()> {
        retry_on_intr(|| read(&self.gate, &mut [0; 1]))?;
        self.passed.set(true);
        Ok(())
    }

    /// Has it been opened?
    pub(crate) fn is_passed(&self) -> bool {
        self.passed.get()
    }

    /// Says why there will be no program, to whoever opened the gate.
    pub(crate) fn tell(&self, failure: &Failure) {
        let _ = write(&self.word, &failure.encode());
    }

    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.gate.as_fd(), self.word.as_fd()]
    }
}

/// The gate from outside; ENXIO where nobody waits.
fn knock(dir: impl AsFd) -> rustix::io::Result<OwnedFd> {
    openat(dir, GATE, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Step;

    fn directory(name: &str) -> OwnedFd {
        let path = std::env::temp_dir().join(format!("hull-gate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        openat(rustix::fs::CWD, &path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn a_gate_is_passed_once() {
        let dir = directory("once");
        let gate = Gate::make(&dir).unwrap();
        assert!(Gate::is_waited_at(&dir));
        let waiting = std::thread::spawn(move || gate.wait());
        Gate::open(&dir).unwrap();
        waiting.join().unwrap().unwrap();
        assert!(!Gate::is_waited_at(&dir));
        assert_eq!(*Gate::open(&dir).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn a_failure_behind_the_gate_is_heard() {
        let dir = directory("failure");
        let gate = Gate::make(&dir).unwrap();
        let waiting = std::thread::spawn(move || {
            gate.wait().unwrap();
            gate.tell(&Failure::new(Step::ExecLookup, Errno::NOENT, "foo"));
        });
        let error = Gate::open(&dir).unwrap_err();
        assert_eq!(*error.kind(), Kind::NotFound);
        waiting.join().unwrap();
    }

    #[test]
    fn nobody_at_the_gate_is_told() {
        let dir = directory("nobody");
        drop(Gate::make(&dir).unwrap());
        assert!(!Gate::is_waited_at(&dir));
        assert!(Gate::open(&dir).is_err());
        Gate::remove(&dir);
    }
}

//! What a container is doing, as the kernel tells it.

use crate::error::At;
use crate::record::Process;
use crate::{Place, Record, Result};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sys::proc::stat;

/// The specification's words (runtime.md, State), and `paused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Somebody is making it.
    Creating,
    /// Its process waits for the start.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its process has ended, or never came to be.
    Stopped,
}

impl Status {
    /// As every engine spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A container at one moment.
#[derive(Debug)]
pub struct State {
    /// What is kept of it.
    pub record: Record,
    /// What it was doing.
    pub status: Status,
    /// Its process; none once that has ended.
    pub pid: Option<i32>,
}

impl Place {
    /// What the container is doing.
    pub fn state(&self) -> Result<State> {
        let record = self.record()?;
        let living = record.process.filter(|process| process.lives());
        let status = match living {
            None if record.process.is_none() && self.is_locked() => Status::Creating,
            None => Status::Stopped,
            Some(_) if runtime::Gate::is_waited_at(self.dir()) => Status::Created,
            Some(_) if record.group()?.is_some_and(|(_, group)| group.frozen()) => Status::Paused,
            Some(_) => Status::Running,
        };
        Ok(State { record, status, pid: living.map(|process| process.pid) })
    }
}

impl Process {
    /// The process with this id at this moment.
    pub(crate) fn of(pid: i32) -> rustix::io::Result<Self> {
        Ok(Self { pid, born: stat(pid)?.born })
    }

    /// Does it live? A zombie does not, nor does the first process of a pid namespace that has ended and waits for
    /// somebody on the host to reap what was put into the namespace from there.
    pub(crate) fn lives(self) -> bool {
        stat(self.pid).is_ok_and(|stat| stat.born == self.born && stat.lives)
    }

    /// A descriptor of this process and no other; none once it has ended.
    pub(crate) fn open(self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Checked after it was opened: the id cannot pass to another process any more unnoticed.
            Ok(pidfd) => Ok(self.lives().then_some(pidfd)),
            Err(Errno::SRCH) => Ok(None),
            Err(errno) => Err(errno).at(|| format!("open process {}", self.pid)),
        }
    }
}

/// When the process of a stat file was born, for the target `kernel` of `fuzz/`.
#[cfg(fuzzing)]
pub fn born(bytes: &[u8]) -> Option<u64> {
    sys::proc::parse_stat(bytes).map(|stat| stat.born)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_birth() {
        let own = Process::of(std::process::id() as i32).unwrap();
        assert!(own.lives() && own.open().unwrap().is_some());
        let other = Process { born: own.born + 1, ..own };
        assert!(!other.lives() && other.open().unwrap().is_none());
    }
}

//! `kill`: a signal for the container's first process, or for all.

use crate::error::{At, from_cgroup, status};
use crate::{Error, Kind, Place, Record, Result};
use rustix::io::Errno;
use rustix::process::Signal;

impl Place {
    /// Sends a signal to the container's first process. What has no pid namespace of its own is killed whole: its
    /// other processes would outlive the first.
    ///
    /// # Errors
    /// [`Kind::Status`] if it has ended.
    pub fn kill(&self, signal: i32) -> Result<()> {
        let record = self.record()?;
        let is_kill = signal == Signal::KILL.as_raw();
        if is_kill {
            record.kill_beside();
        }
        self.kill_first(&record, signal)?;
        if is_kill && record.shares_pids {
            record.signal_all(Signal::KILL)?;
        }
        // What is frozen on v1 dies only when it thaws.
        match (is_kill, record.group()?) {
            (true, Some((_, group))) if group.frozen() => group.thaw().map_err(from_cgroup),
            _ => Ok(()),
        }
    }

    /// Sends a signal to all processes of the container. None left is no error.
    pub fn kill_all(&self, signal: i32) -> Result<()> {
        let record = self.record()?;
        match Signal::from_named_raw(signal) {
            Some(named) if record.cgroup.is_some() => record.signal_all(named),
            _ => match self.kill_first(&record, signal) {
                Err(error) if *error.kind() == Kind::Status => Ok(()),
                other => other,
            },
        }
    }

    fn kill_first(&self, record: &Record, signal: i32) -> Result<()> {
        let pidfd = record.process.ok_or_else(ended)?.open()?.ok_or_else(ended)?;
        match sys::signal::send(&pidfd, signal) {
            Err(Errno::SRCH) => Err(ended()),
            other => other.at(|| format!("send signal {signal} to container `{}`", self.id())),
        }
    }
}

impl Record {
    fn signal_all(&self, signal: Signal) -> Result<()> {
        match self.group()? {
            Some((_, group)) => group.signal(signal).map_err(from_cgroup),
            None => Ok(()),
        }
    }
}

/// Engines look for these words.
fn ended() -> Error {
    status("container not running")
}

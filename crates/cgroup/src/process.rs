//! The processes in a group: listing, signals, the end.

use crate::group::{Group, kernel};
use crate::{Cgroup, Error, Kind, Result, files};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;

/// The processes in one group itself.
pub(crate) fn of(dir: impl AsFd) -> Vec<Pid> {
    let text = match files::get(&dir, "cgroup.procs") {
        // A threaded group of v2 shows its processes at the top of its domain only.
        Err(Errno::OPNOTSUPP) => files::get(&dir, "cgroup.threads").unwrap_or_default(),
        text => text.unwrap_or_default(),
    };
    text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

/// Those of all groups below as well.
pub(crate) fn below(dir: &OwnedFd, to: &mut Vec<Pid>) {
    to.extend(of(dir));
    for child in files::children(dir) {
        below(&child, to);
    }
}

impl Cgroup {
    /// The processes in the group itself, as the host counts them.
    pub fn procs(&self) -> Vec<Pid> {
        self.first().map(|group| of(&group.dir)).unwrap_or_default()
    }

    /// The processes in it and in all groups below.
    pub fn all_procs(&self) -> Vec<Pid> {
        let mut all = Vec::new();
        self.first().into_iter().for_each(|group| below(&group.dir, &mut all));
        all
    }

    /// Every process is in each hierarchy, and none can leave its group's: one hierarchy tells. But the freezer's,
    /// which is made late.
    fn first(&self) -> Option<&Group> {
        self.groups.iter().find(|group| !group.has("freezer"))
    }

    /// Sends a signal to every process in it and below. Those that start meanwhile get it, too: all is frozen
    /// while the signal is sent, where that is possible.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let was_frozen = self.frozen();
        let is_held = !was_frozen && self.freeze().is_ok();
        let sent = self.all_procs().into_iter().try_for_each(|pid| match kill_process(pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(kernel(errno, format!("send a signal to process {}", pid.as_raw_nonzero()))),
        });
        if is_held { sent.and(self.thaw()) } else { sent }
    }

    /// Kills every process in it and below, and those they start meanwhile; returns when none is left.
    ///
    /// # Errors
    /// [`Kind::Kernel`] where processes do not end within some seconds, e.g. in an uninterruptible wait.
    pub fn kill_all(&self) -> Result<()> {
        let at_once = self
            .tree()
            .filter(|tree| files::put(&tree.dir, "cgroup.kill", "1").is_ok() && self.groups.len() == 1);
        for attempt in 0..500u64 {
            let procs = self.all_procs();
            if procs.is_empty() {
                return Ok(());
            }
            if at_once.is_none() {
                self.kill_each(procs, attempt)?;
            }
            std::thread::sleep(Duration::from_millis((1 + attempt).min(20)));
        }
        Err(Error::new(Kind::Kernel, "kill the processes of a group: they do not end"))
    }

    /// A few rounds end what does not fork faster; the rest is frozen, so that it cannot.
    fn kill_each(&self, procs: Vec<Pid>, attempt: u64) -> Result<()> {
        let is_held = attempt >= 5 && self.freeze().is_ok();
        let procs = if is_held { self.all_procs() } else { procs };
        procs.into_iter().for_each(|pid| _ = kill_process(pid, Signal::KILL));
        // What is frozen on v1 dies only when it thaws; so does what somebody froze before.
        if is_held || attempt == 0 && self.frozen() { self.thaw() } else { Ok(()) }
    }

    /// Removes it. A process that is still there is killed: what outlives a container's first process is its own.
    pub fn remove(mut self) -> Result<()> {
        self.seat = None;
        // systemd would not notice that the unit's group is gone, and keep the unit.
        let stopped = self.driver.take().map_or(Ok(()), |driver| driver.stop(&self));
        self.groups.iter().rev().try_for_each(|group| self.remove_one(&group.path))?;
        self.freezer.iter().try_for_each(|path| self.remove_one(path)).and(stopped)
    }

    /// A group is busy for a moment after its last process was reaped.
    fn remove_one(&self, path: &Path) -> Result<()> {
        let mut result = files::remove_dir(path);
        for attempt in 0..200 {
            match result {
                Err(Errno::BUSY) if attempt < 3 => std::thread::yield_now(),
                Err(Errno::BUSY) => {
                    self.kill_all()?;
                    remove_children(path);
                    std::thread::sleep(Duration::from_millis(attempt.min(20)));
                }
                _ => break,
            }
            result = files::remove_dir(path);
        }
        result.map_err(|errno| kernel(errno, format!("remove `{}`", path.display())))
    }
}

/// Groups that the container made below its own.
fn remove_children(path: &Path) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_children(&entry.path());
        let _ = files::remove_dir(&entry.path());
    }
}

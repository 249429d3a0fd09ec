//! `delete`: everything of a container goes.

use crate::error::{At, from_cgroup, status};
use crate::record::Process;
use crate::{Error, Kind, Place, Record, Result, Root, Status};
use runtime::Moment;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use rustix::time::Timespec;

/// A process in the kernel's hands (a dead disk, a frozen group of others) may take long to die.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

impl Root {
    /// Removes a container; with `force` also one that runs, and what a killed command left of one.
    ///
    /// # Errors
    /// [`Kind::NotFound`] unless forced; [`Kind::Status`] if it runs.
    pub fn delete(&self, id: &str, force: bool, warn: &mut dyn FnMut(&str)) -> Result<()> {
        let place = match self.open(id) {
            Err(error) if force && *error.kind() == Kind::NotFound => return Ok(()),
            other => other?,
        };
        match place.lock().and_then(|()| place.record()) {
            Ok(record) => place.delete(&record, force, warn),
            // Its maker died before it made anything else.
            Err(error) if *error.kind() == Kind::NotFound => {
                place.remove()?;
                if force { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}

impl Place {
    fn delete(self, record: &Record, force: bool, warn: &mut dyn FnMut(&str)) -> Result<()> {
        let state = self.state()?;
        let may = force || matches!(state.status, Status::Created | Status::Stopped);
        if !may {
            let word = state.status.word();
            return Err(status(format!("cannot delete container {} that is not stopped: {word}", self.id())));
        }
        record.process.map_or(Ok(()), |process| process.end(record))?;
        sys::step!("bundle.delete.ended");
        remove_group(record)?;
        record.rdt.iter().for_each(|path| drop(std::fs::remove_dir(path)));
        sys::step!("bundle.delete.group-removed");
        let hooks = if record.poststop { self.hooks(record)? } else { None };
        self.remove()?;
        let failures = hooks.iter().flat_map(|hooks| hooks.run_all(Moment::Poststop, None));
        failures.for_each(|failure| warn(&failure.to_string()));
        Ok(())
    }
}

impl Process {
    /// Kills it and waits for its end. One that has ended is fine.
    fn end(self, record: &Record) -> Result<()> {
        let Some(pidfd) = self.open()? else { return Ok(()) };
        record.kill_beside();
        let _ = sys::signal::send(&pidfd, Signal::KILL.as_raw());
        // What is frozen on v1 dies only when it thaws.
        match record.group()? {
            Some((_, group)) if group.frozen() => group.thaw().map_err(from_cgroup)?,
            _ => {}
        }
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&PATIENCE));
        match ended.at(|| format!("wait for the end of process {}", self.pid))? {
            0 => Err(Error::new(Kind::Failed, format!("process {} does not end", self.pid))),
            _ => Ok(()),
        }
    }
}

/// With all processes that are still in it: without a pid namespace they outlive the first.
fn remove_group(record: &Record) -> Result<()> {
    match record.group()? {
        Some((_, group)) => group.remove().map_err(from_cgroup),
        None => Ok(()),
    }
}

//! Freezing: v1's freezer, see cgroup-v1/freezer-subsystem.rst, and v2's `cgroup.freeze`.

use crate::create::absent;
use crate::group::{Group, kernel};
use crate::{Cgroup, Error, Kind, Mode, Result, files, process};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::Pid;
use std::path::Path;
use std::time::{Duration, Instant};

/// A process in an uninterruptible wait freezes when that ends.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Stops every process in it and below, and returns when all have stopped.
    ///
    /// On v1, a group of the freezer is made when it is first needed, and the processes are moved into it: a
    /// container that is never frozen does not pay for it.
    ///
    /// # Errors
    /// [`Kind::Kernel`] where some do not stop within ten seconds; all go on then.
    pub fn freeze(&self) -> Result<()> {
        let frozen = match self.tree() {
            Some(tree) if self.mode == Mode::V2 => freeze_v2(&tree.dir),
            _ => self.freeze_v1(),
        };
        if frozen.is_err() {
            let _ = self.thaw();
        }
        frozen
    }

    /// Lets every process go on.
    pub fn thaw(&self) -> Result<()> {
        let put = |dir: &OwnedFd, file: &str, value| {
            files::put(dir, file, value)
                .map_err(|errno| kernel(errno, format!("write `{value}` to `{file}`")))
        };
        match (self.tree(), self.freezer_now()?) {
            (Some(tree), _) if self.mode == Mode::V2 => put(&tree.dir, "cgroup.freeze", "0"),
            (_, Some(freezer)) => put(&freezer.dir, "freezer.state", "THAWED"),
            _ => Ok(()),
        }
    }

    /// Was it told to stop?
    pub fn frozen(&self) -> bool {
        match (self.tree(), self.freezer_now()) {
            (Some(tree), _) if self.mode == Mode::V2 => files::number(&tree.dir, "cgroup.freeze") == Some(1),
            (_, Ok(Some(freezer))) => files::number(&freezer.dir, "freezer.self_freezing") == Some(1),
            _ => false,
        }
    }

    /// The group of v1's freezer, if it was made.
    fn freezer_now(&self) -> Result<Option<Group>> {
        self.freezer.as_ref().map_or(Ok(None), |path| Group::open("freezer", path.clone()))
    }

    fn freeze_v1(&self) -> Result<()> {
        let path = self.freezer.as_deref().ok_or_else(|| absent("freezer"))?;
        files::make_dir(path).map_err(|errno| kernel(errno, format!("make group `{}`", path.display())))?;
        let freezer = self.freezer_now()?.ok_or_else(|| absent("freezer"))?;
        // First, so that what comes in stops at once and starts nothing more outside.
        order(&freezer.dir)?;
        self.gather(&freezer.dir, path)?;
        await_v1(&freezer.dir)
    }

    /// Moves in whoever is not there.
    fn gather(&self, freezer: &OwnedFd, path: &Path) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut inside = Vec::new();
            process::below(freezer, &mut inside);
            let outside: Vec<Pid> =
                self.all_procs().into_iter().filter(|pid| !inside.contains(pid)).collect();
            if outside.is_empty() {
                return Ok(());
            }
            for pid in outside {
                match files::put(freezer, "cgroup.procs", &pid.as_raw_nonzero().to_string()) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => {
                        return Err(kernel(errno, format!("move a process into `{}`", path.display())));
                    }
                }
            }
            if Instant::now() > end {
                return Err(stuck());
            }
        }
    }
}

fn order(freezer: &OwnedFd) -> Result<()> {
    files::put(freezer, "freezer.state", "FROZEN")
        .map_err(|errno| kernel(errno, "write `FROZEN` to `freezer.state`".into()))
}

/// FREEZING becomes FROZEN when all have stopped. What starts meanwhile may be overlooked, so the order is
/// repeated, and now and then all may go on for a moment.
fn await_v1(freezer: &OwnedFd) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    for attempt in 1u64.. {
        let state = files::get(freezer, "freezer.state")
            .map_err(|errno| kernel(errno, "read `freezer.state`".into()))?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() > end {
            break;
        }
        if attempt % 50 == 0 {
            let _ = files::put(freezer, "freezer.state", "THAWED");
        }
        std::thread::sleep(Duration::from_micros(attempt.min(100) * 100));
        order(freezer)?;
    }
    Err(stuck())
}

fn freeze_v2(dir: &OwnedFd) -> Result<()> {
    files::put(dir, "cgroup.freeze", "1")
        .map_err(|errno| kernel(errno, "write `1` to `cgroup.freeze`".into()))?;
    let end = Instant::now() + PATIENCE;
    for attempt in 1u64.. {
        if files::keyed(dir, "cgroup.events", "frozen ") == Some(1) {
            return Ok(());
        }
        if Instant::now() > end {
            break;
        }
        std::thread::sleep(Duration::from_micros(attempt.min(100) * 100));
    }
    Err(stuck())
}

fn stuck() -> Error {
    Error::new(Kind::Kernel, "freeze the processes of a group: some do not stop")
}

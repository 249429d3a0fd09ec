//! To wait for containers: for their end, their next end, or until they are removed.

use super::attach::Attaching;
use super::stop::Living;
use super::wire::{self, Tag};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use fault::Context;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use rustix::time::Timespec;
use std::str::FromStr;
use std::time::Duration;
use store::{Container, Exit, State};

/// What is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    /// It does not run, be it that it has ended long ago.
    #[default]
    NotRunning,
    /// It ends once more, whether it runs now or is started later.
    NextExit,
    /// It is not there any more.
    Removed,
}

impl FromStr for Condition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "not-running" => Ok(Self::NotRunning),
            "next-exit" => Ok(Self::NextExit),
            "removed" => Ok(Self::Removed),
            _ => Err(Error::new(Kind::Invalid, "must be one of not-running, next-exit, removed")),
        }
    }
}

impl Engine {
    /// Waits for a container; the exit code it had last, 0 where it never ran.
    pub fn wait(&self, text: &str, condition: Condition) -> Result<i32> {
        let (container, state) = self.container(text)?;
        match (condition, &state) {
            (Condition::NotRunning, State::Running(_)) => self.await_end(&container),
            (Condition::NotRunning, _) => code_of(&container, &state),
            (Condition::NextExit, _) => self.await_next(&container),
            (Condition::Removed, _) => self.await_removal(&container, &state),
        }
    }

    fn await_end(&self, container: &Container) -> Result<i32> {
        let mut started = None;
        while let Some(running) = self.store.slot_of(&container.record.id).map_err(from_store)? {
            // Before its first process is there it has another time.
            let is_born = running.pid.is_some();
            if is_born && *started.get_or_insert(running.started) != running.started {
                // Its policy, or somebody, started it again: that was its end.
                break;
            }
            if let Some(code) = self.hear_end(container)? {
                return Ok(code);
            }
            // In the foreground of another command, at its end just now, or its monitor was killed.
            if let Some(life) = Living::of(&running)? {
                life.ends_within(None)?;
            }
            self.bury()?;
        }
        self.code_of(container)
    }

    /// A start that came to nothing is no end.
    fn await_next(&self, container: &Container) -> Result<i32> {
        // In this order: no end is missed.
        let watch = Watch::on(container)?;
        let before = container.exit().map_err(from_store)?;
        loop {
            if let Some(code) = self.hear_end(container)? {
                return Ok(code);
            }
            let now = container.exit().map_err(from_store)?;
            if !self.is_there(container)? {
                return Ok(before.map_or(0, |exit| exit.code));
            }
            match now {
                Some(exit) if before.as_ref() != Some(&exit) => return Ok(exit.code),
                _ => watch.wait()?,
            }
            self.bury()?;
        }
    }

    fn await_removal(&self, container: &Container, state: &State) -> Result<i32> {
        let watch = Watch::on(container)?;
        let mut last = None;
        loop {
            let heard = self.hear_end(container)?;
            let recorded = container.exit().map_err(from_store)?;
            if !self.is_there(container)? {
                return heard.or(last).map_or_else(|| code_of(container, state), Ok);
            }
            last = heard.or(recorded.map(|exit: Exit| exit.code)).or(last);
            if heard.is_none() {
                watch.wait()?;
            }
            self.bury()?;
        }
    }

    /// What a container's monitor says last; none where there is no monitor, or it is killed meanwhile.
    fn hear_end(&self, container: &Container) -> Result<Option<i32>> {
        loop {
            match wire::knock(container.dir()) {
                Ok(socket) => return Ok(last_word(&socket)),
                // Its door is not open yet, or nobody is behind it any more.
                Err(Errno::CONNREFUSED) if self.runs(container)? => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(_) => return Ok(None),
            }
        }
    }

    fn is_there(&self, container: &Container) -> Result<bool> {
        match self.store.container(&container.record.id.to_string()) {
            Ok(_) => Ok(true),
            Err(error) if *error.kind() == store::Kind::NotFound => Ok(false),
            Err(error) => Err(from_store(error)),
        }
    }

    /// Of one that has ended.
    pub(super) fn code_of(&self, container: &Container) -> Result<i32> {
        let exit = container.exit().map_err(from_store)?;
        exit.map(|exit| exit.code).or_err(Kind::NotFound, || {
            format!("container `{}` was removed before its exit code could be read", container.record.name)
        })
    }
}

/// Listens for nothing but the end. One that is over at once says no more than that.
fn last_word(monitor: &OwnedFd) -> Option<i32> {
    // Whoever is just going hears no hello any more, and may have said all before.
    let _ = wire::say(monitor, Tag::Hello, &[wire::VERSION, Attaching::silent().wants()]);
    loop {
        let packet = wire::hear(monitor).ok()??;
        if packet.tag == Tag::Ended {
            return packet.payload.first_chunk().map(|code| i32::from_le_bytes(*code));
        }
    }
}

fn code_of(container: &Container, state: &State) -> Result<i32> {
    match state {
        State::Exited(exit) => Ok(exit.code),
        // docker waits for a start; nobody would know how long.
        State::Created => Ok(0),
        _ => Err(Error::new(
            Kind::Failed,
            format!("container `{}` ended unseen: its exit code is not known", container.record.name),
        )),
    }
}

/// On a container's directory, for its door, its end and its removal; see inotify(7).
struct Watch {
    /// None where the host has no more of them: then it is looked again and again.
    notices: Option<OwnedFd>,
}

impl Watch {
    fn on(container: &Container) -> Result<Self> {
        let made = || -> rustix::io::Result<OwnedFd> {
            let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let dir = format!("/proc/self/fd/{}", container.dir().as_raw_fd());
            let what =
                WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
            inotify::add_watch(&notices, dir, what).map(|_| notices)
        };
        match made() {
            Ok(notices) => Ok(Self { notices: Some(notices) }),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::NOMEM) => Ok(Self { notices: None }),
            Err(errno) => {
                Err(errno).or_err(Kind::Failed, || format!("watch container `{}`", container.record.name))
            }
        }
    }

    /// Waits for something to happen. What nobody tells of, such as the death of a monitor, is seen within a second.
    fn wait(&self) -> Result<()> {
        let Some(notices) = &self.notices else {
            std::thread::sleep(Duration::from_millis(50));
            return Ok(());
        };
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        match poll(&mut [PollFd::new(notices, PollFlags::IN)], Some(&second)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).or_err(Kind::Failed, || "wait for the container".into()),
        }
        let mut buffer = [0; 4096];
        while rustix::io::read(notices, &mut buffer).is_ok_and(|length| length > 0) {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_the_names_of_dockers_api() {
        assert_eq!("next-exit".parse::<Condition>().unwrap(), Condition::NextExit);
        assert_eq!("removed".parse::<Condition>().unwrap(), Condition::Removed);
        assert_eq!("not-running".parse::<Condition>().unwrap(), Condition::default());
        assert!("running".parse::<Condition>().is_err());
    }
}

//! To end and freeze containers.

use super::check_awake;
use super::notes::{Notes, Restarts, run_of};
use super::wire::{self, Tag};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::request::{self, RunRequest};
use crate::run::parsed;
use crate::run::waiting::timespec;
use fault::Context;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Container, ContainerId, Running, State};

/// docker's.
const PATIENCE: i32 = 10;

/// How a container is asked to end; what is none is the container's own, or docker's default.
#[derive(Debug, Clone, Copy, Default)]
pub struct StopRequest {
    /// `-s`
    pub signal: Option<i32>,
    /// `-t`: seconds until it is killed; negative: for ever.
    pub timeout: Option<i32>,
}

impl Engine {
    /// Asks a container to end, and ends it if it does not in time. One that does not run has ended.
    pub fn stop(&self, text: &str, how: StopRequest) -> Result<()> {
        let (container, state) = self.container(text)?;
        let State::Running(running) = state else { return Ok(()) };
        let own = own_way(&container)?;
        let signal = how.signal.or(own.signal).unwrap_or(Signal::TERM.as_raw());
        let timeout = how.timeout.or(own.timeout).unwrap_or(PATIENCE);
        self.stays_ended(&container)?;
        let Some(life) = Living::of(&running)? else { return Ok(()) };
        self.thaw(&running)?;
        self.signal(&container, &life, signal)?;
        if !self.ends_within(&container, life, timeout)? {
            self.kill_now(&container, run_of(&running))?;
        }
        self.report(self.event_of(&container, "stop"));
        Ok(())
    }

    /// Sends a signal to a container's first process.
    pub fn kill(&self, text: &str, signal: i32) -> Result<()> {
        let (container, state) = self.container(text)?;
        let State::Running(running) = state else { return Err(not_running(&container)) };
        let is_kill = signal == Signal::KILL.as_raw();
        self.may_end(&container, signal)?;
        // What waits to be started again has nobody to hear of it but its monitor.
        if Restarts::of(&running).rest.is_some() {
            return Ok(());
        }
        let life = Living::of(&running)?.ok_or_else(|| not_running(&container))?;
        // As docker: who reads the list next sees it gone.
        match is_kill {
            true => self.finish_off(&container, life, &running),
            false => self.signal(&container, &life, signal),
        }
    }

    /// Kills a container and waits until its monitor is through with it. Of one that is being started there is
    /// nothing to end yet.
    pub(crate) fn end(&self, container: &Container, running: &Running) -> Result<()> {
        self.stays_ended(container)?;
        let is_there = running.pid.is_some() || Notes::of(running).rest.is_some();
        let life = if is_there { Living::of(running)? } else { None };
        life.map_or(Ok(()), |life| self.finish_off(container, life, running))
    }

    fn finish_off(&self, container: &Container, life: Living, running: &Running) -> Result<()> {
        self.thaw(running)?;
        self.signal(container, &life, Signal::KILL.as_raw())?;
        self.ends_within(container, life, PATIENCE).map(drop)
    }

    /// What did not end when it was asked to.
    fn kill_now(&self, container: &Container, run: Timestamp) -> Result<()> {
        while let Some(running) = self.store.slot_of(&container.record.id).map_err(from_store)? {
            let Some(life) = Living::of(&running)?.filter(|life| life.run == run) else { break };
            self.signal(container, &life, Signal::KILL.as_raw())?;
            if self.ends_within(container, life, PATIENCE)? {
                break;
            }
        }
        Ok(())
    }

    /// As docker: after a signal that may be meant to end it, it is not started again. One that is not its own way to
    /// end means something else to it.
    fn may_end(&self, container: &Container, signal: i32) -> Result<()> {
        let is_kill = signal == Signal::KILL.as_raw();
        let ends = is_kill || own_way(container)?.signal.is_none_or(|own| own == signal);
        if ends { self.stays_ended(container) } else { Ok(()) }
    }

    /// Its policy is not to start it again; a monitor that waits to do so hears of it.
    fn stays_ended(&self, container: &Container) -> Result<()> {
        let record = self.store.record_now(container).map_err(from_store)?;
        let request: RunRequest = parsed(record.request.as_deref(), &record.name)?;
        if request.restart.is_no() {
            return Ok(());
        }
        container.set_stopped(true).map_err(from_store)?;
        self.bid_look(container);
        Ok(())
    }

    /// Tells a container's monitor, if there is one, that its files say something new.
    pub(crate) fn bid_look(&self, container: &Container) {
        if let Ok(socket) = wire::knock(container.dir()) {
            let _ = wire::say(&socket, Tag::Look, &[]);
        }
    }

    /// Waits until a container's monitor is through with it, be it another one by then; for ever where the seconds
    /// are negative.
    fn ends_within(&self, container: &Container, mut life: Living, seconds: i32) -> Result<bool> {
        let until = u64::try_from(seconds).ok().map(|seconds| Instant::now() + Duration::from_secs(seconds));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if !life.ends_within(left)? {
                return Ok(false);
            }
            // Was it the monitor only?
            self.bury()?;
            let running = self.store.slot_of(&container.record.id).map_err(from_store)?;
            let same = running.filter(|running| run_of(running) == life.run);
            match same.map_or(Ok(None), |running| Living::of(&running))? {
                Some(next) => life = next,
                None => return Ok(true),
            }
        }
    }

    fn signal(&self, container: &Container, life: &Living, signal: i32) -> Result<()> {
        // First, for what it leads to is told by another process.
        self.report(self.event_of(container, "kill").with("signal", signal));
        life.send(signal)
    }

    /// Stops a container if it runs, and starts it.
    pub fn restart(&self, text: &str, how: StopRequest, warn: &mut dyn FnMut(&str)) -> Result<()> {
        self.stop(text, how)?;
        self.start_over(text, warn)
    }

    /// Starts a container that was stopped to be started again.
    pub fn start_over(&self, text: &str, warn: &mut dyn FnMut(&str)) -> Result<()> {
        self.start(text, warn)?;
        let container = self.store.container(text).map_err(from_store)?;
        self.report(self.event_of(&container, "restart"));
        Ok(())
    }

    /// Freezes all its processes.
    pub fn pause(&self, text: &str) -> Result<()> {
        let (container, running) = self.running_one(text)?;
        let group = self.group_of(&running)?.ok_or_else(|| not_running(&container))?;
        if group.frozen() {
            let what = format!("container {} is already paused", container.record.id);
            return Err(Error::new(Kind::Conflict, what));
        }
        group.freeze().or_err(Kind::Failed, || format!("pause container `{}`", container.record.name))?;
        self.report(self.event_of(&container, "pause"));
        Ok(())
    }

    /// Lets them go on.
    pub fn unpause(&self, text: &str) -> Result<()> {
        let (container, running) = self.running_one(text)?;
        let group = self.group_of(&running)?.ok_or_else(|| not_running(&container))?;
        if !group.frozen() {
            let what = format!("container {} is not paused", container.record.id);
            return Err(Error::new(Kind::Conflict, what));
        }
        group.thaw().or_err(Kind::Failed, || format!("unpause container `{}`", container.record.name))?;
        self.report(self.event_of(&container, "unpause"));
        Ok(())
    }

    /// Are its processes frozen?
    pub fn is_paused(&self, state: &State) -> bool {
        let State::Running(running) = state else { return false };
        self.group_of(running).is_ok_and(|group| group.is_some_and(|group| group.frozen()))
    }

    pub(super) fn pass_signal(&self, id: &ContainerId, signal: i32) -> Result<()> {
        let Some(running) = self.store.slot_of(id).map_err(from_store)? else { return Ok(()) };
        let container = self.store.container(&id.to_string()).map_err(from_store)?;
        self.may_end(&container, signal)?;
        Living::of(&running)?.map_or(Ok(()), |life| self.signal(&container, &life, signal))
    }

    /// A container that runs, or the error that it does not.
    pub(crate) fn running_one(&self, text: &str) -> Result<(Container, Running)> {
        match self.container(text)? {
            (container, State::Running(running)) => {
                check_awake(&container, &running)?;
                Ok((container, running))
            }
            (container, _) => Err(not_running(&container)),
        }
    }

    pub(crate) fn group_of(&self, running: &Running) -> Result<Option<cgroup::Cgroup>> {
        let Some(path) = &running.cgroup else { return Ok(None) };
        self.cgroups.open(Path::new(path)).or_err(Kind::Failed, || "open the container's cgroup".into())
    }

    /// What is frozen does not even die, on v1.
    fn thaw(&self, running: &Running) -> Result<()> {
        match self.group_of(running)? {
            Some(group) if group.frozen() => {
                group.thaw().or_err(Kind::Failed, || "let the container's processes go on".into())
            }
            _ => Ok(()),
        }
    }
}

/// A container's processes, by descriptors.
pub(super) struct Living {
    /// None where it has ended, and the monitor is not through with it yet.
    first: Option<OwnedFd>,
    monitor: OwnedFd,
    /// See [`run_of`].
    run: Timestamp,
}

impl Living {
    /// None where the monitor is gone already.
    pub(super) fn of(running: &Running) -> Result<Option<Self>> {
        // The monitor first: while it lives, the pid of its child is nobody else's.
        let Some(monitor) = open(running.monitor)? else { return Ok(None) };
        let notes = Notes::of(running);
        let first = match (notes.born, running.pid) {
            // One that was adopted may be reaped, and its pid be another's.
            (Some(_), _) => notes.first(running)?,
            (None, pid) => pid.map_or(Ok(None), open)?,
        };
        Ok(Some(Self { first, monitor, run: notes.run(running) }))
    }

    /// One that has ended needs none.
    fn send(&self, signal: i32) -> Result<()> {
        match self.first.as_ref().map_or(Ok(()), |first| sys::signal::send(first, signal)) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => {
                Err(errno).or_err(Kind::Failed, || format!("send signal {signal} to the container"))
            }
        }
    }

    /// Waits until the monitor is through with it, or gone; for ever where no time is given.
    pub(super) fn ends_within(&self, time: Option<Duration>) -> Result<bool> {
        let timeout = time.map(timespec);
        loop {
            match poll(&mut [PollFd::new(&self.monitor, PollFlags::IN)], timeout.as_ref()) {
                Ok(count) => return Ok(count > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).or_err(Kind::Failed, || "wait for the container".into()),
            }
        }
    }
}

/// None where it is gone.
fn open(pid: i32) -> Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(Errno::SRCH) => Ok(None),
        Err(errno) => Err(errno).or_err(Kind::Failed, || format!("open process {}", pid.as_raw_nonzero())),
    }
}

/// The container's, or its image's.
fn own_way(container: &Container) -> Result<StopRequest> {
    let name = &container.record.name;
    let request: RunRequest = parsed(container.record.request.as_deref(), name)?;
    let config: oci::ContainerConfig = parsed(container.record.config.as_deref(), name)?;
    let signal = request.process.stop_signal.or(config.stop_signal);
    Ok(StopRequest {
        signal: signal.and_then(|signal| request::signal(&signal).ok()),
        timeout: request.process.stop_timeout.or(config.stop_timeout),
    })
}

pub(super) fn not_running(container: &Container) -> Error {
    Error::new(Kind::Conflict, format!("container {} is not running", container.record.id))
}

//! Health checks: at their times a process of the monitor's enters the container, and says what came of it.

use super::stop::not_running;
use crate::Engine;
use crate::error::{Kind, Result, from_runtime, from_store};
use crate::health::{Check, Health, LONGEST, Probe};
use crate::run::Owned;
use crate::run::waiting::timespec;
use fault::Context;
use jiff::Timestamp;
use runtime::{Enter, Stdio};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::path::Path;
use std::time::{Duration, Instant};
use store::Container;
use sys::process::{Birth, Clone3, clone3};

/// The checks of one life.
pub(crate) struct Pulse {
    check: Check,
    health: Health,
    started: Timestamp,
    next: Instant,
    running: Option<Probing>,
}

/// A check that is under way.
struct Probing {
    pidfd: OwnedFd,
    /// Where it tells what came of it.
    result: OwnedFd,
}

impl Drop for Probing {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

impl Pulse {
    /// Of a container that begins, or goes on from what is on record.
    pub(crate) fn new(check: Check, owned: &mut Owned<'_>, goes_on: bool) -> Self {
        let started = owned.running().started;
        let mut health = Health::read(owned.held().dir()).ok().flatten().unwrap_or_default();
        if !goes_on {
            health.begin();
        }
        let _ = health.write(owned.held().dir());
        let next = Instant::now() + health.next_in(&check, started);
        Self { check, health, started, next, running: None }
    }

    /// Until there is something to do; none while a check is under way.
    pub(crate) fn rests(&self) -> Option<Duration> {
        self.running.is_none().then(|| self.next.saturating_duration_since(Instant::now()))
    }

    /// Becomes readable when a check has said what came of it.
    pub(crate) fn result(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref().map(|probing| probing.result.as_fd())
    }

    /// Begins a check if it is time.
    pub(crate) fn beat(&mut self, owned: &mut Owned<'_>) {
        if self.running.is_some() || Instant::now() < self.next {
            return;
        }
        // What is frozen has no health.
        let frozen = owned.group().ok().flatten().is_some_and(|group| group.frozen());
        if !frozen {
            self.running = probe(owned, &self.check).ok();
        }
        if self.running.is_none() {
            self.next = Instant::now() + self.health.next_in(&self.check, self.started);
        }
    }

    /// Takes what a check has said.
    pub(crate) fn take(&mut self, owned: &mut Owned<'_>) {
        let Some(probing) = self.running.take() else { return };
        let said = sys::file::read_whole(&probing.result, 4096).unwrap_or_default();
        drop(probing);
        if let Ok(probe) = serde_json::from_slice::<Probe>(&said) {
            let changed = self.health.take(probe, &self.check, self.started);
            let _ = self.health.write(owned.held().dir());
            if let Some(status) = changed {
                owned.report(&format!("health_status: {}", status.name()));
            }
        }
        self.next = Instant::now() + self.health.next_in(&self.check, self.started);
    }

    /// The container has ended.
    pub(crate) fn end(mut self, owned: &Owned<'_>) {
        self.running = None;
        self.health.end();
        let _ = self.health.write(owned.held().dir());
    }
}

/// Makes the process that checks. It has nothing of the monitor's but its memory: no lock outlives the monitor in it.
fn probe(owned: &Owned<'_>, check: &Check) -> Result<Probing> {
    let failed = || "make a process for a health check".to_owned();
    let (result, tell) = pipe_with(PipeFlags::CLOEXEC).or_err(Kind::Failed, failed)?;
    let store = &owned.engine().store;
    match clone3(&Clone3::default()).or_err(Kind::Failed, failed)? {
        Birth::Parent { pidfd, .. } => Ok(Probing { pidfd, result }),
        Birth::Child => {
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            let start = Timestamp::now();
            let (root, run, id) = (store.path(), store.run(), owned.id().to_string());
            let done = match sys::process::close_all_from(3, &[tell.as_fd()]) {
                Ok(()) => check_once(root, run, &id, check),
                Err(errno) => Err(crate::Error::new(Kind::Failed, failed()).caused_by(errno)),
            };
            let (exit_code, output) = done.unwrap_or_else(|error| (-1, error.line()));
            let probe = Probe { start, end: Timestamp::now(), exit_code, output };
            let _ = rustix::io::write(&tell, &serde_json::to_vec(&probe).unwrap_or_default());
            sys::process::exit_now(0)
        }
    }
}

fn check_once(root: &Path, run: &Path, id: &str, check: &Check) -> Result<(i32, String)> {
    let engine = Engine::look(root, run)?;
    let container = engine.store.container(id).map_err(from_store)?;
    engine.probe_health(&container, check)
}

impl Engine {
    /// Runs a check in a container; its exit code and what it said.
    fn probe_health(&self, container: &Container, check: &Check) -> Result<(i32, String)> {
        let exec = super::ExecRequest { command: check.command.clone(), ..Default::default() };
        let running = self.store.slot_of(&container.record.id).map_err(from_store)?;
        let running = running.ok_or_else(|| not_running(container))?;
        let (plan, target, group) = self.entrance(container, &running, &exec)?;
        let what = || "make a pipe for a health check".to_owned();
        let (output, theirs) = pipe_with(PipeFlags::CLOEXEC).or_err(Kind::Failed, what)?;
        let error = fcntl_dupfd_cloexec(&theirs, 3).or_err(Kind::Failed, what)?;
        let stdio = Stdio::Streams([super::exec::null()?, theirs, error]);
        let enter = Enter { target: target.as_fd(), stdio, cgroup: group.as_ref(), kept: 0 };
        let told = super::exec::Told::new(self, container, &exec);
        let mut entered = plan.enter(enter).map_err(from_runtime)?;
        super::exec::await_program(&mut entered)?;
        let (said, in_time) = listen(&output, entered.pidfd(), check.timeout);
        if !in_time {
            entered.kill(Signal::KILL.as_raw()).map_err(from_runtime)?;
        }
        let code = entered.wait().map_err(from_runtime)?.status.code();
        told.died(code);
        if in_time {
            return Ok((code, said));
        }
        let late = format!("Health check exceeded timeout ({})", oci::duration::show(check.timeout));
        Ok((-1, if said.is_empty() { late } else { format!("{late}: {said}") }))
    }
}

/// What it says until its end, or until its time is up, which is told.
fn listen(output: &OwnedFd, end: BorrowedFd<'_>, timeout: Duration) -> (String, bool) {
    let until = Instant::now() + timeout;
    let (mut said, mut is_cut, mut has_ended) = (Vec::new(), false, false);
    let mut buffer = [0; LONGEST];
    let in_time = loop {
        // What was written before the end is in the pipe.
        let left = if has_ended { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) };
        let mut fds = [PollFd::new(output, PollFlags::IN), PollFd::from_borrowed_fd(end, PollFlags::IN)];
        match poll(&mut fds[..if has_ended { 1 } else { 2 }], Some(&timespec(left))) {
            Ok(0) => break has_ended,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => break false,
        }
        let is_readable = !fds[0].revents().is_empty();
        has_ended |= !fds[1].revents().is_empty();
        if is_readable {
            match read(output, &mut buffer) {
                Ok(0) | Err(_) if has_ended => break true,
                // Closed, and not ended yet: nothing more is said.
                Ok(0) | Err(_) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let ended =
                        poll(&mut [PollFd::from_borrowed_fd(end, PollFlags::IN)], Some(&timespec(left)));
                    break ended.is_ok_and(|count| count > 0);
                }
                Ok(length) => {
                    let room = LONGEST - said.len();
                    is_cut |= length > room;
                    said.extend_from_slice(&buffer[..length.min(room)]);
                }
            }
        }
    };
    let said = String::from_utf8_lossy(&said).into_owned();
    (if is_cut { said + "..." } else { said }, in_time)
}

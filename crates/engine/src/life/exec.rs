//! docker's `exec`: one more process in a container that runs.

use super::stop::not_running;
use crate::Engine;
use crate::compose::{self, User};
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use crate::events::Event as Happened;
use crate::request::{RunRequest, Stream, StreamsRequest};
use crate::rootfs::LARGEST;
use crate::run::{HostStreams, Signals, attend, from_compose, parsed, size_of, wire};
use fault::Context;
use oci::runtime::{LinuxIdMapping, Process, Spec};
use runtime::{Enter, Event, Plan, Stdio};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::{Container, Running};

/// One more process.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `-e`, `--env-file`: `NAME=VALUE`.
    pub env: Vec<String>,
    /// `-w`; the container's otherwise.
    pub workdir: Option<String>,
    /// `-u`; the container's otherwise.
    pub user: Option<String>,
    /// `--privileged`: all capabilities, no filter.
    pub privileged: bool,
    /// `-i`, `-t`, `--detach-keys`.
    pub streams: StreamsRequest,
    /// `-d`: leave it alone once it runs.
    pub detach: bool,
}

impl Engine {
    /// Puts the caller's binary out of reach before a container is entered whose root may be the host's; see
    /// [`crate::run::seal`].
    pub fn seal_for(
        &self,
        text: &str,
        program: PathBuf,
        args: impl Iterator<Item = std::ffi::OsString>,
        env: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<()> {
        let (container, _) = self.container(text)?;
        let request: RunRequest = parsed(container.record.request.as_deref(), &container.record.name)?;
        crate::run::seal(&request.isolation.userns, request.isolation.privileged, program, args, env)
    }

    /// Runs one more process in a container; its exit code, 0 if it is left alone.
    pub fn exec(
        &self,
        text: &str,
        exec: &ExecRequest,
        host: HostStreams<'_>,
        warn: &mut dyn FnMut(&str),
    ) -> Result<i32> {
        let (container, running) = self.running_one(text)?;
        let (plan, target, group) = self.entrance(&container, &running, exec)?;
        let signals = Signals::block()?;
        let silent =
            StreamsRequest { interactive: false, attach: vec![Stream::Stdin], ..exec.streams.clone() };
        let (stdio, ends) = match exec.detach {
            false => wire(&plan, &exec.streams, size_of(&host.all())).map_err(from_runtime)?,
            true if exec.streams.tty => wire(&plan, &silent, None).map_err(from_runtime)?,
            true => (Stdio::Streams([null()?, null()?, null()?]), Default::default()),
        };
        let enter = Enter { target: target.as_fd(), stdio, cgroup: group.as_ref(), kept: 0 };
        let mut entered = plan.enter(enter).map_err(from_runtime)?;
        entered.warnings().iter().for_each(|warning| warn(warning));
        let told = Told::new(self, &container, exec);
        if exec.detach {
            return await_program(&mut entered).map(|()| 0);
        }
        let (exited, failure, _) = attend(entered, &exec.streams, host, ends, &signals, &mut || {}, warn)?;
        let code = failure.as_ref().map_or(exited.status.code(), crate::exit_code);
        told.died(code);
        failure.map_or(Ok(code), Err)
    }
}

/// How a process gets into a container: what it is to be, the first process, and the control group.
type Entrance = (Plan, OwnedFd, Option<cgroup::Cgroup>);

impl Engine {
    /// The way in, for one more process.
    pub(super) fn entrance(
        &self,
        container: &Container,
        running: &Running,
        exec: &ExecRequest,
    ) -> Result<Entrance> {
        let gone = || not_running(container);
        let group = self.group_of(running)?;
        if group.as_ref().is_some_and(cgroup::Cgroup::frozen) {
            let what = format!("container {} is paused", container.record.name);
            return Err(Error::new(Kind::Conflict, what).with_hint("`hull unpause` lets it go on"));
        }
        let pid = running.pid.and_then(Pid::from_raw).ok_or_else(gone)?;
        let target = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
        // While the slot still says so, the process is the container's.
        let now = self.store.slot_of(&container.record.id).map_err(from_store)?;
        if now.and_then(|now| now.pid) != running.pid {
            return Err(gone());
        }
        await_first_program(pid).map_err(|_| gone())?;
        let lives = || sys::proc::stat(pid.as_raw_nonzero().get()).is_ok_and(|stat| stat.lives);
        // It may end while it is looked at.
        let spec = spec(container, pid, exec).map_err(|error| if lives() { error } else { gone() })?;
        let plan = Plan::new(&spec).map_err(from_runtime)?;
        Ok((plan, target, group))
    }
}

/// A start that has not come to its program after so long never will.
const START: Duration = Duration::from_secs(30);

/// Waits until a container's first process runs its program. Before that its namespaces are not all made, and what its mount
/// namespace shows is still the host's: nobody may enter.
///
/// # Errors
/// ESRCH when it ended, ETIMEDOUT when it does not come that far.
pub(crate) fn await_first_program(pid: Pid) -> rustix::io::Result<()> {
    let begun = Instant::now();
    loop {
        let stat = sys::proc::stat(pid.as_raw_nonzero().get())?;
        match (stat.lives, stat.has_program) {
            (false, _) => return Err(Errno::SRCH),
            (true, true) => return Ok(()),
            (true, false) if begun.elapsed() > START => return Err(Errno::TIMEDOUT),
            (true, false) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// What is told of it: docker's `exec_create`, `exec_start`, `exec_die`.
pub(super) struct Told<'a> {
    engine: &'a Engine,
    container: &'a Container,
    id: String,
}

impl<'a> Told<'a> {
    pub(super) fn new(engine: &'a Engine, container: &'a Container, exec: &ExecRequest) -> Self {
        let id = store::ContainerId::random().map_or_else(|_| String::new(), |id| id.to_string());
        let told = Self { engine, container, id };
        let command = exec.command.join(" ");
        let event = |action: &str| told.event(format!("{action}: {command}"));
        engine.report_all([event("exec_create"), event("exec_start")]);
        told
    }

    fn event(&self, action: String) -> Happened {
        Happened::of(&self.container.record, action).with("execID", &self.id)
    }

    pub(super) fn died(&self, code: i32) {
        self.engine.report(self.event("exec_die".into()).with("exitCode", code));
    }
}

pub(super) fn null() -> Result<OwnedFd> {
    open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .or_err(Kind::Failed, || "open `/dev/null`".into())
}

pub(super) fn await_program(entered: &mut runtime::Running) -> Result<()> {
    loop {
        match entered.event().map_err(from_runtime)? {
            Event::Failed(error) => return Err(from_runtime(error)),
            Event::Executed => return Ok(()),
            _ => {}
        }
    }
}

/// The container's, with this process in the place of its first, and the ids that it has since its last start.
fn spec(container: &Container, pid: Pid, exec: &ExecRequest) -> Result<Spec> {
    let mut spec: Spec = parsed(container.record.spec.as_deref(), &container.record.name)?;
    let first = spec.process().clone().unwrap_or_default();
    let process = process(container, first, pid, exec)?;
    let user = process.user().clone();
    spec.set_process(Some(process));
    if let Some(linux) = spec.linux_mut() {
        if linux.uid_mappings().is_some() {
            let (uids, gids) = (map_of(pid, "uid_map")?, map_of(pid, "gid_map")?);
            check_mapped("uid", user.uid(), &uids)?;
            check_mapped("gid", user.gid(), &gids)?;
            linux.set_uid_mappings(Some(uids)).set_gid_mappings(Some(gids));
        }
        if exec.privileged {
            linux.set_seccomp(None);
        }
    }
    Ok(spec)
}

/// The kernel would only say that the argument is invalid.
fn check_mapped(what: &str, id: u32, map: &[LinuxIdMapping]) -> Result<()> {
    let has = |one: &LinuxIdMapping| id.checked_sub(one.container_id()).is_some_and(|at| at < one.size());
    if map.iter().any(has) {
        return Ok(());
    }
    let range = |one: &LinuxIdMapping| {
        format!("{}-{}", one.container_id(), u64::from(one.container_id()) + u64::from(one.size()) - 1)
    };
    let ranges = map.iter().map(range).collect::<Vec<_>>().join(", ");
    Err(Error::new(Kind::Invalid, format!("{what} {id} is none of the container's: it has {ranges}")))
}

/// Lines of user_namespaces(7).
fn map_of(pid: Pid, name: &str) -> Result<Vec<LinuxIdMapping>> {
    let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
    let text = std::fs::read_to_string(&path).or_err(Kind::Failed, || format!("read `{path}`"))?;
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(compose::mapping(&crate::request::IdMap { inside: next()?, host: next()?, size: next()? }))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn process(container: &Container, mut first: Process, pid: Pid, exec: &ExecRequest) -> Result<Process> {
    let request: RunRequest = parsed(container.record.request.as_deref(), &container.record.name)?;
    let config: oci::ContainerConfig = parsed(container.record.config.as_deref(), &container.record.name)?;
    let typed = exec.user.as_deref().or(request.process.user.as_deref()).unwrap_or(&config.user);
    let user = user(pid, typed, if exec.user.is_some() { &[] } else { &request.process.groups })?;
    let mut asked = request.process.env.iter().chain(&config.env);
    let keeps_home = asked.any(|entry| entry.starts_with("HOME="));
    let mut env = first.env().clone().unwrap_or_default();
    let mut set = |entry: &str| compose::set_variable(&mut env, entry);
    if !keeps_home {
        set(&format!("HOME={}", user.home));
    }
    if exec.streams.tty {
        set("TERM=xterm");
    }
    exec.env.iter().for_each(|entry| set(entry));
    first.set_env(Some(env)).set_args(Some(exec.command.clone())).set_terminal(Some(exec.streams.tty));
    exec.workdir.iter().for_each(|cwd| _ = first.set_cwd(cwd.into()));
    let mut own = oci::runtime::User::default();
    own.set_uid(user.uid).set_gid(user.gid).set_additional_gids(Some(user.groups));
    first.set_user(own);
    if exec.privileged {
        first.set_capabilities(Some(compose::all_capabilities(crate::run::bounding_set())));
    }
    Ok(first)
}

/// By the accounts that the container has now.
fn user(pid: Pid, typed: &str, groups: &[String]) -> Result<User> {
    let root = format!("/proc/{}/root", pid.as_raw_nonzero());
    let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .or_err(Kind::Failed, || "open the container's root".into())?;
    let (passwd, group) = (account(&root, "etc/passwd")?, account(&root, "etc/group")?);
    compose::resolve_user(typed, groups, passwd.as_deref(), group.as_deref()).map_err(from_compose)
}

fn account(root: &OwnedFd, path: &str) -> Result<Option<Vec<u8>>> {
    sys::file::read_below(root, path, LARGEST)
        .or_err(Kind::Failed, || format!("read `/{path}` of the container"))
}

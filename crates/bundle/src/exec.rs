//! `exec`: one more process in a container.

use crate::config::{check_terminal, complete, place_binds, stdio};
use crate::create::write_pid;
use crate::error::{At, from_cgroup, from_runtime, invalid, status};
use crate::{Error, Kind, Made, Place, Result, State, Status, console, foreground, home, listener};
use oci::runtime::{Process, Spec};
use runtime::{Enter, Event, Plan, Running};
use rustix::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// One more process.
#[derive(Debug, Default)]
pub struct Exec {
    /// All of it, a `process.json`; instead of the container's own process with changes.
    pub process: Option<Vec<u8>>,
    /// What is otherwise than with the container's own process.
    pub changes: Changes,
    /// Where the master of its terminal goes: a listening Unix socket.
    pub console_socket: Option<PathBuf>,
    /// Where a pidfd of it goes, likewise.
    pub pidfd_socket: Option<PathBuf>,
    /// The file that is to hold its id.
    pub pid_file: Option<PathBuf>,
    /// How many of the caller's descriptors, from 3 on, it inherits.
    pub kept: u16,
    /// Leave as soon as its program runs.
    pub detach: bool,
    /// Go on although the container is paused; the program runs when it is resumed.
    pub ignore_paused: bool,
    /// Groups below the container's own to be in instead: controllers (empty on v2, or for all), and the path.
    pub groups: Vec<(Vec<String>, PathBuf)>,
}

/// What is otherwise than with the container's own process.
#[derive(Debug, Default)]
pub struct Changes {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// More of the environment.
    pub env: Vec<String>,
    /// A terminal?
    pub terminal: bool,
    /// User, and maybe group.
    pub user: Option<(u32, Option<u32>)>,
    /// More groups.
    pub groups: Vec<u32>,
    /// More capabilities.
    pub capabilities: Vec<String>,
    /// AppArmor's profile.
    pub apparmor: Option<String>,
    /// SELinux's label.
    pub label: Option<String>,
    /// No new privileges?
    pub no_new_privileges: Option<bool>,
}

impl Place {
    /// Runs one more process in the container.
    ///
    /// # Errors
    /// [`Kind::Status`] if the container does not run, [`Kind::Start`] if the program cannot be executed.
    pub fn exec(&self, exec: &Exec, warn: &mut dyn FnMut(&str)) -> Result<Made> {
        let state = self.state()?;
        check_status(&state, exec.ignore_paused)?;
        let target = state.record.process.map_or(Ok(None), |process| process.open())?;
        let target = target.ok_or_else(stopped)?;
        let mut spec = self.spec(&mut |_| {})?;
        place_binds(&mut spec, &state.record.bundle);
        let process = exec.process(&spec, warn)?;
        check_terminal(Some(&process), exec.console_socket.as_deref(), exec.detach)?;
        spec.set_process(Some(exec.complete(process, &state)));
        let plan = Plan::new(&spec).map_err(from_runtime)?;
        let group = group(&state, exec)?;
        let signals = (!exec.detach).then(foreground::Signals::block).transpose()?;
        let enter = Enter {
            target: target.as_fd(),
            stdio: stdio(spec.process().as_ref(), !exec.detach),
            cgroup: group.as_ref(),
            kept: exec.kept,
        };
        let mut running = plan.enter(enter).map_err(|error| match state.record.process {
            Some(process) if process.lives() => from_runtime(error),
            _ => stopped(), // meanwhile
        })?;
        drop(target);
        let hand_over = |filter: &OwnedFd, pid| match plan.listener() {
            Some(to) => listener::hand_over(to, filter, (&state.record, state.status), pid),
            None => Ok(()),
        };
        let master = await_program(&mut running, exec, &hand_over)?;
        exec.tell(&running)?;
        match signals {
            None => Ok(Made::Running),
            Some(signals) => {
                foreground::attend(running.pidfd(), master, &signals)?;
                Ok(Made::Ended(running.wait().map_err(from_runtime)?.status.code()))
            }
        }
    }
}

fn stopped() -> Error {
    status("cannot exec in a stopped container")
}

fn check_status(state: &State, ignore_paused: bool) -> Result<()> {
    match state.status {
        Status::Stopped | Status::Creating => Err(stopped()),
        Status::Paused if !ignore_paused => {
            Err(status("cannot exec in a paused container (use --ignore-paused to override)"))
        }
        _ => Ok(()),
    }
}

/// The container's group, or one below it.
fn group(state: &State, exec: &Exec) -> Result<Option<cgroup::Cgroup>> {
    let Some((_, mut group)) = state.record.group()? else { return Ok(None) };
    for (controllers, path) in &exec.groups {
        let names: Vec<_> = controllers.iter().map(String::as_str).collect();
        let names = (!names.is_empty()).then_some(names.as_slice());
        group = group.below(path, names).map_err(from_cgroup)?;
    }
    Ok(Some(group))
}

/// Waits until the program runs. The terminal's master comes back if it is ours to attend.
fn await_program(
    running: &mut Running,
    exec: &Exec,
    hand_over: &dyn Fn(&OwnedFd, i32) -> Result<()>,
) -> Result<Option<OwnedFd>> {
    let mut kept = None;
    let pid = running.pid().as_raw_nonzero().get();
    loop {
        match (running.event().map_err(from_runtime)?, &exec.console_socket) {
            (Event::Terminal(master), Some(socket)) => console::send(socket, "/dev/ptmx", &master)?,
            (Event::Terminal(master), None) => kept = Some(master),
            (Event::Listener(filter), _) => hand_over(&filter, pid)?,
            (Event::Failed(error), _) => return Err(from_runtime(error)),
            (Event::Executed, _) => return Ok(kept),
            _ => {}
        }
    }
}

impl Exec {
    fn process(&self, spec: &Spec, warn: &mut dyn FnMut(&str)) -> Result<Process> {
        match &self.process {
            Some(bytes) => {
                let oci::spec::Read { value, warnings } =
                    oci::spec::read_process(bytes).map_err(|error| error.map_kind(|_| Kind::Invalid))?;
                warnings.iter().for_each(|line| warn(line));
                Ok(value)
            }
            None => {
                let process = spec.process().clone();
                self.changes.apply(process.ok_or_else(|| invalid("process property must not be empty"))?)
            }
        }
    }

    /// The container's files are looked at through its own mounts.
    fn complete(&self, mut process: Process, state: &State) -> Process {
        let root = state.pid.and_then(|pid| home::open(format!("/proc/{pid}/root").as_ref()));
        complete(&mut process, 0, root.as_ref());
        process
    }

    fn tell(&self, running: &Running) -> Result<()> {
        if let Some(socket) = &self.pidfd_socket {
            let pidfd = running.pidfd().try_clone_to_owned().at(|| "copy a pidfd".into())?;
            console::send(socket, "pidfd", &pidfd)?;
        }
        let pid = running.pid().as_raw_nonzero().get();
        self.pid_file.as_deref().map_or(Ok(()), |path| write_pid(path, pid))
    }
}

impl Changes {
    fn apply(&self, mut process: Process) -> Result<Process> {
        if self.args.is_empty() {
            return Err(invalid("exec args cannot be empty"));
        }
        process.set_args(Some(self.args.clone())).set_terminal(Some(self.terminal));
        self.cwd.iter().for_each(|cwd| _ = process.set_cwd(cwd.into()));
        let mut env = process.env().clone().unwrap_or_default();
        env.extend(self.env.iter().cloned());
        process.set_env(Some(env));
        self.set_user(&mut process);
        self.add_capabilities(&mut process)?;
        self.apparmor.iter().for_each(|profile| _ = process.set_apparmor_profile(Some(profile.clone())));
        self.label.iter().for_each(|label| _ = process.set_selinux_label(Some(label.clone())));
        self.no_new_privileges.iter().for_each(|&on| _ = process.set_no_new_privileges(Some(on)));
        Ok(process)
    }

    fn set_user(&self, process: &mut Process) {
        let mut user = process.user().clone();
        if let Some((uid, gid)) = self.user {
            user.set_uid(uid);
            gid.iter().for_each(|&gid| _ = user.set_gid(gid));
        }
        if !self.groups.is_empty() {
            let more = user.additional_gids().iter().flatten().chain(&self.groups).copied().collect();
            user.set_additional_gids(Some(more));
        }
        process.set_user(user);
    }

    /// As runc: ambient only where the configuration has inheritable ones, without which it could not be.
    fn add_capabilities(&self, process: &mut Process) -> Result<()> {
        if self.capabilities.is_empty() {
            return Ok(());
        }
        let mut sets = process.capabilities().clone().unwrap_or_default();
        for name in &self.capabilities {
            let capability: seccomp::Capability =
                name.parse().map_err(|_| invalid(format!("unknown capability `{name}`")))?;
            let with = |set: &Option<oci::runtime::Capabilities>| {
                let mut set = set.clone().unwrap_or_default();
                set.insert(capability.to_runtime());
                Some(set)
            };
            let (bounding, effective) = (with(sets.bounding()), with(sets.effective()));
            let permitted = with(sets.permitted());
            sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
            if sets.inheritable().as_ref().is_some_and(|set| !set.is_empty()) {
                let ambient = with(sets.ambient());
                sets.set_ambient(ambient);
            }
        }
        process.set_capabilities(Some(sets));
        Ok(())
    }
}

//! Programs of others that are run at set moments of a container's life (config.md, POSIX-platform Hooks).

use crate::{Error, Kind, Result, refused};
use oci::runtime::{ContainerState, Hook, Spec, State, StateBuilder};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use rustix::time::Timespec;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// As [`CreateRuntime`](Self::CreateRuntime), and before it; deprecated.
    Prestart,
    /// The namespaces are there, the root is not entered; by the maker, in the runtime's namespaces.
    CreateRuntime,
    /// After that; by the container's process, in its namespaces, over the runtime's files.
    CreateContainer,
    /// Just before the program; in the container, over its files.
    StartContainer,
    /// The program runs; in the runtime's namespaces.
    Poststart,
    /// The container is gone; in the runtime's namespaces.
    Poststop,
}

impl Moment {
    fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// What the container is then (runtime.md, State).
    fn status(self) -> ContainerState {
        match self {
            Self::Prestart | Self::CreateRuntime | Self::CreateContainer => ContainerState::Creating,
            Self::StartContainer => ContainerState::Created,
            Self::Poststart => ContainerState::Running,
            Self::Poststop => ContainerState::Stopped,
        }
    }
}

/// A container's hooks, and what they are told of it.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    hooks: oci::runtime::Hooks,
    version: String,
    id: String,
    bundle: PathBuf,
    root: PathBuf,
    annotations: HashMap<String, String>,
}

impl Hooks {
    /// Those of a configuration, if it has any.
    pub fn new(spec: &Spec, id: &str, bundle: &Path) -> Option<Self> {
        Some(Self {
            hooks: spec.hooks().clone()?,
            version: spec.version().clone(),
            id: id.to_owned(),
            bundle: bundle.to_owned(),
            root: bundle.join(spec.root().as_ref().map_or(Path::new(""), |root| root.path())),
            annotations: spec.annotations().clone().unwrap_or_default(),
        })
    }

    /// Are there any for one of these moments?
    pub fn has(&self, moments: &[Moment]) -> bool {
        moments.iter().any(|&moment| !self.of(moment).is_empty())
    }

    /// Where hooks find the container's root before it is entered.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn of(&self, moment: Moment) -> &[Hook] {
        let hooks = match moment {
            Moment::Prestart => self.hooks.prestart(),
            Moment::CreateRuntime => self.hooks.create_runtime(),
            Moment::CreateContainer => self.hooks.create_container(),
            Moment::StartContainer => self.hooks.start_container(),
            Moment::Poststart => self.hooks.poststart(),
            Moment::Poststop => self.hooks.poststop(),
        };
        hooks.as_deref().unwrap_or_default()
    }

    /// Runs those of a moment, in order, until one fails.
    ///
    /// # Errors
    /// [`Kind::Hook`]: which one, how it ended, and what it said.
    pub fn run(&self, moment: Moment, pid: Option<i32>) -> Result<()> {
        let hooks = self.of(moment);
        if hooks.is_empty() {
            return Ok(());
        }
        let state = self.state(moment, pid)?;
        // In the container the bundle's path means nothing.
        let dir = (moment != Moment::StartContainer).then_some(self.bundle.as_path());
        hooks.iter().try_for_each(|hook| run(hook, &state, dir).map_err(|why| failed(moment, hook, why)))
    }

    /// Runs all of a moment, whatever becomes of each, and gives the failures: where the specification wants them
    /// logged and nothing else.
    pub fn run_all(&self, moment: Moment, pid: Option<i32>) -> Vec<Error> {
        let state = match self.state(moment, pid) {
            Ok(state) => state,
            Err(error) => return vec![error],
        };
        let each = |hook| run(hook, &state, Some(&self.bundle)).err().map(|why| failed(moment, hook, why));
        self.of(moment).iter().filter_map(each).collect()
    }

    fn state(&self, moment: Moment, pid: Option<i32>) -> Result<String> {
        let state = StateBuilder::default()
            .version(self.version.clone())
            .id(self.id.clone())
            .status(moment.status())
            .bundle(self.bundle.clone())
            .annotations(self.annotations.clone());
        let state = match pid {
            Some(pid) => state.pid(pid),
            None => state,
        };
        let text = state.build().map_err(|cause| cause.to_string());
        let text =
            text.and_then(|state: State| serde_json::to_string(&state).map_err(|cause| cause.to_string()));
        text.map_err(|cause| Error::new(Kind::Hook, "write the state for a hook").caused_by(cause))
    }
}

fn failed(moment: Moment, hook: &Hook, why: String) -> Error {
    Error::new(Kind::Hook, format!("{} hook `{}`: {why}", moment.name(), hook.path().display()))
}

/// Runs a hook to its end, or to that of its time.
fn run(hook: &Hook, state: &str, dir: Option<&Path>) -> std::result::Result<(), String> {
    let words = |error: std::io::Error| error.to_string();
    let mut input = memory(state.as_bytes()).map_err(words)?;
    input.rewind().map_err(words)?;
    let said = memory(b"").map_err(words)?;
    let copy = |file: &File| file.try_clone().map_err(words);
    let mut command = Command::new(hook.path());
    command.stdin(input).stdout(copy(&said)?).stderr(copy(&said)?).process_group(0);
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    if let Some(args) = hook.args().as_deref() {
        if let Some(name) = args.first() {
            command.arg0(name);
        }
        command.args(args.iter().skip(1));
    }
    if let Some(env) = hook.env().as_deref() {
        command.env_clear().envs(env.iter().filter_map(|entry| entry.split_once('=')));
    }
    let mut child = sys::process::spawn_with_default_signals(command).map_err(words)?;
    let ended = await_end(child.id(), hook.timeout());
    let status = child.wait().map_err(words)?;
    match (ended, status.success()) {
        (Ok(true), true) => Ok(()),
        (Ok(true), false) => Err(format!("{}{}", end_of(status), tail(said))),
        (Ok(false), _) => Err(format!("timed out after {} s", hook.timeout().unwrap_or_default())),
        (Err(error), _) => Err(error.to_string()),
    }
}

fn memory(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create(c"hook", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}

/// Waits for a process; false if its time was up: it and its group are killed then.
fn await_end(pid: u32, seconds: Option<i64>) -> Result<bool> {
    let wait = || -> rustix::io::Result<bool> {
        let pid = Pid::from_raw(pid as i32).ok_or(rustix::io::Errno::SRCH)?;
        let pidfd: OwnedFd = pidfd_open(pid, PidfdFlags::empty())?;
        let patience = seconds.map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 });
        let ready = poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], patience.as_ref())?;
        if ready == 0 {
            kill_process_group(pid, Signal::KILL)?;
        }
        Ok(ready > 0)
    };
    wait().map_err(|errno| refused(errno, "wait for a hook".into()))
}

fn end_of(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => format!("killed by signal {}", signal.unwrap_or(0)),
    }
}

/// The last of what it said.
fn tail(mut said: File) -> String {
    const MOST: u64 = 300;
    let length = said.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::new();
    let read = said
        .seek(std::io::SeekFrom::Start(length.saturating_sub(MOST)))
        .and_then(|_| said.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if read.is_err() || text.is_empty() { String::new() } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(script: &str, timeout: Option<i64>) -> Hook {
        let mut hook: Hook =
            serde_json::from_value(serde_json::json!({"path": "/bin/sh", "args": ["sh", "-c", script]}))
                .unwrap();
        hook.set_timeout(timeout);
        hook
    }

    #[test]
    fn a_hook_reads_the_state_and_its_failure_is_told() {
        assert_eq!(run(&hook("grep -q abc", None), "{\"id\": \"abc\"}", None), Ok(()));
        let why = run(&hook("echo no >&2; exit 3", None), "", None).unwrap_err();
        assert_eq!(why, "exit status 3: no");
    }

    #[test]
    fn a_hook_that_takes_too_long_is_killed_with_its_children() {
        let why = run(&hook("sleep 1000 & sleep 1000", Some(1)), "", None).unwrap_err();
        assert_eq!(why, "timed out after 1 s");
    }
}

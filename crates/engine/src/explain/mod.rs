//! What isolates a container from the host and its neighbours, read from the kernel.
//!
//! ```text
//! /proc/PID, control group ─ seen ───▶ Isolation ─┬─ weak ────▶ what an attacker would gain, and what closes it
//!                                         │       └─ compare ─▶ what was asked for and is not so
//! record: Spec, request ──── wanted ──▶ Isolation ┘
//! ```
//!
//! Of a container that runs, the kernel's word is told; what was asked for is only compared. Of another, what it
//! would have. The filter of system calls is the exception: the kernel tells that there is one, and its profile is
//! the one that was loaded.

mod calls;
mod compare;
mod devices;
mod layers;
mod limits;
mod mounts;
mod network;
mod process;
mod seen;
mod value;
mod wanted;
mod weak;
mod words;

pub use value::*;

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::inspect;
use process::Process;
use serde_json::Value;
use store::{Container, Record, Running, State};

/// The version of [`Explanation`]'s JSON.
pub const SCHEMA: u32 = 1;

/// What a record says was asked for.
struct Asked {
    spec: Value,
    request: Value,
}

impl Asked {
    fn of(record: &Record) -> Self {
        let parse = |raw: &Option<Box<serde_json::value::RawValue>>| {
            raw.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null)
        };
        Self { spec: parse(&record.spec), request: parse(&record.request) }
    }
}

/// Another container that runs.
#[derive(Debug, Clone)]
struct Neighbour {
    running: Running,
    pid: i32,
}

impl Engine {
    /// What isolates a container; a container by name, id, or beginning of an id.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] where it ends while it is looked at.
    pub fn explain(&self, text: &str) -> Result<Explanation> {
        let (container, state) = self.container(text)?;
        let asked = Asked::of(&container.record);
        let neighbours = self.neighbours(&container)?;
        let kept = self.store().path().display().to_string();
        let mut wanted = wanted::of(&asked, &kept, self.cgroups.mode());
        let running =
            if let State::Running(running) = &state { running.pid.map(|pid| (running, pid)) } else { None };
        let (isolation, differences) = match running {
            Some((running, pid)) => {
                let is = self.seen(&container, running, pid, &asked, &neighbours, &mut wanted.mounts)?;
                let differences = compare::asked_and_is(&wanted, &is);
                (is, differences)
            }
            None => (wanted, Vec::new()),
        };
        Ok(Explanation {
            schema: SCHEMA,
            container: subject(
                &container.record,
                inspect::status(&state, self.is_paused(&state)),
                running.map(|it| it.1),
            ),
            host: self.host_view(neighbours.len()),
            weaknesses: weak::of(&isolation, &asked.request),
            layers: self.explain_layers(&container, &asked.spec)?,
            isolation,
            differences,
        })
    }

    fn host_view(&self, neighbours: usize) -> Host {
        let cgroups = match self.cgroups.mode() {
            cgroup::Mode::V1 => "v1",
            cgroup::Mode::Hybrid => "hybrid",
            cgroup::Mode::V2 => "v2",
        };
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Host { kernel, cgroups: cgroups.to_owned(), neighbours }
    }

    /// Other containers that run.
    fn neighbours(&self, container: &Container) -> Result<Vec<Neighbour>> {
        let slots = self.store.slot_list().map_err(from_store)?;
        let others =
            slots.into_iter().filter(|(running, lives)| *lives && running.container != container.record.id);
        Ok(others.filter_map(|(running, _)| Some(Neighbour { pid: running.pid?, running })).collect())
    }

    /// The name of a neighbour; its id where it has gone meanwhile.
    fn name_of(&self, neighbour: &Neighbour) -> String {
        let id = neighbour.running.container;
        self.store
            .container(&id.to_string())
            .map_or_else(|_| id.short(), |found| found.record.name.to_string())
    }

    fn seen(
        &self,
        container: &Container,
        running: &Running,
        pid: i32,
        asked: &Asked,
        neighbours: &[Neighbour],
        wanted: &mut [Mount],
    ) -> Result<Isolation> {
        let gone = || {
            Error::new(
                Kind::Conflict,
                format!("container {} ended while it was looked at", container.record.name),
            )
        };
        let process = Process::open(pid).map_err(|_| gone())?;
        // While the slot still says so, the process is the container's.
        let now = self.store.slot_of(&container.record.id).map_err(from_store)?;
        if now.is_none_or(|now| now.pid != Some(pid)) {
            return Err(gone());
        }
        let is = seen::Look { engine: self, process: &process, running, asked, neighbours }.isolation();
        mounts::resolve(wanted, &is.mounts, |path| process.resolved(path));
        if process.status().0.is_empty() { Err(gone()) } else { Ok(is) }
    }
}

/// The names of all capabilities there are, as `CAP_CHOWN`.
pub fn capability_names() -> impl Iterator<Item = String> {
    words::CAPABILITIES.iter().map(|(name, ..)| (*name).to_owned())
}

/// Where two containers differ.
pub fn differences(one: &Explanation, other: &Explanation) -> Vec<Difference> {
    compare::two(&one.isolation, &other.isolation)
}

fn subject(record: &Record, status: &str, pid: Option<i32>) -> Subject {
    Subject {
        id: record.id.to_string(),
        name: record.name.to_string(),
        image: record.image_name.clone(),
        command: record.command.clone(),
        status: status.to_owned(),
        pid,
    }
}

/// docker's word for the network that was asked for.
fn network_of(request: &Value) -> &str {
    match &request["isolation"]["network"] {
        Value::String(word) if word == "None" => "none",
        Value::String(word) => word,
        _ => "joined",
    }
}

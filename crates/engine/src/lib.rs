//! The nouns and the journeys: load, run, list, remove.
//!
//! What an edge (the command line, later HTTP and CRI) calls. A journey takes a request whose values
//! are understood already, goes one way down through store and runtime, and returns data. Nothing here
//! prints, reads the environment or knows how a word was typed.
//!
//! ```text
//!              ┌─ image    load, import, tag, list, inspect, history, remove
//!  request ──▶ ├─ compose  RunRequest + ImageConfig + facts ─▶ Spec   (pure)
//!              ├─ run      Spec ─▶ container ─▶ exit code
//!              ├─ container list, inspect, remove, diff
//!              ├─ copy     files in and out, export
//!              ├─ prune    what nobody uses
//!              ├─ boot     what is started with the host; unit: by systemd
//!              ├─ health   does it work
//!              ├─ events   what happens, told to whoever asks
//!              └─ system   info, df, check; doctor, explain
//! ```

mod boot;
mod cleanup;
pub mod compose;
pub mod container;
pub mod copy;
pub mod doctor;
mod error;
pub mod events;
pub mod explain;
pub mod health;
pub mod hello;
pub mod image;
pub mod init;
pub mod inspect;
pub mod life;
mod merged;
mod probe;
pub mod prune;
mod rename;
pub mod request;
mod rootfs;
pub mod run;
pub mod stats;
pub mod system;
pub mod top;
pub mod unit;
pub mod update;

pub use error::{Error, Kind, Result};

use error::from_store;
use fault::Context;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use store::Store;

/// Everything that is kept in one root, and the host it is on.
#[derive(Debug)]
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) cgroups: cgroup::Host,
    pub(crate) tell: fn(&str),
    /// It was told that events are lost.
    pub(crate) lost_events: AtomicBool,
}

impl Engine {
    /// Opens `root` (durable) and `run` (gone with a reboot), making them if they are not there.
    pub fn open(root: &Path, run: &Path) -> Result<Self> {
        Self::over(Store::open(root, run).map_err(from_store)?)
    }

    /// Likewise for who makes neither images nor containers: nothing is made, and where there is nothing,
    /// nothing is seen.
    pub fn look(root: &Path, run: &Path) -> Result<Self> {
        Self::over(Store::look(root, run).map_err(from_store)?)
    }

    fn over(store: Store) -> Result<Self> {
        let cgroups =
            cgroup::Host::probe().or_err(Kind::Unsupported, || "look at the control groups".into())?;
        Ok(Self { store, cgroups, tell: |_| {}, lost_events: AtomicBool::new(false) })
    }

    /// The same, which tells, a line each, what the user should know and need not act on.
    pub fn with_notices(self, tell: fn(&str)) -> Self {
        Self { store: self.store.with_notices(tell), tell, ..self }
    }

    /// The store, for who shows what is in it.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// What a shell shows of a program that SIGPIPE ended, as docker's client is.
pub const OUTPUT_CLOSED: i32 = 128 + 13;

/// docker's exit code for a run that did not come to its program's own.
pub fn exit_code(error: &Error) -> i32 {
    match error.kind() {
        Kind::ProgramNotFound => 127,
        Kind::ProgramNotExecutable => 126,
        Kind::OutputClosed => OUTPUT_CLOSED,
        _ => 125,
    }
}

//! What this host can and cannot isolate, what is lost by that, and the command that mends it.
//!
//! ```text
//! probe: tried ──┐
//! /proc, /sys ───┼─▶ Finding: ok, warn or no; what is so; what is lost; what mends it
//! the store ─────┘
//! ```
//!
//! What only a trial can tell is tried ([`crate::probe`]); the rest is read. Each check is a function of what stands in
//! the host's files, so that hosts that nobody has here can be tested.

mod features;
mod groups;
mod ids;
mod kernel;
mod settings;
mod storage;

use crate::Engine;
use crate::error::{Kind, Result, from_store};
use serde::Serialize;
use std::path::Path;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Containers run, and something is weaker, scarcer or less visible than it could be.
    Warn,
    /// Something that isolates is not there, or nothing can run.
    No,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it belongs to, e.g. `Kernel`.
    pub area: &'static str,
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub is: String,
    /// What is lost by it; empty where it is well.
    pub lost: String,
    /// The command that mends it; empty where it is well.
    pub mend: String,
}

impl Finding {
    fn ok(area: &'static str, what: &'static str, is: impl Into<String>) -> Self {
        Self { area, what, verdict: Verdict::Ok, is: is.into(), lost: String::new(), mend: String::new() }
    }

    /// The same, but not so well.
    fn but(self, verdict: Verdict, lost: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict, lost: lost.into(), mend: mend.into(), ..self }
    }
}

/// The host's files: a path's text, if there is such a file and it can be read.
#[derive(Clone, Copy)]
struct Files<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Files<'_> {
    fn text(&self, path: &str) -> Option<String> {
        Some((self.0)(path)?.trim().to_owned())
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// A setting below /proc/sys, by sysctl(8)'s name.
    fn setting(&self, name: &str) -> Option<u64> {
        self.number(&format!("/proc/sys/{}", name.replace('.', "/")))
    }
}

/// Looks at the host, and at what is kept in `root` and `run`: some milliseconds. In a process with one thread.
///
/// # Errors
/// What is kept cannot be read. A host that lacks something is none.
pub fn examine(root: &Path, run: &Path) -> Result<Vec<Finding>> {
    let files = Files(&|path| std::fs::read_to_string(path).ok());
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut all = kernel::all(files, &release);
    all.extend(kernel::modules(files));
    let slots = match Engine::look(root, run) {
        Ok(engine) => {
            all.extend(features::all(files, &engine.features()));
            all.extend(groups::all(files, engine.cgroups.mode(), &engine.cgroups.controllers()));
            engine.store.slot_list().map_err(from_store)?.len()
        }
        Err(error) if *error.kind() == Kind::Unsupported => {
            all.push(features::no_groups());
            0
        }
        Err(error) => return Err(error),
    };
    all.extend(ids::all(&crate::run::reserved(), slots));
    all.extend(settings::all(files));
    all.extend(storage::all(root));
    all.sort_by_key(|one| AREAS.iter().position(|area| *area == one.area));
    Ok(all)
}

const KERNEL: &str = "Kernel";
const NAMESPACES: &str = "Namespaces";
const CALLS: &str = "System calls";
const GROUPS: &str = "Control groups";
const IDS: &str = "Ids";
const SETTINGS: &str = "Settings";
const STORE: &str = "Store";

/// In the order in which they are told.
const AREAS: [&str; 7] = [KERNEL, NAMESPACES, CALLS, GROUPS, IDS, SETTINGS, STORE];

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a host that is thought of.
    pub(super) fn with<T>(files: &[(&str, &str)], look: impl FnOnce(Files<'_>) -> T) -> T {
        let read = |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        look(Files(&read))
    }

    /// The one finding about something.
    pub(super) fn about<'a>(all: &'a [Finding], what: &str) -> &'a Finding {
        all.iter().find(|one| one.what == what).unwrap_or_else(|| panic!("{what}: {all:#?}"))
    }
}

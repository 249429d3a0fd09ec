//! OCI containers on disk: created from a bundle, started, looked at, signalled, deleted.
//!
//! What it is not: it knows no images and no layers, keeps no process of its own between two commands, and prints
//! nothing. The runtime-spec's operations (runtime.md) are its functions.
//!
//! ```text
//! ROOT/                       /run/hull-runtime, $XDG_RUNTIME_DIR/hull-runtime, or --root
//! └ ID/                       locked (flock) by whoever changes the container
//!   ├ config.json             the bundle's, as it was at create
//!   ├ state.json              Record: pid and its time of birth, bundle, cgroup …; written beside, then renamed
//!   ├ gate, word              fifos at which a created container waits (runtime::Gate)
//!   └ notify/                 sd_notify's socket, where the caller has one
//!
//!             create                     start                 (its end)            delete
//! (nothing) ──────────▶ created ───────────────────▶ running ───────────▶ stopped ──────────▶ (nothing)
//!              a process waits at the gate     pause ⇅ resume
//! ```
//!
//! Invariants
//! - A status is never stored: it is what the kernel says of the process, its gate and its group.
//! - A process is known by its id and its time of birth; signals go through a pidfd that was checked against both.
//! - Whatever a killed command leaves, `delete --force` removes: the record is there before the groups and the
//!   process are, and a process whose maker died before it was recorded ends by itself.

mod config;
mod console;
mod create;
mod delete;
mod error;
mod exec;
mod features;
mod foreground;
mod group;
mod home;
mod kill;
mod listener;
mod notify;
mod place;
mod record;
mod root;
mod start;
mod status;

pub use cgroup::systemd::Manager;
pub use cgroup::{Oom, OomNotice, Stats};
pub use create::{Create, Made, VERSION, seal};
pub use error::{Error, Kind, Result};
pub use exec::{Changes, Exec};
pub use features::{example, features};
pub use place::Place;
pub use record::Record;
pub use root::Root;
pub use runtime::Caller;
#[cfg(fuzzing)]
pub use status::born;
pub use status::{State, Status};

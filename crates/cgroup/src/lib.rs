//! One handle over cgroup v1, v2 and hybrid.
//!
//! A [`Host`] knows which hierarchies there are; a [`Cgroup`] is one container's place in all of them. What it
//! is not: a view of the kernel's settings; it takes the runtime-spec's `LinuxResources` and holds them.
//!
//! ```text
//!            v2                             v1                              hybrid
//! /sys/fs/cgroup/hull/ID     /sys/fs/cgroup/memory/hull/ID      as v1; the cgroup2 tree below `unified`
//!                            /sys/fs/cgroup/cpu,cpuacct/hull/ID holds only what v1 has not
//!                            …                                  taken (here hugetlb) and is left alone
//! ```
//!
//! Invariants
//! - Every limit that is written is read back; one that the kernel does not hold is an error, and the groups
//!   made so far are gone again.
//! - On v1 a process joins by writing 0 to `tasks` itself: moving another one waits for RCU.
//! - Only groups below the path that was asked for are made, changed or removed; parents are made if absent
//!   and left.

mod device;
mod entry;
mod files;
mod group;
mod host;
mod program;
mod setting;
mod v1;
mod v2;

pub use entry::Entry;
pub use group::{Cgroup, Mount};
pub use host::{Host, Mode};

/// Why a group refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The host has no controller for a limit.
    Unsupported,
    /// A value that makes no sense.
    Invalid,
    /// The kernel took a limit and holds another.
    NotHeld,
    /// The kernel's own refusal.
    Kernel,
}

/// Why a group refused.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

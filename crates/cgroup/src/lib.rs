//! One handle over cgroup v1, v2 and hybrid.
//!
//! A [`Host`] knows which hierarchies there are; a [`Cgroup`] is one container's place in all of them. What it
//! is not: a view of the kernel's settings; it takes the runtime-spec's `LinuxResources` and holds them.
//!
//! ```text
//!            v2                             v1                              hybrid
//! /sys/fs/cgroup/hull/ID     /sys/fs/cgroup/memory/hull/ID      as v1; in the cgroup2 tree below `unified`
//!                            /sys/fs/cgroup/cpu,cpuacct/hull/ID  only what v1 has not taken (here hugetlb),
//!                            …                                   and only where a limit asks for it
//!
//! LinuxResources ─limits─▶ settings: file, value, how it is shown ─▶ written, read back
//!                └─device─▶ rules ─▶ v1: the list they come to    v2: a program
//!
//! Host::create, open, reopen, adopt ─▶ Cgroup ─▶ entry, mounts, paths     for who starts a container
//!                                             ─▶ stats, oom_notice, procs  for who watches it
//!                                             ─▶ freeze, signal, kill_all, remove
//! Host::update(&Cgroup, LinuxResources)         what is given, or nothing
//! Host::usage(path) ─▶ Usage                    a few numbers, of many groups
//! ```
//!
//! Invariants
//! - Every limit that is written is read back; one that the kernel does not hold is an error, and the groups
//!   made so far are gone again, or hold what they held before.
//! - On v1 a process joins by writing 0 to `tasks` itself: moving another one waits for RCU.
//! - Only groups below the path that was asked for are made, changed or removed; parents are made if absent
//!   and marked, so that they go with the last container. Real-time CPU alone is had from the groups above.
//! - With [`systemd`]'s driver the groups are a unit's, and what is written is told to systemd as well.

mod create;
mod delegate;
mod device;
mod entry;
mod files;
mod freezer;
#[cfg(fuzzing)]
pub mod fuzz;
mod group;
mod host;
mod limits;
mod oom;
mod own;
mod parents;
mod place;
mod process;
mod realtime;
mod setting;
pub mod stats;
pub mod systemd;
mod update;
mod usage;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

pub use entry::Entry;
pub use group::{Cgroup, Mount};
pub use host::{Host, Mode};
pub use oom::{Oom, OomNotice};
pub use stats::Stats;
pub use usage::Usage;

/// Why a group refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The host has no controller for a limit.
    Unsupported,
    /// A value that makes no sense.
    Invalid,
    /// A group that is to be made is there and has processes.
    InUse,
    /// The kernel took a limit and holds another.
    NotHeld,
    /// The kernel's word that a value does not fit the others (EINVAL, ERANGE, EBUSY).
    Refused,
    /// The caller may not (EACCES, EPERM, EROFS), e.g. without root and without a delegated group.
    Denied,
    /// The kernel's own refusal.
    Kernel,
}

impl Kind {
    pub(crate) fn of(errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        match errno {
            Errno::INVAL | Errno::RANGE | Errno::BUSY => Self::Refused,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Self::Denied,
            _ => Self::Kernel,
        }
    }
}

/// Why a group refused.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

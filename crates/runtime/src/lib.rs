//! A runtime-spec `Spec` to a running process.
//!
//! What it is not: it knows no images, no store, no names, no log. It takes a
//! [`Spec`](oci::runtime::Spec), a [`Rootfs`] and streams, and gives a running container.
//!
//! ```text
//! Spec ──Plan::new──▶ Plan ──start──▶ Running ──wait──▶ Exited
//!        (pure: every check,   │  parent                          child
//!         path, flag and BPF   ├─ cgroup, limits
//!         instruction)         ├─ clone3 ─────────────────────────▶ waits
//!                              ├─ id maps, rlimits ──── mapped ──▶ own ipc, net, cgroup; lo up
//!                              ├─ overlay, /dev, binds ─ mounts ─▶ root, mounts, masks, identity
//!                              ◀── terminal | executed | failure ─ exec
//! ```
//!
//! Invariants
//! - A plan is pure: it is made before anything exists, and the child only executes it.
//! - One clone3 and no thread. A second fork only where a pid namespace is joined.
//! - A failure in the child crosses as data, {step, errno, subject}, and becomes one error here.
//! - Every mount point in the container is resolved with openat2 in its root, never as a string on
//!   the host; what comes from the host crosses as a detached mount.
//! - File systems are made before the root is entered, as their sources are the host's; once it is entered, no path is
//!   looked up while the old root is still in sight.
//! - Files of procfs are written through a procfs that was looked at (`sys::proc`), never by a path alone.
//! - What the kernel lacks is refused before anything is made (`plan::kernel`).
//! - If the parent dies the child dies: before its program by the end of the channel, after it by
//!   the parent-death signal.

mod aside;
mod bind;
mod caller;
mod channel;
mod child;
mod dev;
mod enter;
mod failure;
mod furnish;
mod gate;
mod hook;
mod ids;
mod listener;
mod netdev;
mod overlay;
mod plan;
mod rdt;
mod running;
mod seal;
mod start;

pub use caller::Caller;
pub use enter::Enter;
pub use gate::Gate;
pub use hook::{Hooks, Moment};
pub use listener::hand_over;
pub use overlay::{Overlay, Rootfs};
pub use plan::{Listener, OPTIONAL_ID_MAP, Plan};
pub use rdt::Rdt;
pub use running::{Event, Exited, Running, Status};
pub use seal::seal;
pub use start::{Bond, Manner, Start, Stdio};

/// Why a container did not come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The `Spec` asks for something that makes no sense.
    Invalid,
    /// The `Spec` asks for something this kernel cannot do.
    Unsupported,
    /// The program does not exist in the container (docker's exit code 127).
    NotFound,
    /// The program exists and cannot be executed (126).
    NotExecutable,
    /// The file system of a layer or a bind cannot be id-mapped.
    NotMappable,
    /// No room: ENOSPC or EDQUOT.
    NoSpace,
    /// A control group refused.
    Cgroup,
    /// A hook failed.
    Hook,
    /// Any other refusal of the kernel.
    Kernel,
}

/// Why a container did not come to be.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind that an errno stands for when nothing more is known.
fn kind_of(errno: rustix::io::Errno) -> Kind {
    use rustix::io::Errno;
    match errno {
        Errno::NOSPC | Errno::DQUOT => Kind::NoSpace,
        _ => Kind::Kernel,
    }
}

/// Wraps an errno with the operation and its subject.
fn refused(errno: rustix::io::Errno, what: String) -> Error {
    Error::new(kind_of(errno), what).caused_by(errno)
}

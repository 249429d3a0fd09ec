//! System calls: the only crate with unsafe code.
//!
//! What rustix offers is used from rustix, everywhere. Here is what it lacks: `clone3`, the parts
//! of the mount API that came late, namespaces by pidfd, signal descriptors, and the few calls a
//! child makes between its birth and its program. Each function is one system call or one idea,
//! returns the kernel's errno unchanged, and knows nothing of containers.
//!
//! Invariants: every `unsafe` block says what it relies on and who keeps it; no function here
//! prints, allocates global state or reads the environment.

pub mod bpf;
pub mod file;
pub mod keep;
pub mod landlock;
pub mod link;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod proc;
pub mod process;
pub mod schedule;
pub mod seccomp;
pub mod signal;
pub mod step;
pub mod tty;
pub mod umask;

use rustix::io::{Errno, Result};

/// The result of a raw system call or a C function: -1 means errno tells.
fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result == -1 { Err(last_error()) } else { Ok(result) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

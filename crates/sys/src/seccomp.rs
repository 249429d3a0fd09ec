//! Installing a system call filter, see seccomp(2).

use crate::check;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};

/// One instruction of classic BPF: `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Class, size, mode or operation.
    pub code: u16,
    /// Instructions to skip when true.
    pub jt: u8,
    /// Instructions to skip when false.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

bitflags::bitflags! {
    /// How a filter is installed: `SECCOMP_FILTER_FLAG_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Flags: u32 {
        /// All threads of the process get it, or none.
        const TSYNC = 1;
        /// All actions but allow are logged.
        const LOG = 2;
        /// No mitigation of speculative store bypass for its sake.
        const SPEC_ALLOW = 4;
        /// Return a descriptor that hears of calls (seccomp_unotify(2)).
        const NEW_LISTENER = 8;
        /// A thread that can't follow is ESRCH, not a thread id; 5.7.
        const TSYNC_ESRCH = 16;
        /// A call that a listener has taken up is interrupted only by fatal signals; 5.19.
        const WAIT_KILLABLE_RECV = 32;
    }
}

/// `struct sock_fprog`
#[repr(C)]
struct Program {
    len: u16,
    filter: *const Instruction,
}

/// Puts this thread (with `TSYNC` every thread) under a filter, for ever. Needs no_new_privs or
/// CAP_SYS_ADMIN in the caller's user namespace (else EACCES). With `NEW_LISTENER` the descriptor that
/// hears of calls, close-on-exec.
pub fn install(program: &[Instruction], mut flags: Flags) -> Result<Option<OwnedFd>> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    if flags.contains(Flags::TSYNC) {
        flags |= Flags::TSYNC_ESRCH; // else a thread id would look like a descriptor
    }
    let program = Program { len, filter: program.as_ptr() };
    // SAFETY: `program` is a sock_fprog of `len` instructions that outlive the call, and the kernel
    // checks them. The filter itself can change no memory.
    let result = check(unsafe { libc::syscall(libc::SYS_seccomp, 1, flags.bits(), &raw const program) })?;
    let listens = flags.contains(Flags::NEW_LISTENER);
    // SAFETY: with NEW_LISTENER and without thread ids (TSYNC_ESRCH) a success is a new descriptor, ours alone.
    Ok(listens.then(|| unsafe { OwnedFd::from_raw_fd(result as i32) }))
}

//! Signals: by number, blocked, read from a descriptor, reset.

use crate::check;
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};
use std::ffi::c_int;

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Set(libc::sigset_t);

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries((1..=64).filter(|&signal| self.contains(signal))).finish()
    }
}

impl Set {
    /// No signal.
    pub fn empty() -> Self {
        // SAFETY: sigemptyset initialises what it is given; all-zero is a valid start.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            Self(set)
        }
    }

    /// Every signal that may be blocked (glibc keeps its own two).
    pub fn full() -> Self {
        let mut set = Self::empty();
        // SAFETY: the set is initialised.
        unsafe { libc::sigfillset(&raw mut set.0) };
        set
    }

    /// The same set with a signal.
    pub fn with(mut self, signal: c_int) -> Self {
        // SAFETY: the set is initialised; a bad number is refused and changes nothing.
        unsafe { libc::sigaddset(&raw mut self.0, signal) };
        self
    }

    /// The same set without a signal.
    pub fn without(mut self, signal: c_int) -> Self {
        // SAFETY: as above.
        unsafe { libc::sigdelset(&raw mut self.0, signal) };
        self
    }

    /// Is the signal in the set?
    pub fn contains(&self, signal: c_int) -> bool {
        // SAFETY: the set is initialised; a bad number gives -1.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }
}

/// Makes `set` the signals this thread blocks, and returns those it blocked before.
pub fn block_exactly(set: &Set) -> Result<Set> {
    let mut old = Set::empty();
    // SAFETY: both sets are initialised and outlive the call.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set.0, &raw mut old.0) }.into())?;
    Ok(old)
}

/// Are all signals blocked that may be?
pub(crate) fn all_blocked() -> Result<bool> {
    let mut now = Set::empty();
    // SAFETY: without a new set only the old one is written, which is initialised and outlives the call.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut now.0) }.into())?;
    Ok((1..32)
        .filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal))
        .all(|signal| now.contains(signal)))
}

/// A descriptor from which blocked signals of `set` are read, see signalfd(2). Does not block, closed on exec.
pub fn descriptor(set: &Set) -> Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is initialised; -1 asks for a new descriptor.
    let fd = check(unsafe { libc::signalfd(-1, &raw const set.0, flags) }.into())?;
    // SAFETY: the kernel just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// The next pending signal of a [`descriptor`], if there is one.
pub fn next(descriptor: impl AsFd) -> Result<Option<c_int>> {
    // SAFETY: plain integers, all-zero is valid.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let length = size_of_val(&info);
    // SAFETY: the kernel writes at most `length` bytes into `info`.
    match check(unsafe { libc::read(descriptor.as_fd().as_raw_fd(), (&raw mut info).cast(), length) } as _) {
        Ok(_) => Ok(Some(info.ssi_signo as c_int)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends a signal, real-time ones as well, to the process that `pidfd` refers to.
///
/// # Errors
/// ESRCH when it has ended, EPERM when it may not be sent one.
pub fn send(pidfd: impl AsFd, signal: c_int) -> Result<()> {
    let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
    // SAFETY: a null siginfo means: as kill(2) would fill it.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, info, flags) };
    check(result).map(drop)
}

/// Gives every signal its default action and unblocks all: what a new program expects.
/// (An ignored signal stays ignored through execve(2), and Rust ignores SIGPIPE.)
pub fn reset() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is no function of ours; SIGKILL, SIGSTOP and glibc's own are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let _ = block_exactly(&Set::empty());
}

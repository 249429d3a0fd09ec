//! A process that does nothing but hold descriptors, and how another takes them from it.
//!
//! It shares its maker's memory (CLONE_VM), so all it costs is the kernel's side of a task, and it outlives its maker:
//! SIGKILL ends a process with its threads, and this is no thread. Who comes later has pidfd_getfd(2).

use crate::check;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, Result};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::ffi::{c_int, c_void};

/// Room for two frames; nothing is ever delivered to it.
const STACK: usize = 16 << 10;

/// What the new process is told; never freed, as the memory is shared for as long as one of the two lives.
struct Order {
    /// Ranges of descriptors to close, first and last.
    close: Vec<(u32, u32)>,
    name: [u8; 16],
}

/// Makes a process, a child of this one, that keeps only `held` open and waits to be killed. `name` is what ps(1)
/// shows. All signals must be blocked here.
///
/// # Errors
/// Those of clone(2), EINVAL where signals are not blocked.
pub fn keep(held: &[BorrowedFd<'_>], name: &str) -> Result<(Pid, OwnedFd)> {
    if !crate::signal::all_blocked()? {
        return Err(Errno::INVAL);
    }
    let order: &'static Order = Box::leak(Box::new(Order { close: gaps(held), name: short(name) }));
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
    let argument = std::ptr::from_ref(order).cast_mut().cast::<c_void>();
    // SAFETY: the stack is that process's alone and, as `order`, never freed. The new
    // process allocates nothing, takes no lock, and returns to nothing of ours; its descriptors are copies
    // (no CLONE_FILES). `pidfd` is written before the call returns.
    let pid = check(unsafe { libc::clone(wait, stack(), flags, argument, &raw mut pidfd) }.into())?;
    let pid = Pid::from_raw(pid as i32).ok_or(Errno::SRCH)?;
    // SAFETY: CLONE_PIDFD stored a new descriptor that nobody else owns.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// The whole life of the new process.
extern "C" fn wait(argument: *mut c_void) -> c_int {
    // SAFETY: `keep` passed a reference that lives for ever; it is only read.
    let order = unsafe { &*argument.cast::<Order>() };
    for &(first, last) in &order.close {
        // SAFETY: this process drops nothing; on success, which is certain here, not even errno is written.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
    // SAFETY: sixteen bytes with a NUL at the end.
    unsafe { libc::prctl(libc::PR_SET_NAME, order.name.as_ptr()) };
    loop {
        // With every signal blocked it does not come back.
        rustix::event::pause();
    }
}

/// The end of a piece of memory that is never freed, aligned as a stack is.
fn stack() -> *mut c_void {
    let words: &'static mut [std::mem::MaybeUninit<u128>] =
        Box::leak(Box::new_uninit_slice(STACK / size_of::<u128>()));
    words.as_mut_ptr_range().end.cast()
}

/// All descriptors but these.
fn gaps(held: &[BorrowedFd<'_>]) -> Vec<(u32, u32)> {
    let mut held: Vec<u32> = held.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    held.sort_unstable();
    let mut gaps = Vec::with_capacity(held.len() + 1);
    let mut from = 0;
    for fd in held {
        if fd > from {
            gaps.push((from, fd - 1));
        }
        from = fd + 1;
    }
    gaps.push((from, u32::MAX));
    gaps
}

/// As prctl(2) takes it: 15 bytes and a NUL.
fn short(name: &str) -> [u8; 16] {
    let mut short = [0; 16];
    let length = name.len().min(15);
    short[..length].copy_from_slice(&name.as_bytes()[..length]);
    short
}

/// A process that may be gone, or another by now.
#[derive(Debug)]
pub struct Kept(OwnedFd);

impl Kept {
    /// Opens the process of this id if it is the one that was born at this time, see [`crate::proc::Stat`].
    pub fn open(pid: i32, born: u64) -> Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            other => other?,
        };
        // Asked after it is open: what began then and is there is what is open.
        let is_it = crate::proc::stat(pid.as_raw_nonzero().get()).is_ok_and(|stat| stat.born == born);
        Ok(is_it.then_some(Self(pidfd)))
    }

    /// A copy of its descriptor of this number; none where it has none.
    pub fn take(&self, number: RawFd) -> Result<Option<OwnedFd>> {
        match pidfd_getfd(&self.0, number, PidfdGetfdFlags::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::BADF) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The process.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How a process ended, by a pidfd that was open before it was reaped, as waitid(2) has it: the status of wait(2).
/// None where that is not to be had: it is not reaped yet, or this is before Linux 6.15.
pub fn status_of(pidfd: impl AsFd) -> Option<i32> {
    /// struct pidfd_info, in its first published size.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit: i32,
    }
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    /// `_IOWR(0xFF, 11, struct pidfd_info)`
    const PIDFD_GET_INFO: libc::c_ulong = 0xC000_0000 | (size_of::<Info>() << 16) as libc::c_ulong | 0xFF0B;
    let mut info = Info { mask: PIDFD_INFO_EXIT, ..Info::default() };
    // SAFETY: the kernel reads and writes as many bytes as the request's number says, which is the struct's size.
    let done = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (done == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::exit_now;
    use rustix::process::{Signal, WaitOptions, pidfd_send_signal, waitpid};

    /// In a process of its own, as cargo's tests have threads and unblocked signals.
    #[test]
    fn what_is_kept_outlives_its_maker() {
        let (from, to) = rustix::pipe::pipe().unwrap();
        let (told, tell) = rustix::pipe::pipe().unwrap();
        // SAFETY: the child only makes system calls and a small allocation; no other thread is in the allocator.
        let pid = match Pid::from_raw(unsafe { libc::fork() }) {
            None => {
                crate::signal::block_exactly(&crate::signal::Set::full()).unwrap();
                let (pid, _) = keep(&[from.as_fd()], "hull-keep").unwrap();
                let pid = pid.as_raw_nonzero().get();
                let born = crate::proc::stat(pid).unwrap().born;
                rustix::io::write(&tell, format!("{pid} {born} {}", from.as_raw_fd()).as_bytes()).unwrap();
                exit_now(0)
            }
            Some(pid) => pid,
        };
        waitpid(Some(pid), WaitOptions::empty()).unwrap();
        let mut buffer = [0; 64];
        let length = rustix::io::read(&told, &mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let numbers: Vec<u64> = text.split(' ').map(|word| word.parse().unwrap()).collect();
        drop(from);
        let kept = Kept::open(numbers[0] as i32, numbers[1]).unwrap().unwrap();
        assert!(Kept::open(numbers[0] as i32, numbers[1] + 1).unwrap().is_none());
        // No SIGPIPE, no EPIPE: the reader is there.
        assert_eq!(rustix::io::write(&to, b"late"), Ok(4));
        let again = kept.take(numbers[2] as i32).unwrap().unwrap();
        assert_eq!(rustix::io::read(&again, &mut buffer), Ok(4));
        // Nothing else is held, once it has come to close that.
        while kept.take(tell.as_raw_fd()).unwrap().is_some() {
            std::thread::yield_now();
        }
        pidfd_send_signal(kept.pidfd(), Signal::KILL).unwrap();
    }
}

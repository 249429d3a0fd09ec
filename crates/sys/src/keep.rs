//! A process that does nothing but hold descriptors, and how another takes them from it.
//!
//! It shares its maker's memory (CLONE_VM), so all it costs is the kernel's side of a task, and it outlives its maker:
//! SIGKILL ends a process with its threads, and this is no thread. Who comes later has pidfd_getfd(2).

use crate::check;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, Result};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, WaitId, WaitIdOptions, pidfd_getfd, pidfd_open,
    pidfd_send_signal, waitid,
};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// Room for two frames; nothing is ever delivered to it.
const STACK: usize = 16 << 10;

/// What the new process is told.
#[derive(Debug)]
struct Order {
    /// Ranges of descriptors to close, first and last.
    close: Vec<(u32, u32)>,
    name: [u8; 16],
    /// Says whether it stays.
    told: RawFd,
}

/// A process that keeps descriptors: a child of its maker, gone with it unless it is told to stay.
#[derive(Debug)]
pub struct Keeper {
    pid: Pid,
    kept: Kept,
    tell: OwnedFd,
}

impl Keeper {
    /// Its id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whatever happens to its maker from now on, it stays until it is killed.
    pub fn stay(self) -> Result<Kept> {
        rustix::io::write(&self.tell, &[1])?;
        Ok(self.kept)
    }
}

/// Makes a process, a child of this one, that keeps only `held` open. `name` is what ps(1) shows. All signals must be
/// blocked here.
///
/// # Errors
/// Those of clone(2), EINVAL where signals are not blocked.
pub fn keep(held: &[BorrowedFd<'_>], name: &str) -> Result<Keeper> {
    if !crate::signal::all_blocked()? {
        return Err(Errno::INVAL);
    }
    let (told, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let all: Vec<_> = held.iter().copied().chain([told.as_fd()]).collect();
    let order = Order { close: gaps(&all), name: short(name), told: told.as_raw_fd() };
    let loan = Loan {
        stack: Box::into_raw(Box::new_uninit_slice(STACK / size_of::<u128>())),
        order: Box::into_raw(Box::new(order)),
    };
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the stack is that process's alone and lives, as `order` does, until it has ended. The new
    // process allocates nothing, takes no lock, and returns to nothing of ours; its descriptors are copies
    // (no CLONE_FILES). `pidfd` is written before the call returns.
    let pid =
        check(unsafe { libc::clone(wait, loan.top(), flags, loan.order.cast(), &raw mut pidfd) }.into())?;
    let pid = Pid::from_raw(pid as i32).ok_or(Errno::SRCH)?;
    // SAFETY: CLONE_PIDFD stored a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Keeper { pid, kept: Kept { pid, pidfd, loan: Some(loan) }, tell })
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
    let mut byte = 0_u8;
    // SAFETY: one byte of this process's own stack; the maker's death ends the pipe, and no signal comes.
    if unsafe { libc::read(order.told, (&raw mut byte).cast(), 1) } != 1 {
        crate::process::exit_now(0);
    }
    loop {
        // With every signal blocked it does not come back.
        rustix::event::pause();
    }
}

/// Memory that another process uses: given back by [`Kept::end`] only, as it may live longer than all else here.
#[derive(Debug)]
struct Loan {
    /// Aligned as a stack is.
    stack: *mut [MaybeUninit<u128>],
    order: *mut Order,
}

impl Loan {
    /// Where a stack begins.
    fn top(&self) -> *mut c_void {
        // One past its end, which is not accessed by this.
        self.stack.cast::<u128>().wrapping_add(self.stack.len()).cast()
    }

    fn give_back(self) {
        // SAFETY: both came from Box::into_raw in `keep`, and the process that used them has ended.
        unsafe {
            drop(Box::from_raw(self.stack));
            drop(Box::from_raw(self.order));
        }
    }
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

/// A process that keeps descriptors.
#[derive(Debug)]
pub struct Kept {
    pid: Pid,
    pidfd: OwnedFd,
    /// Of one that was made here.
    loan: Option<Loan>,
}

impl Kept {
    /// Opens the process of this id if it is the one that was born at this time, see [`crate::proc::Stat`].
    pub fn open(pid: i32, born: u64) -> Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            other => other?,
        };
        // Asked after it is open: what began then and is there is what is open.
        let stat = crate::proc::stat(pid.as_raw_nonzero().get());
        let is_it = stat.is_ok_and(|stat| stat.born == born && stat.lives);
        Ok(is_it.then_some(Self { pid, pidfd, loan: None }))
    }

    /// A copy of its descriptor of this number; none where it has none.
    pub fn take(&self, number: RawFd) -> Result<Option<OwnedFd>> {
        match pidfd_getfd(&self.pidfd, number, PidfdGetfdFlags::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::BADF) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The process.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Bytes of its memory, which was its maker's.
    pub fn peek(&self, address: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0_u8; length];
        let ours = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
        let theirs =
            libc::iovec { iov_base: std::ptr::without_provenance_mut(address as usize), iov_len: length };
        // SAFETY: `ours` is a buffer of that length; `theirs` is the kernel's to check.
        let count =
            check(
                unsafe { libc::process_vm_readv(self.pid.as_raw_nonzero().get(), &ours, 1, &theirs, 1, 0) }
                    as i64,
            )?;
        bytes.truncate(count as usize);
        Ok(bytes)
    }

    /// Ends it, and lets go of all that it kept.
    pub fn end(self) -> Result<()> {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(errno),
        }
        let Some(loan) = self.loan else { return Ok(()) };
        waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)?;
        loan.give_back();
        Ok(())
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
    use rustix::process::{WaitOptions, waitpid};

    /// In a process of its own, as cargo's tests have threads and unblocked signals.
    #[test]
    fn what_is_kept_outlives_its_maker() {
        let (from, to) = rustix::pipe::pipe().unwrap();
        let (told, tell) = rustix::pipe::pipe().unwrap();
        // SAFETY: the child only makes system calls and a small allocation; no other thread is in the allocator.
        let pid = match Pid::from_raw(unsafe { libc::fork() }) {
            None => {
                crate::signal::block_exactly(&crate::signal::Set::full()).unwrap();
                let keeper = keep(&[from.as_fd()], "hull-keep").unwrap();
                let pid = keeper.pid().as_raw_nonzero().get();
                // Its memory goes with this process.
                keeper.stay().unwrap();
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
        kept.end().unwrap();
    }
}

//! Where and when processes run: schedulers, priorities of disk access, memory nodes.

use crate::check;
use rustix::io::Result;
use rustix::process::Pid;

/// `struct sched_attr` of sched_setattr(2), with the names it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Scheduler {
    size: u32,
    /// SCHED_*
    pub policy: u32,
    /// SCHED_FLAG_*
    pub flags: u64,
    /// -20 to 19; SCHED_OTHER and SCHED_BATCH
    pub nice: i32,
    /// 1 to 99; SCHED_FIFO and SCHED_RR
    pub priority: u32,
    /// Nanoseconds; this and the next two for SCHED_DEADLINE
    pub runtime: u64,
    /// Nanoseconds
    pub deadline: u64,
    /// Nanoseconds
    pub period: u64,
    util_min: u32,
    util_max: u32,
}

impl Scheduler {
    /// A policy with all else at zero.
    pub fn new(policy: u32) -> Self {
        Self {
            size: size_of::<Self>() as u32,
            policy,
            flags: 0,
            nice: 0,
            priority: 0,
            runtime: 0,
            deadline: 0,
            period: 0,
            util_min: 0,
            util_max: 0,
        }
    }

    /// Sets the scheduling of a process, see sched_setattr(2).
    ///
    /// # Errors
    /// EPERM without CAP_SYS_NICE for what is more urgent than ordinary, EINVAL for a policy the kernel lacks or numbers
    /// out of range, EBUSY where a deadline cannot be promised.
    pub fn set(&self, pid: Pid) -> Result<()> {
        let attributes: *const Self = self;
        // SAFETY: a sched_attr whose `size` is its own; it outlives the call.
        check(unsafe { libc::syscall(libc::SYS_sched_setattr, pid.as_raw_nonzero().get(), attributes, 0) })
            .map(drop)
    }
}

/// Sets the class (1 real-time, 2 best effort, 3 idle) and the level (0 to 7, most to least urgent) of a process's disk
/// access, see ioprio_set(2).
pub fn set_io_priority(pid: Pid, class: u16, level: u16) -> Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    let priority = i32::from(class << 13 | level);
    // SAFETY: integers only.
    check(unsafe {
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid.as_raw_nonzero().get(), priority)
    })
    .map(drop)
}

/// Sets on which nodes this thread, and what it becomes by execve(2), gets its memory, see set_mempolicy(2).
///
/// # Errors
/// ENOSYS where the kernel knows of no nodes, EINVAL for a mode it lacks or nodes that are not there.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<()> {
    let bits = nodes.len() * 64;
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // The kernel takes one bit less than it is told.
    let max = if nodes.is_empty() { 0 } else { bits + 1 };
    // SAFETY: the kernel reads `bits` bits of `mask`, which outlives the call.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, max) }).map(drop)
}

/// Does the kernel know of memory nodes?
pub fn has_memory_policies() -> bool {
    let nothing = std::ptr::null_mut::<u64>();
    // SAFETY: without addresses get_mempolicy(2) writes nothing.
    check(unsafe { libc::syscall(libc::SYS_get_mempolicy, nothing, nothing, 0, nothing, 0) })
        != Err(rustix::io::Errno::NOSYS)
}

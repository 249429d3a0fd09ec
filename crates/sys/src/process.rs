//! Births, identities and ends of processes.

use crate::check;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, Result};
use rustix::process::Pid;
use std::ffi::{CStr, CString, c_char, c_int};

bitflags::bitflags! {
    /// What a new process does not share with its parent, see clone(2) and namespaces(7).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Namespaces: u64 {
        /// CLONE_NEWCGROUP
        const CGROUP = libc::CLONE_NEWCGROUP as u64;
        /// CLONE_NEWIPC
        const IPC = libc::CLONE_NEWIPC as u64;
        /// CLONE_NEWNET
        const NET = libc::CLONE_NEWNET as u64;
        /// CLONE_NEWNS
        const MOUNT = libc::CLONE_NEWNS as u64;
        /// CLONE_NEWPID
        const PID = libc::CLONE_NEWPID as u64;
        /// CLONE_NEWTIME; only for unshare, a child is born into it
        const TIME = 0x80;
        /// CLONE_NEWUSER
        const USER = libc::CLONE_NEWUSER as u64;
        /// CLONE_NEWUTS
        const UTS = libc::CLONE_NEWUTS as u64;
    }
}

/// Who we are after [`clone3`].
#[derive(Debug)]
pub enum Birth {
    /// The new process.
    Child,
    /// The old one, and what it knows of the new.
    Parent {
        /// The child's id, in the caller's pid namespace.
        pid: Pid,
        /// The child, immune to reuse of its id; close-on-exec.
        pidfd: OwnedFd,
    },
}

/// How [`clone3`] makes a process.
#[derive(Debug, Default)]
pub struct Clone3<'a> {
    /// Namespaces it gets of its own.
    pub namespaces: Namespaces,
    /// The cgroup (v2 directory) it is born into.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Make it a sibling: its parent is the caller's parent.
    pub sibling: bool,
}

/// Makes a process with a copy of this one's memory, as fork(2), see clone3(2).
///
/// The caller must have one thread only: a lock held by another would stay locked in the child
/// for ever. (That is a deadlock, not unsoundness; debug builds check it.)
pub fn clone3(how: &Clone3<'_>) -> Result<Birth> {
    debug_assert_eq!(threads(), 1, "a process with threads must not be cloned");
    let mut pidfd: c_int = -1;
    // SAFETY: all-zero is a valid clone_args: no stack, no TLS, no set_tid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = how.namespaces.bits() | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = how.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    if how.sibling {
        args.flags |= libc::CLONE_PARENT as u64;
        args.exit_signal = 0; // must be: a sibling sends what its parent's child would
    }
    // SAFETY: without CLONE_VM the child runs on a copy of this stack; `args` and `pidfd` outlive the call.
    match check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) })? {
        0 => Ok(Birth::Child),
        pid => Ok(Birth::Parent {
            pid: Pid::from_raw(pid as i32).ok_or(Errno::SRCH)?,
            // SAFETY: on success CLONE_PIDFD stored a new descriptor that nobody else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// libc's constant overflows its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How many threads this process has; 1 where /proc does not tell.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// A namespace of a process, by its pidfd (Linux 6.11), see pidfd_open(2) and PIDFD_GET_*_NAMESPACE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceOf {
    /// PIDFD_GET_MNT_NAMESPACE
    Mount = 3,
    /// PIDFD_GET_USER_NAMESPACE
    User = 9,
}

/// Opens a namespace of the process that `pidfd` refers to.
///
/// # Errors
/// ESRCH when the process has exited; ENOTTY before Linux 6.11, where `/proc/PID/ns` is the way.
pub fn namespace_of(pidfd: impl AsFd, which: NamespaceOf) -> Result<OwnedFd> {
    let request = 0xFF00 | which as libc::c_ulong;
    // SAFETY: these ioctls take no argument (it must be 0) and return a new descriptor.
    let fd = check(unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), request, 0) }.into())?;
    // SAFETY: the kernel just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Leaves namespaces for new ones, see unshare(2).
///
/// # Errors
/// EINVAL for a user namespace in a process with threads.
pub fn unshare(namespaces: Namespaces) -> Result<()> {
    // SAFETY: no CLONE_FILES or CLONE_FS among the flags: no descriptor changes its owner.
    check(unsafe { libc::unshare(namespaces.bits() as c_int) }.into()).map(drop)
}

/// Enters a namespace of the given kind that `fd` refers to, see setns(2). A pid namespace is
/// entered by children only.
pub fn join_namespace(fd: impl AsFd, kind: Namespaces) -> Result<()> {
    // SAFETY: a descriptor and an integer.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_fd().as_raw_fd(), kind.bits() as c_int) }).map(drop)
}

/// Sets the ids that file access is checked with and files are made with, see setfsuid(2).
/// Capabilities stay only if SECBIT_NO_SETUID_FIXUP is set.
pub fn set_fs_ids(uid: u32, gid: u32) {
    // SAFETY: plain integers; these calls cannot fail, they return the old id.
    unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsuid, uid);
    }
}

/// Marks all descriptors from `first` on as close-on-exec, see close_range(2).
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    // SAFETY: only flags of descriptors change.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Closes all descriptors from `first` on but `kept`, whoever owns them: for a process that is about to become
/// a program, or to wait for it, and drops nothing any more.
pub fn close_all_from(first: RawFd, kept: &[BorrowedFd<'_>]) -> Result<()> {
    let mut kept: Vec<_> = kept.iter().map(AsRawFd::as_raw_fd).filter(|fd| *fd >= first).collect();
    kept.sort_unstable();
    let mut from = first;
    for fd in kept {
        if fd > from {
            close_range(from, fd as u32 - 1)?;
        }
        from = fd + 1;
    }
    close_range(from, u32::MAX)
}

/// Closes all descriptors from 3 on that stay open through execve(2): those this program was given, and did not
/// open itself.
pub fn close_inherited() -> Result<()> {
    let names = std::fs::read_dir("/proc/self/fd").map_err(|_| Errno::NOENT)?;
    let all: Vec<RawFd> =
        names.flatten().filter_map(|name| name.file_name().to_str()?.parse().ok()).collect();
    for fd in all.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: only flags are looked at.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            close_range(fd, fd as u32)?;
        }
    }
    Ok(())
}

fn close_range(first: RawFd, last: u32) -> Result<()> {
    // SAFETY: nothing here owns one of these, or will drop it any more.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Joins a new, anonymous session keyring, so that the caller's keys are out of reach, see keyctl(2).
pub fn new_session_keyring(name: &CStr) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: the name is NUL-terminated and outlives the call.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }).map(drop)
}

/// Sets the execution domain, see personality(2).
pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: an integer in, an integer out.
    check(unsafe { libc::personality(persona) }.into()).map(drop)
}

/// Raises a capability in the ambient set, see capabilities(7).
pub fn raise_ambient(capability: u32) -> Result<()> {
    // SAFETY: integers only; the unused arguments are zero as prctl(2) demands.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0) }.into())
        .map(drop)
}

/// Takes a capability out of the bounding set for good, see capabilities(7).
///
/// # Errors
/// EINVAL for a number the kernel does not know: the end of the list.
pub fn drop_from_bounding_set(capability: u32) -> Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into()).map(drop)
}

/// Is a capability in the bounding set?
///
/// # Errors
/// EINVAL for a number the kernel does not know.
pub fn is_in_bounding_set(capability: u32) -> Result<bool> {
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) }.into()).map(|there| there == 1)
}

/// The three sets of capabilities of this thread as bit masks, see capset(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// Checked by the kernel.
    pub effective: u64,
    /// May become effective.
    pub permitted: u64,
    /// May be kept through execve(2) by files that allow it.
    pub inheritable: u64,
}

/// Sets this thread's capabilities.
pub fn set_capabilities(sets: CapabilitySets) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let half =
        |shift: u32| [sets.effective, sets.permitted, sets.inheritable].map(|set| (set >> shift) as u32);
    let data = [half(0), half(32)];
    // SAFETY: header and data have the layout of __user_cap_header_struct and two __user_cap_data_structs.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}

/// This thread's capabilities.
pub fn capabilities() -> Result<CapabilitySets> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = [VERSION_3, 0];
    let mut data = [[0u32; 3]; 2];
    // SAFETY: as in `set_capabilities`; the kernel writes within both.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) })?;
    let set = |i: usize| u64::from(data[0][i]) | u64::from(data[1][i]) << 32;
    Ok(CapabilitySets { effective: set(0), permitted: set(1), inheritable: set(2) })
}

/// Argument and environment vectors in the form execve(2) wants, made before there is need for haste.
#[derive(Debug)]
pub struct Vectors {
    _strings: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
}

impl Vectors {
    /// Takes the strings over.
    pub fn new(args: Vec<CString>, env: Vec<CString>) -> Self {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|s| s.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
        };
        let (argv, envp) = (pointers(&args), pointers(&env));
        Self { _strings: args.into_iter().chain(env).collect(), argv, envp }
    }

    /// Becomes the program at `path`, see execve(2). Returns only when that failed.
    pub fn exec(&self, path: &CStr) -> Errno {
        // SAFETY: both arrays end with a null pointer, and `_strings` owns, unmoved on the heap, what they point to.
        unsafe { libc::execve(path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        crate::last_error()
    }
}

impl Vectors {
    /// Becomes the open program, see execveat(2). Returns only when that failed; ENOENT for a script, whose
    /// interpreter could not open it any more.
    pub fn exec_file(&self, program: impl AsFd) -> Errno {
        let (fd, path) = (program.as_fd().as_raw_fd(), c"".as_ptr());
        let (argv, envp, flags) = (self.argv.as_ptr(), self.envp.as_ptr(), libc::AT_EMPTY_PATH);
        // SAFETY: as in `exec`; the path is an empty constant.
        unsafe { libc::syscall(libc::SYS_execveat, fd, path, argv, envp, flags) };
        crate::last_error()
    }
}

/// Starts a program with every signal at its default and unblocked, whatever this process has done to its own.
pub fn spawn_with_default_signals(
    mut command: std::process::Command,
) -> std::io::Result<std::process::Child> {
    use std::os::unix::process::CommandExt;
    let reset = || {
        crate::signal::reset();
        Ok(())
    };
    // SAFETY: between fork and exec only signal(2) and sigprocmask(2) are called, both async-signal-safe.
    unsafe { command.pre_exec(reset) };
    command.spawn()
}

/// Ends this process at once: no destructor, no atexit(3).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns, touches no memory.
    unsafe { libc::_exit(code) }
}

//! docker's default profile, as a table.
//!
//! The profile of moby/profiles (2026, as in docker 29): an allow list. What is not here fails with
//! EPERM, and what is newer than everything here with ENOSYS. Rules of machines that hull does
//! not run on (s390x, ppc64le, riscv64, mips) are left out.

use crate::meaning::{ALLOW, Case, ERRNO, Meaning, condition};
use crate::number::{name, rows};
use crate::{Abi, Capabilities, Capability};
use oci::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompOperator as Operator, LinuxSyscall,
};

/// Rows of names, found by the compiler.
macro_rules! calls {
    ($($name:literal),* $(,)?) => {
        &const { rows([$($name),*]) }
    };
}

/// Some calls, when the line applies, and what then happens to them.
struct Line {
    /// Rows of the number table.
    calls: &'static [u16],
    when: When,
    /// Index, operator, value, second value.
    argument: Option<(usize, Operator, u64, u64)>,
    /// Absent: allowed.
    errno: Option<u32>,
}

/// When a line applies.
enum When {
    Always,
    /// The container may have the capability (its bounding set does).
    Can(Capability),
    /// It may not.
    Cannot(Capability),
    /// The kernel is this or newer.
    Since((u32, u32)),
    /// On this machine, whatever its secondary ABIs.
    On(Abi),
}

const fn line(when: When, calls: &'static [u16]) -> Line {
    Line { calls, when, argument: None, errno: None }
}

const fn argument(calls: &'static [u16], when: When, operator: Operator, value: u64, second: u64) -> Line {
    Line { calls, when, argument: Some((0, operator, value, second)), errno: None }
}

const fn can(name: &str) -> When {
    Can(Capability::known(name))
}

const fn cannot(name: &str) -> When {
    Cannot(Capability::known(name))
}

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: the namespaces.
const NAMESPACES: u64 = 0x7e02_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

use When::{Always, Can, Cannot, On, Since};

static TABLE: [Line; 29] = [
    line(Always, ALWAYS),
    // Before 4.8 a tracer could change the call after the filter had seen it (commit 93e35efb8de4).
    line(Since((4, 8)), calls!["process_vm_readv", "process_vm_writev", "ptrace"]),
    // All families but AF_ALG (38) and AF_VSOCK (40), which is not namespaced.
    argument(calls!["socket"], Always, Operator::ScmpCmpLt, 38, 0),
    argument(calls!["socket"], Always, Operator::ScmpCmpEq, 39, 0),
    argument(calls!["socket"], Always, Operator::ScmpCmpGt, 40, 0),
    // PER_LINUX, PER_LINUX32, both with UNAME26, and the question what it is.
    argument(calls!["personality"], Always, Operator::ScmpCmpEq, 0, 0),
    argument(calls!["personality"], Always, Operator::ScmpCmpEq, 8, 0),
    argument(calls!["personality"], Always, Operator::ScmpCmpEq, 0x20000, 0),
    argument(calls!["personality"], Always, Operator::ScmpCmpEq, 0x20008, 0),
    argument(calls!["personality"], Always, Operator::ScmpCmpEq, 0xffff_ffff, 0),
    line(
        On(Abi::Aarch64),
        calls![
            "arm_fadvise64_64",
            "arm_sync_file_range",
            "sync_file_range2",
            "breakpoint",
            "cacheflush",
            "set_tls"
        ],
    ),
    line(On(Abi::X86_64), calls!["arch_prctl"]),
    line(On(Abi::X86_64), calls!["modify_ldt"]),
    line(can("DAC_READ_SEARCH"), calls!["open_by_handle_at"]),
    line(can("SYS_ADMIN"), ADMIN),
    argument(calls!["clone"], cannot("SYS_ADMIN"), Operator::ScmpCmpMaskedEq, NAMESPACES, 0),
    // Its flags are in memory, out of a filter's sight; libc falls back to clone on ENOSYS only.
    Line { calls: calls!["clone3"], when: cannot("SYS_ADMIN"), argument: None, errno: Some(ENOSYS) },
    line(can("SYS_BOOT"), calls!["reboot"]),
    line(can("SYS_CHROOT"), calls!["chroot"]),
    line(can("SYS_MODULE"), calls!["delete_module", "init_module", "finit_module"]),
    line(can("SYS_PACCT"), calls!["acct"]),
    line(
        can("SYS_PTRACE"),
        calls!["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"],
    ),
    line(can("SYS_RAWIO"), calls!["iopl", "ioperm"]),
    line(can("SYS_TIME"), calls!["settimeofday", "stime", "clock_settime", "clock_settime64"]),
    line(can("SYS_TTY_CONFIG"), calls!["vhangup"]),
    line(can("SYS_NICE"), calls!["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    line(can("SYSLOG"), calls!["syslog"]),
    line(can("BPF"), calls!["bpf"]),
    line(can("PERFMON"), calls!["perf_event_open"]),
];

impl When {
    fn applies(&self, caps: Capabilities, kernel: (u32, u32)) -> bool {
        match self {
            Always => true,
            Can(capability) => caps.contains(*capability),
            Cannot(capability) => !caps.contains(*capability),
            Since(version) => kernel >= *version,
            On(abi) => *abi == Abi::NATIVE,
        }
    }
}

impl Line {
    fn action(&self) -> u32 {
        self.errno.map_or(ALLOW, |errno| ERRNO | errno)
    }

    fn cases(&self) -> Vec<Case> {
        let case = |(index, operator, value, second)| Case {
            conditions: vec![condition(index, operator, value, second)],
            action: self.action(),
        };
        self.argument.map(case).into_iter().collect()
    }

    fn to_rule(&self) -> LinuxSyscall {
        let action = if self.errno.is_some() { Action::ScmpActErrno } else { Action::ScmpActAllow };
        let names: Vec<String> = self.calls.iter().map(|row| name(usize::from(*row)).to_string()).collect();
        let mut rule = LinuxSyscall::default();
        rule.set_names(names).set_action(action).set_errno_ret(self.errno);
        rule.set_args(
            self.argument
                .map(|(index, operator, value, second)| vec![condition(index, operator, value, second)]),
        );
        rule
    }
}

/// The default profile for a container whose bounding set is `caps`, on a kernel of this
/// version (major, minor).
pub fn default_profile(caps: Capabilities, kernel: (u32, u32)) -> LinuxSeccomp {
    let rules = TABLE.iter().filter(|line| line.when.applies(caps, kernel)).map(Line::to_rule).collect();
    let mut profile = LinuxSeccomp::default();
    profile.set_default_action(Action::ScmpActErrno).set_default_errno_ret(Some(EPERM));
    profile.set_architectures(Some(ARCHITECTURES.to_vec())).set_syscalls(Some(rules));
    profile
}

/// What the profile means, without its names.
pub(crate) fn meaning(caps: Capabilities, kernel: (u32, u32)) -> Meaning {
    let mut meaning = Meaning::new(ERRNO | EPERM);
    for line in TABLE.iter().filter(|line| line.when.applies(caps, kernel)) {
        let (action, cases) = (line.action(), line.cases());
        line.calls.iter().for_each(|row| meaning.say(usize::from(*row), action, &cases));
    }
    meaning
}

/// This machine's ABI, and those of older programs that it runs.
pub(crate) const ARCHITECTURES: &[Arch] = match Abi::NATIVE {
    Abi::Aarch64 => &[Arch::ScmpArchAarch64, Arch::ScmpArchArm],
    _ => &[Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
};

/// What every container may call.
#[rustfmt::skip]
const ALWAYS: &[u16] = calls![
    "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "cachestat", "capget", "capset",
    "chdir", "chmod", "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres",
    "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "close", "close_range", "connect", "copy_file_range", "creat", "dup",
    "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit",
    "exit_group", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64",
    "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat",
    "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futex",
    "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "futimesat", "getcpu",
    "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
    "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid",
    "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32",
    "getrlimit", "get_robust_list", "getrusage", "getsid", "getsockname", "getsockopt", "get_thread_area",
    "gettid", "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch",
    "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "ioctl", "io_destroy",
    "io_getevents", "io_pgetevents", "io_pgetevents_time64", "ioprio_get", "ioprio_set", "io_setup",
    "io_submit", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
    "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr",
    "listxattrat", "llistxattr", "_llseek", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64",
    "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir",
    "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect",
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
    "mq_timedsend_time64", "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd",
    "msync", "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat",
    "_newselect", "open", "openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe",
    "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl",
    "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6", "pselect6_time64",
    "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "restart_syscall", "riscv_hwprobe", "rmdir",
    "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop",
    "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "setfsgid",
    "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setitimer",
    "setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32", "setresuid",
    "setresuid32", "setreuid", "setreuid32", "setrlimit", "set_robust_list", "setsid", "setsockopt",
    "set_thread_area", "set_tid_address", "setuid", "setuid32", "setxattr", "setxattrat", "shmat",
    "shmctl", "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask",
    "sigreturn", "socketcall", "socketpair", "splice", "stat", "stat64", "statfs", "statfs64",
    "statmount", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee",
    "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate",
    "truncate64", "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime", "utimensat",
    "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid", "write", "writev",
];

/// What CAP_SYS_ADMIN opens.
#[rustfmt::skip]
const ADMIN: &[u16] = calls![
    "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
    "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount",
    "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd",
    "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
];

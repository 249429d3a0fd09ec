//! Names of system calls and their numbers, up to Linux 6.18.
//!
//! From the kernel's own tables (`arch/*/…/syscall*.tbl`, `scripts/syscall.tbl`). A call that an
//! ABI does not have is `X` there. x32 numbers are without their bit 30.

use crate::Abi;

/// No such call.
const X: u32 = u32::MAX;

/// A name, and the number by [`Abi`]: x86-64, x32, i386, aarch64, arm.
struct Call(&'static str, [u32; 5]);

// The table is for readers. A start finds all caches cold, so that what the program uses is made of it by the
// compiler: columns of 16 bits, names end to end, and no pointers, which a static-pie relocates when it starts.

/// How many names there are. A name's place is its row.
pub(crate) const ROWS: usize = CALLS.len();

/// Numbers by ABI and row: [`NONE`], or from [`PRIVATE_MARK`] on the private calls of arm.
static NUMBERS: [[u16; ROWS]; 5] = columns();
static NAMES: [u8; LENGTH] = names();
static ENDS: [u16; ROWS + 1] = ends();

/// Rows by the hash of their name: open addressing with linear probing.
static INDEX: [u16; SLOTS] = INDEXED;
const INDEXED: [u16; SLOTS] = index();

const NONE: u16 = u16::MAX;
const PRIVATE_MARK: u16 = 0xfff0;
const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;
const LENGTH: usize = ends()[ROWS] as usize;

/// From here on are the few private calls of arm (`__ARM_NR_BASE`), apart from all others.
pub(crate) const PRIVATE: u32 = 0xf_0000;

const fn columns() -> [[u16; ROWS]; 5] {
    let mut columns = [[NONE; ROWS]; 5];
    let mut at = 0;
    while at < 5 * ROWS {
        let (abi, row) = (at / ROWS, at % ROWS);
        columns[abi][row] = packed(CALLS[row].1[abi]);
        at += 1;
    }
    columns
}

const fn packed(number: u32) -> u16 {
    match number {
        X => NONE,
        PRIVATE.. => PRIVATE_MARK + (number - PRIVATE) as u16,
        _ => number as u16,
    }
}

const fn ends() -> [u16; ROWS + 1] {
    let mut ends = [0; ROWS + 1];
    let mut row = 0;
    while row < ROWS {
        ends[row + 1] = ends[row] + CALLS[row].0.len() as u16;
        row += 1;
    }
    ends
}

const fn names() -> [u8; LENGTH] {
    let mut names = [0; LENGTH];
    let (mut row, mut to) = (0, 0);
    while row < ROWS {
        let (name, mut from) = (CALLS[row].0.as_bytes(), 0);
        while from < name.len() {
            names[to] = name[from];
            (from, to) = (from + 1, to + 1);
        }
        row += 1;
    }
    names
}

const fn index() -> [u16; SLOTS] {
    let mut slots = [EMPTY; SLOTS];
    let mut row = 0;
    while row < ROWS {
        let mut slot = hash(CALLS[row].0.as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = row as u16;
        row += 1;
    }
    slots
}

/// FNV-1a, folded.
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 15)) as usize % SLOTS
}

/// The rows of names that are written in this crate; one that is not in the table does not compile.
pub(crate) const fn rows<const N: usize>(names: [&str; N]) -> [u16; N] {
    let mut rows = [0; N];
    let mut at = 0;
    while at < N {
        rows[at] = known(names[at].as_bytes());
        at += 1;
    }
    rows
}

const fn known(name: &[u8]) -> u16 {
    let mut slot = hash(name);
    while !same(CALLS[INDEXED[slot] as usize].0.as_bytes(), name) {
        slot = (slot + 1) % SLOTS;
    }
    INDEXED[slot]
}

/// Equality of bytes for the compiler.
pub(crate) const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The row of a name.
pub(crate) fn row(name: &str) -> Option<usize> {
    let mut slot = hash(name.as_bytes());
    while INDEX[slot] != EMPTY {
        let row = usize::from(INDEX[slot]);
        if bytes(row) == name.as_bytes() {
            return Some(row);
        }
        slot = (slot + 1) % SLOTS;
    }
    None
}

fn bytes(row: usize) -> &'static [u8] {
    &NAMES[usize::from(ENDS[row])..usize::from(ENDS[row + 1])]
}

/// The name of a row.
pub(crate) fn name(row: usize) -> &'static str {
    // All are ASCII.
    str::from_utf8(bytes(row)).unwrap_or_default()
}

/// The number of a row's call, if the ABI has it; x32 without its bit 30.
pub(crate) fn number_of(row: usize, abi: Abi) -> Option<u32> {
    match NUMBERS[abi as usize][row] {
        NONE => None,
        private @ PRIVATE_MARK.. => Some(PRIVATE + u32::from(private - PRIVATE_MARK)),
        number => Some(number.into()),
    }
}

/// The number of a call, if the ABI has it; x32 without its bit 30.
pub fn number(name: &str, abi: Abi) -> Option<u32> {
    number_of(row(name)?, abi)
}

/// The names of all calls that an ABI has, in alphabetical order, with their numbers.
pub fn numbers(abi: Abi) -> impl Iterator<Item = (&'static str, u32)> {
    (0..ROWS).filter_map(move |row| Some((name(row), number_of(row, abi)?)))
}

// A constant, so that it is not in the program: the columns are.
#[allow(clippy::large_const_arrays)]
#[rustfmt::skip]
const CALLS: [Call; 485] = [
    Call("_llseek", [X, X, 140, X, 140]),
    Call("_newselect", [X, X, 142, X, 142]),
    Call("_sysctl", [156, X, 149, X, 149]),
    Call("accept", [43, 43, X, 202, 285]),
    Call("accept4", [288, 288, 364, 242, 366]),
    Call("access", [21, 21, 33, X, 33]),
    Call("acct", [163, 163, 51, 89, 51]),
    Call("add_key", [248, 248, 286, 217, 309]),
    Call("adjtimex", [159, 159, 124, 171, 124]),
    Call("afs_syscall", [183, 183, 137, X, X]),
    Call("alarm", [37, 37, 27, X, X]),
    Call("arch_prctl", [158, 158, 384, X, X]),
    Call("arm_fadvise64_64", [X, X, X, X, 270]),
    Call("arm_sync_file_range", [X, X, X, X, 341]),
    Call("bdflush", [X, X, 134, X, 134]),
    Call("bind", [49, 49, 361, 200, 282]),
    Call("bpf", [321, 321, 357, 280, 386]),
    Call("break", [X, X, 17, X, X]),
    Call("breakpoint", [X, X, X, X, 0xf0001]),
    Call("brk", [12, 12, 45, 214, 45]),
    Call("cacheflush", [X, X, X, X, 0xf0002]),
    Call("cachestat", [451, 451, 451, 451, 451]),
    Call("capget", [125, 125, 184, 90, 184]),
    Call("capset", [126, 126, 185, 91, 185]),
    Call("chdir", [80, 80, 12, 49, 12]),
    Call("chmod", [90, 90, 15, X, 15]),
    Call("chown", [92, 92, 182, X, 182]),
    Call("chown32", [X, X, 212, X, 212]),
    Call("chroot", [161, 161, 61, 51, 61]),
    Call("clock_adjtime", [305, 305, 343, 266, 372]),
    Call("clock_adjtime64", [X, X, 405, X, 405]),
    Call("clock_getres", [229, 229, 266, 114, 264]),
    Call("clock_getres_time64", [X, X, 406, X, 406]),
    Call("clock_gettime", [228, 228, 265, 113, 263]),
    Call("clock_gettime64", [X, X, 403, X, 403]),
    Call("clock_nanosleep", [230, 230, 267, 115, 265]),
    Call("clock_nanosleep_time64", [X, X, 407, X, 407]),
    Call("clock_settime", [227, 227, 264, 112, 262]),
    Call("clock_settime64", [X, X, 404, X, 404]),
    Call("clone", [56, 56, 120, 220, 120]),
    Call("clone3", [435, 435, 435, 435, 435]),
    Call("close", [3, 3, 6, 57, 6]),
    Call("close_range", [436, 436, 436, 436, 436]),
    Call("connect", [42, 42, 362, 203, 283]),
    Call("copy_file_range", [326, 326, 377, 285, 391]),
    Call("creat", [85, 85, 8, X, 8]),
    Call("create_module", [174, X, 127, X, X]),
    Call("delete_module", [176, 176, 129, 106, 129]),
    Call("dup", [32, 32, 41, 23, 41]),
    Call("dup2", [33, 33, 63, X, 63]),
    Call("dup3", [292, 292, 330, 24, 358]),
    Call("epoll_create", [213, 213, 254, X, 250]),
    Call("epoll_create1", [291, 291, 329, 20, 357]),
    Call("epoll_ctl", [233, 233, 255, 21, 251]),
    Call("epoll_ctl_old", [214, X, X, X, X]),
    Call("epoll_pwait", [281, 281, 319, 22, 346]),
    Call("epoll_pwait2", [441, 441, 441, 441, 441]),
    Call("epoll_wait", [232, 232, 256, X, 252]),
    Call("epoll_wait_old", [215, X, X, X, X]),
    Call("eventfd", [284, 284, 323, X, 351]),
    Call("eventfd2", [290, 290, 328, 19, 356]),
    Call("execve", [59, 520, 11, 221, 11]),
    Call("execveat", [322, 545, 358, 281, 387]),
    Call("exit", [60, 60, 1, 93, 1]),
    Call("exit_group", [231, 231, 252, 94, 248]),
    Call("faccessat", [269, 269, 307, 48, 334]),
    Call("faccessat2", [439, 439, 439, 439, 439]),
    Call("fadvise64", [221, 221, 250, 223, X]),
    Call("fadvise64_64", [X, X, 272, X, X]),
    Call("fallocate", [285, 285, 324, 47, 352]),
    Call("fanotify_init", [300, 300, 338, 262, 367]),
    Call("fanotify_mark", [301, 301, 339, 263, 368]),
    Call("fchdir", [81, 81, 133, 50, 133]),
    Call("fchmod", [91, 91, 94, 52, 94]),
    Call("fchmodat", [268, 268, 306, 53, 333]),
    Call("fchmodat2", [452, 452, 452, 452, 452]),
    Call("fchown", [93, 93, 95, 55, 95]),
    Call("fchown32", [X, X, 207, X, 207]),
    Call("fchownat", [260, 260, 298, 54, 325]),
    Call("fcntl", [72, 72, 55, 25, 55]),
    Call("fcntl64", [X, X, 221, X, 221]),
    Call("fdatasync", [75, 75, 148, 83, 148]),
    Call("fgetxattr", [193, 193, 231, 10, 231]),
    Call("file_getattr", [468, 468, 468, 468, 468]),
    Call("file_setattr", [469, 469, 469, 469, 469]),
    Call("finit_module", [313, 313, 350, 273, 379]),
    Call("flistxattr", [196, 196, 234, 13, 234]),
    Call("flock", [73, 73, 143, 32, 143]),
    Call("fork", [57, 57, 2, X, 2]),
    Call("fremovexattr", [199, 199, 237, 16, 237]),
    Call("fsconfig", [431, 431, 431, 431, 431]),
    Call("fsetxattr", [190, 190, 228, 7, 228]),
    Call("fsmount", [432, 432, 432, 432, 432]),
    Call("fsopen", [430, 430, 430, 430, 430]),
    Call("fspick", [433, 433, 433, 433, 433]),
    Call("fstat", [5, 5, 108, 80, 108]),
    Call("fstat64", [X, X, 197, X, 197]),
    Call("fstatat64", [X, X, 300, X, 327]),
    Call("fstatfs", [138, 138, 100, 44, 100]),
    Call("fstatfs64", [X, X, 269, X, 267]),
    Call("fsync", [74, 74, 118, 82, 118]),
    Call("ftime", [X, X, 35, X, X]),
    Call("ftruncate", [77, 77, 93, 46, 93]),
    Call("ftruncate64", [X, X, 194, X, 194]),
    Call("futex", [202, 202, 240, 98, 240]),
    Call("futex_requeue", [456, 456, 456, 456, 456]),
    Call("futex_time64", [X, X, 422, X, 422]),
    Call("futex_wait", [455, 455, 455, 455, 455]),
    Call("futex_waitv", [449, 449, 449, 449, 449]),
    Call("futex_wake", [454, 454, 454, 454, 454]),
    Call("futimesat", [261, 261, 299, X, 326]),
    Call("get_kernel_syms", [177, X, 130, X, X]),
    Call("get_mempolicy", [239, 239, 275, 236, 320]),
    Call("get_robust_list", [274, 531, 312, 100, 339]),
    Call("get_thread_area", [211, X, 244, X, X]),
    Call("get_tls", [X, X, X, X, 0xf0006]),
    Call("getcpu", [309, 309, 318, 168, 345]),
    Call("getcwd", [79, 79, 183, 17, 183]),
    Call("getdents", [78, 78, 141, X, 141]),
    Call("getdents64", [217, 217, 220, 61, 217]),
    Call("getegid", [108, 108, 50, 177, 50]),
    Call("getegid32", [X, X, 202, X, 202]),
    Call("geteuid", [107, 107, 49, 175, 49]),
    Call("geteuid32", [X, X, 201, X, 201]),
    Call("getgid", [104, 104, 47, 176, 47]),
    Call("getgid32", [X, X, 200, X, 200]),
    Call("getgroups", [115, 115, 80, 158, 80]),
    Call("getgroups32", [X, X, 205, X, 205]),
    Call("getitimer", [36, 36, 105, 102, 105]),
    Call("getpeername", [52, 52, 368, 205, 287]),
    Call("getpgid", [121, 121, 132, 155, 132]),
    Call("getpgrp", [111, 111, 65, X, 65]),
    Call("getpid", [39, 39, 20, 172, 20]),
    Call("getpmsg", [181, 181, 188, X, X]),
    Call("getppid", [110, 110, 64, 173, 64]),
    Call("getpriority", [140, 140, 96, 141, 96]),
    Call("getrandom", [318, 318, 355, 278, 384]),
    Call("getresgid", [120, 120, 171, 150, 171]),
    Call("getresgid32", [X, X, 211, X, 211]),
    Call("getresuid", [118, 118, 165, 148, 165]),
    Call("getresuid32", [X, X, 209, X, 209]),
    Call("getrlimit", [97, 97, 76, 163, X]),
    Call("getrusage", [98, 98, 77, 165, 77]),
    Call("getsid", [124, 124, 147, 156, 147]),
    Call("getsockname", [51, 51, 367, 204, 286]),
    Call("getsockopt", [55, 542, 365, 209, 295]),
    Call("gettid", [186, 186, 224, 178, 224]),
    Call("gettimeofday", [96, 96, 78, 169, 78]),
    Call("getuid", [102, 102, 24, 174, 24]),
    Call("getuid32", [X, X, 199, X, 199]),
    Call("getxattr", [191, 191, 229, 8, 229]),
    Call("getxattrat", [464, 464, 464, 464, 464]),
    Call("gtty", [X, X, 32, X, X]),
    Call("idle", [X, X, 112, X, X]),
    Call("init_module", [175, 175, 128, 105, 128]),
    Call("inotify_add_watch", [254, 254, 292, 27, 317]),
    Call("inotify_init", [253, 253, 291, X, 316]),
    Call("inotify_init1", [294, 294, 332, 26, 360]),
    Call("inotify_rm_watch", [255, 255, 293, 28, 318]),
    Call("io_cancel", [210, 210, 249, 3, 247]),
    Call("io_destroy", [207, 207, 246, 1, 244]),
    Call("io_getevents", [208, 208, 247, 4, 245]),
    Call("io_pgetevents", [333, 333, 385, 292, 399]),
    Call("io_pgetevents_time64", [X, X, 416, X, 416]),
    Call("io_setup", [206, 543, 245, 0, 243]),
    Call("io_submit", [209, 544, 248, 2, 246]),
    Call("io_uring_enter", [426, 426, 426, 426, 426]),
    Call("io_uring_register", [427, 427, 427, 427, 427]),
    Call("io_uring_setup", [425, 425, 425, 425, 425]),
    Call("ioctl", [16, 514, 54, 29, 54]),
    Call("ioperm", [173, 173, 101, X, X]),
    Call("iopl", [172, 172, 110, X, X]),
    Call("ioprio_get", [252, 252, 290, 31, 315]),
    Call("ioprio_set", [251, 251, 289, 30, 314]),
    Call("ipc", [X, X, 117, X, X]),
    Call("kcmp", [312, 312, 349, 272, 378]),
    Call("kexec_file_load", [320, 320, X, 294, 401]),
    Call("kexec_load", [246, 528, 283, 104, 347]),
    Call("keyctl", [250, 250, 288, 219, 311]),
    Call("kill", [62, 62, 37, 129, 37]),
    Call("landlock_add_rule", [445, 445, 445, 445, 445]),
    Call("landlock_create_ruleset", [444, 444, 444, 444, 444]),
    Call("landlock_restrict_self", [446, 446, 446, 446, 446]),
    Call("lchown", [94, 94, 16, X, 16]),
    Call("lchown32", [X, X, 198, X, 198]),
    Call("lgetxattr", [192, 192, 230, 9, 230]),
    Call("link", [86, 86, 9, X, 9]),
    Call("linkat", [265, 265, 303, 37, 330]),
    Call("listen", [50, 50, 363, 201, 284]),
    Call("listmount", [458, 458, 458, 458, 458]),
    Call("listxattr", [194, 194, 232, 11, 232]),
    Call("listxattrat", [465, 465, 465, 465, 465]),
    Call("llistxattr", [195, 195, 233, 12, 233]),
    Call("lock", [X, X, 53, X, X]),
    Call("lookup_dcookie", [212, 212, 253, 18, 249]),
    Call("lremovexattr", [198, 198, 236, 15, 236]),
    Call("lseek", [8, 8, 19, 62, 19]),
    Call("lsetxattr", [189, 189, 227, 6, 227]),
    Call("lsm_get_self_attr", [459, 459, 459, 459, 459]),
    Call("lsm_list_modules", [461, 461, 461, 461, 461]),
    Call("lsm_set_self_attr", [460, 460, 460, 460, 460]),
    Call("lstat", [6, 6, 107, X, 107]),
    Call("lstat64", [X, X, 196, X, 196]),
    Call("madvise", [28, 28, 219, 233, 220]),
    Call("map_shadow_stack", [453, X, 453, 453, 453]),
    Call("mbind", [237, 237, 274, 235, 319]),
    Call("membarrier", [324, 324, 375, 283, 389]),
    Call("memfd_create", [319, 319, 356, 279, 385]),
    Call("memfd_secret", [447, 447, 447, 447, X]),
    Call("migrate_pages", [256, 256, 294, 238, 400]),
    Call("mincore", [27, 27, 218, 232, 219]),
    Call("mkdir", [83, 83, 39, X, 39]),
    Call("mkdirat", [258, 258, 296, 34, 323]),
    Call("mknod", [133, 133, 14, X, 14]),
    Call("mknodat", [259, 259, 297, 33, 324]),
    Call("mlock", [149, 149, 150, 228, 150]),
    Call("mlock2", [325, 325, 376, 284, 390]),
    Call("mlockall", [151, 151, 152, 230, 152]),
    Call("mmap", [9, 9, 90, 222, X]),
    Call("mmap2", [X, X, 192, X, 192]),
    Call("modify_ldt", [154, 154, 123, X, X]),
    Call("mount", [165, 165, 21, 40, 21]),
    Call("mount_setattr", [442, 442, 442, 442, 442]),
    Call("move_mount", [429, 429, 429, 429, 429]),
    Call("move_pages", [279, 533, 317, 239, 344]),
    Call("mprotect", [10, 10, 125, 226, 125]),
    Call("mpx", [X, X, 56, X, X]),
    Call("mq_getsetattr", [245, 245, 282, 185, 279]),
    Call("mq_notify", [244, 527, 281, 184, 278]),
    Call("mq_open", [240, 240, 277, 180, 274]),
    Call("mq_timedreceive", [243, 243, 280, 183, 277]),
    Call("mq_timedreceive_time64", [X, X, 419, X, 419]),
    Call("mq_timedsend", [242, 242, 279, 182, 276]),
    Call("mq_timedsend_time64", [X, X, 418, X, 418]),
    Call("mq_unlink", [241, 241, 278, 181, 275]),
    Call("mremap", [25, 25, 163, 216, 163]),
    Call("mseal", [462, 462, 462, 462, 462]),
    Call("msgctl", [71, 71, 402, 187, 304]),
    Call("msgget", [68, 68, 399, 186, 303]),
    Call("msgrcv", [70, 70, 401, 188, 302]),
    Call("msgsnd", [69, 69, 400, 189, 301]),
    Call("msync", [26, 26, 144, 227, 144]),
    Call("munlock", [150, 150, 151, 229, 151]),
    Call("munlockall", [152, 152, 153, 231, 153]),
    Call("munmap", [11, 11, 91, 215, 91]),
    Call("name_to_handle_at", [303, 303, 341, 264, 370]),
    Call("nanosleep", [35, 35, 162, 101, 162]),
    Call("newfstatat", [262, 262, X, 79, X]),
    Call("nfsservctl", [180, X, 169, 42, 169]),
    Call("nice", [X, X, 34, X, 34]),
    Call("oldfstat", [X, X, 28, X, X]),
    Call("oldlstat", [X, X, 84, X, X]),
    Call("oldolduname", [X, X, 59, X, X]),
    Call("oldstat", [X, X, 18, X, X]),
    Call("olduname", [X, X, 109, X, X]),
    Call("open", [2, 2, 5, X, 5]),
    Call("open_by_handle_at", [304, 304, 342, 265, 371]),
    Call("open_tree", [428, 428, 428, 428, 428]),
    Call("open_tree_attr", [467, 467, 467, 467, 467]),
    Call("openat", [257, 257, 295, 56, 322]),
    Call("openat2", [437, 437, 437, 437, 437]),
    Call("pause", [34, 34, 29, X, 29]),
    Call("pciconfig_iobase", [X, X, X, X, 271]),
    Call("pciconfig_read", [X, X, X, X, 272]),
    Call("pciconfig_write", [X, X, X, X, 273]),
    Call("perf_event_open", [298, 298, 336, 241, 364]),
    Call("personality", [135, 135, 136, 92, 136]),
    Call("pidfd_getfd", [438, 438, 438, 438, 438]),
    Call("pidfd_open", [434, 434, 434, 434, 434]),
    Call("pidfd_send_signal", [424, 424, 424, 424, 424]),
    Call("pipe", [22, 22, 42, X, 42]),
    Call("pipe2", [293, 293, 331, 59, 359]),
    Call("pivot_root", [155, 155, 217, 41, 218]),
    Call("pkey_alloc", [330, 330, 381, 289, 395]),
    Call("pkey_free", [331, 331, 382, 290, 396]),
    Call("pkey_mprotect", [329, 329, 380, 288, 394]),
    Call("poll", [7, 7, 168, X, 168]),
    Call("ppoll", [271, 271, 309, 73, 336]),
    Call("ppoll_time64", [X, X, 414, X, 414]),
    Call("prctl", [157, 157, 172, 167, 172]),
    Call("pread64", [17, 17, 180, 67, 180]),
    Call("preadv", [295, 534, 333, 69, 361]),
    Call("preadv2", [327, 546, 378, 286, 392]),
    Call("prlimit64", [302, 302, 340, 261, 369]),
    Call("process_madvise", [440, 440, 440, 440, 440]),
    Call("process_mrelease", [448, 448, 448, 448, 448]),
    Call("process_vm_readv", [310, 539, 347, 270, 376]),
    Call("process_vm_writev", [311, 540, 348, 271, 377]),
    Call("prof", [X, X, 44, X, X]),
    Call("profil", [X, X, 98, X, X]),
    Call("pselect6", [270, 270, 308, 72, 335]),
    Call("pselect6_time64", [X, X, 413, X, 413]),
    Call("ptrace", [101, 521, 26, 117, 26]),
    Call("putpmsg", [182, 182, 189, X, X]),
    Call("pwrite64", [18, 18, 181, 68, 181]),
    Call("pwritev", [296, 535, 334, 70, 362]),
    Call("pwritev2", [328, 547, 379, 287, 393]),
    Call("query_module", [178, X, 167, X, X]),
    Call("quotactl", [179, 179, 131, 60, 131]),
    Call("quotactl_fd", [443, 443, 443, 443, 443]),
    Call("read", [0, 0, 3, 63, 3]),
    Call("readahead", [187, 187, 225, 213, 225]),
    Call("readdir", [X, X, 89, X, X]),
    Call("readlink", [89, 89, 85, X, 85]),
    Call("readlinkat", [267, 267, 305, 78, 332]),
    Call("readv", [19, 515, 145, 65, 145]),
    Call("reboot", [169, 169, 88, 142, 88]),
    Call("recv", [X, X, X, X, 291]),
    Call("recvfrom", [45, 517, 371, 207, 292]),
    Call("recvmmsg", [299, 537, 337, 243, 365]),
    Call("recvmmsg_time64", [X, X, 417, X, 417]),
    Call("recvmsg", [47, 519, 372, 212, 297]),
    Call("remap_file_pages", [216, 216, 257, 234, 253]),
    Call("removexattr", [197, 197, 235, 14, 235]),
    Call("removexattrat", [466, 466, 466, 466, 466]),
    Call("rename", [82, 82, 38, X, 38]),
    Call("renameat", [264, 264, 302, 38, 329]),
    Call("renameat2", [316, 316, 353, 276, 382]),
    Call("request_key", [249, 249, 287, 218, 310]),
    Call("restart_syscall", [219, 219, 0, 128, 0]),
    Call("riscv_hwprobe", [X, X, X, X, X]),
    Call("rmdir", [84, 84, 40, X, 40]),
    Call("rseq", [334, 334, 386, 293, 398]),
    Call("rt_sigaction", [13, 512, 174, 134, 174]),
    Call("rt_sigpending", [127, 522, 176, 136, 176]),
    Call("rt_sigprocmask", [14, 14, 175, 135, 175]),
    Call("rt_sigqueueinfo", [129, 524, 178, 138, 178]),
    Call("rt_sigreturn", [15, 513, 173, 139, 173]),
    Call("rt_sigsuspend", [130, 130, 179, 133, 179]),
    Call("rt_sigtimedwait", [128, 523, 177, 137, 177]),
    Call("rt_sigtimedwait_time64", [X, X, 421, X, 421]),
    Call("rt_tgsigqueueinfo", [297, 536, 335, 240, 363]),
    Call("sched_get_priority_max", [146, 146, 159, 125, 159]),
    Call("sched_get_priority_min", [147, 147, 160, 126, 160]),
    Call("sched_getaffinity", [204, 204, 242, 123, 242]),
    Call("sched_getattr", [315, 315, 352, 275, 381]),
    Call("sched_getparam", [143, 143, 155, 121, 155]),
    Call("sched_getscheduler", [145, 145, 157, 120, 157]),
    Call("sched_rr_get_interval", [148, 148, 161, 127, 161]),
    Call("sched_rr_get_interval_time64", [X, X, 423, X, 423]),
    Call("sched_setaffinity", [203, 203, 241, 122, 241]),
    Call("sched_setattr", [314, 314, 351, 274, 380]),
    Call("sched_setparam", [142, 142, 154, 118, 154]),
    Call("sched_setscheduler", [144, 144, 156, 119, 156]),
    Call("sched_yield", [24, 24, 158, 124, 158]),
    Call("seccomp", [317, 317, 354, 277, 383]),
    Call("security", [185, 185, X, X, X]),
    Call("select", [23, 23, 82, X, X]),
    Call("semctl", [66, 66, 394, 191, 300]),
    Call("semget", [64, 64, 393, 190, 299]),
    Call("semop", [65, 65, X, 193, 298]),
    Call("semtimedop", [220, 220, X, 192, 312]),
    Call("semtimedop_time64", [X, X, 420, X, 420]),
    Call("send", [X, X, X, X, 289]),
    Call("sendfile", [40, 40, 187, 71, 187]),
    Call("sendfile64", [X, X, 239, X, 239]),
    Call("sendmmsg", [307, 538, 345, 269, 374]),
    Call("sendmsg", [46, 518, 370, 211, 296]),
    Call("sendto", [44, 44, 369, 206, 290]),
    Call("set_mempolicy", [238, 238, 276, 237, 321]),
    Call("set_mempolicy_home_node", [450, 450, 450, 450, 450]),
    Call("set_robust_list", [273, 530, 311, 99, 338]),
    Call("set_thread_area", [205, X, 243, X, X]),
    Call("set_tid_address", [218, 218, 258, 96, 256]),
    Call("set_tls", [X, X, X, X, 0xf0005]),
    Call("setdomainname", [171, 171, 121, 162, 121]),
    Call("setfsgid", [123, 123, 139, 152, 139]),
    Call("setfsgid32", [X, X, 216, X, 216]),
    Call("setfsuid", [122, 122, 138, 151, 138]),
    Call("setfsuid32", [X, X, 215, X, 215]),
    Call("setgid", [106, 106, 46, 144, 46]),
    Call("setgid32", [X, X, 214, X, 214]),
    Call("setgroups", [116, 116, 81, 159, 81]),
    Call("setgroups32", [X, X, 206, X, 206]),
    Call("sethostname", [170, 170, 74, 161, 74]),
    Call("setitimer", [38, 38, 104, 103, 104]),
    Call("setns", [308, 308, 346, 268, 375]),
    Call("setpgid", [109, 109, 57, 154, 57]),
    Call("setpriority", [141, 141, 97, 140, 97]),
    Call("setregid", [114, 114, 71, 143, 71]),
    Call("setregid32", [X, X, 204, X, 204]),
    Call("setresgid", [119, 119, 170, 149, 170]),
    Call("setresgid32", [X, X, 210, X, 210]),
    Call("setresuid", [117, 117, 164, 147, 164]),
    Call("setresuid32", [X, X, 208, X, 208]),
    Call("setreuid", [113, 113, 70, 145, 70]),
    Call("setreuid32", [X, X, 203, X, 203]),
    Call("setrlimit", [160, 160, 75, 164, 75]),
    Call("setsid", [112, 112, 66, 157, 66]),
    Call("setsockopt", [54, 541, 366, 208, 294]),
    Call("settimeofday", [164, 164, 79, 170, 79]),
    Call("setuid", [105, 105, 23, 146, 23]),
    Call("setuid32", [X, X, 213, X, 213]),
    Call("setxattr", [188, 188, 226, 5, 226]),
    Call("setxattrat", [463, 463, 463, 463, 463]),
    Call("sgetmask", [X, X, 68, X, X]),
    Call("shmat", [30, 30, 397, 196, 305]),
    Call("shmctl", [31, 31, 396, 195, 308]),
    Call("shmdt", [67, 67, 398, 197, 306]),
    Call("shmget", [29, 29, 395, 194, 307]),
    Call("shutdown", [48, 48, 373, 210, 293]),
    Call("sigaction", [X, X, 67, X, 67]),
    Call("sigaltstack", [131, 525, 186, 132, 186]),
    Call("signal", [X, X, 48, X, X]),
    Call("signalfd", [282, 282, 321, X, 349]),
    Call("signalfd4", [289, 289, 327, 74, 355]),
    Call("sigpending", [X, X, 73, X, 73]),
    Call("sigprocmask", [X, X, 126, X, 126]),
    Call("sigreturn", [X, X, 119, X, 119]),
    Call("sigsuspend", [X, X, 72, X, 72]),
    Call("socket", [41, 41, 359, 198, 281]),
    Call("socketcall", [X, X, 102, X, X]),
    Call("socketpair", [53, 53, 360, 199, 288]),
    Call("splice", [275, 275, 313, 76, 340]),
    Call("ssetmask", [X, X, 69, X, X]),
    Call("stat", [4, 4, 106, X, 106]),
    Call("stat64", [X, X, 195, X, 195]),
    Call("statfs", [137, 137, 99, 43, 99]),
    Call("statfs64", [X, X, 268, X, 266]),
    Call("statmount", [457, 457, 457, 457, 457]),
    Call("statx", [332, 332, 383, 291, 397]),
    Call("stime", [X, X, 25, X, X]),
    Call("stty", [X, X, 31, X, X]),
    Call("swapoff", [168, 168, 115, 225, 115]),
    Call("swapon", [167, 167, 87, 224, 87]),
    Call("symlink", [88, 88, 83, X, 83]),
    Call("symlinkat", [266, 266, 304, 36, 331]),
    Call("sync", [162, 162, 36, 81, 36]),
    Call("sync_file_range", [277, 277, 314, 84, X]),
    Call("sync_file_range2", [X, X, X, X, 341]),
    Call("syncfs", [306, 306, 344, 267, 373]),
    Call("sysfs", [139, 139, 135, X, 135]),
    Call("sysinfo", [99, 99, 116, 179, 116]),
    Call("syslog", [103, 103, 103, 116, 103]),
    Call("tee", [276, 276, 315, 77, 342]),
    Call("tgkill", [234, 234, 270, 131, 268]),
    Call("time", [201, 201, 13, X, X]),
    Call("timer_create", [222, 526, 259, 107, 257]),
    Call("timer_delete", [226, 226, 263, 111, 261]),
    Call("timer_getoverrun", [225, 225, 262, 109, 260]),
    Call("timer_gettime", [224, 224, 261, 108, 259]),
    Call("timer_gettime64", [X, X, 408, X, 408]),
    Call("timer_settime", [223, 223, 260, 110, 258]),
    Call("timer_settime64", [X, X, 409, X, 409]),
    Call("timerfd_create", [283, 283, 322, 85, 350]),
    Call("timerfd_gettime", [287, 287, 326, 87, 354]),
    Call("timerfd_gettime64", [X, X, 410, X, 410]),
    Call("timerfd_settime", [286, 286, 325, 86, 353]),
    Call("timerfd_settime64", [X, X, 411, X, 411]),
    Call("times", [100, 100, 43, 153, 43]),
    Call("tkill", [200, 200, 238, 130, 238]),
    Call("truncate", [76, 76, 92, 45, 92]),
    Call("truncate64", [X, X, 193, X, 193]),
    Call("tuxcall", [184, 184, X, X, X]),
    Call("ugetrlimit", [X, X, 191, X, 191]),
    Call("ulimit", [X, X, 58, X, X]),
    Call("umask", [95, 95, 60, 166, 60]),
    Call("umount", [X, X, 22, X, X]),
    Call("umount2", [166, 166, 52, 39, 52]),
    Call("uname", [63, 63, 122, 160, 122]),
    Call("unlink", [87, 87, 10, X, 10]),
    Call("unlinkat", [263, 263, 301, 35, 328]),
    Call("unshare", [272, 272, 310, 97, 337]),
    Call("uprobe", [336, X, X, X, X]),
    Call("uretprobe", [335, X, X, X, X]),
    Call("uselib", [134, X, 86, X, 86]),
    Call("userfaultfd", [323, 323, 374, 282, 388]),
    Call("usr26", [X, X, X, X, 0xf0003]),
    Call("usr32", [X, X, X, X, 0xf0004]),
    Call("ustat", [136, 136, 62, X, 62]),
    Call("utime", [132, 132, 30, X, X]),
    Call("utimensat", [280, 280, 320, 88, 348]),
    Call("utimensat_time64", [X, X, 412, X, 412]),
    Call("utimes", [235, 235, 271, X, 269]),
    Call("vfork", [58, 58, 190, X, 190]),
    Call("vhangup", [153, 153, 111, 58, 111]),
    Call("vm86", [X, X, 166, X, X]),
    Call("vm86old", [X, X, 113, X, X]),
    Call("vmsplice", [278, 532, 316, 75, 343]),
    Call("vserver", [236, X, 273, X, 313]),
    Call("wait4", [61, 61, 114, 260, 114]),
    Call("waitid", [247, 529, 284, 95, 280]),
    Call("waitpid", [X, X, 7, X, X]),
    Call("write", [1, 1, 4, 64, 4]),
    Call("writev", [20, 516, 146, 66, 146]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_names_are_sorted() {
        for (at, call) in CALLS.iter().enumerate() {
            assert_eq!((row(call.0), name(at)), (Some(at), call.0));
            let numbers = Abi::ALL.map(|abi| number_of(at, abi).unwrap_or(X));
            assert_eq!(numbers, call.1, "{}", call.0);
        }
        assert!(CALLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(row("no_such_call"), None);
        assert_eq!(row(""), None);
    }

    #[test]
    fn numbers_are_the_kernels() {
        for (name, numbers) in [
            ("read", [Some(0), Some(0), Some(3), Some(63), Some(3)]),
            ("ioctl", [Some(16), Some(514), Some(54), Some(29), Some(54)]),
            ("socketcall", [None, None, Some(102), None, None]),
            ("clone3", [Some(435); 5]),
            ("file_setattr", [Some(469); 5]),
            ("uretprobe", [Some(335), None, None, None, None]),
            ("set_tls", [None, None, None, None, Some(0xf0005)]),
        ] {
            assert_eq!(Abi::ALL.map(|abi| number(name, abi)), numbers, "{name}");
        }
    }

    #[test]
    fn no_number_stands_for_two_calls() {
        for abi in Abi::ALL {
            let mut all: Vec<u32> = numbers(abi).map(|(_, number)| number).collect();
            all.sort_unstable();
            // arm's `sync_file_range2` is an alias of `arm_sync_file_range`.
            let twice: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.len() <= usize::from(abi == Abi::Arm), "{abi:?}: {twice:?}");
        }
    }
}

//! What the kernel's words mean to who reads them for the first time.

/// Namespaces by the kernel's name in `/proc/PID/ns` and what each keeps apart.
pub(super) const NAMESPACES: [(&str, &str); 8] = [
    ("user", "root inside is nobody outside"),
    ("mnt", "its own file system tree"),
    ("pid", "sees and signals only its own processes"),
    ("net", "its own interfaces, ports, firewall"),
    ("ipc", "its own shared memory and queues"),
    ("uts", "its own host name"),
    ("cgroup", "does not see the host's groups"),
    ("time", "its own monotonic clocks"),
];

/// The runtime-spec's name of a namespace.
pub(super) fn of_spec(kind: &str) -> &str {
    match kind {
        "mnt" => "mount",
        "net" => "network",
        other => other,
    }
}

/// What each capability allows, capabilities(7), and whether it means anything below the host's user namespace.
#[rustfmt::skip]
pub(super) const CAPABILITIES: [(&str, &str, bool); 41] = [
    ("CAP_CHOWN", "give files away to any user of the container", true),
    ("CAP_DAC_OVERRIDE", "read and write files whatever their permissions say", true),
    ("CAP_DAC_READ_SEARCH", "read any file, and open files by handle", true),
    ("CAP_FOWNER", "change modes and attributes of others' files", true),
    ("CAP_FSETID", "keep setuid bits when files are changed", true),
    ("CAP_KILL", "signal processes of other users", true),
    ("CAP_SETGID", "become any group of its map", true),
    ("CAP_SETUID", "become any user of its map", true),
    ("CAP_SETPCAP", "drop capabilities for good, and pass them on", true),
    ("CAP_LINUX_IMMUTABLE", "mark files immutable or append-only", false),
    ("CAP_NET_BIND_SERVICE", "listen on ports below 1024", true),
    ("CAP_NET_BROADCAST", "broadcast; the kernel does not use it", true),
    ("CAP_NET_ADMIN", "set addresses, routes and firewalls of its network", true),
    ("CAP_NET_RAW", "make packets of any form: ping, and spoofing", true),
    ("CAP_IPC_LOCK", "lock memory beyond the limit", false),
    ("CAP_IPC_OWNER", "use others' System V shared memory and queues", true),
    ("CAP_SYS_MODULE", "load code into the kernel", false),
    ("CAP_SYS_RAWIO", "reach I/O ports and raw disks", false),
    ("CAP_SYS_CHROOT", "change its root directory", true),
    ("CAP_SYS_PTRACE", "read and change other processes' memory", true),
    ("CAP_SYS_PACCT", "switch process accounting", false),
    ("CAP_SYS_ADMIN", "mount, enter namespaces, and a hundred things more", true),
    ("CAP_SYS_BOOT", "reboot, and load another kernel", true),
    ("CAP_SYS_NICE", "raise priorities, pin processes to CPUs", false),
    ("CAP_SYS_RESOURCE", "pass quotas and raise limits of processes", false),
    ("CAP_SYS_TIME", "set the clock", false),
    ("CAP_SYS_TTY_CONFIG", "hang up terminals", false),
    ("CAP_MKNOD", "make device nodes", false),
    ("CAP_LEASE", "take leases on any file", true),
    ("CAP_AUDIT_WRITE", "write into the kernel's audit log", false),
    ("CAP_AUDIT_CONTROL", "switch the kernel's audit", false),
    ("CAP_SETFCAP", "give files capabilities", true),
    ("CAP_MAC_OVERRIDE", "pass by Smack", false),
    ("CAP_MAC_ADMIN", "change the rules of AppArmor and Smack", false),
    ("CAP_SYSLOG", "read the kernel's log and addresses", false),
    ("CAP_WAKE_ALARM", "wake the machine", false),
    ("CAP_BLOCK_SUSPEND", "keep the machine awake", false),
    ("CAP_AUDIT_READ", "read the kernel's audit log", false),
    ("CAP_PERFMON", "watch the whole machine's performance counters", false),
    ("CAP_BPF", "load BPF programs", false),
    ("CAP_CHECKPOINT_RESTORE", "set pids, read maps of other processes", true),
];

/// In a line what a capability allows; and whether it is void in a user namespace of the container's own.
pub(super) fn capability(name: &str) -> (&'static str, bool) {
    let found = CAPABILITIES.iter().find(|(known, ..)| *known == name);
    found.map_or(("", false), |(_, allows, holds)| (*allows, !holds))
}

/// Calls by what an attacker wants of them. A purpose of which this machine has no call is left out.
#[rustfmt::skip]
pub(super) const PURPOSES: [(&str, &[&str]); 14] = [
    ("load code into the kernel", &["init_module", "finit_module", "delete_module", "create_module", "kexec_load", "kexec_file_load", "bpf"]),
    ("mount file systems", &["mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "mount_setattr"]),
    ("make or enter namespaces", &["unshare", "setns", "clone", "clone3"]),
    ("look into other processes", &["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"]),
    ("open files behind the root's back", &["open_by_handle_at"]),
    ("watch the machine", &["perf_event_open", "syslog", "lookup_dcookie", "fanotify_init"]),
    ("use the kernel's keys", &["add_key", "request_key", "keyctl"]),
    ("queue calls past the filter", &["io_uring_setup", "io_uring_enter", "io_uring_register"]),
    ("stall the kernel at a page", &["userfaultfd"]),
    ("touch hardware", &["iopl", "ioperm", "modify_ldt"]),
    ("set the clock", &["settimeofday", "clock_settime", "clock_settime64", "stime"]),
    ("rule the machine", &["reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "sethostname", "setdomainname", "vhangup"]),
    ("open sockets of any family", &["socket"]),
    ("place memory on nodes", &["mbind", "set_mempolicy", "set_mempolicy_home_node", "move_pages", "migrate_pages"]),
];

/// Devices that nearly every container has, by type and number; linux/Documentation/admin-guide/devices.txt.
#[rustfmt::skip]
const DEVICES: [(char, u32, Option<u32>, &str); 19] = [
    ('c', 1, Some(1), "/dev/mem"), ('c', 1, Some(2), "/dev/kmem"), ('c', 1, Some(3), "/dev/null"),
    ('c', 1, Some(4), "/dev/port"), ('c', 1, Some(5), "/dev/zero"), ('c', 1, Some(7), "/dev/full"),
    ('c', 1, Some(8), "/dev/random"), ('c', 1, Some(9), "/dev/urandom"), ('c', 1, Some(11), "/dev/kmsg"),
    ('c', 5, Some(0), "/dev/tty"), ('c', 5, Some(1), "/dev/console"), ('c', 5, Some(2), "/dev/ptmx"),
    ('c', 136, None, "/dev/pts/*"), ('c', 10, Some(200), "/dev/net/tun"), ('c', 10, Some(229), "/dev/fuse"),
    ('c', 10, Some(232), "/dev/kvm"), ('c', 10, Some(237), "/dev/loop-control"), ('b', 7, None, "/dev/loop*"),
    ('c', 226, None, "/dev/dri/*"),
];

/// What a device is, by its number.
pub(super) fn device(kind: char, major: u32, minor: Option<u32>) -> Option<&'static str> {
    let is_it = |one: &&(char, u32, Option<u32>, &str)| {
        one.0 == kind && one.1 == major && (one.2 == minor || one.2.is_none())
    };
    DEVICES.iter().find(is_it).map(|(.., name)| *name)
}

//! The flags of `hull run`, by what they are about.

use crate::flags::{Flag, Syntax, switch, value};

const PROCESS: &str = "Process";
const STREAMS: &str = "Streams";
const FILES: &str = "Files";
const ISOLATION: &str = "Isolation";
const LIMITS: &str = "Limits";
const RECORD: &str = "Container";

/// What is about the caller, and not about the container.
const OF_RUN: [Flag; 3] = [
    switch("detach", "Leave it to a monitor, and show its id").or('d').under(STREAMS),
    switch("sig-proxy", "Pass signals on to the process (default true); without, a third INT or TERM ends the container, or a HUP").under(STREAMS),
    value("detach-keys", "KEYS", "Keys reserved for detaching (ctrl-p,ctrl-q)").under(STREAMS),
];

/// `hull create`
pub(crate) const CREATE: &[Flag] = &FLAGS;

const RUN: [Flag; FLAGS.len() + OF_RUN.len()] = {
    let mut all = [OF_RUN[0]; FLAGS.len() + OF_RUN.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < FLAGS.len() { FLAGS[at] } else { OF_RUN[at - FLAGS.len()] };
        at += 1;
    }
    all
};

#[rustfmt::skip]
const FLAGS: [Flag; 80] = [
    value("name", "NAME", "Name of the container; a random one otherwise").under(RECORD),
    switch("rm", "Remove the container when it ends").under(RECORD),
    value("restart", "POLICY", "Start it again when it ends: no, on-failure[:N], always, unless-stopped").under(RECORD),
    value("health-cmd", "LINE", "A shell line that sees whether it works; over the image's HEALTHCHECK").under(RECORD),
    value("health-interval", "TIME", "Between two checks (30s)").under(RECORD),
    value("health-timeout", "TIME", "What a check may take (30s)").under(RECORD),
    value("health-retries", "N", "Failures in a row until it is unhealthy (3)").under(RECORD),
    value("health-start-period", "TIME", "Failures at the start that do not count").under(RECORD),
    value("health-start-interval", "TIME", "Between two checks in that time (5s)").under(RECORD),
    switch("no-healthcheck", "No checks, whatever the image says").under(RECORD),
    value("pull", "WHEN", "Fetch the image: missing, never, always").under(RECORD),
    switch("quiet", "Do not tell how it is fetched").or('q').under(RECORD),
    value("platform", "OS/ARCH", "The image must be for this platform").under(RECORD),
    value("label", "KEY=VALUE", "Set a label").or('l').under(RECORD),
    value("label-file", "FILE", "Read labels from a file of lines").under(RECORD),
    value("annotation", "KEY=VALUE", "Add an annotation for the OCI runtime").under(RECORD),
    value("cidfile", "FILE", "Write the container's id to a file").under(RECORD),
    value("pidfile", "FILE", "Write the first process's pid to a file").under(RECORD),

    switch("interactive", "Keep standard input open").or('i').under(STREAMS),
    switch("tty", "Give the container a terminal").or('t').under(STREAMS),
    value("attach", "STREAM", "Attach only stdin, stdout or stderr").or('a').under(STREAMS),
    value("log-driver", "DRIVER", "Who keeps its output: hull (default; docker's name for it: local), json-file, journald, syslog, none, \
        passthrough (it has the caller's own streams)").under(STREAMS),
    value("log-opt", "NAME=VALUE", "max-size, max-file, compress; mode=non-blocking, max-buffer-size; tag, labels, env, env-regex; \
        syslog-address, syslog-facility, syslog-format").under(STREAMS),

    value("env", "NAME[=VALUE]", "Set a variable, or pass the caller's on").or('e').under(PROCESS),
    value("env-file", "FILE", "Read variables from a file of lines").under(PROCESS),
    value("workdir", "DIR", "Working directory").or('w').under(PROCESS),
    value("user", "USER[:GROUP]", "Names in the image, or numbers").or('u').under(PROCESS),
    value("group-add", "GROUP", "Add a group").under(PROCESS),
    value("entrypoint", "PROGRAM", "Replace the image's entry point").under(PROCESS),
    switch("init", "Run a reaper of orphans as process 1").under(PROCESS),
    value("stop-signal", "SIGNAL", "Signal that asks it to stop").under(PROCESS),
    value("stop-timeout", "SECONDS", "Patience of a stop before it kills").under(PROCESS),
    value("ulimit", "NAME=SOFT[:HARD]", "Set a limit of setrlimit(2)").under(PROCESS),
    value("oom-score-adj", "N", "Preference of the OOM killer, -1000 to 1000").under(PROCESS),

    value("volume", "SRC:DST[:OPTS]", "Bind a directory or file of the host").or('v').under(FILES),
    value("mount", "KEY=VALUE,…", "type=bind or tmpfs, source, target, …").under(FILES),
    value("tmpfs", "DIR[:OPTS]", "Mount memory").under(FILES),
    switch("read-only", "Mount the root file system read-only").under(FILES),
    value("shm-size", "BYTES", "Size of /dev/shm (64m)").under(FILES),
    value("device", "HOST[:DST[:rwm]]", "Add a device of the host").under(FILES),
    value("device-cgroup-rule", "RULE", "Allow devices, e.g. 'c 10:200 rwm'").under(FILES),
    value("hostname", "NAME", "Host name inside").or('h').under(FILES),
    value("domainname", "NAME", "NIS domain name inside").under(FILES),
    value("add-host", "NAME:IP", "Add a line to /etc/hosts").under(FILES),
    value("dns", "IP", "Name server for /etc/resolv.conf").under(FILES),
    value("dns-search", "DOMAIN", "Search domain for /etc/resolv.conf").under(FILES),
    value("dns-option", "OPTION", "Option for /etc/resolv.conf").under(FILES),

    switch("privileged", "All capabilities and devices, nothing masked, and the host's ids: root inside is root of the host").under(ISOLATION),
    value("cap-add", "CAP", "Add a capability, or ALL").under(ISOLATION),
    value("cap-drop", "CAP", "Drop a capability, or ALL").under(ISOLATION),
    value("security-opt", "OPTION", "no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE, label=…, \
        systempaths=unconfined, writable-cgroups, mask=PATHS, unmask=ALL|PATHS").under(ISOLATION),
    value("userns", "MODE", "auto (a range of its own), host (root inside is root of the host), keep-id[:uid=N,gid=N] (the caller is the same \
        inside: that one id is the host's), private:IN:HOST:SIZE[,…]").under(ISOLATION),
    value("pid", "MODE", "private, host (sees the host's processes, and its proc), container:NAME").under(ISOLATION),
    value("ipc", "MODE", "private, shareable, none, host, container:NAME").under(ISOLATION),
    value("uts", "MODE", "private, host, container:NAME").under(ISOLATION),
    value("cgroupns", "MODE", "private, host").under(ISOLATION),
    value("network", "MODE", "none (default), host, container:NAME").under(ISOLATION),
    value("time", "CLOCK=±T,…", "Own time namespace, e.g. monotonic=+1h,boottime=-30s").under(ISOLATION),
    value("sysctl", "NAME=VALUE", "Set a kernel parameter of its namespaces").under(ISOLATION),

    value("memory", "BYTES", "Memory").or('m').under(LIMITS),
    value("memory-swap", "BYTES", "Memory and swap together; -1 unlimited").under(LIMITS),
    value("memory-reservation", "BYTES", "Memory kept from reclaim").under(LIMITS),
    value("memory-swappiness", "N", "0 to 100 (cgroup v1)").under(LIMITS),
    switch("oom-kill-disable", "No OOM killer (cgroup v1)").under(LIMITS),
    value("cpus", "N", "CPUs' worth of time, e.g. 1.5").under(LIMITS),
    value("cpu-shares", "N", "Weight under contention (1024)").or('c').under(LIMITS),
    value("cpu-period", "µS", "Period of the quota").under(LIMITS),
    value("cpu-quota", "µS", "CPU time in each period").under(LIMITS),
    value("cpu-rt-period", "µS", "Real-time period (cgroup v1)").under(LIMITS),
    value("cpu-rt-runtime", "µS", "Real-time share (cgroup v1)").under(LIMITS),
    value("cpuset-cpus", "LIST", "CPUs it may run on, e.g. 0-2,7").under(LIMITS),
    value("cpuset-mems", "LIST", "Memory nodes it may use").under(LIMITS),
    value("pids-limit", "N", "Processes; -1 unlimited").under(LIMITS),
    value("blkio-weight", "N", "Weight of block I/O, 10 to 1000").under(LIMITS),
    value("blkio-weight-device", "DEV:N", "The same for one device").under(LIMITS),
    value("device-read-bps", "DEV:BYTES", "Bytes read each second").under(LIMITS),
    value("device-write-bps", "DEV:BYTES", "Bytes written each second").under(LIMITS),
    value("device-read-iops", "DEV:N", "Reads each second").under(LIMITS),
    value("device-write-iops", "DEV:N", "Writes each second").under(LIMITS),
    value("cgroup-parent", "PATH", "Group to make the container's group in").under(LIMITS),
];

/// `hull run`
pub(crate) const SYNTAX: Syntax = Syntax {
    name: "run",
    rest: "IMAGE [COMMAND [ARG…]]",
    about: "Run a command in a new container, isolated from the host: own processes, files, ids, network and limits.",
    flags: &RUN,
    examples: &[
        "hull run --rm hello",
        "hull run -it --rm debian:bookworm bash",
        "hull run --rm -m 256m --cpus 0.5 -v ./data:/data debian:bookworm ls /data",
    ],
    words: (1, usize::MAX),
    stops: true,
};

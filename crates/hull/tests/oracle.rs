//! The same `Spec` under another runtime gives the same picture from inside.
//!
//! hull runs a container and keeps it; its `Spec` is given to crun with a plain directory for a root, and what both
//! containers see is compared line by line. What differs is listed in [`EXPLAINED`], with the reason.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Sandbox, busybox, text};

/// What is seen from inside: a heading before each line, so that lines can be told apart.
const PICTURE: &str = r#"
say() { while read -r line; do echo "$1: $line"; done; }
grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status | say status
cat /proc/self/uid_map | say uid_map; cat /proc/self/gid_map | say gid_map
awk '{f=0; for(i=7;i<=NF;i++) if ($i=="-") f=i; print $5, $6, $(f+1)}' /proc/self/mountinfo | say mount
sed 's/.*://' /proc/self/cgroup | sort -u | say cgroup
for f in /dev/*; do stat -c '%n %A %u %g %t:%T' $f; done | say dev
env | say env; umask | say umask; hostname | say name; cat /proc/sys/kernel/domainname | say name; pwd | say pwd
ulimit -a | say limit; ulimit -Ha | say hard; cat /proc/self/oom_score_adj | say oom
for f in kcore keys timer_list sched_debug; do [ -e /proc/$f ] && echo $f $(head -c 1 /proc/$f 2>/dev/null | wc -c); done | say mask
ls /sys/firmware 2>/dev/null | wc -l | say mask
for f in sys/kernel/hostname sysrq-trigger; do (: >> /proc/$f) 2>/dev/null && echo $f; done | say writable
(: > /probe) 2>/dev/null && echo / | say writable
for f in memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares cpu/cpu.cfs_quota_us devices/devices.list \
    memory.max pids.max cpu.weight cpu.max; do
    sort /sys/fs/cgroup/$f 2>/dev/null | say $f; done
cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range 2>/dev/null | say sysctl
ls /proc/self/fd | wc -l | say fds; ls /sys/class/net | say net; echo $$ | say pid
for s in "unshare -U true" "mount -t tmpfs x /mnt" "mknod /n c 1 3" "chown 5 /etc"; do $s >/dev/null 2>&1 && echo "$s"; done | say may
ls /proc/self/ns | xargs | say namespaces; for n in /proc/self/ns/*; do [ $n -ef /proc/1/ns/${n##*/} ] || echo $n; done | say namespaces
true
"#;

/// Beginnings of lines that may differ, and why.
const EXPLAINED: [(&str, &str); 12] = [
    ("mount: / ", "hull's root is an overlay of layers, crun's a directory"),
    (
        "mount: /dev/full ",
        "crun 1.8 binds the host's nodes where it may not make some, hull makes them on its tmpfs",
    ),
    ("mount: /dev/null ", "likewise"),
    ("mount: /dev/random ", "likewise"),
    ("mount: /dev/tty ", "likewise"),
    ("mount: /dev/urandom ", "likewise"),
    ("mount: /dev/zero ", "likewise"),
    ("mount: /etc/", "crun 1.8 passes over `ridmap`, so that its binds are not id-mapped"),
    (
        "mount: /proc/",
        "hull keeps nosuid, nodev and noexec on what it masks or makes read-only, crun drops them",
    ),
    ("mount: /sys/firmware ", "likewise"),
    ("mount: /sys/devices/virtual/powercap ", "likewise"),
    ("mount: /sys/fs/cgroup", "hull has groups where they are needed, crun in every hierarchy of v1"),
];

/// Nodes that are bound have the host's owners, which a user namespace does not know.
const NODES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

fn normal(picture: &str) -> BTreeSet<String> {
    let explained = |line: &&str| EXPLAINED.iter().any(|(start, _)| line.starts_with(start));
    let owner = |line: &str| {
        let mut words: Vec<_> = line.split(' ').collect();
        let is_node = words.len() == 6 && NODES.iter().any(|name| words[1] == format!("/dev/{name}"));
        if is_node {
            words.drain(3..5);
        }
        words.join(" ")
    };
    picture.lines().filter(|line| !explained(line)).map(owner).collect()
}

/// Points that hull mounts on, although the mounts differ.
fn points(picture: &str) -> BTreeSet<String> {
    let covered = picture.lines().filter_map(|line| line.strip_prefix("mount: ")?.split(' ').next());
    covered
        .filter(|point| point.starts_with("/proc/") || *point == "/sys/firmware")
        .map(str::to_owned)
        .collect()
}

struct Bundle {
    dir: PathBuf,
}

impl Bundle {
    /// A root that belongs to the container's root, and the `Spec` over it.
    fn new(sandbox: &Sandbox, mut spec: Value, group: &str) -> Self {
        let dir = sandbox.path().join(group);
        let root = dir.join("rootfs");
        std::fs::create_dir_all(&root).unwrap();
        tar::Archive::new(busybox().as_slice()).unpack(&root).unwrap();
        let owner = spec.pointer("/linux/uidMappings/0/hostID").and_then(Value::as_u64).unwrap_or(0);
        give(&root, owner as u32);
        spec["root"]["path"] = json!("rootfs");
        spec["ociVersion"] = json!("1.0.2"); // crun 1.8 takes no other
        spec["linux"]["cgroupsPath"] = json!(format!("/{group}"));
        std::fs::write(dir.join("config.json"), spec.to_string()).unwrap();
        Self { dir }
    }

    /// crun refuses a hybrid host whose cgroup2 tree has a controller: it does not see the tree.
    fn run(&self, name: &str) -> String {
        let script = "[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified; \
            exec crun --root \"$0/state\" run --bundle \"$0\" \"$1\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(&self.dir).arg(name);
        let output = command.stdin(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "crun: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

fn give(path: &Path, owner: u32) {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| give(&entry.path(), owner));
    }
}

fn compare(flags: &[&str]) {
    let sandbox = Sandbox::new();
    let args: Vec<_> =
        ["run", "--name", "seen"].iter().chain(flags).chain(&["bb", "sh", "-c", PICTURE]).copied().collect();
    let ours = sandbox.ok(&args);
    let spec: Value =
        serde_json::from_str(&sandbox.ok(&["inspect", "-f", "{{json .Spec}}", "seen"])).unwrap();
    let group = format!("hull-oracle-{}", std::process::id());
    let theirs = Bundle::new(&sandbox, spec, &group).run(&group);
    assert!(ours.lines().count() > 60, "{ours}");
    let (own, other) = (normal(&ours), normal(&theirs));
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join("\n");
    assert_eq!(only(&own, &other), only(&other, &own), "{flags:?}: hull alone, crun alone");
    assert_eq!(points(&ours), points(&theirs), "{flags:?}: what is masked or read-only");
}

#[test]
fn the_default() {
    compare(&[]);
}

#[test]
fn a_user_with_limits() {
    compare(&[
        "-u",
        "user",
        "-w",
        "/home",
        "-m",
        "64m",
        "--pids-limit",
        "50",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "--ulimit",
        "nofile=100:200",
        "--ulimit",
        "core=0",
        "--oom-score-adj",
        "100",
        "--hostname",
        "h",
        "-e",
        "A=1",
    ]);
}

#[test]
fn a_read_only_root_without_privileges() {
    compare(&[
        "--read-only",
        "--tmpfs",
        "/tmp:size=1m",
        "--cap-drop",
        "ALL",
        "--cap-add",
        "CHOWN",
        "--security-opt",
        "no-new-privileges",
        "--sysctl",
        "kernel.shmmax=1000000",
        "--shm-size",
        "1m",
        "--domainname",
        "d",
    ]);
}

#[test]
fn the_hosts_ids_and_network() {
    compare(&["--userns", "host", "--network", "host", "--security-opt", "seccomp=unconfined"]);
}

#[test]
fn privileged() {
    compare(&["--privileged"]);
}

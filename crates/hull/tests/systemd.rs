//! `hull-runtime --systemd-cgroup` with a real systemd: booted here, in namespaces and groups of its own.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it skips")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::text;

const SYSTEMD: &str = "/lib/systemd/systemd";

/// What becomes pid 1: it mounts what systemd expects to find, seen from a cgroup namespace of its own.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/log; mount -t proc proc /proc
mkdir -p /run/bin /run/bundle/rootfs/bin /run/systemd/system
cp "$HULL" /run/bin/hull-runtime; cp /bin/busybox /run/bundle/rootfs/bin/
controllers=$(cd /sys/fs/cgroup; for c in *; do [ -f $c/cgroup.procs ] && [ ! -L $c ] && echo $c; done)
umount -l /sys/fs/cgroup; mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for c in $controllers; do
    mkdir /sys/fs/cgroup/$c
    case $c in
    unified) mount -t cgroup2 cgroup2 /sys/fs/cgroup/$c ;;
    systemd) mount -t cgroup -o none,name=systemd systemd /sys/fs/cgroup/$c ;;
    *) mount -t cgroup -o $c $c /sys/fs/cgroup/$c ;;
    esac
done
printf '[Unit]\nDefaultDependencies=no\n' > /run/systemd/system/hull-test.target
exec env -i container=hull PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=hull-test.target
"#;

/// Joins groups of its own before.
const JOIN: &str = r#"
for c in $(cd /sys/fs/cgroup; for c in *; do [ -f $c/cgroup.procs ] && [ ! -L $c ] && echo $c; done); do
    g=/sys/fs/cgroup/$c/$GROUP; mkdir $g
    if [ $c = cpuset ]; then cat $g/../cpuset.cpus > $g/cpuset.cpus; cat $g/../cpuset.mems > $g/cpuset.mems; fi
    echo $$ > $g/cgroup.procs
done
exec unshare --cgroup --mount --pid --uts --ipc --fork --kill-child /bin/sh -c "$BOOT"
"#;

/// A systemd, ended with all that runs below it.
struct Booted {
    unshare: Child,
    pid: i32,
    group: String,
}

impl Booted {
    /// None where this host cannot have one.
    fn new(name: &str) -> Option<Self> {
        let has_v1 = Path::new("/sys/fs/cgroup/systemd/cgroup.procs").exists();
        if !Path::new(SYSTEMD).exists() || !has_v1 {
            eprintln!("SKIP: no {SYSTEMD}, or no hierarchy for it; `cargo xtask vm-test systemd` has both");
            return None;
        }
        let group = format!("hull-test-{name}-{}", std::process::id());
        let unshare = Command::new("/bin/sh")
            .args(["-c", JOIN])
            .envs([("GROUP", group.as_str()), ("BOOT", BOOT), ("HULL", support::HULL)])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut booted = Self { unshare, pid: 0, group };
        booted.await_manager();
        Some(booted)
    }

    fn await_manager(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        let children = format!("/proc/{0}/task/{0}/children", self.unshare.id());
        loop {
            let pid = std::fs::read_to_string(&children).unwrap_or_default().trim().parse().unwrap_or(0);
            let socket = format!("/proc/{pid}/root/run/systemd/private");
            if pid != 0 && Path::new(&socket).exists() {
                self.pid = pid;
                return;
            }
            assert!(Instant::now() < end, "systemd did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn command(&self, program: &str, args: &[&str]) -> Output {
        let mut inside = Command::new("nsenter");
        inside.args(["--all", "--target", &self.pid.to_string(), "--wdns=/run/bundle", program]).args(args);
        // A container that waits for its start keeps what it was given: no pipe of ours.
        let said = std::env::temp_dir().join(format!("{}-said", self.group));
        let file = || std::fs::File::options().create(true).append(true).open(&said).unwrap();
        let _ = std::fs::remove_file(&said);
        let status = inside.stdin(Stdio::null()).stdout(file()).stderr(file()).status().unwrap();
        let stdout = std::fs::read(&said).unwrap();
        std::fs::remove_file(&said).unwrap();
        Output { status, stdout, stderr: Vec::new() }
    }

    fn ok(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program, args);
        assert!(output.status.success(), "{program} {args:?}: {}", text(&output.stdout));
        text(&output.stdout).trim().into()
    }

    fn runtime(&self, args: &[&str]) -> String {
        self.ok("/run/bin/hull-runtime", args)
    }

    fn shown(&self, property: &str, unit: &str) -> String {
        self.ok("systemctl", &["show", "-P", property, unit])
    }

    fn file(&self, path: &str) -> String {
        let path = format!("/proc/{}/root{path}", self.pid);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().into()
    }

    fn configure(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let path = format!("/proc/{}/root/run/bundle/config.json", self.pid);
        let _ = std::fs::remove_file(&path);
        self.runtime(&["spec"]);
        let mut config = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(&path, config.to_string()).unwrap();
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // With --kill-child pid 1 goes, and with it all others.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let groups: Vec<PathBuf> = std::fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join(&self.group))
            .filter(|path| path.exists())
            .collect();
        let end = Instant::now() + Duration::from_secs(20);
        while groups.iter().any(|path| path.exists()) && Instant::now() < end {
            groups.iter().for_each(|path| remove(path));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn remove(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(path);
}

#[test]
fn a_container_is_a_scope_from_its_creation_to_its_end() {
    let Some(systemd) = Booted::new("scope") else { return };
    systemd.configure(|config| {
        config["process"]["args"] = serde_json::json!(["/bin/busybox", "sleep", "1000"]);
        config["process"]["terminal"] = false.into();
        config["linux"]["cgroupsPath"] = "a-b.slice:hr:one".into();
        config["linux"]["resources"]["pids"]["limit"] = 1.into();
        config["linux"]["resources"]["memory"]["limit"] = (64 << 20).into();
        config["annotations"]["org.systemd.property.TimeoutStopSec"] = "7".into();
    });
    systemd.runtime(&["--systemd-cgroup", "create", "one"]);
    let unit = "hr-one.scope";
    assert_eq!(systemd.shown("TasksMax", unit), "1", "no room is left for what kept the scope");
    assert_eq!(systemd.shown("TimeoutStopUSec", unit), "7s");
    assert_eq!(systemd.shown("ControlGroup", unit), "/a.slice/a-b.slice/hr-one.scope");
    let group = |file: &str| {
        let (controller, _) = file.split_once('.').unwrap();
        systemd.file(&format!("/sys/fs/cgroup/{controller}/a.slice/a-b.slice/hr-one.scope/{file}"))
    };
    assert_eq!((group("pids.max"), group("pids.current")), ("1".into(), "1".into()));
    assert_eq!(group("memory.limit_in_bytes"), "67108864");

    systemd.runtime(&["start", "one"]);
    systemd.runtime(&["update", "--pids-limit", "44", "one"]);
    // What systemd was told holds when it writes everything again.
    systemd.ok("systemctl", &["daemon-reload"]);
    assert_eq!((systemd.shown("TasksMax", unit), group("pids.max")), ("44".into(), "44".into()));
    assert!(systemd.runtime(&["exec", "one", "/bin/busybox", "cat", "/proc/1/comm"]).contains("busybox"));
    systemd.runtime(&["pause", "one"]);
    assert!(systemd.runtime(&["state", "one"]).contains("\"paused\""));
    systemd.runtime(&["resume", "one"]);
    systemd.runtime(&["delete", "--force", "one"]);
    // systemd takes down what it made by itself, a moment later.
    eventually("the unit goes", || systemd.shown("LoadState", unit) == "not-found");
    eventually("no group stays", || systemd.ok("find", &["/sys/fs/cgroup", "-name", "hr-one*"]).is_empty());
}

#[test]
fn what_systemd_refuses_is_told_with_its_words_and_nothing_is_left() {
    let Some(systemd) = Booted::new("refused") else { return };
    systemd.configure(|config| {
        config["process"]["terminal"] = false.into();
        config["annotations"]["org.systemd.property.NoSuchProperty"] = "true".into();
    });
    let output = systemd.command("/run/bin/hull-runtime", &["--systemd-cgroup", "create", "two"]);
    let said = text(&output.stdout);
    assert!(!output.status.success() && said.contains("NoSuchProperty"), "{said}");
    eventually("no group stays", || systemd.ok("find", &["/sys/fs/cgroup", "-name", "hull-two*"]).is_empty());
    assert_eq!(systemd.runtime(&["list", "-q"]), "");
}

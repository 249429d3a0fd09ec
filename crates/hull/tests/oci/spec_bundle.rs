//! A bundle whose root is Debian's static busybox, made on the spot and changed by the test.

use super::support::{HULL, Sandbox, busybox, text};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A bundle, and the root of the containers that are made from it.
pub(crate) struct Bundle {
    sandbox: Sandbox,
    /// The `config.json`: a process that may do everything, in namespaces of its own, with the usual mounts.
    pub(crate) config: Value,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// An id that no other container has.
fn name() -> String {
    format!("spec-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Bundle {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::empty();
        let rootfs = sandbox.path().join("rootfs");
        std::fs::create_dir(&rootfs).expect("make the root");
        let mut tar = Command::new("tar")
            .args(["-x", "-C"])
            .arg(&rootfs)
            .stdin(Stdio::piped())
            .spawn()
            .expect("run tar");
        tar.stdin.take().expect("piped").write_all(&busybox()).expect("feed tar");
        assert!(tar.wait().expect("wait for tar").success());
        Self { sandbox, config: config() }
    }

    /// One whose container has a user namespace; its root is the host's 100000.
    pub(crate) fn with_user_namespace() -> Self {
        let mut bundle = Self::new();
        bundle.add_namespace("user");
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        bundle.config["linux"]["uidMappings"] = map.clone();
        bundle.config["linux"]["gidMappings"] = map;
        let owned = Command::new("chown").args(["-hR", "100000:100000"]).arg(bundle.rootfs()).status();
        assert!(owned.expect("run chown").success());
        bundle
    }

    /// The bundle's directory.
    pub(crate) fn path(&self) -> &Path {
        self.sandbox.path()
    }

    /// The root file system's.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// Adds a new namespace.
    pub(crate) fn add_namespace(&mut self, kind: &str) {
        self.namespaces().push(json!({"type": kind}));
    }

    /// Leaves a namespace out: it is the host's.
    pub(crate) fn drop_namespace(&mut self, kind: &str) {
        self.namespaces().retain(|namespace| namespace["type"] != kind);
    }

    /// Joins one by path instead of making it.
    pub(crate) fn join_namespace(&mut self, kind: &str, path: &str) {
        self.drop_namespace(kind);
        self.namespaces().push(json!({"type": kind, "path": path}));
    }

    fn namespaces(&mut self) -> &mut Vec<Value> {
        self.config["linux"]["namespaces"].as_array_mut().expect("an array")
    }

    /// Adds a mount.
    pub(crate) fn mount(&mut self, target: &str, kind: &str, source: &str, options: &[&str]) -> &mut Value {
        let mounts = self.config["mounts"].as_array_mut().expect("an array");
        mounts.push(json!({"destination": target, "type": kind, "source": source, "options": options}));
        mounts.last_mut().expect("just pushed")
    }

    /// Writes the configuration and gives the command that runs it.
    pub(crate) fn command(&self) -> Command {
        self.command_with(&[], &name())
    }

    /// The same with flags of `run`, and an id.
    pub(crate) fn command_with(&self, flags: &[&str], id: &str) -> Command {
        let file = self.path().join("config.json");
        std::fs::write(file, self.config.to_string()).expect("write config.json");
        let mut command = self.runtime();
        command.args(["run", "--bundle"]).arg(self.path()).args(flags).arg(id);
        command
    }

    /// The runtime; `HULL_ORACLE` is another one to try the tests on.
    fn runtime(&self) -> Command {
        let mut command = match std::env::var_os("HULL_ORACLE") {
            Some(oracle) => elsewhere(&oracle),
            None => hull(),
        };
        // Not the host's null device: there are runtimes that chown what they are given.
        command.arg("--root").arg(self.path().join("state")).stdin(Stdio::piped());
        command
    }

    /// Runs a shell script in a container.
    pub(crate) fn run(&mut self, script: &str) -> Output {
        self.config["process"]["args"] = json!(["sh", "-c", script]);
        self.command().output().expect("run hull-runtime")
    }

    /// What a script in a container says; it must succeed.
    pub(crate) fn ok(&mut self, script: &str) -> String {
        let output = self.run(script);
        assert!(output.status.success(), "{script}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// What a script says that is run in a container beside its first process.
    pub(crate) fn exec(&mut self, script: &str) -> String {
        self.config["process"]["args"] = json!(["sleep", "600"]);
        let id = name();
        // Streams of its own: what stays open in the container keeps nobody waiting.
        let mut command = self.command_with(&["--detach"], &id);
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(started.expect("run the runtime").success());
        let runtime = |words: &[&str], more: &[&str]| {
            self.runtime().args(words).arg(&id).args(more).output().expect("run the runtime")
        };
        let output = runtime(&["exec"], &["sh", "-c", script]);
        let deleted = runtime(&["delete", "--force"], &[]);
        assert!(output.status.success() && deleted.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// What is said when there can be no container.
    pub(crate) fn refusal(&mut self) -> String {
        let output = self.run("echo I live");
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "there is one: {}",
            text(&output.stdout)
        );
        let left = std::fs::read_dir(self.path().join("state")).map_or(0, Iterator::count);
        assert!(left == 0 || is_oracle(), "a refused container is left");
        text(&output.stderr)
    }

    /// Asserts that there can be no container and that the reason names all of these, in hull's words.
    pub(crate) fn refuses(&mut self, words: &[&str]) {
        let said = self.refusal();
        let lacking = words.iter().find(|word| !said.contains(**word));
        assert!(lacking.is_none() || is_oracle(), "`{lacking:?}` is not in: {said}");
    }

    /// Likewise what hull is stricter about than the specification: other runtimes may let it pass.
    pub(crate) fn refuses_strictly(&mut self, words: &[&str]) {
        if !is_oracle() {
            self.refuses(words);
        }
    }
}

/// Is it another runtime that is tried? Its errors have other words, and what hull promises beyond the specification is not
/// asked of it.
pub(crate) fn is_oracle() -> bool {
    std::env::var_os("HULL_ORACLE").is_some()
}

fn hull() -> Command {
    let mut command = Command::new(HULL);
    command.arg0("hull-runtime");
    command
}

/// crun and youki refuse a hybrid host whose cgroup2 tree has controllers: it is hidden from them.
fn elsewhere(oracle: &OsStr) -> Command {
    let hide = "mount -t tmpfs none /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", hide, "sh"]).arg(oracle);
    command
}

fn config() -> Value {
    let all = json!([
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_KILL",
        "CAP_MKNOD",
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SETUID",
        "CAP_SYS_ADMIN",
        "CAP_SYS_CHROOT",
        "CAP_SYS_NICE"
    ]);
    // Another runtime may be of any age.
    let version = if is_oracle() { "1.0.2" } else { "1.3.0" };
    json!({
        "ociVersion": version,
        "root": {"path": "rootfs"},
        "hostname": "box",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": ["true"],
            "env": ["PATH=/bin"],
            "capabilities": {"bounding": all, "effective": all, "permitted": all}
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
        ],
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}
            ]
        }
    })
}

//! A bundle with busybox.

use crate::race::Swapper;
use crate::runtime::Runtime;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A bundle, and what belongs to the attacker beside it; gone with the test.
pub(crate) struct Bundle {
    pub(crate) dir: PathBuf,
    pub(crate) config: Value,
    id: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Bundle {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("hull-attack-{}-{number}", std::process::id());
        let dir = PathBuf::from("/var/tmp").join(&id);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("rootfs/bin")).unwrap();
        std::fs::create_dir_all(dir.join("host")).unwrap();
        std::fs::write(dir.join("host/secret"), "the host's secret\n").unwrap();
        let bundle = Self { config: config(&id), dir, id };
        std::fs::copy("/bin/busybox", bundle.root("bin/busybox")).unwrap();
        for name in [
            "sh", "cat", "stat", "ls", "grep", "mkdir", "readlink", "sleep", "mount", "id", "head", "ln",
            "mkfifo", "test",
        ] {
            symlink("busybox", bundle.root(&format!("bin/{name}"))).unwrap();
        }
        bundle
    }

    /// A path in the root file system, from outside.
    pub(crate) fn root(&self, path: &str) -> PathBuf {
        self.dir.join("rootfs").join(path)
    }

    /// What lies beside the bundle and must not be reached.
    pub(crate) fn host(&self, path: &str) -> PathBuf {
        self.dir.join("host").join(path)
    }

    /// A program for a shell in it.
    pub(crate) fn script(&mut self, script: &str) {
        self.config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    }

    /// Another program in it, of a shell's words: engines differ in how they take a program's own flags.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.root("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    pub(crate) fn without_mount(&mut self, destination: &str) {
        self.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != destination);
    }

    /// Runs it to its end: what it says, on both streams, and whether it came to its program.
    pub(crate) fn run(&self, runtime: Runtime) -> Said {
        self.tell(runtime, &self.words("run"))
    }

    /// `run` or `create`, with the bundle.
    pub(crate) fn words<'a>(&'a self, verb: &'a str) -> [&'a str; 4] {
        [verb, "--bundle", self.dir.to_str().unwrap(), &self.id]
    }

    /// Makes it while `attacker` is at work, who then leaves the names as they were; and lets its program see.
    pub(crate) fn run_beside(&self, runtime: Runtime, attacker: Swapper) -> Said {
        let created = self.tell(runtime, &self.words("create"));
        attacker.leave();
        let output = self.dir.join("seen");
        let _ = std::fs::rename(self.dir.join("said"), &output);
        if created.code == 0 {
            self.tell(runtime, &["start", &self.id]);
            let end = Instant::now() + Duration::from_secs(60);
            while !self.tell(runtime, &["state", &self.id]).has("stopped") {
                assert!(Instant::now() < end, "it does not end");
            }
        }
        self.delete(runtime);
        let text = String::from_utf8_lossy(&std::fs::read(&output).unwrap()).into_owned();
        Said { code: created.code, text }
    }

    /// Runs it on a terminal: how that went, and what was on the screen.
    pub(crate) fn run_on_terminal(&self, runtime: Runtime) -> (Said, String) {
        let bundle = self.dir.to_str().unwrap();
        self.on_terminal(runtime, &["run", "--detach"], &["--bundle", bundle, &self.id])
    }

    /// Runs one more program on a terminal.
    pub(crate) fn exec_on_terminal(&self, runtime: Runtime, program: &str) -> (Said, String) {
        self.on_terminal(runtime, &["exec", "--detach", "--tty"], &[&self.id, program])
    }

    fn on_terminal(&self, runtime: Runtime, verb: &[&str], rest: &[&str]) -> (Said, String) {
        let path = self.dir.join("console");
        let _ = std::fs::remove_file(&path);
        let socket = UnixListener::bind(&path).unwrap();
        let screen = std::thread::spawn(move || screen(&socket));
        let console = ["--console-socket", path.to_str().unwrap()];
        let said = self.tell(runtime, &[verb, &console, rest].concat());
        // Whoever never sent a terminal is not waited for.
        drop(UnixStream::connect(&path));
        (said, screen.join().unwrap())
    }

    /// Starts it, to go on in the background.
    pub(crate) fn start(&self, runtime: Runtime) -> Said {
        self.tell(runtime, &["run", "--detach", "--bundle", self.dir.to_str().unwrap(), &self.id])
    }

    pub(crate) fn without_capability(&mut self, name: &str) {
        for set in ["bounding", "effective", "permitted"] {
            let all = self.config["process"]["capabilities"][set].as_array_mut().unwrap();
            all.retain(|capability| capability != name);
        }
    }

    /// Its first process, as the host counts.
    pub(crate) fn pid(&self, runtime: Runtime) -> i64 {
        let state = self.tell(runtime, &["state", &self.id]).text;
        serde_json::from_str::<Value>(&state).unwrap()["pid"].as_i64().unwrap()
    }

    /// In a user namespace of its own, with these capabilities there; its root is the host's 100000.
    pub(crate) fn with_user_namespace(&mut self, capabilities: &[&str]) {
        let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        self.config["linux"]["uidMappings"] = ids.clone();
        self.config["linux"]["gidMappings"] = ids;
        self.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        for set in ["bounding", "effective", "permitted"] {
            self.config["process"]["capabilities"][set] = json!(capabilities);
        }
        let done = Command::new("chown").args(["-hR", "100000:100000"]).arg(self.root("")).status();
        assert!(done.unwrap().success());
    }

    /// Runs one more program in it.
    pub(crate) fn exec(&self, runtime: Runtime, flags: &[&str], program: &[&str]) -> Said {
        let args: Vec<_> =
            ["exec"].iter().chain(flags).chain([&self.id.as_str()]).chain(program).copied().collect();
        self.tell(runtime, &args)
    }

    pub(crate) fn tell(&self, runtime: Runtime, args: &[&str]) -> Said {
        self.tell_by(runtime.command(), args)
    }

    /// The same by a command of one's own, e.g. a copy of the binary.
    pub(crate) fn tell_by(&self, mut command: Command, args: &[&str]) -> Said {
        std::fs::write(self.dir.join("config.json"), self.config.to_string()).unwrap();
        // Files, not pipes: what goes on in the background keeps them. And crun chowns what it is given.
        let (input, output) = (self.dir.join("stdin"), self.dir.join("said"));
        std::fs::write(&input, "").unwrap();
        let said = std::fs::File::create(&output).unwrap();
        command.arg("--root").arg(self.dir.join("state")).args(args);
        command.stdin(std::fs::File::open(&input).unwrap());
        command.stdout(said.try_clone().unwrap()).stderr(said);
        // Not even that a binary is open for writing may be the attacker's doing.
        let status = wait(&mut command.spawn().expect("the runtime can be run"));
        Said { code: status, text: String::from_utf8_lossy(&std::fs::read(&output).unwrap()).into_owned() }
    }

    /// Waits until its program has written something.
    pub(crate) fn await_file(&self, path: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.read(path).is_empty() {
            assert!(Instant::now() < end, "`{path}` is not written");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn delete(&self, runtime: Runtime) {
        let _ = self.tell(runtime, &["delete", "--force", &self.id]);
    }

    /// What the program said since it was started in the background.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root(path)).unwrap_or_default()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for runtime in [Runtime::Tested, Runtime::Runc, Runtime::Crun] {
            if runtime.is_there() && self.dir.join("state").exists() {
                self.delete(runtime);
            }
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// How a runtime's command ended, and what was said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn has(&self, part: &str) -> bool {
        self.text.contains(part)
    }
}

/// What is written to the terminal that comes over a socket, until its last holder is gone.
fn screen(socket: &UnixListener) -> String {
    let (peer, _) = socket.accept().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 4096];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(&peer, &mut [std::io::IoSliceMut::new(&mut name)], &mut control, flags).unwrap();
    let mut text = Vec::new();
    for message in control.drain() {
        let RecvAncillaryMessage::ScmRights(descriptors) = message else { continue };
        // EIO is the end of a terminal.
        descriptors.for_each(|master| _ = std::fs::File::from(master).read_to_end(&mut text));
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// No attack may hang a runtime.
fn wait(child: &mut Child) -> i32 {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("a runtime hangs");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What `runc spec` writes, in short.
fn config(id: &str) -> Value {
    let caps =
        json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["/bin/sh"], "cwd": "/", "env": ["PATH=/bin"],
            "noNewPrivileges": true,
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        },
        "root": {"path": "rootfs"},
        "hostname": "attacked",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

/// Does a path have anything in it?
pub(crate) fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

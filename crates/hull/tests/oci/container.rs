//! A container that is led through its life by single commands.

use super::spec_bundle::Bundle;
use super::support::{HULL, text};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Time enough on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(40);

/// A container of a bundle of its own; gone with this.
pub(crate) struct Container {
    pub(crate) bundle: Bundle,
    pub(crate) id: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Container {
    /// One whose program is this script; nothing is made yet.
    pub(crate) fn new(script: &str) -> Self {
        let mut bundle = Bundle::new();
        bundle.config["process"]["args"] = json!(["sh", "-c", script]);
        let id = format!("oci-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { bundle, id }
    }

    /// One that runs until it is ended.
    pub(crate) fn running(script: &str) -> Self {
        let container = Self::new(&format!("{script}\nexec sleep 1000"));
        container.create();
        container.ok(&["start", &container.id]);
        container
    }

    /// Where the runtime keeps its containers.
    pub(crate) fn root(&self) -> PathBuf {
        self.bundle.path().join("state")
    }

    /// A file of the container's.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.bundle.rootfs().join(name)
    }

    /// What a file of the container's holds, once there is something.
    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.file(name);
        await_that(&format!("{name} is written"), || {
            std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))
        });
        std::fs::read_to_string(path).unwrap().trim_end().to_owned()
    }

    /// The runtime, with arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(HULL);
        command.arg0("hull-runtime").arg("--root").arg(self.root()).args(args).stdin(Stdio::null());
        command
    }

    /// `create`, `run`: with the bundle as it is now.
    pub(crate) fn bundle_command(&self, verb: &str, flags: &[&str]) -> Command {
        std::fs::write(self.bundle.path().join("config.json"), self.bundle.config.to_string()).unwrap();
        let bundle = self.bundle.path().to_str().unwrap();
        let args: Vec<_> =
            [verb, "--bundle", bundle].iter().chain(flags).copied().chain([&*self.id]).collect();
        self.command(&args)
    }

    pub(crate) fn call(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command says that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(output.status.success(), "{args:?}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout)
    }

    /// Code and complaint of a command that must fail.
    pub(crate) fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.call(args);
        assert!(!output.status.success(), "{args:?} succeeded: {}", text(&output.stdout));
        (output.status.code().unwrap_or(-1), text(&output.stderr))
    }

    pub(crate) fn create(&self) {
        self.create_with(&[]);
    }

    /// The streams are no pipes of ours: a container that lives on would keep them open.
    pub(crate) fn create_with(&self, flags: &[&str]) {
        let log = self.bundle.path().join("create.log");
        let file = std::fs::File::create(&log).unwrap();
        let status = self
            .bundle_command("create", flags)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status()
            .unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(log).unwrap());
    }

    /// Runs the bundle in the foreground.
    pub(crate) fn run(&self, flags: &[&str]) -> Output {
        self.bundle_command("run", flags).output().unwrap()
    }

    pub(crate) fn exec(&self, flags: &[&str], script: &str) -> Output {
        let args: Vec<_> =
            ["exec"].iter().chain(flags).copied().chain([&*self.id, "sh", "-c", script]).collect();
        self.call(&args)
    }

    /// What a script says in the container.
    pub(crate) fn exec_ok(&self, flags: &[&str], script: &str) -> String {
        let output = self.exec(flags, script);
        assert!(output.status.success(), "{script}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.ok(&["state", &self.id])).unwrap()
    }

    pub(crate) fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn pid(&self) -> i64 {
        self.state()["pid"].as_i64().unwrap()
    }

    pub(crate) fn await_status(&self, status: &str) {
        await_that(&format!("{} is {status}", self.id), || self.status() == status);
    }

    /// The container's groups that there are.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let roots = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
        let groups =
            roots.chain(["/sys/fs/cgroup".into()]).map(|root| root.join("hull-runtime").join(&self.id));
        groups.filter(|path| path.exists()).collect()
    }

    /// Its group for a controller.
    pub(crate) fn group(&self, controller: &str) -> PathBuf {
        let place = if is_v2() { "/sys/fs/cgroup".into() } else { format!("/sys/fs/cgroup/{controller}") };
        Path::new(&place).join("hull-runtime").join(&self.id)
    }

    /// Nothing is left: no directory, no group and so no process.
    pub(crate) fn assert_gone(&self) {
        assert!(!self.root().join(&self.id).exists(), "a directory is left");
        assert_eq!(self.groups(), Vec::<PathBuf>::new(), "groups are left");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.bundle.path().to_str().unwrap()), "a mount is left");
    }
}

/// Has this host the one hierarchy of v2 alone?
pub(crate) fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.call(&["delete", "--force", &self.id]);
    }
}

/// Waits until something is so.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Is there such a process, and is it no zombie?
pub(crate) fn lives(pid: i64) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|text| !text.contains(") Z") && !text.contains(") X"))
}

//! A sandbox of its own for tests on the real kernel.
//!
//! Each [`Sandbox`] has a root of its own, so tests run side by side. It gives images made on the spot from
//! Debian's static busybox, runs the real binary, and at the end looks at the host: no mount, group, process or
//! directory may be left that was not there before.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses a part")]

mod caller;
mod image;
mod registry;
mod terminal;

pub use caller::{Caller, GRANTED, OWN};
pub use image::{busybox, docker_archive, docker_archive_of, docker_archive_running, tar_of};
pub use registry::{Registry, free_port};
pub use terminal::Terminal;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The binary under test.
pub const HULL: &str = env!("CARGO_BIN_EXE_hull");

/// A root for one test, gone with it.
#[derive(Debug)]
pub struct Sandbox {
    dir: PathBuf,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Sandbox {
    /// An empty one.
    pub fn empty() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/var/tmp/hull-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("make the sandbox");
        let sandbox = Self { dir };
        sandbox.set_registries("[[registry]]\nprefix = \"docker.io\"\nblocked = true\n");
        sandbox
    }

    /// One in which the image `bb` is busybox.
    pub fn new() -> Self {
        let sandbox = Self::empty();
        let import = ["import", "-c", "ENV PATH=/bin", "-c", "CMD [\"sh\"]", "-", "bb"];
        let done = sandbox.hull_with_input(&import, &busybox());
        assert!(done.status.success(), "{done:?}");
        sandbox
    }

    /// A directory for the test's own files.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// hull's root.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// hull with some arguments, to be changed and run. It asks no registry but those of [`set_registries`](Self::set_registries),
    /// and keeps logins in the sandbox.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(HULL);
        command.args(args).env("HULL_ROOT", self.root()).stdin(Stdio::null());
        command.env("HULL_REGISTRIES", self.registries()).env("DOCKER_CONFIG", self.dir.join("docker"));
        command
    }

    /// What `registries.toml` says.
    pub fn set_registries(&self, text: &str) {
        std::fs::write(self.registries(), text).expect("write registries.toml");
    }

    /// Beside the directory, in which there is only what a test or hull put there.
    pub fn registries(&self) -> PathBuf {
        self.dir.with_extension("registries.toml")
    }

    /// Runs hull to its end.
    pub fn hull(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("run hull")
    }

    /// Runs hull to its end with something on its standard input.
    pub fn hull_with_input(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run hull");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("wait for hull");
        feeder.join().expect("feed hull");
        output
    }

    /// Standard output of a run that must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.hull(args);
        assert!(output.status.success(), "hull {args:?}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout)
    }

    /// What a shell in a fresh busybox container says, with flags before the image.
    pub fn sh(&self, flags: &[&str], script: &str) -> String {
        let args: Vec<_> =
            ["run", "--rm"].iter().chain(flags).chain(&["bb", "sh", "-c", script]).copied().collect();
        self.ok(&args)
    }

    /// Code and standard error of a run that must fail.
    pub fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.hull(args);
        let code = output.status.code().unwrap_or(-1);
        assert_ne!(code, 0, "hull {args:?} succeeded: {}", text(&output.stdout));
        (code, text(&output.stderr))
    }

    /// Nothing is left on the host that is this sandbox's: no mount, group, process, slot, draft, garbage.
    pub fn assert_clean(&self) {
        let root = self.root().display().to_string();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("read mounts");
        assert!(!mounts.contains(&root), "a mount is left: {mounts}");
        let here = |part: &str| std::fs::read_dir(self.root().join(part)).map_or(0, Iterator::count);
        for part in ["run/slots", "tmp", "trash"] {
            assert_eq!(here(part), 0, "{part} is not empty");
        }
        for id in self.ids() {
            assert!(groups_of(&id).is_empty(), "a group of container {id} is left");
        }
        soon("no process of hull's is left", || self.processes().is_empty());
        let check = self.hull(&["system", "check"]);
        assert!(check.status.success(), "system check: {}", text(&check.stdout));
    }

    /// Processes of hull's that have this root, by what they were started with.
    fn processes(&self) -> Vec<i32> {
        let root = format!("HULL_ROOT={}\0", self.root().display());
        let has_root = |pid: &i32| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.windows(root.len()).any(|part| part == root.as_bytes())
        };
        let all = std::fs::read_dir("/proc").expect("read /proc").flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_root).collect()
    }

    /// What `inspect` shows of a container by a template.
    pub fn shown(&self, name: &str, template: &str) -> String {
        self.ok(&["inspect", "-f", template, name]).trim().to_owned()
    }

    /// Ids of all containers.
    pub fn ids(&self) -> Vec<String> {
        self.ok(&["ps", "-aq", "--no-trunc"]).lines().map(str::to_owned).collect()
    }
}

impl Drop for Sandbox {
    /// Of a test that failed containers may run, which nothing but this ends.
    fn drop(&mut self) {
        let slots = std::fs::read_dir(self.root().join("run/slots")).map_or(0, Iterator::count);
        if slots > 0 {
            let running = self.hull(&["ps", "-aq"]);
            text(&running.stdout).lines().for_each(|id| drop(self.hull(&["rm", "-f", id])));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What becomes true within a time that is long even on a busy machine.
pub fn soon(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the slot of the only container that runs says.
pub fn slot(sandbox: &Sandbox) -> serde_json::Value {
    let slots = std::fs::read_dir(sandbox.root().join("run/slots")).expect("slots").flatten();
    let slot = slots.into_iter().find_map(|slot| std::fs::read_to_string(slot.path()).ok()).expect("a slot");
    serde_json::from_str(&slot).expect("JSON")
}

/// Its monitor.
pub fn monitor(sandbox: &Sandbox) -> i32 {
    slot(sandbox)["monitor"].as_i64().expect("a pid") as i32
}

/// Groups of a container in any hierarchy.
pub fn groups_of(id: &str) -> Vec<PathBuf> {
    let hierarchies =
        std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let candidates =
        hierarchies.chain(["/sys/fs/cgroup".into()]).map(|root: PathBuf| root.join("hull").join(id));
    candidates.filter(|path| path.exists()).collect()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! Real engines, unchanged, over `hull-runtime`. They are installed by `cargo xtask test --long`, which runs these.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod containerd;
mod docker;
mod podman;
mod rootless;

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use support::{HULL, Sandbox, busybox, docker_archive, text};

/// A directory for one engine, with the runtime under its name and an image's archive.
struct Workshop {
    sandbox: Sandbox,
}

impl Workshop {
    fn new() -> Self {
        let sandbox = Sandbox::empty();
        std::os::unix::fs::symlink(HULL, sandbox.path().join("hull-runtime")).unwrap();
        std::fs::write(sandbox.path().join("bb.tar"), docker_archive("bb:1", &[busybox()])).unwrap();
        Self { sandbox }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }

    fn word(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// Exit code, and all that was said.
fn run(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// What a command says that must succeed.
fn ok(command: &mut Command) -> String {
    let (code, said) = run(command);
    assert_eq!(code, 0, "{command:?}: {said}");
    said.trim_end().to_owned()
}

/// A daemon of our own; ended with this, and its directory's mounts with it.
struct Daemon(Child);

impl Daemon {
    /// Starts it and waits until it answers.
    fn start(mut command: Command, mut answers: impl FnMut() -> bool) -> Self {
        let daemon = Self(command.spawn().unwrap());
        let begin = Instant::now();
        while !answers() {
            assert!(begin.elapsed() < Duration::from_secs(90), "the daemon does not answer");
            std::thread::sleep(Duration::from_millis(200));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

//! Real engines, unchanged, over `hull-runtime`: on this host, and under systemd with cgroup v2 in an emulated machine
//! (`cargo xtask vm-test engines`). In CI they are installed; elsewhere an engine that is not there is skipped.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it skips")]

#[path = "../support/mod.rs"]
mod support;

mod buildah;
mod containerd;
mod docker;
mod podman;
mod rootless;
mod workshop;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::text;

/// Exit code, and all that was said.
fn run(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// What a command says that must succeed.
fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}{told}");
    said.trim_end().to_owned()
}

/// Engines do much behind their commands' backs; on a loaded machine that takes its time.
fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    assert!(becomes(Duration::from_secs(90), is_so), "never: {what}");
}

fn becomes(within: Duration, mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    while !so() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    true
}

/// Is systemd pid 1, so that engines hand it their containers' groups?
fn under_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// Limits that a container sees in its own groups.
const MEMORY: [&str; 2] = ["memory/memory.limit_in_bytes", "memory.max"];
const QUOTA: [&str; 2] = ["cpu/cpu.cfs_quota_us", "cpu.max"];
const PIDS: [&str; 2] = ["pids/pids.max", "pids.max"];

/// Where it sees them: on v1, and on v2.
fn file_of([v1, v2]: [&str; 2]) -> String {
    let pure = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    format!("/sys/fs/cgroup/{}", if pure { v2 } else { v1 })
}

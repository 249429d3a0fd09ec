//! Nobody enters a container that is still being started: until its program runs, its mount namespace shows the host.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use support::{Sandbox, text};

/// Of the host, and of no image of busybox.
const OF_HOST: &str = "/usr/bin/dpkg";

/// What was done while the container came and went, and how it was answered.
fn tried(sandbox: &Sandbox, args: &[&str], times: usize) -> Vec<(Option<i32>, String)> {
    let (over, args) = (AtomicBool::new(false), args.to_vec());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                sandbox.hull(&["restart", "-t", "0", "web"]);
            }
        });
        let answers = (0..times).map(|_| {
            let output = sandbox.hull(&args);
            (output.status.code(), text(&output.stdout) + &text(&output.stderr))
        });
        let answers = answers.collect();
        over.store(true, Ordering::Relaxed);
        answers
    })
}

#[test]
fn exec_runs_no_program_of_the_hosts_while_a_container_starts() {
    let sandbox = Sandbox::new();
    assert!(std::path::Path::new(OF_HOST).exists());
    sandbox.ok(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]);
    for (code, said) in tried(&sandbox, &["exec", "web", OF_HOST, "--version"], 400) {
        // Not there, killed with the container, or refused because that came or went.
        let is_nobodys = matches!(code, Some(1 | 126 | 127 | 137)) && !said.contains("libraries");
        assert!(is_nobodys, "{code:?}: {said}");
    }
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
fn cp_reads_no_file_of_the_hosts_while_a_container_starts() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]);
    for (code, said) in tried(&sandbox, &["cp", "web:/etc/debian_version", "-"], 300) {
        assert!(code != Some(0), "{said}");
    }
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

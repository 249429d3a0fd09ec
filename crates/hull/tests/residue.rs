//! Whatever ends a command, nothing of it is left on the host.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Sandbox, groups_of, text};

/// Processes whose command line has a word that only this test knows.
fn processes(mark: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let has =
        |path: &PathBuf| std::fs::read(path.join("cmdline")).is_ok_and(|line| text(&line).contains(mark));
    all.filter(has).collect()
}

/// A killed container's processes die a moment later.
fn await_none(mark: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while !processes(mark).is_empty() {
        assert!(Instant::now() < end, "processes are left: {:?}", processes(mark));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn failures_leave_nothing() {
    let sandbox = Sandbox::new();
    let here = sandbox.path().display().to_string();
    let mount = format!("type=bind,source={here}/nope,target=/x");
    let cases: [&[&str]; 12] = [
        &["bb", "nosuch"],
        &["bb", "/etc/passwd"],
        &["-w", "/etc/passwd", "bb", "true"],
        &["-u", "nobody-here", "bb", "true"],
        &["--mount", &mount, "bb", "true"],
        &["-v", "/etc/passwd:/home", "bb", "true"],
        &["--sysctl", "net.ipv4.nope=1", "bb", "true"],
        &["--ulimit", "nproc=0", "-u", "user", "bb", "sh", "-c", "true & wait"],
        &["--read-only", "-v", "/tmp:/nope/x", "bb", "false"],
        &["--cidfile", "/nope/cid", "bb", "true"],
        &["--device-cgroup-rule", "c 1:3 rwm", "bb", "false"],
        &["--security-opt", "seccomp=/etc/passwd", "bb", "true"],
    ];
    for case in cases {
        let args: Vec<_> = ["run", "--rm"].iter().chain(case).copied().collect();
        let output = sandbox.hull(&args);
        assert!(!output.status.success(), "{case:?} succeeded");
        sandbox.assert_clean();
        assert_eq!(sandbox.ok(&["ps", "-aq"]), "", "{case:?}: a container is left");
    }
}

#[test]
fn a_command_killed_at_any_moment_leaves_nothing() {
    let sandbox = Sandbox::new();
    let mark = format!("31{}", std::process::id());
    for (number, delay) in [0, 1, 2, 4, 8, 16, 32, 64].into_iter().enumerate() {
        let cid = sandbox.path().join(format!("cid{number}"));
        let script = format!("sleep {mark} & sleep {mark}");
        let args = ["run", "--rm", "--cidfile", cid.to_str().unwrap(), "bb", "sh", "-c", &script];
        let mut child = sandbox.command(&args).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        await_none(&mark);
        assert_eq!(sandbox.ok(&["ps", "-aq"]), "", "after {delay} ms: a container is left");
        let id = std::fs::read_to_string(&cid).unwrap_or_default();
        assert!(id.is_empty() || groups_of(&id).is_empty(), "after {delay} ms: a group is left");
    }
    sandbox.ok(&["system", "check", "--repair"]);
    sandbox.assert_clean();
}

#[test]
fn a_container_that_runs_and_loses_its_keeper_ends() {
    let sandbox = Sandbox::new();
    let mark = format!("32{}", std::process::id());
    for flags in [&[][..], &["--init"], &["--pid", "host"], &["--userns", "host"], &["--privileged"]] {
        let script = format!("sleep {mark} & echo ready; sleep {mark}");
        let args: Vec<_> =
            ["run", "--rm"].iter().chain(flags).chain(&["bb", "sh", "-c", &script]).copied().collect();
        let mut child = sandbox.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        // Without a pid namespace of its own the next command ends what is left.
        assert_eq!(sandbox.ok(&["ps", "-aq"]), "", "{flags:?}");
        await_none(&mark);
        sandbox.assert_clean();
    }
}

//! `hull wait --condition`: the next end of a container that may not run yet, and its removal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Stdio};
use support::{Sandbox, monitor, soon, text};

/// Ends with a code that counts how often it was started.
const COUNTING: &str = "echo x >> /n; exit $(wc -l < /n)";

/// Ends with 9 when it is asked to.
const ON_TERM: &str = "trap 'exit 9' TERM; touch /ready; while :; do sleep 0.05; done";

fn end(sandbox: &Sandbox, name: &str) {
    soon("it is ready", || sandbox.hull(&["exec", name, "ls", "/ready"]).status.success());
    sandbox.ok(&["kill", "-s", "TERM", name]);
}

/// A `hull wait` that has begun to.
fn waiting(sandbox: &Sandbox, condition: &str, names: &[&str]) -> Child {
    let args = [&["wait", "--condition", condition], names].concat();
    let mut command = sandbox.command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    soon("it watches all of them", || watches(&child) == names.len());
    child
}

/// How many directories a process watches, see proc_pid_fdinfo(5).
fn watches(child: &Child) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fdinfo", child.id())).into_iter().flatten().flatten();
    let infos = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    infos.map(|info| info.matches("inotify wd:").count()).sum()
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn is_waiting(child: &mut Child) -> bool {
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.try_wait().unwrap().is_none()
}

#[test]
fn the_next_end_is_one_that_has_not_been_yet() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--name", "one", "bb", "sh", "-c", COUNTING]);
    assert_eq!(sandbox.ok(&["wait", "one"]), "0\n", "it does not run");
    for code in 1..4 {
        let mut wait = waiting(&sandbox, "next-exit", &["one"]);
        assert!(is_waiting(&mut wait), "what was before is not the next");
        sandbox.ok(&["start", "one"]);
        assert_eq!(said(wait), format!("{code}\n"));
        assert_eq!(sandbox.ok(&["wait", "--condition", "not-running", "one"]), format!("{code}\n"));
    }
    sandbox.ok(&["rm", "one"]);
    sandbox.assert_clean();
}

#[test]
fn of_what_runs_and_goes_at_its_end_the_code_is_heard() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--rm", "--name", "up", "bb", "sh", "-c", ON_TERM]);
    let both = ["next-exit", "removed"].map(|condition| waiting(&sandbox, condition, &["up"]));
    end(&sandbox, "up");
    assert_eq!(both.map(said), ["9\n", "9\n"]);
    for _ in 0..3 {
        sandbox.ok(&["create", "--rm", "--name", "short", "bb", "sh", "-c", "sleep 1; exit 7"]);
        let waits = ["next-exit", "removed"].map(|condition| waiting(&sandbox, condition, &["short"]));
        sandbox.ok(&["start", "short"]);
        assert_eq!(waits.map(said), ["7\n", "7\n"]);
        soon("it is gone", || sandbox.ok(&["ps", "-aq"]).is_empty());
    }
    sandbox.assert_clean();
}

#[test]
fn removal_is_waited_for_through_all_ends() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--name", "aa", "bb", "sh", "-c", COUNTING]);
    sandbox.ok(&["create", "--name", "bb", "bb", "true"]);
    let mut wait = waiting(&sandbox, "removed", &["aa", "bb"]);
    for _ in 0..2 {
        sandbox.ok(&["start", "-a", "bb"]);
        sandbox.fails(&["start", "-a", "aa"]);
    }
    sandbox.ok(&["rm", "bb"]);
    assert!(is_waiting(&mut wait), "one of them is there");
    sandbox.ok(&["rename", "aa", "other"]);
    sandbox.ok(&["rm", "other"]);
    assert_eq!(said(wait), "2\n0\n", "the codes that they had");
    sandbox.ok(&["create", "--name", "never", "bb", "false"]);
    let waits = ["removed", "next-exit"].map(|condition| waiting(&sandbox, condition, &["never"]));
    sandbox.ok(&["rm", "never"]);
    assert_eq!(waits.map(said), ["0\n", "0\n"], "it never ran");
    sandbox.assert_clean();
}

#[test]
fn a_start_that_came_to_nothing_is_no_end() {
    let sandbox = Sandbox::new();
    let source = sandbox.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let mount = format!("type=bind,src={},dst=/there", source.display());
    sandbox.ok(&["create", "--name", "one", "--mount", &mount, "bb", "sh", "-c", "exit 5"]);
    let mut wait = waiting(&sandbox, "next-exit", &["one"]);
    std::fs::remove_dir(&source).unwrap();
    sandbox.fails(&["start", "one"]);
    assert!(is_waiting(&mut wait));
    std::fs::create_dir(&source).unwrap();
    sandbox.ok(&["start", "one"]);
    assert_eq!(said(wait), "5\n");
    sandbox.ok(&["rm", "one"]);
    sandbox.assert_clean();
}

#[test]
fn who_waits_outlives_the_monitor_and_hears_from_the_next() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]);
    let waits = ["next-exit", "removed"].map(|condition| waiting(&sandbox, condition, &["web"]));
    kill_process(Pid::from_raw(monitor(&sandbox)).unwrap(), Signal::KILL).unwrap();
    soon("it has another", || {
        let monitor = monitor(&sandbox);
        std::fs::read_dir(format!("/proc/{monitor}/fd")).is_ok_and(|files| files.count() > 0)
    });
    sandbox.ok(&["rm", "-f", "web"]);
    for said in waits.map(said) {
        // Since Linux 6.15 the kernel knows how a process ended that another has reaped.
        assert!(["137\n", "255\n"].contains(&said.as_str()), "{said}");
    }
    sandbox.assert_clean();
}

#[test]
fn a_foreground_that_nobody_attends_is_waited_for_as_well() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.command(&["run", "--name", "fore", "bb", "sh", "-c", ON_TERM]);
    let mut run = run.spawn().unwrap();
    soon("it runs", || !sandbox.ok(&["ps", "-q"]).is_empty());
    let wait = waiting(&sandbox, "next-exit", &["fore"]);
    end(&sandbox, "fore");
    assert_eq!(said(wait), "9\n");
    run.wait().unwrap();
    let (code, error) = sandbox.fails(&["wait", "--condition", "running", "fore"]);
    assert!(code == 125 && error.contains("not-running, next-exit"), "{code} {error}");
    sandbox.ok(&["rm", "fore"]);
    sandbox.assert_clean();
}

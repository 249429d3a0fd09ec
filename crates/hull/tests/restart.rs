//! Restart policies: what is started again, how often, and what keeps it from that.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};
use support::{Sandbox, monitor, soon, text};

fn restarts(sandbox: &Sandbox, id: &str) -> u32 {
    sandbox.shown(id, "{{.RestartCount}}").parse().expect("a number")
}

fn status(sandbox: &Sandbox, id: &str) -> String {
    sandbox.shown(id, "{{.State.Status}}")
}

/// Its rests have become seconds, and one has just begun.
fn rests_long(sandbox: &Sandbox, id: &str) {
    let rests = || {
        restarts(sandbox, id) >= 5 && status(sandbox, id) == "restarting" && {
            std::thread::sleep(Duration::from_millis(100));
            status(sandbox, id) == "restarting"
        }
    };
    soon("it rests for seconds", rests);
}

#[test]
fn on_failure_counts_and_a_good_end_is_the_end() {
    let sandbox = Sandbox::new();
    let script = "echo x >> /tries; [ $(wc -l < /tries) -ge 3 ] && exit 0; exit 7";
    sandbox.ok(&["run", "-d", "--name", "tries", "--restart", "on-failure", "bb", "sh", "-c", script]);
    soon("it has succeeded", || status(&sandbox, "tries") == "exited");
    assert_eq!(sandbox.shown("tries", "{{.State.ExitCode}} {{.RestartCount}}"), "0 2");
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "never",
        "--restart",
        "on-failure:2",
        "bb",
        "sh",
        "-c",
        "echo y; exit 7",
    ]);
    soon("it has given up", || status(&sandbox, "never") == "exited");
    assert_eq!(sandbox.shown("never", "{{.State.ExitCode}} {{.RestartCount}}"), "7 2");
    assert_eq!(sandbox.ok(&["logs", "never"]), "y\ny\ny\n", "one log of all its lives");
    assert_eq!(
        sandbox.shown("never", "{{json .HostConfig.RestartPolicy}}"),
        r#"{"Name":"on-failure","MaximumRetryCount":2}"#
    );
    let dies = sandbox.ok(&[
        "events",
        "--since",
        "10m",
        "--until",
        "0s",
        "--filter",
        "container=never",
        "--format",
        "{{.Action}}",
    ]);
    assert_eq!(dies.lines().filter(|line| *line == "die").count(), 3, "{dies}");
    assert_eq!(dies.lines().filter(|line| *line == "start").count(), 3, "{dies}");
    sandbox.ok(&["rm", "tries", "never"]);
    sandbox.assert_clean();
}

#[test]
fn what_is_stopped_stays_stopped_also_while_it_rests() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "up", "--restart", "always", "bb", "sh", "-c", "sleep 0.2"]);
    soon("it was started again", || restarts(&sandbox, "up") >= 2);
    sandbox.ok(&["stop", "-t", "1", "up"]);
    let count = restarts(&sandbox, "up");
    assert_eq!(status(&sandbox, "up"), "exited");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!((status(&sandbox, "up").as_str(), restarts(&sandbox, "up")), ("exited", count));
    // Its rests become long.
    sandbox.ok(&["run", "-d", "--name", "rests", "--restart", "unless-stopped", "bb", "false"]);
    rests_long(&sandbox, "rests");
    let listed = sandbox.ok(&["ps", "--filter", "name=rests", "--format", "{{.Status}} {{.State}}"]);
    assert!(listed.starts_with("Restarting (1) ") && listed.ends_with("restarting\n"), "{listed}");
    assert_eq!(
        sandbox.shown("rests", "{{.State.Running}} {{.State.Restarting}} {{.State.Pid}} {{.State.ExitCode}}"),
        "true true 0 1"
    );
    let (code, error) = sandbox.fails(&["exec", "rests", "true"]);
    assert!(
        code == 1 && error.contains("is restarting, wait until the container is running"),
        "{code} {error}"
    );
    assert!(sandbox.fails(&["attach", "rests"]).1.contains("is restarting"));
    let start = Instant::now();
    sandbox.ok(&["stop", "rests"]);
    assert!(start.elapsed() < Duration::from_secs(9), "there is nothing to wait for");
    assert_eq!(status(&sandbox, "rests"), "exited");
    sandbox.ok(&["start", "rests"]);
    rests_long(&sandbox, "rests");
    sandbox.ok(&["kill", "rests"]);
    soon("that, too, ends it", || status(&sandbox, "rests") == "exited");
    // By hand it starts, and its policy holds again.
    sandbox.ok(&["start", "rests"]);
    soon("its policy holds again", || restarts(&sandbox, "rests") >= 1);
    sandbox.ok(&["rm", "-f", "rests", "up"]);
    sandbox.assert_clean();
}

#[test]
fn a_policy_is_changed_while_it_runs_and_while_it_rests() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "one", "bb", "sh", "-c", "sleep 1; exit 3"]);
    sandbox.ok(&["update", "--restart", "on-failure", "one"]);
    soon("it is started again", || restarts(&sandbox, "one") >= 1);
    sandbox.ok(&["update", "--restart", "no", "one"]);
    soon("it stays ended", || status(&sandbox, "one") == "exited");
    sandbox.ok(&["run", "-d", "--name", "two", "--restart", "always", "bb", "false"]);
    rests_long(&sandbox, "two");
    sandbox.ok(&["update", "--restart", "no", "two"]);
    soon("it stays ended at once", || status(&sandbox, "two") == "exited");
    let (code, error) = sandbox.fails(&["run", "-d", "--rm", "--restart", "always", "bb"]);
    assert!(code == 125 && error.contains("cannot specify both"), "{code} {error}");
    sandbox.ok(&["rm", "one", "two"]);
    sandbox.assert_clean();
}

#[test]
fn kill_ends_for_good_but_not_with_a_signal_of_another_meaning() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 0' HUP; while :; do sleep 0.05; done";
    let flags = ["run", "-d", "--restart", "always", "--stop-signal", "TERM"];
    sandbox.ok(&[&flags[..], &["--name", "hup", "bb", "sh", "-c", script]].concat());
    std::thread::sleep(Duration::from_millis(300));
    sandbox.ok(&["kill", "-s", "HUP", "hup"]);
    soon("it is started again", || restarts(&sandbox, "hup") == 1 && status(&sandbox, "hup") == "running");
    sandbox.ok(&["kill", "hup"]);
    assert_eq!(status(&sandbox, "hup"), "exited");
    sandbox.ok(&["rm", "hup"]);
    sandbox.assert_clean();
}

#[test]
fn who_waits_hears_of_the_first_end_and_watches_the_next_life() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "ww", "--restart", "always", "bb", "sh", "-c", "sleep 1; exit 6"]);
    assert_eq!(sandbox.ok(&["wait", "ww"]), "6\n");
    soon("it goes on", || restarts(&sandbox, "ww") >= 1);
    sandbox.ok(&["rm", "-f", "ww"]);
    sandbox.assert_clean();
}

#[test]
fn ids_and_files_are_the_same_in_each_life_and_nothing_gathers() {
    let sandbox = Sandbox::new();
    let script = "cat /proc/self/uid_map >> /maps; echo x > /mine; exit 1";
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "same",
        "-u",
        "70000:70000",
        "--restart",
        "on-failure:3",
        "bb",
        "sh",
        "-c",
        "id -u; exit 1",
    ]);
    sandbox.ok(&["run", "-d", "--name", "root", "--restart", "on-failure:3", "bb", "sh", "-c", script]);
    for name in ["same", "root"] {
        soon("it has given up", || status(&sandbox, name) == "exited" && restarts(&sandbox, name) == 3);
    }
    assert_eq!(sandbox.ok(&["logs", "same"]), "70000\n".repeat(4));
    assert_eq!(sandbox.fails(&["start", "-a", "root"]).0, 1, "its first end is told");
    soon("it has given up", || status(&sandbox, "root") == "exited" && restarts(&sandbox, "root") == 3);
    sandbox.ok(&["rm", "same", "root"]);
    sandbox.assert_clean();
}

#[test]
fn a_monitor_killed_in_any_phase_is_followed_by_one_that_keeps_the_policy() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "phases",
        "--restart",
        "always",
        "bb",
        "sh",
        "-c",
        "echo x; sleep 0.1",
    ]);
    for round in 0..12_u64 {
        let seen = sandbox.ok(&["logs", "phases"]).lines().count();
        std::thread::sleep(Duration::from_millis(37 * round));
        kill_process(Pid::from_raw(monitor(&sandbox)).unwrap(), Signal::KILL).unwrap();
        let output = sandbox.hull(&["ps", "-a"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        if status(&sandbox, "phases") == "exited" {
            // Killed between two of its steps, so that nothing was there to be adopted: its end is told.
            sandbox.ok(&["start", "phases"]);
        }
        soon("it is started again", || sandbox.ok(&["logs", "phases"]).lines().count() > seen);
        sandbox.ok(&["restart", "-t", "0", "phases"]);
    }
    sandbox.ok(&["rm", "-f", "phases"]);
    sandbox.assert_clean();
}

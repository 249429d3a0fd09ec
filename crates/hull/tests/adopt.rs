//! The monitor of a container is killed: the container goes on, and the next command takes care of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use support::{Sandbox, Terminal, groups_of, monitor, slot, soon, text};

fn pid_of(sandbox: &Sandbox, id: &str) -> i32 {
    sandbox.shown(id, "{{.State.Pid}}").parse().expect("a pid")
}

/// As proc_pid_stat(5) has it; none where there is no such process or only a zombie.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let lives = !matches!(fields.next()?, "Z" | "X");
    fields.next()?.parse().ok().filter(|_| lives)
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    soon("it is gone", || parent_of(pid).is_none());
}

/// Kills the monitor of the only container that runs.
fn kill_monitor(sandbox: &Sandbox) {
    kill(monitor(sandbox));
}

const COUNTING: &str = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done";

#[test]
fn a_container_outlives_its_monitor_and_no_line_is_lost() {
    let sandbox = Sandbox::new();
    let id = sandbox.ok(&["run", "-d", "--name", "web", "--memory", "64m", "bb", "sh", "-c", COUNTING]);
    let id = id.trim();
    soon("it writes", || sandbox.ok(&["logs", "web"]).contains("line 3\n"));
    let pid = pid_of(&sandbox, id);
    for _ in 0..3 {
        kill_monitor(&sandbox);
        assert!(parent_of(pid).is_some(), "it runs");
        let groups = groups_of(id);
        assert!(!groups.is_empty(), "and is limited");
        std::thread::sleep(Duration::from_millis(100));
        let listed = sandbox.hull(&["ps", "--format", "{{.Names}} {{.Status}}"]);
        assert!(text(&listed.stdout).starts_with("web Up"), "{}", text(&listed.stdout));
        assert!(
            text(&listed.stderr).contains("the monitor of container `web` was killed"),
            "{}",
            text(&listed.stderr)
        );
        let again = sandbox.hull(&["ps"]);
        assert_eq!(text(&again.stderr), "", "it is told once");
        assert_eq!(pid_of(&sandbox, id), pid, "the same process");
        let seen = sandbox.ok(&["logs", "web"]).lines().count();
        soon("its log goes on", || sandbox.ok(&["logs", "web"]).lines().count() > seen + 3);
    }
    let log = sandbox.ok(&["logs", "web"]);
    for (number, line) in log.lines().enumerate() {
        assert_eq!(line, format!("line {}", number + 1), "each line once");
    }
    sandbox.ok(&["stop", "-t", "0", "web"]);
    assert_eq!(sandbox.shown(id, "{{.State.Status}}"), "exited");
    sandbox.ok(&["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
fn who_watches_meanwhile_goes_on_with_the_next_monitor() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 9' TERM; i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done";
    sandbox.ok(&["run", "-d", "--name", "web", "bb", "sh", "-c", script]);
    let mut waiting = sandbox.command(&["wait", "web"]);
    let waiting = waiting.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut follower = sandbox.command(&["logs", "-f", "web"]);
    let follower = follower.stdout(std::process::Stdio::piped()).spawn().unwrap();
    soon("it writes", || sandbox.ok(&["logs", "web"]).contains("line 2\n"));
    kill_monitor(&sandbox);
    // The one who waits takes care of it, or this does.
    soon("it has a monitor", || parent_of(monitor(&sandbox)).is_some());
    let seen = sandbox.ok(&["logs", "web"]).lines().count();
    soon("the log goes on", || sandbox.ok(&["logs", "web"]).lines().count() > seen + 2);
    sandbox.ok(&["kill", "-s", "TERM", "web"]);
    let waited = waiting.wait_with_output().unwrap();
    // Since Linux 6.15 the kernel knows how a process ended that another has reaped.
    let code = text(&waited.stdout);
    assert!(["9\n", "255\n"].contains(&code.as_str()), "{code}");
    let followed = text(&follower.wait_with_output().unwrap().stdout);
    for (number, line) in followed.lines().enumerate() {
        assert_eq!(line, format!("line {}", number + 1));
    }
    assert_eq!(sandbox.shown("web", "{{.State.ExitCode}}") + "\n", code);
    if code == "255\n" {
        assert!(sandbox.shown("web", "{{.State.Error}}").contains("is not known"));
    }
    sandbox.ok(&["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
fn one_that_ends_without_a_monitor_is_recorded_and_its_last_words_are_kept() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[
        "run",
        "-d",
        "-i",
        "--name",
        "short",
        "bb",
        "sh",
        "-c",
        "echo first; sleep 1; echo last; exit 4",
    ]);
    soon("it writes", || sandbox.ok(&["logs", "short"]) == "first\n");
    let pid = pid_of(&sandbox, "short");
    kill_monitor(&sandbox);
    soon("it ends", || parent_of(pid).is_none());
    soon("the next command sees to it", || sandbox.ok(&["ps", "-q"]).is_empty());
    assert_eq!(sandbox.ok(&["logs", "short"]), "first\nlast\n", "written while nobody listened");
    let code = sandbox.shown("short", "{{.State.ExitCode}}");
    assert!(["4", "255"].contains(&code.as_str()), "{code}");
    sandbox.ok(&["rm", "short"]);
    sandbox.ok(&["run", "-d", "--rm", "bb", "sleep", "1"]);
    kill_monitor(&sandbox);
    soon("--rm holds", || sandbox.ok(&["ps", "-aq"]).is_empty());
    soon("and its ids are given back", || {
        std::fs::read_dir(sandbox.root().join("run/slots")).unwrap().count() == 0
    });
    sandbox.assert_clean();
}

#[test]
fn a_terminal_and_standard_input_outlive_the_monitor() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-dit", "--name", "shell", "bb", "sh"]);
    kill_monitor(&sandbox);
    let mut terminal = Terminal::start(sandbox.command(&["attach", "shell"]));
    terminal.send("echo $((20+22))\n");
    terminal.expect("42");
    terminal.send("exit 3\n");
    let code = terminal.wait();
    assert!([3, 255].contains(&code), "{code}");
    sandbox.ok(&["rm", "shell"]);
    sandbox.ok(&["run", "-di", "--name", "cat", "bb", "cat"]);
    kill_monitor(&sandbox);
    let mut attached = sandbox.command(&["attach", "cat"]);
    let mut attached =
        attached.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut attached.stdin.as_ref().unwrap(), b"through\n").unwrap();
    soon("it comes back", || sandbox.ok(&["logs", "cat"]) == "through\n");
    sandbox.ok(&["rm", "-f", "cat"]);
    attached.wait().unwrap();
    sandbox.assert_clean();
}

#[test]
fn the_keeper_is_killed_as_well() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "alone", "bb", "sleep", "1000"]);
    let keeper = slot(&sandbox)["details"]["keepers"][0]["pid"].as_i64().unwrap() as i32;
    let held = || std::fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count();
    soon("it keeps the streams, and nothing else", || held() <= 4);
    kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    kill_monitor(&sandbox);
    assert!(sandbox.ok(&["ps"]).contains("alone"), "it is adopted all the same");
    assert_eq!(sandbox.ok(&["exec", "alone", "echo", "inside"]), "inside\n");
    sandbox.ok(&["stop", "-t", "0", "alone"]);
    sandbox.ok(&["rm", "alone"]);
    // All three at once: nothing is left to adopt.
    let id = sandbox.ok(&["run", "-d", "--name", "lost", "bb", "sleep", "1000"]);
    let pid = pid_of(&sandbox, id.trim());
    let monitor = monitor(&sandbox);
    let family: Vec<i32> = std::fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children"))
        .unwrap()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert!(family.contains(&pid) && family.len() == 2, "{family:?}");
    for one in [monitor].into_iter().chain(family) {
        kill(one);
    }
    soon("it is seen to have ended", || sandbox.ok(&["ps", "-q"]).is_empty());
    assert_eq!(sandbox.shown("lost", "{{.State.ExitCode}}"), "255");
    assert!(sandbox.shown("lost", "{{.State.Error}}").contains("is not known"));
    sandbox.ok(&["start", "lost"]);
    sandbox.ok(&["rm", "-f", "lost"]);
    sandbox.assert_clean();
}

#[test]
fn many_commands_adopt_one_container_once() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "web", "bb", "sh", "-c", COUNTING]);
    for _ in 0..5 {
        kill_monitor(&sandbox);
        let commands: Vec<_> = (0..6)
            .map(|_| sandbox.command(&["ps", "-q"]).stdout(std::process::Stdio::piped()).spawn().unwrap())
            .collect();
        for command in commands {
            assert!(command.wait_with_output().unwrap().status.success());
        }
        assert!(!sandbox.ok(&["ps", "-q"]).is_empty());
        assert!(parent_of(monitor(&sandbox)).is_some(), "it has a monitor");
    }
    let log = sandbox.ok(&["logs", "web"]);
    for (number, line) in log.lines().enumerate() {
        assert_eq!(line, format!("line {}", number + 1), "each line once");
    }
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

//! Containers that nobody watches: what the kernel and the files say of them.

mod support;

use std::time::{Duration, Instant};
use support::{Sandbox, Terminal, soon, text};

/// A container that waits, until it is told to end.
fn waiting(sandbox: &Sandbox, flags: &[&str]) -> String {
    let script = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let id = sandbox.ok(&[&["run", "-d"], flags, &["bb", "sh", "-c", script]].concat());
    let id = id.trim().to_owned();
    soon("it says that it is ready", || sandbox.ok(&["logs", &id]).contains("ready"));
    id
}

#[test]
fn a_container_outlives_the_command_that_started_it() {
    let sandbox = Sandbox::new();
    let id = waiting(&sandbox, &["--name", "web"]);
    assert_eq!(id.len(), 64, "the id, and nothing else: {id:?}");
    assert!(sandbox.ok(&["ps"]).contains("web"));
    let pid: i32 = sandbox.shown(&id, "{{.State.Pid}}").parse().unwrap();
    let parent = parent_of(pid);
    let streams: Vec<_> =
        (0..3).map(|fd| std::fs::read_link(format!("/proc/{parent}/fd/{fd}")).unwrap()).collect();
    assert!(
        streams.iter().all(|to| to.to_str() == Some("/dev/null")),
        "the monitor holds none of ours: {streams:?}"
    );
    assert_ne!(session_of(parent), session_of(std::process::id() as i32));
    sandbox.ok(&["stop", "web"]);
    assert_eq!(sandbox.shown(&id, "{{.State.ExitCode}} {{.State.Status}}"), "5 exited");
    assert!(sandbox.ok(&["logs", "web"]).ends_with("asked\n"), "the signal reached it");
    soon("the monitor is gone", || {
        !std::path::Path::new(&format!("/proc/{parent}/fd")).exists() || parent_gone(parent)
    });
    sandbox.ok(&["rm", "web"]);
    sandbox.assert_clean();
}

/// A field of proc_pid_stat(5), by its number there.
fn stat_field(pid: i32, field: usize) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().nth(field - 3).and_then(|field| field.parse().ok()).expect("a number")
}

fn parent_of(pid: i32) -> i32 {
    stat_field(pid, 4)
}

fn session_of(pid: i32) -> i32 {
    stat_field(pid, 6)
}

/// A zombie that nobody has reaped yet is gone, too.
fn parent_gone(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[test]
fn what_cannot_start_is_told_by_who_asked() {
    let sandbox = Sandbox::new();
    let (code, error) = sandbox.fails(&["run", "-d", "--name", "no", "bb", "/nothing/here"]);
    assert_eq!(code, 127);
    assert!(error.contains("/nothing/here"), "{error}");
    assert_eq!(sandbox.shown("no", "{{.State.ExitCode}}"), "127", "it is kept, as docker keeps it");
    let (code, _) = sandbox.fails(&["run", "-d", "--rm", "bb", "/bin"]);
    assert_eq!(code, 126);
    let (code, error) = sandbox.fails(&["run", "-d", "-a", "stdout", "bb"]);
    assert_eq!((code, error.contains("conflicting options")), (1, true), "{error}");
    sandbox.ok(&["rm", "no"]);
    sandbox.assert_clean();
}

#[test]
fn a_container_is_started_again_with_what_it_wrote() {
    let sandbox = Sandbox::new();
    let script = "echo start >> /count; wc -l < /count; cat /proc/self/uid_map >&2; exit 3";
    let id = sandbox.ok(&["create", "--name", "again", "-m", "64m", "bb", "sh", "-c", script]);
    assert_eq!(sandbox.shown("again", "{{.State.Status}}"), "created");
    let first = sandbox.hull(&["start", "-a", "again"]);
    assert_eq!((first.status.code(), text(&first.stdout).trim()), (Some(3), "1"));
    let other = waiting(&sandbox, &[]);
    let second = sandbox.hull(&["start", "-a", id.trim()]);
    assert_eq!((second.status.code(), text(&second.stdout).trim()), (Some(3), "2"));
    let maps = [&first, &second].map(|done| text(&done.stderr));
    assert!(maps.iter().all(|map| map.contains("65536")), "{maps:?}");
    assert_eq!(sandbox.ok(&["logs", "again"]), "1\n2\n");
    sandbox.ok(&["rm", "-f", "again", &other]);
    sandbox.assert_clean();
}

#[test]
fn logs_are_the_bytes_with_streams_and_times_apart() {
    let sandbox = Sandbox::new();
    let script = "echo one; echo two >&2; printf 'no end'; printf '\\001\\377' >&2";
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "log",
        "--label",
        "a=b",
        "--log-opt",
        "labels=a",
        "bb",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(sandbox.ok(&["wait", "log"]), "0\n");
    let all = sandbox.hull(&["logs", "log"]);
    assert_eq!(all.stdout, b"one\nno end");
    assert_eq!(all.stderr, b"two\n\x01\xff");
    let timed = sandbox.hull(&["logs", "-t", "--tail", "all", "log"]);
    let line = text(&timed.stdout);
    let time = line.split(' ').next().unwrap();
    assert!(time.len() == 30 && time.ends_with('Z'), "nine digits and Z: {line}");
    let later = sandbox.hull(&["logs", "--since", time, "--details", "log"]);
    assert!(text(&later.stdout).starts_with("a=b one\n"), "{later:?}");
    assert_eq!(sandbox.hull(&["logs", "--until", "2020-01-01", "log"]).stdout, b"");
    assert_eq!(
        sandbox.hull(&["logs", "--since", "1h", "-n", "1", "log"]).stdout.len(),
        0,
        "the last is of stderr"
    );
    assert_eq!(sandbox.hull(&["logs", "--tail", "x", "log"]).stdout, all.stdout, "docker takes it for all");
    sandbox.ok(&["rm", "log"]);
    sandbox.assert_clean();
}

#[test]
fn following_a_log_ends_with_the_container_and_loses_nothing() {
    let sandbox = Sandbox::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    sandbox.ok(&["run", "-d", "--name", "many", "bb", "sh", "-c", script]);
    let followed = sandbox.ok(&["logs", "-f", "many"]);
    let expected: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
    assert!(followed == expected, "{} of {} bytes", followed.len(), expected.len());
    assert_eq!(sandbox.ok(&["logs", "--tail", "2", "many"]), "line 19998\nline 19999\n");
    sandbox.ok(&["rm", "many"]);
    sandbox.assert_clean();
}

#[test]
fn one_that_will_not_end_is_killed_in_time() {
    let sandbox = Sandbox::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    for name in ["a1", "a2", "a3"] {
        sandbox.ok(&["run", "-d", "--name", name, "bb", "sh", "-c", script]);
        soon("it is ready", || sandbox.ok(&["logs", name]).contains("ready"));
    }
    let start = Instant::now();
    assert_eq!(sandbox.ok(&["stop", "-t", "2", "a1", "a2", "a3"]), "a1\na2\na3\n");
    assert!(start.elapsed() >= Duration::from_secs(2), "they had their time");
    for name in ["a1", "a2", "a3"] {
        assert_eq!(sandbox.shown(name, "{{.State.ExitCode}}"), "137");
    }
    sandbox.ok(&["stop", "a1"]); // has ended: nothing to do
    sandbox.ok(&["rm", "a1", "a2", "a3"]);
    sandbox.assert_clean();
}

#[test]
fn signals_are_its_own_stop_signal_or_those_that_are_sent() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 42' USR1; trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done";
    let id = sandbox.ok(&["run", "-d", "--stop-signal", "USR1", "bb", "sh", "-c", script]);
    let id = id.trim();
    soon("it is ready", || sandbox.ok(&["logs", id]).contains("ready"));
    sandbox.ok(&["kill", "-s", "HUP", id]);
    soon("the signal has come", || sandbox.ok(&["logs", id]).contains("hup"));
    sandbox.ok(&["stop", id]);
    assert_eq!(sandbox.ok(&["wait", id]), "42\n");
    let (code, error) = sandbox.fails(&["kill", id]);
    assert_eq!((code, error.contains("is not running")), (1, true), "{error}");
    sandbox.ok(&["rm", id]);
    sandbox.assert_clean();
}

#[test]
fn a_frozen_container_does_nothing_until_it_is_let_go() {
    let sandbox = Sandbox::new();
    let script = "while :; do echo x; sleep 0.02; done";
    let id = sandbox.ok(&["run", "-d", "--name", "cold", "bb", "sh", "-c", script]);
    let written = || sandbox.ok(&["logs", "cold"]).len();
    soon("it writes", || written() > 0);
    sandbox.ok(&["pause", "cold"]);
    assert!(sandbox.ok(&["ps"]).contains("(Paused)"));
    assert_eq!(
        sandbox.shown("cold", "{{.State.Status}} {{.State.Paused}} {{.State.Running}}"),
        "paused true true"
    );
    assert_eq!(sandbox.ok(&["ps", "-q", "--no-trunc", "--filter", "status=paused"]), id);
    std::thread::sleep(Duration::from_millis(200)); // what was on its way
    let before = written();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(written(), before, "it is frozen");
    let (code, error) = sandbox.fails(&["exec", "cold", "true"]);
    assert_eq!((code, error.contains("paused")), (1, true), "{error}");
    assert_eq!(sandbox.fails(&["pause", "cold"]).0, 1);
    let (code, error) = sandbox.fails(&["attach", "cold"]);
    assert_eq!((code, error.contains("paused")), (1, true), "{error}");
    sandbox.ok(&["unpause", "cold"]);
    soon("it goes on", || written() > before);
    sandbox.ok(&["pause", "cold"]);
    sandbox.ok(&["kill", "cold"]);
    assert_eq!(sandbox.ok(&["wait", "cold"]), "137\n", "frozen or not, it dies");
    sandbox.ok(&["start", "cold"]);
    sandbox.ok(&["pause", "cold"]);
    sandbox.ok(&["rm", "-f", "cold"]);
    sandbox.assert_clean();
}

#[test]
fn exec_is_in_the_container_with_its_limits_and_namespaces() {
    let sandbox = Sandbox::new();
    let id = waiting(&sandbox, &["--name", "inn", "-e", "A=1", "-w", "/bin", "-m", "64m"]);
    let look = "readlink /proc/self/ns/pid; readlink /proc/1/ns/pid; cat /proc/self/cgroup; grep -E 'Cap|Seccomp:' /proc/self/status";
    let seen = sandbox.ok(&["exec", "inn", "sh", "-c", look]);
    let mut lines = seen.lines();
    assert_eq!(lines.next(), lines.next(), "one pid namespace");
    assert!(seen.contains("Seccomp:\t2") && seen.contains("CapEff:\t00000000a80425fb"), "{seen}");
    let group =
        std::fs::read_to_string(format!("/proc/{}/cgroup", sandbox.shown(&id, "{{.State.Pid}}"))).unwrap();
    let inside = sandbox.ok(&["exec", "inn", "cat", "/proc/self/cgroup"]);
    assert_eq!(inside.lines().count(), group.lines().count());
    assert_eq!(sandbox.ok(&["exec", "-e", "B=2", "inn", "sh", "-c", "echo $A $B $PWD"]), "1 2 /bin\n");
    assert_eq!(
        sandbox.ok(&["exec", "-u", "12:34", "-w", "/", "inn", "sh", "-c", "id -u; id -g; pwd"]),
        "12\n34\n/\n"
    );
    let caps =
        sandbox.ok(&["exec", "--privileged", "inn", "grep", "-E", "CapEff|Seccomp:", "/proc/self/status"]);
    assert!(caps.contains("Seccomp:\t0") && !caps.contains("a80425fb"), "{caps}");
    assert_eq!(sandbox.hull(&["exec", "inn", "sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(sandbox.hull(&["exec", "inn", "nothing"]).status.code(), Some(127));
    assert_eq!(sandbox.hull(&["exec", "inn", "/etc"]).status.code(), Some(126));
    assert_eq!(
        sandbox.hull_with_input(&["exec", "-i", "inn", "wc", "-c"], &[b'x'; 300_000]).stdout,
        b"300000\n"
    );
    sandbox.ok(&["exec", "-d", "inn", "sh", "-c", "echo done > /tmp.done; sleep 1000"]);
    soon("it runs alone", || sandbox.hull(&["exec", "inn", "cat", "/tmp.done"]).stdout == b"done\n");
    sandbox.ok(&["restart", "-t", "0", "inn"]);
    assert_eq!(sandbox.ok(&["exec", "inn", "cat", "/tmp.done"]), "done\n", "after another start as well");
    sandbox.ok(&["rm", "-f", "inn"]);
    let (code, error) = sandbox.fails(&["exec", "inn", "true"]);
    assert_eq!((code, error.contains("no such container")), (1, true), "{error}");
    sandbox.assert_clean();
}

#[test]
fn a_terminal_is_attached_to_and_detached_from() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-dit", "--name", "tty", "bb", "sh"]);
    assert!(sandbox.fails(&["attach", "tty"]).1.contains("not a TTY"));
    let mut first = Terminal::start(sandbox.command(&["attach", "tty"]));
    first.resize(71, 23);
    first.send("stty size; echo par''ted\n");
    first.expect("parted");
    first.send("\u{10}\u{11}");
    assert_eq!(first.wait(), 0);
    assert!(sandbox.ok(&["ps"]).contains("tty"), "it goes on");
    let mut again = Terminal::start(sandbox.command(&["attach", "tty"]));
    again.resize(72, 24);
    again.send("echo here; stty size\n");
    again.expect("24 72");
    again.send("exit 6\n");
    assert_eq!(again.wait(), 6);
    sandbox.ok(&["rm", "tty"]);
    sandbox.assert_clean();
}

#[test]
fn what_is_typed_into_a_pipe_arrives_whole_both_ways() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "-i", "--name", "pipe", "bb", "cat"]);
    let bytes: Vec<u8> = (0..2_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let through = sandbox.hull_with_input(&["start", "-ai", "pipe"], &bytes);
    assert!(through.stdout == bytes, "{} of {} bytes", through.stdout.len(), bytes.len());
    assert_eq!(through.status.code(), Some(0), "its input ended with ours");
    assert!(sandbox.hull(&["logs", "pipe"]).stdout == bytes);
    sandbox.ok(&["rm", "pipe"]);
    sandbox.assert_clean();
}

#[test]
fn the_exit_code_is_heard_even_of_what_goes_at_its_end() {
    let sandbox = Sandbox::new();
    let id = sandbox.ok(&["run", "-d", "--rm", "bb", "sh", "-c", "sleep 1; exit 9"]);
    let waits: Vec<_> = (0..3)
        .map(|_| sandbox.command(&["wait", id.trim()]).stdout(std::process::Stdio::piped()).spawn().unwrap())
        .collect();
    for wait in waits {
        assert_eq!(text(&wait.wait_with_output().unwrap().stdout), "9\n");
    }
    soon("it is gone", || sandbox.ok(&["ps", "-aq"]).is_empty());
    sandbox.assert_clean();
}

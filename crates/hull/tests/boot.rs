//! `hull system boot`: after all is torn down as a reboot does it, what should run is started, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{Sandbox, groups_of, soon, text};

/// Another boot than this one.
const BEFORE: &str = "00000000-0000-4000-8000-000000000000";

fn status(sandbox: &Sandbox, id: &str) -> String {
    sandbox.shown(id, "{{.State.Status}}")
}

fn files(dir: PathBuf) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Kills it for certain, with all that are its children.
fn kill(pid: i64) {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    for pid in std::iter::once(pid as i32).chain(children) {
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }
}

fn runs(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

/// Ends the processes and groups of all containers. What they were remains in the slots.
fn end_host(sandbox: &Sandbox) {
    let ids = sandbox.ids();
    let slots: Vec<Value> = files(sandbox.root().join("run/slots")).iter().map(|slot| json(slot)).collect();
    let pids = |slot: &Value| {
        [&slot["monitor"], &slot["details"]["keeper"]["pid"], &slot["pid"]]
            .map(|pid| pid.as_i64().unwrap_or(0))
    };
    let all: Vec<i64> = slots.iter().flat_map(pids).filter(|pid| *pid > 0).collect();
    all.iter().for_each(|pid| kill(*pid));
    soon("all are gone", || !all.iter().any(|pid| runs(*pid)));
    for group in ids.iter().flat_map(|id| groups_of(id)) {
        soon("its group is empty", || !group.exists() || std::fs::remove_dir(&group).is_ok());
    }
    // What has no end is of this boot no more.
    for container in files(sandbox.root().join("containers")) {
        rewrite_boot(&container.join("container.json"));
    }
}

fn rewrite_boot(path: &Path) {
    let mut record = json(path);
    record["boot"] = BEFORE.into();
    std::fs::write(path, record.to_string()).unwrap();
}

fn reboot(sandbox: &Sandbox) {
    end_host(sandbox);
    std::fs::remove_dir_all(sandbox.root().join("run")).unwrap();
}

fn run(sandbox: &Sandbox, name: &str, policy: &str, script: &str) {
    sandbox.ok(&["run", "-d", "--name", name, "--restart", policy, "bb", "sh", "-c", script]);
}

#[test]
fn each_policy_decides_what_is_started() {
    let sandbox = Sandbox::new();
    for policy in ["no", "always", "unless-stopped", "on-failure"] {
        run(&sandbox, &format!("up-{policy}"), policy, "exec sleep 1000");
        run(&sandbox, &format!("down-{policy}"), policy, "exec sleep 1000");
        sandbox.ok(&["stop", "-t", "0", &format!("down-{policy}")]);
    }
    run(&sandbox, "done", "on-failure", "exit 0");
    run(&sandbox, "gave-up", "on-failure:1", "exit 3");
    // Its last end was a good one, and it was up again.
    run(&sandbox, "second", "on-failure", "[ -e /ran ] && exec sleep 1000; touch /ran");
    run(&sandbox, "updated", "no", "exec sleep 1000");
    sandbox.ok(&["create", "--name", "never", "--restart", "always", "bb", "sleep", "1000"]);
    sandbox.ok(&["run", "-d", "--rm", "--name", "goes", "bb", "sleep", "1000"]);
    for name in ["done", "gave-up", "second"] {
        soon("it has ended", || status(&sandbox, name) == "exited");
    }
    sandbox.ok(&["start", "second"]);
    sandbox.ok(&["update", "--restart", "on-failure", "updated"]);
    reboot(&sandbox);
    let booted = sandbox.hull(&["system", "boot"]);
    assert!(booted.status.success(), "{}", text(&booted.stderr));
    let expected = ["up-always", "down-always", "up-unless-stopped", "up-on-failure", "second", "updated"];
    assert_eq!(text(&booted.stdout).lines().collect::<Vec<_>>(), expected, "in the order they were made");
    assert_eq!(text(&booted.stderr), "");
    let up = sandbox.ok(&["ps", "--format", "{{.Names}}"]);
    assert_eq!(up.lines().rev().collect::<Vec<_>>(), expected);
    assert!(!sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]).contains("goes"), "--rm holds");
    let pids = |sandbox: &Sandbox| expected.map(|name| sandbox.shown(name, "{{.State.Pid}}"));
    let before = pids(&sandbox);
    let again = sandbox.hull(&["system", "boot"]);
    assert_eq!(
        (again.status.code(), text(&again.stdout), text(&again.stderr)),
        (Some(0), String::new(), String::new())
    );
    assert_eq!(pids(&sandbox), before, "what runs is left alone");
    for id in sandbox.ids() {
        sandbox.ok(&["rm", "-f", &id]);
    }
    sandbox.assert_clean();
}

#[test]
fn what_was_about_to_be_started_again_is() {
    let sandbox = Sandbox::new();
    for (name, policy) in [("one", "always"), ("two", "on-failure")] {
        run(&sandbox, name, policy, "exit 3");
        let rests = || sandbox.shown(name, "{{.RestartCount}}").parse::<u32>().unwrap() >= 4;
        soon("its rests are long", || rests() && status(&sandbox, name) == "restarting");
    }
    reboot(&sandbox);
    assert_eq!(sandbox.ok(&["system", "boot"]), "one\ntwo\n");
    for name in ["one", "two"] {
        soon("its policy holds", || sandbox.shown(name, "{{.RestartCount}}") != "0");
        sandbox.ok(&["rm", "-f", name]);
    }
    sandbox.assert_clean();
}

#[test]
fn one_that_cannot_start_is_told_and_keeps_none_from_it() {
    let sandbox = Sandbox::new();
    let source = sandbox.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let mount = format!("type=bind,src={},dst=/there", source.display());
    let flags = ["run", "-d", "--restart", "always", "--mount", &mount, "--name"];
    sandbox.ok(&[&flags[..], &["lacks", "bb", "sleep", "1000"]].concat());
    run(&sandbox, "starts", "always", "exec sleep 1000");
    reboot(&sandbox);
    std::fs::remove_dir(&source).unwrap();
    let booted = sandbox.hull(&["system", "boot"]);
    let error = text(&booted.stderr);
    assert_eq!((booted.status.code(), text(&booted.stdout).as_str()), (Some(1), "starts\n"), "{error}");
    assert!(error.contains("start container `lacks`") && error.contains("source"), "{error}");
    std::fs::create_dir(&source).unwrap();
    assert_eq!(sandbox.ok(&["system", "boot"]), "lacks\n", "the next one may start it");
    sandbox.ok(&["rm", "-f", "lacks", "starts"]);
    sandbox.assert_clean();
}

/// Below a root of one's own the slots are still there.
#[test]
fn slots_of_another_boot_are_nobodys() {
    let sandbox = Sandbox::new();
    run(&sandbox, "rests", "always", "exit 3");
    run(&sandbox, "up", "on-failure", "exec sleep 1000");
    soon("it rests", || {
        sandbox.shown("rests", "{{.RestartCount}}").parse::<u32>().unwrap() >= 4
            && status(&sandbox, "rests") == "restarting"
    });
    end_host(&sandbox);
    files(sandbox.root().join("run/slots")).iter().for_each(|slot| rewrite_boot(slot));
    let listed = sandbox.hull(&["ps", "-q"]);
    assert_eq!(
        (text(&listed.stdout), text(&listed.stderr)),
        (String::new(), String::new()),
        "nothing is adopted"
    );
    assert_eq!(sandbox.shown("up", "{{.State.Status}} {{.State.ExitCode}}"), "exited 255");
    assert_eq!(sandbox.ok(&["system", "boot"]), "rests\nup\n");
    sandbox.ok(&["rm", "-f", "rests", "up"]);
    sandbox.assert_clean();
}

#[test]
fn two_at_once_start_each_once() {
    let sandbox = Sandbox::new();
    for number in 0..4 {
        run(&sandbox, &format!("c{number}"), "always", "echo x >> /n; exec sleep 1000");
    }
    reboot(&sandbox);
    let boots: Vec<_> = (0..3)
        .map(|_| {
            let mut boot = sandbox.command(&["system", "boot"]);
            let boot = boot.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            boot.spawn().unwrap()
        })
        .collect();
    let mut started = String::new();
    for boot in boots {
        let output = boot.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        started += &text(&output.stdout);
    }
    let mut started: Vec<_> = started.lines().collect();
    started.sort_unstable();
    started.dedup();
    assert_eq!(started, ["c0", "c1", "c2", "c3"]);
    for number in 0..4 {
        let name = format!("c{number}");
        soon("it runs", || status(&sandbox, &name) == "running");
        soon("twice in all", || sandbox.hull(&["exec", &name, "cat", "/n"]).stdout == b"x\nx\n");
        sandbox.ok(&["rm", "-f", &name]);
    }
    sandbox.assert_clean();
}

#[test]
fn the_unit_is_shown_as_it_would_be_written() {
    let sandbox = Sandbox::new();
    let unit = sandbox.ok(&["--root", "/my root", "system", "install", "--print"]);
    let start = format!("ExecStart={} --root \"/my root\" system boot\n", support::HULL);
    assert!(unit.contains(&start), "{unit}");
    for line in ["Type=oneshot", "RemainAfterExit=yes", "KillMode=process", "WantedBy=multi-user.target"] {
        assert!(unit.lines().any(|one| one == line), "{line} in {unit}");
    }
}

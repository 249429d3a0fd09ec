//! Containers that are changed while they are there: another name, other limits; and who is in them.

mod support;

use std::path::PathBuf;
use support::{Sandbox, groups_of};

/// A container that sleeps; its id.
fn sleeping(sandbox: &Sandbox, flags: &[&str]) -> String {
    let id = sandbox.ok(&[&["run", "-d"], flags, &["bb", "sleep", "1000"]].concat());
    id.trim().to_owned()
}

/// A limit as the kernel holds it, by the file of v2 or that of v1.
fn held(id: &str, new: &str, old: &str) -> String {
    let files = groups_of(id).into_iter().flat_map(|group: PathBuf| [group.join(new), group.join(old)]);
    let text = files.filter_map(|file| std::fs::read_to_string(file).ok()).next();
    text.unwrap_or_else(|| panic!("no `{new}`, no `{old}`")).trim().to_owned()
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.root().join("names")).expect("names");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_container_has_its_new_name_whatever_it_does() {
    let sandbox = Sandbox::new();
    let id = sleeping(&sandbox, &["--name", "web"]);
    sandbox.ok(&["rename", "web", "other"]);
    assert_eq!(sandbox.fails(&["inspect", "web"]).0, 1);
    assert_eq!(sandbox.shown("other", "{{.Id}} {{.Name}}"), format!("{id} /other"));
    assert_eq!(names(&sandbox), ["other"]);
    sandbox.ok(&["stop", "-t", "0", "other"]);
    let died = ["events", "--since", "0", "--until", "0s", "--filter", "event=die", "--format"];
    let died = sandbox.ok(&[&died[..], &["{{.Actor.Attributes.name}}"]].concat());
    assert_eq!(died, "other\n", "its monitor was there before");
    sandbox.ok(&["container", "rename", &id, "/third"]);
    sandbox.ok(&["start", "third"]);
    assert_eq!(sandbox.ok(&["ps", "--format", "{{.Names}}"]), "third\n");
    sandbox.ok(&["rename", "third", "last"]);
    sandbox.ok(&["rm", "-f", "last"]);
    assert_eq!(names(&sandbox), [""; 0]);
    sandbox.assert_clean();
}

#[test]
fn a_name_that_cannot_be_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--name", "one", "bb", "true"]);
    sandbox.ok(&["create", "--name", "two", "bb", "true"]);
    for (args, words) in [
        (["rename", "one", "two"], "is already in use"),
        (["rename", "one", "one"], "same name as its current name"),
        (["rename", "one", "no/name"], "no/name"),
        (["rename", "one", ""], "may be empty"),
        (["rename", "none", "three"], "no such container"),
    ] {
        let (_, error) = sandbox.fails(&args);
        assert!(error.contains(words), "{args:?}: {error}");
    }
    assert_eq!(sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]), "two\none\n");
    // Of two that swap names at the same time each has one, in the end.
    let swap = |from: &'static str, to: &'static str| sandbox.command(&["rename", from, to]).output();
    std::thread::scope(|scope| {
        let all = [("one", "x"), ("two", "x"), ("one", "y"), ("two", "y")];
        let threads = all.map(|(from, to)| scope.spawn(move || swap(from, to)));
        threads.into_iter().for_each(|thread| drop(thread.join()));
    });
    let mut listed: Vec<_> =
        sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]).lines().map(str::to_owned).collect();
    let mut links = names(&sandbox);
    listed.sort();
    links.sort();
    assert_eq!((listed.len(), listed), (2, links));
    sandbox.assert_clean();
}

#[test]
fn limits_are_changed_at_once_and_for_later_starts() {
    let sandbox = Sandbox::new();
    let id = sleeping(&sandbox, &["--name", "web", "-m", "64m"]);
    sandbox.ok(&[
        "update",
        "-m",
        "100m",
        "--pids-limit",
        "77",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "web",
    ]);
    assert_eq!(held(&id, "memory.max", "memory.limit_in_bytes"), (100 << 20).to_string());
    assert_eq!(held(&id, "pids.max", "pids.max"), "77");
    assert!(held(&id, "cpu.max", "cpu.cfs_quota_us").starts_with("50000"));
    let shown = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}";
    assert_eq!(sandbox.shown("web", shown), format!("{} {} 77 500000000", 100 << 20, 128 << 20));
    sandbox.ok(&["restart", "-t", "0", "web"]);
    assert_eq!(held(&id, "memory.max", "memory.limit_in_bytes"), (100 << 20).to_string());
    assert_eq!(held(&id, "pids.max", "pids.max"), "77");
    sandbox.ok(&["stop", "-t", "0", "web"]);
    sandbox.ok(&["container", "update", "--pids-limit", "-1", "--memory", "32m", "web"]);
    sandbox.ok(&["start", "web"]);
    assert_eq!(held(&id, "memory.max", "memory.limit_in_bytes"), (32 << 20).to_string());
    assert_eq!(held(&id, "pids.max", "pids.max"), "max");
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
fn limits_that_are_refused_change_nothing() {
    let sandbox = Sandbox::new();
    let id = sleeping(&sandbox, &["--name", "web", "-m", "64m", "--pids-limit", "50"]);
    let record = || sandbox.shown("web", "{{json .HostConfig}}");
    let before = record();
    for (flags, words) in [
        (&["--pids-limit", "60", "-m", "1g"][..], "already set memoryswap limit"),
        (&["--pids-limit", "60", "-m", "1m"], "Minimum memory limit allowed is 6MB"),
        (&["--pids-limit", "60", "--cpus", "1", "--cpu-quota", "5000"], "cannot both be set"),
        (&["--pids-limit", "60", "--cpu-shares", "1"], "cpu-shares"),
        (&["--pids-limit", "60", "--cpuset-cpus", "4000"], "not available"),
        (&["--pids-limit", "60", "--blkio-weight", "5"], "weight is from 10 to 1000"),
        (&["--pids-limit", "x"], "pids-limit"),
        (&[], "one or more flags"),
    ] {
        let (_, error) = sandbox.fails(&[&["update"], flags, &["web"]].concat());
        assert!(error.contains(words), "{flags:?}: {error}");
    }
    assert_eq!(record(), before);
    assert_eq!(held(&id, "pids.max", "pids.max"), "50");
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
fn who_is_in_a_container_is_told_as_ps_does() {
    let sandbox = Sandbox::new();
    let id = sandbox.ok(&["run", "-d", "-u", "1234", "bb", "sh", "-c", "sleep 1000 & sleep 1001; true"]);
    let id = id.trim();
    let start = std::time::Instant::now();
    let top = loop {
        let top = sandbox.ok(&["top", id]);
        if top.contains("sleep 1000") && top.contains("sleep 1001") {
            break top;
        }
        assert!(start.elapsed().as_secs() < 30, "{top}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let pid = sandbox.shown(id, "{{.State.Pid}}");
    let lines: Vec<Vec<_>> = top.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    assert_eq!((lines.len(), lines[1][0], lines[1][1]), (4, "1234", pid.as_str()), "{top}");
    assert!(lines[2..].iter().all(|line| line[2] == pid), "{top}");
    let top = sandbox.ok(&["container", "top", id, "-o", "pid,comm=WHAT"]);
    assert!(top.starts_with("PID                 WHAT\n") && top.contains(&format!("{pid:<20}sh")), "{top}");
    for (args, words) in [
        (&["top", id, "-o", "comm"][..], "couldn't find PID field"),
        (&["top", id, "-o", "pid,colour"], "unknown column of ps: 'colour'"),
        (&["top", "none"], "no such container"),
        (&["port", id, "80/tcp"], "no public port '80/tcp' published"),
    ] {
        let (_, error) = sandbox.fails(args);
        assert!(error.contains(words), "{args:?}: {error}");
    }
    assert_eq!(sandbox.ok(&["port", id]), "");
    sandbox.ok(&["kill", id]);
    assert!(sandbox.fails(&["top", id]).1.contains("is not running"));
    sandbox.ok(&["rm", id]);
    sandbox.assert_clean();
}

//! What is kept: looked at, measured, pruned, checked.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::Value;
use support::{Sandbox, docker_archive, tar_of, text};

#[test]
fn who_only_looks_makes_nothing() {
    let sandbox = Sandbox::empty();
    let root = sandbox.path().join("none/root");
    let hull = |args: &[&str]| sandbox.command(args).env("HULL_ROOT", &root).output().unwrap();
    let commands: [&[&str]; 12] = [
        &["images"],
        &["ps", "-a"],
        &["history", "x"],
        &["image", "inspect", "x"],
        &["inspect", "x"],
        &["rm", "x"],
        &["rmi", "x"],
        &["tag", "x", "y"],
        &["system", "df", "-v"],
        &["system", "prune", "-f"],
        &["system", "info"],
        &["system", "check", "--repair"],
    ];
    for args in commands {
        let done = hull(args);
        let is_named = args.ends_with(&["x"]) || args[0] == "tag";
        assert_eq!(done.status.success(), !is_named, "{args:?}: {}", text(&done.stderr));
        assert!(!is_named || text(&done.stderr).to_lowercase().contains("no such"), "{args:?}");
    }
    assert!(!sandbox.root().exists(), "something was made");
}

/// Bytes by du(1).
fn du(sandbox: &Sandbox) -> u64 {
    let done = std::process::Command::new("du").args(["-s", "-B1"]).arg(sandbox.root()).output().unwrap();
    text(&done.stdout).split_whitespace().next().unwrap().parse().unwrap()
}

/// A line of `system df`, by its type.
fn line_of(sandbox: &Sandbox, kind: &str) -> Value {
    let lines = sandbox.ok(&["system", "df", "--format", "json"]);
    let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["Type"] == kind).unwrap()
}

#[test]
fn shared_and_own_bytes_are_told_apart_and_the_sum_is_dus() {
    let sandbox = Sandbox::empty();
    let (base, own) = (tar_of(&[("base", &[1; 100_000])]), tar_of(&[("own", &[2; 300_000])]));
    for (name, layers) in [("small:1", vec![base.clone()]), ("large:1", vec![base, own])] {
        let done = sandbox.hull_with_input(&["load"], &docker_archive(name, &layers));
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    let all: Value = serde_json::from_str(&sandbox.ok(&["system", "df", "-v", "--format", "json"])).unwrap();
    let image = |name: &str| {
        let images = all["Images"].as_array().unwrap();
        let image = images.iter().find(|image| image["Repository"] == name).unwrap();
        (image["SharedBytes"].as_u64().unwrap(), image["UniqueBytes"].as_u64().unwrap())
    };
    let ((shared, none), (also, own)) = (image("small"), image("large"));
    assert!(shared == also && none == 0 && shared >= 100_000 && (300_000..400_000).contains(&own));
    let images = line_of(&sandbox, "Images");
    assert_eq!(images["Bytes"].as_u64(), Some(shared + own), "a shared layer counts once");
    assert_eq!(images["ReclaimableBytes"], images["Bytes"], "nothing is used: all of it can go");
    assert_eq!(line_of(&sandbox, "Total")["Bytes"].as_u64(), Some(du(&sandbox)));
    let table = sandbox.ok(&["system", "df", "-v"]);
    for heading in ["Images space usage:", "SHARED SIZE", "UNIQUE SIZE", "Containers space usage:"] {
        assert!(table.contains(heading), "{table}");
    }
    // With a container on it, the image's layers stay whatever is pruned.
    let made = sandbox.hull(&["run", "small:1", "/none"]);
    assert_eq!(made.status.code(), Some(127), "{}", text(&made.stderr));
    assert_eq!(line_of(&sandbox, "Images")["ReclaimableBytes"].as_u64(), Some(own));
    sandbox.assert_clean();
}

#[test]
fn a_prune_tells_what_went_and_how_much() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "one", "bb", "sh", "-c", "head -c 200000 /dev/urandom > /x"]);
    sandbox.ok(&["run", "--name", "two", "--label", "keep=yes", "bb", "true"]);
    let id = sandbox.ok(&["inspect", "-f", "{{.Id}}", "one"]);
    let told = sandbox.ok(&["container", "prune", "-f", "--filter", "label!=keep"]);
    assert!(told.starts_with(&format!("Deleted Containers:\n{id}\nTotal reclaimed space: 2")), "{told}");
    assert!(told.ends_with("kB\n"), "{told}");
    assert_eq!(sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]), "two\n");
    let none = "Total reclaimed space: 0B\n";
    assert_eq!(sandbox.ok(&["container", "prune", "-f", "--filter", "until=1h"]), none);
    assert_eq!(sandbox.ok(&["image", "prune", "-af"]), none, "a container uses it");
    sandbox.ok(&["container", "prune", "-f", "--filter", "label=keep=yes"]);
    let image = sandbox.ok(&["image", "inspect", "-f", "{{.Id}}", "bb"]);
    let before = du(&sandbox);
    let told = sandbox.ok(&["image", "prune", "-af"]);
    let gone = before - du(&sandbox);
    assert!(told.starts_with(&format!("Deleted Images:\nuntagged: bb:latest\ndeleted: {image}")), "{told}");
    assert!(told.contains(&format!("Total reclaimed space: {}", human(gone))), "{gone}: {told}");
    let (code, told) = sandbox.fails(&["system", "prune", "-f", "--filter", "until=x"]);
    assert!(code == 1 && told.contains("invalid filter"), "{told}");
    sandbox.assert_clean();
}

/// Bytes in docker's words, for a number of megabytes.
fn human(bytes: u64) -> String {
    format!("{:.2}MB", bytes as f64 / 1e6).replacen("0MB", "MB", 1)
}

#[test]
fn who_does_not_say_yes_keeps_all() {
    let sandbox = Sandbox::new();
    for (args, words) in [
        (&["system", "prune", "--filter", "label=x"][..], "  - all stopped containers\n"),
        (&["container", "prune"], "This will remove all stopped containers."),
        (&["image", "prune"], "This will remove all dangling images."),
        (&["image", "prune", "-a"], "without at least one container associated to them."),
    ] {
        let done = sandbox.hull_with_input(args, b"n\n");
        let asked = text(&done.stdout);
        assert!(asked.starts_with("WARNING! ") && asked.contains(words), "{asked}");
        assert!(asked.ends_with("Are you sure you want to continue? [y/N] "), "{asked}");
        assert_eq!(asked.contains("  - label=x\n"), args.contains(&"label=x"));
        assert_eq!(done.status.code(), Some(1));
    }
    assert_eq!(sandbox.ok(&["images", "-q"]).lines().count(), 1);
    let done = sandbox.hull_with_input(&["system", "prune", "-a"], b"y\n");
    assert!(done.status.success());
    assert_eq!(sandbox.ok(&["images", "-q"]), "");
    sandbox.assert_clean();
}

#[test]
fn damaged_records_are_told_in_a_line_and_the_rest_works() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "kept", "bb", "true"]);
    let write = |path: &str| std::fs::write(sandbox.root().join(path), "{").unwrap();
    ["images/x.json", "refs/y"].iter().for_each(|path| write(path));
    std::fs::create_dir(sandbox.root().join("containers/z")).unwrap();
    for args in [&["images"][..], &["ps", "-a"], &["system", "df"], &["run", "--rm", "bb", "true"]] {
        let done = sandbox.hull(args);
        assert!(done.status.success(), "{args:?}: {}", text(&done.stderr));
        for line in text(&done.stderr).lines() {
            assert!(line.starts_with("warning: `") && line.contains("is damaged"), "{args:?}: {line}");
        }
    }
    let told = text(&sandbox.hull(&["images"]).stderr);
    assert!(told.contains("`images/x.json`") && told.contains("`refs/y`"), "{told}");
    let (code, _) = sandbox.fails(&["system", "check"]);
    assert_eq!(code, 1);
    let found = sandbox.ok(&["system", "check", "--repair"]);
    assert_eq!(found.lines().filter(|line| line.starts_with("removed: ")).count(), 3, "{found}");
    assert_eq!(sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]), "kept\n");
    assert!(sandbox.hull(&["images"]).stderr.is_empty());
    sandbox.assert_clean();
}

/// Which of these directories of the store are listed while something is done; inotify(7): reading a directory is an
/// access to it.
fn listed(sandbox: &Sandbox, names: &[&'static str], act: impl FnOnce()) -> Vec<&'static str> {
    use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
    let watch = init(CreateFlags::NONBLOCK).unwrap();
    let watched: Vec<_> = names
        .iter()
        .map(|name| (add_watch(&watch, sandbox.root().join(name), WatchFlags::ACCESS).unwrap(), *name))
        .collect();
    act();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 65_536];
    let mut events = Reader::new(&watch, &mut buffer);
    let mut found = Vec::new();
    while let Ok(event) = events.next() {
        // What has a name lies in the directory.
        let own = event.file_name().is_none();
        found.extend(watched.iter().filter(|(wd, _)| own && *wd == event.wd()).map(|(_, name)| *name));
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn a_start_does_not_look_at_what_else_there_is() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "other", "bb", "true"]);
    let all = ["containers", "images", "refs", "names", "layers"];
    let none: [&str; 0] = [];
    assert_eq!(listed(&sandbox, &all, || drop(sandbox.ok(&["run", "--rm", "bb", "true"]))), none);
    assert_eq!(listed(&sandbox, &all, || drop(sandbox.ok(&["run", "--name", "kept", "bb", "true"]))), none);
    assert_eq!(listed(&sandbox, &all, || drop(sandbox.ok(&["ps"]))), none);
    assert_eq!(listed(&sandbox, &all, || drop(sandbox.ok(&["rm", "kept"]))), none);
    assert_eq!(listed(&sandbox, &all, || drop(sandbox.ok(&["images"]))), ["images", "refs"]);
    assert_eq!(listed(&sandbox, &all, || drop(sandbox.ok(&["ps", "-a"]))), ["containers"]);
    sandbox.assert_clean();
}

/// Whether `system info` says that something works.
fn works(info: &Value, name: &str) -> bool {
    let features = info["Features"].as_array().unwrap();
    features.iter().find(|feature| feature["Name"] == name).unwrap()["Works"].as_bool().unwrap()
}

#[test]
fn what_the_host_can_isolate_is_tried() {
    let sandbox = Sandbox::new();
    let info: Value = serde_json::from_str(&sandbox.ok(&["system", "info", "-f", "json"])).unwrap();
    for name in ["user namespaces", "network namespaces", "overlay", "seccomp filters", "control groups"] {
        assert!(works(&info, name), "{name}: {info}");
    }
    sandbox.assert_clean();
    // Present, and of no use here: none may be made.
    let script = "for kind in net time; do echo 0 > /proc/sys/user/max_${kind}_namespaces; done; exec \"$0\" info -f json";
    let mut command = std::process::Command::new("unshare");
    command.args(["-U", "-r", "-m", "sh", "-c", script, support::HULL]).env("HULL_ROOT", sandbox.root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["network namespaces", "time namespaces"] {
        assert!(!works(&info, name), "{name}: {info}");
    }
    assert!(works(&info, "mount, pid, IPC and UTS namespaces"), "{info}");
}

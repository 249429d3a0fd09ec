//! `hull doctor`: what it says of this host, beside what is found out in another way.

mod support;

use serde_json::Value;
use std::path::Path;
use support::{Sandbox, text};

/// Code and JSON.
fn doctor(sandbox: &Sandbox, root: &str) -> (i32, Value) {
    let done = sandbox.hull(&["--root", root, "doctor", "--json"]);
    let value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done.status.code().unwrap_or(-1), value)
}

fn findings(value: &Value) -> &[Value] {
    value["findings"].as_array().expect("a list")
}

fn about<'a>(value: &'a Value, what: &str) -> &'a Value {
    findings(value).iter().find(|one| one["what"] == what).unwrap_or(&Value::Null)
}

fn root(sandbox: &Sandbox) -> String {
    sandbox.root().display().to_string()
}

#[test]
fn what_is_not_well_says_what_is_lost_and_what_mends_it() {
    let sandbox = Sandbox::new();
    let (code, told) = doctor(&sandbox, &root(&sandbox));
    for one in findings(&told) {
        let is_well = one["verdict"] == "ok";
        assert_eq!((one["lost"] == "", one["mend"] == ""), (is_well, is_well), "{one}");
        assert!(one["is"] != "" && one["area"] != "", "{one}");
    }
    assert!(findings(&told).len() > 20, "{told}");
    let is_bad = findings(&told).iter().any(|one| one["verdict"] == "no");
    assert_eq!((code, &told["ok"]), (i32::from(is_bad), &(!is_bad).into()));
    sandbox.assert_clean();
}

#[test]
fn what_it_says_of_the_kernel_is_so() {
    let sandbox = Sandbox::new();
    let (_, told) = doctor(&sandbox, &root(&sandbox));
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    assert_eq!(about(&told, "version")["is"], read("/proc/sys/kernel/osrelease"));
    for setting in ["fs.inotify.max_user_instances", "net.ipv4.ip_forward", "kernel.pid_max"] {
        let value = read(&format!("/proc/sys/{}", setting.replace('.', "/")));
        assert_eq!(about(&told, setting)["is"], value, "{setting}");
    }
    // What works is what a container has.
    if about(&told, "user namespaces")["verdict"] == "ok"
        && about(&told, "id-mapped mounts")["verdict"] == "ok"
    {
        let map = sandbox.sh(&[], "cat /proc/self/uid_map");
        assert!(!map.contains("4294967295"), "{map}");
    }
    if about(&told, "memory")["verdict"] == "ok" {
        sandbox.sh(&["-m", "64m"], "true");
    }
    sandbox.assert_clean();
}

/// A mount namespace of its own, in which a script changes what hull finds.
fn elsewhere(sandbox: &Sandbox, script: &str) -> (i32, Value) {
    let mut command = std::process::Command::new("unshare");
    let script = format!("{script}\nexec \"$0\" --root \"$1\" doctor --json");
    command.args(["--mount", "sh", "-ec", &script, support::HULL, &root(sandbox)]);
    let done = command.output().expect("run unshare");
    let value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done.status.code().unwrap_or(-1), value)
}

#[test]
fn a_host_without_groups_and_with_ids_granted_twice_is_told() {
    let sandbox = Sandbox::new();
    let granted = sandbox.path().join("subuid");
    std::fs::write(&granted, "a:1879048192:131072\nb:100000:65536\nc:120000:65536\n").expect("write");
    let script =
        format!("mount --bind {} /etc/subuid; mount -t tmpfs none /sys/fs/cgroup", granted.display());
    if !Path::new("/etc/subuid").exists() {
        return eprintln!("SKIP: there is no /etc/subuid to be replaced");
    }
    let (code, told) = elsewhere(&sandbox, &script);
    assert_eq!((code, &about(&told, "control groups")["verdict"]), (1, &"no".into()), "{told}");
    assert_eq!(about(&told, "hull's own")["verdict"], "warn");
    assert_eq!(about(&told, "users' own")["is"], "two granted ranges meet at 120000");
    assert!(about(&told, "free")["is"].as_str().unwrap().starts_with("32766 of"), "{told}");
    sandbox.assert_clean();
}

#[test]
fn a_root_in_memory_or_read_only_is_told() {
    let sandbox = Sandbox::new();
    let place = sandbox.path().display();
    let (_, memory) =
        elsewhere(&sandbox, &format!("mkdir -p {place}/root; mount -t tmpfs none {place}/root"));
    assert_eq!(about(&memory, "file system")["verdict"], "warn", "{memory}");
    assert!(about(&memory, "file system")["is"].as_str().unwrap().starts_with("tmpfs"));
    let script = format!(
        "mkdir -p {place}/root; mount --bind {place}/root {place}/root; mount -o remount,bind,ro {place}/root"
    );
    let (code, read_only) = elsewhere(&sandbox, &script);
    assert_eq!((code, &about(&read_only, "access")["verdict"]), (1, &"no".into()), "{read_only}");
    sandbox.assert_clean();
}

#[test]
fn people_read_lines_and_the_quiet_only_what_is_to_be_done() {
    let sandbox = Sandbox::new();
    let page = text(&sandbox.hull(&["doctor"]).stdout);
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    let starts = |word: &str| page.lines().filter(|line| line.trim_start().starts_with(word)).count();
    assert!(starts("ok") > 10, "{page}");
    let quiet = text(&sandbox.hull(&["doctor", "-q"]).stdout);
    assert!(!quiet.lines().any(|line| line.trim_start().starts_with("ok ")), "{quiet}");
    assert_eq!(page.lines().last(), quiet.lines().last());
    sandbox.assert_clean();
}

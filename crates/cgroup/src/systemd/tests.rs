//! With a real systemd, where one listens: as root, the system's.

use super::*;
use crate::files;
use rustix::process::Pid;
use serde_json::json;
use std::process::{Child, Command};

fn connected() -> Option<Systemd> {
    match Systemd::connect(&Manager::System) {
        Ok(systemd) => Some(systemd),
        Err(error) => {
            eprintln!("SKIP: {error:?}");
            None
        }
    }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").spawn().unwrap()
}

fn read(resources: serde_json::Value) -> LinuxResources {
    serde_json::from_value(resources).unwrap()
}

fn shown(property: &str, unit: &str) -> String {
    let output = Command::new("systemctl").args(["show", "-P", property, unit]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().into()
}

/// What a file of the groups holds, on v1 or v2.
fn holds(group: &Cgroup, names: [&str; 2]) -> String {
    let dirs = group.groups.iter().flat_map(|group| names.map(|name| files::get(&group.dir, name)));
    dirs.flatten().next().unwrap().trim().into()
}

#[test]
fn a_scope_is_started_updated_and_stopped() {
    let Some(mut systemd) = connected() else { return };
    let host = Host::probe().unwrap();
    let name = format!("test{}", std::process::id());
    let unit = Unit::parse(&format!("hull-test.slice:hull:{name}"), "system.slice").unwrap();
    let mut child = sleeper();
    let resources = read(json!({
        "memory": {"limit": 64 << 20}, "pids": {"limit": 33}, "cpu": {"quota": 50_000, "period": 100_000},
        "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229}]
    }));
    let annotations = [("org.systemd.property.TimeoutStopSec".to_owned(), "7".to_owned())];
    let properties = from_annotations(annotations.iter().map(|(key, value)| (key, value))).unwrap();
    let scope = Scope {
        unit: &unit,
        pid: Some(Pid::from_child(&child)),
        description: "a test",
        properties: &properties,
        resources: &resources,
    };
    let group = systemd.start(&host, &scope).unwrap().unwrap();
    assert!(group.groups[0].path.ends_with(unit.path().unwrap()), "{:?}", group.groups[0].path);
    assert_eq!(group.procs(), [Pid::from_child(&child)]);
    assert_eq!(holds(&group, ["pids.max", "pids.max"]), "33");
    assert_eq!(holds(&group, ["memory.limit_in_bytes", "memory.max"]), "67108864");
    assert_eq!(shown("TasksMax", &unit.name), "33");
    assert_eq!(shown("TimeoutStopUSec", &unit.name), "7s");
    assert_eq!(shown("Slice", &unit.name), "hull-test.slice");

    systemd.update(&host, &unit.name, &group, &read(json!({"pids": {"limit": 44}}))).unwrap();
    // What systemd was told holds when it writes everything again.
    assert!(Command::new("systemctl").arg("daemon-reload").status().unwrap().success());
    assert_eq!(holds(&group, ["pids.max", "pids.max"]), "44");
    assert_eq!(shown("TasksMax", &unit.name), "44");

    let path = group.groups[0].path.clone();
    systemd.stop(&unit.name, group).unwrap();
    child.wait().unwrap();
    assert!(!path.exists());
    assert!(["", "not-found"].contains(&shown("LoadState", &unit.name).as_str()));
}

#[test]
fn what_systemd_refuses_is_told_with_its_words() {
    let Some(mut systemd) = connected() else { return };
    let unit = Unit { slice: "system.slice".into(), name: "hull-test-refused.scope".into() };
    let mut child = sleeper();
    let properties = [("NoSuchProperty".to_owned(), Value::Bool(true))];
    let resources = LinuxResources::default();
    let pid = Some(Pid::from_child(&child));
    let scope =
        Scope { unit: &unit, pid, description: "a test", properties: &properties, resources: &resources };
    let error = systemd.start(&Host::probe().unwrap(), &scope).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("NoSuchProperty"), "{cause}");
    child.kill().unwrap();
    child.wait().unwrap();
}

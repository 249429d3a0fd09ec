//! Freezing, limits and accounts of a container that runs.

use super::container::{Container, await_that, is_v2};
use super::support::text;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// A file of the container's group, by v1's name; on v2 the one that says the same.
fn held(container: &Container, controller: &str, file: &str) -> String {
    let name = match file {
        "memory.limit_in_bytes" if is_v2() => "memory.max",
        "cpu.cfs_quota_us" if is_v2() => "cpu.max",
        same => same,
    };
    let value = std::fs::read_to_string(container.group(controller).join(name)).unwrap();
    value.split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    let container = Container::running("while :; do date +%s%N > /next; mv /next /tick; sleep 0.02; done &");
    container.read("tick");
    container.ok(&["pause", &container.id]);
    assert_eq!(container.status(), "paused");
    let before = container.read("tick");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(container.read("tick"), before);
    let output = container.exec(&[], "true");
    assert!(text(&output.stderr).contains("cannot exec in a paused container"), "{output:?}");
    assert!(container.fails(&["pause", &container.id]).1.contains("already paused"));
    container.ok(&["resume", &container.id]);
    await_that("it goes on", || container.read("tick") != before);
    assert!(container.fails(&["resume", &container.id]).1.contains("not paused"));
    container.exec_ok(&[], "true");
}

#[test]
fn a_paused_container_can_be_killed_and_deleted() {
    let container = Container::running("");
    container.ok(&["pause", &container.id]);
    container.ok(&["kill", &container.id, "KILL"]);
    container.await_status("stopped");
    container.ok(&["delete", &container.id]);
    container.assert_gone();
    let container = Container::running("");
    container.ok(&["pause", &container.id]);
    container.ok(&["delete", "--force", &container.id]);
    container.assert_gone();
}

#[test]
fn limits_are_changed_one_by_one_and_whole() {
    let container = Container::running("");
    let refused = container.fails(&["update", "--cpu-quota", "1", &container.id]).1;
    let file = if is_v2() { "cpu.max` to `1`" } else { "cpu.cfs_quota_us` to `1`" };
    assert!(refused.contains(&format!("update container `{}`: set `{file}", container.id)), "{refused}");
    container.ok(&["update", "--memory", "64m", "--pids-limit", "50", "--cpu-share=512", &container.id]);
    assert_eq!(held(&container, "memory", "memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(held(&container, "pids", "pids.max"), "50");
    if !is_v2() {
        assert_eq!(held(&container, "cpu", "cpu.shares"), "512"); // v2 counts weights otherwise
    }
    let file = container.bundle.path().join("limits");
    let limits = json!({"memory": {"limit": 96 << 20}, "cpu": {"quota": 20000, "period": 100_000}});
    std::fs::write(&file, limits.to_string()).unwrap();
    container.ok(&["update", "-r", file.to_str().unwrap(), &container.id]);
    assert_eq!(held(&container, "memory", "memory.limit_in_bytes"), (96 << 20).to_string());
    assert_eq!(held(&container, "cpu", "cpu.cfs_quota_us"), "20000");
    let mut command = container.command(&["update", "--resources", "-", &container.id]);
    let input = std::fs::File::open({
        std::fs::write(&file, "{\"pids\": {\"limit\": 60}}").unwrap();
        &file
    });
    assert!(command.stdin(input.unwrap()).status().unwrap().success());
    assert_eq!(held(&container, "pids", "pids.max"), "60");
    for bad in ["--memory=12x", "--cpu-quota=many", "--cpuset-cpus=999"] {
        container.fails(&["update", bad, &container.id]);
    }
    assert_eq!(held(&container, "memory", "memory.limit_in_bytes"), (96 << 20).to_string());
    container.ok(&["kill", &container.id, "KILL"]);
    container.await_status("stopped");
    assert!(container.fails(&["update", "--memory=1g", &container.id]).1.contains("stopped"));
}

#[test]
fn accounts_are_in_runcs_shape() {
    let container =
        Container::running("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done > /counted");
    container.read("counted");
    let event: Value = serde_json::from_str(&container.ok(&["events", "--stats", &container.id])).unwrap();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(container.id)));
    let data = &event["data"];
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 1_000_000, "{data}");
    assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 4096, "{data}");
    assert!(data["pids"]["current"].as_u64().unwrap() >= 1, "{data}");
}

#[test]
fn ps_shows_the_containers_processes_as_the_host_counts_them() {
    let container = Container::running("sleep 999 &");
    await_that("both run", || container.ok(&["ps", &container.id]).contains("sleep 999"));
    let table = container.ok(&["ps", &container.id]);
    assert_eq!(table.lines().count(), 3, "{table}");
    let own: Vec<i64> = serde_json::from_str(&container.ok(&["ps", "-f", "json", &container.id])).unwrap();
    assert!(own.len() == 2 && own.contains(&container.pid()));
    assert!(container.ok(&["ps", &container.id, "-o", "pid,comm"]).contains("sleep"));
}
#[test]
fn events_tell_when_memory_runs_out_and_end_with_the_container() {
    let mut container = Container::new("read x < /go; (x=a; while :; do x=$x$x; done); exec sleep 1000");
    container.bundle.config["linux"]["resources"] = json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}});
    let go = container.file("go");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &go,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    container.create();
    container.ok(&["start", &container.id]);
    let mut events = container.command(&["events", "--interval", "100ms", &container.id]);
    let mut events = events.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["type"], "stats");
    std::fs::write(go, "go\n").unwrap();
    let oom = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert!(oom.into_iter().any(|event| event["type"] == "oom"));
    container.ok(&["delete", "--force", &container.id]);
    assert!(events.wait().unwrap().success());
    assert!(container.fails(&["events", "--interval=0s", &container.id]).1.contains("greater than 0"));
}

//! One more process in a container that runs.

use super::container::{Container, await_that, is_v2, lives};
use super::support::text;
use serde_json::json;

#[test]
fn a_process_joins_all_namespaces_and_groups() {
    let mut container = Container::new("exec sleep 1000");
    for kind in ["cgroup", "time"] {
        container.bundle.add_namespace(kind);
    }
    container.create();
    container.ok(&["start", &container.id]);
    let look =
        "for n in mnt pid net ipc uts cgroup time; do readlink /proc/$P/ns/$n; done; cat /proc/$P/cgroup";
    let own = container.exec_ok(&["--env", "P=self"], look);
    let first = container.exec_ok(&["-e", "P=1"], look);
    assert_eq!(own, first);
    let host = std::fs::read_link("/proc/self/ns/mnt").unwrap();
    assert!(!own.contains(host.to_str().unwrap()), "{own}");
}

#[test]
fn a_process_of_a_user_namespace_is_its_root() {
    let mut container = Container::new("exec sleep 1000");
    container.bundle = super::spec_bundle::Bundle::with_user_namespace();
    container.bundle.config["process"]["args"] = json!(["sleep", "1000"]);
    container.create();
    container.ok(&["start", &container.id]);
    assert_eq!(container.exec_ok(&[], "id -u; cat /proc/self/uid_map | tr -s ' '"), "0\n 0 100000 65536");
}

#[test]
fn exec_gives_the_exit_code_and_its_own_where_there_is_none() {
    let container = Container::running("");
    assert_eq!(container.exec(&[], "exit 42").status.code(), Some(42));
    assert_eq!(container.exec(&[], "kill -TERM $$; sleep 9").status.code(), Some(143));
    let output = container.call(&["exec", &container.id, "nosuch"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(
        text(&output.stderr)
            .contains("exec failed: exec: \\\"nosuch\\\": executable file not found in $PATH")
    );
    let output = container.call(&["exec", &container.id]);
    assert!(text(&output.stderr).contains("exec args cannot be empty"), "{output:?}");
    container.ok(&["kill", &container.id, "KILL"]);
    container.await_status("stopped");
    assert!(text(&container.exec(&[], "true").stderr).contains("cannot exec in a stopped container"));
}

#[test]
fn each_flag_changes_the_containers_own_process() {
    let container = Container::running("");
    let said = container.exec_ok(
        &["--cwd", "/etc", "-e", "A=1", "--env=B=2", "--user", "1000:7", "-g", "5", "-g", "6"],
        "pwd; echo $A$B; id -u; id -g; id -G; echo $HOME",
    );
    assert_eq!(said, "/etc\n12\n1000\n7\n7 5 6\n/home/user");
    assert_eq!(container.exec_ok(&[], "echo $HOME; pwd"), "/root\n/");
    let status = |flags: &[&str], field: &str| {
        container.exec_ok(flags, &format!("sed -n 's/^{field}:[[:space:]]*//p' /proc/self/status"))
    };
    assert_eq!(
        (status(&[], "NoNewPrivs"), status(&["--no-new-privs"], "NoNewPrivs")),
        ("0".into(), "1".into())
    );
    let bits = |flags: &[&str]| u64::from_str_radix(&status(flags, "CapBnd"), 16).unwrap();
    let syslog = 1 << 34;
    assert_eq!((bits(&[]) & syslog, bits(&["--cap", "CAP_SYSLOG"]) & syslog), (0, syslog));
    assert!(text(&container.exec(&["--cap", "CAP_NOSUCH"], "true").stderr).contains("CAP_NOSUCH"));
    assert!(text(&container.exec(&["--user", "root"], "true").stderr).contains("bad uid"));
}

#[test]
fn a_process_can_be_given_whole() {
    let container = Container::running("");
    let file = container.bundle.path().join("process.json");
    let process = json!({
        "user": {"uid": 12, "gid": 13}, "cwd": "/home", "env": ["PATH=/bin", "X=y"],
        "args": ["sh", "-c", "id -u; id -g; pwd; echo $X"], "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 99}],
    });
    std::fs::write(&file, process.to_string()).unwrap();
    let said = container.ok(&["exec", "--process", file.to_str().unwrap(), &container.id]);
    assert_eq!(said, "12\n13\n/home\ny\n");
    std::fs::write(&file, "{\"cwd\": 7}").unwrap();
    assert!(container.fails(&["exec", "-p", file.to_str().unwrap(), &container.id]).1.contains("cwd"));
}

#[test]
fn a_detached_process_lives_on_and_its_id_is_told() {
    let container = Container::running("");
    let file = container.bundle.path().join("pid");
    let status = container
        .command(&["exec", "-d", "--pid-file", file.to_str().unwrap(), &container.id, "sleep", "1000"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let pid: i64 = std::fs::read_to_string(file).unwrap().parse().unwrap();
    assert!(lives(pid));
    let all: Vec<i64> =
        serde_json::from_str(&container.ok(&["ps", "--format", "json", &container.id])).unwrap();
    assert!(all.contains(&pid) && all.contains(&container.pid()), "{all:?}");
    container.ok(&["delete", "-f", &container.id]);
    await_that("it ends with the container", || !lives(pid));
}

#[test]
fn the_containers_filter_and_limits_hold_for_it() {
    let mut container = Container::new("exec sleep 1000");
    container.bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
    });
    container.bundle.config["linux"]["resources"] = json!({"pids": {"limit": 20}});
    container.create();
    container.ok(&["start", &container.id]);
    let said = container.exec_ok(&[], "mkdir /x 2>&1; grep Seccomp: /proc/self/status | tr -d '[:space:]'");
    assert!(said.contains("Operation not supported") && said.contains("Seccomp:2"), "{said}");
    let output = container.exec(&[], "for i in $(seq 40); do sleep 20 > /dev/null 2>&1 & done; echo all");
    assert!(!text(&output.stdout).contains("all"), "the group's limit does not hold: {output:?}");
}

#[test]
fn a_process_can_be_put_into_a_group_below() {
    let container = Container::running("");
    std::fs::create_dir(container.group("memory").join("below")).unwrap();
    let (of, below) = if is_v2() { ("^0:", "below") } else { (":memory:", "memory:below") };
    let line = |flags: &[&str]| container.exec_ok(flags, &format!("grep -E '{of}' /proc/self/cgroup"));
    assert!(line(&["--cgroup", below]).ends_with(&format!("{}/below", container.id)));
    assert!(line(&[]).ends_with(&container.id));
    for bad in if is_v2() { ["absent", "../..", ":x"] } else { ["memory:absent", "memory:../..", ":x"] } {
        assert_eq!(container.exec(&["--cgroup", bad], "true").status.code(), Some(255), "{bad}");
    }
}

#[test]
fn a_process_is_not_stopped_by_the_end_of_its_callers_input() {
    let container = Container::running("");
    use std::io::Write;
    let mut command = container.command(&["exec", &container.id, "cat"]);
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let bytes: Vec<u8> = (0..200_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let mut stdin = child.stdin.take().unwrap();
    let sent = bytes.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success() && output.stdout == bytes);
}

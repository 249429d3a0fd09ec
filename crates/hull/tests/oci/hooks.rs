//! config.md, POSIX-platform Hooks.

use super::container::Container;
use super::support::text;
use serde_json::{Value, json};

const ALL: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A hook that notes its name, the state it was given, and its namespaces.
fn noting(container: &Container, name: &str) -> Value {
    let log = container.bundle.path().join("log");
    // In the container the log is what the host sees below its root.
    let log = if name == "startContainer" { "/log".into() } else { log.display().to_string() };
    let script = format!(
        "echo \"{name} $(cat) $(readlink /proc/self/ns/uts) $(readlink /proc/self/ns/mnt)\" >> {log}; echo $HOOKED >> {log}.env"
    );
    json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["HOOKED=yes", "PATH=/bin:/usr/bin"]})
}

fn with_hooks(script: &str) -> Container {
    let mut container = Container::new(script);
    let hooks = ALL.map(|name| (name, json!([noting(&container, name)])));
    for (name, hook) in hooks {
        container.bundle.config["hooks"][name] = hook;
    }
    container
}

/// (name, state, uts namespace, mount namespace)
fn noted(container: &Container) -> Vec<(String, Value, String, String)> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let text = read(container.bundle.path().join("log")) + &read(container.file("log"));
    text.lines()
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap();
            let mut parts = rest.rsplitn(3, ' ');
            let (mnt, uts) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
            (name.to_owned(), serde_json::from_str(parts.next().unwrap()).unwrap(), uts, mnt)
        })
        .collect()
}

#[test]
fn all_hooks_run_at_their_moments_in_their_namespaces_and_are_told_the_state() {
    let container = with_hooks("readlink /proc/self/ns/uts > /own; exec sleep 1000");
    container.create();
    let names = |all: &[(String, Value, String, String)]| -> Vec<String> {
        all.iter().map(|(name, ..)| name.clone()).collect()
    };
    assert_eq!(names(&noted(&container)), ALL[..3]);
    let pid = container.pid();
    container.ok(&["start", &container.id]);
    let own = container.read("own");
    let all = noted(&container);
    assert_eq!(names(&all), ["prestart", "createRuntime", "createContainer", "poststart", "startContainer"]);
    container.ok(&["delete", "--force", &container.id]);
    let all = noted(&container);
    let host = std::fs::read_link("/proc/self/ns/uts").unwrap().display().to_string();
    for (name, state, uts, _) in &all {
        let (status, there, told) = match name.as_str() {
            "createContainer" => ("creating", &own, json!(1)),
            "startContainer" => ("created", &own, json!(1)),
            "poststart" => ("running", &host, json!(pid)),
            "poststop" => ("stopped", &host, Value::Null),
            _ => ("creating", &host, json!(pid)),
        };
        assert_eq!((&state["status"], uts), (&json!(status), there), "{name}");
        assert_eq!((&state["id"], &state["pid"]), (&json!(container.id), &told), "{name}");
        assert_eq!(state["bundle"], container.bundle.path().to_str().unwrap(), "{name}");
    }
    assert!(names(&all).contains(&"poststop".to_owned()));
    assert_eq!(
        std::fs::read_to_string(container.bundle.path().join("log.env")).unwrap().trim(),
        ["yes"; 5].join("\n")
    );
}

#[test]
fn hooks_before_the_root_is_entered_find_it_at_its_place_with_all_mounts() {
    let mut container = Container::new("cat /made/file");
    let rootfs = container.bundle.rootfs().display().to_string();
    let script = format!(
        "mkdir -p {rootfs}/made && mount -t tmpfs made {rootfs}/made && test -e {rootfs}/proc/1 && echo by hook > {rootfs}/made/file"
    );
    container.bundle.config["hooks"] = json!({"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]});
    let output = container.run(&[]);
    assert_eq!(text(&output.stdout), "by hook\n", "{}", text(&output.stderr));
    assert!(!container.file("made/file").exists(), "the mount was the container's only");
}

#[test]
fn a_root_on_a_mount_that_the_host_shares_shares_nothing() {
    use std::process::Command;
    let mount = |args: &[&str], container: &Container| {
        assert!(Command::new("mount").args(args).arg(container.bundle.rootfs()).status().unwrap().success());
    };
    for early in [false, true] {
        let mut container = Container::new("exec sleep 1000");
        mount(&["--bind", container.bundle.rootfs().to_str().unwrap()], &container);
        mount(&["--make-shared"], &container);
        if early {
            container.bundle.config["hooks"] = json!({"createContainer": [{"path": "/bin/true"}]});
        }
        container.create();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let inside = container.bundle.rootfs().join("proc").display().to_string();
        let started = container.call(&["start", &container.id]);
        container.ok(&["delete", "--force", &container.id]);
        let unmounted = Command::new("umount").arg("-R").arg(container.bundle.rootfs()).status().unwrap();
        assert!(started.status.success() && !mounts.contains(&inside), "{mounts}");
        assert!(unmounted.success());
        container.assert_gone();
    }
}

#[test]
fn hooks_run_in_order_and_the_first_failure_ends_the_container() {
    for moment in &ALL[..3] {
        let mut container = with_hooks("echo ran > /ran");
        let log = container.bundle.path().join("order");
        let hook = |script: String| json!({"path": "/bin/sh", "args": ["sh", "-c", script]});
        container.bundle.config["hooks"][*moment] = json!([
            hook(format!("echo one >> {}", log.display())),
            hook(format!("echo two >> {}; echo sorry >&2; exit 3", log.display())),
            hook(format!("echo three >> {}", log.display())),
        ]);
        let output = container.bundle_command("create", &[]).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(moment), "{said}");
        assert!(said.contains("exit status 3") && said.contains("sorry"), "{said}");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n");
        assert!(noted(&container).iter().any(|(name, ..)| name == "poststop"), "poststop hooks run");
        container.assert_gone();
    }
}

#[test]
fn a_failure_just_before_the_program_ends_the_container() {
    let mut container = Container::new("echo ran > /ran");
    container.bundle.config["hooks"] = json!({"startContainer": [{"path": "/bin/false"}]});
    container.create();
    let (_, said) = container.fails(&["start", &container.id]);
    assert!(said.contains("startContainer hook `/bin/false`"), "{said}");
    container.await_status("stopped");
    assert!(!container.file("ran").exists());
}

#[test]
fn failures_after_the_start_and_the_end_are_warnings() {
    let mut container = Container::new("exec sleep 1000");
    let touch = |name: &str| {
        let file = container.bundle.path().join(name);
        json!({"path": "/bin/touch", "args": ["touch", file.to_str().unwrap()]})
    };
    container.bundle.config["hooks"] = json!({
        "poststart": [{"path": "/nosuch"}, touch("poststart")],
        "poststop": [{"path": "/bin/false"}, touch("poststop")],
    });
    container.create();
    let output = container.call(&["start", &container.id]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("level=warning") && said.contains("/nosuch"), "{said}");
    assert!(container.bundle.path().join("poststart").exists(), "the others run");
    assert_eq!(container.status(), "running");
    let output = container.call(&["delete", "-f", &container.id]);
    assert!(output.status.success() && text(&output.stderr).contains("/bin/false"), "{output:?}");
    assert!(container.bundle.path().join("poststop").exists());
    container.assert_gone();
}

#[test]
fn a_hook_has_its_time_and_no_more() {
    let mut container = Container::new("true");
    let script = format!("sleep 1000 & echo $! > {}/child; wait", container.bundle.path().display());
    container.bundle.config["hooks"] =
        json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 1}]});
    let output = container.bundle_command("create", &[]).output().unwrap();
    assert!(text(&output.stderr).contains("timed out"), "{output:?}");
    let child = std::fs::read_to_string(container.bundle.path().join("child")).unwrap();
    let child: i64 = child.trim().parse().unwrap();
    super::container::await_that("what the hook started ends", || !super::container::lives(child));
    container.assert_gone();
}

//! runtime.md, Lifecycle and Operations; and the words engines look for.

use super::container::{Container, await_that, lives};
use super::support::text;
use serde_json::{Value, json};

#[test]
fn a_created_container_waits_for_its_start() {
    let container = Container::new("echo started > /started; exec sleep 1000");
    container.create();
    assert_eq!(container.status(), "created");
    assert!(!container.file("started").exists());
    assert!(lives(container.pid()));
    container.ok(&["start", &container.id]);
    assert_eq!(container.read("started"), "started");
    assert_eq!(container.status(), "running");
    let (code, said) = container.fails(&["start", &container.id]);
    assert!(code == 1 && said.contains("cannot start an already running container"), "{said}");
    container.ok(&["kill", &container.id, "KILL"]);
    container.await_status("stopped");
    assert_eq!(container.pid(), 0);
    let (_, said) = container.fails(&["start", &container.id]);
    assert!(said.contains("cannot start a container that has stopped"), "{said}");
    container.ok(&["delete", &container.id]);
    container.assert_gone();
}

#[test]
fn no_process_of_the_runtime_stays_and_no_descriptor_of_its_callers() {
    let container = Container::new("exec sleep 1000");
    container.create();
    let pid = container.pid();
    let open = || -> Vec<_> {
        let all = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let others = all.filter(|entry| entry.file_name().to_str().unwrap().parse::<i32>().unwrap() > 2);
        others
            .filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()))
            .collect()
    };
    // A moment after `create` has ended.
    await_that("only the gate is open", || {
        let open = open();
        open.len() == 2 && open.iter().all(|path| path.contains("/state/"))
    });
    container.ok(&["start", &container.id]);
    await_that("the program runs", || {
        std::fs::read(format!("/proc/{pid}/cmdline")).unwrap().starts_with(b"sleep")
    });
    assert_eq!(std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(), 3);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let parent = std::fs::read_to_string(format!("/proc/{parent}/cmdline")).unwrap_or_default();
    assert!(!parent.contains("hull"), "{parent}");
}

#[test]
fn state_is_what_the_specification_says() {
    let mut container = Container::new("exec sleep 1000");
    container.bundle.config["annotations"] = json!({"org.example.key": "value"});
    container.create();
    let state = container.state();
    assert_eq!(state["ociVersion"], "1.3.0");
    assert_eq!(state["id"], container.id);
    assert_eq!(state["bundle"], container.bundle.path().to_str().unwrap());
    assert_eq!(state["rootfs"], container.bundle.rootfs().to_str().unwrap());
    assert_eq!(state["annotations"], json!({"org.example.key": "value"}));
    assert!(state["created"].as_str().unwrap().ends_with('Z'));
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", state["pid"])).unwrap();
    await_that("it waits", || stat().contains(" S "));
}

#[test]
fn list_shows_all_containers_of_a_root() {
    let container = Container::new("exec sleep 1000");
    assert_eq!(container.ok(&["list", "-q"]), "");
    assert_eq!(container.ok(&["list", "--format", "json"]), "[]\n");
    container.create();
    assert_eq!(container.ok(&["list", "--quiet"]).trim(), container.id);
    let all: Vec<Value> = serde_json::from_str(&container.ok(&["list", "--format=json"])).unwrap();
    assert_eq!((all.len(), &all[0]["status"], &all[0]["owner"]), (1, &json!("created"), &json!("root")));
    let table = container.ok(&["list"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("OWNER"), "{table}");
    assert!(lines[1].starts_with(&container.id) && lines[1].contains("created"), "{table}");
    assert!(container.fails(&["list", "-f", "yaml"]).1.contains("invalid format option"));
}

#[test]
fn errors_have_the_words_engines_look_for() {
    let container = Container::running("");
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "ps", "exec", "update", "events"] {
        let (code, said) = container.fails(&[verb, "absent", "true"][..if verb == "exec" { 3 } else { 2 }]);
        assert!(said.contains("container does not exist"), "{verb}: {said}");
        assert_eq!(code, if verb == "exec" { 255 } else { 1 }, "{verb}");
    }
    container.ok(&["delete", "--force", "absent"]);
    let output = container.bundle_command("create", &[]).output().unwrap();
    assert!(text(&output.stderr).contains("container with given ID already exists"), "{output:?}");
    assert_eq!(container.status(), "running", "the one that was there is not touched");
    let (_, said) = container.fails(&["delete", &container.id]);
    assert!(said.contains("that is not stopped: running"), "{said}");
    assert!(container.fails(&["kill", &container.id, "NOSIG"]).1.contains("unknown signal"));
    container.ok(&["kill", &container.id, "0"]);
    container.ok(&["kill", &container.id, "9"]);
    container.await_status("stopped");
    let (_, said) = container.fails(&["kill", &container.id]);
    assert!(said.contains("container not running"), "{said}");
    for id in ["", ".", "..", "a/b", "a b"] {
        assert!(container.fails(&["state", id]).1.contains("container id"), "{id:?}");
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_told_by_create_and_by_run() {
    let cases: [(&str, &str); 4] = [
        ("nosuch", "executable file not found in $PATH"),
        ("/nosuch", "no such file or directory"),
        ("/etc/passwd", "permission denied"),
        ("/etc", "is a directory"),
    ];
    for (program, words) in cases {
        let mut container = Container::new("");
        container.bundle.config["process"]["args"] = json!([program]);
        let output = container.run(&[]);
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains(words), "{output:?}");
        container.assert_gone();
        let output = container.bundle_command("create", &[]).output().unwrap();
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains(words), "{output:?}");
        container.assert_gone();
    }
}

#[test]
fn a_program_that_is_none_is_told_by_start() {
    use std::os::unix::fs::PermissionsExt;
    let mut container = Container::new("");
    std::fs::write(container.file("none"), "\u{7f}no program").unwrap();
    std::fs::set_permissions(container.file("none"), std::fs::Permissions::from_mode(0o755)).unwrap();
    container.bundle.config["process"]["args"] = json!(["/none"]);
    container.create();
    let (code, said) = container.fails(&["start", &container.id]);
    assert!(code == 1 && said.contains("exec format error"), "{said}");
    container.await_status("stopped");
    container.ok(&["delete", &container.id]);
    container.assert_gone();
}

#[test]
fn run_gives_the_programs_exit_code_and_leaves_nothing() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$; sleep 9", 137)] {
        let mut container = Container::new(script);
        container.bundle.drop_namespace("pid");
        let output = container.run(&[]);
        assert_eq!(output.status.code(), Some(code), "{script}: {}", text(&output.stderr));
        container.assert_gone();
    }
}

#[test]
fn run_keeps_or_detaches_as_asked() {
    let container = Container::new("exit 3");
    assert_eq!(container.run(&["--keep"]).status.code(), Some(3));
    assert_eq!(container.status(), "stopped");
    container.ok(&["delete", &container.id]);
    container.assert_gone();

    let container = Container::new("exec sleep 1000");
    let file = container.bundle.path().join("pid");
    let status = container
        .bundle_command("run", &["--detach", "--pid-file", file.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(container.status(), "running");
    assert_eq!(std::fs::read_to_string(file).unwrap(), container.pid().to_string());
}

#[test]
fn run_passes_signals_and_streams_on() {
    use std::io::{Read, Write};
    use std::process::Stdio;
    let container = Container::new(
        "trap 'echo caught; exit 5' TERM; read line; echo got $line; while :; do sleep 0.1; done",
    );
    let mut command = container.bundle_command("run", &[]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let mut said = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"got hello\n");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((child.wait().unwrap().code(), rest.as_str()), (Some(5), "caught\n"));
    container.assert_gone();
}

#[test]
fn delete_ends_all_processes_also_without_a_pid_namespace() {
    let mut container = Container::new("setsid sleep 1000 & echo $! > /child; exec sleep 1000");
    container.bundle.drop_namespace("pid");
    container.create();
    container.ok(&["start", &container.id]);
    let child: i64 = container.read("child").parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(container.pid() as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    container.await_status("stopped");
    assert!(lives(child), "it outlives the first process");
    container.ok(&["delete", &container.id]);
    assert!(!lives(child));
    container.assert_gone();
}

#[test]
fn kill_reaches_all_where_it_must() {
    let mut container =
        Container::new("trap : TERM; setsid sleep 1000 & echo $! > /child; while :; do sleep 1; done");
    container.bundle.drop_namespace("pid");
    container.create();
    container.ok(&["start", &container.id]);
    let child: i64 = container.read("child").parse().unwrap();
    container.ok(&["kill", "--all", &container.id, "TERM"]);
    await_that("the child ends", || !lives(child));
    assert_eq!(container.status(), "running");
    container.ok(&["kill", &container.id, "KILL"]);
    container.await_status("stopped");
    container.ok(&["kill", "--all", &container.id]);
}

#[test]
fn the_log_has_what_engines_read() {
    let container = Container::new("");
    let log = container.bundle.path().join("log");
    let path = log.to_str().unwrap();
    let output = container.call(&["--log", path, "--log-format", "json", "state", "absent"]);
    assert!(text(&output.stderr).contains("container does not exist"));
    let line: Value = serde_json::from_str(std::fs::read_to_string(&log).unwrap().trim()).unwrap();
    assert_eq!((&line["level"], &line["msg"]), (&json!("error"), &json!("container does not exist")));
    container.call(&["--log", path, "state", "absent"]);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("level=error msg=\"container does not exist\""), "{text}");
    assert!(container.fails(&["--log-format", "xml", "list"]).1.contains("invalid log-format"));
}

#[test]
fn what_is_not_supported_is_refused_and_what_is_mistyped_is_told() {
    let container = Container::running("");
    for verb in ["checkpoint", "restore"] {
        let said = container.fails(&[verb, "--image-path", "/x", &container.id]).1;
        assert!(said.contains("not supported"), "{said}");
    }
    assert!(container.fails(&["nosuch"]).1.contains("no command"));
    assert!(container.fails(&["state", "--nosuch", "x"]).1.contains("flag provided but not defined"));
    assert!(container.fails(&["state"]).1.contains("requires exactly 1 argument"));
    assert!(container.fails(&["--root", "/", "list"]).1.contains("should not be set to /"));
    assert!(container.ok(&["--version"]).contains("spec: 1.3.0"));
    assert!(container.ok(&["help"]).contains("update"));
    assert!(container.ok(&["create", "--help"]).contains("--preserve-fds"));
}

#[test]
fn spec_writes_a_configuration_that_runs() {
    let mut container = Container::new("");
    container.bundle.config = {
        let path = container.bundle.path().join("config.json");
        container.ok(&["spec", "--bundle", container.bundle.path().to_str().unwrap()]);
        assert!(
            container.fails(&["spec", "-b", container.bundle.path().to_str().unwrap()]).1.contains("exists")
        );
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    assert_eq!(container.bundle.config["process"]["terminal"], true);
    container.bundle.config["process"]["terminal"] = json!(false);
    container.bundle.config["process"]["args"] = json!(["sh", "-c", "hostname; id -u"]);
    container.bundle.config["process"]["env"] = json!(["PATH=/bin"]);
    let output = container.run(&[]);
    assert_eq!(text(&output.stdout), "hull\n0\n", "{}", text(&output.stderr));
}

#[test]
fn features_are_the_specifications() {
    let container = Container::new("");
    let features: Value = serde_json::from_str(&container.ok(&["features"])).unwrap();
    assert_eq!(features["ociVersionMax"], "1.3.0");
    assert!(features["linux"]["capabilities"].as_array().unwrap().contains(&json!("CAP_SYS_ADMIN")));
    assert!(features["mountOptions"].as_array().unwrap().contains(&json!("rro")));
    assert_eq!(features["hooks"].as_array().unwrap().len(), 6);
}

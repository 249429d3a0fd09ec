//! Killed at any step, and many commands at once.

use super::container::Container;
use super::support::text;
use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

/// The steps a command comes to, in order.
fn steps(mut command: Command) -> Vec<String> {
    let output = killed_at("list", &mut command);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut seen = BTreeSet::new();
    let told = text(&output.stderr);
    let names = told.lines().filter_map(|line| line.strip_prefix("step "));
    names.filter(|name| seen.insert((*name).to_owned())).map(str::to_owned).collect()
}

/// Its complaints go to a file: a container that lives on would hold a pipe open.
fn killed_at(step: &str, command: &mut Command) -> Output {
    let file =
        std::fs::File::from(rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    command.env("HULL_KILL_AT", step).stdout(Stdio::null()).stderr(file.try_clone().unwrap());
    let status = command.status().unwrap();
    use std::os::unix::fs::FileExt;
    let mut stderr = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut stderr, 0).unwrap();
    Output { status, stdout: Vec::new(), stderr }
}

#[test]
fn create_killed_at_any_step_leaves_nothing_that_delete_does_not_remove() {
    let container = Container::new("exec sleep 1000");
    let all = steps(container.bundle_command("create", &[]));
    assert!(all.len() > 6, "{all:?}");
    for step in all {
        let container = Container::new("exec sleep 1000");
        let output = killed_at(&step, &mut container.bundle_command("create", &[]));
        assert!(!output.status.success(), "{step}");
        container.ok(&["delete", "--force", &container.id]);
        container.assert_gone();
        container.create();
        container.ok(&["start", &container.id]);
    }
}

#[test]
fn run_killed_at_any_step_likewise() {
    let container = Container::new("true");
    for step in steps(container.bundle_command("run", &[])) {
        let container = Container::new("true");
        killed_at(&step, &mut container.bundle_command("run", &[]));
        container.ok(&["delete", "--force", &container.id]);
        container.assert_gone();
    }
}

#[test]
fn start_and_delete_killed_at_any_step_can_be_done_again() {
    let container = Container::new("exec sleep 1000");
    container.create();
    let starting = steps(container.command(&["start", &container.id]));
    let deleting = steps(container.command(&["delete", "--force", &container.id]));
    assert!(!starting.is_empty() && deleting.len() > 1, "{starting:?} {deleting:?}");
    for step in starting {
        let container = Container::new("exec sleep 1000");
        container.create();
        killed_at(&step, &mut container.command(&["start", &container.id]));
        assert_eq!(container.status(), "running", "{step}");
        container.ok(&["delete", "--force", &container.id]);
        container.assert_gone();
    }
    for step in deleting {
        let container = Container::new("exec sleep 1000");
        container.create();
        killed_at(&step, &mut container.command(&["delete", "--force", &container.id]));
        container.ok(&["delete", "--force", &container.id]);
        container.assert_gone();
    }
}

#[test]
fn another_process_under_the_same_id_is_left_alone() {
    let container = Container::new("exec sleep 1000");
    container.create();
    container.ok(&["kill", &container.id, "KILL"]);
    container.await_status("stopped");
    // Births are counted in hundredths of a second, see proc_pid_stat(5).
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    let path = container.root().join(&container.id).join("state.json");
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["process"]["pid"] = other.id().into();
    std::fs::write(&path, record.to_string()).unwrap();
    assert_eq!(container.status(), "stopped");
    assert!(container.fails(&["kill", &container.id, "KILL"]).1.contains("not running"));
    container.ok(&["delete", &container.id]);
    assert!(other.try_wait().unwrap().is_none(), "the other process lives");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn many_commands_at_once_on_one_container() {
    let container = Container::running("trap '' TERM");
    let id = container.id.as_str();
    let verbs: [&[&str]; 4] = [&["state", id], &["exec", id, "true"], &["kill", id, "TERM"], &["list"]];
    let mut all: Vec<_> = (0..20)
        .map(|i| {
            container.command(verbs[i % 4]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in all.drain(..) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    // And with a delete among them each either does its work or finds nobody.
    let deletes: [&[&str]; 4] =
        [&["delete", "-f", id], &["exec", id, "true"], &["kill", id, "KILL"], &["state", id]];
    let all: Vec<_> = (0..20)
        .map(|i| {
            container.command(deletes[i % 4]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in all {
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        let fine = ["does not exist", "not running", "stopped", "137", "No such process"];
        assert!(
            output.status.success() || said.is_empty() || fine.iter().any(|word| said.contains(word)),
            "{said}"
        );
    }
    container.assert_gone();
}

#[test]
fn one_of_many_creates_of_one_id_succeeds() {
    let container = Container::new("exec sleep 1000");
    let all: Vec<_> = (0..8)
        .map(|_| {
            container
                .bundle_command("create", &[])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let made =
        all.into_iter().map(|mut child| child.wait().unwrap()).filter(|status| status.success()).count();
    assert_eq!((made, container.status().as_str()), (1, "created"));
}

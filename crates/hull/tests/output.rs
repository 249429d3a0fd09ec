//! What becomes of a container whose output nobody can take, and of the keys at its terminal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Output, Stdio};
use support::{Sandbox, Terminal, soon, text};

/// A run whose standard output is a device that is always full.
fn into_full(sandbox: &Sandbox, args: &[&str]) -> Output {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    sandbox.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn output_that_cannot_be_written_is_told_once_and_ends_the_container() {
    let sandbox = Sandbox::new();
    for script in ["echo hi", "while :; do echo hi; done"] {
        let output = into_full(&sandbox, &["run", "--rm", "bb", "sh", "-c", script]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{script}: {told}");
        let expected = "error: write the container's standard output\ncaused by: No space left on device (os error 28)\n";
        assert_eq!(told, expected, "{script}");
    }
    sandbox.assert_clean();
}

#[test]
fn a_disk_that_fills_is_told_and_the_container_outlives_who_watched_it() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().join("small");
    std::fs::create_dir(&dir).unwrap();
    let script = "mount -t tmpfs -o size=64k none \"$1\" && \"$0\" run --name kept bb yes > \"$1/out\"; \
        code=$?; wc -c < \"$1/out\"; exit $code";
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script, support::HULL]).arg(&dir).env("HULL_ROOT", sandbox.root());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(125) && told.contains("No space left"), "{told}");
    assert_eq!(text(&output.stdout), "65536\n");
    let state = sandbox.ok(&["inspect", "-f", "{{.State.Status}}", "kept"]);
    assert_eq!(state, "running\n", "as docker's");
    assert!(sandbox.ok(&["logs", "--tail", "1", "kept"]).starts_with('y'), "its log goes on");
    sandbox.ok(&["rm", "-f", "kept"]);
    sandbox.assert_clean();
}

#[test]
fn a_list_that_cannot_be_written_is_told() {
    let sandbox = Sandbox::new();
    for list in [&["images"][..], &["ps"], &["inspect", "bb"], &["version"], &["run", "--help"]] {
        let output = into_full(&sandbox, list);
        let told = text(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code > 0), "{list:?}: {told}");
        assert!(told.starts_with("error: ") && told.contains("No space left"), "{list:?}: {told}");
    }
}

#[test]
fn a_reader_that_goes_ends_the_container_without_a_word() {
    let sandbox = Sandbox::new();
    let script = "while :; do echo x; done";
    let mut child = sandbox
        .command(&["run", "--rm", "bb", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = child.stdout.take().unwrap();
    reader.read_exact(&mut [0; 2]).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(141), ""));
    sandbox.assert_clean();
}

#[test]
fn a_list_whose_reader_went_ends_as_by_a_broken_pipe() {
    let sandbox = Sandbox::new();
    for list in [&["images"][..], &["images", "-q"], &["inspect", "bb"], &["version"], &["run", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sandbox.command(list).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(141), ""), "{list:?}");
    }
}

#[test]
fn a_descriptor_that_cannot_be_written_to_is_told() {
    let sandbox = Sandbox::new();
    for (args, code) in [(&["images"][..], 1), (&["run", "--rm", "bb", "echo", "hi"], 125)] {
        let unwritable = std::fs::File::open("/dev/null").unwrap();
        let output = sandbox.command(args).stdout(unwritable).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(text(&output.stderr).contains("Bad file descriptor"), "{args:?}: {}", text(&output.stderr));
    }
    sandbox.assert_clean();
}

/// As docker's client: who closes a stream does not want it.
#[test]
fn a_closed_stream_is_nowhere() {
    let sandbox = Sandbox::new();
    for closing in [">&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let script = format!(
            "exec \"$0\" run --rm -i -v \"$1:/m\" bb sh -c 'echo to nobody; echo x > /m/ran' {closing}"
        );
        let ran = sandbox.path().join("ran");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, support::HULL]).arg(sandbox.path()).env("HULL_ROOT", sandbox.root());
        assert_eq!(command.status().unwrap().code(), Some(0), "{closing}");
        assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n", "{closing}");
        std::fs::remove_file(&ran).unwrap();
    }
    sandbox.assert_clean();
}

#[test]
fn the_detach_keys_leave_a_run_that_goes_on() {
    let sandbox = Sandbox::new();
    for flags in [&["--rm"][..], &[]] {
        let args = [&["run", "-it", "--name", "shell"], flags, &["bb", "sh"]].concat();
        let mut terminal = Terminal::start(sandbox.command(&args));
        terminal.expect("# ");
        terminal.send("\x10\x11");
        assert_eq!(terminal.wait(), 0);
        assert!(sandbox.ok(&["ps"]).contains("shell"), "{flags:?}");
        let mut again = Terminal::start(sandbox.command(&["attach", "shell"]));
        again.send("echo still $((40 + 2))\n");
        again.expect("still 42");
        again.send("exit 6\n");
        assert_eq!(again.wait(), 6);
        soon("it has ended", || sandbox.ok(&["ps", "-q"]).is_empty());
        sandbox.hull(&["rm", "shell"]);
    }
    sandbox.assert_clean();
}

#[test]
fn who_ran_it_may_be_killed() {
    let sandbox = Sandbox::new();
    let script = "trap '' INT; echo ready; while :; do sleep 0.1; done";
    let mut child = sandbox.command(&["run", "--name", "on", "bb", "sh", "-c", script]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sandbox.ok(&["inspect", "-f", "{{.State.Status}}", "on"]), "running\n");
    // Three interrupts that lead to nothing are an order of who runs it, and none of who is only attached.
    for (verb, then) in [
        (&["attach", "on"][..], "running\n"),
        (&["run", "--name", "two", "bb", "sh", "-c", script], "exited\n"),
    ] {
        let child = sandbox.command(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let name = if verb.len() == 2 { "on" } else { "two" };
        soon("it is there", || text(&sandbox.hull(&["logs", "--tail", "1", name]).stdout).contains("ready"));
        std::thread::sleep(std::time::Duration::from_millis(300));
        for _ in 0..3 {
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&child),
                rustix::process::Signal::INT,
            )
            .unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        child.wait_with_output().unwrap();
        assert_eq!(sandbox.ok(&["inspect", "-f", "{{.State.Status}}", name]), then, "{verb:?}");
    }
    sandbox.ok(&["rm", "-f", "on", "two"]);
    sandbox.assert_clean();
}

#[test]
fn detach_keys_can_be_others_or_none() {
    let sandbox = Sandbox::new();
    for (keys, typed, read) in
        [("", "\x10\x11", "<10 11>"), ("ctrl-p,ctrl-q", "\x10xy", "<10 78>"), ("a,b", "\x10\x11", "<10 11>")]
    {
        let script = "stty raw -echo; echo ready; echo \"<$(head -c 2 | od -An -tx1 | xargs)>\"";
        let args = ["run", "--rm", "-it", "--detach-keys", keys, "bb", "sh", "-c", script];
        let mut terminal = Terminal::start(sandbox.command(&args));
        terminal.expect("ready");
        terminal.send(typed);
        terminal.expect(read);
        assert_eq!(terminal.wait(), 0, "{keys}");
    }
    sandbox.assert_clean();
}

//! Killed at every step, nothing acknowledged is lost and the next command cleans up.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use support::{Registry, Sandbox, busybox, docker_archive, text};

/// Every named step in the sources.
fn steps() -> BTreeSet<String> {
    fn walk(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let calls = source.split("step!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(calls.filter(|name| name.contains('.')).map(str::to_owned));
            }
        }
    }
    let mut found = BTreeSet::new();
    for name in ["store", "engine", "runtime", "layer"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src"), &mut found);
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

/// A journey: arguments, and what is on standard input.
type Journey = (&'static [&'static str], fn() -> Vec<u8>);

const NOTHING: fn() -> Vec<u8> = Vec::new;
const IMPORT: Journey = (&["import", "-", "new:1"], busybox);
const LOAD: Journey = (&["load"], || docker_archive("new:2", &[busybox(), support::tar_of(&[("a", b"1")])]));
const RUN_RM: Journey = (&["run", "--rm", "bb", "sh", "-c", "echo x > /y"], NOTHING);
// Of a user whose ids take a further range.
const RUN_RM_CLEAN: Journey = (&["run", "--rm", "-u", "70000", "bb", "true"], NOTHING);
const RUN: Journey = (&["run", "--name", "kept", "bb", "true"], NOTHING);
const RM: Journey = (&["rm", "old"], NOTHING);
const RMI: Journey = (&["rmi", "gone"], NOTHING);
const TAG: Journey = (&["tag", "bb", "gone"], NOTHING);
const RENAME: Journey = (&["rename", "old", "older"], NOTHING);
const HELLO: Journey = (&["run", "--rm", "hello"], NOTHING);
const COMMIT: Journey = (&["commit", "old", "new:3"], NOTHING);
const PULL: Journey = (&["pull", "-q", "reg.test/there:1"], NOTHING);
const PUSH: Journey = (&["push", "-q", "reg.test/here:1"], NOTHING);
const ALL: [Journey; 13] =
    [IMPORT, LOAD, RUN_RM, RUN_RM_CLEAN, RUN, RM, RMI, TAG, RENAME, HELLO, COMMIT, PULL, PUSH];

/// Two images and a container that were acknowledged.
fn furnished() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "old", "bb", "sh", "-c", "echo old > /old"]);
    sandbox.hull_with_input(&["import", "-", "gone"], &support::tar_of(&[("z", b"z")]));
    sandbox
}

/// With a registry for those who ask one: an image is there that is not here, another one is here only.
fn furnished_for(journey: Journey) -> (Sandbox, Option<Registry>) {
    let sandbox = furnished();
    if ![PULL, PUSH].contains(&journey) {
        return (sandbox, None);
    }
    let registry = Registry::start(&sandbox);
    registry.known_to(&sandbox);
    sandbox.ok(&["tag", "bb", "reg.test/here:1"]);
    let layers = [support::tar_of(&[("a", b"1")]), support::tar_of(&[("b", &[7; 2_000_000])])];
    sandbox.hull_with_input(&["load", "-q"], &docker_archive("reg.test/there:1", &layers));
    sandbox.ok(&["push", "-q", "reg.test/there:1"]);
    sandbox.ok(&["rmi", "reg.test/there:1"]);
    (sandbox, Some(registry))
}

/// The steps a journey comes to, in order.
fn steps_of(journey: Journey) -> Vec<String> {
    let (sandbox, _registry) = furnished_for(journey);
    let output = with_kill(&sandbox, "list", journey);
    assert!(output.status.success(), "{:?}: {}", journey.0, text(&output.stderr));
    let mut seen = BTreeSet::new();
    let told = text(&output.stderr);
    let names = told.lines().filter_map(|line| line.strip_prefix("step "));
    names.filter(|name| seen.insert((*name).to_owned())).map(str::to_owned).collect()
}

fn with_kill(sandbox: &Sandbox, step: &str, (args, input): Journey) -> std::process::Output {
    use std::io::Write;
    use std::process::Stdio;
    let mut command = sandbox.command(args);
    command.env("HULL_KILL_AT", step).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(&input());
    child.wait_with_output().unwrap()
}

fn kill_at_every_step(journey: Journey) {
    for step in steps_of(journey) {
        kill_at(&step, journey);
    }
}

fn kill_at(step: &str, journey: Journey) {
    use std::os::unix::process::ExitStatusExt;
    let (sandbox, _registry) = furnished_for(journey);
    let output = with_kill(&sandbox, step, journey);
    let context = || format!("{:?} killed at {step}: {}", journey.0, text(&output.stderr));
    // A step of the child's kills the container's first process, and the command tells of that.
    assert!(
        output.status.signal() == Some(9) || step.contains(".child.") && !output.status.success(),
        "{}",
        context()
    );
    // The next command, whatever it is, cleans up what a run left; garbage of the store goes with a repair.
    let listed = sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]);
    assert!(journey == RM || listed.contains("old"), "{}: a container is lost: {listed}", context());
    assert!(
        sandbox.ok(&["images", "--format", "{{.Repository}}"]).contains("bb"),
        "{}: an image is lost",
        context()
    );
    if [RUN, RUN_RM, RUN_RM_CLEAN].contains(&journey) {
        sandbox.assert_clean();
    }
    let repair = sandbox.hull(&["system", "check", "--repair"]);
    assert!(repair.status.success(), "{}: {}", context(), text(&repair.stdout));
    sandbox.assert_clean();
    assert_eq!(sandbox.ok(&["run", "--rm", "bb", "echo", "fine"]), "fine\n", "{}", context());
}

#[test]
fn import_killed_at_every_step() {
    kill_at_every_step(IMPORT);
}

#[test]
fn load_killed_at_every_step() {
    kill_at_every_step(LOAD);
}

#[test]
fn run_rm_killed_at_every_step() {
    kill_at_every_step(RUN_RM);
}

#[test]
fn run_rm_of_a_clean_container_killed_at_every_step() {
    kill_at_every_step(RUN_RM_CLEAN);
}

#[test]
fn run_killed_at_every_step() {
    kill_at_every_step(RUN);
}

#[test]
fn rename_killed_at_every_step() {
    kill_at_every_step(RENAME);
}

/// Steps of a monitor, which has no stream to list them on.
const IN_MONITOR: [&str; 7] = [
    "engine.life.kept",
    "engine.life.noted",
    "engine.life.stays",
    "engine.run.cleaned",
    "engine.run.exited",
    "store.exit.rename",
    "store.exit.write",
];

/// Whoever comes to the step, the command or the monitor that it left: what is there afterwards can be seen and removed.
#[test]
fn a_detached_run_killed_at_every_step() {
    const DETACHED: Journey = (&["run", "-d", "--name", "kept", "bb", "true"], NOTHING);
    for step in steps_of(RUN).into_iter().chain(IN_MONITOR.map(str::to_owned)) {
        let sandbox = furnished();
        let output = with_kill(&sandbox, &step, DETACHED);
        let context = || format!("killed at {step}: {}", text(&output.stderr));
        let start = std::time::Instant::now();
        while !sandbox.ok(&["ps", "-q"]).is_empty() {
            assert!(start.elapsed().as_secs() < 30, "{}: it runs for ever", context());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let listed = sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]);
        assert!(listed.contains("old"), "{}: a container is lost: {listed}", context());
        assert!(!output.status.success() || listed.contains("kept"), "{}: it was acknowledged", context());
        sandbox.hull(&["rm", "kept"]);
        let repair = sandbox.hull(&["system", "check", "--repair"]);
        assert!(repair.status.success(), "{}: {}", context(), text(&repair.stdout));
        sandbox.assert_clean();
    }
}

#[test]
fn rm_killed_at_every_step() {
    kill_at_every_step(RM);
}

#[test]
fn commit_killed_at_every_step() {
    kill_at_every_step(COMMIT);
}

#[test]
fn pull_killed_at_every_step() {
    kill_at_every_step(PULL);
}

#[test]
fn push_killed_at_every_step() {
    kill_at_every_step(PUSH);
}

#[test]
fn rmi_killed_at_every_step() {
    kill_at_every_step(RMI);
}

#[test]
fn tag_killed_at_every_step() {
    kill_at_every_step(TAG);
}

#[test]
fn hello_killed_at_every_step() {
    kill_at_every_step(HELLO);
}

/// A step that no journey comes to is not tried: it must be one of cleaning up after something rare.
#[test]
fn every_step_of_the_sources_is_tried() {
    let reached: BTreeSet<_> = ALL.into_iter().flat_map(steps_of).collect();
    let reached: BTreeSet<_> = reached.into_iter().chain(IN_MONITOR.map(str::to_owned)).collect();
    let missed: Vec<_> = steps().into_iter().filter(|step| !reached.contains(step)).collect();
    let unexplained: Vec<_> = missed.iter().filter(|step| !RARE.contains(&step.as_str())).collect();
    assert!(unexplained.is_empty(), "no journey comes to {unexplained:?}");
}

/// Tried by the store's own crash test; the first is tried below.
const RARE: [&str; 7] = [
    "engine.bury.ended",
    // A container that waits for its start is of the runtime command.
    "runtime.gate.opened",
    "store.make.format",
    "store.make.tree",
    "store.name.sweep",
    "store.name.take_over",
    "store.slot.release_dead",
];

#[test]
fn who_is_killed_while_cleaning_up_is_cleaned_up_after() {
    let sandbox = furnished();
    with_kill(&sandbox, "engine.run.started", RUN_RM);
    with_kill(&sandbox, "engine.bury.ended", (&["ps"], NOTHING));
    assert_eq!(sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]), "old\n");
    sandbox.assert_clean();
}

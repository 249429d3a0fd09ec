//! Health checks: seen from inside the container, and told to whoever asks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use support::{Sandbox, monitor, soon, text};

fn health(sandbox: &Sandbox, id: &str) -> serde_json::Value {
    serde_json::from_str(&sandbox.shown(id, "{{json .State.Health}}")).unwrap()
}

fn is(sandbox: &Sandbox, id: &str, status: &str) -> bool {
    health(sandbox, id)["Status"] == status
}

/// A container that is well as long as it has a file.
fn checked(sandbox: &Sandbox, name: &str, flags: &[&str]) {
    let check = ["--health-cmd", "cat /well", "--health-interval", "100ms", "--health-retries", "2"];
    let start = [&["run", "-d", "--name", name][..], &check, flags, &["bb", "sleep", "1000"]].concat();
    sandbox.ok(&start);
}

#[test]
fn a_container_becomes_healthy_and_unhealthy_and_that_is_told() {
    let sandbox = Sandbox::new();
    checked(&sandbox, "web", &["--restart", "no"]);
    assert!(["starting", "unhealthy"].contains(&health(&sandbox, "web")["Status"].as_str().unwrap()));
    soon("two failures in a row", || is(&sandbox, "web", "unhealthy"));
    let told = health(&sandbox, "web");
    assert!(told["FailingStreak"].as_u64().unwrap() >= 2, "{told}");
    let last = told["Log"].as_array().unwrap().last().unwrap();
    assert_eq!(last["ExitCode"], 1);
    assert!(last["Output"].as_str().unwrap().contains("/well"), "what it said, on either stream: {last}");
    assert!(last["Start"].as_str() < last["End"].as_str(), "{last}");
    sandbox.ok(&["exec", "web", "sh", "-c", "echo fine > /well"]);
    soon("it is healed", || is(&sandbox, "web", "healthy"));
    assert!(sandbox.ok(&["ps", "--format", "{{.Status}}"]).ends_with("(healthy)\n"));
    assert_eq!(sandbox.ok(&["ps", "-q", "--filter", "health=unhealthy"]), "");
    assert_eq!(sandbox.ok(&["ps", "--format", "{{.Names}}", "--filter", "health=healthy"]), "web\n");
    soon("five results are kept", || health(&sandbox, "web")["Log"].as_array().unwrap().len() == 5);
    let events = [
        "events",
        "--since",
        "10m",
        "--until",
        "0s",
        "--filter",
        "event=health_status",
        "--format",
        "{{.Action}}",
    ];
    assert_eq!(sandbox.ok(&events), "health_status: unhealthy\nhealth_status: healthy\n");
    sandbox.ok(&["stop", "-t", "0", "web"]);
    assert!(is(&sandbox, "web", "unhealthy"), "as docker calls what has ended");
    sandbox.ok(&["start", "web"]);
    soon("it is well again", || is(&sandbox, "web", "healthy"));
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
fn a_check_has_its_time_and_its_place() {
    let sandbox = Sandbox::new();
    let slow = ["--health-cmd", "echo begun; id -u; sleep 1000", "--health-timeout", "300ms"];
    let flags =
        ["run", "-d", "--name", "slow", "--health-interval", "50ms", "--health-retries", "1", "-u", "1234"];
    sandbox.ok(&[&flags[..], &slow, &["bb", "sleep", "1000"]].concat());
    soon("it is unhealthy", || is(&sandbox, "slow", "unhealthy"));
    let told = health(&sandbox, "slow");
    let first = &told["Log"][0];
    assert_eq!(first["ExitCode"], -1, "{told}");
    assert_eq!(first["Output"], "Health check exceeded timeout (300ms): begun\n1234\n");
    soon("what took too long is killed", || sandbox.ok(&["top", "slow"]).matches("sleep 1000").count() <= 2);
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "loud",
        "--health-interval",
        "50ms",
        "--health-cmd",
        "yes | head -c 100000",
        "bb",
        "sleep",
        "1000",
    ]);
    soon("it is well", || is(&sandbox, "loud", "healthy"));
    assert_eq!(
        health(&sandbox, "loud")["Log"][0]["Output"].as_str().unwrap().len(),
        4096 + 3,
        "and three points"
    );
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "gone",
        "--health-interval",
        "50ms",
        "--health-retries",
        "1",
        "--health-cmd",
        "x",
        "bb",
        "sleep",
        "1000",
    ]);
    soon("what is not there is a failure", || is(&sandbox, "gone", "unhealthy"));
    sandbox.ok(&["rm", "-f", "slow", "loud", "gone"]);
    sandbox.assert_clean();
}

#[test]
fn failures_at_the_start_do_not_count_and_the_image_has_a_say() {
    let sandbox = Sandbox::new();
    checked(&sandbox, "begins", &["--health-start-period", "1h", "--health-start-interval", "50ms"]);
    soon("it was checked", || health(&sandbox, "begins")["Log"].as_array().unwrap().len() >= 3);
    assert!(is(&sandbox, "begins", "starting"));
    assert!(sandbox.ok(&["ps", "--format", "{{.Status}}"]).ends_with("(health: starting)\n"));
    let change = "HEALTHCHECK --interval=50ms --retries=1 CMD cat /etc/nothing";
    let bytes = support::busybox();
    let import = ["import", "-c", "ENV PATH=/bin", "-c", change, "-", "checked"];
    assert!(sandbox.hull_with_input(&import, &bytes).status.success());
    sandbox.ok(&["run", "-d", "--name", "image", "checked", "sleep", "1000"]);
    soon("the image's check", || is(&sandbox, "image", "unhealthy"));
    sandbox.ok(&["run", "-d", "--name", "mixed", "--health-cmd", "true", "checked", "sleep", "1000"]);
    soon("the image's interval", || is(&sandbox, "mixed", "healthy"));
    sandbox.ok(&["run", "-d", "--name", "none", "--no-healthcheck", "checked", "sleep", "1000"]);
    assert_eq!(sandbox.shown("none", "{{json .State.Health}}"), "null");
    assert_eq!(
        sandbox.shown("none", "{{json .Config.Healthcheck}}"),
        r#"{"Test":["NONE"],"Interval":50000000,"Retries":1}"#
    );
    let (code, error) = sandbox.fails(&["run", "--no-healthcheck", "--health-cmd", "x", "bb"]);
    assert!(code == 125 && error.contains("conflicts with --health-* options"), "{error}");
    sandbox.ok(&["rm", "-f", "begins", "image", "mixed", "none"]);
    sandbox.assert_clean();
}

#[test]
fn checks_go_on_with_the_next_monitor_and_rest_while_all_is_frozen() {
    let sandbox = Sandbox::new();
    checked(&sandbox, "web", &[]);
    sandbox.ok(&["exec", "web", "sh", "-c", "echo fine > /well"]);
    soon("it is well", || is(&sandbox, "web", "healthy"));
    kill_process(Pid::from_raw(monitor(&sandbox)).unwrap(), Signal::KILL).unwrap();
    let listed = sandbox.hull(&["ps"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let seen = health(&sandbox, "web")["Log"][4]["Start"].clone();
    soon("it is checked again", || health(&sandbox, "web")["Log"][4]["Start"] != seen);
    assert!(is(&sandbox, "web", "healthy"), "nothing was forgotten");
    sandbox.ok(&["pause", "web"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let seen = health(&sandbox, "web");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(health(&sandbox, "web")["Log"], seen["Log"], "nobody enters what is frozen");
    sandbox.ok(&["unpause", "web"]);
    soon("it goes on", || health(&sandbox, "web")["Log"] != seen["Log"]);
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

//! What containers use: the numbers beside what the containers do, and docker's forms of showing them.

mod support;

use serde_json::Value;
use support::{Sandbox, Terminal, soon, text};

/// A container that runs; its id.
fn running(sandbox: &Sandbox, flags: &[&str], script: &str) -> String {
    let id = sandbox.ok(&[&["run", "-d"], flags, &["bb", "sh", "-c", script]].concat());
    id.trim().to_owned()
}

/// One look at a container, by docker's names of the fields.
fn look(sandbox: &Sandbox, name: &str) -> Value {
    let line = sandbox.ok(&["stats", "--no-stream", "--format", "json", name]);
    serde_json::from_str(&line).expect("JSON")
}

/// A size as docker writes it, in bytes.
fn bytes(text: &str) -> f64 {
    let at = text.find(char::is_alphabetic).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let units = [("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)];
    let binary = [("KiB", 1024.0), ("MiB", 1048576.0), ("GiB", 1073741824.0), ("TiB", 1099511627776.0)];
    let factor = units.iter().chain(&binary).find(|(name, _)| *name == unit).expect("a unit").1;
    number.parse::<f64>().expect("a number") * factor
}

/// The two sizes of a field.
fn pair(row: &Value, field: &str) -> (f64, f64) {
    let (one, other) = row[field].as_str().expect("text").split_once(" / ").expect("two sizes");
    (bytes(one), bytes(other))
}

fn percent(row: &Value, field: &str) -> f64 {
    row[field].as_str().and_then(|text| text.strip_suffix('%')).expect("a share").parse().expect("a number")
}

#[test]
fn numbers_are_what_a_container_uses() {
    let sandbox = Sandbox::new();
    // 40 MiB of a tmpfs are memory of whoever wrote them.
    let script =
        "head -c 41943040 /dev/zero >/dev/shm/held; sleep 1000 & sleep 1000 & sleep 1000 & touch /done; wait";
    let flags = ["--name", "held", "-m", "200m", "--shm-size", "64m"];
    running(&sandbox, &flags, script);
    running(&sandbox, &["--name", "idle"], "exec sleep 1000");
    soon("it holds its memory", || sandbox.hull(&["exec", "held", "test", "-e", "/done"]).status.success());
    soon("whoever looked has gone", || look(&sandbox, "held")["PIDs"] == "4");
    let row = look(&sandbox, "held");
    let (memory, limit) = pair(&row, "MemUsage");
    assert_eq!(limit, 200.0 * 1048576.0, "{row}");
    assert!((40.0..80.0).contains(&(memory / 1048576.0)), "{row}");
    assert!((20.0..40.0).contains(&percent(&row, "MemPerc")), "{row}");
    let idle = look(&sandbox, "idle");
    assert_eq!(idle["PIDs"], "1");
    assert!(pair(&idle, "MemUsage").0 < 8.0 * 1048576.0, "{idle}");
    let total = std::fs::read_to_string("/proc/meminfo").expect("read meminfo");
    let total: f64 = total.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("MemTotal");
    assert!(
        (pair(&idle, "MemUsage").1 / (total * 1024.0) - 1.0).abs() < 0.01,
        "no limit is the host's: {idle}"
    );
    sandbox.ok(&["rm", "-f", "held", "idle"]);
    sandbox.assert_clean();
}

#[test]
fn a_busy_container_is_told_from_an_idle_one() {
    let sandbox = Sandbox::new();
    running(&sandbox, &["--name", "busy"], "while :; do :; done");
    running(&sandbox, &["--name", "idle"], "exec sleep 1000");
    // On a loaded machine it gets its share late.
    soon("it spins", || percent(&look(&sandbox, "busy"), "CPUPerc") > 10.0);
    soon("it sleeps", || percent(&look(&sandbox, "idle"), "CPUPerc") < 1.0);
    sandbox.ok(&["rm", "-f", "busy", "idle"]);
}

#[test]
fn what_goes_to_the_disk_and_through_a_network_is_counted() {
    let sandbox = Sandbox::new();
    let script = "dd if=/dev/zero of=/file bs=1M count=8 conv=fsync; touch /done; exec sleep 1000";
    running(&sandbox, &["--name", "writes"], script);
    soon("it has written", || sandbox.hull(&["exec", "writes", "test", "-e", "/done"]).status.success());
    let row = look(&sandbox, "writes");
    assert_eq!(row["NetIO"], "0B / 0B", "of its own interfaces, without the loopback");
    // Without a group that counts, or a disk that is one, docker shows nothing either.
    if row["BlockIO"] != "--" && !row["BlockIO"].as_str().expect("text").ends_with("/ 0B") {
        soon("8 MiB are through", || pair(&look(&sandbox, "writes"), "BlockIO").1 >= 8e6);
    }
    sandbox.ok(&["rm", "-f", "writes"]);
}

#[test]
fn those_that_are_asked_for_are_shown_in_dockers_forms() {
    let sandbox = Sandbox::new();
    let id = running(&sandbox, &["--name", "runs"], "exec sleep 1000");
    sandbox.ok(&["create", "--name", "waits", "bb", "true"]);
    sandbox.ok(&["run", "--name", "ended", "bb", "true"]);
    let names = |flags: &[&str]| {
        let format = ["stats", "--no-stream", "--format", "{{.Name}}"];
        let mut names: Vec<_> =
            sandbox.ok(&[&format[..], flags].concat()).lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(&[]), ["runs"]);
    assert_eq!(names(&["-a"]), ["ended", "runs", "waits"]);
    assert_eq!(names(&["ended", "runs"]), ["ended", "runs"]);
    let short = &id[..12];
    let line = sandbox.ok(&["stats", "--no-stream", "--format", "{{.Container}} {{.ID}}", "runs"]);
    assert_eq!(line, format!("runs {short}\n"));
    let whole = sandbox.ok(&["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}"]);
    assert_eq!(whole, format!("{id}\n"));
    let table = sandbox.ok(&["stats", "--no-stream"]);
    let heading: Vec<_> = table.lines().next().expect("a heading").split("   ").map(str::trim).collect();
    let heading: Vec<_> = heading.into_iter().filter(|cell| !cell.is_empty()).collect();
    let docker =
        ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
    assert_eq!(heading, docker);
    assert!(table.lines().nth(1).expect("a row").starts_with(&format!("{short}   runs ")), "{table}");
    let row = look(&sandbox, "ended");
    assert_eq!(
        (&row["CPUPerc"], &row["MemUsage"], &row["PIDs"]),
        (&"0.00%".into(), &"0B / 0B".into(), &"0".into())
    );
    let (code, error) = sandbox.fails(&["stats", "--no-stream", "runs", "nobody"]);
    assert!(code == 1 && error.contains("nobody"), "{error}");
    let (_, error) = sandbox.fails(&["stats", "--no-stream", "--format", "{{.Nothing}}", "runs"]);
    assert!(error.contains("Nothing"), "{error}");
    sandbox.ok(&["rm", "-f", "runs", "waits", "ended"]);
    sandbox.assert_clean();
}

#[test]
fn on_a_terminal_it_is_looked_at_again_and_again() {
    let sandbox = Sandbox::new();
    running(&sandbox, &["--name", "first"], "exec sleep 1000");
    let mut terminal = Terminal::start(sandbox.command(&["stats"]));
    terminal.expect("first");
    assert!(!terminal.expect("\x1b[J").contains("second"));
    running(&sandbox, &["--name", "second"], "exec sleep 1000");
    terminal.expect("second");
    sandbox.ok(&["rm", "-f", "first"]);
    soon("one that is gone is not shown", || {
        terminal.expect("\x1b[H");
        let screen = terminal.expect("\x1b[J");
        !screen.contains("first") && screen.contains("second")
    });
    drop(terminal);
    sandbox.ok(&["rm", "-f", "second"]);
}

#[test]
fn who_reads_no_more_ends_it() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let sandbox = Sandbox::new();
    running(&sandbox, &["--name", "one"], "exec sleep 1000");
    let mut command = sandbox.command(&["stats", "--format", "{{.Name}}"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run hull stats");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for _ in 0..2 {
        assert_eq!(lines.next().expect("a line").expect("text"), "one");
    }
    drop(lines);
    let output = child.wait_with_output().expect("it ends");
    assert!(text(&output.stderr).is_empty(), "{output:?}");
    sandbox.ok(&["rm", "-f", "one"]);
}

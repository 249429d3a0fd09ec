//! What containers write, by every driver: looked at in the files and sockets it goes to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::{HULL, Sandbox, busybox, soon, text};

/// Runs it to its end, detached.
fn finished(sandbox: &Sandbox, flags: &[&str], script: &str) -> String {
    let id = sandbox.ok(&[&["run", "-d"], flags, &["bb", "sh", "-c", script]].concat());
    sandbox.ok(&["wait", id.trim()]);
    id.trim().to_owned()
}

fn log_dir(sandbox: &Sandbox, id: &str) -> PathBuf {
    sandbox.shown(id, "{{.GraphDriver.Data.UpperDir}}").replace("/upper", "/logs").into()
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A server gets something within a time that is long even on a busy machine.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

#[test]
fn a_flood_is_capped_rotated_packed_and_read_while_it_comes() {
    let sandbox = Sandbox::new();
    // 20,000 lines of 110 bytes, of which some segments of 200,000 bytes are kept.
    let script =
        "i=0; while [ $i -lt 20000 ]; do echo $i $(printf %0100d 0); i=$((i+1)); done; echo last >&2";
    let flags = ["--name", "flood", "--log-opt", "max-size=200k", "--log-opt", "max-file=100"];
    sandbox.ok(&[&["run", "-d"], &flags[..], &["bb", "sh", "-c", script]].concat());
    let followed = sandbox.hull(&["logs", "-f", "flood"]);
    let lines: Vec<_> = text(&followed.stdout).lines().map(str::to_owned).collect();
    let expected = (0..20_000).map(|i| format!("{i} {:0100}", 0));
    assert!(lines.len() == 20_000 && lines.iter().eq(expected.collect::<Vec<_>>().iter()), "{}", lines.len());
    assert_eq!(followed.stderr, b"last\n");
    let files = names(&log_dir(&sandbox, "flood"));
    assert!(files.len() > 10 && files.iter().any(|name| name.ends_with(".zst")), "{files:?}");
    assert!(sandbox.hull(&["logs", "flood"]).stdout == followed.stdout, "all of it, packed or not");
    assert_eq!(sandbox.ok(&["logs", "--tail", "3", "flood"]).lines().count(), 2, "and one of stderr");
    sandbox.ok(&["rm", "flood"]);
    let flags = ["--name", "small", "--log-opt", "max-size=200k", "--log-opt", "max-file=2"];
    finished(&sandbox, &flags, script);
    let kept = text(&sandbox.hull(&["logs", "small"]).stdout);
    assert!(kept.len() < 500_000 && kept.ends_with(&format!("19999 {:0100}\n", 0)), "{}", kept.len());
    assert!(names(&log_dir(&sandbox, "small")).len() <= 2);
    sandbox.ok(&["rm", "small"]);
    sandbox.assert_clean();
}

#[test]
fn lines_of_any_length_and_any_bytes_are_one_line() {
    let sandbox = Sandbox::new();
    let script = "head -c 3000000 /dev/zero; echo; printf 'a\\000\\377b'; sleep 0.2; echo c";
    let id = finished(&sandbox, &[], script);
    let all = sandbox.hull(&["logs", &id]).stdout;
    assert_eq!((all.len(), &all[3_000_000..]), (3_000_007, &b"\na\0\xffbc\n"[..]));
    assert_eq!(sandbox.hull(&["logs", "-n", "1", &id]).stdout, b"a\0\xffbc\n");
    assert_eq!(sandbox.hull(&["logs", "-n", "2", &id]).stdout.len(), 3_000_007);
    assert_eq!(text(&sandbox.hull(&["logs", "-t", "-n", "1", &id]).stdout).matches('Z').count(), 1);
    sandbox.ok(&["rm", &id]);
}

#[test]
fn a_silent_container_has_no_log_and_a_foreground_one_has() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "silent", "bb", "true"]);
    assert_eq!(sandbox.shown("silent", "{{.LogPath}}"), "");
    assert_eq!(sandbox.ok(&["logs", "silent"]), "");
    let said = sandbox.hull(&["run", "--name", "front", "bb", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((said.stdout.as_slice(), said.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    let logged = sandbox.hull(&["logs", "front"]);
    assert_eq!((logged.stdout, logged.stderr), (said.stdout, said.stderr));
    assert!(PathBuf::from(sandbox.shown("front", "{{.LogPath}}")).is_dir());
    let into = sandbox.hull_with_input(&["run", "-i", "--name", "cat", "bb", "cat"], &vec![b'y'; 500_000]);
    assert!(into.stdout.len() == 500_000 && sandbox.hull(&["logs", "cat"]).stdout == into.stdout);
    sandbox.ok(&["rm", "silent", "front", "cat"]);
    sandbox.assert_clean();
}

#[test]
fn what_was_written_before_the_monitor_was_killed_is_there_and_the_next_goes_on() {
    let sandbox = Sandbox::new();
    let script = "i=0; while :; do echo line $i; i=$((i+1)); done";
    sandbox.ok(&["run", "-d", "--name", "torn", "bb", "sh", "-c", script]);
    for _ in 0..3 {
        soon("it writes", || sandbox.ok(&["logs", "--tail", "1", "torn"]).contains("line"));
        let seen = sandbox.ok(&["logs", "torn"]);
        let pid: i32 = sandbox.shown("torn", "{{.State.Pid}}").parse().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let monitor: i32 =
            stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
        let monitor = rustix::process::Pid::from_raw(monitor).unwrap();
        rustix::process::kill_process(monitor, rustix::process::Signal::KILL).unwrap();
        let _ = sandbox.hull(&["kill", "torn"]);
        soon("it has ended", || sandbox.ok(&["ps", "-q"]).is_empty());
        let after = sandbox.ok(&["logs", "torn"]);
        assert!(after.starts_with(&seen), "what was seen is still there");
        sandbox.ok(&["start", "torn"]);
    }
    sandbox.ok(&["rm", "-f", "torn"]);
    sandbox.assert_clean();
}

#[test]
fn following_begins_before_the_first_byte_and_shows_what_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[
        "run",
        "-d",
        "-i",
        "--name",
        "late",
        "bb",
        "sh",
        "-c",
        "sleep 1; echo one; sleep 1; echo two",
    ]);
    assert_eq!(sandbox.ok(&["logs", "-f", "late"]), "one\ntwo\n");
    assert_eq!(sandbox.ok(&["logs", "-f", "--tail", "1", "late"]), "two\n");
    assert_eq!(sandbox.ok(&["logs", "--tail", "0", "late"]), "");
    let times = sandbox.ok(&["logs", "-t", "late"]);
    let second = times.lines().nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(sandbox.ok(&["logs", "--since", second, "late"]), "two\n");
    assert_eq!(sandbox.ok(&["logs", "--until", second, "late"]), "one\ntwo\n");
    let first = times.split(' ').next().unwrap();
    assert_eq!(sandbox.ok(&["logs", "--until", first, "late"]), "one\n");
    let (code, error) = sandbox.fails(&["logs", "--since", "soon", "late"]);
    assert!(
        code == 1 && error.contains("invalid value for \"since\": failed to parse value as time"),
        "{error}"
    );
    // A time without a zone is of the caller's, here five hours and a half before that of UTC.
    let zoned = |flag: &str, zone: &str| {
        let local = format!("{}T{}", &second[..10], &second[11..second.len() - 1]);
        let output = sandbox.command(&["logs", flag, &local, "late"]).env("TZ", zone).output().unwrap();
        text(&output.stdout)
    };
    assert_eq!(
        (zoned("--since", "UTC0"), zoned("--since", "XYZ-5:30")),
        ("two\n".into(), "one\ntwo\n".into())
    );
    assert_eq!(zoned("--until", "XYZ-5:30"), "");
    let events = ["events", "--since", "0", "--until", "0s", "--filter", "container=late"];
    let told = sandbox.command(&events).env("TZ", "XYZ-5:30").output().unwrap();
    let told = text(&told.stdout);
    assert!(!told.is_empty() && told.lines().all(|line| &line[29..35] == "+05:30"), "{told}");
    sandbox.ok(&["rm", "late"]);
}

#[test]
fn details_are_those_that_the_options_name() {
    let sandbox = Sandbox::new();
    let flags = ["--label", "app=a b", "--label", "x=1", "-e", "COLOUR=red", "-e", "OTHER=2"];
    let opts = ["--log-opt", "labels=app", "--log-opt", "env-regex=^CO"];
    for driver in ["hull", "json-file"] {
        let id = finished(&sandbox, &[&flags[..], &opts, &["--log-driver", driver]].concat(), "echo hi");
        assert_eq!(sandbox.ok(&["logs", "--details", &id]), "COLOUR=red,app=a+b hi\n");
        assert_eq!(
            sandbox.shown(&id, "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config.labels}}"),
            format!("{driver} app")
        );
        sandbox.ok(&["rm", &id]);
    }
}

#[test]
fn json_files_are_dockers() {
    let sandbox = Sandbox::new();
    let script = "echo '<out> \"q\"'; i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done";
    let opts = ["max-size=5k", "max-file=3", "compress=true"].map(|opt| ["--log-opt", opt]).concat();
    let id = finished(&sandbox, &[&["--log-driver", "json-file"], &opts[..]].concat(), script);
    let path = PathBuf::from(sandbox.shown(&id, "{{.LogPath}}"));
    assert!(path.ends_with(format!("logs/{id}-json.log")));
    for row in std::fs::read_to_string(&path).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        assert!(row["log"].as_str().unwrap().ends_with('\n') && row["stream"].is_string(), "{row}");
        assert!(row["time"].as_str().unwrap().ends_with('Z'));
    }
    let files = names(path.parent().unwrap());
    assert!(files.len() == 3 && files[1].contains(".1"), "{files:?}");
    let kept = sandbox.ok(&["logs", &id]);
    assert!(kept.ends_with("298\n299\n") && kept.lines().count() > 100, "{kept}");
    assert_eq!(sandbox.ok(&["logs", "--tail", "2", &id]), "298\n299\n");
    let whole = finished(&sandbox, &["--log-driver", "json-file"], &format!("echo err >&2; {script}"));
    let both = sandbox.hull(&["logs", &whole]);
    assert!(text(&both.stdout).starts_with("<out> \"q\"\n0\n1\n") && both.stderr == b"err\n");
    sandbox.ok(&["rm", &id, &whole]);
    sandbox.assert_clean();
}

#[test]
fn what_nobody_keeps_cannot_be_read() {
    let sandbox = Sandbox::new();
    let id = finished(&sandbox, &["--log-driver", "none"], "echo gone");
    let (code, error) = sandbox.fails(&["logs", &id]);
    assert_eq!(
        (code, error.contains("configured logging driver does not support reading")),
        (1, true),
        "{error}"
    );
    assert!(names(&log_dir(&sandbox, &id)).is_empty());
    sandbox.ok(&["rm", &id]);
    for (options, words) in [
        (&["--log-driver", "nobody"][..], "no log driver named 'nobody' is registered"),
        (&["--log-driver", "json-file", "--log-opt", "max-file=0"], "max-file cannot be less than 1"),
        (&["--log-driver", "syslog", "--log-opt", "syslog-address=unix:///nowhere"], "/nowhere"),
    ] {
        let (_, error) = sandbox.fails(&[&["create"], options, &["bb", "true"]].concat());
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(sandbox.ok(&["ps", "-aq"]), "", "refused before there is a container");
    sandbox.assert_clean();
}

#[test]
fn a_container_with_the_callers_own_streams_writes_to_them() {
    let sandbox = Sandbox::new();
    let flags = ["run", "--log-driver", "passthrough", "--name"];
    let script = "cat; echo out; echo err >&2";
    let front = sandbox.hull_with_input(&[&flags[..], &["own", "bb", "sh", "-c", script]].concat(), b"in\n");
    assert_eq!((text(&front.stdout), text(&front.stderr)), ("in\nout\n".into(), "err\n".into()));
    let file = sandbox.path().join("out");
    let out = std::fs::File::create(&file).unwrap();
    let again =
        sandbox.command(&["start", "own"]).stdout(out.try_clone().unwrap()).stderr(out).status().unwrap();
    assert!(again.success());
    sandbox.ok(&["wait", "own"]);
    let said = std::fs::read_to_string(&file).unwrap();
    assert!(said.contains("out\n") && said.contains("err\n"), "{said}");
    assert_eq!(sandbox.fails(&["logs", "own"]).0, 1);
    sandbox.ok(&["rm", "own"]);
    sandbox.assert_clean();
}

#[test]
fn syslog_servers_get_each_line_in_the_form_that_was_chosen() {
    let sandbox = Sandbox::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(PATIENCE).unwrap();
    let local = UnixDatagram::bind(sandbox.path().join("log")).unwrap();
    local.set_read_timeout(PATIENCE).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = |address: &str, format: &str| {
        let (address, format) = (format!("syslog-address={address}"), format!("syslog-format={format}"));
        let opts = ["--log-opt", &address, "--log-opt", &format, "--log-opt", "tag=t-{{.Name}}"];
        finished(
            &sandbox,
            &[&["--name", "nn", "--log-driver", "syslog"], &opts[..]].concat(),
            "echo a; echo b >&2",
        );
        sandbox.ok(&["rm", "nn"]);
    };
    let mut buffer = [0; 1000];
    to(&format!("udp://{}", udp.local_addr().unwrap()), "rfc5424");
    let mut got: Vec<_> =
        (0..2).map(|_| udp.recv(&mut buffer).map(|length| text(&buffer[..length])).unwrap()).collect();
    got.sort();
    assert!(got[0].starts_with("<27>1 20") && got[0].ends_with(" t-nn - b\n"), "{got:?}");
    assert!(got[1].starts_with("<30>1 20") && got[1].ends_with(" t-nn - a\n"), "{got:?}");
    to(&format!("unixgram://{}", sandbox.path().join("log").display()), "");
    let length = local.recv(&mut buffer).unwrap();
    assert!(text(&buffer[..length]).contains(" t-nn["), "{}", text(&buffer[..length]));
    to(&format!("tcp://{}", tcp.local_addr().unwrap()), "rfc3164");
    let mut lines: Vec<_> = BufReader::new(tcp.accept().unwrap().0).lines().map(Result::unwrap).collect();
    lines.sort();
    assert!(lines.len() == 2 && lines[0].starts_with("<27>") && lines[0].ends_with("]: b"), "{lines:?}");
    let (_, error) = sandbox.fails(&[
        "run",
        "--log-driver",
        "syslog",
        "--log-opt",
        "syslog-address=tcp://127.0.0.1:1",
        "bb",
    ]);
    assert!(error.contains("failed to initialize logging driver"), "{error}");
    sandbox.assert_clean();
}

#[test]
fn a_syslog_server_that_takes_nothing_does_not_stop_a_container() {
    let sandbox = Sandbox::new();
    let server = UnixDatagram::bind(sandbox.path().join("log")).unwrap();
    let address = format!("syslog-address=unixgram://{}", sandbox.path().join("log").display());
    let script = "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done";
    let flags = ["--log-driver", "syslog", "--log-opt", &address];
    for mode in ["mode=blocking", "mode=non-blocking"] {
        let id = finished(&sandbox, &[&flags[..], &["--log-opt", mode]].concat(), script);
        let error = sandbox.shown(&id, "{{.State.Error}}");
        assert!(error.contains("missing in the container's log"), "{mode}: {error}");
        sandbox.ok(&["rm", &id]);
    }
    drop(server);
}

#[test]
fn what_a_slow_server_has_not_taken_goes_when_it_takes_it_and_the_monitor_waits_for_nobody() {
    let sandbox = Sandbox::new();
    let server = UnixDatagram::bind(sandbox.path().join("log")).unwrap();
    server.set_read_timeout(PATIENCE).unwrap();
    let address = format!("syslog-address=unixgram://{}", sandbox.path().join("log").display());
    // More than a queue of datagrams has room for, and then nothing more.
    let script = "for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7 8 9; do echo $i $j; done; done; exec sleep 1000";
    let flags =
        ["--name", "slow", "--log-driver", "syslog", "--log-opt", &address, "--log-opt", "mode=non-blocking"];
    sandbox.ok(&[&["run", "-d"], &flags[..], &["bb", "sh", "-c", script]].concat());
    soon("it has written all", || {
        sandbox.ok(&["top", "slow", "-o", "pid,args"]).lines().any(|line| line.ends_with("sleep 1000"))
    });
    let mut buffer = [0; 1000];
    for (i, j) in (1..10).flat_map(|i| (1..10).map(move |j| (i, j))) {
        let length = server.recv(&mut buffer).unwrap();
        let line = text(&buffer[..length]);
        assert!(line.ends_with(&format!("]: {i} {j}\n")), "{i} {j}: {line}");
    }
    sandbox.ok(&["rm", "-f", "slow"]);
    // While a server is waited for whoever comes is let in, and who was killed has ended.
    let blocking = [&flags[..6], &["--log-opt", "mode=blocking"]].concat();
    let script = "while :; do echo line; done";
    sandbox.ok(&[&["run", "-d"], &blocking[..], &["bb", "sh", "-c", script]].concat());
    assert_eq!(sandbox.ok(&["exec", "slow", "echo", "in"]), "in\n");
    sandbox.ok(&["kill", "slow"]);
    sandbox.ok(&["wait", "slow"]);
    assert!(sandbox.shown("slow", "{{.State.Error}}").contains("missing in the container's log"));
    sandbox.ok(&["rm", "slow"]);
    drop(server);
}

/// A script with the sandbox's root, and the host's journal, where only the script sees them.
fn apart(sandbox: &Sandbox, mounts: &str, script: &str) -> Output {
    std::fs::create_dir_all(sandbox.root()).unwrap();
    std::fs::write(sandbox.path().join("bb.tar"), busybox()).unwrap();
    let whole =
        format!("{mounts} || exit 99\n$hull import -c 'ENV PATH=/bin' $dir/bb.tar bb > /dev/null\n{script}");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-euc", &whole]).env("HULL_ROOT", sandbox.root());
    command.env("hull", HULL).env("dir", sandbox.path()).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_journal_gets_dockers_fields() {
    let sandbox = Sandbox::empty();
    let journal = UnixDatagram::bind(sandbox.path().join("socket")).unwrap();
    journal.set_read_timeout(PATIENCE).unwrap();
    let mounts = "mkdir -p /run/systemd/journal && mount -t tmpfs none /run/systemd/journal && \
        touch /run/systemd/journal/socket && mount --bind $dir/socket /run/systemd/journal/socket";
    let script = "$hull run -d --name jj --log-driver journald --label app=web --log-opt labels=app bb \
        sh -c 'echo one >&2; head -c 20000 /dev/zero'; $hull wait jj; $hull rm jj";
    let done = apart(&sandbox, mounts, script);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let mut messages = Vec::new();
    let mut buffer = vec![0; 100_000];
    for _ in 0..3 {
        let length = journal.recv(&mut buffer).unwrap();
        messages.push(buffer[..length].to_vec());
    }
    let has = |message: &[u8], field: &str| text(message).lines().any(|line| line == field);
    let line = messages.iter().find(|message| has(message, "MESSAGE=one")).unwrap();
    for field in ["PRIORITY=3", "CONTAINER_NAME=jj", "IMAGE_NAME=bb", "APP=web"] {
        assert!(has(line, field), "{field}: {}", text(line));
    }
    let pieces: Vec<_> =
        messages.iter().filter(|message| has(message, "CONTAINER_PARTIAL_MESSAGE=true")).collect();
    assert_eq!(pieces.len(), 2, "16 KiB, and the rest");
    sandbox.assert_clean();
}

#[test]
fn a_full_disk_does_not_stop_a_container_and_what_is_lost_is_told() {
    let sandbox = Sandbox::empty();
    let script = r#"
$hull run -d --name full --tmpfs /t bb sh -c 'echo begin; while [ ! -e /t/go ]; do sleep 0.05; done
    i=0; while [ $i -lt 200 ]; do head -c 65536 /dev/zero; i=$((i+1)); done; echo; touch /t/wrote
    while [ ! -e /t/end ]; do sleep 0.05; done; echo more'
until $hull logs full | grep -q begin; do sleep 0.05; done
! cat /dev/zero > "$HULL_ROOT/filler" 2> /dev/null
truncate -s -65536 "$HULL_ROOT/filler"
$hull exec full touch /t/go
until $hull exec full test -e /t/wrote; do sleep 0.05; done
[ "$($hull inspect -f '{{.State.Running}}' full)" = true ]
lost=$($hull inspect -f '{{.LogLost.Bytes}}' full)
[ "$lost" -gt 1000000 ] || { echo "lost $lost"; exit 1; }
rm "$HULL_ROOT/filler"
$hull exec full touch /t/end
$hull wait full
$hull logs full 2> $dir/told | tail -n 1 | grep -qx more
grep -q 'bytes of output are missing here: No space left on device' $dir/told
$hull inspect -f '{{.State.Error}}' full | grep -q "bytes of output are missing in the container's log"
$hull rm full > /dev/null
$hull system check
echo done"#;
    let done = apart(&sandbox, "mount -t tmpfs -o size=12m none \"$HULL_ROOT\"", script);
    assert!(text(&done.stdout).ends_with("done\n"), "{}\n{}", text(&done.stdout), text(&done.stderr));
}

#[test]
fn a_container_neither_sees_nor_reaches_what_is_kept_of_it() {
    let sandbox = Sandbox::new();
    // With the host's ids, too: what it has of hull's are the ends of pipes.
    for flags in [&[][..], &["--userns", "host"]] {
        let script = "ls -l /proc/self/fd /proc/1/fd; find / -xdev -name '*logs*' -o -xdev -name 0000000\\*; \
            for fd in /proc/self/fd/*; do readlink $fd; done; cat /proc/self/mountinfo";
        let id = finished(&sandbox, flags, script);
        let seen = sandbox.ok(&["logs", &id]);
        assert!(seen.contains("pipe:[") && !seen.contains("/logs"), "{seen}");
        let dir = log_dir(&sandbox, &id);
        let mode = |path: &std::path::Path| {
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions())
        };
        assert_eq!(mode(&dir) & 0o777, 0o700);
        assert_eq!(mode(&dir.join("00000001")) & 0o007, 0);
        sandbox.ok(&["rm", &id]);
    }
}

#[test]
fn what_is_read_goes_on_while_a_reader_is_slow() {
    let sandbox = Sandbox::new();
    let script = "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done";
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "slow",
        "--log-opt",
        "max-size=100k",
        "--log-opt",
        "max-file=50",
        "bb",
        "sh",
        "-c",
        script,
    ]);
    let mut reader = sandbox.command(&["logs", "-f", "slow"]).stdout(Stdio::piped()).spawn().unwrap();
    sandbox.ok(&["wait", "slow"]);
    let mut all = String::new();
    reader.stdout.take().unwrap().read_to_string(&mut all).unwrap();
    assert!(reader.wait().unwrap().success());
    assert!(all.lines().eq((0..30_000).map(|i| format!("line {i}")).collect::<Vec<_>>()), "{}", all.len());
    sandbox.ok(&["rm", "slow"]);
}

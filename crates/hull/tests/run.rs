//! `hull run` seen from inside the container and from the host.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::process::Stdio;
use support::{Sandbox, Terminal, docker_archive, tar_of, text};

#[test]
fn hello_needs_nothing_and_tells_what_isolates_it() {
    let sandbox = Sandbox::empty();
    let said = sandbox.ok(&["run", "--rm", "hello"]);
    for part in
        ["pid 1", "user mnt pid net ipc uts cgroup", "interface lo alone", "overlay", "14 of 41", "filtered"]
    {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    sandbox.assert_clean();
}

#[test]
fn exit_codes_are_dockers() {
    let sandbox = Sandbox::new();
    let code = |args: &[&str]| {
        let all: Vec<_> = ["run", "--rm"].iter().chain(args).copied().collect();
        sandbox.hull(&all).status.code()
    };
    assert_eq!(code(&["bb", "true"]), Some(0));
    assert_eq!(code(&["bb", "sh", "-c", "exit 255"]), Some(255));
    assert_eq!(code(&["bb", "nosuch"]), Some(127));
    assert_eq!(code(&["bb", "/bin"]), Some(126));
    assert_eq!(code(&["bb", "/etc/passwd"]), Some(126));
    assert_eq!(
        code(&["bb", "sh", "-c", "(sleep 1; kill -9 -1) & kill -TERM $$; sleep 5"]),
        Some(0),
        "pid 1 has no default actions"
    );
    assert_eq!(code(&["nope"]), Some(125));
    assert_eq!(code(&["--nope", "bb"]), Some(125));
    assert_eq!(code(&["-u", "nobody-here", "bb", "true"]), Some(125));
    assert_eq!(code(&["--init", "bb", "sh", "-c", "kill -TERM $$"]), Some(143));
    sandbox.assert_clean();
}

#[test]
fn two_containers_live_as_on_two_systems() {
    let sandbox = Sandbox::new();
    let mut other = sandbox.command(&[
        "run",
        "--rm",
        "-i",
        "--name",
        "other",
        "--hostname",
        "elsewhere",
        "bb",
        "sh",
        "-c",
        "echo secret > /here; ipcmk -S 1 >/dev/null 2>&1; echo ready; cat",
    ]);
    let mut other = other.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(&line, b"ready\n");
    let seen = sandbox.sh(&["--hostname", "mine"], "hostname; ps -o pid,args | grep -c cat$; ls /here 2>&1; ls / | tr '\\n' ' '; cat /proc/1/uid_map; ls /sys/class/net; cat /proc/net/dev | wc -l");
    assert!(seen.starts_with("mine\n0\n"), "{seen}");
    assert!(seen.contains("No such file"), "{seen}");
    assert!(!seen.contains("var") && !seen.contains("usr"), "the host's root shows: {seen}");
    let map = |text: &str| {
        text.split_whitespace()
            .collect::<Vec<_>>()
            .windows(3)
            .find(|w| w[0] == "0" && w[2] == "65536")
            .map(|w| w[1].to_owned())
    };
    let mine = map(&seen).expect("an id map");
    assert!(mine.parse::<u32>().unwrap() >= 1_879_048_192, "{mine}");
    assert_eq!(sandbox.ok(&["ps", "--format", "{{.Names}}"]), "other\n");
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    sandbox.assert_clean();
}

#[test]
fn every_namespace_is_the_containers_own() {
    let sandbox = Sandbox::new();
    let inside = sandbox.sh(
        &["--time", "boottime=+1h"],
        "for n in mnt pid net ipc uts cgroup user time; do readlink /proc/self/ns/$n; done; cat /proc/uptime",
    );
    let mut lines = inside.lines();
    for name in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time"] {
        let host = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(lines.next().unwrap(), host.to_str().unwrap(), "{name} is the host's");
    }
    let uptime = |text: &str| text.split('.').next().unwrap().parse::<i64>().unwrap();
    let host = uptime(&std::fs::read_to_string("/proc/uptime").unwrap());
    let own = uptime(lines.next().unwrap());
    assert!((own - host - 3600).abs() <= 5, "{own} against {host}");
}

#[test]
fn capabilities_filter_and_masks_are_dockers() {
    let sandbox = Sandbox::new();
    let status = sandbox.sh(&[], "grep -E '^(CapEff|CapBnd|CapAmb|Seccomp|NoNewPrivs):' /proc/self/status");
    for line in [
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "Seccomp:\t2",
        "NoNewPrivs:\t0",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let none = sandbox.sh(
        &[
            "--cap-drop",
            "ALL",
            "--cap-add",
            "chown",
            "--security-opt",
            "no-new-privileges",
            "--security-opt",
            "seccomp=unconfined",
        ],
        "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status",
    );
    for line in ["CapEff:\t0000000000000001", "Seccomp:\t0", "NoNewPrivs:\t1"] {
        assert!(none.contains(line), "{line}: {none}");
    }
    let refused = sandbox.sh(&[], "unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; (echo x > /proc/sys/kernel/hostname) 2>&1; cat /proc/kcore | wc -c; ls /sys/firmware | wc -l; mknod /x b 8 0 2>&1; (echo 1 > /sys/kernel/mm/ksm/run) 2>&1; true");
    assert!(refused.contains("unshare(0x10000000): Operation not permitted"), "{refused}");
    assert!(refused.contains("\n0\n0\n"), "masked paths show something: {refused}");
    assert!(!std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().starts_with('x'));
}

#[test]
fn privileged_is_what_docker_means_by_it() {
    let sandbox = Sandbox::new();
    let said = sandbox.sh(&["--privileged"], "grep -E '^(CapEff|Seccomp):' /proc/self/status; cat /proc/self/uid_map; mount -t tmpfs x /home && echo mounted; ls /dev/kmsg; [ -w /proc/sys/kernel/hostname ] && echo writable");
    assert!(
        said.contains("Seccomp:\t0")
            && said.contains("4294967295")
            && said.contains("mounted")
            && said.contains("writable"),
        "{said}"
    );
}

#[test]
fn users_groups_and_the_environment_come_from_image_and_flags() {
    let sandbox = Sandbox::new();
    assert_eq!(
        sandbox.sh(&["-u", "user"], "id -u; id -g; id -G; echo $HOME"),
        "1000\n1000\n1000 2000\n/home/user\n"
    );
    assert_eq!(sandbox.sh(&["-u", "7:8", "--group-add", "extra"], "id -u; id -g; id -G"), "7\n8\n8 2000\n");
    assert_eq!(
        sandbox.sh(&["-e", "A=1 2", "-e", "PATH=/x:/bin", "-w", "/deep/down"], "echo $A; echo $PATH; pwd"),
        "1 2\n/x:/bin\n/deep/down\n"
    );
    let args = ["run", "--rm", "--entrypoint", "echo", "bb", "-n", "x"];
    assert_eq!(sandbox.ok(&args), "x");
    let mut command =
        sandbox.command(&["run", "--rm", "-e", "FROM_CALLER", "bb", "sh", "-c", "echo $FROM_CALLER"]);
    assert_eq!(text(&command.env("FROM_CALLER", "yes").output().unwrap().stdout), "yes\n");
}

#[test]
fn streams_carry_every_byte_both_ways() {
    let sandbox = Sandbox::new();
    let bytes: Vec<u8> =
        (0..3_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let out = sandbox.hull_with_input(&["run", "--rm", "-i", "bb", "cat"], &bytes);
    assert!(out.status.success());
    assert!(out.stdout == bytes, "{} bytes came back", out.stdout.len());
    let both =
        sandbox.hull(&["run", "--rm", "bb", "sh", "-c", "echo out; echo err >&2; echo again >/dev/stdout"]);
    assert_eq!((text(&both.stdout), text(&both.stderr)), ("out\nagain\n".into(), "err\n".into()));
    assert_eq!(sandbox.sh(&[], "wc -c"), "0\n", "without -i standard input is empty");
    let only = sandbox.hull(&["run", "--rm", "-a", "stderr", "bb", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((text(&only.stdout), text(&only.stderr)), (String::new(), "err\n".into()));
}

#[test]
fn signals_are_passed_on() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo got usr1; exit 7' USR1; echo ready; while :; do sleep 0.1; done";
    let mut child =
        sandbox.command(&["run", "--rm", "bb", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(7), "got usr1\n"));
    sandbox.assert_clean();
}

#[test]
fn a_terminal_is_real() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::start(sandbox.command(&["run", "--rm", "-it", "bb", "sh"]));
    terminal.expect("# ");
    terminal.send("tty; stty size; echo $TERM\n");
    terminal.expect("/dev/pts/0");
    terminal.expect("24 80");
    terminal.expect("xterm");
    terminal.resize(100, 30);
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.send("stty size\n");
    terminal.expect("30 100");
    terminal.send("sleep 100\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.send("\x03");
    terminal.expect("# ");
    terminal.send("exit 5\n");
    assert_eq!(terminal.wait(), 5);
    sandbox.assert_clean();
}

#[test]
fn what_a_container_writes_is_its_own() {
    let sandbox = Sandbox::new();
    let run = |name: &str, script: &str| sandbox.hull(&["run", "--name", name, "bb", "sh", "-c", script]);
    assert!(
        run("one", "echo one > /new; echo changed >> /etc/group; rm /bin/vi; mkdir /home/d").status.success()
    );
    assert_eq!(
        text(&run("two", "ls /new 2>&1; tail -n 1 /etc/group; ls /bin/vi").stdout),
        "ls: /new: No such file or directory\nextra:x:2000:user\n/bin/vi\n"
    );
    let diff = sandbox.ok(&["diff", "one"]);
    for line in ["A /new", "C /etc", "C /etc/group", "D /bin/vi", "A /home/d"] {
        assert!(diff.lines().any(|one| one == line), "{line}: {diff}");
    }
    assert!(!diff.contains("hosts") && !diff.contains("/dev") && !diff.contains("/proc"), "{diff}");
    assert_eq!(sandbox.ok(&["diff", "two"]), "");
    assert_eq!(sandbox.fails(&["rmi", "bb"]).0, 1, "containers use it");
    sandbox.ok(&["rm", "one", "two"]);
    sandbox.ok(&["rmi", "bb"]);
    sandbox.assert_clean();
}

#[test]
fn layers_are_shared_down_to_the_inode() {
    let sandbox = Sandbox::new();
    let identity = |name: &str| {
        let said = sandbox.ok(&["run", "--rm", "--name", name, "bb", "stat", "-c", "%i", "/bin/busybox"]);
        said.trim().to_owned()
    };
    assert_eq!(identity("one"), identity("two"));
    let layers = std::fs::read_dir(sandbox.root().join("layers")).unwrap().count();
    assert_eq!(layers, 1, "a second container has no copy");
}

#[test]
fn binds_keep_their_owners_numbers() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("file"), "hello").unwrap();
    std::os::unix::fs::chown(dir.join("file"), Some(1234), Some(5678)).unwrap();
    let bind = format!("{}:/data", dir.display());
    assert_eq!(
        sandbox.sh(&["-v", &bind], "stat -c '%u %g' /data/file; echo x > /data/made; cat /data/file"),
        "1234 5678\nhello"
    );
    let made = std::fs::metadata(dir.join("made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0, "root inside is root on the disk");
    let read_only = format!("{bind}:ro");
    assert!(sandbox.sh(&["-v", &read_only], "(echo x > /data/no) 2>&1; true").contains("Read-only"));
    let mount = format!("type=bind,source={}/nope,target=/x", dir.display());
    assert_eq!(sandbox.fails(&["run", "--rm", "--mount", &mount, "bb", "true"]).0, 125);
    assert!(
        sandbox.sh(&["--tmpfs", "/t:size=1m,mode=700"], "df -k /t | tail -1; stat -c %a /t").contains("1024")
    );
    assert!(sandbox.sh(&["--read-only"], "(echo x > /y) 2>&1; true").contains("Read-only"));
    sandbox.assert_clean();
}

#[test]
fn the_hosts_network_is_there_when_asked_for() {
    let sandbox = Sandbox::new();
    let links = |flags: &[&str]| sandbox.sh(flags, "ls /sys/class/net | wc -l; readlink /proc/self/ns/net");
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert!(links(&["--network", "host"]).contains(host.to_str().unwrap()));
    assert!(links(&["--network", "none"]).starts_with("1\n"));
    let names = std::fs::read_dir("/sys/class/net").unwrap().count().to_string();
    assert!(links(&["--network", "host"]).starts_with(&names));
}

#[test]
fn namespaces_of_another_container_can_be_shared() {
    let sandbox = Sandbox::new();
    let mut first =
        sandbox.command(&["run", "--rm", "-i", "--name", "first", "bb", "sh", "-c", "echo ready; cat"]);
    let mut first = first.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(first.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let seen = sandbox.sh(
        &["--pid", "container:first", "--network", "container:first", "--ipc", "container:first"],
        "ps -o args; id -u",
    );
    assert!(seen.contains("\ncat\n") && seen.ends_with("0\n"), "{seen}");
    drop(first.stdin.take());
    first.wait().unwrap();
    sandbox.assert_clean();
}

#[test]
fn forty_layers_are_one_tree() {
    let sandbox = Sandbox::new();
    let mut layers = vec![support::busybox()];
    layers.extend(
        (1..40).map(|n| {
            tar_of(&[(&format!("f{n}"), n.to_string().as_bytes()), ("top", n.to_string().as_bytes())])
        }),
    );
    let loaded = sandbox.hull_with_input(&["load"], &docker_archive("many:1", &layers));
    assert_eq!(text(&loaded.stdout), "Loaded image: many:1\n", "{}", text(&loaded.stderr));
    assert_eq!(sandbox.ok(&["run", "--rm", "many:1", "sh", "-c", "ls / | grep -c '^f'; cat /top"]), "39\n39");
}

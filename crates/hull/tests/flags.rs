//! Flags of `hull run` by their effect, seen from inside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use support::{Sandbox, text};

/// Flags, a script, and the lines it must say.
type Row = (&'static [&'static str], &'static str, &'static str);

fn all_say(rows: &[Row]) {
    let sandbox = Sandbox::new();
    for (flags, script, lines) in rows {
        assert_eq!(sandbox.sh(flags, script).trim_end(), *lines, "{flags:?}: {script}");
    }
    sandbox.assert_clean();
}

#[test]
#[rustfmt::skip]
fn what_the_process_is() {
    all_say(&[
        (&["-e", "A=1", "-e", "B=2", "-e", "A=3"], "echo $A $B", "3 2"),
        (&["-e", "PATH"], "echo $HOME $HOSTNAME | wc -w", "2"),
        (&["-w", "/new/dir"], "pwd; stat -c %u /new", "/new/dir\n0"),
        (&["-u", "user"], "id -u; id -g; id -G; echo $HOME", "1000\n1000\n1000 2000\n/home/user"),
        (&["-u", "100000:2147483647", "--group-add", "70000", "--tmpfs", "/t"],
            "id -u; id -g; id -G; touch /t/f && stat -c %u:%g /t/f", "100000\n2147483647\n2147483647 70000\n100000:2147483647"),
        (&["-u", ":extra"], "id -u; id -g", "0\n2000"),
        (&["--group-add", "extra", "--group-add", "77"], "id -G", "0 77 2000"),
        (&["--hostname", "h1", "--domainname", "d1"], "hostname; cat /proc/sys/kernel/domainname /etc/hostname", "h1\nd1\nh1"),
        (&["--init"], "cat /proc/1/comm; [ $$ -gt 1 ] && echo below", "docker-init\nbelow"),
        (&["--ulimit", "nofile=7:9", "--ulimit", "core=0"], "ulimit -Sn; ulimit -Hn; ulimit -c", "7\n9\n0"),
        (&["--cap-add", "CAP_NET_ADMIN", "--dns-option="], "true", ""),
        (&["--ulimit", "nofile=0"], "true", ""),
        (&["--ulimit", "nofile=16"], "ulimit -n", "16"),
        (&["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj", "500"),
        (&["--stop-signal", "USR1", "--stop-timeout", "1"], "true", ""),
        (&["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.shmmax=1234567"],
            "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax", "1\n1234567"),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_it_sees_of_files() {
    all_say(&[
        (&["--read-only"], "(echo x > /y) 2>/dev/null || echo no; (echo x > /dev/shm/y) && echo shm", "no\nshm"),
        (&["--read-only", "--tmpfs", "/t"], "echo x > /t/y && cat /t/y", "x"),
        (&["--tmpfs", "/t:size=2m,mode=711,uid=5,noexec"],
            "df -k /t | tail -1 | awk '{print $2}'; stat -c '%a %u' /t; grep -c ' /t .*noexec' /proc/mounts", "2048\n711 5\n1"),
        (&["--mount", "type=tmpfs,target=/t,tmpfs-size=1m"], "df -k /t | tail -1 | awk '{print $2}'", "1024"),
        (&["--tmpfs", "/t:size=2m", "--tmpfs", "/t:size=1m"], "df -k /t | tail -1 | awk '{print $2}'", "1024"),
        (&["-v", "/etc:/e:ro", "-v", "/etc:/e:ro"], "grep -c ' /e ' /proc/mounts", "1"),
        (&["--dns", "192.0.2.1", "--dns-search", "a.example.", "--dns-option=", "--dns-option", "ndots:2"],
            "cat /etc/resolv.conf", "nameserver 192.0.2.1\nsearch a.example\noptions ndots:2"),
        (&["--shm-size", "3m"], "df -k /dev/shm | tail -1 | awk '{print $2}'", "3072"),
        (&["--add-host", "db:10.1.2.3"], "grep db /etc/hosts", "10.1.2.3\tdb"),
        (&["--dns", "192.0.2.1", "--dns-search", "x.test", "--dns-option", "ndots:2"], "cat /etc/resolv.conf",
            "nameserver 192.0.2.1\nsearch x.test\noptions ndots:2"),
        (&["--device", "/dev/zero:/dev/naught:r"], "head -c 2 /dev/naught | od -An -tx1; stat -c %t:%T /dev/naught", " 00 00\n1:5"),
        (&["--device", "/dev/zero:/far/from/dev"], "head -c 2 /far/from/dev | od -An -tx1", " 00 00"),
        (&["--device-cgroup-rule", "c 1:3 rwm"], "mknod /n c 1 3 2>/dev/null; echo $?", "1"),
    ]);
}

#[test]
fn binds_are_the_hosts_files() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("f"), "there").unwrap();
    let place = dir.display().to_string();
    let say = |flag: &str, value: String, script: &str| sandbox.sh(&[flag, &value], script);
    assert_eq!(say("-v", format!("{place}:/d"), "cat /d/f; echo x > /d/made"), "there");
    assert_eq!(std::fs::read_to_string(dir.join("made")).unwrap(), "x\n");
    assert_eq!(say("-v", format!("{place}:/d:ro"), "echo y > /d/made 2>/dev/null || echo no"), "no\n");
    assert_eq!(say("-v", format!("{place}/f:/deep/down/f"), "cat /deep/down/f"), "there");
    assert_eq!(say("--mount", format!("type=bind,src={place},dst=/d,readonly"), "cat /d/f"), "there");
    assert_eq!(say("-v", format!("{place}/new:/d"), "ls /d | wc -l"), "0\n", "a missing source is made");
    assert!(dir.join("new").is_dir());
    sandbox.assert_clean();
}

#[test]
#[rustfmt::skip]
fn what_separates_it() {
    let status = "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status | awk '{print $2}' | xargs";
    let uid = "awk '{print $1, $3}' /proc/self/uid_map | xargs";
    all_say(&[
        (&["--cap-drop", "ALL"], status, "0000000000000000 0 2"),
        (&["--cap-drop", "all", "--cap-add", "NET_ADMIN", "--cap-add", "cap_chown"], status, "0000000000001001 0 2"),
        (&["--security-opt", "no-new-privileges"], status, "00000000a80425fb 1 2"),
        (&["--security-opt", "seccomp=unconfined"], status, "00000000a80425fb 0 0"),
        (&["--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"], "echo fine", "fine"),
        (&["--security-opt", "mask=/etc/passwd:/home"], "wc -c < /etc/passwd; ls /home | wc -l; touch /home/x 2>/dev/null || echo no", "0\n0\nno"),
        (&["--security-opt", "unmask=/proc/sys", "--security-opt", "seccomp=unconfined"],
            "grep -c ' /proc/sys ' /proc/mounts; grep -c ' /proc/irq ' /proc/mounts", "0\n1"),
        (&["--security-opt", "unmask=ALL"], "grep -c ' /proc/' /proc/mounts || true", "0"),
        (&["--security-opt", "systempaths=unconfined"], "grep -cE ' /(proc|sys)/[a-z]+ tmpfs' /proc/mounts || true", "0"),
        (&["--userns", "auto"], uid, "0 65536"),
        (&["--userns", "host"], uid, "0 4294967295"),
        (&["--userns", "private:0:400000000:1000"], uid, "0 1000"),
        (&["--userns", "keep-id"], "awk '{print $1, $2, $3}' /proc/self/uid_map | head -1", "0 0 1"),
        (&["--userns", "keep-id:uid=1000,gid=2000"], "id -u; id -g; awk '$1 == 1000 {print $2}' /proc/self/uid_map; awk '$1 == 2000 {print $2}' /proc/self/gid_map",
            "1000\n2000\n0\n0"),
        (&["--userns", "keep-id:uid=1000", "-u", "7"], "id -u", "7"),
        (&["--network", "none"], "ls /sys/class/net", "lo"),
        (&["--time", "monotonic=+100h,boottime=+200h"], "[ $(cut -d. -f1 /proc/uptime) -gt 700000 ] && echo late", "late"),
        (&["--cgroupns", "private"], "grep -c ':/$' /proc/1/cgroup | xargs test 0 -lt && echo own", "own"),
        (&["--cgroupns", "host"], "grep -c '/hull/' /proc/self/cgroup | xargs test 0 -lt && echo seen", "seen"),
        (&["--ipc", "none"], "ls /dev/shm 2>/dev/null | wc -l; grep -c /dev/shm /proc/mounts || true", "0\n0"),
    ]);
}

#[test]
fn namespaces_are_shared_with_the_host_only_on_request() {
    let sandbox = Sandbox::new();
    let host =
        |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    for (flag, mode, name) in [
        ("--pid", "pid", "pid"),
        ("--ipc", "ipc", "ipc"),
        ("--uts", "uts", "uts"),
        ("--network", "net", "net"),
        ("--cgroupns", "cgroup", "cgroup"),
        ("--userns", "user", "user"),
    ] {
        let own = sandbox.sh(&[], &format!("readlink /proc/self/ns/{name}"));
        assert_ne!(own.trim(), host(name), "{mode}");
        let shared = sandbox.sh(&[flag, "host"], &format!("readlink /proc/self/ns/{name}"));
        assert_eq!(shared.trim(), host(name), "{mode}");
    }
    sandbox.assert_clean();
}

#[test]
fn a_limit_above_the_callers_is_raised_or_refused_by_name() {
    let sandbox = Sandbox::new();
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(1 << 20);
    let more = format!("nofile={}", most + 1);
    let output = sandbox.hull(&["run", "--rm", "--ulimit", &more, "bb", "sh", "-c", "ulimit -Hn"]);
    let told = text(&output.stderr);
    match output.status.code() {
        Some(0) => assert_eq!(text(&output.stdout).trim(), (most + 1).to_string()),
        code => assert!(code == Some(125) && told.contains("raise limit `nofile`"), "{told}"),
    }
    sandbox.assert_clean();
}

#[test]
fn an_empty_word_is_none() {
    let sandbox = Sandbox::new();
    let names = [
        "name",
        "cidfile",
        "pidfile",
        "workdir",
        "user",
        "hostname",
        "domainname",
        "cgroup-parent",
        "platform",
    ];
    let more = ["stop-signal", "cpuset-cpus", "cpuset-mems", "userns", "pid", "ipc", "network"];
    let flags: Vec<_> = names.iter().chain(&more).map(|name| format!("--{name}=")).collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let said = sandbox.sh(&flags, "hostname | wc -c; pwd; id -u; grep -c 65536 /proc/self/uid_map");
    assert_eq!(said, "13\n/\n0\n1\n", "docker takes an empty word for none");
    sandbox.assert_clean();
}

#[test]
fn a_profile_of_system_calls_holds() {
    let sandbox = Sandbox::new();
    let profile = sandbox.path().join("profile.json");
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}"#;
    std::fs::write(&profile, json).unwrap();
    let option = format!("seccomp={}", profile.display());
    let said = sandbox.sh(&["--security-opt", &option], "mkdir /x 2>&1; true");
    assert!(said.contains("not supported"), "{said}");
}

#[test]
fn files_tell_who_it_is() {
    let sandbox = Sandbox::new();
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    std::fs::write(path("env"), "# no\nA=from file\nB\n").unwrap();
    std::fs::write(path("labels"), "k=v\nbare\n").unwrap();
    let args = ["run", "--rm", "--env-file", &path("env"), "-e", "C=c", "bb", "sh", "-c", "echo $A-$B-$C"];
    let mut command = sandbox.command(&args);
    assert_eq!(text(&command.env("B", "caller's").output().unwrap().stdout), "from file-caller's-c\n");
    #[rustfmt::skip]
    sandbox.ok(&["run", "--name", "kept", "--cidfile", &path("cid"), "--pidfile", &path("pid"), "--label-file",
        &path("labels"), "-l", "k2=v2", "--annotation", "a=b", "bb", "true"]);
    let cid = std::fs::read_to_string(path("cid")).unwrap();
    assert_eq!(sandbox.ok(&["inspect", "-f", "{{.Id}}", "kept"]).trim(), cid);
    assert!(std::fs::read_to_string(path("pid")).unwrap().parse::<u32>().unwrap() > 1);
    let labels = sandbox.ok(&["inspect", "-f", "{{json .Config.Labels}}", "kept"]);
    assert_eq!(labels, "{\"bare\":\"\",\"k\":\"v\",\"k2\":\"v2\"}\n");
    assert_eq!(sandbox.ok(&["inspect", "-f", "{{json .Spec.annotations}}", "kept"]), "{\"a\":\"b\"}\n");
    sandbox.ok(&[
        "run",
        "--rm",
        "--name",
        "gone",
        "--pull",
        "never",
        "--platform",
        "linux/amd64",
        "bb",
        "true",
    ]);
    assert_eq!(sandbox.ok(&["ps", "-a", "--format", "{{.Names}}"]), "kept\n", "--rm removes, no --rm keeps");
}

#[test]
fn signals_are_passed_on_unless_that_is_refused() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{Read, Write};
    let sandbox = Sandbox::new();
    // Answers a byte with a byte, a signal by its end.
    let script = "trap 'exit 7' USR1; trap 'exit 8' TERM; echo; while read line; do echo; done";
    let start = |flags: &[&str]| {
        let args: Vec<_> =
            ["run", "--rm", "-i"].iter().chain(flags).chain(&["bb", "sh", "-c", script]).copied().collect();
        let mut child = sandbox.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    };
    let send = |child: &std::process::Child, signal| kill_process(Pid::from_child(child), signal).unwrap();
    for (signal, flags, code) in [
        (Signal::USR1, &["--sig-proxy=true"][..], 7),
        (Signal::TERM, &[], 8),
        // For `hull stop`, not for what a run passes on: as docker.
        (Signal::TERM, &["--stop-signal", "USR1"], 8),
        (Signal::HUP, &["--sig-proxy=false"], 137),
    ] {
        let mut child = start(flags);
        send(&child, signal);
        // The shell runs a trap once `read` has returned.
        let _ = child.stdin.as_mut().unwrap().write_all(b"\n");
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal:?} {flags:?}");
    }
    let mut child = start(&["--sig-proxy=false"]);
    for signal in [Signal::USR1, Signal::TERM, Signal::INT] {
        send(&child, signal);
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    }
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(137), "the third order is one");
    sandbox.assert_clean();
}

#[test]
fn parents_of_groups_go_with_the_last_container() {
    let sandbox = Sandbox::new();
    let top = format!("hull-test-{}", std::process::id());
    let parent = format!("/{top}/inner");
    let flags = ["--cgroup-parent", &parent, "--cgroupns", "host"];
    assert!(sandbox.sh(&flags, "cat /proc/self/cgroup").contains(&parent));
    let left = || {
        let roots = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
        roots.chain(["/sys/fs/cgroup".into()]).map(|root| root.join(&top)).find(|path| path.exists())
    };
    assert_eq!(left(), None, "a parent is left");
    assert_eq!(
        sandbox.hull(&["run", "--rm", "--cgroup-parent", &parent, "bb", "nosuch"]).status.code(),
        Some(127)
    );
    assert_eq!(left(), None, "a parent is left after a failure");
    let pinned = ["pids", ""].map(|name| std::path::Path::new("/sys/fs/cgroup").join(name));
    let pinned = pinned.iter().find(|root| root.join("cgroup.procs").exists()).unwrap().join(&top);
    std::fs::create_dir(&pinned).unwrap();
    sandbox.sh(&flags, "true");
    assert!(pinned.exists(), "what was there before stays");
    std::fs::remove_dir(&pinned).unwrap();
    assert_eq!(left(), None);
}

#[test]
fn an_owner_kept_is_the_callers_on_the_host() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::chown(&dir, Some(0), Some(0)).unwrap();
    let bind = format!("{}:/d", dir.display());
    sandbox.sh(&["--userns", "keep-id:uid=1000,gid=1000", "--mount", "type=tmpfs,target=/t"], "touch /t/x");
    let said = sandbox.sh(&["--userns", "keep-id", "-v", &bind], "touch /d/x; stat -c %u /d/x");
    assert_eq!(said, "0\n");
    assert_eq!(std::fs::metadata(dir.join("x")).unwrap().uid(), 0);
}

//! config-linux.md: devices, seccomp, personality, memory policy, Intel RDT.

use super::spec_bundle::{Bundle, is_oracle};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_default_devices_are_there_and_work() {
    for user in [false, true] {
        let mut bundle = if user { Bundle::with_user_namespace() } else { Bundle::new() };
        let script = "for d in null zero full random urandom tty; do stat -c '%F %t,%T' /dev/$d; done
            echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/full || echo full
            readlink /dev/ptmx; readlink /dev/fd";
        let seen = bundle.ok(&format!("({script}) 2>/dev/null"));
        let nodes = ["1,3", "1,5", "1,7", "1,8", "1,9", "5,0"]
            .map(|number| format!("character special file {number}"));
        let expected = [nodes.join("\n"), "4\n4\nfull\npts/ptmx\n/proc/self/fd".into()].join("\n");
        assert_eq!(seen, expected, "user namespace: {user}");
    }
}

fn some_devices() -> Value {
    json!([
        {"type": "c", "path": "/dev/sub/zero2", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 7, "gid": 8},
        {"type": "u", "path": "/dev/full2", "major": 1, "minor": 7, "fileMode": 0o666},
        {"type": "p", "path": "/dev/fifo", "fileMode": 0o644},
        {"type": "c", "path": "/elsewhere/deep/null2", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o622}
    ])
}

#[test]
fn devices_of_every_type_are_made_anywhere() {
    // In a user namespace others bind the host's, where there is one at the path.
    for user in [false, true].into_iter().filter(|user| !user || !is_oracle()) {
        let mut bundle = if user { Bundle::with_user_namespace() } else { Bundle::new() };
        bundle.config["linux"]["devices"] = some_devices();
        bundle.config["linux"]["resources"] = json!({"devices": [{"allow": true, "access": "rwm"}]});
        let seen = bundle.ok(
            "stat -c '%F %t,%T %a %u:%g' /dev/sub/zero2 /dev/full2 /dev/fifo /elsewhere/deep/null2 /dev/null
            head -c 3 /dev/sub/zero2 | wc -c; echo x > /elsewhere/deep/null2 && echo written",
        );
        let expected =
            "character special file 1,5 600 7:8\ncharacter special file 1,7 666 0:0\nfifo 0,0 644 0:0
character special file 1,3 640 3:4\ncharacter special file 1,3 622 0:0\n3\nwritten";
        assert_eq!(seen, expected, "user namespace: {user}");
    }
}

#[test]
fn an_image_with_a_dev_of_its_own_gets_devices_too() {
    for user in [false, true] {
        let mut bundle = if user { Bundle::with_user_namespace() } else { Bundle::new() };
        let (dev, root) = (bundle.rootfs().join("dev"), if user { 100_000 } else { 0 });
        std::fs::create_dir_all(&dev).unwrap();
        std::os::unix::fs::chown(dev, Some(root), Some(root)).unwrap();
        let mounts = bundle.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        let seen = bundle
            .ok("stat -c %t,%T /dev/null /dev/urandom; echo x > /dev/null && echo written; readlink /dev/fd");
        assert_eq!(seen, "1,3\n1,9\nwritten\n/proc/self/fd", "user namespace: {user}");
        // runc makes links only where there is none, though it be the same.
        if !is_oracle() {
            assert_eq!(bundle.ok("stat -c %t,%T /dev/null"), "1,3", "what is there already is right");
        }
    }
}

#[test]
fn another_file_in_a_devices_place_is_an_error() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["devices"] = json!([{"type": "c", "path": "/etc/passwd", "major": 1, "minor": 3}]);
    bundle.refuses(&["/etc/passwd"]);
    bundle.config["linux"]["devices"] = json!([{"type": "c", "path": "/dev/fd", "major": 1, "minor": 3}]);
    bundle.refuses(&["/dev/fd"]);
    bundle.config["linux"]["devices"] = json!([{"type": "a", "path": "/dev/x", "major": 1, "minor": 3}]);
    bundle.refuses_strictly(&["/dev/x"]);
    bundle.config["linux"]["devices"] = json!([{"type": "z", "path": "/dev/x", "major": 1, "minor": 3}]);
    bundle.refuses(&["linux.devices[0].type", "z"]);
}

fn seccomp(syscalls: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls})
}

#[test]
fn a_filter_refuses_kills_and_compares() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["seccomp"] = seccomp(json!([
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
        {"names": ["chmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11,
         "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}
    ]));
    for nnp in [false, true] {
        bundle.config["process"]["noNewPrivileges"] = json!(nnp);
        let seen = bundle.ok("mkdir /x 2>&1; chmod 1 /etc 2>&1; (hostname x); echo $?; kill -USR1 $$ 2>&1; kill -0 $$ && echo alive");
        assert!(
            seen.contains("Operation not supported") && seen.contains("Operation not permitted"),
            "{seen}"
        );
        assert!(
            seen.contains("159") && seen.contains("temporarily unavailable") && seen.ends_with("alive"),
            "{seen}"
        );
        assert_eq!(bundle.ok("sed -n 's/^Seccomp:.//p' /proc/self/status"), "2");
    }
    bundle.config["linux"]["seccomp"]["defaultAction"] = json!("SCMP_ACT_SING");
    bundle.refuses(&["linux.seccomp.defaultAction", "SCMP_ACT_SING"]);
}

#[test]
fn a_filter_by_default_refuses_what_is_not_named() {
    let mut bundle = Bundle::new();
    let mut filter = seccomp(json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]));
    filter["flags"] =
        json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]);
    bundle.config["linux"]["seccomp"] = filter;
    assert!(bundle.ok("mkdir /x 2>&1 || true").contains("not permitted"));
    bundle.config["linux"]["seccomp"]["flags"] = json!(["SECCOMP_FILTER_FLAG_NOPE"]);
    bundle.refuses(&["linux.seccomp.flags[0]", "SECCOMP_FILTER_FLAG_NOPE"]);
}

/// Takes one listener and its state from a socket, and answers one call with an errno.
fn agent(socket: &Path, errno: i32) -> std::thread::JoinHandle<Value> {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; 65536];
        let got = rustix::net::recvmsg(
            &stream,
            &mut [rustix::io::IoSliceMut::new(&mut bytes)],
            &mut control,
            rustix::net::RecvFlags::CMSG_CLOEXEC,
        )
        .unwrap();
        let mut descriptors = control.drain().filter_map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let filter = descriptors.next().and_then(|mut some| some.next()).expect("a listener");
        answer(&filter, errno);
        serde_json::from_slice(&bytes[..got.bytes]).unwrap()
    })
}

/// By python: an ioctl of the kernel's that no safe crate has.
fn answer(filter: &rustix::fd::OwnedFd, errno: i32) {
    use std::os::fd::AsRawFd;
    let script = format!(
        "import fcntl, struct, os
fd = int(os.environ['FD'])
notif = bytearray(80)
fcntl.ioctl(fd, 0xC0502100, notif)
id = struct.unpack_from('Q', notif)[0]
fcntl.ioctl(fd, 0xC0182101, bytearray(struct.pack('QqiI', id, 0, -{errno}, 0)))"
    );
    let copy = rustix::io::dup(filter).unwrap(); // inherited
    let done = std::process::Command::new("python3")
        .args(["-c", &script])
        .env("FD", copy.as_raw_fd().to_string())
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn a_listener_gets_the_filter_with_the_containers_state() {
    for nnp in [false, true] {
        let mut bundle = Bundle::new();
        let socket = bundle.path().join("agent");
        let mut filter = seccomp(json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]));
        filter["listenerPath"] = json!(socket);
        filter["listenerMetadata"] = json!("opaque");
        // Those who filter by libseccomp need a younger one than Debian's for this.
        if !is_oracle() {
            filter["flags"] = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
        }
        bundle.config["linux"]["seccomp"] = filter;
        bundle.config["process"]["noNewPrivileges"] = json!(nnp);
        bundle.config["annotations"] = json!({"a.key": "a value"});
        let agent = agent(&socket, 39);
        let seen = bundle.ok("mkdir /x 2>&1 || true");
        assert!(seen.contains("Directory not empty"), "{seen}");
        let state = agent.join().unwrap();
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["metadata"], "opaque");
        assert!(state["pid"].as_i64().unwrap() > 1 && state["pid"] == state["state"]["pid"], "{state}");
        assert_eq!(state["state"]["status"], "creating");
        assert_eq!(state["state"]["bundle"], json!(bundle.path()));
        assert_eq!(state["state"]["annotations"]["a.key"], "a value");
    }
}

#[test]
fn a_filter_that_notifies_needs_who_listens() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["seccomp"] = seccomp(json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]));
    bundle.refuses(&["listenerPath"]);
    bundle.config["linux"]["seccomp"]["listenerPath"] = json!("/there/is/none");
    bundle.refuses(&["/there/is/none"]);
    bundle.config["linux"]["seccomp"]["syscalls"][0]["names"] = json!(["mkdir", "sendmsg"]);
    bundle.refuses_strictly(&["SCMP_ACT_NOTIFY", "sendmsg"]);
    bundle.config["linux"]["seccomp"] = seccomp(json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]));
    bundle.config["linux"]["seccomp"]["listenerMetadata"] = json!("x");
    bundle.refuses_strictly(&["listenerMetadata"]);
}

#[test]
fn a_personality_is_taken_on() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX32"});
    assert_eq!(bundle.ok("uname -m; cat /proc/self/personality"), "i686\n00000008");
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX"});
    assert_eq!(bundle.ok("cat /proc/self/personality"), "00000000");
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]});
    bundle.refuses_strictly(&["linux.personality.flags", "ADDR_NO_RANDOMIZE"]);
    bundle.config["linux"]["personality"] = json!({"domain": "BSD"});
    bundle.refuses(&["linux.personality.domain", "BSD"]);
}

#[test]
fn memory_comes_from_the_nodes_that_are_named() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
    match Path::new("/proc/self/numa_maps").exists() {
        true => assert!(bundle.ok("cat /proc/self/numa_maps").contains("bind:0")),
        false => bundle.refuses(&["linux.memoryPolicy"]),
    }
    for wrong in [
        json!({"mode": "MPOL_BIND"}),
        json!({"mode": "MPOL_LOCAL", "nodes": "0"}),
        json!({"mode": "MPOL_BIND", "nodes": "x"}),
        json!({"mode": "MPOL_WISH"}),
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_WISH"]}),
    ] {
        bundle.config["linux"]["memoryPolicy"] = wrong;
        bundle.refuses(&["linux.memoryPolicy"]);
    }
}

#[test]
fn shares_of_caches_are_refused_where_resctrl_is_not_mounted() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["intelRdt"] = json!({"closID": "a/b", "l3CacheSchema": "L3:0=f"});
    bundle.refuses(&["linux.intelRdt.closID", "a/b"]);
    if Path::new("/sys/fs/resctrl/schemata").exists() {
        eprintln!("SKIP: resctrl is mounted here");
        return;
    }
    bundle.config["linux"]["intelRdt"] = json!({"closID": "a", "l3CacheSchema": "L3:0=f"});
    bundle.refuses(&["linux.intelRdt", "/sys/fs/resctrl"]);
}

#[test]
fn what_a_configuration_gets_wrong_is_named() {
    let mut bundle = Bundle::new();
    for (pointer, value, name) in [
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/ociVersion", json!("soon"), "ociVersion"),
        ("/process/args", json!("sh"), "process.args"),
        ("/process/user/uid", json!("root"), "process.user.uid"),
        ("/mounts/1/options", json!("ro"), "mounts[1].options"),
        ("/linux/namespaces/0/type", json!("mind"), "linux.namespaces[0].type"),
    ] {
        if name == "ociVersion" && is_oracle() {
            continue; // whatever it says, others read on
        }
        let before = std::mem::replace(bundle.config.pointer_mut(pointer).unwrap(), value);
        let file = bundle.path().join("config.json");
        let output = bundle.command().output().unwrap();
        let said = super::support::text(&output.stderr);
        assert!(file.exists() && !output.status.success(), "{name} passed");
        assert!(said.contains(name) || is_oracle(), "{name} is not in: {said}");
        *bundle.config.pointer_mut(pointer).unwrap() = before;
    }
    bundle.config["colour"] = json!("red");
    bundle.config["annotations"] = json!(null);
    assert_eq!(bundle.ok("echo ignored"), "ignored", "unknown members are");
}

#[test]
fn what_is_asked_of_a_further_process_is_done_to_it() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 3});
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 2});
    bundle.config["process"]["execCPUAffinity"] = json!({"initial": "0", "final": "1"});
    let seen = bundle.exec(
        "awk '{print $19, $41}' /proc/self/stat; ionice -p $$; grep Cpus_allowed_list /proc/self/status",
    );
    assert_eq!(seen, "3 3\nbest-effort: prio 2\nCpus_allowed_list:\t1");
    bundle.config["process"]["execCPUAffinity"] = json!({"final": "99-1"});
    bundle.refuses(&["execCPUAffinity"]);
}

//! Requests and what they come to, against docker's `config.json`.

use super::*;
use crate::request::{
    DeviceRequest, DeviceRule, IdMap, IpcNamespace, LimitsRequest, MountRequest, MountSource, Namespace,
    ReadOnlyRecursive, Relabel, Seccomp, TimeOffsets, Ulimit,
};
use serde_json::{Value, json};
use std::io;

/// A host of four CPUs, `/dev/sda`, a directory of two sound devices and a few mounts.
struct Fake;

fn device(kind: char, major: u32, minor: u32) -> Node {
    Node::Device { kind, major, minor, mode: 0o660, uid: 0, gid: 6 }
}

impl Host for Fake {
    fn node(&self, path: &Path) -> io::Result<Node> {
        match path.to_str() {
            Some("/dev/sda") => Ok(device('b', 8, 0)),
            Some("/dev/fuse") => Ok(device('c', 10, 229)),
            Some("/dev/snd" | "/data" | "/shared" | "/empty") => Ok(Node::Directory),
            Some("/etc/passwd") => Ok(Node::Other),
            _ => Err(io::Error::from_raw_os_error(2)),
        }
    }

    fn devices_below(&self, directory: &Path) -> io::Result<Vec<(PathBuf, Node)>> {
        Ok(match directory.to_str() {
            Some("/dev/snd") => {
                vec![
                    ("/dev/snd/pcm".into(), device('c', 116, 1)),
                    ("/dev/snd/x/seq".into(), device('c', 116, 2)),
                ]
            }
            Some("/dev") => vec![
                ("/dev/console".into(), device('c', 5, 1)),
                ("/dev/pts/0".into(), device('c', 136, 0)),
                ("/dev/sda".into(), device('b', 8, 0)),
            ],
            _ => Vec::new(),
        })
    }

    fn mount_of(&self, path: &Path) -> io::Result<SourceMount> {
        let shared = path == Path::new("/shared");
        Ok(SourceMount { point: if shared { "/shared".into() } else { "/".into() }, shared, slave: false })
    }

    fn uptime(&self) -> (i64, i64) {
        (3600 * 1_000_000_000, 7200 * 1_000_000_000)
    }

    fn cpus(&self) -> io::Result<u32> {
        Ok(4)
    }

    fn cpu_list(&self) -> io::Result<String> {
        Ok("0-3".to_string())
    }

    fn memory_nodes(&self) -> io::Result<String> {
        Ok("0".to_string())
    }
}

const ID: &str = "4f3c1d2e5a6b7c8d9e0f4f3c1d2e5a6b7c8d9e0f4f3c1d2e5a6b7c8d9e0f0011";
const MAP: IdMap = IdMap { inside: 0, host: 1_879_048_192, size: 65_536 };

/// What a test changes of the facts.
#[derive(Default)]
struct World {
    joined: Joined,
    host_ids: bool,
    apparmor: Option<&'static str>,
    selinux: Option<Selinux>,
}

fn root() -> User {
    User { uid: 0, gid: 0, groups: vec![0, 10], home: "/root".to_string() }
}

fn image() -> ContainerConfig {
    serde_json::from_value(json!({
        "Env": ["PATH=/bin", "LANG=C"], "Entrypoint": ["/entry"], "Cmd": ["serve"], "WorkingDir": "/srv",
    }))
    .unwrap()
}

fn run_in(world: &World, request: &RunRequest) -> Result<Composed> {
    let etc = EtcFiles {
        hostname: "/c/hostname".into(),
        hosts: "/c/hosts".into(),
        resolv: "/c/resolv.conf".into(),
    };
    let map = if world.host_ids { Vec::new() } else { vec![MAP] };
    let maps = IdMaps { users: map.clone(), groups: map };
    let facts = Facts {
        id: ID,
        user: &root(),
        id_maps: &maps,
        cgroup: "/hull/4f3c",
        kernel: (6, 18),
        capabilities: Capabilities::ALL,
        hostname: "thehost",
        etc: &etc,
        init: Path::new("/usr/bin/hull"),
        apparmor: world.apparmor,
        selinux: world.selinux.as_ref(),
        joined: &world.joined,
        host: &Fake,
    };
    compose(request, &image(), &facts)
}

fn run(change: impl FnOnce(&mut RunRequest)) -> Result<Composed> {
    let mut request = RunRequest::default();
    change(&mut request);
    run_in(&World::default(), &request)
}

fn spec(change: impl FnOnce(&mut RunRequest)) -> Value {
    serde_json::to_value(run(change).unwrap().spec).unwrap()
}

/// One member of the spec by JSON pointer; null when absent.
fn at(pointer: &str, change: impl FnOnce(&mut RunRequest)) -> Value {
    spec(change).pointer(pointer).cloned().unwrap_or_default()
}

fn words(change: impl FnOnce(&mut RunRequest)) -> String {
    run(change).unwrap_err().to_string()
}

fn mounted(path: &str, change: impl FnOnce(&mut RunRequest)) -> Value {
    let mounts = at("/mounts", change);
    let found = mounts.as_array().unwrap().iter().filter(|mount| mount["destination"] == path);
    let found: Vec<_> = found.collect();
    assert!(found.len() < 2, "{found:?}");
    found.first().map_or(Value::Null, |mount| (*mount).clone())
}

fn bind(path: &str) -> MountRequest {
    let source = MountSource::Bind {
        path: path.into(),
        create: true,
        propagation: None,
        non_recursive: false,
        read_only_recursive: ReadOnlyRecursive::IfPossible,
        relabel: Relabel::Keep,
    };
    MountRequest { target: "/mnt".to_string(), source, read_only: false }
}

fn tmpfs(options: &[&str]) -> MountRequest {
    let options = options.iter().map(|option| option.to_string()).collect();
    let source = MountSource::Tmpfs { size: None, mode: None, options };
    MountRequest { target: "/t".to_string(), source, read_only: false }
}

#[test]
fn an_empty_request_is_dockers_default() {
    let spec = spec(|_| ());
    let expected = json!({
        "ociVersion": "1.2.0",
        "root": {"path": "", "readonly": false},
        "hostname": "4f3c1d2e5a6b",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["ro", "nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]},
            {"destination": "/etc/resolv.conf", "type": "bind", "source": "/c/resolv.conf",
             "options": ["rbind", "rprivate", "x-hull.idmap"]},
            {"destination": "/etc/hostname", "type": "bind", "source": "/c/hostname",
             "options": ["rbind", "rprivate", "x-hull.idmap"]},
            {"destination": "/etc/hosts", "type": "bind", "source": "/c/hosts",
             "options": ["rbind", "rprivate", "x-hull.idmap"]},
        ],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(spec[name], *value, "{name}");
    }
    let process = &spec["process"];
    assert_eq!(process["args"], json!(["/entry", "serve"]));
    assert_eq!(process["env"], json!(["PATH=/bin", "HOSTNAME=4f3c1d2e5a6b", "LANG=C", "HOME=/root"]));
    assert_eq!((&process["cwd"], &process["terminal"]), (&json!("/srv"), &json!(false)));
    assert_eq!(process["user"], json!({"uid": 0, "gid": 0, "additionalGids": [0, 10]}));
    assert_eq!((&process["rlimits"], &process["noNewPrivileges"]), (&json!([]), &json!(false)));
    for set in ["bounding", "effective", "permitted"] {
        assert_eq!(process["capabilities"][set].as_array().unwrap().len(), 14, "{set}");
    }
    assert_eq!(process["capabilities"].as_object().unwrap().len(), 3);
    for absent in ["apparmorProfile", "selinuxLabel", "oomScoreAdj"] {
        assert_eq!(process[absent], Value::Null, "{absent}");
    }
    for absent in ["annotations", "domainname", "hooks"] {
        assert_eq!(spec[absent], Value::Null, "{absent}");
    }
}

#[test]
fn an_empty_request_is_isolated() {
    let spec = spec(|_| ());
    let linux = &spec["linux"];
    let kinds: Vec<_> =
        linux["namespaces"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
    assert_eq!(kinds, ["mount", "network", "uts", "pid", "ipc", "user", "cgroup"]);
    let maps = json!([{"containerID": 0, "hostID": 1_879_048_192u32, "size": 65536}]);
    assert_eq!((&linux["uidMappings"], &linux["gidMappings"]), (&maps, &maps));
    assert_eq!(linux["cgroupsPath"], "/hull/4f3c");
    assert_eq!(linux["maskedPaths"].as_array().unwrap().len(), 12);
    let read_only = json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
    assert_eq!(linux["readonlyPaths"], read_only);
    assert_eq!(linux["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
    let sysctl = json!({"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 65535"});
    assert_eq!(linux["sysctl"], sysctl);
    let rules = linux["resources"]["devices"].as_array().unwrap();
    assert_eq!(rules[0], json!({"allow": false, "access": "rwm"}));
    assert!(rules[1..].iter().all(|rule| rule["allow"] == true), "{rules:?}");
    assert_eq!(rules[3], json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}));
    assert_eq!(rules[11], json!({"allow": true, "type": "c", "major": 136, "access": "rwm"}));
    assert_eq!(linux["resources"].as_object().unwrap().len(), 1, "no limits: {:?}", linux["resources"]);
    assert_eq!(
        (&linux["devices"], &linux["timeOffsets"], &linux["mountLabel"]),
        (&json!([]), &Value::Null, &Value::Null)
    );
    assert_eq!(linux["rootfsPropagation"], Value::Null);
}

#[test]
fn the_command_follows_dockers_rules() {
    let args = |entry: Option<&str>, command: &[&str], init| {
        at("/process/args", |request| {
            request.process.entrypoint = entry.map(String::from);
            request.command = command.iter().map(|word| word.to_string()).collect();
            request.process.init = init;
        })
    };
    assert_eq!(args(None, &["a", "b"], false), json!(["/entry", "a", "b"]));
    assert_eq!(args(Some("/other"), &[], false), json!(["/other"]));
    assert_eq!(args(Some("/other"), &["x"], false), json!(["/other", "x"]));
    assert_eq!(args(Some(""), &["sh"], false), json!(["sh"]));
    assert_eq!(args(None, &["x"], true), json!(["/sbin/docker-init", "--", "/entry", "x"]));
    assert_eq!(words(|request| request.process.entrypoint = Some(String::new())), "no command specified");
    let init = mounted("/sbin/docker-init", |request| request.process.init = true);
    assert_eq!((&init["source"], &init["options"]), (&json!("/usr/bin/hull"), &json!(["bind", "ro"])));
    let shared = at("/process/args", |request| {
        request.process.init = true;
        request.isolation.pid = Namespace::Host;
    });
    assert_eq!(shared, json!(["/entry", "serve"]), "there is a pid 1 already");
}

#[test]
fn the_environment_follows_dockers_order() {
    let env = at("/process/env", |request| {
        request.streams.tty = true;
        request.process.env = ["A=1", "LANG", "A=2", "HOME=/h", "PATH=/p", "EMPTY="].map(String::from).into();
        request.files.hostname = Some("me".into());
    });
    assert_eq!(env, json!(["PATH=/p", "HOSTNAME=me", "TERM=xterm", "A=2", "HOME=/h", "EMPTY="]));
    assert_eq!(at("/process/terminal", |request| request.streams.tty = true), true);
    let env = at("/process/env", |request| request.process.env = vec!["HOME=".into()]);
    assert_eq!(env, json!(["PATH=/bin", "HOSTNAME=4f3c1d2e5a6b", "HOME=/root", "LANG=C"]));
}

#[test]
fn the_directory_is_absolute_and_clean() {
    assert_eq!(at("/process/cwd", |request| request.process.workdir = Some("/a//b/../c/.".into())), "/a/c");
    let error = words(|request| request.process.workdir = Some("a".into()));
    assert_eq!(error, "the working directory 'a' is invalid, it needs to be an absolute path");
}

#[test]
fn rlimits_and_scores() {
    let rlimits = at("/process/rlimits", |request| {
        request.process.ulimits = vec![Ulimit { name: "nofile".into(), soft: 5, hard: u64::MAX }];
    });
    assert_eq!(rlimits, json!([{"type": "RLIMIT_NOFILE", "soft": 5, "hard": u64::MAX}]));
    assert_eq!(at("/process/oomScoreAdj", |request| request.process.oom_score_adj = Some(-5)), -5);
    let error = words(|request| request.process.oom_score_adj = Some(1001));
    assert_eq!(error, "Invalid value 1001, range for oom score adj is [-1000, 1000]");
}

#[test]
fn privileged_is_all_that_the_host_has() {
    let spec = spec(|request| request.isolation.privileged = true);
    let linux = &spec["linux"];
    assert_eq!(spec["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 41);
    assert_eq!((&linux["maskedPaths"], &linux["readonlyPaths"]), (&json!([]), &json!([])));
    assert_eq!(linux["seccomp"], Value::Null);
    assert_eq!(linux["resources"]["devices"], json!([{"allow": true, "access": "rwm"}]));
    let devices = linux["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 1, "neither the console nor terminals: {devices:?}");
    assert_eq!(devices[0]["path"], "/dev/sda");
    for path in ["/sys", "/sys/fs/cgroup"] {
        let options = mounted(path, |request| request.isolation.privileged = true)["options"].clone();
        assert!(!options.as_array().unwrap().contains(&json!("ro")), "{path}");
    }
    let mut request = RunRequest::default();
    request.isolation.privileged = true;
    assert_eq!(user_namespace(&request), &UserNamespace::Host);
    request.isolation.userns = UserNamespace::Mapped(vec![MAP]);
    assert_eq!(user_namespace(&request), &UserNamespace::Mapped(vec![MAP]));
}

#[test]
fn capabilities_open_calls() {
    let spec = spec(|request| {
        request.isolation.cap_add = vec!["SYS_ADMIN".into()];
        request.isolation.cap_drop = vec!["ALL".into()];
        request.isolation.no_new_privileges = true;
    });
    assert_eq!(spec["process"]["capabilities"]["bounding"], json!(["CAP_SYS_ADMIN"]));
    assert_eq!(spec["process"]["noNewPrivileges"], true);
    assert!(spec["linux"]["seccomp"].to_string().contains("\"mount_setattr\""));
    let error = words(|request| request.isolation.cap_add = vec!["FLY".into()]);
    assert_eq!(error, "unknown capability: \"CAP_FLY\"");
}

#[test]
fn a_filter_is_the_default_a_file_or_none() {
    let seccomp = |chosen: Seccomp, privileged| {
        at("/linux/seccomp", |request| {
            request.isolation.seccomp = chosen;
            request.isolation.privileged = privileged;
        })
    };
    let file = || Seccomp::Profile(r#"{"defaultAction":"SCMP_ACT_LOG","syscalls":[]}"#.into());
    assert_eq!(seccomp(Seccomp::Unconfined, false), Value::Null);
    assert_eq!(seccomp(file(), false)["defaultAction"], "SCMP_ACT_LOG");
    assert_eq!(seccomp(file(), true)["defaultAction"], "SCMP_ACT_LOG");
    let error = words(|request| request.isolation.seccomp = Seccomp::Profile("?".into()));
    assert_eq!(error, "decoding seccomp profile failed");
}

#[test]
fn paths_are_masked_and_unmasked() {
    let masked = |mask: &[&str], unmask: &[&str]| {
        at("/linux/maskedPaths", |request| {
            request.isolation.mask = mask.iter().map(|path| path.to_string()).collect();
            request.isolation.unmask = unmask.iter().map(|path| path.to_string()).collect();
        })
    };
    assert_eq!(masked(&["/a", "/proc/kcore"], &[]).as_array().unwrap().len(), 13);
    assert_eq!(masked(&["/a"], &["ALL"]), json!(["/a"]));
    assert_eq!(masked(&[], &["/proc/*"]), json!(["/sys/devices/virtual/powercap", "/sys/firmware"]));
    assert_eq!(masked(&[], &["/proc/kcore", "/sys/firmware/"]).as_array().unwrap().len(), 10);
    let read_only = at("/linux/readonlyPaths", |request| request.isolation.unmask = vec!["/proc/sys".into()]);
    assert_eq!(read_only.as_array().unwrap().len(), 4);
    let bare = spec(|request| request.isolation.system_paths_unconfined = true);
    assert_eq!((&bare["linux"]["maskedPaths"], &bare["linux"]["readonlyPaths"]), (&json!([]), &json!([])));
}

#[test]
fn the_host_shares_its_namespaces() {
    let request = {
        let mut request = RunRequest::default();
        request.isolation.pid = Namespace::Host;
        request.isolation.uts = Namespace::Host;
        request.isolation.cgroupns = Namespace::Host;
        request.isolation.ipc = IpcNamespace::Host;
        request.isolation.network = Network::Host;
        request
    };
    let spec = run_in(&World { host_ids: true, ..World::default() }, &request).unwrap().spec;
    let spec = serde_json::to_value(spec).unwrap();
    assert_eq!(spec["linux"]["namespaces"], json!([{"type": "mount"}]));
    assert_eq!((&spec["hostname"], &spec["linux"]["sysctl"]), (&Value::Null, &Value::Null));
    assert_eq!(spec["linux"]["uidMappings"], Value::Null);
    assert!(spec["process"]["env"].as_array().unwrap().contains(&json!("HOSTNAME=thehost")));
    let shm =
        spec["mounts"].as_array().unwrap().iter().find(|mount| mount["destination"] == "/dev/shm").unwrap();
    assert_eq!((&shm["type"], &shm["options"]), (&json!("bind"), &json!(["rbind", "rprivate"])));
}

#[test]
fn the_hosts_network_lends_its_name() {
    let spec = spec(|request| request.isolation.network = Network::Host);
    assert_eq!(spec["hostname"], "thehost");
}

#[test]
fn another_containers_namespaces_are_joined() {
    let mut request = RunRequest::default();
    request.isolation.pid = Namespace::Container("web".into());
    request.isolation.ipc = IpcNamespace::Container("web".into());
    request.isolation.network = Network::Container("web".into());
    let words = run_in(&World::default(), &request).unwrap_err().to_string();
    assert_eq!(words, "cannot join IPC of container web: non-shareable IPC");
    let path = |kind: &str| Some(PathBuf::from(format!("/proc/7/ns/{kind}")));
    let joined = Joined {
        pid: path("pid"),
        ipc: path("ipc"),
        network: path("net"),
        user: path("user"),
        shm: Some("/proc/7/root/dev/shm".into()),
        ..Joined::default()
    };
    let spec = run_in(&World { joined, ..World::default() }, &request).unwrap().spec;
    let spec = serde_json::to_value(spec).unwrap();
    let expected = json!([
        {"type": "mount"}, {"type": "network", "path": "/proc/7/ns/net"}, {"type": "uts"},
        {"type": "pid", "path": "/proc/7/ns/pid"}, {"type": "ipc", "path": "/proc/7/ns/ipc"},
        {"type": "user", "path": "/proc/7/ns/user"}, {"type": "cgroup"},
    ]);
    assert_eq!(spec["linux"]["namespaces"], expected);
    assert_eq!(spec["linux"]["uidMappings"], Value::Null, "the other's map holds");
    assert_eq!(spec["linux"]["sysctl"], Value::Null);
}

#[test]
fn a_time_namespace_has_offsets() {
    let change = |request: &mut RunRequest| {
        request.isolation.time = Some(TimeOffsets { monotonic: 3_600_000_000_000, boottime: -1_500_000_000 });
    };
    let offsets = at("/linux/timeOffsets", change);
    let expected = json!({"monotonic": {"secs": 3600, "nanosecs": 0}, "boottime": {"secs": -2, "nanosecs": 500_000_000}});
    assert_eq!(offsets, expected);
    assert_eq!(at("/linux/namespaces/7/type", change), "time");
}

#[test]
fn what_contradicts_itself_is_refused() {
    type Change = fn(&mut RunRequest);
    let cases: [(Change, &str); 5] = [
        (|r| r.isolation.uts = Namespace::Host, "hostname and the UTS mode"),
        (|r| r.isolation.network = Network::Container("a".into()), "hostname and the network mode"),
        (
            |r| {
                r.files.hostname = None;
                r.files.dns_search = vec!["x".into()];
                r.isolation.network = Network::Container("a".into());
            },
            "dns and the network mode",
        ),
        (
            |r| {
                r.files.hostname = None;
                r.files.add_hosts = vec![("a".into(), [127, 0, 0, 1].into())];
                r.isolation.network = Network::Container("a".into());
            },
            "custom host-to-IP mapping and the network mode",
        ),
        (
            |r| {
                (r.files.hostname, r.files.domainname) = (None, Some("d".into()));
                r.isolation.uts = Namespace::Host;
            },
            "domainname and the UTS mode",
        ),
    ];
    for (change, what) in cases {
        let error = words(|request| {
            request.files.hostname = Some("h".into());
            change(request);
        });
        assert_eq!(error, format!("conflicting options: {what}"));
    }
    let long = words(|request| request.files.hostname = Some("h".repeat(65)));
    assert!(long.ends_with("is too long (maximum 64 bytes)"), "{long}");
}

#[test]
fn binds_have_their_options() {
    let options = |change: fn(&mut MountRequest)| {
        let mut mount = bind("/data");
        change(&mut mount);
        mounted("/mnt", |request| request.files.mounts = vec![mount])["options"].clone()
    };
    fn set(mount: &mut MountRequest, recursive: bool, below: ReadOnlyRecursive) {
        if let MountSource::Bind { non_recursive, read_only_recursive, .. } = &mut mount.source {
            (*non_recursive, *read_only_recursive) = (!recursive, below);
        }
    }
    use ReadOnlyRecursive::*;
    assert_eq!(options(|_| ()), json!(["rbind", "rprivate", "x-hull.idmap"]));
    assert_eq!(options(|mount| mount.read_only = true), json!(["rbind", "rro", "rprivate", "x-hull.idmap"]));
    let writable = options(|mount| {
        mount.read_only = true;
        set(mount, true, Writable);
    });
    assert_eq!(writable, json!(["rbind", "ro", "rprivate", "x-hull.idmap"]));
    let flat = options(|mount| {
        mount.read_only = true;
        set(mount, false, IfPossible);
    });
    assert_eq!(flat, json!(["bind", "ro", "rprivate", "x-hull.idmap"]));
    let world = World { host_ids: true, ..World::default() };
    let mut request = RunRequest::default();
    request.files.mounts = vec![bind("/data")];
    let spec = serde_json::to_value(run_in(&world, &request).unwrap().spec).unwrap();
    assert!(!spec["mounts"].to_string().contains("idmap"), "the host's ids need no map");
}

#[test]
fn a_missing_source_is_made_or_refused() {
    let composed = run(|request| request.files.mounts = vec![bind("/new")]).unwrap();
    assert_eq!(composed.create, [PathBuf::from("/new")]);
    assert!(run(|request| request.files.mounts = vec![bind("/data")]).unwrap().create.is_empty());
    let error = words(|request| {
        let mut mount = bind("/new");
        if let MountSource::Bind { create, .. } = &mut mount.source {
            *create = false;
        }
        request.files.mounts = vec![mount];
    });
    assert_eq!(error, "invalid mount config for type \"bind\": bind source path does not exist: /new");
}

#[test]
fn propagation_needs_a_source_that_has_it() {
    let with = |path: &str, mode: &str| {
        let mut mount = bind(path);
        if let MountSource::Bind { propagation, .. } = &mut mount.source {
            *propagation = Some(mode.to_string());
        }
        move |request: &mut RunRequest| request.files.mounts = vec![mount]
    };
    assert_eq!(at("/linux/rootfsPropagation", with("/shared", "rshared")), "shared");
    assert_eq!(at("/linux/rootfsPropagation", with("/shared", "slave")), "rslave");
    assert_eq!(words(with("/data", "shared")), "path /data is mounted on / but it is not a shared mount");
    assert_eq!(
        words(with("/data", "rslave")),
        "path /data is mounted on / but it is not a shared or slave mount"
    );
    let error = words(with("/data", "sideways"));
    assert_eq!(error, "invalid mount config for type \"bind\": invalid propagation mode: sideways");
}

#[test]
fn a_request_mounts_over_defaults_in_order_of_depth() {
    let at_target = |mut mount: MountRequest, target: &str| {
        mount.target = target.to_string();
        mount
    };
    let mounts = at("/mounts", |request| {
        let targets = ["/a/b/c", "/dev", "/etc/hosts", "/a"];
        request.files.mounts = targets.map(|target| at_target(bind("/data"), target)).into();
    });
    let paths: Vec<_> =
        mounts.as_array().unwrap().iter().map(|mount| mount["destination"].as_str().unwrap()).collect();
    let expected = [
        "/proc",
        "/sys",
        "/sys/fs/cgroup",
        "/dev",
        "/a",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/hostname",
        "/a/b/c",
    ];
    assert_eq!(paths, expected);
    let twice =
        words(|request| request.files.mounts = vec![bind("/data"), at_target(bind("/data"), "/mnt/")]);
    assert_eq!(twice, "Duplicate mount point: /mnt");
    for (target, words_) in
        [("/", "destination can't be '/'"), ("/x/..", "destination can't be '/'"), ("x", "must be absolute")]
    {
        let error = words(|request| request.files.mounts = vec![at_target(bind("/data"), target)]);
        assert!(
            error.starts_with("invalid mount config for type \"bind\": ") && error.contains(words_),
            "{error}"
        );
    }
}

#[test]
fn tmpfs_options_replace_each_other() {
    let options = |asked: &[&str]| {
        mounted("/t", |request| request.files.mounts = vec![tmpfs(asked)])["options"].clone()
    };
    assert_eq!(options(&[]), json!(["noexec", "nosuid", "nodev", "rprivate"]));
    assert_eq!(
        options(&["exec", "size=1m", "size=2m"]),
        json!(["nosuid", "nodev", "rprivate", "exec", "size=2m"])
    );
    assert_eq!(
        options(&["ro", "mode=755", "rw"]),
        json!(["noexec", "nosuid", "nodev", "rprivate", "mode=755", "rw"])
    );
    let sized = mounted("/t", |request| {
        let source =
            MountSource::Tmpfs { size: Some(4096), mode: Some(0o700), options: vec!["uid=1000".into()] };
        request.files.mounts = vec![MountRequest { target: "/t".into(), source, read_only: true }];
    });
    let expected =
        json!(["noexec", "nosuid", "nodev", "rprivate", "ro", "size=4096", "mode=700", "uid=1000"]);
    assert_eq!(sized["options"], expected);
    assert_eq!(
        words(|request| request.files.mounts = vec![tmpfs(&["big=yes"])]),
        "invalid tmpfs option \"big\""
    );
    assert_eq!(words(|request| request.files.mounts = vec![tmpfs(&["big"])]), "invalid tmpfs option \"big\"");
    let undone = options(&["noatime", "atime", "nostrictatime", "noswap", "huge=always"]);
    assert_eq!(undone, json!(["noexec", "nosuid", "nodev", "rprivate", "noswap", "huge=always"]));
}

#[test]
fn a_read_only_root_leaves_the_containers_own_writable() {
    let change = |request: &mut RunRequest| {
        request.files.read_only = true;
        request.files.mounts = vec![tmpfs(&[])];
    };
    assert_eq!(at("/root/readonly", change), true);
    for (path, is) in [
        ("/proc", false),
        ("/dev", false),
        ("/dev/shm", false),
        ("/sys", true),
        ("/etc/hosts", true),
        ("/t", false),
    ] {
        let options = mounted(path, change)["options"].clone();
        assert_eq!(options.as_array().unwrap().contains(&json!("ro")), is, "{path}");
    }
}

#[test]
fn shared_memory_is_sized_or_absent() {
    let shm = |change: fn(&mut RunRequest)| mounted("/dev/shm", change);
    assert_eq!(shm(|request| request.files.shm_size = Some(1 << 20))["options"][4], "size=1048576");
    assert_eq!(shm(|request| request.isolation.ipc = IpcNamespace::None), Value::Null);
    let hosts = shm(|request| request.isolation.ipc = IpcNamespace::Host);
    assert_eq!(hosts["options"], json!(["rbind", "rprivate", "x-hull.idmap"]));
}

#[test]
fn cgroups_are_writable_on_request() {
    let options =
        mounted("/sys/fs/cgroup", |request| request.isolation.writable_cgroups = true)["options"].clone();
    assert_eq!(options, json!(["nosuid", "noexec", "nodev"]));
}

#[test]
fn devices_are_nodes_or_directories() {
    let change = |request: &mut RunRequest| {
        let device = |host: &str, container: &str, access: &str| DeviceRequest {
            host: host.into(),
            container: container.into(),
            access: access.into(),
        };
        request.files.devices = vec![device("/dev/fuse", "/dev/f", "rw"), device("/dev/snd", "/snd", "r")];
        let rule = DeviceRule { kind: 'a', major: Some(7), minor: None, access: "r".into() };
        request.files.device_rules = vec![rule];
    };
    let expected = json!([
        {"path": "/dev/f", "type": "c", "major": 10, "minor": 229, "fileMode": 0o660, "uid": 0, "gid": 6},
        {"path": "/snd/pcm", "type": "c", "major": 116, "minor": 1, "fileMode": 0o660, "uid": 0, "gid": 6},
        {"path": "/snd/x/seq", "type": "c", "major": 116, "minor": 2, "fileMode": 0o660, "uid": 0, "gid": 6},
    ]);
    assert_eq!(at("/linux/devices", change), expected);
    let rules = at("/linux/resources/devices", change);
    let asked = &rules.as_array().unwrap()[12..];
    assert_eq!(asked[0], json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}));
    assert_eq!(asked[2], json!({"allow": true, "type": "c", "major": 116, "minor": 2, "access": "r"}));
    assert_eq!(asked[3], json!({"allow": true, "type": "a", "major": 7, "access": "r"}));
}

#[test]
fn a_missing_device_is_told_in_dockers_words() {
    for (path, cause) in
        [("/dev/none", "No such file"), ("/etc/passwd", "not a device node"), ("/empty", "not a device node")]
    {
        let error = run(|request| {
            request.files.devices =
                vec![DeviceRequest { host: path.into(), container: path.into(), access: "rwm".into() }];
        })
        .unwrap_err();
        let expected = format!("error gathering device information while adding custom device \"{path}\"");
        assert_eq!(error.to_string(), expected);
        assert!(std::error::Error::source(&error).unwrap().to_string().contains(cause), "{path}");
    }
}

#[test]
fn limits_are_the_runtime_specs() {
    let resources = at("/linux/resources", |request| {
        request.limits = LimitsRequest {
            memory: Some(64 << 20),
            memory_reservation: Some(32 << 20),
            memory_swappiness: Some(10),
            oom_kill_disable: true,
            nano_cpus: Some(1_500_000_000),
            cpu_shares: Some(512),
            cpuset_cpus: Some("0,2-3".into()),
            cpuset_mems: Some("0".into()),
            pids: Some(100),
            blkio_weight: Some(500),
            blkio_weight_device: vec![("/dev/sda".into(), 200)],
            read_bps: vec![("/dev/sda".into(), 1 << 20)],
            write_iops: vec![("/dev/sda".into(), 50)],
            ..LimitsRequest::default()
        };
    });
    assert_eq!(
        resources["memory"],
        json!({"limit": 67108864, "reservation": 33554432, "swap": 134217728, "swappiness": 10, "disableOOMKiller": true})
    );
    assert_eq!(
        resources["cpu"],
        json!({"shares": 512, "quota": 150000, "period": 100000, "cpus": "0,2-3", "mems": "0"})
    );
    assert_eq!(resources["pids"], json!({"limit": 100}));
    let io = &resources["blockIO"];
    assert_eq!((&io["weight"], &io["weightDevice"][0]["weight"]), (&json!(500), &json!(200)));
    assert_eq!(io["throttleReadBpsDevice"], json!([{"major": 8, "minor": 0, "rate": 1 << 20}]));
    assert_eq!(io["throttleWriteIOPSDevice"], json!([{"major": 8, "minor": 0, "rate": 50}]));
}

#[test]
fn no_limit_is_no_member() {
    let resources = at("/linux/resources", |request| {
        request.limits.memory = Some(0);
        request.limits.pids = Some(-1);
        request.limits.memory_swap = Some(-1);
        request.limits.cpu_quota = Some(-1);
    });
    assert_eq!((&resources["memory"], &resources["pids"]), (&Value::Null, &Value::Null));
    assert_eq!(resources["cpu"], json!({"quota": -1}));
    let unlimited = at("/linux/resources/memory", |request| {
        request.limits.memory = Some(8 << 20);
        request.limits.memory_swap = Some(-1);
    });
    assert_eq!(unlimited, json!({"limit": 8 << 20}));
}

#[test]
fn bad_limits_are_refused_in_dockers_words() {
    type Change = fn(&mut LimitsRequest);
    let cases: [(Change, &str); 19] = [
        (|l| l.memory = Some(1 << 20), "Minimum memory limit allowed is 6MB"),
        (
            |l| (l.memory, l.memory_swap) = (Some(8 << 20), Some(7 << 20)),
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            |l| l.memory_swap = Some(8 << 20),
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (|l| l.memory_swap = Some(-2), "invalid memory swap limit: -2"),
        (|l| l.memory_swappiness = Some(101), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (|l| l.memory_reservation = Some(1), "Minimum memory reservation allowed is 6MB"),
        (
            |l| (l.memory, l.memory_reservation) = (Some(8 << 20), Some(9 << 20)),
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            |l| (l.nano_cpus, l.cpu_period) = (Some(1), Some(1000)),
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            |l| (l.nano_cpus, l.cpu_quota) = (Some(1), Some(1000)),
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            |l| l.nano_cpus = Some(4_000_000_001),
            "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
        ),
        (
            |l| l.cpu_period = Some(999),
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (|l| l.cpu_quota = Some(999), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (|l| l.cpu_shares = Some(1), "the minimum allowed cpu-shares is 2, requested: 1"),
        (|l| l.cpu_shares = Some(262_145), "the maximum allowed cpu-shares is 262144, requested: 262145"),
        (
            |l| l.cpuset_cpus = Some("2-4".into()),
            "Requested CPUs are not available - requested 2-4, available: 0-3",
        ),
        (
            |l| l.cpuset_mems = Some("1".into()),
            "Requested memory nodes are not available - requested 1, available: 0",
        ),
        (|l| l.cpuset_cpus = Some("x".into()), "Invalid value x for cpuset cpus"),
        (|l| l.blkio_weight = Some(5), "Range of blkio weight is from 10 to 1000"),
        (|l| l.read_bps = vec![("/dev/none".into(), 1)], "stat /dev/none"),
    ];
    for (change, expected) in cases {
        assert_eq!(words(|request| change(&mut request.limits)), expected);
    }
    assert_eq!(words(|request| request.limits.write_bps = vec![("/dev/fuse".into(), 1)]), "stat /dev/fuse");
}

#[test]
fn a_disabled_killer_without_a_limit_is_warned_of() {
    let composed = run(|request| request.limits.oom_kill_disable = true).unwrap();
    assert!(composed.warnings[0].starts_with("OOM killer is disabled"));
}

#[test]
fn sysctls_belong_to_the_containers_namespaces() {
    let set = |name: &str| {
        let name = name.to_string();
        move |request: &mut RunRequest| drop(request.isolation.sysctls.insert(name, "1".into()))
    };
    assert_eq!(
        at("/linux/sysctl/net.ipv4.ip_unprivileged_port_start", set("net.ipv4.ip_unprivileged_port_start")),
        "1"
    );
    for name in
        ["kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname", "user.max_user_namespaces", "net.core.x"]
    {
        assert_eq!(spec(set(name))["linux"]["sysctl"][name], "1", "{name}");
    }
    assert_eq!(spec(set("net/ipv4/conf/a.1/x"))["linux"]["sysctl"]["net.ipv4.conf.a/1.x"], "1");
    assert_eq!(words(set("vm.swappiness")), "sysctl \"vm.swappiness\" is not in a separate kernel namespace");
    assert!(words(set("kernel.hostname")).contains("conflicts with the OCI \"hostname\" field"));
    let shared = |name: &str| {
        let set = set(name);
        words(move |request| {
            set(request);
            request.isolation.network = Network::Host;
            request.isolation.ipc = IpcNamespace::Host;
        })
    };
    assert_eq!(
        shared("net.core.somaxconn"),
        "sysctl \"net.core.somaxconn\" not allowed in host network namespace"
    );
    assert_eq!(shared("kernel.msgmax"), "sysctl \"kernel.msgmax\" is not allowed in the hosts ipc namespace");
    let mut request = RunRequest::default();
    set("user.max_user_namespaces")(&mut request);
    let world = World { host_ids: true, ..World::default() };
    let error = run_in(&world, &request).unwrap_err().to_string();
    assert_eq!(error, "setting ucounts without a user namespace not allowed: user.max_user_namespaces");
}

#[test]
fn the_hosts_ids_allow_ping_to_all() {
    let world = World { host_ids: true, ..World::default() };
    let spec = serde_json::to_value(run_in(&world, &RunRequest::default()).unwrap().spec).unwrap();
    assert_eq!(spec["linux"]["sysctl"]["net.ipv4.ping_group_range"], "0 2147483647");
}

#[test]
fn labels_are_the_hosts_with_the_options_over_them() {
    let selinux = || Selinux {
        process: "system_u:system_r:container_t:s0:c1,c2".into(),
        files: "system_u:object_r:container_file_t:s0:c1,c2".into(),
    };
    let labels = |options: &[&str], privileged| {
        let mut request = RunRequest::default();
        request.isolation.labels = options.iter().map(|option| option.to_string()).collect();
        request.isolation.privileged = privileged;
        let world = World { selinux: Some(selinux()), ..World::default() };
        let spec = serde_json::to_value(run_in(&world, &request).unwrap().spec).unwrap();
        (spec["process"]["selinuxLabel"].clone(), spec["linux"]["mountLabel"].clone())
    };
    let (process, files) = (selinux().process, selinux().files);
    assert_eq!(labels(&[], false), (json!(process), json!(files)));
    assert_eq!(labels(&["disable"], false), (Value::Null, Value::Null));
    assert_eq!(labels(&[], true), (Value::Null, Value::Null));
    let (process, files) = labels(&["type:svirt_apache_t", "level:s0:c9"], false);
    assert_eq!(process, "system_u:system_r:svirt_apache_t:s0:c9");
    assert_eq!(files, "system_u:object_r:container_file_t:s0:c9");
}

#[test]
fn sources_are_labelled_where_the_host_has_labels() {
    let mut request = RunRequest::default();
    request.files.mounts = [Relabel::Keep, Relabel::Shared, Relabel::Private].map(labelled).into();
    assert!(run_in(&World::default(), &request).unwrap().relabel.is_empty());
    let selinux = Selinux { process: "u:r:t:s0:c1".into(), files: "u:object_r:f:s0:c1".into() };
    let world = World { selinux: Some(selinux), ..World::default() };
    let expected = [("/data", "u:object_r:f:s0"), ("/data", "u:object_r:f:s0:c1")];
    let expected = expected.map(|(path, label)| (PathBuf::from(path), label.to_string()));
    assert_eq!(run_in(&world, &request).unwrap().relabel, expected);
}

fn labelled(how: Relabel) -> MountRequest {
    let mut mount = bind("/data");
    mount.target = format!("/{how:?}");
    if let MountSource::Bind { relabel, .. } = &mut mount.source {
        *relabel = how;
    }
    mount
}

#[test]
fn apparmor_holds_where_the_host_has_it() {
    let profile = |default: Option<&'static str>, asked: Option<&str>, privileged| {
        let mut request = RunRequest::default();
        request.isolation.apparmor = asked.map(String::from);
        request.isolation.privileged = privileged;
        let composed = run_in(&World { apparmor: default, ..World::default() }, &request);
        composed.map(|composed| composed.spec.process().as_ref().unwrap().apparmor_profile().clone())
    };
    let some = |name: &str| Some(name.to_string());
    assert_eq!(profile(Some("hull-default"), None, false).unwrap(), some("hull-default"));
    assert_eq!(profile(Some("hull-default"), Some("mine"), true).unwrap(), some("mine"));
    assert_eq!(profile(Some("hull-default"), None, true).unwrap(), some("unconfined"));
    assert_eq!(profile(None, Some("unconfined"), false).unwrap(), None);
    let words = profile(None, Some("mine"), false).unwrap_err().to_string();
    assert_eq!(words, "apparmor profile `mine`: this host has no AppArmor");
}

#[test]
fn names_and_annotations_are_carried() {
    let spec = spec(|request| {
        request.files.hostname = Some("web".into());
        request.files.domainname = Some("example".into());
        request.annotations.insert("a".into(), "b".into());
    });
    assert_eq!((&spec["hostname"], &spec["domainname"]), (&json!("web"), &json!("example")));
    assert_eq!(spec["annotations"], json!({"a": "b"}));
    let error = words(|request| drop(request.annotations.insert(String::new(), "b".into())));
    assert!(error.starts_with("invalid Annotations: "), "{error}");
}

#[test]
fn every_composed_spec_can_be_read_again() {
    let spec = run(|request| request.isolation.time = Some(TimeOffsets::default())).unwrap().spec;
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
}

//! config-linux.md: namespaces, id mappings, time offsets, network devices, sysctls; config.md: host and domain name.

use super::spec_bundle::{Bundle, is_oracle};
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

const KINDS: [(&str, &str); 8] = [
    ("pid", "pid"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("network", "net"),
    ("cgroup", "cgroup"),
    ("time", "time"),
    ("user", "user"),
];

fn own(file: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{file}")).unwrap().display().to_string()
}

/// A process in namespaces of its own, that can be joined.
struct Holder(Child);

impl Holder {
    fn new(flags: &[&str]) -> Self {
        let mut child = Command::new("unshare")
            .args(flags)
            .args(["sh", "-c", "echo ready; exec sleep 600"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run unshare");
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut ready).expect("a sign of life");
        Self(child)
    }

    fn path(&self, file: &str) -> String {
        format!("/proc/{}/ns/{file}", self.0.id())
    }

    fn link(&self, file: &str) -> String {
        std::fs::read_link(self.path(file)).unwrap().display().to_string()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn namespaces_are_new_when_listed_and_the_hosts_otherwise() {
    let mut bundle = Bundle::with_user_namespace();
    bundle.add_namespace("cgroup");
    bundle.add_namespace("time");
    for (_, file) in KINDS {
        assert_ne!(bundle.ok(&format!("readlink /proc/self/ns/{file}")), own(file), "{file}");
    }
    let mut bundle = Bundle::new();
    bundle.config["hostname"] = json!(null);
    for kind in ["ipc", "uts", "network", "pid"] {
        bundle.drop_namespace(kind);
    }
    for file in ["ipc", "uts", "net", "cgroup", "time", "user", "pid"] {
        assert_eq!(bundle.ok(&format!("readlink /proc/self/ns/{file}")), own(file), "{file}");
    }
}

#[test]
fn a_namespace_is_listed_once_and_known() {
    let mut bundle = Bundle::new();
    bundle.add_namespace("ipc");
    bundle.refuses(&["linux.namespaces", "IPC", "twice"]);
    let mut bundle = Bundle::new();
    bundle.add_namespace("dream");
    bundle.refuses(&["linux.namespaces", "dream"]);
    let mut bundle = Bundle::new();
    bundle.drop_namespace("mount");
    bundle.refuses_strictly(&["mount namespace"]);
    let mut bundle = Bundle::new();
    bundle.join_namespace("ipc", "/proc/1/ns/uts");
    bundle.refuses(&["/proc/1/ns/uts"]);
    bundle.join_namespace("ipc", "/there/is/none");
    bundle.refuses(&["/there/is/none"]);
}

#[test]
fn namespaces_are_joined_by_path_one_by_one() {
    let holder =
        Holder::new(&["--ipc", "--uts", "--net", "--cgroup", "--time", "--pid", "--fork", "--kill-child"]);
    for (kind, file) in
        [("ipc", "ipc"), ("uts", "uts"), ("network", "net"), ("cgroup", "cgroup"), ("time", "time")]
    {
        let mut bundle = Bundle::new();
        bundle.config["hostname"] = json!(null);
        bundle.join_namespace(kind, &holder.path(file));
        assert_eq!(bundle.ok(&format!("readlink /proc/self/ns/{file}")), holder.link(file), "{kind}");
    }
    let mut bundle = Bundle::new();
    let pid = holder.path("pid_for_children");
    bundle.join_namespace("pid", &pid);
    let seen = bundle.ok("readlink /proc/self/ns/pid; cat /proc/1/comm");
    assert_eq!(
        seen,
        format!("{}\nsh", std::fs::read_link(pid).unwrap().display()).replace("\nsh", "\nsleep")
    );
}

#[test]
fn a_user_namespace_is_joined_with_what_belongs_to_it_and_what_does_not() {
    let holder = Holder::new(&["--user", "--map-root-user", "--net", "--ipc"]);
    let other = Holder::new(&["--uts"]);
    let mut bundle = Bundle::new();
    bundle.config["hostname"] = json!(null);
    bundle.join_namespace("uts", &other.path("uts"));
    bundle.join_namespace("network", &holder.path("net"));
    bundle.join_namespace("user", &holder.path("user"));
    bundle.join_namespace("ipc", &holder.path("ipc"));
    let seen = bundle.ok("for ns in user net ipc uts; do readlink /proc/self/ns/$ns; done; id -u");
    let expected =
        [holder.link("user"), holder.link("net"), holder.link("ipc"), other.link("uts"), "0".into()];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_mount_namespace_that_is_joined_is_not_changed() {
    if is_oracle() {
        return; // others change it
    }
    let holder = Holder::new(&["--mount"]);
    let before = std::fs::read_to_string(format!("/proc/{}/mountinfo", holder.0.id())).unwrap();
    let mut bundle = Bundle::new();
    bundle.join_namespace("mount", &holder.path("mnt"));
    assert!(bundle.ok("ls /").contains("home"));
    let after = std::fs::read_to_string(format!("/proc/{}/mountinfo", holder.0.id())).unwrap();
    assert_eq!(before, after);
}

#[test]
fn id_maps_of_many_lines_are_written() {
    let mut bundle = Bundle::with_user_namespace();
    let map = json!([
        {"containerID": 0, "hostID": 100_000, "size": 1000}, {"containerID": 1000, "hostID": 300_000, "size": 1},
        {"containerID": 5000, "hostID": 200_000, "size": 10}
    ]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    let expected = "0 100000 1000\n1000 300000 1\n5000 200000 10";
    let seen =
        bundle.ok("awk '{print $1, $2, $3}' /proc/self/uid_map; awk '{print $1, $2, $3}' /proc/self/gid_map");
    assert_eq!(seen, format!("{expected}\n{expected}"));
    bundle.config["process"]["user"] = json!({"uid": 5003, "gid": 1000});
    assert_eq!(bundle.ok("id -u; id -g"), "5003\n1000");
    bundle.config["process"]["user"] = json!({"uid": 4000, "gid": 0});
    bundle.refuses(&["4000"]);
}

#[test]
fn id_maps_are_of_ids() {
    for (host, size) in [(4_294_967_290_u32, 100_u32), (5, 0)] {
        let mut bundle = Bundle::with_user_namespace();
        let more = json!({"containerID": 70_000, "hostID": host, "size": size});
        bundle.config["linux"]["uidMappings"].as_array_mut().unwrap().push(more);
        bundle.refuses(&["id mapping", &host.to_string()]);
    }
}

#[test]
fn id_maps_and_a_user_namespace_go_together() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    bundle.refuses_strictly(&["mappings"]);
    let mut bundle = Bundle::new();
    bundle.add_namespace("user");
    bundle.refuses_strictly(&["mappings"]);
}

#[test]
fn clocks_are_offset_in_a_time_namespace() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["timeOffsets"] =
        json!({"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 7, "nanosecs": 9}});
    bundle.refuses(&["timeOffsets"]);
    bundle.add_namespace("time");
    let uptime: f64 = bundle.ok("cut -d' ' -f1 /proc/uptime").parse().unwrap();
    assert!(uptime > 1_000_000.0, "{uptime}");
    assert_eq!(
        bundle.ok("awk '{print $1, $2, $3}' /proc/self/timens_offsets"),
        "monotonic 7 9\nboottime 1000000 0"
    );
    bundle.config["linux"]["timeOffsets"] = json!({"sundial": {"secs": 1}});
    bundle.refuses_strictly(&["timeOffsets", "sundial"]);
}

#[test]
fn names_of_host_and_domain_are_set_in_a_uts_namespace() {
    let mut bundle = Bundle::new();
    bundle.config["hostname"] = json!("a-name");
    bundle.config["domainname"] = json!("a.domain");
    assert_eq!(bundle.ok("hostname; cat /proc/sys/kernel/domainname"), "a-name\na.domain");
    bundle.drop_namespace("uts");
    bundle.refuses(&["hostname"]);
    bundle.config["hostname"] = json!("");
    bundle.refuses(&["domainname"]);
}

#[test]
fn settings_of_the_containers_namespaces_are_set() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["sysctl"] = json!({
        "net.ipv4.ip_forward": "1", "net/ipv4/conf/lo/forwarding": "1", "kernel.shmmax": "4711", "fs.mqueue.msg_max": "7",
        "kernel.domainname": "by.sysctl"
    });
    bundle.config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    let files = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max";
    assert_eq!(bundle.ok(&format!("{files} /proc/sys/kernel/domainname")), "1\n4711\n7\nby.sysctl");
    let mut bundle = Bundle::with_user_namespace();
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "user.max_net_namespaces": "3"});
    assert_eq!(bundle.ok("cat /proc/sys/net/ipv4/ip_forward /proc/sys/user/max_net_namespaces"), "1\n3");
}

#[test]
fn settings_of_the_host_are_refused_by_name() {
    let host = || {
        ["kernel/panic", "net/ipv4/ip_forward"]
            .map(|name| std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap())
    };
    let before = host();
    for name in [
        "kernel.panic",
        "vm.swappiness",
        "net/../kernel/panic",
        "kernel.hostname",
        "net..x",
        "user.max_net_namespaces",
    ] {
        let mut bundle = Bundle::new();
        bundle.config["linux"]["sysctl"] = json!({name: "9"});
        bundle.refuses(&["linux.sysctl", name]);
    }
    let mut bundle = Bundle::new();
    bundle.drop_namespace("network");
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "0"});
    bundle.refuses(&["net.ipv4.ip_forward", "network namespace"]);
    bundle.join_namespace("network", &format!("/proc/{}/ns/net", std::process::id()));
    bundle.refuses(&["ip_forward", "network namespace"]);
    assert_eq!(before, host());
    let mut bundle = Bundle::new();
    bundle.config["linux"]["sysctl"] = json!({"net.there.is.none": "9"});
    bundle.refuses(&["net/there/is/none"]);
}

/// A dummy device on the host for one test.
struct Dummy(String);

impl Dummy {
    fn new(name: &str) -> Option<Self> {
        let ip = |words: &[&str]| {
            Command::new("busybox").arg("ip").args(words).output().is_ok_and(|done| done.status.success())
        };
        let made = ip(&["link", "add", name, "type", "dummy"]);
        made.then(|| {
            assert!(ip(&["addr", "add", "192.0.2.77/24", "dev", name]));
            assert!(ip(&["link", "set", name, "up"]));
            Self(name.to_owned())
        })
    }
}

impl Drop for Dummy {
    fn drop(&mut self) {
        let _ = Command::new("busybox").args(["ip", "link", "del", &self.0]).output();
    }
}

#[test]
fn network_devices_move_with_their_addresses() {
    let name = format!("hull{}", std::process::id() % 100_000);
    let Some(dummy) = Dummy::new(&name) else {
        eprintln!("SKIP: this kernel makes no dummy devices");
        return;
    };
    let mut bundle = Bundle::with_user_namespace();
    bundle.config["linux"]["netDevices"] = json!({name.clone(): {"name": "lo"}});
    bundle.refuses(&[&name]);
    bundle.config["linux"]["netDevices"] = json!({name.clone(): {"name": "inside%d"}});
    let seen = bundle.ok("ip -o addr show dev inside0; ip -o link show dev inside0");
    assert!(seen.contains("192.0.2.77/24") && seen.contains(",UP"), "{seen}");
    assert!(!std::path::Path::new("/sys/class/net").join(&dummy.0).exists(), "it is still the host's");
}

#[test]
fn network_devices_that_cannot_move_are_refused() {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["netDevices"] = json!({"there-is-none": {}});
    bundle.refuses(&["netDevices", "there-is-none"]);
    bundle.config["linux"]["netDevices"] = json!({"a/b": {}});
    bundle.refuses(&["netDevices", "a/b"]);
    bundle.config["linux"]["netDevices"] = json!({"lo": {}});
    bundle.drop_namespace("network");
    bundle.refuses_strictly(&["netDevices", "network namespace"]);
}

#[test]
fn no_descriptor_of_the_runtimes_is_left() {
    let mut bundle = Bundle::with_user_namespace();
    bundle.mount("/m", "bind", "/etc", &["rbind"]);
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    assert_eq!(bundle.ok("ls /proc/1/fd; true").split_whitespace().collect::<Vec<_>>(), ["0", "1", "2"]);
    let host = std::fs::metadata("/").unwrap();
    assert_ne!(bundle.ok("stat -c %d:%i /proc/1/root/"), format!("{}:{}", host.dev(), host.ino()));
}

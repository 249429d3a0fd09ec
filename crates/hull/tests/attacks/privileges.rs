//! More rights than were given.

use crate::bundle::{Bundle, Said};
use crate::runtime::{Runtime, binary, is_hull};
use serde_json::json;

/// A set of capabilities in `/proc/PID/status`.
fn set(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    u64::from_str_radix(line.unwrap_or_else(|| panic!("no {name}: {text}")).trim(), 16).unwrap()
}

/// Inheritable capabilities come to life with a file's: what `exec --cap` gives must not be among them. The same hole
/// was in runc (CVE-2022-29162), crun (CVE-2022-27650) and, for ambient ones too, in youki (CVE-2025-27612).
fn of_exec(flags: &[&str]) -> String {
    let mut bundle = Bundle::new();
    bundle.script("sleep 1000");
    bundle.program("look", "id -u; grep ^Cap /proc/self/status");
    let started = bundle.start(Runtime::Tested);
    assert_eq!(started.code, 0, "{started:?}");
    let said = bundle.exec(Runtime::Tested, flags, &["/bin/look"]);
    bundle.delete(Runtime::Tested);
    said.text
}

#[test]
fn cve_2022_29162_cve_2022_27650_exec_gives_no_inheritable_capabilities() {
    let text = of_exec(&["--cap", "CAP_NET_RAW", "--cap", "CAP_SYS_PTRACE"]);
    assert_eq!(set(&text, "CapInh"), 0, "FALLEN: {text}");
    let both = 1 << 13 | 1 << 19;
    let effective = set(&text, "CapEff");
    assert_eq!(effective & both, both, "what was asked for is there: {text}");
}

#[test]
fn cve_2025_27612_nor_does_it_give_ambient_ones() {
    let text = of_exec(&["--env", "PATH=/bin", "--cap", "CAP_NET_RAW"]);
    assert_eq!((set(&text, "CapInh"), set(&text, "CapAmb")), (0, 0), "FALLEN: {text}");
}

#[test]
fn run_gives_what_the_configuration_says() {
    let mut bundle = Bundle::new();
    bundle.script("grep ^Cap /proc/self/status");
    let sets = |text: &str| ["CapInh", "CapAmb", "CapPrm"].map(|name| set(text, name));
    let said = bundle.run(Runtime::Tested);
    assert_eq!(sets(&said.text)[..2], [0, 0], "{said:?}");
    bundle.config["process"]["user"]["uid"] = 1000.into();
    let said = bundle.run(Runtime::Tested);
    assert_eq!(sets(&said.text), [0; 3], "{said:?}");
}

/// crun took a user without a group for root.
#[test]
fn cve_2026_30892_a_user_of_exec_is_not_root() {
    let text = of_exec(&["--user", "1"]);
    assert!(text.starts_with("1\n"), "FALLEN: {text}");
    assert_eq!(set(&text, "CapEff"), 0, "{text}");
}

/// What tries to change groups that are the host's, and leaves nothing.
const CLIMB: &str = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do \
    mkdir $d/hull-evil 2>/dev/null && echo MADE $d && rmdir $d/hull-evil; \
    echo $$ 2>/dev/null > $d/cgroup.procs && echo MOVED $d; done; \
    mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo REMOUNTED; echo RAN";

/// Its groups are mounted read-only, in no cgroup namespace.
fn with_groups() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.mount(json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
    }));
    bundle.without_capability("CAP_SYS_ADMIN"); // or it could change its own mounts
    bundle.script(CLIMB);
    bundle
}

fn assert_did_not_climb(said: &Said) {
    for word in ["MADE", "MOVED", "REMOUNTED"] {
        assert!(!said.has(word), "FALLEN: {said:?}");
    }
    assert!(said.has("RAN"), "{said:?}");
}

/// A runtime in a user namespace may not mount the hierarchy, and took the host's as it was: writable.
#[test]
fn cve_2023_25809_groups_are_read_only_for_a_runtime_without_root() {
    let bundle = with_groups();
    let mut host = std::process::Command::new("unshare");
    let enter = "test -e /sys/fs/cgroup/cgroup.controllers || mount -t cgroup2 none /sys/fs/cgroup; \
        exec unshare --user --map-root-user --mount \"$@\"";
    host.args(["--mount", "sh", "-c", enter, "sh"]).arg(binary());
    if is_hull() {
        host.arg("runtime");
    }
    assert_did_not_climb(&bundle.tell_by(host, &bundle.words("run")));
}

#[test]
fn groups_are_read_only_for_a_user_namespace_of_the_hosts_ids() {
    let mut bundle = with_groups();
    let ids = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = ids.clone();
    bundle.config["linux"]["gidMappings"] = ids;
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    assert_did_not_climb(&bundle.run(Runtime::Tested));
}

/// On a host with systemd every mount is shared: what is mounted in one place appears in others.
#[test]
fn what_a_container_mounts_does_not_appear_on_the_host() {
    let mut bundle = Bundle::new();
    bundle.mount(json!({
        "destination": "/shared", "type": "bind", "source": bundle.host(""), "options": ["rbind", "rw"],
    }));
    bundle.script("mount -t tmpfs inside /shared && mount -t tmpfs inside /bin && echo MOUNTED");
    let mut host = std::process::Command::new("unshare");
    // It says what it sees after the container has mounted, and while the container is there.
    let see = "mount --make-rshared /; \"$@\"; grep -c ' tmpfs inside ' /proc/self/mountinfo";
    host.args(["--mount", "sh", "-c", see, "sh", env!("CARGO_BIN_EXE_hull"), "runtime"]);
    let said = bundle.tell_by(host, &bundle.words("run"));
    assert_eq!(said.text, "MOUNTED\n0\n");
}

//! More rights than were given.

use crate::bundle::{Bundle, Runtime, is_empty};
use serde_json::json;

fn inheritable(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("CapInh:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn ambient(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("CapAmb:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Inheritable capabilities come to life with a file's: what `exec --cap` gives must not be among them. The same hole
/// was in runc (CVE-2022-29162), crun (CVE-2022-27650) and libcontainer of youki (CVE-2025-27612).
fn of_exec(runtime: Runtime) -> String {
    let mut bundle = Bundle::new();
    bundle.script("sleep 1000");
    let started = bundle.start(runtime);
    assert_eq!(started.code, 0, "{started:?}");
    let said = bundle.exec(
        runtime,
        &["--cap", "CAP_NET_RAW", "--cap", "CAP_SYS_PTRACE"],
        &["/bin/grep", "^Cap", "/proc/self/status"],
    );
    bundle.delete(runtime);
    said.text
}

#[test]
fn cve_2022_29162_exec_gives_no_inheritable_capabilities() {
    let text = of_exec(Runtime::Hull);
    assert_eq!(inheritable(&text), Some(0), "{text}");
}

#[test]
fn cve_2022_27650_nor_does_it_give_ambient_ones() {
    let text = of_exec(Runtime::Hull);
    assert_eq!(ambient(&text), Some(0), "{text}");
    let effective = text.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let effective = u64::from_str_radix(effective.trim(), 16).unwrap();
    assert_eq!(effective & (1 << 13 | 1 << 19), 1 << 13 | 1 << 19, "what was asked for is there: {text}");
}

#[test]
fn cve_2025_27612_run_gives_what_the_configuration_says() {
    let mut bundle = Bundle::new();
    bundle.script("grep ^Cap /proc/self/status");
    let said = bundle.run(Runtime::Hull);
    assert_eq!((inheritable(&said.text), ambient(&said.text)), (Some(0), Some(0)), "{said:?}");
    bundle.config["process"]["user"]["uid"] = 1000.into();
    let said = bundle.run(Runtime::Hull);
    let permitted = said.text.lines().find_map(|line| line.strip_prefix("CapPrm:")).map(str::trim);
    assert_eq!((inheritable(&said.text), permitted), (Some(0), Some("0000000000000000")), "{said:?}");
}

/// Without a cgroup namespace of its own and without root on the host, the host's groups were writable.
#[test]
fn cve_2023_25809_groups_are_read_only_without_a_cgroup_namespace() {
    let mut bundle = Bundle::new();
    bundle.mount(json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
    }));
    let ids = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = ids.clone();
    bundle.config["linux"]["gidMappings"] = ids;
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    // With this one it could change its own mounts, and the ids are the host's.
    for set in ["bounding", "effective", "permitted"] {
        let all = bundle.config["process"]["capabilities"][set].as_array_mut().unwrap();
        all.retain(|name| name != "CAP_SYS_ADMIN");
    }
    bundle.script(
        "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/evil 2>/dev/null && echo MADE $d; \
         echo $$ 2>/dev/null > $d/cgroup.procs && echo MOVED $d; done; \
         mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo REMOUNTED; echo RAN",
    );
    let said = bundle.run(Runtime::Hull);
    assert!(said.has("RAN"), "{said:?}");
    for word in ["MADE", "MOVED", "REMOUNTED"] {
        assert!(!said.has(word), "{said:?}");
    }
    assert!(!is_empty(std::path::Path::new("/sys/fs/cgroup")));
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
    let id = bundle.dir.file_name().unwrap().to_str().unwrap();
    let said = bundle.tell_by(host, &["run", "--bundle", bundle.dir.to_str().unwrap(), id]);
    assert_eq!(said.text, "MOUNTED\n0\n");
}

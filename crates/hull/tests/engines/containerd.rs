//! containerd: io.containerd.runc.v2 with another binary, asked for by `ctr`, and by configuration for kubelets.

use crate::support::{busybox, docker_archive_running};
use crate::workshop::{Daemon, Workshop};
use crate::{eventually, ok, run, under_systemd};
use std::process::Command;

/// containerd with directories and a socket of its own.
struct Containerd {
    _daemon: Daemon,
    shop: Workshop,
}

impl Containerd {
    fn new() -> Option<Self> {
        Self::configured("disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n", "")
    }

    /// One that has the image, with words of its configuration before its tables and after.
    fn configured(first: &str, last: &str) -> Option<Self> {
        let shop = Workshop::of(&["containerd", "ctr"])?;
        let [storage, state, socket, runtime] =
            ["storage", "run", "socket", "hull-runtime"].map(|name| shop.word(name));
        let config = format!(
            "version = 2\nroot = \"{storage}\"\nstate = \"{state}\"\n{first}[grpc]\naddress = \"{socket}\"\n{}",
            last.replace("{runtime}", &runtime).replace("{run}", &state)
        );
        let config = shop.write("config.toml", &config);
        let mut daemon = Command::new("containerd");
        daemon.args(["-c", &config]);
        let answers = || run(&mut ctr(&shop, &["version"])).0 == 0;
        let containerd = Self { _daemon: Daemon::start(daemon, &shop.path("log"), answers), shop };
        containerd.ok(&["images", "import", "--snapshotter", "native", &containerd.shop.word("bb.tar")]);
        Some(containerd)
    }

    fn ok(&self, args: &[&str]) -> String {
        ok(&mut ctr(&self.shop, args))
    }

    fn run(&self, flags: &[&str], args: &[&str]) -> Command {
        let runtime = self.shop.word("hull-runtime");
        let fixed = ["run", "--snapshotter", "native", "--runtime", "io.containerd.runc.v2", "--runc-binary"];
        ctr(&self.shop, &[&fixed[..], &[&runtime], flags, &["docker.io/library/bb:1"], args].concat())
    }

    fn is(&self, state: &str) -> bool {
        self.ok(&["task", "ls"]).contains(state)
    }
}

/// Containers that a test which failed left are ended while their daemon is there.
impl Drop for Containerd {
    fn drop(&mut self) {
        for namespace in ["default", "k8s.io"] {
            let (_, tasks) = run(&mut ctr(&self.shop, &["-n", namespace, "task", "ls", "-q"]));
            for task in tasks.lines() {
                let _ = run(&mut ctr(&self.shop, &["-n", namespace, "task", "delete", "-f", task]));
            }
        }
    }
}

fn ctr(shop: &Workshop, args: &[&str]) -> Command {
    let mut ctr = Command::new("ctr");
    ctr.args(["-a", &shop.word("socket")]).args(args);
    ctr
}

#[test]
fn containerd_leads_a_task_through_its_life() {
    let Some(containerd) = Containerd::new() else { return };
    let name = |name: &str| containerd.shop.unique(name);
    let once = |id: &str, args: &[&str]| containerd.run(&["--rm"], &[&[name(id).as_str()], args].concat());
    assert_eq!(ok(&mut once("first", &["echo", "hello"])), "hello");
    assert_eq!(run(&mut once("second", &["sh", "-c", "exit 7"])).0, 7);
    let (code, said) = run(&mut once("third", &["nosuch"]));
    assert!(code != 0 && said.contains("executable file not found in $PATH"), "{said}");

    let one = name("one");
    ok(&mut containerd.run(&["-d", "--memory-limit", "67108864"], &[&one, "sleep", "1000"]));
    assert!(containerd.is("RUNNING"));
    assert_eq!(containerd.ok(&["task", "exec", "--exec-id", "e", &one, "echo", "inside"]), "inside");
    assert!(containerd.ok(&["task", "ps", &one]).lines().count() == 2);
    containerd.ok(&["task", "pause", &one]);
    assert!(containerd.is("PAUSED"));
    containerd.ok(&["task", "resume", &one]);
    let metrics = containerd.ok(&["task", "metrics", "--format", "json", &one]);
    assert!(metrics.contains("67108864"), "{metrics}");
    let (code, said) = run(&mut ctr(&containerd.shop, &["task", "checkpoint", &one]));
    assert!(code != 0 && said.contains("checkpoint and restore are not supported"), "{said}");
    containerd.ok(&["task", "kill", "-s", "SIGKILL", &one]);
    eventually("the task stops", || containerd.is("STOPPED"));
    let (_, said) = run(&mut ctr(&containerd.shop, &["task", "delete", &one]));
    assert!(said.contains("137"), "{said}");
    containerd.ok(&["container", "delete", &one]);
}

#[test]
fn containerd_hands_its_groups_to_systemd() {
    if !under_systemd() {
        eprintln!("SKIP: systemd is not pid 1");
        return;
    }
    let Some(containerd) = Containerd::new() else { return };
    let one = containerd.shop.unique("one");
    let group = format!("system.slice:ctr:{one}");
    let flags = ["-d", "--runc-systemd-cgroup", "--cgroup", &group, "--memory-limit", "67108864"];
    ok(&mut containerd.run(&flags, &[&one, "sleep", "1000"]));
    let of_scope = |property: &str| {
        ok(Command::new("systemctl").args(["show", "-P", property, &format!("ctr-{one}.scope")]))
    };
    assert_eq!((of_scope("ActiveState"), of_scope("MemoryMax")), ("active".into(), "67108864".into()));
    containerd.ok(&["task", "kill", "-s", "SIGKILL", &one]);
    eventually("the task stops", || containerd.is("STOPPED"));
    let _ = run(&mut ctr(&containerd.shop, &["task", "delete", &one]));
    eventually("its scope goes", || of_scope("ActiveState") == "inactive");
}

/// The README's line, and what keeps containerd from what is not there: a registry, other storage, plugins of networks.
const CRI: &str = r#"
[plugins."io.containerd.internal.v1.opt"]
path = "{run}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/sleeper:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "hull"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.hull]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.hull.options]
BinaryName = "{runtime}"
"#;

#[test]
fn containerd_serves_a_kubelet() {
    let asked = Command::new("/usr/bin/python3").args(["-c", "import grpc"]).status();
    if !asked.is_ok_and(|status| status.success()) {
        eprintln!("SKIP: python3-grpcio is not installed");
        return;
    }
    let Some(containerd) = Containerd::configured("", CRI) else { return };
    let shop = &containerd.shop;
    let sleeper = docker_archive_running("sleeper:1", &["sleep", "1000"], &[busybox()]);
    std::fs::write(shop.path("sleeper.tar"), sleeper).unwrap();
    for archive in ["bb.tar", "sleeper.tar"] {
        containerd.ok(&["-n", "k8s.io", "images", "import", "--snapshotter", "native", &shop.word(archive)]);
    }
    let mut kubelet = Command::new("/usr/bin/python3");
    let script = shop.write("kubelet.py", include_str!("kubelet.py"));
    kubelet.args([&script, &shop.word("socket"), &shop.unique("pod")]);
    assert_eq!(ok(&mut kubelet).lines().collect::<Vec<_>>(), ["1000", "500", "67108864", "7"]);
    assert_eq!(containerd.ok(&["-n", "k8s.io", "containers", "ls", "-q"]), "");
}

//! podman with the runtime in its configuration, as the README has it.

use crate::support::Terminal;
use crate::workshop::Workshop;
use crate::{MEMORY, QUOTA, file_of, ok, run, under_systemd};
use std::process::Command;

/// podman with storage, state and configuration of its own.
struct Podman(Workshop);

impl Podman {
    /// One that has the image.
    fn new() -> Option<Self> {
        let shop = Workshop::of(&["podman"])?;
        shop.write("containers.conf", &configuration(&shop));
        let podman = Self(shop);
        podman.ok(&["load", "-q", "-i", &podman.0.word("bb.tar")]);
        Some(podman)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut podman = Command::new("podman");
        podman.args(["--root", &self.0.word("storage"), "--runroot", &self.0.word("run")]);
        podman.args(["--storage-driver", "vfs"]).args(args);
        podman.env("CONTAINERS_CONF", self.0.word("containers.conf"));
        podman
    }

    fn ok(&self, args: &[&str]) -> String {
        ok(&mut self.command(args))
    }

    fn fails(&self, args: &[&str]) -> (i32, String) {
        let (code, said) = run(&mut self.command(args));
        assert_ne!(code, 0, "{args:?}: {said}");
        (code, said)
    }

    fn of(&self, name: &str, what: &str) -> String {
        self.ok(&["inspect", "-f", what, name])
    }

    /// What a shell in a container says.
    fn sh(&self, name: &str, script: &str) -> String {
        self.ok(&["exec", name, "sh", "-c", script])
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = run(&mut self.command(&["pod", "rm", "-fa", "-t", "0"]));
        let _ = run(&mut self.command(&["rm", "-fa", "-t", "0"]));
    }
}

/// podman's own limits of files and processes are above what a caller without CAP_SYS_RESOURCE may set.
fn configuration(shop: &Workshop) -> String {
    let mut text = String::from("[containers]\nlog_driver = \"k8s-file\"\n");
    if !raises_limits() {
        text += "default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n";
    }
    text += "[engine]\nevents_logger = \"file\"\n";
    if !under_systemd() {
        text += "cgroup_manager = \"cgroupfs\"\n";
    }
    text + &format!("tmp_dir = \"{}\"\nruntime = \"{}\"\n", shop.word("tmp"), shop.word("hull-runtime"))
}

/// May this process raise limits?
fn raises_limits() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    u64::from_str_radix(line, 16).unwrap() & (1 << 24) != 0
}

#[test]
fn podman_leads_a_container_through_its_life() {
    let Some(podman) = Podman::new() else { return };
    let once = |args: &[&str]| podman.command(&[&["run", "--rm", "--net", "none", "bb:1"], args].concat());
    assert_eq!(ok(&mut once(&["echo", "hello"])), "hello");
    for (args, code) in [(&["sh", "-c", "exit 7"][..], 7), (&["nosuch"], 127), (&["/etc"], 126)] {
        let (got, said) = run(&mut once(args));
        assert_eq!(got, code, "{said}");
    }
    podman.ok(&["run", "-d", "--name", "one", "--net", "none", "--memory", "64m", "bb:1", "sleep", "1000"]);
    assert!(podman.of("one", "{{.OCIRuntime}}").ends_with("/hull-runtime"));
    assert_eq!(podman.ok(&["exec", "-u", "1000", "one", "id", "-u"]), "1000");
    assert_eq!(podman.fails(&["exec", "one", "sh", "-c", "exit 9"]).0, 9);
    assert_eq!(podman.sh("one", &format!("cat {}", file_of(MEMORY))), (64 << 20).to_string());
    podman.ok(&["pause", "one"]);
    assert_eq!(podman.of("one", "{{.State.Status}}"), "paused");
    podman.ok(&["unpause", "one"]);
    assert!(podman.ok(&["top", "one"]).contains("sleep"));
    let stats = podman.ok(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "one"]);
    assert!(stats.contains("/ 67.11MB 1"), "{stats}");
    podman.ok(&["update", "--memory", "80m", "--cpus", "0.5", "one"]);
    assert_eq!(podman.sh("one", &format!("cat {}", file_of(MEMORY))), (80 << 20).to_string());
    assert!(podman.sh("one", &format!("cat {}", file_of(QUOTA))).starts_with("50000"));
    podman.sh("one", "echo kept > /kept");
    podman.ok(&["stop", "-t", "1", "one"]);
    assert_eq!(podman.of("one", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    podman.ok(&["start", "one"]);
    assert_eq!(podman.sh("one", "cat /kept"), "kept");
    podman.ok(&["kill", "-s", "KILL", "one"]);
    assert_eq!(podman.ok(&["wait", "one"]), "137");
    podman.ok(&["rm", "one"]);
}

#[test]
fn podman_gives_its_containers_terminals_and_streams() {
    let Some(podman) = Podman::new() else { return };
    let run_it = podman.command(&["run", "-it", "--name", "one", "--net", "none", "bb:1", "sh"]);
    let mut first = Terminal::start(run_it);
    // podman passes its terminal's size on a moment after the start.
    let sized = "until [ \"$(stty size)\" = '24 80' ]; do sleep 0.1; done; tty; echo si''zed\n";
    first.send(sized);
    assert!(first.expect("sized").contains("/dev/pts/0"));
    let mut second = Terminal::start(podman.command(&["exec", "-it", "one", "sh"]));
    second.send("tty; echo s''aid; exit 4\n");
    assert!(second.expect("said").contains("/dev/pts/1"));
    assert_eq!(second.wait(), 4);
    first.send("exit 5\n");
    assert_eq!(first.wait(), 5);
    let mut cat = podman.command(&["run", "-i", "--rm", "--net", "none", "bb:1", "cat"]);
    let file = std::fs::File::open(podman.0.path("bb.tar")).unwrap();
    let through = cat.stdin(file).output().unwrap().stdout;
    assert!(through == std::fs::read(podman.0.path("bb.tar")).unwrap(), "{} bytes", through.len());
}

#[test]
fn podmans_pods_share_what_they_share_and_no_more() {
    let Some(podman) = Podman::new() else { return };
    let infra = ["--infra-image", "bb:1", "--infra-command", "sleep 1000", "--network", "none"];
    podman.ok(&[&["pod", "create", "--name", "pod", "--hostname", "shared"], &infra[..]].concat());
    podman.ok(&["pod", "start", "pod"]);
    for name in ["a", "b"] {
        podman.ok(&["run", "-d", "--pod", "pod", "--name", name, "bb:1", "sleep", "1000"]);
    }
    let infra = podman.ok(&["pod", "inspect", "-f", "{{.InfraContainerID}}", "pod"]);
    let namespaces = |kind: &str| {
        let links = ["a", "b", &infra].map(|name| podman.sh(name, &format!("readlink /proc/self/ns/{kind}")));
        links.into_iter().collect::<std::collections::BTreeSet<_>>().len()
    };
    let counts = ["net", "ipc", "uts", "pid", "mnt"].map(namespaces);
    assert_eq!(counts, [1, 1, 1, 3, 3], "of net, ipc, uts, pid, mnt");
    assert_eq!(podman.sh("b", "hostname"), "shared");
    // What one serves the other reaches, on a loopback that was up before either.
    podman.ok(&["exec", "-d", "a", "sh", "-c", "echo served | nc -l -p 8080"]);
    let ask = "until nc 127.0.0.1 8080 2>/dev/null; do sleep 0.1; done";
    assert_eq!(podman.sh("b", ask), "served");
    podman.ok(&["pod", "stop", "-t", "1", "pod"]);
    for name in ["a", "b", &infra] {
        assert_eq!(podman.of(name, "{{.State.Status}}"), "exited");
    }
    podman.ok(&["pod", "start", "pod"]);
    assert_eq!(podman.sh("a", "hostname"), "shared");
    podman.ok(&["pod", "rm", "-f", "-t", "1", "pod"]);
    assert_eq!(podman.ok(&["ps", "-aq"]), "");
}

const KUBE: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  restartPolicy: Never
  containers:
  - name: one
    image: localhost/bb:1
    command: [sh, -c, 'while :; do echo $SAID | nc -l -p 8080; done']
    env: [{name: SAID, value: hello}]
    resources: {limits: {memory: 64Mi}}
  - name: two
    image: localhost/bb:1
    command: [sleep, '1000']
    securityContext:
      runAsUser: 1000
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
";

#[test]
fn podman_plays_a_pod_of_kubernetes() {
    let Some(podman) = Podman::new() else { return };
    if !["/usr/libexec/podman/catatonit", "/usr/bin/catatonit"]
        .iter()
        .any(|path| std::path::Path::new(path).exists())
    {
        eprintln!("SKIP: catatonit, with which podman makes the first container of a pod, is not installed");
        return;
    }
    let file = podman.0.write("web.yml", KUBE);
    podman.ok(&["play", "kube", "--network", "none", &file]);
    let ask = "until nc 127.0.0.1 8080 2>/dev/null; do sleep 0.1; done; id -u; grep CapEff /proc/self/status";
    let said = podman.sh("web-two", ask);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["hello", "1000", "CapEff:\t0000000000000000"]);
    assert!(podman.fails(&["exec", "web-two", "touch", "/x"]).1.contains("Read-only file system"));
    assert_eq!(podman.sh("web-one", &format!("cat {}", file_of(MEMORY))), (64 << 20).to_string());
    podman.ok(&["play", "kube", "--down", &file]);
    assert_eq!(podman.ok(&["ps", "-aq"]), "");
}

/// The timer is systemd's and knows nothing of a podman whose storage is elsewhere, so the check is called by hand.
#[test]
fn podman_checks_health_and_tells_why_nothing_is_checkpointed() {
    let Some(podman) = Podman::new() else { return };
    let health = ["--health-cmd", "test -e /ok", "--health-interval", "disable", "--health-retries", "1"];
    let container = ["--name", "one", "--net", "none", "bb:1", "sleep", "1000"];
    podman.ok(&[&["run", "-d"], &health[..], &container].concat());
    assert_eq!(podman.fails(&["healthcheck", "run", "one"]).0, 1);
    assert_eq!(podman.of("one", "{{.State.Health.Status}}"), "unhealthy");
    podman.sh("one", "touch /ok");
    podman.ok(&["healthcheck", "run", "one"]);
    assert_eq!(podman.of("one", "{{.State.Health.Status}}"), "healthy");
    // podman says so itself before it asks a runtime.
    let (_, said) = podman.fails(&["container", "checkpoint", "one"]);
    assert!(said.contains("checkpoint"), "{said}");
    assert_eq!(podman.of("one", "{{.State.Status}}"), "running");
}

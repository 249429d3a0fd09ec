//! podman with `--runtime`, and buildah, which uses it for `RUN`.

use super::{Workshop, ok, run, text};
use std::process::Command;

impl Workshop {
    fn podman(&self, args: &[&str]) -> Command {
        let mut podman = Command::new("podman");
        podman.args([
            "--root",
            &self.word("pod"),
            "--runroot",
            &self.word("pod-run"),
            "--storage-driver",
            "vfs",
        ]);
        podman.args(["--cgroup-manager", "cgroupfs", "--runtime", &self.word("hull-runtime")]).args(args);
        podman
    }

    /// podman's own limits are above what a caller without CAP_SYS_RESOURCE may set.
    fn podman_run(&self, flags: &[&str], args: &[&str]) -> Command {
        let limits = ["run", "--net", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"];
        let all: Vec<_> = limits.iter().chain(flags).chain(&["bb:1"]).chain(args).copied().collect();
        self.podman(&all)
    }
}

#[test]
#[ignore = "needs podman: cargo xtask test --long"]
fn podman_leads_a_container_through_its_life() {
    let shop = Workshop::new();
    ok(&mut shop.podman(&["load", "-q", "-i", &shop.word("bb.tar")]));
    assert_eq!(ok(&mut shop.podman_run(&["--rm"], &["echo", "hello"])), "hello");
    assert_eq!(run(&mut shop.podman_run(&["--rm"], &["sh", "-c", "exit 7"])).0, 7);
    for (program, code) in [("nosuch", 127), ("/etc", 126)] {
        let (got, said) = run(&mut shop.podman_run(&["--rm"], &[program]));
        assert_eq!(got, code, "{said}");
    }
    ok(&mut shop.podman_run(&["-d", "--name", "one", "--memory", "64m"], &["sleep", "1000"]));
    assert_eq!(ok(&mut shop.podman(&["exec", "-u", "1000", "one", "id", "-u"])), "1000");
    assert_eq!(run(&mut shop.podman(&["exec", "one", "sh", "-c", "exit 9"])).0, 9);
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    assert_eq!(ok(&mut shop.podman(&["exec", "one", "sh", "-c", limit])), (64 << 20).to_string());
    ok(&mut shop.podman(&["pause", "one"]));
    assert_eq!(ok(&mut shop.podman(&["inspect", "-f", "{{.State.Status}}", "one"])), "paused");
    ok(&mut shop.podman(&["unpause", "one"]));
    assert!(
        ok(&mut shop.podman(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "one"])).contains('/')
    );
    assert!(ok(&mut shop.podman(&["top", "one"])).contains("sleep"));
    ok(&mut shop.podman(&["kill", "-s", "KILL", "one"]));
    ok(&mut shop.podman(&["rm", "-f", "one"]));
}

#[test]
#[ignore = "needs podman: cargo xtask test --long"]
fn podmans_pods_share_their_namespaces() {
    let shop = Workshop::new();
    ok(&mut shop.podman(&["load", "-q", "-i", &shop.word("bb.tar")]));
    let pause = ["pod", "create", "--name", "pod", "--infra-image", "bb:1", "--infra-command", "sleep 1000"];
    let (code, said) = run(shop.podman(&pause).args(["--network", "none"]));
    if code != 0 {
        eprintln!("SKIP: this podman makes no pod here: {said}");
        return;
    }
    let (code, said) = run(&mut shop.podman(&["pod", "start", "pod"]));
    if code != 0 && said.contains("raise limit") {
        eprintln!("SKIP: podman gives the first container of a pod limits that this caller may not set");
    } else {
        assert_eq!(code, 0, "{said}");
    }
    ok(&mut shop.podman(&["pod", "rm", "-f", "pod"]));
}

#[test]
#[ignore = "needs buildah: cargo xtask test --long"]
fn buildah_runs_its_steps() {
    let shop = Workshop::new();
    let buildah = || {
        let mut buildah = Command::new("buildah");
        buildah.args([
            "--root",
            &shop.word("bud"),
            "--runroot",
            &shop.word("bud-run"),
            "--storage-driver",
            "vfs",
        ]);
        buildah
    };
    ok(buildah().args(["pull", "-q", &format!("docker-archive:{}", shop.word("bb.tar"))]));
    std::fs::write(shop.path("Dockerfile"), "FROM localhost/bb:1\nRUN echo made > /made && id -u\n").unwrap();
    let runtime = shop.word("hull-runtime");
    let flags =
        ["bud", "--runtime", &runtime, "--network", "none", "--ulimit", "nofile=1024:1024", "-t", "new"];
    ok(buildah().args(flags).arg(shop.sandbox.path()));
    let name = ok(buildah().args(["from", "new"]));
    let run = ["run", "--runtime", &runtime, "--network", "none", &name, "cat", "/made"];
    // On standard error the runtime tells which capabilities cannot be had, as the specification wants it.
    assert_eq!(text(&buildah().args(run).output().unwrap().stdout).trim(), "made");
    ok(buildah().args(["rm", "-a"]));
}

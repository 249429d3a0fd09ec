//! docker with `--add-runtime`, by its own daemon.

use super::{Daemon, Workshop, ok, run};
use std::process::{Command, Stdio};

impl Workshop {
    fn docker(&self, args: &[&str]) -> Command {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", format!("unix://{}", self.word("docker.sock"))).args(args);
        docker
    }

    fn docker_run(&self, flags: &[&str], args: &[&str]) -> Command {
        let all: Vec<_> =
            ["run", "--network", "none"].iter().chain(flags).chain(&["bb:1"]).chain(args).copied().collect();
        self.docker(&all)
    }

    /// Storage is copied: an overlay on top of another file system would say nothing about the runtime.
    fn dockerd(&self) -> Daemon {
        let mut daemon = Command::new("dockerd");
        daemon.args(["--data-root", &self.word("docker"), "--exec-root", &self.word("docker-exec")]);
        daemon.args(["--pidfile", &self.word("docker.pid"), "--storage-driver", "vfs", "--bridge", "none"]);
        daemon.args(["--iptables=false", "--ip6tables=false", "--default-runtime", "hull"]);
        daemon.arg("-H").arg(format!("unix://{}", self.word("docker.sock")));
        daemon.arg("--add-runtime").arg(format!("hull={}", self.word("hull-runtime")));
        daemon.stdout(Stdio::null()).stderr(Stdio::null());
        Daemon::start(daemon, || {
            self.docker(&["version"]).output().is_ok_and(|output| output.status.success())
        })
    }
}

#[test]
#[ignore = "needs docker: cargo xtask test --long"]
fn docker_leads_a_container_through_its_life() {
    let shop = Workshop::new();
    let daemon = shop.dockerd();
    ok(&mut shop.docker(&["load", "-q", "-i", &shop.word("bb.tar")]));
    assert_eq!(ok(&mut shop.docker_run(&["--rm"], &["echo", "hello"])), "hello");
    for (program, code) in [("nosuch", 127), ("/etc", 126)] {
        let (got, said) = run(&mut shop.docker_run(&["--rm"], &[program]));
        assert_eq!(got, code, "{said}");
    }
    assert_eq!(run(&mut shop.docker_run(&["--rm"], &["sh", "-c", "exit 7"])).0, 7);
    let eater = "x=a; while :; do x=$x$x; done";
    assert_eq!(run(&mut shop.docker_run(&["--rm", "-m", "16m"], &["sh", "-c", eater])).0, 137);
    ok(&mut shop.docker_run(&["-d", "--name", "one", "--memory", "64m"], &["sleep", "1000"]));
    assert_eq!(ok(&mut shop.docker(&["exec", "-u", "1000:5", "one", "sh", "-c", "id -u; id -g"])), "1000\n5");
    assert_eq!(run(&mut shop.docker(&["exec", "one", "sh", "-c", "exit 9"])).0, 9);
    ok(&mut shop.docker(&["pause", "one"]));
    assert!(ok(&mut shop.docker(&["ps", "--format", "{{.Status}}"])).contains("Paused"));
    ok(&mut shop.docker(&["unpause", "one"]));
    assert!(ok(&mut shop.docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}"])).contains("64MiB"));
    ok(&mut shop.docker(&["update", "--memory", "80m", "--memory-swap", "160m", "one"]));
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    assert_eq!(ok(&mut shop.docker(&["exec", "one", "sh", "-c", limit])), (80 << 20).to_string());
    assert!(ok(&mut shop.docker(&["top", "one"])).contains("sleep 1000"));
    ok(&mut shop.docker(&["stop", "-t", "1", "one"]));
    assert_eq!(
        ok(&mut shop.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one"])),
        "exited 137"
    );
    ok(&mut shop.docker(&["start", "one"]));
    ok(&mut shop.docker(&["rm", "-f", "one"]));
    drop(daemon);
}

//! docker with the runtime as its daemon's default: by `--add-runtime`, and by daemon.json as the README has it.

use crate::support::Terminal;
use crate::workshop::{Daemon, Workshop};
use crate::{MEMORY, PIDS, eventually, file_of, ok, run};
use std::process::Command;

/// A daemon of docker's with directories and a socket of its own, and the image.
struct Docker {
    _daemon: Daemon,
    shop: Workshop,
}

impl Docker {
    /// Storage is copied: an overlay on top of another file system would say nothing about the runtime.
    fn new(flags: impl Fn(&Workshop) -> Vec<String>) -> Option<Self> {
        let shop = Workshop::of(&["dockerd", "docker"])?;
        let mut daemon = Command::new("dockerd");
        daemon.args(["--data-root", &shop.word("storage"), "--exec-root", &shop.word("run")]);
        daemon.args(["--pidfile", &shop.word("pid"), "--storage-driver", "vfs", "--bridge", "none"]);
        daemon.args(["--iptables=false", "--ip6tables=false", "--experimental"]).args(flags(&shop));
        daemon.arg("-H").arg(format!("unix://{}", shop.word("socket")));
        let answers = || run(&mut client(&shop, "docker", &["version"])).0 == 0;
        let docker = Self { _daemon: Daemon::start(daemon, &shop.path("log"), answers), shop };
        docker.ok(&["load", "-q", "-i", &docker.shop.word("bb.tar")]);
        Some(docker)
    }

    /// The runtime by flags.
    fn by_flags() -> Option<Self> {
        Self::new(|shop| {
            let runtime = format!("hull={}", shop.word("hull-runtime"));
            ["--add-runtime", &runtime, "--default-runtime", "hull"].map(str::to_owned).into()
        })
    }

    /// The runtime by configuration.
    fn by_file() -> Option<Self> {
        Self::new(|shop| {
            let path = shop.word("hull-runtime");
            let text =
                format!(r#"{{"runtimes": {{"hull": {{"path": "{path}"}}}}, "default-runtime": "hull"}}"#);
            vec!["--config-file".into(), shop.write("daemon.json", &text)]
        })
    }

    fn command(&self, args: &[&str]) -> Command {
        client(&self.shop, "docker", args)
    }

    fn ok(&self, args: &[&str]) -> String {
        ok(&mut self.command(args))
    }

    fn of(&self, name: &str, what: &str) -> String {
        self.ok(&["inspect", "-f", what, name])
    }

    fn sh(&self, name: &str, script: &str) -> String {
        self.ok(&["exec", name, "sh", "-c", script])
    }

    /// A container in the background.
    fn start(&self, name: &str, flags: &[&str]) {
        let fixed = ["run", "-d", "--network", "none", "--name", name];
        self.ok(&[&fixed, flags, &["bb:1", "sleep", "1000"]].concat());
    }
}

/// Containers that a test which failed left are ended while their daemon is there.
impl Drop for Docker {
    fn drop(&mut self) {
        let (_, ids) = run(&mut self.command(&["ps", "-aq"]));
        for id in ids.lines() {
            let _ = run(&mut self.command(&["rm", "-f", id]));
        }
    }
}

/// Debian's, whatever else is called so: clients of different ages tell exit codes from different words.
fn client(shop: &Workshop, program: &str, args: &[&str]) -> Command {
    let debians = std::path::Path::new("/usr/bin").join(program);
    let mut docker = if debians.exists() { Command::new(debians) } else { Command::new(program) };
    docker.env("DOCKER_HOST", format!("unix://{}", shop.word("socket"))).args(args);
    docker
}

#[test]
fn docker_leads_a_container_through_its_life() {
    let Some(docker) = Docker::by_flags() else { return };
    let once = |flags: &[&str], args: &[&str]| {
        run(&mut docker.command(&[&["run", "--rm", "--network", "none"], flags, &["bb:1"], args].concat()))
    };
    assert_eq!(once(&[], &["echo", "hello"]), (0, "hello\n".into()));
    for (args, code) in [(&["sh", "-c", "exit 7"][..], 7), (&["nosuch"], 127), (&["/etc"], 126)] {
        let (got, said) = once(&[], args);
        assert_eq!(got, code, "{said}");
    }
    let eater = "x=a; while :; do x=$x$x; done";
    assert_eq!(once(&["-m", "16m"], &["sh", "-c", eater]).0, 137);
    docker.start("one", &["--memory", "64m", "--pids-limit", "99"]);
    assert_eq!(docker.of("one", "{{.HostConfig.Runtime}}"), "hull");
    assert_eq!(docker.ok(&["exec", "-u", "1000:5", "one", "sh", "-c", "id -u; id -g"]), "1000\n5");
    assert_eq!(run(&mut docker.command(&["exec", "one", "sh", "-c", "exit 9"])).0, 9);
    assert_eq!(docker.sh("one", &format!("cat {}", file_of(PIDS))), "99");
    docker.ok(&["pause", "one"]);
    assert!(docker.ok(&["ps", "--format", "{{.Status}}"]).contains("Paused"));
    docker.ok(&["unpause", "one"]);
    assert!(docker.ok(&["stats", "--no-stream", "--format", "{{.MemUsage}}"]).contains("64MiB"));
    docker.ok(&["update", "--memory", "80m", "--memory-swap", "160m", "one"]);
    assert_eq!(docker.sh("one", &format!("cat {}", file_of(MEMORY))), (80 << 20).to_string());
    assert!(docker.ok(&["top", "one"]).contains("sleep 1000"));
    docker.ok(&["stop", "-t", "1", "one"]);
    assert_eq!(docker.of("one", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    docker.ok(&["start", "one"]);
    docker.ok(&["kill", "one"]);
    assert_eq!(docker.ok(&["wait", "one"]), "137");
    docker.ok(&["rm", "-f", "one"]);
}

#[test]
fn docker_gives_its_containers_terminals() {
    let Some(docker) = Docker::by_flags() else { return };
    let run_it =
        docker.command(&["run", "-it", "--init", "--name", "one", "--network", "none", "bb:1", "sh"]);
    let mut first = Terminal::start(run_it);
    // docker passes its terminal's size on a moment after the start.
    first.send("until [ \"$(stty size)\" = '24 80' ]; do sleep 0.1; done; tty; echo si''zed\n");
    assert!(first.expect("sized").contains("/dev/pts/0"));
    let mut second = Terminal::start(docker.command(&["exec", "-it", "one", "sh"]));
    second.send("tty; echo s''aid; exit 4\n");
    assert!(second.expect("said").contains("/dev/pts/1"));
    assert_eq!(second.wait(), 4);
    first.send("exit 5\n");
    assert_eq!(first.wait(), 5);
    assert!(docker.ok(&["logs", "one"]).contains("sized"));
}

#[test]
fn docker_checks_health_and_is_told_that_nothing_is_checkpointed() {
    let Some(docker) = Docker::by_flags() else { return };
    let check = ["--health-cmd", "test -e /ok", "--health-interval", "1s", "--health-retries", "1"];
    docker.start("one", &check);
    eventually("it is unhealthy", || docker.of("one", "{{.State.Health.Status}}") == "unhealthy");
    docker.sh("one", "touch /ok");
    eventually("it is healthy", || docker.of("one", "{{.State.Health.Status}}") == "healthy");
    let (code, said) = run(&mut docker.command(&["checkpoint", "create", "one", "point"]));
    assert!(code != 0 && said.contains("checkpoint and restore are not supported"), "{said}");
    assert_eq!(docker.of("one", "{{.State.Status}}"), "running");
}

const COMPOSE: &str = "\
version: '2.4'
services:
  one:
    image: bb:1
    command: sh -c 'echo served > /shared/file; exec sleep 1000'
    network_mode: none
    mem_limit: 64m
    volumes: [shared:/shared]
  two:
    image: bb:1
    command: sh -c 'until cat /shared/file; do sleep 0.1; done; exec sleep 1000'
    network_mode: service:one
    depends_on: [one]
    read_only: true
    cap_drop: [ALL]
    volumes: [shared:/shared:ro]
volumes: {shared: {}}
";

#[test]
fn compose_brings_services_up_and_down() {
    if Workshop::of(&["docker-compose"]).is_none() {
        return;
    }
    let Some(docker) = Docker::by_file() else { return };
    let file = docker.shop.write("compose.yml", COMPOSE);
    let project = docker.shop.unique("project");
    let compose = |args: &[&str]| {
        client(&docker.shop, "docker-compose", &[&["-f", &file, "-p", &project], args].concat())
    };
    ok(&mut compose(&["up", "-d"]));
    let limit = file_of(MEMORY);
    assert_eq!(ok(&mut compose(&["exec", "-T", "one", "cat", &limit])), (64 << 20).to_string());
    eventually("one reads what the other wrote", || {
        ok(&mut compose(&["logs", "--no-color", "two"])).contains("| served")
    });
    let network =
        ["one", "two"].map(|name| ok(&mut compose(&["exec", "-T", name, "readlink", "/proc/self/ns/net"])));
    assert_eq!(network[0], network[1]);
    assert!(
        ok(&mut compose(&["exec", "-T", "two", "grep", "CapEff", "/proc/self/status"]))
            .ends_with("0000000000000000")
    );
    ok(&mut compose(&["down", "-v", "-t", "1"]));
    assert_eq!(docker.ok(&["ps", "-aq"]), "");
}

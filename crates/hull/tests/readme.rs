//! The README's walk-through, as its reader goes through it: every command of it, in its order, on one host.
//!
//! What the reader has is made up: images are busybox under their names, one registry is all registries, and mmdebstrap,
//! docker, pass and apt-get do the little that is asked of them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it did")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::{Registry, Sandbox, Terminal, busybox, docker_archive, text};

const README: &str = include_str!("../../../README.md");

/// The sections of the walk-through, and how many commands each has at least.
const SECTIONS: [(&str, usize); 8] = [
    ("Try it", 1),
    ("Real images", 12),
    ("Registries", 12),
    ("Run", 12),
    ("Let it run", 20),
    ("Keep it running", 6),
    ("What isolates a container", 3),
    ("The host", 7),
];

/// They follow what goes on until their reader has enough.
const FOLLOWING: [&str; 5] =
    ["hull logs -f", "hull attach", "hull stats", "hull events", "hull wait web # --condition"];

/// What these change of the host is put aside before.
const ON_THE_HOST: [&str; 2] = ["hull system install", "hull system man"];

/// Not hull's: the tests themselves, and the registry that is there already.
const OTHERS: [&str; 2] = ["cargo xtask test", "docker-registry serve"];

/// The lines of code in a section that are commands.
fn lines(section: &str) -> Vec<&'static str> {
    let start = README.find(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let text = &README[start + 4..];
    let text = &text[..text.find("\n## ").unwrap_or(text.len())];
    let code = text.lines().filter_map(|line| line.strip_prefix("    "));
    code.filter(|line| is_command(line))
        .filter(|line| !OTHERS.iter().any(|other| line.starts_with(other)))
        .collect()
}

/// Configuration and words about engines are code as well.
fn is_command(line: &str) -> bool {
    let words = ["hull ", "cargo ", "mmdebstrap ", "docker save", "pass ", "source ", "docker-registry "];
    words.iter().any(|word| line.starts_with(word))
}

/// The commands of a line: without what is said about them, and each for itself.
fn commands(line: &str) -> Vec<String> {
    let said = line.find("  ").filter(|_| line.starts_with("hull doctor") || line.starts_with("hull system"));
    let line = &line[..said.unwrap_or(line.len())];
    let (line, about) = line.split_once(" #").unwrap_or((line, ""));
    let parts: Vec<_> = line.split("; ").map(|part| part.trim().to_owned()).collect();
    // The one line whose comment decides.
    if parts == ["hull wait web"] { vec![format!("hull wait web #{about}")] } else { parts }
}

struct Reader {
    sandbox: Sandbox,
    registry: Registry,
}

impl Reader {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let registry = Registry::start(&sandbox);
        let reader = Self { sandbox, registry };
        reader.prepare();
        reader
    }

    fn home(&self) -> PathBuf {
        self.sandbox.path().join("home")
    }

    /// What the reader has in the current directory and in the path.
    fn prepare(&self) {
        let home = self.home();
        std::fs::create_dir_all(home.join("data")).unwrap();
        std::fs::create_dir_all(home.join("bin")).unwrap();
        std::os::unix::fs::symlink(support::HULL, home.join("bin/hull")).unwrap();
        std::fs::write(home.join("data/file"), "data\n").unwrap();
        std::fs::write(home.join("env"), "A=b\n").unwrap();
        std::fs::write(home.join("base.tar"), self.base()).unwrap();
        std::fs::write(home.join("alpine.tar"), docker_archive("alpine:latest", &[busybox()])).unwrap();
        std::fs::write(home.join("image.tar"), docker_archive("other:1", &[busybox()])).unwrap();
        self.program("mmdebstrap", "cat base.tar");
        self.program("docker", "cat alpine.tar");
        self.program("pass", "echo secret");
        self.sandbox.set_registries(&format!(
            "[[registry]]\nprefix = \"docker.io\"\nlocation = \"127.0.0.1:{0}\"\n\n\
             [[registry]]\nprefix = \"registry.example:5000\"\nlocation = \"127.0.0.1:{0}\"\n",
            self.registry.port
        ));
        let base = home.join("base.tar").display().to_string();
        self.sandbox.ok(&["import", "-c", "CMD [\"sh\"]", &base, "debian:bookworm"]);
        self.sandbox.ok(&["push", "-q", "debian:bookworm"]);
        self.sandbox.ok(&["rmi", "debian:bookworm"]);
    }

    /// A root with what the walk-through starts in it.
    fn base(&self) -> Vec<u8> {
        let root = self.sandbox.path().join("base");
        std::fs::create_dir_all(&root).unwrap();
        let mut tar = Command::new("tar").arg("-x").current_dir(&root).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut tar.stdin.take().unwrap(), &busybox()).unwrap();
        assert!(tar.wait().unwrap().success());
        for name in ["apt-get", "pg_isready"] {
            write_program(&root.join("bin").join(name), "exit 0");
        }
        write_program(&root.join("bin/bash"), "exec sh \"$@\"");
        Command::new("tar").args(["-c", "."]).current_dir(root).output().unwrap().stdout
    }

    fn program(&self, name: &str, script: &str) {
        write_program(&self.home().join("bin").join(name), script);
    }

    /// A command as it is typed: in bash, in the reader's directory.
    fn shell(&self, script: &str) -> Command {
        let hull = self.sandbox.command(&[]);
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", script]).current_dir(self.home()).stdin(Stdio::null());
        shell.envs(hull.get_envs().filter_map(|(key, value)| Some((key, value?))));
        shell
            .env("PATH", format!("{}:{}", self.home().join("bin").display(), std::env::var("PATH").unwrap()));
        shell
    }

    /// The words of the README that stand for others.
    fn meant(&self, command: &str) -> String {
        let waits = "sh -c 'trap \"exit 0\" TERM; while sleep 0.2; do echo line; done'";
        let is_long = command.contains("run -d");
        let program = if is_long { waits } else { "sh -c 'echo done'" };
        // An image whose own command is a shell ends at once.
        let image = if is_long && !command.contains("COMMAND") {
            format!("debian:bookworm {waits}")
        } else {
            "debian:bookworm".into()
        };
        command
            .replace("cargo run --release --", "hull")
            .replace("IMAGE", &image)
            .replace("COMMAND", program)
            .replace("127.0.0.1:5000", &format!("127.0.0.1:{}", self.registry.port))
            .replace("/tmp/other", &self.home().join("other").display().to_string())
    }

    fn follow(&self, command: &str) {
        let script = command.split(" #").next().unwrap().to_owned();
        let output = self.shell(&format!("timeout -s KILL 2 {script}")).output().unwrap();
        // Killed, as a signal that can be heard is passed on by `attach`; unless they end by themselves.
        let code = output.status.code();
        assert!(matches!(code, None | Some(137 | 0)), "`{command}`: {code:?} {}", text(&output.stderr));
    }

    fn at_a_terminal(&self, command: &str) {
        let mut terminal = Terminal::start(self.shell(&format!("exec {command}")));
        terminal.expect("# ");
        terminal.send("echo $((6*7))\n");
        terminal.expect("42");
        terminal.send("exit\n");
        assert_eq!(terminal.wait(), 0, "`{command}`");
    }

    fn aside(&self, command: &str) -> Output {
        let script = format!(
            "mkdir -p /usr/local/share/man /etc/systemd && mount -t tmpfs none /usr/local/share/man && \
             mount -t tmpfs none /etc/systemd && {command}"
        );
        let mut aside = self.shell("exec unshare --mount bash -c \"$SCRIPT\"");
        aside.env("SCRIPT", script).output().unwrap()
    }

    fn types(&self, command: &str) {
        let meant = self.meant(command);
        if FOLLOWING.iter().any(|one| command.starts_with(one)) {
            return self.follow(&meant);
        }
        if command.contains(" -it ") {
            return self.at_a_terminal(&meant);
        }
        let is_aside = ON_THE_HOST.iter().any(|one| command.starts_with(one));
        let output = if is_aside { self.aside(&meant) } else { self.shell(&meant).output().unwrap() };
        // doctor says by its code that something is amiss with the host.
        let is_well = output.status.success() || command == "hull doctor" && output.status.code() == Some(1);
        assert!(is_well, "`{command}`: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    }
}

fn write_program(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_command_of_the_walk_through_works_in_its_order() {
    let reader = Reader::new();
    for (section, least) in SECTIONS {
        let commands: Vec<_> = lines(section).into_iter().flat_map(commands).collect();
        assert!(commands.len() >= least, "{section}: only {commands:?}");
        for command in &commands {
            println!("$ {command}");
            reader.types(command);
        }
    }
    let other = ["--root", &reader.home().join("other").display().to_string()].map(str::to_owned);
    let left = reader.sandbox.ok(&[other[0].as_str(), &other[1], "ps", "-aq"]);
    assert_eq!(left, "", "of the second host nothing runs on");
    for id in reader.sandbox.ids() {
        reader.sandbox.ok(&["rm", "-f", &id]);
    }
    reader.sandbox.assert_clean();
}

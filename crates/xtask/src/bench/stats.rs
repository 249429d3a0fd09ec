//! A look at many containers that run.

use super::contest::{Contender, shell};
use super::peers::{Docker, Podman};
use super::{Bench, hull_at};
use crate::shell::Done;

/// Containers that run.
const CROWD: usize = 200;

/// Engines take seconds.
const SLOW: usize = 12;

/// What is timed.
const LOOKS: [&str; 2] = ["stats --no-stream", "events --since 1h --until 0s"];

/// The peer that cannot stand a hybrid tree of groups.
const PODMAN: &str = "podman";

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
    let crowd = bench.crowd(CROWD);
    let mut crowds = vec![Crowd::start(bench, "hull", hull_at("store"), crowd)?];
    let docker = docker.as_ref().map(Docker::line).map_err(Clone::clone);
    let podman = podman.as_ref().map(Podman::line).map_err(Clone::clone);
    let mut missing = String::new();
    for (name, line) in [("docker", docker), (PODMAN, podman)] {
        match line.and_then(|line| Crowd::start(bench, name, line, crowd)) {
            Ok(started) => crowds.push(started),
            Err(why) => missing += &format!("\n- {name} is missing: {why}\n"),
        }
    }
    let mut text = String::new();
    for args in LOOKS {
        let contenders: Vec<_> = crowds.iter().map(|crowd| crowd.contender(args)).collect();
        let title = format!("`{args}` beside {crowd} running containers (hull's two looks are 200 ms apart)");
        text += &bench.contest_of(&title, bench.rounds_of(SLOW), &contenders)?;
    }
    Ok(text + &missing)
}

/// Containers of an engine that sleep, gone with this.
struct Crowd<'a> {
    bench: &'a Bench,
    name: &'static str,
    line: String,
}

impl<'a> Crowd<'a> {
    fn start(bench: &'a Bench, name: &'static str, line: String, count: usize) -> Result<Self, String> {
        let crowd = Self { bench, name, line };
        let run = format!("{} run -d --network none bb sleep 100000", crowd.line);
        crowd.sh(&format!("set -e; for i in $(seq {count}); do {run}; done"))?;
        Ok(crowd)
    }

    fn contender(&self, args: &str) -> Contender {
        let contender = Contender::new(self.name, shell(&format!("exec {} {args}", self.line)));
        if self.name == PODMAN { contender.covered() } else { contender }
    }

    /// Where podman works, if it is podman's.
    fn sh(&self, script: &str) -> Done {
        if self.name != PODMAN {
            return self.bench.sh(script);
        }
        let cover = "[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified";
        self.bench.sh(&format!("unshare -m sh -c '{cover}; {script}'"))
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        let line = &self.line;
        let _ = self.sh(&format!("{line} rm -f $({line} ps -aq)"));
    }
}

//! Files copied into containers and out of them, and lists of many containers, beside engines.

use super::contest::{Contender, shell};
use super::peers::{Docker, Podman};
use super::timer::Job;
use super::{Bench, hull_at};

/// Containers in a list.
const CROWD: usize = 1000;

/// A copy takes seconds.
const SLOW: usize = 10;

/// 200 MB: half of it in large files, half in 10,000 small ones in 100 directories.
const TREE: &str = "set -e; mkdir tree; cd tree; for i in $(seq 10); do head -c 10000000 /dev/urandom > large$i; done; \
    for i in $(seq 100); do mkdir $i; head -c 1000000 /dev/urandom | split -b 10000 - $i/; done";

/// What is timed beside a crowd.
const LISTS: [&str; 4] =
    ["ps -aq", "ps -a", "ps -a --filter name=c77 --format '{{.Names}} {{.Status}}'", "inspect c77"];

/// Engines with a store of this benchmark, which end with this.
struct Engines {
    lines: Vec<(&'static str, String)>,
    missing: String,
    _podman: Result<Podman, String>,
    _docker: Result<Docker, String>,
}

impl Engines {
    fn start(bench: &Bench) -> Self {
        let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
        let mut lines = vec![("hull", hull_at("store"))];
        let mut missing = String::new();
        let others =
            [("docker", docker.as_ref().map(Docker::line)), ("podman", podman.as_ref().map(Podman::line))];
        for (name, line) in others {
            match line {
                Ok(line) => lines.push((name, line)),
                Err(why) => missing += &format!("\n- {name} is missing: {why}\n"),
            }
        }
        Self { lines, missing, _podman: podman, _docker: docker }
    }

    /// Prepares each; one in which that fails is missing. hull's own failure is all's.
    fn each(&mut self, bench: &Bench, script: &str) -> Result<(), String> {
        for (name, line) in std::mem::take(&mut self.lines) {
            match bench.sh(&format!("set -e; e() {{ {line} \"$@\"; }}; {script}")) {
                Ok(()) => self.lines.push((name, line)),
                Err(why) if name == "hull" => return Err(why),
                Err(why) => self.missing += &format!("\n- {name} is missing: {why}\n"),
            }
        }
        Ok(())
    }

    fn contest(
        &self,
        bench: &Bench,
        title: &str,
        rounds: usize,
        job: impl Fn(&str) -> Job,
    ) -> Result<String, String> {
        let contender = |(name, line): &(&str, String)| Contender::doing(name, job(line));
        let contenders: Vec<_> = self.lines.iter().map(contender).collect();
        bench.contest_of(title, rounds, &contenders)
    }
}

/// Into containers that were made, and out of them.
pub(super) fn copies(bench: &Bench) -> Result<String, String> {
    bench.sh(TREE)?;
    let mut engines = Engines::start(bench);
    engines.each(bench, "e create --name full bb true; e cp tree full:/tree; e create --name box bb true")?;
    let rounds = bench.rounds_of(SLOW);
    let into =
        engines.contest(bench, "`cp` of 200 MB, 10,010 files, into a container", rounds, |line| Job {
            timed: vec![shell(&format!("exec {line} cp tree box:/tree"))],
            after: vec![shell(&format!("{line} rm -f box && exec {line} create --name box bb true"))],
            ..Job::default()
        })?;
    let out = engines.contest(bench, "The same out of a container", rounds, |line| Job {
        timed: vec![shell(&format!("exec {line} cp full:/tree out"))],
        after: vec![shell("exec rm -rf out")],
        ..Job::default()
    })?;
    let tar = engines.contest(bench, "`export` of it", rounds, |line| Job {
        timed: vec![shell(&format!("exec {line} export -o out.tar full"))],
        after: vec![shell("exec rm -f out.tar")],
        ..Job::default()
    })?;
    Ok(into + &out + &tar + &engines.missing)
}

/// Lists of containers that were made.
pub(super) fn lists(bench: &Bench) -> Result<String, String> {
    let crowd = bench.crowd(CROWD).max(100);
    let mut engines = Engines::start(bench);
    engines.each(bench, &format!("for i in $(seq {crowd}); do e create --name c$i bb true; done"))?;
    let mut text = String::new();
    for args in LISTS {
        let title = format!("`{args}` with {crowd} containers");
        text += &engines.contest(bench, &title, bench.rounds_of(3), |line| Job {
            timed: vec![shell(&format!("exec {line} {args}"))],
            ..Job::default()
        })?;
    }
    Ok(text + &engines.missing)
}

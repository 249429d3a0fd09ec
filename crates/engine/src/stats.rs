//! What containers use: docker's `stats`.
//!
//! A sample is a pass over a handful of files of each container's group. What a CPU did between two samples is told by
//! their own times, container by container.

use crate::Engine;
use crate::error::Result;
use crate::inspect::{details_of, network};
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;
use store::{ContainerId, Running, State, Summary};

/// What a container uses, and has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Percent of one CPU since the sample before; none of the first.
    pub cpu: Option<f64>,
    /// Bytes of memory, as [`cgroup::Usage::memory`] counts.
    pub memory: u64,
    /// The limit in bytes: the host's memory where there is none.
    pub memory_limit: u64,
    /// Bytes received and sent.
    pub network: (u64, u64),
    /// Bytes read and written; none where nobody counts.
    pub block: Option<(u64, u64)>,
    /// Tasks.
    pub pids: u64,
}

impl Stats {
    /// Percent of the limit.
    pub fn memory_share(&self) -> f64 {
        if self.memory_limit == 0 { 0.0 } else { self.memory as f64 * 100.0 / self.memory_limit as f64 }
    }
}

/// A container and what it uses; nothing where it does not run.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// As it was asked for.
    pub asked: String,
    /// None where it does not run.
    pub stats: Option<Stats>,
}

/// Which containers are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// Those that run.
    Running,
    /// All.
    All,
    /// These, by name or id.
    Named(Vec<String>),
}

/// Looks again and again.
#[derive(Debug)]
pub struct Watch<'a> {
    engine: &'a Engine,
    watched: Watched,
    seen: Vec<(String, Summary)>,
    host_memory: u64,
    before: HashMap<ContainerId, (Instant, u64)>,
    /// Has it a network that is not the host's? Asked once.
    networks: HashMap<ContainerId, bool>,
}

impl Engine {
    /// Who looks at what containers use.
    pub fn watch(&self, watched: Watched) -> Watch<'_> {
        let system = rustix::system::sysinfo();
        let host_memory = system.totalram * u64::from(system.mem_unit);
        let (before, networks) = (HashMap::new(), HashMap::new());
        Watch { engine: self, watched, seen: Vec::new(), host_memory, before, networks }
    }
}

impl Watch<'_> {
    /// Looks which containers there are, and at all of them.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`] where one that was named is not there.
    pub fn look(&mut self) -> Result<Vec<Row>> {
        self.seen = self.list()?;
        Ok(self.look_again())
    }

    /// Looks at the same containers.
    pub fn look_again(&mut self) -> Vec<Row> {
        let seen = std::mem::take(&mut self.seen);
        let rows = seen.iter().map(|(asked, one)| self.row(asked.clone(), one)).collect();
        self.seen = seen;
        rows
    }

    fn list(&self) -> Result<Vec<(String, Summary)>> {
        let by_id = |all: Vec<Summary>| all.into_iter().map(|one| (one.record.id.short(), one)).collect();
        let named = |name: &String| {
            let (container, state) = self.engine.container(name)?;
            Ok((name.clone(), Summary { record: container.record, state }))
        };
        match &self.watched {
            Watched::Running => self.engine.running().map(by_id),
            Watched::All => self.engine.containers().map(by_id),
            Watched::Named(names) => names.iter().map(named).collect(),
        }
    }

    fn row(&mut self, asked: String, one: &Summary) -> Row {
        let id = one.record.id;
        self.networks.entry(id).or_insert_with(|| network(&details_of(&one.record)) != "host");
        let stats = match &one.state {
            State::Running(running) => self.sample(running),
            _ => None,
        };
        Row { id, name: one.record.name.to_string(), asked, stats }
    }

    fn sample(&mut self, running: &Running) -> Option<Stats> {
        let usage = self.engine.cgroups.usage(Path::new(running.cgroup.as_ref()?)).ok()??;
        let now = Instant::now();
        let before = self.before.insert(running.container, (now, usage.cpu));
        let cpu = before.map(|(then, used)| {
            let nanos = now.duration_since(then).as_nanos().max(1) as f64;
            usage.cpu.saturating_sub(used) as f64 * 100.0 / nanos
        });
        let has_network = self.networks.get(&running.container).copied().unwrap_or(false);
        Some(Stats {
            cpu,
            memory: usage.memory,
            memory_limit: usage.memory_limit.min(self.host_memory),
            network: running.pid.filter(|_| has_network).map_or((0, 0), traffic),
            block: usage.io,
            pids: usage.pids,
        })
    }
}

/// Bytes that came in and went out by all interfaces but the loopback, of a process's network namespace.
fn traffic(pid: i32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    sums(&text)
}

fn sums(text: &str) -> (u64, u64) {
    let line = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let numbers: Vec<u64> = rest.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        (name.trim() != "lo").then_some((*numbers.first()?, *numbers.get(8)?))
    };
    text.lines().filter_map(line).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_that_of_all_but_the_loopback() {
        let text = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n\
            \x20   lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n\
            \x20 eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  eth1:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n";
        assert_eq!(sums(text), (107, 28));
    }

    #[test]
    fn nothing_has_no_share() {
        assert_eq!(Stats::default().memory_share(), 0.0);
        assert_eq!(Stats { memory: 1, memory_limit: 4, ..Stats::default() }.memory_share(), 25.0);
    }
}

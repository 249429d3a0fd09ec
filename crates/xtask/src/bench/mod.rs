//! Benchmarks: hull and its peers side by side in one go, as ratios.
//!
//! Every command is timed from the outside, from fork to its end as the parent sees it.

mod calls;
mod contest;
mod engines;
mod files;
mod instructions;
mod load;
mod logs;
mod machine;
mod memory;
mod oci;
mod peers;
mod registry;
mod report;
mod scale;
mod start;
mod stats;
pub(crate) mod timer;

use crate::image::{Layers, archive};
use crate::packages;
use crate::shell::{Done, build_hull, quietly, release_hull, sh, value_of};
use contest::{Contender, Contest, words};
use std::path::Path;
use std::time::Duration;
use timer::Words;

/// Where everything is made, and removed at the end: what a store is on by default.
const WORK: &str = "/var/tmp/hull-bench";

/// Rounds of what takes milliseconds.
const ROUNDS: u64 = 60;

/// A group gives its part of the report.
type Group = fn(&Bench) -> Result<String, String>;

/// Each comes to its end in four minutes.
const GROUPS: [(&str, Group); 18] = [
    ("run", start::group),
    ("engines", engines::group),
    ("scale", scale::group),
    ("load", load::loads),
    ("import", load::imports),
    ("memory", memory::group),
    ("instructions", instructions::group),
    ("calls", calls::group),
    ("machine", machine::group),
    ("oci", oci::group),
    ("logs", logs::group),
    ("stats", stats::group),
    ("cp", files::copies),
    ("ps", files::lists),
    ("pull", registry::pulls),
    ("push", registry::pushes),
    ("save", registry::saves),
    ("commit", registry::commits),
];

/// What all groups need.
struct Bench {
    rounds: usize,
}

/// `bench [NAME…] [--rounds N]`: the named groups, or all.
pub(crate) fn run(args: &[String]) -> Done {
    let names: Vec<_> = args.iter().filter(|arg| GROUPS.iter().any(|(name, _)| name == arg)).collect();
    let rounds = value_of(args, "--rounds").unwrap_or(ROUNDS);
    if names.len() + 2 * usize::from(args.iter().any(|arg| arg == "--rounds")) != args.len() {
        let known: Vec<_> = GROUPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("bench [NAME…] [--rounds N]: the names are {}", known.join(", ")));
    }
    packages::install_peers()?;
    build_hull()?;
    let bench = Bench { rounds: rounds.max(1) as usize };
    let mut failures = Vec::new();
    for (name, group) in
        GROUPS.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|one| one == name))
    {
        eprintln!("\n## {name}");
        match bench.prepare().and_then(|()| group(&bench)) {
            Ok(part) => report::write(name, &part)?,
            Err(why) => failures.push(format!("bench {name}: {why}")),
        }
        let _ = std::fs::remove_dir_all(WORK);
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

impl Bench {
    /// A busybox image in a store of hull's, and a bundle for runtimes.
    fn prepare(&self) -> Done {
        let _ = std::fs::remove_dir_all(WORK);
        std::fs::create_dir_all(WORK).map_err(|error| format!("make `{WORK}`: {error}"))?;
        std::fs::write(format!("{WORK}/empty"), "").map_err(|error| error.to_string())?;
        let mut layers = Layers::default();
        layers.add_busybox()?;
        std::fs::write(format!("{WORK}/bb.tar"), &layers.0[0]).map_err(|error| error.to_string())?;
        archive(&Path::new(WORK).join("bb-image.tar"), "bb:latest", &layers.0)?;
        self.sh(&format!("{} load -i bb-image.tar", hull_at("store")))?;
        self.sh("mkdir -p bundle/rootfs/proc bundle/rootfs/sys bundle/rootfs/dev && tar -C bundle/rootfs -xf bb.tar")
    }

    fn sh(&self, script: &str) -> Done {
        quietly(&mut sh(Path::new(WORK), script))
    }

    fn contest(&self, title: &str, contenders: &[Contender]) -> Result<String, String> {
        self.contest_of(title, self.rounds, contenders)
    }

    fn contest_of(&self, title: &str, rounds: usize, contenders: &[Contender]) -> Result<String, String> {
        Contest { title, rounds, pause: Duration::ZERO }.hold(WORK, contenders)
    }

    /// A trial of few rounds is content with a smaller crowd.
    fn crowd(&self, whole: usize) -> usize {
        (whole * self.rounds / ROUNDS as usize).clamp(10, whole)
    }

    /// Fewer rounds of what takes `times` as long.
    fn rounds_of(&self, times: usize) -> usize {
        (self.rounds / times).clamp(3.min(self.rounds), 60)
    }
}

/// hull with a store of this benchmark, as a line of the shell.
fn hull_at(store: &str) -> String {
    format!("{} --root {WORK}/{store}", release_hull().display())
}

/// And as words.
fn hull(store: &str, args: &[&str]) -> Words {
    let program = release_hull().display().to_string();
    let store = format!("{WORK}/{store}");
    let mut line = words(&[&program, "--root", &store]);
    line.extend(words(args));
    line
}

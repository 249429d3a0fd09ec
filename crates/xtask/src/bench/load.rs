//! Bringing images, beside tar and the engines: 300 MB in 20,000 files and 8 layers.

use super::contest::{Contender, shell};
use super::peers::{Docker, Podman};
use super::timer::Job;
use super::{Bench, WORK, hull_at};
use crate::image::{Layers, archive};
use std::path::Path;

const LAYERS: usize = 8;
const FILES: usize = 2500;
const SIZE: usize = 15_000;

/// A round takes seconds.
const SLOW: usize = 12;

pub(super) fn loads(bench: &Bench) -> Result<String, String> {
    make(bench)?;
    let hull = hull_at("fresh");
    let mut contenders = vec![
        fresh("`hull load` into an empty store, flushed", &format!("{hull} load -i archive.tar")),
        fresh(
            "`tar x` of the same bytes, and sync",
            "mkdir fresh && tar -C fresh -xf whole.tar && sync -f fresh",
        ),
    ];
    let (podman, docker) = (Podman::prepare(bench), Docker::start(bench));
    let mut missing = String::new();
    match podman.as_ref().map(Podman::line) {
        Ok(line) => contenders.push(again("`podman load`", &line).covered()),
        Err(why) => missing += &format!("\n- podman is missing: {why}\n"),
    }
    match docker.as_ref().map(Docker::line) {
        Ok(line) => contenders.push(again("`docker load`", &line)),
        Err(why) => missing += &format!("\n- docker is missing: {why}\n"),
    }
    let title = "Load of 300 MB, 20,000 files, 8 layers (aim: ≤ 1.35 × tar, ≥ 2 × faster than engines)";
    Ok(bench.contest_of(title, bench.rounds_of(SLOW), &contenders)? + &missing)
}

pub(super) fn imports(bench: &Bench) -> Result<String, String> {
    make(bench)?;
    let contenders = [
        fresh(
            "`hull import` into an empty store, flushed",
            &format!("{} import whole.tar", hull_at("fresh")),
        ),
        fresh("`tar x` of the same, and sync", "mkdir fresh && tar -C fresh -xf whole.tar && sync -f fresh"),
    ];
    bench.contest_of(
        "Import of the same tree as one tar (aim: ≤ 1.2)",
        bench.rounds_of(SLOW / 2),
        &contenders,
    )
}

/// `archive.tar` as docker saves it, and the same files in `whole.tar`.
pub(super) fn make(bench: &Bench) -> Result<(), String> {
    let mut layers = Layers::default();
    for number in 0..LAYERS {
        layers.add_tree(&format!("{number}"), FILES, SIZE);
    }
    archive(&Path::new(WORK).join("archive.tar"), "big:1", &layers.0)?;
    bench.sh("mkdir tree parts && tar -C parts -xf archive.tar && for l in parts/*/layer.tar; do tar -C tree -xf $l; done")?;
    bench.sh("tar -C tree -cf whole.tar . && rm -rf tree parts && sync -f .")
}

/// What makes `fresh`; each round begins without it, and with nothing left to write.
fn fresh(name: &str, script: &str) -> Contender {
    let before = vec![shell("rm -rf fresh; sync -f .")];
    Contender::doing(name, Job { before, timed: vec![shell(script)], ..Job::default() })
}

/// An engine's own store, from which the image is removed after each round.
fn again(name: &str, line: &str) -> Contender {
    let job = Job {
        before: vec![shell("sync -f .")],
        timed: vec![shell(&format!("{line} load -i archive.tar"))],
        after: vec![shell(&format!("{line} rmi big:1"))],
        ..Job::default()
    };
    Contender::doing(name, job)
}

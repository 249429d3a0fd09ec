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
    let on_disk = contest(
        bench,
        ".",
        "Load of 300 MB, 20,000 files, 8 layers (aim: ≤ 1.35 × tar, ≥ 2 × faster than engines)",
    )?;
    let _memory = Memory::mount(bench)?;
    let in_memory = contest(
        bench,
        MEMORY,
        "The same with every store on tmpfs, where no disk decides and no flush waits",
    )?;
    Ok(on_disk + "\n" + &in_memory)
}

/// Everybody's store is in a directory below [`WORK`].
fn contest(bench: &Bench, place: &str, title: &str) -> Result<String, String> {
    let fresh = |name: &str, script: &str| fresh(name, &format!("{place}/fresh"), script);
    let hull = hull_at(&format!("{place}/fresh"));
    let mut contenders = vec![
        fresh("`hull load` into an empty store, flushed", &format!("{hull} load -i archive.tar")),
        fresh(
            "`tar x` of the same bytes, and sync",
            &format!("mkdir {place}/fresh && tar -C {place}/fresh -xf whole.tar && sync -f {place}/fresh"),
        ),
    ];
    let (podman, docker) = (Podman::prepare(bench, place), Docker::start(bench, place));
    let mut missing = String::new();
    match podman.as_ref().map(Podman::line) {
        Ok(line) => {
            contenders.push(again("`podman load`, which does not flush", &line, "true").covered());
            contenders.push(again("`podman load`, and sync", &line, "sync -f .").covered());
        }
        Err(why) => missing += &format!("\n- podman is missing: {why}\n"),
    }
    match docker.as_ref().map(Docker::line) {
        Ok(line) => {
            contenders.push(again("`docker load`", &line, "true"));
            contenders.push(again("`docker load`, and sync", &line, "sync -f ."));
        }
        Err(why) => missing += &format!("\n- docker is missing: {why}\n"),
    }
    Ok(bench.contest_of(title, bench.rounds_of(SLOW), &contenders)? + &missing)
}

/// Below [`WORK`].
const MEMORY: &str = "memory";

/// A tmpfs, gone when dropped.
struct Memory;

impl Memory {
    fn mount(bench: &Bench) -> Result<Self, String> {
        bench.sh(&format!("mkdir {MEMORY} && mount -t tmpfs -o size=8g hull-bench {MEMORY}")).map(|()| Self)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let place = Path::new(WORK).join(MEMORY);
        let _ = rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH);
    }
}

pub(super) fn imports(bench: &Bench) -> Result<String, String> {
    make(bench)?;
    let contenders = [
        fresh(
            "`hull import` into an empty store, flushed",
            "fresh",
            &format!("{} import whole.tar", hull_at("fresh")),
        ),
        fresh(
            "`tar x` of the same, and sync",
            "fresh",
            "mkdir fresh && tar -C fresh -xf whole.tar && sync -f fresh",
        ),
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

/// What makes a directory; each round begins without it, and with nothing left to write.
fn fresh(name: &str, directory: &str, script: &str) -> Contender {
    let before = vec![shell(&format!("rm -rf {directory}; sync -f ."))];
    Contender::doing(name, Job { before, timed: vec![shell(script)], ..Job::default() })
}

/// An engine's own store, from which the image is removed after each round.
fn again(name: &str, line: &str, then: &str) -> Contender {
    let job = Job {
        before: vec![shell("sync -f .")],
        timed: vec![shell(&format!("{line} load -i archive.tar && {then}"))],
        after: vec![shell(&format!("{line} rmi big:1"))],
        ..Job::default()
    };
    Contender::doing(name, job)
}

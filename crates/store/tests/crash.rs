//! Killed at every step: nothing acknowledged is lost, and the next command leaves a clean store.
#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
mod common;
use common::*;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use store::*;

/// Set for the process that is to die.
const STEP: &str = "HULL_STORE_CRASH_STEP";
const ROOT: &str = "HULL_STORE_CRASH_ROOT";

/// Everything the store can do to the disk, one after the other; says what has been done.
fn journey(root: &str) {
    let store = Store::open(root.as_ref(), &std::path::Path::new(root).join("run")).unwrap();
    store.recover().unwrap();
    let done = |what: &str| std::fs::write(format!("{root}.{what}"), "").unwrap();
    let shared = store.share().unwrap();
    let digest = oci::Digest::from_sha256([3; 32]);
    store.draft_blob(&shared).unwrap().commit(&digest).unwrap();
    let arriving = store.arrive(&shared, &digest, || {}).unwrap();
    arriving.become_layer(&oci::DiffId::from_sha256([4; 32])).unwrap();
    drop(shared);
    let image = put_image(&store, &["a", "b"], "x", &["x"]);
    done("image");
    let kept = create(&store, Some(&image), "kept", false);
    done("kept");
    let mut slot = store.claim(running(kept.record.id), &[]).unwrap();
    store.widen(&mut slot, &[]).unwrap();
    kept.record_exit(&exit(0)).unwrap();
    done("exit");
    slot.release().unwrap();
    let short = create(&store, Some(&image), "short", true);
    let work = std::path::Path::new(root).join(short.path()).join("work/work");
    std::fs::create_dir(work).unwrap();
    store.remove(short).unwrap();
    store.empty_trash().unwrap();
    let moving = create(&store, Some(&image), "moving", true);
    assert_eq!(store.rename(&moving, &"moved".parse().unwrap()).unwrap().as_str(), "moving");
    assert_eq!(store.name_now(&moving).as_str(), "moved");
    store.remove(moving).unwrap();
    let dead = store.claim(running(ContainerId::random().unwrap()), &[]).unwrap();
    drop(dead);
    store.dead_slots().unwrap().into_iter().for_each(|slot| slot.release().unwrap());
    put_image(&store, &["a", "c"], "y", &["y"]);
    store.remove_image("y", ImageRemoval::default()).unwrap();
    std::os::unix::fs::symlink("../containers/1", format!("{root}/names/swept")).unwrap();
    store.sweep_names(true).unwrap();
    std::os::unix::fs::symlink("../containers/0", format!("{root}/names/gone")).unwrap();
    let gone = create(&store, Some(&image), "gone", true);
    store.remove(gone).unwrap();
    store.collect(true).unwrap();
    done("all");
}

/// Not a test by itself: what the others start.
#[test]
fn victim() {
    let (Ok(step), Ok(root)) = (std::env::var(STEP), std::env::var(ROOT)) else { return };
    sys::step::kill_at(step);
    journey(&root);
}

/// Every step named in the sources.
fn steps() -> BTreeSet<String> {
    let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let texts = sources.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let named = |text: String| {
        let parts = text.split("sys::step!(\"").skip(1);
        parts.map(|part| part.split('"').next().unwrap().to_string()).collect::<Vec<_>>()
    };
    texts.flat_map(named).collect()
}

fn die_at(step: &str, root: &str) {
    let exe = std::env::current_exe().unwrap();
    let mut victim = Command::new(exe);
    victim
        .args(["--exact", "victim"])
        .env(STEP, step)
        .env(ROOT, root)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = victim.status().unwrap();
    assert_eq!(status.signal(), Some(9), "step `{step}` was not reached");
}

/// What the engine does with what it finds after a crash.
fn next_command(store: &Store) {
    store.recover().unwrap();
    for slot in store.dead_slots().unwrap() {
        slot.release().unwrap();
    }
    for summary in store.containers().unwrap() {
        if summary.record.remove {
            let left = store.container(&summary.record.id.to_string()).unwrap();
            store.remove(left.hold().unwrap()).unwrap();
        }
    }
    store.check(true).unwrap();
}

#[test]
fn killed_at_any_step_the_store_is_clean_after_the_next_command() {
    let steps = steps();
    assert!(steps.len() > 20, "{steps:?}");
    for step in steps {
        let dir = Dir::new();
        let base = dir.path("r");
        let root = base.to_str().unwrap();
        die_at(&step, root);
        let store = Store::open(&base, &base.join("run")).unwrap();
        next_command(&store);
        assert_eq!(store.check(false).unwrap(), [], "after `{step}`");
        let done = |what: &str| std::path::Path::new(&format!("{root}.{what}")).exists();
        if done("image") {
            assert_eq!(store.resolve("x").unwrap().record.layers.len(), 2, "after `{step}`");
        }
        if done("kept") {
            let kept = store.container("kept").unwrap();
            assert!(!done("exit") || kept.exit().unwrap().is_some(), "after `{step}`");
            store.remove(kept.hold().unwrap()).unwrap();
        } else {
            drop(store.container("kept").map(|kept| store.remove(kept.hold().unwrap())));
        }
        journey(root);
        assert_eq!(store.check(true).unwrap(), [], "the whole journey again after `{step}`");
    }
}

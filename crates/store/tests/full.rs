//! A disk without room, and one that cannot be written.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
mod common;
use common::*;
use std::process::Command;
use store::*;

/// Set for the process that works on a small disk of its own.
const ROOT: &str = "HULL_STORE_SMALL_ROOT";

/// Runs one test of this file again, in a mount namespace with a tmpfs of 512 KiB.
fn on_small_disk(test: &str) {
    let dir = Dir::new();
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=512k tmpfs {0} && exec {1} --exact --nocapture {test}",
        dir.0.display(),
        exe.display()
    );
    let output =
        Command::new("unshare").args(["-m", "sh", "-c", &script]).env(ROOT, &dir.0).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn kind<T>(result: Result<T>) -> Kind {
    *result.err().expect("an error").kind()
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let Ok(root) = std::env::var(ROOT) else {
        return on_small_disk("a_full_disk_is_told_and_leaves_nothing");
    };
    let root = std::path::Path::new(&root);
    let store = Store::open(root, &root.join("run")).unwrap();
    let image = put_image(&store, &["a"], "x", &["x"]);
    let filler = root.join("filler");
    std::fs::write(&filler, vec![0; 1 << 20]).unwrap_err();

    let shared = store.share().unwrap();
    for remove in [true, false] {
        let refused = store.create(&shared, new_container(Some(&image), "web", remove));
        assert_eq!(kind(refused), Kind::NoSpace);
    }
    assert_eq!(kind(store.claim(running(ContainerId::random().unwrap()), &[])), Kind::NoSpace);
    assert_eq!(kind(store.tag(image.id(), &reference("y"))), Kind::NoSpace);
    let draft = store.draft_layer(&shared).unwrap();
    let meta = LayerMeta { tar_size: 0, entries: 0, file_bytes: 0, source: None, ..LayerMeta::default() };
    assert_eq!(kind(draft.commit(&diff_id("b"), meta)), Kind::NoSpace);
    let (id, config) = config_of(&[diff_id("a")], "other");
    let new =
        NewImage { id, config, layers: None, manifest: None, blobs: vec![], names: vec![reference("z")] };
    assert_eq!(kind(store.put_image(&shared, new)), Kind::NoSpace);
    drop(shared);
    assert_eq!(store.resolve("x").unwrap(), image);

    std::fs::remove_file(filler).unwrap();
    store.recover().unwrap();
    assert_eq!(store.check(false).unwrap(), []);
    assert!(names_in(&root.join("containers")).is_empty() && names_in(&root.join("names")).is_empty());
    drop(create(&store, Some(&image), "web", false));
}

#[test]
fn a_full_disk_still_removes() {
    let Ok(root) = std::env::var(ROOT) else { return on_small_disk("a_full_disk_still_removes") };
    let root = std::path::Path::new(&root);
    let store = Store::open(root, &root.join("run")).unwrap();
    let image = put_image(&store, &["a"], "x", &["x"]);
    let held = create(&store, Some(&image), "web", true);
    std::fs::write(root.join("filler"), vec![0; 1 << 20]).unwrap_err();
    store.remove(held).unwrap();
    store.remove_image("x", ImageRemoval::default()).unwrap();
    store.collect(true).unwrap();
    assert_eq!(store.check(false).unwrap(), []);
}

#[test]
fn a_read_only_store_is_read_and_says_so_when_written() {
    let Ok(root) = std::env::var(ROOT) else {
        return on_small_disk("a_read_only_store_is_read_and_says_so_when_written");
    };
    let root = std::path::Path::new(&root);
    let store = Store::open(root, &root.join("run")).unwrap();
    let image = put_image(&store, &["a"], "x", &["x"]);
    drop(store);
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(root).status().unwrap().success());
    let store = Store::open(root, &root.join("run")).unwrap();
    assert_eq!(store.resolve("x").unwrap(), image);
    assert!(store.containers().unwrap().is_empty() && store.usage().unwrap().total > 0);
    assert_eq!(kind(store.tag(image.id(), &reference("y"))), Kind::ReadOnly);
    let refused = store.create(&store.share().unwrap(), new_container(Some(&image), "web", true));
    assert_eq!(kind(refused), Kind::ReadOnly);
    assert_eq!(kind(store.remove_image("x", ImageRemoval::default())), Kind::ReadOnly);
}

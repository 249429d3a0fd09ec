//! Records that were damaged: told, passed over, named and removed.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
mod common;
use common::*;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use store::*;

thread_local!(static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });

fn open(dir: &Dir) -> Store {
    dir.open().with_notices(|line| TOLD.with_borrow_mut(|told| told.push(line.into())))
}

/// Two of everything, so that each may be damaged and the other must not suffer.
fn furnish(dir: &Dir) {
    let store = dir.open();
    let one = put_image(&store, &["base", "one"], "x", &["one"]);
    put_image(&store, &["base", "two"], "x", &["two"]);
    for name in ["c1", "c2"] {
        let held = create(&store, Some(&one), name, false);
        write_in(dir_in(&held), "kept", name);
        held.record_exit(&exit(3)).unwrap();
    }
}

fn dir_in(held: &Held) -> std::os::fd::OwnedFd {
    rustix::fs::openat(held.dir(), "upper", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap()
}

/// Every file of records, relative to the root.
fn records(dir: &Dir) -> Vec<PathBuf> {
    let below = |part: &'static str| {
        names_in(&dir.path(part)).into_iter().map(move |name| Path::new(part).join(name))
    };
    let containers = names_in(&dir.path("containers")).into_iter();
    let of_containers = containers.flat_map(|key| {
        ["container.json", "exit.json"].map(|name| Path::new("containers").join(&key).join(name))
    });
    let layers = names_in(&dir.path("layers")).into_iter();
    let of_layers = layers.map(|hex| Path::new("layers").join(hex).join("meta.json"));
    below("images").chain(below("refs")).chain(of_containers).chain(of_layers).collect()
}

/// (what it is called, how a file is damaged)
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 6] = [
    ("empty", |path| std::fs::write(path, "").unwrap()),
    ("cut", |path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("noise", |path| std::fs::write(path, [0xff, 0, b'{', 7].repeat(100)).unwrap()),
    ("another JSON", |path| std::fs::write(path, "[1, {}]").unwrap()),
    ("a directory", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    }),
    ("a link", |path| {
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
    }),
];

/// What of the store can be seen: images, their names, containers.
fn seen(store: &Store) -> (usize, usize, usize) {
    (store.images().unwrap().len(), store.tags().unwrap().len(), store.containers().unwrap().len())
}

#[test]
fn each_damaged_record_is_told_once_passed_over_and_removed_by_a_repair() {
    let count = {
        let dir = Dir::in_memory();
        furnish(&dir);
        records(&dir).len()
    };
    for number in 0..count {
        for (what, damage) in DAMAGES {
            let dir = Dir::in_memory();
            furnish(&dir);
            let record = records(&dir).swap_remove(number);
            damage(&dir.path(record.to_str().unwrap()));
            one_is_damaged(&dir, &record, what);
        }
    }
}

fn one_is_damaged(dir: &Dir, record: &Path, what: &str) {
    let context = format!("{}: {what}", record.display());
    TOLD.with_borrow_mut(Vec::clear);
    let store = open(dir);
    let part = record.components().next().unwrap().as_os_str().to_str().unwrap();
    let lost = |part_of: &str| usize::from(part == part_of && !record.ends_with("exit.json"));
    let expected = (2 - lost("images"), 2 - lost("refs"), 2 - lost("containers"));
    assert_eq!(seen(&store), expected, "{context}");
    assert_eq!(seen(&store), expected, "{context}");
    store.usage().unwrap();
    // What the record named is not known: nothing of it may go.
    store.collect(true).unwrap();
    assert_eq!(names_in(&dir.path("layers")).len(), 3, "{context}");
    let told = TOLD.with_borrow(Vec::clone);
    assert_eq!(told.len(), usize::from(part != "layers"), "{context}: {told:?}");
    let found = store.check(false).unwrap();
    assert!(!found.is_empty(), "{context}");
    let found = store.check(true).unwrap();
    assert!(!found.is_empty(), "{context}");
    match part {
        // Its files are whole, and the images are.
        "layers" => {
            assert!(matches!(found[..], [Finding::BrokenLayer(_)]), "{context}: {found:?}");
            put_image(&store, &["base", "one"], "x", &["one"]);
            put_image(&store, &["base", "two"], "x", &["two"]);
        }
        _ => assert!(found.iter().all(Finding::is_garbage), "{context}: {found:?}"),
    }
    assert_eq!(store.check(false).unwrap(), [], "{context}");
    TOLD.with_borrow_mut(Vec::clear);
    assert_eq!(seen(&open(dir)), (expected.0, 2 - lost("images") - lost("refs"), expected.2), "{context}");
    assert!(TOLD.with_borrow(Vec::is_empty), "{context}: told after the repair");
}

#[test]
fn a_container_of_a_damaged_record_that_is_held_is_left_alone() {
    let dir = Dir::new();
    let store = open(&dir);
    let held = create(&store, None, "web", false);
    std::fs::write(dir.path(&held.path()).join("container.json"), "").unwrap();
    assert_eq!(store.check(true).unwrap(), [], "it runs");
    drop(held);
    assert!(matches!(
        store.check(true).unwrap()[..],
        [Finding::BrokenContainer(_), Finding::DanglingName(_)]
    ));
    assert_eq!(store.check(false).unwrap(), []);
}

#[test]
fn a_damaged_configuration_is_named_and_the_users_to_mend() {
    let dir = Dir::new();
    let store = dir.open();
    std::fs::write(dir.path("config.json"), "{\"blobs\":\"perhaps\"}").unwrap();
    let error = store.config().unwrap_err();
    assert!(*error.kind() == Kind::Corrupt && error.hint().unwrap().contains("keep"), "{error}");
    assert_eq!(store.check(true).unwrap(), [Finding::BrokenConfig]);
    std::fs::write(dir.path("config.json"), "{\"blobs\":\"keep\"}").unwrap();
    assert_eq!(store.config().unwrap().decoder_memory, 144 << 20, "what is left out has its default");
}

#[test]
fn a_slot_of_noise_is_a_dead_one() {
    let dir = Dir::new();
    let store = dir.open();
    drop(store.claim(running(ContainerId::random().unwrap()), &[]).unwrap());
    let slot = names_in(&dir.path("run/slots")).remove(0);
    std::fs::write(dir.path(&format!("run/slots/{slot}")), "\0\0{").unwrap();
    assert!(store.slot_list().unwrap().is_empty() && store.containers().unwrap().is_empty());
    let dead = store.dead_slots().unwrap();
    assert!(dead.len() == 1 && dead[0].running.is_none());
    dead.into_iter().for_each(|slot| slot.release().unwrap());
    assert_eq!(store.check(false).unwrap(), []);
}

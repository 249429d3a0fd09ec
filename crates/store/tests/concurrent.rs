//! Many at once: threads here, each with a store of its own, since flock knows open files and not processes.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
mod common;
use common::*;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use store::*;

/// Runs `count` of these at the same moment.
fn at_once<T: Send>(count: usize, what: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        let start = |number| {
            let (barrier, what) = (&barrier, &what);
            scope.spawn(move || {
                barrier.wait();
                what(number)
            })
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_new_store_is_made_by_many_at_once() {
    let dir = Dir::new();
    at_once(8, |_| dir.open());
    assert_eq!(dir.open().check(false).unwrap(), []);
}

#[test]
fn only_one_gets_a_name() {
    let dir = Dir::new();
    dir.open();
    for round in 0..20 {
        // Every other round a name that leads nowhere is in the way.
        let name = format!("web{round}");
        if round % 2 == 0 {
            std::os::unix::fs::symlink("../containers/0", dir.path(&format!("names/{name}"))).unwrap();
        }
        let results = at_once(6, |_| {
            let store = dir.open();
            store.create(&store.share().unwrap(), new_container(None, &name, false))
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(
            results.iter().flat_map(|result| result.as_ref().err()).all(|e| *e.kind() == Kind::NameTaken)
        );
    }
    assert_eq!(names_in(&dir.path("containers")).len(), 20);
}

#[test]
fn no_two_have_the_same_slot() {
    let dir = Dir::new();
    dir.open();
    let slots = at_once(8, |_| {
        let store = dir.open().with_pool(Pool { base: 1 << 20, ranges: 64 });
        (0..8).map(|_| store.claim(running(ContainerId::random().unwrap()), &[]).unwrap()).collect::<Vec<_>>()
    });
    let numbers: BTreeSet<_> = slots.iter().flatten().map(Slot::number).collect();
    assert_eq!(numbers.len(), 64);
    let store = dir.open();
    assert!(store.dead_slots().unwrap().is_empty());
    for slot in slots.iter().flatten() {
        assert!(store.slot_of(&slot.running().container).unwrap().is_some());
    }
}

#[test]
fn a_slot_being_claimed_is_never_taken_for_dead() {
    let dir = Dir::new();
    dir.open();
    let stop = AtomicBool::new(false);
    at_once(4, |number| {
        let store = dir.open();
        if number == 0 {
            for _ in 0..300 {
                let mut slot = store.claim(running(ContainerId::random().unwrap()), &[]).unwrap();
                slot.update(|running| running.cgroup = Some("x".repeat(100))).unwrap();
                slot.update(|running| running.cgroup = None).unwrap();
                slot.release().unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        }
        while !stop.load(Ordering::Relaxed) {
            assert!(store.dead_slots().unwrap().is_empty());
            assert!(store.slot_list().unwrap().iter().all(|(_, alive)| *alive));
        }
    });
}

#[test]
fn containers_come_and_go_while_others_look_and_collect() {
    let dir = Dir::new();
    let image = put_image(&dir.open(), &["a"], "x", &["x"]);
    let rounds = 60;
    at_once(5, |number| {
        let store = dir.open();
        for round in 0..rounds {
            match number {
                0 | 1 => {
                    let held = create(&store, Some(&image), &format!("c{number}.{round}"), round % 10 != 0);
                    assert_eq!(
                        store.container(&held.record.id.to_string()).unwrap().record.id,
                        held.record.id
                    );
                    store.remove(held).unwrap();
                }
                2 => drop(store.containers().unwrap()),
                3 => drop(store.collect(false).unwrap()),
                _ => {
                    let found = store.check(true).unwrap();
                    assert!(
                        found.iter().all(|f| *f == Finding::Busy),
                        "what others delete is theirs: {found:?}"
                    );
                }
            }
        }
    });
    let store = dir.open();
    store.empty_trash().unwrap();
    assert_eq!(store.check(false).unwrap(), []);
    assert!(store.containers().unwrap().is_empty() && store.resolve("x").is_ok());
}

#[test]
fn images_come_and_go_while_others_load_the_same_layers() {
    let dir = Dir::new();
    dir.open();
    at_once(4, |number| {
        let store = dir.open();
        for round in 0..15 {
            let name = format!("x{number}:{round}");
            let image = put_image(&store, &["base", &format!("{}", round % 3)], &name, &[&name]);
            for layer in &image.record.layers {
                let LayerHandle::Dir { path } = store.layer_handle(layer) else { panic!("not a directory") };
                assert!(dir.path(&path).join("file").is_file());
            }
            store.remove_image(&name, ImageRemoval::default()).unwrap();
        }
    });
    let store = dir.open();
    store.collect(true).unwrap();
    assert_eq!(store.check(false).unwrap(), []);
    assert!(names_in(&dir.path("layers")).is_empty());
}

#[test]
fn what_many_collect_at_once_is_counted_once() {
    let dir = Dir::new();
    let store = dir.open();
    let shared = store.share().unwrap();
    for number in 0..40 {
        put_layer(&store, &shared, &number.to_string().repeat(20_000));
    }
    drop(shared);
    let garbage = store.usage().unwrap().garbage;
    let freed = at_once(4, |_| dir.open().collect(true).unwrap().bytes);
    assert_eq!(freed.iter().sum::<u64>(), garbage, "{freed:?}");
    assert!(names_in(&dir.path("layers")).is_empty() && names_in(&dir.path("trash")).is_empty());
}

#[test]
fn a_name_given_while_the_last_one_goes_keeps_the_image() {
    let dir = Dir::new();
    dir.open();
    at_once(2, |number| {
        let store = dir.open();
        for round in 0..15 {
            // Both have the very same image; each has it under a name of its own.
            let name = format!("n{number}:{round}");
            put_image(&store, &["a"], "same", &[&name]);
            assert!(store.resolve(&name).is_ok(), "acknowledged and gone");
            store.remove_image(&name, ImageRemoval::default()).unwrap();
        }
    });
    assert!(dir.open().images().unwrap().is_empty());
}

#[test]
fn a_tag_given_by_many_leads_to_one_of_their_images() {
    let dir = Dir::new();
    let images: Vec<_> = (0..4).map(|n| put_image(&dir.open(), &["a"], &n.to_string(), &[])).collect();
    at_once(4, |number| {
        let store = dir.open();
        for _ in 0..20 {
            store.tag(images[number].id(), &reference("x")).unwrap();
            assert!(images.contains(&store.resolve("x").unwrap()));
        }
    });
    assert_eq!(dir.open().check(false).unwrap(), []);
}

#[test]
fn five_thousand_containers_are_no_obstacle() {
    let dir = Dir::in_memory();
    let store = dir.open();
    let shared = store.share().unwrap();
    for number in 0..5000 {
        store.create(&shared, new_container(None, &format!("c{number}"), true)).unwrap();
    }
    drop(shared);
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        work();
        eprintln!("with 5000 containers: {what}: {:?}", start.elapsed());
    };
    timed("create and remove one", &mut || {
        store.remove(create(&store, None, "one", true)).unwrap();
    });
    timed("the same, recycled", &mut || {
        store.remove(create(&store, None, "one", true)).unwrap();
    });
    timed("find by name", &mut || drop(store.container("c4711").unwrap()));
    timed("list all", &mut || assert_eq!(store.containers().unwrap().len(), 5000));
}

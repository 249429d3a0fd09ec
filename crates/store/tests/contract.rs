//! What the store promises, seen from outside: through its interface and on the disk.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
mod common;
use common::*;
use std::os::fd::AsFd;
use std::process::Command;
use store::*;

fn kind<T>(result: Result<T>) -> Kind {
    *result.err().expect("an error").kind()
}

fn clean(store: &Store) {
    assert_eq!(store.check(false).unwrap(), []);
}

#[test]
fn a_new_store_is_clean_and_opens_again() {
    let dir = Dir::new();
    clean(&dir.open());
    assert_eq!(std::fs::read(dir.path("lock")).unwrap(), b"hull store 1\n");
    assert!(dir.path("skeleton/etc/resolv.conf").is_file() && dir.path("skeleton/dev/pts").is_dir());
    clean(&dir.open());
    std::fs::write(dir.path("lock"), "hull store 2\n").unwrap();
    assert_eq!(kind(Store::open(&dir.0, &dir.path("run"))), Kind::Invalid);
}

#[test]
fn an_image_is_found_by_all_its_names() {
    let dir = Dir::new();
    let store = dir.open();
    let image = put_image(&store, &["a", "b"], "x", &["bb", "ghcr.io/me/app:v1"]);
    let id = image.id().to_string();
    for text in
        ["bb", "bb:latest", "docker.io/library/bb", "ghcr.io/me/app:v1", &id, &id[7..], &id[7..10], &id[..12]]
    {
        assert_eq!(store.resolve(text).unwrap(), image, "{text}");
    }
    for text in ["bb:v1", "ghcr.io/me/app", "nothing", "", "sha256:", &"0".repeat(64), "Bad", "../x"] {
        assert_eq!(kind(store.resolve(text)), Kind::NotFound, "{text}");
    }
    assert_eq!(image.record.size, 2);
    assert_eq!(
        std::fs::read_to_string(dir.path(&format!("layers/{}/fs/file", diff_id("a").hex()))).unwrap(),
        "a"
    );
    clean(&store);
}

#[test]
fn a_name_wins_over_the_beginning_of_an_id_and_two_ids_are_ambiguous() {
    let dir = Dir::new();
    let store = dir.open();
    let images: Vec<_> = (0..17).map(|n| put_image(&store, &["a"], &n.to_string(), &[])).collect();
    let digit = |image: &Image| image.id().hex()[..1].to_string();
    let twice =
        images.iter().map(digit).find(|d| images.iter().filter(|i| digit(i) == *d).count() > 1).unwrap();
    assert_eq!(kind(store.resolve(&twice)), Kind::Ambiguous);
    store.tag(images[3].id(), &reference(&twice)).unwrap();
    assert_eq!(store.resolve(&twice).unwrap(), images[3]);
}

#[test]
fn a_digest_that_lies_and_a_layer_that_lacks_make_no_image() {
    let dir = Dir::new();
    let store = dir.open();
    let shared = store.share().unwrap();
    let layer = put_layer(&store, &shared, "a");
    let (id, config) = config_of(&[layer], "x");
    let (other, lacking) = config_of(&[diff_id("absent")], "x");
    let new = |id: &oci::ImageId, config: &[u8]| NewImage {
        id: id.clone(),
        config: config.into(),
        layers: None,
        manifest: None,
        blobs: vec![],
        names: vec![reference("x")],
    };
    assert_eq!(kind(store.put_image(&shared, new(&other, &config))), Kind::Corrupt);
    assert_eq!(kind(store.put_image(&shared, new(&other, &lacking))), Kind::NotFound);
    assert!(names_in(&dir.path("images")).is_empty() && names_in(&dir.path("refs")).is_empty());
    store.put_image(&shared, new(&id, &config)).unwrap();
}

#[test]
fn layers_are_shared_and_go_with_their_last_image() {
    let dir = Dir::new();
    let store = dir.open();
    let one = put_image(&store, &["base", "one"], "x", &["one"]);
    put_image(&store, &["base", "two"], "x", &["two"]);
    assert_eq!(names_in(&dir.path("layers")).len(), 3);
    let done = store.remove_image("one", ImageRemoval::default()).unwrap();
    let expected = vec![
        Removed::Untagged(reference("one")),
        Removed::Deleted(one.id().clone()),
        Removed::DeletedLayer(diff_id("one")),
    ];
    assert_eq!((done.removed, done.deferred), (expected, false));
    assert_eq!(names_in(&dir.path("layers")).len(), 2);
    clean(&store);
    store.remove_image("two", ImageRemoval::default()).unwrap();
    assert!(names_in(&dir.path("layers")).is_empty() && names_in(&dir.path("trash")).is_empty());
}

#[test]
fn removing_one_of_two_names_only_untags() {
    let dir = Dir::new();
    let store = dir.open();
    let image = put_image(&store, &["a"], "x", &["a:1", "b:1"]);
    let by_id = store.remove_image(image.id().short(), ImageRemoval::default()).unwrap_err();
    assert!(
        by_id.to_string().contains("(must be forced) - image is referenced in multiple repositories"),
        "{by_id}"
    );
    let done = store.remove_image("a:1", ImageRemoval::default()).unwrap();
    assert_eq!(done.removed, [Removed::Untagged(reference("a:1"))]);
    assert_eq!(store.resolve("b:1").unwrap(), image);
}

#[test]
fn a_used_image_is_refused_in_dockers_words_and_its_layers_outlive_it() {
    let dir = Dir::new();
    let store = dir.open();
    let image = put_image(&store, &["a"], "x", &["a"]);
    let held = create(&store, Some(&image), "web", false);
    let (container, id) = (held.record.id.short(), image.id().short());
    let said = |text: &str, force| store.remove_image(text, ImageRemoval { force }).unwrap_err().to_string();
    assert_eq!(
        said("a", false),
        format!(
            "conflict: unable to remove repository reference \"a\" (must force) - container {container} is using its referenced image {id}"
        )
    );
    let stopped = format!(
        "conflict: unable to delete {id} (must be forced) - image is being used by stopped container {container}"
    );
    assert_eq!(said(id, false), stopped);
    let slot = store.claim(running(held.record.id), &[]).unwrap();
    let runs = format!(
        "conflict: unable to delete {id} (cannot be forced) - image is being used by running container {container}"
    );
    assert_eq!(said(id, true), runs);
    slot.release().unwrap();
    store.remove_image(id, ImageRemoval { force: true }).unwrap();
    assert_eq!(names_in(&dir.path("layers")).len(), 1, "the container still needs it");
    clean(&store);
    store.remove(held).unwrap();
    assert_eq!(store.collect(true).unwrap().layers.len(), 1);
    assert!(names_in(&dir.path("layers")).is_empty());
}

#[test]
fn forced_by_name_a_used_image_becomes_dangling() {
    let dir = Dir::new();
    let store = dir.open();
    let image = put_image(&store, &["a"], "x", &["a"]);
    let _held = create(&store, Some(&image), "web", false);
    let done = store.remove_image("a", ImageRemoval { force: true }).unwrap();
    assert_eq!(done.removed, [Removed::Untagged(reference("a"))]);
    assert!(store.names(image.id()).unwrap().is_empty() && store.image(image.id()).is_ok());
}

#[test]
fn a_tag_moves_and_tells_whom_it_left() {
    let dir = Dir::new();
    let store = dir.open();
    let (one, two) = (put_image(&store, &["a"], "1", &["x"]), put_image(&store, &["a"], "2", &[]));
    assert_eq!(store.tag(two.id(), &reference("x")).unwrap(), Some(one.id().clone()));
    assert_eq!(store.tag(two.id(), &reference("x")).unwrap(), None);
    assert_eq!(store.resolve("x").unwrap(), two);
    assert_eq!(kind(store.tag(&oci::ImageId::from_sha256([9; 32]), &reference("y"))), Kind::NotFound);
}

#[test]
fn an_image_is_found_by_the_digest_of_its_manifest() {
    let dir = Dir::new();
    let store = dir.open();
    let shared = store.share().unwrap();
    let (id, config) = config_of(&[], "x");
    let digest = oci::Digest::from_sha256([7; 32]);
    let names = vec![reference("x:1")];
    store
        .put_image(
            &shared,
            NewImage { id, config, layers: None, manifest: Some(digest.clone()), blobs: vec![], names },
        )
        .unwrap();
    assert!(store.resolve(&format!("x@{digest}")).is_ok() && store.resolve(&format!("x:9@{digest}")).is_ok());
    assert_eq!(kind(store.resolve(&format!("y@{digest}"))), Kind::NotFound);
}

#[test]
fn loads_in_flight_are_not_collected() {
    let dir = Dir::new();
    let store = dir.open();
    put_image(&store, &["other"], "x", &["other"]);
    let shared = store.share().unwrap();
    let draft = store.draft_layer(&shared).unwrap();
    let layer = put_layer(&store, &shared, "a");
    assert!(store.collect(false).unwrap().busy);
    assert!(store.remove_image("other", ImageRemoval::default()).unwrap().deferred);
    assert!(store.layer(&layer).unwrap().is_some());
    drop(draft);
    drop(shared);
    let collected = store.collect(false).unwrap();
    assert_eq!((collected.layers.len(), collected.drafts), (2, 0));
    assert!(collected.bytes > 0);
    clean(&store);
}

#[test]
fn the_same_layer_twice_is_stored_once() {
    let dir = Dir::new();
    let store = dir.open();
    let shared = store.share().unwrap();
    put_layer(&store, &shared, "a");
    put_layer(&store, &shared, "a");
    assert_eq!(names_in(&dir.path("layers")).len(), 1);
    assert!(names_in(&dir.path("tmp")).is_empty() && names_in(&dir.path("trash")).is_empty());
}

#[test]
fn an_orphan_of_an_earlier_boot_is_not_trusted_but_replaced() {
    let dir = Dir::new();
    let store = dir.open();
    let shared = store.share().unwrap();
    let layer = put_layer(&store, &shared, "a");
    let at = format!("layers/{}", layer.hex());
    let meta = std::fs::read_to_string(dir.path(&format!("{at}/meta.json"))).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    std::fs::write(dir.path(&format!("{at}/meta.json")), meta.replace(boot.trim(), "earlier")).unwrap();
    std::fs::write(dir.path(&format!("{at}/fs/file")), "").unwrap();
    assert!(store.layer(&layer).unwrap().is_none());
    put_layer(&store, &shared, "a");
    assert_eq!(std::fs::read_to_string(dir.path(&format!("{at}/fs/file"))).unwrap(), "a");
}

#[test]
fn blobs_are_kept_while_an_image_names_them() {
    let dir = Dir::new();
    let store = dir.open();
    assert_eq!(store.config().unwrap(), Config::default());
    store.set_config(&Config { blobs: BlobPolicy::Keep, ..Config::default() }).unwrap();
    assert_eq!(dir.open().config().unwrap().blobs, BlobPolicy::Keep);
    let shared = store.share().unwrap();
    let digest = oci::Digest::from_sha256([3; 32]);
    let draft = store.draft_blob(&shared).unwrap();
    rustix::io::write(draft.file(), b"blob").unwrap();
    draft.commit(&digest).unwrap();
    drop(store.draft_blob(&shared).unwrap());
    let (id, config) = config_of(&[], "x");
    let new = NewImage {
        id,
        config,
        layers: None,
        manifest: None,
        blobs: vec![digest.clone()],
        names: vec![reference("x")],
    };
    store.put_image(&shared, new).unwrap();
    drop(shared);
    store.collect(true).unwrap();
    assert_eq!(rustix::io::read(store.blob(&digest).unwrap(), &mut [0; 9]).unwrap(), 4);
    store.remove_image("x", ImageRemoval::default()).unwrap();
    assert_eq!(kind(store.blob(&digest)), Kind::NotFound);
}

#[test]
fn a_container_is_found_by_name_and_id() {
    let dir = Dir::new();
    let store = dir.open();
    let held = create(&store, None, "web", false);
    let id = held.record.id.to_string();
    for text in ["web", "/web", &id, &id[..12], &id[..40], &id[..1]] {
        assert_eq!(store.container(text).unwrap().record.id, held.record.id, "{text}");
    }
    let wrong = format!("{}{}", &id[..63], if id.ends_with('0') { '1' } else { '0' });
    for text in ["we", "", &wrong, "..", "x/y"] {
        assert_eq!(kind(store.container(text)), Kind::NotFound, "{text}");
    }
    assert_eq!(std::fs::read(dir.path(&held.path()).join("hosts")).unwrap(), b"127.0.0.1 h\n");
    clean(&store);
}

#[test]
fn a_taken_name_is_refused_with_its_holder_and_leaves_nothing() {
    let dir = Dir::new();
    let store = dir.open();
    let held = create(&store, None, "web", false);
    let error = store.create(&store.share().unwrap(), new_container(None, "web", true)).unwrap_err();
    assert_eq!(error.kind(), &Kind::NameTaken);
    let words = format!(
        "conflict: the container name \"/web\" is already in use by container \"{}\"",
        held.record.id
    );
    assert_eq!(error.to_string(), words);
    assert_eq!(names_in(&dir.path("containers")).len(), 1);
    clean(&store);
    let other = NewContainer { any_name: true, ..new_container(None, "web", true) };
    let other = store.create(&store.share().unwrap(), other).unwrap();
    assert_ne!(other.record.name.as_str(), "web");
    assert_eq!(store.container(other.record.name.as_str()).unwrap().record.id, other.record.id);
}

#[test]
fn a_name_that_leads_nowhere_is_taken_over() {
    let dir = Dir::new();
    let store = dir.open();
    std::os::unix::fs::symlink("../containers/00000000000000000000000000000000", dir.path("names/web"))
        .unwrap();
    assert_eq!(store.check(false).unwrap(), [Finding::DanglingName("web".into())]);
    let held = create(&store, None, "web", false);
    assert_eq!(store.container("web").unwrap().record.id, held.record.id);
    clean(&store);
}

#[test]
fn states_follow_slot_and_exit() {
    let dir = Dir::new();
    let store = dir.open();
    let held = create(&store, None, "web", false);
    let state = || store.containers().unwrap().remove(0).state;
    assert!(matches!(state(), State::Created));
    let mut slot = store.claim(running(held.record.id), &[]).unwrap();
    slot.update(|running| running.pid = Some(42)).unwrap();
    assert!(matches!(state(), State::Running(Running { pid: Some(42), .. })));
    slot.update(|running| running.pid = None).unwrap();
    assert_eq!(store.slot_of(&held.record.id).unwrap().unwrap().pid, None);
    drop(slot);
    assert!(matches!(state(), State::Dead));
    let dead = store.dead_slots().unwrap();
    assert_eq!(dead[0].running.as_ref().unwrap().container, held.record.id);
    assert!(store.dead_slots().unwrap().is_empty(), "one cleans up at a time");
    dead.into_iter().for_each(|slot| slot.release().unwrap());
    held.record_exit(&exit(3)).unwrap();
    assert!(matches!(state(), State::Exited(Exit { code: 3, .. })));
    assert!(matches!(store.state(&held).unwrap(), State::Exited(_)));
}

#[test]
fn a_slot_may_have_further_ranges_and_is_still_one_container() {
    let dir = Dir::new();
    let store = dir.open().with_pool(Pool { base: 1_000_000, ranges: 3 });
    let mut slot = store.claim(running(ContainerId::random().unwrap()), &[]).unwrap();
    let ranges = [slot.range(), store.widen(&mut slot, &[]).unwrap(), store.widen(&mut slot, &[]).unwrap()];
    assert!(
        !ranges[0].overlaps(&ranges[1]) && !ranges[1].overlaps(&ranges[2]) && !ranges[2].overlaps(&ranges[0])
    );
    assert_eq!(kind(store.widen(&mut slot, &[])), Kind::Exhausted);
    assert_eq!(store.slot_list().unwrap().len(), 1);
    assert!(store.dead_slots().unwrap().is_empty());
    let id = slot.running().container;
    assert!(store.slot_of(&id).unwrap().is_some());
    slot.release().unwrap();
    assert!(names_in(&dir.path("run/slots")).is_empty());
    // An owner that dies leaves all of them; the one that says whose it was comes first.
    let mut slot = store.claim(running(id), &[]).unwrap();
    store.widen(&mut slot, &[]).unwrap();
    drop(slot);
    let dead = store.dead_slots().unwrap();
    assert_eq!(dead.iter().map(|slot| slot.running.is_some()).collect::<Vec<_>>(), [true, false]);
    dead.into_iter().for_each(|slot| slot.release().unwrap());
    assert!(names_in(&dir.path("run/slots")).is_empty());
}

#[test]
fn a_held_container_is_nobody_elses() {
    let dir = Dir::new();
    let store = dir.open();
    let held = create(&store, None, "web", false);
    assert_eq!(kind(store.container("web").unwrap().hold()), Kind::InUse);
    let (seen, again) = (store.container("web").unwrap(), store.container("web").unwrap());
    store.remove(held).unwrap();
    assert_eq!(kind(again.hold()), Kind::NotFound, "a spare directory is no container");
    // The directory was recycled; what was seen before must not hold another's.
    let other = create(&store, None, "other", false);
    assert!(matches!(kind(seen.hold()), Kind::InUse | Kind::NotFound));
    drop(other);
    store.container("other").unwrap().hold().unwrap();
}

#[test]
fn reserved_ranges_are_skipped_and_a_full_pool_says_so() {
    let dir = Dir::new();
    let pool = Pool { base: 1_000_000, ranges: 3 };
    let store = dir.open().with_pool(pool);
    let reserved = [IdRange { first: pool.range(1).first + 5, size: 1 }];
    let claim = || store.claim(running(ContainerId::random().unwrap()), &reserved);
    let (one, two) = (claim().unwrap(), claim().unwrap());
    let mut numbers = [one.number(), two.number()];
    numbers.sort();
    assert_eq!(numbers, [0, 2]);
    assert_eq!(kind(claim()), Kind::Exhausted);
    one.release().unwrap();
    claim().unwrap();
}

#[test]
fn an_untouched_container_is_recycled_with_nothing_of_its_past() {
    let dir = Dir::new();
    let store = dir.open();
    let held = create(&store, None, "one", true);
    let path = dir.path(&held.path());
    std::fs::create_dir_all(path.join("work/work/incompat/volatile")).unwrap();
    std::fs::write(path.join("hosts"), "x".repeat(10_000)).unwrap();
    std::fs::set_permissions(path.join("hosts"), std::os::unix::fs::PermissionsExt::from_mode(0o4777))
        .unwrap();
    std::os::unix::fs::chown(path.join("hosts"), Some(7), Some(7)).unwrap();
    store.remove(held).unwrap();
    assert_eq!(names_in(&dir.path("spare")), ["0"]);
    let held = create(&store, None, "two", true);
    assert!(names_in(&dir.path("spare")).is_empty());
    let path = dir.path(&held.path());
    let hosts = std::fs::metadata(path.join("hosts")).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((hosts.mode() & 0o7777, hosts.uid(), hosts.gid(), hosts.len()), (0o644, 0, 0, 12));
    assert!(names_in(&path.join("work")).is_empty());
    store.empty_trash().unwrap();
    clean_but(&store, &[Finding::LeftContainer(held.record.id.to_string())], held);
}

#[test]
fn what_another_is_deleting_is_no_finding() {
    let dir = Dir::new();
    let store = dir.open();
    std::fs::create_dir_all(dir.path("trash/theirs/below")).unwrap();
    std::fs::write(dir.path("trash/left"), "").unwrap();
    let theirs = std::fs::File::open(dir.path("trash/theirs")).unwrap();
    rustix::fs::flock(&theirs, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(store.check(true).unwrap(), [Finding::Trash("left".into())]);
    assert_eq!(names_in(&dir.path("trash")), ["theirs"]);
    drop(theirs);
    assert_eq!(store.check(true).unwrap(), [Finding::Trash("theirs".into())]);
    assert!(names_in(&dir.path("trash")).is_empty());
}

fn clean_but(store: &Store, findings: &[Finding], held: Held) {
    assert_eq!(store.check(false).unwrap(), [], "what is held is on its way");
    drop(held);
    assert_eq!(store.check(false).unwrap(), findings);
}

/// Mounts a container's overlay, volatile, in a mount namespace that ends with the script.
fn in_overlay(dir: &Dir, held: &Held, script: &str) {
    let (root, at) = (dir.0.display(), held.path());
    let mount = format!(
        "mount -t overlay none -o lowerdir={root}/skeleton,upperdir={root}/{at}/upper,workdir={root}/{at}/work,volatile /mnt"
    );
    let output =
        Command::new("unshare").args(["-m", "sh", "-c", &format!("{mount} && cd /mnt && {script}")]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_container_that_was_mounted_and_wrote_nothing_is_recycled_and_mounts_again() {
    let dir = Dir::new();
    let store = dir.open();
    for _ in 0..3 {
        let held = create(&store, None, "web", true);
        in_overlay(&dir, &held, "ls etc");
        assert!(dir.path(&held.path()).join("work/work/incompat/volatile").exists());
        store.remove(held).unwrap();
        assert_eq!(names_in(&dir.path("spare")), ["0"]);
    }
    let held = create(&store, None, "web", true);
    in_overlay(&dir, &held, "echo x > x && chmod 700 . && rm x && touch y && rm y");
    store.remove(held).unwrap();
    assert!(names_in(&dir.path("spare")).is_empty(), "its root has another mode");
    store.empty_trash().unwrap();
    assert_eq!(store.check(false).unwrap(), []);
}

#[test]
fn a_touched_container_is_not_recycled() {
    use rustix::fs::{Gid, Mode, Uid, XattrFlags, fchmod, fchown, fsetxattr};
    let touches: [fn(&Held); 6] = [
        |held| write_in(dir_in(held, "upper"), "x", "x"),
        |held| fchmod(dir_in(held, "upper"), Mode::from_raw_mode(0o700)).unwrap(),
        |held| fchown(dir_in(held, "upper"), Some(Uid::from_raw(5)), Some(Gid::ROOT)).unwrap(),
        |held| fsetxattr(dir_in(held, "upper"), "user.x", b"1", XattrFlags::empty()).unwrap(),
        |held| write_in(held.dir(), "log", "x"),
        |held| held.record_exit(&exit(1)).unwrap(),
    ];
    for touch in touches {
        let dir = Dir::new();
        let store = dir.open();
        let held = create(&store, None, "one", true);
        touch(&held);
        store.remove(held).unwrap();
        assert!(names_in(&dir.path("spare")).is_empty());
        assert!(names_in(&dir.path("trash")).is_empty());
        clean(&store);
    }
}

fn dir_in(held: &Held, name: &str) -> std::os::fd::OwnedFd {
    use rustix::fs::{Mode, OFlags, openat};
    openat(held.dir().as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
}

#[test]
fn no_more_spares_are_kept_than_are_of_use() {
    let dir = Dir::new();
    let store = dir.open();
    let all: Vec<_> = (0..7).map(|n| create(&store, None, &format!("c{n}"), true)).collect();
    for held in all {
        store.remove(held).unwrap();
    }
    assert_eq!(names_in(&dir.path("spare")), ["0", "1", "2", "3"]);
    assert!(names_in(&dir.path("trash")).is_empty());
    clean(&store);
}

#[test]
fn usage_is_what_du_says_to_the_byte() {
    let dir = Dir::new();
    let store = dir.open();
    let one = put_image(&store, &["base", "one"], "x", &["one"]);
    put_image(&store, &["base", &"two".repeat(30_000)], "x", &["two"]);
    let held = create(&store, Some(&one), "web", false);
    write_in(dir_in(&held, "upper"), "big", &"x".repeat(100_000));
    let fs = dir.path(&format!("layers/{}/fs", diff_id("one").hex()));
    std::fs::hard_link(fs.join("file"), fs.join("again")).unwrap();
    rustix::fs::syncfs(store.root()).unwrap();
    let usage = store.usage().unwrap();
    let du = Command::new("du").args(["-s", "--block-size=1"]).arg(&dir.0).output().unwrap();
    let du: u64 = String::from_utf8(du.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(usage.total, du);
    let shared = usage.layers.iter().find(|layer| layer.layer == diff_id("base")).unwrap();
    assert_eq!(shared.images, 2);
    assert!(usage.images.iter().all(|image| image.shared == shared.bytes && image.unique > 0));
    assert!(
        usage.containers[0].written >= 100_000 && usage.containers[0].bytes > usage.containers[0].written
    );
    assert_eq!(store.written(&held).unwrap(), usage.containers[0].written);
    assert_eq!(usage.garbage, 0);
}

/// By du(1), of the root without what others' directories keep.
fn du(dir: &Dir) -> u64 {
    let du = Command::new("du").args(["-s", "--block-size=1"]).arg(&dir.0).output().unwrap();
    String::from_utf8(du.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn what_a_removal_says_it_freed_is_what_du_misses() {
    let dir = Dir::new();
    let store = dir.open();
    let image = put_image(&store, &["base", &"one".repeat(30_000)], "x", &["one", "one:2"]);
    put_image(&store, &["base"], "x", &["two"]);
    let fs = dir.path(&format!("layers/{}/fs", diff_id(&"one".repeat(30_000)).hex()));
    std::fs::create_dir(fs.join("d")).unwrap();
    std::fs::hard_link(fs.join("file"), fs.join("d/again")).unwrap();
    let held = create(&store, Some(&image), "web", false);
    write_in(dir_in(&held, "upper"), "big", &"x".repeat(100_000));
    drop(held);
    let freed = |remove: &dyn Fn() -> u64| {
        rustix::fs::syncfs(store.root()).unwrap();
        let before = du(&dir);
        assert_eq!(remove(), before - du(&dir));
    };
    freed(&|| store.remove(store.container("web").unwrap().hold().unwrap()).unwrap());
    freed(&|| store.remove_image("one:2", ImageRemoval::default()).unwrap().bytes);
    freed(&|| store.remove_image("one", ImageRemoval::default()).unwrap().bytes);
    assert!(!fs.exists());
    put_layer(&store, &store.share().unwrap(), "orphan");
    std::fs::write(dir.path("tmp/draft"), "x").unwrap();
    freed(&|| store.collect(true).unwrap().bytes);
    clean(&store);
}

#[test]
fn what_others_put_aside_is_theirs_to_delete() {
    let dir = Dir::new();
    let store = dir.open();
    std::fs::create_dir_all(dir.path("trash/theirs/x")).unwrap();
    std::fs::create_dir_all(dir.path("trash/left/x")).unwrap();
    let theirs = std::fs::File::open(dir.path("trash/theirs")).unwrap();
    theirs.lock().unwrap();
    store.empty_trash().unwrap();
    assert_eq!(names_in(&dir.path("trash")), ["theirs"]);
    drop(theirs);
    store.empty_trash().unwrap();
    assert!(names_in(&dir.path("trash")).is_empty());
}

#[test]
fn who_only_looks_makes_nothing() {
    let dir = Dir::new();
    let root = dir.path("none/root");
    let store = Store::look(&root, &root.join("run")).unwrap();
    assert!(store.images().unwrap().is_empty() && store.containers().unwrap().is_empty());
    assert_eq!((kind(store.resolve("x")), kind(store.container("x"))), (Kind::NotFound, Kind::NotFound));
    assert_eq!(store.usage().unwrap().total, 0);
    store.recover().unwrap();
    store.collect(true).unwrap();
    clean(&store);
    assert!(names_in(&dir.0).is_empty());
    // Nor in a directory that is there.
    let store = Store::look(&dir.0, &dir.path("run")).unwrap();
    assert!(store.images().unwrap().is_empty() && names_in(&dir.0).is_empty());
    // A store that is there is the one that is seen.
    put_image(&dir.open(), &["a"], "x", &["x"]);
    let before = names_in(&dir.0);
    assert_eq!(Store::look(&dir.0, &dir.path("run")).unwrap().images().unwrap().len(), 1);
    assert_eq!(names_in(&dir.0), before);
}

#[test]
fn check_finds_and_repair_removes_what_is_garbage() {
    let dir = Dir::new();
    let store = dir.open();
    let image = put_image(&store, &["a"], "x", &["x"]);
    drop(create(&store, Some(&image), "web", false));
    std::fs::write(dir.path("tmp/draft"), "").unwrap();
    std::fs::create_dir(dir.path("trash/old")).unwrap();
    std::fs::create_dir_all(dir.path("layers/00/fs")).unwrap();
    std::fs::write(dir.path("blobs/sha256/00"), "").unwrap();
    std::fs::create_dir(dir.path("spare/junk")).unwrap();
    std::fs::remove_file(dir.path("names/web")).unwrap();
    std::os::unix::fs::symlink("../containers/0", dir.path("names/gone")).unwrap();
    let text = std::fs::read_to_string(dir.path("refs/docker.io%library%x:latest")).unwrap();
    std::fs::write(dir.path("refs/docker.io%library%y:1"), text.replace(image.id().hex(), &"0".repeat(64)))
        .unwrap();
    let found = store.check(true).unwrap();
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(Finding::is_garbage));
    clean(&store);
    assert!(store.container("web").is_ok() && store.resolve("x").is_ok());
    std::fs::remove_dir_all(dir.path(&format!("layers/{}", diff_id("a").hex()))).unwrap();
    assert!(matches!(store.check(true).unwrap()[..], [Finding::LackingLayer { .. }]));
    assert!(store.resolve("x").is_ok(), "nothing that may be worth something is removed");
}

#[test]
fn trash_of_any_depth_is_deleted() {
    let dir = Dir::new();
    let store = dir.open();
    let mut at =
        rustix::fs::open(dir.path("trash"), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
            .unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        write_in(&at, "f", "x");
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    }
    drop(at);
    store.empty_trash().unwrap();
    assert!(names_in(&dir.path("trash")).is_empty());
}

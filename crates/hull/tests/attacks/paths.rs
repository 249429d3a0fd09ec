//! Links where a mount is to be, planted in the image or exchanged while the container starts.

use crate::bundle::{Bundle, Said, is_empty};
use crate::masks::false_proc;
use crate::race::{End, Swapper, assert_falls, assert_refuses, assert_withstands};
use crate::runtime::Runtime;
use serde_json::json;
use std::os::unix::fs::symlink;

/// Masks and read-only paths are of no use below a `/proc` that is something else.
const LOOK: &str = "stat -f -c %T /proc; stat -f -c %T /sys; cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | head -c 1; \
    echo x 2>/dev/null >/proc/sysrq-trigger && echo WRITTEN; echo RAN";

fn of_looks(said: &Said) -> End {
    match said.has("RAN") {
        true if said.text == "proc\nsysfs\nRAN\n" => End::Withstood,
        true => End::Fallen(format!("`/proc` or `/sys` is the attacker's: {said:?}")),
        false => {
            assert_ne!(said.code, 0, "{said:?}");
            End::Refused
        }
    }
}

/// A link in place of `/proc` or `/sys`, to what looks like it.
fn linked(place: &str, to: &str) -> Bundle {
    let mut bundle = Bundle::new();
    std::fs::create_dir_all(bundle.root("evil/firmware")).unwrap();
    false_proc(&bundle, "evil");
    symlink(to, bundle.root(place)).unwrap();
    bundle.script(LOOK);
    bundle
}

/// What the link leads to is covered once more, by the attacker's volume: a mount at a place that is no `/proc` by name.
fn linked_and_covered(place: &str) -> Bundle {
    let mut bundle = linked(place, "/evil");
    std::fs::create_dir_all(bundle.root("../volume/firmware")).unwrap();
    false_proc(&bundle, "../volume");
    let volume = bundle.dir.join("volume");
    bundle
        .mount(json!({"destination": "/evil", "type": "bind", "source": volume, "options": ["bind", "rw"]}));
    bundle
}

#[test]
fn cve_2023_28642_a_volume_where_a_linked_proc_leads_covers_nothing() {
    let mut bundle = linked_and_covered("proc");
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    let said = bundle.run(Runtime::Tested);
    assert_eq!(bundle.read("../volume/sys/net/ipv4/ip_forward"), "untouched", "FALLEN: {said:?}");
    let end = of_looks(&said);
    assert!(!end.is_fallen(), "FALLEN: {end:?}");
}

#[test]
fn cve_2025_54867_nor_a_linked_sys() {
    let end = of_looks(&linked_and_covered("sys").run(Runtime::Tested));
    assert!(!end.is_fallen(), "FALLEN: {end:?}");
}

#[test]
fn linked_kernel_file_systems_are_refused() {
    for place in ["proc", "sys"] {
        let bundle = linked(place, "/evil");
        let said = bundle.run(Runtime::Tested);
        assert!(!said.has("RAN") && said.code != 0, "{place}: {said:?}");
    }
    assert!(is_empty(&linked("sys", "/evil").root("evil/firmware")));
}

/// The link leads into a volume, in which another container exchanges directories.
#[test]
fn cve_2023_27561_a_linked_proc_leads_to_what_is_exchanged() {
    let mut bundle = linked("proc", "/vol/level");
    let volume = bundle.dir.join("volume");
    for name in ["level", "other"] {
        false_proc(&bundle, &format!("../volume/{name}"));
    }
    let outer = json!({"destination": "/vol", "type": "bind", "source": volume, "options": ["bind", "rw"]});
    bundle.config["mounts"].as_array_mut().unwrap().insert(0, outer);
    assert_refuses(|| {
        let attacker = Swapper::new(volume.join("level"), volume.join("other"));
        let said = bundle.run(Runtime::Tested);
        drop(attacker);
        bundle.delete(Runtime::Tested);
        of_looks(&said)
    });
}

#[test]
fn cve_2019_19921_proc_exchanged_for_a_link_while_starting() {
    let mut bundle = Bundle::new();
    std::fs::create_dir_all(bundle.root("proc")).unwrap();
    false_proc(&bundle, "evil");
    symlink("/evil", bundle.root("link")).unwrap();
    bundle.script(LOOK);
    assert_withstands(|| {
        let attacker = Swapper::new(bundle.root("proc"), bundle.root("link"));
        of_looks(&bundle.run_beside(Runtime::Tested, attacker))
    });
}

/// Whoever shares the root may exchange `/proc` for a directory of the same look: then masks that are looked up by name cover
/// that, and after one more exchange the program has a procfs that nothing covers.
#[test]
fn proc_exchanged_for_a_directory_while_starting() {
    let mut bundle = Bundle::new();
    std::fs::create_dir_all(bundle.root("proc")).unwrap();
    false_proc(&bundle, "evil");
    bundle.script(
        "for d in /proc /evil; do [ $(stat -f -c %T $d) = proc ] || continue; echo REAL
        cat $d/keys $d/timer_list 2>/dev/null | head -c 1; (: > $d/sys/net/ipv4/ip_forward) 2>/dev/null && echo WRITTEN
        done; echo RAN",
    );
    assert_withstands(|| {
        let attacker = Swapper::new(bundle.root("proc"), bundle.root("evil"));
        let said = bundle.run_beside(Runtime::Tested, attacker);
        match said.has("RAN") {
            true if said.text == "REAL\nRAN\n" => End::Withstood,
            true => End::Fallen(format!("a procfs is bare: {said:?}")),
            false => End::Refused,
        }
    });
}

/// A mount point that is a link to the host's directory, or in one.
fn escaping(link: &str, place: &str) -> Bundle {
    let mut bundle = Bundle::new();
    std::fs::create_dir_all(bundle.dir.join("volume")).unwrap();
    std::fs::create_dir_all(bundle.host("prize")).unwrap();
    symlink(link.replace("BUNDLE", bundle.dir.to_str().unwrap()), bundle.root("link")).unwrap();
    bundle.mount(json!({
        "destination": place, "type": "bind", "source": bundle.dir.join("volume"), "options": ["bind", "rw"],
    }));
    bundle.script("grep '/volume /[^ ]*/made' /proc/self/mountinfo >/dev/null && echo MOUNTED");
    bundle
}

#[test]
fn cve_2019_18837_a_link_out_of_the_root_stays_in_it() {
    // By an absolute path, by one that climbs, and by no more than leads out: a runtime that counts may do so wrongly.
    let links = ["BUNDLE", "..", "/..", "/../../../../../../../..BUNDLE"];
    for link in links.map(|link| format!("{link}/host/prize/made")) {
        for place in ["/link", "/link/a/b"] {
            let bundle = escaping(&link, place);
            let said = bundle.run(Runtime::Tested);
            assert!(is_empty(&bundle.host("prize")), "FALLEN: `{place}` is made on the host by `{link}`");
            assert!(said.code != 0 || said.has("MOUNTED"), "{said:?}");
        }
    }
}

/// Directories for a mount point are made while a part of its path is a directory, then a link out, then a directory.
fn racing() -> (Bundle, Swapper) {
    let mut bundle = Bundle::new();
    let prize = bundle.host("prize");
    for dir in [&prize, &bundle.dir.join("volume"), &bundle.root("vol")] {
        std::fs::create_dir_all(dir).unwrap();
    }
    symlink(format!("/../../../../../../../..{}", prize.display()), bundle.root("link")).unwrap();
    bundle.mount(json!({
        "destination": "/vol/a/b/c/d/e", "type": "bind", "source": bundle.dir.join("volume"), "options": ["bind"],
    }));
    bundle.script("cat /secret /vol/secret 2>/dev/null; echo RAN");
    let attacker = Swapper::new(bundle.root("vol"), bundle.root("link"));
    (bundle, attacker)
}

/// Was something made on the host?
fn exchange_directories(bundle: &Bundle, runtime: Runtime) -> End {
    let said = bundle.run(runtime);
    bundle.delete(runtime);
    let _ = std::fs::remove_dir_all(bundle.root("vol/a"));
    if !is_empty(&bundle.host("prize")) || said.has("the host's secret") {
        return End::Fallen(format!("something was made on the host: {said:?}"));
    }
    if said.has("RAN") { End::Withstood } else { End::Refused }
}

#[test]
fn cve_2024_45310_nothing_is_made_on_the_host_while_links_are_exchanged() {
    let (bundle, _attacker) = racing();
    assert_withstands(|| exchange_directories(&bundle, Runtime::Tested));
}

#[test]
#[ignore = "an oracle"]
fn oracle_cve_2024_45310_on_runc() {
    if !Runtime::Runc.is_there() {
        return eprintln!("SKIP: no runc");
    }
    let (bundle, _attacker) = racing();
    assert_falls(|| exchange_directories(&bundle, Runtime::Runc));
}

/// As on a node of Kubernetes: all volumes of a pod lie in one directory. The first is shared with the attacker's other
/// container, in which a directory becomes a link to where the volumes lie; so the second is mounted over them all,
/// and in the place of the third it has a link to the host's root.
#[test]
fn cve_2021_30465_a_mount_does_not_follow_an_exchanged_link() {
    let mut bundle = Bundle::new();
    let volumes = bundle.dir.join("pod/volumes");
    let [shared, links, third] = ["shared", "links", "third"].map(|name| volumes.join(name));
    for dir in [&shared.join("dir/volumes"), &links, &third] {
        std::fs::create_dir_all(dir).unwrap();
    }
    symlink(bundle.dir.join("pod"), shared.join("link")).unwrap();
    symlink(bundle.host(""), links.join("third")).unwrap();
    let bind = |place: &str, source: &std::path::Path| json!({"destination": place, "type": "bind", "source": source, "options": ["rbind", "rw"]});
    bundle.mount(bind("/vol", &shared));
    // The more often, the likelier once; at most places it is mounted where it should be.
    (0..10).for_each(|_| bundle.mount(bind("/vol/dir/volumes", &links)));
    bundle.mount(bind("/third", &third));
    bundle.script("cat /third/secret 2>/dev/null; echo RAN");
    let attacker = Swapper::new(shared.join("dir"), shared.join("link"));
    assert_withstands(|| {
        let said = bundle.run(Runtime::Tested);
        bundle.delete(Runtime::Tested);
        match said.has("RAN") {
            _ if said.has("the host's secret") => End::Fallen(said.text),
            true => End::Withstood,
            false => End::Refused,
        }
    });
    drop(attacker);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let id = bundle.dir.file_name().unwrap().to_str().unwrap();
    assert!(!mounts.contains(id), "a mount is left: {mounts}");
}

#[test]
fn cve_2025_24965_no_file_is_written_through_a_link_in_the_root() {
    // crun's krun handler wrote its configuration there.
    let mut bundle = Bundle::new();
    symlink(bundle.host("written"), bundle.root(".krun_config.json")).unwrap();
    bundle.config["annotations"] = json!({"run.oci.handler": "krun"});
    bundle.script("echo RAN");
    let said = bundle.run(Runtime::Tested);
    assert!(!bundle.host("written").exists(), "FALLEN: {said:?}");
    assert!(said.has("RAN"), "{said:?}");
    assert!(bundle.root(".krun_config.json").is_symlink(), "and the link is left alone");
}

/// crun made its devices in what `/dev` leads to.
#[test]
fn cve_2026_47766_no_device_is_made_through_a_linked_dev() {
    let mut bundle = Bundle::new();
    bundle.without_mount("/dev");
    bundle.without_mount("/dev/pts");
    std::fs::create_dir_all(bundle.host("dev")).unwrap();
    symlink(bundle.host("dev"), bundle.root("dev")).unwrap();
    bundle.script("echo RAN");
    let said = bundle.run(Runtime::Tested);
    assert!(is_empty(&bundle.host("dev")), "FALLEN: {said:?}");
    assert!(said.code != 0 || said.has("RAN"), "{said:?}");
}

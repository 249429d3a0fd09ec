//! Links where a mount is to be, planted in the image or exchanged while the container starts.

use crate::bundle::{Bundle, Runtime, Said, Swapper, is_empty};
use serde_json::json;
use std::os::unix::fs::symlink;

/// How often a race is run. Each start gives the attacker some thousand exchanges.
const TRIES: usize = 25;

/// So often at least, and on until it has run once: a refusal each time would prove little.
fn goes_on(tried: usize, ran: usize) -> bool {
    tried < TRIES || ran == 0 && tried < 100 * TRIES
}

/// Masks and read-only paths are of no use below a `/proc` that is something else.
const LOOK: &str = "stat -f -c %T /proc; cat /proc/kcore | head -c 1; echo x 2>/dev/null >/proc/sysrq-trigger && echo WRITTEN; echo RAN";

fn assert_is_real_or_refused(said: &Said) {
    if said.has("RAN") {
        assert!(said.text.starts_with("proc\n"), "a `/proc` of the attacker's: {said:?}");
        assert!(!said.has("WRITTEN"), "{said:?}");
    } else {
        assert_ne!(said.code, 0, "{said:?}");
    }
}

/// A link in place of `/proc` or `/sys`: then the kernel's files are elsewhere, and what should cover them is not.
fn linked(place: &str) -> Bundle {
    let mut bundle = Bundle::new();
    std::fs::create_dir_all(bundle.root("evil/sys")).unwrap();
    std::fs::write(bundle.root("evil/kcore"), "").unwrap();
    std::fs::write(bundle.root("evil/sysrq-trigger"), "").unwrap();
    symlink("/evil", bundle.root(place)).unwrap();
    bundle.script(LOOK);
    bundle
}

#[test]
fn cve_2023_27561_a_linked_proc_is_refused() {
    assert_is_real_or_refused(&linked("proc").run(Runtime::Hull));
}

#[test]
fn cve_2025_54867_a_linked_sys_is_refused() {
    let bundle = linked("sys");
    let said = bundle.run(Runtime::Hull);
    assert!(!said.has("RAN") && said.code != 0, "{said:?}");
    assert!(is_empty(&bundle.root("evil/sys")));
}

#[test]
fn cve_2023_28642_a_link_on_the_way_to_proc_is_refused() {
    // As with a tmpfs or a volume at the place the link leads to.
    let mut bundle = linked("proc");
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"destination": "/evil", "type": "tmpfs", "source": "tmpfs"}));
    assert_is_real_or_refused(&bundle.run(Runtime::Hull));
}

#[test]
fn cve_2019_19921_proc_exchanged_for_a_link_while_starting() {
    let mut bundle = Bundle::new();
    std::fs::create_dir_all(bundle.root("proc")).unwrap();
    std::fs::create_dir_all(bundle.root("evil")).unwrap();
    std::fs::write(bundle.root("evil/kcore"), "").unwrap();
    std::fs::write(bundle.root("evil/sysrq-trigger"), "").unwrap();
    symlink("/evil", bundle.root("link")).unwrap();
    bundle.script(LOOK);
    let (mut tried, mut ran) = (0, 0);
    while goes_on(tried, ran) {
        tried += 1;
        let attacker = Swapper::new(bundle.root("proc"), bundle.root("link"));
        let said = bundle.run_beside(Runtime::Hull, attacker);
        assert_is_real_or_refused(&said);
        ran += usize::from(said.has("RAN"));
    }
    assert!(ran > 0, "never once did it run");
}

/// A mount point of which a part is a link to the host's directory, by an absolute and by a climbing path.
fn escaping(target: &str) -> Bundle {
    let mut bundle = Bundle::new();
    std::fs::create_dir_all(bundle.dir.join("volume")).unwrap();
    std::fs::write(bundle.dir.join("volume/prize"), "").unwrap();
    let prize = bundle.host("prize");
    std::fs::create_dir_all(&prize).unwrap();
    symlink(format!("{target}{}", prize.display()), bundle.root("link")).unwrap();
    bundle.mount(json!({
        "destination": "/link/a/b", "type": "bind", "source": bundle.dir.join("volume"), "options": ["bind", "rw"],
    }));
    bundle.script("grep ' /[^ ]*a/b ' /proc/self/mountinfo >/dev/null && echo MOUNTED");
    bundle
}

#[test]
fn cve_2019_18837_a_link_out_of_the_root_stays_in_it() {
    for target in ["", "/../../../../../../../.."] {
        let bundle = escaping(target);
        let said = bundle.run(Runtime::Hull);
        assert!(is_empty(&bundle.host("prize")), "something was made on the host");
        assert!(said.code != 0 || said.has("MOUNTED"), "{said:?}");
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

/// How many starts until something was made on the host, if it was.
fn falls(runtime: Runtime, tries: usize) -> Option<usize> {
    let (bundle, _attacker) = racing();
    (0..tries).find(|_| {
        let said = bundle.run(runtime);
        bundle.delete(runtime);
        let _ = std::fs::remove_dir_all(bundle.root("vol/a"));
        !is_empty(&bundle.host("prize")) || said.has("the host's secret")
    })
}

#[test]
fn cve_2024_45310_nothing_is_made_on_the_host_while_links_are_exchanged() {
    assert_eq!(falls(Runtime::Hull, TRIES), None);
}

#[test]
#[ignore = "an oracle"]
fn oracle_cve_2024_45310_on_runc() {
    if !Runtime::Runc.is_there() {
        return eprintln!("SKIP: no runc");
    }
    assert!(falls(Runtime::Runc, 400).is_some(), "Debian's runc withstood");
}

#[test]
fn cve_2021_30465_a_mount_does_not_follow_an_exchanged_link() {
    // The volume that is mounted holds a link to `/`; the next mount goes through it.
    let mut bundle = Bundle::new();
    let volume = bundle.dir.join("volume");
    std::fs::create_dir_all(volume.join("dir/inner")).unwrap();
    symlink("/", volume.join("link")).unwrap();
    std::fs::create_dir_all(bundle.root("inner")).unwrap();
    let outer = json!({"destination": "/vol", "type": "bind", "source": volume, "options": ["bind", "rw"]});
    let inner = json!({"destination": "/vol/dir/inner", "type": "tmpfs", "source": "tmpfs"});
    bundle.mount(outer);
    bundle.mount(inner);
    bundle.script(&format!(
        "cat {} 2>/dev/null; ls -d /var/tmp 2>/dev/null; echo RAN",
        bundle.host("secret").display()
    ));
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let _attacker = Swapper::new(bundle.dir.join("volume/dir"), bundle.dir.join("volume/link"));
    let (mut tried, mut ran) = (0, 0);
    while goes_on(tried, ran) {
        tried += 1;
        let said = bundle.run(Runtime::Hull);
        assert!(!said.has("the host's secret") && !said.has("/var/tmp\n"), "{said:?}");
        ran += usize::from(said.has("RAN"));
    }
    let ours = |text: &str| text.lines().filter(|line| line.contains("hull-attack")).count();
    assert_eq!(
        ours(&std::fs::read_to_string("/proc/self/mountinfo").unwrap()),
        ours(&before),
        "a mount is left"
    );
    assert!(ran > 0, "never once did it run");
}

#[test]
fn cve_2025_24965_no_file_is_written_through_a_link_in_the_root() {
    // crun's krun handler wrote its configuration there.
    let mut bundle = Bundle::new();
    symlink(bundle.host("written"), bundle.root(".krun_config.json")).unwrap();
    bundle.config["annotations"] = json!({"run.oci.handler": "krun"});
    bundle.script("echo RAN");
    let said = bundle.run(Runtime::Hull);
    assert!(said.has("RAN"), "{said:?}");
    assert!(!bundle.host("written").exists());
    assert!(bundle.root(".krun_config.json").is_symlink(), "and the link is left alone");
}

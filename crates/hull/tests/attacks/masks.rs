//! What covers and what is written to is the kernel's, not what an image calls so.

use crate::bundle::Bundle;
use crate::race::{End, Swapper, assert_falls, assert_withstands};
use crate::runtime::{Runtime, is_hull};
use serde_json::json;
use std::os::unix::fs::symlink;

/// `/dev/null` is a link to what the attacker wants to keep writable, and covers what it should hide.
fn false_null() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.without_mount("/dev");
    bundle.without_mount("/dev/pts");
    std::fs::create_dir_all(bundle.root("dev")).unwrap();
    std::fs::write(bundle.root("hidden"), "hidden\n").unwrap();
    std::fs::write(bundle.root("decoy"), "decoy\n").unwrap();
    symlink("/decoy", bundle.root("dev/null")).unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/hidden", "/proc/kcore"]);
    // runc takes the streams, no devices like this one, for the null device, and replaces them by it.
    bundle.script("exec > /seen 2>&1; cat /hidden; stat -c %t:%T /hidden; echo RAN");
    bundle
}

fn false_null_masks(runtime: Runtime) -> End {
    let bundle = false_null();
    let said = bundle.run(runtime);
    match bundle.read("seen") {
        seen if seen.is_empty() => {
            assert_ne!(said.code, 0, "{said:?}");
            End::Refused
        }
        seen if seen == "1:3\nRAN\n" => End::Withstood,
        seen => End::Fallen(seen),
    }
}

#[test]
fn cve_2025_31133_masks_are_the_hosts_null_device() {
    let end = false_null_masks(Runtime::Tested);
    assert!(!end.is_fallen(), "FALLEN: {end:?}");
}

#[test]
#[ignore = "an oracle"]
fn oracle_cve_2025_31133_on_runc() {
    if !Runtime::Runc.is_there() {
        return eprintln!("SKIP: no runc");
    }
    assert_falls(|| false_null_masks(Runtime::Runc));
}

/// `/dev/console` leads to a file of the kernel's: what is mounted there makes that writable, or hides it.
fn false_console() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.without_mount("/dev");
    bundle.without_mount("/dev/pts");
    std::fs::create_dir_all(bundle.root("dev/pts")).unwrap();
    bundle.mount(json!({
        "destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    }));
    symlink("../proc/sys/kernel/core_pattern", bundle.root("dev/console")).unwrap();
    bundle.config["process"]["terminal"] = true.into();
    bundle.script(
        "grep ' /proc/sys/kernel/core_pattern .* devpts ' /proc/self/mountinfo && echo FALLEN; echo RAN",
    );
    bundle
}

#[test]
fn cve_2025_52565_a_terminal_is_not_mounted_through_a_link() {
    let (made, said) = false_console().run_on_terminal(Runtime::Tested);
    assert!(!said.contains("FALLEN"), "{said}");
    assert!(made.code != 0 || said.contains("RAN"), "{made:?} {said}");
}

#[test]
#[ignore = "an oracle"]
fn oracle_cve_2025_52565_on_runc() {
    if !Runtime::Runc.is_there() {
        return eprintln!("SKIP: no runc");
    }
    let (made, said) = false_console().run_on_terminal(Runtime::Runc);
    assert!(said.contains("FALLEN"), "Debian's runc withstood: {made:?} {said}");
}

/// A process inside puts something else in the place of the terminals, and waits for who enters on one.
#[test]
fn a_terminal_of_exec_is_the_kernels_own() {
    let falsify = [
        "true",
        "mount -t tmpfs tmpfs /dev/pts; ln -s /prey /dev/pts/ptmx",
        "mount -t tmpfs tmpfs /dev/pts; mkfifo /dev/pts/ptmx",
        "mount -t tmpfs tmpfs /dev/pts; ln -s /evil/ptmx /dev/pts/ptmx",
        "mount -o bind /evil/ptmx /dev/pts/ptmx",
    ];
    for how in falsify {
        let mut bundle = Bundle::new();
        std::fs::create_dir(bundle.root("evil")).unwrap();
        std::fs::write(bundle.root("prey"), "prey").unwrap();
        bundle.program("look", "test -t 0 && echo RAN");
        let evil = "mount -t devpts -o newinstance,ptmxmode=0666 devpts /evil";
        bundle.script(&format!("{evil}; {how}; echo ready > /ready; exec sleep 1000"));
        assert_eq!(bundle.start(Runtime::Tested).code, 0);
        bundle.await_file("ready");
        let (made, said) = bundle.exec_on_terminal(Runtime::Tested, "/bin/look");
        assert_eq!(
            (made.code == 0, said.contains("RAN")),
            (how == "true", how == "true"),
            "{how}: {made:?} {said}"
        );
        assert_eq!(bundle.read("prey"), "prey", "{how}");
        bundle.delete(Runtime::Tested);
    }
}

/// What is in a false `/proc` looks as the kernel's would.
pub(crate) fn false_proc(bundle: &Bundle, place: &str) {
    let ip = bundle.root(place).join("sys/net/ipv4");
    let attr = bundle.root(place).join("self/attr");
    for dir in [&ip, &attr] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(ip.join("ip_forward"), "untouched").unwrap();
    for name in ["exec", "apparmor-exec", "current"] {
        std::fs::write(attr.join(name), "untouched").unwrap();
    }
    for name in ["kcore", "keys", "timer_list", "sysrq-trigger"] {
        std::fs::write(bundle.root(place).join(name), "").unwrap();
    }
}

/// Its container sets `ip_forward`, and tells what it sees of that.
pub(crate) fn with_setting() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    bundle.script("cat /proc/sys/net/ipv4/ip_forward; stat -f -c %T /proc; echo RAN");
    bundle
}

/// Was the setting written to the attacker's file in place of the kernel's?
pub(crate) fn of_setting(bundle: &Bundle, false_proc: &str, said: &crate::bundle::Said) -> End {
    let written = bundle.read(&format!("{false_proc}/sys/net/ipv4/ip_forward"));
    match said.has("RAN") {
        _ if written != "untouched" => End::Fallen(format!("the attacker's file has {written:?}")),
        true if !said.text.starts_with("1\nproc\n") => End::Fallen(said.text.clone()),
        true => End::Withstood,
        false => End::Refused,
    }
}

/// A false `/proc` that takes the place of the true one now and then.
fn changing() -> Bundle {
    let bundle = with_setting();
    false_proc(&bundle, "evil");
    std::fs::create_dir_all(bundle.root("proc")).unwrap();
    symlink("/evil", bundle.root("link")).unwrap();
    bundle
}

fn exchange_proc(bundle: &Bundle, runtime: Runtime) -> End {
    let attacker = Swapper::new(bundle.root("proc"), bundle.root("link"));
    let said = bundle.run_beside(runtime, attacker);
    match of_setting(bundle, "evil", &said) {
        // Another attack: procfs is not at `/proc`, but the setting is the kernel's.
        End::Fallen(_) if !is_hull() && bundle.read("evil/sys/net/ipv4/ip_forward") == "untouched" => {
            End::Withstood
        }
        end => end,
    }
}

#[test]
fn cve_2025_52881_settings_are_written_to_the_kernel_alone() {
    let bundle = changing();
    assert_withstands(|| exchange_proc(&bundle, Runtime::Tested));
}

#[test]
#[ignore = "an oracle"]
fn oracle_cve_2025_52881_on_runc() {
    if !Runtime::Runc.is_there() {
        return eprintln!("SKIP: no runc");
    }
    let bundle = changing();
    assert_falls(|| exchange_proc(&bundle, Runtime::Runc));
}

/// A volume at `/proc`, which an image can ask for (`VOLUME /proc`).
fn over_proc(kind: &str) -> Bundle {
    let mut bundle = with_setting();
    false_proc(&bundle, "../volume");
    let volume = bundle.dir.join("volume");
    bundle.mount(match kind {
        "bind" => {
            json!({"destination": "/proc", "type": "bind", "source": volume, "options": ["rbind", "rw"]})
        }
        _ => json!({"destination": "/proc", "type": "tmpfs", "source": "tmpfs", "options": ["rw"]}),
    });
    bundle
}

#[test]
fn cve_2019_16884_a_volume_over_proc_is_refused() {
    for kind in ["bind", "tmpfs"] {
        let bundle = over_proc(kind);
        let said = bundle.run(Runtime::Tested);
        let end = of_setting(&bundle, "../volume", &said);
        assert!(!end.is_fallen(), "FALLEN: {kind}: {end:?}");
        assert!(!said.has("RAN") && said.code != 0, "{kind}: {said:?}");
        let label = bundle.dir.join("volume/self/attr/exec");
        assert_eq!(std::fs::read_to_string(label).unwrap(), "untouched", "{kind}");
    }
}

#[test]
#[ignore = "an oracle"]
fn oracle_cve_2019_16884_on_crun() {
    if !Runtime::Crun.is_there() {
        return eprintln!("SKIP: no crun");
    }
    let bundle = over_proc("bind");
    assert_falls(|| of_setting(&bundle, "../volume", &bundle.run(Runtime::Crun)));
}

#[test]
fn cve_2019_16884_a_volume_within_proc_is_refused() {
    let mut bundle = with_setting();
    false_proc(&bundle, "../volume");
    let volume = bundle.dir.join("volume/self/attr");
    bundle.mount(
        json!({"destination": "/proc/self/attr", "type": "bind", "source": volume, "options": ["rbind"]}),
    );
    let said = bundle.run(Runtime::Tested);
    assert!(!said.has("RAN") && said.code != 0, "{said:?}");
}

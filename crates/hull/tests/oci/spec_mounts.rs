//! config.md, Root and Mounts; config-linux.md on propagation, masked and read-only paths.

use super::spec_bundle::{Bundle, is_oracle};
use serde_json::json;
use std::os::unix::fs::symlink;

/// The options of the mount on a path: of the mount, propagation, and of the file system.
fn options(bundle: &mut Bundle, target: &str) -> String {
    bundle.ok(&format!("awk '$5 == \"{target}\" {{print $6, $7, $NF}}' /proc/self/mountinfo"))
}

/// A directory of the host's in the bundle, with a tmpfs below that is gone with the test.
struct Below(std::path::PathBuf);

impl Below {
    fn new(bundle: &Bundle) -> Self {
        let dir = bundle.path().join("host");
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        rustix::mount::mount("tmpfs", dir.join("sub"), "tmpfs", rustix::mount::MountFlags::empty(), None)
            .unwrap();
        std::fs::write(dir.join("sub/file"), "below").unwrap();
        Self(dir)
    }

    fn source(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.join("sub"), rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn the_root_is_read_only_when_asked_for() {
    let mut bundle = Bundle::new();
    assert_eq!(bundle.ok("touch /new && echo written"), "written");
    bundle.config["root"]["readonly"] = json!(true);
    assert_eq!(
        bundle.ok("touch /other 2>/dev/null || echo kept; touch /dev/other && echo written"),
        "kept\nwritten"
    );
}

#[test]
fn a_root_without_pivot_is_a_root_too() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["args"] = json!(["sh", "-c", "ls /; ls /proc/self/root/.."]);
    let output = bundle.command_with(&["--no-pivot"], "without-pivot").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = super::support::text(&output.stdout);
    assert!(said.contains("home") && !said.contains("usr"), "{said}");
}

#[test]
fn mounts_are_made_in_the_listed_order() {
    let mut bundle = Bundle::new();
    bundle.mount("/a", "tmpfs", "tmpfs", &["size=16k"]);
    bundle.mount("/a/b", "tmpfs", "tmpfs", &["size=32k"]);
    bundle.mount("/a", "tmpfs", "tmpfs", &["size=64k"]);
    assert_eq!(bundle.ok("ls /a; df -k /a | awk 'END {print $2}'"), "64");
}

#[test]
fn every_attribute_of_a_mount_is_set_and_cleared() {
    for (option, expected) in [
        ("ro", "ro,"),
        ("nosuid", "nosuid"),
        ("nodev", "nodev"),
        ("noexec", "noexec"),
        ("noatime", "noatime"),
        ("nodiratime", "nodiratime"),
        ("nosymfollow", "nosymfollow"),
        ("relatime", "relatime"),
    ] {
        let mut bundle = Bundle::new();
        bundle.mount("/m", "tmpfs", "tmpfs", &[option]);
        let seen = options(&mut bundle, "/m");
        assert!(seen.contains(expected), "{option}: {seen}");
    }
    let mut bundle = Bundle::new();
    let back = [
        "ro",
        "nosuid",
        "nodev",
        "noexec",
        "nodiratime",
        "nosymfollow",
        "noatime",
        "rw",
        "suid",
        "dev",
        "exec",
        "diratime",
        "symfollow",
        "strictatime",
        "defaults",
        "silent",
        "loud",
        "iversion",
        "noiversion",
        "async",
    ];
    bundle.mount("/m", "tmpfs", "tmpfs", &back);
    assert!(options(&mut bundle, "/m").starts_with("rw "), "strictatime is shown by nothing");
    for back in ["nostrictatime", "norelatime", "atime"] {
        let mut bundle = Bundle::new();
        bundle.mount("/m", "tmpfs", "tmpfs", &["strictatime", back, "relatime"]);
        assert!(options(&mut bundle, "/m").starts_with("rw,relatime "), "{back}");
    }
}

#[test]
fn options_of_a_file_system_as_a_whole_are_passed_on() {
    for (option, expected) in
        [("sync", "sync"), ("dirsync", "dirsync"), ("lazytime", "lazytime"), ("mode=711", "mode=711")]
    {
        let mut bundle = Bundle::new();
        bundle.mount("/m", "tmpfs", "tmpfs", &[option]);
        let seen = options(&mut bundle, "/m");
        assert!(seen.contains(expected), "{option}: {seen}");
    }
    let mut bundle = Bundle::new();
    bundle.mount("/m", "tmpfs", "tmpfs", &["sync", "async", "lazytime", "nolazytime", "mand", "nomand"]);
    let seen = options(&mut bundle, "/m");
    assert!(!seen.contains("sync") && !seen.contains("lazytime"), "{seen}");
    bundle.mount("/n", "tmpfs", "tmpfs", &["colour=red"]);
    bundle.refuses(&["/n"]);
}

#[test]
fn recursive_attributes_reach_what_is_mounted_below() {
    for (options_, below) in [
        (vec!["rbind", "rro"], "ro,"),
        (vec!["rbind", "rnosuid"], "nosuid"),
        (vec!["rbind", "rnodev"], "nodev"),
        (vec!["rbind", "rnoexec"], "noexec"),
        (vec!["rbind", "rnoatime"], "noatime"),
        (vec!["rbind", "rnodiratime"], "nodiratime"),
        (vec!["rbind", "rnosymfollow"], "nosymfollow"),
        (vec!["rbind", "rro", "rrw"], "rw"),
        (vec!["rbind", "ro"], "rw"),
        (vec!["rbind", "rnoatime", "rrelatime"], "relatime"),
    ] {
        let mut bundle = Bundle::new();
        let host = Below::new(&bundle);
        bundle.mount("/m", "bind", &host.source(), &options_);
        let seen = options(&mut bundle, "/m/sub");
        assert!(
            seen.split([',', ' ']).any(|word| word == below.trim_end_matches(',')),
            "{options_:?}: {seen}"
        );
    }
}

#[test]
fn a_bind_takes_what_is_mounted_below_only_if_recursive() {
    let mut bundle = Bundle::new();
    let host = Below::new(&bundle);
    bundle.mount("/flat", "none", &host.source(), &["bind"]);
    bundle.mount("/deep", "none", &host.source(), &["rbind"]);
    assert_eq!(bundle.ok("ls /flat/sub; ls /deep/sub"), "file");
}

#[test]
fn propagation_is_as_asked_and_a_slave_of_the_hosts_otherwise() {
    for (option, expected) in [
        ("private", ""),
        ("shared", "shared"),
        ("slave", ""),
        ("unbindable", "unbindable"),
        ("rshared", "shared"),
    ] {
        let mut bundle = Bundle::new();
        let host = Below::new(&bundle);
        bundle.mount("/m", "bind", &host.source(), &["rbind", option]);
        let seen = bundle.ok("grep ' /m ' /proc/self/mountinfo");
        for told in ["shared", "unbindable"] {
            assert_eq!(seen.contains(told), told == expected, "{option}: {seen}");
        }
    }
    let mut bundle = Bundle::new();
    let host = Below::new(&bundle);
    bundle.mount("/m", "bind", &host.source(), &["rbind"]);
    bundle.ok("mount -t tmpfs tmpfs /m/sub && mount -t tmpfs tmpfs /m");
    let seen = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(seen.matches(&host.source()).count(), 1, "a mount of the container's is the host's, too");
}

#[test]
fn the_roots_propagation_is_as_asked() {
    for word in ["shared", "rprivate", "unbindable", "rslave"] {
        let mut bundle = Bundle::new();
        bundle.config["linux"]["rootfsPropagation"] = json!(word);
        let seen = bundle.ok("awk '$5 == \"/\"' /proc/self/mountinfo");
        for told in ["shared", "unbindable"] {
            assert_eq!(seen.contains(told), word == told, "{word}: {seen}");
        }
    }
    let mut bundle = Bundle::new();
    bundle.config["linux"]["rootfsPropagation"] = json!("sideways");
    bundle.refuses_strictly(&["sideways"]);
}

#[test]
fn a_file_is_bound_on_a_file_that_is_made() {
    let mut bundle = Bundle::new();
    std::fs::write(bundle.path().join("file"), "content\n").unwrap();
    bundle.mount("/new/deep/file", "bind", "file", &["bind", "ro"]);
    assert_eq!(bundle.ok("cat /new/deep/file; echo x > /new/deep/file || echo kept"), "content\nkept");
    bundle.mount("/bin", "bind", "file", &["bind"]);
    bundle.refuses(&["/bin"]);
}

#[test]
fn a_relative_destination_is_one_from_the_root_and_warned_of() {
    let mut bundle = Bundle::new();
    bundle.mount("rel/a/../tive", "tmpfs", "tmpfs", &[]);
    let output = bundle.run("grep -c ' /rel/tive ' /proc/self/mountinfo");
    assert_eq!(super::support::text(&output.stdout).trim(), "1");
    assert!(is_oracle() || super::support::text(&output.stderr).contains("rel/a/../tive"), "{output:?}");
}

#[test]
fn links_in_a_destination_are_followed_in_the_root_only() {
    let mut bundle = Bundle::new();
    symlink("/target", bundle.rootfs().join("link")).unwrap();
    symlink("../../../../../../escaped", bundle.rootfs().join("up")).unwrap();
    symlink("/proc/1/root", bundle.rootfs().join("magic")).unwrap();
    bundle.mount("/link/a", "tmpfs", "tmpfs", &[]);
    bundle.mount("/up/b", "tmpfs", "tmpfs", &[]);
    let seen = bundle.ok("awk '{print $5}' /proc/self/mountinfo");
    assert!(seen.contains("/target/a") && seen.contains("/escaped/b"), "{seen}");
    assert!(!std::path::Path::new("/escaped").exists(), "it was made on the host");
    bundle.mount("/magic/c", "tmpfs", "tmpfs", &[]);
    bundle.refuses(&["/magic/c"]);
}

#[test]
fn nothing_is_mounted_over_files_of_procfs_but_what_lxcfs_shows() {
    for target in ["/proc/sys", "/proc/self", "/proc/1", "/proc/kcore", "/proc/x/../sys"] {
        let mut bundle = Bundle::new();
        bundle.mount(target, "tmpfs", "tmpfs", &[]);
        bundle.refuses(&["inside `/proc`"]);
    }
    let mut bundle = Bundle::new();
    std::fs::write(bundle.path().join("uptime"), "42 42\n").unwrap();
    bundle.mount("/proc/uptime", "bind", "uptime", &["bind"]);
    assert_eq!(bundle.ok("cat /proc/uptime"), "42 42");
    let mut bundle = Bundle::new();
    symlink("proc/sys", bundle.rootfs().join("innocent")).unwrap();
    bundle.mount("/innocent/kernel", "tmpfs", "tmpfs", &[]);
    bundle.refuses(&["/innocent/kernel", "procfs"]);
    let mut bundle = Bundle::new();
    bundle.mount("/proc", "tmpfs", "tmpfs", &[]);
    bundle.refuses(&["not of type proc"]);
    let mut bundle = Bundle::new();
    bundle.mount("/proc", "bind", "/etc", &["rbind"]);
    bundle.refuses(&["not of type proc"]);
}

#[test]
fn proc_and_sys_are_not_mounted_through_a_link() {
    for name in ["proc", "sys"] {
        let mut bundle = Bundle::new();
        std::fs::create_dir(bundle.rootfs().join("elsewhere")).unwrap();
        symlink("elsewhere", bundle.rootfs().join(name)).unwrap();
        bundle.refuses(&[&format!("/{name}")]);
    }
}

#[test]
fn a_source_is_no_descriptor_of_the_runtimes() {
    for source in ["/proc/self/exe", "/proc/self/fd/0", "/proc/thread-self/fd/3"] {
        let mut bundle = Bundle::new();
        bundle.mount("/m", "bind", source, &["bind"]);
        bundle.refuses_strictly(&[source]);
    }
    let mut bundle = Bundle::new();
    symlink("/proc/self/exe", bundle.path().join("innocent")).unwrap();
    bundle.mount("/m", "bind", "innocent", &["bind"]);
    bundle.refuses_strictly(&["innocent"]);
}

#[test]
fn a_tmpfs_can_begin_with_what_it_covers() {
    let mut bundle = Bundle::new();
    bundle.mount("/etc", "tmpfs", "tmpfs", &["tmpcopyup", "ro", "size=1m"]);
    assert_eq!(bundle.ok("grep -c user /etc/passwd; touch /etc/x 2>/dev/null || echo kept"), "1\nkept");
    assert!(options(&mut bundle, "/etc").starts_with("ro"));
}

#[test]
fn a_read_only_tmpfs_has_room_for_mount_points() {
    let mut bundle = Bundle::new();
    bundle.mount("/run", "tmpfs", "tmpfs", &["ro"]);
    bundle.mount("/run/deep/inner", "tmpfs", "tmpfs", &[]);
    bundle.config["mounts"][1]["options"] = json!(["nosuid", "mode=755", "ro"]);
    assert_eq!(
        bundle.ok("touch /run/x 2>/dev/null || echo kept; touch /dev/x 2>/dev/null || echo kept; touch /run/deep/inner/x && echo written"),
        "kept\nkept\nwritten"
    );
}

#[test]
fn what_is_mounted_can_be_changed() {
    let mut bundle = Bundle::new();
    bundle.mount("/m", "tmpfs", "tmpfs", &["size=16k"]);
    bundle.mount("/m", "tmpfs", "tmpfs", &["remount", "size=64k", "noexec"]);
    let seen = options(&mut bundle, "/m");
    assert!(seen.contains("noexec") && seen.contains("size=64k"), "{seen}");
    bundle.mount("/m", "none", "rootfs", &["bind", "remount", "ro", "noexec"]);
    assert!(options(&mut bundle, "/m").starts_with("ro,noexec"));
    bundle.mount("/m", "none", "rootfs", &["bind", "remount", "nodev"]);
    // Others set anew all that can be set.
    assert!(is_oracle() || options(&mut bundle, "/m").starts_with("ro,nodev,noexec"));
}

#[test]
fn long_data_reaches_a_file_system() {
    let mut bundle = Bundle::new();
    let dir = |name: &str| {
        let dir = bundle.path().join(name.repeat(40));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    };
    let (low, lower, upper, work) = (dir("one"), dir("two"), dir("three"), dir("four"));
    std::fs::write(low.join("a"), "from below").unwrap();
    let lower = format!("lowerdir={}:{}", lower.display(), low.display());
    let (upper, work) = (format!("upperdir={}", upper.display()), format!("workdir={}", work.display()));
    bundle.mount("/m", "overlay", "overlay", &[&lower, &upper, &work]);
    assert_eq!(bundle.ok("cat /m/a; echo b > /m/b"), "from below");
    assert!(std::path::Path::new(upper.trim_start_matches("upperdir=")).join("b").exists());
}

#[test]
fn ids_of_a_bind_are_mapped_as_asked() {
    let mut bundle = Bundle::new();
    let dir = bundle.path().join("owned");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("file"), "").unwrap();
    std::os::unix::fs::chown(dir.join("file"), Some(7), Some(8)).unwrap();
    let owned = dir.display().to_string();
    let mapping = |inside| json!([{"containerID": 0, "hostID": inside, "size": 1000}]);
    for option in ["idmap", "ridmap"] {
        let mount = bundle.mount(&format!("/{option}"), "bind", &owned, &["rbind", option]);
        mount["uidMappings"] = mapping(5000);
        mount["gidMappings"] = mapping(6000);
        assert_eq!(bundle.ok(&format!("stat -c %u:%g /{option}/file")), "5007:6008");
    }
    bundle.mount("/m", "bind", &owned, &["rbind", "idmap"]);
    bundle.refuses(&["idmap", "/m"]);
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    bundle.mount("/m", "bind", &owned, &["rbind"])["uidMappings"] = mapping(1);
    bundle.refuses(&["uidMappings", "gidMappings"]);
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    bundle.mount("/m", "tmpfs", "tmpfs", &["idmap"]);
    bundle.refuses_strictly(&["idmap", "/m"]);
}

#[test]
fn ids_of_a_bind_are_the_containers_in_a_user_namespace() {
    let mut bundle = Bundle::with_user_namespace();
    let dir = bundle.path().join("owned");
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::chown(&dir, Some(7), Some(8)).unwrap();
    let owned = dir.display().to_string();
    bundle.mount("/plain", "bind", &owned, &["rbind"]);
    bundle.mount("/mapped", "bind", &owned, &["rbind", "ridmap"]);
    assert_eq!(bundle.ok("stat -c %u:%g /plain /mapped"), "65534:65534\n7:8");
}

#[test]
fn options_that_no_bind_has_are_refused() {
    let mut bundle = Bundle::new();
    bundle.mount("/m", "bind", "/etc", &["rbind", "colour=red"]);
    bundle.refuses_strictly(&["/m", "colour"]);
    let mut bundle = Bundle::new();
    bundle.mount("/m", "bind", "/there/is/no/such", &["rbind"]);
    bundle.refuses(&["/there/is/no/such"]);
}

#[test]
fn masked_files_are_empty_and_protected_ones_read_only() {
    let mut bundle = Bundle::new();
    std::fs::create_dir(bundle.rootfs().join("secrets")).unwrap();
    std::fs::write(bundle.rootfs().join("secrets/key"), "secret").unwrap();
    bundle.config["linux"]["maskedPaths"] =
        json!(["/proc/interrupts", "/secrets", "/sys/firmware", "/etc/passwd", "/nothing/there"]);
    bundle.config["linux"]["readonlyPaths"] = json!(["/proc/sys", "/etc", "/nothing/there"]);
    let script = "wc -c < /proc/interrupts; ls /secrets /sys/firmware | grep -v :; cat /etc/passwd; touch /secrets/x || echo kept
        touch /etc/x || echo kept; echo 1 > /proc/sys/kernel/shm_rmid_forced || echo kept";
    assert_eq!(
        bundle.ok(&format!("({script}) 2>/dev/null")).split_whitespace().collect::<Vec<_>>(),
        ["0", "kept", "kept", "kept"]
    );
}

/// CVE-2025-31133 and its like: what is called `/dev/null` in the image covers nothing.
#[test]
fn a_false_null_device_masks_nothing() {
    let mut bundle = Bundle::new();
    std::fs::create_dir(bundle.rootfs().join("dev")).unwrap();
    symlink("/proc/sys/kernel/core_pattern", bundle.rootfs().join("dev/null")).unwrap();
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    bundle.mount("/dev", "bind", "rootfs/dev", &["rbind"]);
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/interrupts"]);
    if is_oracle() {
        return; // it may refuse such an image; that masks are not false is tested with the attacks
    }
    assert_eq!(bundle.ok("stat -c '%t,%T' /proc/interrupts; wc -c < /proc/interrupts"), "1,3\n0");
}

#[test]
fn the_containers_groups_are_mounted_where_asked() {
    for namespace in [false, true] {
        let mut bundle = Bundle::new();
        if namespace {
            bundle.add_namespace("cgroup");
        }
        bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]);
        bundle.config["linux"]["resources"] = json!({"pids": {"limit": 77}});
        // Of v2's one hierarchy a container without a cgroup namespace sees all.
        let own = "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/pids.max";
        assert_eq!(bundle.ok(&format!("cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat {own}")), "77");
        assert_eq!(
            bundle.ok("mkdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x 2>/dev/null || echo kept"),
            "kept"
        );
    }
}

//! What images cost, share and differ in.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::Value;
use support::{Sandbox, busybox, docker_archive, tar_of, text};

/// Two images on one base: one overwrites and deletes of it.
fn furnished() -> Sandbox {
    let sandbox = Sandbox::empty();
    let big = vec![7; 1 << 20];
    let base = tar_of(&[("big", &big), ("dir/kept", b"1"), ("dir/gone", &[1; 8192])]);
    let status = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\nPackage: b\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n";
    let one = tar_of(&[("own", b"x"), ("var/lib/dpkg/status", status.as_bytes())]);
    let two = tar_of(&[
        ("big", &[8; 100]),
        ("dir/.wh.gone", b""),
        ("var/lib/dpkg/status", status.replacen("Version: 1", "Version: 2", 1).as_bytes()),
    ]);
    for (name, top) in [("one:1", &one), ("two:1", &two)] {
        let loaded = sandbox.hull_with_input(&["load"], &docker_archive(name, &[base.clone(), top.clone()]));
        assert!(loaded.status.success(), "{}", text(&loaded.stderr));
    }
    sandbox
}

#[test]
fn a_tree_has_each_layer_once_and_its_sums_are_dfs() {
    let sandbox = furnished();
    let costs: Vec<Value> = sandbox
        .ok(&["image", "tree", "--format", "json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| costs.iter().find(|cost| cost["Names"][0] == name).unwrap();
    let (one, two) = (of("one:1"), of("two:1"));
    assert_eq!(one["Layers"][0]["Id"], two["Layers"][0]["Id"]);
    assert_eq!((&one["Layers"][0]["Images"], &one["Layers"][1]["Images"]), (&2.into(), &1.into()));
    assert_eq!(one["Wasted"], 0);
    let wasted = two["Wasted"].as_u64().unwrap();
    assert!((1_048_576 + 8192..1_048_576 + 16384).contains(&wasted), "{wasted}");
    for image in [one, two] {
        let sum: u64 =
            image["Layers"].as_array().unwrap().iter().map(|layer| layer["Size"].as_u64().unwrap()).sum();
        assert_eq!(image["Size"], sum);
        assert_eq!(image["Unique"].as_u64().unwrap() + image["Shared"].as_u64().unwrap(), sum);
    }
    let drawn = sandbox.ok(&["image", "tree"]);
    assert!(drawn.contains("├─ ") && drawn.contains("one:1") && drawn.contains(" ×2"), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 110), "{drawn}");
    let page = sandbox.ok(&["image", "tree", "--html", "-"]);
    assert!(
        page.starts_with("<!DOCTYPE html>")
            && page.ends_with("</html>\n")
            && page.contains("two:1")
            && !page.contains("<script")
    );
    sandbox.assert_clean();
}

#[test]
fn a_diff_tells_files_configuration_and_packages() {
    let sandbox = furnished();
    let told = sandbox.ok(&["image", "diff", "one:1", "two:1"]);
    for line in [
        "  C /big  (size)",
        "  D /dir/gone",
        "  D /own",
        "  C /var/lib/dpkg/status  (content)",
        "  ~ deb a:amd64 1 → 2",
    ] {
        assert!(told.lines().any(|own| own == line), "`{line}` is missing: {told}");
    }
    assert!(!told.contains("/dir/kept") && !told.contains("deb b"), "{told}");
    assert_eq!(sandbox.ok(&["image", "diff", "--files", "one:1", "one:1"]), "");
    sandbox.hull_with_input(&["import", "-c", "ENV A=1", "-c", "USER 7", "-", "c1"], &busybox());
    sandbox.hull_with_input(&["import", "-c", "ENV A=2", "-c", "CMD [\"sh\"]", "-", "c2"], &busybox());
    let told = sandbox.ok(&["image", "diff", "--config", "c1", "c2"]);
    assert!(
        told.contains("~ Env.A 1 → 2\n") && told.contains("- User 7\n") && told.contains("+ Cmd [\"sh\"]\n"),
        "{told}"
    );
    let json: Value =
        serde_json::from_str(&sandbox.ok(&["image", "diff", "--format", "json", "one:1", "two:1"])).unwrap();
    assert_eq!(json["Packages"][0]["To"], "2");
    sandbox.assert_clean();
}

#[test]
fn a_mounted_image_is_seen_read_only_and_kept_until_it_is_unmounted() {
    let sandbox = furnished();
    let path = sandbox.ok(&["image", "mount", "two:1"]).trim_end().to_owned();
    let root = std::path::Path::new(&path);
    assert_eq!(std::fs::read(root.join("big")).unwrap(), [8; 100]);
    assert!(root.join("dir/kept").exists() && !root.join("dir/gone").exists());
    let refused = std::fs::write(root.join("new"), "x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(sandbox.ok(&["image", "mount", "two:1"]).trim_end(), path);
    assert!(sandbox.ok(&["image", "mount"]).contains(&path));
    let (code, told) = sandbox.fails(&["rmi", "two:1"]);
    assert!(code == 1 && told.contains("is mounted") && told.contains("hint: `hull image unmount"), "{told}");
    sandbox.ok(&["image", "unmount", "two:1"]);
    assert!(!root.exists());
    assert_eq!(sandbox.fails(&["image", "unmount", "two:1"]).0, 1);
    sandbox.ok(&["image", "mount", "-a"]);
    assert_eq!(sandbox.ok(&["image", "unmount", "-a"]).lines().count(), 2);
    sandbox.ok(&["rmi", "two:1", "one:1"]);
    sandbox.assert_clean();
}

//! Archives by GNU tar and by Python, in every format, come out as GNU tar itself would unpack them.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// A tree with a bit of everything.
const TREE: &str = r#"
mkdir -p usr/bin var/mail 'sp ace' deep
printf hello > usr/bin/tool; chmod 4755 usr/bin/tool
printf x > usr/bin/owned; chown 33:44 usr/bin/owned; chmod 6711 usr/bin/owned
ln usr/bin/tool usr/bin/alias; ln -s ../bin/tool usr/bin/link; ln -s /etc/passwd abs
ln usr/bin/link usr/bin/hardlink-of-symlink
chown 0:8 var/mail; chmod 2775 var/mail; printf m > var/mail/box; chown 8:0 var/mail/box
mkdir tmp; chmod 1777 tmp; : > 'sp ace/empty'; head -c 700000 /dev/urandom > big
mkfifo pipe; mknod null c 1 3; mknod disk b 7 200; chown -h 5:6 abs
touch -h -d '2001-02-03 04:05:06' abs pipe; touch -d '1999-01-01 00:00:00' usr var/mail usr/bin/tool
n=$(printf 'n%.0s' $(seq 200)); mkdir -p deep/$n; printf l > deep/$n/$n; ln deep/$n/$n deep/far; ln -s $n/$n/$n$n deep/longlink
touch -d '2020-01-01 00:00:00' .
"#;

fn compare(format: &str, options: &str) {
    let scratch = Scratch::new();
    let (tree, ours, theirs) = (scratch.dir("tree"), scratch.dir("ours"), scratch.dir("theirs"));
    shell(&tree, TREE);
    if format == "pax" || format == "gnu" {
        shell(&tree, "printf f > \"$(printf 'caf\\351 \\377')\"");
    }
    if format == "v7" || format == "ustar" {
        // Neither can name so long a path or link.
        shell(&tree, "rm -r deep");
    }
    if format == "v7" {
        shell(&tree, "rm -f null disk pipe");
    }
    let tar = shell(&tree, &format!("tar c --format={format} {options} ."));
    apply(&tar, &ours).unwrap();
    fs::write(scratch.0.join("t"), &tar).unwrap();
    shell(&theirs, "tar xpf ../t --xattrs --xattrs-include='*' --same-owner");
    let (ours, theirs) = (picture(&ours), picture(&theirs));
    for (path, node) in &theirs {
        assert_eq!(ours.get(path), Some(node), "{}", path.display());
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn gnu_tar_in_every_format() {
    for format in ["v7", "ustar", "gnu", "pax", "oldgnu"] {
        compare(format, "");
    }
}

#[test]
fn nanoseconds_and_extended_attributes_come_with_pax() {
    let scratch = Scratch::new();
    let (tree, ours) = (scratch.dir("tree"), scratch.dir("ours"));
    shell(&tree, "printf a > a; mkdir d; touch -d '2001-02-03 04:05:06.123456789' a");
    let caps = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(tree.join(path), name, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("a", "user.bin", b"x\0\n=y");
    set("a", "security.capability", &caps);
    set("d", "user.dir", b"");
    set("d", "trusted.mine", b"1");
    let tar = shell(&tree, "tar c --format=pax --xattrs --xattrs-include='*' .");
    apply(&tar, &ours).unwrap();
    assert_eq!(picture(&ours), picture(&tree));
}

#[test]
fn sparse_files_stay_sparse_in_every_format() {
    for options in [
        "--format=gnu",
        "--format=oldgnu",
        "--format=pax --sparse-version=0.0",
        "--format=pax --sparse-version=0.1",
        "--format=pax --sparse-version=1.0",
    ] {
        let scratch = Scratch::new();
        let (tree, ours) = (scratch.dir("tree"), scratch.dir("ours"));
        // 60 segments: more than a header, and more than one extension block, holds.
        shell(
            &tree,
            "for i in $(seq 60); do printf data$i | dd of=s bs=1 seek=$((i*100000)) conv=notrunc status=none; done; truncate -s 16M s; truncate -s 8M hole; printf after > z; touch -d @1000 s hole z .",
        );
        let tar = shell(&tree, &format!("tar c {options} --sparse ."));
        assert!(tar.len() < 4 << 20, "GNU tar wrote it sparse");
        apply(&tar, &ours).unwrap_or_else(|e| panic!("{options}: {e:?}"));
        assert_eq!(picture(&ours), picture(&tree), "{options}");
        for name in ["s", "hole"] {
            assert!(fs::metadata(ours.join(name)).unwrap().blocks() * 512 < 2 << 20, "{options} {name}");
        }
    }
}

#[test]
fn python_in_every_format() {
    for format in ["USTAR", "GNU", "PAX"] {
        let tar = python(
            format,
            "add('d', type=DIR, mode=0o750, uid=7, gid=8, mtime=1000)\n\
             add('d/f', data=b'x'*1000, mode=0o640, uid=9, gid=10, mtime=2000)\n\
             add('d/l', type=LNK, linkname='d/f')\n\
             add('d/s', type=SYM, linkname='f', mtime=3000)\n\
             add('d/c', type=CHR, devmajor=5, devminor=1, mode=0o600)\n\
             add('d/p', type=FIFO, mode=0o622)",
        );
        applied(&tar, |root, applied| {
            let nodes = picture(root);
            let of = |path: &str| nodes[Path::new(path)].clone();
            assert_eq!(
                (of("d").mode, of("d").owner, of("d").mtime),
                (0o40750, (7, 8), (1000, 0)),
                "{format}"
            );
            assert_eq!((of("d/f").mode, of("d/f").owner, of("d/f").mtime), (0o100640, (9, 10), (2000, 0)));
            assert_eq!((of("d/f").content.len(), of("d/l").links), (1000, 2));
            assert_eq!((of("d/s").content, of("d/s").mtime), (b"f".to_vec(), (3000, 0)));
            assert_eq!((of("d/c").mode, of("d/c").device), (0o20600, rustix::fs::makedev(5, 1)));
            assert_eq!(of("d/p").mode, 0o10622, "the umask does not count");
            assert_eq!((applied.entries, applied.file_bytes), (6, 1000));
        });
    }
}

#[test]
fn large_numbers_and_old_times() {
    for format in ["GNU", "PAX"] {
        let tar = python(format, "add('f', uid=3000000, gid=4000000000, mtime=-5)");
        applied(&tar, |root, _| {
            let node = node(&root.join("f"));
            assert_eq!((node.owner, node.mtime), ((3_000_000, 4_000_000_000), (-5, 0)), "{format}");
        });
    }
}

#[test]
fn global_headers_hold_for_all_that_follow_and_are_overridden() {
    let tar = python("PAX", "t.pax_headers = {}\nadd('a')\nadd('b', pax_headers={'mtime': '7.5'})");
    let global = run(Command::new("python3").args(["-c", "import tarfile,sys; sys.stdout.buffer.write(tarfile.TarInfo.create_pax_global_header({'mtime': '5.25', 'uid': '12'}))"]));
    applied(&[global, tar].concat(), |root, _| {
        assert_eq!(node(&root.join("a")).mtime, (5, 250_000_000));
        assert_eq!(node(&root.join("b")).mtime, (7, 500_000_000));
        assert_eq!(node(&root.join("b")).owner.0, 12);
    });
}

#[test]
fn every_compression_gives_the_same_layer_and_true_digests() {
    let scratch = Scratch::new();
    let tree = scratch.dir("tree");
    shell(&tree, TREE);
    let tar = shell(&tree, "tar c .");
    fs::write(scratch.0.join("t"), &tar).unwrap();
    let sum = |file: &str| {
        String::from_utf8(shell(&scratch.0, &format!("sha256sum < {file}"))).unwrap()[..64].to_owned()
    };
    let diff_id = sum("t");
    let pack = [
        ("none", "cat t"),
        ("gzip", "gzip -1c t"),
        // Several members, and data that a decoder stops before.
        ("gzip", "head -c 100000 t | gzip -c; tail -c +100001 t | gzip -c"),
        ("zstd", "zstd -qc t"),
        ("zstd", "head -c 100000 t | zstd -qc; tail -c +100001 t | zstd -qc"),
        ("bzip2", "bzip2 -c t"),
        ("bzip2", "head -c 100000 t | bzip2 -c; tail -c +100001 t | bzip2 -c"),
        ("xz", "xz -1c t"),
        ("xz", "head -c 100000 t | xz -1c; tail -c +100001 t | xz -1c; head -c 8 /dev/zero"),
    ];
    for (n, (name, command)) in pack.iter().enumerate() {
        shell(&scratch.0, &format!("({command}) > p"));
        let root = scratch.dir(&format!("root{n}"));
        let applied = apply(&fs::read(scratch.0.join("p")).unwrap(), &root)
            .unwrap_or_else(|e| panic!("{command}: {e:?}"));
        assert_eq!(applied.compression.name(), *name);
        assert_eq!(
            (applied.digest.hex(), applied.diff_id.hex()),
            (sum("p").as_str(), diff_id.as_str()),
            "{command}"
        );
        assert_eq!(applied.tar_size, tar.len() as u64);
        assert_eq!(applied.compressed_size, fs::metadata(scratch.0.join("p")).unwrap().len());
        assert_eq!(picture(&root), picture(&scratch.0.join("root0")), "{command}");
    }
    assert!(picture(&scratch.0.join("root0")).keys().eq(picture(&tree).keys()));
}

#[test]
fn what_trails_the_archive_is_part_of_the_digest() {
    let tar = [python("USTAR", "add('f', data=b'1')"), vec![7; 300_000]].concat();
    applied(&tar, |root, applied| {
        fs::write(root.join("whole"), &tar).unwrap();
        let sum = shell(root, "sha256sum < whole");
        assert_eq!(applied.diff_id.hex().as_bytes(), &sum[..64]);
        assert_eq!(applied.tar_size, tar.len() as u64);
    });
}

//! Archives made to harm: nothing outside the root is touched, nothing grows without bound, nothing is
//! taken for whole that is not.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use layer::{Kind, Limits, Memory};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

#[test]
fn no_path_leads_out_of_the_root() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("victim"), "safe").unwrap();
    let root = scratch.dir("root");
    let tar = python(
        "PAX",
        "add('../victim', data=b'bad')\nadd('a/../../../victim2', data=b'bad')\nadd('/abs', data=b'in')\nadd('..', type=DIR, mode=0o711)",
    );
    apply(&tar, &root).unwrap();
    assert_eq!(fs::read_to_string(scratch.0.join("victim")).unwrap(), "safe");
    assert!(!scratch.0.join("victim2").exists());
    assert_eq!(fs::read_to_string(root.join("abs")).unwrap(), "in");
    assert_eq!(fs::read_to_string(root.join("victim2")).unwrap(), "bad");
    assert_eq!(node(&root).mode, 0o40711, "`..` of the root is the root");
    assert_ne!(node(&scratch.0).mode & 0o777, 0o711);
}

#[test]
fn links_of_the_archive_are_followed_below_the_root_only() {
    let scratch = Scratch::new();
    let outside = scratch.dir("outside");
    let root = scratch.dir("root");
    let tar = python(
        "PAX",
        &format!(
            "add('abs', type=SYM, linkname='{0}')\nadd('abs/f1', data=b'1')\n\
             add('up', type=SYM, linkname='../outside')\nadd('up/f2', data=b'2')\n\
             add('x/y/deep', type=SYM, linkname='../../../../../..{0}')\nadd('x/y/deep/f3', data=b'3')\n\
             add('magic', type=SYM, linkname='/proc/self/root{0}')\nadd('magic/f4', data=b'4')",
            outside.display()
        ),
    );
    apply(&tar, &root).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let inside = root.join(outside.strip_prefix("/").unwrap());
    assert_eq!(fs::read(inside.join("f1")).unwrap(), b"1");
    assert_eq!(fs::read(root.join("outside/f2")).unwrap(), b"2");
    assert_eq!(fs::read(inside.join("f3")).unwrap(), b"3");
}

#[test]
fn a_file_over_a_link_replaces_the_link() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("victim"), "safe").unwrap();
    let root = scratch.dir("root");
    let victim = scratch.0.join("victim");
    let tar =
        python("PAX", &format!("add('f', type=SYM, linkname='{}')\nadd('f', data=b'bad')", victim.display()));
    apply(&tar, &root).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
    assert_eq!(fs::read_to_string(root.join("f")).unwrap(), "bad");
}

#[test]
fn a_hard_link_reaches_nothing_of_the_host() {
    for target in ["/etc/shadow", "../../../../etc/shadow", "missing"] {
        let tar = python("PAX", &format!("add('f', type=LNK, linkname='{target}')"));
        assert_only_noted(&tar, target.trim_start_matches(['.', '/']));
    }
    // Through a link: the link itself is linked, never its target.
    let tar = python("PAX", "add('s', type=SYM, linkname='/etc/shadow')\nadd('f', type=LNK, linkname='s')");
    applied(&tar, |root, _| assert!(fs::symlink_metadata(root.join("f")).unwrap().is_symlink()));
    let tar = python("PAX", "add('e', type=SYM, linkname='/etc')\nadd('f', type=LNK, linkname='e/shadow')");
    assert_only_noted(&tar, "e/shadow");
    // What takes the name later is what is there.
    let tar = python("PAX", "add('f', type=LNK, linkname='missing')\nadd('f', data=b'1')");
    applied(&tar, |root, applied| {
        assert_eq!((fs::read(root.join("f")).unwrap(), applied.links), (b"1".to_vec(), vec![]));
    });
    assert_refused(
        &python("PAX", "add('d', type=DIR)\nadd('f', type=LNK, linkname='d')"),
        Kind::Corrupt,
        "directory",
    );
    assert_refused(
        &python("PAX", "add('f', data=b'1')\nadd('f', type=LNK, linkname='f')"),
        Kind::Corrupt,
        "itself",
    );
}

/// Nothing is made of a link whose target only a lower layer can have.
fn assert_only_noted(tar: &[u8], target: &str) {
    applied(tar, |root, applied| {
        assert_eq!(applied.links, [(b"f".to_vec(), target.as_bytes().to_vec())]);
        assert!(fs::symlink_metadata(root.join("f")).is_err());
    });
}

#[test]
fn loops_of_links_and_files_as_directories_are_errors() {
    let tar = python("PAX", "add('a', type=SYM, linkname='b')\nadd('b', type=SYM, linkname='a')\nadd('a/f')");
    assert_refused(&tar, Kind::Io, "follow links");
    assert_refused(&python("PAX", "add('a', data=b'1')\nadd('a/f')"), Kind::Corrupt, "not a directory");
}

#[test]
fn a_path_is_as_deep_as_it_can_be_named() {
    // Whiteouts and links lead up and down again, past the descriptors that are held.
    let body = "p = 'a/'*2000\nadd(p + 'f', data=b'1')\nadd('a/'*3 + 'g', data=b'2')\nadd('a/'*1000 + 'up', type=SYM, linkname='../'*900)\n\
        add('a/'*1000 + 'up/h', data=b'3')\nadd(p + '.wh.f')\nadd(p + 'k', data=b'4')";
    let scratch = Scratch::new();
    apply(&python("GNU", body), &scratch.0).unwrap();
    let find =
        std::process::Command::new("find").arg(&scratch.0).args(["-type", "f", "-printf", "%d "]).output();
    let mut depths: Vec<_> =
        String::from_utf8(find.unwrap().stdout).unwrap().split_whitespace().map(str::to_owned).collect();
    depths.sort();
    assert_eq!(depths, ["101", "2001", "2001", "4"]);
}

#[test]
fn paths_have_bounds() {
    assert_refused(&python("PAX", "add('a/'*100000 + 'f')"), Kind::Limit, "name_len");
    assert_refused(&python("PAX", "add('n'*300)"), Kind::Limit, "");
    // Deep by way of links.
    let tar =
        python("PAX", "p = 'a/'*1200\nadd(p + 'f')\nadd('l', type=SYM, linkname=p)\nadd('l/' + p + 'f')");
    assert_refused(&tar, Kind::Limit, "depth");
}

#[test]
fn each_limit_is_named() {
    let limits = Limits { entries: 3, ..Limits::default() };
    let many = python("USTAR", "for i in range(4): add(str(i))");
    assert!(refused(&many, &limits).to_string().contains("3 entries"));
    let limits = Limits { directories: 3, ..Limits::default() };
    assert!(refused(&python("USTAR", "add('a/b/c/d/f')"), &limits).to_string().contains("3 directories"));
    let limits = Limits { total_bytes: 4096, ..Limits::default() };
    assert!(
        refused(&python("USTAR", "add('f', data=b'x'*9000)"), &limits).to_string().contains("bytes in total")
    );
    let long = python("PAX", "add('f', pax_headers={'comment': 'x'*2000000})");
    assert!(refused(&long, &Limits::default()).to_string().contains("extensions"));
}

#[test]
fn a_bomb_of_any_compression_is_stopped_by_its_ratio() {
    let scratch = Scratch::new();
    let limits = Limits { ratio: 20, ratio_from: 1 << 20, ..Limits::default() };
    shell(&scratch.0, "truncate -s 20M zeros; tar cf t zeros");
    for command in ["gzip -9c", "zstd -qc", "bzip2 -c", "xz -c"] {
        let tar = shell(&scratch.0, &format!("{command} t"));
        let error = refused(&tar, &limits);
        assert_eq!(
            (*error.kind(), error.to_string().contains("ratio")),
            (Kind::Limit, true),
            "{command} {error:?}"
        );
    }
}

#[test]
fn a_sparse_file_cannot_claim_more_than_the_limit() {
    let scratch = Scratch::new();
    shell(&scratch.0, "truncate -s 2T huge; tar cSf t huge");
    let tar = fs::read(scratch.0.join("t")).unwrap();
    assert_refused(&tar, Kind::Limit, "bytes in total");
}

#[test]
fn a_cut_archive_is_truncated_wherever_it_is_cut() {
    let tar = python("PAX", "add('f', data=b'x'*3000, pax_headers={'mtime': '1.5'})");
    let end = tar.iter().rposition(|&b| b != 0).unwrap();
    for at in [1, 100, 511, 513, 1024, 1100, 1537, 2048, 3000, end - 10] {
        let error = refused(&tar[..at], &Limits::default());
        assert_eq!(*error.kind(), Kind::Truncated, "{at}: {error:?}");
    }
}

#[test]
fn nothing_at_all_is_an_empty_archive() {
    let scratch = Scratch::new();
    let nothing = fs::File::create(scratch.0.join("nothing"));
    drop(nothing.unwrap());
    for command in ["cat", "gzip -c", "zstd -qc", "bzip2 -c", "xz -c"] {
        let bytes = shell(&scratch.0, &format!("{command} < nothing"));
        applied(&bytes, |root, applied| {
            assert_eq!((applied.entries, applied.tar_size), (0, 0), "{command}");
            assert_eq!(
                applied.diff_id.hex(),
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            );
            assert_eq!(fs::read_dir(root).unwrap().count(), 0);
        });
    }
}

#[test]
fn a_window_larger_than_the_memory_is_refused_and_one_that_fits_is_not() {
    let scratch = Scratch::new();
    shell(&scratch.0, "seq 200000 > f; tar cf t f");
    let with = |megabytes: u64| Limits { memory: Memory::of(megabytes << 20), ..Limits::default() };
    for (command, fits, does_not) in [
        ("xz -T1 --lzma2=preset=0,dict=64MiB -c t", 66, 64),
        ("xz -1 -T1 -c t", 3, 1),
        ("zstd -q --fast --long=27 < t", 130, 128),
        ("bzip2 -c t", 4, 3),
        // A small frame first, or one to be skipped: the large one finds out later.
        ("(head -c 100 t | zstd -q; tail -c +101 t | zstd -q --fast --long=27)", 1100, 300),
        ("(printf 'P*M\\030\\001\\000\\000\\000x'; zstd -q --fast --long=27 < t)", 260, 128),
        ("(head -c 100 t | xz -0 -T1; tail -c +101 t | xz -T1 --lzma2=preset=0,dict=64MiB)", 530, 300),
    ] {
        let bytes = shell(&scratch.0, command);
        let error = refused(&bytes, &with(does_not));
        assert_eq!(*error.kind(), Kind::Memory, "{command}: {error:?}");
        match apply_with(&bytes, &Scratch::new().0, &with(fits)) {
            Ok(applied) => assert_eq!(applied.entries, 1, "{command}"),
            Err(error) => panic!("{command}: {error:?}"),
        }
    }
}

#[test]
fn directories_without_number_are_refused_before_they_fill_the_memory() {
    let body = "for i in range(100): add('%d' % i + '/d' * 100, type=DIR)";
    let limits = Limits { memory: Memory::of(1 << 20), ..Limits::default() };
    let error = refused(&python("USTAR", body), &limits);
    assert_eq!(*error.kind(), Kind::Memory, "{error:?}");
}

#[test]
fn a_cut_or_flipped_compressed_stream_is_an_error() {
    let scratch = Scratch::new();
    shell(&scratch.0, "head -c 500000 /dev/urandom > f; tar cf t f");
    for command in ["gzip -1c", "zstd -qc", "bzip2 -c", "xz -1c"] {
        let whole = shell(&scratch.0, &format!("{command} t"));
        let error = refused(&whole[..whole.len() - 5], &Limits::default());
        assert!(matches!(error.kind(), Kind::Truncated | Kind::Corrupt), "{command} {error:?}");
        let mut flipped = whole.clone();
        let middle = whole.len() / 2;
        flipped[middle..middle + 64].iter_mut().for_each(|b| *b ^= 0x55);
        let error = refused(&flipped, &Limits::default());
        assert_eq!(*error.kind(), Kind::Corrupt, "{command} {error:?}");
        let error = refused(&[whole, b"garbage after the end".to_vec()].concat(), &Limits::default());
        assert_eq!(*error.kind(), Kind::Corrupt, "{command} {error:?}");
    }
}

#[test]
fn nonsense_in_headers_is_corrupt() {
    let tar = python("USTAR", "add('f', data=b'1')");
    let mut bad = tar.clone();
    bad[0] = b'g';
    assert_refused(&bad, Kind::Corrupt, "checksum");
    assert_refused(&[b"this is no archive at all".repeat(100)].concat(), Kind::Corrupt, "checksum");
    assert_refused(&[vec![0; 512], tar.clone()].concat(), Kind::Corrupt, "zero block");
    assert_refused(&python("USTAR", "add('f', type=b'M')"), Kind::Unsupported, "type `M`");
    assert_refused(&python("PAX", "add('f', pax_headers={'size': '-1'})"), Kind::Corrupt, "size");
    assert_refused(&python("PAX", "add('f', pax_headers={'path': 'a\\0b'})"), Kind::Corrupt, "NUL");
    assert_refused(&python("PAX", "add('f', pax_headers={'uid': '4294967295'})"), Kind::Corrupt, "owner");
    assert_refused(
        &python(
            "PAX",
            "add('f', pax_headers={'GNU.sparse.size': '10', 'GNU.sparse.map': '0,5,3,5'}, data=b'x'*10)",
        ),
        Kind::Corrupt,
        "sparse",
    );
}

#[test]
fn an_archive_cannot_bring_overlay_attributes() {
    for name in ["trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy"] {
        let headers = format!("pax_headers={{'SCHILY.xattr.{name}': 'y', 'SCHILY.xattr.user.kept': '1'}}");
        let tar = python("PAX", &format!("add('d', type=DIR, {headers}); add('d/f', data=b'x', {headers})"));
        let scratch = Scratch::new();
        assert_eq!(apply(&tar, &scratch.0).unwrap().left_out, 2);
        for path in ["d", "d/f"].map(|path| scratch.0.join(path)) {
            assert_eq!(xattr(&path, name.as_ref()), None, "{name}");
            assert_eq!(xattr(&path, "user.kept".as_ref()).as_deref(), Some(&b"1"[..]));
        }
    }
}

#[test]
fn a_full_disk_is_no_space() {
    let scratch = Scratch::new();
    let test = std::env::current_exe().unwrap();
    // A mount namespace of its own: the small disk goes with it.
    let script = format!(
        "mount -t tmpfs -o size=1m none {0} && HULL_TEST_SMALL_DISK={0} {1} --exact --ignored full_disk_inner --nocapture",
        scratch.0.display(),
        test.display()
    );
    let out = std::process::Command::new("unshare").args(["-m", "sh", "-ec", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
#[ignore = "run by a_full_disk_is_no_space, on a small disk"]
fn full_disk_inner() {
    let Some(dir) = std::env::var_os("HULL_TEST_SMALL_DISK") else { return };
    let tar = python("USTAR", "add('f', data=b'x'*3000000)");
    let error = apply(&tar, Path::new(&dir)).unwrap_err();
    assert_eq!(*error.kind(), Kind::NoSpace);
    assert_eq!(error.to_string(), "write `f`");
}

/// Makes the checksum of every block that looks like a header true again.
fn repair(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

#[test]
fn damage_anywhere_is_an_error_or_another_archive_but_never_a_panic_or_an_escape() {
    let whole = python(
        "PAX",
        "add('d/.wh.x')\nadd('d', type=DIR, mode=0o755)\nadd('d/f', data=b'x'*700, pax_headers={'mtime': '1.5', 'SCHILY.xattr.user.a': 'b'})\n\
         add('l', type=LNK, linkname='d/f')\nadd('s', type=SYM, linkname='d')\nadd('s/g', data=b'1')\n\
         add('p', data=b'1\\n0\\n3\\n' + bytes(506) + b'abc', pax_headers={'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9', 'GNU.sparse.name': 'q'})",
    );
    let limits = Limits { entries: 100, directories: 100, total_bytes: 1 << 24, ..Limits::default() };
    let (scratch, mut taken, mut random) = (Scratch::new(), 0, 0x2545_f491_4f6c_dd1d_u64);
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for n in 0..1500 {
        let mut tar = whole.clone();
        for _ in 0..=next(3) {
            let at = next(tar.len());
            tar[at] = [0, b'/', b'.', b'9', 0xff, next(256) as u8][next(6)];
        }
        repair(&mut tar);
        let root = scratch.dir(&n.to_string());
        taken += u32::from(apply_with(&tar, &root, &limits).is_ok());
        fs::remove_dir_all(&root).unwrap();
    }
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
    assert!(
        (100..1500).contains(&taken),
        "{taken} of 1500 were taken: the test damages too much or too little"
    );
}

#[test]
fn a_reader_that_fails_is_not_called_a_corrupt_archive() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the line went dead"))
        }
    }
    let scratch = Scratch::new();
    let gzip = shell(&scratch.0, "head -c 300000 /dev/urandom > f; tar cz f");
    let root = scratch.dir("root");
    let input = std::io::Read::chain(&gzip[..gzip.len() / 2], Broken);
    let error = layer::apply(input, fs::File::open(&root).unwrap().as_fd(), &Limits::default()).unwrap_err();
    assert_eq!(*error.kind(), Kind::Io, "{error:?}");
}

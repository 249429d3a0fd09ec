//! What makes a layer more than a tree: whiteouts, opaque directories, implied directories, replacement,
//! and the way back to an archive.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use layer::{Change, ChangeKind, Kind, Stack};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn whiteouts_and_opaque_directories_need_no_parent() {
    let tar = python("PAX", "add('a/b/.wh.gone')\nadd('c/d/.wh..wh..opq')\nadd('.wh.top')");
    applied(&tar, |root, applied| {
        assert!(is_whiteout(&root.join("a/b/gone")) && is_whiteout(&root.join("top")));
        assert!(is_opaque(&root.join("c/d")) && !is_opaque(&root.join("c")));
        let implied: Vec<_> = applied.implied.iter().map(|path| String::from_utf8_lossy(path)).collect();
        assert_eq!(implied, ["", "a", "a/b", "c", "c/d"]);
        for dir in ["", "a", "a/b", "c/d"] {
            let node = node(&root.join(dir));
            assert_eq!((node.mode, node.owner, node.mtime), (0o40755, (0, 0), (0, 0)), "{dir}");
        }
    });
}

#[test]
fn owners_beyond_the_first_65536_are_told_by_their_blocks() {
    let body = "add('a', uid=65535, gid=65535)\nadd('b', uid=65536)\nadd('c', gid=1000700000)\nadd('d', uid=65537, type=DIR)";
    applied(&python("PAX", body), |root, applied| {
        assert_eq!(applied.blocks.into_iter().collect::<Vec<_>>(), [1, 15269]);
        assert_eq!(node(&root.join("c")).owner, (0, 1_000_700_000));
    });
}

#[test]
fn a_real_entry_wins_over_a_whiteout_of_its_name_in_either_order() {
    for body in ["add('f', data=b'1')\nadd('.wh.f')", "add('.wh.f')\nadd('f', data=b'1')"] {
        applied(&python("PAX", body), |root, _| assert_eq!(fs::read(root.join("f")).unwrap(), b"1"));
    }
    for body in [
        "add('d', type=DIR)\nadd('.wh.d')\nadd('d/f')",
        "add('.wh.d')\nadd('d', type=DIR)\nadd('d/f')",
        "add('.wh.d')\nadd('d/f')",
        "add('d', data=b'1')\nadd('.wh.d')\nadd('d', type=DIR)\nadd('d/f')",
    ] {
        applied(&python("PAX", body), |root, _| {
            assert!(root.join("d/f").is_file() && is_opaque(&root.join("d")), "{body}");
        });
    }
}

#[test]
fn aufs_leftovers_are_passed_over_and_false_whiteouts_refused() {
    let tar = python(
        "PAX",
        "add('.wh..wh.plnk', type=DIR)\nadd('.wh..wh.plnk/1.2')\nadd('.wh..wh.aufs')\nadd('f')",
    );
    applied(&tar, |root, _| assert_eq!(picture(root).len(), 2));
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.b/c"] {
        assert_refused(&python("PAX", &format!("add('{name}')")), Kind::Corrupt, "whiteout");
    }
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let tar = python(
        "PAX",
        "add('f', data=b'old', mode=0o600)\nadd('f', data=b'new', mode=0o644)\n\
         add('d/e', type=DIR, mode=0o700, uid=5)\nadd('d/e/x')\nadd('d/e', data=b'file')\n\
         add('g', type=DIR, mode=0o711, uid=5)\nadd('g/x')\nadd('g', type=DIR, mode=0o1777)\n\
         add('h', data=b'1')\nadd('h2', type=LNK, linkname='h')\nadd('h', data=b'2')\n\
         add('s', type=SYM, linkname='g')\nadd('s', type=DIR)",
    );
    applied(&tar, |root, _| {
        assert_eq!(
            (fs::read(root.join("f")).unwrap(), node(&root.join("f")).mode),
            (b"new".to_vec(), 0o100644)
        );
        assert_eq!(fs::read(root.join("d/e")).unwrap(), b"file");
        assert_eq!((node(&root.join("g")).mode, node(&root.join("g")).owner.0), (0o41777, 0));
        assert!(root.join("g/x").exists(), "a directory keeps its children");
        assert_eq!(
            (fs::read(root.join("h")).unwrap(), fs::read(root.join("h2")).unwrap()),
            (b"2".to_vec(), b"1".to_vec())
        );
        assert!(fs::symlink_metadata(root.join("s")).unwrap().is_dir());
    });
}

#[test]
fn entries_go_through_links_of_the_same_layer() {
    let tar = python(
        "PAX",
        "add('usr/lib', type=DIR)\nadd('lib', type=SYM, linkname='usr/lib')\nadd('lib/f', data=b'1')\nadd('dangling', type=SYM, linkname='not/yet')\nadd('dangling/g', data=b'2')\nadd('l', type=LNK, linkname='lib/f')",
    );
    applied(&tar, |root, _| {
        assert!(fs::symlink_metadata(root.join("lib")).unwrap().is_symlink());
        assert_eq!(fs::read(root.join("usr/lib/f")).unwrap(), b"1");
        assert_eq!(fs::read(root.join("not/yet/g")).unwrap(), b"2");
        assert_eq!(
            fs::metadata(root.join("l")).unwrap().ino(),
            fs::metadata(root.join("usr/lib/f")).unwrap().ino()
        );
    });
}

#[test]
fn nothing_is_inherited_from_a_set_group_id_directory_and_its_time_is_its_own() {
    let tar = python(
        "PAX",
        "add('d', type=DIR, mode=0o2775, gid=50, mtime=77)\nadd('d/f')\nadd('d/e', type=DIR, mode=0o755)",
    );
    applied(&tar, |root, _| {
        assert_eq!((node(&root.join("d")).mode, node(&root.join("d")).mtime), (0o42775, (77, 0)));
        assert_eq!((node(&root.join("d/e")).mode, node(&root.join("d/e")).owner), (0o40755, (0, 0)));
        assert_eq!(node(&root.join("d/f")).owner, (0, 0));
    });
}

#[test]
fn the_callers_umask_is_neither_used_nor_changed() {
    let before = rustix::process::umask(rustix::fs::Mode::from(0o77));
    applied(&python("PAX", "add('f', mode=0o666)\nadd('d', type=DIR, mode=0o777)"), |root, _| {
        assert_eq!((node(&root.join("f")).mode, node(&root.join("d")).mode), (0o100666, 0o40777));
    });
    assert_eq!(rustix::process::umask(before).as_raw_mode(), 0o77);
}

fn written(root: &Path, diff: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let root = File::open(root).unwrap();
    let write = if diff {
        layer::write_diff(root.as_fd(), &mut out)
    } else {
        layer::write_tar(root.as_fd(), &mut out)
    };
    write.unwrap();
    out
}

#[test]
fn a_written_tree_is_the_same_again_for_us_for_gnu_tar_and_for_python() {
    let scratch = Scratch::new();
    let (tree, ours, theirs) = (scratch.dir("tree"), scratch.dir("ours"), scratch.dir("theirs"));
    shell(
        &tree,
        r#"mkdir -p a/b; printf 1 > a/b/f; ln a/b/f a/g; ln -s x a/s; mkfifo p; mknod c c 1 3; chown 100000:3000000 a/b/f; chmod 6755 a/b/f
        n=$(printf 'n%.0s' $(seq 200)); mkdir -p $n; printf 2 > $n/$n; ln -s $n$n l; touch -d '1960-01-01 00:00:00.5' a/g; printf "" > "$(printf 'x\377\ny')"; head -c 300001 /dev/urandom > big"#,
    );
    rustix::fs::lsetxattr(tree.join("a"), "user.x", b"\n\0=", rustix::fs::XattrFlags::empty()).unwrap();
    let tar = written(&tree, false);
    assert_eq!(tar, written(&tree, false), "deterministic");
    apply(&tar, &ours).unwrap();
    assert_eq!(picture(&ours), picture(&tree));
    fs::write(scratch.0.join("t"), &tar).unwrap();
    shell(&theirs, "tar xpf ../t --xattrs --xattrs-include='*'");
    assert_eq!(picture(&theirs), picture(&tree));
    let count = run(Command::new("python3")
        .args(["-c", "import tarfile,sys; print(len(tarfile.open(sys.argv[1]).getnames()))"])
        .arg(scratch.0.join("t")));
    assert_eq!(String::from_utf8(count).unwrap().trim().parse::<usize>().unwrap(), picture(&tree).len());
}

#[test]
fn a_written_layer_is_the_same_layer_again() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.dir("first"), scratch.dir("second"));
    let tar = python(
        "PAX",
        "add('d', type=DIR)\nadd('d/.wh..wh..opq')\nadd('d/f')\nadd('e/.wh.x')\nadd('e/.wh.y')\nadd('e/z', data=b'1')",
    );
    apply(&tar, &first).unwrap();
    apply(&written(&first, true), &second).unwrap();
    assert_eq!(picture(&first), picture(&second));
    fs::write(first.join(".wh.real"), "").unwrap();
    let error = layer::write_diff(File::open(&first).unwrap().as_fd(), Vec::new()).unwrap_err();
    assert_eq!(*error.kind(), Kind::Unsupported);
}

/// Mounts layers (topmost first) in a mount namespace of its own and runs `script` at the mount point.
fn overlay(scratch: &Scratch, options: &str, script: &str) -> String {
    let mount = format!("mkdir -p m && mount -t overlay none m -o {options} && cd m && {script}");
    let out = run(Command::new("unshare").args(["-m", "sh", "-ec", &mount]).current_dir(&scratch.0));
    String::from_utf8(out).unwrap()
}

#[test]
fn a_whiteout_is_unseen_even_where_only_its_own_layer_has_the_directory() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.dir("a"), scratch.dir("b"));
    apply(&python("PAX", "add('x', data=b'1')"), &a).unwrap();
    apply(&python("PAX", "add('only/.wh.gone')\nadd('only/there')"), &b).unwrap();
    assert_eq!(overlay(&scratch, "lowerdir=b:a", "ls -A only"), "there\n");
}

#[test]
fn changes_are_told_as_by_docker_diff() {
    let scratch = Scratch::new();
    let (low, high) = (scratch.dir("low"), scratch.dir("high"));
    for dir in ["up", "work"] {
        scratch.dir(dir);
    }
    apply(&python("PAX", "add('etc/a', data=b'1')\nadd('etc/b', data=b'1')\nadd('usr/x/y', data=b'1')\nadd('same', data=b'1')\nadd('old/k')\nadd('old/l')"), &low).unwrap();
    apply(&python("PAX", "add('etc/c', data=b'1')\nadd('usr/.wh.x')"), &high).unwrap();
    overlay(
        &scratch,
        "lowerdir=high:low,upperdir=up,workdir=work",
        "printf 2 >> etc/a; rm etc/b; mkdir -p new/dir; : > new/dir/f; exec 3>>same; exec 3>&-; rm -r old; mkdir old; : > old/l; : > tmp; rm tmp; mkdir usr/x; chmod 700 usr",
    );
    let (up, low, high) = ["up", "low", "high"].map(|name| File::open(scratch.0.join(name)).unwrap()).into();
    let changes = layer::changes(up.as_fd(), &Stack(vec![high.as_fd(), low.as_fd()])).unwrap();
    let lines: Vec<_> = changes
        .iter()
        .map(|Change { kind, path }| format!("{} {}", kind.letter(), String::from_utf8_lossy(path)))
        .collect();
    assert_eq!(
        lines,
        [
            "C etc",
            "C etc/a",
            "D etc/b",
            "A new",
            "A new/dir",
            "A new/dir/f",
            "C old",
            "D old/k",
            "C old/l",
            "C usr",
            "A usr/x"
        ]
    );
    assert!(changes.iter().all(|change| change.kind != ChangeKind::Deleted || !change.path.is_empty()));
}

/// One member of a generated layer.
#[derive(Debug, Clone)]
enum Op {
    File(String, u8),
    Dir(String),
    Whiteout(String),
    Opaque(String),
}

fn op() -> impl Strategy<Value = Op> {
    let path = || prop::collection::vec("[ab]", 1..4).prop_map(|parts| parts.join("/"));
    prop_oneof![
        (path(), any::<u8>()).prop_map(|(path, byte)| Op::File(path, byte)),
        path().prop_map(Op::Dir),
        path().prop_map(Op::Whiteout),
        path().prop_map(Op::Opaque),
    ]
}

/// A layer's members, one per path and none below another's file: what a real layer looks like.
fn sound(ops: Vec<Op>) -> Vec<Op> {
    let mut files: Vec<String> = Vec::new();
    let mut dirs: Vec<String> = Vec::new();
    let below = |path: &str, dir: &str| path.starts_with(&format!("{dir}/"));
    ops.into_iter()
        .filter(|op| match op {
            Op::File(path, _) => {
                let ok = !dirs.iter().any(|d| d == path || below(d, path))
                    && !files.iter().any(|f| f == path || below(path, f) || below(f, path));
                if ok {
                    files.push(path.clone());
                }
                ok
            }
            Op::Dir(path) | Op::Opaque(path) => {
                let ok = !files.iter().any(|f| f == path || below(path, f));
                if ok {
                    dirs.push(path.clone());
                }
                ok
            }
            Op::Whiteout(path) => {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
                let ok = !files.iter().any(|f| *f == parent || below(&parent, f));
                if ok && !parent.is_empty() {
                    dirs.push(parent);
                }
                ok
            }
        })
        .collect()
}

/// image-spec layer.md, "Applying Changesets": first all that hides, on what was there, then what is new.
fn model(tree: &mut BTreeMap<PathBuf, Option<u8>>, ops: &[Op]) {
    for op in ops {
        match op {
            Op::Whiteout(path) => tree.retain(|known, _| !known.starts_with(path)),
            Op::Opaque(path) => tree.retain(|known, _| !known.starts_with(path) || known == Path::new(path)),
            _ => {}
        }
    }
    for op in ops {
        let (path, content) = match op {
            Op::File(path, byte) => (PathBuf::from(path), Some(*byte)),
            Op::Dir(path) | Op::Opaque(path) => (PathBuf::from(path), None),
            Op::Whiteout(path) => match Path::new(path).parent() {
                Some(parent) if parent != Path::new("") => (parent.to_owned(), None),
                _ => continue,
            },
        };
        for parent in path.ancestors().skip(1).filter(|parent| *parent != Path::new("")) {
            tree.insert(parent.to_owned(), None);
        }
        if content.is_some() {
            tree.retain(|known, _| !known.starts_with(&path));
        }
        tree.insert(path, content);
    }
}

fn archive(ops: &[Op]) -> String {
    let member = |op: &Op| match op {
        Op::File(path, byte) => format!("add('{path}', data=bytes([{byte}]))"),
        Op::Dir(path) => format!("add('{path}', type=DIR, mode=0o755)"),
        Op::Whiteout(path) => match path.rsplit_once('/') {
            Some((parent, name)) => format!("add('{parent}/.wh.{name}')"),
            None => format!("add('.wh.{path}')"),
        },
        Op::Opaque(path) => format!("add('{path}/.wh..wh..opq')"),
    };
    ops.iter().map(member).collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_overlay_of_layers_is_what_the_specification_says(layers in prop::collection::vec(prop::collection::vec(op(), 1..8), 2..4)) {
        let layers: Vec<_> = layers.into_iter().map(sound).collect();
        let scratch = Scratch::new();
        let mut expected = BTreeMap::new();
        let mut stack = Vec::new();
        for (n, ops) in layers.iter().enumerate() {
            apply(&python("PAX", &archive(ops)), &scratch.dir(&n.to_string())).unwrap();
            stack.insert(0, n.to_string());
            model(&mut expected, ops);
        }
        let list = "find . -mindepth 1 -type d -printf '%P\\n' -o -type f -printf '%P ' -exec od -An -tu1 {} \\;";
        let seen = overlay(&scratch, &format!("lowerdir={}", stack.join(":")), list);
        let seen: BTreeMap<PathBuf, Option<u8>> = seen
            .lines()
            .map(|line| match line.split_once(' ') {
                Some((path, byte)) => (path.into(), Some(byte.trim().parse().unwrap())),
                None => (line.into(), None),
            })
            .collect();
        prop_assert_eq!(&seen, &expected, "{:?}", layers);

        // The same without a mount.
        let files: Vec<_> = stack.iter().map(|name| File::open(scratch.0.join(name)).unwrap()).collect();
        let stack = Stack(files.iter().map(|file| file.as_fd()).collect());
        for path in ["a", "b", "a/a", "a/b", "b/a", "b/b", "a/b/a"] {
            let there = stack.stat(path.as_bytes()).unwrap().is_some();
            prop_assert_eq!(there, expected.contains_key(Path::new(path)), "{} {:?}", path, layers);
        }
    }
}

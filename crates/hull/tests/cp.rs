//! Files copied into containers and out of them, running and not, beside what the containers do meanwhile.

mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use support::{Sandbox, soon, text};

const TREE: &str = "mkdir -p /s/dir/sub; echo one >/s/file; chmod 640 /s/file; touch -d '2001-02-03 04:05:06' /s/file; \
    echo two >/s/dir/a; ln /s/dir/a /s/dir/hard; chown 7:8 /s/dir/a; ln -s file /s/link; ln -s dir /s/ldir; \
    mkfifo /s/dir/fifo; echo x >/s/dir/sub/b; chmod 4755 /s/dir/sub/b; \
    dd if=/dev/zero of=/s/sparse bs=1 count=1 seek=40000000 2>/dev/null";

/// A container in which [`TREE`] is, in each state that can be copied from and into.
fn each(act: impl Fn(&Sandbox, &str)) {
    let sandbox = Sandbox::new();
    let script = format!("{TREE}; echo ready; exec sleep 1000");
    for name in ["running", "paused", "stopped"] {
        sandbox.ok(&["run", "-d", "--name", name, "bb", "sh", "-c", &script]);
        soon("the tree is there", || sandbox.ok(&["logs", name]).contains("ready"));
    }
    sandbox.ok(&["pause", "paused"]);
    sandbox.ok(&["stop", "-t", "0", "stopped"]);
    for name in ["running", "paused", "stopped"] {
        act(&sandbox, name);
    }
    sandbox.ok(&["rm", "-f", "running", "paused", "stopped"]);
    sandbox.assert_clean();
}

fn fresh(sandbox: &Sandbox, name: &str) -> PathBuf {
    let dir = sandbox.path().join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).expect("make a directory");
    dir
}

fn str(path: &std::path::Path) -> &str {
    path.to_str().expect("a path of letters")
}

#[test]
fn a_tree_comes_out_as_it_is() {
    each(|sandbox, name| {
        let out = fresh(sandbox, "out");
        sandbox.ok(&["cp", &format!("{name}:/s"), str(&out)]);
        let stat = |path: &str| out.join("s").join(path).symlink_metadata().expect(path);
        let file = stat("file");
        assert_eq!((file.mode() & 0o7777, file.uid(), file.mtime()), (0o640, 0, 981_173_106), "{name}");
        assert_eq!(stat("dir/a").ino(), stat("dir/hard").ino(), "{name}");
        assert_eq!(stat("dir/a").uid(), 0, "the caller's");
        assert_eq!(stat("dir/sub/b").mode() & 0o7777, 0o755, "acts for another owner here");
        assert!(stat("dir/fifo").file_type().is_fifo(), "{name}");
        assert_eq!(std::fs::read_link(out.join("s/link")).expect("a link"), PathBuf::from("file"));
        assert_eq!(stat("sparse").len(), 40_000_001);
        assert!(stat("sparse").blocks() < 10_000, "{name}: {} blocks", stat("sparse").blocks());
        let kept = fresh(sandbox, "kept");
        sandbox.ok(&["cp", "-a", &format!("{name}:/s/dir/."), str(&kept)]);
        assert_eq!(kept.join("a").metadata().expect("a").uid(), 7, "{name}");
        sandbox.ok(&["cp", "-L", &format!("{name}:/s/link"), str(&kept)]);
        assert_eq!(std::fs::read_to_string(kept.join("link")).expect("link"), "one\n");
    });
}

#[test]
fn a_tree_goes_in_and_is_roots_there() {
    each(|sandbox, name| {
        let from = fresh(sandbox, "from");
        std::fs::write(from.join("a"), "alpha").expect("a");
        std::fs::hard_link(from.join("a"), from.join("b")).expect("b");
        std::os::unix::fs::chown(from.join("a"), Some(12), Some(13)).expect("chown");
        std::fs::set_permissions(from.join("a"), PermissionsExt::from_mode(0o604)).expect("chmod");
        let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"odd\xff");
        std::fs::write(from.join::<&std::ffi::OsStr>(odd), "odd").expect("a name of no letters");
        for flags in [&[][..], &["-a"]] {
            let to = format!("{name}:/new{}", flags.len());
            sandbox.ok(&[&["cp"][..], flags, &[str(&from), &to]].concat());
        }
        let look = "stat -c '%u:%g %a %h %n' /new0/a /new1/a; cat /new0/b /new0/odd*";
        match name {
            "paused" => drop(sandbox.ok(&["unpause", name])),
            "stopped" => drop(sandbox.ok(&["start", name])),
            _ => {}
        }
        let seen = sandbox.ok(&["exec", name, "sh", "-c", look]);
        assert_eq!(seen, "0:0 604 2 /new0/a\n12:13 604 2 /new1/a\nalphaodd", "{name}");
    });
}

#[test]
fn directories_and_files_meet_as_docker_has_it() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "web", "bb", "sh", "-c", TREE]);
    let here = fresh(&sandbox, "here");
    std::fs::write(here.join("file"), "old").expect("file");
    let at = |name: &str| here.join(name).to_str().expect("a path").to_owned();
    for (from, to, words) in [
        ("web:/s/none".to_owned(), at("x"), "could not find the file /s/none in container web"),
        ("web:/s/dir".into(), at("file"), "cannot copy directory"),
        ("web:/s/file".into(), at("none/"), "no such directory"),
        ("web:/s/file".into(), at("none/x"), "does not exist"),
        ("web:/s/file".into(), "web:/s/x".into(), "copying between containers is not supported"),
        (at("file"), "web:/s/new/".into(), "no such directory"),
        (at("file"), "web:/etc/none/x".into(), "could not find the file"),
        (at("file"), "web:/s/sub/../none/x".into(), "could not find the file"),
        (at("file"), "web:/s/file/x".into(), "extraction point is not a directory"),
        (at("none"), "web:/s".into(), "no such file"),
        (at(""), "web:/s/file".into(), "cannot copy directory"),
        (at("file"), "none:/s".into(), "no such container"),
    ] {
        let (code, error) = sandbox.fails(&["cp", &from, &to]);
        assert!(code != 0 && error.to_lowercase().contains(words), "{from} {to}: {error}");
    }
    sandbox.ok(&["cp", "web:/s/dir", &at("renamed")]);
    sandbox.ok(&["cp", "web:/s/dir", &at("renamed")]);
    assert!(here.join("renamed/dir/a").exists());
    sandbox.ok(&["cp", "web:/s/ldir/.", &at("renamed/sub")]);
    assert!(here.join("renamed/sub/fifo").exists());
    sandbox.assert_clean();
}

#[test]
fn streams_go_both_ways() {
    let sandbox = Sandbox::new();
    let bind = format!("{}:/kept", str(&fresh(&sandbox, "bound")));
    sandbox.ok(&["run", "-d", "--name", "web", "-v", &bind, "--tmpfs", "/fast", "bb", "sleep", "1000"]);
    let odd = support::tar_of(&[("in/side/file", b"tar"), ("up", b"x")]);
    for place in ["/", "/kept", "/fast"] {
        let done = sandbox.hull_with_input(&["cp", "-", &format!("web:{place}")], &odd);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let seen = sandbox.ok(&["exec", "web", "sh", "-c", &format!("cd {place}; cat in/side/file up")]);
        assert_eq!(seen, "tarx", "{place}");
        let out = sandbox.hull(&["cp", &format!("web:{place}/in"), "-"]).stdout;
        assert!(text(&out).contains("in/side/file"), "{place}");
    }
    let whole = text(&sandbox.hull(&["export", "web"]).stdout);
    assert!(whole.contains("in/side/file") && !whole.contains("kept/in/side"), "mounts are no part of it");
    let events = ["events", "--since", "0", "--until", "0s", "--format", "{{.Action}}"];
    let events = sandbox.ok(&events);
    for action in ["extract-to-dir", "archive-path", "export"] {
        assert!(events.lines().any(|line| line == action), "{action}: {events}");
    }
    let done = sandbox.hull_with_input(&["cp", "-", "web:/"], b"no archive at all, and nothing else either");
    assert!(!done.status.success());
    sandbox.ok(&["rm", "-f", "web"]);
}

/// CVE-2018-15664.
#[test]
fn no_link_leads_out_however_fast_it_is_swapped() {
    let sandbox = Sandbox::new();
    let secret = sandbox.path().join("secret");
    std::fs::create_dir(&secret).expect("secret");
    std::fs::write(secret.join("file"), "the host's").expect("secret/file");
    let place = str(&secret).to_owned();
    let script = format!(
        "mkdir -p {place}; echo inner >{place}/file; mkdir /plain; echo inner >/plain/file; \
         ln -s {place} /bad; mv /plain /swap; echo ready; \
         while :; do mv /swap /plain; mv /bad /swap; mv /swap /bad; mv /plain /swap; done"
    );
    sandbox.ok(&["run", "-d", "--name", "evil", "bb", "sh", "-c", &script]);
    soon("it swaps", || sandbox.ok(&["logs", "evil"]).contains("ready"));
    let mine = sandbox.path().join("mine");
    std::fs::write(&mine, "written").expect("mine");
    for _ in 0..60 {
        for path in ["/swap", "/bad", "/plain"] {
            let out = fresh(&sandbox, "out");
            sandbox.hull(&["cp", &format!("evil:{path}/file"), str(&out)]);
            if let Ok(read) = std::fs::read_to_string(out.join("file")) {
                assert!(read == "inner\n" || read == "written", "{read}");
            }
            sandbox.hull(&["cp", str(&mine), &format!("evil:{path}/file")]);
        }
    }
    assert_eq!(std::fs::read_to_string(secret.join("file")).expect("secret/file"), "the host's");
    assert_eq!(std::fs::read_dir(&secret).expect("secret").count(), 1);
    sandbox.ok(&["rm", "-f", "evil"]);
}

#[test]
fn who_is_killed_while_it_copies_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--name", "web", "bb", "true"]);
    let mut copy = sandbox.command(&["cp", "-", "web:/"]).stdin(Stdio::piped()).spawn().expect("hull");
    let mut input = copy.stdin.take().expect("piped");
    let tar = support::tar_of(&[("half", &[7; 1 << 20])]);
    std::io::Write::write_all(&mut input, &tar[..1 << 19]).expect("half of it is read");
    copy.kill().expect("kill it");
    copy.wait().expect("it ends");
    sandbox.ok(&["start", "-a", "web"]);
    sandbox.ok(&["rm", "web"]);
    sandbox.assert_clean();
}

//! Whole images: loaded from a stream, from a file, and from a layout directory where they can be one.

use crate::canary::Canary;
use crate::support::{HULL, Sandbox, text};
use crate::taken::{Way, assert_nothing_left, assert_refused, assert_untouched, each, take};
use std::process::Command;
use testkit::archive::{Answer, Case, IMAGES};

fn check(sandbox: &Sandbox, canary: &Canary, case: &Case) {
    let bytes = (case.make)();
    for way in [Way::Stream, Way::File] {
        let output = take(sandbox, &["load"], way, &bytes);
        judge(sandbox, canary, case, &output, &format!("{} ({way:?})", case.name));
    }
    if let Some(output) = from_directory(sandbox, &bytes) {
        judge(sandbox, canary, case, &output, &format!("{} (directory)", case.name));
    }
}

fn judge(sandbox: &Sandbox, canary: &Canary, case: &Case, output: &std::process::Output, what: &str) {
    match case.answer {
        Answer::Refused(words) => assert_refused(sandbox, output, words, what),
        _ => {
            assert!(output.status.success(), "{what}: {}", text(&output.stderr));
            sandbox.ok(&["rmi", "hostile:1"]);
        }
    }
    assert_untouched(sandbox, canary, what);
    assert_nothing_left(sandbox, what);
}

/// OCI archives alone are layouts: those of docker's are not unpacked here, they are made to harm.
fn from_directory(sandbox: &Sandbox, bytes: &[u8]) -> Option<std::process::Output> {
    if !bytes.starts_with(b"oci-layout") {
        return None;
    }
    let (archive, layout) = (sandbox.path().join("archive"), sandbox.path().join("layout"));
    let _ = std::fs::remove_dir_all(&layout);
    std::fs::create_dir(&layout).unwrap();
    let tar = Command::new("tar").args(["xf"]).arg(&archive).arg("-C").arg(&layout).output().unwrap();
    assert!(tar.status.success(), "{}", text(&tar.stderr));
    let mut command = Command::new(HULL);
    command.args(["load", "-i"]).arg(&layout).env("HULL_ROOT", sandbox.root());
    Some(command.output().unwrap())
}

#[test]
fn images() {
    let (sandbox, canary) = (Sandbox::empty(), Canary::new());
    each(
        IMAGES.1,
        |case| case.name,
        |case| {
            let _ = sandbox.hull(&["system", "prune", "-af"]);
            check(&sandbox, &canary, case);
        },
    );
}

/// What is unpacked from somewhere may hold more than files: nothing is waited for, and nothing read without end.
#[test]
fn a_layout_directory_of_more_than_files() {
    let (sandbox, canary) = (Sandbox::empty(), Canary::new());
    for (script, words) in [
        ("mkfifo index.json", "no regular file"),
        ("mkfifo blobs/sha256/f", "no regular file"),
        ("ln -s /dev/zero blobs/sha256/z", "no regular file"),
        ("rm -r blobs; ln -s /proc/self/fd blobs", ""),
        ("ln -s loop blobs/sha256/loop", "symbolic links"),
        ("mkdir blobs/sha256/d", "no regular file"),
        ("ln -s /dev/stdin index.json", ""),
    ] {
        let layout = sandbox.path().join("layout");
        let _ = std::fs::remove_dir_all(&layout);
        std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        let done = Command::new("sh").args(["-ec", script]).current_dir(&layout).status().unwrap();
        assert!(done.success(), "{script}");
        let output = Command::new("timeout")
            .args(["60", HULL, "load", "-i", layout.to_str().unwrap()])
            .env("HULL_ROOT", sandbox.root())
            .output()
            .unwrap();
        assert_refused(&sandbox, &output, words, script);
        assert_untouched(&sandbox, &canary, script);
    }
}

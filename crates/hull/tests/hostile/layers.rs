//! Layers: imported as a root file system, and loaded as the only layer of an image.

use crate::canary::Canary;
use crate::support::{Sandbox, text};
use crate::taken::{Way, assert_nothing_left, assert_refused, assert_untouched, each, take};
use crate::tree;
use testkit::archive::layout::Lies;
use testkit::archive::{Answer, Case, Group, LAYERS, PACKED};

fn check(sandbox: &Sandbox, canary: &Canary, case: &Case) {
    let bytes = (case.make)();
    for (command, way) in
        [(["import"], Way::Stream), (["import"], Way::File), (["load"], Way::Stream), (["load"], Way::File)]
    {
        let what = format!("{} ({} {way:?})", case.name, command[0]);
        let loads = command == ["load"];
        // What is packed has another DiffId than digest, and nobody has said which.
        let whole = if loads { Lies::default().oci(&bytes) } else { bytes.clone() };
        let output = take(sandbox, &command, way, &whole);
        match case.answer {
            Answer::Refused(words) => assert_refused(sandbox, &output, if loads { "" } else { words }, &what),
            Answer::Tree(_) if loads && layer_is_packed(&bytes) => continue,
            Answer::Tree(lines) => assert_taken(sandbox, &output, Some(lines), &what),
            Answer::Taken => assert_taken(sandbox, &output, None, &what),
        }
        assert_untouched(sandbox, canary, &what);
        assert_nothing_left(sandbox, &what);
    }
}

fn layer_is_packed(bytes: &[u8]) -> bool {
    [&b"\x1f\x8b"[..], b"\x28\xb5", b"BZh", b"\xfd7z"].iter().any(|magic| bytes.starts_with(magic))
}

/// It is an image, whose layer is these files; and gone again.
fn assert_taken(sandbox: &Sandbox, output: &std::process::Output, lines: Option<&[&str]>, what: &str) {
    assert!(output.status.success(), "{what}: {}", text(&output.stderr));
    let layers: Vec<_> = std::fs::read_dir(sandbox.root().join("layers")).unwrap().flatten().collect();
    let found = lines.map(|lines| {
        let of = |entry: &std::fs::DirEntry| tree::lines(&entry.path().join("fs"));
        (layers.iter().map(of).collect::<Vec<_>>(), lines)
    });
    let gone = sandbox.hull(&["rmi", "hostile:1"]);
    assert!(gone.status.success(), "{what}: {}", text(&gone.stderr));
    if let Some((found, lines)) = found {
        assert_eq!(found, [lines.to_vec()], "{what}");
    }
}

fn all_of(group: &Group) {
    let (sandbox, canary) = (Sandbox::empty(), Canary::new());
    each(
        group.1,
        |case| case.name,
        |case| {
            // A case that fails must not be the next one's.
            let _ = sandbox.hull(&["system", "prune", "-af"]);
            check(&sandbox, &canary, case);
        },
    );
}

fn group(name: &str) {
    let group = LAYERS.iter().find(|(own, _)| *own == name);
    all_of(group.unwrap_or_else(|| panic!("no group `{name}`")));
}

#[test]
fn names() {
    group("names");
}

#[test]
fn links() {
    group("links");
}

#[test]
fn nodes() {
    group("nodes");
}

#[test]
fn whiteouts() {
    group("whiteouts");
}

#[test]
fn numbers() {
    group("numbers");
}

#[test]
fn pax() {
    group("pax");
}

#[test]
fn gnu() {
    group("gnu");
}

#[test]
fn sparse() {
    group("sparse");
}

#[test]
fn cut() {
    group("cut");
}

#[test]
fn packed() {
    all_of(&PACKED);
}

#[test]
fn there_are_a_hundred_of_different_names() {
    let groups = || LAYERS.iter().chain([&PACKED, &testkit::archive::IMAGES]);
    let mut names: Vec<_> =
        groups().flat_map(|(group, cases)| cases.iter().map(move |case| (group, case.name))).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name is there twice");
    assert!(all >= 250, "{all}");
}

//! hull with an archive on its hands, held in bounds; and what it must not leave.

use crate::canary::Canary;
use crate::support::{HULL, Sandbox, text};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Bytes of address space that hull may take: a fraction of what the archives ask for.
const SPACE: u64 = 768 << 20;

/// How long any of them may take, on a busy machine.
const TIME: Duration = Duration::from_secs(60);

/// How an archive comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Stream,
    File,
}

/// Gives an archive to a command of hull's.
pub(crate) fn take(sandbox: &Sandbox, command: &[&str], way: Way, bytes: &[u8]) -> Output {
    let file = sandbox.path().join("archive");
    std::fs::write(&file, bytes).unwrap();
    let source = if matches!(way, Way::File) { file.to_str().unwrap() } else { "-" };
    let mut args: Vec<_> = command.to_vec();
    match (command[0], way) {
        ("load", Way::Stream) => {}
        ("load", Way::File) => args.extend(["-i", source]),
        _ => args.extend([source, "hostile:1"]),
    }
    let start = Instant::now();
    let output = bounded(sandbox, &args, bytes, way);
    assert!(start.elapsed() < TIME, "{command:?} took {:?}", start.elapsed());
    output
}

fn bounded(sandbox: &Sandbox, args: &[&str], bytes: &[u8], way: Way) -> Output {
    let mut command = Command::new("prlimit");
    command.arg(format!("--as={SPACE}")).arg(HULL).args(args).env("HULL_ROOT", sandbox.root());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || matches!(way, Way::Stream).then(|| stdin.write_all(bytes)));
        child.wait_with_output().unwrap()
    })
}

/// One error, in words, and nothing left.
pub(crate) fn assert_refused(sandbox: &Sandbox, output: &Output, words: &str, what: &str) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{what}: {told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("error:")).count(), 1, "{what}: {told}");
    assert!(told.contains(words), "{what}: not in these words: {told}");
    assert!(!told.contains("panicked"), "{what}: {told}");
    assert!(told.len() < 4096, "{what}: {} bytes of words: {told}", told.len());
    let draws = |c: char| c.is_control() && c != '\n';
    assert!(!told.contains(draws), "{what}: a terminal would be drawn on: {told:?}");
    assert_nothing_left(sandbox, what);
}

/// The store is as if nothing had come.
pub(crate) fn assert_nothing_left(sandbox: &Sandbox, what: &str) {
    for part in ["blobs/sha256", "layers", "images", "refs", "tmp", "trash"] {
        let left = std::fs::read_dir(sandbox.root().join(part)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{what}: left in {part}");
    }
    let check = sandbox.hull(&["system", "check"]);
    assert!(check.status.success(), "{what}: {}", text(&check.stdout));
}

/// The canary, and the sandbox beside the store, are as they were.
pub(crate) fn assert_untouched(sandbox: &Sandbox, canary: &Canary, what: &str) {
    canary.assert_untouched(what);
    let beside = std::fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let beside: Vec<_> =
        beside.filter(|name| name != "root" && name != "archive" && name != "layout").collect();
    assert!(beside.is_empty(), "{what}: {beside:?} beside the store");
}

/// Every case is tried before any is told of.
pub(crate) fn each<T>(all: &[T], name: fn(&T) -> &str, mut check: impl FnMut(&T)) {
    let mut failed = Vec::new();
    for one in all {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(one)));
        failed.extend(done.is_err().then(|| name(one)));
    }
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), all.len());
}

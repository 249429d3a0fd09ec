//! What is told of what happens: in docker's words, to whoever asks later or listens now.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use support::{Sandbox, text};

/// What was told until now, without times.
fn told(sandbox: &Sandbox, filters: &[&str]) -> Vec<String> {
    let flags = filters.iter().flat_map(|filter| ["--filter", filter]);
    let args: Vec<_> = ["events", "--since", "0", "--until", "0s"].into_iter().chain(flags).collect();
    let plain = |line: &str| line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned();
    sandbox.ok(&args).lines().map(plain).collect()
}

/// Type and action of a line: what stands before the id.
fn what(line: impl AsRef<str>) -> String {
    let line = line.as_ref().split(" (").next().unwrap_or_default();
    line.rsplit_once(' ').map_or(line, |(what, _)| what).to_owned()
}

/// Someone who listens, and goes with the test.
struct Listener(Child);

impl Listener {
    fn new(sandbox: &Sandbox, flags: &[&str]) -> Self {
        let mut command = sandbox.command(&[&["events"], flags].concat());
        Self(command.stdout(Stdio::piped()).spawn().expect("run hull events"))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_life_is_told_in_dockers_words() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "web", "-l", "tier=front", "bb", "sleep", "1000"]);
    sandbox.ok(&["exec", "web", "true"]);
    assert_eq!(sandbox.hull(&["exec", "web", "sh", "-c", "exit 3"]).status.code(), Some(3));
    sandbox.ok(&["pause", "web"]);
    sandbox.ok(&["unpause", "web"]);
    sandbox.ok(&["kill", "-s", "WINCH", "web"]);
    sandbox.ok(&["stop", "-t", "0", "web"]);
    sandbox.ok(&["start", "web"]);
    sandbox.ok(&["rm", "-f", "web"]);
    let life = told(&sandbox, &["container=web"]);
    let expected = [
        "container create",
        "container start",
        "container exec_create: true",
        "container exec_start: true",
        "container exec_die",
        "container exec_create: sh -c exit 3",
        "container exec_start: sh -c exit 3",
        "container exec_die",
        "container pause",
        "container unpause",
        "container kill",
        "container kill",
        "container kill",
        "container die",
        "container stop",
        "container start",
        "container kill",
        "container die",
        "container destroy",
    ];
    assert_eq!(life.iter().map(what).collect::<Vec<_>>(), expected, "{life:#?}");
    assert!(life[0].ends_with("(image=bb, name=web, tier=front)"), "{}", life[0]);
    assert!(life[7].contains("exitCode=3"), "{}", life[7]);
    let signals: Vec<_> = life.iter().filter_map(|line| line.split("signal=").nth(1)).collect();
    assert_eq!(signals, ["28, tier=front)", "15, tier=front)", "9, tier=front)", "9, tier=front)"]);
    assert!(life[13].contains("exitCode=137"), "{}", life[13]);
}

#[test]
fn a_run_in_the_foreground_and_images_are_told_of() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--rm", "--name", "one", "bb", "true"]);
    assert!(!sandbox.hull(&["run", "--rm", "--name", "two", "bb", "/no/such"]).status.success());
    sandbox.ok(&["tag", "bb", "bb:two"]);
    sandbox.ok(&["rmi", "bb:two"]);
    sandbox.ok(&["rmi", "bb"]);
    let of = |filter| told(&sandbox, &[filter]).iter().map(what).collect::<Vec<_>>();
    let whole = ["create", "attach", "start", "die", "destroy"].map(|action| format!("container {action}"));
    assert_eq!(of("container=one"), whole);
    let nothing = ["create", "attach", "destroy"].map(|action| format!("container {action}"));
    assert_eq!(of("container=two"), nothing, "what never ran neither starts nor dies");
    let images = ["tag", "import", "tag", "untag", "untag", "delete"].map(|action| format!("image {action}"));
    assert_eq!(of("type=image"), images);
    assert_eq!(told(&sandbox, &["event=tag", "image=bb"]).len(), 2);
}

#[test]
fn who_listens_hears_at_once_and_only_what_was_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--rm", "--name", "before", "bb", "true"]);
    let format = "{{.Action}} {{.Actor.Attributes.name}}";
    let mut listener =
        Listener::new(&sandbox, &["--filter", "event=die", "--filter", "event=oom", "--format", format]);
    let mut lines = BufReader::new(listener.0.stdout.take().expect("piped")).lines();
    let (sender, heard) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            let _ = sender.send(line);
        }
    });
    // When it has begun to listen, nobody knows; but then it hears.
    let start = Instant::now();
    let line = loop {
        assert!(start.elapsed() < Duration::from_secs(30), "nothing was heard");
        sandbox.ok(&["run", "--rm", "--name", "now", "bb", "true"]);
        if let Ok(line) = heard.recv_timeout(Duration::from_millis(200)) {
            break line;
        }
    };
    assert_eq!(line, "die now", "neither what was before nor what was not asked for");
    drop(listener);
    reader.join().expect("the reader");
}

#[test]
fn many_tell_at_once_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let children: Vec<_> = (0..40)
        .map(|number| {
            let name = format!("bb:{number}");
            sandbox.command(&["tag", "bb", &name]).spawn().expect("run hull tag")
        })
        .collect();
    children.into_iter().for_each(|mut child| assert!(child.wait().expect("waited").success()));
    let mut tags = told(&sandbox, &["event=tag"]);
    tags.retain(|line| line.contains("bb:"));
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 40, "{tags:#?}");
}

#[test]
fn a_journal_that_cannot_be_written_fails_nothing_and_is_told_of_once() {
    let sandbox = Sandbox::new();
    let journal = sandbox.root().join("events");
    std::fs::remove_file(&journal).expect("it is there");
    std::fs::create_dir(&journal).expect("in its place");
    let done = sandbox.hull(&["run", "--rm", "bb", "echo", "fine"]);
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(0), "fine\n"));
    assert_eq!(text(&done.stderr).matches("events are lost").count(), 1, "{}", text(&done.stderr));
    sandbox.assert_clean();
}

#[test]
fn times_and_filters_are_checked() {
    let sandbox = Sandbox::new();
    for (args, words) in [
        (&["events", "--since", "bad"][..], "failed to parse value as time or duration"),
        (&["events", "--since", "1000", "--until", "10"], "cannot be after `until`"),
        (&["events", "--filter", "colour=red"], "invalid filter 'colour'"),
        (&["events", "--format", "{{.Nope}}", "--since", "0", "--until", "0s"], "Nope"),
        (&["system", "events", "--filter", "x"], "bad format of filter"),
    ] {
        let (_, error) = sandbox.fails(args);
        assert!(error.contains(words), "{args:?}: {error}");
    }
}

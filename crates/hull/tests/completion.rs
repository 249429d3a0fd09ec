//! Completion: real shells, typed into.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

mod support;

use std::path::Path;
use std::process::Command;
use support::{HULL, Sandbox, Terminal, text};

/// A shell that finds the binary under test by its name.
fn shell(sandbox: &Sandbox, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    let path = format!("{}:/usr/bin:/bin", Path::new(HULL).parent().expect("a directory").display());
    command.args(&words[1..]).env_clear().env("PATH", path).env("HULL_ROOT", sandbox.root());
    command.env("TERM", "dumb").env("PS1", "> ").env("HOME", sandbox.path()).current_dir(sandbox.path());
    command
}

/// Two containers, of which one runs.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "walrus", "bb", "sleep", "1000"]);
    sandbox.ok(&["create", "--name", "wombat", "bb"]);
    sandbox.ok(&["tag", "bb", "registry.example:5000/team/app:v1"]);
    std::fs::write(sandbox.path().join("settings.env"), "A=from-the-file\n").expect("write");
    sandbox
}

fn emptied(sandbox: &Sandbox) {
    sandbox.ok(&["rm", "-f", "walrus", "wombat"]);
    sandbox.assert_clean();
}

fn is_there(shell: &str) -> bool {
    let there = Path::new("/usr/bin").join(shell).exists();
    if !there {
        eprintln!("SKIP: {shell} is not installed");
    }
    there
}

/// What is typed, and what then comes of it.
#[rustfmt::skip]
const LINES: [(&str, &str); 7] = [
    ("hull insp\t-f 'is {{.Name}}' wal\t\r", "is /walrus"),
    ("hull cont\tinsp\t-f 'was {{.Name}}' wom\t\r", "was /wombat"),
    ("hull image insp\t-f '{{.RepoTags}}' registry.example:5\t\r", "registry.example:5000/team/app:v1]"),
    ("hull run --rm --netw\tho\tbb\tsh -c 'readlink /proc/self/ns/net | tr n N'\r", "Net:["),
    ("hull run --rm --network=ho\tbb\tsh -c 'echo out $((20 + 4))'\r", "out 24"),
    ("hull run --rm --env-file set\tbb sh -c 'echo $A'\r", "from-the-file"),
    ("hull run --rm --ipc container:wal\tbb sh -c 'echo in $((20 + 3))'\r", "in 23"),
];

fn typed_into(mut terminal: Terminal, setup: &str) {
    terminal.send(&format!("{setup}; echo rea''dy\r"));
    terminal.expect("ready");
    for (keys, seen) in LINES {
        terminal.send(keys);
        terminal.expect(seen);
    }
    terminal.send("exit 7\r");
    assert_eq!(terminal.wait(), 7);
}

#[test]
fn bash_completes_what_is_typed() {
    let sandbox = filled();
    let bash = shell(&sandbox, &["bash", "--norc", "--noprofile", "-i"]);
    typed_into(Terminal::start(bash), "source <(hull completion bash)");
    emptied(&sandbox);
}

#[test]
fn zsh_completes_what_is_typed() {
    if !is_there("zsh") {
        return;
    }
    let sandbox = filled();
    let zsh = shell(&sandbox, &["zsh", "-f", "-i"]);
    let setup =
        "unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source <(hull completion zsh)";
    typed_into(Terminal::start(zsh), setup);
    emptied(&sandbox);
}

#[test]
fn fish_completes_what_is_typed() {
    if !is_there("fish") {
        return;
    }
    let sandbox = filled();
    let offered = |line: &str| {
        let script = format!("hull completion fish | source; complete -C '{line}'");
        let done = shell(&sandbox, &["fish", "--no-config", "-c", &script]).output().expect("run fish");
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        text(&done.stdout)
    };
    assert!(offered("hull stop w").starts_with("walrus\trunning, bb"), "{}", offered("hull stop w"));
    assert_eq!(offered("hull stop w").lines().count(), 1);
    assert!(offered("hull run --env-file set").contains("settings.env"));
    assert!(offered("hull run --network=h").contains("--network=host"));
    emptied(&sandbox);
}

/// What the binary answers the scripts.
fn offered(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let words: Vec<_> = ["__complete", "--"].into_iter().chain(line.split(' ')).collect();
    let answer = sandbox.ok(&words);
    let words = answer.lines().filter(|line| !line.starts_with(':'));
    words.map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn only_those_are_offered_with_which_something_can_be_done() {
    let sandbox = filled();
    assert_eq!(offered(&sandbox, "start w"), ["wombat"]);
    assert_eq!(offered(&sandbox, "stop "), ["walrus"]);
    assert_eq!(offered(&sandbox, "unpause "), [""; 0]);
    sandbox.ok(&["pause", "walrus"]);
    assert_eq!((offered(&sandbox, "unpause "), offered(&sandbox, "pause ")), (vec!["walrus".into()], vec![]));
    let mut both = offered(&sandbox, "rm w");
    both.sort();
    assert_eq!(both, ["walrus", "wombat"]);
    assert_eq!(offered(&sandbox, "rm walrus w"), ["wombat"], "not twice");
    let id = sandbox.ok(&["ps", "-q"]).trim().to_owned();
    assert_eq!(offered(&sandbox, &format!("rm {}", &id[..6])), [id]);
    assert!(offered(&sandbox, "rmi bb").contains(&"bb:latest".to_owned()));
    emptied(&sandbox);
}

#[test]
fn where_nothing_is_kept_nothing_is_made() {
    let sandbox = Sandbox::empty();
    assert_eq!(offered(&sandbox, "rm "), [""; 0]);
    assert_eq!(offered(&sandbox, "run "), [""; 0]);
    assert!(!sandbox.root().exists(), "looking makes nothing");
}

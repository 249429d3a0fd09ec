//! Tables: on a terminal each row is a line that fits; what a script reads is docker's, whatever the screen.

mod support;

use support::{Sandbox, Terminal};

const NAME: &str = "registry.example:5000/some/team/with-a-long-name/app:version-1";

fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["tag", "bb", NAME]);
    let script = "sleep 1000 # and a comment that makes the command long";
    sandbox.ok(&["run", "-d", "--name", "a-container-that-runs", NAME, "sh", "-c", script]);
    sandbox.ok(&["run", "--name", "a-container-that-failed", "bb", "true"]);
    sandbox.hull(&["run", "--name", "another-one", "bb", "false"]);
    sandbox
}

fn emptied(sandbox: &Sandbox) {
    sandbox.ok(&["rm", "-f", "a-container-that-runs", "a-container-that-failed", "another-one"]);
    sandbox.assert_clean();
}

/// What a terminal of so many columns gets, up to the end of the program.
fn on_terminal(sandbox: &Sandbox, args: &[&str], columns: u16, no_color: &str) -> String {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "read go; echo the-start; \"$0\" \"$@\"; echo the-end", support::HULL]).args(args);
    command.env("HULL_ROOT", sandbox.root()).env("TERM", "xterm").env("NO_COLOR", no_color);
    let mut terminal = Terminal::start(command);
    terminal.resize(columns, 24);
    terminal.send("\r");
    terminal.expect("the-start\r\n");
    let mut seen = terminal.expect("the-end");
    assert_eq!(terminal.wait(), 0);
    seen.truncate(seen.len() - "the-end".len());
    seen.replace('\r', "")
}

#[test]
fn rows_fit_a_terminal_and_ids_stay_whole() {
    let sandbox = filled();
    let ids = sandbox.ok(&["ps", "-aq"]);
    for columns in [80, 100, 130] {
        let seen = on_terminal(&sandbox, &["ps", "-a"], columns, "1");
        assert_eq!(seen.lines().count(), 4, "{seen}");
        assert!(seen.lines().all(|line| line.chars().count() <= columns.into()), "{columns}:\n{seen}");
        assert!(ids.lines().all(|id| seen.contains(id)), "{seen}");
        assert!(seen.contains('…') && !seen.contains('\u{1b}'), "{seen}");
    }
    for verb in [&["images"][..], &["history", NAME], &["system", "df"]] {
        let seen = on_terminal(&sandbox, verb, 80, "1");
        assert!(seen.lines().all(|line| line.chars().count() <= 80), "{verb:?}:\n{seen}");
    }
    emptied(&sandbox);
}

#[test]
fn states_have_colours_on_a_terminal() {
    let sandbox = filled();
    let seen = on_terminal(&sandbox, &["ps", "-a"], 200, "");
    assert!(seen.contains("\u{1b}[32mUp ") && seen.contains("\u{1b}[31mExited (1)"), "{seen:?}");
    assert!(seen.contains("   Exited (0)"), "what ended well is not shouted: {seen:?}");
    emptied(&sandbox);
}

/// Two readings that must be the same, of one moment: the first is made again behind the second until no second has
/// passed between them.
fn same(what: &str, script: impl Fn() -> String, other: impl Fn() -> String) {
    for _ in 0..200 {
        let (before, there, after) = (script(), other(), script());
        if before == after {
            return assert_eq!(there, before, "{what}");
        }
    }
    panic!("{what}: it never stands still");
}

#[test]
fn what_a_script_reads_does_not_depend_on_a_screen() {
    let sandbox = filled();
    let read = || sandbox.ok(&["ps", "-a"]);
    assert!(read().contains(NAME) && !read().contains('\u{1b}'), "{}", read());
    let narrow = || {
        let mut command = sandbox.command(&["ps", "-a"]);
        support::text(&command.env("COLUMNS", "40").output().expect("run hull").stdout)
    };
    same("a variable", read, narrow);
    same("a wide terminal", read, || on_terminal(&sandbox, &["ps", "-a"], 300, "1"));
    let whole = ["ps", "-a", "--no-trunc"];
    same("who wants it whole", || sandbox.ok(&whole), || on_terminal(&sandbox, &whole, 80, "1"));
    emptied(&sandbox);
}

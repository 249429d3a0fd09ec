//! Manual pages, as the programs that read them do.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use support::{Sandbox, text};

/// Writes all pages, and gives them.
fn pages(sandbox: &Sandbox) -> Vec<PathBuf> {
    let place = sandbox.path().display().to_string();
    sandbox.ok(&["system", "man", &place]);
    let entries = std::fs::read_dir(sandbox.path().join("man1")).expect("a directory");
    let mut pages: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    pages
}

fn is_there(program: &str) -> bool {
    let there = std::path::Path::new("/usr/bin").join(program).exists();
    if !there {
        eprintln!("SKIP: {program} is not installed");
    }
    there
}

#[test]
fn every_command_has_a_page() {
    let sandbox = Sandbox::empty();
    let pages = pages(&sandbox);
    let names: Vec<_> = pages.iter().map(|page| page.file_stem().unwrap().to_str().unwrap()).collect();
    for name in
        ["hull", "hull-run", "hull-container-run", "hull-explain", "hull-system-check", "hull-image-ls"]
    {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    for page in &pages {
        let text = std::fs::read_to_string(page).expect("read");
        let to = text.strip_prefix(".so ").map(|to| sandbox.path().join(to.trim()));
        assert!(to.is_none_or(|to| to.exists()), "{}", page.display());
    }
}

#[test]
fn groff_warns_of_nothing() {
    if !is_there("groff") {
        return;
    }
    let sandbox = Sandbox::empty();
    let pages = pages(&sandbox);
    let mut groff = Command::new("groff");
    let done = groff.args(["-man", "-ww", "-Tutf8", "-z"]).args(&pages).current_dir(sandbox.path()).output();
    let done = done.expect("run groff");
    assert!(done.status.success() && done.stderr.is_empty(), "{}", text(&done.stderr));
}

#[test]
fn a_page_shows_what_the_help_says() {
    if !is_there("groff") {
        return;
    }
    let sandbox = Sandbox::empty();
    pages(&sandbox);
    let mut groff = Command::new("groff");
    groff.args(["-man", "-Tutf8", "-P-c", "-P-b", "-P-u", "man1/hull-run.1"]).current_dir(sandbox.path());
    let page = text(&groff.output().expect("run groff").stdout);
    let help = sandbox.ok(&["run", "--help"]);
    for flag in help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 3) {
        let flag = flag.trim_end_matches([',', ';', '.', ')']);
        assert!(page.contains(flag), "{flag}");
    }
    for line in ["hull run --rm hello", "CPU time in each period", "µS", "EXIT STATUS"] {
        assert!(page.contains(line), "{line}:\n{page}");
    }
}

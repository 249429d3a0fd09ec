//! `cargo xtask test [--long]`

use crate::packages;
use crate::shell::{Done, cargo, has, must};
use crate::{fuzz, vm};

/// What of the whole failed is said at the end, where it is seen.
pub(crate) fn run(args: &[String]) -> Done {
    packages::install_for_tests()?;
    if !has("cargo-nextest") {
        must(&mut cargo(&["install", "--quiet", "--locked", "cargo-nextest"]))?;
    }
    if !args.iter().any(|arg| arg == "--long") {
        return suite(&[]);
    }
    packages::install_peers()?;
    let parts: [(&str, &dyn Fn() -> Done); 3] = [
        ("the suite, with the tests that need engines", &|| suite(&["--run-ignored", "all"])),
        ("a minute of each fuzz target", &|| fuzz::run(&[])),
        ("the emulated machines", &|| vm::run(&[])),
    ];
    let failures: Vec<_> = parts
        .iter()
        .filter_map(|(name, part)| part().err().map(|why| format!("FAILED: {name}: {why}")))
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// In CI (`CI` is set by all of them) a test that fails and then passes is shown as flaky and does not fail the whole.
fn suite(options: &[&str]) -> Done {
    let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
    let mut suite = cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--profile", profile]);
    must(suite.args(options))
}

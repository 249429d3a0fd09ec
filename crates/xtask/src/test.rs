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
    let long = args.iter().any(|arg| arg == "--long");
    // Nobody who tries hull out wants the daemons that come with them.
    if long || in_ci() {
        packages::install_engines()?;
    }
    if !long {
        return suite(&[]);
    }
    packages::install_peers()?;
    let parts: [(&str, &dyn Fn() -> Done); 3] = [
        ("the suite", &|| suite(&["--run-ignored", "all"])),
        ("a minute of each fuzz target", &|| fuzz::run(&[])),
        ("the emulated machines", &|| vm::run(&[])),
    ];
    let failures: Vec<_> = parts
        .iter()
        .filter_map(|(name, part)| part().err().map(|why| format!("FAILED: {name}: {why}")))
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// All of them set it.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// In CI a test that fails and then passes is shown as flaky and does not fail the whole.
fn suite(options: &[&str]) -> Done {
    let profile = if in_ci() { "ci" } else { "default" };
    let mut suite = cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--profile", profile]);
    must(suite.args(options))
}

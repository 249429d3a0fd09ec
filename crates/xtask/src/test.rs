//! `cargo xtask test`

use crate::shell::{Done, cargo, has, must};
use crate::{emulated, packages};

pub(crate) fn run(args: &[String]) -> Done {
    packages::install_for_tests()?;
    if !has("cargo-nextest") {
        must(&mut cargo(&["install", "--quiet", "--locked", "cargo-nextest"]))?;
    }
    must(&mut cargo(&["nextest", "run", "--workspace"]))?;
    if args.iter().any(|arg| arg == "--long") {
        emulated::run(&["v2".into()])?;
        emulated::run(&["v1".into(), "6.1".into()])?;
    }
    Ok(())
}

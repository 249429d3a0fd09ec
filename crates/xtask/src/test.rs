//! `cargo xtask test`

use crate::shell::{Done, cargo, has, must};
use crate::{packages, vm};

pub(crate) fn run(args: &[String]) -> Done {
    packages::install_for_tests()?;
    if !has("cargo-nextest") {
        must(&mut cargo(&["install", "--quiet", "--locked", "cargo-nextest"]))?;
    }
    must(&mut cargo(&["nextest", "run", "--workspace"]))?;
    if args.iter().any(|arg| arg == "--long") {
        vm::run(&[])?;
    }
    Ok(())
}

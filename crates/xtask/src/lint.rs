//! `cargo xtask lint`

use crate::shell::{Done, cargo, has, must};
use crate::tidy;

pub(crate) fn run() -> Done {
    must(&mut cargo(&["fmt", "--all", "--check"]))?;
    must(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    tidy::run()?;
    if has("cargo-deny") {
        must(&mut cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]))
    } else {
        eprintln!("SKIP: cargo-deny is not installed, so licences and bans are not checked");
        Ok(())
    }
}

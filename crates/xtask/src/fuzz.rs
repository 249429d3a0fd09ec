//! `cargo xtask fuzz [TARGET…] [--seconds N]`: the targets of `fuzz/` on the stable compiler.
//!
//! libFuzzer needs the coverage that LLVM puts into the code, and that is a matter of codegen options which are stable;
//! only the sanitizers are not. What safe Rust can do wrong (panic, overflow, hang, eat memory, break a promise that
//! the target holds) needs none.

use crate::packages;
use crate::shell::{Done, cargo, must, root, value_of};
use std::path::PathBuf;
use std::process::Command;

/// libFuzzer is C++.
const PACKAGES: [(&str, &str); 1] = [("c++", "g++")];

/// What `cargo fuzz` passes, without sanitizer. It takes the place of the static linking of `.cargo/config.toml`.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=on",
];

/// Bytes of the largest input; layers are built of blocks of 512.
const LARGEST: usize = 16384;

pub(crate) fn run(args: &[String]) -> Done {
    packages::install(&PACKAGES)?;
    let seconds = value_of(args, "--seconds").unwrap_or(60);
    let targets: Vec<_> = targets()?
        .into_iter()
        .filter(|target| {
            args.iter().all(|arg| arg.starts_with("--") || arg.parse::<u64>().is_ok())
                || args.contains(target)
        })
        .collect();
    if targets.is_empty() {
        return Err("fuzz: no such target in fuzz/fuzz_targets".into());
    }
    build()?;
    targets.iter().try_for_each(|target| fuzz(target, seconds))
}

fn targets() -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(root().join("fuzz/fuzz_targets")).map_err(|error| error.to_string())?;
    let mut names: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn built() -> PathBuf {
    root().join("fuzz/target")
}

fn build() -> Done {
    let mut build = cargo(&["build", "--release", "--quiet", "--bins", "--target-dir"]);
    build.arg(built()).current_dir(root().join("fuzz")).env("RUSTFLAGS", FLAGS.join(" "));
    must(&mut build)
}

fn fuzz(target: &str, seconds: u64) -> Done {
    let dir = root().join("fuzz");
    let (corpus, artifacts) = (dir.join("corpus").join(target), dir.join("artifacts").join(target));
    for dir in [&corpus, &artifacts] {
        std::fs::create_dir_all(dir).map_err(|error| format!("make `{}`: {error}", dir.display()))?;
    }
    let program = format!("{}-unknown-linux-gnu/release/{target}", std::env::consts::ARCH);
    let mut command = Command::new(built().join(program));
    command.arg(corpus).arg(dir.join("seeds").join(target));
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={LARGEST}"),
        "-verbosity=0".into(),
    ]);
    command.arg("-print_final_stats=1").arg(format!("-artifact_prefix={}/", artifacts.display()));
    must(&mut command)
}

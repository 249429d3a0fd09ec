//! The project's chores: `cargo xtask test | lint | tidy | bench | vm-test`.

mod bench;
mod fuzz;
mod image;
mod lint;
mod packages;
mod shell;
mod test;
mod tidy;
mod vm;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test [--long]       install what the tests need, then run them all; --long installs
                      engines and peers, too, and adds fuzzing and emulated machines
  lint                rustfmt, clippy with warnings as errors, tidy, cargo-deny
  tidy                the invariants of ARCHITECTURE.md that a program can check
  bench [NAME…] [--rounds N]
                      benchmarks beside their peers, into bench/RESULTS.md
  fuzz [TARGET…] [--seconds N]
                      what parses a stranger's bytes, with any bytes
  vm-test [v2|v1|systemd|runtime|life|engines] [6.12|6.1]
                      hull in emulated machines, all that fit
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let done = match args.first().map(String::as_str) {
        Some("test") => test::run(rest),
        Some("lint") => lint::run(),
        Some("tidy") => tidy::run(),
        Some("bench") => bench::run(rest),
        Some("timer") => bench::timer::serve(), // of a benchmark, not for people
        Some("fuzz") => fuzz::run(rest),
        Some("vm-test") => vm::run(rest),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

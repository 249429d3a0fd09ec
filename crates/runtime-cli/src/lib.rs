//! The command line that engines expect of an OCI runtime: runc's, flag for flag.
//!
//! ```text
//! argv ──flags──▶ Typed ──command──▶ request ──bundle──▶ data ──▶ stdout
//!                   └──────────── Mistake, Error ──log──▶ stderr or --log, exit code
//! ```
//!
//! It prints and reads the environment; it decides nothing of what a container is. There is no
//! start-up work: an engine runs three commands or more for each container.

mod command;
mod flags;
mod log;

use std::ffi::OsString;

/// Runs the command line (without the program's name) and gives the exit code.
pub fn main(args: impl Iterator<Item = OsString>) -> i32 {
    if let Some(step) = std::env::var_os("HULL_KILL_AT") {
        sys::step::kill_at(step.to_string_lossy().into_owned());
    }
    command::dispatch(args.collect())
}

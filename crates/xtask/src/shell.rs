//! Running other programs and saying so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A chore's result: nothing, or a line for the user.
pub(crate) type Done = Result<(), String>;

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/xtask lies in the workspace")
        .to_owned()
}

/// The static binary of `cargo build --release`.
pub(crate) fn release_hull() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    target.join(format!("{}-unknown-linux-gnu/release/hull", std::env::consts::ARCH))
}

/// Builds it.
pub(crate) fn build_hull() -> Done {
    must(&mut cargo(&["build", "--release", "--quiet", "--package", "hull"]))
}

/// A shell script in a directory.
pub(crate) fn sh(dir: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(dir);
    command
}

/// cargo, as the one that runs this.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs to the end; its failure is ours.
pub(crate) fn must(command: &mut Command) -> Done {
    eprintln!("+ {}", shown(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` failed: {status}", shown(command))),
        Err(error) => Err(format!("`{}`: {error}", shown(command))),
    }
}

/// Runs to the end without a word, except of why it failed.
pub(crate) fn quietly(command: &mut Command) -> Done {
    let done =
        command.stdin(Stdio::null()).output().map_err(|error| format!("`{}`: {error}", shown(command)))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim_end().to_owned();
    Err(format!("`{}` failed: {}: {said}", shown(command), done.status))
}

/// Its standard output, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Is a program there?
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|dir| dir.join(program).is_file())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The number after a flag.
pub(crate) fn value_of(args: &[String], flag: &str) -> Option<u64> {
    let place = args.iter().position(|arg| arg == flag)?;
    args.get(place + 1)?.parse().ok()
}

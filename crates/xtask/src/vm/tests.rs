//! hull's own tests, as programs that a machine runs.

use crate::shell::cargo;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;

/// They are static, as hull is, and know where hull lies from when they were built.
pub(super) struct Tests {
    pub(super) programs: Vec<(String, PathBuf)>,
    pub(super) hull: PathBuf,
}

impl Tests {
    /// Builds some of `crates/hull/tests`.
    pub(super) fn build(names: &[&str]) -> Result<Self, String> {
        let mut build = cargo(&["test", "--no-run", "--quiet", "--package", "hull", "--message-format=json"]);
        names.iter().for_each(|name| {
            build.args(["--test", name]);
        });
        let built = build.stderr(Stdio::inherit()).output().map_err(|error| format!("run cargo: {error}"))?;
        let messages = String::from_utf8_lossy(&built.stdout);
        let made: Vec<_> = messages.lines().filter_map(executable).collect();
        let place = |kind: &str, name: &str| {
            let found = made.iter().find(|(is, called, _)| is == kind && called == name);
            found.map(|(_, _, path)| path.clone()).ok_or_else(|| format!("cargo built no {kind} `{name}`"))
        };
        let programs: Result<_, String> =
            names.iter().map(|name| Ok(((*name).to_owned(), place("test", name)?))).collect();
        Ok(Self { programs: programs?, hull: place("bin", "hull")? })
    }
}

/// Kind, name and path of a program that cargo tells of.
fn executable(line: &str) -> Option<(String, String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let (target, path) = (message.get("target")?, message.get("executable")?.as_str()?);
    let word = |value: &Value| value.as_str().map(str::to_owned);
    Some((word(target.get("kind")?.get(0)?)?, word(target.get("name")?)?, path.into()))
}

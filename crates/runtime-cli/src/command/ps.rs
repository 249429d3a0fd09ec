//! `ps`

use super::{Caller, Done, Failure};
use crate::flags::{Syntax, Typed, mistake, value};
use std::io::Write;
use std::process::Command;

pub(super) const PS: Syntax = Syntax {
    name: "ps",
    rest: "CONTAINER-ID [PS-OPTION...]",
    about: "print the processes of a container",
    flags: &[value(&["format", "f"], "FORMAT", "table or json (default: table)")],
    words: (1, usize::MAX),
    stops_after: 1,
};

pub(super) fn ps(typed: &Typed, caller: &Caller) -> Done {
    let pids = caller.root.open(&typed.words[0])?.processes()?;
    let text = match typed.last("format").unwrap_or("table") {
        "json" => format!("{}\n", serde_json::json!(pids)),
        "table" => table(&pids, &typed.words[1..])?,
        _ => return Ok(mistake("invalid format option")?),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// What the host's ps(1) has to say about them.
fn table(pids: &[i32], options: &[String]) -> Result<String, Failure> {
    let mut ps = Command::new("ps");
    match options {
        [] => ps.arg("-ef"),
        some => ps.args(some),
    };
    let output = ps.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Ok(mistake(format!("ps: {}: {}", output.status, why.trim()))?);
    }
    match filter(&said, pids) {
        Some(text) => Ok(text),
        None => Ok(mistake("couldn't find PID field in ps output")?),
    }
}

/// The head, and the lines of these processes.
fn filter(said: &str, pids: &[i32]) -> Option<String> {
    let head = said.lines().next()?;
    let column = head.split_whitespace().position(|title| title == "PID")?;
    let is_theirs = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    let lines = std::iter::once(head).chain(said.lines().skip(1).filter(is_theirs));
    Some(lines.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn only_lines_of_the_container_are_left() {
        let said = "UID PID CMD\nroot 1 init\nroot 12 sh -c 1\nroot 2 x\n";
        assert_eq!(filter(said, &[12]).unwrap(), "UID PID CMD\nroot 12 sh -c 1\n");
        assert_eq!(filter("A B\n", &[1]), None);
    }
}

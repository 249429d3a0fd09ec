//! `hull doctor`: what this host can and cannot isolate.

use crate::Caller;
use crate::edge::Done;
use crate::flags::{Syntax, Typed, switch};
use crate::render::{Screen, line, put};
use crate::sheet::{self, Mark, Row, Section};
use engine::doctor::{Finding, Verdict};
use serde_json::json;

pub(super) const SYNTAX: Syntax = Syntax {
    name: "doctor",
    rest: "",
    about: "What this host can and cannot isolate, what is lost by it, and the command that mends it. The exit code is 1 if something that isolates is not there.",
    flags: &[switch("json", "As JSON"), switch("quiet", "Only what is not well").or('q')],
    examples: &[
        "hull doctor",
        "hull doctor --json | jq -r '.findings[] | select(.verdict != \"ok\") | .mend'",
    ],
    words: (0, 0),
    stops: false,
};

pub(super) fn doctor(typed: &Typed, caller: &Caller) -> Done {
    caller.check_root()?;
    let mut all = engine::doctor::examine(&caller.root, &caller.run)?;
    let code = i32::from(all.iter().any(|one| one.verdict == Verdict::No));
    let summary = summary(&all);
    if typed.is_on("quiet") {
        all.retain(|one| one.verdict != Verdict::Ok);
    }
    match typed.is_on("json") {
        true => line(&format!("{:#}", json!({"ok": code == 0, "findings": all})))?,
        false => put(&format!("{}{summary}\n", shown(&all, Screen::of_output())))?,
    }
    Ok(code)
}

fn summary(all: &[Finding]) -> String {
    let count = |verdict| all.iter().filter(|one| one.verdict == verdict).count();
    format!("{} ok, {} warn, {} no", count(Verdict::Ok), count(Verdict::Warn), count(Verdict::No))
}

/// A section for each area, and a line between them and what follows.
fn shown(all: &[Finding], screen: Screen) -> String {
    let areas = all.chunk_by(|one, other| one.area == other.area);
    let section = |findings: &[Finding]| Section {
        title: findings[0].area,
        summary: String::new(),
        rows: findings.iter().map(row).collect(),
    };
    let text = sheet::text(&areas.map(section).collect::<Vec<_>>(), screen);
    if text.is_empty() { text } else { text + "\n" }
}

fn row(one: &Finding) -> Row {
    let (mark, word) = match one.verdict {
        Verdict::Ok => (Mark::Good, "ok"),
        Verdict::Warn => (Mark::Warn, "warn"),
        Verdict::No => (Mark::Bad, "no"),
    };
    let more = [("lost", &one.lost), ("mend", &one.mend)].into_iter().filter(|(_, text)| !text.is_empty());
    Row::new(mark, word, format!("{}: {}", one.what, one.is))
        .with(more.map(|(word, text)| format!("{word}: {text}")).collect())
}

//! `hull explain`: what isolates a container.

mod drawing;
mod html;
mod sections;

use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch};
use crate::render::{Screen, put};
use crate::sheet::{self, Mark, Row, Section};
use engine::explain::{Difference, Explanation, differences};
pub(in crate::command) use html::escape;

pub(super) const SYNTAX: Syntax = Syntax {
    name: "explain",
    rest: "CONTAINER [CONTAINER]",
    about: "What isolates a container from the host and its neighbours, as the kernel has it: of one that does not run, what it would have.",
    flags: &[
        switch("json", "As JSON; docs/explain.schema.json says what is in it"),
        switch("html", "As one page for a browser"),
        switch("diff", "Where two containers differ"),
    ],
    examples: &["hull explain web", "hull explain --html web > web.html", "hull explain --diff web db"],
    words: (1, 2),
    stops: false,
};

pub(super) fn explain(typed: &Typed, caller: &Caller) -> Done {
    let (json, html, diff) = (typed.is_on("json"), typed.is_on("html"), typed.is_on("diff"));
    let engine = caller.look()?;
    let one = |name: &String| Ok::<_, Failure>(engine.explain(name)?);
    match (typed.words.as_slice(), diff) {
        ([name], false) => shown(&one(name)?, json, html)?,
        ([first, second], true) => compared(&one(first)?, &one(second)?, json)?,
        (_, true) => return Err(Mistake::new("--diff compares two containers").into()),
        (_, false) => {
            return Err(Mistake::new("one container at a time").with_hint("--diff compares two").into());
        }
    }
    Ok(0)
}

fn shown(it: &Explanation, json: bool, html: bool) -> Result<(), Failure> {
    match (json, html) {
        (true, true) => Err(Mistake::new("--json or --html, not both").into()),
        (true, _) => put(&pretty(it)?),
        (_, true) => put(&html::page(it, &sections::all(it))),
        _ => put(&sheet::text(&sections::all(it), Screen::of_output())),
    }
}

fn pretty(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(std::io::Error::from)? + "\n")
}

fn compared(one: &Explanation, other: &Explanation, json: bool) -> Result<(), Failure> {
    let found = differences(one, other);
    if json {
        return put(&pretty(&found)?);
    }
    let (a, b) = (&one.container.name, &other.container.name);
    let row = |it: &Difference| {
        Row::new(Mark::Warn, &it.what, format!("{a}: {}", it.one)).with(vec![format!("{b}: {}", it.other)])
    };
    let summary = match found.len() {
        0 => format!("{a} and {b} are isolated alike"),
        count => format!("{count} between {a} and {b}"),
    };
    let section = Section { title: "Differences", summary, rows: found.iter().map(row).collect() };
    put(&sheet::text(&[section], Screen::of_output()))
}

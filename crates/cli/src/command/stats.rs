//! `hull stats`.

use crate::Caller;
use crate::edge::Done;
use crate::fit;
use crate::flags::{Syntax, Typed, switch, value};
use crate::render::{List, binary_size, put, row, size};
use engine::stats::{Row, Stats, Watch, Watched};
use rustix::termios::{isatty, tcgetwinsize};
use serde_json::{Map, Value};
use std::time::Duration;

pub(super) const SYNTAX: Syntax = Syntax {
    name: "stats",
    rest: "[CONTAINER…]",
    about: "What containers use, again each second: CPU, memory, network, disk, processes.",
    flags: &[
        switch("all", "Those that do not run, too").or('a'),
        value("format", "FORMAT", "table, json, a Go template, or 'table TEMPLATE'"),
        switch("no-stream", "Only once"),
        switch("no-trunc", "Whole ids"),
    ],
    examples: &["hull stats --no-stream --format '{{.Name}} {{.MemUsage}}'"],
    words: (0, usize::MAX),
    stops: false,
};

const COLUMNS: [(&str, &str); 8] = [
    ("CONTAINER ID", "ID"),
    ("NAME", "Name"),
    ("CPU %", "CPUPerc"),
    ("MEM USAGE / LIMIT", "MemUsage"),
    ("MEM %", "MemPerc"),
    ("NET I/O", "NetIO"),
    ("BLOCK I/O", "BlockIO"),
    ("PIDS", "PIDs"),
];

/// Between the first two looks. A CPU's time is counted in nanoseconds: that much tells.
const FIRST: Duration = Duration::from_millis(200);

/// Between the others.
const LATER: Duration = Duration::from_secs(1);

pub(super) fn stats(typed: &Typed, caller: &Caller) -> Done {
    let watched = match (typed.words.as_slice(), typed.is_on("all")) {
        ([], true) => Watched::All,
        ([], false) => Watched::Running,
        (names, _) => Watched::Named(names.to_vec()),
    };
    let engine = caller.look()?;
    let mut watch = engine.watch(watched);
    let page = Page::new(typed);
    watch.look()?;
    std::thread::sleep(FIRST);
    let first = watch.look_again();
    if typed.is_on("no-stream") {
        return page.list(&first).show(page.format).map(|()| 0);
    }
    page.follow(first, &mut watch)
}

/// How it is shown.
struct Page<'a> {
    format: Option<&'a str>,
    whole: bool,
}

impl<'a> Page<'a> {
    fn new(typed: &'a Typed) -> Self {
        Self { format: typed.filled("format"), whole: typed.is_on("no-trunc") }
    }

    fn list(&self, rows: &[Row]) -> List<'static> {
        List { columns: &COLUMNS, rows: rows.iter().map(|row| fields(row, self.whole)).collect() }
    }

    /// Until nobody looks any more.
    fn follow(&self, mut rows: Vec<Row>, watch: &mut Watch<'_>) -> Done {
        loop {
            let text = self.list(&rows).shown(self.format)?;
            match room() {
                Some(room) => put(&screen(&text, room))?,
                None => put(&text)?,
            }
            std::thread::sleep(LATER);
            rows = watch.look()?;
        }
    }
}

/// Columns and lines of the terminal that it is shown on.
fn room() -> Option<(usize, usize)> {
    let output = rustix::stdio::stdout();
    let size = tcgetwinsize(output).ok().filter(|_| isatty(output))?;
    let or = |number: u16, default| if number == 0 { default } else { usize::from(number) };
    Some((or(size.ws_col, 80), or(size.ws_row, 24)))
}

/// Over what was there, line by line and in one write: nothing flickers. What has no room is counted.
fn screen(text: &str, (columns, lines): (usize, usize)) -> String {
    let all: Vec<_> = text.lines().collect();
    let fit = if all.len() < lines { all.len() } else { lines.saturating_sub(2) };
    let mut screen = String::from("\x1b[H");
    for line in &all[..fit] {
        screen += &format!("{}\x1b[K\n", fit::head(line, columns));
    }
    if fit < all.len() {
        screen += &format!("… and {} more\x1b[K\n", all.len() - fit);
    }
    screen + "\x1b[J"
}

/// docker's words.
fn fields(one: &Row, whole: bool) -> Map<String, Value> {
    let id = if whole { one.id.to_string() } else { one.id.short() };
    let stats = one.stats.unwrap_or(Stats { block: Some((0, 0)), ..Stats::default() });
    let pair = |(one, other): (u64, u64)| format!("{} / {}", size(one), size(other));
    row([
        ("Container", one.asked.clone().into()),
        ("ID", id.into()),
        ("Name", one.name.clone().into()),
        ("CPUPerc", format!("{:.2}%", stats.cpu.unwrap_or(0.0)).into()),
        ("MemUsage", format!("{} / {}", binary_size(stats.memory), binary_size(stats.memory_limit)).into()),
        ("MemPerc", format!("{:.2}%", stats.memory_share()).into()),
        ("NetIO", pair(stats.network).into()),
        ("BlockIO", stats.block.map_or_else(|| "--".into(), pair).into()),
        ("PIDs", stats.pids.to_string().into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_has_what_fits() {
        assert_eq!(screen("ab\ncd\n", (80, 24)), "\x1b[Hab\x1b[K\ncd\x1b[K\n\x1b[J");
        assert_eq!(
            screen("abcdef\n1\n2\n3\n4\n", (3, 4)),
            "\x1b[Habc\x1b[K\n1\x1b[K\n… and 3 more\x1b[K\n\x1b[J"
        );
    }
}

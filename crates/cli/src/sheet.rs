//! A page of facts in groups, for a terminal or a file: marks, labels, and words that are wrapped.

use crate::fit::{head, width as wide};
use crate::render::Screen;
use std::fmt::Write;

/// How a fact is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It protects.
    Good,
    /// It is so.
    Plain,
    /// It could be better.
    Warn,
    /// It does not protect.
    Bad,
}

/// One fact.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) mark: Mark,
    pub(crate) label: String,
    pub(crate) text: String,
    /// Further lines below.
    pub(crate) more: Vec<String>,
}

impl Row {
    pub(crate) fn new(mark: Mark, label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { mark, label: label.into(), text: text.into(), more: Vec::new() }
    }

    pub(crate) fn plain(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(Mark::Plain, label, text)
    }

    pub(crate) fn with(self, more: Vec<String>) -> Self {
        Self { more, ..self }
    }
}

/// Facts under a heading.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// The whole in a line.
    pub(crate) summary: String,
    pub(crate) rows: Vec<Row>,
}

/// Columns where nobody says how many there are.
const WIDTH: usize = 80;
/// A label is no wider, or the words begin below it.
const LABEL: usize = 22;

/// The sections as text: in 80 columns, or those of the terminal if they are fewer.
pub(crate) fn text(sections: &[Section], screen: Screen) -> String {
    let width = screen.columns.unwrap_or(WIDTH).clamp(40, WIDTH);
    let mut text = String::new();
    for section in sections {
        let gap = if text.is_empty() { "" } else { "\n" };
        let title = screen.paint("1", section.title);
        let _ = write!(text, "{gap}{title}");
        let indent = wide(section.title) + 2;
        match section.summary.is_empty() {
            true => text.push('\n'),
            false => wrap(&mut text, "  ", &section.summary, (indent, 2), width),
        }
        rows(&mut text, &section.rows, screen, width);
    }
    text
}

fn rows(text: &mut String, rows: &[Row], screen: Screen, width: usize) {
    let widest = rows.iter().map(|row| wide(&row.label)).filter(|width| *width <= LABEL).max();
    let column = widest.unwrap_or(0) + 4;
    for row in rows {
        let label = screen.paint(color(row.mark), &folded(&row.label, width - 2));
        let length = wide(&row.label);
        let _ = write!(text, "  {label}");
        let pad = if length <= LABEL { " ".repeat(column - 2 - length) } else { format!("\n{:column$}", "") };
        match row.text.is_empty() {
            true => text.push('\n'),
            false => wrap(text, &pad, &row.text, (column, column), width),
        }
        row.more.iter().for_each(|line| wrap(text, &" ".repeat(column), line, (column, column + 2), width));
    }
}

/// A label that is longer than a line is cut into several.
fn folded(label: &str, width: usize) -> String {
    let mut lines = vec![head(label, width)];
    let mut rest = &label[lines[0].len()..];
    while !rest.is_empty() {
        let line = some(rest, width);
        lines.push(line);
        rest = &rest[line.len()..];
    }
    lines.join("\n  ")
}

/// What fits, and one letter at least.
fn some(text: &str, room: usize) -> &str {
    let fits = head(text, room);
    let one = text.chars().next().map_or(0, char::len_utf8);
    if fits.is_empty() { &text[..one] } else { fits }
}

fn color(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "32",
        Mark::Plain => "0",
        Mark::Warn => "33",
        Mark::Bad => "31",
    }
}

/// Words after a lead, from a column on; what goes on in a further line begins at the second column. A word that is
/// longer than a line is cut.
fn wrap(text: &mut String, lead: &str, words: &str, (first, next): (usize, usize), width: usize) {
    text.push_str(lead);
    let (mut at, mut is_first) = (first, true);
    for mut word in words.split_whitespace() {
        if !is_first && at + 1 + wide(word) > width {
            let _ = write!(text, "\n{:next$}", "");
            at = next;
        } else if !is_first {
            text.push(' ');
            at += 1;
        }
        while at + wide(word) > width {
            let line = some(word, width.saturating_sub(at));
            let _ = write!(text, "{line}\n{:next$}", "");
            word = &word[line.len()..];
            at = next;
        }
        at += wide(word);
        text.push_str(word);
        is_first = false;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(columns: usize) -> String {
        let row = Row::new(
            Mark::Bad,
            "a label",
            "some words that go on and on until they do not fit any more, for sure",
        )
        .with(vec![
            "more of it, and so long that it is in two lines, the second of which is indented".into(),
        ]);
        let long = Row::plain("a-label-that-is-far-too-long-for-its-column", "x".repeat(100));
        let rows = vec![row, long];
        let summary = "a summary that goes on until it does not fit into its line any more either".into();
        text(&[Section { title: "Title", summary, rows }], Screen { columns: Some(columns), colored: false })
    }

    #[test]
    fn every_line_fits() {
        for columns in [40, 60, 80, 200] {
            let page = page(columns);
            assert!(page.lines().all(|line| line.chars().count() <= columns.min(80)), "{columns}:\n{page}");
        }
    }

    #[test]
    fn words_stand_below_each_other() {
        let page = page(80);
        let lines: Vec<_> = page.lines().skip_while(|line| !line.contains("a label")).collect();
        assert!(lines[0].starts_with("  a label  some words"), "{page}");
        assert!(lines[1].starts_with("           ") && !lines[1].starts_with("            "), "{page}");
    }

    #[test]
    fn only_a_terminal_has_colours() {
        let screen = |colored| Screen { columns: None, colored };
        let sections =
            [Section { title: "T", summary: String::new(), rows: vec![Row::new(Mark::Good, "l", "t")] }];
        assert!(text(&sections, screen(true)).contains("\u{1b}[32m"));
        assert_eq!(text(&sections, screen(false)), "T\n  l  t\n");
    }
}

//! Tables on a terminal: each row stays one line, and states have colours. What scripts read is [`template::table`]'s.

use crate::render::Screen;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Which end of a cell is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    /// Of `registry.example:5000/team/app:v1` the end says most.
    Last,
}

/// Columns that give way in this order: heading, the least that they keep, and of what. Ids never do.
const GIVING: [(&str, usize, End); 11] = [
    ("COMMAND", 8, End::First),
    ("CREATED BY", 20, End::First),
    ("COMMENT", 8, End::First),
    ("PORTS", 10, End::First),
    ("DIGEST", 19, End::First),
    ("IMAGE", 12, End::Last),
    ("REPOSITORY", 14, End::Last),
    ("CREATED", 9, End::First),
    ("STATUS", 10, End::First),
    ("TAG", 8, End::First),
    ("NAMES", 12, End::First),
];

/// Blanks between columns, and the least a column has where there is room: docker's.
const GAP: usize = 3;
const LEAST: usize = 10;
/// Blanks between columns where there is none.
const NARROW: usize = 2;

/// Columns of the screen that a text takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// As much of a text's beginning as fits.
pub(crate) fn head(text: &str, room: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > room
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// As much of a text's end as fits.
fn tail(text: &str, room: usize) -> &str {
    let mut taken = 0;
    let start = text.char_indices().rev().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > room
    });
    start.map_or(text, |(start, c)| &text[start + c.len_utf8()..])
}

/// A cell in its column.
fn cut(cell: &str, room: usize, kept: End) -> String {
    match (width(cell) > room, kept) {
        (false, _) => cell.to_owned(),
        (true, End::First) => format!("{}…", head(cell, room.saturating_sub(1))),
        (true, End::Last) => format!("…{}", tail(cell, room.saturating_sub(1))),
    }
}

/// Rows, of which the first are the headings, for a screen. Where there is no room, columns without a word go first.
pub(crate) fn table(rows: &[Vec<String>], screen: Screen, whole: bool) -> String {
    let room = screen.columns.filter(|_| !whole).unwrap_or(usize::MAX);
    let is_wide = padded(&widths(rows)) <= room;
    if is_wide { laid(rows, room, screen) } else { laid(&filled(rows), room, screen) }
}

/// The columns in which there is something.
fn filled(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let is_filled = |column: usize| rows.iter().skip(1).any(|row| !row[column].is_empty());
    let row = |row: &Vec<String>| {
        row.iter()
            .enumerate()
            .filter(|(column, _)| is_filled(*column))
            .map(|(_, cell)| cell.clone())
            .collect()
    };
    rows.iter().map(row).collect()
}

/// The widest cell of each column.
fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let count = rows.first().map_or(0, Vec::len);
    (0..count).map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0)).collect()
}

fn laid(rows: &[Vec<String>], room: usize, screen: Screen) -> String {
    let Some(headings) = rows.first() else { return String::new() };
    let mut widths = widths(rows);
    let is_wide = padded(&widths) <= room;
    let gap = if is_wide { GAP } else { NARROW };
    if is_wide {
        widths.iter_mut().for_each(|width| *width = (*width).max(LEAST - GAP));
    } else {
        give_way(headings, &mut widths, room);
    }
    let line = |(at, row): (usize, &Vec<String>)| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let shown = cut(cell, widths[column], kept(&headings[column]));
            let pad = if column + 1 < row.len() { widths[column] + gap - width(&shown) } else { 0 };
            screen.paint(if at == 0 { "1" } else { color(&headings[column], cell) }, &shown)
                + &" ".repeat(pad)
        });
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().enumerate().map(line).collect()
}

/// What a row takes with docker's padding.
fn padded(widths: &[usize]) -> usize {
    let last = widths.last().copied().unwrap_or(0);
    let before = &widths[..widths.len().saturating_sub(1)];
    before.iter().map(|width| (width + GAP).max(LEAST)).sum::<usize>() + last
}

fn give_way(headings: &[String], widths: &mut [usize], room: usize) {
    for (heading, least, _) in GIVING {
        let taken = widths.iter().sum::<usize>() + NARROW * widths.len().saturating_sub(1);
        let over = taken.saturating_sub(room);
        if let Some(at) = headings.iter().position(|one| one == heading) {
            widths[at] -= over.min(widths[at].saturating_sub(least));
        }
    }
}

fn kept(heading: &str) -> End {
    GIVING.iter().find(|(one, ..)| *one == heading).map_or(End::First, |(_, _, kept)| *kept)
}

/// How a container does, in docker's words.
fn color(heading: &str, cell: &str) -> &'static str {
    let is_failed = cell.starts_with("Exited (") && !cell.starts_with("Exited (0)");
    match heading {
        "STATUS" | "STATE" => {}
        _ => return "0",
    }
    match cell {
        _ if is_failed || cell.starts_with("Dead") || cell.contains("(unhealthy)") => "31",
        _ if cell.contains("(Paused)")
            || cell.starts_with("Restarting")
            || cell.contains("(health: starting)") =>
        {
            "33"
        }
        _ if cell.starts_with("Up ") => "32",
        _ => "0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    fn ps() -> Vec<Vec<String>> {
        rows(&[
            &["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"],
            &[
                "0123456789ab",
                "registry.example:5000/team/app:v1",
                "\"sh -c 'sleep 1000'\"",
                "2 minutes ago",
                "Up 2 minutes",
                "",
                "web",
            ],
            &[
                "ba9876543210",
                "bb",
                "\"sh\"",
                "About an hour ago",
                "Exited (1) 5 minutes ago",
                "",
                "a_rather_long_name",
            ],
        ])
    }

    fn screen(columns: usize) -> Screen {
        Screen { columns: Some(columns), colored: false }
    }

    #[test]
    fn where_there_is_room_it_is_dockers_table() {
        assert_eq!(table(&ps(), screen(300), false), template::table::table(&ps(), 10));
        assert_eq!(table(&ps(), screen(40), true), template::table::table(&ps(), 10), "--no-trunc");
    }

    #[test]
    fn columns_give_way_in_order_and_ids_never() {
        for columns in [80, 90, 100, 120, 140] {
            let text = table(&ps(), screen(columns), false);
            assert!(text.lines().all(|line| width(line) <= columns), "{columns}:\n{text}");
            assert!(text.contains("0123456789ab  ") && text.contains("ba9876543210  "), "{text}");
        }
        let text = table(&ps(), screen(140), false);
        assert!(!text.contains("PORTS"), "nobody has any:\n{text}");
        assert!(text.contains("registry.example:5000/team/app:v1"), "the command goes first:\n{text}");
        assert!(
            table(&ps(), screen(110), false).contains("  …ple:5000/team/app:v1"),
            "{}",
            table(&ps(), screen(110), false)
        );
    }

    #[test]
    fn wide_letters_take_two_columns() {
        let rows = rows(&[&["NAMES", "X"], &["容器容器", "x"], &["é", "x"]]);
        let lines: Vec<_> = table(&rows, screen(80), false).lines().map(str::to_owned).collect();
        let columns: Vec<_> = lines[1..].iter().map(|line| width(line.trim_end_matches('x'))).collect();
        assert_eq!(columns, [11, 11]);
        assert_eq!(
            (head("容器", 3), tail("容器", 3), cut("容器容器", 5, End::First).as_str()),
            ("容", "器", "容器…")
        );
    }

    #[test]
    fn states_have_colours() {
        let told = |cell: &str| color("STATUS", cell);
        assert_eq!(
            [
                "Up 2 hours",
                "Up 2 hours (Paused)",
                "Exited (0) 1 second ago",
                "Exited (3) 1 second ago",
                "Created"
            ]
            .map(told),
            ["32", "33", "0", "31", "0"]
        );
        assert_eq!(color("NAMES", "Up "), "0");
        let text = table(&ps(), Screen { columns: Some(300), colored: true }, false);
        assert!(text.contains("\u{1b}[32mUp 2 minutes\u{1b}[0m"), "{text}");
        let mut well = ps();
        well[1][4] = "Exited (0) 5 minutes ago".into();
        let text = table(&well[..2], Screen { columns: Some(70), colored: true }, false);
        assert!(text.contains("  Exited (0) 5 …  "), "what is cut has the colour of the whole: {text}");
    }
}

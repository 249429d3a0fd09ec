//! Help that is read: grouped, in 80 columns.

use crate::flags::{Flag, Syntax};
use std::fmt::Write;

const WIDTH: usize = 80;
/// Where a flag's words begin.
const COLUMN: usize = 33;

/// The help of one command.
pub(crate) fn command(syntax: &Syntax) -> String {
    let flags = if syntax.flags.is_empty() { "" } else { "[FLAGS] " };
    let mut text = format!("Usage: hull {} {flags}{}\n\n", syntax.name, syntax.rest);
    text = text.trim_end_matches([' ', '\n']).to_owned() + "\n\n";
    words(&mut text, syntax.about, 0);
    if !syntax.examples.is_empty() {
        text += "\nExamples:\n";
    }
    for example in syntax.examples {
        let _ = writeln!(text, "  {example}");
    }
    let mut heading = None;
    for flag in syntax.flags {
        if heading != Some(flag.group) {
            let _ = write!(text, "\n{}:\n", if flag.group.is_empty() { "Flags" } else { flag.group });
            heading = Some(flag.group);
        }
        line(&mut text, flag);
    }
    text
}

/// A command of a group, in a line or more.
pub(crate) fn entry(name: &str, about: &str) -> String {
    let mut text = format!("  {name:10}");
    words(&mut text, about, 12);
    text
}

fn line(text: &mut String, flag: &Flag) {
    let short = flag.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
    let head = format!("  {short}--{}{value}", flag.long);
    if head.chars().count() < COLUMN - 1 {
        let _ = write!(text, "{head:COLUMN$}");
    } else {
        let _ = write!(text, "{head}\n{:COLUMN$}", "");
    }
    words(text, flag.help, COLUMN);
}

/// Words from a column on, wrapped; ends with a newline.
fn words(text: &mut String, sentence: &str, column: usize) {
    let mut at = column;
    for (index, word) in sentence.split_whitespace().enumerate() {
        if index > 0 && at + 1 + word.chars().count() > WIDTH {
            let _ = write!(text, "\n{:column$}", "");
            at = column;
        } else if index > 0 {
            text.push(' ');
            at += 1;
        }
        text.push_str(word);
        at += word.chars().count();
    }
    text.push('\n');
}

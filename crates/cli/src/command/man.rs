//! `hull system man`: a page for each command, from the same table as its `--help`. man(7) says what a page is made of.

use super::{COMMANDS, Command, GLOBAL, system};
use crate::Caller;
use crate::edge::Done;
use crate::flags::{Flag, Syntax, Typed};
use crate::render::line;
use std::fmt::Write;
use std::path::Path;

pub(super) const SYNTAX: Syntax = Syntax {
    rest: "DIR",
    flags: &[],
    examples: &["hull system man /usr/local/share/man", "hull system man ./man; man -l man/man1/hull-run.1"],
    words: (1, 1),
    ..system::plain(
        "system man",
        "Write manual pages of all commands into the directory man1 of a directory.",
    )
};

pub(super) fn man(typed: &Typed, caller: &Caller) -> Done {
    let directory = caller.absolute(Path::new(&typed.words[0])).join("man1");
    std::fs::create_dir_all(&directory)?;
    let pages = pages();
    for (name, text) in &pages {
        std::fs::write(directory.join(format!("{name}.1")), text)?;
    }
    line(&format!("{} pages in {}", pages.len(), directory.display()))?;
    Ok(0)
}

/// All pages by name: the whole, each command, and under its other names where it is.
pub(super) fn pages() -> Vec<(String, String)> {
    let of = |command: &'static Command| {
        let own = file(command.syntax.name);
        let others =
            command.names.iter().map(|name| file(name)).filter(|name| *name != file(command.syntax.name));
        let links: Vec<_> = others.map(|name| (name, format!(".so man1/{own}.1\n"))).collect();
        std::iter::once((file(command.syntax.name), page(command))).chain(links)
    };
    std::iter::once(("hull".to_owned(), whole())).chain(COMMANDS.iter().flat_map(of)).collect()
}

fn file(name: &str) -> String {
    format!("hull-{}", name.replace(' ', "-"))
}

/// Text as roff takes it for text: groff_char(7).
fn plain(text: &str) -> String {
    let one = |c: char| match c {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        '\'' => "\\(aq".to_owned(),
        '`' => "\\(ga".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        c if c.is_ascii() => c.to_string(),
        c => format!("\\[u{:04X}]", u32::from(c)),
    };
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(one).collect();
    // A line that begins so would be a request.
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

fn title(name: &str) -> String {
    format!(".TH {} 1 \"\" \"hull {}\" \"hull\"\n", plain(&name.to_uppercase()), env!("CARGO_PKG_VERSION"))
}

/// A sentence without its full stop, and without what comes after it.
fn first(about: &str) -> &str {
    let end = about.find([':', ';']).or_else(|| about.find(". ")).unwrap_or(about.len());
    about[..end].trim_end_matches('.')
}

fn page(command: &Command) -> String {
    let syntax = command.syntax;
    let name = file(syntax.name);
    let mut text = title(&name);
    let _ = writeln!(text, ".SH NAME\n{} \\- {}", plain(&name), plain(first(syntax.about)));
    text += ".SH SYNOPSIS\n";
    for name in command.names {
        let flags = if syntax.flags.is_empty() { "" } else { " [FLAGS]" };
        let _ =
            writeln!(text, ".B hull {}\n{}\n.br", plain(name), plain(&format!("{flags} {}", syntax.rest)));
    }
    let _ = writeln!(text, ".SH DESCRIPTION\n{}", plain(syntax.about));
    options(&mut text, syntax);
    examples(&mut text, syntax);
    codes(&mut text, syntax);
    text + ".SH SEE ALSO\n.BR hull (1)\n"
}

fn options(text: &mut String, syntax: &Syntax) {
    let mut heading = None;
    for flag in syntax.flags {
        if heading.is_none() {
            text.push_str(".SH OPTIONS\n");
        }
        if heading != Some(flag.group) && !flag.group.is_empty() {
            let _ = writeln!(text, ".SS {}", plain(flag.group));
        }
        heading = Some(flag.group);
        option(text, flag);
    }
}

fn option(text: &mut String, flag: &Flag) {
    let short = flag.short.map_or(String::new(), |letter| format!("\\fB\\-{letter}\\fR, "));
    let value = if flag.value.is_empty() { String::new() } else { format!(" \\fI{}\\fR", plain(flag.value)) };
    let _ = writeln!(text, ".TP\n{short}\\fB\\-\\-{}\\fR{value}\n{}", plain(flag.long), plain(flag.help));
}

fn examples(text: &mut String, syntax: &Syntax) {
    text.push_str(".SH EXAMPLES\n.nf\n");
    for example in syntax.examples {
        let _ = writeln!(text, "{}", plain(example));
    }
    text.push_str(".fi\n");
}

/// As [`crate::edge::code_of`] has them.
fn codes(text: &mut String, syntax: &Syntax) {
    let own: &[(&str, &str)] = match syntax.name {
        "run" => &[
            ("125", "hull could not do it"),
            ("126", "the program cannot be executed"),
            ("127", "there is no such program"),
            ("128+N", "signal N ended the program"),
            ("otherwise", "the program's own"),
        ],
        "system check" | "doctor" => {
            &[("0", "all is well"), ("1", "something is not"), ("125", "a flag was wrong")]
        }
        _ => &[("0", "it was done"), ("1", "it was not, or not all of it"), ("125", "a flag was wrong")],
    };
    text.push_str(".SH EXIT STATUS\n");
    for (code, means) in own {
        let _ = writeln!(text, ".TP\n{}\n{}", plain(code), plain(means));
    }
}

/// `hull(1)`: what there is.
fn whole() -> String {
    let mut text =
        title("hull") + ".SH NAME\nhull \\- run containers\n.SH SYNOPSIS\n.B hull\n[FLAGS] COMMAND\n";
    text += ".SH DESCRIPTION\nRuns an application with all its files, isolated by the kernel. There is no daemon.\n";
    text += ".PP\nEach command has a page of its own. docker\\(aqs names work, too.\n.SH COMMANDS\n";
    for command in COMMANDS {
        let (name, about) = (file(command.syntax.name), plain(command.syntax.about));
        let _ = writeln!(text, ".TP\n.BR {} (1)\n{about}", plain(&name));
    }
    options(&mut text, &GLOBAL);
    text += ".SH ENVIRONMENT\n.TP\n.B HULL_ROOT\nAs \\fB\\-\\-root\\fR.\n";
    text += ".TP\n.B NO_COLOR\nNo colours, whatever the terminal has.\n";
    text +=
        ".SH FILES\n.TP\n.I /var/lib/hull\nImages and containers.\n.TP\n.I /run/hull\nWhat a reboot ends.\n";
    text + ".SH SEE ALSO\n.BR namespaces (7),\n.BR cgroups (7),\n.BR capabilities (7)\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_stays_text() {
        assert_eq!(plain("a-b \\ 'c'"), "a\\-b \\e \\(aqc\\(aq");
        assert_eq!(plain(".TH µ…"), "\\&.TH \\[u00B5]\\[u2026]");
    }

    #[test]
    fn each_page_is_there_once_and_ends() {
        let pages = pages();
        let mut names: Vec<_> = pages.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), pages.len());
        assert!(pages.iter().all(|(_, text)| text.is_ascii() && text.ends_with('\n')));
    }
}

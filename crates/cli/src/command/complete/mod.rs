//! `hull completion`, and what the scripts it writes ask: `hull __complete -- WORDS`.
//!
//! The scripts know no verb and no flag. They hand over what was typed, the last word being the one to be completed, and
//! get a candidate on each line, with what it is behind a tab, and at the end what else the shell may put there:
//!
//! ```text
//! web ⇥ running, debian:bookworm
//! :words            only these | :open  no blank follows | :files | :directories
//! ```

mod values;

use super::{COMMANDS, Command, GLOBAL, GROUPS, find};
use crate::Caller;
use crate::edge::Done;
use crate::flags::{Flag, Mistake, Syntax, Typed};
use crate::render::put;

pub(super) const SYNTAX: Syntax = Syntax {
    name: "completion",
    rest: "bash|zsh|fish",
    about: "A shell's script that completes commands, flags, and names of containers and images.",
    flags: &[],
    examples: &[
        "source <(hull completion bash)",
        "hull completion bash > /etc/bash_completion.d/hull",
        "hull completion zsh > /usr/local/share/zsh/site-functions/_hull",
        "hull completion fish > /etc/fish/completions/hull.fish",
    ],
    words: (1, 1),
    stops: false,
};

pub(super) fn completion(typed: &Typed, _caller: &Caller) -> Done {
    match typed.words[0].as_str() {
        "bash" => put(include_str!("hull.bash"))?,
        "zsh" => put(include_str!("hull.zsh"))?,
        "fish" => put(include_str!("hull.fish"))?,
        other => return Err(Mistake::new(format!("no script for `{other}`: bash, zsh, fish")).into()),
    }
    Ok(0)
}

/// The word by which the scripts ask.
pub(super) const ASK: &str = "__complete";

/// Candidates, and what else there may be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    /// A word, and what it is.
    words: Vec<(String, String)>,
    then: Then,
}

/// What a shell puts there besides the candidates.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing.
    #[default]
    Words,
    /// Nothing, and no blank behind: the word goes on.
    Open,
    /// Files.
    Files,
    /// Directories.
    Directories,
}

impl Answer {
    fn text(&self) -> String {
        let line = |(word, about): &(String, String)| {
            let about: String = about.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            format!("{word}\t{about}\n")
        };
        let then = match self.then {
            Then::Words => "words",
            Then::Open => "open",
            Then::Files => "files",
            Then::Directories => "directories",
        };
        self.words.iter().map(line).collect::<String>() + ":" + then + "\n"
    }

    /// Only those that go on as was typed. Where all that is left goes on, no blank follows.
    fn beginning(mut self, typed: &str) -> Self {
        self.words.retain(|(word, _)| word.starts_with(typed) && word.lines().count() == 1);
        let goes_on = |(word, _): &(String, String)| word.ends_with(['=', ':']);
        if self.then == Then::Words && !self.words.is_empty() && self.words.iter().all(goes_on) {
            self.then = Then::Open;
        }
        self
    }

    /// The same words behind what was typed before them.
    fn behind(mut self, lead: &str) -> Self {
        self.words.iter_mut().for_each(|(word, _)| word.insert_str(0, lead));
        self
    }
}

/// Answers a script. Whatever cannot be read offers nothing.
pub(super) fn answer(words: &[String]) -> Done {
    let words = words.strip_prefix(&["--".to_owned()]).unwrap_or(words);
    let Some((last, before)) = words.split_last() else { return Ok(1) };
    put(&answered(before, last).text())?;
    Ok(0)
}

fn answered(before: &[String], last: &str) -> Answer {
    let global = Seen::of(&GLOBAL, before);
    let caller = Caller::new(global.root.clone().map(Into::into));
    let line: Vec<&str> = global.words.iter().map(String::as_str).collect();
    let found = line.first().and_then(|first| find(&super::path(first, line.get(1).copied())));
    match (found, line.as_slice()) {
        (Some((command, length)), _) => argument(command.syntax, &global.words[length..], last, &caller),
        (None, []) => argument(&GLOBAL, before, last, &caller),
        (None, ["help"]) => verbs().beginning(last),
        (None, [group]) if GROUPS.contains(group) => verbs_of(group).beginning(last),
        (None, _) => Answer::default(),
    }
}

/// What may follow a command's name.
fn argument(syntax: &Syntax, before: &[String], last: &str, caller: &Caller) -> Answer {
    let seen = Seen::of(syntax, before);
    match (seen.open, last.split_once('=')) {
        (Some(flag), _) => values::of(flag, last, caller).beginning(last),
        (None, Some((name, typed))) if !seen.ended && name.starts_with("--") => {
            let flag = syntax.flags.iter().find(|flag| flag.long == &name[2..] && !flag.value.is_empty());
            let answer = flag.map(|flag| values::of(flag, typed, caller).beginning(typed));
            answer.unwrap_or_default().behind(&format!("{name}="))
        }
        (None, None) if !seen.ended && last.starts_with('-') => flags(syntax).beginning(last),
        (None, _) if syntax.name.is_empty() => verbs().beginning(last),
        (None, _) => values::word(syntax, &seen.words, last, caller).beginning(last),
    }
}

/// What was typed before the word that is to be completed.
#[derive(Debug, Default)]
struct Seen {
    /// A flag that waits for its value.
    open: Option<&'static Flag>,
    /// Words that are no flags.
    words: Vec<String>,
    /// No flag can follow.
    ended: bool,
    /// `--root`
    root: Option<String>,
}

impl Seen {
    fn of(syntax: &Syntax, before: &[String]) -> Self {
        before.iter().fold(Self::default(), |seen, word| seen.with(syntax, word))
    }

    fn with(mut self, syntax: &Syntax, word: &str) -> Self {
        if let Some(flag) = self.open.take() {
            self.root = (flag.long == "root").then(|| word.to_owned()).or(self.root);
        } else if self.ended || !word.starts_with('-') || word == "-" {
            self.words.push(word.to_owned());
            self.ended |= syntax.stops;
        } else if word == "--" {
            self.ended = true;
        } else if let Some(root) = word.strip_prefix("--root=") {
            self.root = Some(root.to_owned());
        } else {
            self.open = waiting(syntax, word);
        }
        self
    }
}

/// The flag of a word whose value is the next: `--name`, `-e`, the last letter of `-ite`.
fn waiting(syntax: &Syntax, word: &str) -> Option<&'static Flag> {
    let mut flags = syntax.flags.iter();
    if let Some(long) = word.strip_prefix("--") {
        return flags.find(|flag| flag.long == long && !flag.value.is_empty());
    }
    // A value may stand right behind its letter, and then nothing is waited for.
    let takes =
        |letter| syntax.flags.iter().find(|flag| flag.short == Some(letter) && !flag.value.is_empty());
    let (at, flag) = word.char_indices().skip(1).find_map(|(at, letter)| Some((at, takes(letter)?)))?;
    (at + 1 == word.len()).then_some(flag)
}

fn flags(syntax: &Syntax) -> Answer {
    let about = |flag: &Flag| flag.help.split_whitespace().collect::<Vec<_>>().join(" ");
    let long = syntax.flags.iter().map(|flag| (format!("--{}", flag.long), about(flag)));
    Answer { words: long.chain([("--help".into(), "Tell more".into())]).collect(), then: Then::Words }
}

/// What can be typed first: commands of one word, and groups.
fn verbs() -> Answer {
    let single = |name: &&&str| !name.contains(' ');
    let of = |command: &'static Command| {
        let names = command.names.iter().filter(single);
        names.map(|name| ((*name).to_owned(), command.syntax.about.to_owned()))
    };
    let groups = GROUPS.iter().map(|group| ((*group).to_owned(), format!("Commands of the group {group}")));
    Answer { words: COMMANDS.iter().flat_map(of).chain(groups).collect(), then: Then::Words }
}

/// The commands of a group.
fn verbs_of(group: &str) -> Answer {
    let of = |command: &'static Command| {
        let names = command.names.iter().filter_map(|name| name.strip_prefix(group)?.strip_prefix(' '));
        names.map(|name| (name.to_owned(), command.syntax.about.to_owned()))
    };
    Answer { words: COMMANDS.iter().flat_map(of).collect(), then: Then::Words }
}

#[cfg(test)]
mod tests;

//! From text to instructions, as BuildKit's Dockerfile parser reads them.

use super::{Command, INSTRUCTIONS, Instruction, health, refuse};
use crate::Result;

/// The lines of a Dockerfile: comments and blank lines dropped, continued ones joined.
pub(super) fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut continued = false;
    for physical in text.lines() {
        let trimmed = physical.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let physical = if continued { physical } else { physical.trim_start() };
        let begun = continuation(physical);
        continued = begun.is_some();
        line.push_str(begun.unwrap_or(physical));
        if !continued {
            lines.push(std::mem::take(&mut line));
        }
    }
    if continued {
        lines.push(line);
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// What stands before a backslash that ends the line; a doubled one is a backslash.
fn continuation(line: &str) -> Option<&str> {
    let begun = line.trim_end_matches([' ', '\t']).strip_suffix('\\')?;
    (!begun.ends_with('\\')).then_some(begun)
}

/// One instruction from its logical line.
pub(super) fn instruction(line: &str) -> Result<Instruction> {
    let line = line.trim();
    let (typed, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = typed.to_ascii_uppercase();
    if !INSTRUCTIONS.contains(&name.as_str()) {
        return Err(refuse(format!("{typed} is not a valid change command")));
    }
    let (flags, rest) = flags(rest);
    if name == "HEALTHCHECK" {
        return health::parse(&flags, rest).map(Instruction::Healthcheck);
    }
    if let Some(flag) = flags.first() {
        return Err(unknown_flag(flag));
    }
    with_arguments(&name, rest)
}

fn with_arguments(name: &str, rest: &str) -> Result<Instruction> {
    Ok(match name {
        "CMD" => Instruction::Cmd(command(rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command(rest)?),
        "ENV" => Instruction::Env(pairs(name, rest)?),
        "EXPOSE" => Instruction::Expose(at_least_one(name, whitespace(rest))?),
        "LABEL" => Instruction::Label(pairs(name, rest)?),
        "ONBUILD" => Instruction::OnBuild(trigger(rest)?),
        "STOPSIGNAL" => Instruction::StopSignal(exactly_one(name, rest)?),
        "USER" => Instruction::User(exactly_one(name, rest)?),
        "VOLUME" => Instruction::Volume(volumes(rest)?),
        _ => Instruction::Workdir(exactly_one(name, rest)?),
    })
}

/// The words before the first that does not start with `--`; a bare `--` ends them too.
fn flags(text: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim();
    while rest.starts_with("--") {
        let (flag, tail) = rest.split_at(word_end(rest));
        rest = tail.trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag.into());
    }
    (flags, rest)
}

pub(super) fn unknown_flag(flag: &str) -> crate::Error {
    refuse(format!("unknown flag: {}", flag.split('=').next().unwrap_or_default()))
}

/// The exec form, or nothing where it is not one. A list of other things than strings is refused.
pub(super) fn json_words(text: &str) -> Result<Option<Vec<String>>> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(list) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let words: Option<Vec<_>> = list.iter().map(|word| word.as_str().map(String::from)).collect();
    let not_strings = || refuse("when using JSON array syntax, arrays must be comprised of strings only");
    words.ok_or_else(not_strings).map(Some)
}

pub(super) fn command(rest: &str) -> Result<Command> {
    Ok(json_words(rest)?.map_or_else(|| Command::Shell(rest.into()), Command::Exec))
}

/// `k v`, or `k=v …`: the first word decides.
fn pairs(name: &str, rest: &str) -> Result<Vec<(String, String)>> {
    let words = at_least_one(name, quoted_words(rest))?;
    let pairs = if words[0].contains('=') {
        words.iter().map(|word| pair(word)).collect::<Result<_>>()?
    } else {
        let no_value = || refuse(format!("{name} must have two arguments"));
        let (key, value) = rest.split_once(char::is_whitespace).ok_or_else(no_value)?;
        vec![(key.into(), value.trim_start().into())]
    };
    if pairs.iter().any(|(key, _): &(String, _)| key.is_empty()) {
        return Err(refuse(format!("{name} names can not be blank")));
    }
    Ok(pairs)
}

fn pair(word: &str) -> Result<(String, String)> {
    let (key, value) = word.split_once('=').ok_or_else(|| {
        refuse(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value"))
    })?;
    Ok((key.into(), value.into()))
}

fn trigger(rest: &str) -> Result<String> {
    let name = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match name.as_str() {
        "" => Err(refuse("ONBUILD requires at least one argument")),
        "ONBUILD" => Err(refuse("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        "MAINTAINER" | "FROM" => Err(refuse(format!("{name} isn't allowed as an ONBUILD trigger"))),
        _ => Ok(rest.into()),
    }
}

fn volumes(rest: &str) -> Result<Vec<String>> {
    let words = json_words(rest)?.unwrap_or_else(|| whitespace(rest));
    let words: Vec<String> = at_least_one("VOLUME", words)?.iter().map(|word| word.trim().into()).collect();
    if words.iter().any(String::is_empty) {
        return Err(refuse("VOLUME specified can not be an empty string"));
    }
    Ok(words)
}

fn whitespace(rest: &str) -> Vec<String> {
    rest.split_whitespace().map(Into::into).collect()
}

pub(super) fn at_least_one(name: &str, words: Vec<String>) -> Result<Vec<String>> {
    if words.is_empty() { Err(refuse(format!("{name} requires at least one argument"))) } else { Ok(words) }
}

fn exactly_one(name: &str, rest: &str) -> Result<String> {
    if rest.is_empty() {
        Err(refuse(format!("{name} requires exactly one argument")))
    } else {
        Ok(rest.into())
    }
}

/// Words apart from each other, quotes and escapes still in them.
fn quoted_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, tail) = rest.split_at(word_end(rest));
        words.push(word.into());
        rest = tail.trim_start();
    }
    words
}

/// Where the first word ends: at white space outside quotes that is not escaped.
fn word_end(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, c) if c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

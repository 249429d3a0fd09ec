//! Text and actions, and the words of an action.

use crate::{Error, Kind, Result};
use serde_json::Value;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    /// The words between braces, and where they are: line and column, from 1.
    Action(Vec<Token>, (usize, usize)),
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// `.` or `.A.B`: the names.
    Fields(Vec<String>),
    /// `$x.A`: the name with its dollar, and names behind it.
    Variable(String, Vec<String>),
    Word(String),
    Literal(Value),
    Pipe,
    Open,
    /// `)`, and names behind it.
    Close(Vec<String>),
    Declare,
    Assign,
    Comma,
}

/// Splits a template at its braces; `{{-` and `-}}` take the white space beside them.
pub(crate) fn split(text: &str) -> Result<Vec<Piece>> {
    let (mut pieces, mut rest, mut at) = (Vec::new(), text, 0);
    let mut trim = false;
    while let Some(open) = rest.find("{{") {
        let before = &rest[..open];
        let inner = &rest[open + 2..];
        let trims_before = inner.starts_with("- ");
        push_text(&mut pieces, before, trim, trims_before);
        let place = place(text, at + open + 2 + usize::from(trims_before) * 2);
        let inner_start = &inner[usize::from(trims_before) * 2..];
        let (tokens, length) = tokens(inner_start, place.0)?;
        let after = &inner_start[length..];
        trim = inner_start[..length].ends_with(" -");
        pieces.extend(tokens.map(|tokens| Piece::Action(tokens, place)));
        at = text.len() - after.len() + 2;
        rest = &after[2..];
    }
    push_text(&mut pieces, rest, trim, false);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line..].chars().count())
}

pub(crate) fn wrong(line: usize, what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Parse, format!("template: :{line}: {what}"))
}

/// The words up to `}}`, and how many bytes they take; none for a comment.
fn tokens(text: &str, line: usize) -> Result<(Option<Vec<Token>>, usize)> {
    if let Some(comment) = text.strip_prefix("/*") {
        let end = comment.find("*/").ok_or_else(|| wrong(line, "unclosed comment"))? + 4;
        let close =
            text[end..].find("}}").ok_or_else(|| wrong(line, "comment ends before closing delimiter"))?;
        return Ok((None, end + close));
    }
    let (mut tokens, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start();
        let closes = rest.starts_with("}}") || rest.starts_with("-}}");
        if closes {
            let dash = usize::from(rest.starts_with('-'));
            return Ok((Some(tokens), text.len() - rest.len() + dash));
        }
        let (token, after) = next(rest, line)?;
        tokens.push(token);
        rest = after;
    }
}

fn next(text: &str, line: usize) -> Result<(Token, &str)> {
    let fixed = [
        ("|", Token::Pipe),
        ("(", Token::Open),
        (":=", Token::Declare),
        ("=", Token::Assign),
        (",", Token::Comma),
    ];
    if let Some((word, token)) = fixed.into_iter().find(|(word, _)| text.starts_with(word)) {
        return Ok((token, &text[word.len()..]));
    }
    match text.chars().next() {
        None => Err(wrong(line, "unclosed action")),
        Some(')') => {
            let (names, rest) = names(&text[1..]);
            Ok((Token::Close(names), rest))
        }
        Some('.') if !text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let (names, rest) = names(text);
            Ok((Token::Fields(names), if rest.len() == text.len() { &text[1..] } else { rest }))
        }
        Some('$') => {
            let (name, rest) = word(&text[1..]);
            let (names, rest) = names(rest);
            Ok((Token::Variable(format!("${name}"), names), rest))
        }
        Some('"') => quoted(text, line),
        Some('`') => {
            let end = text[1..].find('`').ok_or_else(|| wrong(line, "unterminated raw quoted string"))?;
            Ok((Token::Literal(text[1..=end].into()), &text[end + 2..]))
        }
        Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => number(text, line),
        Some(c) if c.is_alphabetic() || c == '_' => {
            let (name, rest) = word(text);
            let token = match name {
                "true" => Token::Literal(true.into()),
                "false" => Token::Literal(false.into()),
                "nil" => Token::Literal(Value::Null),
                name => Token::Word(name.to_owned()),
            };
            Ok((token, rest))
        }
        Some(c) => Err(wrong(line, format_args!("unexpected {c:?} in command"))),
    }
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// `.A.B`
fn names(mut text: &str) -> (Vec<String>, &str) {
    let mut names = Vec::new();
    while let Some(after) = text.strip_prefix('.') {
        let (name, rest) = word(after);
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
        text = rest;
    }
    (names, text)
}

/// A string with Go's escapes, which are JSON's but for the rarer ones.
fn quoted(text: &str, line: usize) -> Result<(Token, &str)> {
    let mut escaped = false;
    let end = text[1..].find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let end = end.ok_or_else(|| wrong(line, "unterminated quoted string"))? + 2;
    let value = serde_json::from_str(&text[..end].replace('\t', "\\t"));
    value
        .map(|value| (Token::Literal(value), &text[end..]))
        .map_err(|_| wrong(line, format_args!("bad string {}", &text[..end])))
}

fn number(text: &str, line: usize) -> Result<(Token, &str)> {
    let end =
        text[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '.').map_or(text.len(), |end| end + 1);
    let word = &text[..end];
    let plain = word.trim_start_matches('+');
    let value =
        plain.parse::<i64>().ok().map(Value::from).or_else(|| plain.parse::<f64>().ok().map(Value::from));
    value
        .map(|value| (Token::Literal(value), &text[end..]))
        .ok_or_else(|| wrong(line, format_args!("bad number syntax: {word:?}")))
}

//! Patterns of `${A#p}` and its kin: `*`, `?` and escapes, no brackets (as in BuildKit).

use super::refuse;
use crate::Result;

/// A pattern that was understood.
pub(super) struct Pattern(Vec<Token>);

enum Token {
    Any,
    One,
    Char(char),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => Token::Char(escaped(text, chars.next())?),
                c => Token::Char(c),
            });
        }
        Ok(Self(tokens))
    }

    /// Without what matches at the start.
    pub(super) fn trim_start<'a>(&self, value: &'a str, longest: bool) -> &'a str {
        self.first(ends(value, !longest), |end| &value[..end]).map_or(value, |end| &value[end..])
    }

    /// Without what matches at the end.
    pub(super) fn trim_end<'a>(&self, value: &'a str, longest: bool) -> &'a str {
        self.first(ends(value, longest), |start| &value[start..]).map_or(value, |start| &value[..start])
    }

    /// With a word in place of the first match, or of every one; the longest at each place.
    pub(super) fn replace(&self, value: &str, word: &str, every: bool) -> String {
        let mut out = String::new();
        let mut rest = value;
        while !rest.is_empty() {
            let found = self.first(ends(rest, false), |end| &rest[..end]).filter(|end| *end > 0);
            match found {
                Some(end) => {
                    out.push_str(word);
                    rest = &rest[end..];
                    if !every {
                        break;
                    }
                }
                None => rest = push_first(&mut out, rest),
            }
        }
        out + rest
    }

    fn first<'a>(
        &self,
        mut places: impl Iterator<Item = usize>,
        part: impl Fn(usize) -> &'a str,
    ) -> Option<usize> {
        places.find(|place| self.matches(part(*place)))
    }

    /// Whether all of a text matches. Keeps the last `*` to come back to: never exponential.
    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut token) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(token) {
                Some(Token::Any) => {
                    star = Some((token, at));
                    token += 1;
                }
                Some(Token::One) => (at, token) = (at + 1, token + 1),
                Some(Token::Char(c)) if *c == text[at] => (at, token) = (at + 1, token + 1),
                _ => {
                    let Some((star_token, star_at)) = star else { return false };
                    star = Some((star_token, star_at + 1));
                    (at, token) = (star_at + 1, star_token + 1);
                }
            }
        }
        self.0[token..].iter().all(|token| matches!(token, Token::Any))
    }
}

/// `}` and `/` end a part of `${}` and are escaped for that alone.
fn escaped(pattern: &str, c: Option<char>) -> Result<char> {
    match c {
        Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Ok(c),
        other => {
            let shown: String = other.into_iter().collect();
            Err(refuse(format!("invalid pattern ({pattern}) in substitution: invalid escape '\\{shown}'")))
        }
    }
}

/// Every place where a text can be cut, from one side or the other.
fn ends(text: &str, ascending: bool) -> impl Iterator<Item = usize> {
    let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    if !ascending {
        places.reverse();
    }
    places.into_iter()
}

fn push_first<'a>(out: &mut String, rest: &'a str) -> &'a str {
    let mut chars = rest.chars();
    out.extend(chars.next());
    chars.as_str()
}

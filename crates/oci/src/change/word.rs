//! Words of a Dockerfile: quotes, escapes and variables, as BuildKit's `shell.Lex` resolves them.
//!
//! ```text
//! 'as is'   "with $variables"   \x   $A   ${A}
//! ${A:-w} ${A-w}    w if A is unset (or empty, with the colon)
//! ${A:+w} ${A+w}    w if A is set
//! ${A:?w} ${A?w}    an error with the words w if A is unset
//! ${A#p} ${A##p}    without the shortest, longest prefix of the pattern p
//! ${A%p} ${A%%p}    without the suffix
//! ${A/p/w} ${A//p/w}    with w in place of the first, of every p
//! ```

use super::{glob, refuse};
use crate::{Error, Result};
use std::iter::Peekable;
use std::str::Chars;

/// The word with quotes removed and variables replaced. `env` holds `NAME=value`.
pub fn expand(text: &str, env: &[String]) -> Result<String> {
    process(text, env).map(|words| words.text)
}

/// The words that the text has after the replacement of variables.
pub fn split(text: &str, env: &[String]) -> Result<Vec<String>> {
    process(text, env).map(Words::finish)
}

fn process(text: &str, env: &[String]) -> Result<Words> {
    let mut lexer = Lexer { rest: text.chars().peekable(), env };
    lexer.until(None, false).map_err(|why| refuse(format!("failed to process {text:?}: {why}")))
}

/// What was read so far: as one text, and apart at white space.
#[derive(Default)]
struct Words {
    text: String,
    done: Vec<String>,
    word: String,
}

impl Words {
    /// Adds text that may hold more than one word.
    fn add(&mut self, text: &str) {
        self.text.push_str(text);
        for c in text.chars() {
            match c {
                c if !c.is_whitespace() => self.word.push(c),
                _ if !self.word.is_empty() => self.done.push(std::mem::take(&mut self.word)),
                _ => {}
            }
        }
    }

    /// Adds text that was quoted: white space in it does not end a word.
    fn add_quoted(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn finish(mut self) -> Vec<String> {
        self.done.extend((!self.word.is_empty()).then_some(self.word));
        self.done
    }
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    env: &'a [String],
}

impl Lexer<'_> {
    /// Reads up to `stop`, or to the end. `raw`: escapes stay, for a pattern to interpret.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<Words> {
        let mut words = Words::default();
        while let Some(c) = self.rest.next() {
            match c {
                c if Some(c) == stop => return Ok(words),
                '\'' => words.add_quoted(&self.single_quoted()?),
                '"' => words.add_quoted(&self.double_quoted(raw)?),
                '$' => words.add(&self.dollar()?),
                '\\' => words.add_quoted(&self.escaped(raw)),
                c => words.add(c.encode_utf8(&mut [0; 4])),
            }
        }
        match stop {
            None => Ok(words),
            Some('}') => Err(refuse("syntax error: missing '}'")),
            Some(_) => Err(refuse("syntax error: missing '/' in ${}")),
        }
    }

    /// What a backslash was before; one at the very end is nothing.
    fn escaped(&mut self, raw: bool) -> String {
        let backslash = raw.then_some('\\');
        backslash.into_iter().chain(self.rest.next()).collect()
    }

    fn single_quoted(&mut self) -> Result<String> {
        let mut text = String::new();
        for c in self.rest.by_ref() {
            match c {
                '\'' => return Ok(text),
                c => text.push(c),
            }
        }
        Err(unmatched("single-quote"))
    }

    fn double_quoted(&mut self, raw: bool) -> Result<String> {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return Ok(text),
                '$' => text.push_str(&self.dollar()?),
                '\\' if matches!(self.rest.peek(), Some('"' | '$' | '\\')) => {
                    text.push_str(&self.escaped(raw))
                }
                c => text.push(c),
            }
        }
        Err(unmatched("double-quote"))
    }

    fn dollar(&mut self) -> Result<String> {
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".into() } else { self.value(&name).unwrap_or_default() });
        }
        match self.rest.peek() {
            None => return Err(refuse("syntax error: missing '}'")),
            Some('{' | '}' | ':') => return Err(refuse("syntax error: bad substitution")),
            Some(_) => {}
        }
        let name = self.name();
        self.braced(&name)
    }

    fn braced(&mut self, name: &str) -> Result<String> {
        let value = self.value(name);
        let modifier = self.rest.next();
        let (colon, modifier) = match modifier {
            Some(':') => (true, self.rest.next()),
            modifier => (false, modifier),
        };
        match modifier {
            Some('}') if !colon => Ok(value.unwrap_or_default()),
            Some('/') if !colon => self.replaced(&value.unwrap_or_default()),
            Some(trim @ ('#' | '%')) => self.trimmed(&value.unwrap_or_default(), trim),
            Some(test @ ('-' | '+' | '?')) => self.tested(name, value, test, colon),
            other => {
                let shown: String = colon.then_some(':').into_iter().chain(other).collect();
                Err(refuse(format!("unsupported modifier ({shown}) in substitution")))
            }
        }
    }

    fn tested(&mut self, name: &str, value: Option<String>, test: char, colon: bool) -> Result<String> {
        let word = self.until(Some('}'), false)?.text;
        let usable = value.clone().filter(|value| !(colon && value.is_empty()));
        match (test, usable) {
            ('+', usable) => Ok(usable.map_or_else(String::new, |_| word)),
            (_, Some(value)) => Ok(value),
            ('-', None) => Ok(word),
            _ if !word.is_empty() => Err(refuse(format!("{name}: {word}"))),
            _ if value.is_some() => Err(refuse(format!("{name}: is not allowed to be empty"))),
            _ => Err(refuse(format!("{name}: is not allowed to be unset"))),
        }
    }

    fn trimmed(&mut self, value: &str, trim: char) -> Result<String> {
        let longest = self.rest.next_if_eq(&trim).is_some();
        let word = self.until(Some('}'), true)?.text;
        let pattern = glob::Pattern::parse(&word)?;
        let trimmed =
            if trim == '#' { pattern.trim_start(value, longest) } else { pattern.trim_end(value, longest) };
        Ok(trimmed.into())
    }

    fn replaced(&mut self, value: &str) -> Result<String> {
        let every = self.rest.next_if_eq(&'/').is_some();
        let pattern = glob::Pattern::parse(&self.until(Some('/'), true)?.text)?;
        let word = self.until(Some('}'), true)?.text;
        Ok(pattern.replace(value, &word, every))
    }

    /// A name; digits alone, or one of the shell's special parameters, are names too (and unset).
    fn name(&mut self) -> String {
        match self.rest.peek() {
            Some(c) if c.is_ascii_digit() => self.take_while(|c| c.is_ascii_digit()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => self.rest.next().into_iter().collect(),
            _ => self.take_while(|c| c.is_alphanumeric() || c == '_'),
        }
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.rest.next_if(|c| test(*c))).collect()
    }

    /// The last of equal names counts, as in docker.
    fn value(&self, name: &str) -> Option<String> {
        let pairs = self.env.iter().rev().map(|entry| entry.split_once('=').unwrap_or((entry, "")));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }
}

fn unmatched(what: &str) -> Error {
    refuse(format!("unexpected end of statement while looking for matching {what}"))
}

//! Go templates, as far as docker's `--format` uses them, over JSON values; and Go's tables, beside them.
//!
//! ```text
//! text ──lex──▶ tokens ──parse──▶ statements ──eval──▶ text
//!                                  (node)       ├ functions: Go's and docker's; compare, escape
//!                                               └ print, format: what Go's fmt makes of a value
//! ```
//!
//! All of text/template's language: pipelines, variables, `if`, `range`, `with`, `break`, `define` and
//! `block`, with Go's errors and positions. What the data is, JSON decides: there are no methods but
//! docker's `.Label`, no complex numbers, and a type in an error is that of JSON in Go (`int`,
//! `[]interface {}`).
//!
//! Invariants: no template panics or recurses without bound; the same template and value give the same
//! text. What is missing and what is null are one: printed as `<no value>`, and their fields too. Where
//! docker has an empty map or list and JSON has null, `len` is 0 and `index` by name is empty.

mod compare;
mod escape;
mod eval;
mod format;
mod functions;
mod lex;
mod literal;
mod node;
mod parse;
mod print;
pub mod table;

use serde_json::Value;

/// Why a template came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is none.
    Parse,
    /// It is one, and does not fit the value.
    Execute,
}

/// Why a template came to nothing.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    templates: parse::Templates,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// In Go's words, with the line: `template: :1: function "x" not defined`.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { text: text.to_owned(), templates: parse::parse(text)? })
    }

    /// Renders; a field that is not there is `<no value>`.
    ///
    /// # Errors
    /// In Go's words, with line, column and context: `template: :1:2: executing "" at <len 3>: …`.
    pub fn render(&self, value: &Value) -> Result<String> {
        eval::run(&self.text, &self.templates, value, false)
    }

    /// Renders; a field of the top value that is not there is an error, as docker has it.
    ///
    /// # Errors
    /// As of [`Template::render`].
    pub fn render_strict(&self, value: &Value) -> Result<String> {
        eval::run(&self.text, &self.templates, value, true)
    }
}

#[cfg(test)]
mod tests;

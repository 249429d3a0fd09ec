//! Go templates, as far as docker's `--format` uses them, over JSON values.
//!
//! ```text
//! text ──lex──▶ tokens ──parse──▶ nodes ──eval (+ functions)──▶ text, printed as Go's fmt does
//! ```
//!
//! Actions, pipelines, variables, `if`, `range`, `with`, comparisons, and docker's own functions. What it is not: the
//! whole of text/template; `define`, `template` and methods are refused by name.

mod eval;
mod functions;
mod lex;
mod parse;
mod print;

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
pub struct Template(Vec<parse::Node>);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// In Go's form, with the line.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(lex::split(text)?).map(Self)
    }

    /// Renders; a field that is not there is `<no value>`.
    pub fn render(&self, value: &Value) -> Result<String> {
        eval::run(&self.0, value, false)
    }

    /// Renders; a field of the top value that is not there is an error, as docker has it.
    pub fn render_strict(&self, value: &Value) -> Result<String> {
        eval::run(&self.0, value, true)
    }
}

#[cfg(test)]
mod tests;

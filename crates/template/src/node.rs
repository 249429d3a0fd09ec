//! What a template is made of, and how Go shows each part in an error.

use std::fmt::{self, Display};

/// A part of a template.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Text(String),
    /// `{{pipe}}`
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Break,
    Continue,
    Call(Call),
}

/// `{{if}}`, `{{with}}` or `{{range}}`.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Statement>,
    pub(crate) otherwise: Vec<Statement>,
}

/// `{{template "name" pipe}}`
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) pos: usize,
    pub(crate) name: String,
    pub(crate) pipe: Option<Pipe>,
}

/// `$i, $x := command | command`
#[derive(Debug, Clone, Default)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    /// `=`, not `:=`.
    pub(crate) assigns: bool,
    pub(crate) names: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// Operands side by side: the first is called with the others.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Expr>,
}

/// An operand.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) pos: usize,
    pub(crate) kind: ExprKind,
}

/// What an operand is.
#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text {
        quoted: String,
        text: String,
    },
    Function(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`: the name with its dollar, and the fields.
    Variable(String, Vec<String>),
    /// `(pipe).A.B`
    Chain(Box<Expr>, Vec<String>),
    /// `(pipe)`
    Group(Pipe),
}

/// A number as typed, and all that it can be.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
}

impl Expr {
    /// May stand first in a command behind a `|`.
    pub(crate) fn is_executable(&self) -> bool {
        use ExprKind::*;
        !matches!(self.kind, Dot | Nil | Bool(_) | Number(_) | Text { .. })
    }
}

fn dotted(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Number(number) => f.write_str(&number.text),
            ExprKind::Text { quoted, .. } => f.write_str(quoted),
            ExprKind::Function(name) => f.write_str(name),
            ExprKind::Field(names) => dotted(f, names),
            ExprKind::Variable(name, names) => f.write_str(name).and_then(|()| dotted(f, names)),
            ExprKind::Chain(inner, names) => write!(f, "{}", Argument(inner)).and_then(|()| dotted(f, names)),
            ExprKind::Group(pipe) => pipe.fmt(f),
        }
    }
}

/// An operand among others: a pipeline has its parentheses.
struct Argument<'a>(&'a Expr);

impl Display for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ExprKind::Group(pipe) => write!(f, "({pipe})"),
            _ => self.0.fmt(f),
        }
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.args.iter().map(|arg| Argument(arg).to_string()).collect();
        f.write_str(&words.join(" "))
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.names.is_empty() {
            write!(f, "{} {} ", self.names.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        let commands: Vec<_> = self.commands.iter().map(ToString::to_string).collect();
        f.write_str(&commands.join(" | "))
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pipe {
            None => write!(f, "{{{{template {:?}}}}}", self.name),
            Some(pipe) => write!(f, "{{{{template {:?} {pipe}}}}}", self.name),
        }
    }
}

//! Tokens to statements. The errors are text/template's, word by word.

use crate::lex::{Kind, Token, lex};
use crate::literal;
use crate::node::{Branch, Call, Command, Expr, ExprKind, Pipe, Statement};
use crate::{Error, Result, functions};
use std::collections::HashMap;

/// How deep parentheses and blocks may lie in each other: the parser and the evaluation recurse.
const DEPTH: usize = 200;

/// All templates of a text by name; the text itself is the one without a name.
pub(crate) type Templates = HashMap<String, Vec<Statement>>;

pub(crate) fn parse(text: &str) -> Result<Templates> {
    let mut parser = Parser::new(lex(text));
    let mut statements = Vec::new();
    while parser.peek().kind != Kind::Eof {
        match parser.definition_or_part()? {
            None => {}
            Some(Part::Statement(statement)) => statements.push(statement),
            Some(end) => return Err(parser.error(format_args!("unexpected {}", end.shown()))),
        }
    }
    parser.templates.insert(String::new(), statements);
    Ok(parser.templates)
}

/// What stands at one place of a list: a statement, or what ends the list.
enum Part {
    Statement(Statement),
    End,
    Else,
}

impl Part {
    fn shown(&self) -> &str {
        if matches!(self, Self::Else) { "{{else}}" } else { "{{end}}" }
    }
}

struct Parser {
    tokens: Vec<Token>,
    /// Of the next token; beyond the end it is the last one again.
    at: usize,
    /// The last token that was looked at: its line is an error's.
    furthest: usize,
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    /// Where the action began; 0 outside.
    action_line: usize,
    templates: Templates,
}

impl Parser {
    fn new(tokens: Vec<Token>) -> Self {
        Self {
            tokens,
            at: 0,
            furthest: 0,
            variables: vec!["$".into()],
            ranges: 0,
            depth: 0,
            action_line: 0,
            templates: Templates::new(),
        }
    }

    fn peek(&mut self) -> &Token {
        let at = self.at.min(self.tokens.len() - 1);
        self.furthest = self.furthest.max(at);
        &self.tokens[at]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn peek_word(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
        self.peek()
    }

    fn next_word(&mut self) -> Token {
        self.peek_word();
        self.next()
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token> {
        let token = self.next_word();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }

    fn error(&self, what: impl std::fmt::Display) -> Error {
        let line = self.tokens[self.furthest].line;
        Error::new(crate::Kind::Parse, format!("template: :{line}: {what}"))
    }

    fn unexpected(&self, token: &Token, context: &str) -> Error {
        if token.kind != Kind::Error {
            return self.error(format_args!("unexpected {} in {context}", shown(token)));
        }
        let elsewhere = self.action_line != 0 && self.action_line != token.line;
        let started = match (elsewhere, token.text.ends_with(" action")) {
            (false, _) => String::new(),
            (true, true) => format!(" started at :{}", self.action_line),
            (true, false) => format!(" in action started at :{}", self.action_line),
        };
        self.error(format_args!("{}{started}", token.text))
    }

    /// Runs a step one level further down.
    fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH {
            return Err(self.error("max expression depth exceeded"));
        }
        self.depth += 1;
        let done = step(self);
        self.depth -= 1;
        done
    }

    fn definition_or_part(&mut self) -> Result<Option<Part>> {
        let start = self.at;
        if self.peek().kind == Kind::Left {
            self.next();
            if self.next_word().kind == Kind::Define {
                return self.definition().map(|()| None);
            }
            self.at = start;
        }
        self.part().map(Some)
    }

    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_word();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::Right, CONTEXT)?;
        self.named(name, CONTEXT)
    }

    /// The body of a template with a name. It sees no variables but `$`.
    fn named(&mut self, name: String, context: &str) -> Result<()> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (statements, end) = self.deeper(Self::list)?;
        (self.variables, self.ranges) = (outer, ranges);
        if !matches!(end, Part::End) {
            return Err(self.error(format_args!("unexpected {} in {context}", end.shown())));
        }
        if self.templates.contains_key(&name) {
            return Err(self.error(format_args!("multiple definition of template {name:?}")));
        }
        self.templates.insert(name, statements);
        Ok(())
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Result<String> {
        match token.kind {
            Kind::Quoted | Kind::Raw => literal::unquote(&token.text).map_err(|why| self.error(why)),
            _ => Err(self.unexpected(token, context)),
        }
    }

    /// Statements up to `{{end}}` or `{{else}}`.
    fn list(&mut self) -> Result<(Vec<Statement>, Part)> {
        let mut statements = Vec::new();
        while self.peek_word().kind != Kind::Eof {
            match self.part()? {
                Part::Statement(statement) => statements.push(statement),
                end => return Ok((statements, end)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn part(&mut self) -> Result<Part> {
        let token = self.next_word();
        match token.kind {
            Kind::Text => Ok(Part::Statement(Statement::Text(token.text))),
            Kind::Left => {
                self.action_line = token.line;
                let part = self.action()?;
                self.action_line = 0;
                Ok(part)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Part> {
        let token = self.next_word();
        let statement = match token.kind {
            Kind::End => return self.expect(Kind::Right, "end").map(|_| Part::End),
            Kind::Else => return self.otherwise(),
            Kind::If => Statement::If(self.branch("if")?),
            Kind::With => Statement::With(self.branch("with")?),
            Kind::Range => Statement::Range(self.branch("range")?),
            Kind::Break => self.jump("{{break}}", Statement::Break)?,
            Kind::Continue => self.jump("{{continue}}", Statement::Continue)?,
            Kind::Template => Statement::Call(self.call()?),
            Kind::Block => Statement::Call(self.block()?),
            _ => {
                self.at -= 1;
                Statement::Action(self.pipeline("command", Kind::Right)?)
            }
        };
        Ok(Part::Statement(statement))
    }

    /// `else if` and `else with` leave their second word: the branch goes on with it.
    fn otherwise(&mut self) -> Result<Part> {
        if !matches!(self.peek_word().kind, Kind::If | Kind::With) {
            self.expect(Kind::Right, "else")?;
        }
        Ok(Part::Else)
    }

    fn jump(&mut self, shown: &str, statement: Statement) -> Result<Statement> {
        self.expect(Kind::Right, shown)?;
        if self.ranges == 0 {
            return Err(self.error(format_args!("{shown} outside {{{{range}}}}")));
        }
        Ok(statement)
    }

    fn branch(&mut self, context: &str) -> Result<Branch> {
        let visible = self.variables.len();
        let branch = self.deeper(|parser| parser.branch_parts(context));
        self.variables.truncate(visible);
        branch
    }

    fn branch_parts(&mut self, context: &str) -> Result<Branch> {
        let pipe = self.pipeline(context, Kind::Right)?;
        let in_range = usize::from(context == "range");
        self.ranges += in_range;
        let (body, end) = self.list()?;
        self.ranges -= in_range;
        let otherwise = match end {
            Part::Else => self.else_list(context)?,
            _ => Vec::new(),
        };
        Ok(Branch { pipe, body, otherwise })
    }

    fn else_list(&mut self, context: &str) -> Result<Vec<Statement>> {
        match (context, self.peek().kind) {
            ("if", Kind::If) => {
                self.next();
                return Ok(vec![Statement::If(self.branch("if")?)]);
            }
            ("with", Kind::With) => {
                self.next();
                return Ok(vec![Statement::With(self.branch("with")?)]);
            }
            _ => {}
        }
        match self.list()? {
            (statements, Part::End) => Ok(statements),
            (_, end) => Err(self.error(format_args!("expected end; found {}", end.shown()))),
        }
    }

    fn call(&mut self) -> Result<Call> {
        const CONTEXT: &str = "template clause";
        let token = self.next_word();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = match self.peek_word().kind {
            Kind::Right => self.expect(Kind::Right, CONTEXT).map(|_| None),
            _ => self.pipeline(CONTEXT, Kind::Right).map(Some),
        }?;
        Ok(Call { pos: token.pos, name, pipe })
    }

    /// A definition that is called where it stands.
    fn block(&mut self) -> Result<Call> {
        const CONTEXT: &str = "block clause";
        let token = self.next_word();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::Right)?;
        self.named(name.clone(), CONTEXT)?;
        Ok(Call { pos: token.pos, name, pipe: Some(pipe) })
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        let mut pipe = Pipe { pos: self.peek_word().pos, ..Pipe::default() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_word();
            match token.kind {
                kind if kind == end => return self.checked(pipe, context),
                kind if starts_operand(kind) => {
                    self.at -= 1;
                    pipe.commands.push(self.command()?);
                }
                _ => return Err(self.unexpected(&token, context)),
            }
        }
    }

    /// `$x :=`, `$x =`, or `$i,` with more to come.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Result<bool> {
        if self.peek_word().kind != Kind::Variable {
            return Ok(false);
        }
        let start = self.at;
        let name = self.next().text;
        let next = self.next_word();
        let comma = next.kind == Kind::Char && next.text == ",";
        if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
            self.at = start;
            return Ok(false);
        }
        pipe.assigns = next.kind == Kind::Assign;
        pipe.names.push(name.clone());
        self.variables.push(name);
        if comma { self.second_declaration(pipe, context) } else { Ok(false) }
    }

    fn second_declaration(&mut self, pipe: &Pipe, context: &str) -> Result<bool> {
        if context != "range" || pipe.names.len() > 1 {
            return Err(self.error(format_args!("too many declarations in {context}")));
        }
        match self.peek_word().kind {
            Kind::Variable | Kind::Right | Kind::Close => Ok(true),
            _ => Err(self.error("range can only initialize variables")),
        }
    }

    fn checked(&self, pipe: Pipe, context: &str) -> Result<Pipe> {
        if pipe.commands.is_empty() {
            return Err(self.error(format_args!("missing value for {context}")));
        }
        let bad = pipe.commands.iter().skip(1).position(|command| !command.args[0].is_executable());
        match bad {
            Some(at) => Err(self.error(format_args!("non executable command in pipeline stage {}", at + 2))),
            None => Ok(pipe),
        }
    }

    fn command(&mut self) -> Result<Command> {
        let mut command = Command { pos: self.peek_word().pos, args: Vec::new() };
        loop {
            self.peek_word();
            command.args.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::Right | Kind::Close => self.at -= 1,
                Kind::Pipe => {}
                _ => return Err(self.unexpected(&token, "operand")),
            }
            if command.args.is_empty() {
                return Err(self.error("empty command"));
            }
            return Ok(command);
        }
    }

    /// A term and the fields behind it. A chain stands, for Go, where its first field does.
    fn operand(&mut self) -> Result<Option<Expr>> {
        let Some(term) = self.term()? else { return Ok(None) };
        let pos = self.peek().pos;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        let kind = match term.kind {
            ExprKind::Field(names) => ExprKind::Field([names, fields].concat()),
            ExprKind::Variable(name, _) => ExprKind::Variable(name, fields),
            _ if !term.is_executable() => {
                return Err(self.error(format_args!("unexpected . after term {:?}", term.to_string())));
            }
            _ => ExprKind::Chain(Box::new(term), fields),
        };
        Ok(Some(Expr { pos, kind }))
    }

    fn term(&mut self) -> Result<Option<Expr>> {
        let token = self.next_word();
        let kind = match token.kind {
            Kind::Identifier if functions::find(&token.text).is_none() => {
                return Err(self.error(format_args!("function {:?} not defined", token.text)));
            }
            Kind::Identifier => ExprKind::Function(token.text),
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Bool => ExprKind::Bool(token.text == "true"),
            Kind::Field => ExprKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Variable => self.variable(token.text)?,
            Kind::Number => ExprKind::Number(literal::number(&token.text).map_err(|why| self.error(why))?),
            Kind::Rune => ExprKind::Number(literal::rune(&token.text).map_err(|why| self.error(why))?),
            Kind::Quoted | Kind::Raw => {
                let text = literal::unquote(&token.text).map_err(|why| self.error(why))?;
                ExprKind::Text { quoted: token.text, text }
            }
            Kind::Open => {
                let pipe = self.deeper(|parser| parser.pipeline("parenthesized pipeline", Kind::Close))?;
                return Ok(Some(Expr { pos: pipe.pos, kind: ExprKind::Group(pipe) }));
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Expr { pos: token.pos, kind }))
    }

    fn variable(&self, name: String) -> Result<ExprKind> {
        if self.variables.contains(&name) {
            return Ok(ExprKind::Variable(name, Vec::new()));
        }
        Err(self.error(format_args!("undefined variable {name:?}")))
    }
}

fn starts_operand(kind: Kind) -> bool {
    use Kind::*;
    matches!(kind, Bool | Rune | Dot | Field | Identifier | Number | Nil | Raw | Quoted | Variable | Open)
}

/// A token in an error: whole words in angle brackets, the rest quoted and cut.
fn shown(token: &Token) -> String {
    match token.kind {
        Kind::Eof => "EOF".into(),
        kind if kind.is_keyword() => format!("<{}>", token.text),
        _ if token.text.len() > 10 => {
            format!("{:?}...", token.text.chars().take(10).collect::<String>())
        }
        _ => format!("{:?}", token.text),
    }
}

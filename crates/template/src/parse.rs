//! Pieces to nodes.

use crate::lex::{Piece, Token, wrong};
use crate::{Result, functions};
use serde_json::Value;

/// A part of a template.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(String),
    Action(Action),
    /// Conditions in order, and what is left.
    If(Vec<(Action, Vec<Node>)>, Vec<Node>),
    Range(Action, Vec<Node>, Vec<Node>),
    With(Action, Vec<Node>, Vec<Node>),
}

/// A pipeline, what it names, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) names: Vec<String>,
    pub(crate) pipe: Vec<Vec<Operand>>,
    pub(crate) place: (usize, usize),
}

/// A word of a command.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Fields(Vec<String>),
    Variable(String, Vec<String>),
    Function(String),
    Literal(Value),
    Group(Vec<Vec<Operand>>, Vec<String>),
}

type Pieces = std::iter::Peekable<std::vec::IntoIter<Piece>>;

/// How a block ended.
enum End {
    Text,
    Closed,
    /// `else`, and what follows it.
    Else(Vec<Token>, (usize, usize)),
}

pub(crate) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>> {
    let mut pieces = pieces.into_iter().peekable();
    match block(&mut pieces)? {
        (nodes, End::Text) => Ok(nodes),
        (_, End::Closed) => Err(wrong(1, "unexpected {{end}}")),
        (_, End::Else(_, place)) => Err(wrong(place.0, "unexpected {{else}}")),
    }
}

fn block(pieces: &mut Pieces) -> Result<(Vec<Node>, End)> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text) => nodes.push(Node::Text(text)),
            Piece::Action(tokens, place) => match keyword(&tokens) {
                "end" => return Ok((nodes, End::Closed)),
                "else" => return Ok((nodes, End::Else(tokens[1..].to_vec(), place))),
                "if" => nodes.push(conditions(&tokens[1..], place, pieces)?),
                "range" => nodes.push(branch(&tokens[1..], place, pieces, Node::Range)?),
                "with" => nodes.push(branch(&tokens[1..], place, pieces, Node::With)?),
                word @ ("define" | "template" | "block" | "break" | "continue") => {
                    return Err(wrong(place.0, format_args!("{{{{{word}}}}} is not supported")));
                }
                _ => nodes.push(Node::Action(action(&tokens, place)?)),
            },
        }
    }
    Ok((nodes, End::Text))
}

fn keyword(tokens: &[Token]) -> &str {
    match tokens.first() {
        Some(Token::Word(word)) => word,
        _ => "",
    }
}

fn conditions(tokens: &[Token], place: (usize, usize), pieces: &mut Pieces) -> Result<Node> {
    let mut arms = Vec::new();
    let mut condition = action(tokens, place)?;
    loop {
        let (body, end) = block(pieces)?;
        arms.push((condition, body));
        match end {
            End::Closed => return Ok(Node::If(arms, Vec::new())),
            End::Text => return Err(wrong(place.0, "unexpected EOF")),
            End::Else(rest, _) if rest.is_empty() => return Ok(Node::If(arms, last(pieces, place)?)),
            End::Else(rest, place) if keyword(&rest) == "if" => condition = action(&rest[1..], place)?,
            End::Else(_, place) => return Err(wrong(place.0, "unexpected word in else")),
        }
    }
}

fn branch(
    tokens: &[Token],
    place: (usize, usize),
    pieces: &mut Pieces,
    make: fn(Action, Vec<Node>, Vec<Node>) -> Node,
) -> Result<Node> {
    let action = action(tokens, place)?;
    match block(pieces)? {
        (body, End::Closed) => Ok(make(action, body, Vec::new())),
        (body, End::Else(rest, _)) if rest.is_empty() => Ok(make(action, body, last(pieces, place)?)),
        _ => Err(wrong(place.0, "unexpected EOF")),
    }
}

fn last(pieces: &mut Pieces, place: (usize, usize)) -> Result<Vec<Node>> {
    match block(pieces)? {
        (nodes, End::Closed) => Ok(nodes),
        _ => Err(wrong(place.0, "unexpected EOF")),
    }
}

/// `pipe`, `$x := pipe`, `$i, $x := pipe`
fn action(tokens: &[Token], place: (usize, usize)) -> Result<Action> {
    let split = tokens.iter().position(|token| matches!(token, Token::Declare | Token::Assign));
    let (names, rest) = split.map_or((&tokens[..0], tokens), |at| (&tokens[..at], &tokens[at + 1..]));
    let names = names.iter().filter(|token| **token != Token::Comma).map(|token| match token {
        Token::Variable(name, fields) if fields.is_empty() => Ok(name.clone()),
        _ => Err(wrong(place.0, "unexpected word before a declaration")),
    });
    let names = names.collect::<Result<_>>()?;
    let mut rest = rest.iter();
    let pipe = pipe(&mut rest, place.0, false)?.0;
    Ok(Action { names, pipe, place })
}

/// Commands up to the end, or to a closing parenthesis, whose names are returned.
fn pipe(
    tokens: &mut std::slice::Iter<'_, Token>,
    line: usize,
    grouped: bool,
) -> Result<(Vec<Vec<Operand>>, Vec<String>)> {
    let mut commands = vec![Vec::new()];
    let push = |commands: &mut Vec<Vec<Operand>>, operand| {
        commands.last_mut().into_iter().for_each(|c| c.push(Clone::clone(&operand)))
    };
    let done = |commands: Vec<Vec<Operand>>| match commands.iter().all(|command| !command.is_empty()) {
        true => Ok(commands),
        false => Err(wrong(line, "missing value for command")),
    };
    while let Some(token) = tokens.next() {
        let operand = match token {
            Token::Pipe => {
                commands.push(Vec::new());
                continue;
            }
            Token::Close(names) if grouped => return Ok((done(commands)?, names.clone())),
            Token::Open => {
                let (inner, names) = pipe(tokens, line, true)?;
                Operand::Group(inner, names)
            }
            Token::Fields(names) => Operand::Fields(names.clone()),
            Token::Variable(name, names) => Operand::Variable(name.clone(), names.clone()),
            Token::Literal(value) => Operand::Literal(value.clone()),
            Token::Word(name) if functions::exists(name) => Operand::Function(name.clone()),
            Token::Word(name) => return Err(wrong(line, format_args!("function {name:?} not defined"))),
            _ => return Err(wrong(line, "unexpected word in operand")),
        };
        push(&mut commands, operand);
    }
    if grouped { Err(wrong(line, "unclosed left paren")) } else { Ok((done(commands)?, Vec::new())) }
}

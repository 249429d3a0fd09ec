//! Nodes over a value.

use crate::parse::{Action, Node, Operand};
use crate::{Error, Kind, Result, functions, print};
use serde_json::Value;

/// What is in sight: the dot, the variables, innermost last.
struct Scope<'a> {
    root: &'a Value,
    variables: Vec<(String, Value)>,
    strict: bool,
    out: String,
}

pub(crate) fn run(nodes: &[Node], value: &Value, strict: bool) -> Result<String> {
    let mut scope =
        Scope { root: value, variables: vec![("$".into(), value.clone())], strict, out: String::new() };
    scope.block(nodes, value)?;
    Ok(scope.out)
}

/// Empty values are false: Go's text/template, `if`.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

pub(crate) fn failed(place: (usize, usize), at: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Execute, format!("template: :{}:{}: executing \"\" at <{at}>: {why}", place.0, place.1))
}

impl Scope<'_> {
    fn block(&mut self, nodes: &[Node], dot: &Value) -> Result<()> {
        let depth = self.variables.len();
        let done = nodes.iter().try_for_each(|node| self.node(node, dot));
        self.variables.truncate(depth);
        done
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<()> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Action(action) => {
                let value = self.action(action, dot)?;
                if action.names.is_empty() {
                    self.out.push_str(&print::top(&value));
                }
            }
            Node::If(arms, otherwise) => return self.conditions(arms, otherwise, dot),
            Node::With(action, body, otherwise) => {
                let value = self.action(action, dot)?;
                return if is_true(&value) { self.block(body, &value) } else { self.block(otherwise, dot) };
            }
            Node::Range(action, body, otherwise) => return self.range(action, body, otherwise, dot),
        }
        Ok(())
    }

    fn conditions(&mut self, arms: &[(Action, Vec<Node>)], otherwise: &[Node], dot: &Value) -> Result<()> {
        for (condition, body) in arms {
            if is_true(&self.action(condition, dot)?) {
                return self.block(body, dot);
            }
        }
        self.block(otherwise, dot)
    }

    fn range(&mut self, action: &Action, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<()> {
        let over = self.pipe(&action.pipe, dot, action.place)?;
        let items: Vec<(Value, Value)> = match over {
            Value::Array(list) => {
                list.into_iter().enumerate().map(|(index, value)| (index.into(), value)).collect()
            }
            Value::Object(map) => sorted(map).into_iter().map(|(key, value)| (key.into(), value)).collect(),
            Value::Null => Vec::new(),
            other => {
                return Err(failed(
                    action.place,
                    "range",
                    format_args!("range can't iterate over {}", print::top(&other)),
                ));
            }
        };
        if items.is_empty() {
            return self.block(otherwise, dot);
        }
        for (key, value) in items {
            let depth = self.variables.len();
            match action.names.as_slice() {
                [] => {}
                [only] => self.variables.push((only.clone(), value.clone())),
                [first, second, ..] => {
                    self.variables.extend([(first.clone(), key), (second.clone(), value.clone())])
                }
            }
            self.block(body, &value)?;
            self.variables.truncate(depth);
        }
        Ok(())
    }

    fn action(&mut self, action: &Action, dot: &Value) -> Result<Value> {
        let value = self.pipe(&action.pipe, dot, action.place)?;
        for name in &action.names {
            match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                Some((_, old)) if name != "$" => *old = value.clone(),
                _ => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn pipe(&self, commands: &[Vec<Operand>], dot: &Value, place: (usize, usize)) -> Result<Value> {
        let mut piped = None;
        for command in commands {
            piped = Some(self.command(command, piped, dot, place)?);
        }
        Ok(piped.unwrap_or(Value::Null))
    }

    fn command(
        &self,
        command: &[Operand],
        piped: Option<Value>,
        dot: &Value,
        place: (usize, usize),
    ) -> Result<Value> {
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Null) };
        let mut args =
            rest.iter().map(|operand| self.operand(operand, dot, place)).collect::<Result<Vec<_>>>()?;
        args.extend(piped);
        match first {
            Operand::Function(name) => functions::call(name, &args).map_err(|why| failed(place, name, why)),
            // docker's fields with an argument: `.Label "key"`.
            Operand::Fields(names)
                if !args.is_empty() && names.last().is_some_and(|name| name == "Label") =>
            {
                let labels = dot.get("Labels").cloned().unwrap_or(Value::Null);
                Ok(functions::label(&labels, &print::top(&args[0])).into())
            }
            _ if args.is_empty() => self.operand(first, dot, place),
            _ => Err(failed(place, "command", "can't give argument to non-function")),
        }
    }

    fn operand(&self, operand: &Operand, dot: &Value, place: (usize, usize)) -> Result<Value> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Fields(names) => self.fields(dot, names, place),
            Operand::Variable(name, names) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = found.ok_or_else(|| failed(place, name, "undefined variable"))?;
                self.fields(value, names, place)
            }
            Operand::Function(name) => functions::call(name, &[]).map_err(|why| failed(place, name, why)),
            Operand::Group(commands, names) => {
                let value = self.pipe(commands, dot, place)?;
                self.fields(&value, names, place)
            }
        }
    }

    fn fields(&self, value: &Value, names: &[String], place: (usize, usize)) -> Result<Value> {
        let is_root = std::ptr::eq(value, self.root);
        let mut current = value;
        for (depth, name) in names.iter().enumerate() {
            let at = || format!(".{}", names[..=depth].join("."));
            current = match current {
                Value::Object(map) => match map.get(name) {
                    Some(value) => value,
                    None if depth == 0 && is_root && self.strict => {
                        return Err(failed(place, &at(), format_args!("can't evaluate field {name}")));
                    }
                    None => return Ok(Value::Null),
                },
                Value::Null => return Ok(Value::Null),
                _ => return Err(failed(place, &at(), format_args!("can't evaluate field {name}"))),
            };
        }
        Ok(current.clone())
    }
}

/// Go walks maps in the order of their keys.
fn sorted(map: serde_json::Map<String, Value>) -> Vec<(String, Value)> {
    let mut entries: Vec<_> = map.into_iter().collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries
}

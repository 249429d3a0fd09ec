//! Statements over a value, as text/template's exec walks them.
//!
//! Values are borrowed from the data as long as nothing is made of them, so a list of thousands of rows
//! is not copied. What is missing and what is null are one: `<no value>`, and a field of it is the same.

use crate::functions::{self, Function, Param};
use crate::node::{Branch, Call, Command, Expr, ExprKind, Number, Pipe, Statement};
use crate::parse::Templates;
use crate::{Error, Kind, Result, compare, functions::label, print};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Display;

/// In how many lists of statements a template may be called; the parser bounds what lies in it.
const DEPTH: usize = 200;

pub(crate) type Val<'v> = Cow<'v, Value>;

/// Where the evaluation is: an error's place and context.
#[derive(Clone, Copy)]
enum At<'t> {
    Start,
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
    Call(&'t Call),
}

impl At<'_> {
    fn place(self) -> (usize, String) {
        match self {
            Self::Start => (0, String::new()),
            Self::Pipe(pipe) => (pipe.pos, pipe.to_string()),
            Self::Command(command) => (command.pos, command.to_string()),
            Self::Expr(expr) => (expr.pos, expr.to_string()),
            Self::Call(call) => (call.pos, call.to_string()),
        }
    }
}

/// How a list of statements ended.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Run<'t, 'v> {
    text: &'t str,
    templates: &'t Templates,
    /// The template that is running.
    name: &'t str,
    root: &'v Value,
    strict: bool,
    /// Innermost last.
    variables: Vec<(&'t str, Val<'v>)>,
    at: At<'t>,
    /// Lists that are being walked.
    depth: usize,
    out: String,
}

pub(crate) fn run(text: &str, templates: &Templates, root: &Value, strict: bool) -> Result<String> {
    let mut run = Run {
        text,
        templates,
        name: "",
        root,
        strict,
        variables: vec![("$", Cow::Borrowed(root))],
        at: At::Start,
        depth: 0,
        out: String::new(),
    };
    run.list(templates.get("").map_or(&[], Vec::as_slice), &Cow::Borrowed(root))?;
    Ok(run.out)
}

impl<'t, 'v> Run<'t, 'v> {
    fn fail<T>(&self, why: impl Display) -> Result<T> {
        let (pos, context) = self.at.place();
        let before = &self.text[..pos];
        let line = 1 + before.matches('\n').count();
        let column = pos - before.rfind('\n').map_or(0, |newline| newline + 1);
        let name = self.name;
        let what = format!("template: :{line}:{column}: executing {name:?} at <{context}>: {why}");
        Err(Error::new(Kind::Execute, what))
    }

    fn list(&mut self, statements: &'t [Statement], dot: &Val<'v>) -> Result<Flow> {
        self.depth += 1;
        let mut flow = Flow::Next;
        for statement in statements {
            flow = self.statement(statement, dot)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn statement(&mut self, statement: &'t Statement, dot: &Val<'v>) -> Result<Flow> {
        match statement {
            Statement::Text(text) => self.out.push_str(text),
            Statement::Action(pipe) => {
                let value = self.pipeline(pipe, dot)?;
                if pipe.names.is_empty() {
                    self.out.push_str(&print::top(&value));
                }
            }
            Statement::If(branch) => return self.branch(branch, dot, false),
            Statement::With(branch) => return self.branch(branch, dot, true),
            Statement::Range(branch) => return self.range(branch, dot),
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::Call(call) => self.call(call, dot)?,
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, branch: &'t Branch, dot: &Val<'v>, moves: bool) -> Result<Flow> {
        let visible = self.variables.len();
        let value = self.pipeline(&branch.pipe, dot)?;
        let flow = match compare::is_true(&value) {
            true => self.list(&branch.body, if moves { &value } else { dot }),
            false => self.list(&branch.otherwise, dot),
        };
        self.variables.truncate(visible);
        flow
    }

    fn range(&mut self, branch: &'t Branch, dot: &Val<'v>) -> Result<Flow> {
        let visible = self.variables.len();
        let over = self.pipeline(&branch.pipe, dot)?;
        let mut items = self.items(over, branch.pipe.names.len())?.peekable();
        if items.peek().is_none() {
            let flow = self.list(&branch.otherwise, dot);
            self.variables.truncate(visible);
            return flow;
        }
        let inside = self.variables.len();
        for (key, item) in items {
            self.set_item(&branch.pipe, visible, key, &item);
            let flow = self.list(&branch.body, &item)?;
            self.variables.truncate(inside);
            if flow == Flow::Break {
                break;
            }
        }
        self.variables.truncate(visible);
        Ok(Flow::Next)
    }

    /// The keys and values to go over; maps in the order of their keys.
    fn items(&self, over: Val<'v>, names: usize) -> Result<Box<dyn Iterator<Item = (Value, Val<'v>)> + 'v>> {
        let pairs: Vec<(Value, Val<'v>)> = match over {
            Cow::Borrowed(Value::Array(list)) => {
                list.iter().enumerate().map(|(at, item)| (at.into(), Cow::Borrowed(item))).collect()
            }
            Cow::Owned(Value::Array(list)) => {
                list.into_iter().enumerate().map(|(at, item)| (at.into(), Cow::Owned(item))).collect()
            }
            Cow::Borrowed(Value::Object(map)) => sorted(map.iter().map(|(k, v)| (k, Cow::Borrowed(v)))),
            Cow::Owned(Value::Object(map)) => sorted(map.into_iter().map(|(k, v)| (k, Cow::Owned(v)))),
            over => match (over.as_ref(), over.as_i64()) {
                (Value::Null, _) => Vec::new(),
                (_, Some(_)) if names > 1 => {
                    let what = print::inner(&over);
                    return self
                        .fail(format_args!("can't use {what} to iterate over more than one variable"));
                }
                (_, Some(count)) => {
                    return Ok(Box::new((0..count).map(|n| (n.into(), Cow::Owned(n.into())))));
                }
                _ => return self.fail(format_args!("range can't iterate over {}", print::inner(&over))),
            },
        };
        Ok(Box::new(pairs.into_iter()))
    }

    /// One name is the item's; of two the first is the key's.
    fn set_item(&mut self, pipe: &'t Pipe, visible: usize, key: Value, item: &Val<'v>) {
        let values = match pipe.names.len() {
            0 => return,
            1 => vec![item.clone()],
            _ => vec![Cow::Owned(key), item.clone()],
        };
        for (at, (name, value)) in pipe.names.iter().zip(values).enumerate() {
            let found = match pipe.assigns {
                true => self.variables.iter_mut().rev().find(|(known, _)| known == name),
                false => self.variables.get_mut(visible + at),
            };
            found.into_iter().for_each(|variable| variable.1 = value.clone());
        }
    }

    fn call(&mut self, call: &'t Call, dot: &Val<'v>) -> Result<()> {
        self.at = At::Call(call);
        let Some((name, statements)) = self.templates.get_key_value(&call.name) else {
            return self.fail(format_args!("template {:?} not defined", call.name));
        };
        if self.depth > DEPTH {
            return self.fail(format_args!("exceeded maximum template depth ({DEPTH})"));
        }
        let dot = match &call.pipe {
            Some(pipe) => self.pipeline(pipe, dot)?,
            None => Cow::Owned(Value::Null),
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name);
        self.list(statements, &dot)?;
        (self.variables, self.name) = (outer, caller);
        Ok(())
    }

    fn pipeline(&mut self, pipe: &'t Pipe, dot: &Val<'v>) -> Result<Val<'v>> {
        self.at = At::Pipe(pipe);
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        let value = last.unwrap_or(Cow::Owned(Value::Null));
        for name in &pipe.names {
            match pipe.assigns {
                true => self.assign(name, &value)?,
                false => self.variables.push((name, value.clone())),
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: &Val<'v>) -> Result<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value.clone(),
            None => return self.fail(format_args!("undefined variable: {name}")),
        }
        Ok(())
    }

    /// `last` is what the command before it gave: its last argument.
    fn command(&mut self, command: &'t Command, dot: &Val<'v>, last: Option<Val<'v>>) -> Result<Val<'v>> {
        let (first, rest) = (&command.args[0], &command.args[1..]);
        match &first.kind {
            ExprKind::Function(name) => {
                let function = functions::find(name).expect("the parser looked it up");
                return self.function(function, first, At::Command(command), rest, dot, last);
            }
            ExprKind::Field(_) | ExprKind::Chain(..) | ExprKind::Variable(..) => {
                return self.fields_of(first, rest, dot, last);
            }
            ExprKind::Group(pipe) => {
                self.no_arguments(first, rest, &last)?;
                return self.pipeline(pipe, dot);
            }
            _ => self.at = At::Expr(first),
        }
        self.no_arguments(first, rest, &last)?;
        match &first.kind {
            ExprKind::Nil => self.fail("nil is not a command"),
            _ => self.literal(first, dot),
        }
    }

    fn no_arguments(&self, first: &Expr, rest: &[Expr], last: &Option<Val<'v>>) -> Result<()> {
        if rest.is_empty() && last.is_none() {
            return Ok(());
        }
        self.fail(format_args!("can't give argument to non-function {first}"))
    }

    /// What needs no evaluation, where any type will do.
    fn literal(&self, expr: &Expr, dot: &Val<'v>) -> Result<Val<'v>> {
        Ok(match &expr.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Bool(value) => Cow::Owned((*value).into()),
            ExprKind::Text { text, .. } => Cow::Owned(text.as_str().into()),
            ExprKind::Number(number) => Cow::Owned(self.ideal(number)?),
            _ => Cow::Owned(Value::Null),
        })
    }

    fn ideal(&self, number: &Number) -> Result<Value> {
        match (number.int, number.float) {
            (_, Some(float)) if number.is_float() => Ok(float.into()),
            (Some(int), _) => Ok(int.into()),
            _ => self.fail(format_args!("{} overflows int", number.text)),
        }
    }

    /// Fields of the dot, of a variable or of a pipeline.
    fn fields_of(
        &mut self,
        expr: &'t Expr,
        args: &'t [Expr],
        dot: &Val<'v>,
        last: Option<Val<'v>>,
    ) -> Result<Val<'v>> {
        self.at = At::Expr(expr);
        let (value, names) = match &expr.kind {
            ExprKind::Field(names) => (dot.clone(), names),
            ExprKind::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let Some((_, value)) = known else {
                    return self.fail(format_args!("undefined variable: {name}"));
                };
                (value.clone(), names)
            }
            ExprKind::Chain(inner, names) => (self.argument(inner, Param::Any, dot)?, names),
            _ => return self.literal(expr, dot),
        };
        let Some((end, before)) = names.split_last() else {
            self.no_arguments(expr, args, &last)?;
            return Ok(value);
        };
        let value = before.iter().try_fold(value, |value, name| self.field(value, name, &[], dot, None))?;
        self.field(value, end, args, dot, last)
    }

    fn field(
        &mut self,
        value: Val<'v>,
        name: &str,
        args: &'t [Expr],
        dot: &Val<'v>,
        last: Option<Val<'v>>,
    ) -> Result<Val<'v>> {
        let is_root = std::ptr::eq(value.as_ref(), self.root);
        let Value::Object(map) = value.as_ref() else {
            return match value.as_ref() {
                Value::Null => Ok(value),
                other => {
                    self.fail(format_args!("can't evaluate field {name} in type {}", print::type_of(other)))
                }
            };
        };
        match map.contains_key(name) {
            true if args.is_empty() && last.is_none() => Ok(member(value, name)),
            true => self.fail(format_args!("{name} has arguments but cannot be invoked as function")),
            false if name == "Label" && map.contains_key("Labels") => {
                self.label(member(value, "Labels"), args, dot, last)
            }
            false if is_root && self.strict => self.fail(format_args!("can't evaluate field {name}")),
            false => Ok(Cow::Owned(Value::Null)),
        }
    }

    /// docker's one method: `.Label "key"` of rows.
    fn label(
        &mut self,
        labels: Val<'v>,
        args: &'t [Expr],
        dot: &Val<'v>,
        last: Option<Val<'v>>,
    ) -> Result<Val<'v>> {
        let given = args.len() + usize::from(last.is_some());
        if given != 1 {
            return self.fail(format_args!("wrong number of args for Label: want 1 got {given}"));
        }
        let key = match (args, last) {
            ([arg], _) => self.argument(arg, Param::Text, dot)?,
            (_, Some(last)) => self.fit(last, Param::Text)?,
            _ => Cow::Owned(Value::Null),
        };
        Ok(Cow::Owned(label(&labels, key.as_str().unwrap_or_default()).into()))
    }

    fn function(
        &mut self,
        function: &'static Function,
        expr: &'t Expr,
        call: At<'t>,
        args: &'t [Expr],
        dot: &Val<'v>,
        last: Option<Val<'v>>,
    ) -> Result<Val<'v>> {
        self.at = At::Expr(expr);
        let given = args.len() + usize::from(last.is_some());
        // Go counts the piped argument for the check and forgets it in the words.
        match function.rest {
            Some(_) if given < function.fixed.len() => return self.too_few(function, args.len()),
            None if given != function.fixed.len() => return self.wrong_count(function, given),
            _ => {}
        }
        if let Some(stops_at) = function.stops_at {
            return self.short_circuit(stops_at, args, dot, last);
        }
        let mut values = Vec::with_capacity(given);
        for (at, arg) in args.iter().enumerate() {
            values.push(self.argument(arg, function.param(at), dot)?);
        }
        if let Some(last) = last {
            values.push(self.fit(last, function.param(args.len()))?);
        }
        (function.call)(&values).map(Cow::Owned).or_else(|why| {
            self.at = call;
            self.fail(format_args!("error calling {}: {why}", function.name))
        })
    }

    fn too_few<T>(&self, function: &Function, given: usize) -> Result<T> {
        let (name, least) = (function.name, function.fixed.len());
        self.fail(format_args!("wrong number of args for {name}: want at least {least} got {given}"))
    }

    fn wrong_count<T>(&self, function: &Function, given: usize) -> Result<T> {
        let (name, count) = (function.name, function.fixed.len());
        self.fail(format_args!("wrong number of args for {name}: want {count} got {given}"))
    }

    /// `and` and `or`: what follows the deciding argument is not evaluated.
    fn short_circuit(
        &mut self,
        stops_at: bool,
        args: &'t [Expr],
        dot: &Val<'v>,
        last: Option<Val<'v>>,
    ) -> Result<Val<'v>> {
        let mut value = Cow::Owned(Value::Null);
        for arg in args {
            value = self.argument(arg, Param::Any, dot)?;
            if compare::is_true(&value) == stops_at {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, expr: &'t Expr, param: Param, dot: &Val<'v>) -> Result<Val<'v>> {
        self.at = At::Expr(expr);
        let value = match &expr.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Nil if matches!(param, Param::Any | Param::Texts) => Cow::Owned(Value::Null),
            ExprKind::Nil => return self.fail(format_args!("cannot assign nil to {}", param.shown())),
            ExprKind::Field(_) | ExprKind::Variable(..) | ExprKind::Chain(..) => {
                self.fields_of(expr, &[], dot, None)?
            }
            ExprKind::Group(pipe) => self.pipeline(pipe, dot)?,
            ExprKind::Function(name) => {
                let function = functions::find(name).expect("the parser looked it up");
                self.function(function, expr, At::Expr(expr), &[], dot, None)?
            }
            _ => return self.constant(expr, param, dot),
        };
        self.fit(value, param)
    }

    /// A literal for a parameter of a type.
    fn constant(&self, expr: &Expr, param: Param, dot: &Val<'v>) -> Result<Val<'v>> {
        match (param, &expr.kind) {
            (Param::Any, _) | (Param::Text, ExprKind::Text { .. }) => self.literal(expr, dot),
            (Param::Int, ExprKind::Number(Number { int: Some(int), .. })) => Ok(Cow::Owned((*int).into())),
            (Param::Int, _) => self.fail(format_args!("expected integer; found {expr}")),
            (Param::Text, _) => self.fail(format_args!("expected string; found {expr}")),
            (Param::Texts, _) => self.fail(format_args!("can't handle {expr} for arg of type []string")),
        }
    }

    /// A value for a parameter of a type.
    fn fit(&self, value: Val<'v>, param: Param) -> Result<Val<'v>> {
        let fits = match (param, value.as_ref()) {
            (Param::Any, _) | (Param::Text, Value::String(_)) | (Param::Texts, Value::Null) => true,
            (Param::Int, value) => value.is_i64() || value.is_u64(),
            (Param::Texts, Value::Array(list)) => list.iter().all(Value::is_string),
            _ => false,
        };
        match value.as_ref() {
            _ if fits => Ok(value),
            Value::Null => self.fail(format_args!("invalid value; expected {}", param.shown())),
            other => {
                let (expected, got) = (param.shown(), print::type_of(other));
                self.fail(format_args!("wrong type for value; expected {expected}; got {got}"))
            }
        }
    }
}

fn member<'v>(value: Val<'v>, name: &str) -> Val<'v> {
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(&value[name]),
        Cow::Owned(mut value) => Cow::Owned(value[name].take()),
    }
}

fn sorted<'v, K: Ord + ToString>(pairs: impl Iterator<Item = (K, Val<'v>)>) -> Vec<(Value, Val<'v>)> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.into_iter().map(|(key, value)| (key.to_string().into(), value)).collect()
}

//! The functions of text/template, and docker's.

use crate::eval::Val;
use crate::format::sprintf;
use crate::{compare, escape, print};
use serde_json::Value;
use std::ops::Not;

/// A function and what it takes.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) fixed: &'static [Param],
    /// Of any number of arguments behind the fixed ones.
    pub(crate) rest: Option<Param>,
    /// For `and` and `or`, the truth that ends the evaluation; the call itself is never made.
    pub(crate) stops_at: Option<bool>,
    pub(crate) call: fn(&[Val<'_>]) -> Called,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param {
    Any,
    Text,
    Int,
    Texts,
}

pub(crate) type Called = Result<Value, String>;

impl Param {
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Int => "int",
            Self::Texts => "[]string",
        }
    }
}

impl Function {
    pub(crate) fn param(&self, at: usize) -> Param {
        self.fixed.get(at).copied().or(self.rest).unwrap_or(Param::Any)
    }
}

/// A function by its name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const fn exact(name: &'static str, fixed: &'static [Param], call: fn(&[Val<'_>]) -> Called) -> Function {
    Function { name, fixed, rest: None, stops_at: None, call }
}

const fn open(name: &'static str, fixed: &'static [Param], call: fn(&[Val<'_>]) -> Called) -> Function {
    Function { name, fixed, rest: Some(Param::Any), stops_at: None, call }
}

const fn short(name: &'static str, stops_at: bool) -> Function {
    Function {
        name,
        fixed: &[Param::Any],
        rest: Some(Param::Any),
        stops_at: Some(stops_at),
        call: |_| Ok(Value::Null),
    }
}

const ONE: &[Param] = &[Param::Any];
const TWO: &[Param] = &[Param::Any, Param::Any];
const TEXT: &[Param] = &[Param::Text];

static FUNCTIONS: &[Function] = &[
    short("and", false),
    short("or", true),
    exact("not", ONE, |args| Ok((!compare::is_true(&args[0])).into())),
    open("eq", ONE, equal_to_any),
    exact("ne", TWO, |args| compare::equal(&args[0], &args[1]).map(|equal| (!equal).into())),
    exact("lt", TWO, |args| compare::less(&args[0], &args[1]).map(Into::into)),
    exact("le", TWO, |args| less_or_equal(args).map(Into::into)),
    exact("gt", TWO, |args| less_or_equal(args).map(bool::not).map(Into::into)),
    exact("ge", TWO, |args| compare::less(&args[0], &args[1]).map(bool::not).map(Into::into)),
    open("index", ONE, |args| {
        args[1..].iter().try_fold(args[0].as_ref().clone(), |item, key| index(&item, key))
    }),
    open("slice", ONE, |args| slice(&args[0], &args[1..])),
    exact("len", ONE, |args| length(&args[0]).map(Into::into)),
    open("print", &[], |args| Ok(print::sprint(args).into())),
    open("println", &[], |args| Ok(line(args).into())),
    open("printf", TEXT, |args| Ok(sprintf(text(&args[0]), &args[1..]).into())),
    open("html", &[], |args| Ok(escape::html(&joined(args)).into())),
    open("js", &[], |args| Ok(escape::js(&joined(args)).into())),
    open("urlquery", &[], |args| Ok(escape::query(&joined(args)).into())),
    exact("json", ONE, |args| Ok(print::json(&args[0]).into())),
    exact("split", &[Param::Text, Param::Text], |args| Ok(split(text(&args[0]), text(&args[1])))),
    exact("join", &[Param::Texts, Param::Text], |args| Ok(join(&args[0], text(&args[1])).into())),
    exact("title", TEXT, |args| Ok(title(text(&args[0])).into())),
    exact("lower", TEXT, |args| Ok(mapped(text(&args[0]), char::to_lowercase).into())),
    exact("upper", TEXT, |args| Ok(mapped(text(&args[0]), char::to_uppercase).into())),
    exact("pad", &[Param::Text, Param::Int, Param::Int], |args| pad(text(&args[0]), &args[1], &args[2])),
    exact("truncate", &[Param::Text, Param::Int], |args| truncate(text(&args[0]), &args[1])),
];

/// An argument that is known to be a text.
fn text<'a>(value: &'a Val<'_>) -> &'a str {
    value.as_str().unwrap_or_default()
}

fn equal_to_any(args: &[Val<'_>]) -> Called {
    if args.len() == 1 {
        return Err("missing argument for comparison".into());
    }
    for other in &args[1..] {
        if compare::equal(&args[0], other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn less_or_equal(args: &[Val<'_>]) -> Result<bool, String> {
    Ok(compare::less(&args[0], &args[1])? || compare::equal(&args[0], &args[1])?)
}

/// One step of `index`. What a map of texts lacks is an empty text, as for docker's labels, and so is
/// anything by name of what is null: an absent map is null in JSON.
fn index(item: &Value, key: &Value) -> Called {
    match (item, key) {
        (Value::Object(map), Value::String(name)) => {
            let absent = if map.values().all(Value::is_string) { "".into() } else { Value::Null };
            Ok(map.get(name).cloned().unwrap_or(absent))
        }
        (Value::Object(_), Value::Null) => Err("value is nil; should be of type string".into()),
        (Value::Object(_), other) => {
            Err(format!("value has type {}; should be string", print::type_of(other)))
        }
        (Value::Array(list), key) => {
            let at = position(key, list.len())?;
            list.get(at).cloned().ok_or_else(|| "reflect: slice index out of range".into())
        }
        (Value::String(text), key) => {
            let at = position(key, text.len())?;
            let byte = text.as_bytes().get(at).copied();
            byte.map(Into::into).ok_or_else(|| "reflect: string index out of range".into())
        }
        (Value::Null, Value::String(_)) => Ok("".into()),
        (Value::Null, _) => Err("index of untyped nil".into()),
        (other, _) => Err(format!("can't index item of type {}", print::type_of(other))),
    }
}

/// A place in something so long, its end included.
fn position(key: &Value, length: usize) -> Result<usize, String> {
    if key.is_null() {
        return Err("cannot index slice/array with nil".into());
    }
    if !key.is_i64() && !key.is_u64() {
        return Err(format!("cannot index slice/array with type {}", print::type_of(key)));
    }
    let at = key.as_u64().and_then(|at| usize::try_from(at).ok()).filter(|at| *at <= length);
    at.ok_or_else(|| format!("index out of range: {key}"))
}

fn slice(item: &Value, bounds: &[Val<'_>]) -> Called {
    let length = match item {
        Value::Null => return Err("slice of untyped nil".into()),
        _ if bounds.len() > 3 => return Err(format!("too many slice indexes: {}", bounds.len())),
        Value::String(_) if bounds.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::String(text) => text.len(),
        Value::Array(list) => list.len(),
        other => return Err(format!("can't slice item of type {}", print::type_of(other))),
    };
    let bounds = bounds.iter().map(|bound| position(bound, length)).collect::<Result<Vec<_>, _>>()?;
    let (from, to) = (bounds.first().copied().unwrap_or(0), bounds.get(1).copied().unwrap_or(length));
    // A third bound is a capacity, which shows in nothing.
    let wrong = [(from, to), (to, bounds.get(2).copied().unwrap_or(length))].into_iter().find(|(a, b)| a > b);
    if let Some((a, b)) = wrong {
        return Err(format!("invalid slice index: {a} > {b}"));
    }
    Ok(match item {
        Value::Array(list) => list[from..to].to_vec().into(),
        other => {
            let bytes = other.as_str().unwrap_or_default().as_bytes();
            String::from_utf8_lossy(&bytes[from..to]).into()
        }
    })
}

/// Of null, too: an absent list is null in JSON.
fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::Null => Ok(0),
        Value::String(text) => Ok(text.len()),
        Value::Array(list) => Ok(list.len()),
        Value::Object(map) => Ok(map.len()),
        other => Err(format!("len of type {}", print::type_of(other))),
    }
}

fn line(args: &[Val<'_>]) -> String {
    args.iter().map(|arg| print::inner(arg)).collect::<Vec<_>>().join(" ") + "\n"
}

/// The arguments of an escaper as one text.
fn joined(args: &[Val<'_>]) -> String {
    let shown: Vec<_> = args
        .iter()
        .map(|arg| if arg.is_null() { "<no value>".into() } else { arg.as_ref().clone() })
        .collect();
    print::sprint::<Value>(&shown)
}

fn split(text: &str, by: &str) -> Value {
    match by {
        "" => text.chars().map(|c| Value::from(c.to_string())).collect(),
        by => text.split(by).map(Value::from).collect(),
    }
}

fn join(list: &Value, by: &str) -> String {
    let words: Vec<_> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(by)
}

/// strings.Title: a letter behind anything but a letter, a digit or `_`.
fn title(text: &str) -> String {
    let mut at_start = true;
    let mut out = String::new();
    for c in text.chars() {
        out.push(if at_start { single(c, char::to_uppercase) } else { c });
        at_start = if c.is_ascii() { !c.is_alphanumeric() && c != '_' } else { c.is_whitespace() };
    }
    out
}

/// Character by character, as Go does: `ß` has no single capital and stays.
fn mapped<I: Iterator<Item = char>>(text: &str, map: fn(char) -> I) -> String {
    text.chars().map(|c| single(c, map)).collect()
}

fn single<I: Iterator<Item = char>>(c: char, map: fn(char) -> I) -> char {
    let mut mapped = map(c);
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Most spaces that `pad` gives: a slip of the keyboard shall not fill the memory.
const MOST_SPACES: i64 = 1 << 16;

fn pad(text: &str, before: &Value, after: &Value) -> Called {
    if text.is_empty() {
        return Ok("".into());
    }
    Ok(format!("{}{text}{}", spaces(before)?, spaces(after)?).into())
}

fn spaces(count: &Value) -> Result<String, String> {
    match count.as_i64() {
        Some(count @ 0..=MOST_SPACES) => Ok(" ".repeat(count as usize)),
        Some(..0) => Err("strings: negative Repeat count".into()),
        _ => Err(format!("cannot pad with {count} spaces")),
    }
}

/// To so many bytes.
fn truncate(text: &str, most: &Value) -> Called {
    let Some(most) = most.as_u64() else {
        return Err(format!("runtime error: slice bounds out of range [:{most}]"));
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(text.len());
    Ok(String::from_utf8_lossy(&text.as_bytes()[..most]).into())
}

/// docker's `.Label "key"`: from a map, or from `a=b,c=d`.
pub(crate) fn label(labels: &Value, key: &str) -> String {
    match labels {
        Value::Object(map) => map.get(key).map(print::inner).unwrap_or_default(),
        Value::String(text) => {
            let mut pairs = text.split(',').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

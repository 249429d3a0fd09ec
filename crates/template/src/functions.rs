//! The functions of text/template, and docker's.

use crate::eval::is_true;
use crate::print::{formatted, inner, top};
use serde_json::Value;
use std::cmp::Ordering;

const NAMES: [&str; 26] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "print", "printf",
    "println", "html", "js", "urlquery", "json", "split", "join", "title", "lower", "upper", "pad",
    "truncate",
];

pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

type Called = Result<Value, String>;

pub(crate) fn call(name: &str, args: &[Value]) -> Called {
    match (name, args) {
        ("and", [.., last]) => Ok(args.iter().find(|arg| !is_true(arg)).unwrap_or(last).clone()),
        ("or", [.., last]) => Ok(args.iter().find(|arg| is_true(arg)).unwrap_or(last).clone()),
        ("not", [arg]) => Ok((!is_true(arg)).into()),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            Ok(others.iter().any(|other| same(first, other)).into())
        }
        ("ne", [a, b]) => Ok((!same(a, b)).into()),
        ("lt", [a, b]) => order(a, b).map(|order| (order == Ordering::Less).into()),
        ("le", [a, b]) => order(a, b).map(|order| (order != Ordering::Greater).into()),
        ("gt", [a, b]) => order(a, b).map(|order| (order == Ordering::Greater).into()),
        ("ge", [a, b]) => order(a, b).map(|order| (order != Ordering::Less).into()),
        ("index", [value, keys @ ..]) => keys.iter().try_fold(value.clone(), |value, key| index(&value, key)),
        ("len", [value]) => length(value).map(Into::into),
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        ("print", _) => Ok(args.iter().map(top).collect::<String>().into()),
        ("println", _) => Ok((args.iter().map(inner).collect::<Vec<_>>().join(" ") + "\n").into()),
        ("printf", [format, rest @ ..]) => Ok(formatted(&top(format), rest).into()),
        ("json", [value]) => Ok(value.to_string().into()),
        ("lower", [text]) => Ok(top(text).to_lowercase().into()),
        ("upper", [text]) => Ok(top(text).to_uppercase().into()),
        ("title", [text]) => Ok(title(&top(text)).into()),
        ("split", [text, by]) => Ok(top(text).split(top(by).as_str()).map(Value::from).collect()),
        ("join", [Value::Array(list), by]) => {
            Ok(list.iter().map(inner).collect::<Vec<_>>().join(&top(by)).into())
        }
        ("join", [Value::Null, _]) => Ok("".into()),
        ("pad", [text, before, after]) => {
            let spaces = |count: &Value| " ".repeat(count.as_u64().unwrap_or(0) as usize);
            Ok(format!("{}{}{}", spaces(before), top(text), spaces(after)).into())
        }
        ("truncate", [text, most]) => {
            Ok(top(text).chars().take(most.as_u64().unwrap_or(0) as usize).collect::<String>().into())
        }
        ("html", [text]) => Ok(escape(
            &top(text),
            &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&#34;"), ('\'', "&#39;")],
        )
        .into()),
        ("js", [text]) => Ok(escape(
            &top(text),
            &[
                ('\\', "\\\\"),
                ('\'', "\\'"),
                ('"', "\\\""),
                ('<', "\\u003C"),
                ('>', "\\u003E"),
                ('\n', "\\u000A"),
            ],
        )
        .into()),
        ("urlquery", [text]) => Ok(query(&top(text)).into()),
        _ => Err(format!("wrong number or kind of args for {name}")),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    let numbers = a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b));
    let texts = a.as_str().zip(b.as_str()).map(|(a, b)| a.cmp(b));
    numbers.or(texts).ok_or_else(|| "incompatible types for comparison".into())
}

fn index(value: &Value, key: &Value) -> Called {
    match (value, key) {
        (Value::Object(map), key) => Ok(map.get(&top(key)).cloned().unwrap_or(Value::Null)),
        (Value::Array(list), Value::Number(_)) => {
            let at = key.as_u64().and_then(|at| list.get(usize::try_from(at).ok()?));
            at.cloned().ok_or_else(|| format!("error calling index: index out of range: {key}"))
        }
        (Value::Null, _) => Err("error calling index: index of untyped nil".into()),
        (other, _) => Err(format!("error calling index: can't index item of type {}", top(other))),
    }
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(list) => Ok(list.len()),
        Value::Object(map) => Ok(map.len()),
        other => Err(format!("error calling len: len of {}", top(other))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Called {
    let whole = length(value)?;
    let bound = |at: usize, default: usize| {
        bounds.get(at).map_or(Some(default), |bound| usize::try_from(bound.as_u64()?).ok())
    };
    let range = bound(0, 0).zip(bound(1, whole)).filter(|(from, to)| from <= to && *to <= whole);
    let (from, to) = range.ok_or("error calling slice: index out of range")?;
    match value {
        Value::Array(list) => Ok(list[from..to].to_vec().into()),
        Value::String(text) => text
            .get(from..to)
            .map(Value::from)
            .ok_or_else(|| "error calling slice: inside a character".into()),
        _ => Err("error calling slice: neither a list nor a text".into()),
    }
}

fn title(text: &str) -> String {
    let mut at_start = true;
    let raise = |c: char| {
        let raised = if at_start { c.to_ascii_uppercase() } else { c };
        at_start = !c.is_alphanumeric();
        raised
    };
    text.chars().map(raise).collect()
}

fn escape(text: &str, table: &[(char, &str)]) -> String {
    let one = |c: char| {
        table.iter().find(|(from, _)| *from == c).map_or_else(|| c.to_string(), |(_, to)| (*to).to_owned())
    };
    text.chars().map(one).collect()
}

fn query(text: &str) -> String {
    let one = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

/// docker's `.Label "key"`: from a map, or from `a=b,c=d`.
pub(crate) fn label(labels: &Value, key: &str) -> String {
    match labels {
        Value::Object(map) => map.get(key).map(inner).unwrap_or_default(),
        Value::String(text) => {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            pairs
                .filter(|(name, _)| *name == key)
                .map(|(_, value)| value.to_owned())
                .next()
                .unwrap_or_default()
        }
        _ => String::new(),
    }
}

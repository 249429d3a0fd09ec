//! Values as Go's fmt prints them with `%v`, and as encoding/json does.

use crate::format;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};
use std::borrow::Borrow;
use std::io;

/// What an action gives.
pub(crate) fn top(value: &Value) -> String {
    if value.is_null() { "<no value>".into() } else { inner(value) }
}

/// The same as a part of something.
pub(crate) fn inner(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format::shortest(number.as_f64().unwrap_or_default()),
        Value::Number(number) => number.to_string(),
        Value::Array(list) => format!("[{}]", list.iter().map(inner).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs: Vec<_> =
                pairs.into_iter().map(|(key, value)| format!("{key}:{}", inner(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// Go's name of the type. A list of texts alone is taken for one that can hold nothing else.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_string) => "[]string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `fmt.Sprint`: a space between two values when neither is a text.
pub(crate) fn sprint<V: Borrow<Value>>(values: &[V]) -> String {
    let mut out = String::new();
    let mut text_before = true;
    for value in values.iter().map(Borrow::borrow) {
        if !text_before && !value.is_string() {
            out.push(' ');
        }
        out += &inner(value);
        text_before = value.is_string();
    }
    out
}

/// docker's `json`: HTML is not escaped.
pub(crate) fn json(value: &Value) -> String {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Go)).expect("writes to memory never fail");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where encoding/json differs from serde_json.
struct Go;

impl Formatter for Go {
    /// Whole numbers have no `.0`; very large and very small ones an exponent.
    fn write_f64<W: ?Sized + io::Write>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            return write!(to, "{digits}e{sign}{exponent}");
        }
        write!(to, "{value}")
    }

    /// JavaScript's line ends are always escaped.
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, text: &str) -> io::Result<()> {
        to.write_all(text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").as_bytes())
    }
}

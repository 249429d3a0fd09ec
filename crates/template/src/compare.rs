//! Truth, equality and order, as text/template has them: only what is of one kind compares.

use serde_json::Value;
use std::cmp::Ordering;

use crate::print;

const INCOMPATIBLE: &str = "incompatible types for comparison";

/// Go's basic kinds; JSON's lists, objects and null are none.
#[derive(PartialEq)]
enum Kind {
    Bool,
    Int,
    Float,
    Text,
}

fn kind(value: &Value) -> Option<Kind> {
    match value {
        Value::Bool(_) => Some(Kind::Bool),
        Value::Number(number) if number.is_f64() => Some(Kind::Float),
        Value::Number(_) => Some(Kind::Int),
        Value::String(_) => Some(Kind::Text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether `if` takes it: not when zero, empty or missing.
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

/// Whether two values are equal.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    if kind(a) != kind(b) {
        return if a.is_null() || b.is_null() { Ok(false) } else { Err(INCOMPATIBLE.into()) };
    }
    if a.is_null() || b.is_null() {
        return Ok(a.is_null() == b.is_null());
    }
    if kind(b).is_none() {
        return Err(format!("non-comparable type {}: {}", print::inner(b), print::type_of(b)));
    }
    Ok(order(a, b).map_or_else(|| a == b, Ordering::is_eq))
}

/// Whether the first is the smaller.
pub(crate) fn less(a: &Value, b: &Value) -> Result<bool, String> {
    if kind(a).is_none() || kind(b).is_none() {
        return Err("invalid type for comparison".into());
    }
    if kind(a) != kind(b) {
        return Err(INCOMPATIBLE.into());
    }
    order(a, b).map(Ordering::is_lt).ok_or_else(|| "invalid type for comparison".into())
}

/// Of two numbers or two texts.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
    }
}

fn whole(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

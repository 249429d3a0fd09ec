//! Values as Go's fmt prints them.

use serde_json::Value;

/// `%v` of what an action gives: null is `<no value>` here, `<nil>` inside others.
pub(crate) fn top(value: &Value) -> String {
    if value.is_null() { "<no value>".into() } else { inner(value) }
}

pub(crate) fn inner(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or(0.0)),
        Value::Array(list) => format!("[{}]", list.iter().map(inner).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<_> =
                map.iter().map(|(key, value)| format!("{key}:{}", inner(value))).collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

/// `%v` of a float is `%g`: an exponent below -4 and from 21 on.
fn float(value: f64) -> String {
    let exponent = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..21).contains(&exponent) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `fmt.Sprintf`, as far as templates use it: `%s %d %v %q %x %t %f` with flags, width and precision.
pub(crate) fn formatted(format: &str, args: &[Value]) -> String {
    let mut args = args.iter();
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let spec = &rest[at + 1..];
        let end = spec.find(|c: char| c.is_ascii_alphabetic() || c == '%').unwrap_or(spec.len());
        let Some(verb) = spec[end..].chars().next() else {
            text.push_str("%!(NOVERB)");
            return text;
        };
        text.push_str(&if verb == '%' { "%".into() } else { one(verb, &spec[..end], args.next()) });
        rest = &spec[end + verb.len_utf8()..];
    }
    text + rest
}

fn one(verb: char, flags: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return format!("%!{verb}(MISSING)") };
    let (width, precision) =
        flags.split_once('.').map_or((flags, None), |(width, precision)| (width, Some(precision)));
    let shown = match verb {
        'f' => format!(
            "{:.*}",
            precision.and_then(|p| p.parse().ok()).unwrap_or(6),
            value.as_f64().unwrap_or(0.0)
        ),
        'q' => Value::from(inner(value)).to_string(),
        'x' => value
            .as_i64()
            .map_or_else(|| inner(value).bytes().map(|b| format!("{b:02x}")).collect(), |n| format!("{n:x}")),
        _ => inner(value),
    };
    let left = width.contains('-');
    let zero = width.starts_with('0');
    let width: usize = width.trim_matches(['-', '+', ' ', '#']).parse().unwrap_or(0);
    match (left, zero) {
        (true, _) => format!("{shown:width$}"),
        (false, true) => format!("{}{shown}", "0".repeat(width.saturating_sub(shown.len()))),
        (false, false) => format!("{shown:>width$}"),
    }
}

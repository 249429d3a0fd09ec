//! Durations as Go writes them (`time.ParseDuration`): `1h30m`, `1.5s`, `300ms`.

use crate::{Error, Kind, Result};

const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Nanoseconds of a duration, with an optional sign; `0` alone needs no unit.
pub fn parse(text: &str) -> Result<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits == "0" {
        return Ok(0);
    }
    let nanoseconds = sum(text, digits)?;
    Ok(if negative { -nanoseconds } else { nanoseconds })
}

fn sum(text: &str, mut rest: &str) -> Result<i64> {
    let refuse = |why: &str| Error::new(Kind::Duration, format!("{why} `{text}`"));
    let mut total = 0i64;
    if rest.is_empty() {
        return Err(refuse("invalid duration"));
    }
    while !rest.is_empty() {
        let (number, tail) = split_where(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, tail) = split_where(tail, |c| c.is_ascii_digit() || c == '.');
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(refuse(if unit.is_empty() {
                "missing unit in duration"
            } else {
                "unknown unit in duration"
            }));
        };
        let part = scaled(number, *scale).ok_or_else(|| refuse("invalid duration"))?;
        total = total.checked_add(part).ok_or_else(|| refuse("invalid duration"))?;
        rest = tail;
    }
    Ok(total)
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

/// A decimal number times a unit, exact in integers; what is below a nanosecond is cut off.
fn scaled(number: &str, unit: u64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = &fraction[..fraction.len().min(15)];
    let part: u128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let part = part * u128::from(unit) / 10u128.pow(digits.len() as u32);
    i64::try_from(u128::from(whole) * u128::from(unit) + part).ok()
}

/// As Go prints a span: `1h0m5s`, `1.5s`, `300ms`.
pub fn show(span: std::time::Duration) -> String {
    let nanoseconds = span.as_nanos();
    let fraction = |unit: u128, name: &str| {
        let digits = unit.ilog10() as usize;
        let rest = format!("{:0digits$}", nanoseconds % unit);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{}{point}{rest}{name}", nanoseconds / unit)
    };
    match nanoseconds {
        0 => "0s".into(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => fraction(1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(1_000_000, "ms"),
        _ => {
            let (hours, minutes) = (span.as_secs() / 3600, span.as_secs() / 60 % 60);
            let below = show_below_minute(span);
            match (hours, minutes) {
                (0, 0) => below,
                (0, _) => format!("{minutes}m{below}"),
                _ => format!("{hours}h{minutes}m{below}"),
            }
        }
    }
}

fn show_below_minute(span: std::time::Duration) -> String {
    let rest = format!("{:09}", span.subsec_nanos());
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{}{point}{rest}s", span.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_as_go_shows_them() {
        for text in
            ["0s", "1ns", "1.5µs", "300ms", "1s", "1.5s", "59.000000001s", "1m0s", "1h0m5s", "100h1m0.25s"]
        {
            let span = std::time::Duration::from_nanos(parse(text).unwrap() as u64);
            assert_eq!(show(span), text);
        }
    }

    #[test]
    fn durations_are_gos() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("1h1m1s", 3_661_000_000_000),
            ("1.5ms", 1_500_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("-2m", -120_000_000_000),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("0.3333333333333333333h", 1_199_999_999_999),
        ] {
            assert_eq!(parse(text).unwrap(), nanoseconds, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for (text, why) in [
            ("", "invalid duration"),
            ("5", "missing unit in duration"),
            ("5d", "unknown unit in duration"),
            (".s", "invalid duration"),
            ("1.2.3s", "invalid duration"),
            ("-", "invalid duration"),
            ("9999999999h", "invalid duration"),
            ("s", "invalid duration"),
            ("1 s", "unknown unit in duration"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("{why} `{text}`"));
        }
    }
}

//! Limits as properties of a unit, see systemd.resource-control(5) and org.freedesktop.systemd1(5).
//!
//! What is written to a unit's group is told to systemd as well, or it would write its own values over it at the
//! next `daemon-reload`. What systemd has no property for is only written.

use super::message::Value;
use crate::setting::{Setting, numbers};
use crate::{Error, Kind, Result};

/// The prefix of annotations that name properties, as in runc and crun.
const ANNOTATION: &str = "org.systemd.property.";

/// Properties that are the files' values under another name.
const SAME: [(&str, &str); 10] = [
    ("memory.max", "MemoryMax"),
    ("memory.low", "MemoryLow"),
    ("memory.high", "MemoryHigh"),
    ("memory.min", "MemoryMin"),
    ("memory.swap.max", "MemorySwapMax"),
    ("memory.limit_in_bytes", "MemoryLimit"),
    ("cpu.weight", "CPUWeight"),
    ("cpu.shares", "CPUShares"),
    ("pids.max", "TasksMax"),
    ("blkio.weight", "BlockIOWeight"),
];

/// What systemd is told of values that are written.
pub(super) fn of(settings: &[Setting]) -> Vec<(String, Value)> {
    let mut properties: Vec<_> = settings.iter().filter_map(one).collect();
    properties.extend(quota(settings));
    properties
}

fn one(setting: &Setting) -> Option<(String, Value)> {
    let value = setting.value.as_str();
    let (name, value) = match setting.file.as_str() {
        "cpuset.cpus" => ("AllowedCPUs", Value::Bytes(bits(value)?)),
        "cpuset.mems" => ("AllowedMemoryNodes", Value::Bytes(bits(value)?)),
        "cpu.idle" if value == "1" => ("CPUWeight", Value::Uint64(0)),
        "io.bfq.weight" | "io.weight" => {
            ("IOWeight", Value::Uint64(io_weight(setting)?.strip_prefix("default ")?.parse().ok()?))
        }
        file => {
            let (_, name) = SAME.iter().find(|(known, _)| *known == file)?;
            (*name, Value::Uint64(crate::files::parse(value)?))
        }
    };
    Some((name.into(), value))
}

/// systemd counts as io.weight does, whichever file is written.
fn io_weight(setting: &Setting) -> Option<&str> {
    match &setting.absent {
        crate::setting::Absent::Instead(_, value) => Some(value),
        _ => Some(&setting.value),
    }
}

/// Microseconds of CPU in a second: systemd keeps whole percents, so that it is rounded up, as runc has it.
fn quota(settings: &[Setting]) -> Vec<(String, Value)> {
    let value = |file: &str| settings.iter().find(|setting| setting.file == file).map(|s| s.value.as_str());
    let both = value("cpu.max").unwrap_or_default();
    let mut both = both.split_whitespace();
    let quota = both.next().or_else(|| value("cpu.cfs_quota_us"));
    let period = both.next().or_else(|| value("cpu.cfs_period_us")).and_then(|text| text.parse::<u64>().ok());
    let percent = |quota: u64| {
        let per_second = quota.saturating_mul(1_000_000) / period.unwrap_or(100_000).max(1);
        per_second.next_multiple_of(10_000)
    };
    let per_second = quota.and_then(crate::files::parse).map(|quota| match quota {
        u64::MAX => u64::MAX,
        quota => percent(quota),
    });
    let period = period.map(|period| ("CPUQuotaPeriodUSec".to_owned(), Value::Uint64(period)));
    let quota = per_second.map(|quota| ("CPUQuotaPerSecUSec".to_owned(), Value::Uint64(quota)));
    period.into_iter().chain(quota).collect()
}

/// A set of numbers as bits, the lowest first.
fn bits(list: &str) -> Option<Vec<u8>> {
    let all = numbers(list)?;
    let mut bits = vec![0u8; all.last().map_or(0, |last| *last as usize / 8 + 1)];
    all.iter().for_each(|number| bits[*number as usize / 8] |= 1 << (number % 8));
    Some(bits)
}

/// Properties that annotations ask for: `org.systemd.property.NAME`, the value as in busctl's and gdbus's text: a
/// number, `true`, `'text'`, `uint64 7`, `['a', 'b']`. A name in seconds (`…Sec`) is sent in microseconds.
///
/// # Errors
/// [`Kind::Invalid`] for a name or a value that is none, by name.
pub fn from_annotations<'a>(
    annotations: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Vec<(String, Value)>> {
    let asked = annotations.into_iter().filter_map(|(key, text)| Some((key.strip_prefix(ANNOTATION)?, text)));
    asked
        .map(|(name, text)| {
            let invalid = |why| Error::new(Kind::Invalid, format!("annotation `{ANNOTATION}{name}`: {why}"));
            let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric());
            if !is_name {
                return Err(invalid("not the name of a property"));
            }
            let value = parse(text.trim()).ok_or_else(|| invalid("not a value"))?;
            match name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
                Some(stem) => {
                    let value =
                        microseconds(text.trim()).ok_or_else(|| invalid("not a number of seconds"))?;
                    Ok((format!("{stem}USec"), Value::Uint64(value)))
                }
                None => Ok((name.to_owned(), value)),
            }
        })
        .collect()
}

fn microseconds(text: &str) -> Option<u64> {
    let number = text.split_whitespace().next_back()?.parse::<f64>().ok()?;
    (number >= 0.0).then_some((number * 1e6) as u64)
}

fn parse(text: &str) -> Option<Value> {
    if let Some(list) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let all = list.split(',').map(str::trim).filter(|one| !one.is_empty()).map(unquote);
        return all.collect::<Option<_>>().map(Value::Texts);
    }
    match text.split_once(' ') {
        Some(("uint64", number)) => number.trim().parse().ok().map(Value::Uint64),
        Some(("uint32", number)) => number.trim().parse().ok().map(Value::Uint32),
        Some(("int64", number)) => number.trim().parse().ok().map(Value::Int64),
        Some(("int32", number)) => number.trim().parse().ok().map(Value::Int32),
        _ => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            text => {
                text.parse().ok().map(Value::Int32).or_else(|| unquote(text).map(Value::Text)).or_else(|| {
                    // Seconds may have a fraction; nothing else of them is kept.
                    text.parse::<f64>().ok().map(|number| Value::Int64(number as i64))
                })
            }
        },
    }
}

fn unquote(text: &str) -> Option<String> {
    let inside =
        |quote| text.strip_prefix(quote)?.strip_suffix(quote).filter(|text: &&str| !text.contains(quote));
    inside('\'').or_else(|| inside('"')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Shown;

    fn told(settings: &[(&str, &str)]) -> Vec<(String, Value)> {
        let setting = |(file, value): &(&str, &str)| Setting::new("x", file, value, Shown::Same);
        of(&settings.iter().map(setting).collect::<Vec<_>>())
    }

    #[test]
    fn files_become_properties() {
        let number = |name: &str, value| (name.to_owned(), Value::Uint64(value));
        assert_eq!(
            told(&[
                ("memory.max", "4096"),
                ("pids.max", "max"),
                ("cpu.weight", "59"),
                ("memory.oom.group", "1")
            ]),
            [number("MemoryMax", 4096), number("TasksMax", u64::MAX), number("CPUWeight", 59)]
        );
        assert_eq!(
            told(&[("cpu.max", "12345 50000")]),
            [number("CPUQuotaPeriodUSec", 50_000), number("CPUQuotaPerSecUSec", 250_000)]
        );
        assert_eq!(told(&[("cpu.cfs_quota_us", "-1")]), [number("CPUQuotaPerSecUSec", u64::MAX)]);
        assert_eq!(told(&[("cpuset.cpus", "0,9-10")]), [("AllowedCPUs".into(), Value::Bytes(vec![1, 6]))]);
    }

    #[test]
    fn annotations_are_properties() {
        let ask = |name: &str, text: &str| {
            let all = [(format!("{ANNOTATION}{name}"), text.to_owned()), ("other".into(), "x".into())];
            from_annotations(all.iter().map(|(key, value)| (key, value))).ok()
        };
        let is = |name: &str, value| Some(vec![(name.to_owned(), value)]);
        assert_eq!(ask("TimeoutStopSec", "1.5"), is("TimeoutStopUSec", Value::Uint64(1_500_000)));
        assert_eq!(ask("TimeoutStopUSec", "uint64 7"), is("TimeoutStopUSec", Value::Uint64(7)));
        assert_eq!(
            ask("CollectMode", "'inactive-or-failed'"),
            is("CollectMode", Value::Text("inactive-or-failed".into()))
        );
        assert_eq!(
            ask("After", "['a.service', \"b.service\"]"),
            is("After", Value::Texts(vec!["a.service".into(), "b.service".into()]))
        );
        assert_eq!(ask("SendSIGHUP", "true"), is("SendSIGHUP", Value::Bool(true)));
        for (name, text) in
            [("lower", "1"), ("A/B", "1"), ("", "1"), ("X", "'"), ("X", "nonsense"), ("XSec", "'a'")]
        {
            assert_eq!(ask(name, text), None, "{name} {text}");
        }
    }
}

//! Spans of time as Go writes them, and the offsets of a time namespace.

use super::{Error, Result, TimeOffsets, invalid};
use std::str::FromStr;

/// A span in nanoseconds: `1h30m`, `-1.5s`, `300ms` (Go's `time.ParseDuration`).
pub fn duration(text: &str) -> Result<i64> {
    oci::duration::parse(text).or_else(|_| invalid(format!("invalid duration `{text}`")))
}

impl FromStr for TimeOffsets {
    type Err = Error;

    /// `monotonic=+1h,boottime=-30s`: one or both clocks, each with a signed [`duration`].
    fn from_str(text: &str) -> Result<Self> {
        let mut offsets = Self::default();
        for part in text.split(',') {
            let (clock, span) = part.split_once('=').unwrap_or((part, ""));
            match clock {
                "monotonic" => offsets.monotonic = duration(span)?,
                "boottime" => offsets.boottime = duration(span)?,
                _ => return unknown_clock(clock),
            }
        }
        Ok(offsets)
    }
}

fn unknown_clock<T>(clock: &str) -> Result<T> {
    let words = format!("unknown clock `{clock}`: a time namespace has `monotonic` and `boottime`");
    Err(Error::new(super::Kind::Invalid, words).with_hint("for example `--time monotonic=+1h,boottime=-30s`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_go_reads_them() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("-5s", -5_000_000_000),
            ("+5s", 5_000_000_000),
            ("1.5s", 1_500_000_000),
            ("1h30m", 5400 * 1_000_000_000),
            ("12ns", 12),
            ("12us", 12_000),
            ("12µs", 12_000),
            ("300ms", 300_000_000),
            (".5s", 500_000_000),
        ] {
            assert_eq!(duration(text).ok(), Some(nanoseconds), "{text}");
        }
        for text in ["", "3", "-", "s", ".", ".s", "1x", "1 s", "1d", "9999999h", "--1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn clocks_of_a_time_namespace_move_apart() {
        let offsets: TimeOffsets = "monotonic=+1h,boottime=-30s".parse().unwrap();
        assert_eq!(offsets, TimeOffsets { monotonic: 3_600_000_000_000, boottime: -30_000_000_000 });
        assert!(
            "realtime=1s"
                .parse::<TimeOffsets>()
                .unwrap_err()
                .to_string()
                .contains("unknown clock `realtime`")
        );
        assert!("".parse::<TimeOffsets>().is_err());
        assert!("monotonic".parse::<TimeOffsets>().is_err());
    }
}

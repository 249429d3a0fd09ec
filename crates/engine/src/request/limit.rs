//! Limits: ulimits, CPUs, block devices' weights and rates.

use super::{Error, Result, Ulimit, invalid, size};
use std::path::PathBuf;
use std::str::FromStr;

/// Names that docker takes; `as` is not among them, it breaks the start of most programs.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl FromStr for Ulimit {
    type Err = Error;

    /// `name=soft[:hard]`; -1 is unlimited.
    fn from_str(text: &str) -> Result<Self> {
        let Some((name, values)) = text.split_once('=') else {
            return invalid(format!("invalid ulimit argument: {text}"));
        };
        let name = name.to_ascii_lowercase();
        if !ULIMITS.contains(&name.as_str()) {
            return invalid(format!("invalid ulimit type: {name}"));
        }
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        if hard.contains(':') {
            let words = "can only have up to two, `soft[:hard]`";
            return invalid(format!("too many limit value arguments - {values}, {words}"));
        }
        let (soft, hard) = (ulimit_value(soft)?, ulimit_value(hard)?);
        match soft > hard {
            true => invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )),
            false => Ok(Self { name, soft, hard }),
        }
    }
}

fn ulimit_value(text: &str) -> Result<u64> {
    match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        _ => text.parse().or_else(|_| invalid(format!("invalid ulimit value: `{text}`"))),
    }
}

/// `--cpus`: a decimal number of CPUs, in billionths of one.
pub fn cpus(text: &str) -> Result<u64> {
    let wrong = || invalid(format!("failed to parse {text} as a rational number"));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(part) || (whole.is_empty() && part.is_empty()) {
        return wrong();
    }
    let part = part.trim_end_matches('0');
    if part.len() > 9 {
        return invalid("value is too precise");
    }
    let nano: Option<u64> = format!("{whole}{part:0<9}").parse().ok();
    nano.filter(|nano| *nano <= i64::MAX as u64).map_or_else(wrong, Ok)
}

/// `--memory-swappiness`: 0 to 100; -1 leaves it to the kernel.
pub fn swappiness(text: &str) -> Result<Option<u64>> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(percent @ 0..=100) => Ok(Some(percent as u64)),
        _ => invalid(format!("invalid value: {text}. Valid memory swappiness range is 0-100")),
    }
}

/// `--cpuset-cpus`, `--cpuset-mems`: a list as `0-3,7`, handed to the kernel as typed.
pub fn cpu_list(text: &str) -> Result<String> {
    let number = |text: &str| text.parse::<u16>().ok();
    let fine = text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => {
            matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
        }
        None => number(part).is_some(),
    });
    match fine {
        true => Ok(text.to_string()),
        false => invalid(format!("invalid list `{text}`: expected numbers and ranges as `0-3,7`")),
    }
}

/// `--blkio-weight-device PATH:WEIGHT`
pub fn device_weight(text: &str) -> Result<(PathBuf, u16)> {
    let (path, weight) = device_value(text)?;
    let weight = weight.parse().ok().filter(|weight| matches!(weight, 0 | 10..=1000));
    weight.map_or_else(|| invalid(format!("invalid weight for device: {text}")), |weight| Ok((path, weight)))
}

/// `--device-read-bps`, `--device-write-bps`: `PATH:BYTES`, with a unit if wanted.
pub fn device_bytes(text: &str) -> Result<(PathBuf, u64)> {
    let (path, rate) = device_value(text)?;
    let form = "The correct format is <device-path>:<number>[<unit>]. \
        Number must be a positive integer. Unit is optional and can be kb, mb, or gb";
    let rate = size(rate).or_else(|_| invalid(format!("invalid rate for device: {text}. {form}")))?;
    Ok((path, rate))
}

/// `--device-read-iops`, `--device-write-iops`: `PATH:NUMBER`.
pub fn device_operations(text: &str) -> Result<(PathBuf, u64)> {
    let (path, rate) = device_value(text)?;
    let form = "The correct format is <device-path>:<number>. Number must be a positive integer";
    let rate = rate.parse().or_else(|_| invalid(format!("invalid rate for device: {text}. {form}")))?;
    Ok((path, rate))
}

fn device_value(text: &str) -> Result<(PathBuf, &str)> {
    match text.split_once(':') {
        Some((path, value)) if path.starts_with("/dev/") => Ok((path.into(), value)),
        Some((path, _)) if !path.is_empty() => invalid(format!("bad format for device path: {text}")),
        _ => invalid(format!("bad format: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulimit(text: &str) -> Result<Ulimit> {
        text.parse()
    }

    #[test]
    fn ulimits_have_a_soft_and_a_hard_value() {
        let of = |soft, hard| Ulimit { name: "nofile".into(), soft, hard };
        assert_eq!(ulimit("nofile=512:1024").unwrap(), of(512, 1024));
        assert_eq!(ulimit("NOFILE=1024").unwrap(), of(1024, 1024));
        assert_eq!(ulimit("nofile=5:-1").unwrap(), of(5, u64::MAX));
        assert_eq!(ulimit("nofile=-1").unwrap(), of(u64::MAX, u64::MAX));
    }

    #[test]
    fn what_is_no_ulimit_is_refused_in_dockers_words() {
        for (text, words) in [
            ("notanulimit", "invalid ulimit argument"),
            ("as=1024", "invalid ulimit type"),
            ("nofile=a", "invalid ulimit value"),
            ("nofile=", "invalid ulimit value"),
            ("nofile=1:2:3", "too many limit value arguments"),
            ("nofile=1024:512", "less than or equal to hard limit: 1024 > 512"),
            ("nofile=-1:512", "less than or equal to hard limit"),
        ] {
            assert!(ulimit(text).unwrap_err().to_string().contains(words), "{text}");
        }
    }

    #[test]
    fn swappiness_is_a_percentage_or_left_alone() {
        assert_eq!(
            [swappiness("-1"), swappiness("0"), swappiness("100")].map(Result::ok),
            [Some(None), Some(Some(0)), Some(Some(100))]
        );
        for text in ["-5", "101", "", "x", "-2"] {
            assert!(swappiness(text).unwrap_err().to_string().contains("range is 0-100"), "{text}");
        }
    }

    #[test]
    fn cpus_are_exact_to_the_billionth() {
        for (text, nano) in [
            ("1", 1_000_000_000),
            ("0.5", 500_000_000),
            (".25", 250_000_000),
            ("1.", 1_000_000_000),
            ("0.000000001", 1),
        ] {
            assert_eq!(cpus(text).ok(), Some(nano), "{text}");
        }
        for text in ["", ".", "x", "-1", "1e3", "1.5.5", "99999999999999999999"] {
            assert!(cpus(text).unwrap_err().to_string().contains("as a rational number"), "{text}");
        }
        assert_eq!(cpus("0.0000000001").unwrap_err().to_string(), "value is too precise");
        assert_eq!(cpus("0.5000000000000").ok(), Some(500_000_000));
    }

    #[test]
    fn cpu_lists_are_numbers_and_ranges() {
        assert!(["0", "0-3", "0-3,7", "1,0"].iter().all(|text| cpu_list(text).is_ok()));
        assert!(["", "a", "3-1", "0,", "0--1", "-1"].iter().all(|text| cpu_list(text).is_err()));
    }

    #[test]
    fn devices_have_weights_and_rates() {
        assert_eq!(device_weight("/dev/sda:100").ok(), Some(("/dev/sda".into(), 100)));
        assert_eq!(device_bytes("/dev/sda:1mb").ok(), Some(("/dev/sda".into(), 1 << 20)));
        assert_eq!(device_operations("/dev/sda:1000").ok(), Some(("/dev/sda".into(), 1000)));
        for text in ["", "/dev/sda", "sda:10", ":1", "/dev/sda:x", "/dev/sda:-5"] {
            assert!(device_weight(text).is_err() && device_bytes(text).is_err(), "{text}");
            assert!(device_operations(text).is_err(), "{text}");
        }
        assert!(
            device_weight("/dev/sda:5").unwrap_err().to_string().starts_with("invalid weight for device")
        );
        assert!(device_operations("/dev/sda:1mb").is_err());
    }
}

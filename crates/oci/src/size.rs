//! Sizes in bytes, as docker and runc read them (`RAMInBytes` of go-units).

use crate::{Error, Kind, Result};

/// A number of bytes: `64m`, `1.5 GiB`, `512`; units are powers of 1024 whichever way they are written.
pub fn parse(text: &str) -> Result<u64> {
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
    let Some(last) = last else { return invalid(format!("invalid size: '{text}'")) };
    let (number, unit) = match &text[last..=last] {
        " " => (&text[..last], &text[last + 1..]),
        _ => text.split_at(last + 1),
    };
    let number: f64 = number.parse().or_else(|_| invalid(format!("invalid size: '{text}'")))?;
    let bytes = number * multiple(&unit.to_ascii_lowercase())? as f64;
    // Above 2^63 a kernel file takes no number; docker wraps around there.
    match (0.0..9.2e18).contains(&bytes) {
        true => Ok(bytes as u64),
        false => invalid(format!("invalid size: '{text}'")),
    }
}

fn multiple(unit: &str) -> Result<u64> {
    let (letter, rest) = unit.split_at_checked(1).unwrap_or((unit, ""));
    let power = match (letter, rest) {
        ("" | "b", "") => Some(0),
        (_, "" | "b" | "ib") if !letter.is_empty() => "kmgtp".find(letter).map(|at| at + 1),
        _ => None,
    };
    power.map_or_else(|| invalid(format!("invalid suffix: '{unit}'")), |power| Ok(1 << (10 * power)))
}

/// A number of bytes, or -1 for no limit.
pub fn parse_or_unlimited(text: &str) -> Result<i64> {
    match text {
        "-1" => Ok(-1),
        // Below 2^63, as `parse` checks.
        _ => parse(text).map(|bytes| bytes as i64),
    }
}

fn invalid<T>(what: String) -> Result<T> {
    Err(Error::new(Kind::Size, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of go-units' own test.
    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32Kb", 32 << 10),
            ("32Kib", 32 << 10),
            ("32KIB", 32 << 10),
            ("32Mb", 32 << 20),
            ("32MB", 32 << 20),
            ("32GiB", 32 << 30),
            ("32Tb", 32 << 40),
            ("32PB", 32 << 50),
            ("32.5kB", (325 << 10) / 10),
            ("32.5 kB", (325 << 10) / 10),
            ("0.5MB", 1 << 19),
            (".5kB", 512),
            ("0. kB", 0),
            ("300 ", 300),
        ] {
            assert_eq!(parse(text).ok(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_in_dockers_words() {
        for text in
            ["", "hello", "1e", "-32", ".3x", "32bm", "32mm", "32bb", "32kibb", " .5 ", "9e99", "nan0", "1ö"]
        {
            let words = parse(text).unwrap_err().to_string();
            assert!(
                words.starts_with("invalid size: '") || words.starts_with("invalid suffix: '"),
                "{text}: {words}"
            );
        }
        assert_eq!(parse("32mm").unwrap_err().to_string(), "invalid suffix: 'mm'");
    }

    #[test]
    fn swap_may_be_unlimited() {
        assert_eq!(parse_or_unlimited("-1").ok(), Some(-1));
        assert_eq!(parse_or_unlimited("1k").ok(), Some(1024));
        assert!(parse_or_unlimited("-2").is_err());
    }
}

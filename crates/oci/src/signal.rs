//! Names and numbers of Linux signals, signal(7), in the spellings docker takes.

use crate::{Error, Kind, Result};

/// `SIGRTMIN` and `SIGRTMAX` as glibc and docker count them: 32 and 33 are the C library's.
const REAL_TIME: (u8, u8) = (34, 64);

/// x86-64, arm64, riscv64 and s390x agree on these.
const SIGNALS: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// The number of a signal: `15`, `TERM`, `SIGTERM`, `sigterm`, `RTMIN+3`, `RTMAX-1`.
pub fn parse(text: &str) -> Result<u8> {
    number(text).ok_or_else(|| Error::new(Kind::Signal, format!("invalid signal: `{text}`")))
}

/// The name with `SIG`, or nothing for a number that has none.
pub fn name(number: u8) -> Option<String> {
    let (first, last) = REAL_TIME;
    match number {
        n if n == first => Some("SIGRTMIN".into()),
        n if n == last => Some("SIGRTMAX".into()),
        n if (first..last).contains(&n) => Some(format!("SIGRTMIN+{}", n - first)),
        n => SIGNALS.iter().find(|(_, of)| *of == n).map(|(name, _)| format!("SIG{name}")),
    }
}

fn number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=REAL_TIME.1).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).or_else(|| real_time(name))
}

fn real_time(name: &str) -> Option<u8> {
    let (first, last) = REAL_TIME;
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => first.checked_add(offset(rest, '+')?)?,
        (_, Some(rest)) => last.checked_sub(offset(rest, '-')?)?,
        _ => return None,
    };
    (first..=last).contains(&number).then_some(number)
}

fn offset(rest: &str, sign: char) -> Option<u8> {
    if rest.is_empty() { Some(0) } else { rest.strip_prefix(sign)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_signal_are_taken() {
        for (text, number) in [
            ("15", 15),
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("64", 64),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax", 64),
            ("RTMAX-1", 63),
            ("SIGIOT", 6),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "0", "65", "-1", "SIG", "SIGSIGTERM", "FOO", "RTMIN+31", "RTMAX-31", "RTMIN-1"] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("invalid signal: `{text}`"));
        }
    }

    #[test]
    fn numbers_have_names() {
        assert_eq!(name(9).as_deref(), Some("SIGKILL"));
        assert_eq!(name(35).as_deref(), Some("SIGRTMIN+1"));
        assert!((1..=64).filter_map(name).all(|name| parse(&name).is_ok()));
        assert_eq!(name(33), None);
    }
}

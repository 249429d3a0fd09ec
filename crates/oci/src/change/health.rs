//! `HEALTHCHECK`, the one instruction here with flags.

use super::{Command, parse, refuse};
use crate::{Healthcheck, Result, duration};

/// Docker's shortest interval, 1 ms.
const SHORTEST: i64 = 1_000_000;

/// A health check from the instruction's flags and the rest of its line.
pub(super) fn parse(flags: &[String], rest: &str) -> Result<Healthcheck> {
    let (typed, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match typed.to_uppercase().as_str() {
        "" => Err(refuse("HEALTHCHECK requires at least one argument")),
        "NONE" => none(flags, command),
        "CMD" => with_flags(Healthcheck { test: test(command.trim())?, ..Healthcheck::default() }, flags),
        kind => Err(refuse(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    }
}

fn none(flags: &[String], rest: &str) -> Result<Healthcheck> {
    if !rest.is_empty() {
        return Err(refuse("HEALTHCHECK NONE takes no arguments"));
    }
    if let Some(flag) = flags.first() {
        return Err(parse::unknown_flag(flag));
    }
    Ok(Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() })
}

fn test(command: &str) -> Result<Vec<String>> {
    let (kind, words) = match parse::command(command)? {
        Command::Exec(words) => ("CMD", words),
        Command::Shell(line) if line.is_empty() => ("", Vec::new()),
        Command::Shell(line) => ("CMD-SHELL", vec![line]),
    };
    if words.is_empty() {
        return Err(refuse("Missing command after HEALTHCHECK CMD"));
    }
    Ok(std::iter::once(kind.into()).chain(words).collect())
}

fn with_flags(mut check: Healthcheck, flags: &[String]) -> Result<Healthcheck> {
    for flag in flags {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let field = match name {
            "--retries" => {
                check.retries = retries(value)?;
                continue;
            }
            "--interval" => &mut check.interval,
            "--timeout" => &mut check.timeout,
            "--start-period" => &mut check.start_period,
            "--start-interval" => &mut check.start_interval,
            _ => return Err(parse::unknown_flag(flag)),
        };
        *field = interval(name, value)?;
    }
    Ok(check)
}

fn interval(flag: &str, value: &str) -> Result<i64> {
    let nanoseconds = duration::parse(given(flag, value)?)?;
    if nanoseconds != 0 && nanoseconds < SHORTEST {
        return Err(refuse(format!("Interval {:?} cannot be less than 1ms", flag.trim_start_matches('-'))));
    }
    Ok(nanoseconds)
}

fn retries(value: &str) -> Result<i32> {
    let number = given("--retries", value)?.parse::<i32>();
    let number = number.map_err(|_| refuse(format!("--retries is no number: `{value}`")))?;
    if number < 0 {
        return Err(refuse(format!("--retries cannot be negative ({number})")));
    }
    Ok(number)
}

fn given<'a>(flag: &str, value: &'a str) -> Result<&'a str> {
    if value.is_empty() { Err(refuse(format!("missing a value on flag: {flag}"))) } else { Ok(value) }
}

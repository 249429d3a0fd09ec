//! `--log-driver` and `--log-opt`, understood before there is a container; docker's words where they are refused.

use crate::hull::Limits;
use crate::{Error, Kind, Result, Subject, syslog, tag};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// `--log-driver`; empty is hull's own.
    pub driver: String,
    /// `--log-opt NAME=VALUE`
    pub options: BTreeMap<String, String>,
}

/// Who keeps a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// hull's own.
    Hull,
    /// docker's lines of JSON.
    JsonFile,
    /// systemd's journal.
    Journald,
    /// A server of RFC 5424, or older.
    Syslog,
    /// Nobody.
    None,
    /// The container has the caller's own streams.
    Passthrough,
}

/// What is done with what a writer brings when it cannot be kept at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It waits, for a while.
    Blocking,
    /// So many bytes are held, and what comes on top is lost.
    NonBlocking(usize),
}

/// A choice that makes sense.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) driver: Driver,
    pub(crate) mode: Mode,
    pub(crate) limits: Limits,
    pub(crate) choice: Choice,
}

/// docker's size of a buffer.
const BUFFER: usize = 1_000_000;

const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];
const FILES: [&str; 3] = ["max-size", "max-file", "compress"];

impl Choice {
    /// A driver and its options.
    pub fn new(driver: &str, options: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { driver: driver.to_owned(), options: options.into_iter().collect() }
    }

    /// Whether anything was chosen.
    pub fn is_default(&self) -> bool {
        self.driver.is_empty() && self.options.is_empty()
    }

    /// The driver's name as docker would show it.
    pub fn name(&self) -> &str {
        if self.driver.is_empty() { "hull" } else { &self.driver }
    }

    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn driver(&self) -> Result<Driver> {
        match self.name() {
            "hull" | "local" => Ok(Driver::Hull),
            "json-file" => Ok(Driver::JsonFile),
            "journald" => Ok(Driver::Journald),
            "syslog" => Ok(Driver::Syslog),
            "none" => Ok(Driver::None),
            "passthrough" => Ok(Driver::Passthrough),
            other => invalid(format!("logger: no log driver named '{other}' is registered"))
                .map_err(|error| error.with_hint(DRIVERS)),
        }
    }
}

const DRIVERS: &str = "known are hull (or local), json-file, journald, syslog, none and passthrough";

fn invalid<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::new(Kind::Invalid, what))
}

impl Config {
    /// Understands what was typed.
    ///
    /// # Errors
    /// docker's words for what makes no sense.
    pub fn new(choice: &Choice) -> Result<Self> {
        if matches!(choice.name(), "none" | "passthrough") && !choice.options.is_empty() {
            return invalid(format!("invalid logging opts for driver {}", choice.name()));
        }
        let mode = mode(choice)?;
        let driver = choice.driver()?;
        check_names(driver, choice)?;
        let limits = limits(driver, choice)?;
        for name in ["labels-regex", "env-regex"] {
            tag::expression(choice, name)?;
        }
        tag::tag(choice, &Subject::default(), "")?;
        if driver == Driver::Syslog {
            syslog::Address::of(choice)?;
        }
        Ok(Self { driver, mode, limits, choice: choice.clone() })
    }

    /// Who keeps the log.
    pub fn driver(&self) -> Driver {
        self.driver
    }
}

fn mode(choice: &Choice) -> Result<Mode> {
    let text = choice.options.get("mode").map_or("", String::as_str);
    let size = choice.options.get("max-buffer-size");
    match (text, size) {
        ("" | "blocking", None) => Ok(Mode::Blocking),
        ("" | "blocking", Some(_)) => {
            invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        }
        ("non-blocking", None) => Ok(Mode::NonBlocking(BUFFER)),
        ("non-blocking", Some(size)) => match oci::size::parse(size) {
            Ok(size) => Ok(Mode::NonBlocking(usize::try_from(size).unwrap_or(usize::MAX))),
            Err(error) => {
                Err(Error::new(Kind::Invalid, "error parsing option max-buffer-size").caused_by(error))
            }
        },
        (other, _) => invalid(format!("logger: logging mode not supported: {other}")),
    }
}

fn check_names(driver: Driver, choice: &Choice) -> Result<()> {
    let known: &[&[&str]] = match driver {
        Driver::Hull | Driver::JsonFile => &[&FILES, &ATTRIBUTES],
        Driver::Journald => &[&ATTRIBUTES],
        Driver::Syslog => &[&ATTRIBUTES, &syslog::OPTIONS],
        Driver::None | Driver::Passthrough => &[],
    };
    let is_known = |name: &str| {
        matches!(name, "mode" | "max-buffer-size") || known.iter().any(|one| one.contains(&name))
    };
    match choice.options.keys().find(|name| !is_known(name)) {
        Some(name) => invalid(format!("unknown log opt '{name}' for {} log driver", choice.name())),
        None => Ok(()),
    }
}

fn limits(driver: Driver, choice: &Choice) -> Result<Limits> {
    // docker's own for its lines of JSON: one file without end.
    let is_json = driver == Driver::JsonFile;
    let (size, files) = if is_json { (u64::MAX, 1) } else { (10_000_000, 10) };
    let size = match choice.filled("max-size") {
        None => size,
        Some("-1") => u64::MAX,
        Some(text) => decimal_size(text)?,
    };
    let files = match choice.filled("max-file") {
        None => files,
        Some(text) => text.parse().or_else(|_| invalid(format!("invalid value for max-file: {text}")))?,
    };
    if size == 0 {
        return invalid("max-size must be a positive number");
    }
    if files < 1 {
        return invalid("max-file cannot be less than 1");
    }
    let asked = choice.filled("compress").map(boolean).transpose()?;
    if asked == Some(true) && (files == 1 || size == u64::MAX) {
        return invalid("compress cannot be true when max-file is less than 2 or max-size is not set");
    }
    Ok(Limits { size, files, packs: asked.unwrap_or(!is_json) && files > 1 })
}

/// Go's words for a switch.
fn boolean(text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => invalid(format!("invalid boolean value for compress: {text}")),
    }
}

/// Bytes where a k is 1000, as docker reads sizes of logs (go-units, `FromHumanSize`).
fn decimal_size(text: &str) -> Result<u64> {
    let refuse = || Error::new(Kind::Invalid, format!("invalid value for max-size: invalid size: '{text}'"));
    let lower = text.to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let unit = unit.trim_start();
    let letters = ["", "k", "m", "g", "t", "p"];
    let bare = unit.strip_suffix('b').map_or(unit, |unit| unit.strip_suffix('i').unwrap_or(unit));
    let power = letters.iter().position(|letter| *letter == bare).ok_or_else(refuse)?;
    let number: f64 = number.parse().map_err(|_| refuse())?;
    Ok((number * 1000f64.powi(power as i32)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config> {
        let mut words = line.split(' ');
        let driver = words.next().unwrap_or_default();
        let options = words.map(|word| word.split_once('=').unwrap_or((word, "")));
        Config::new(&Choice::new(driver, options.map(|(key, value)| (key.to_owned(), value.to_owned()))))
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_dockers_words() {
        for (line, words) in [
            ("nobody", "logger: no log driver named 'nobody' is registered"),
            ("json-file x=1", "unknown log opt 'x' for json-file log driver"),
            ("local x=1", "unknown log opt 'x' for local log driver"),
            ("journald max-size=1", "unknown log opt 'max-size' for journald log driver"),
            ("none max-size=1", "invalid logging opts for driver none"),
            ("hull mode=maybe", "logger: logging mode not supported: maybe"),
            ("hull max-buffer-size=1m", "max-buffer-size option is only supported with 'mode=non-blocking'"),
            ("hull mode=non-blocking max-buffer-size=x", "error parsing option max-buffer-size"),
            ("json-file max-size=x", "invalid size: 'x'"),
            ("json-file max-size=0", "max-size must be a positive number"),
            ("json-file max-file=0", "max-file cannot be less than 1"),
            ("json-file max-file=x", "invalid value for max-file"),
            ("json-file compress=true", "compress cannot be true when max-file is less than 2"),
            ("json-file compress=maybe", "invalid boolean value for compress"),
            ("syslog syslog-address=x", "syslog-address should be in form proto://address, got x"),
            ("syslog syslog-facility=x", "invalid syslog facility"),
            ("syslog syslog-format=x", "Invalid syslog format"),
            ("json-file env-regex=(", "invalid log opt env-regex=("),
            ("json-file tag={{", "invalid log opt tag={{"),
        ] {
            let error = config(line).expect_err(line).to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn sizes_of_logs_are_decimal_and_capped_by_default() {
        let limits = |line: &str| config(line).unwrap().limits;
        assert_eq!(limits("hull"), Limits { size: 10_000_000, files: 10, packs: true });
        assert_eq!(limits("local max-size=1.5k max-file=2"), Limits { size: 1500, files: 2, packs: true });
        assert!(!limits("hull max-file=1").packs);
        assert_eq!(limits("json-file"), Limits { size: u64::MAX, files: 1, packs: false });
        assert!(limits("json-file max-size=10mb max-file=3 compress=1").packs);
        assert_eq!(config("hull mode=non-blocking").unwrap().mode, Mode::NonBlocking(BUFFER));
    }
}

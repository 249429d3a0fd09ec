//! docker's `logs`.

use super::log::{config, from_logs, subject};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::request::RunRequest;
use crate::run::parsed;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use logs::{Choice, Config, Driver, Entry, Reader, Watch};
use std::collections::BTreeMap;
use store::{Container, State};

/// What is read of a log.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// `-f`: go on until the container ends.
    pub follow: bool,
    /// `--tail`: only the last so many lines of what is there.
    pub tail: Option<u64>,
    /// `--since`
    pub since: Option<Timestamp>,
    /// `--until`
    pub until: Option<Timestamp>,
}

impl LogRequest {
    /// Nothing that is still to come is wanted.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now > until)
    }
}

/// `--since`, `--until`: a time (of the caller's zone where it names none), seconds since 1970, or so long ago.
pub fn log_moment(text: &str) -> Result<Timestamp> {
    let seconds = || {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        Timestamp::new(whole.parse().ok()?, nanoseconds).ok()
    };
    let ago = || {
        let span = jiff::SignedDuration::from_nanos(crate::request::duration(text).ok()?);
        Timestamp::now().checked_sub(span).ok()
    };
    let moment = text.parse().ok().or_else(seconds).or_else(ago).or_else(|| civil(text));
    moment.ok_or_else(|| {
        Error::new(Kind::Invalid, format!("failed to parse value as time or duration: \"{text}\""))
    })
}

/// A date, or a date and a time; docker takes a date with a zone, too: 2026-01-02Z.
fn civil(text: &str) -> Option<Timestamp> {
    let (text, zone) = match text.strip_suffix('Z') {
        Some(text) => (text, TimeZone::UTC),
        None => (text, TimeZone::system()),
    };
    Some(text.parse::<DateTime>().ok()?.to_zoned(zone).ok()?.timestamp())
}

impl Engine {
    /// Gives each entry of a container's log to `show`.
    pub fn logs(
        &self,
        text: &str,
        request: &LogRequest,
        show: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let (container, _) = self.container(text)?;
        let config = config(&choice(&container))?;
        if config.driver() == Driver::Journald {
            return self.journal(&container, request, show);
        }
        let mut watch = request.follow.then(|| Watch::new(container.dir())).transpose().map_err(from_logs)?;
        let mut reader = self.reader(&container, &config, request)?;
        let mut entry = Entry::default();
        loop {
            // Looked at before the last read: what is written until then is in the file.
            let runs = self.runs(&container)? && !request.is_over(Timestamp::now());
            if reader.is_nothing() {
                reader = self.reader(&container, &config, request)?;
            }
            while reader.next(&mut entry).map_err(from_logs)? {
                if request.until.is_some_and(|until| entry.time > until) {
                    return Ok(());
                }
                if request.since.is_none_or(|since| entry.time >= since) {
                    show(&entry)?;
                }
            }
            match &mut watch {
                Some(watch) if runs => watch.wait().map_err(from_logs)?,
                _ => return Ok(()),
            }
        }
    }

    pub(super) fn runs(&self, container: &Container) -> Result<bool> {
        Ok(matches!(self.store.state(container).map_err(from_store)?, State::Running(_)))
    }

    fn reader(&self, container: &Container, config: &Config, request: &LogRequest) -> Result<Reader> {
        let id = container.record.id.to_string();
        let mut reader = Reader::open(container.dir(), config, &id).map_err(from_logs)?;
        match (request.tail, request.since) {
            (Some(count), _) => reader.tail(count).map_err(from_logs)?,
            (None, Some(since)) => reader.since(since).map_err(from_logs)?,
            (None, None) => {}
        }
        Ok(reader)
    }

    /// `--details`: what the options of its log choose of its labels and variables.
    pub fn log_details(&self, text: &str) -> Result<BTreeMap<String, String>> {
        let (container, _) = self.container(text)?;
        let choice = choice(&container);
        logs::details(&config(&choice)?, &subject(&container.record, &choice)).map_err(from_logs)
    }
}

/// How its log is kept.
pub(crate) fn choice(container: &Container) -> Choice {
    let record = &container.record;
    let request: Result<RunRequest> = parsed(record.request.as_deref(), &record.name);
    request.map(|request| request.streams.log).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_docker_reads_them() {
        let at = |text: &str| log_moment(text).unwrap().to_string();
        assert_eq!(at("2026-01-02T03:04:05.5Z"), "2026-01-02T03:04:05.5Z");
        let here = |text: &str| text.parse::<DateTime>().unwrap().to_zoned(TimeZone::system()).unwrap();
        assert_eq!(at("2026-01-02T03:04:05"), here("2026-01-02T03:04:05").timestamp().to_string());
        assert_eq!(at("2026-01-02"), here("2026-01-02").timestamp().to_string());
        assert_eq!(at("2026-01-02Z"), "2026-01-02T00:00:00Z");
        assert_eq!(at("1136073600.000000001"), "2006-01-01T00:00:00.000000001Z");
        assert_eq!(at("1136073600"), "2006-01-01T00:00:00Z");
        assert!(log_moment("10m").unwrap() < Timestamp::now());
        assert!(log_moment("soon").is_err() && log_moment("").is_err());
    }
}

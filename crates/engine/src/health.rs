//! Whether a container works: what is run to see it, what came of it, and what follows. docker's rules (moby,
//! `daemon/health.go`).

use crate::error::{Error, Kind, Result};
use crate::request::RunRequest;
use fault::Context;
use jiff::Timestamp;
use oci::{ContainerConfig, Healthcheck};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, openat, renameat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many results are kept,
const KEPT: usize = 5;
/// and how many bytes of what each said.
pub(crate) const LONGEST: usize = 4096;

/// Where it is in a container's directory.
const FILE: &str = "health.json";

/// What is run, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// A program and its arguments.
    pub(crate) command: Vec<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// In which failures do not count.
    pub(crate) start_period: Duration,
    pub(crate) start_interval: Duration,
    /// Failures in a row.
    pub(crate) retries: u32,
}

/// What was asked for, over what the image says.
pub(crate) fn merged(asked: Option<&Healthcheck>, image: Option<&Healthcheck>) -> Option<Healthcheck> {
    let (Some(asked), Some(image)) = (asked, image) else { return asked.or(image).cloned() };
    let or = |own: i64, other: i64| if own == 0 { other } else { own };
    Some(Healthcheck {
        test: if asked.test.is_empty() { image.test.clone() } else { asked.test.clone() },
        interval: or(asked.interval, image.interval),
        timeout: or(asked.timeout, image.timeout),
        start_period: or(asked.start_period, image.start_period),
        start_interval: or(asked.start_interval, image.start_interval),
        retries: if asked.retries == 0 { image.retries } else { asked.retries },
    })
}

impl Check {
    /// A container's; none where it has none.
    pub(crate) fn of(request: &RunRequest, image: &ContainerConfig) -> Option<Self> {
        let check = merged(request.health.as_ref(), image.healthcheck.as_ref())?;
        let (kind, rest) = check.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" => rest.to_vec(),
            "CMD-SHELL" => {
                let shell = image.shell.clone().unwrap_or_default();
                let shell = if shell.is_empty() { vec!["/bin/sh".into(), "-c".into()] } else { shell };
                shell.into_iter().chain(rest.iter().cloned()).collect()
            }
            _ => return None,
        };
        let span = |nanoseconds: i64, otherwise: u64| match u64::try_from(nanoseconds) {
            Ok(0) | Err(_) => Duration::from_secs(otherwise),
            Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
        };
        Some(Self {
            command,
            interval: span(check.interval, 30),
            timeout: span(check.timeout, 30),
            start_period: span(check.start_period, 0),
            start_interval: span(check.start_interval, 5),
            retries: u32::try_from(check.retries).ok().filter(|retries| *retries > 0).unwrap_or(3),
        })
    }
}

/// In docker's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is known yet.
    #[default]
    Starting,
    /// It works.
    Healthy,
    /// It does not.
    Unhealthy,
}

impl Status {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// docker's `State.Health`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// What is thought of it.
    pub status: Status,
    /// Failures since the last success.
    pub failing_streak: u32,
    /// The last five results, oldest first.
    pub log: Vec<Probe>,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Probe {
    /// When it began.
    pub start: Timestamp,
    /// When it was over.
    pub end: Timestamp,
    /// Its exit code; -1 where it took too long, or did not run.
    pub exit_code: i32,
    /// What it said, 4096 bytes of it at most.
    pub output: String,
}

impl Health {
    /// A container begins.
    pub(crate) fn begin(&mut self) {
        self.status = Status::Starting;
        self.failing_streak = 0;
    }

    /// It has ended, which docker calls unhealthy.
    pub(crate) fn end(&mut self) {
        self.status = Status::Unhealthy;
    }

    /// Takes a result of a container that was started then. The new status, if it is another.
    pub(crate) fn take(&mut self, probe: Probe, check: &Check, started: Timestamp) -> Option<Status> {
        let before = self.status;
        let begins = before == Status::Starting && since(started, probe.start) < check.start_period;
        match (probe.exit_code, begins) {
            (0, _) => (self.status, self.failing_streak) = (Status::Healthy, 0),
            (_, true) => {}
            (_, false) => {
                self.failing_streak = self.failing_streak.saturating_add(1);
                if self.failing_streak >= check.retries {
                    self.status = Status::Unhealthy;
                }
            }
        }
        if self.log.len() >= KEPT {
            self.log.drain(..=self.log.len() - KEPT);
        }
        self.log.push(probe);
        (self.status != before).then_some(self.status)
    }

    /// How long until the next check.
    pub(crate) fn next_in(&self, check: &Check, started: Timestamp) -> Duration {
        let begins = self.status == Status::Starting && since(started, Timestamp::now()) < check.start_period;
        if begins { check.start_interval } else { check.interval }
    }

    /// Of a container's directory; none where it never had a check.
    ///
    /// # Errors
    /// [`Kind::Failed`] where it cannot be read.
    pub fn read(dir: impl AsFd) -> Result<Option<Self>> {
        let what = || format!("read `{FILE}` of a container");
        let file = match openat(dir, FILE, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.or_err(Kind::Failed, what)?,
        };
        let bytes = sys::file::read_whole(file, 4096).or_err(Kind::Failed, what)?;
        // One that was cut off with the host is as good as none.
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// Keeps it in a container's directory.
    pub(crate) fn write(&self, dir: impl AsFd) -> Result<()> {
        const NEW: &str = "health.json.new";
        let what = || format!("write `{FILE}` of a container");
        let bytes =
            serde_json::to_vec(self).map_err(|error| Error::new(Kind::Failed, what()).caused_by(error))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = openat(&dir, NEW, flags, Mode::from_raw_mode(0o600)).or_err(Kind::Failed, what)?;
        let mut file = std::fs::File::from(file);
        std::io::Write::write_all(&mut file, &bytes).or_err(Kind::Failed, what)?;
        renameat(&dir, NEW, &dir, FILE).or_err(Kind::Failed, what)
    }
}

impl crate::Engine {
    /// What is thought of a container that runs; none where nothing checks it.
    pub fn health_of(&self, one: &store::Summary) -> Option<Status> {
        let store::State::Running(_) = one.state else { return None };
        let path = self.store.path().join(store::Container::path_of(&one.record.id));
        let dir =
            rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        Health::read(dir).ok()?.map(|health| health.status)
    }
}

/// From one moment to a later one; nothing where it is none.
pub(crate) fn since(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> Check {
        let image = ContainerConfig {
            healthcheck: Some(Healthcheck { test: vec!["CMD".into(), "true".into()], ..Default::default() }),
            ..Default::default()
        };
        Check::of(&RunRequest::default(), &image).unwrap()
    }

    fn probe(exit_code: i32, second: i64) -> Probe {
        let start = Timestamp::from_second(second).unwrap();
        Probe { start, end: start, exit_code, output: String::new() }
    }

    #[test]
    fn three_failures_in_a_row_are_unhealthy_and_one_success_heals() {
        let (mut health, check, start) = (Health::default(), check(), Timestamp::UNIX_EPOCH);
        let mut take = |code| health.take(probe(code, 100), &check, start);
        assert_eq!(take(0), Some(Status::Healthy));
        assert_eq!((take(1), take(0), take(1), take(-1)), (None, None, None, None));
        assert_eq!(take(2), Some(Status::Unhealthy));
        assert_eq!(take(2), None);
        assert_eq!(take(0), Some(Status::Healthy));
        assert_eq!(health.log.len(), 5);
        assert_eq!(health.log.iter().map(|probe| probe.exit_code).collect::<Vec<_>>(), [1, -1, 2, 2, 0]);
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_until_it_has_worked_once() {
        let check = Check { start_period: Duration::from_secs(60), retries: 1, ..check() };
        let start = Timestamp::UNIX_EPOCH;
        let mut health = Health::default();
        assert_eq!(health.take(probe(1, 59), &check, start), None);
        assert_eq!((health.status, health.failing_streak), (Status::Starting, 0));
        assert_eq!(health.clone().take(probe(1, 60), &check, start), Some(Status::Unhealthy));
        assert_eq!(health.take(probe(0, 10), &check, start), Some(Status::Healthy));
        assert_eq!(health.take(probe(1, 11), &check, start), Some(Status::Unhealthy));
    }

    #[test]
    fn what_was_asked_for_goes_over_the_images() {
        let image = Healthcheck {
            test: vec!["CMD-SHELL".into(), "a".into()],
            interval: 5,
            retries: 7,
            ..Default::default()
        };
        let asked = Healthcheck { interval: 9, ..Default::default() };
        let both = merged(Some(&asked), Some(&image)).unwrap();
        assert_eq!((both.interval, both.retries, both.test.as_slice()), (9, 7, image.test.as_slice()));
        let none = Healthcheck { test: vec!["NONE".into()], ..Default::default() };
        let config = ContainerConfig { healthcheck: Some(image), ..Default::default() };
        let request = RunRequest { health: Some(none), ..Default::default() };
        assert_eq!(Check::of(&request, &config), None);
        let shell = Check::of(&RunRequest::default(), &config).unwrap();
        assert_eq!(shell.command, ["/bin/sh", "-c", "a"]);
        assert_eq!((shell.timeout, shell.start_interval), (Duration::from_secs(30), Duration::from_secs(5)));
    }
}

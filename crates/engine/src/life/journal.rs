//! The log of a container that systemd's journal keeps, by `journalctl`: the journal's files are systemd's own.

use super::LogRequest;
use crate::Engine;
use crate::error::{Error, Kind, Result};
use fault::Context;
use jiff::Timestamp;
use logs::{Entry, Stream};
use rustix::event::{PollFd, PollFlags, poll};
use serde::Deserialize;
use serde_json::Value;
use std::io::{ErrorKind, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use store::Container;

/// What is read of a record of the journal, see systemd.journal-fields(7).
#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Row {
    /// Text, or a list of bytes where it is none.
    #[serde(default)]
    message: Value,
    #[serde(default)]
    priority: String,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    time: String,
    syslog_timestamp: Option<Timestamp>,
    container_partial_message: Option<String>,
}

impl Row {
    fn entry(self) -> Entry {
        let microseconds = || Timestamp::from_microsecond(self.time.parse().ok()?).ok();
        let time = self.syslog_timestamp.or_else(microseconds).unwrap_or_default();
        let stream = if self.priority == "3" { Stream::Error } else { Stream::Output };
        let mut text = match self.message {
            Value::String(text) => text.into_bytes(),
            Value::Array(bytes) => bytes.iter().filter_map(Value::as_u64).map(|byte| byte as u8).collect(),
            _ => Vec::new(),
        };
        text.extend((self.container_partial_message.as_deref() != Some("true")).then_some(b'\n'));
        Entry { time, stream, text }
    }
}

/// A `journalctl` that runs; it ends with this.
struct Journalctl(Child, ChildStdout);

impl Drop for Journalctl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Journalctl {
    fn start(id: &str, request: &LogRequest) -> Result<Self> {
        let mut command = Command::new("journalctl");
        command
            .args(["--quiet", "--no-pager", "--all", "--output=json"])
            .arg(format!("CONTAINER_ID_FULL={id}"));
        if let Some(count) = request.tail {
            command.arg(format!("--lines={count}"));
        } else if request.follow {
            command.arg("--no-tail");
        }
        if request.follow {
            command.arg("--follow");
        }
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawned.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Error::new(Kind::Unsupported, "configured logging driver does not support reading")
                    .with_hint("`journalctl` reads systemd's journal, and is not installed")
            }
            _ => Error::new(Kind::Failed, "run `journalctl`").caused_by(error),
        })?;
        let stdout = child.stdout.take().or_err(Kind::Failed, || "read from `journalctl`".into())?;
        Ok(Self(child, stdout))
    }

    /// Waits a second for more: false where there is nothing yet.
    fn has_more(&self) -> bool {
        let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.1, PollFlags::IN)], Some(&second)).is_ok_and(|ready| ready > 0)
    }
}

impl Engine {
    pub(super) fn journal(
        &self,
        container: &Container,
        request: &LogRequest,
        show: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let mut journal = Journalctl::start(&container.record.id.to_string(), request)?;
        let (mut held, mut block) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let runs = !request.follow || self.runs(container)? && !request.is_over(Timestamp::now());
            if !journal.has_more() {
                if runs { continue } else { return Ok(()) }
            }
            let length =
                journal.1.read(&mut block).or_err(Kind::Failed, || "read from `journalctl`".into())?;
            if length == 0 {
                return Ok(());
            }
            held.extend_from_slice(&block[..length]);
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let row = serde_json::from_slice::<Row>(&held[..end]);
                held.drain(..=end);
                let Ok(entry) = row.map(Row::entry) else { continue };
                let is_late = request.until.is_some_and(|until| entry.time > until);
                if !is_late && request.since.is_none_or(|since| entry.time >= since) {
                    show(&entry)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_journal_are_entries() {
        let entry = |text: &str| serde_json::from_str::<Row>(text).unwrap().entry();
        let plain = entry(r#"{"MESSAGE":"a","PRIORITY":"6","__REALTIME_TIMESTAMP":"1000001","_PID":"1"}"#);
        assert_eq!((plain.text.as_slice(), plain.stream), (&b"a\n"[..], Stream::Output));
        assert_eq!(plain.time.as_microsecond(), 1_000_001);
        let bytes = entry(r#"{"MESSAGE":[255,10],"PRIORITY":"3","CONTAINER_PARTIAL_MESSAGE":"true"}"#);
        assert_eq!((bytes.text.as_slice(), bytes.stream), (&[255, 10][..], Stream::Error));
    }
}

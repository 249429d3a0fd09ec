//! The log of a container: by which driver, and whether there is one at all.

use crate::error::{Error, Kind, Result};
use crate::request::{RunRequest, Stream, StreamsRequest};
use fault::Context;
use logs::{Choice, Config, Driver, Subject};
use rustix::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use store::{Held, Record};

/// The writer's end, and why it is not whole.
#[derive(Debug)]
pub(crate) struct Log {
    log: logs::Log,
    lost: Option<std::io::Error>,
}

impl Log {
    /// Opens it to append to what earlier starts wrote.
    pub(crate) fn open(held: &Held, choice: &Choice) -> Result<Self> {
        let subject = subject(&held.record, choice);
        let log = logs::Log::open(held.dir(), &config(choice)?, &subject).map_err(from_logs)?;
        Ok(Self { log, lost: None })
    }

    /// How far it is, see [`logs::Log::mark`].
    pub(crate) fn mark(&self) -> (u64, u64) {
        self.log.mark()
    }

    /// See [`logs::Log::is_past`].
    pub(crate) fn is_past(&self, mark: (u64, u64)) -> bool {
        self.log.is_past(mark)
    }

    /// Takes what was read at one time. A full disk loses lines, and the container goes on; its end tells.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let stream = if stream == Stream::Stderr { logs::Stream::Error } else { logs::Stream::Output };
        let written = self.log.write(stream, bytes);
        self.lost = self.lost.take().or(written.err());
    }

    /// A server that has more to take than it took: until when it is waited for, see [`logs::Log::awaited`].
    pub(crate) fn awaited(&self) -> Option<BorrowedFd<'_>> {
        self.log.awaited()
    }

    /// How long until it has to go on, whatever happens.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.log.due().map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Nothing more is to be read from the container for a while.
    pub(crate) fn is_behind(&self) -> bool {
        self.log.is_behind()
    }

    /// Gives a server what it takes now.
    pub(crate) fn go_on(&mut self) {
        self.log.go_on();
    }

    /// Nothing more comes.
    pub(crate) fn close(&mut self) {
        self.log.close();
    }

    /// The end: what is to be told of what was lost.
    pub(crate) fn finish(&mut self) -> Option<Error> {
        let bytes = self.log.finish().bytes;
        let why = self.lost.take().map_or_else(String::new, |error| format!(": {error}"));
        (bytes > 0).then(|| {
            Error::new(
                Kind::Failed,
                format!("{bytes} bytes of output are missing in the container's log{why}"),
            )
        })
    }
}

/// The log of a container in the foreground.
///
/// With `--rm` there is none unless a driver was named: all that it writes is given to the one who started it, at that
/// moment, and what could be read later goes with the container. Without, it is kept as a detached one's is.
pub(crate) fn log_in_foreground(held: &Held, request: &RunRequest) -> Result<Option<Log>> {
    let choice = &request.streams.log;
    let is_kept = !(request.remove && choice.is_default());
    is_kept.then(|| Log::open(held, choice)).transpose()
}

/// Refuses what makes no sense before there is a container.
pub(crate) fn check_log(streams: &StreamsRequest) -> Result<()> {
    let config = config(&streams.log)?;
    if config.driver() == Driver::Passthrough && streams.tty {
        let what =
            "the log driver passthrough gives a container the caller's own streams: it can have no terminal";
        return Err(Error::new(Kind::Invalid, what).with_hint("leave `-t` out"));
    }
    Ok(())
}

/// podman's `passthrough`: the caller's own streams, to be the container's.
///
/// No terminal: a process could type into it (TIOCSTI).
pub(crate) fn own_streams(streams: &StreamsRequest) -> Result<Option<[OwnedFd; 3]>> {
    if config(&streams.log)?.driver() != Driver::Passthrough {
        return Ok(None);
    }
    let own = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    if own.iter().any(rustix::termios::isatty) {
        return Err(Error::new(Kind::Invalid, "the log driver passthrough cannot be used on a terminal"));
    }
    let another = |stream| rustix::io::fcntl_dupfd_cloexec(stream, 3);
    let [input, output, error] = own.map(another);
    let all = || Ok::<_, rustix::io::Errno>([input?, output?, error?]);
    all().or_err(Kind::Failed, || "pass the standard streams on".into()).map(Some)
}

pub(super) fn config(choice: &Choice) -> Result<Config> {
    Config::new(choice).map_err(from_logs)
}

/// What drivers say of a container; its variables only where they are asked for.
pub(super) fn subject(record: &Record, choice: &Choice) -> Subject {
    let wants_env = choice.options.keys().any(|name| name.starts_with("env") || name == "tag");
    let details = wants_env.then(|| crate::inspect::details_of(record));
    let env = details.as_ref().and_then(|details| details["Config"]["Env"].as_array().cloned());
    Subject {
        id: record.id.to_string(),
        name: record.name.to_string(),
        image_id: record.image.to_string(),
        image_name: record.image_name.clone(),
        command: record.command.clone(),
        env: env.into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
        labels: record.labels.clone(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}

pub(super) fn from_logs(error: logs::Error) -> Error {
    error.map_kind(|kind| match kind {
        logs::Kind::Invalid => Kind::Invalid,
        logs::Kind::NotReadable => Kind::Unsupported,
        logs::Kind::Failed => Kind::Failed,
    })
}

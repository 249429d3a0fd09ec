//! A container's whole life, in its monitor: from one start to the next, until it stays ended.

use super::First;
use super::adopt::Left;
use super::fork::{Fork, Word, fork};
use super::log::{Log, own_streams};
use super::monitor::{Attended, Monitor, Over};
use super::notes::{Notes, Streams};
use super::restart::{Backoff, Past};
use super::wire;
use crate::error::{Error, Kind, Result, from_store};
use crate::health::{Check, since};
use crate::request::{RunRequest, Stream, StreamsRequest, UserNamespace};
use crate::run::{Ended, Ends, Owned, Ready, Tried, attaches, parsed, wire as wire_streams};
use fault::Context;
use runtime::{Bond, Running, Stdio};
use rustix::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Forks the container's monitor and waits until the program runs: its pid, and the guest's line.
pub(super) fn beget(
    ready: Ready<'_>,
    request: &RunRequest,
    first: First,
    warn: &mut dyn FnMut(&str),
) -> Tried<(i32, Option<OwnedFd>)> {
    let mut first = First { own: own_streams(&request.streams)?, ..first };
    let line = first.line.take();
    ready.warnings.iter().for_each(|warning| warn(warning));
    match fork()? {
        Fork::Maker(heard) => {
            ready.owned.leave();
            drop(first);
            heard.listen(warn).map(|pid| (pid, line))
        }
        Fork::Monitor(word) => {
            drop(line);
            live(ready, request.clone(), first, word);
            sys::process::exit_now(0)
        }
    }
}

/// From its first start.
fn live(ready: Ready<'_>, request: RunRequest, mut first: First, mut word: Word) {
    let own = first.own.take();
    let opened = wire::open_door(ready.owned.held().dir());
    let opened = opened.or_err(Kind::Failed, || "open the container's door".into()).map_err(Ended::from);
    let mut tell = |text: &str| word.warn(text);
    let born =
        opened.and_then(|door| Ok((door, bear(ready, &request, own.as_ref(), first.size, &mut tell)?)));
    match born {
        Ok((door, (owned, attended))) => {
            let guests = first.guest.into_iter().collect();
            let monitor = Monitor::new(door, guests, first.input_once, attended, word);
            Life::new(monitor, request, own).go_on(owned);
        }
        Err(ended) => word.failed(ended),
    }
}

/// From where another monitor left it.
pub(super) fn live_on(mut owned: Owned<'_>, request: RunRequest, left: Left, word: Word) {
    let (door, log, cgroup) = match take_on(&mut owned, &request) {
        Ok(all) => all,
        Err(error) => return word.failed(Ended::Otherwise(error)),
    };
    match left {
        Left::Alive { pid, first, streams, keepers, in_flight } => {
            let mut log = log;
            // Unless the killed one came to write it.
            if let Some(left) = in_flight.filter(|left| !log.is_past(left.mark)) {
                log.write(left.stream, &left.bytes);
            }
            let running = Running::adopt(pid, first, cgroup);
            let check = check_of(&owned, &request);
            let is_kept_up = !request.restart.is_no();
            let attended = Attended { running, streams, log, check, is_kept_up };
            let mut monitor = Monitor::new(door, Vec::new(), false, attended, word);
            if let Err(error) = monitor.goes_on(&mut owned, keepers) {
                return monitor.word().map_or((), |word| word.failed(Ended::Otherwise(error)));
            }
            Life::new(monitor, request, None).go_on(owned);
        }
        Left::Resting => {
            drop(log);
            let monitor = Monitor::resting(door, word);
            Life::new(monitor, request, None).rest_and_go_on(owned);
        }
    }
}

fn take_on(owned: &mut Owned<'_>, request: &RunRequest) -> Result<(OwnedFd, Log, Option<cgroup::Cgroup>)> {
    owned.update(|slot| {
        slot.monitor = rustix::process::getpid().as_raw_nonzero().get();
        Ok(())
    })?;
    let door =
        wire::open_door(owned.held().dir()).or_err(Kind::Failed, || "open the container's door".into())?;
    Ok((door, Log::open(owned.held(), &request.streams.log)?, owned.group()?))
}

/// Starts a container: what its monitor has of it.
fn bear<'a>(
    mut ready: Ready<'a>,
    request: &RunRequest,
    own: Option<&[OwnedFd; 3]>,
    size: Option<rustix::termios::Winsize>,
    warn: &mut dyn FnMut(&str),
) -> Tried<(Owned<'a>, Attended)> {
    let streams = &request.streams;
    let log = Log::open(ready.owned.held(), &streams.log)?;
    let interactive = attaches(streams, Stream::Stdin) || streams.interactive;
    let all = StreamsRequest { attach: Vec::new(), interactive, ..streams.clone() };
    let (stdio, ends) = match own {
        Some(own) => (Stdio::Streams(cloned(own)?), Ends::default()),
        None => wire_streams(&ready.plan, &all, size)?,
    };
    let running = match ready.start(stdio, Bond::Free(None)) {
        Ok(running) => running,
        Err(ended) => {
            let _ = wire::close_door(ready.owned.held().dir());
            return Err(ended);
        }
    };
    running.warnings().iter().for_each(|warning| warn(warning));
    let Ends { input, output, error, .. } = ends;
    let streams = Streams { input, output, error, master: None };
    let check = check_of(&ready.owned, request);
    let is_kept_up = !request.restart.is_no();
    Ok((ready.owned, Attended { running, streams, log, check, is_kept_up }))
}

fn check_of(owned: &Owned<'_>, request: &RunRequest) -> Option<Check> {
    let record = &owned.held().record;
    let image: Result<oci::ContainerConfig> = parsed(record.config.as_deref(), &record.name);
    image.ok().and_then(|image| Check::of(request, &image))
}

fn cloned(own: &[OwnedFd; 3]) -> Result<[OwnedFd; 3]> {
    let another =
        |fd: &OwnedFd| fd.try_clone().or_err(Kind::Failed, || "pass the standard streams on".into());
    Ok([another(&own[0])?, another(&own[1])?, another(&own[2])?])
}

/// A container in the hands of its monitor.
struct Life {
    monitor: Monitor,
    request: RunRequest,
    /// The layers' file system maps no ids.
    has_hosts_ids: bool,
    /// `--log-driver passthrough`: for each start anew.
    own: Option<[OwnedFd; 3]>,
    backoff: Backoff,
}

impl Life {
    fn new(monitor: Monitor, request: RunRequest, own: Option<[OwnedFd; 3]>) -> Self {
        let has_hosts_ids = request.isolation.userns == UserNamespace::Host;
        Self { monitor, request, has_hosts_ids, own, backoff: Backoff::default() }
    }

    /// Until it stays ended. What cannot be recorded is left to the next command, as if this had been killed.
    fn go_on(mut self, owned: Owned<'_>) {
        let mut owned = Some(owned);
        while let Some(now) = owned.take() {
            owned = self.one(now).unwrap_or_default();
        }
    }

    fn rest_and_go_on(mut self, owned: Owned<'_>) {
        if let Ok(Some(owned)) = self.rest(owned) {
            self.go_on(owned);
        }
    }

    /// One life; what there is for the next.
    fn one<'a>(&mut self, mut owned: Owned<'a>) -> Result<Option<Owned<'a>>> {
        let Over { exited, failure, lost } = self.monitor.attend(&mut owned)?;
        let exit = owned.end(exited, failure.as_ref(), lost.as_ref())?;
        self.monitor.end_keeper()?;
        let ran = exit.started.map_or(Duration::ZERO, |started| since(started, exit.finished));
        let never_ran = failure.is_some();
        let rest =
            if never_ran || owned.is_removed() { None } else { self.next(&mut owned, exit.code, ran)? };
        match rest {
            None => {
                self.stay_ended(owned, exit.code, failure)?;
                Ok(None)
            }
            Some(rest) => {
                owned.rest(&exit, rest)?;
                self.monitor.part(exit.code);
                self.rest(owned)
            }
        }
    }

    /// By its policy, as it is now; None where it stays ended.
    fn next(&mut self, owned: &mut Owned<'_>, code: i32, ran: Duration) -> Result<Option<Duration>> {
        let policy = request_now(owned)?.restart;
        let by_hand = owned.held().is_stopped().map_err(from_store)?;
        let restarts = Notes::of(owned.running()).restarts;
        Ok(self.backoff.next(policy, Past { code, ran, by_hand, restarts }))
    }

    fn stay_ended(&mut self, owned: Owned<'_>, code: i32, failure: Option<Error>) -> Result<()> {
        let _ = wire::close_door(owned.held().dir());
        let closed = owned.close();
        if let (Some(word), Some(error)) = (self.monitor.word(), failure) {
            word.failed(Ended::Otherwise(error));
        }
        self.monitor.part(code);
        closed
    }

    /// Waits for the next start, unless there is none any more.
    fn rest<'a>(&mut self, mut owned: Owned<'a>) -> Result<Option<Owned<'a>>> {
        self.monitor.rests();
        loop {
            let rest = Notes::of(owned.running()).rest;
            let (until, code) = rest.map_or((jiff::Timestamp::MIN, 0), |rest| (rest.until, rest.code));
            let left = since(jiff::Timestamp::now(), until);
            self.monitor.rest(Instant::now() + left, &mut owned)?;
            if owned.held().is_stopped().map_err(from_store)? || request_now(&owned)?.restart.is_no() {
                self.stay_ended(owned, code, None)?;
                return Ok(None);
            }
            if until <= jiff::Timestamp::now() {
                return self.start_again(owned);
            }
        }
    }

    fn start_again<'a>(&mut self, mut owned: Owned<'a>) -> Result<Option<Owned<'a>>> {
        owned.counts_restart()?;
        let (engine, id) = (owned.engine(), owned.id());
        self.renew(&owned)?;
        let born = engine.ready_once_more(owned, &self.request).and_then(|ready| self.bear_again(ready));
        let born = match born {
            Err(Ended::NotMappable(_)) if self.request.isolation.userns == UserNamespace::Auto => {
                self.has_hosts_ids = true;
                self.request.isolation.userns = UserNamespace::Host;
                let container = engine.store.container(&id.to_string()).map_err(from_store)?;
                engine.ready_again(container, &self.request).and_then(|ready| self.bear_again(ready))
            }
            other => other,
        };
        match born {
            Ok((owned, attended)) => {
                self.monitor.take_on(attended);
                Ok(Some(owned))
            }
            Err(ended) => {
                let error = ended.into();
                self.monitor.part(crate::exit_code(&error));
                engine.record_no_start(&id, &error).map(|()| None)
            }
        }
    }

    fn bear_again<'a>(&self, ready: Ready<'a>) -> Tried<(Owned<'a>, Attended)> {
        bear(ready, &self.request, self.own.as_ref(), None, &mut |_| {})
    }

    /// What it is started from, as the record has it now.
    fn renew(&mut self, owned: &Owned<'_>) -> Result<()> {
        self.request = request_now(owned)?;
        if self.has_hosts_ids {
            self.request.isolation.userns = UserNamespace::Host;
        }
        Ok(())
    }
}

/// `hull update` changes it.
fn request_now(owned: &Owned<'_>) -> Result<RunRequest> {
    let record = owned.engine().store.record_now(owned.held()).map_err(from_store)?;
    parsed(record.request.as_deref(), &record.name)
}

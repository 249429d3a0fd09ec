//! The life of a container that nobody has to watch: started, attended by its monitor, stopped, waited for.
//!
//! ```text
//! run -d, start ──fork──▶ monitor ──clone3──▶ first process
//!                            │ log, door (wire), exit
//!       attach, wait, logs ◀─┘
//! ```
//!
//! The monitor is this program, forked while it has one thread. It holds the container and its slot, so that
//! whoever asked may go. To signal, freeze or look at a container takes only the kernel; to share its streams or
//! hear its end takes the monitor's door.

mod attach;
mod exec;
mod fork;
mod journal;
mod log;
mod monitor;
mod reading;
mod stop;
mod wire;

pub use attach::{Attaching, Parted};
pub use exec::ExecRequest;
pub use logs::{Entry, Stream as LogStream};
pub use reading::{LogRequest, log_moment};
pub use stop::StopRequest;

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::request::{RunRequest, StreamsRequest};
use crate::run::{
    Ended, Ends, HostStreams, Ready, Signals, Tried, keep_capabilities, parsed, wire as wire_streams,
    write_note,
};
use attach::Line;
use fault::Context;
use fork::{Fork, Word, fork};
pub(crate) use log::{Log, check_log, log_in_foreground, own_streams};
use monitor::{Guest, Monitor, Over, Wiring};
pub(crate) use reading::choice;
use rustix::fd::OwnedFd;
use rustix::termios::Winsize;
use store::{Container, ContainerId, State};

/// Who is there when a container begins.
#[derive(Default)]
struct First {
    guest: Option<Guest>,
    size: Option<Winsize>,
    /// Its standard input ends with the first guest's.
    input_once: bool,
    /// Its streams, where they are the caller's own.
    own: Option<[OwnedFd; 3]>,
}

impl Engine {
    /// Makes a container and leaves it: docker's `create`.
    pub fn create(&self, request: &RunRequest, warn: &mut dyn FnMut(&str)) -> Result<ContainerId> {
        crate::run::check_files(request)?;
        self.bury()?;
        let ready = self.decide(request)?.make(request)?;
        write_note(request.cidfile.as_deref(), &ready.id(), "container ID")?;
        ready.warnings.iter().for_each(|warning| warn(warning));
        ready.keep()
    }

    /// Makes a container and starts it with a monitor of its own: docker's `run -d`.
    pub fn run_detached(&self, request: &RunRequest, warn: &mut dyn FnMut(&str)) -> Result<ContainerId> {
        crate::run::check_files(request)?;
        self.bury()?;
        self.mappable(request, warn, |request, warn| {
            keep_capabilities()?;
            let ready = self.decide(request)?.make(request)?;
            write_note(request.cidfile.as_deref(), &ready.id(), "container ID")?;
            let id = ready.id();
            let pid = beget(ready, &request.streams, First::default(), warn)?;
            write_note(request.pidfile.as_deref(), &pid, "pid")?;
            Ok(id)
        })
    }

    /// Starts a container that was made or has ended. One that runs is left alone.
    pub fn start(&self, text: &str, warn: &mut dyn FnMut(&str)) -> Result<()> {
        let (container, state) = self.container(text)?;
        if let State::Running(_) = state {
            return Ok(());
        }
        let request = parsed(container.record.request.as_deref(), &container.record.name)?;
        self.begin(&container.record.id, &request, warn, |_| Ok(First::default()))
    }

    /// The same, with the caller's streams at it until it ends or the caller goes.
    pub fn start_attached(
        &self,
        text: &str,
        input: bool,
        how: &Attaching,
        host: HostStreams<'_>,
        warn: &mut dyn FnMut(&str),
    ) -> Result<Parted> {
        let (container, state) = self.container(text)?;
        if let State::Running(_) = state {
            return self.attach(text, how, host);
        }
        let request: RunRequest = parsed(container.record.request.as_deref(), &container.record.name)?;
        let how = Attaching { input: input && request.streams.interactive, ..how.clone() };
        let signals = Signals::block()?;
        self.report(self.event_of(&container, "attach"));
        let mut ours = None;
        self.begin(&container.record.id, &request, warn, |request| {
            let (socket, theirs) = pair()?;
            ours = Some(socket);
            let guest = Some(Guest::invited(theirs, how.wants()));
            let size = crate::run::size_of(&host.all()).filter(|_| request.streams.tty);
            Ok(First { guest, size, input_once: how.input, own: None })
        })?;
        let socket = ours.or_err(Kind::Conflict, || "the container was started by somebody else".into())?;
        let line = Line { socket, tty: request.streams.tty };
        line.converse(&how, host, &signals, &|signal| self.pass_signal(&container.record.id, signal))
            .inspect(|parted| self.told_parting(&container, parted))
    }

    /// The caller's streams at a container that runs.
    pub fn attach(&self, text: &str, how: &Attaching, host: HostStreams<'_>) -> Result<Parted> {
        let (container, state) = self.container(text)?;
        let State::Running(_) = state else {
            return Err(Error::new(
                Kind::Conflict,
                "you cannot attach to a stopped container, start it first",
            ));
        };
        let request: RunRequest = parsed(container.record.request.as_deref(), &container.record.name)?;
        if self.is_paused(&state) {
            return Err(Error::new(
                Kind::Conflict,
                "you cannot attach to a paused container, unpause it first",
            ));
        }
        let how = Attaching { input: how.input && request.streams.interactive, ..how.clone() };
        if request.streams.tty && how.input && !rustix::termios::isatty(host.input) {
            return Err(Error::new(Kind::Invalid, "the input device is not a TTY"));
        }
        let signals = Signals::block()?;
        let socket = wire::knock(container.dir()).map_err(|errno| no_monitor(&container, errno))?;
        let line = Line::greet(socket, &how)?;
        self.report(self.event_of(&container, "attach"));
        line.converse(&how, host, &signals, &|signal| self.pass_signal(&container.record.id, signal))
            .inspect(|parted| self.told_parting(&container, parted))
    }

    fn told_parting(&self, container: &Container, parted: &Parted) {
        if matches!(parted, Parted::Detached) {
            self.report(self.event_of(container, "detach"));
        }
    }

    fn begin(
        &self,
        id: &ContainerId,
        request: &RunRequest,
        warn: &mut dyn FnMut(&str),
        mut first: impl FnMut(&RunRequest) -> Result<First>,
    ) -> Result<()> {
        self.mappable(request, warn, |request, warn| {
            keep_capabilities()?;
            let container = self.store.container(&id.to_string()).map_err(from_store)?;
            let ready = self.ready_again(container, request)?;
            beget(ready, &request.streams, first(request)?, warn).map(drop)
        })
    }
}

fn pair() -> Result<(OwnedFd, OwnedFd)> {
    wire::pair().or_err(Kind::Failed, || "make a socket for the streams".into())
}

/// A container that runs in a foreground is its caller's alone.
fn no_monitor(container: &Container, errno: rustix::io::Errno) -> Error {
    let what = format!("container `{}` runs in the foreground of another command", container.record.name);
    Error::new(Kind::Conflict, what).caused_by(errno)
}

/// Forks the container's monitor and waits until the program runs.
fn beget(ready: Ready<'_>, streams: &StreamsRequest, first: First, warn: &mut dyn FnMut(&str)) -> Tried<i32> {
    let first = First { own: own_streams(streams)?, ..first };
    ready.warnings.iter().for_each(|warning| warn(warning));
    match fork()? {
        Fork::Maker(heard) => {
            ready.leave();
            drop(first);
            heard.listen(warn)
        }
        Fork::Monitor(word) => {
            live(ready, streams, first, word);
            sys::process::exit_now(0)
        }
    }
}

/// A container's whole life, in its monitor.
fn live(mut ready: Ready<'_>, streams: &StreamsRequest, first: First, mut word: Word) {
    let (running, wiring) = match bear(&mut ready, streams, first, &mut word) {
        Ok(begun) => begun,
        Err(ended) => {
            let _ = wire::close_door(ready.held().dir());
            drop(ready);
            return word.failed(ended);
        }
    };
    let over = Monitor::new(running, wiring, word).attend(&mut || ready.begun());
    let _ = wire::close_door(ready.held().dir());
    let Ok(Over { exited, failure, lost, guests, word }) = over else { return };
    let lived = ready.finish(exited, failure, lost);
    let code = lived.as_ref().map_or_else(crate::exit_code, |outcome| outcome.code);
    if let (Some(word), Err(error)) = (word, lived) {
        word.failed(Ended::Otherwise(error));
    }
    guests.into_iter().for_each(|guest| guest.part(code));
}

fn bear(
    ready: &mut Ready<'_>,
    streams: &StreamsRequest,
    first: First,
    word: &mut Word,
) -> Tried<(runtime::Running, Wiring)> {
    let failed = || "open the container's door".to_owned();
    let door = wire::open_door(ready.held().dir()).or_err(Kind::Failed, failed)?;
    let log = Log::open(ready.held(), &streams.log)?;
    let all = StreamsRequest { attach: Vec::new(), ..streams.clone() };
    let (stdio, ends) = match first.own {
        Some(own) => (runtime::Stdio::Streams(own), Ends::default()),
        None => wire_streams(&ready.plan, &all, first.size)?,
    };
    let running = ready.start(stdio)?;
    running.warnings().iter().for_each(|warning| word.warn(warning));
    let guests = first.guest.into_iter().collect();
    Ok((running, Wiring { ends, door, log, guests, input_once: first.input_once }))
}

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
//! hear its end takes the monitor's door. Should it be killed, the container goes on, its streams kept open by another
//! process ([`notes`]), and the next command gives it another monitor ([`adopt`]).

mod adopt;
mod attach;
mod exec;
mod flight;
mod fork;
mod guest;
mod journal;
mod live;
mod log;
mod monitor;
mod notes;
mod pulse;
mod reading;
mod restart;
mod stop;
mod wait;
mod wire;

pub use attach::{Attaching, Parted};
pub use exec::ExecRequest;
pub(crate) use exec::await_first_program;
pub use logs::{Entry, Stream as LogStream};
pub use reading::{LogRequest, log_moment};
pub use stop::StopRequest;
pub use wait::Condition;

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::request::RunRequest;
use crate::run::{HostStreams, Outcome, Signals, Tried, keep_capabilities, parsed, write_note};
pub(crate) use adopt::{Adopted, Left};
use attach::Line;
use fault::Context;
use guest::Guest;
use live::beget;
pub(crate) use log::{Log, check_log, log_in_foreground, own_streams};
pub use notes::Restarts;
pub(crate) use notes::{Notes, Rest};
pub(crate) use reading::choice;
use rustix::fd::OwnedFd;
use rustix::termios::Winsize;
use std::time::{Duration, Instant};
use store::{Container, ContainerId, State};

/// Who is there when a container begins.
#[derive(Default)]
struct First {
    guest: Option<Guest>,
    /// The other end of the guest's line, which the monitor must not have.
    line: Option<OwnedFd>,
    size: Option<Winsize>,
    /// Its standard input ends with the first guest's.
    input_once: bool,
    /// Its streams, where they are the caller's own.
    own: Option<[OwnedFd; 3]>,
}

impl First {
    /// The caller, with its streams.
    fn guest(request: &RunRequest, how: &Attaching, host: HostStreams<'_>) -> Result<Self> {
        let (ours, theirs) = wire::pair().or_err(Kind::Failed, || "make a socket for the streams".into())?;
        let guest = Some(Guest::invited(theirs, how.wants()));
        let size = crate::run::size_of(&host.all()).filter(|_| request.streams.tty);
        Ok(Self { guest, line: Some(ours), size, input_once: how.input, own: None })
    }
}

impl Engine {
    /// Makes a container and leaves it: docker's `create`.
    pub fn create(&self, request: &RunRequest, warn: &mut dyn FnMut(&str)) -> Result<ContainerId> {
        crate::run::check_files(request)?;
        self.bury()?;
        let ready = self.decide(request)?.make(request)?;
        write_note(request.cidfile.as_deref(), &ready.owned.id(), "container ID")?;
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
            write_note(request.cidfile.as_deref(), &ready.owned.id(), "container ID")?;
            let id = ready.owned.id();
            let (pid, _) = beget(ready, request, First::default(), warn)?;
            write_note(request.pidfile.as_deref(), &pid, "pid")?;
            Ok(id)
        })
    }

    /// docker's `run` in the foreground: a monitor of its own, and the caller as its first guest.
    pub(crate) fn run_watched(
        &self,
        request: &RunRequest,
        host: HostStreams<'_>,
        warn: &mut dyn FnMut(&str),
    ) -> Tried<Outcome> {
        let signals = Signals::block()?;
        keep_capabilities()?;
        let mut ready = self.decide(request)?.make(request)?;
        ready.owned.note("attach");
        let id = ready.owned.id();
        write_note(request.cidfile.as_deref(), &id, "container ID")?;
        let container = self.store.container(&id.to_string()).map_err(from_store)?;
        let how = Attaching::of(&request.streams);
        let (pid, line) = beget(ready, request, First::guest(request, &how, host)?, warn)?;
        write_note(request.pidfile.as_deref(), &pid, "pid")?;
        let line = line.map(|socket| Line { socket, tty: request.streams.tty });
        let code = match self.talk(&container, &how, host, &signals, line)? {
            Parted::Ended(code) => code,
            Parted::Detached => 0,
        };
        Ok(Outcome { id, code })
    }

    /// Starts a container that was made or has ended. One that runs is left alone.
    pub fn start(&self, text: &str, warn: &mut dyn FnMut(&str)) -> Result<()> {
        let (container, state) = self.container(text)?;
        if let State::Running(_) = state {
            return Ok(());
        }
        let request = parsed(container.record.request.as_deref(), &container.record.name)?;
        self.begin(&container.record.id, &request, warn, |_| Ok(First::default())).map(drop)
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
        let first = |request: &RunRequest| First::guest(request, &how, host);
        let line = self.begin(&container.record.id, &request, warn, first)?;
        let socket = line.or_err(Kind::Conflict, || "the container was started by somebody else".into())?;
        let line = Line { socket, tty: request.streams.tty };
        self.talk(&container, &how, host, &signals, Some(line))
    }

    /// The caller's streams at a container that runs.
    pub fn attach(&self, text: &str, how: &Attaching, host: HostStreams<'_>) -> Result<Parted> {
        let (container, state) = self.container(text)?;
        let State::Running(running) = &state else {
            return Err(Error::new(
                Kind::Conflict,
                "you cannot attach to a stopped container, start it first",
            ));
        };
        check_awake(&container, running)?;
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
        self.report(self.event_of(&container, "attach"));
        self.talk(&container, &how, host, &signals, None)
    }

    /// At a monitor, and at the next one if that is killed.
    fn talk(
        &self,
        container: &Container,
        how: &Attaching,
        host: HostStreams<'_>,
        signals: &Signals,
        mut line: Option<Line>,
    ) -> Result<Parted> {
        let id = &container.record.id;
        loop {
            let here = match line.take() {
                Some(line) => line,
                None => Line::greet(self.knock(container)?, how)?,
            };
            match here.converse(how, host, signals, &|signal| self.pass_signal(id, signal))? {
                None if self.lives_on(container)? => {}
                None => return self.code_of(container).map(Parted::Ended),
                Some(parted) => {
                    self.told_parting(container, &parted);
                    return Ok(parted);
                }
            }
        }
    }

    /// Goes to the monitor. Another command may be about to make one.
    fn knock(&self, container: &Container) -> Result<OwnedFd> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let errno = match wire::knock(container.dir()) {
                Ok(socket) => return Ok(socket),
                Err(errno) => errno,
            };
            let running = self.store.slot_of(&container.record.id).map_err(from_store)?;
            let is_watched = running.is_some_and(|running| Notes::of(&running) != Notes::default());
            if !is_watched || Instant::now() > until {
                return Err(no_monitor(container, errno));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether a container whose monitor is gone has another one now.
    fn lives_on(&self, container: &Container) -> Result<bool> {
        self.bury()?;
        Ok(self.store.slot_of(&container.record.id).map_err(from_store)?.is_some())
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
        first: impl Fn(&RunRequest) -> Result<First>,
    ) -> Result<Option<OwnedFd>> {
        self.mappable(request, warn, |request, warn| {
            keep_capabilities()?;
            let container = self.store.container(&id.to_string()).map_err(from_store)?;
            let ready = self.ready_again(container, request)?;
            beget(ready, request, first(request)?, warn).map(|(_, line)| line)
        })
    }
}

/// Of one that has ended and is about to be started by its policy there is nothing to speak to.
pub(crate) fn check_awake(container: &Container, running: &store::Running) -> Result<()> {
    if Notes::of(running).rest.is_none() {
        return Ok(());
    }
    let what =
        format!("container {} is restarting, wait until the container is running", container.record.id);
    Err(Error::new(Kind::Conflict, what))
}

/// A container that runs in a foreground is its caller's alone.
fn no_monitor(container: &Container, errno: rustix::io::Errno) -> Error {
    let what = format!("container `{}` runs in the foreground of another command", container.record.name);
    Error::new(Kind::Conflict, what).caused_by(errno)
}

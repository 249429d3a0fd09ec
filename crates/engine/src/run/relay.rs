//! The loop of a container in the foreground: its streams, our signals, its end.

use super::HostStreams;
use super::keys::Keys;
use super::pump::{Pump, Turn};
use super::terminal::{Raw, size_of};
use super::waiting::{self, readable};
use crate::error::{Error, Kind, Result, from_runtime};
use crate::life::Log;
use crate::request::{Stream, StreamsRequest};
use fault::Context;
use runtime::{Event, Exited, Running};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Signal;
use sys::signal::Set;

/// Signals that are not the user's to send to a container: of our own children, of closed pipes, of terminals,
/// and those that tell of our own faults.
const NOT_PASSED: [i32; 9] = [
    Signal::CHILD.as_raw(),
    Signal::PIPE.as_raw(),
    Signal::URG.as_raw(),
    Signal::SEGV.as_raw(),
    Signal::BUS.as_raw(),
    Signal::ILL.as_raw(),
    Signal::FPE.as_raw(),
    Signal::ABORT.as_raw(),
    Signal::TRAP.as_raw(),
];

/// So many interrupts that lead to nothing are an order.
pub(crate) const PATIENCE: u32 = 3;

/// Signals blocked and read from a descriptor while a container runs.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: OwnedFd,
    before: Set,
}

impl Signals {
    /// Blocks what is passed on. Before the container is born, so that none is lost between.
    pub(crate) fn block() -> Result<Self> {
        let set = NOT_PASSED.into_iter().fold(Set::full(), Set::without);
        let failed = || "take over signals".to_owned();
        let descriptor = sys::signal::descriptor(&set).or_err(Kind::Failed, failed)?;
        let before = sys::signal::block_exactly(&set).or_err(Kind::Failed, failed)?;
        Ok(Self { descriptor, before })
    }

    /// Becomes readable when there is one.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Those that came.
    pub(crate) fn arrived(&self) -> Result<Vec<i32>> {
        let next = || sys::signal::next(&self.descriptor).or_err(Kind::Failed, || "read signals".into());
        std::iter::from_fn(|| next().transpose()).collect()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = sys::signal::block_exactly(&self.before);
    }
}

/// Our ends of the container's streams; none where it has none, or a terminal that is to come.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) input: Option<OwnedFd>,
    pub(crate) output: Option<OwnedFd>,
    pub(crate) error: Option<OwnedFd>,
    /// Takes what is written before anybody else has it.
    pub(crate) log: Option<Log>,
}

/// Runs the loop until the container has ended and its output is through; says why there was no program, or why
/// its output was lost, and what its log lacks.
pub(crate) fn attend(
    running: Running,
    request: &StreamsRequest,
    host: HostStreams<'_>,
    ends: Ends,
    signals: &Signals,
    begun: &mut dyn FnMut(),
    warn: &mut dyn FnMut(&str),
) -> Result<(Exited, Option<Error>, Option<Error>)> {
    let is_logged = ends.log.is_some();
    let outward = |from, to| {
        let pump = Pump::new(from, to, false);
        if is_logged { pump.copying() } else { pump }
    };
    let mut relay = Relay {
        running,
        request,
        host,
        signals,
        begun,
        warn,
        input: ends.input.map(|to| Pump::new(host.input, to, true)),
        output: ends.output.map(|from| outward(from, host.output)),
        error: ends.error.map(|from| outward(from, host.error)),
        log: ends.log,
        master: None,
        raw: None,
        failure: None,
        interrupts: 0,
        keys: Keys::new(&request.detach_keys),
        told: false,
    };
    while !relay.turn()? {}
    relay.log.iter_mut().for_each(Log::close);
    while relay.is_held_up() {
        relay.turn()?;
    }
    let Relay { running, failure, log, .. } = relay;
    let lacks = log.and_then(|mut log| log.finish());
    Ok((running.wait().map_err(from_runtime)?, failure, lacks))
}

struct Relay<'a> {
    running: Running,
    request: &'a StreamsRequest,
    host: HostStreams<'a>,
    signals: &'a Signals,
    /// Called when the program runs.
    begun: &'a mut dyn FnMut(),
    warn: &'a mut dyn FnMut(&str),
    input: Option<Pump<BorrowedFd<'a>, OwnedFd>>,
    output: Option<Pump<OwnedFd, BorrowedFd<'a>>>,
    error: Option<Pump<OwnedFd, BorrowedFd<'a>>>,
    log: Option<Log>,
    master: Option<OwnedFd>,
    raw: Option<Raw<'a>>,
    /// Why the program never ran, or had to end.
    failure: Option<Error>,
    interrupts: u32,
    keys: Keys<'a>,
    /// The user knows that nothing can be detached from yet.
    told: bool,
}

/// What the loop waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    End,
    Signal,
    Child,
    Input,
    Output,
    Error,
    Log,
}

/// A turn of a pump; what it took in is in the log before anybody else has it.
fn passed(pump: &mut Pump<OwnedFd, BorrowedFd<'_>>, log: &mut Option<Log>, stream: Stream) -> Turn {
    let loads = !pump.is_loaded();
    let turn = pump.turn();
    if let Some(log) = log.as_mut().filter(|_| loads && pump.is_loaded()) {
        log.write(stream, pump.pending());
    }
    turn
}

impl Relay<'_> {
    /// Waits for something and acts on it. True when all is over.
    fn turn(&mut self) -> Result<bool> {
        let ready = self.wait()?;
        let ended = ready.contains(&Awaited::End);
        for what in &ready {
            match what {
                Awaited::End | Awaited::Log => {}
                Awaited::Signal => self.pass_signals()?,
                Awaited::Child => self.hear_child()?,
                Awaited::Input => self.pump_input(),
                Awaited::Output => self.pump_output()?,
                Awaited::Error => self.pump_error()?,
            }
        }
        self.log.iter_mut().for_each(Log::go_on);
        // What was written before the end is in the pipes: nothing more to come, nothing on its way.
        let idle =
            !ready.iter().any(|what| matches!(what, Awaited::Output | Awaited::Error | Awaited::Child));
        let loaded = [&self.output, &self.error].into_iter().flatten().any(Pump::is_loaded);
        Ok(ended && idle && !loaded)
    }

    /// The log's server is slow: more is not read, and the end has to wait.
    fn is_held_up(&self) -> bool {
        self.log.as_ref().is_some_and(Log::is_behind)
    }

    /// Polls everything; after the container's end without waiting for more than the output.
    fn wait(&self) -> Result<Vec<Awaited>> {
        let held_up = self.is_held_up();
        let mut polled = vec![readable(Awaited::Signal, self.signals.descriptor())];
        polled.extend((!held_up).then(|| readable(Awaited::End, self.running.pidfd())));
        polled.extend(self.running.channel().map(|channel| readable(Awaited::Child, channel)));
        polled.extend(self.input.as_ref().map(|pump| (Awaited::Input, pump.poll())));
        let outward = [(Awaited::Output, &self.output), (Awaited::Error, &self.error)];
        let pumps = outward.into_iter().filter_map(|(what, pump)| Some((what, pump.as_ref()?)));
        let pumps = pumps.filter(|(_, pump)| !held_up || pump.is_loaded());
        polled.extend(pumps.map(|(what, pump)| (what, pump.poll())));
        let awaited = self.log.as_ref().and_then(Log::awaited);
        polled.extend(awaited.map(|to| (Awaited::Log, PollFd::from_borrowed_fd(to, PollFlags::OUT))));
        waiting::wait(polled, self.log.as_ref().and_then(Log::patience))
    }

    fn hear_child(&mut self) -> Result<()> {
        match self.running.event().map_err(from_runtime)? {
            // No profile of docker's names a listener, and without one the plan takes none that notifies.
            Event::Prepared | Event::Ready | Event::Listener(_) => {}
            Event::Executed if self.failure.is_none() => (self.begun)(),
            Event::Executed => {}
            Event::Failed(error) => self.failure = Some(from_runtime(error)),
            Event::Terminal(master) => self.take_terminal(master)?,
        }
        Ok(())
    }

    /// From here on the container's terminal is what the user types into and reads from.
    fn take_terminal(&mut self, master: OwnedFd) -> Result<()> {
        let failed = || "take over the container's terminal".to_owned();
        let flags = rustix::fs::fcntl_getfl(&master).or_err(Kind::Failed, failed)?;
        rustix::fs::fcntl_setfl(&master, flags | rustix::fs::OFlags::NONBLOCK)
            .or_err(Kind::Failed, failed)?;
        let another = || master.try_clone().or_err(Kind::Failed, failed);
        self.output = Some(Pump::new(another()?, self.host.output, false).copying());
        if self.request.interactive {
            self.input = Some(Pump::new(self.host.input, another()?, true));
            self.raw = Raw::enter(self.host.input);
        }
        self.master = Some(master);
        Ok(())
    }

    fn pass_signals(&mut self) -> Result<()> {
        self.signals.arrived()?.into_iter().try_for_each(|signal| self.take_signal(signal))
    }

    fn take_signal(&mut self, signal: i32) -> Result<()> {
        let named = Signal::from_named_raw(signal);
        match named {
            Some(Signal::WINCH) => {
                self.resize();
                Ok(())
            }
            _ if self.is_order(signal) => self.kill(Signal::KILL.as_raw()),
            _ if self.request.proxy_signals => self.kill(signal),
            // As docker's client, which these end. Nothing keeps a container in the foreground running without us.
            Some(Signal::HUP | Signal::QUIT) => self.kill(Signal::KILL.as_raw()),
            _ => Ok(()),
        }
    }

    fn is_order(&mut self, signal: i32) -> bool {
        let asks_to_end = [Signal::INT.as_raw(), Signal::TERM.as_raw()].contains(&signal);
        self.interrupts += u32::from(asks_to_end);
        asks_to_end && self.interrupts >= PATIENCE
    }

    fn kill(&self, signal: i32) -> Result<()> {
        self.running.kill(signal).map_err(from_runtime)
    }

    fn resize(&self) {
        if let (Some(master), Some(size)) = (&self.master, size_of(&self.host.all())) {
            let _ = rustix::termios::tcsetwinsize(master, size);
        }
    }

    fn pump_input(&mut self) {
        let Some(pump) = &mut self.input else { return };
        let loads = !pump.is_loaded();
        if pump.turn() != Turn::On {
            self.input = None; // closes the container's standard input
        } else if loads && self.master.is_some() && self.keys.hold_back(pump.pending()) {
            self.tell_of_detaching();
        }
    }

    /// Once, and on a terminal that begins lines where they begin.
    fn tell_of_detaching(&mut self) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let was_raw = self.raw.take().is_some();
        (self.warn)(
            "the detach keys are reserved: a container cannot be detached from yet, and goes on here",
        );
        self.raw = if was_raw { Raw::enter(self.host.input) } else { None };
    }

    fn pump_output(&mut self) -> Result<()> {
        let turn =
            self.output.as_mut().map_or(Turn::Done, |pump| passed(pump, &mut self.log, Stream::Stdout));
        self.heed(turn, "output")?;
        self.output = self.output.take().filter(|_| turn == Turn::On);
        Ok(())
    }

    fn pump_error(&mut self) -> Result<()> {
        let turn = self.error.as_mut().map_or(Turn::Done, |pump| passed(pump, &mut self.log, Stream::Stderr));
        self.heed(turn, "error")?;
        self.error = self.error.take().filter(|_| turn == Turn::On);
        Ok(())
    }

    /// Output that is lost ends the container, as it ends docker's client: nothing keeps it running without us. It
    /// is killed before its pipe is closed, or it would still complain of that.
    fn heed(&mut self, turn: Turn, stream: &str) -> Result<()> {
        let Turn::Refused(errno) = turn else { return Ok(()) };
        let kind = if errno == Errno::PIPE { Kind::OutputClosed } else { Kind::Failed };
        let lost = || Error::new(kind, format!("write the container's standard {stream}")).caused_by(errno);
        self.failure.get_or_insert_with(lost);
        self.kill(Signal::KILL.as_raw())
    }
}

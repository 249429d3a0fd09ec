//! A container in the foreground: our signals are its signals, our terminal is its terminal.

use crate::Result;
use crate::error::At;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use rustix::process::Signal;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use sys::signal::Set;
use sys::tty::Winsize;

/// Not the container's: of our own children, of closed pipes, of Go's scheduler, and of our own faults.
const NOT_PASSED: [Signal; 9] = [
    Signal::CHILD,
    Signal::PIPE,
    Signal::URG,
    Signal::SEGV,
    Signal::BUS,
    Signal::ILL,
    Signal::FPE,
    Signal::ABORT,
    Signal::TRAP,
];

/// Signals blocked and read from a descriptor while a container is in the foreground.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: OwnedFd,
    before: Set,
}

impl Signals {
    /// Blocks what is passed on; before the container is born, so that none is lost between.
    pub(crate) fn block() -> Result<Self> {
        let set = NOT_PASSED.into_iter().fold(Set::full(), |set, signal| set.without(signal.as_raw()));
        let take = || -> rustix::io::Result<_> {
            let descriptor = sys::signal::descriptor(&set)?;
            Ok(Self { descriptor, before: sys::signal::block_exactly(&set)? })
        };
        take().at(|| "take over signals".into())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = sys::signal::block_exactly(&self.before);
    }
}

/// Waits for the end of the process; passes signals on, and with a terminal's master all that is typed and shown.
pub(crate) fn attend(pidfd: BorrowedFd<'_>, master: Option<OwnedFd>, signals: &Signals) -> Result<()> {
    let terminal = master.map(Terminal::new);
    let mut desk = Desk { pidfd, terminal, signals };
    while !desk.turn().at(|| "wait for the container".into())? {}
    Ok(())
}

struct Desk<'a> {
    pidfd: BorrowedFd<'a>,
    terminal: Option<Terminal>,
    signals: &'a Signals,
}

impl Desk<'_> {
    /// Waits for something and acts on it. True when all is over.
    fn turn(&mut self) -> rustix::io::Result<bool> {
        let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut polled = vec![readable(self.pidfd), readable(self.signals.descriptor.as_fd())];
        if let Some(terminal) = &self.terminal {
            polled.push(readable(terminal.master.as_fd()));
            polled.extend(terminal.input_open.then(|| readable(rustix::stdio::stdin())));
        }
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(polled);
        let [ended, signalled, shown, typed] = [0, 1, 2, 3].map(|i| ready.get(i).copied().unwrap_or(false));
        if signalled {
            self.pass_signals()?;
        }
        if typed && let Some(terminal) = &mut self.terminal {
            terminal.pass_typed();
        }
        let more = shown && self.terminal.as_mut().is_some_and(Terminal::pass_shown);
        if shown && !more {
            self.terminal = None;
        }
        Ok(ended && !more)
    }

    fn pass_signals(&self) -> rustix::io::Result<()> {
        while let Some(signal) = sys::signal::next(&self.signals.descriptor)? {
            match (&self.terminal, signal == Signal::WINCH.as_raw()) {
                (Some(terminal), true) => terminal.resize(),
                _ => match sys::signal::send(self.pidfd, signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => return Err(errno),
                },
            }
        }
        Ok(())
    }
}

/// The container's terminal, joined to ours; ours is as it was before once this is dropped.
struct Terminal {
    master: OwnedFd,
    before: Option<Termios>,
    input_open: bool,
}

impl Terminal {
    fn new(master: OwnedFd) -> Self {
        Self { master, before: enter_raw(), input_open: true }
    }

    fn resize(&self) {
        let _ = size().map(|size| tcsetwinsize(&self.master, size));
    }

    fn pass_typed(&mut self) {
        self.input_open = copy(rustix::stdio::stdin(), self.master.as_fd());
    }

    /// False at the end: EIO once no process has the other side open.
    fn pass_shown(&mut self) -> bool {
        copy(self.master.as_fd(), rustix::stdio::stdout())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, before);
        }
    }
}

/// Our terminal's, if we have one.
pub(crate) fn size() -> Option<Winsize> {
    tcgetwinsize(rustix::stdio::stdin()).ok().filter(|size| size.ws_col > 0)
}

/// Our terminal in raw mode, if it is one: keys reach the container, Ctrl-C as well.
fn enter_raw() -> Option<Termios> {
    let terminal = rustix::stdio::stdin();
    let before = isatty(terminal).then(|| tcgetattr(terminal).ok())??;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(terminal, OptionalActions::Drain, &raw).ok()?;
    Some(before)
}

/// Copies what is there. False when there will be no more.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut buffer = [0; 8192];
    let length = match read(from, &mut buffer) {
        Ok(0) => return false,
        Ok(length) => length,
        Err(errno) => return matches!(errno, Errno::AGAIN | Errno::INTR),
    };
    let mut rest = &buffer[..length];
    while !rest.is_empty() {
        match write(to, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::AGAIN | Errno::INTR) => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None);
            }
            Err(_) => return false,
        }
    }
    true
}

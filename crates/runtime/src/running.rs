//! A container that runs, and what it leaves.

use crate::channel::{Channel, Tag};
use crate::failure::{Failure, Step};
use crate::rdt::Rdt;
use crate::{Error, Kind, Result, refused};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::time::Timespec;

/// A container whose first process was born.
#[derive(Debug)]
pub struct Running {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    /// It is a child of this process.
    pub(crate) ours: bool,
    /// Gone once its end was heard.
    pub(crate) channel: Option<Channel>,
    /// Mounts and descriptors that are let go only after the status is out: otherwise the first
    /// process would take its mounts down inside its own exit, with two waits for RCU.
    pub(crate) held: Vec<OwnedFd>,
    pub(crate) cgroup: Option<cgroup::Cgroup>,
    pub(crate) rdt: Option<Rdt>,
    pub(crate) warnings: Vec<String>,
}

/// What the child has to tell on its way to the program.
#[derive(Debug)]
pub enum Event {
    /// The master of the container's terminal.
    Terminal(OwnedFd),
    /// The program is running (or the child was killed, which its exit will tell).
    Executed,
    /// It never will.
    Failed(Error),
    /// The descriptor that hears of the calls the filter hands on; it goes to [`Plan::listener`](crate::Plan::listener),
    /// with [`hand_over`](crate::hand_over).
    Listener(OwnedFd),
    /// All is mounted and its root is not entered: the moment of hooks; it goes on with [`Running::let_go`].
    Prepared,
    /// All but the program is done; it goes on with [`Running::let_go`].
    Ready,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// exit(3) with a code, 0 to 255.
    Code(u8),
    /// Killed by a signal.
    Signal(i32),
    /// It has ended, and nobody is left who knows how.
    Unknown,
}

impl Status {
    /// As a shell and docker count it: the code, or 128 plus the signal; 255 where it is unknown.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code.into(),
            Self::Signal(signal) => 128 + signal,
            Self::Unknown => 255,
        }
    }

    /// Of a child that was waited for.
    fn of_child(pidfd: BorrowedFd<'_>) -> Result<Self> {
        let ended = |errno| refused(errno, "wait for the container".into());
        let info = waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED).map_err(ended)?;
        let info = info.ok_or(Errno::CHILD).map_err(ended)?;
        match (info.exit_status(), info.terminating_signal()) {
            (Some(code), _) => Ok(Self::Code(code as u8)),
            (None, Some(signal)) => Ok(Self::Signal(signal)),
            (None, None) => Err(Error::new(Kind::Kernel, "wait for the container: neither code nor signal")),
        }
    }

    /// Of one whose parent is another process by now: the kernel tells once that has reaped it.
    fn of_stranger(pidfd: BorrowedFd<'_>) -> Self {
        /// Reapers that are slow take a few seconds.
        const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
        // Readable: it has ended; hung up: it is reaped.
        let _ = poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], None);
        let _ = poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::empty())], Some(&PATIENCE));
        match sys::keep::status_of(pidfd) {
            None => Self::Unknown,
            Some(status) if status & 0x7F == 0 => Self::Code((status >> 8) as u8),
            Some(status) => Self::Signal(status & 0x7F),
        }
    }
}

/// A container that has ended. Dropping it takes its mounts down.
#[derive(Debug)]
pub struct Exited {
    /// How the first process ended.
    pub status: Status,
    /// Was a process of it killed for want of memory?
    pub oom_killed: bool,
    cgroup: Option<cgroup::Cgroup>,
    rdt: Option<Rdt>,
    held: Vec<OwnedFd>,
}

impl Running {
    /// A container that another process made and is there no more to attend.
    pub fn adopt(pid: Pid, pidfd: OwnedFd, cgroup: Option<cgroup::Cgroup>) -> Self {
        let (held, warnings) = (Vec::new(), Vec::new());
        Self { pid, pidfd, ours: false, channel: None, held, cgroup, rdt: None, warnings }
    }

    /// The first process, as the host sees it.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Becomes readable when the first process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Becomes readable when there is an [`Event`]; none after the last.
    pub fn channel(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(AsFd::as_fd)
    }

    /// What could not be done as asked, and what was done instead; a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The container's control group.
    pub fn cgroup(&self) -> Option<&cgroup::Cgroup> {
        self.cgroup.as_ref()
    }

    /// The container's place in resctrl, if it has one of its own.
    pub fn rdt(&self) -> Option<&Rdt> {
        self.rdt.as_ref()
    }

    /// The next event; waits for it.
    pub fn event(&mut self) -> Result<Event> {
        let Some(channel) = &self.channel else { return Ok(Event::Executed) };
        let message = channel.receive().map_err(|errno| refused(errno, "hear from the container".into()))?;
        // Whatever it is: it comes from inside the container's groups.
        self.cgroup.as_mut().map_or(Ok(()), cgroup::Cgroup::seated).map_err(|cause| {
            Error::new(Kind::Cgroup, "leave the cgroup to the container").caused_by(cause)
        })?;
        match message {
            None => {
                self.channel = None;
                Ok(Event::Executed)
            }
            Some(message) if message.tag == Tag::Terminal => match message.descriptors.into_iter().next() {
                Some(master) => Ok(Event::Terminal(master)),
                None => Err(refused(Errno::PROTO, "receive the container's terminal".into())),
            },
            Some(message) if message.tag == Tag::Listener => match message.descriptors.into_iter().next() {
                Some(listener) => Ok(Event::Listener(listener)),
                None => Err(refused(Errno::PROTO, "receive the filter's listener".into())),
            },
            Some(message) if message.tag == Tag::Ready => Ok(Event::Ready),
            Some(message) if message.tag == Tag::Prepared => Ok(Event::Prepared),
            Some(message) => {
                self.channel = None;
                let failure = Failure::decode(&message.payload);
                Ok(Event::Failed(failure.unwrap_or_else(unreadable).into_error()))
            }
        }
    }

    /// Lets a container that is ready go on: to its program, or to its gate. From then on it lives without us.
    pub fn let_go(&self) -> Result<()> {
        let Some(channel) = &self.channel else { return Ok(()) };
        match channel.send(Tag::Proceed, &[]) {
            Ok(()) | Err(Errno::PIPE) => Ok(()),
            Err(errno) => Err(refused(errno, "let the container go".into())),
        }
    }

    /// Sends a signal to the first process. One that has ended is no error.
    pub fn kill(&self, signal: i32) -> Result<()> {
        match sys::signal::send(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(refused(errno, format!("send signal {signal}"))),
        }
    }

    /// Waits for the end of the first process.
    pub fn wait(self) -> Result<Exited> {
        let pidfd = self.pidfd.as_fd();
        let status = if self.ours { Status::of_child(pidfd)? } else { Status::of_stranger(pidfd) };
        let oom_killed = self.cgroup.as_ref().is_some_and(cgroup::Cgroup::oom_killed);
        Ok(Exited { status, oom_killed, cgroup: self.cgroup, rdt: self.rdt, held: self.held })
    }
}

fn unreadable() -> Failure {
    Failure::new(Step::Receive, Errno::PROTO, "the container's failure")
}

impl Exited {
    /// Ends what is left of the container and removes its control groups and mounts.
    ///
    /// Without a pid namespace of its own, processes may have outlived the first one.
    pub fn clean_up(self) -> Result<()> {
        drop(self.held);
        self.rdt.into_iter().for_each(Rdt::remove);
        let Some(cgroup) = self.cgroup else { return Ok(()) };
        cgroup
            .remove()
            .map_err(|cause| Error::new(Kind::Cgroup, "remove the container's cgroup").caused_by(cause))
    }
}

//! One wait for all that a loop attends to.

use crate::error::{Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::time::Timespec;
use std::time::Duration;

/// Something that is waited for, and by which descriptor.
pub(crate) type Awaiting<'a, T> = (T, PollFd<'a>);

/// What is waited for until it can be read.
pub(crate) fn readable<T>(what: T, fd: BorrowedFd<'_>) -> Awaiting<'_, T> {
    (what, PollFd::from_borrowed_fd(fd, PollFlags::IN))
}

/// Waits until something happens, and for so long at most: what it is.
pub(crate) fn wait<T>(all: Vec<Awaiting<'_, T>>, patience: Option<Duration>) -> Result<Vec<T>> {
    let (names, mut fds): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let patience = patience.map(timespec);
    match poll(&mut fds, patience.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(Error::new(Kind::Failed, "wait for the container").caused_by(errno)),
    }
    let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
    Ok(names.into_iter().zip(&fds).filter(|(_, fd)| happened(fd)).map(|(name, _)| name).collect())
}

pub(crate) fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: span.subsec_nanos().into() }
}

//! One wait for all that a loop attends to.

use crate::error::{Error, Kind, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// Something that is waited for, and by which descriptor.
pub(crate) type Awaiting<'a, T> = (T, PollFd<'a>);

/// What is waited for until it can be read.
pub(crate) fn readable<T>(what: T, fd: BorrowedFd<'_>) -> Awaiting<'_, T> {
    (what, PollFd::from_borrowed_fd(fd, PollFlags::IN))
}

/// Waits until something happens: what it is, and whether the first of all, a container's end, is among it.
pub(crate) fn wait<T>(all: Vec<Awaiting<'_, T>>) -> Result<(Vec<T>, bool)> {
    let (names, mut fds): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    match poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(Error::new(Kind::Failed, "wait for the container").caused_by(errno)),
    }
    let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let ended = fds.first().is_some_and(happened);
    let ready = names.into_iter().zip(&fds).filter(|(_, fd)| happened(fd)).map(|(name, _)| name);
    Ok((ready.collect(), ended))
}

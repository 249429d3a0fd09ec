//! Terminals.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Result;
use rustix::pty::OpenptFlags;

pub use rustix::termios::Winsize;

/// A new pseudo-terminal of the devpts instance whose directory is `pts`: (master, slave), see pty(7).
/// The slave is opened through the master, so no path inside a container is trusted.
pub fn open_pair(pts: impl AsFd) -> Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = openat(pts, c"ptmx", flags, Mode::empty())?;
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    Ok((master, slave))
}

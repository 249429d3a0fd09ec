//! Terminals.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, openat2};
use rustix::io::{Errno, Result};
use rustix::pty::OpenptFlags;

pub use rustix::termios::Winsize;

/// DEVPTS_SUPER_MAGIC of linux/magic.h
const DEVPTS: rustix::fs::FsWord = 0x1cd1;

/// A new pseudo-terminal of the devpts instance whose directory is `pts`: (master, slave), see pty(7).
/// The slave is opened through the master, so no path inside a container is trusted.
///
/// # Errors
/// ENODEV when it is no devpts; EXDEV or ELOOP when something else has the place of its `ptmx`.
pub fn open_pair(pts: impl AsFd) -> Result<(OwnedFd, OwnedFd)> {
    if fstatfs(&pts)?.f_type != DEVPTS {
        return Err(Errno::NODEV);
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let master = openat2(pts, c"ptmx", flags, Mode::empty(), resolve)?;
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    Ok((master, slave))
}

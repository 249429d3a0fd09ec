//! How a process gets into a group.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Result, write};

/// What the container's first process needs to be in its groups. Usable after a fork: nothing is allocated.
#[derive(Debug)]
pub enum Entry {
    /// v2: the process is born into this directory (CLONE_INTO_CGROUP).
    Born(OwnedFd),
    /// v1: open `tasks` files.
    Tasks(Vec<OwnedFd>),
}

impl Entry {
    /// The directory for clone3.
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Born(directory) => Some(directory.as_fd()),
            Self::Tasks(_) => None,
        }
    }

    /// Moves the calling thread, the only one of its process, into the groups it was not born into.
    ///
    /// A thread that moves only itself takes no lock that stops every fork and exit of the machine; moving
    /// another waits for an RCU grace period, 3 to 20 ms.
    pub fn join(&self) -> Result<()> {
        match self {
            Self::Born(_) => Ok(()),
            Self::Tasks(tasks) => tasks.iter().try_for_each(|tasks| write(tasks, b"0").map(drop)),
        }
    }
}

//! `kill`: a signal for the container's first process, or for all.

use crate::error::{At, status};
use crate::{Error, Place, Result};
use rustix::io::Errno;

impl Place {
    /// Sends a signal to the container's first process.
    ///
    /// # Errors
    /// [`Status`](crate::Kind::Status) if it has ended.
    pub fn kill(&self, signal: i32) -> Result<()> {
        let process = self.record()?.process.ok_or_else(ended)?;
        let pidfd = process.open()?.ok_or_else(ended)?;
        match sys::signal::send(&pidfd, signal) {
            Err(Errno::SRCH) => Err(ended()),
            other => other.at(|| format!("send signal {signal} to container `{}`", self.id())),
        }
    }
}

/// Engines look for these words.
fn ended() -> Error {
    status("container not running")
}

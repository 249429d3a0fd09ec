//! sd_notify's words from a container to whoever manages the runtime's caller.
//!
//! The container has a socket of its own, so that it cannot say more than it should: of what it says only that it is
//! ready is passed on, with the process it is about; see sd_notify(3).

use crate::error::At;
use crate::record::Process;
use crate::{Place, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// The container's socket, and the caller's.
#[derive(Debug)]
pub(crate) struct Notify {
    inside: UnixDatagram,
    host: SocketAddr,
}

impl Notify {
    /// Binds the container's socket, which any user in it may write to.
    pub(crate) fn bind(place: &Place, host: &Path) -> Result<Self> {
        let path = place.notify_socket();
        let what = || format!("bind `{}`", path.display());
        let inside = UnixDatagram::bind(&path).at(what)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).at(what)?;
        Ok(Self { inside, host: address(host).at(|| format!("reach `{}`", host.display()))? })
    }

    /// Waits until the program says that it is ready, and says so on its behalf. Its end ends the wait.
    pub(crate) fn forward(self, process: Process) -> Result<()> {
        let Some(pidfd) = process.open()? else { return Ok(()) };
        let mut buffer = [0; 4096];
        loop {
            let mut polled = [
                PollFd::from_borrowed_fd(self.inside.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN),
            ];
            poll(&mut polled, None).at(|| "wait for the container to be ready".into())?;
            if polled[0].revents().is_empty() {
                return Ok(());
            }
            let length = self.inside.recv(&mut buffer).at(|| "hear whether the container is ready".into())?;
            let said = String::from_utf8_lossy(&buffer[..length]);
            if said.lines().any(|line| line == "READY=1") {
                return self.tell(&format!("MAINPID={}\nREADY=1\n", process.pid));
            }
        }
    }

    fn tell(&self, words: &str) -> Result<()> {
        let socket = UnixDatagram::unbound().at(|| "make a socket".into())?;
        socket
            .send_to_addr(words.as_bytes(), &self.host)
            .map(drop)
            .at(|| "say that the container is ready".into())
    }
}

/// A leading `@` stands for the NUL of an abstract address, see unix(7).
fn address(path: &Path) -> std::io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    match path.to_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

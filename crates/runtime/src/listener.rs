//! Handing a filter's listener to whoever decides over its calls.

use crate::plan::Listener;
use crate::{Result, refused};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, sendmsg, socket_with,
};
use std::mem::MaybeUninit;

/// Sends a listener's descriptor with the container process state, a JSON object of runtime.md, Container Process State
/// (config-linux.md, seccomp).
///
/// # Errors
/// When nobody listens on the socket, or the state is longer than its buffer.
pub fn hand_over(to: &Listener, listener: impl AsFd, state: &str) -> Result<()> {
    send(to, listener.as_fd(), state)
        .map_err(|errno| refused(errno, format!("hand the seccomp listener over to `{}`", to.path.display())))
}

fn send(to: &Listener, listener: BorrowedFd<'_>, state: &str) -> rustix::io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(&to.path)?)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [listener];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    // One message, so that who receives it has all at once.
    match sendmsg(&socket, &[IoSlice::new(state.as_bytes())], &mut control, SendFlags::NOSIGNAL)? {
        sent if sent == state.len() => Ok(()),
        _ => Err(Errno::MSGSIZE),
    }
}

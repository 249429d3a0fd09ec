//! Descriptors for whoever asked for them: a listening Unix socket takes one, with its name.

use crate::Result;
use crate::error::At;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, sendmsg, socket_with,
};
use std::mem::MaybeUninit;
use std::path::Path;

/// Sends a descriptor to a socket, as containerd/console and conmon expect it (SCM_RIGHTS, see unix(7)).
pub(crate) fn send(socket: &Path, name: &str, descriptor: &OwnedFd) -> Result<()> {
    let send = || -> rustix::io::Result<()> {
        let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        connect(&stream, &SocketAddrUnix::new(socket)?)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sent = [descriptor.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&sent));
        sendmsg(&stream, &[IoSlice::new(name.as_bytes())], &mut control, SendFlags::NOSIGNAL).map(drop)
    };
    send().at(|| format!("send `{name}` to socket `{}`", socket.display()))
}

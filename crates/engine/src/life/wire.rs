//! What a monitor and those who attach to its container say to each other.
//!
//! A SOCK_SEQPACKET socket in the container's directory; a packet is a kind and a payload. The first from each side
//! carries its version; a side that is newer speaks as the older one does.

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, recv, send, socket_with,
};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Spoken here.
pub(crate) const VERSION: u8 = 1;

/// The longest payload.
pub(crate) const MOST: usize = 32 << 10;

/// Where the socket lies in a container's directory.
const DOOR: &str = "attach";

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    /// From a guest, first: its version, and what it wants, a sum of [`WANTS_OUTPUT`] and its like.
    Hello = 1,
    /// From a monitor, first: its version, and 1 where the container has a terminal.
    Welcome = 2,
    /// From a guest: bytes for standard input.
    Input = 3,
    /// From a guest: no more of them.
    InputEnd = 4,
    /// From a guest: rows and columns of its terminal, 16 bits each, little-endian.
    Resize = 5,
    /// From a monitor: bytes of standard output, or of the terminal.
    Output = 6,
    /// From a monitor: bytes of standard error.
    ErrorOutput = 7,
    /// From a monitor, last: the exit code, 32 bits, little-endian.
    Ended = 8,
    /// From a guest: the container's files say something new that cannot wait for its end.
    Look = 9,
}

/// Standard output is wanted.
pub(crate) const WANTS_OUTPUT: u8 = 1;
/// Standard error is wanted.
pub(crate) const WANTS_ERROR: u8 = 2;
/// Standard input will be sent, and ends with the guest.
pub(crate) const SENDS_INPUT: u8 = 4;

/// A packet that came.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) tag: Tag,
    pub(crate) payload: Vec<u8>,
}

/// Sends a packet without waiting.
pub(crate) fn say(to: impl AsFd, tag: Tag, payload: &[u8]) -> Result<()> {
    let mut packet = Vec::with_capacity(1 + payload.len());
    packet.push(tag as u8);
    packet.extend_from_slice(payload);
    send(to, &packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
}

/// The next packet; none at the end. A kind that a newer side may know is passed over.
pub(crate) fn hear(from: impl AsFd) -> Result<Option<Packet>> {
    receive(from, RecvFlags::empty())
}

/// The same without waiting.
pub(crate) fn hear_now(from: impl AsFd) -> Result<Option<Packet>> {
    receive(from, RecvFlags::DONTWAIT)
}

fn receive(from: impl AsFd, flags: RecvFlags) -> Result<Option<Packet>> {
    let mut buffer = vec![0; 1 + MOST];
    loop {
        let length = match recv(&from, &mut buffer[..], flags) {
            Ok((_, 0)) => return Ok(None),
            Ok((length, _)) => length,
            // Said once, where the other end went without having heard all: what it said before comes after.
            Err(Errno::INTR | Errno::CONNRESET) => continue,
            Err(errno) => return Err(errno),
        };
        if let Some(tag) = Tag::of(buffer[0]) {
            return Ok(Some(Packet { tag, payload: buffer[1..length].to_vec() }));
        }
    }
}

impl Tag {
    fn of(number: u8) -> Option<Self> {
        let all = [
            Self::Hello,
            Self::Welcome,
            Self::Input,
            Self::InputEnd,
            Self::Resize,
            Self::Output,
            Self::ErrorOutput,
            Self::Ended,
            Self::Look,
        ];
        all.into_iter().find(|tag| *tag as u8 == number)
    }
}

fn socket(flags: SocketFlags) -> Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags | SocketFlags::CLOEXEC, None)
}

/// By way of a descriptor: a socket's path has at most 107 bytes, see unix(7).
fn address(dir: impl AsFd) -> Result<SocketAddrUnix> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()));
    SocketAddrUnix::new(path.join(DOOR))
}

/// A monitor's socket in its container's directory, in place of one that a dead monitor left.
pub(crate) fn open_door(dir: impl AsFd) -> Result<OwnedFd> {
    close_door(&dir)?;
    let door = socket(SocketFlags::NONBLOCK)?;
    bind(&door, &address(&dir)?)?;
    listen(&door, 64)?;
    Ok(door)
}

/// Takes it away.
pub(crate) fn close_door(dir: impl AsFd) -> Result<()> {
    match rustix::fs::unlinkat(dir, DOOR, rustix::fs::AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Who knocks; none where nobody does any more.
pub(crate) fn let_in(door: impl AsFd) -> Result<Option<OwnedFd>> {
    match accept_with(door, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(guest) => Ok(Some(guest)),
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Goes to the monitor of the container of this directory.
pub(crate) fn knock(dir: impl AsFd) -> Result<OwnedFd> {
    let guest = socket(SocketFlags::empty())?;
    connect(&guest, &address(&dir)?)?;
    Ok(guest)
}

/// Both ends of a guest that is there before the container is.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_arrive_whole_and_unknown_ones_are_passed_over() {
        let (ours, theirs) = pair().unwrap();
        send(&ours, &[200, 1, 2], SendFlags::empty()).unwrap();
        say(&ours, Tag::Output, b"ab\0c").unwrap();
        say(&ours, Tag::Ended, &7i32.to_le_bytes()).unwrap();
        drop(ours);
        let first = hear(&theirs).unwrap().unwrap();
        assert_eq!((first.tag, first.payload.as_slice()), (Tag::Output, &b"ab\0c"[..]));
        assert_eq!(hear(&theirs).unwrap().unwrap().payload, 7i32.to_le_bytes());
        assert!(hear(&theirs).unwrap().is_none());
    }

    #[test]
    fn a_last_word_is_heard_from_one_who_did_not_listen() {
        let (ours, theirs) = pair().unwrap();
        say(&theirs, Tag::Resize, &[80, 0, 24, 0]).unwrap();
        say(&ours, Tag::Ended, &7i32.to_le_bytes()).unwrap();
        drop(ours);
        assert_eq!(hear(&theirs).unwrap().unwrap().tag, Tag::Ended);
        assert!(hear(&theirs).unwrap().is_none());
    }

    #[test]
    fn a_door_is_found_below_a_long_path() {
        let deep =
            std::env::temp_dir().join(format!("hull-door-{}", std::process::id())).join("d".repeat(200));
        std::fs::create_dir_all(&deep).unwrap();
        let dir = std::fs::File::open(&deep).unwrap();
        let door = open_door(&dir).unwrap();
        assert!(let_in(&door).unwrap().is_none());
        let guest = knock(&dir).unwrap();
        let host = let_in(&door).unwrap().unwrap();
        say(&guest, Tag::Hello, &[VERSION, 0]).unwrap();
        assert_eq!(hear(&host).unwrap().unwrap().tag, Tag::Hello);
        close_door(&dir).unwrap();
        assert_eq!(knock(&dir).unwrap_err(), Errno::NOENT);
        std::fs::remove_dir_all(deep.parent().unwrap()).unwrap();
    }
}

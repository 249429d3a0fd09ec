//! The one conversation between parent and child: a pair of sequenced-packet sockets.
//!
//! A message is a tag, a payload and descriptors. The end of the channel speaks, too: to the child
//! it says that the parent died, to the parent that the program is running (the child's end is
//! closed by execve) or that the child died.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};
use std::mem::MaybeUninit;

/// The kernel's SCM_MAX_FD is 253; a message carries at most this many.
const DESCRIPTORS: usize = 250;
const PAYLOAD: usize = 600;

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    /// To the child: your ids are mapped, you are in your place, make your namespaces.
    Mapped = 1,
    /// To the child: descriptors of mounts; more follow.
    More,
    /// To the child: the last descriptors; go.
    Go,
    /// From the child: a [`Failure`](crate::failure::Failure).
    Failed,
    /// From the child: the terminal's master.
    Terminal,
    /// From the stage that joins namespaces: the container's pid and pidfd.
    Born,
    /// From the child, if that is waited for: it is in its groups and namespaces.
    Arrived,
    /// From the child: the descriptor that hears of the calls its filter hands on.
    Listener,
    /// From the child: all but the program is done.
    Ready,
    /// To the child: go on.
    Proceed,
    /// From the child: all is mounted, the root is not entered.
    Prepared,
    /// From whoever makes mounts for an ordinary caller: a line for the user.
    Warning,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// A received message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) tag: Tag,
    pub(crate) payload: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Channel {
    /// Both ends, closed on exec.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(a), Self(b)))
    }

    /// Is there nobody at the other end any more?
    pub(crate) fn is_abandoned(&self) -> bool {
        // Not poll(2), which RLIMIT_NOFILE limits.
        let look = recv(&self.0, &mut [0], RecvFlags::DONTWAIT | RecvFlags::PEEK);
        matches!(look, Ok((_, 0)) | Err(Errno::CONNRESET))
    }

    /// Sends a message with a payload.
    pub(crate) fn send(&self, tag: Tag, payload: &[u8]) -> Result<()> {
        self.send_with(tag, payload, &[])
    }

    /// Sends any number of descriptors: all but the last message are tagged `More`.
    pub(crate) fn send_mounts(&self, mounts: &[BorrowedFd<'_>]) -> Result<()> {
        let mut rest = mounts;
        while rest.len() > DESCRIPTORS {
            let (now, later) = rest.split_at(DESCRIPTORS);
            self.send_with(Tag::More, &[], now)?;
            rest = later;
        }
        self.send_with(Tag::Go, &[], rest)
    }

    /// Sends a message with a payload and at most 250 descriptors.
    pub(crate) fn send_with(&self, tag: Tag, payload: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let tag = [tag as u8];
        let data = [IoSlice::new(&tag), IoSlice::new(payload)];
        sendmsg(&self.0, &data, &mut control, SendFlags::NOSIGNAL).map(drop)
    }

    /// The next message; waits for it. None at the end of the channel.
    pub(crate) fn receive(&self) -> Result<Option<Message>> {
        let mut buffer = [0; PAYLOAD];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut receive = || {
            let mut data = [IoSliceMut::new(&mut buffer)];
            recvmsg(&self.0, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC).map(|received| received.bytes)
        };
        let length = match receive() {
            // The peer ended with a message of ours unread; its own last words are still to be read.
            Err(Errno::CONNRESET) => receive()?,
            other => other?,
        };
        let descriptors = control.drain().filter_map(rights).flatten().collect();
        let Some((tag, payload)) = buffer[..length].split_first() else { return Ok(None) };
        let tag = Tag::from_number(*tag).ok_or(Errno::PROTO)?;
        Ok(Some(Message { tag, payload: payload.to_vec(), descriptors }))
    }

    /// Waits for descriptors of mounts until `Go`. None if the other end is gone.
    pub(crate) fn receive_mounts(&self) -> Result<Option<Vec<OwnedFd>>> {
        let mut mounts = Vec::new();
        while let Some(message) = self.receive()? {
            mounts.extend(message.descriptors);
            if message.tag == Tag::Go {
                return Ok(Some(mounts));
            }
        }
        Ok(None)
    }
}

fn rights(message: RecvAncillaryMessage<'_>) -> Option<impl Iterator<Item = OwnedFd>> {
    match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    }
}

impl Tag {
    fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Mapped,
            Self::More,
            Self::Go,
            Self::Failed,
            Self::Terminal,
            Self::Born,
            Self::Arrived,
            Self::Listener,
            Self::Ready,
            Self::Proceed,
            Self::Prepared,
            Self::Warning,
        ];
        all.into_iter().find(|tag| *tag as u8 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_descriptors_arrive_in_order_and_the_end_is_told() {
        let (ours, theirs) = Channel::pair().unwrap();
        let files: Vec<_> = (0..600)
            .map(|size| {
                let file = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
                rustix::fs::ftruncate(&file, size).unwrap();
                file
            })
            .collect();
        let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        ours.send_mounts(&borrowed).unwrap();
        let got = theirs.receive_mounts().unwrap().unwrap();
        let sizes: Vec<_> = got.iter().map(|fd| rustix::fs::fstat(fd).unwrap().st_size).collect();
        assert_eq!(sizes, (0..600).collect::<Vec<_>>());
        assert!(!theirs.is_abandoned());
        drop(ours);
        assert!(theirs.is_abandoned());
        assert!(theirs.receive().unwrap().is_none());
    }

    #[test]
    fn a_payload_arrives_with_its_tag() {
        let (ours, theirs) = Channel::pair().unwrap();
        theirs.send(Tag::Failed, b"why").unwrap();
        let message = ours.receive().unwrap().unwrap();
        assert_eq!((message.tag, message.payload.as_slice()), (Tag::Failed, b"why".as_slice()));
    }
}

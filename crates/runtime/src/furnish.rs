//! The mounts that a container gets from outside: its root, what is bound, its `/dev`.
//!
//! The parent makes them where it stands. An ordinary caller may make none; a process of its own does, which enters the
//! container's user and mount namespaces for it with the caller's ids: what the caller may read it may, and as the
//! owner of the user namespace it has all capabilities there.

use crate::caller::Caller;
use crate::channel::{Channel, Tag};
use crate::overlay::{Mapped, Rootfs, as_root_of};
use crate::plan::Plan;
use crate::{Error, Kind, Result, dev, refused};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use sys::process::{Birth, Clone3, Namespaces, clone3, join_namespace};

/// Detached mounts for the child.
#[derive(Debug, Default)]
pub(crate) struct Furniture {
    /// In the order in which the child takes them: the root, `/dev`, binds, other devices.
    pub(crate) mounts: Vec<OwnedFd>,
    /// What the root was made of, needed no more.
    pub(crate) layers: Vec<OwnedFd>,
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    pub(crate) fn furniture(
        &self,
        rootfs: &Rootfs,
        mapped: Option<Mapped<'_>>,
        caller: Caller,
    ) -> Result<Furniture> {
        let mut warnings = Vec::new();
        let (root, layers) = rootfs.make(mapped)?;
        let binds = self.binds(mapped, &mut warnings)?;
        let devices = dev::hosts(self, caller)?;
        // Last: an ordinary caller that has taken on an id of the namespace has no way back to its own.
        let dev = as_root_of(mapped, || dev::make(self, caller))?;
        let outer = as_root_of(mapped, || dev::make_outer(self, caller))?;
        let mounts = std::iter::once(root).chain(dev).chain(binds).chain(outer).chain(devices).collect();
        Ok(Furniture { mounts, layers, warnings })
    }

    /// The same, made in the namespaces that are given.
    pub(crate) fn furniture_inside(&self, rootfs: &Rootfs, place: Inside<'_>) -> Result<Furniture> {
        let failed = |errno| refused(errno, "make a process for mounts".into());
        let (ours, theirs) = Channel::pair().map_err(failed)?;
        let Birth::Parent { pidfd, .. } = clone3(&Clone3::default()).map_err(failed)? else {
            drop(ours); // or its end would never be heard
            let made =
                place.enter().and_then(|mapped| self.furniture(rootfs, Some(mapped), Caller::Ordinary));
            let sent = made.map(|made| made.send(&theirs));
            let _ = sent.map_err(|error| theirs.send(Tag::Failed, &write(&error)));
            sys::process::exit_now(0)
        };
        drop(theirs);
        let received = Furniture::receive(&ours);
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        received
    }
}

/// A container's own namespaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside<'a> {
    pub(crate) user: BorrowedFd<'a>,
    pub(crate) mount: BorrowedFd<'a>,
}

impl<'a> Inside<'a> {
    /// Ids are as they are counted there from now on.
    fn enter(self) -> Result<Mapped<'a>> {
        use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
        let enter = || {
            join_namespace(self.user, Namespaces::USER)?;
            join_namespace(self.mount, Namespaces::MOUNT)?;
            set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)
        };
        enter().map_err(|errno| refused(errno, "enter the container's namespaces".into()))?;
        Ok(Mapped { userns: self.user, uid: 0, gid: 0 })
    }
}

impl Furniture {
    fn send(&self, to: &Channel) -> rustix::io::Result<()> {
        self.warnings.iter().try_for_each(|warning| to.send(Tag::Warning, warning.as_bytes()))?;
        let mounts: Vec<_> = self.mounts.iter().map(AsFd::as_fd).collect();
        to.send_mounts(&mounts)
    }

    fn receive(from: &Channel) -> Result<Self> {
        let failed = |errno| refused(errno, "hear from the process that makes mounts".into());
        let mut received = Self::default();
        while let Some(message) = from.receive().map_err(failed)? {
            received.mounts.extend(message.descriptors);
            match message.tag {
                Tag::Go => return Ok(received),
                Tag::Failed => return Err(read(&message.payload)),
                Tag::Warning => {
                    received.warnings.push(String::from_utf8_lossy(&message.payload).into_owned())
                }
                _ => {}
            }
        }
        Err(Error::new(Kind::Kernel, "the process that makes mounts ended early"))
    }
}

/// All kinds, by number.
const KINDS: [Kind; 9] = [
    Kind::Invalid,
    Kind::Unsupported,
    Kind::NotFound,
    Kind::NotExecutable,
    Kind::NotMappable,
    Kind::NoSpace,
    Kind::Cgroup,
    Kind::Hook,
    Kind::Kernel,
];

/// An error as a payload: its kind, then its words and those of its causes.
fn write(error: &Error) -> Vec<u8> {
    let kind = KINDS.iter().position(|kind| kind == error.kind()).unwrap_or(KINDS.len() - 1);
    [&[kind as u8], error.line().as_bytes()].concat()
}

fn read(payload: &[u8]) -> Error {
    let (kind, words) = payload.split_first().unwrap_or((&8, b"make mounts"));
    let kind = KINDS.get(usize::from(*kind)).copied().unwrap_or(Kind::Kernel);
    Error::new(kind, String::from_utf8_lossy(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_crosses_with_its_causes() {
        let error = refused(rustix::io::Errno::NOSPC, "bind `/x`".into());
        let got = read(&write(&error));
        assert_eq!(*got.kind(), Kind::NoSpace);
        assert!(got.to_string().starts_with("bind `/x`: No space left"), "{got}");
        assert_eq!(*read(&[]).kind(), Kind::Kernel);
    }
}

//! Mounts that this process cannot make where it stands, made by one that goes elsewhere for it.

use crate::channel::{Channel, Tag};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use sys::process::{Birth, Clone3, Namespaces, clone3, exit_now};

/// Acts in a process of its own and takes over the descriptor it comes back with: whatever namespace is entered or
/// left there, this process stays where it is.
pub(crate) fn aside(act: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    aside_in(Namespaces::empty(), act)
}

/// The same in new namespaces.
pub(crate) fn aside_in(namespaces: Namespaces, act: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    let (ours, theirs) = Channel::pair()?;
    let how = Clone3 { namespaces, ..Clone3::default() };
    let Birth::Parent { pidfd, .. } = clone3(&how)? else {
        let sent = act().and_then(|made| theirs.send_with(Tag::Go, &[], &[made.as_fd()]));
        exit_now(sent.map_or_else(Errno::raw_os_error, |()| 0))
    };
    drop(theirs); // or its end would never be heard
    let message = ours.receive();
    let ended = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
    let made = message?.and_then(|message| message.descriptors.into_iter().next());
    made.ok_or_else(|| why(ended.and_then(|ended| ended.exit_status())))
}

/// The errno that the process ended with; one that was killed has none.
fn why(status: Option<i32>) -> Errno {
    status.filter(|&code| code != 0).map_or(Errno::CHILD, Errno::from_raw_os_error)
}

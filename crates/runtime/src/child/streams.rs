//! The three standard streams.

use super::{During, Result};
use crate::channel::{Channel, Tag};
use crate::failure::Step;
use crate::plan::Plan;
use crate::start::Stdio;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Gid, Mode, Uid};
use std::path::Path;

/// Opens the container's terminal, hands its master to the parent, and puts the slave on `/dev/console`.
pub(super) fn console(
    plan: &Plan,
    root: &OwnedFd,
    stdio: &Stdio,
    channel: &Channel,
) -> Result<Option<OwnedFd>> {
    let Some(slave) = terminal(plan, root, stdio, channel)? else { return Ok(None) };
    let console = super::mounts::mount_point(root, Path::new("/dev/console"), false, true)?;
    sys::mount::clone_tree(&slave, c"", false)
        .and_then(|tree| sys::mount::attach(tree, console))
        .during(Step::Console, "/dev/console")?;
    Ok(Some(slave))
}

/// Opens a terminal in the container's `/dev/pts` and hands its master to the parent.
pub(super) fn terminal(
    plan: &Plan,
    root: &OwnedFd,
    stdio: &Stdio,
    channel: &Channel,
) -> Result<Option<OwnedFd>> {
    let Stdio::Terminal(size) = stdio else { return Ok(None) };
    let pts = super::mounts::open_in(root, Path::new("/dev/pts"), true).during(Step::Console, "/dev/pts")?;
    let (master, slave) = sys::tty::open_pair(&pts).during(Step::Console, "/dev/pts/ptmx")?;
    if let Some(size) = size.as_ref().or(plan.process.console_size.as_ref()) {
        rustix::termios::tcsetwinsize(&slave, *size).during(Step::Console, "size")?;
    }
    let identity = &plan.process.identity;
    rustix::fs::fchown(&slave, Some(Uid::from_raw(identity.uid)), None::<Gid>)
        .and_then(|()| rustix::fs::fchmod(&slave, Mode::from_raw_mode(0o620)))
        .during(Step::Console, "owner")?;
    channel.send_with(Tag::Terminal, &[], &[master.as_fd()]).during(Step::Console, "hand over")?;
    Ok(Some(slave))
}

/// Puts the streams on descriptors 0, 1 and 2.
pub(super) fn set(stdio: &Stdio, console: Option<&OwnedFd>) -> Result<()> {
    let [input, output, error] = match (stdio, console) {
        (_, Some(slave)) => {
            rustix::process::ioctl_tiocsctty(slave).during(Step::Streams, "controlling terminal")?;
            [slave, slave, slave]
        }
        (Stdio::Streams(streams), None) => streams.each_ref(),
        (Stdio::Terminal(_) | Stdio::Inherited, None) => return Ok(()),
    };
    rustix::stdio::dup2_stdin(input)
        .and_then(|()| rustix::stdio::dup2_stdout(output))
        .and_then(|()| rustix::stdio::dup2_stderr(error))
        .during(Step::Streams, "0, 1, 2")
}

//! Wires a container's standard streams to ours.

use super::relay::Ends;
use crate::request::{Stream, StreamsRequest};
use runtime::{Error, Kind, Plan, Stdio};
use rustix::fd::OwnedFd;
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, fcntl_getfl, fcntl_setfl, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::Winsize;

/// The container's streams and our ends of them.
///
/// Pipes, never our own descriptors: through a terminal's descriptor a process can type into it (TIOCSTI), and
/// through `/proc/self/fd` it can open again what it was only lent.
pub(crate) fn wire(
    plan: &Plan,
    request: &StreamsRequest,
    size: Option<Winsize>,
) -> runtime::Result<(Stdio, Ends)> {
    if request.tty {
        return Ok((Stdio::Terminal(size), Ends::default()));
    }
    let owner = plan.host_owner();
    let made = || -> rustix::io::Result<_> {
        let (theirs_in, input) =
            if attaches(request, Stream::Stdin) { input_pipe(owner)? } else { (null()?, None) };
        let (theirs_out, output) =
            if attaches(request, Stream::Stdout) { output_pipe(owner)? } else { (null()?, None) };
        let (theirs_err, error) =
            if attaches(request, Stream::Stderr) { output_pipe(owner)? } else { (null()?, None) };
        Ok((Stdio::Streams([theirs_in, theirs_out, theirs_err]), Ends { input, output, error, log: None }))
    };
    made().map_err(|errno| Error::new(Kind::Kernel, "make pipes for the standard streams").caused_by(errno))
}

/// Whether a stream is shown, or sent, to who started the container.
pub(crate) fn attaches(request: &StreamsRequest, stream: Stream) -> bool {
    match (request.attach.is_empty(), stream) {
        (true, Stream::Stdin) => request.interactive,
        (true, _) => true,
        (false, stream) => request.attach.contains(&stream),
    }
}

/// The pipe belongs to the container's user, who may then open `/dev/stdin` and its like.
fn pipe(owner: (u32, u32)) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fchown(&read, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))?;
    Ok((read, write))
}

/// Our end must not block the loop that also passes signals on.
fn input_pipe(owner: (u32, u32)) -> rustix::io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (read, write) = pipe(owner)?;
    let flags = fcntl_getfl(&write)?;
    fcntl_setfl(&write, flags | OFlags::NONBLOCK)?;
    Ok((read, Some(write)))
}

fn output_pipe(owner: (u32, u32)) -> rustix::io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (read, write) = pipe(owner)?;
    Ok((write, Some(read)))
}

fn null() -> rustix::io::Result<OwnedFd> {
    open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

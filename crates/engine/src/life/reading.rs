//! docker's `logs`.

use super::log::{Entry, Reader};
use crate::Engine;
use crate::error::{Kind, Result, from_store};
use fault::Context;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::os::fd::AsRawFd;
use store::State;

/// What is read of a log.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// `-f`: go on until the container ends.
    pub follow: bool,
    /// `--tail`: only the last so many lines of what is there.
    pub tail: Option<u64>,
    /// `--since`
    pub since: Option<Timestamp>,
    /// `--until`
    pub until: Option<Timestamp>,
}

impl Engine {
    /// Gives each entry of a container's log to `show`.
    pub fn logs(
        &self,
        text: &str,
        request: &LogRequest,
        show: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let (container, _) = self.container(text)?;
        let Some(mut reader) = Reader::open(container.dir())? else { return Ok(()) };
        if let Some(count) = request.tail {
            reader.skip_to_last(count)?;
        }
        let watch = request.follow.then(|| Watch::on(&reader)).transpose()?;
        loop {
            // Looked at before the last read: what is written until then is in the file.
            let runs = matches!(self.store.state(&container).map_err(from_store)?, State::Running(_));
            while let Some(entry) = reader.next()? {
                if request.until.is_some_and(|until| entry.time > until) {
                    return Ok(());
                }
                if request.since.is_none_or(|since| entry.time >= since) {
                    show(&entry)?;
                }
            }
            match &watch {
                Some(watch) if runs => watch.wait()?,
                _ => return Ok(()),
            }
        }
    }
}

/// Tells when a log has grown.
struct Watch(OwnedFd);

impl Watch {
    fn on(reader: &Reader) -> Result<Self> {
        let failed = || "watch the container's log".to_owned();
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let watch = inotify::init(flags).or_err(Kind::Failed, failed)?;
        let path = format!("/proc/self/fd/{}", reader.file().as_fd().as_raw_fd());
        inotify::add_watch(&watch, path, WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE)
            .or_err(Kind::Failed, failed)?;
        Ok(Self(watch))
    }

    /// The end of a container closes its log; that of a monitor that was killed is seen within a second.
    fn wait(&self) -> Result<()> {
        let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&second)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(errno).or_err(Kind::Failed, || "wait for the container's log".into());
            }
        }
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|length| length > 0) {}
        Ok(())
    }
}

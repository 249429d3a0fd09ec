//! Tells when a log has grown.

use crate::{DIR, Kind, Result, failed};
use fault::Context;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// On all files of a log, those that are still to come too; see inotify(7).
#[derive(Debug)]
pub struct Watch {
    notices: OwnedFd,
    container: OwnedFd,
    /// There is a directory, and it is watched.
    is_there: bool,
}

impl Watch {
    /// On the log of the container of this directory.
    pub fn new(container: impl AsFd) -> Result<Self> {
        let what = failed("watch the container's log");
        let made = || -> rustix::io::Result<Self> {
            let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let container = rustix::io::fcntl_dupfd_cloexec(container.as_fd(), 3)?;
            let mut watch = Self { notices, container, is_there: false };
            watch.add()?;
            Ok(watch)
        };
        made().or_err(Kind::Failed, what)
    }

    fn add(&mut self) -> rustix::io::Result<()> {
        let dir = format!("/proc/self/fd/{}", self.container.as_raw_fd());
        let of_files =
            WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
        match inotify::add_watch(&self.notices, format!("{dir}/{DIR}"), of_files) {
            Ok(_) => self.is_there = true,
            // The end of a container writes there, too.
            Err(Errno::NOENT) => {
                inotify::add_watch(&self.notices, dir, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
            }
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Waits for it to grow. Nobody tells of the end of a writer that was killed: that is seen within a second.
    pub fn wait(&mut self) -> Result<()> {
        let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&self.notices, PollFlags::IN)], Some(&second)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).or_err(Kind::Failed, failed("wait for the container's log")),
        }
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.notices, &mut buffer).is_ok_and(|length| length > 0) {}
        if !self.is_there {
            self.add().or_err(Kind::Failed, failed("watch the container's log"))?;
        }
        Ok(())
    }
}

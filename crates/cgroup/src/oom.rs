//! News of processes that were killed for want of memory.

use crate::create::absent;
use crate::group::{Group, kernel};
use crate::{Cgroup, Result, files};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, read};

/// Becomes readable when memory ran out in a group, or the group is gone.
#[derive(Debug)]
pub struct OomNotice {
    news: OwnedFd,
    group: OwnedFd,
    file: &'static str,
    /// How many were killed when we last looked.
    kills: u64,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oom {
    /// So many processes were killed since the last look; 0 where memory ran out and none was killed, or where the
    /// news is about something else.
    Killed(u64),
    /// The group is gone, there will be no more.
    Gone,
}

impl Cgroup {
    /// Watches for want of memory: v1 by an eventfd on `memory.oom_control`, v2 by inotify on `memory.events`.
    pub fn oom_notice(&self) -> Result<OomNotice> {
        let group = self.group_of("memory").ok_or_else(|| absent("memory"))?;
        let (watch, file): (fn(&Group) -> rustix::io::Result<OwnedFd>, _) = match group.is_v2() {
            true => (watch_v2, "memory.events"),
            false => (watch_v1, "memory.oom_control"),
        };
        let watched = watch(group).and_then(|news| Ok((news, group.dir.try_clone().map_err(errno_of)?)));
        let (news, dir) = watched
            .map_err(|errno| kernel(errno, format!("watch `{file}` of `{}`", group.path.display())))?;
        Ok(OomNotice { news, group: dir, file, kills: self.oom_kills() })
    }
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn watch_v1(group: &Group) -> rustix::io::Result<OwnedFd> {
    let news = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let control = openat(&group.dir, "memory.oom_control", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // The kernel keeps what it needs of both.
    let line = format!("{} {}", news.as_raw_fd(), control.as_raw_fd());
    files::put(&group.dir, "cgroup.event_control", &line)?;
    Ok(news)
}

fn watch_v2(group: &Group) -> rustix::io::Result<OwnedFd> {
    let news = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::DELETE_SELF;
    inotify::add_watch(&news, group.path.join("memory.events"), events)?;
    // kernfs tells of no removal, but that the last process has left is news as well.
    inotify::add_watch(&news, group.path.join("cgroup.events"), events)?;
    Ok(news)
}

impl OomNotice {
    /// What happened since the last call; does not wait.
    pub fn look(&mut self) -> Oom {
        let mut buffer = [0u8; 4096];
        while read(&self.news, &mut buffer).is_ok_and(|length| length > 0) {
            // An eventfd counts in eight bytes and is empty then.
            if self.file == "memory.oom_control" {
                break;
            }
        }
        match files::keyed(&self.group, self.file, "oom_kill ") {
            None => Oom::Gone,
            Some(kills) => {
                let more = kills.saturating_sub(self.kills);
                self.kills = kills;
                Oom::Killed(more)
            }
        }
    }
}

impl AsFd for OomNotice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

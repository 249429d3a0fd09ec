//! One container's directory.

use crate::error::At;
use crate::root::absent;
use crate::{Record, Result, Root};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, renameat, unlinkat};
use rustix::io::{Errno, retry_on_intr, write};

const RECORD: &str = "state.json";
const RECORD_DRAFT: &str = ".state.json";
const CONFIG: &str = "config.json";
const NOTIFY: &str = "notify";
const NOTIFY_SOCKET: &str = "notify/notify.sock";

/// A container's directory, open; it may be gone from its place meanwhile.
#[derive(Debug)]
pub struct Place {
    root: Root,
    id: String,
    dir: OwnedFd,
}

impl Place {
    pub(crate) fn new(root: Root, id: &str, dir: OwnedFd) -> Self {
        Self { root, id: id.to_owned(), dir }
    }

    /// The container's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Whose it is: the user id of its maker.
    pub fn owner(&self) -> u32 {
        fstat(&self.dir).map_or(0, |stat| stat.st_uid)
    }

    /// Waits until nobody else changes the container; until this is dropped nobody does.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound) if it was removed meanwhile.
    pub(crate) fn lock(&self) -> Result<()> {
        retry_on_intr(|| flock(&self.dir, FlockOperation::LockExclusive))
            .at(|| format!("lock container `{}`", self.id))?;
        let stat = fstat(&self.dir).at(|| format!("look at container `{}`", self.id))?;
        if stat.st_nlink == 0 { Err(absent()) } else { Ok(()) }
    }

    /// Does somebody change it at this moment?
    pub(crate) fn is_locked(&self) -> bool {
        // Through a description of its own: this one may hold the lock.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.dir, ".", flags, Mode::empty())
            .is_ok_and(|dir| flock(dir, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
    }

    /// What is kept of the container.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound) before there is a record, and after it was removed.
    pub fn record(&self) -> Result<Record> {
        match self.read(RECORD) {
            Err(Errno::NOENT) => Err(absent()),
            Ok(bytes) => {
                serde_json::from_slice(&bytes).at(|| format!("read the state of container `{}`", self.id))
            }
            Err(errno) => Err(errno).at(|| format!("read the state of container `{}`", self.id)),
        }
    }

    /// Replaces the record in one step.
    pub(crate) fn put_record(&self, record: &Record) -> Result<()> {
        let what = || format!("write the state of container `{}`", self.id);
        let bytes = serde_json::to_vec(record).at(what)?;
        self.write(RECORD_DRAFT, &bytes)
            .and_then(|()| renameat(&self.dir, RECORD_DRAFT, &self.dir, RECORD))
            .at(what)
    }

    /// The configuration it was created with.
    pub fn config(&self) -> Result<Vec<u8>> {
        self.read(CONFIG).at(|| format!("read the configuration of container `{}`", self.id))
    }

    pub(crate) fn put_config(&self, bytes: &[u8]) -> Result<()> {
        self.write(CONFIG, bytes).at(|| format!("keep the configuration of container `{}`", self.id))
    }

    /// Makes the directory in which the container finds its sd_notify socket.
    pub(crate) fn make_notify(&self) -> Result<()> {
        rustix::fs::mkdirat(&self.dir, NOTIFY, Mode::from_raw_mode(0o755))
            .at(|| format!("make a directory for the notifications of container `{}`", self.id))
    }

    pub(crate) fn notify_socket(&self) -> std::path::PathBuf {
        self.root.path().join(&self.id).join(NOTIFY_SOCKET)
    }

    /// Removes the directory; nothing of the container itself.
    pub(crate) fn remove(self) -> Result<()> {
        runtime::Gate::remove(&self.dir);
        for name in [CONFIG, RECORD_DRAFT, RECORD] {
            match unlinkat(&self.dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                other => other.at(|| format!("remove `{name}` of container `{}`", self.id))?,
            }
        }
        let path = self.root.path().join(&self.id);
        match rustix::fs::rmdir(&path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(_) => std::fs::remove_dir_all(&path).at(|| format!("remove `{}`", path.display())),
        }
    }

    fn read(&self, name: &str) -> rustix::io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.dir, name, flags, Mode::empty())?;
        sys::file::read_whole(&file, fstat(&file)?.st_size as usize)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> rustix::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?;
        write_whole(file, bytes)
    }
}

fn write_whole(file: impl AsFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = retry_on_intr(|| write(&file, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

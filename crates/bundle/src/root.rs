//! The directory of all containers.

use crate::error::{At, invalid};
use crate::{Error, Kind, Place, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Longer ones would not fit in the names of systemd's units and of sockets.
const LONGEST_ID: usize = 1024;

/// Where containers are kept.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

impl Root {
    /// The directory at an absolute path; it need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A container's directory.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Invalid`] for an id that cannot be one.
    pub fn open(&self, id: &str) -> Result<Place> {
        check(id)?;
        match open_dir(&self.0.join(id)) {
            Ok(dir) => Ok(Place::new(self.clone(), id, dir)),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(absent()),
            Err(errno) => Err(errno).at(|| format!("open container `{id}`")),
        }
    }

    /// Makes a container's directory, locked.
    ///
    /// # Errors
    /// [`Kind::Exists`]; [`Kind::Invalid`] for an id that cannot be one.
    pub fn make(&self, id: &str) -> Result<Place> {
        check(id)?;
        let path = self.0.join(id);
        let mode = Mode::RWXU | Mode::XGRP | Mode::XOTH;
        let made = match mkdirat(CWD, &path, mode) {
            Err(Errno::NOENT) => self.make_all().and_then(|()| mkdirat(CWD, &path, mode)),
            other => other,
        };
        match made {
            Err(Errno::EXIST) => {
                return Err(Error::new(Kind::Exists, "container with given ID already exists"));
            }
            other => other.at(|| format!("make `{}`", path.display()))?,
        }
        let dir = open_dir(&path).at(|| format!("open `{}`", path.display()))?;
        let place = Place::new(self.clone(), id, dir);
        place.lock()?;
        Ok(place)
    }

    /// The sticky bit keeps what is below from those who tidy up, see file-hierarchy(7) and the XDG base directories.
    fn make_all(&self) -> rustix::io::Result<()> {
        use rustix::process::geteuid;
        std::fs::create_dir_all(&self.0)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        match geteuid().is_root() {
            true => Ok(()),
            false => rustix::fs::chmodat(CWD, &self.0, Mode::RWXU | Mode::SVTX, rustix::fs::AtFlags::empty()),
        }
    }

    /// Where the container will find its sd_notify socket, if the caller has one.
    pub(crate) fn notify_directory(&self, request: &crate::Create) -> Option<PathBuf> {
        request.notify.as_ref().map(|_| self.0.join(&request.id).join("notify"))
    }

    /// The names of all containers, sorted; none where the directory is absent.
    pub fn ids(&self) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.at(|| format!("list `{}`", self.0.display()))?,
        };
        let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut ids: Vec<_> = directories.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

pub(crate) fn absent() -> Error {
    Error::new(Kind::NotFound, "container does not exist")
}

fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// An id is a file's name, and every other tool's, too: runc's rule.
fn check(id: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    match id {
        "" => Err(invalid("container id cannot be empty")),
        "." | ".." => Err(invalid(format!("invalid container id format: {id}"))),
        _ if id.len() > LONGEST_ID || !id.bytes().all(plain) => {
            Err(invalid(format!("invalid container id format: {id}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_no_path() {
        for bad in ["", ".", "..", "a/b", "/a", "a b", "é", "a\0", &"x".repeat(1025)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "A_b+c-d.e", "...", "0", &"x".repeat(1024)] {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }
}

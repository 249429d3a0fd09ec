//! Where something is copied from and to, by docker's rules.
//!
//! ```text
//! typed      names                  as a source                  as a destination
//! dir        the directory          dir, dir/…                   into it, if it is one
//! dir/       the same, must be one  the same, links followed     the same
//! dir/.      what is in it          ./…                          the same
//! link       the link               the link; its target (-L)    where it leads
//! ```

use super::node::{self, look};
use crate::error::{Error, Kind, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat};
use rustix::io::Errno;

/// Symbolic links followed in one path, as in path_resolution(7).
const LINKS: usize = 40;

/// How often a look-up is tried that somebody renames things under.
const TRIES: usize = 1000;

/// A tree of files in which paths are looked up: the host's, or a container's.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) root: OwnedFd,
    /// The container, as it was typed.
    pub(super) container: Option<String>,
}

impl Side {
    /// The caller's own files.
    pub(super) fn host() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(c"/", flags, Mode::empty())
            .map_err(|errno| Error::new(Kind::Failed, "open `/`").caused_by(errno))?;
        Ok(Self { root, container: None })
    }

    /// Opens a path, links followed. In a container none leads out of the root, whoever exchanges what meanwhile.
    pub(super) fn open(&self, path: impl AsRef<[u8]>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_ref().is_empty() { b"/" } else { path.as_ref() };
        let resolve = match self.container {
            Some(_) => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            None => ResolveFlags::empty(),
        };
        let open = || openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        // EAGAIN: something was renamed meanwhile, so that `..` could not be trusted.
        (0..TRIES)
            .map(|_| open())
            .find(|opened| !matches!(opened, Err(Errno::AGAIN)))
            .unwrap_or(Err(Errno::AGAIN))
    }

    fn directory(&self, path: impl AsRef<[u8]>) -> rustix::io::Result<OwnedFd> {
        self.open(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// docker's words for a path that cannot be looked at.
    fn failed(&self, path: &str, errno: Errno) -> Error {
        let kind = if errno == Errno::NOENT { Kind::NotFound } else { Kind::Failed };
        match &self.container {
            Some(name) if errno == Errno::NOENT => {
                Error::new(kind, format!("could not find the file {path} in container {name}"))
            }
            Some(name) => Error::new(kind, format!("look at {path} in container {name}")).caused_by(errno),
            None => Error::new(kind, format!("look at {path}")).caused_by(errno),
        }
    }
}

/// An absolute path, cleaned by its words alone as docker does, and what its end asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Typed {
    /// Without a slash at the end; the root is empty.
    pub(super) path: String,
    pub(super) end: End,
}

/// How a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Plain,
    /// `/`
    Slash,
    /// `/.`
    Dot,
}

impl Typed {
    pub(super) fn new(text: &str) -> Self {
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                name => parts.push(name),
            }
        }
        let end = match text {
            _ if text == "." || text.ends_with("/.") => End::Dot,
            _ if text.ends_with('/') => End::Slash,
            _ => End::Plain,
        };
        Self { path: parts.iter().map(|part| format!("/{part}")).collect(), end }
    }

    /// As it is told.
    pub(super) fn shown(&self) -> String {
        match self.end {
            End::Plain if self.path.is_empty() => "/".into(),
            End::Plain => self.path.clone(),
            End::Slash => format!("{}/", self.path),
            End::Dot => format!("{}/.", self.path),
        }
    }

    fn must_be_dir(&self) -> bool {
        self.end != End::Plain || self.path.is_empty()
    }

    /// The directory it is in, and its last component.
    fn split(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", ""))
    }
}

/// What is copied.
#[derive(Debug)]
pub(super) struct Source {
    /// Where it is,
    pub(super) dir: OwnedFd,
    /// and its name there; `.` for the directory itself.
    pub(super) name: Vec<u8>,
    /// What it is called in an archive; `.` where only what is in it counts.
    pub(super) base: Vec<u8>,
    pub(super) is_dir: bool,
}

impl Source {
    /// Finds it. With `follow`, a link at the end of the path stands for what it leads to, under its own name.
    pub(super) fn find(side: &Side, typed: &Typed, follow: bool) -> Result<Self> {
        let failed = |errno| side.failed(&typed.shown(), errno);
        let (parent, last) = typed.split();
        let base = match typed.end {
            End::Dot => ".",
            _ if typed.path.is_empty() => "/",
            _ => last,
        };
        let itself = |dir| Self { dir, name: b".".into(), base: base.into(), is_dir: true };
        if typed.must_be_dir() {
            return side.directory(&typed.path).map(itself).map_err(failed);
        }
        let dir = side.directory(parent).map_err(failed)?;
        let stat = look(&dir, last.as_bytes()).and_then(|stat| stat.ok_or(Errno::NOENT)).map_err(failed)?;
        let is_link = node::kind(&stat) == FileType::Symlink;
        if !(is_link && follow) {
            let is_dir = node::kind(&stat) == FileType::Directory;
            return Ok(Self { dir, name: last.into(), base: base.into(), is_dir });
        }
        match side.directory(&typed.path) {
            Ok(dir) => Ok(itself(dir)),
            Err(Errno::NOTDIR) => {
                let (dir, name) = side.trace(&typed.path).map_err(failed)?;
                Ok(Self { dir, name, base: base.into(), is_dir: false })
            }
            Err(errno) => Err(failed(errno)),
        }
    }
}

/// Where it is copied to.
#[derive(Debug)]
pub(super) enum Target {
    /// Into a directory that is there.
    Directory(OwnedFd),
    /// Onto something else that is there, or that is to be made.
    Name { dir: OwnedFd, name: Vec<u8>, exists: bool },
}

impl Target {
    /// Finds it; links are followed, also those that lead nowhere yet.
    pub(super) fn find(side: &Side, typed: &Typed) -> Result<Self> {
        let failed = |errno| side.failed(&typed.shown(), errno);
        match side.directory(&typed.path) {
            Ok(dir) => return Ok(Self::Directory(dir)),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let (parent, _) = typed.split();
        let (dir, name) = match side.trace(&typed.path) {
            Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => return Err(no_parent(side, parent, errno)),
            other => other.map_err(failed)?,
        };
        let stat: Option<Stat> = look(&dir, &name).map_err(failed)?;
        if let Some(stat) = &stat {
            check_kind(side, typed, stat)?;
        }
        Ok(Self::Name { dir, name, exists: stat.is_some() })
    }
}

/// docker's: nothing is written over a device.
fn check_kind(side: &Side, typed: &Typed, stat: &Stat) -> Result<()> {
    if !matches!(node::kind(stat), FileType::CharacterDevice | FileType::BlockDevice) {
        return Ok(());
    }
    let place = match &side.container {
        Some(name) => format!("destination \"{name}:{}\"", typed.shown()),
        None => format!("invalid output path: \"{}\"", typed.shown()),
    };
    Err(Error::new(Kind::Invalid, format!("{place} must be a directory or a regular file: got a device")))
}

fn no_parent(side: &Side, parent: &str, errno: Errno) -> Error {
    let parent = if parent.is_empty() { "/" } else { parent };
    match (&side.container, errno) {
        (None, Errno::NOENT) => {
            let what = format!("invalid output path: directory \"{parent}\" does not exist");
            Error::new(Kind::NotFound, what)
        }
        (Some(_), Errno::NOTDIR) => Error::new(Kind::Invalid, "extraction point is not a directory"),
        _ => side.failed(parent, errno),
    }
}

impl Side {
    /// The directory and the name that a path leads to in the end, which need not be there.
    fn trace(&self, path: &str) -> rustix::io::Result<(OwnedFd, Vec<u8>)> {
        let mut path = path.as_bytes().to_vec();
        for _ in 0..LINKS {
            while path.ends_with(b"/") {
                path.pop();
            }
            let (parent, name) = super::into::split(&path);
            let dir = self.directory(parent)?;
            let target = match name {
                // A link may lead to such; then it is a directory, and somebody has just exchanged it.
                b"" | b"." | b".." => return Err(Errno::AGAIN),
                name => readlinkat(&dir, name, Vec::new()).map(|target| target.into_bytes()),
            };
            match target {
                Err(Errno::INVAL | Errno::NOENT) => return Ok((dir, name.to_vec())),
                Err(errno) => return Err(errno),
                Ok(target) if target.starts_with(b"/") => path = target,
                Ok(target) => path = [parent, b"/", &target].concat(),
            }
        }
        Err(Errno::LOOP)
    }

    /// Is it on the file system of the root itself, no mount's in it?
    pub(super) fn is_own(&self, dir: impl AsFd) -> bool {
        let device = |fd: rustix::fd::BorrowedFd<'_>| fstat(fd).map(|stat| stat.st_dev).ok();
        device(dir.as_fd()) == device(self.root.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_and_its_end_kept() {
        for (text, path, end) in [
            ("/a//b/../c", "/a/c", End::Plain),
            ("a/", "/a", End::Slash),
            ("/a/.", "/a", End::Dot),
            ("/", "", End::Slash),
            (".", "", End::Dot),
            ("../../x", "/x", End::Plain),
            ("", "", End::Plain),
        ] {
            assert_eq!(Typed::new(text), Typed { path: path.into(), end }, "{text}");
        }
    }
}

//! The directory a layer is unpacked into: descriptors of its directories, one component at a time.
//!
//! Every step is an openat2(2) of a single name below a directory already held, symbolic links are
//! followed by hand and `..` pops the stack. So a path can lead nowhere but below the root, whatever
//! links the archive has made before.

use crate::Limits;
use crate::error::{At, Error, Kind, Result, corrupt, limit};
use crate::path;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, XattrFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Symbolic links followed in one path, as in path_resolution(7).
const LINKS: usize = 40;

/// So many descriptors are held, however deep a path is.
const HELD: usize = 64;

/// A directory, open with `O_PATH`.
pub(crate) type Dir = Rc<OwnedFd>;

/// The stack of directories last entered: most members are neighbours of the one before.
pub(crate) struct Tree<'a> {
    root: Dir,
    limits: &'a Limits,
    /// Canonical: no component of it is a symbolic link.
    path: Vec<u8>,
    levels: Vec<Level>,
    /// Directories made because a path named them; taken by whoever keeps the attributes.
    pub(crate) made: Vec<Vec<u8>>,
}

struct Level {
    /// Where this component ends in `path`.
    end: usize,
    /// None once [`HELD`] levels lie below it: opened again when they are left.
    dir: Option<Dir>,
}

/// What to do about a directory that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    Make,
    Leave,
}

enum Step {
    Into(OwnedFd),
    Link(Vec<u8>),
    Absent,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(root: OwnedFd, limits: &'a Limits) -> Self {
        Self { root: Rc::new(root), limits, path: Vec::new(), levels: Vec::new(), made: Vec::new() }
    }

    /// The directory at `path` (clean), through symbolic links of this layer. `None` if it is absent and
    /// to be left so.
    pub(crate) fn enter(&mut self, path: &[u8], absent: Absent) -> Result<Option<Dir>> {
        let kept = self.levels.iter().take_while(|level| is_prefix(&self.path[..level.end], path)).count();
        self.truncate(kept);
        let rest = &path[self.path.len()..];
        if !rest.is_empty() && !self.descend(rest.to_vec(), absent)? {
            return Ok(None);
        }
        self.top().map(Some)
    }

    /// Forgets all descriptors: something on the way may have been replaced.
    pub(crate) fn forget(&mut self) {
        self.truncate(0);
    }

    fn top(&mut self) -> Result<Dir> {
        let Some(level) = self.levels.last_mut() else { return Ok(self.root.clone()) };
        if let Some(dir) = &level.dir {
            return Ok(dir.clone());
        }
        let dir = open_dir(&self.root, &self.path).at("open directory", &self.path)?;
        Ok(level.dir.insert(Rc::new(dir)).clone())
    }

    fn truncate(&mut self, count: usize) {
        self.levels.truncate(count);
        self.path.truncate(self.levels.last().map_or(0, |level| level.end));
    }

    fn descend(&mut self, mut todo: Vec<u8>, absent: Absent) -> Result<bool> {
        let (mut at, mut links) = (0, 0);
        while at < todo.len() {
            let end = todo[at..].iter().position(|&b| b == b'/').map_or(todo.len(), |len| at + len);
            let name = at..end;
            at = (end + 1).min(todo.len());
            match &todo[name.clone()] {
                b"" | b"." => {}
                b".." => self.truncate(self.levels.len().saturating_sub(1)),
                name => match self.step(name, absent)? {
                    Step::Into(dir) => self.push(name, dir)?,
                    Step::Absent => return Ok(false),
                    Step::Link(target) => {
                        links += 1;
                        self.follow(&target, links)?;
                        todo = [&target, b"/".as_slice(), &todo[at..]].concat();
                        at = 0;
                    }
                },
            }
        }
        Ok(true)
    }

    fn follow(&mut self, target: &[u8], links: usize) -> Result<()> {
        if links > LINKS {
            return Err(Errno::LOOP).at("follow links to", target);
        }
        if target.starts_with(b"/") {
            self.truncate(0);
        }
        Ok(())
    }

    fn push(&mut self, name: &[u8], dir: OwnedFd) -> Result<()> {
        if self.levels.len() >= self.limits.depth {
            return limit("components in a path (depth)", self.limits.depth, &self.path);
        }
        path::push(&mut self.path, name);
        if let Some(at) = self.levels.len().checked_sub(HELD) {
            self.levels[at].dir = None;
        }
        self.levels.push(Level { end: self.path.len(), dir: Some(Rc::new(dir)) });
        Ok(())
    }

    fn step(&mut self, name: &[u8], absent: Absent) -> Result<Step> {
        match open_dir(&self.top()?, name) {
            Ok(dir) => Ok(Step::Into(dir)),
            Err(Errno::NOENT) if absent == Absent::Leave => Ok(Step::Absent),
            Err(Errno::NOENT) => self.make(name),
            Err(Errno::NOTDIR | Errno::LOOP) => self.other(name, absent),
            Err(errno) => Err(errno).at("open directory", &path::join(&self.path, name)),
        }
    }

    fn make(&mut self, name: &[u8]) -> Result<Step> {
        let whole = path::join(&self.path, name);
        let top = self.top()?;
        rustix::fs::mkdirat(&top, name, Mode::from(0o755)).at("make directory", &whole)?;
        let dir = open_dir(&top, name).at("open directory", &whole)?;
        self.made.push(whole);
        Ok(Step::Into(dir))
    }

    /// Something that is not a directory: a link to follow, a whiteout to replace, or an error.
    fn other(&mut self, name: &[u8], absent: Absent) -> Result<Step> {
        let top = self.top()?;
        match rustix::fs::readlinkat(&top, name, Vec::new()) {
            Ok(target) => return Ok(Step::Link(target.into_bytes())),
            Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno).at("read link", &path::join(&self.path, name)),
        }
        let whole = path::join(&self.path, name);
        let is_whiteout = look(&top, name).at("look at", &whole)?.is_some_and(|stat| is_whiteout(&stat));
        match (is_whiteout, absent) {
            (true, Absent::Leave) => Ok(Step::Absent),
            (true, Absent::Make) => self.unhide(&top, name),
            (false, _) => corrupt("enter", &whole, "it is not a directory"),
        }
    }

    /// A whiteout and a directory of one name: the directory is there, and hides what is below it.
    fn unhide(&mut self, top: &Dir, name: &[u8]) -> Result<Step> {
        let whole = path::join(&self.path, name);
        rustix::fs::unlinkat(top, name, AtFlags::empty()).at("remove whiteout", &whole)?;
        let step = self.make(name)?;
        set_opaque(top, name, &whole)?;
        Ok(step)
    }
}

fn is_prefix(dir: &[u8], path: &[u8]) -> bool {
    path.starts_with(dir) && path.get(dir.len()).is_none_or(|&b| b == b'/')
}

fn open_dir(dir: &Dir, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open_below(dir, name, flags)
}

/// Opens the name `name` in `dir`, or a path of several; never through a symbolic link.
pub(crate) fn open_below(dir: impl AsFd, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(dir, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// What `name` in `dir` is, if it is there.
pub(crate) fn look(dir: impl AsFd, name: &[u8]) -> rustix::io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Overlayfs: a character device 0:0 hides what lower layers have of that name.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Overlayfs: the directory hides lower layers' directories of that name.
pub(crate) fn set_opaque(dir: impl AsFd, name: &[u8], whole: &[u8]) -> Result<()> {
    let dir = open_below(dir, name, OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", whole)?;
    rustix::fs::fsetxattr(&dir, OPAQUE, b"y", XattrFlags::empty()).at("make opaque", whole)
}

/// The trusted form; a mount with `userxattr` (rootless) would want `user.overlay.opaque`.
pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";

/// Removes `name` in `dir`, whatever it is, with all below it.
pub(crate) fn remove(dir: impl AsFd, name: &[u8], whole: &[u8]) -> Result<()> {
    match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
        Ok(()) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno).at("remove", whole),
    }
    let inner = open_below(&dir, name, OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", whole)?;
    for child in names(&inner, whole)? {
        remove(&inner, &child, &path::join(whole, &child))?;
    }
    rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR).at("remove directory", whole)
}

/// The names in a directory, sorted by bytes.
pub(crate) fn names(dir: impl AsFd, whole: &[u8]) -> Result<Vec<Vec<u8>>> {
    let entries = rustix::fs::Dir::read_from(dir).at("read directory", whole)?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.at("read directory", whole)?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The same failure as an error of this crate, for calls whose message has no path of its own.
pub(crate) fn io(what: &str, errno: Errno) -> Error {
    Error::new(Kind::Io, what).caused_by(errno)
}

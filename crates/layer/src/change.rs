//! What a container changed: its upper directory against what lies below, as `docker diff` tells it.

use crate::error::{At, Result};
use crate::path;
use crate::tree;
use rustix::fs::{FileType, OFlags, Stat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// `C`: there below, with other content or attributes; or a directory with changes in it.
    Modified,
    /// `A`: not there below.
    Added,
    /// `D`: hidden.
    Deleted,
}

impl ChangeKind {
    /// docker's letter.
    pub fn letter(self) -> char {
        match self {
            Self::Modified => 'C',
            Self::Added => 'A',
            Self::Deleted => 'D',
        }
    }
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// Relative to the container's root, without a leading slash.
    pub path: Vec<u8>,
}

/// The layers below an upper directory, the topmost first, as one tree.
#[derive(Debug)]
pub struct Stack<'a>(pub Vec<BorrowedFd<'a>>);

impl Stack<'_> {
    /// What the layers together have at `path` (clean, relative); `None` if nothing or a whiteout.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn stat(&self, path: &[u8]) -> Result<Option<Stat>> {
        for layer in &self.0 {
            match find(*layer, path)? {
                Found::Here(stat) => return Ok(Some(*stat)),
                Found::Hidden => return Ok(None),
                Found::Below => {}
            }
        }
        Ok(None)
    }

    /// The names in the directory `path` of the merged tree, sorted; none if it is not there.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn names(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for layer in &self.0 {
            let found = find(*layer, path)?;
            if let Found::Here(stat) = &found {
                if tree::file_type(stat) != FileType::Directory {
                    break;
                }
                let dir = open(*layer, path)?;
                names.extend(tree::names(&dir, path)?);
                if is_opaque(&dir) {
                    break;
                }
            }
            if matches!(found, Found::Hidden) {
                break;
            }
        }
        names.sort_unstable();
        names.dedup();
        let mut seen = Vec::with_capacity(names.len());
        for name in names {
            if self.stat(&path::join(path, &name))?.is_some() {
                seen.push(name);
            }
        }
        Ok(seen)
    }
}

/// What one layer says of a path.
enum Found {
    Here(Box<Stat>),
    /// A whiteout, a non-directory or an opaque directory on the way: lower layers do not count.
    Hidden,
    Below,
}

fn find(layer: BorrowedFd<'_>, path: &[u8]) -> Result<Found> {
    let mut dir = layer.try_clone_to_owned().map_err(|e| crate::error::stream("open layer", e))?;
    let mut opaque = false;
    let mut at = 0;
    loop {
        let end = path[at..].iter().position(|&b| b == b'/').map_or(path.len(), |len| at + len);
        let name = if path.is_empty() { b".".as_slice() } else { &path[at..end] };
        opaque |= is_opaque_at(&dir, at > 0);
        let Some(stat) = tree::look(&dir, name).at("look at", path)? else {
            return Ok(if opaque { Found::Hidden } else { Found::Below });
        };
        if tree::is_whiteout(&stat) {
            return Ok(Found::Hidden);
        }
        if end == path.len() {
            return Ok(Found::Here(Box::new(stat)));
        }
        if tree::file_type(&stat) != FileType::Directory {
            return Ok(Found::Hidden);
        }
        dir = tree::open_below(&dir, name, OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", path)?;
        at = end + 1;
    }
}

/// The root of a layer may be an `O_PATH` descriptor and is never opaque.
fn is_opaque_at(dir: &OwnedFd, is_inner: bool) -> bool {
    is_inner && is_opaque(dir)
}

pub(crate) fn is_opaque(dir: impl AsFd) -> bool {
    let mut value = [0; 1];
    rustix::fs::fgetxattr(dir, tree::OPAQUE, &mut value).is_ok_and(|len| &value[..len] == b"y")
}

fn open(layer: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let name = if path.is_empty() { b"." } else { path };
    tree::open_below(layer, name, OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", path)
}

/// Compares `upper` with what lies below it. Sorted by path; a directory with changes in it is itself
/// modified, as in docker. A file is modified when its type, owner, mode, device, size or time differs:
/// opening for writing copies a file up and does not make it differ.
///
/// # Errors
/// When a directory cannot be read.
pub fn changes(upper: BorrowedFd<'_>, lower: &Stack<'_>) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let root = open(upper, b"")?;
    compare_dir(&root, &[], lower, &mut changes)?;
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

fn compare_dir(dir: &OwnedFd, whole: &[u8], lower: &Stack<'_>, changes: &mut Vec<Change>) -> Result<()> {
    let names = tree::names(dir, whole)?;
    if is_opaque(dir) {
        for name in lower.names(whole)?.into_iter().filter(|name| names.binary_search(name).is_err()) {
            changes.push(Change { kind: ChangeKind::Deleted, path: path::join(whole, &name) });
        }
    }
    for name in names {
        compare(dir, &name, path::join(whole, &name), lower, changes)?;
    }
    Ok(())
}

fn compare(
    dir: &OwnedFd,
    name: &[u8],
    whole: Vec<u8>,
    lower: &Stack<'_>,
    changes: &mut Vec<Change>,
) -> Result<()> {
    let Some(stat) = tree::look(dir, name).at("look at", &whole)? else { return Ok(()) };
    let below = lower.stat(&whole)?;
    if tree::is_whiteout(&stat) {
        changes.extend(below.map(|_| Change { kind: ChangeKind::Deleted, path: whole }));
        return Ok(());
    }
    let before = changes.len();
    if tree::file_type(&stat) == FileType::Directory {
        let inner =
            tree::open_below(dir, name, OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", &whole)?;
        compare_dir(&inner, &whole, lower, changes)?;
    }
    let kind = match below {
        None => ChangeKind::Added,
        Some(below) if changes.len() > before || differs(&stat, &below) => ChangeKind::Modified,
        Some(_) => return Ok(()),
    };
    changes.push(Change { kind, path: whole });
    Ok(())
}

fn differs(a: &Stat, b: &Stat) -> bool {
    // A directory's size is its file system's business.
    let size = |stat: &Stat| if tree::file_type(stat) == FileType::Directory { 0 } else { stat.st_size };
    let key = |s: &Stat| (s.st_mode, s.st_uid, s.st_gid, s.st_rdev, size(s), s.st_mtime, s.st_mtime_nsec);
    key(a) != key(b)
}

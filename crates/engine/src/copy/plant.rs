//! Files made in a tree that others may change meanwhile: each by its name in a directory that is held.

use super::ids::Ids;
use super::node::{self, Node, look, set_xattrs};
use super::{At, Owners};
use crate::error::{Error, Kind, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, futimens, linkat, mkdirat,
    mknodat, openat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

/// How often something is put in place that somebody else puts something into.
const TRIES: usize = 100;

/// How files are made.
#[derive(Debug)]
pub(super) struct Plant {
    pub(super) owners: Owners,
    /// Of the tree they are made in.
    pub(super) ids: Ids,
    /// What a tar stream of the same would have, bytes.
    pub(super) bytes: u64,
}

impl Plant {
    pub(super) fn new(owners: Owners, ids: Ids) -> Self {
        Self { owners, ids, bytes: 2 * 512 }
    }

    /// Counts a member of so many bytes.
    pub(super) fn count(&mut self, size: u64) {
        self.bytes += 512 + size.next_multiple_of(512);
    }

    /// As it will be here: owned by whom, and with which powers.
    fn settled(&self, node: &Node, whole: &[u8]) -> Result<Node> {
        let mut node = node.clone();
        let (uid, gid) = (node.stat.st_uid, node.stat.st_gid);
        let owner = match self.owners {
            Owners::Kept => Some((uid, gid)),
            Owners::Root if (uid, gid) == (0, 0) => Some((0, 0)),
            Owners::Root => {
                node.drop_powers();
                Some((0, 0))
            }
            Owners::Caller => {
                node.drop_powers();
                if matches!(node.kind(), FileType::CharacterDevice | FileType::BlockDevice) {
                    node.stat.st_mode &= !0o077;
                }
                None
            }
        };
        let owner =
            owner.map(|(uid, gid)| self.ids.outside(uid, gid).ok_or_else(|| unknown(uid, gid, whole)));
        let (uid, gid) = owner.transpose()?.unwrap_or((u32::MAX, u32::MAX));
        (node.stat.st_uid, node.stat.st_gid) = (uid, gid);
        Ok(node)
    }

    /// A directory, which may be there already. Its attributes are [`finish`](Self::finish)'s to set, when all that is
    /// in it is there.
    pub(super) fn directory(&mut self, dir: BorrowedFd<'_>, name: &[u8], whole: &[u8]) -> Result<OwnedFd> {
        self.count(0);
        match mkdirat(dir, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = look(dir, name).at("look at", whole)?;
                if there.is_some_and(|stat| node::kind(&stat) != FileType::Directory) {
                    return Err(clash("non-directory", whole, "directory"));
                }
            }
            Err(errno) => return Err(errno).at("make directory", whole),
        }
        open_dir(dir, name).at("open directory", whole)
    }

    /// What a directory is like, once it is filled.
    pub(super) fn finish(&self, dir: &OwnedFd, node: &Node, whole: &[u8]) -> Result<()> {
        let node = self.settled(node, whole)?;
        self.settle(dir, &node).at("set attributes of", whole)
    }

    /// A regular file; `fill` writes what is in it.
    pub(super) fn file(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        whole: &[u8],
        node: &Node,
        fill: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<()> {
        self.count(node.size());
        let node = self.settled(node, whole)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = replace(dir, name, whole, || openat(dir, name, flags, Mode::RUSR | Mode::WUSR))?;
        fill(&file)?;
        self.settle(&file, &node).at("set attributes of", whole)
    }

    /// A symbolic link, a device, a fifo. A socket is nothing without who listens.
    pub(super) fn node(&mut self, dir: BorrowedFd<'_>, name: &[u8], whole: &[u8], node: &Node) -> Result<()> {
        let kind = node.kind();
        if kind == FileType::Socket {
            return Ok(());
        }
        self.count(0);
        let node = self.settled(node, whole)?;
        replace(dir, name, whole, || match kind {
            FileType::Symlink => symlinkat(node.link.as_slice(), dir, name),
            _ => mknodat(dir, name, kind, node.mode(), node.stat.st_rdev),
        })?;
        settle_node(dir, name, &node).at("set attributes of", whole)
    }

    /// One more name of what was made before.
    pub(super) fn hard_link(
        &mut self,
        (from, old): (BorrowedFd<'_>, &[u8]),
        dir: BorrowedFd<'_>,
        name: &[u8],
        whole: &[u8],
    ) -> Result<()> {
        self.count(0);
        replace(dir, name, whole, || linkat(from, old, dir, name, AtFlags::empty()))
    }

    /// Owner first: chown(2) takes set-id bits and capabilities away. Times last.
    fn settle(&self, file: &OwnedFd, node: &Node) -> rustix::io::Result<()> {
        if node.stat.st_uid != u32::MAX {
            let (uid, gid) = (Uid::from_raw(node.stat.st_uid), Gid::from_raw(node.stat.st_gid));
            fchown(file, Some(uid), Some(gid))?;
        }
        fchmod(file, node.mode())?;
        set_xattrs(file, &node.xattrs)?;
        futimens(file, &node.times())
    }
}

/// By name, as it must not be opened; whatever somebody exchanged it for is in the same directory.
fn settle_node(dir: BorrowedFd<'_>, name: &[u8], node: &Node) -> rustix::io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    if node.stat.st_uid != u32::MAX {
        let (uid, gid) = (Uid::from_raw(node.stat.st_uid), Gid::from_raw(node.stat.st_gid));
        chownat(dir, name, Some(uid), Some(gid), flags)?;
    }
    utimensat(dir, name, &node.times(), flags)
}

/// Makes something; what is there goes before, unless it is a directory.
fn replace<T>(
    dir: BorrowedFd<'_>,
    name: &[u8],
    whole: &[u8],
    make: impl Fn() -> rustix::io::Result<T>,
) -> Result<T> {
    for _ in 0..TRIES {
        match make() {
            Err(Errno::EXIST) => {}
            other => return other.at("make", whole),
        }
        match unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => return Err(clash("directory", whole, "non-directory")),
            Err(errno) => return Err(errno).at("replace", whole),
        }
    }
    Err(Errno::EXIST).at("make", whole)
}

/// docker's words.
fn clash(old: &str, whole: &[u8], new: &str) -> Error {
    let whole = super::shown(whole);
    Error::new(Kind::Conflict, format!("cannot overwrite {old} \"{whole}\" with {new}"))
}

fn unknown(uid: u32, gid: u32, whole: &[u8]) -> Error {
    let what = format!("the container has no ids for the owner {uid}:{gid} of `{}`", super::shown(whole));
    Error::new(Kind::Unsupported, what).with_hint("without `-a`, what is copied is root's there")
}

/// A directory of this name, no link to one.
pub(super) fn open_dir(dir: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

/// The names in a directory and what each seems to be, sorted.
pub(super) fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<(Vec<u8>, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

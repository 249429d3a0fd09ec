//! A tree, file by file, into a [`Sink`].

use super::node::{Node, kind, look};
use super::plant::{names, open_dir};
use super::side::Source;
use super::{At, shown};
use crate::error::{Error, Kind, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, openat};
use rustix::io::Errno;
use std::collections::HashMap;

/// Deeper ones no path of the kernel's has room for (PATH_MAX).
const DEEPEST: usize = 2048;

/// File systems of the kernel's that say nothing of the files on a disk; statfs(2).
const KERNELS: [u64; 12] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x27_e0eb,   // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x1980_0202, // mqueue
    0xcafe_4a11, // bpf
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x6e73_6673, // nsfs
    0x9584_58f6, // hugetlbfs
];

/// What files are made into.
pub(super) trait Sink {
    /// What follows, until it is left, is in this directory.
    fn enter(&mut self, name: &[u8], whole: &[u8], node: &Node) -> Result<()>;
    fn leave(&mut self, whole: &[u8], node: &Node) -> Result<()>;
    fn file(&mut self, name: &[u8], whole: &[u8], node: &Node, file: &OwnedFd) -> Result<()>;
    fn node(&mut self, name: &[u8], whole: &[u8], node: &Node) -> Result<()>;
    /// `first` is the path of an earlier file, which this is, too.
    fn hard_link(&mut self, name: &[u8], whole: &[u8], node: &Node, first: &[u8]) -> Result<()>;
}

/// A tree on its way.
pub(super) struct Walk<'a, S> {
    pub(super) sink: &'a mut S,
    /// Owners as they are called where the tree is from.
    pub(super) owner: &'a dyn Fn(u32, u32) -> (u32, u32),
    /// The file system of a container's `/dev`, which is none of its files'.
    pub(super) devices: Option<u64>,
    links: HashMap<(u64, u64), Vec<u8>>,
    depth: usize,
}

impl<'a, S: Sink> Walk<'a, S> {
    pub(super) fn new(
        sink: &'a mut S,
        owner: &'a dyn Fn(u32, u32) -> (u32, u32),
        devices: Option<u64>,
    ) -> Self {
        Self { sink, owner, devices, links: HashMap::new(), depth: 0 }
    }

    /// Walks a source, under another name.
    pub(super) fn source(&mut self, source: &Source, name: &[u8]) -> Result<()> {
        let seen = match source.is_dir {
            true => FileType::Directory,
            false => FileType::Unknown,
        };
        self.entry(&source.dir, &source.name, name, name, seen)
    }

    /// `to` is its name where it goes, `whole` its path there.
    fn entry(&mut self, dir: &OwnedFd, name: &[u8], to: &[u8], whole: &[u8], seen: FileType) -> Result<()> {
        let seen = match seen {
            FileType::Unknown => match look(dir, name).at("look at", whole)? {
                Some(stat) => kind(&stat),
                None => return Ok(()),
            },
            known => known,
        };
        match seen {
            FileType::Directory => self.directory(dir, name, to, whole),
            FileType::RegularFile => self.file(dir, name, to, whole),
            _ => self.other(dir, name, to, whole),
        }
    }

    fn directory(&mut self, dir: &OwnedFd, name: &[u8], to: &[u8], whole: &[u8]) -> Result<()> {
        let inner = match open_dir(dir, name) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.at("open directory", whole)?,
        };
        let mut node = Node::of_open(&inner).at("look at", whole)?;
        self.rename_owner(&mut node);
        self.sink.enter(to, whole, &node)?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Error::new(Kind::Limit, format!("`{}` is too deep", shown(whole))));
        }
        if !self.is_furniture(dir, &inner).at("look at", whole)? {
            for (child, seen) in names(&inner).at("read directory", whole)? {
                let path = [whole, b"/", child.as_slice()].concat();
                self.entry(&inner, &child, &child, &path, seen)?;
            }
        }
        self.depth -= 1;
        self.sink.leave(whole, &node)
    }

    /// The kernel's own, mounted on a directory that is met on the way.
    fn is_furniture(&self, dir: &OwnedFd, inner: &OwnedFd) -> rustix::io::Result<bool> {
        let device = fstat(inner)?.st_dev;
        if self.depth < 2 || device == fstat(dir)?.st_dev {
            return Ok(false);
        }
        Ok(self.devices == Some(device) || KERNELS.contains(&(fstatfs(inner)?.f_type as u64)))
    }

    /// Never waits for whom a fifo or a device would need: those that took the file's place meanwhile are passed over.
    fn file(&mut self, dir: &OwnedFd, name: &[u8], to: &[u8], whole: &[u8]) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(dir, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(errno) => {
                let now = look(dir, name).at("look at", whole)?;
                let is_file = now.is_some_and(|stat| kind(&stat) == FileType::RegularFile);
                return if is_file { Err(errno).at("open", whole) } else { Ok(()) };
            }
        };
        let mut node = Node::of_open(&file).at("look at", whole)?;
        if node.kind() != FileType::RegularFile {
            return Ok(());
        }
        self.rename_owner(&mut node);
        match self.first_of(&node, whole) {
            Some(first) => self.sink.hard_link(to, whole, &node, &first),
            None => self.sink.file(to, whole, &node, &file),
        }
    }

    fn other(&mut self, dir: &OwnedFd, name: &[u8], to: &[u8], whole: &[u8]) -> Result<()> {
        let Some(mut node) = Node::of_closed(dir.as_fd(), name).at("look at", whole)? else { return Ok(()) };
        if matches!(node.kind(), FileType::Directory | FileType::RegularFile) {
            return Ok(()); // It has just been exchanged.
        }
        self.rename_owner(&mut node);
        match self.first_of(&node, whole) {
            Some(first) => self.sink.hard_link(to, whole, &node, &first),
            None => self.sink.node(to, whole, &node),
        }
    }

    fn rename_owner(&self, node: &mut Node) {
        (node.stat.st_uid, node.stat.st_gid) = (self.owner)(node.stat.st_uid, node.stat.st_gid);
    }

    /// The path under which a file of several names came first, if that was before.
    fn first_of(&mut self, node: &Node, whole: &[u8]) -> Option<Vec<u8>> {
        if !node.is_shared() {
            return None;
        }
        let key = (node.stat.st_dev, node.stat.st_ino);
        let first = self.links.get(&key).cloned();
        if first.is_none() {
            self.links.insert(key, whole.to_vec());
        }
        first
    }
}

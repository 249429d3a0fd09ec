//! What a tree is copied into: another tree, or a tar stream.

use super::At;
use super::node::Node;
use super::plant::{Plant, open_dir};
use super::tree::Sink;
use crate::error::{Error, Kind, Result};
use crate::image::kind_of_layer;
use layer::{Entry, Writer};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, ResolveFlags, SeekFrom, copy_file_range, ftruncate, openat2, seek};
use rustix::io::Errno;
use std::io::Write;

/// Bytes read at once: what stays in a core's cache until it is written.
const CHUNK: usize = 256 << 10;

/// Files into a directory.
pub(super) struct Tree<'a> {
    pub(super) plant: &'a mut Plant,
    dir: OwnedFd,
    /// Directories that are being filled.
    filling: Vec<OwnedFd>,
    buffer: Vec<u8>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(plant: &'a mut Plant, dir: OwnedFd) -> Self {
        Self { plant, dir, filling: Vec::new(), buffer: Vec::new() }
    }

    fn top(&self) -> BorrowedFd<'_> {
        self.filling.last().unwrap_or(&self.dir).as_fd()
    }

    /// The directory of an earlier file, through no link: none was made on the way.
    fn parent_of(&self, whole: &[u8]) -> rustix::io::Result<OwnedFd> {
        use rustix::fs::{Mode, OFlags};
        let parent = split(whole).0;
        let parent = if parent.is_empty() { b".".as_slice() } else { parent };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(&self.dir, parent, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
    }
}

/// The directory of a path, and its last component.
pub(super) fn split(whole: &[u8]) -> (&[u8], &[u8]) {
    match whole.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&whole[..at], &whole[at + 1..]),
        None => (b"", whole),
    }
}

impl Sink for Tree<'_> {
    fn enter(&mut self, name: &[u8], whole: &[u8], _node: &Node) -> Result<()> {
        let made = match name {
            b"." | b"/" => {
                self.plant.count(0);
                open_dir(self.top(), b".").at("open directory", whole)?
            }
            name => {
                let top = self.filling.last().unwrap_or(&self.dir).as_fd();
                self.plant.directory(top, name, whole)?
            }
        };
        self.filling.push(made);
        Ok(())
    }

    /// A directory that was there and only takes things in stays what it is.
    fn leave(&mut self, whole: &[u8], node: &Node) -> Result<()> {
        let Some(dir) = self.filling.pop() else { return Ok(()) };
        if matches!(whole, b"." | b"/") { Ok(()) } else { self.plant.finish(&dir, node, whole) }
    }

    fn file(&mut self, name: &[u8], whole: &[u8], node: &Node, file: &OwnedFd) -> Result<()> {
        let top = self.filling.last().unwrap_or(&self.dir).as_fd();
        let buffer = &mut self.buffer;
        self.plant.file(top, name, whole, node, |new| copy_data(file, new, node, buffer, whole))
    }

    fn node(&mut self, name: &[u8], whole: &[u8], node: &Node) -> Result<()> {
        let top = self.filling.last().unwrap_or(&self.dir).as_fd();
        self.plant.node(top, name, whole, node)
    }

    fn hard_link(&mut self, name: &[u8], whole: &[u8], _node: &Node, first: &[u8]) -> Result<()> {
        let from = self.parent_of(first).at("open the directory of", first)?;
        let top = self.filling.last().unwrap_or(&self.dir).as_fd();
        self.plant.hard_link((from.as_fd(), split(first).1), top, name, whole)
    }
}

/// Holes stay holes.
fn copy_data(from: &OwnedFd, to: &OwnedFd, node: &Node, buffer: &mut Vec<u8>, whole: &[u8]) -> Result<()> {
    let size = node.size();
    let is_sparse = (node.stat.st_blocks.unsigned_abs()).saturating_mul(512) < size;
    if !is_sparse {
        return copy_range(from, to, u64::MAX, buffer, whole);
    }
    let mut at = 0;
    while at < size {
        let data = match seek(from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            other => other.at("read", whole)?,
        };
        let hole = seek(from, SeekFrom::Hole(data)).at("read", whole)?;
        seek(from, SeekFrom::Start(data)).at("read", whole)?;
        seek(to, SeekFrom::Start(data)).at("write", whole)?;
        copy_range(from, to, hole - data, buffer, whole)?;
        at = hole.max(data + 1);
    }
    ftruncate(to, size).at("write", whole)
}

/// So many bytes, or to the end, from where both are. By the file system itself where it can, which may share them.
fn copy_range(from: &OwnedFd, to: &OwnedFd, most: u64, buffer: &mut Vec<u8>, whole: &[u8]) -> Result<()> {
    let mut left = most;
    while left > 0 {
        match copy_file_range(from, None, to, None, left.min(1 << 30) as usize) {
            Ok(0) if left == most => break, // Some file systems say so of all their files; see copy_file_range(2).
            Ok(0) => return Ok(()),
            Ok(copied) => left -= copied as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => break,
            Err(errno) => return Err(errno).at("write", whole),
        }
    }
    buffer.resize(CHUNK, 0);
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count =
            rustix::io::retry_on_intr(|| rustix::io::read(from, &mut buffer[..want])).at("read", whole)?;
        if count == 0 {
            break;
        }
        write_all(to, &buffer[..count]).at("write", whole)?;
        left -= count as u64;
    }
    Ok(())
}

pub(super) fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::write(to, bytes))?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Files into a tar stream.
pub(super) struct Tar<W>(Writer<W>);

impl<W: Write> Tar<W> {
    pub(super) fn new(out: W) -> Self {
        Self(Writer::plain(out))
    }

    pub(super) fn end(self) -> Result<()> {
        self.0.end().map_err(from_layer)
    }

    fn entry(&mut self, whole: &[u8], flag: u8, node: &Node, link: &[u8], size: u64) -> Result<()> {
        let (stat, xattrs) = (&node.stat, node.xattrs.clone());
        self.0.entry(&Entry { path: whole, flag, stat, link, size, xattrs }).map_err(from_layer)
    }
}

/// A stream that nobody reads any more is that, and no failure of the archive.
pub(super) fn from_layer(error: layer::Error) -> Error {
    let is_closed = std::error::Error::source(&error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe);
    error.map_kind(|kind| if is_closed { Kind::OutputClosed } else { kind_of_layer(&kind) })
}

impl<W: Write> Sink for Tar<W> {
    fn enter(&mut self, _name: &[u8], whole: &[u8], node: &Node) -> Result<()> {
        let path = if whole == b"/" { b"/".to_vec() } else { [whole, b"/"].concat() };
        self.entry(&path, b'5', node, b"", 0)
    }

    fn leave(&mut self, _whole: &[u8], _node: &Node) -> Result<()> {
        Ok(())
    }

    fn file(&mut self, _name: &[u8], whole: &[u8], node: &Node, file: &OwnedFd) -> Result<()> {
        self.entry(whole, b'0', node, b"", node.size())?;
        self.0.data(file, node.size(), whole).map_err(from_layer)
    }

    fn node(&mut self, _name: &[u8], whole: &[u8], node: &Node) -> Result<()> {
        let flag = match node.kind() {
            FileType::Symlink => b'2',
            FileType::CharacterDevice => b'3',
            FileType::BlockDevice => b'4',
            FileType::Fifo => b'6',
            _ => return Ok(()), // A socket; no tar has a type for it.
        };
        self.entry(whole, flag, node, &node.link, 0)
    }

    fn hard_link(&mut self, _name: &[u8], whole: &[u8], node: &Node, first: &[u8]) -> Result<()> {
        self.entry(whole, b'1', node, first, 0)
    }
}

//! A tar stream, unpacked into a directory of a container.

use super::At;
use super::into::{from_layer, split, write_all};
use super::node::{Node, look};
use super::plant::{Plant, open_dir};
use super::side::Side;
use crate::error::{Error, Kind, Result};
use layer::{Limits, Member, Reader, Segment, Type};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat, fstat, ftruncate, makedev, mkdirat, seek};
use rustix::io::Errno;
use std::io::BufRead;

/// A stream on its way into `dir`, which is at `path` in the container.
pub(super) struct Unpack<'a> {
    pub(super) plant: &'a mut Plant,
    pub(super) side: &'a Side,
    pub(super) path: &'a str,
    dir: OwnedFd,
    /// What a member's attributes are written over.
    like: Stat,
    /// The directory of the last member: the next one's, mostly.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories whose attributes are set when all is there, with their paths.
    pending: Vec<(Vec<u8>, Node)>,
}

impl<'a> Unpack<'a> {
    pub(super) fn new(plant: &'a mut Plant, side: &'a Side, path: &'a str, dir: OwnedFd) -> Result<Self> {
        let like = fstat(&dir).at("look at", path.as_bytes())?;
        Ok(Self { plant, side, path, dir, like, last: None, pending: Vec::new() })
    }

    pub(super) fn all(mut self, input: impl BufRead) -> Result<()> {
        let limits = Limits { total_bytes: u64::MAX, ..Limits::default() };
        let mut reader = Reader::new(input, &limits);
        let mut member = Member::default();
        while reader.next(&mut member).map_err(from_layer)? {
            self.member(&member, &mut reader)?;
        }
        // The innermost first: what is set within changes the time of what it is in.
        for (whole, node) in std::mem::take(&mut self.pending).into_iter().rev() {
            let (parent, name) = split(&whole);
            let dir = self.parent(parent)?;
            match open_dir(&dir, name) {
                Ok(dir) => self.plant.finish(&dir, &node, &whole)?,
                // A later member took its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno).at("open directory", &whole),
            }
        }
        Ok(())
    }

    fn member<R: BufRead>(&mut self, member: &Member, reader: &mut Reader<'_, R>) -> Result<()> {
        let whole = clean(&member.path);
        let (parent, name) = split(&whole);
        if name.is_empty() {
            return Ok(()); // The directory itself, which stays what it is.
        }
        let dir = self.parent(parent)?;
        let node = self.node_of(member);
        match member.kind {
            Type::Directory => {
                self.plant.directory(dir.as_fd(), name, &whole)?;
                self.pending.push((whole, node));
                Ok(())
            }
            Type::File => {
                self.plant.file(dir.as_fd(), name, &whole, &node, |file| fill(file, member, reader, &whole))
            }
            Type::HardLink => self.hard_link(&dir, name, &whole, &clean(&member.link)),
            _ => self.plant.node(dir.as_fd(), name, &whole, &node),
        }
    }

    fn hard_link(&mut self, dir: &OwnedFd, name: &[u8], whole: &[u8], target: &[u8]) -> Result<()> {
        let (parent, old) = split(target);
        let from = self.parent(parent)?;
        match look(&from, old).at("look at", target)? {
            Some(_) => self.plant.hard_link((from.as_fd(), old), dir.as_fd(), name, whole),
            None => Err(Errno::NOENT).at("link to", target),
        }
    }

    /// A directory of the archive, made where it is missing. Links on the way lead through the container's root.
    fn parent(&mut self, path: &[u8]) -> Result<OwnedFd> {
        if let Some((known, dir)) = &self.last
            && known == path
        {
            return dir
                .try_clone()
                .map_err(|error| Error::new(Kind::Failed, "copy a descriptor").caused_by(error));
        }
        let found = self.find(path)?;
        let kept = found.try_clone();
        self.last = kept.ok().map(|kept| (path.to_vec(), kept));
        Ok(found)
    }

    fn find(&self, path: &[u8]) -> Result<OwnedFd> {
        if path.is_empty() {
            return open_dir(&self.dir, b".").at("open directory", path);
        }
        match self.open(path) {
            Err(Errno::NOENT) => {
                let (parent, name) = split(path);
                let dir = self.find(parent)?;
                match mkdirat(&dir, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno).at("make directory", path),
                }
                open_dir(&dir, name).at("open directory", path)
            }
            other => other.at("open directory", path),
        }
    }

    fn open(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let path = [self.path.as_bytes(), b"/", path].concat();
        self.side.open(path, OFlags::PATH | OFlags::DIRECTORY)
    }
}

/// Without `.`, `..` and doubled slashes; nothing leads above the directory.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join(&b'/')
}

impl Unpack<'_> {
    fn node_of(&self, member: &Member) -> Node {
        let (meta, kind) = (&member.meta, kind_of(member.kind));
        let mut stat = self.like;
        (stat.st_mode, stat.st_nlink) = (kind.as_raw_mode() | meta.mode, 1);
        (stat.st_uid, stat.st_gid) = (meta.uid, meta.gid);
        stat.st_size = i64::try_from(member.size).unwrap_or(i64::MAX);
        stat.st_rdev = makedev(member.device.0, member.device.1);
        (stat.st_mtime, stat.st_mtime_nsec) = (meta.mtime.0, meta.mtime.1.into());
        (stat.st_atime, stat.st_atime_nsec) = (stat.st_mtime, stat.st_mtime_nsec);
        Node { stat, link: member.link.clone(), xattrs: meta.xattrs.clone() }
    }
}

fn kind_of(kind: Type) -> FileType {
    match kind {
        Type::File | Type::HardLink => FileType::RegularFile,
        Type::Symlink => FileType::Symlink,
        Type::CharDevice => FileType::CharacterDevice,
        Type::BlockDevice => FileType::BlockDevice,
        Type::Fifo => FileType::Fifo,
        Type::Directory => FileType::Directory,
    }
}

/// A member's data, its holes left out.
fn fill<R: BufRead>(file: &OwnedFd, member: &Member, reader: &mut Reader<'_, R>, whole: &[u8]) -> Result<()> {
    let plain = [Segment { offset: 0, len: member.stored }];
    for segment in member.sparse.as_deref().unwrap_or(&plain) {
        seek(file, SeekFrom::Start(segment.offset)).at("write", whole)?;
        let mut left = segment.len;
        while left > 0 {
            let piece = reader.data().map_err(from_layer)?;
            let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            write_all(file, &piece[..count]).at("write", whole)?;
            reader.consume(count);
            left -= count as u64;
        }
    }
    if member.sparse.is_some() { ftruncate(file, member.size).at("write", whole) } else { Ok(()) }
}

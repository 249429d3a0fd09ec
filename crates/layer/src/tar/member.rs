//! One member of an archive: what its headers say together.

use super::header::Header;
use super::pax::{self, Records};
use super::sparse::{self, Segment};
use crate::Limits;
use crate::error::{Result, corrupt, limit, unsupported};

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Type {
    /// A regular file.
    #[default]
    File,
    /// One more name of an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A fifo.
    Fifo,
    /// A directory.
    Directory,
}

/// A member's metadata. `stored` bytes of data follow in the stream; a sparse file's `size` is larger.
#[derive(Debug, Default)]
pub struct Member {
    /// What it is.
    pub kind: Type,
    /// As the archive has it: it may be absolute, and have `..` in it.
    pub path: Vec<u8>,
    /// Of links: the target.
    pub link: Vec<u8>,
    /// What every kind has.
    pub meta: Meta,
    /// Of devices: major and minor.
    pub device: (u32, u32),
    /// Bytes of data in the stream.
    pub stored: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Of sparse files: where the data goes; it is sound.
    pub sparse: Option<Vec<Segment>>,
    /// PAX sparse format 1.0: the map is yet to be read from the data.
    pub(super) sparse_in_data: bool,
    pending: Sparse,
}

/// What every kind of file has: owner, permissions, time, extended attributes.
#[derive(Debug, Default, Clone)]
pub struct Meta {
    /// Permission bits with set-id and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes, by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// PAX sparse records as they come.
#[derive(Debug, Default)]
struct Sparse {
    numbers: Vec<u64>,
    list: Option<Vec<Segment>>,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    major: u64,
}

impl Member {
    pub(super) fn clear(&mut self) {
        let Self { path, link, .. } = std::mem::take(self);
        self.path = path;
        self.link = link;
        self.path.clear();
        self.link.clear();
    }

    /// Takes what the header says; a long name that is already there wins.
    pub(super) fn read(&mut self, header: &Header<'_>, after: &[u8]) -> Result<()> {
        if self.path.is_empty() {
            header.path(&mut self.path);
        }
        if self.link.is_empty() {
            self.link.extend_from_slice(header.link());
        }
        self.kind = kind(header.type_flag(), &self.path)?;
        self.stored = size(header, after)?;
        self.meta.mode = field::<u32>(header.mode(), "mode", &self.path)? & 0o7777;
        self.meta.uid = field(header.uid(), "uid", &self.path)?;
        self.meta.gid = field(header.gid(), "gid", &self.path)?;
        self.meta.mtime = (field(header.mtime(), "mtime", &self.path)?, 0);
        if matches!(self.kind, Type::CharDevice | Type::BlockDevice) {
            let (major, minor) = header.device().unzip();
            self.device = (field(major, "major", &self.path)?, field(minor, "minor", &self.path)?);
        }
        self.size = self.stored;
        if header.type_flag() == b'S' {
            self.size = field(header.real_size(), "real size", &self.path)?;
        }
        Ok(())
    }

    /// Takes what PAX records say. An empty value takes back what a global header said, which for all
    /// but the names means the header's own value, and that is what is there already.
    pub(super) fn extend(&mut self, records: &Records, limits: &Limits) -> Result<()> {
        for (key, value) in records.iter().filter(|(_, value)| !value.is_empty()) {
            if self.record(key, value, limits).is_none() {
                return corrupt("read pax header of", &self.path, &format!("`{}`", key.escape_ascii()));
            }
        }
        for (key, value) in records.iter() {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                self.meta.xattrs.retain(|(known, _)| known != name);
                self.meta.xattrs.push((name.to_vec(), value.to_vec()));
            }
        }
        if self.pending.numbers.len() / 2 > limits.sparse_segments {
            return limit("segments in a sparse file", limits.sparse_segments, &self.path);
        }
        Ok(())
    }

    /// `None` when the value makes no sense. Keywords that say nothing about a file on disk (`atime`,
    /// `uname`, `comment`, vendors' own) are passed over, as POSIX asks.
    fn record(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Option<()> {
        match key {
            b"path" => value.clone_into(&mut self.path),
            b"linkpath" => value.clone_into(&mut self.link),
            b"size" => (self.stored, self.size) = (length(value)?, length(value)?),
            b"uid" => self.meta.uid = pax::decimal(value)?.try_into().ok()?,
            b"gid" => self.meta.gid = pax::decimal(value)?.try_into().ok()?,
            b"mtime" => self.meta.mtime = pax::time(value)?,
            b"GNU.sparse.name" => self.pending.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.pending.size = Some(length(value)?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.pending.numbers.push(pax::decimal(value)?),
            b"GNU.sparse.map" => self.pending.list = Some(sparse::list(value, limits.sparse_segments)?),
            b"GNU.sparse.major" => self.pending.major = pax::decimal(value)?,
            _ => {}
        }
        Some(())
    }

    /// Joins what records said one by one.
    pub(super) fn settle(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if let Some(name) = pending.name {
            self.path = name;
        }
        if let Some(size) = pending.size {
            self.size = size;
            self.sparse_in_data = pending.major == 1;
            self.sparse = pending.list.or_else(|| sparse::pairs(&pending.numbers));
            if self.sparse.is_none() {
                return corrupt(
                    "read pax header of",
                    &self.path,
                    "an offset without a length in its sparse map",
                );
            }
        }
        if pending.major > 1 {
            return unsupported("unpack", &self.path, "a PAX sparse format later than 1.0");
        }
        // Only files have data: links may repeat their target's size (Go and Python read it so, too).
        if self.kind != Type::File {
            (self.stored, self.size) = (0, 0);
        }
        Ok(())
    }

    /// What must hold of any member before anything is made of it.
    pub(super) fn check(&self) -> Result<()> {
        if self.path.is_empty() || self.path.contains(&0) || self.link.contains(&0) {
            return corrupt("unpack", &self.path, "a name that is empty or contains NUL");
        }
        // chown(2) takes 2^32-1 for "leave as it is".
        if self.meta.uid == u32::MAX || self.meta.gid == u32::MAX {
            return corrupt("unpack", &self.path, "owner 4294967295");
        }
        let sound = self.sparse.as_ref().is_none_or(|map| sparse::is_sound(map, self.size, self.stored));
        if sound { Ok(()) } else { corrupt("unpack", &self.path, "its sparse map does not fit its data") }
    }
}

fn kind(flag: u8, path: &[u8]) -> Result<Type> {
    Ok(match flag {
        // v7 knows directories only by the slash.
        0 if path.ends_with(b"/") => Type::Directory,
        // 7 is "contiguous", which no system of today has.
        0 | b'0' | b'7' | b'S' => Type::File,
        b'1' => Type::HardLink,
        b'2' => Type::Symlink,
        b'3' => Type::CharDevice,
        b'4' => Type::BlockDevice,
        b'5' => Type::Directory,
        b'6' => Type::Fifo,
        _ => return super::unknown(flag, path),
    })
}

/// The stored size a header gives.
pub(super) fn size(header: &Header<'_>, after: &[u8]) -> Result<u64> {
    // A size of 2^63 and more overflows every offset that follows.
    match header.size().and_then(|size| i64::try_from(size).ok()).and_then(|size| u64::try_from(size).ok()) {
        Some(size) => Ok(size),
        None => corrupt("read tar header after", after, "size is not a number"),
    }
}

fn field<T: TryFrom<i128>>(value: Option<i128>, name: &str, path: &[u8]) -> Result<T> {
    match value.and_then(|value| T::try_from(value).ok()) {
        Some(value) => Ok(value),
        None => corrupt("read tar header of", path, &format!("{name} is not a number or out of range")),
    }
}

/// A length in bytes that an offset can reach (off_t).
fn length(value: &[u8]) -> Option<u64> {
    pax::decimal(value).filter(|&len| i64::try_from(len).is_ok())
}

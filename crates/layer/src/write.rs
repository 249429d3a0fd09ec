//! A directory as a tar stream: the same tree gives the same bytes.
//!
//! Sorted by name, ustar headers, PAX records (POSIX.1-2001) where ustar's fields do not suffice.

use crate::change::is_opaque;
use crate::error::{At, Error, Kind, Result, unsupported};
use crate::path;
use crate::tar::header::BLOCK;
use crate::tree;
use crate::unpack::{OPAQUE, WHITEOUT};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Writes the tree at `root`, which is a whole file system (a container's mounted root): `export`.
///
/// # Errors
/// [`Kind::Unsupported`] for a name that an archive of a layer would take for a whiteout; otherwise when
/// reading fails or `out` does.
pub fn write_tar(root: BorrowedFd<'_>, out: impl Write) -> Result<()> {
    Writer::new(out, false).tree(root)
}

/// Writes the tree at `upper`, an overlay's upper directory, as a layer: overlay's whiteouts and opaque
/// directories become the archive's. [`apply`](crate::apply) of the result gives the same directory.
///
/// # Errors
/// As [`write_tar`].
pub fn write_diff(upper: BorrowedFd<'_>, out: impl Write) -> Result<()> {
    Writer::new(out, true).tree(upper)
}

/// A tar stream under way, of ustar headers with PAX records.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    is_diff: bool,
    buffer: Vec<u8>,
    /// First path of each inode with several: later ones become hard links.
    links: HashMap<(u64, u64), Vec<u8>>,
}

/// One header's worth.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its name; a directory's ends with a slash.
    pub path: &'a [u8],
    /// ustar's `typeflag`.
    pub flag: u8,
    /// Mode, owner, time, device.
    pub stat: &'a Stat,
    /// Of links: the target.
    pub link: &'a [u8],
    /// Bytes of data that follow.
    pub size: u64,
    /// Extended attributes, by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<W: Write> Writer<W> {
    /// Begins an archive of a plain tree.
    pub fn plain(out: W) -> Self {
        Self::new(out, false)
    }

    fn new(out: W, is_diff: bool) -> Self {
        Self { out, is_diff, buffer: vec![0; 128 << 10], links: HashMap::new() }
    }

    fn tree(mut self, root: BorrowedFd<'_>) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let root = tree::open_below(root, b".", flags).at("open directory", b"")?;
        let stat = rustix::fs::fstat(&root).at("look at", b"")?;
        self.entry(&Entry {
            path: b"./",
            flag: b'5',
            stat: &stat,
            link: b"",
            size: 0,
            xattrs: xattrs(&root, b"")?,
        })?;
        self.children(&root, b"")?;
        self.end()
    }

    /// Ends it, with two zero blocks.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn end(mut self) -> Result<()> {
        self.put(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(failed)
    }

    fn children(&mut self, dir: &OwnedFd, whole: &[u8]) -> Result<()> {
        for name in tree::names(dir, whole)? {
            let child = path::join(whole, &name);
            if name.starts_with(WHITEOUT) {
                return unsupported("write", &child, "an archive of a layer takes this name for a whiteout");
            }
            // What vanished since the directory was read is not part of the picture.
            let Some(stat) = tree::look(dir, &name).at("look at", &child)? else { continue };
            self.child(dir, &name, &child, &stat)?;
        }
        Ok(())
    }

    fn child(&mut self, dir: &OwnedFd, name: &[u8], whole: &[u8], stat: &Stat) -> Result<()> {
        match tree::file_type(stat) {
            FileType::Directory => self.directory(dir, name, whole, stat),
            _ if self.is_diff && tree::is_whiteout(stat) => {
                let (parent, name) = path::split(whole);
                self.mark(parent, &[WHITEOUT, name].concat(), stat)
            }
            // A socket is nothing without the process behind it; no tar has a type for it.
            FileType::Socket => Ok(()),
            _ if self.is_linked(whole, stat) => self.hard_link(whole, stat),
            FileType::RegularFile => self.file(dir, name, whole),
            _ => self.node(dir, name, whole, stat),
        }
    }

    fn directory(&mut self, dir: &OwnedFd, name: &[u8], whole: &[u8], stat: &Stat) -> Result<()> {
        let inner =
            tree::open_below(dir, name, OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", whole)?;
        let (path, xattrs) = ([whole, b"/"].concat(), xattrs(&inner, whole)?);
        self.entry(&Entry { path: &path, flag: b'5', stat, link: b"", size: 0, xattrs })?;
        if self.is_diff && is_opaque(&inner) {
            self.mark(whole, OPAQUE, stat)?;
        }
        self.children(&inner, whole)
    }

    /// An empty file that means something.
    fn mark(&mut self, parent: &[u8], name: &[u8], stat: &Stat) -> Result<()> {
        let path = path::join(parent, name);
        let mut stat = *stat;
        (stat.st_mode, stat.st_uid, stat.st_gid) = (0o600, 0, 0);
        self.entry(&Entry { path: &path, flag: b'0', stat: &stat, link: b"", size: 0, xattrs: Vec::new() })
    }

    fn is_linked(&mut self, whole: &[u8], stat: &Stat) -> bool {
        if stat.st_nlink < 2 {
            return false;
        }
        let first = self.links.entry((stat.st_dev, stat.st_ino)).or_insert_with(|| whole.to_vec());
        first != whole
    }

    fn hard_link(&mut self, whole: &[u8], stat: &Stat) -> Result<()> {
        let target = self.links[&(stat.st_dev, stat.st_ino)].clone();
        self.entry(&Entry { path: whole, flag: b'1', stat, link: &target, size: 0, xattrs: Vec::new() })
    }

    fn file(&mut self, dir: &OwnedFd, name: &[u8], whole: &[u8]) -> Result<()> {
        let fd = tree::open_below(dir, name, OFlags::RDONLY).at("open", whole)?;
        let stat = &rustix::fs::fstat(&fd).at("look at", whole)?;
        let size = stat.st_size.unsigned_abs();
        self.entry(&Entry { path: whole, flag: b'0', stat, link: b"", size, xattrs: xattrs(&fd, whole)? })?;
        self.data(&fd, size, whole)
    }

    /// Exactly `size` bytes: a file that shrinks meanwhile is filled up with zeros, as by GNU tar.
    ///
    /// # Errors
    /// When the file cannot be read, or the output does not take it.
    pub fn data(&mut self, fd: &OwnedFd, size: u64, whole: &[u8]) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let want = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = match rustix::io::read(fd, &mut self.buffer[..want]).at("read", whole)? {
                0 => {
                    self.buffer[..want].fill(0);
                    want
                }
                n => n,
            };
            self.out.write_all(&self.buffer[..n]).map_err(failed)?;
            left -= n as u64;
        }
        self.pad(size)
    }

    fn node(&mut self, dir: &OwnedFd, name: &[u8], whole: &[u8], stat: &Stat) -> Result<()> {
        let mut link = Vec::new();
        let flag = match tree::file_type(stat) {
            FileType::Symlink => {
                link = rustix::fs::readlinkat(dir, name, Vec::new()).at("read link", whole)?.into_bytes();
                b'2'
            }
            FileType::CharacterDevice => b'3',
            FileType::BlockDevice => b'4',
            _ => b'6',
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = rustix::fs::openat(dir, name, flags, Mode::empty()).at("open", whole)?;
        let xattrs = xattrs(&node, whole)?;
        self.entry(&Entry { path: whole, flag, stat, link: &link, size: 0, xattrs })
    }

    /// A member's headers.
    ///
    /// # Errors
    /// When the output does not take them.
    pub fn entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        let records = records(entry);
        if !records.is_empty() {
            let size = records.len() as u64;
            let plain = Entry { path: b"pax", flag: b'x', link: b"", size, xattrs: Vec::new(), ..*entry };
            self.put(&header(&plain))?;
            self.put(&records)?;
            self.pad(size)?;
        }
        self.put(&header(entry))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(failed)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let rest = (size % BLOCK as u64) as usize;
        if rest == 0 { Ok(()) } else { self.put(&[0; BLOCK][rest..]) }
    }
}

/// What a ustar header cannot say.
fn records(entry: &Entry<'_>) -> Vec<u8> {
    let stat = entry.stat;
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| record(&mut records, key, value);
    if entry.path.len() > 100 {
        add(b"path", entry.path);
    }
    if entry.link.len() > 100 {
        add(b"linkpath", entry.link);
    }
    let numbers = [("size", entry.size, 11), ("uid", stat.st_uid.into(), 7), ("gid", stat.st_gid.into(), 7)];
    for (key, value, _) in numbers.into_iter().filter(|&(_, value, digits)| octal(value, digits).is_none()) {
        add(key.as_bytes(), value.to_string().as_bytes());
    }
    if stat.st_mtime_nsec != 0 || u64::try_from(stat.st_mtime).ok().and_then(|time| octal(time, 11)).is_none()
    {
        add(b"mtime", time(stat.st_mtime, stat.st_mtime_nsec).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

/// `LENGTH KEYWORD=VALUE\n`; the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    records.extend_from_slice(format!("{len} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Before 1970 the nanoseconds count forward from a negative second; PAX writes a plain decimal number.
fn time(seconds: i64, nanos: u64) -> String {
    match (seconds, nanos) {
        (_, 0) => seconds.to_string(),
        (0.., _) => format!("{seconds}.{nanos:09}"),
        _ => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
    }
}

fn octal(value: u64, digits: usize) -> Option<String> {
    let text = format!("{value:0digits$o}");
    (text.len() == digits).then_some(text)
}

fn header(entry: &Entry<'_>) -> [u8; BLOCK] {
    let stat = entry.stat;
    let mut block = [0; BLOCK];
    put(&mut block[..100], entry.path);
    number(&mut block[100..108], u64::from(stat.st_mode & 0o7777));
    number(&mut block[108..116], stat.st_uid.into());
    number(&mut block[116..124], stat.st_gid.into());
    number(&mut block[124..136], entry.size);
    number(&mut block[136..148], u64::try_from(stat.st_mtime).unwrap_or(0));
    block[156] = entry.flag;
    put(&mut block[157..257], entry.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    if matches!(entry.flag, b'3' | b'4') {
        number(&mut block[329..337], rustix::fs::major(stat.st_rdev).into());
        number(&mut block[337..345], rustix::fs::minor(stat.st_rdev).into());
    }
    // The sum is taken with its own field blank.
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    number(&mut block[148..155], sum);
    block
}

/// As much as fits; a PAX record has the whole.
fn put(field: &mut [u8], bytes: &[u8]) {
    let len = bytes.len().min(field.len());
    field[..len].copy_from_slice(&bytes[..len]);
}

/// Octal with a NUL behind, or 0 where a PAX record has the number.
fn number(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = octal(value, digits).unwrap_or_else(|| "0".repeat(digits));
    field[..digits].copy_from_slice(text.as_bytes());
    field[digits] = 0;
}

/// All but overlay's own, sorted. Through the magic link, which does for O_PATH descriptors too.
fn xattrs(fd: &OwnedFd, whole: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    use rustix::fs::{getxattr, getxattr_query, listxattr, listxattr_query};
    let magic = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let len = match listxattr_query(&magic) {
        // ENOTSUP: a file system without any.
        Ok(0) | Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        len => len.at("list extended attributes of", whole)?,
    };
    let mut list = vec![0; len];
    let len = listxattr(&magic, &mut list).at("list extended attributes of", whole)?;
    let mut xattrs = Vec::new();
    for name in list[..len].split(|&b| b == 0).filter(|name| is_portable(name)) {
        let len = getxattr_query(&magic, name).at("read extended attribute of", whole)?;
        let mut value = vec![0; len];
        getxattr(&magic, name, &mut value).at("read extended attribute of", whole)?;
        xattrs.push((name.to_vec(), value));
    }
    xattrs.sort_unstable();
    Ok(xattrs)
}

/// Overlay's attributes describe a mount, SELinux's label the host.
fn is_portable(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"trusted.overlay.") && name != b"security.selinux"
}

fn failed(cause: std::io::Error) -> Error {
    let error = crate::error::stream("write tar", cause);
    // An output has no format that could be corrupt.
    error.map_kind(|kind| if kind == Kind::NoSpace { kind } else { Kind::Io })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for len in [1, 91, 92, 93, 94, 95, 96, 988, 989, 990, 991, 992] {
            let mut records = Vec::new();
            record(&mut records, b"k", &vec![b'v'; len]);
            assert!(records.starts_with(format!("{} ", records.len()).as_bytes()), "{len}");
        }
    }

    #[test]
    fn times_before_1970() {
        assert_eq!(time(-2, 750_000_000), "-1.250000000");
        assert_eq!(time(-1, 0), "-1");
        assert_eq!(time(3, 5), "3.000000005");
    }
}

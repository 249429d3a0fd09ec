//! A tar stream in which every field can lie.

use std::ops::Range;

/// Bytes of a block.
pub const BLOCK: usize = 512;
/// Where a header's fields are.
pub const MODE: Range<usize> = 100..108;
/// The owner.
pub const UID: Range<usize> = 108..116;
/// The group.
pub const GID: Range<usize> = 116..124;
/// Bytes of data.
pub const SIZE: Range<usize> = 124..136;
/// Seconds since 1970.
pub const MTIME: Range<usize> = 136..148;
/// The sum of all bytes.
pub const SUM: Range<usize> = 148..156;
/// The name of the format.
pub const MAGIC: Range<usize> = 257..265;
/// A device's major number.
pub const MAJOR: Range<usize> = 329..337;
/// GNU's old sparse format: four segments, whether more follow, the real size.
pub const SPARSE: Range<usize> = 386..482;
/// See [`SPARSE`].
pub const IS_EXTENDED: usize = 482;
/// See [`SPARSE`].
pub const REAL_SIZE: Range<usize> = 483..495;

/// One header block.
#[derive(Debug, Clone)]
pub struct Header([u8; BLOCK]);

impl Header {
    /// Of a type flag and a name, which is cut at 100 bytes: root's, 0644, of 1970, of no bytes.
    pub fn new(flag: u8, name: impl AsRef<[u8]>) -> Self {
        let block = [0; BLOCK];
        let magic = Self(block).set(MAGIC, b"ustar\x0000").set(0..100, name.as_ref()).set(156..157, &[flag]);
        let numbers =
            magic.number(MODE, 0o644).number(UID, 0).number(GID, 0).number(SIZE, 0).number(MTIME, 0);
        numbers.number(MAJOR, 0).number(337..345, 0)
    }

    /// Any bytes at any place.
    pub fn set(mut self, field: Range<usize>, bytes: &[u8]) -> Self {
        let end = field.end.min(field.start + bytes.len());
        self.0[field.start..end].copy_from_slice(&bytes[..end - field.start]);
        self
    }

    /// An octal number.
    pub fn number(self, field: Range<usize>, value: u64) -> Self {
        let digits = field.len() - 1;
        self.set(field, format!("{value:0digits$o}\0").as_bytes())
    }

    /// A number of GNU's base-256 form.
    pub fn binary(self, field: Range<usize>, value: i128) -> Self {
        let mut bytes = value.to_be_bytes()[16 - field.len()..].to_vec();
        bytes[0] = if value < 0 { 0xff } else { bytes[0] | 0x80 };
        self.set(field, &bytes)
    }

    /// Permission bits.
    pub fn mode(self, mode: u64) -> Self {
        self.number(MODE, mode)
    }

    /// Bytes of data that are said to follow.
    pub fn size(self, size: u64) -> Self {
        self.number(SIZE, size)
    }

    /// A link's target.
    pub fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.set(157..257, target.as_ref())
    }

    /// The block as it is, whatever its sum.
    pub fn unsummed(&self) -> [u8; BLOCK] {
        self.0
    }

    /// The block with its sum.
    pub fn summed(mut self) -> [u8; BLOCK] {
        self.0[SUM].fill(b' ');
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        self.0[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// A stream under way.
#[derive(Debug, Clone, Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any bytes.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A header and its data, which is filled up to whole blocks; the size is the header's own.
    pub fn member(self, header: Header, data: &[u8]) -> Self {
        let mut this = self.raw(&header.summed()).raw(data);
        this.0.resize(this.0.len().next_multiple_of(BLOCK), 0);
        this
    }

    /// A header and its data, whose size it says.
    pub fn sized(self, header: Header, data: &[u8]) -> Self {
        self.member(header.size(data.len() as u64), data)
    }

    /// A regular file.
    pub fn file(self, name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.sized(Header::new(b'0', name), data)
    }

    /// A directory.
    pub fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'5', name).mode(0o755), b"")
    }

    /// A symbolic link.
    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'2', name).mode(0o777).link(target), b"")
    }

    /// A hard link.
    pub fn hard(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'1', name).link(target), b"")
    }

    /// PAX records for the next member.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.records(b'x', &all(records))
    }

    /// PAX records for all members.
    pub fn global(self, records: &[(&str, &[u8])]) -> Self {
        self.records(b'g', &all(records))
    }

    /// What stands in for PAX records.
    pub fn records(self, flag: u8, bytes: &[u8]) -> Self {
        self.sized(Header::new(flag, "pax"), bytes)
    }

    /// GNU's long name (`L`) or long link (`K`) for the next member.
    pub fn long(self, flag: u8, name: &[u8]) -> Self {
        self.sized(Header::new(flag, "././@LongLink"), &[name, b"\0"].concat())
    }

    /// The bytes, without an end.
    pub fn open(self) -> Vec<u8> {
        self.0
    }

    /// The bytes, with two zero blocks.
    pub fn end(self) -> Vec<u8> {
        self.raw(&[0; 2 * BLOCK]).0
    }
}

fn all(records: &[(&str, &[u8])]) -> Vec<u8> {
    records.iter().flat_map(|(key, value)| record(key, value)).collect()
}

/// `LENGTH KEYWORD=VALUE\n`; the length counts itself.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

//! Reading a tar stream: members with all their extensions understood.
//!
//! ```text
//! [x: PAX records] [L: long name] [K: long link]  header  [map blocks]  data …  padding
//! └──────────── any order, any number ─────────┘
//! ```
//! A [`Member`] is filled in place and reused, so that a member without extensions allocates nothing.

pub(crate) mod header;
pub(crate) mod member;
pub(crate) mod pax;
pub(crate) mod sparse;

pub use member::{Member, Meta, Type};
pub use sparse::Segment;

use crate::Limits;
use crate::error::{Result, corrupt, limit, stream, unsupported};
use header::{BLOCK, Header};
use pax::Records;
use std::io::{self, BufRead};

/// A tar stream, member by member.
#[derive(Debug)]
pub struct Reader<'a, R> {
    input: R,
    limits: &'a Limits,
    /// Of the member under way: stored bytes not yet consumed, and the padding behind them.
    left: u64,
    padding: u64,
    headers: u64,
    globals: Records,
    records: Records,
    last: Vec<u8>,
}

impl<'a, R: BufRead> Reader<'a, R> {
    /// Begins at the stream's first member.
    pub fn new(input: R, limits: &'a Limits) -> Self {
        let (globals, records) = (Records::default(), Records::default());
        Self { input, limits, left: 0, padding: 0, headers: 0, globals, records, last: Vec::new() }
    }

    /// The stream behind the archive's end.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Reads the next member's headers; `false` at the archive's end.
    ///
    /// # Errors
    /// When the stream is no archive, breaks one of the limits, or cannot be read.
    pub fn next(&mut self, member: &mut Member) -> Result<bool> {
        self.skip()?;
        member.clear();
        self.records.clear();
        let before = self.headers;
        while let Some(block) = self.header()? {
            let header = Header::new(&block, &self.last)?;
            match header.type_flag() {
                b'x' | b'X' => self.extend(&header)?,
                b'g' => self.globalize(&header)?,
                b'L' => self.long(&header, &mut member.path)?,
                b'K' => self.long(&header, &mut member.link)?,
                // A volume label says nothing about a file.
                b'V' => self.pass(&header)?,
                _ => return self.member(&header, member).map(|()| true),
            }
        }
        // An extension to a member that never comes, unless it is one that stands for itself.
        if self.headers > before && self.is_extended(member) { Err(truncated(&self.last)) } else { Ok(false) }
    }

    fn is_extended(&self, member: &Member) -> bool {
        self.records.iter().next().is_some() || !member.path.is_empty() || !member.link.is_empty()
    }

    /// The next piece of the member's stored data; empty at its end.
    ///
    /// # Errors
    /// When the stream ends before, or cannot be read.
    pub fn data(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let piece = self.input.fill_buf().map_err(|e| stream("read tar", e))?;
        if piece.is_empty() {
            return Err(truncated(&self.last));
        }
        Ok(&piece[..piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))])
    }

    /// Says how much of [`data`](Self::data) is done with.
    pub fn consume(&mut self, n: usize) {
        self.input.consume(n);
        self.left -= n as u64;
    }

    fn member(&mut self, header: &Header<'_>, member: &mut Member) -> Result<()> {
        member.read(header, &self.last)?;
        let globals = std::mem::take(&mut self.globals);
        member.extend(&globals, self.limits)?;
        self.globals = globals;
        member.extend(&self.records, self.limits)?;
        member.settle()?;
        self.last.clone_from(&member.path);
        self.lengths(member)?;
        self.begin(member.stored);
        match header.type_flag() {
            b'S' => self.old_sparse(header, member)?,
            _ if member.sparse_in_data => self.new_sparse(member)?,
            _ => {}
        }
        member.check()
    }

    fn lengths(&self, member: &Member) -> Result<()> {
        let longest = member.path.len().max(member.link.len());
        if longest > self.limits.name_len {
            return limit("bytes in a name (name_len)", self.limits.name_len, &member.path);
        }
        Ok(())
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    /// The next header block; `None` at two zero blocks or at the stream's end between members, which
    /// GNU tar and Go accept too; so a stream of no bytes is an empty archive, as for docker.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        if !self.block(&mut block)? {
            return Ok(None);
        }
        if block.iter().all(|&b| b == 0) {
            return self.end();
        }
        self.headers += 1;
        if self.headers > self.limits.entries {
            return limit("entries", self.limits.entries, &self.last);
        }
        Ok(Some(block))
    }

    fn end(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        if self.block(&mut block)? && block.iter().any(|&b| b != 0) {
            return corrupt("read tar header after", &self.last, "a lone zero block");
        }
        Ok(None)
    }

    /// Reads a whole block; `false` if the stream ends before its first byte.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let mut len = 0;
        while len < BLOCK {
            match self.input.read(&mut block[len..]).map_err(|e| stream("read tar", e))? {
                0 if len == 0 => return Ok(false),
                0 => return Err(truncated(&self.last)),
                n => len += n,
            }
        }
        Ok(true)
    }

    /// Skips what is left of the member under way. A stream that ends within the padding has all its data:
    /// umoci's `insert` writes such layers, and Go's reader, so docker's and containerd's, takes them.
    fn skip(&mut self) -> Result<()> {
        while self.left > 0 {
            let n = self.data()?.len();
            self.consume(n);
        }
        self.left = std::mem::take(&mut self.padding);
        while self.left > 0 && !self.input.fill_buf().map_err(|e| stream("read tar", e))?.is_empty() {
            let n = self.data()?.len();
            self.consume(n);
        }
        self.left = 0;
        Ok(())
    }

    /// The data of an extension header, whole.
    fn payload(&mut self, header: &Header<'_>) -> Result<Vec<u8>> {
        let size = member::size(header, &self.last)?;
        if size > self.limits.extension_bytes {
            return limit("bytes of extensions to one entry", self.limits.extension_bytes, &self.last);
        }
        self.begin(size);
        let mut bytes = Vec::with_capacity(size as usize);
        while self.left > 0 {
            bytes.extend_from_slice(self.data()?);
            self.consume(bytes.len() - (size - self.left) as usize);
        }
        self.skip()?;
        Ok(bytes)
    }

    fn extend(&mut self, header: &Header<'_>) -> Result<()> {
        let bytes = self.payload(header)?;
        self.records.parse(&bytes, &self.last)
    }

    fn globalize(&mut self, header: &Header<'_>) -> Result<()> {
        let bytes = self.payload(header)?;
        self.globals.parse(&bytes, &self.last)?;
        self.globals.settle();
        if self.globals.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() as u64
            > self.limits.extension_bytes
        {
            return limit("bytes of global extensions", self.limits.extension_bytes, &self.last);
        }
        Ok(())
    }

    fn long(&mut self, header: &Header<'_>, name: &mut Vec<u8>) -> Result<()> {
        let bytes = self.payload(header)?;
        name.clear();
        name.extend(bytes.iter().take_while(|&&b| b != 0));
        Ok(())
    }

    fn pass(&mut self, header: &Header<'_>) -> Result<()> {
        self.begin(member::size(header, &self.last)?);
        self.skip()
    }

    fn old_sparse(&mut self, header: &Header<'_>, member: &mut Member) -> Result<()> {
        let (first, mut more) = header.sparse();
        let mut map = Vec::new();
        let mut sound = sparse::old(first, &mut map).is_some();
        while more && sound {
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? {
                return Err(truncated(&self.last));
            }
            sound = sparse::old(&block[..504], &mut map).is_some();
            more = block[504] != 0;
            self.segments(map.len())?;
        }
        if !sound {
            return corrupt("read sparse map of", &self.last, "not a number");
        }
        member.sparse = Some(map);
        Ok(())
    }

    fn segments(&self, count: usize) -> Result<()> {
        if count > self.limits.sparse_segments {
            return limit("segments in a sparse file", self.limits.sparse_segments, &self.last);
        }
        Ok(())
    }

    /// PAX format 1.0: the map is lines of decimal numbers before the data, padded to a block.
    fn new_sparse(&mut self, member: &mut Member) -> Result<()> {
        let stored = self.left;
        let count = self.line()?;
        self.segments(usize::try_from(count).unwrap_or(usize::MAX))?;
        let mut map = Vec::new();
        for _ in 0..count {
            map.push(Segment { offset: self.line()?, len: self.line()? });
        }
        let used = stored - self.left;
        self.discard(used.next_multiple_of(BLOCK as u64) - used)?;
        member.stored = self.left;
        member.sparse = Some(map);
        Ok(())
    }

    fn discard(&mut self, mut bytes: u64) -> Result<()> {
        while bytes > 0 {
            let n = self.data()?.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            if n == 0 {
                return corrupt("read sparse map of", &self.last, "longer than the data");
            }
            self.consume(n);
            bytes -= n as u64;
        }
        Ok(())
    }

    /// One line of a sparse map: a decimal number.
    fn line(&mut self) -> Result<u64> {
        let mut digits = Vec::new();
        while digits.len() < 21 {
            let Some(&byte) = self.data()?.first() else { break };
            self.consume(1);
            if byte == b'\n' {
                break;
            }
            digits.push(byte);
        }
        match pax::decimal(&digits) {
            Some(number) => Ok(number),
            None => corrupt("read sparse map of", &self.last, "not a number"),
        }
    }
}

fn truncated(after: &[u8]) -> crate::Error {
    let cause = io::Error::from(io::ErrorKind::UnexpectedEof);
    let what = if after.is_empty() {
        "read tar: the stream is empty or ends inside its first entry".to_owned()
    } else {
        format!(
            "read tar: the stream ends inside or after `{}`",
            String::from_utf8_lossy(after).escape_debug()
        )
    };
    crate::Error::new(crate::Kind::Truncated, what).caused_by(cause)
}

pub(crate) fn unknown<T>(flag: u8, path: &[u8]) -> Result<T> {
    unsupported("unpack", path, &format!("tar type `{}` is not known", flag.escape_ascii()))
}

//! The first half of the pipe: read, hash, inflate, hash again, hand over in chunks.

use crate::Limits;
use crate::compression::{Compression, Decoder};
use crate::error::{Error, Kind, Result, limit, stream};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, BufReader, Chain, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes of one chunk: small enough to stay in a core's cache between inflating, hashing and writing.
const CHUNK: usize = 128 << 10;
/// Chunks under way. 2 MiB let either side stall for some milliseconds without stopping the other.
const CHUNKS: usize = 16;

/// What the feeding side knows at the end.
pub(crate) struct Fed {
    pub(crate) compression: Compression,
    pub(crate) digest: [u8; 32],
    pub(crate) compressed_size: u64,
    pub(crate) diff_id: [u8; 32],
    pub(crate) tar_size: u64,
}

struct Chunk {
    bytes: Box<[u8]>,
    len: usize,
}

/// The side that fills chunks.
pub(crate) struct Filler {
    full: SyncSender<Chunk>,
    empty: Receiver<Chunk>,
}

/// The side that reads them, in order; the end of the stream when the filler is gone.
pub(crate) struct Chunks {
    full: Receiver<Chunk>,
    empty: Sender<Chunk>,
    current: Chunk,
    at: usize,
}

/// A bounded pipe between two threads that moves buffers, not bytes.
pub(crate) fn pipe() -> (Filler, Chunks) {
    let (full, filled) = sync_channel(CHUNKS);
    let (emptied, empty) = channel();
    for _ in 0..CHUNKS {
        // Cannot fail: the receiver is right here.
        let _ = emptied.send(Chunk { bytes: vec![0; CHUNK].into(), len: 0 });
    }
    let current = Chunk { bytes: Box::default(), len: 0 };
    (Filler { full, empty }, Chunks { full: filled, empty: emptied, current, at: 0 })
}

impl Filler {
    /// Whether the reading side has failed and gone. An empty chunk is the end: the reader sees it as such.
    fn is_alone(&self) -> bool {
        self.full.send(Chunk { bytes: Box::default(), len: 0 }).is_err()
    }
}

impl Chunks {
    /// What of the current chunk is not consumed.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.current.bytes[self.at..self.current.len]
    }

    fn next(&mut self) -> bool {
        let Ok(chunk) = self.full.recv() else { return false };
        let spent = std::mem::replace(&mut self.current, chunk);
        self.at = 0;
        if !spent.bytes.is_empty() {
            // The filler may have finished; then nobody needs the buffer.
            let _ = self.empty.send(spent);
        }
        true
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.current.len && !self.next() {
            return Ok(&[]);
        }
        Ok(&self.current.bytes[self.at..self.current.len])
    }

    fn consume(&mut self, n: usize) {
        self.at = (self.at + n).min(self.current.len);
    }
}

/// A reader that hashes and counts what passes.
struct Hashing<R> {
    inner: R,
    sha: Sha256,
    count: u64,
    /// The reader itself failed: not the archive's fault.
    is_broken: bool,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        self.is_broken = read.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::Interrupted);
        let n = read?;
        self.sha.update(&buffer[..n]);
        self.count += n as u64;
        Ok(n)
    }
}

type Input<'a> = BufReader<Hashing<Chain<io::Cursor<Vec<u8>>, &'a mut dyn Read>>>;

/// Feeds the whole of `input` through `filler`. Stops early, without an error, when the other side
/// has gone: its error is the one to tell.
pub(crate) fn feed(input: &mut dyn Read, filler: Filler, limits: &Limits) -> Result<Fed> {
    let head = head(input)?;
    let hashing = Hashing {
        inner: io::Cursor::new(head.clone()).chain(input),
        sha: Sha256::new(),
        count: 0,
        is_broken: false,
    };
    let mut decoder = Decoder::new(BufReader::with_capacity(CHUNK / 2, hashing), &head, &limits.memory)?;
    let compression = decoder.compression();
    let (inflated, tar_size) = pump(&mut decoder, compression, &filler, limits)?;
    let rest: &mut Input = decoder.get_mut();
    if !filler.is_alone() {
        // A decoder stops at its own end; what trails belongs to the digest all the same.
        io::copy(rest, &mut io::sink()).map_err(|e| stream("read layer", e))?;
    }
    let read = rest.get_mut();
    let digest: [u8; 32] = std::mem::take(&mut read.sha).finalize().into();
    let diff_id = if compression == Compression::None { digest } else { inflated.finalize().into() };
    Ok(Fed { compression, digest, compressed_size: read.count, diff_id, tar_size })
}

/// The first bytes, enough to tell the compression.
fn head(input: &mut dyn Read) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(Compression::HEAD);
    let mut some = input.take(Compression::HEAD as u64);
    some.read_to_end(&mut head).map_err(|e| stream("read layer", e))?;
    Ok(head)
}

fn pump(
    decoder: &mut Decoder<Input>,
    compression: Compression,
    filler: &Filler,
    limits: &Limits,
) -> Result<(Sha256, u64)> {
    let mut sha = Sha256::new();
    let mut size = 0;
    while let Ok(mut chunk) = filler.empty.recv() {
        chunk.len = fill(decoder, &mut chunk.bytes)
            .map_err(|e| failed(decoder.get_mut().get_ref(), compression, e))?;
        size += chunk.len as u64;
        check(size, decoder.get_mut().get_ref().count, limits)?;
        // An uncompressed stream was hashed when it was read.
        if compression != Compression::None {
            sha.update(&chunk.bytes[..chunk.len]);
        }
        if chunk.len == 0 || filler.full.send(chunk).is_err() {
            break;
        }
    }
    Ok((sha, size))
}

fn check(size: u64, compressed: u64, limits: &Limits) -> Result<()> {
    if size > limits.total_bytes {
        return limit("bytes in total", limits.total_bytes, b"");
    }
    if size > limits.ratio_from && size / limits.ratio > compressed {
        return limit("bytes out of one compressed byte (ratio)", limits.ratio, b"");
    }
    Ok(())
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match input.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}

fn failed<R>(input: &Hashing<R>, compression: Compression, cause: io::Error) -> Error {
    match (input.is_broken, stream(reading(compression), cause)) {
        (true, error) => error.map_kind(|kind| if kind == Kind::Corrupt { Kind::Io } else { kind }),
        (false, error) => error,
    }
}

fn reading(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "read layer",
        Compression::Gzip => "read layer compressed with gzip",
        Compression::Zstd => "read layer compressed with zstd",
        Compression::Bzip2 => "read layer compressed with bzip2",
        Compression::Xz => "read layer compressed with xz",
    }
}

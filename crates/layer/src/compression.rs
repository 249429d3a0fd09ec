//! The compressions a layer may come in, told apart by their first bytes.

use crate::error::{Result, stream};
use liblzma::stream::{CONCATENATED, Stream};
use std::io::{self, BufRead, Read};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar.
    None,
    /// RFC 1952, several members allowed.
    Gzip,
    /// RFC 8878, several frames and skippable frames allowed.
    Zstd,
    /// Several streams allowed.
    Bzip2,
    /// The .xz container, several streams and padding allowed.
    Xz,
}

impl Compression {
    /// The longest magic number, in bytes.
    pub const MAGIC_LEN: usize = 6;

    /// Tells a compression by the first [`MAGIC_LEN`](Self::MAGIC_LEN) bytes (fewer if there are no more).
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame may come first (RFC 8878 §3.1.2).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }

    /// As in the suffix of an OCI media type, or `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }
}

/// What comes out of a compressed stream, to its very end.
pub struct Decoder<R: BufRead>(Inner<R>);

enum Inner<R: BufRead> {
    None(R),
    Gzip(flate2::bufread::MultiGzDecoder<R>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
    Bzip2(bzip2::bufread::MultiBzDecoder<R>),
    Xz(liblzma::bufread::XzDecoder<R>),
}

impl<R: BufRead> Decoder<R> {
    /// A decoder of `input`; `memory` bounds xz's window, in bytes.
    ///
    /// # Errors
    /// When a decoder's tables cannot be allocated.
    pub fn new(input: R, compression: Compression, memory: u64) -> Result<Self> {
        let inner = match compression {
            Compression::None => Inner::None(input),
            Compression::Gzip => Inner::Gzip(flate2::bufread::MultiGzDecoder::new(input)),
            Compression::Zstd => Inner::Zstd(
                zstd::stream::read::Decoder::with_buffer(input).map_err(|e| stream("start zstd", e))?,
            ),
            Compression::Bzip2 => Inner::Bzip2(bzip2::bufread::MultiBzDecoder::new(input)),
            Compression::Xz => Inner::Xz(liblzma::bufread::XzDecoder::new_stream(
                input,
                Stream::new_stream_decoder(memory, CONCATENATED).map_err(|e| stream("start xz", e.into()))?,
            )),
        };
        Ok(Self(inner))
    }

    /// The compressed side: what a decoder has left unread after its end is read from here.
    pub fn get_mut(&mut self) -> &mut R {
        match &mut self.0 {
            Inner::None(r) => r,
            Inner::Gzip(r) => r.get_mut(),
            Inner::Zstd(r) => r.get_mut(),
            Inner::Bzip2(r) => r.get_mut(),
            Inner::Xz(r) => r.get_mut(),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::None(r) => r.read(buffer),
            Inner::Gzip(r) => r.read(buffer),
            Inner::Zstd(r) => r.read(buffer),
            Inner::Bzip2(r) => r.read(buffer),
            Inner::Xz(r) => r.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_is_told_by_its_magic_and_nothing_else() {
        for (head, is) in [
            (b"\x1f\x8b\x08\x00\x00\x00".as_slice(), Compression::Gzip),
            (b"\x1f\x8b", Compression::None),
            (b"\x28\xb5\x2f\xfd\x04\x00", Compression::Zstd),
            (b"\x5a\x2a\x4d\x18\x04\x00", Compression::Zstd),
            (b"BZh91A", Compression::Bzip2),
            (b"BZh01A", Compression::None),
            (b"\xfd7zXZ\x00", Compression::Xz),
            (b"", Compression::None),
        ] {
            assert_eq!(Compression::detect(head), is, "{head:?}");
        }
    }
}

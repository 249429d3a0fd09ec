//! The compressions a layer may come in, told apart by their first bytes.

use crate::error::{Result, stream};
use crate::memory::{Memory, Share};
use crate::window;
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
    /// How many of a stream's first bytes tell its compression and what memory that needs.
    pub const HEAD: usize = 64;

    /// Tells a compression by the first bytes.
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
pub struct Decoder<R: BufRead> {
    inner: Inner<R>,
    compression: Compression,
    _share: Option<Share>,
}

enum Inner<R: BufRead> {
    None(R),
    Gzip(flate2::bufread::MultiGzDecoder<R>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
    Bzip2(bzip2::bufread::MultiBzDecoder<R>),
    Xz(liblzma::bufread::XzDecoder<R>),
}

impl<R: BufRead> Decoder<R> {
    /// A decoder of `input`, which begins with `head`: [`Compression::HEAD`] bytes, or fewer if there are no
    /// more. Waits for its share of the memory.
    ///
    /// # Errors
    /// [`Kind::Memory`](crate::Kind) when it needs more than there is.
    pub fn new(input: R, head: &[u8], memory: &Memory) -> Result<Self> {
        let compression = Compression::detect(head);
        let bytes = window::share_of(compression, head, memory.most());
        let share = memory.take(bytes, compression.name())?;
        Ok(Self { _share: Some(share), ..Self::within(input, compression, bytes)? })
    }

    /// Likewise one that lives as long as the memory is used: those of an archive's layers must not wait for it.
    ///
    /// # Errors
    /// As [`Decoder::new`].
    pub fn for_good(input: R, head: &[u8], memory: &Memory) -> Result<Self> {
        let compression = Compression::detect(head);
        let bytes = window::share_of(compression, head, memory.most());
        memory.keep(bytes, compression.name())?;
        Self::within(input, compression, bytes)
    }

    fn within(input: R, compression: Compression, bytes: u64) -> Result<Self> {
        let inner = match compression {
            Compression::None => Inner::None(input),
            Compression::Gzip => Inner::Gzip(flate2::bufread::MultiGzDecoder::new(input)),
            Compression::Zstd => Inner::Zstd(zstd(input, bytes).map_err(|e| stream("start zstd", e))?),
            Compression::Bzip2 => Inner::Bzip2(bzip2::bufread::MultiBzDecoder::new(input)),
            Compression::Xz => Inner::Xz(liblzma::bufread::XzDecoder::new_stream(
                input,
                Stream::new_stream_decoder(bytes, CONCATENATED).map_err(|e| stream("start xz", e.into()))?,
            )),
        };
        Ok(Self { inner, compression, _share: None })
    }

    /// How the stream is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The compressed side: what a decoder has left unread after its end is read from here.
    pub fn get_mut(&mut self) -> &mut R {
        match &mut self.inner {
            Inner::None(r) => r,
            Inner::Gzip(r) => r.get_mut(),
            Inner::Zstd(r) => r.get_mut(),
            Inner::Bzip2(r) => r.get_mut(),
            Inner::Xz(r) => r.get_mut(),
        }
    }
}

/// A later frame may want a larger window than the first: it must do with the same memory.
fn zstd<R: BufRead>(input: R, bytes: u64) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
    decoder.window_log_max(window::zstd_log(bytes))?;
    Ok(decoder)
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
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

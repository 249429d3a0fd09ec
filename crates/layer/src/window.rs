//! What a decoder needs in memory, told by the first bytes of the stream.

use crate::compression::Compression;
use std::io;

/// gzip's window and tables.
const GZIP: u64 = 128 << 10;
/// What zstd needs beside its window: context, input, output (ZSTD_estimateDStreamSize).
const ZSTD: u64 = 640 << 10;
/// What xz needs beside its dictionary (lzma_raw_decoder_memusage).
const XZ: u64 = 1 << 20;

/// What any later part of a stream may need, however little the first does: zstd's window up to level 19, and xz's
/// dictionary up to level 6. zstd:chunked, for one, begins with whatever file comes first.
const USUAL: u64 = 9 << 20;

/// Bytes of memory to be set aside for a decoder of a stream that begins so, out of `most`. Later parts must do
/// with that, so it grows with what there is.
pub(crate) fn share_of(compression: Compression, head: &[u8], most: u64) -> u64 {
    match (compression, memory_of(compression, head)) {
        (Compression::Zstd | Compression::Xz, Some(first)) => first.max(USUAL.min(most)).max(most / 8),
        (_, Some(all)) => all,
        (_, None) => most / 2,
    }
}

/// What the first part of a stream needs; none where the beginning does not tell.
fn memory_of(compression: Compression, head: &[u8]) -> Option<u64> {
    match compression {
        Compression::None => Some(0),
        Compression::Gzip => Some(GZIP),
        // bzip2(1), "MEMORY MANAGEMENT": 100 kB and four bytes of each of a block.
        Compression::Bzip2 => Some(100_000 + 400_000 * u64::from(head.get(3)? - b'0')),
        Compression::Zstd => zstd_window(head).map(zstd_memory),
        Compression::Xz => xz_dictionary(head).map(|size| size + XZ),
    }
}

/// With a window rounded to what [`zstd_log`] can say.
fn zstd_memory(window: u64) -> u64 {
    window.checked_next_power_of_two().unwrap_or(u64::MAX).max(1 << 10).saturating_add(ZSTD)
}

/// The largest window, as a power of two, that so much memory suffices for; 10 is the least there is.
pub(crate) fn zstd_log(memory: u64) -> u32 {
    memory.saturating_sub(ZSTD).max(1 << 10).ilog2().min(31)
}

/// Window_Size of the first frame, RFC 8878 §3.1.1.1; none for a skippable frame.
fn zstd_window(head: &[u8]) -> Option<u64> {
    if !head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return None;
    }
    let descriptor = *head.get(4)?;
    let is_single = descriptor & 0x20 != 0;
    if !is_single {
        let window = *head.get(5)?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // The window is the content, whose size follows the dictionary's id.
    let at = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = 1 << (descriptor >> 6);
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(head.get(at..at + length)?);
    let size = u64::from_le_bytes(bytes);
    Some(if length == 2 { size + 256 } else { size })
}

/// The dictionary of the first block, xz-file-format §3.1 and §5.3.1, or the block's own size if that is less.
fn xz_dictionary(head: &[u8]) -> Option<u64> {
    const LZMA2: u64 = 0x21;
    let mut block = head.get(12..)?.iter().copied();
    // The index: there is no block.
    if block.next()? == 0 {
        return Some(0);
    }
    let flags = block.next()?;
    if flags & 0x40 != 0 {
        number(&mut block)?;
    }
    let content = if flags & 0x80 != 0 { number(&mut block)? } else { u64::MAX };
    for _ in 0..=flags & 3 {
        let (filter, length) = (number(&mut block)?, number(&mut block)?);
        let properties: Vec<u8> = block.by_ref().take(usize::try_from(length).ok()?).collect();
        if filter == LZMA2 {
            return Some(lzma2_dictionary(*properties.first()?)?.min(content.max(4096)));
        }
    }
    None
}

fn lzma2_dictionary(bits: u8) -> Option<u64> {
    match bits {
        0..40 => Some((2 | u64::from(bits & 1)) << (bits / 2 + 11)),
        40 => Some(u32::MAX.into()),
        _ => None,
    }
}

/// A variable-length number, xz-file-format §1.2.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Whether a decoder refused a later window that is larger than what it was given for the first.
pub(crate) fn is_too_large(error: &io::Error) -> bool {
    let xz = error.get_ref().and_then(|inner| inner.downcast_ref::<liblzma::stream::Error>());
    matches!(xz, Some(liblzma::stream::Error::MemLimit))
        || error.to_string().contains("Frame requires too much memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_zstd() {
        let frame = |rest: &[u8]| [&[0x28, 0xb5, 0x2f, 0xfd], rest].concat();
        assert_eq!(zstd_window(&frame(&[0x04, 0x88])), Some(1 << 27), "zstd --long=27");
        assert_eq!(zstd_window(&frame(&[0x04, 0x59])), Some((1 << 21) + (1 << 18)));
        assert_eq!(zstd_window(&frame(&[0x20, 200])), Some(200));
        assert_eq!(zstd_window(&frame(&[0x60, 0, 1])), Some(512));
        assert_eq!(zstd_window(&frame(&[0xa3, 1, 2, 3, 4, 0, 0, 0, 1])), Some(1 << 24));
        assert_eq!(zstd_window(&[0x50, 0x2a, 0x4d, 0x18, 4]), None);
        assert_eq!(zstd_window(&frame(&[0x60, 0])), None, "cut");
        for log in 10..=31 {
            assert_eq!(zstd_log(zstd_memory(1 << log)), log);
        }
        assert_eq!(zstd_memory(u64::MAX), u64::MAX);
    }

    #[test]
    fn dictionaries_of_xz() {
        let block = |rest: &[u8]| [&[0; 12], rest].concat();
        assert_eq!(xz_dictionary(&block(&[2, 0, 0x21, 1, 22])), Some(8 << 20), "xz -6");
        assert_eq!(xz_dictionary(&block(&[2, 0, 0x21, 1, 28])), Some(64 << 20), "xz -9");
        assert_eq!(xz_dictionary(&block(&[2, 0xc0, 5, 0x80, 0x80, 4, 0x21, 1, 28])), Some(1 << 16));
        assert_eq!(xz_dictionary(&block(&[3, 1, 4, 0, 0x21, 1, 40])), Some(u32::MAX.into()), "behind x86");
        assert_eq!(xz_dictionary(&block(&[0])), Some(0), "no block");
        assert_eq!(xz_dictionary(&block(&[2, 0, 0x21])), None, "cut");
    }
}

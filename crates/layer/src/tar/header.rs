//! One 512-byte header block: v7, ustar (POSIX.1-1988), GNU and star.

use crate::error::{Result, corrupt};

/// Bytes of a block; everything in a tar is a multiple of it.
pub(crate) const BLOCK: usize = 512;

/// A header block whose checksum holds.
pub(crate) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// Checks the sum; `after` is the last good entry, for the message.
    pub(crate) fn new(block: &'a [u8; BLOCK], after: &[u8]) -> Result<Self> {
        let said = number(&block[148..156]);
        // Some old writers summed signed chars; GNU tar and Go take both.
        let (unsigned, signed) = sums(block);
        if said != Some(unsigned) && said != Some(signed) {
            return corrupt("read tar header after", after, "checksum does not match");
        }
        Ok(Self(block))
    }

    pub(crate) fn type_flag(&self) -> u8 {
        self.0[156]
    }

    /// The name, with the prefix where the format has one, appended to `path`.
    pub(crate) fn path(&self, path: &mut Vec<u8>) {
        let prefix = text(self.prefix());
        path.extend_from_slice(prefix);
        if !prefix.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(text(&self.0[..100]));
    }

    fn prefix(&self) -> &[u8] {
        match &self.0[257..265] {
            // star keeps its times in the last 24 bytes of the prefix.
            b"ustar\x0000" if &self.0[508..512] == b"tar\0" => &self.0[345..476],
            // GNU's magic is `ustar  \0`: its times and sparse map are where the prefix would be.
            magic if magic.starts_with(b"ustar\0") => &self.0[345..500],
            _ => &[],
        }
    }

    pub(crate) fn link(&self) -> &'a [u8] {
        text(&self.0[157..257])
    }

    pub(crate) fn mode(&self) -> Option<i128> {
        number(&self.0[100..108])
    }

    pub(crate) fn uid(&self) -> Option<i128> {
        number(&self.0[108..116])
    }

    pub(crate) fn gid(&self) -> Option<i128> {
        number(&self.0[116..124])
    }

    pub(crate) fn size(&self) -> Option<i128> {
        number(&self.0[124..136])
    }

    pub(crate) fn mtime(&self) -> Option<i128> {
        number(&self.0[136..148])
    }

    /// Major and minor; v7 has neither.
    pub(crate) fn device(&self) -> Option<(i128, i128)> {
        if !self.0[257..].starts_with(b"ustar") {
            return Some((0, 0));
        }
        Some((number(&self.0[329..337])?, number(&self.0[337..345])?))
    }

    /// GNU's old sparse format: the real size.
    pub(crate) fn real_size(&self) -> Option<i128> {
        number(&self.0[483..495])
    }

    /// GNU's old sparse format: the first four segments, and whether blocks of more follow.
    pub(crate) fn sparse(&self) -> (&'a [u8], bool) {
        (&self.0[386..482], self.0[482] != 0)
    }
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|&b| b == 0).unwrap_or(field.len())]
}

fn sums(block: &[u8; BLOCK]) -> (i128, i128) {
    let counted = || block[..148].iter().chain([b' '; 8].iter()).chain(&block[156..]);
    (counted().map(|&b| i128::from(b)).sum(), counted().map(|&b| i128::from(b as i8)).sum())
}

/// A numeric field: octal between blanks, or GNU's base-256 (first bit set, two's complement). An empty
/// field is 0; nonsense is `None`.
pub(crate) fn number(field: &[u8]) -> Option<i128> {
    if field[0] & 0x80 != 0 { base256(field) } else { octal(field) }
}

fn base256(field: &[u8]) -> Option<i128> {
    // The first byte's high bit is the marker, the next one the sign.
    let first = i128::from(field[0] & 0x7f);
    let start = if first & 0x40 != 0 { first - 0x80 } else { first };
    let value = field[1..].iter().try_fold(start, |n, &b| n.checked_mul(256)?.checked_add(i128::from(b)))?;
    i64::try_from(value).ok().map(i128::from)
}

fn octal(field: &[u8]) -> Option<i128> {
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0, |n, &b| matches!(b, b'0'..=b'7').then(|| n * 8 + i128::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"00006x4\0"), None);
        assert_eq!(number(b"\x80\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff"), Some(-1));
        assert_eq!(number(b"\x80\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    #[test]
    fn a_wrong_checksum_is_corrupt() {
        let mut block = [0; BLOCK];
        block[..4].copy_from_slice(b"name");
        block[148..156].copy_from_slice(b"000001\0 ");
        assert!(Header::new(&block, b"last").is_err());
    }
}

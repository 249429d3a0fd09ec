//! PAX extended header records (POSIX.1-2001 pax, "Extended Header File Format").

use crate::error::{Result, corrupt};

/// The records of one extended header: `(keyword, value)` in order. A keyword may repeat
/// (`GNU.sparse.offset` does); otherwise the last one counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// Adds the records in `bytes`: `LENGTH KEYWORD=VALUE\n`, where LENGTH counts the whole record.
    pub(crate) fn parse(&mut self, mut bytes: &[u8], after: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let Some((record, rest)) = split(bytes) else {
                return corrupt("read pax header after", after, "malformed record");
            };
            self.0.push((record.0.to_vec(), record.1.to_vec()));
            bytes = rest;
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// Later records of the same keyword replace earlier ones: what repeated global headers mean.
    pub(crate) fn settle(&mut self) {
        let mut kept: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for record in self.0.drain(..) {
            kept.retain(|(key, _)| *key != record.0);
            kept.push(record);
        }
        self.0 = kept;
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let blank = bytes.iter().take(20).position(|&b| b == b' ')?;
    let len = usize::try_from(decimal(&bytes[..blank])?).ok()?;
    let record = bytes.get(blank + 1..len)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=').filter(|&at| at > 0)?;
    Some(((&record[..equals], &record[equals + 1..]), &bytes[len..]))
}

/// An unsigned decimal number.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A time: `[-]SECONDS[.FRACTION]` as seconds and nanoseconds, the latter never negative.
pub(crate) fn time(value: &[u8]) -> Option<(i64, u32)> {
    let (negative, value) = value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest));
    let dot = value.iter().position(|&b| b == b'.').unwrap_or(value.len());
    let seconds = i64::try_from(decimal(&value[..dot])?).ok()?;
    let nanos = fraction(value.get(dot + 1..).unwrap_or(b""))?;
    Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

/// The first nine digits after the point; more precision than the kernel has is cut.
fn fraction(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at| u32::from(digits.get(at).unwrap_or(&b'0') - b'0');
    Some((0..9).fold(0, |n, at| n * 10 + digit(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut records = Records::default();
        records.parse(bytes, b"").ok().map(|()| records.0)
    }

    #[test]
    fn records_hold_any_bytes() {
        assert_eq!(parse(b"9 a=b\n\0\n\n").unwrap(), [(b"a".to_vec(), b"b\n\0\n".to_vec())]);
        assert_eq!(parse(b"6 a=b\n5 c=\n").unwrap().len(), 2);
        for broken in [
            b"7 a=b\n".as_slice(),
            b"6 a=bc",
            b"x a=b\n",
            b"5 =b\n",
            b"0 a=b\n",
            b"99999999999999999999 a=b\n",
        ] {
            assert!(parse(broken).is_none(), "{broken:?}");
        }
    }

    #[test]
    fn times_have_nanoseconds_and_may_lie_before_1970() {
        assert_eq!(time(b"1"), Some((1, 0)));
        assert_eq!(time(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"1.0000000019"), Some((1, 1)));
        assert_eq!(time(b"1.x"), None);
        assert_eq!(time(b""), None);
    }
}

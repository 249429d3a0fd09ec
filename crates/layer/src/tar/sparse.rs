//! Maps of sparse files: GNU's old format and the PAX formats 0.0, 0.1 and 1.0.

use super::header::number;
use super::pax::decimal;

/// A run of data in a sparse file; the rest is holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Bytes from the file's start.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// Segments of an old GNU header or extension block: pairs of 12-byte numbers, ended by an empty one.
pub(crate) fn old(field: &[u8], map: &mut Vec<Segment>) -> Option<()> {
    for pair in field.chunks_exact(24).take_while(|pair| pair[0] != 0) {
        let offset = u64::try_from(number(&pair[..12])?).ok()?;
        let len = u64::try_from(number(&pair[12..])?).ok()?;
        map.push(Segment { offset, len });
    }
    Some(())
}

/// Format 0.1: `offset,length,offset,length,…`
pub(crate) fn list(value: &[u8], most: usize) -> Option<Vec<Segment>> {
    let numbers: Vec<u64> =
        value.split(|&b| b == b',').take(most.saturating_mul(2) + 2).map(decimal).collect::<Option<_>>()?;
    pairs(&numbers)
}

/// Pairs of numbers as segments; an odd one out is nonsense.
pub(crate) fn pairs(numbers: &[u64]) -> Option<Vec<Segment>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|&[offset, len]| Segment { offset, len }).collect())
}

/// Whether the segments ascend without overlap inside `size` bytes and hold `stored` bytes together.
pub(crate) fn is_sound(map: &[Segment], size: u64, stored: u64) -> bool {
    let mut end = 0;
    let mut total = 0u64;
    for segment in map {
        let Some(next) = segment.offset.checked_add(segment.len) else { return false };
        if segment.offset < end || next > size {
            return false;
        }
        end = next;
        total += segment.len;
    }
    total == stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_overlaps_or_lies_about_its_data_is_refused() {
        let map = |pairs: &[(u64, u64)]| -> Vec<Segment> {
            pairs.iter().map(|&(offset, len)| Segment { offset, len }).collect()
        };
        assert!(is_sound(&map(&[(0, 5), (10, 5), (20, 0)]), 20, 10));
        assert!(!is_sound(&map(&[(0, 5), (4, 5)]), 20, 10), "overlap");
        assert!(!is_sound(&map(&[(10, 5), (0, 5)]), 20, 10), "order");
        assert!(!is_sound(&map(&[(0, 5), (18, 5)]), 20, 10), "beyond the end");
        assert!(!is_sound(&map(&[(u64::MAX, 5)]), u64::MAX, 5), "overflow");
        assert!(!is_sound(&map(&[(0, 5)]), 20, 6), "stored");
    }

    #[test]
    fn a_list_has_an_even_count() {
        assert_eq!(
            list(b"1,2,30,4", 9).unwrap(),
            [Segment { offset: 1, len: 2 }, Segment { offset: 30, len: 4 }]
        );
        assert!(list(b"1,2,3", 9).is_none());
        assert!(list(b"1,-2", 9).is_none());
    }
}

//! Maps of sparse files that do not fit, and files that are nothing but holes.

use super::Case;
use super::tar::{Header, IS_EXTENDED, REAL_SIZE, SPARSE, Tar};

/// GNU's old format: segments as offset and length.
fn old(real: i128, segments: &[(i128, i128)], data: &[u8]) -> Header {
    let header =
        Header::new(b'S', "f").set(257..265, b"ustar  \0").size(data.len() as u64).binary(REAL_SIZE, real);
    segments.iter().enumerate().fold(header, |header, (n, (offset, length))| {
        let at = SPARSE.start + 24 * n;
        header.binary(at..at + 12, *offset).binary(at + 12..at + 24, *length)
    })
}

fn of_old(real: i128, segments: &[(i128, i128)], data: &[u8]) -> Vec<u8> {
    Tar::new().member(old(real, segments, data), data).end()
}

/// PAX format 0.1.
fn listed(real: &[u8], map: &[u8], data: &[u8]) -> Vec<u8> {
    Tar::new().pax(&[("GNU.sparse.size", real), ("GNU.sparse.map", map)]).file("f", data).end()
}

/// PAX format 1.0, whose map is in the data.
fn mapped(real: &[u8], map: &[u8], data: &[u8]) -> Vec<u8> {
    let mut whole = map.to_vec();
    whole.resize(map.len().next_multiple_of(512), 0);
    whole.extend_from_slice(data);
    let version: [(&str, &[u8]); 3] =
        [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", real)];
    Tar::new().pax(&version).file("f", &whole).end()
}

const UNSOUND: &str = "its sparse map does not fit its data";

pub(super) const CASES: &[Case] = &[
    Case::tree("an old sparse file", &["644 f f =a\\x00\\x00\\x00b\\x00"], || {
        of_old(6, &[(0, 1), (4, 1)], b"ab")
    }),
    Case::refused("segments that overlap", UNSOUND, || of_old(10, &[(0, 3), (2, 3)], b"abcdef")),
    Case::refused("segments out of order", UNSOUND, || of_old(10, &[(5, 1), (0, 1)], b"ab")),
    Case::refused("a segment beyond the end", UNSOUND, || of_old(3, &[(2, 2)], b"ab")),
    Case::refused("a segment that wraps", "", || of_old(10, &[(i128::from(i64::MAX), 5)], b"abcde")),
    Case::refused("a segment below zero", "not a number", || of_old(10, &[(-5, 5)], b"abcde")),
    Case::refused("more data than segments", UNSOUND, || of_old(10, &[(0, 1)], b"ab")),
    Case::refused("more segments than data", UNSOUND, || of_old(10, &[(0, 4)], b"ab")),
    Case::refused("a real size below zero", "real size is not a number", || of_old(-1, &[(0, 1)], b"a")),
    Case::refused("a hole of four exabytes", "bytes in total", || of_old(1 << 62, &[(0, 1)], b"a")),
    Case::refused("a map that never ends", "segments in a sparse file", || {
        let header = old(1 << 30, &[(0, 0)], b"").set(IS_EXTENDED..IS_EXTENDED + 1, &[1]);
        let mut block = [0; 512];
        (0..21).for_each(|n| block[24 * n..24 * n + 24].copy_from_slice(b"00000000000\x0000000000000\0"));
        block[504] = 1;
        Tar::new().member(header, b"").raw(&block.repeat(13_000)).end()
    }),
    Case::refused("a map that is cut", "ends", || {
        let header = old(1 << 30, &[(0, 0)], b"").set(IS_EXTENDED..IS_EXTENDED + 1, &[1]);
        Tar::new().member(header, b"").open()
    }),
    Case::tree("a list of segments", &["644 f f =a\\x00\\x00b"], || listed(b"4", b"0,1,3,1", b"ab")),
    Case::refused("an odd list", "GNU.sparse.map", || listed(b"4", b"0,1,3", b"ab")),
    Case::refused("a list of words", "GNU.sparse.map", || listed(b"4", b"zero,one", b"ab")),
    Case::refused("a list that overlaps", UNSOUND, || listed(b"9", b"0,5,3,5", &[b'x'; 10])),
    Case::tree("a list of 200,000 segments of nothing", &["644 f f #300000"], || {
        listed(b"300000", b"0,0,".repeat(200_000).strip_suffix(b",").unwrap_or_default(), b"")
    }),
    Case::refused("an offset without a length", "", || {
        let records: [(&str, &[u8]); 3] =
            [("GNU.sparse.size", b"9"), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.offset", b"5")];
        Tar::new().pax(&records).file("f", b"1").end()
    }),
    Case::tree("a map in the data", &["644 f f =a\\x00\\x00b"], || mapped(b"4", b"2\n0\n1\n3\n1\n", b"ab")),
    Case::refused("a map of 2^60 segments", "segments in a sparse file", || {
        mapped(b"4", b"1152921504606846976\n", b"")
    }),
    Case::refused("a map longer than the data", "not a number", || mapped(b"4", b"100\n0\n1\n", b"")),
    Case::refused("a map of words", "not a number", || mapped(b"4", b"two\n", b"ab")),
    Case::refused("a map of no lines", "not a number", || mapped(b"4", &[b'1'; 512], b"ab")),
    Case::refused("a map that overlaps", UNSOUND, || mapped(b"4", b"2\n0\n2\n1\n2\n", b"abcd")),
    Case::refused("a format of tomorrow", "later than 1.0", || {
        Tar::new().pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.size", b"1")]).file("f", b"1").end()
    }),
    Case::tree("the name of a sparse file leads out", &["644 f victim =a"], || {
        let records: [(&str, &[u8]); 3] =
            [("GNU.sparse.name", b"../../victim"), ("GNU.sparse.size", b"1"), ("GNU.sparse.map", b"0,1")];
        Tar::new().pax(&records).file("f", b"a").end()
    }),
    Case::refused("many files of many holes", "bytes in total", || {
        (0..40).fold(Tar::new(), |tar, _| tar.member(old(1 << 35, &[(0, 1)], b"a"), b"a")).end()
    }),
];

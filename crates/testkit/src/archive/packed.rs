//! Compressed layers: bombs, windows, streams that are cut, damaged, or not what they seem.

use super::Case;
use super::tar::{Header, Tar};
use std::io::{Read, Write};

fn small() -> Vec<u8> {
    Tar::new().file("f", b"1").end()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).and_then(|()| out.finish()).expect("memory takes all")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory takes all")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bzip2::read::BzEncoder::new(bytes, bzip2::Compression::best())
        .read_to_end(&mut out)
        .expect("memory gives all");
    out
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    liblzma::encode_all(bytes, 0).expect("memory takes all")
}

/// A file of zeros, of so many MiB.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let size = mebibytes << 20;
    let mut tar = Tar::new().member(Header::new(b'0', "zeros").size(size as u64), b"").open();
    tar.resize(tar.len() + size + 1024, 0);
    tar
}

fn cut(mut bytes: Vec<u8>, by: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - by);
    bytes
}

fn flipped(mut bytes: Vec<u8>, from_end: usize) -> Vec<u8> {
    let at = bytes.len() - from_end;
    bytes[at] ^= 0x55;
    bytes
}

/// A zstd frame whose window is 2^41 bytes: descriptor, window, and one raw block of one byte.
const ZSTD_WINDOW: [u8; 10] = [0x28, 0xb5, 0x2f, 0xfd, 0x04, 0xf8, 0x09, 0, 0, 0x61];

pub(super) const CASES: &[Case] = &[
    Case::refused("a gzip bomb", "ratio", || gzip(&zeros(120))),
    Case::refused("a zstd bomb", "ratio", || zstd(&zeros(120))),
    Case::refused("a bzip2 bomb", "ratio", || bzip2(&zeros(120))),
    Case::refused("an xz bomb", "ratio", || xz(&zeros(120))),
    Case::refused("a bomb within a bomb", "checksum", || gzip(&gzip(&zeros(20)))),
    Case::refused("gzip, cut", "deflate", || cut(gzip(&small()), 9)),
    Case::refused("zstd, cut", "", || cut(zstd(&small()), 5)),
    Case::refused("bzip2, cut", "", || cut(bzip2(&small()), 5)),
    Case::refused("xz, cut", "", || cut(xz(&small()), 5)),
    Case::refused("a gzip header alone", "", || vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]),
    Case::refused("gzip with a wrong sum", "", || flipped(gzip(&small()), 6)),
    Case::refused("gzip with a wrong length", "", || flipped(gzip(&small()), 1)),
    Case::refused("xz with a wrong sum", "", || flipped(xz(&small()), 3)),
    Case::refused("bzip2 with a wrong sum", "", || flipped(bzip2(&small()), 2)),
    Case::refused("gzip with garbage behind", "", || [gzip(&small()), b"garbage behind".to_vec()].concat()),
    Case::refused("zstd with garbage behind", "", || [zstd(&small()), b"garbage behind".to_vec()].concat()),
    Case::refused("xz with garbage behind", "", || [xz(&small()), b"garbage behind".to_vec()].concat()),
    Case::refused("bzip2 with garbage behind", "", || [bzip2(&small()), b"garbage behind".to_vec()].concat()),
    Case::tree("gzip in two members", &["644 f f =1"], || {
        let (one, two) = small().split_at(700).to_owned_pair();
        [gzip(&one), gzip(&two)].concat()
    }),
    Case::tree("zstd in two frames, one to be skipped between", &["644 f f =1"], || {
        let (one, two) = small().split_at(700).to_owned_pair();
        [zstd(&one), b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec(), zstd(&two)].concat()
    }),
    Case::tree("two archives in two members: the second is none", &["644 f f =1"], || {
        [gzip(&small()), gzip(&Tar::new().file("../victim", b"bad").end())].concat()
    }),
    Case::refused("a zstd window of two terabytes", "", || ZSTD_WINDOW.to_vec()),
    Case::refused("a zstd frame of another's dictionary", "", || {
        vec![0x28, 0xb5, 0x2f, 0xfd, 0x23, 0x78, 0x56, 0x34, 0x12, 0x01, 0x09, 0, 0, 0x61]
    }),
    Case::refused("an xz dictionary of a gigabyte and a half", "decoder_memory", || {
        let mut filters = liblzma::stream::Filters::new();
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).expect("preset 0 is there");
        options.dict_size(256 << 20);
        filters.lzma2(&options);
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32);
        let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream.expect("memory for a window"));
        out.write_all(&small()).and_then(|()| out.finish()).expect("memory takes all")
    }),
    Case::refused("a compression that no layer has (lz4)", "checksum", || {
        [b"\x04\x22\x4d\x18\x64\x40\xa7".to_vec(), vec![0; 600]].concat()
    }),
    Case::refused("a compression that no layer has (lzip)", "checksum", || {
        [b"LZIP\x01\x0c".to_vec(), vec![1; 600]].concat()
    }),
];

trait Owned {
    fn to_owned_pair(self) -> (Vec<u8>, Vec<u8>);
}

impl Owned for (&[u8], &[u8]) {
    fn to_owned_pair(self) -> (Vec<u8>, Vec<u8>) {
        (self.0.to_vec(), self.1.to_vec())
    }
}

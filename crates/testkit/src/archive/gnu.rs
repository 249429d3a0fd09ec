//! GNU's long names.

use super::Case;
use super::tar::{Header, SIZE, Tar};

pub(super) const CASES: &[Case] = &[
    Case::tree("a long name leads out", &["644 f victim =1"], || {
        Tar::new().long(b'L', b"../../victim").file("x", b"1").end()
    }),
    Case::tree("the last of many long names counts", &["644 f n99 =1"], || {
        let names = (0..100).fold(Tar::new(), |tar, n| tar.long(b'L', format!("n{n}").as_bytes()));
        names.file("x", b"1").end()
    }),
    Case::tree("a long name without NUL", &["644 f name =1"], || {
        Tar::new().sized(Header::new(b'L', "././@LongLink"), b"name").file("x", b"1").end()
    }),
    Case::tree("a long name of no bytes is none", &["644 f x =1"], || {
        Tar::new().member(Header::new(b'L', "././@LongLink"), b"").file("x", b"1").end()
    }),
    Case::tree("a record has a say before a long name", &["644 f record =1"], || {
        Tar::new().long(b'L', b"gnu").pax(&[("path", b"record")]).file("x", b"1").end()
    }),
    Case::refused("a long name for nothing", "ends", || Tar::new().long(b'L', b"name").end()),
    Case::refused("a long name of 5000 bytes", "name_len", || {
        Tar::new().long(b'L', &b"abcd/".repeat(1000)).file("x", b"1").end()
    }),
    Case::refused("a long name of a terabyte", "extensions to one entry", || {
        Tar::new().member(Header::new(b'L', "././@LongLink").binary(SIZE, 1 << 40), b"").end()
    }),
    Case::refused("a long name of less than nothing", "size is not a number", || {
        Tar::new().member(Header::new(b'L', "././@LongLink").binary(SIZE, -1), b"").end()
    }),
    Case::tree("a long target", &["l l -> /var/tmp/hull-canary"], || {
        Tar::new().long(b'K', super::CANARY.as_bytes()).symlink("l", "x").end()
    }),
    Case::tree("a long target of no link", &["644 f f =1"], || {
        Tar::new().long(b'K', b"target").file("f", b"1").end()
    }),
    Case::refused("a volume of several", "type `M`", || {
        Tar::new().member(Header::new(b'V', "label"), b"").member(Header::new(b'M', "rest"), b"").end()
    }),
    Case::refused("a dump of names", "type `D`", || {
        Tar::new().sized(Header::new(b'D', "d"), b"Yname\0\0").end()
    }),
];

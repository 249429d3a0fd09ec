//! Names that lead elsewhere, are no names, or have no end.

use super::tar::{Header, Tar};
use super::{CANARY, Case};

/// Through more parents than there are.
fn above(rest: &str) -> String {
    format!("{}{}", "../".repeat(12), rest)
}

/// A name longer than a header holds.
fn long(name: &[u8]) -> Vec<u8> {
    Tar::new().pax(&[("path", name)]).file("x", b"1").end()
}

pub(super) const CASES: &[Case] = &[
    Case::tree("a name leads to the parent", &["644 f victim =bad"], || {
        Tar::new().file("../victim", b"bad").end()
    }),
    Case::tree(
        "a name leads far above the root",
        &["755 d var", "755 d var/tmp", "755 d var/tmp/hull-canary", "644 f var/tmp/hull-canary/victim =bad"],
        || Tar::new().file(above("var/tmp/hull-canary/victim"), b"bad").end(),
    ),
    Case::tree("a name leads up within", &["644 f x =bad"], || {
        Tar::new().file("a/b/../../../x", b"bad").end()
    }),
    Case::tree(
        "an absolute name",
        &["755 d var", "755 d var/tmp", "755 d var/tmp/hull-canary", "644 f var/tmp/hull-canary/victim =bad"],
        || Tar::new().file(format!("{CANARY}/victim"), b"bad").end(),
    ),
    Case::tree("slashes and dots without need", &["755 d a", "644 f a/b =1"], || {
        Tar::new().file(".//a/.//./b", b"1").end()
    }),
    Case::tree("the parent of the root as a directory is the root", &["711 d ."], || {
        Tar::new().member(Header::new(b'5', "..").mode(0o711), b"").end()
    }),
    Case::refused("the root is a file", "the root is not a directory", || Tar::new().file("./", b"1").end()),
    Case::refused("the root is a link", "the root is not a directory", || {
        Tar::new().symlink(".", CANARY).end()
    }),
    Case::refused("the root is a device", "the root is not a directory", || {
        Tar::new().member(Header::new(b'4', "/"), b"").end()
    }),
    Case::refused("no name at all", "a name that is empty", || Tar::new().file("", b"1").end()),
    Case::tree("control characters in a name", &["644 f \\x1b[2J\\n\\x07 =1"], || {
        Tar::new().file("\x1b[2J\n\x07", b"1").end()
    }),
    Case::refused("control characters in a name that is told", "\\u{1b}[2J", || {
        Tar::new().file("\x1b[2J", b"1").file("\x1b[2J/f", b"1").end()
    }),
    Case::tree("a name that is no text", &["644 f \\xff\\xfe =1"], || {
        Tar::new().file([0xff, 0xfe], b"1").end()
    }),
    Case::tree("a backslash is no slash", &["644 f ..\\\\victim =1"], || {
        Tar::new().file("..\\victim", b"1").end()
    }),
    Case::refused("a component of 256 bytes", "File name too long", || long(&[b'n'; 256])),
    Case::taken("a component of 255 bytes", || long(&[b'n'; 255])),
    Case::refused("a name of 4097 bytes", "name_len", || long(&b"abcdefg/".repeat(513))),
    Case::refused("a name of a megabyte", "extensions to one entry", || long(&b"a/".repeat(1 << 19))),
    Case::taken("a path of 2000 directories", || long(&b"a/".repeat(2000))),
    Case::refused("ten thousand directories deep", "name_len", || long(&b"a/".repeat(10_000))),
    Case::refused("ten thousand directories deep by way of links", "depth", || {
        let deep = b"a/".repeat(1200);
        let link = Tar::new().pax(&[("path", &deep)]).dir("x").pax(&[("linkpath", &deep)]).symlink("l", "x");
        link.pax(&[("path", &[b"l/", deep.as_slice()].concat())]).dir("x").end()
    }),
    Case::tree("a slash behind the name of a file", &["644 f f =1"], || Tar::new().file("f/", b"1").end()),
    Case::tree("ustar's prefix leads out", &["644 f victim =1"], || {
        Tar::new().sized(Header::new(b'0', "victim").set(345..500, b"../.."), b"1").end()
    }),
];

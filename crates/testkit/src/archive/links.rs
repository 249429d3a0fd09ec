//! Links that lead out, round in circles, or are exchanged for something else.

use super::tar::{Header, Tar};
use super::{CANARY, Case};

const CANARY_INSIDE: &[&str] = &[
    "l l -> /var/tmp/hull-canary",
    "755 d var",
    "755 d var/tmp",
    "755 d var/tmp/hull-canary",
    "644 f var/tmp/hull-canary/victim =bad",
];

pub(super) const CASES: &[Case] = &[
    Case::tree("a file through an absolute link", CANARY_INSIDE, || {
        Tar::new().symlink("l", CANARY).file("l/victim", b"bad").end()
    }),
    Case::tree(
        "a file through a link upwards",
        &[
            "l l -> ../../../../../../var/tmp/hull-canary",
            "755 d var",
            "755 d var/tmp",
            "755 d var/tmp/hull-canary",
            "644 f var/tmp/hull-canary/victim =bad",
        ],
        || Tar::new().symlink("l", format!("../../../../../..{CANARY}")).file("l/victim", b"bad").end(),
    ),
    Case::tree(
        "a file through a magic link",
        &[
            "l l -> /proc/self/cwd",
            "755 d proc",
            "755 d proc/self",
            "755 d proc/self/cwd",
            "644 f proc/self/cwd/victim =bad",
        ],
        || Tar::new().symlink("l", "/proc/self/cwd").file("l/victim", b"bad").end(),
    ),
    Case::tree("a link in a directory that is exchanged for a link", CANARY_INSIDE, || {
        Tar::new().dir("l").file("l/f", b"1").symlink("l", CANARY).file("l/victim", b"bad").end()
    }),
    Case::tree("a directory of a link's name replaces it", &["700 d l"], || {
        Tar::new().symlink("l", CANARY).member(Header::new(b'5', "l").mode(0o700), b"").end()
    }),
    Case::tree("a file over a link replaces it", &["644 f l =bad"], || {
        Tar::new().symlink("l", format!("{CANARY}/victim")).file("l", b"bad").end()
    }),
    Case::tree("a device over a link replaces it", &["644 p l"], || {
        Tar::new().symlink("l", format!("{CANARY}/victim")).member(Header::new(b'6', "l"), b"").end()
    }),
    Case::tree("set-id bits for a link's target", &["l l -> /var/tmp/hull-canary/victim"], || {
        let link = Header::new(b'2', "l").mode(0o6777).link(format!("{CANARY}/victim"));
        Tar::new().member(link, b"").end()
    }),
    Case::refused("links in a circle", "follow links", || {
        Tar::new().symlink("a", "b").symlink("b", "a").file("a/f", b"1").end()
    }),
    Case::refused("a link to itself, followed", "follow links", || {
        Tar::new().symlink("a", "a/a").file("a/f", b"1").end()
    }),
    Case::refused("a chain of a hundred links", "follow links", || {
        let chain = (0..100).fold(Tar::new(), |tar, n| tar.symlink(format!("l{n}"), format!("l{}", n + 1)));
        chain.dir("l100").file("l0/f", b"1").end()
    }),
    Case::refused("a link without a target", "", || Tar::new().symlink("l", "").end()),
    Case::refused("a target of 5000 bytes", "name_len", || {
        Tar::new().pax(&[("linkpath", &[b'x'; 5000])]).symlink("l", "x").end()
    }),
    Case::refused("a file below a file", "not a directory", || {
        Tar::new().file("a", b"1").file("a/f", b"2").end()
    }),
    Case::refused("a file below a link to a file", "not a directory", || {
        Tar::new().file("a", b"1").symlink("l", "a").file("l/f", b"2").end()
    }),
    Case::refused("a hard link to a file of the host", "var/tmp/hull-canary/victim", || {
        Tar::new().hard("h", format!("{CANARY}/victim")).end()
    }),
    Case::refused("a hard link upwards", "var/tmp/hull-canary/victim", || {
        Tar::new().hard("h", format!("../../../../../..{CANARY}/victim")).end()
    }),
    Case::refused("a hard link through a link", "l/victim", || {
        Tar::new().symlink("l", CANARY).hard("h", "l/victim").end()
    }),
    Case::tree(
        "a hard link to a link, written to",
        &["644 f h =bad", "l l -> /var/tmp/hull-canary/victim"],
        || Tar::new().symlink("l", format!("{CANARY}/victim")).hard("h", "l").file("h", b"bad").end(),
    ),
    Case::refused("a hard link to a directory", "its target is a directory", || {
        Tar::new().dir("d").hard("h", "d").end()
    }),
    Case::refused("a hard link to itself", "a hard link to itself", || {
        Tar::new().file("f", b"1").hard("f", "f").end()
    }),
    Case::refused("a hard link to the root", "in no layer", || Tar::new().hard("h", "/").end()),
    Case::refused("hard links to each other", "", || Tar::new().hard("a", "b").hard("b", "a").end()),
    Case::tree("a hard link over a directory with files", &["644 f d x2 =1", "644 f f x2 =1"], || {
        Tar::new().file("f", b"1").dir("d").file("d/g", b"2").hard("d", "f").end()
    }),
    Case::refused("a hard link to what is in a directory that it replaces", "", || {
        Tar::new().dir("d").file("d/f", b"1").hard("d", "d/f").end()
    }),
    Case::tree("a hard link to a device", &["644 c a x2 1:3", "644 c b x2 1:3"], || {
        let null = Header::new(b'3', "a").number(super::tar::MAJOR, 1).number(337..345, 3);
        Tar::new().member(null, b"").hard("b", "a").end()
    }),
    Case::tree("a file replaces one name of two", &["644 f a =2", "644 f b =1"], || {
        Tar::new().file("a", b"1").hard("b", "a").file("a", b"2").end()
    }),
];

//! Whiteouts of what they must not reach, at the wrong place, in the wrong shape.

use super::tar::{Header, Tar};
use super::{CANARY, Case};

pub(super) const CASES: &[Case] = &[
    Case::tree("a whiteout", &["w x"], || Tar::new().file(".wh.x", b"").end()),
    Case::refused("a whiteout of the directory itself", "not the name of a whiteout", || {
        Tar::new().file("d/.wh..", b"").end()
    }),
    Case::refused("a whiteout of the parent", "not the name of a whiteout", || {
        Tar::new().file("d/.wh...", b"").end()
    }),
    Case::refused("a whiteout of nothing", "not the name of a whiteout", || {
        Tar::new().file(".wh.", b"").end()
    }),
    Case::refused("a file below a whiteout", "not the name of a whiteout", || {
        Tar::new().file(".wh.d/f", b"1").end()
    }),
    Case::tree(
        "a whiteout through a link",
        &[
            "l l -> /var/tmp/hull-canary",
            "755 d var",
            "755 d var/tmp",
            "755 d var/tmp/hull-canary",
            "w var/tmp/hull-canary/victim",
        ],
        || Tar::new().symlink("l", CANARY).file("l/.wh.victim", b"").end(),
    ),
    Case::tree("a whiteout through parents", &["w victim"], || {
        Tar::new().file("../../.wh.victim", b"").end()
    }),
    Case::tree("a whiteout with data and rights", &["w x"], || {
        Tar::new().sized(Header::new(b'0', ".wh.x").mode(0o6777), b"data").end()
    }),
    Case::tree("a whiteout that is a directory", &["w x"], || Tar::new().dir(".wh.x").end()),
    Case::tree("a whiteout that is a link", &["w x"], || Tar::new().symlink(".wh.x", CANARY).end()),
    Case::tree("a whiteout that is a hard link", &["644 f f =1", "w x"], || {
        Tar::new().file("f", b"1").hard(".wh.x", "f").end()
    }),
    Case::refused("a hard link to a whiteout", "", || Tar::new().file(".wh.x", b"").hard("h", "x").end()),
    Case::tree("a whiteout of this layer's own file, before it", &["644 f x =1"], || {
        Tar::new().file(".wh.x", b"").file("x", b"1").end()
    }),
    Case::tree("a whiteout of this layer's own file, behind it", &["644 f x =1"], || {
        Tar::new().file("x", b"1").file(".wh.x", b"").end()
    }),
    Case::tree("a whiteout of this layer's own directory", &["755 d! x", "644 f x/f =1"], || {
        Tar::new().dir("x").file("x/f", b"1").file(".wh.x", b"").end()
    }),
    Case::tree("the root is opaque", &["755 d! ."], || Tar::new().file(".wh..wh..opq", b"").end()),
    Case::tree("opaque before the directory is there", &["700 d! d"], || {
        Tar::new().file("d/.wh..wh..opq", b"").member(Header::new(b'5', "d").mode(0o700), b"").end()
    }),
    Case::tree("opaque behind a directory's own files", &["755 d! d", "644 f d/f =1"], || {
        Tar::new().dir("d").file("d/f", b"1").file("d/.wh..wh..opq", b"").end()
    }),
    Case::refused("opaque of a file", "not a directory", || {
        Tar::new().file("f", b"1").file("f/.wh..wh..opq", b"").end()
    }),
    Case::tree("opaque as a directory", &["755 d! d"], || Tar::new().dir("d/.wh..wh..opq").end()),
    Case::tree(
        "opaque through a link",
        &["l l -> /var/tmp/hull-canary", "755 d var", "755 d var/tmp", "755 d! var/tmp/hull-canary"],
        || Tar::new().symlink("l", CANARY).file("l/.wh..wh..opq", b"").end(),
    ),
    Case::tree("aufs's own files are none", &["644 f f =1", "644 f g =1"], || {
        let own = Tar::new().dir(".wh..wh.plnk").file(".wh..wh.plnk/1.2", b"x").file(".wh..wh.aufs", b"");
        own.hard("g", "f")
            .file("f", b"1")
            .file("g", b"1")
            .file(".wh..wh.orph/x", b"")
            .file("f", b"1")
            .file(".wh.g", b"")
            .end()
    }),
    Case::tree("a name of a whiteout that PAX gives", &["w etc"], || {
        Tar::new().pax(&[("path", b".wh.etc")]).file("harmless", b"").end()
    }),
    Case::refused("a whiteout of a name too long", "File name too long", || {
        Tar::new().pax(&[("path", &[b".wh.".as_slice(), &[b'n'; 256]].concat())]).file("x", b"").end()
    }),
];

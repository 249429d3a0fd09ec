//! Records of extended headers: lengths that lie, sizes that two readers read two ways, attributes nobody may bring.

use super::Case;
use super::tar::{Header, Tar, record};

fn with(records: &[(&str, &[u8])]) -> Vec<u8> {
    Tar::new().pax(records).file("f", b"1").end()
}

fn raw(records: &[u8]) -> Vec<u8> {
    Tar::new().records(b'x', records).file("f", b"1").end()
}

/// An archive within the data of a member.
fn smuggled() -> Vec<u8> {
    Tar::new().file("smuggled", b"bad").open()
}

pub(super) const CASES: &[Case] = &[
    Case::tree(
        "CVE-2025-62518: the size is the record's, the header says none",
        &["644 f f #1024", "644 f g =2"],
        || {
            let data = smuggled();
            let size = data.len().to_string();
            let outer =
                Tar::new().pax(&[("size", size.as_bytes())]).member(Header::new(b'0', "f").size(0), &data);
            outer.file("g", b"2").end()
        },
    ),
    Case::tree(
        "the size is the record's, the header says more",
        &["644 f f =", "644 f smuggled =bad"],
        || Tar::new().pax(&[("size", b"0")]).sized(Header::new(b'0', "f"), &smuggled()).end(),
    ),
    Case::refused("a size below zero", "`size`", || with(&[("size", b"-1")])),
    Case::refused("a size that is no number", "`size`", || with(&[("size", b"1e3")])),
    Case::refused("a size beyond 2^63", "`size`", || with(&[("size", b"9223372036854775808")])),
    Case::refused("a size beyond 2^64", "`size`", || with(&[("size", b"18446744073709551616")])),
    Case::refused("a size beyond all bounds", "bytes in total", || with(&[("size", b"9223372036854775807")])),
    Case::refused("a size of a directory hides nothing", "", || {
        let inner = [b'x'; 512];
        Tar::new().pax(&[("size", b"512")]).member(Header::new(b'5', "d"), &inner).end()
    }),
    Case::refused("a record longer than it says", "malformed record", || raw(b"6 path=abc\n")),
    Case::refused("a record shorter than it says", "malformed record", || raw(b"99 path=abc\n")),
    Case::refused("a record of length 0", "malformed record", || raw(b"0 path=abc\n")),
    Case::refused("a record whose length overflows", "malformed record", || {
        raw(b"18446744073709551617 a=b\n")
    }),
    Case::refused("a record whose length is negative", "malformed record", || raw(b"-9 path=a\n")),
    Case::refused("a record without a length", "malformed record", || raw(b" path=abc\n")),
    Case::refused("a record without an end", "malformed record", || raw(b"11 path=abc")),
    Case::refused("a record without a value", "malformed record", || raw(b"11 pathabc\n")),
    Case::refused("a record without a key", "malformed record", || raw(b"7 =abc\n")),
    Case::refused("a name with NUL", "NUL", || with(&[("path", b"a\0b")])),
    Case::refused("a target with NUL", "NUL", || {
        Tar::new().pax(&[("linkpath", b"a\0b")]).symlink("l", "x").end()
    }),
    Case::tree("an empty name is none", &["644 f f =1"], || with(&[("path", b"")])),
    Case::tree("a name that leads out", &["644 f victim =1"], || with(&[("path", b"../../victim")])),
    Case::tree("the last of two names counts", &["644 f b =1"], || with(&[("path", b"a"), ("path", b"b")])),
    Case::refused("an owner below zero", "`uid`", || with(&[("uid", b"-1")])),
    Case::refused("an owner beyond 32 bits", "`uid`", || with(&[("uid", b"4294967296")])),
    Case::refused("an owner that means `leave it`", "owner 4294967295", || with(&[("gid", b"4294967295")])),
    Case::refused("a time that is none", "`mtime`", || with(&[("mtime", b"nan")])),
    Case::refused("a time of twenty digits", "`mtime`", || with(&[("mtime", b"99999999999999999999")])),
    Case::refused("more than a megabyte of records", "extensions to one entry", || {
        with(&[("comment", &vec![b'x'; 1 << 20])])
    }),
    Case::refused("a header of records that claims a terabyte", "extensions to one entry", || {
        Tar::new().member(Header::new(b'x', "pax").binary(super::tar::SIZE, 1 << 40), b"").end()
    }),
    Case::tree("keys that nobody knows", &["644 f f =1"], || {
        with(&[("VENDOR.x", b"\xff\0\n"), ("hdrcharset", b"BINARY")])
    }),
    Case::refused("records for a member that never comes", "ends", || {
        Tar::new().pax(&[("path", b"f")]).end()
    }),
    Case::tree("records twice for one member", &["644 f b =1"], || {
        Tar::new().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("f", b"1").end()
    }),
    Case::refused("a hundred thousand headers of records", "", || {
        let one = Tar::new().pax(&[("comment", &[b'x'; 400])]).open();
        Tar::new().raw(&one.repeat(100_000)).end()
    }),
    Case::tree("a name for all members", &["644 f same =2"], || {
        Tar::new().global(&[("path", b"same")]).file("a", b"1").file("b", b"2").end()
    }),
    Case::refused("more than a megabyte for all members", "extensions", || {
        let key = |n: usize| format!("k{n}");
        (0..5)
            .fold(Tar::new(), |tar, n| tar.records(b'g', &record(&key(n), &vec![b'x'; 300_000])))
            .file("f", b"")
            .end()
    }),
    Case::tree("overlay's own attributes", &["755 d d", "644 f d/f =1", "644 f f =1"], || {
        let records: &[(&str, &[u8])] = &[
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.trusted.overlay.metacopy", b""),
            ("SCHILY.xattr.trusted.overlay.origin", b"\0\xfb"),
        ];
        Tar::new().pax(records).dir("d").pax(records).file("d/f", b"1").pax(records).file("f", b"1").end()
    }),
    Case::tree(
        "overlay's attributes of unprivileged mounts are only a user's",
        &["755 d d +user.overlay.opaque"],
        || Tar::new().pax(&[("SCHILY.xattr.user.overlay.opaque", b"y")]).dir("d").end(),
    ),
    Case::refused("a capability that is none", "security.capability", || {
        with(&[("SCHILY.xattr.security.capability", b"garbage")])
    }),
    Case::refused("an access list that is none", "system.posix_acl_access", || {
        with(&[("SCHILY.xattr.system.posix_acl_access", b"garbage")])
    }),
    Case::refused("an attribute of no name space", "extended attribute `nothing`", || {
        with(&[("SCHILY.xattr.nothing", b"1")])
    }),
    Case::refused("an attribute without a name", "extended attribute", || with(&[("SCHILY.xattr.", b"1")])),
    Case::refused("an attribute whose name has NUL", "extended attribute", || {
        with(&[("SCHILY.xattr.user.\0x", b"1")])
    }),
    Case::refused("an attribute whose name is too long", "extended attribute", || {
        with(&[(
            "SCHILY.xattr.user.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            b"1",
        )])
    }),
    Case::refused("an attribute of 100,000 bytes", "extended attribute", || {
        with(&[("SCHILY.xattr.user.large", &[b'x'; 100_000])])
    }),
];

//! Kinds of files, modes, and what comes twice.

use super::Case;
use super::tar::{Header, MAJOR, MODE, Tar};

fn device(flag: u8, name: &str, major: u64, minor: u64) -> Header {
    Header::new(flag, name).number(MAJOR, major).number(337..345, minor)
}

pub(super) const CASES: &[Case] = &[
    Case::tree("devices are what they say", &["644 b disk 8:0", "666 c mem 1:1"], || {
        let mem = device(b'3', "mem", 1, 1).mode(0o666);
        Tar::new().member(device(b'4', "disk", 8, 0), b"").member(mem, b"").end()
    }),
    Case::tree("a device 0:0 is overlay's whiteout", &["w etc"], || {
        Tar::new().member(device(b'3', "etc", 0, 0).mode(0), b"").end()
    }),
    Case::refused("a device number beyond 32 bits", "major is not a number or out of range", || {
        Tar::new().member(Header::new(b'3', "d").binary(MAJOR, 1 << 33), b"").end()
    }),
    Case::tree("a fifo", &["644 p fifo"], || Tar::new().member(Header::new(b'6', "fifo"), b"").end()),
    Case::refused("a socket", "type `s`", || Tar::new().member(Header::new(b's', "s"), b"").end()),
    Case::refused("a type nobody has", "type `M`", || Tar::new().member(Header::new(b'M', "m"), b"").end()),
    Case::refused("a type that is no character", "type `", || {
        Tar::new().member(Header::new(0x1b, "m"), b"").end()
    }),
    Case::tree("set-id bits stay within the layer", &["7755 f su =1"], || {
        Tar::new().sized(Header::new(b'0', "su").mode(0o7755), b"1").end()
    }),
    Case::tree("a set-group-id directory gives nothing on", &["2755 d d", "644 f d/f =1"], || {
        Tar::new().member(Header::new(b'5', "d").mode(0o2755), b"").file("d/f", b"1").end()
    }),
    Case::tree("bits above the permissions", &["7777 f f =1"], || {
        Tar::new().sized(Header::new(b'0', "f").number(MODE, 0o7_777_777), b"1").end()
    }),
    Case::tree("no permission at all", &["0 d d", "0 f d/f =1"], || {
        let dir = Tar::new().member(Header::new(b'5', "d").mode(0), b"");
        dir.sized(Header::new(b'0', "d/f").mode(0), b"1").end()
    }),
    Case::tree("the later of two counts", &["644 f f =22"], || {
        Tar::new().file("f", b"1").file("./f", b"22").end()
    }),
    Case::tree("a file becomes a directory", &["755 d f", "644 f f/g =2"], || {
        Tar::new().file("f", b"1").dir("f").file("f/g", b"2").end()
    }),
    Case::tree("a directory with files becomes a file", &["644 f d =2"], || {
        Tar::new().dir("d").file("d/a/b", b"1").file("d", b"2").end()
    }),
    Case::tree("to and fro", &["755 d d", "644 f d/c =3"], || {
        Tar::new().dir("d").file("d/a", b"1").file("d", b"2").dir("d").file("d/c", b"3").end()
    }),
    Case::tree("a directory behind its files", &["700 d d", "644 f d/f =1"], || {
        Tar::new().file("d/f", b"1").member(Header::new(b'5', "d").mode(0o700), b"").end()
    }),
    Case::tree("a directory twice", &["711 d d", "644 f d/f =1"], || {
        let dir = |mode| Header::new(b'5', "d").mode(mode);
        Tar::new().member(dir(0o700), b"").file("d/f", b"1").member(dir(0o711), b"").end()
    }),
    Case::refused("a directory with data", "checksum", || {
        Tar::new().sized(Header::new(b'5', "d"), &[b'x'; 600]).end()
    }),
    Case::tree("a hard link that repeats the size", &["644 f a x2 =1", "644 f b x2 =1"], || {
        Tar::new().file("a", b"1").member(Header::new(b'1', "b").link("a").size(1), b"").end()
    }),
    Case::tree("a member within a directory with a size", &["755 d d", "644 f hidden =1"], || {
        let inner = Tar::new().file("hidden", b"1").open();
        Tar::new().sized(Header::new(b'5', "d").mode(0o755), &inner).end()
    }),
];

//! Numbers of headers: nonsense, negative, without end; and sums.

use super::Case;
use super::tar::{GID, Header, MAGIC, MODE, MTIME, SIZE, SUM, Tar, UID};

fn file() -> Header {
    Header::new(b'0', "f")
}

fn one(header: Header) -> Vec<u8> {
    Tar::new().member(header, b"").end()
}

pub(super) const CASES: &[Case] = &[
    Case::refused("a mode that is no number", "mode is not a number", || one(file().set(MODE, b"rwxr-xr\0"))),
    Case::refused("a mode below zero", "mode is not a number or out of range", || {
        one(file().binary(MODE, -1))
    }),
    Case::refused("an owner that is no number", "uid is not a number", || one(file().set(UID, b"999999\0"))),
    Case::refused("an owner beyond 32 bits", "uid is not a number or out of range", || {
        one(file().binary(UID, 1 << 32))
    }),
    Case::refused("an owner below zero", "uid is not a number or out of range", || {
        one(file().binary(UID, -1))
    }),
    Case::refused("an owner that means `leave it`", "owner 4294967295", || {
        one(file().binary(UID, i128::from(u32::MAX)))
    }),
    Case::refused("a group that means `leave it`", "owner 4294967295", || {
        one(file().binary(GID, i128::from(u32::MAX)))
    }),
    Case::tree("the largest owner", &["644 f f = @4294967294:4294967294"], || {
        let most = i128::from(u32::MAX - 1);
        one(file().binary(UID, most).binary(GID, most))
    }),
    Case::refused("a size that is no number", "size is not a number", || {
        one(file().set(SIZE, b"12345678x\0"))
    }),
    Case::refused("a size in hexadecimal", "size is not a number", || one(file().set(SIZE, b"0x000000200"))),
    Case::refused("a size below zero", "size is not a number", || one(file().binary(SIZE, -512))),
    Case::refused("a size of 2^63", "size is not a number", || one(file().binary(SIZE, 1 << 63))),
    Case::refused("a size of 2^63 - 1", "bytes in total", || one(file().binary(SIZE, i128::from(i64::MAX)))),
    Case::refused("a size of 8 GiB in octal, and nothing", "", || one(file().set(SIZE, b"77777777777\0"))),
    Case::refused("a size that wraps when it is rounded up", "bytes in total", || {
        one(file().binary(SIZE, i128::from(i64::MAX) - 100))
    }),
    Case::refused("a time that is no number", "mtime is not a number", || {
        one(file().set(MTIME, b"yesterday\0"))
    }),
    Case::taken("a time at the end of time", || one(file().binary(MTIME, i128::from(i64::MAX)))),
    Case::taken("a time before the beginning", || one(file().binary(MTIME, i128::from(i64::MIN)))),
    Case::refused("a sum that is wrong", "checksum", || {
        Tar::new().raw(&file().set(SUM, b"012345\0 ").unsummed()).end()
    }),
    Case::refused("a sum that is blank", "checksum", || {
        Tar::new().raw(&file().set(SUM, b"        ").unsummed()).end()
    }),
    Case::tree("a sum of signed bytes", &["644 f \\xff ="], || {
        let mut block = Header::new(b'0', [0xff]).set(SUM, b"        ").unsummed();
        let sum: i32 = block.iter().map(|&byte| i32::from(byte as i8)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        Tar::new().raw(&block).end()
    }),
    Case::tree("no magic: the old format", &["644 f f ="], || one(file().set(MAGIC, &[0; 8]))),
    Case::tree("a magic of nobody's", &["644 f f ="], || one(file().set(MAGIC, b"nobody's"))),
    Case::refused("no archive at all", "checksum", || b"this is no archive at all ".repeat(100)),
    Case::refused("bytes 0xff without end", "checksum", || vec![0xff; 1 << 20]),
];

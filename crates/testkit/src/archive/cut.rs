//! Archives that end too early, too late, or not at all.

use super::Case;
use super::tar::{Header, Tar};

fn whole() -> Tar {
    Tar::new().pax(&[("mtime", b"1.5")]).file("f", &[b'x'; 700])
}

fn at(bytes: usize) -> Vec<u8> {
    whole().open()[..bytes].to_vec()
}

pub(super) const CASES: &[Case] = &[
    Case::refused("cut in the first header", "ends", || at(100)),
    Case::refused("cut behind a header of records", "ends", || at(512)),
    Case::refused("cut within records", "ends", || at(517)),
    Case::refused("cut behind records", "ends", || at(1024)),
    Case::refused("cut in a member's header", "ends", || at(1200)),
    Case::refused("cut before the data", "ends", || at(1536)),
    Case::refused("cut within the data", "ends", || at(2000)),
    Case::tree("cut within the padding", &["644 f f #700"], || at(2400)),
    Case::tree("no end", &["644 f f #700"], || whole().open()),
    Case::tree("half an end", &["644 f f #700"], || whole().raw(&[0; 512]).open()),
    Case::refused("half an end, and more", "a lone zero block", || {
        whole().raw(&[0; 512]).file("g", b"").end()
    }),
    Case::tree("another archive behind the end", &["644 f f #700"], || {
        whole().raw(&[0; 1024]).file("../victim", b"bad").end()
    }),
    Case::tree("garbage behind the end", &["644 f f #700"], || {
        whole().raw(&[0; 1024]).raw(&[0xaa; 5000]).open()
    }),
    Case::tree("a megabyte of zeros behind the end", &["644 f f #700"], || whole().raw(&[0; 1 << 20]).open()),
    Case::refused("a file longer than the archive", "ends", || {
        Tar::new().member(Header::new(b'0', "f").size(1 << 30), &[b'x'; 5000]).open()
    }),
    Case::taken("ten thousand files", || {
        let file = |n: usize| Header::new(b'0', format!("d/{n}")).summed();
        let members: Vec<u8> = (0..10_000).flat_map(file).collect();
        Tar::new().raw(&members).end()
    }),
];

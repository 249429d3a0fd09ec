//! Any bytes are a layer or are refused, and nothing beside the layer's directory is touched.
//!
//! ```text
//! /tmp/hull-fuzz-PID/
//!   root/      where the layer is unpacked, new for every input
//!   victim     what no archive may reach
//! ```
//!
//! As root, as `hull load` runs, so that devices and trusted attributes are made too.

#![no_main]

use layer::Limits;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a block of a tar archive, and of its header.
const BLOCK: usize = 512;

fuzz_target!(|bytes: &[u8]| {
    let scratch = std::env::temp_dir().join(format!("hull-fuzz-{}", std::process::id()));
    let root = prepare(&scratch);
    let dir = File::open(&root).expect("the directory was made");
    let applied = layer::apply(bytes, dir.as_fd(), &limits());
    assert_untouched(&scratch);
    if let Ok(applied) = applied {
        assert_eq!(applied.compressed_size, bytes.len() as u64);
        assert_same_twice(bytes, &root, &applied);
    }
    assert_untouched(&scratch);
    fs::remove_dir_all(&scratch).expect("root removes what a layer holds");
});

// A change to a header alone would only ever meet the check of its sum.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    if !seed.is_multiple_of(8) {
        sum_headers(&mut data[..size]);
    }
    size
});

fn prepare(scratch: &Path) -> PathBuf {
    let _ = fs::remove_dir_all(scratch);
    let root = scratch.join("root");
    fs::create_dir_all(&root).expect("make the directory of the layer");
    fs::write(scratch.join("victim"), "safe").expect("write the victim");
    root
}

fn assert_untouched(scratch: &Path) {
    let mut names: Vec<_> =
        fs::read_dir(scratch).expect("list").map(|entry| entry.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["root", "victim"]);
    let victim = scratch.join("victim");
    let status = fs::symlink_metadata(&victim).expect("the victim is there");
    assert_eq!((status.mode(), status.nlink(), status.uid()), (0o100644, 1, 0));
    assert_eq!(fs::read(&victim).expect("read the victim"), b"safe");
}

/// What is made depends on the archive alone.
fn assert_same_twice(bytes: &[u8], root: &Path, first: &layer::Applied) {
    fs::remove_dir_all(root).expect("root removes what a layer holds");
    fs::create_dir(root).expect("make the directory of the layer");
    let dir = File::open(root).expect("the directory was made");
    let second = layer::apply(bytes, dir.as_fd(), &limits()).expect("what was a layer is one again");
    assert_eq!(&second, first);
}

/// Small, so that an input is quick and a limit is met.
fn limits() -> Limits {
    Limits {
        entries: 200,
        directories: 200,
        name_len: 512,
        depth: 32,
        extension_bytes: 1 << 14,
        sparse_segments: 64,
        total_bytes: 1 << 20,
        ratio: 100,
        ratio_from: 1 << 16,
        memory: layer::Memory::of(8 << 20),
    }
}

/// Writes the right sum into every header, found as a reader finds them: by the sizes.
fn sum_headers(archive: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = archive.get_mut(at..at + BLOCK) {
        if header.iter().any(|byte| *byte != 0) {
            sum_header(header);
        }
        let data = octal(&header[124..136]).unwrap_or(0).div_ceil(BLOCK);
        at = at.saturating_add(BLOCK).saturating_add(data.saturating_mul(BLOCK));
        if at > archive.len() {
            break;
        }
    }
}

/// tar(5): the sum of all bytes, with the sum's own field as spaces.
fn sum_header(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn octal(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?;
    usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

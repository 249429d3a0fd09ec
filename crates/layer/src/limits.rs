//! How much a stranger's archive may ask for.

use crate::memory::Memory;

/// Bounds of one layer. Exceeding one is an error of kind [`Kind::Limit`](crate::Kind::Limit) whose
/// message names it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Headers in the archive, those of extensions included.
    pub entries: u64,
    /// Directories made, those that are only implied included: their attributes are held in memory
    /// until the end.
    pub directories: u64,
    /// Bytes of one path or link target. PATH_MAX by default: nothing in the container could name more.
    pub name_len: usize,
    /// Components of one path. As many as PATH_MAX has room for by default.
    pub depth: usize,
    /// Bytes of one entry's extension records (PAX, GNU long names, extended attributes).
    pub extension_bytes: u64,
    /// Data segments of one sparse file, 16 bytes of memory each.
    pub sparse_segments: usize,
    /// Bytes of the uncompressed archive, and of all files' lengths together (holes included).
    pub total_bytes: u64,
    /// Uncompressed bytes per compressed byte, once more than `ratio_from` bytes have come out.
    pub ratio: u64,
    /// See `ratio`; bytes.
    pub ratio_from: u64,
    /// Memory for decoders' windows and for what is remembered of directories; all layers that have a clone
    /// of these limits share it.
    pub memory: Memory,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 10_000_000,
            directories: 1_000_000,
            name_len: 4096,
            depth: 2048,
            extension_bytes: 1 << 20,
            sparse_segments: 1 << 18,
            total_bytes: 1 << 40,
            ratio: 1000,
            ratio_from: 100 << 20,
            memory: Memory::of(144 << 20),
        }
    }
}

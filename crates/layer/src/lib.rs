//! A tar stream ⇄ a layer on disk.
//!
//! ```text
//!  caller's thread                          a second thread
//!  read ─ sha256 ─ inflate ─ sha256 ──16 chunks──▶ headers ─▶ directories, files, links, whiteouts
//!         digest             diff id                          attributes of directories, last
//! ```
//!
//! On disk a layer is what overlayfs expects of a lower directory, with ids as in the archive:
//!
//! ```text
//! archive                      disk
//! .wh.NAME                     NAME, character device 0:0; its directory has trusted.overlay.origin=""
//! DIR/.wh..wh..opq             DIR has trusted.overlay.opaque=y
//! .wh.DIR and DIR/             DIR has trusted.overlay.opaque=y (whiteouts act on lower layers only)
//! other .wh..wh.*              nothing (aufs's book-keeping)
//! a/b without a/               a: 0755, root's, of 1970, and named in `Applied::implied`
//! a hard link to what          nothing; named in `Applied::links`
//!   only a lower layer has
//! ```
//!
//! It knows no store: where a layer lies, when it is flushed and how it becomes visible is the caller's.
//! It is no general tar library: what a layer cannot hold is an error.
//!
//! Invariants:
//! - Nothing outside the root is touched: every step of every path is an openat2(2) of one name below a
//!   directory already held; links are followed by hand ([`tree`]).
//! - What is made depends on the archive alone, not on lower layers, the clock, the umask or the host.
//!   So a layer can be unpacked before its parents and shared by every image that has it. What depends on
//!   lower layers is named and left to the caller: attributes of directories that the archive implies and
//!   does not list, and hard links to lower layers' files. The price that remains is docker's too: a path
//!   through a symbolic link that only a lower layer has makes a directory there.
//! - The whole input is read and hashed, what trails the archive included.
//! - Ids above 65535 are kept as they are, and in which blocks they lie is told: a container's map has to have
//!   room for them, or they show as nobody there.

mod attributes;
mod change;
mod compress;
mod compression;
mod error;
mod feed;
mod limits;
mod memory;
mod path;
mod recipe;
mod tar;
mod tree;
mod unpack;
mod window;
mod write;

pub use change::{Change, ChangeKind, Stack, changes};
pub use compress::{Compressor, Target};
pub use compression::{Compression, Decoder};
pub use error::{Error, Kind, Result};
pub use limits::Limits;
pub use memory::Memory;
pub use recipe::remake;
pub use tar::{Member, Meta, Reader, Segment, Type};
pub use write::{Entry, Writer, write_diff, write_tar};

use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread;

/// What [`apply`] read and made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// SHA-256 of the input as it was read.
    pub digest: oci::Digest,
    /// SHA-256 of the uncompressed archive (image-spec config.md, `rootfs.diff_ids`).
    pub diff_id: oci::DiffId,
    /// How the input was compressed.
    pub compression: Compression,
    /// Bytes read.
    pub compressed_size: u64,
    /// Bytes of the uncompressed archive.
    pub tar_size: u64,
    /// Members of the archive.
    pub entries: u64,
    /// Bytes of all files' data; holes and further hard links do not count.
    pub file_bytes: u64,
    /// Attributes of overlayfs that members had, and that were left out.
    pub left_out: u64,
    /// In which blocks of 65,536 ids, beyond the first, its files' owners are: the upper halves of their ids.
    pub blocks: BTreeSet<u16>,
    /// Directories that members lie in and that are not members, sorted; the root is the empty path.
    /// They are 0755, root's and of 1970: an overlay shows that in place of what lower layers say.
    pub implied: Vec<Vec<u8>>,
    /// Hard links whose targets are not in this layer, sorted, each with its target: nothing was made of them.
    /// What they stand for is a lower layer's file, as it is below this layer.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether [`remake`] can make the archive again by the recipe that was written.
    pub can_be_remade: bool,
}

/// Unpacks one layer into `root`, an empty directory, in one pass over `input`. A second thread writes
/// while the caller's reads, hashes and inflates. Nothing is flushed to the disk, and after an error what
/// is below `root` is for the caller to remove.
///
/// # Errors
/// See [`Kind`]; the message names the entry.
pub fn apply(input: impl Read, root: BorrowedFd<'_>, limits: &Limits) -> Result<Applied> {
    apply_noting(input, root, limits, None)
}

/// Likewise, and writes into `recipe`, an empty file, how the archive is made again: see [`remake`].
///
/// # Errors
/// As [`apply`]; also when the recipe cannot be written.
pub fn apply_noting(
    mut input: impl Read,
    root: BorrowedFd<'_>,
    limits: &Limits,
    recipe: Option<OwnedFd>,
) -> Result<Applied> {
    let root =
        root.try_clone_to_owned().map_err(|e| Error::new(Kind::Io, "open layer directory").caused_by(e))?;
    let (fed, unpacked) = both(&mut input, root, limits, recipe)?;
    Ok(Applied {
        digest: oci::Digest::from_sha256(fed.digest),
        diff_id: oci::DiffId::from_sha256(fed.diff_id),
        compression: fed.compression,
        compressed_size: fed.compressed_size,
        tar_size: fed.tar_size,
        entries: unpacked.entries,
        file_bytes: unpacked.file_bytes,
        left_out: unpacked.left_out,
        blocks: unpacked.blocks,
        implied: unpacked.implied,
        links: unpacked.links,
        can_be_remade: unpacked.can_be_remade,
    })
}

/// Runs both halves of the pipe. When both fail, the input's failure is the cause of the other.
fn both(
    input: &mut dyn Read,
    root: OwnedFd,
    limits: &Limits,
    recipe: Option<OwnedFd>,
) -> Result<(feed::Fed, unpack::Unpacked)> {
    let (filler, chunks) = feed::pipe();
    let (fed, unpacked) = thread::scope(|scope| {
        let unpack = move || unpack::unpack(chunks, root, limits, recipe);
        let thread = thread::Builder::new().name("unpack".into()).spawn_scoped(scope, unpack);
        let thread = thread.map_err(|e| Error::new(Kind::Io, "start a thread").caused_by(e))?;
        let fed = feed::feed(input, filler, limits);
        Ok((fed, thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    })?;
    Ok((fed?, unpacked?))
}

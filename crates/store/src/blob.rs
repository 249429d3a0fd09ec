//! Blobs: bytes under their digest.

use crate::disk;
use crate::error::{At, Error, Kind, Result, absent};
use crate::id::unique;
use crate::root::{Shared, Store};
use oci::Digest;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// A file to write a blob into; garbage unless committed.
#[derive(Debug)]
pub struct BlobDraft<'a> {
    store: &'a Store,
    _shared: &'a Shared,
    path: String,
    file: OwnedFd,
    committed: bool,
}

impl BlobDraft<'_> {
    /// Where the bytes go: an empty file, open for reading and writing.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Puts it under its digest, which the caller has computed while writing. Flushed, with the layers,
    /// when an image is committed. A blob that no image names is garbage.
    pub fn commit(mut self, digest: &Digest) -> Result<()> {
        let name = path_of(digest)?;
        match disk::move_new(self.store.root(), &self.path, self.store.root(), &name) {
            Ok(()) => self.committed = true,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).at(|| format!("write blob `{digest}`")),
        }
        sys::step!("store.blob.rename");
        Ok(())
    }
}

impl Drop for BlobDraft<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // A draft left behind is found by the next collection; there is nobody to tell here.
            let _ = disk::unlink(self.store.root(), &self.path);
        }
    }
}

impl Store {
    /// An empty blob to be filled.
    pub fn draft_blob<'a>(&'a self, shared: &'a Shared) -> Result<BlobDraft<'a>> {
        let path = format!("tmp/{}", unique()?);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file =
            openat(self.root(), &path, flags, Mode::from_raw_mode(0o600)).at(|| format!("make `{path}`"))?;
        sys::step!("store.blob.draft");
        Ok(BlobDraft { store: self, _shared: shared, path, file, committed: false })
    }

    /// A kept blob, open for reading.
    pub fn blob(&self, digest: &Digest) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(self.root(), path_of(digest)?, flags, Mode::empty()) {
            Err(Errno::NOENT) => Err(absent(format!("no such blob: {digest}"))),
            other => other.at(|| format!("open blob `{digest}`")),
        }
    }
}

/// The blob's file, relative to the root. Layers and configs that come as sha512 are not kept as blobs.
pub(crate) fn path_of(digest: &Digest) -> Result<String> {
    match digest.algorithm() {
        oci::Algorithm::Sha256 => Ok(format!("blobs/sha256/{}", digest.hex())),
        oci::Algorithm::Sha512 => {
            Err(Error::new(Kind::Invalid, format!("blob `{digest}` is not named by sha256")))
        }
    }
}

/// The digest of bytes in memory.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

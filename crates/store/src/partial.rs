//! What is arriving: blobs that are being fetched, and layers that were unpacked for an image that is not there yet.
//!
//! ```text
//! partial/HEX          bytes of a blob as they came, from its first one on; flock: somebody fetches it
//! partial/HEX.layer    empty: the layer of this DiffId is wanted by a pull that was cut short
//! ```
//!
//! Nothing here is flushed and nothing trusted: whoever goes on with a blob hashes it from its beginning. What nobody
//! went on with for a day is garbage.

use crate::disk;
use crate::error::{At, Result};
use crate::root::{Exclusive, Shared, Store};
use oci::{DiffId, Digest};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, fstat, ftruncate, openat, statat};
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

const DIR: &str = "partial";
/// What is left of a pull is kept so long, seconds.
const KEPT: u64 = 24 * 60 * 60;

/// A blob that its holder fetches, and nobody else at the same time.
#[derive(Debug)]
pub struct Arrival<'a> {
    store: &'a Store,
    _shared: &'a Shared,
    path: String,
    file: OwnedFd,
}

impl Arrival<'_> {
    /// Where the bytes go, and those are that came before.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// How many bytes are there.
    pub fn length(&self) -> Result<u64> {
        let stat = fstat(&self.file).at(|| format!("look at `{}`", self.path))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Forgets them: they were not what they should be.
    pub fn restart(&self) -> Result<()> {
        ftruncate(&self.file, 0).at(|| format!("empty `{}`", self.path))
    }

    /// The blob has become this layer, which is kept until an image names it, or a day has gone.
    pub fn become_layer(self, diff_id: &DiffId) -> Result<()> {
        let pin = pin_of(diff_id);
        disk::overwrite(self.store.root(), &pin, b"", false).at(|| format!("write `{pin}`"))?;
        sys::step!("store.partial.pin");
        self.remove()
    }

    /// There is nothing to go on with.
    pub fn remove(self) -> Result<()> {
        disk::unlink(self.store.root(), &self.path).at(|| format!("remove `{}`", self.path))
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if self.length().is_ok_and(|length| length == 0) {
            // Of no use to anybody; one that stays is found by a later collection.
            let _ = disk::unlink(self.store.root(), &self.path);
        }
    }
}

impl Store {
    /// The right to fetch a blob. `wait` is called once if another has it.
    pub fn arrive<'a>(
        &'a self,
        shared: &'a Shared,
        digest: &Digest,
        wait: impl FnOnce(),
    ) -> Result<Arrival<'a>> {
        let path = format!("{DIR}/{}", digest.hex());
        let what = || format!("fetch into `{path}`");
        disk::make_dir(self.root(), DIR, 0o700).at(what)?;
        let mut wait = Some(wait);
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(self.root(), &path, flags, Mode::from_raw_mode(0o600)).at(what)?;
            if !disk::try_lock(&file, FlockOperation::NonBlockingLockExclusive).at(what)? {
                wait.take().into_iter().for_each(|wait| wait());
                disk::wait_lock(&file, FlockOperation::LockExclusive).at(what)?;
            }
            // Whoever had it may have removed it meanwhile.
            if disk::is_at(&file, self.root(), &path).at(what)? {
                return Ok(Arrival { store: self, _shared: shared, path, file });
            }
        }
    }

    /// An image has come: its layers need no other hold.
    pub fn arrived(&self, layers: &[DiffId]) -> Result<()> {
        let gone = layers.iter().map(pin_of);
        gone.into_iter().try_for_each(|pin| disk::unlink(self.root(), &pin).at(|| format!("remove `{pin}`")))
    }

    /// Forgets all that is left of pulls that were cut short, unless somebody is using the store. The bytes that frees
    /// are of what the next collection takes.
    pub fn forget_partial(&self) -> Result<()> {
        let Some(_exclusive) = self.exclude(false)? else { return Ok(()) };
        for name in disk::sorted_names(self.root(), DIR)? {
            self.discard(&format!("{DIR}/{name}"))?;
        }
        Ok(())
    }

    /// The directories of layers that are held for a pull, and the files here that are too old.
    pub(crate) fn pinned(&self, _exclusive: &Exclusive) -> Result<(HashSet<String>, Vec<String>)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let (mut pinned, mut old) = (HashSet::new(), Vec::new());
        for name in disk::sorted_names(self.root(), DIR)? {
            let path = format!("{DIR}/{name}");
            let stat = statat(self.root(), &path, AtFlags::SYMLINK_NOFOLLOW);
            let is_old =
                stat.is_ok_and(|stat| now.saturating_sub(u64::try_from(stat.st_mtime).unwrap_or(0)) > KEPT);
            match name.strip_suffix(".layer") {
                _ if is_old => old.push(path),
                Some(hex) => drop(pinned.insert(format!("layers/{hex}"))),
                None => {}
            }
        }
        Ok((pinned, old))
    }
}

fn pin_of(diff_id: &DiffId) -> String {
    format!("{DIR}/{}.layer", diff_id.hex())
}

//! Layers: drafted, filled, committed under their DiffId.

use crate::disk;
use crate::error::{At, Error, Kind, Result};
use crate::id::unique;
use crate::root::{Shared, Store};
use oci::{DiffId, Digest};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What is known of a layer beside its files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerMeta {
    /// Length of its plain tar, bytes.
    pub tar_size: u64,
    /// Entries of the tar.
    pub entries: u64,
    /// The sum of its files' lengths, bytes: what docker calls the size of a layer.
    pub file_bytes: u64,
    /// How it came, where it came compressed or as a blob of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<LayerSource>,
    /// Directories its tar implies and does not list: in an image they have a lower layer's attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub implied: Vec<String>,
    /// Hard links to files of lower layers, each with its target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<(String, String)>,
    /// The blocks of 65,536 ids beyond the first in which its files' owners are, sorted; of many, the first
    /// [`BLOCKS`](crate::BLOCKS) and one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<u16>,
}

/// The blob a layer was unpacked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSource {
    /// Of the bytes as they came.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Media type, image-spec layer.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    meta: LayerMeta,
    /// The boot that wrote it, see [`Store::layer`].
    boot: String,
}

/// Where a layer's content is; nothing above may assume that it is a directory for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerHandle {
    /// A directory.
    Dir {
        /// Relative to [`Store::root`].
        path: String,
    },
}

/// A layer in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its plain tar.
    pub diff_id: DiffId,
    /// Sizes and origin.
    pub meta: LayerMeta,
    /// Its content.
    pub handle: LayerHandle,
}

/// An empty directory to unpack into; garbage unless committed.
#[derive(Debug)]
pub struct LayerDraft<'a> {
    store: &'a Store,
    _shared: &'a Shared,
    path: String,
    fs: OwnedFd,
    committed: bool,
}

impl LayerDraft<'_> {
    /// Where the files go: empty, 0755, root's.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.fs.as_fd()
    }

    /// An empty file beside the files: how the layer's archive is made again.
    pub fn recipe(&self) -> Result<OwnedFd> {
        let path = self.recipe_path();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(self.store.root(), &path, flags, Mode::from_raw_mode(0o644)).at(|| format!("make `{path}`"))
    }

    /// The archive cannot be made again.
    pub fn drop_recipe(&self) -> Result<()> {
        let path = self.recipe_path();
        disk::unlink(self.store.root(), &path).at(|| format!("remove `{path}`"))
    }

    fn recipe_path(&self) -> String {
        format!("{}/recipe", self.path)
    }

    /// Puts it under its DiffId. If that layer is there already, the draft is dropped: same bytes.
    pub fn commit(mut self, diff_id: &DiffId, meta: LayerMeta) -> Result<Layer> {
        let stored = Stored { meta, boot: self.store.boot_id()? };
        let what = || format!("write layer `{diff_id}`");
        let bytes = disk::to_json(&stored)?;
        disk::write_new(self.store.root(), &format!("{}/meta.json", self.path), &bytes, false).at(what)?;
        sys::step!("store.layer.meta");
        self.store.clear_doubtful(diff_id)?;
        match disk::move_new(self.store.root(), &self.path, self.store.root(), &dir_of(diff_id)) {
            Ok(()) => self.committed = true,
            Err(Errno::EXIST) => self.mend(diff_id)?,
            Err(errno) => return Err(errno).at(what),
        }
        sys::step!("store.layer.rename");
        let found = self.store.layer(diff_id)?;
        found.ok_or_else(|| {
            Error::new(Kind::Corrupt, format!("layer `{diff_id}` vanished while it was written"))
        })
    }
}

impl LayerDraft<'_> {
    /// A layer that is there and in use, and whose record is damaged, gets ours: it is of the same files.
    fn mend(&self, diff_id: &DiffId) -> Result<()> {
        if self.store.has_meta(diff_id)? {
            return Ok(());
        }
        let (ours, its) = (format!("{}/meta.json", self.path), format!("{}/meta.json", dir_of(diff_id)));
        self.store.discard(&its)?;
        disk::move_durably(self.store.root(), &ours, &its).at(|| format!("mend `{its}`"))
    }
}

impl Drop for LayerDraft<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // A draft left behind is found by the next collection; there is nobody to tell here.
            let _ = self.store.discard(&self.path);
        }
    }
}

impl Store {
    /// An empty layer to be filled.
    pub fn draft_layer<'a>(&'a self, shared: &'a Shared) -> Result<LayerDraft<'a>> {
        let path = format!("tmp/{}", unique()?);
        let fs = format!("{path}/fs");
        let what = || format!("make `{fs}`");
        disk::make_dir(self.root(), &path, 0o700).at(what)?;
        sys::step!("store.layer.draft");
        disk::make_dir(self.root(), &fs, 0o755).at(what)?;
        let fs = disk::open_dir(self.root(), &fs).at(what)?;
        rustix::fs::fchmod(&fs, Mode::from_raw_mode(0o755)).at(|| "set the mode of a layer".into())?;
        Ok(LayerDraft { store: self, _shared: shared, path, fs, committed: false })
    }

    /// The layer, if it is there and to be trusted. Nothing of a layer is flushed before an image that
    /// names it is committed; so after a crash of the host an orphan may be hollow. One of an earlier
    /// boot that no image names is therefore as good as absent.
    pub fn layer(&self, diff_id: &DiffId) -> Result<Option<Layer>> {
        let Some(stored) = self.stored_layer(diff_id)? else { return Ok(None) };
        let trusted = stored.boot == self.boot_id()? || self.names_layer(diff_id)?;
        Ok(trusted.then(|| Layer {
            diff_id: diff_id.clone(),
            meta: stored.meta,
            handle: LayerHandle::Dir { path: format!("{}/fs", dir_of(diff_id)) },
        }))
    }

    /// Where the layer's content is. Looks at nothing: for images and containers in the store, whose
    /// layers exist by the store's invariants.
    pub fn layer_handle(&self, diff_id: &DiffId) -> LayerHandle {
        LayerHandle::Dir { path: format!("{}/fs", dir_of(diff_id)) }
    }

    /// How the archive of a layer is made again; none where nothing was noted of it.
    pub fn layer_recipe(&self, diff_id: &DiffId) -> Result<Option<OwnedFd>> {
        let path = format!("{}/recipe", dir_of(diff_id));
        match openat(self.root(), &path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            other => other.at(|| format!("open `{path}`")).map(Some),
        }
    }

    /// The blobs that a layer went out as.
    pub fn sent(&self, diff_id: &DiffId) -> Result<Vec<LayerSource>> {
        let sent = disk::read_record(self.root(), &sent_of(diff_id));
        // It only saves work, and is written anew.
        Ok(sent.ok().flatten().unwrap_or_default())
    }

    /// Notes that a layer went out as a blob. An image names the layer.
    pub fn note_sent(&self, diff_id: &DiffId, blob: LayerSource) -> Result<()> {
        let shared = self.share()?;
        let mut sent = self.sent(diff_id)?;
        sent.retain(|known| known.digest != blob.digest);
        sent.insert(0, blob);
        sent.truncate(SENT);
        self.put_file(&shared, &sent_of(diff_id), &disk::to_json(&sent)?)
    }

    /// What is known of a layer that an image names; all nothing where its record is damaged.
    pub fn layer_meta(&self, diff_id: &DiffId) -> Result<LayerMeta> {
        let stored = self.stored_layer(diff_id)?;
        if stored.is_none() {
            self.notices.damaged(&dir_of(diff_id));
        }
        Ok(stored.map(|stored| stored.meta).unwrap_or_default())
    }

    /// Removes a layer that [`Store::layer`] would not trust, to make room for a good one. One that is in
    /// use stays: containers may be running on it.
    fn clear_doubtful(&self, diff_id: &DiffId) -> Result<()> {
        if !self.is_doubtful(diff_id)? {
            return Ok(());
        }
        // Another may have put a good one there since: whoever removes looks again alone.
        let _refs = self.lock_refs(FlockOperation::LockExclusive)?;
        if self.is_doubtful(diff_id)? {
            self.discard(&dir_of(diff_id))?;
        }
        Ok(())
    }

    /// There, not to be trusted, and of nothing that is known. What is not there is no doubt: it may appear.
    fn is_doubtful(&self, diff_id: &DiffId) -> Result<bool> {
        let there = disk::open_dir(self.root(), &dir_of(diff_id)).is_ok();
        Ok(there && self.layer(diff_id)?.is_none() && !self.names_layer(diff_id)?)
    }

    /// Whether its record can be read.
    pub(crate) fn has_meta(&self, diff_id: &DiffId) -> Result<bool> {
        Ok(self.stored_layer(diff_id)?.is_some())
    }

    /// A meta file cut short by a crash counts as none.
    fn stored_layer(&self, diff_id: &DiffId) -> Result<Option<Stored>> {
        match disk::read_record(self.root(), &format!("{}/meta.json", dir_of(diff_id))) {
            Err(error) if *error.kind() == Kind::Corrupt => Ok(None),
            other => other,
        }
    }

    /// Whether an image or a container is made of it, as far as one can tell.
    fn names_layer(&self, diff_id: &DiffId) -> Result<bool> {
        let used = self.used_paths()?;
        Ok(used.is_none_or(|used| used.contains(&dir_of(diff_id))))
    }
}

/// So many are noted: one for each compression that somebody uses.
const SENT: usize = 4;

fn sent_of(diff_id: &DiffId) -> String {
    format!("{}/sent.json", dir_of(diff_id))
}

/// The layer's directory, relative to the root.
pub(crate) fn dir_of(diff_id: &DiffId) -> String {
    format!("layers/{}", diff_id.hex())
}

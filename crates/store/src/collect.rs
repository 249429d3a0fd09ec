//! Garbage collection: what no record leads to is put aside, then deleted.

use crate::disk;
use crate::error::{At, Result};
use crate::layer;
use crate::root::{Exclusive, Store};
use crate::trash::Aside;
use std::collections::HashSet;

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Layers no image and no container names.
    pub layers: Vec<String>,
    /// Blobs no image names.
    pub blobs: Vec<String>,
    /// Drafts of processes that died.
    pub drafts: usize,
    /// Bytes given back to the disk by this collection, whatever others delete meanwhile.
    pub bytes: u64,
    /// Somebody is loading or creating, so that only the trash was emptied; the rest is for the next
    /// collection.
    pub busy: bool,
}

/// What is there and nobody's.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) layers: Vec<String>,
    pub(crate) blobs: Vec<String>,
    pub(crate) drafts: Vec<String>,
}

impl Store {
    /// Collects garbage. While somebody else shares the store it waits, or does less: the
    /// caller must not hold a [`crate::Shared`] when it asks to `wait`.
    pub fn collect(&self, wait: bool) -> Result<Collected> {
        let (mut collected, things) = match self.exclude(wait)? {
            Some(exclusive) => self.put_garbage_aside(&exclusive)?,
            None => (Collected { busy: true, ..Collected::default() }, Vec::new()),
        };
        collected.bytes = self.delete(things)? + self.empty_trash()?;
        Ok(collected)
    }

    /// What a crash may have left, seen cheaply: for the start of any command that changes the store.
    /// With nothing there this is two system calls a directory.
    pub fn recover(&self) -> Result<()> {
        let drafts = !disk::sorted_names(self.root(), "tmp")?.is_empty();
        let trash = !disk::sorted_names(self.root(), "trash")?.is_empty();
        if drafts || trash {
            self.collect(false)?;
            self.sweep_names(false)?;
        }
        Ok(())
    }

    pub(crate) fn put_garbage_aside(&self, exclusive: &Exclusive) -> Result<(Collected, Vec<Aside>)> {
        let garbage = self.garbage(exclusive)?;
        let mut things = Vec::new();
        for path in garbage.drafts.iter().chain(&garbage.layers).chain(&garbage.blobs) {
            things.extend(self.set_aside(self.root(), path).at(|| format!("remove `{path}`"))?);
            sys::step!("store.collect.discard");
        }
        let drafts = garbage.drafts.len();
        let collected =
            Collected { layers: garbage.layers, blobs: garbage.blobs, drafts, ..Collected::default() };
        Ok((collected, things))
    }

    /// Exact only under the exclusive lock: else some may be about to be referred to. While a record
    /// cannot be read nobody knows what it names, and every layer and blob is kept.
    pub(crate) fn garbage(&self, exclusive: &Exclusive) -> Result<Garbage> {
        let below = |dir: &str| -> Result<Vec<String>> {
            Ok(disk::sorted_names(self.root(), dir)?
                .into_iter()
                .map(|name| format!("{dir}/{name}"))
                .collect())
        };
        let (mut layers, mut blobs) = (below("layers")?, below("blobs/sha256")?);
        let (pinned, old) = self.pinned(exclusive)?;
        layers.retain(|path| !pinned.contains(path));
        if !layers.is_empty() || !blobs.is_empty() {
            let used = self.used_paths()?;
            let is_garbage = |path: &String| used.as_ref().is_some_and(|used| !used.contains(path));
            layers.retain(is_garbage);
            blobs.retain(is_garbage);
        }
        let drafts = below("tmp")?.into_iter().chain(old).collect();
        Ok(Garbage { layers, blobs, drafts })
    }

    /// The layers and blobs that some record names; none where a record is damaged.
    pub(crate) fn used_paths(&self) -> Result<Option<HashSet<String>>> {
        let (images, containers) = (self.image_records()?, self.all_containers()?);
        if images.damaged || containers.damaged {
            return Ok(None);
        }
        let mut used = HashSet::new();
        for image in &images.whole {
            used.extend(image.layers.iter().map(layer::dir_of));
            for digest in &image.blobs {
                used.insert(crate::blob::path_of(digest)?);
            }
        }
        used.extend(containers.whole.iter().flat_map(|one| one.record.layers.iter().map(layer::dir_of)));
        Ok(Some(used))
    }
}

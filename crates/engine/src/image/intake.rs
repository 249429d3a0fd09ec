//! Taking layers in: what is granted to one command, and what is kept of the bytes as they came.

use super::from_layer;
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use layer::{Applied, Limits, Memory};
use oci::Digest;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{BlobDraft, BlobPolicy, LayerMeta, LayerSource, Shared, Store};

/// What comes into the store by one command.
pub(crate) struct Intake<'a> {
    pub(super) engine: &'a Engine,
    pub(super) store: &'a Store,
    pub(super) shared: &'a Shared,
    limits: Limits,
    keeps_blobs: bool,
}

impl<'a> Intake<'a> {
    /// By the store's configuration.
    pub(crate) fn new(engine: &'a Engine, shared: &'a Shared) -> Result<Self> {
        let config = engine.store.config().map_err(from_store)?;
        let limits = Limits { memory: Memory::of(config.decoder_memory), ..Limits::default() };
        let keeps_blobs = config.blobs == BlobPolicy::Keep;
        Ok(Self { engine, store: &engine.store, shared, limits, keeps_blobs })
    }

    /// Bounds of what an archive decides about.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Memory for what an archive decides about.
    pub(super) fn memory(&self) -> &Memory {
        &self.limits.memory
    }

    /// Whether layers are kept as they came, too.
    pub(super) fn keeps_blobs(&self) -> bool {
        self.keeps_blobs
    }

    /// One pass over a layer's bytes: read, hashed, inflated, hashed and unpacked, and kept as they are if they
    /// are to be. Garbage until an image names it.
    pub(super) fn ingest(&self, input: impl Read, what: &str) -> Result<Applied> {
        let draft = self.store.draft_layer(self.shared).map_err(from_store)?;
        let blob = self.draft_blob()?;
        let copy = blob.as_ref().map(open).transpose()?;
        let recipe = draft.recipe().map_err(from_store)?;
        let applied = layer::apply_noting(Tee { input, copy }, draft.dir(), &self.limits, Some(recipe))
            .map_err(|error| self.with_memory_hint(from_layer(error, format!("unpack {what}"))))?;
        if applied.left_out > 0 {
            let count = applied.left_out;
            (self.engine.tell)(&format!(
                "{what}: {count} attributes `trusted.overlay.*` are left out: an archive has no say in \
                how layers are stacked"
            ));
        }
        if !applied.can_be_remade {
            draft.drop_recipe().map_err(from_store)?;
        }
        sys::step!("engine.ingest.unpacked");
        let compressed = applied.compression != layer::Compression::None;
        let source = compressed.then(|| LayerSource {
            digest: applied.digest.clone(),
            size: applied.compressed_size,
            media_type: media_type(applied.compression).map(str::to_owned),
        });
        let (tar_size, entries, file_bytes) = (applied.tar_size, applied.entries, applied.file_bytes);
        let (implied, links) = (names(&applied.implied), links(&applied.links)?);
        let blocks = applied.blocks.iter().copied().take(store::BLOCKS + 1).collect();
        let meta = LayerMeta { tar_size, entries, file_bytes, source, implied, links, blocks };
        draft.commit(&applied.diff_id, meta).map_err(from_store)?;
        blob.map_or(Ok(()), |blob| blob.commit(&applied.digest)).map_err(from_store)?;
        sys::step!("engine.ingest.committed");
        Ok(applied)
    }

    /// Keeps bytes as a blob; what their digest is.
    pub(super) fn keep(&self, mut input: impl Read, what: &str) -> Result<Digest> {
        let blob = self.store.draft_blob(self.shared).map_err(from_store)?;
        let mut sum = super::Sum::default();
        let mut copy = Tee { input: &mut input, copy: Some(open(&blob)?) };
        std::io::copy(&mut copy, &mut sum).map_err(|error| super::from_io(error, format!("keep {what}")))?;
        let (digest, _) = sum.finish();
        blob.commit(&digest).map_err(from_store).map(|()| digest)
    }

    fn draft_blob(&self) -> Result<Option<BlobDraft<'_>>> {
        let draft = self.keeps_blobs.then(|| self.store.draft_blob(self.shared));
        draft.transpose().map_err(from_store)
    }

    pub(super) fn with_memory_hint(&self, error: Error) -> Error {
        match error.kind() {
            Kind::Memory => error.with_hint(format!(
                "`{{\"decoder_memory\": BYTES}}` in `{}/config.json` grants more",
                self.store.path().display()
            )),
            _ => error,
        }
    }
}

/// Does so many things, several at once: they do not depend on each other. After a failure none is begun.
pub(super) fn at_once(most: usize, count: usize, act: &(dyn Fn(usize) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return Ok(());
            }
            // The image is lost: the other workers need not go on.
            act(at).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
        }
    };
    let workers = most.min(count).max(1);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "unpack layers"))));
        others.fold(mine, Result::and)
    })
}

/// What an image calls a layer that is compressed so, image-spec layer.md; there is no word for the others.
fn media_type(compression: layer::Compression) -> Option<&'static str> {
    match compression {
        layer::Compression::None => Some(oci::media::LAYER),
        layer::Compression::Gzip => Some(oci::media::LAYER_GZIP),
        layer::Compression::Zstd => Some(oci::media::LAYER_ZSTD),
        _ => None,
    }
}

/// Those that are text. The root is none: its attributes are the container's own layer's. One that is no text
/// keeps its neutral attributes.
fn names(paths: &[Vec<u8>]) -> Vec<String> {
    let named = paths.iter().filter(|path| !path.is_empty());
    named.filter_map(|path| String::from_utf8(path.clone()).ok()).collect()
}

fn links(links: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<(String, String)>> {
    let text = |path: &Vec<u8>| {
        String::from_utf8(path.clone()).map_err(|_| {
            let what = format!("link `{}` to a file of a lower layer: not text", path.escape_ascii());
            Error::new(Kind::Unsupported, what)
        })
    };
    links.iter().map(|(path, target)| Ok((text(path)?, text(target)?))).collect()
}

fn open(blob: &BlobDraft<'_>) -> Result<File> {
    let file = blob.file().try_clone_to_owned();
    file.map(File::from).map_err(|error| super::from_io(error, "open a blob".into()))
}

/// A reader whose bytes are written elsewhere, too.
struct Tee<R> {
    input: R,
    copy: Option<File>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.copy.iter_mut().try_for_each(|copy| copy.write_all(&buffer[..length]))?;
        Ok(length)
    }
}

//! `push`: from the store into a registry.
//!
//! ```text
//! each layer, several at once:   is one of the blobs it came or went as there? ──▶ nothing is sent
//!                                is one in another repository there?           ──▶ mounted
//!                                is one kept here?                             ──▶ sent
//!                                else: tar made again ─▶ compressed ─▶ sent as it is made
//! all as in the manifest it came with ──▶ that manifest, byte for byte, under the same digest; else a new one
//! ```

use super::pull::{Progress, Step, from_registry};
use super::save::{json, manifest_of};
use super::{Sum, digest_of, from_io};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use layer::{Compressor, Target};
use oci::{Descriptor, DiffId, Digest, Document, ImageConfig, Manifest, Platform, Reference, media};
use registry::{BlobSource, Client, Pushed as Way, Repository};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Mutex;
use store::{Image, LayerSource};

/// Layers that are sent at once, docker's `max-concurrent-uploads` less two: each is compressed on all cores.
const AT_ONCE: usize = 3;
/// A layer is made and sent again so often.
const TRIES: u32 = 3;

/// What `push` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Push {
    /// `--compression`: layers that are another way are made again; where absent, as they came, else gzip.
    pub compression: Option<Target>,
    /// `--platform`: an image of another one is an error.
    pub platform: Option<Platform>,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The name it has there.
    pub name: Reference,
    /// The manifest's digest
    pub digest: Digest,
    /// and its size, bytes.
    pub size: u64,
}

/// One push under way.
struct Pushing<'a> {
    engine: &'a Engine,
    repository: &'a Repository<'a>,
    request: &'a Push,
    progress: &'a dyn Progress,
    /// Where else on the same registry layers may be.
    elsewhere: Vec<(Reference, Image)>,
}

impl Engine {
    /// Pushes the image of a name to where the name leads.
    pub fn push(
        &self,
        client: &Client,
        name: &Reference,
        request: &Push,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        let missing = |_| {
            let what = format!("An image does not exist locally with the tag: {}", name.familiar_name());
            Error::new(Kind::NotFound, what)
        };
        self.store.resolve(&name.canonical()).map_err(missing)?;
        self.push_as(client, &name.canonical(), name, request, progress)
    }

    /// Pushes an image to where another name leads.
    pub(super) fn push_as(
        &self,
        client: &Client,
        word: &str,
        name: &Reference,
        request: &Push,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        self.bury()?;
        let _shared = self.store.share().map_err(from_store)?;
        let image = self.store.resolve(word).map_err(from_store)?;
        if let Some(platform) = &request.platform {
            self.check_platform(&image, platform, &name.familiar())?;
        }
        let repository = client.repository(name).map_err(from_registry)?;
        let elsewhere = self.elsewhere(name)?;
        let pushing = Pushing { engine: self, repository: &repository, request, progress, elsewhere };
        let (digest, bytes) = pushing.image(&image, name)?;
        let pinned = name.clone().without_suffix().with_digest(digest.clone());
        self.store.tag(image.id(), &pinned).map_err(from_store)?;
        self.report(Event::of_image(&image, "push", name.familiar()));
        Ok(Pushed { name: name.clone(), digest, size: bytes.len() as u64 })
    }

    /// All tags of a repository that are here.
    pub fn tags_of(&self, name: &Reference) -> Result<Vec<Reference>> {
        let tags = self.store.tags().map_err(from_store)?;
        let named = tags
            .into_iter()
            .map(|tag| tag.name)
            .filter(|tag| tag.name() == name.name() && tag.tag().is_some());
        let named: Vec<_> = named.collect();
        match named.is_empty() {
            true => Err(Error::new(
                Kind::NotFound,
                format!("An image does not exist locally with the tag: {}", name.familiar_name()),
            )),
            false => Ok(named),
        }
    }

    /// Images that came from, or went to, other repositories of the same registry.
    fn elsewhere(&self, name: &Reference) -> Result<Vec<(Reference, Image)>> {
        let tags = self.store.tags().map_err(from_store)?;
        let others = tags.into_iter().filter(|tag| {
            tag.name.digest().is_some()
                && tag.name.domain() == name.domain()
                && tag.name.path() != name.path()
        });
        Ok(others.filter_map(|tag| Some((tag.name, self.store.image(&tag.image).ok()?))).collect())
    }
}

impl Pushing<'_> {
    fn image(&self, image: &Image, name: &Reference) -> Result<(Digest, Vec<u8>)> {
        let config = image.config().map_err(from_store)?;
        let diff_ids = &config.rootfs.diff_ids;
        let original = self.original(image, diff_ids);
        self.progress.begin(&self.rows(&config)?);
        let done = Mutex::new(vec![None; diff_ids.len()]);
        super::intake::at_once(AT_ONCE, diff_ids.len(), &|at| {
            let came = original.as_ref().and_then(|(_, manifest)| manifest.layers.get(at));
            let blob = self.layer(&diff_ids[at], came)?;
            done.lock().iter_mut().for_each(|done| done[at] = Some(blob.clone()));
            Ok(())
        })?;
        let layers: Vec<_> = done.into_inner().unwrap_or_default().into_iter().flatten().collect();
        let bytes = image.record.config.as_bytes();
        let (media_type, document) = match original {
            Some((bytes, manifest))
                if manifest
                    .layers
                    .iter()
                    .map(|layer| &layer.digest)
                    .eq(layers.iter().map(|layer| &layer.digest)) =>
            {
                (manifest.media_type.unwrap_or_else(|| media::MANIFEST.into()), bytes)
            }
            _ => {
                let config = Descriptor::new(media::CONFIG, image.id().0.clone(), bytes.len() as u64);
                (media::MANIFEST.to_owned(), json(&manifest_of(config, layers))?)
            }
        };
        let config = Descriptor::new(media::CONFIG, image.id().0.clone(), bytes.len() as u64);
        self.repository.push_blob(&config, bytes, None).map_err(from_registry)?;
        let digest = digest_of(&document);
        let tag = name.tag().map_or_else(|| digest.to_string(), str::to_owned);
        let digest = self.repository.push_manifest(&tag, &media_type, &document).map_err(from_registry)?;
        Ok((digest, document))
    }

    /// The manifest it came with, if it is here and of these layers.
    fn original(&self, image: &Image, diff_ids: &[DiffId]) -> Option<(Vec<u8>, Manifest)> {
        let digest = image.record.manifest.as_ref()?;
        let mut bytes = Vec::new();
        File::from(self.engine.store.blob(digest).ok()?).read_to_end(&mut bytes).ok()?;
        match Document::parse(&bytes).ok()? {
            Document::Manifest(manifest)
                if manifest.layers.len() == diff_ids.len() && manifest.config.digest == image.id().0 =>
            {
                Some((bytes, *manifest))
            }
            _ => None,
        }
    }

    /// What is shown: layers by their own digests, as docker does.
    fn rows(&self, config: &ImageConfig) -> Result<Vec<Descriptor>> {
        let row = |diff_id: &DiffId| {
            let size = self.engine.store.layer_meta(diff_id).map_err(from_store)?.tar_size;
            Ok(Descriptor::new(media::LAYER, diff_id.0.clone(), size))
        };
        config.rootfs.diff_ids.iter().map(row).collect()
    }

    /// Sees to it that a layer is there, in some form; in which.
    fn layer(&self, diff_id: &DiffId, came: Option<&Descriptor>) -> Result<Descriptor> {
        let forms = self.forms(diff_id, came)?;
        for blob in &forms {
            if self.repository.has_blob(&blob.digest).map_err(from_registry)? {
                self.progress.step(&diff_id.0, Step::Exists);
                return Ok(blob.clone());
            }
        }
        self.progress.step(&diff_id.0, Step::Pending);
        for blob in &forms {
            if self.send_kept(blob, diff_id)? {
                return Ok(blob.clone());
            }
        }
        let mut tried = 1;
        loop {
            match self.send_remade(diff_id) {
                Err(error) if tried < TRIES && *error.kind() == Kind::Failed => tried += 1,
                other => return other,
            }
        }
    }

    /// The blobs that the layer came or went as, those that are compressed as was asked for.
    fn forms(&self, diff_id: &DiffId, came: Option<&Descriptor>) -> Result<Vec<Descriptor>> {
        let store = &self.engine.store;
        let known = store.layer_meta(diff_id).map_err(from_store)?.source.into_iter();
        let known = known.chain(store.sent(diff_id).map_err(from_store)?);
        let known = known.filter_map(|source| {
            Some(Descriptor::new(source.media_type.as_deref()?, source.digest, source.size))
        });
        let mut forms: Vec<_> = came.cloned().into_iter().chain(known).collect();
        if let Some(target) = self.request.compression {
            let wanted = media::LayerMedia::of(media_type(target)).map(|layer| layer.compression);
            forms.retain(|form| form.layer().map(|layer| layer.compression) == wanted);
        }
        Ok(forms)
    }

    /// From another repository, or as it is kept here.
    fn send_kept(&self, blob: &Descriptor, diff_id: &DiffId) -> Result<bool> {
        let has = |image: &Image| image.record.layers.contains(diff_id);
        let from = self.elsewhere.iter().find(|(_, image)| has(image)).map(|(name, _)| name);
        let kept = self.engine.store.blob(&blob.digest).map(File::from);
        let Ok(file) = kept else {
            let Some(from) = from else { return Ok(false) };
            let mounted = self.repository.mount(blob, from).map_err(from_registry)?;
            if mounted {
                self.progress.step(&diff_id.0, Step::Mounted);
            }
            return Ok(mounted);
        };
        let step = |bytes| self.progress.step(&diff_id.0, Step::Bytes(bytes));
        let way =
            self.repository.push_blob(blob, &Kept { file, step: &step }, from).map_err(from_registry)?;
        let step = match way {
            Way::Existed => Step::Exists,
            Way::Mounted => Step::Mounted,
            Way::Sent => Step::Done,
        };
        self.progress.step(&diff_id.0, step);
        Ok(true)
    }

    /// Made again, compressed and sent at the same time.
    fn send_remade(&self, diff_id: &DiffId) -> Result<Descriptor> {
        let target = self.request.compression.unwrap_or(Target::GZIP);
        let what = || format!("send layer `{diff_id}`");
        let (mut reader, writer) = std::io::pipe().map_err(|error| from_io(error, what()))?;
        let (made, made_by) = std::sync::mpsc::channel();
        let sent = std::thread::scope(|scope| {
            scope.spawn(move || drop(made.send(self.make(diff_id, target, writer))));
            let finish = || {
                let made: Result<(Digest, u64)> =
                    made_by.recv().unwrap_or_else(|_| Err(Error::new(Kind::Failed, what())));
                match made {
                    Ok((digest, size)) => Ok(Descriptor::new(media_type(target), digest, size)),
                    Err(error) => Err(registry::Error::new(registry::Kind::Io, error.line())),
                }
            };
            let sent = self.repository.push_stream(&mut reader, finish);
            // Whoever makes it must not wait for a reader that has given up.
            drop(reader);
            sent
        });
        let blob = sent.map_err(from_registry)?;
        let (digest, size) = (blob.digest.clone(), blob.size);
        let sent = LayerSource { digest, size, media_type: Some(blob.media_type.clone()) };
        self.engine.store.note_sent(diff_id, sent).map_err(from_store)?;
        self.progress.step(&diff_id.0, Step::Done);
        Ok(blob)
    }

    fn make(&self, diff_id: &DiffId, target: Target, writer: std::io::PipeWriter) -> Result<(Digest, u64)> {
        let failed = |error: std::io::Error| from_io(error, format!("compress layer `{diff_id}`"));
        let out = BufWriter::with_capacity(256 << 10, writer);
        let summed = Both { out, sum: Sum::default() };
        let compressor = Compressor::new(summed, target).map_err(failed)?;
        let mut counted = Counted { out: compressor, at: 0, progress: self.progress, diff_id };
        self.engine.remake(diff_id, &mut counted)?;
        let both = counted.out.finish().map_err(failed)?;
        Ok(both.sum.finish())
    }
}

fn media_type(target: Target) -> &'static str {
    match target {
        Target::None => media::LAYER,
        Target::Gzip(_) => media::LAYER_GZIP,
        Target::Zstd(_) => media::LAYER_ZSTD,
    }
}

/// A blob of the store.
struct Kept<'a> {
    file: File,
    step: &'a (dyn Fn(u64) + Sync),
}

impl BlobSource for Kept<'_> {
    fn open(&self, from: u64) -> std::io::Result<Box<dyn Read + '_>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Box::new(Told { file, at: from, step: self.step }))
    }
}

struct Told<'a> {
    file: File,
    at: u64,
    step: &'a (dyn Fn(u64) + Sync),
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.at += length as u64;
        (self.step)(self.at);
        Ok(length)
    }
}

/// Written and hashed.
struct Both<W> {
    out: W,
    sum: Sum,
}

impl<W: Write> Write for Both<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.sum.write(&bytes[..length])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The plain bytes, told as they pass.
struct Counted<'a, W> {
    out: W,
    at: u64,
    progress: &'a dyn Progress,
    diff_id: &'a DiffId,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.at += length as u64;
        self.progress.step(&self.diff_id.0, Step::Bytes(self.at));
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

//! `pull`: from a registry into the store.
//!
//! ```text
//! name ──manifest──▶ index? ──platform──▶ manifest ──▶ config ──▶ which layers are not here
//!      each of these, several at once:  bytes ──hash──▶ inflate ──hash──▶ unpack     one pass, as they arrive
//!                                         └──▶ partial/HEX, for whoever goes on after a break
//! all there, each with the digest the manifest and the DiffId the configuration say ──▶ put_image: one commit
//! ```

use super::from_io;
use super::intake::Intake;
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use oci::{Descriptor, DiffId, Digest, Document, ImageConfig, ImageId, Manifest, Platform, Reference};
use registry::{Client, Fetched, Repository};
use rustix::fd::AsFd;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Mutex;
use store::{Arrival, NewImage};

/// An index may lead to an index, no deeper than this.
const NESTED: usize = 3;
/// Layers that are fetched at once, docker's `max-concurrent-downloads` and one.
const AT_ONCE: usize = 4;
/// A layer below this is not worth to be gone on with, bytes.
const WORTH_KEEPING: u64 = 1 << 20;

/// What `pull` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Pull {
    /// `--platform`: which image of an index; the host's when absent.
    pub platform: Option<Platform>,
}

/// What a pull brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub id: ImageId,
    /// The name it has now.
    pub name: Reference,
    /// What the name leads to: the digest of the index or manifest.
    pub digest: Digest,
    /// Whether the name meant another image before, or none.
    pub is_new: bool,
}

/// What becomes of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It has to be fetched.
    Pending,
    /// It is here.
    Exists,
    /// Another pull fetches it.
    Waiting,
    /// So many bytes of it have come.
    Bytes(u64),
    /// The registry took it over from another repository.
    Mounted,
    /// It is unpacked and verified, or sent.
    Done,
}

/// Who is told how a pull goes on. Called by several threads.
pub trait Progress: Sync {
    /// The layers, once it is known which they are.
    fn begin(&self, layers: &[Descriptor]);
    /// Something about one of them.
    fn step(&self, layer: &Digest, step: Step);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &[Descriptor]) {}
    fn step(&self, _: &Digest, _: Step) {}
}

/// An image of a registry, chosen and not yet fetched.
struct Chosen {
    /// What the name leads to.
    digest: Digest,
    /// Each document on the way, the manifest last.
    documents: Vec<Fetched>,
    manifest: Manifest,
    config: Vec<u8>,
    diff_ids: Vec<DiffId>,
}

impl Engine {
    /// Pulls the image of a name. It appears when all of it is verified and flushed.
    pub fn pull(
        &self,
        client: &Client,
        name: &Reference,
        request: &Pull,
        progress: &dyn Progress,
    ) -> Result<Pulled> {
        self.bury()?;
        let repository = client.repository(name).map_err(from_registry)?;
        let chosen = choose(&repository, request)?;
        let shared = self.store.share().map_err(from_store)?;
        let intake = Intake::new(self, &shared)?;
        let pulled =
            intake.pull(&repository, &chosen, progress).map_err(|error| intake.with_memory_hint(error))?;
        drop(shared);
        Ok(pulled)
    }

    /// Whether a name means an image that is here.
    pub fn has_image(&self, name: &str) -> bool {
        self.store.resolve(name).is_ok()
    }
}

/// Follows the name to the manifest for the platform, and reads the configuration.
fn choose(repository: &Repository<'_>, request: &Pull) -> Result<Chosen> {
    let name = repository.name();
    let tag = match (name.digest(), name.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let platform = request.platform.clone().unwrap_or_else(Platform::host);
    let mut documents = vec![repository.manifest(&tag).map_err(from_registry)?];
    let manifest = loop {
        let last = documents.last().map(|fetched| fetched.bytes.as_slice()).unwrap_or_default();
        match Document::parse(last).map_err(|error| error.map_kind(|_| Kind::Corrupt))? {
            Document::Manifest(manifest) => break *manifest,
            Document::Index(_) if documents.len() > NESTED => {
                let what =
                    format!("`{}` leads from index to index, more than {NESTED} times", name.familiar());
                return Err(Error::new(Kind::Limit, what));
            }
            Document::Index(index) => {
                let none = || no_platform(name, &platform);
                let next = index.choose(&platform).ok_or_else(none)?.digest.to_string();
                documents.push(repository.manifest(&next).map_err(from_registry)?);
            }
        }
    };
    check_media(&manifest, name)?;
    let config = repository.document(&manifest.config).map_err(from_registry)?;
    let parsed = ImageConfig::parse(&config).map_err(|error| error.map_kind(|_| Kind::Corrupt))?;
    if request.platform.is_some() && !platform.matches(&parsed.platform()) {
        return Err(no_platform(name, &platform));
    }
    let diff_ids = parsed.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        let (names, has) = (diff_ids.len(), manifest.layers.len());
        let what =
            format!("the configuration of `{}` names {names} layers, the manifest {has}", name.familiar());
        return Err(Error::new(Kind::Corrupt, what));
    }
    let digest = documents[0].digest.clone();
    Ok(Chosen { digest, documents, manifest, config, diff_ids })
}

fn no_platform(name: &Reference, platform: &Platform) -> Error {
    let what =
        format!("no matching manifest for {platform} in the manifest list entries of `{}`", name.familiar());
    Error::new(Kind::NotFound, what)
}

/// An artifact is no image.
fn check_media(manifest: &Manifest, name: &Reference) -> Result<()> {
    let strange = manifest.layers.iter().find(|layer| layer.layer().is_none());
    let media_type = match strange {
        Some(layer) => &layer.media_type,
        None if oci::media::is_config(&manifest.config.media_type) => return Ok(()),
        None => &manifest.config.media_type,
    };
    let what = format!("`{}` is an artifact and no image: it has a `{media_type}`", name.familiar());
    Err(Error::new(Kind::Unsupported, what))
}

impl Intake<'_> {
    fn pull(&self, repository: &Repository<'_>, chosen: &Chosen, progress: &dyn Progress) -> Result<Pulled> {
        progress.begin(&chosen.manifest.layers);
        let mut blobs = self.pull_layers(repository, chosen, progress)?;
        for document in &chosen.documents {
            blobs.push(self.keep(document.bytes.as_slice(), "the manifest")?);
        }
        blobs.sort_unstable();
        blobs.dedup();
        sys::step!("engine.pull.unpacked");
        self.commit(repository.name(), chosen, blobs)
    }

    fn commit(&self, name: &Reference, chosen: &Chosen, blobs: Vec<Digest>) -> Result<Pulled> {
        let id = ImageId(super::digest_of(&chosen.config));
        let pinned = name.clone().without_suffix().with_digest(chosen.digest.clone());
        let shown = if name.digest().is_some() { pinned.clone() } else { name.clone().with_default_tag() };
        let had = self.store.resolve(&shown.canonical()).ok().map(|image| image.id().clone());
        let manifest = chosen.documents.last().map(|document| document.digest.clone());
        let mut names = vec![pinned, shown.clone()];
        names.dedup();
        let new = NewImage {
            id: id.clone(),
            config: chosen.config.clone(),
            layers: Some(self.seamed(&chosen.diff_ids)?),
            manifest,
            blobs,
            names,
        };
        let image = self.store.put_image(self.shared, new).map_err(from_store)?;
        sys::step!("engine.pull.committed");
        self.store.arrived(&chosen.diff_ids).map_err(from_store)?;
        self.engine.report(Event::of_image(&image, "pull", shown.familiar()));
        Ok(Pulled { is_new: had.as_ref() != Some(&id), id, name: shown, digest: chosen.digest.clone() })
    }

    /// Those that are missing, several at once; the digests of what is kept as it came.
    fn pull_layers(
        &self,
        repository: &Repository<'_>,
        chosen: &Chosen,
        progress: &dyn Progress,
    ) -> Result<Vec<Digest>> {
        let layers: Vec<_> = chosen.manifest.layers.iter().zip(&chosen.diff_ids).collect();
        let kept = Mutex::new(Vec::new());
        super::intake::at_once(AT_ONCE, layers.len(), &|at| {
            let (blob, diff_id) = layers[at];
            if self.pull_layer(repository, blob, diff_id, progress)? {
                kept.lock().iter_mut().for_each(|kept| kept.push(blob.digest.clone()));
            }
            Ok(())
        })?;
        Ok(kept.into_inner().unwrap_or_default())
    }

    /// Whether the blob is kept as it came.
    fn pull_layer(
        &self,
        repository: &Repository<'_>,
        blob: &Descriptor,
        diff_id: &DiffId,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let is_there = || -> Result<bool> {
            let there = self.store.layer(diff_id).map_err(from_store)?.is_some();
            Ok(there && (!self.keeps_blobs() || self.store.blob(&blob.digest).is_ok()))
        };
        let step = |step| progress.step(&blob.digest, step);
        if is_there()? {
            step(Step::Exists);
            return Ok(self.keeps_blobs());
        }
        let arrival =
            self.store.arrive(self.shared, &blob.digest, || step(Step::Waiting)).map_err(from_store)?;
        if is_there()? {
            step(Step::Exists);
            arrival.remove().map_err(from_store)?;
            return Ok(self.keeps_blobs());
        }
        step(Step::Pending);
        self.fetch_layer(repository, blob, diff_id, &arrival, &step)?;
        sys::step!("engine.pull.layer");
        arrival.become_layer(diff_id).map_err(from_store)?;
        step(Step::Done);
        Ok(self.keeps_blobs())
    }

    /// Goes on with what came before; if that was not what it should be, once more from the beginning.
    fn fetch_layer(
        &self,
        repository: &Repository<'_>,
        blob: &Descriptor,
        diff_id: &DiffId,
        arrival: &Arrival<'_>,
        step: &dyn Fn(Step),
    ) -> Result<()> {
        let had = arrival.length().map_err(from_store)?;
        let first = self.fetch_from(repository, blob, diff_id, arrival, step);
        match first {
            Err(error) if *error.kind() == Kind::Corrupt => {
                arrival.restart().map_err(from_store)?;
                if had == 0 { Err(error) } else { self.fetch_from(repository, blob, diff_id, arrival, step) }
            }
            other => other,
        }
    }

    fn fetch_from(
        &self,
        repository: &Repository<'_>,
        blob: &Descriptor,
        diff_id: &DiffId,
        arrival: &Arrival<'_>,
        step: &dyn Fn(Step),
    ) -> Result<()> {
        let what = format!("layer `{}`", blob.digest);
        let had = arrival.length().map_err(from_store)?.min(blob.size);
        let spool = open(arrival, &what)?;
        let before = open(arrival, &what)?.take(had);
        let rest = repository.blob(blob, had).map_err(from_registry)?;
        let keep = (blob.size >= WORTH_KEEPING).then_some(spool);
        let arriving = Arriving { input: rest, keep, at: had, step };
        let applied = self.ingest(before.chain(arriving), &what)?;
        let lie = |is: &Digest, said: &Digest| {
            Err(Error::new(Kind::Corrupt, format!("{what} has digest `{is}`, not `{said}`")))
        };
        match () {
            () if applied.digest != blob.digest => lie(&applied.digest, &blob.digest),
            () if applied.diff_id != *diff_id => lie(&applied.diff_id.0, &diff_id.0),
            () => Ok(()),
        }
    }
}

fn open(arrival: &Arrival<'_>, what: &str) -> Result<File> {
    // Not a duplicate, which would share its position: what came before is read while more is written.
    let path = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&arrival.file().as_fd()));
    let file = std::fs::OpenOptions::new().read(true).append(true).open(path);
    file.and_then(|mut file| file.rewind().map(|()| file))
        .map_err(|error| from_io(error, format!("keep {what}")))
}

/// What comes from the registry: counted, and kept for whoever goes on.
struct Arriving<'a, R> {
    input: R,
    keep: Option<File>,
    at: u64,
    step: &'a dyn Fn(Step),
}

impl<R: Read> Read for Arriving<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.keep.iter_mut().try_for_each(|keep| keep.write_all(&buffer[..length]))?;
        self.at += length as u64;
        if length > 0 {
            (self.step)(Step::Bytes(self.at));
        }
        Ok(length)
    }
}

/// Takes an error of the registry client over as it is.
pub fn from_registry(error: registry::Error) -> Error {
    use registry::Kind as Registry;
    error.map_kind(|kind| match kind {
        Registry::NotFound => Kind::NotFound,
        Registry::Denied | Registry::Blocked => Kind::Permission,
        Registry::Invalid => Kind::Invalid,
        Registry::Corrupt => Kind::Corrupt,
        Registry::Limit => Kind::Limit,
        Registry::Unsupported => Kind::Unsupported,
        Registry::Unreachable | Registry::Untrusted | Registry::Io | Registry::Refused => Kind::Failed,
    })
}

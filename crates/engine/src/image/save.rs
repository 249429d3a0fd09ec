//! `save`: images as one archive, for docker, podman and everybody who reads OCI layouts.
//!
//! ```text
//! blobs/sha256/HEX   configurations, manifests, layers (plain tars, made again from the store)
//! index.json         the manifests, with their names       image-spec image-layout.md
//! oci-layout
//! manifest.json      docker's list of the same; not in an OCI archive
//! ```
//!
//! The same images give the same bytes: no times, no users, everything sorted.

use super::{digest_of, from_io};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use oci::archive::ArchiveImage;
use oci::{Descriptor, DiffId, Digest, ImageConfig, Layout, Manifest, Platform, Reference, media};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use store::Image;

/// What kind of archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// docker's, which is an OCI layout, too.
    #[default]
    Docker,
    /// An OCI layout and nothing else.
    Oci,
}

/// What `save` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Save {
    /// What kind of archive.
    pub form: Form,
    /// `--platform`: an image of another one is an error.
    pub platform: Option<Platform>,
}

/// An image and the names it is saved by.
struct Chosen {
    image: Image,
    config: ImageConfig,
    names: Vec<Reference>,
}

impl Engine {
    /// Writes images into one archive. A name saves the image under that name, a repository under all its tags, an id
    /// under none. What was written is an archive only if this returns.
    pub fn save(&self, words: &[String], request: &Save, out: &mut dyn Write) -> Result<()> {
        self.bury()?;
        let _shared = self.store.share().map_err(from_store)?;
        let chosen = self.choose(words, request)?;
        let mut archive = Archive { out, written: BTreeSet::new() };
        archive.directory("blobs/")?;
        archive.directory("blobs/sha256/")?;
        let mut manifests = Vec::new();
        let mut list = Vec::new();
        for one in &chosen {
            let (descriptors, listed) = self.save_one(one, &mut archive)?;
            manifests.extend(descriptors);
            list.push(listed);
        }
        let index = super::transfer::index_of(manifests);
        archive.file("index.json", &json(&index)?)?;
        if request.form == Form::Docker {
            archive.file("manifest.json", &json(&list)?)?;
        }
        archive.file(Layout::FILE, &json(&Layout::current())?)?;
        archive.end()?;
        self.report_all(chosen.iter().map(|one| Event::of_image(&one.image, "save", one.image.id())));
        Ok(())
    }

    /// Each image once, with all names that were meant.
    fn choose(&self, words: &[String], request: &Save) -> Result<Vec<Chosen>> {
        let mut chosen: Vec<Chosen> = Vec::new();
        for word in words {
            for (image, name) in self.meant(word)? {
                if let Some(platform) = &request.platform {
                    self.check_platform(&image, platform, word)?;
                }
                let config = image.config().map_err(from_store)?;
                match chosen.iter_mut().find(|one| one.image.id() == image.id()) {
                    Some(one) => one.names.extend(name),
                    None => chosen.push(Chosen { image, config, names: name.into_iter().collect() }),
                }
            }
        }
        for one in &mut chosen {
            one.names.sort();
            one.names.dedup();
        }
        Ok(chosen)
    }

    /// As docker has it: a name without a tag means all of its tags.
    fn meant(&self, word: &str) -> Result<Vec<(Image, Option<Reference>)>> {
        let name: Option<Reference> = word.parse().ok();
        if let Some(bare) = name.as_ref().filter(|name| name.tag().is_none() && name.digest().is_none()) {
            let tags = self.store.tags().map_err(from_store)?;
            let named =
                tags.into_iter().filter(|tag| tag.name.name() == bare.name() && tag.name.tag().is_some());
            let found =
                named.map(|tag| Ok((self.store.image(&tag.image).map_err(from_store)?, Some(tag.name))));
            let found = found.collect::<Result<Vec<_>>>()?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let image = self.store.resolve(word).map_err(from_store)?;
        let is_name = |name: &Reference| name.tag().is_some() && name.digest().is_none();
        let tags = self.store.names(image.id()).map_err(from_store)?;
        let name = name.filter(is_name).filter(|name| tags.iter().any(|tag| tag.name == *name));
        Ok(vec![(image, name)])
    }

    fn save_one(&self, one: &Chosen, archive: &mut Archive<'_>) -> Result<(Vec<Descriptor>, ArchiveImage)> {
        let config = one.image.record.config.as_bytes();
        let mut layers = Vec::new();
        for diff_id in &one.config.rootfs.diff_ids {
            let size = self.save_layer(diff_id, archive)?;
            layers.push(Descriptor::new(media::LAYER, diff_id.0.clone(), size));
        }
        archive.blob(&one.image.id().0, config)?;
        let config = Descriptor::new(media::CONFIG, one.image.id().0.clone(), config.len() as u64);
        let manifest = json(&manifest_of(config, layers))?;
        let digest = digest_of(&manifest);
        archive.blob(&digest, &manifest)?;
        let mut descriptor = Descriptor::new(media::MANIFEST, digest, manifest.len() as u64);
        descriptor.platform = Some(one.config.platform());
        let listed = ArchiveImage {
            config: blob_name(&one.image.id().0),
            repo_tags: Some(one.names.iter().map(Reference::familiar).collect()),
            layers: one.config.rootfs.diff_ids.iter().map(|diff_id| blob_name(&diff_id.0)).collect(),
            parent: None,
            layer_sources: Default::default(),
        };
        Ok((named(&descriptor, &one.names), listed))
    }

    /// Its bytes, once in an archive.
    fn save_layer(&self, diff_id: &DiffId, archive: &mut Archive<'_>) -> Result<u64> {
        let size = self.store.layer_meta(diff_id).map_err(from_store)?.tar_size;
        let name = blob_name(&diff_id.0);
        if !archive.written.insert(name.clone()) {
            return Ok(size);
        }
        archive.header(&name, size, b'0')?;
        let written = self.remake(diff_id, archive.out)?;
        if written != size {
            let what = format!("layer `{diff_id}` has {written} bytes, not {size}");
            return Err(Error::new(Kind::Corrupt, what));
        }
        archive.pad(size)?;
        Ok(size)
    }
}

/// An entry for each name, containerd's whole one beside the specification's tag.
fn named(descriptor: &Descriptor, names: &[Reference]) -> Vec<Descriptor> {
    if names.is_empty() {
        return vec![descriptor.clone()];
    }
    let with = |name: &Reference| {
        let mut one = descriptor.clone();
        one.annotations.insert("io.containerd.image.name".into(), name.canonical());
        one.annotations
            .insert("org.opencontainers.image.ref.name".into(), name.tag().unwrap_or("latest").into());
        one
    };
    names.iter().map(with).collect()
}

pub(super) fn manifest_of(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
    Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.into()),
        artifact_type: None,
        config,
        layers,
        subject: None,
        annotations: Default::default(),
        extra: Default::default(),
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::new(Kind::Failed, "write a document").caused_by(error))
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}", digest.to_string().replace(':', "/"))
}

/// A tar under way.
struct Archive<'a> {
    out: &'a mut dyn Write,
    written: BTreeSet<String>,
}

/// Bytes of a tar's block.
const BLOCK: u64 = 512;

impl Archive<'_> {
    fn blob(&mut self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let name = blob_name(digest);
        if self.written.insert(name.clone()) { self.file(&name, bytes) } else { Ok(()) }
    }

    fn directory(&mut self, name: &str) -> Result<()> {
        self.header(name, 0, b'5')
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.header(name, bytes.len() as u64, b'0')?;
        self.put(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn header(&mut self, name: &str, size: u64, flag: u8) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        let invalid = |error| from_io(error, format!("name `{name}` in an archive"));
        header.set_path(name).map_err(invalid)?;
        header.set_mode(if flag == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_entry_type(tar::EntryType::new(flag));
        header.set_cksum();
        self.put(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let missing = size.next_multiple_of(BLOCK) - size;
        self.put(&[0; BLOCK as usize][..usize::try_from(missing).unwrap_or(0)])
    }

    fn end(&mut self) -> Result<()> {
        self.put(&[0; 2 * BLOCK as usize])?;
        self.out.flush().map_err(|error| from_io(error, "write the archive".into()))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| from_io(error, "write the archive".into()))
    }
}

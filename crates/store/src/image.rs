//! Images: one record each, shown by one rename.

use crate::blob::digest_of;
use crate::disk;
use crate::error::{At, Error, Kind, Result, absent};
use crate::id::is_hex;
use crate::notice::Read;
use crate::refs::Tag;
use crate::root::{Shared, Store};
use jiff::Timestamp;
use oci::{DiffId, Digest, ImageConfig, ImageId, Reference};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is kept of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The digest of `config`.
    pub id: ImageId,
    /// Its configuration, byte for byte as it came.
    pub config: String,
    /// What it is mounted from, lowest first: the layers its configuration names and, between them, seams of the
    /// engine's that make up for what a layer cannot hold alone.
    pub layers: Vec<DiffId>,
    /// The digest of the manifest it came with, if it came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Its blobs in the store: the manifest and the index it came with, and its layers as they came where the policy
    /// keeps them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Digest>,
    /// The sum of its layers' [`crate::LayerMeta::file_bytes`]: what docker calls its size.
    pub size: u64,
    /// Its layers' [`crate::LayerMeta::blocks`], together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<u16>,
    /// When it came into the store.
    pub added: Timestamp,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What is kept of it.
    pub record: ImageRecord,
}

/// An image to be, all of whose layers are in the store.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// The digest the bytes of `config` must have.
    pub id: ImageId,
    /// The bytes of its configuration.
    pub config: Vec<u8>,
    /// What it is mounted from, where that is not just the layers of its configuration.
    pub layers: Option<Vec<DiffId>>,
    /// The digest of its manifest, if any.
    pub manifest: Option<Digest>,
    /// Blobs of it that were committed.
    pub blobs: Vec<Digest>,
    /// The names it gets; each leaves the image that had it.
    pub names: Vec<Reference>,
}

impl NewImage {
    /// The same image, which came before in another way.
    fn with(&self, before: Image) -> Self {
        let mut blobs = [self.blobs.clone(), before.record.blobs].concat();
        blobs.sort_unstable();
        blobs.dedup();
        Self { manifest: self.manifest.clone().or(before.record.manifest), blobs, ..self.clone() }
    }
}

impl Image {
    /// Its id.
    pub fn id(&self) -> &ImageId {
        &self.record.id
    }

    /// Its configuration.
    pub fn config(&self) -> Result<ImageConfig> {
        parse_config(self.record.config.as_bytes())
    }
}

impl Store {
    /// Makes an image appear, under its names. Before that everything it consists of is flushed; an
    /// image that is there already is left as it is, and only gets the names and blobs. `shared` has been held
    /// since the first of its layers was looked up or drafted.
    pub fn put_image(&self, shared: &Shared, new: NewImage) -> Result<Image> {
        let _refs = self.lock_refs(FlockOperation::LockShared)?;
        let image = match self.find_image(&new.id) {
            Ok(Some(image)) if new.blobs.iter().all(|blob| image.record.blobs.contains(blob)) => image,
            Err(error) if *error.kind() != Kind::Corrupt => return Err(error),
            // One that does not know of its blobs is written anew, and keeps those it had,
            Ok(Some(image)) => self.commit_image(shared, &new.with(image))?,
            // as is a record that is damaged.
            _ => self.commit_image(shared, &new)?,
        };
        for name in &new.names {
            self.put_tag(shared, image.id(), name)?;
        }
        Ok(image)
    }

    fn commit_image(&self, shared: &Shared, new: &NewImage) -> Result<Image> {
        let record = self.check_image(new)?;
        self.flush()?;
        sys::step!("store.image.flush");
        let path = record_path(&record.id);
        self.put_file(shared, &path, &disk::to_json(&record)?)?;
        sys::step!("store.image.rename");
        Ok(Image { record })
    }

    /// The record, if every digest is true and every part is there.
    fn check_image(&self, new: &NewImage) -> Result<ImageRecord> {
        let corrupt = |what: String| Error::new(Kind::Corrupt, what);
        if digest_of(&new.config) != new.id.0 {
            return Err(corrupt(format!("the configuration of image `{}` has another digest", new.id)));
        }
        let named = parse_config(&new.config)?.rootfs.diff_ids;
        let layers = new.layers.clone().unwrap_or_else(|| named.clone());
        let mut size = 0;
        let mut blocks = BTreeSet::new();
        let mut next = named.iter().peekable();
        for diff_id in &layers {
            let layer = self.layer(diff_id)?.ok_or_else(|| absent(format!("no such layer: {diff_id}")))?;
            let is_named = next.next_if_eq(&diff_id).is_some();
            blocks.extend(layer.meta.blocks);
            size += if is_named { layer.meta.file_bytes } else { 0 };
        }
        if let Some(missing) = next.next() {
            return Err(absent(format!("no such layer: {missing}")));
        }
        for digest in &new.blobs {
            self.blob(digest)?;
        }
        let config = String::from_utf8(new.config.clone());
        let config =
            config.map_err(|_| corrupt(format!("the configuration of image `{}` is not text", new.id)))?;
        let blocks = blocks.into_iter().take(crate::BLOCKS + 1).collect();
        let (id, manifest, blobs) = (new.id.clone(), new.manifest.clone(), new.blobs.clone());
        Ok(ImageRecord { id, config, layers, manifest, blobs, size, blocks, added: Timestamp::now() })
    }

    /// The image of this id.
    pub fn image(&self, id: &ImageId) -> Result<Image> {
        self.find_image(id)?.ok_or_else(|| no_image(id.as_str()))
    }

    /// All images, newest first.
    pub fn images(&self) -> Result<Vec<Image>> {
        let mut images: Vec<Image> =
            self.image_records()?.whole.into_iter().map(|record| Image { record }).collect();
        images.sort_by(|a, b| (b.record.added, &b.record.id).cmp(&(a.record.added, &a.record.id)));
        Ok(images)
    }

    /// The names of an image, sorted.
    pub fn names(&self, id: &ImageId) -> Result<Vec<Tag>> {
        Ok(self.tags()?.into_iter().filter(|tag| tag.image == *id).collect())
    }

    /// The image meant by `text`: an id with its algorithm, a full id, a name (`:latest` where there is
    /// neither tag nor digest), or the beginning of an id, in this order, as docker does.
    pub fn resolve(&self, text: &str) -> Result<Image> {
        let (image, _) = self.resolve_name(text)?;
        Ok(image)
    }

    /// Likewise, with the name by which it was found.
    pub(crate) fn resolve_name(&self, text: &str) -> Result<(Image, Option<Reference>)> {
        let full = text.strip_prefix("sha256:").unwrap_or(text);
        if full.len() == 64 && is_hex(full) {
            let id: ImageId = format!("sha256:{full}").parse().map_err(|_| no_image(text))?;
            return self.find_image(&id)?.map(|image| (image, None)).ok_or_else(|| no_image(text));
        }
        if let Ok(name) = text.parse::<Reference>()
            && let Some(tag) = self.find_tag(&name.with_default_tag())?
        {
            return Ok((self.image(&tag.image)?, Some(tag.name)));
        }
        self.image_with_prefix(full, text).map(|image| (image, None))
    }

    /// A name with a tag is one file. A name with a digest is the file of that digest, whatever tag is
    /// written beside it; or the image of any name whose manifest has the digest.
    fn find_tag(&self, name: &Reference) -> Result<Option<Tag>> {
        let Some(digest) = name.digest() else { return self.tag_of(name) };
        let bare = name.clone().without_suffix().with_digest(digest.clone());
        if let Some(tag) = self.tag_of(&bare)? {
            return Ok(Some(tag));
        }
        for tag in self.tags()?.into_iter().filter(|tag| tag.name.name() == name.name()) {
            let image = self.image(&tag.image)?;
            if image.record.manifest.as_ref() == Some(digest) || image.id().0 == *digest {
                return Ok(Some(tag));
            }
        }
        Ok(None)
    }

    fn image_with_prefix(&self, prefix: &str, text: &str) -> Result<Image> {
        if prefix.is_empty() || !is_hex(prefix) {
            return Err(no_image(text));
        }
        let mut files = disk::sorted_names(self.root(), "images")?;
        files.retain(|file| file.starts_with(prefix));
        match files.as_slice() {
            [] => Err(no_image(text)),
            [file] => self.read_image(file)?.ok_or_else(|| no_image(text)),
            _ => Err(Error::new(
                Kind::Ambiguous,
                format!("multiple images have an id beginning with `{text}`"),
            )),
        }
    }

    pub(crate) fn find_image(&self, id: &ImageId) -> Result<Option<Image>> {
        self.read_image(&format!("{}.json", id.hex()))
    }

    fn read_image(&self, file: &str) -> Result<Option<Image>> {
        Ok(self.image_record(file)?.map(|record| Image { record }))
    }

    /// The record in a file of `images/`, which is named by it.
    pub(crate) fn image_record(&self, file: &str) -> Result<Option<ImageRecord>> {
        let path = format!("images/{file}");
        let record: Option<ImageRecord> = disk::read_record(self.root(), &path)?;
        match record {
            Some(record) if record_path(&record.id) != path => {
                Err(Error::new(Kind::Corrupt, format!("`{path}` is the record of image `{}`", record.id)))
            }
            record => Ok(record),
        }
    }

    pub(crate) fn image_records(&self) -> Result<Read<ImageRecord>> {
        self.read_all("images", |file| self.image_record(file))
    }
}

pub(crate) fn record_path(id: &ImageId) -> String {
    format!("images/{}.json", id.hex())
}

fn parse_config(bytes: &[u8]) -> Result<ImageConfig> {
    serde_json::from_slice(bytes).at(|| "read an image's configuration".into())
}

fn no_image(text: &str) -> Error {
    absent(format!("no such image: {text}"))
}

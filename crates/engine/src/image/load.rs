//! `load`: images out of docker's archives of any age, OCI archives and OCI layout directories.

use super::archive::Archive;
use super::intake::Intake;
use super::{Source, digest_of};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use oci::archive::{ArchiveImage, Repositories, V1Image, config_from_v1};
use oci::{
    Descriptor, DiffId, Digest, Document, ImageConfig, ImageId, Index, Layout, Manifest, Platform, Reference,
    RootFs, media,
};
use sha2::{Digest as _, Sha512};
use std::sync::Mutex;
use store::NewImage;

/// What `load` was asked for.
#[derive(Debug, Default)]
pub struct Load {
    /// `--platform`: which image of an index; the host's when absent.
    pub platform: Option<Platform>,
}

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub id: ImageId,
    /// Its names, as docker shows them; none for one without.
    pub names: Vec<String>,
}

/// One image of an archive, found and not yet unpacked.
struct Found {
    config: Vec<u8>,
    /// Members that hold its layers, lowest first, with the digest each must have if one is stated.
    layers: Vec<(String, Option<Digest>)>,
    manifest: Option<Digest>,
    names: Vec<Reference>,
}

impl Engine {
    /// Loads all images of an archive or layout directory. An image appears when it is whole; those before one that
    /// fails stay. Layers that were unpacked and turned out to be nobody's are gone when this returns, unless
    /// somebody else is using the store: then the next collection takes them.
    pub fn load(&self, source: &Source, request: &Load) -> Result<Vec<Loaded>> {
        self.bury()?;
        match self.load_all(source, request) {
            Ok((loaded, false)) => Ok(loaded),
            Ok((loaded, true)) => self.store.collect(false).map_err(from_store).map(|_| loaded),
            Err(error) => {
                // The failure that is told is the first one.
                drop(self.store.collect(false));
                Err(error)
            }
        }
    }

    /// What was loaded, and whether layers may have been unpacked for nothing.
    fn load_all(&self, source: &Source, request: &Load) -> Result<(Vec<Loaded>, bool)> {
        let shared = self.store.share().map_err(from_store)?;
        let intake = Intake::new(self, &shared)?;
        let done = read_all(&intake, source, request, self.tell);
        done.map_err(|error| intake.with_memory_hint(error))
    }
}

fn read_all(
    intake: &Intake<'_>,
    source: &Source,
    request: &Load,
    tell: fn(&str),
) -> Result<(Vec<Loaded>, bool)> {
    let archive = match source {
        Source::File(path) if path.is_dir() => Archive::of_directory(intake, path)?,
        Source::File(path) => Archive::of_file(intake, path, tell)?,
        other => Archive::of_stream(intake, other.open(tell)?, &format!("read {}", other.named()))?,
    };
    let platform = request.platform.clone().unwrap_or_else(Platform::host);
    let found = find(&archive, &platform, request.platform.is_some())?;
    let loaded = found.into_iter().map(|image| intake.load_one(&archive, image));
    Ok((loaded.collect::<Result<_>>()?, archive.is_stream()))
}

impl Intake<'_> {
    fn load_one(&self, archive: &Archive<'_>, found: Found) -> Result<Loaded> {
        let config = ImageConfig::parse(&found.config).map_err(corrupt)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != found.layers.len() {
            let what = format!(
                "the configuration names {} layers, the manifest {}",
                diff_ids.len(),
                found.layers.len()
            );
            return Err(Error::new(Kind::Corrupt, what));
        }
        let mut blobs = self.unpack_all(archive, &found.layers, diff_ids)?;
        if let Some(manifest) = found.manifest.as_ref().filter(|_| self.keeps_blobs()) {
            blobs.push(self.keep(blob(archive, manifest)?, "the manifest")?);
        }
        blobs.sort_unstable();
        blobs.dedup();
        sys::step!("engine.load.unpacked");
        let id = ImageId(digest_of(&found.config));
        let names = found.names.iter().map(Reference::familiar).collect();
        let new = NewImage {
            id: id.clone(),
            config: found.config,
            layers: Some(self.seamed(diff_ids)?),
            manifest: found.manifest,
            blobs,
            names: found.names,
        };
        let image = self.store.put_image(self.shared, new).map_err(from_store)?;
        self.engine.report(Event::of_image(&image, "load", image.id()));
        Ok(Loaded { id, names })
    }

    /// Several layers at once: they do not depend on each other. The digests of those that are kept as they came.
    fn unpack_all(
        &self,
        archive: &Archive<'_>,
        layers: &[(String, Option<Digest>)],
        ids: &[DiffId],
    ) -> Result<Vec<Digest>> {
        let kept = Mutex::new(Vec::new());
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        super::intake::at_once(most, layers.len(), &|at| {
            let (name, digest) = &layers[at];
            let unpacked = self.unpack(archive, name, digest.as_ref(), &ids[at])?;
            kept.lock().iter_mut().for_each(|kept| kept.extend(unpacked.clone()));
            Ok(())
        })?;
        Ok(kept.into_inner().unwrap_or_default())
    }

    /// Unpacks a layer that is not there yet. Its digest if it is kept as it came.
    fn unpack(
        &self,
        archive: &Archive<'_>,
        name: &str,
        digest: Option<&Digest>,
        diff_id: &DiffId,
    ) -> Result<Option<Digest>> {
        let lie = |is: &Digest, said: &Digest| {
            Err(Error::new(Kind::Corrupt, format!("layer `{name}` has digest `{is}`, not `{said}`")))
        };
        // What passed is known already, and is looked at whether it is needed or not: a stream and a file of the same
        // bytes are the same archive.
        let has_passed = archive.has_passed(name)?;
        let is_there = !has_passed && self.store.layer(diff_id).map_err(from_store)?.is_some();
        if is_there && !self.keeps_blobs() {
            return Ok(None);
        }
        let (is, unpacked) = match is_there {
            true => (archive.keep(name)?, diff_id.clone()),
            false => archive.layer(name).map(|applied| (applied.digest, applied.diff_id))?,
        };
        match digest {
            Some(digest) if *digest != is => lie(&is, digest),
            _ if unpacked != *diff_id => lie(&unpacked.0, &diff_id.0),
            _ => Ok(self.keeps_blobs().then_some(is)),
        }
    }
}

/// The images of an archive, by the document that lists them.
fn find(archive: &Archive<'_>, platform: &Platform, asked: bool) -> Result<Vec<Found>> {
    let index = archive.document("index.json");
    if let Some(list) = archive.document("manifest.json") {
        let images = ArchiveImage::parse(list).map_err(corrupt)?;
        let mut found =
            images.into_iter().map(|image| of_docker(archive, image)).collect::<Result<Vec<_>>>()?;
        if asked {
            found.retain(|image| runs_on(&image.config, platform));
        }
        match (found.is_empty() && asked, index) {
            (false, _) => return Ok(found),
            (true, None) => return Err(absent(platform)),
            // docker 25 and later list one platform here and all of them there.
            (true, Some(_)) => {}
        }
    }
    if let Some(index) = index {
        archive
            .document(Layout::FILE)
            .map_or(Ok(()), |layout| Layout::parse(layout).map(drop))
            .map_err(corrupt)?;
        let index: Index = parse_json(index, "index.json")?;
        return of_oci(archive, &index, &Choice { platform, asked }, &[], NESTED);
    }
    if let Some(list) = archive.document("repositories") {
        return of_v1(archive, &Repositories::parse(list).map_err(corrupt)?);
    }
    Err(Error::new(
        Kind::Corrupt,
        "the archive has no manifest.json, no index.json and no repositories: it holds no image",
    )
    .with_hint("`hull import` takes the tar of a root file system"))
}

fn of_docker(archive: &Archive<'_>, image: ArchiveImage) -> Result<Found> {
    let config = archive.needed(&image.config)?.to_vec();
    verify(&image.config, &config)?;
    let names = image
        .repo_tags
        .iter()
        .flatten()
        .map(|name| name.parse::<Reference>().map_err(corrupt))
        .collect::<Result<_>>()?;
    let layers = image.layers.into_iter().map(|name| (name, None)).collect();
    Ok(Found { config, layers, manifest: None, names })
}

fn runs_on(config: &[u8], platform: &Platform) -> bool {
    ImageConfig::parse(config).is_ok_and(|config| platform.matches(&config.platform()))
}

/// A member below `blobs/` is named by its digest; so is a configuration since docker 1.10.
fn verify(name: &str, bytes: &[u8]) -> Result<()> {
    let is = match name.starts_with("blobs/sha512/") {
        true => Digest::from_sha512(Sha512::digest(bytes).into()),
        false => digest_of(bytes),
    };
    let plain = || name.strip_suffix(".json").filter(|hex| hex.len() == 64);
    let blob = || name.strip_prefix("blobs/")?.split_once('/').map(|(_, hex)| hex);
    match blob().or_else(plain).filter(|hex| *hex != is.hex()) {
        Some(_) => Err(Error::new(Kind::Corrupt, format!("`{name}` has digest `{is}`"))),
        None => Ok(()),
    }
}

/// How deep an index may lie in others. One in one is known; each could name thousands that contain thousands.
const NESTED: usize = 8;

/// Which images are wanted.
struct Choice<'a> {
    platform: &'a Platform,
    /// The caller named the platform.
    asked: bool,
}

/// Every image of an index, and of an index in it the one for the platform.
fn of_oci(
    archive: &Archive<'_>,
    index: &Index,
    choice: &Choice<'_>,
    names: &[Reference],
    depth: usize,
) -> Result<Vec<Found>> {
    let platform = choice.platform;
    let mut found = Vec::new();
    for descriptor in index.manifests.iter().filter(|descriptor| !descriptor.is_attestation()) {
        let own = names_of(descriptor);
        let names = if own.is_empty() { names } else { &own };
        match parse_document(archive, descriptor)? {
            Document::Index(_) if depth == 0 => {
                return Err(Error::new(
                    Kind::Limit,
                    format!("indexes lie more than {NESTED} deep in each other"),
                ));
            }
            Document::Index(inner) => {
                let chosen = inner.choose(platform).ok_or_else(|| absent(platform))?.clone();
                let only = Index { manifests: vec![chosen], ..inner };
                found.extend(of_oci(archive, &only, choice, names, depth - 1)?);
            }
            Document::Manifest(manifest) => {
                let image = of_manifest(archive, descriptor, *manifest, names.to_vec())?;
                found.extend((!choice.asked || runs_on(&image.config, platform)).then_some(image));
            }
        }
    }
    if found.is_empty() { Err(absent(platform)) } else { Ok(found) }
}

fn of_manifest(
    archive: &Archive<'_>,
    descriptor: &Descriptor,
    manifest: Manifest,
    names: Vec<Reference>,
) -> Result<Found> {
    let config = described(archive, &manifest.config)?.to_vec();
    let layers = manifest.layers.iter().map(|layer| match layer.layer() {
        Some(_) => layer_of(archive, layer),
        None => Err(Error::new(
            Kind::Unsupported,
            format!("`{}` is no layer of an image: `{}`", layer.digest, layer.media_type),
        )),
    });
    Ok(Found {
        config,
        layers: layers.collect::<Result<_>>()?,
        manifest: Some(descriptor.digest.clone()),
        names,
    })
}

fn layer_of(archive: &Archive<'_>, descriptor: &Descriptor) -> Result<(String, Option<Digest>)> {
    let name = blob_name(&descriptor.digest);
    match archive.layer_size(&name)? {
        Some(size) if size != descriptor.size => Err(lying(descriptor, &format!("{size} bytes"))),
        _ => Ok((name, Some(descriptor.digest.clone()))),
    }
}

/// What a descriptor points at is of the kind and size that it says, or two readers would see two images (CVE-2021-41190).
fn parse_document(archive: &Archive<'_>, descriptor: &Descriptor) -> Result<Document> {
    let document = Document::parse(described(archive, descriptor)?).map_err(corrupt)?;
    let said = descriptor.media_type.as_str();
    match &document {
        Document::Index(_) if media::is_manifest(said) => Err(lying(descriptor, "an index, not a manifest")),
        Document::Manifest(_) if media::is_index(said) => Err(lying(descriptor, "a manifest, not an index")),
        _ => Ok(document),
    }
}

fn lying(descriptor: &Descriptor, is: &str) -> Error {
    let (digest, size, said) = (&descriptor.digest, descriptor.size, &descriptor.media_type);
    Error::new(Kind::Corrupt, format!("`{digest}` is {is}; its descriptor says `{said}` of {size} bytes"))
}

fn described<'a>(archive: &'a Archive, descriptor: &Descriptor) -> Result<&'a [u8]> {
    let bytes = blob(archive, &descriptor.digest)?;
    match bytes.len() as u64 == descriptor.size {
        true => Ok(bytes),
        false => Err(lying(descriptor, &format!("{} bytes", bytes.len()))),
    }
}

fn blob<'a>(archive: &'a Archive, digest: &Digest) -> Result<&'a [u8]> {
    let name = blob_name(digest);
    let bytes = archive.needed(&name)?;
    verify(&name, bytes).map(|()| bytes)
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}", digest.to_string().replace(':', "/"))
}

/// containerd's whole name, or the specification's, which may be a mere tag and then names nothing.
fn names_of(descriptor: &Descriptor) -> Vec<Reference> {
    let annotation = |key: &str| descriptor.annotations.get(key);
    let whole = annotation("io.containerd.image.name").and_then(|name| name.parse::<Reference>().ok());
    let short = || {
        annotation("org.opencontainers.image.ref.name")
            .filter(|name| name.contains([':', '/']))?
            .parse::<Reference>()
            .ok()
    };
    whole.or_else(short).map(Reference::with_default_tag).into_iter().collect()
}

/// docker's own bound is 125 (`maxLayerDepth`); without one, a chain that leads back to itself has no end.
const V1_LAYERS: usize = 500;

/// Archives from before docker 1.10: a directory for each layer, with a parent. The configuration that such an image
/// lacks is put together as docker does.
fn of_v1(archive: &Archive<'_>, repositories: &Repositories) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (name, tags) in &repositories.0 {
        for (tag, id) in tags {
            let mut image = of_v1_image(archive, id)?;
            image.names = vec![format!("{name}:{tag}").parse().map_err(corrupt)?];
            found.push(image);
        }
    }
    Ok(found)
}

fn of_v1_image(archive: &Archive<'_>, top: &str) -> Result<Found> {
    let (mut chain, mut next) = (Vec::new(), Some(top.to_owned()));
    while let Some(id) = next.take() {
        if chain.len() == V1_LAYERS {
            let what = format!("`{top}` has more than {V1_LAYERS} ancestors, or is its own");
            return Err(Error::new(Kind::Limit, what));
        }
        let image = V1Image::parse(archive.needed(&format!("{id}/json"))?).map_err(corrupt)?;
        next = image.parent.clone().filter(|parent| !parent.is_empty());
        chain.push((id, image));
    }
    chain.reverse();
    let layers: Vec<_> = chain.iter().map(|(id, _)| (format!("{id}/layer.tar"), None)).collect();
    let diff_ids = layers.iter().map(|(name, _)| archive.layer(name).map(|applied| applied.diff_id));
    let rootfs = RootFs { diff_ids: diff_ids.collect::<Result<_>>()?, ..RootFs::default() };
    let history: Vec<_> = chain.iter().map(|(_, image)| image.history()).collect();
    let config =
        config_from_v1(archive.needed(&format!("{top}/json"))?, &rootfs, &history).map_err(corrupt)?;
    Ok(Found { config, layers, manifest: None, names: Vec::new() })
}

fn parse_json<T: serde::de::DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(Kind::Corrupt, format!("parse `{name}`")).caused_by(error))
}

fn absent(platform: &Platform) -> Error {
    Error::new(Kind::NotFound, format!("the archive has no image for platform {platform}"))
}

fn corrupt(error: oci::Error) -> Error {
    error.map_kind(|_| Kind::Corrupt)
}

//! `image copy`: an image from one place to another, byte for byte, so that every digest stays.
//!
//! ```text
//!                 registry   layout   directory   store            an archive is a layout in a tar, made and read
//!   registry         ·          ·         ·        pull             aside; docker's archives go by a store of their own
//!   layout           ·          ·         ·        load
//!   store           push       save      save       tag
//! ```

use super::pull::{Progress, Step, from_registry};
use super::{Form, Load, Place, Pull, Push, Save, Source, digest_of, from_io};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use oci::{Descriptor, Digest, Document, Index, Layout, Manifest, Platform, Reference, media};
use registry::{Client, Fetched, Repository};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Blobs that are copied at once.
const AT_ONCE: usize = 4;
/// The tag of a layout's image that names none.
const TAG: &str = "org.opencontainers.image.ref.name";

/// What `image copy` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    /// `--all`: an index with all of its images; else the image of one platform.
    pub all: bool,
    /// `--platform`: the host's when absent.
    pub platform: Option<Platform>,
}

/// Where bytes come from.
trait From: Sync {
    /// What the place names.
    fn top(&self) -> Result<Fetched>;
    /// A document by its digest.
    fn document(&self, digest: &Digest) -> Result<Fetched>;
    fn blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + '_>>;
    /// The repository it is in, from which another of its registry may take a blob over.
    fn repository(&self) -> Option<&Reference> {
        None
    }
}

/// Where they go.
trait To: Sync {
    fn has(&self, blob: &Descriptor) -> Result<bool>;
    fn take_over(&self, blob: &Descriptor, from: Option<&Reference>) -> Result<bool>;
    fn put(&self, blob: &Descriptor, bytes: &mut dyn Read) -> Result<()>;
    /// A document; the top one gets the place's name.
    fn put_document(&self, document: &Fetched, is_top: bool) -> Result<()>;
}

impl Engine {
    /// Copies an image; the digest of what is there now.
    pub fn copy_image(
        &self,
        client: &Client,
        from: &Place,
        to: &Place,
        request: &Copy,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        match (from, to) {
            (Place::Store(name), Place::Store(to)) => {
                self.tag(&name.canonical(), &to.canonical())?;
                self.digest_here(&to.canonical())
            }
            (Place::Registry(name), Place::Store(to)) => {
                let pull = Pull { platform: request.platform.clone() };
                let before = self.store.tags().map_err(from_store)?;
                let pulled = self.pull(client, name, &pull, progress)?;
                self.tag(&pulled.id.to_string(), &to.canonical())?;
                // It was asked for under this name, and no other.
                let is_new =
                    |tag: &&store::Tag| tag.name != *to && !before.iter().any(|known| known.name == tag.name);
                for tag in self.store.names(&pulled.id).map_err(from_store)?.iter().filter(is_new) {
                    self.store.untag(&tag.name).map_err(from_store)?;
                }
                Ok(pulled.digest)
            }
            (_, Place::Store(to)) => self.load_as(from, to, request),
            (Place::Store(name), Place::Registry(to)) => {
                let push = Push { platform: request.platform.clone(), ..Push::default() };
                Ok(self.push_as(client, &name.canonical(), to, &push, progress)?.digest)
            }
            (Place::Store(name), _) => self.save_to(name, to, request),
            (Place::DockerArchive(..), _) | (_, Place::DockerArchive(..)) => {
                self.by_a_store(client, from, to, request, progress)
            }
            _ => self.copy_bytes(client, from, to, request, progress),
        }
    }

    fn digest_here(&self, name: &str) -> Result<Digest> {
        let image = self.store.resolve(name).map_err(from_store)?;
        Ok(image.record.manifest.clone().unwrap_or_else(|| image.id().0.clone()))
    }

    fn load_as(&self, from: &Place, to: &Reference, request: &Copy) -> Result<Digest> {
        if let Place::Layout(_, Some(_)) | Place::OciArchive(_, Some(_)) | Place::Directory(_) = from {
            return self.load_chosen(from, to, request);
        }
        let load = Load { platform: request.platform.clone() };
        let path = match from {
            Place::Layout(path, _) | Place::OciArchive(path, _) | Place::DockerArchive(path, _) => {
                path.clone()
            }
            _ => return Err(Error::new(Kind::Invalid, "an archive is expected")),
        };
        let loaded = self.load(&Source::File(path.clone()), &load)?;
        let wanted = match from {
            Place::DockerArchive(_, name) => name.clone(),
            _ => None,
        };
        let is_wanted =
            |names: &[String]| wanted.as_ref().is_none_or(|name| names.contains(&name.familiar()));
        let one = loaded.iter().find(|loaded| is_wanted(&loaded.names));
        let one =
            one.ok_or_else(|| Error::new(Kind::NotFound, format!("`{}` has no such image", path.display())))?;
        self.tag(&one.id.to_string(), &to.canonical())?;
        self.digest_here(&to.canonical())
    }

    /// One image of several, by a layout aside that has only that, which `load` reads.
    fn load_chosen(&self, from: &Place, to: &Reference, request: &Copy) -> Result<Digest> {
        let aside = self.aside()?;
        let (layout, unpacked) = (aside.path.join("layout"), aside.path.join("unpacked"));
        let target = LayoutDir::make(layout.clone(), None)?;
        match from {
            Place::Directory(path) => {
                transfer(&Directory { path: path.clone() }, &target, request, &super::Silent)?
            }
            Place::OciArchive(path, tag) => {
                unpack_layout(path, &unpacked)?;
                transfer(&LayoutDir::open(unpacked, tag.clone())?, &target, request, &super::Silent)?
            }
            Place::Layout(path, tag) => {
                transfer(&LayoutDir::open(path.clone(), tag.clone())?, &target, request, &super::Silent)?
            }
            _ => return Err(Error::new(Kind::Invalid, "a layout is expected")),
        };
        self.load_as(&Place::Layout(layout, None), to, request)
    }

    fn save_to(&self, name: &Reference, to: &Place, request: &Copy) -> Result<Digest> {
        let form = if matches!(to, Place::DockerArchive(..)) { Form::Docker } else { Form::Oci };
        let save = Save { form, platform: request.platform.clone() };
        let words = [name.canonical()];
        match to {
            Place::DockerArchive(path, named) => {
                let words = named.as_ref().map_or(Ok(words), |named| {
                    self.tag(&name.canonical(), &named.canonical()).map(|()| [named.canonical()])
                })?;
                self.save_file(&words, &save, path)
            }
            Place::OciArchive(path, None) => self.save_file(&words, &save, path),
            _ => {
                let aside = self.aside()?;
                let archive = aside.path.join("saved.tar");
                self.save_file(&words, &save, &archive)?;
                let layout = aside.path.join("layout");
                unpack_layout(&archive, &layout)?;
                let source = LayoutDir::open(layout, None)?;
                copy_from(&source, to, request).map(drop)
            }
        }?;
        self.digest_here(&name.canonical())
    }

    fn save_file(&self, words: &[String], save: &Save, path: &Path) -> Result<()> {
        let what = || format!("write `{}`", path.display());
        let file = File::create(path).map_err(|error| from_io(error, what()))?;
        let mut out = std::io::BufWriter::with_capacity(256 << 10, file);
        let saved = self.save(words, save, &mut out);
        if saved.is_err() {
            drop(std::fs::remove_file(path));
        }
        saved
    }

    /// docker's archives have layers and no blobs: what goes in or out of one is unpacked.
    fn by_a_store(
        &self,
        client: &Client,
        from: &Place,
        to: &Place,
        request: &Copy,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        let aside = self.aside()?;
        let other = Engine::open(&aside.path.join("store"), &aside.path.join("run"))?;
        let name: Reference =
            "copied/image:1".parse().map_err(|error: oci::Error| error.map_kind(|_| Kind::Invalid))?;
        let named = match (from, to) {
            (_, Place::DockerArchive(_, Some(named))) => named.clone(),
            (Place::DockerArchive(_, Some(named)), _) => named.clone(),
            (Place::Registry(named), _) => named.clone(),
            _ => name,
        };
        other.copy_image(client, from, &Place::Store(named.clone()), request, progress)?;
        other.copy_image(client, &Place::Store(named), to, request, progress)
    }

    fn copy_bytes(
        &self,
        client: &Client,
        from: &Place,
        to: &Place,
        request: &Copy,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        let aside = self.aside()?;
        match from {
            Place::Registry(name) => {
                let repository = client.repository(name).map_err(from_registry)?;
                self.copy_on(client, &InRegistry { repository }, to, request, progress)
            }
            Place::Layout(path, tag) => {
                self.copy_on(client, &LayoutDir::open(path.clone(), tag.clone())?, to, request, progress)
            }
            Place::Directory(path) => {
                self.copy_on(client, &Directory { path: path.clone() }, to, request, progress)
            }
            Place::OciArchive(path, tag) => {
                let layout = aside.path.join("layout");
                unpack_layout(path, &layout)?;
                self.copy_on(client, &LayoutDir::open(layout, tag.clone())?, to, request, progress)
            }
            _ => Err(Error::new(Kind::Invalid, "this goes by the store")),
        }
    }

    fn copy_on(
        &self,
        client: &Client,
        from: &dyn From,
        to: &Place,
        request: &Copy,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        match to {
            Place::Registry(name) => {
                let repository = client.repository(name).map_err(from_registry)?;
                transfer(from, &InRegistry { repository }, request, progress)
            }
            Place::OciArchive(path, tag) => {
                let aside = self.aside()?;
                let layout = aside.path.join("layout");
                let digest =
                    transfer(from, &LayoutDir::make(layout.clone(), tag.clone())?, request, progress)?;
                pack_layout(&layout, path).map(|()| digest)
            }
            other => copy_from(from, other, request),
        }
    }

    /// A directory for what is only there meanwhile; garbage when this is killed.
    fn aside(&self) -> Result<Aside> {
        let shared = self.store.share().map_err(from_store)?;
        Aside::new(&self.store.path().join("tmp"), Some(shared))
    }

    /// An image's manifest goes to a repository, with all it needs: for lists that are put together.
    pub(super) fn copy_member(
        &self,
        client: &Client,
        from: &Reference,
        to: &Reference,
        digest: &Digest,
        progress: &dyn Progress,
    ) -> Result<()> {
        let pinned = from.clone().without_suffix().with_digest(digest.clone());
        let source = InRegistry { repository: client.repository(&pinned).map_err(from_registry)? };
        let target = to.clone().without_suffix().with_digest(digest.clone());
        let target = InRegistry { repository: client.repository(&target).map_err(from_registry)? };
        transfer(&source, &target, &Copy { all: true, platform: None }, progress).map(drop)
    }
}

fn copy_from(from: &dyn From, to: &Place, request: &Copy) -> Result<Digest> {
    match to {
        Place::Layout(path, tag) => {
            transfer(from, &LayoutDir::make(path.clone(), tag.clone())?, request, &super::Silent)
        }
        Place::Directory(path) => {
            std::fs::create_dir_all(path)
                .map_err(|error| from_io(error, format!("make `{}`", path.display())))?;
            transfer(from, &Directory { path: path.clone() }, request, &super::Silent)
        }
        Place::OciArchive(path, tag) => {
            let aside = Aside::new(path.parent().unwrap_or(Path::new(".")), None)?;
            let digest =
                transfer(from, &LayoutDir::make(aside.path.clone(), tag.clone())?, request, &super::Silent)?;
            pack_layout(&aside.path, path).map(|()| digest)
        }
        _ => Err(Error::new(Kind::Invalid, "this goes by the store")),
    }
}

/// Everything that the top document needs, and it last.
fn transfer(from: &dyn From, to: &dyn To, request: &Copy, progress: &dyn Progress) -> Result<Digest> {
    let mut top = from.top()?;
    let parse = |fetched: &Fetched| {
        Document::parse(&fetched.bytes).map_err(|error| error.map_kind(|_| Kind::Corrupt))
    };
    let mut document = parse(&top)?;
    if !request.all {
        for _ in 0..3 {
            let Document::Index(index) = &document else { break };
            let platform = request.platform.clone().unwrap_or_else(Platform::host);
            let none = || Error::new(Kind::NotFound, format!("there is no image for platform {platform}"));
            top = from.document(&index.choose(&platform).ok_or_else(none)?.digest)?;
            document = parse(&top)?;
        }
    }
    match &document {
        Document::Manifest(manifest) => copy_manifest(from, to, manifest, progress)?,
        Document::Index(index) => copy_index(from, to, index, progress, 3)?,
    }
    to.put_document(&top, true)?;
    Ok(top.digest)
}

fn copy_index(
    from: &dyn From,
    to: &dyn To,
    index: &Index,
    progress: &dyn Progress,
    depth: usize,
) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Error::new(Kind::Limit, "indexes lead to indexes, too deep"));
    };
    for descriptor in &index.manifests {
        let fetched = from.document(&descriptor.digest)?;
        match Document::parse(&fetched.bytes).map_err(|error| error.map_kind(|_| Kind::Corrupt))? {
            Document::Manifest(manifest) => copy_manifest(from, to, &manifest, progress)?,
            Document::Index(inner) => copy_index(from, to, &inner, progress, depth)?,
        }
        to.put_document(&fetched, false)?;
    }
    Ok(())
}

fn copy_manifest(from: &dyn From, to: &dyn To, manifest: &Manifest, progress: &dyn Progress) -> Result<()> {
    let mut blobs: Vec<_> = manifest.layers.iter().chain([&manifest.config]).cloned().collect();
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    progress.begin(&blobs);
    super::intake::at_once(AT_ONCE, blobs.len(), &|at| {
        let blob = &blobs[at];
        let step = match () {
            () if to.has(blob)? => Step::Exists,
            () if to.take_over(blob, from.repository())? => Step::Mounted,
            () => {
                progress.step(&blob.digest, Step::Pending);
                let mut told = Told { input: from.blob(blob)?, at: 0, blob, progress };
                to.put(blob, &mut told)?;
                Step::Done
            }
        };
        progress.step(&blob.digest, step);
        Ok(())
    })
}

struct Told<'a> {
    input: Box<dyn Read + 'a>,
    at: u64,
    blob: &'a Descriptor,
    progress: &'a dyn Progress,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.at += length as u64;
        self.progress.step(&self.blob.digest, Step::Bytes(self.at));
        Ok(length)
    }
}

struct InRegistry<'a> {
    repository: Repository<'a>,
}

impl InRegistry<'_> {
    fn word(&self) -> String {
        let name = self.repository.name();
        name.digest().map_or_else(|| name.tag().unwrap_or("latest").to_owned(), ToString::to_string)
    }
}

impl From for InRegistry<'_> {
    fn top(&self) -> Result<Fetched> {
        self.repository.manifest(&self.word()).map_err(from_registry)
    }

    fn document(&self, digest: &Digest) -> Result<Fetched> {
        self.repository.manifest(digest.as_str()).map_err(from_registry)
    }

    fn blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.repository.blob(blob, 0).map_err(from_registry)?))
    }

    fn repository(&self) -> Option<&Reference> {
        Some(self.repository.name())
    }
}

impl To for InRegistry<'_> {
    fn has(&self, blob: &Descriptor) -> Result<bool> {
        self.repository.has_blob(&blob.digest).map_err(from_registry)
    }

    fn take_over(&self, blob: &Descriptor, from: Option<&Reference>) -> Result<bool> {
        let from = from.filter(|from| from.path() != self.repository.name().path());
        from.map_or(Ok(false), |from| self.repository.mount(blob, from).map_err(from_registry))
    }

    fn put(&self, blob: &Descriptor, bytes: &mut dyn Read) -> Result<()> {
        self.repository.push_stream(bytes, || Ok(blob.clone())).map(drop).map_err(from_registry)
    }

    fn put_document(&self, document: &Fetched, is_top: bool) -> Result<()> {
        let word = if is_top { self.word() } else { document.digest.to_string() };
        self.repository
            .push_manifest(&word, &document.media_type, &document.bytes)
            .map(drop)
            .map_err(from_registry)
    }
}

/// An OCI layout.
struct LayoutDir {
    path: PathBuf,
    tag: Option<String>,
}

impl LayoutDir {
    fn open(path: PathBuf, tag: Option<String>) -> Result<Self> {
        Layout::parse(&read(&path.join(Layout::FILE))?).map_err(|error| error.map_kind(|_| Kind::Corrupt))?;
        Ok(Self { path, tag })
    }

    fn make(path: PathBuf, tag: Option<String>) -> Result<Self> {
        let what = || format!("make `{}`", path.display());
        std::fs::create_dir_all(path.join("blobs/sha256")).map_err(|error| from_io(error, what()))?;
        write(&path.join(Layout::FILE), &super::save::json(&Layout::current())?)?;
        Ok(Self { path, tag })
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    fn index(&self) -> Result<Option<Index>> {
        let path = self.path.join("index.json");
        if !path.exists() {
            return Ok(None);
        }
        let index = serde_json::from_slice(&read(&path)?);
        index
            .map(Some)
            .map_err(|error| Error::new(Kind::Corrupt, format!("read `{}`", path.display())).caused_by(error))
    }
}

impl From for LayoutDir {
    fn top(&self) -> Result<Fetched> {
        let index = self.index()?.unwrap_or_else(|| index_of(Vec::new()));
        let tagged = |entry: &&Descriptor| {
            let own = ["io.containerd.image.name", TAG]
                .iter()
                .any(|key| entry.annotations.get(*key) == self.tag.as_ref());
            self.tag.is_none() || own
        };
        let mut found = index.manifests.iter().filter(tagged);
        let what = || format!("`{}` has no such image", self.path.display());
        let first = found.next().ok_or_else(|| Error::new(Kind::NotFound, what()))?;
        if found.any(|other| other.digest != first.digest) {
            let what = format!("`{}` has several images: name one by its tag", self.path.display());
            return Err(Error::new(Kind::Ambiguous, what));
        }
        self.document(&first.digest)
    }

    fn document(&self, digest: &Digest) -> Result<Fetched> {
        document(&self.blob_path(digest), Some(digest))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + '_>> {
        open(&self.blob_path(&blob.digest))
    }
}

impl To for LayoutDir {
    fn has(&self, blob: &Descriptor) -> Result<bool> {
        Ok(self.blob_path(&blob.digest).metadata().is_ok_and(|metadata| metadata.len() == blob.size))
    }

    fn take_over(&self, _: &Descriptor, _: Option<&Reference>) -> Result<bool> {
        Ok(false)
    }

    fn put(&self, blob: &Descriptor, bytes: &mut dyn Read) -> Result<()> {
        put_blob(&self.blob_path(&blob.digest), blob, bytes)
    }

    fn put_document(&self, document: &Fetched, is_top: bool) -> Result<()> {
        write(&self.blob_path(&document.digest), &document.bytes)?;
        if !is_top {
            return Ok(());
        }
        let mut entry =
            Descriptor::new(&document.media_type, document.digest.clone(), document.bytes.len() as u64);
        entry.annotations.extend(self.tag.iter().map(|tag| (TAG.to_owned(), tag.clone())));
        let mut index = self.index()?.unwrap_or_else(|| index_of(Vec::new()));
        // Another image of the tag has it no more.
        index.manifests.retain(|other| other.annotations.get(TAG) != self.tag.as_ref());
        index.manifests.push(entry);
        write(&self.path.join("index.json"), &super::save::json(&index)?)
    }
}

pub(super) fn index_of(manifests: Vec<Descriptor>) -> Index {
    Index {
        schema_version: 2,
        media_type: Some(media::INDEX.into()),
        artifact_type: None,
        manifests,
        annotations: Default::default(),
        extra: Default::default(),
    }
}

/// skopeo's `dir:`.
struct Directory {
    path: PathBuf,
}

impl From for Directory {
    fn top(&self) -> Result<Fetched> {
        document(&self.path.join("manifest.json"), None)
    }

    fn document(&self, digest: &Digest) -> Result<Fetched> {
        document(&self.path.join(format!("{}.manifest.json", digest.hex())), Some(digest))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + '_>> {
        open(&self.path.join(blob.digest.hex()))
    }
}

impl To for Directory {
    fn has(&self, blob: &Descriptor) -> Result<bool> {
        Ok(self.path.join(blob.digest.hex()).metadata().is_ok_and(|metadata| metadata.len() == blob.size))
    }

    fn take_over(&self, _: &Descriptor, _: Option<&Reference>) -> Result<bool> {
        Ok(false)
    }

    fn put(&self, blob: &Descriptor, bytes: &mut dyn Read) -> Result<()> {
        put_blob(&self.path.join(blob.digest.hex()), blob, bytes)
    }

    fn put_document(&self, document: &Fetched, is_top: bool) -> Result<()> {
        let name = if is_top {
            "manifest.json".to_owned()
        } else {
            format!("{}.manifest.json", document.digest.hex())
        };
        write(&self.path.join("version"), b"Directory Transport Version: 1.1\n")?;
        write(&self.path.join(name), &document.bytes)
    }
}

fn document(path: &Path, digest: Option<&Digest>) -> Result<Fetched> {
    let bytes = read(path)?;
    let is = digest_of(&bytes);
    if let Some(digest) = digest.filter(|digest| **digest != is) {
        return Err(Error::new(
            Kind::Corrupt,
            format!("`{}` has digest `{is}`, not `{digest}`", path.display()),
        ));
    }
    let media_type = match Document::parse(&bytes).map_err(|error| error.map_kind(|_| Kind::Corrupt))? {
        Document::Manifest(manifest) => manifest.media_type.unwrap_or_else(|| media::MANIFEST.into()),
        Document::Index(index) => index.media_type.unwrap_or_else(|| media::INDEX.into()),
    };
    Ok(Fetched { bytes, media_type, digest: is })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let what = || format!("read `{}`", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| from_io(error, what()))?;
    let most = registry::DOCUMENT_MAX;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| from_io(error, what()))?;
    if bytes.len() as u64 > most {
        return Err(Error::new(Kind::Limit, format!("`{}` has more than {most} bytes", path.display())));
    }
    Ok(bytes)
}

fn open(path: &Path) -> Result<Box<dyn Read + 'static>> {
    let file = File::open(path).map_err(|error| from_io(error, format!("open `{}`", path.display())))?;
    Ok(Box::new(file))
}

/// By one rename, once the bytes have the digest.
fn put_blob(path: &Path, blob: &Descriptor, bytes: &mut dyn Read) -> Result<()> {
    let failed = |error| from_io(error, format!("write `{}`", path.display()));
    let draft = path.with_extension(format!("{}.part", std::process::id()));
    let mut sum = super::Sum::default();
    let copied = File::create(&draft).and_then(|file| {
        let mut both = Both { file: std::io::BufWriter::with_capacity(256 << 10, file), sum: &mut sum };
        std::io::copy(bytes, &mut both)?;
        both.file.flush()
    });
    let (is, length) = sum.finish();
    let done = match copied {
        Err(error) => Err(failed(error)),
        Ok(())
            if blob.digest.algorithm() == oci::Algorithm::Sha256
                && (is != blob.digest || length != blob.size) =>
        {
            Err(Error::new(
                Kind::Corrupt,
                format!("blob `{}` has digest `{is}` and {length} bytes", blob.digest),
            ))
        }
        Ok(()) => std::fs::rename(&draft, path).map_err(failed),
    };
    if done.is_err() {
        // Half a blob is none; the failure that is told is the first one.
        drop(std::fs::remove_file(&draft));
    }
    done
}

struct Both<'a> {
    file: std::io::BufWriter<File>,
    sum: &'a mut super::Sum,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.sum.write(&bytes[..length])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|error| from_io(error, format!("write `{}`", path.display())))
}

/// A layout out of its tar: nothing but files of the names that a layout has.
fn unpack_layout(archive: &Path, to: &Path) -> Result<()> {
    let failed = |error: std::io::Error| from_io(error, format!("read `{}`", archive.display()));
    std::fs::create_dir_all(to.join("blobs/sha256")).map_err(failed)?;
    std::fs::create_dir_all(to.join("blobs/sha512")).map_err(failed)?;
    let mut tar = tar::Archive::new(std::io::BufReader::new(File::open(archive).map_err(failed)?));
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.to_string_lossy().into_owned();
        let name = path.trim_start_matches("./");
        let is_blob = ["blobs/sha256/", "blobs/sha512/"].iter().any(|dir| {
            name.strip_prefix(dir)
                .is_some_and(|hex| hex.len() >= 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        });
        if entry.header().entry_type().is_file() && (is_blob || ["index.json", Layout::FILE].contains(&name))
        {
            let mut file = File::create(to.join(name)).map_err(failed)?;
            std::io::copy(&mut entry, &mut file).map_err(failed)?;
        }
    }
    Ok(())
}

/// The same bytes for the same layout.
fn pack_layout(from: &Path, archive: &Path) -> Result<()> {
    let failed = |error: std::io::Error| from_io(error, format!("write `{}`", archive.display()));
    let file = std::io::BufWriter::with_capacity(256 << 10, File::create(archive).map_err(failed)?);
    let mut builder = tar::Builder::new(file);
    let mut names = vec![Layout::FILE.to_owned(), "index.json".to_owned()];
    for algorithm in ["sha256", "sha512"] {
        let entries = std::fs::read_dir(from.join("blobs").join(algorithm)).into_iter().flatten().flatten();
        names.extend(
            entries.map(|entry| format!("blobs/{algorithm}/{}", entry.file_name().to_string_lossy())),
        );
    }
    names.sort();
    for name in names {
        let file = File::open(from.join(&name)).map_err(failed)?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.metadata().map_err(failed)?.len());
        header.set_mode(0o644);
        header.set_mtime(0);
        builder.append_data(&mut header, &name, file).map_err(failed)?;
    }
    builder.into_inner().and_then(|mut file| file.flush()).map_err(failed)
}

/// A directory that goes with this. In the store it is nobody's garbage meanwhile.
struct Aside {
    path: PathBuf,
    _shared: Option<store::Shared>,
}

impl Aside {
    fn new(below: &Path, shared: Option<store::Shared>) -> Result<Self> {
        let mut random = [0; 8];
        let what = || format!("make a directory in `{}`", below.display());
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| from_io(errno.into(), what()))?;
        let path = below.join(format!("copy-{:016x}", u64::from_ne_bytes(random)));
        std::fs::create_dir_all(&path).map_err(|error| from_io(error, what()))?;
        Ok(Self { path, _shared: shared })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What stays is garbage of the store's.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

//! Seams: what a layer says of the layers below it.
//!
//! A layer's content depends on its tar alone, so two things that a tar can say find no place in it: a directory
//! that it implies and does not list keeps the attributes it has below, and a hard link may lead to a file below.
//! Where an image needs them, a layer of hull's own follows: those directories with their attributes, those files as
//! copies. It is named by its content like any other, so that images share it, and no digest of the image's changes.

use super::intake::Intake;
use super::{Sum, from_io};
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use fault::Context;
use oci::DiffId;
use runtime::Overlay;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, fchown,
    fgetxattr, flistxattr, fsetxattr, fstat, futimens, mkdirat, openat2,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use store::LayerMeta;

impl Intake<'_> {
    /// What an image of these layers is mounted from: the layers, and a seam above each that needs one.
    pub(super) fn seamed(&self, layers: &[DiffId]) -> Result<Vec<DiffId>> {
        let mut stack = Vec::new();
        for layer in layers {
            let meta = self.store.layer_meta(layer).map_err(from_store)?;
            let seam = self.seam(&stack, layer, &meta)?;
            stack.push(layer.clone());
            stack.extend(seam);
        }
        Ok(stack)
    }

    fn seam(&self, below: &[DiffId], layer: &DiffId, meta: &LayerMeta) -> Result<Option<DiffId>> {
        if let (true, Some((path, target))) = (below.is_empty(), meta.links.first()) {
            return Err(nowhere(path, target));
        }
        if below.is_empty() || meta.implied.is_empty() && meta.links.is_empty() {
            return Ok(None);
        }
        let sides = Sides { below: self.view(below)?, own: self.view(std::slice::from_ref(layer))? };
        let dirs = sides.directories(meta)?;
        if dirs.is_empty() && meta.links.is_empty() {
            return Ok(None);
        }
        let draft = self.store.draft_layer(self.shared).map_err(from_store)?;
        sides.fill(draft.dir(), &dirs, meta)?;
        let mut sum = Sum::default();
        layer::write_tar(draft.dir(), &mut sum).or_err(Kind::Failed, || "write a seam".into())?;
        let (digest, tar_size) = sum.finish();
        let meta = LayerMeta { tar_size, ..LayerMeta::default() };
        let seam = draft.commit(&DiffId(digest), meta).map_err(from_store)?;
        Ok(Some(seam.diff_id))
    }

    /// Layers as one tree, without the skeleton.
    fn view(&self, layers: &[DiffId]) -> Result<OwnedFd> {
        let whole = self.engine.layers_of(layers)?;
        let count = layers.len();
        let lower = whole.lower.iter().take(count).cloned().collect();
        let tree = Overlay { lower, ..whole }.view().map_err(from_runtime)?;
        open(tree.as_fd(), ".", OFlags::RDONLY | OFlags::DIRECTORY)
            .and_then(|tree| tree.ok_or(Errno::NOENT))
            .or_err(Kind::Failed, || "look at layers".into())
    }
}

/// A layer, and the tree below it.
struct Sides {
    below: OwnedFd,
    own: OwnedFd,
}

/// What a directory or file has beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attributes {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Sides {
    /// The implied directories that are below and have other attributes there than this layer gives them.
    fn directories(&self, meta: &LayerMeta) -> Result<BTreeMap<String, Attributes>> {
        let mut wanted = BTreeMap::new();
        for path in &meta.implied {
            let below = attributes_at(&self.below, path)?.map(Attributes::without_overlays);
            let Some(below) = below.filter(|below| !below.is_neutral()) else { continue };
            if !self.hides(path)? {
                wanted.insert(path.clone(), below);
            }
        }
        Ok(wanted)
    }

    /// Whether this layer hides what is below at this path: it is another directory, then.
    fn hides(&self, path: &str) -> Result<bool> {
        for prefix in prefixes(path) {
            let own = attributes_at(&self.own, prefix)?;
            if own.is_none_or(|own| own.xattrs.contains_key(&b"trusted.overlay.opaque"[..])) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fill(
        &self,
        seam: BorrowedFd<'_>,
        dirs: &BTreeMap<String, Attributes>,
        meta: &LayerMeta,
    ) -> Result<()> {
        let mut made = BTreeMap::new();
        let attributes = |path: &str| match dirs.get(path) {
            Some(attributes) => Ok(Some(attributes.clone())),
            None => Ok(attributes_at(&self.own, path)?.map(Attributes::without_overlays)),
        };
        for path in dirs.keys() {
            make_all(seam, path, &attributes, &mut made)?;
        }
        for (path, target) in &meta.links {
            if let Some((parent, _)) = path.rsplit_once('/') {
                make_all(seam, parent, &attributes, &mut made)?;
            }
            self.copy(seam, path, target)?;
        }
        // Children change a directory's times, so these come last, the deepest first.
        for (path, attributes) in made.iter().rev() {
            let failed = || format!("set attributes of `{path}`");
            let dir = open(seam, path, OFlags::RDONLY | OFlags::DIRECTORY).or_err(Kind::Failed, failed)?;
            dir.map_or(Ok(()), |dir| attributes.put(&dir)).or_err(Kind::Failed, failed)?;
        }
        let epoch = Timespec { tv_sec: 0, tv_nsec: 0 };
        let times = Timestamps { last_access: epoch, last_modification: epoch };
        futimens(seam, &times).or_err(Kind::Failed, || "set the time of a seam".into())
    }

    /// A link's file, out of what is below or out of an earlier link.
    fn copy(&self, seam: BorrowedFd<'_>, path: &str, target: &str) -> Result<()> {
        let failed = || format!("link `{path}` to `{target}` of a lower layer");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let earlier = open(seam, target, flags).or_err(Kind::Failed, failed)?;
        let found = earlier.map_or_else(|| open_in_root(&self.below, target, flags), |file| Ok(Some(file)));
        let Some(source) = found.or_err(Kind::Failed, failed)? else { return Err(nowhere(path, target)) };
        let stat = fstat(&source).or_err(Kind::Failed, failed)?;
        if file_type(&stat) != FileType::RegularFile {
            return Err(Error::new(Kind::Unsupported, failed()).caused_by("only regular files can be copied"));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(seam, path, flags, Mode::from_raw_mode(0o600));
        let mut made = File::from(made.or_err(Kind::Failed, failed)?);
        let attributes = Attributes::of(&source, &stat).or_err(Kind::Failed, failed)?.without_overlays();
        std::io::copy(&mut File::from(source), &mut made).map_err(|error| from_io(error, failed()))?;
        attributes.put(&made.into()).or_err(Kind::Failed, failed)
    }
}

impl Attributes {
    fn of(file: &OwnedFd, stat: &Stat) -> rustix::io::Result<Self> {
        let mut names = vec![0; 65_536]; // XATTR_LIST_MAX
        let length = match flistxattr(file, &mut names[..]) {
            Err(Errno::OPNOTSUPP) => 0,
            listed => listed?,
        };
        let mut xattrs = BTreeMap::new();
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let mut value = vec![0; 65_536]; // XATTR_SIZE_MAX
            let length = fgetxattr(file, name, &mut value[..])?;
            value.truncate(length);
            xattrs.insert(name.to_vec(), value);
        }
        Ok(Self {
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
            mtime: (stat.st_mtime, stat.st_mtime_nsec as i64),
            xattrs,
        })
    }

    /// What overlay notes for itself is no attribute; nor is the label that SELinux gives every file.
    fn without_overlays(mut self) -> Self {
        self.xattrs.retain(|name, _| !name.starts_with(b"trusted.overlay.") && name != b"security.selinux");
        self
    }

    /// As the layer has it anyway; times are not worth a seam.
    fn is_neutral(&self) -> bool {
        self.mode == 0o755 && self.owner == (0, 0) && self.xattrs.is_empty()
    }

    fn put(&self, file: &OwnedFd) -> rustix::io::Result<()> {
        fchown(file, Some(Uid::from_raw(self.owner.0)), Some(Gid::from_raw(self.owner.1)))?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))?;
        for (name, value) in &self.xattrs {
            fsetxattr(file, name.as_slice(), value, XattrFlags::empty())?;
        }
        let time = Timespec { tv_sec: self.mtime.0, tv_nsec: self.mtime.1 };
        futimens(file, &Timestamps { last_access: time, last_modification: time })
    }
}

/// Makes a directory with its parents, and notes what attributes each is to have.
fn make_all(
    seam: BorrowedFd<'_>,
    path: &str,
    attributes: &dyn Fn(&str) -> Result<Option<Attributes>>,
    made: &mut BTreeMap<String, Attributes>,
) -> Result<()> {
    for prefix in prefixes(path) {
        if made.contains_key(prefix) {
            continue;
        }
        let missing = || Error::new(Kind::Corrupt, format!("a layer lost its directory `{prefix}`"));
        made.insert(prefix.to_owned(), attributes(prefix)?.ok_or_else(missing)?);
        mkdirat(seam, prefix, Mode::from_raw_mode(0o755))
            .or_err(Kind::Failed, || format!("make `{prefix}`"))?;
    }
    Ok(())
}

/// `a`, `a/b`, `a/b/c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain([path])
}

/// Of a directory; none where there is none, or only through a link.
fn attributes_at(tree: &OwnedFd, path: &str) -> Result<Option<Attributes>> {
    let failed = || format!("look at `{path}` of a layer");
    let dir = open(tree.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY).or_err(Kind::Failed, failed)?;
    let Some(dir) = dir else { return Ok(None) };
    let stat = fstat(&dir).or_err(Kind::Failed, failed)?;
    Attributes::of(&dir, &stat).map(Some).or_err(Kind::Failed, failed)
}

/// Without following links.
fn open(tree: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<Option<OwnedFd>> {
    resolve(tree, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// Links are followed as if the tree were `/`.
fn open_in_root(tree: &OwnedFd, path: &str, flags: OFlags) -> rustix::io::Result<Option<OwnedFd>> {
    resolve(tree.as_fd(), path, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

fn resolve(
    tree: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    how: ResolveFlags,
) -> rustix::io::Result<Option<OwnedFd>> {
    match openat2(tree, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
        // A whiteout of a single layer cannot be opened: there is no such device.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV) => Ok(None),
        opened => opened.map(Some),
    }
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn nowhere(path: &str, target: &str) -> Error {
    Error::new(Kind::Corrupt, format!("link `{path}`: its target `{target}` is in no layer"))
}

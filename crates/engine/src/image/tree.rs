//! Which images share which layers, and what each costs.

use super::list::names_of;
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::rootfs::open_directory;
use oci::DiffId;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fgetxattr, openat, statat};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::HashSet;
use store::{Image, Usage};

/// An image, its layers, and what they cost. All sizes are bytes on the disk, as `system df` counts.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Costs {
    /// The image's id.
    pub id: String,
    /// Its names, as docker shows them.
    pub names: Vec<String>,
    /// All of its layers.
    pub size: u64,
    /// What goes with it: layers that no other image has.
    pub unique: u64,
    /// Layers that others have, too.
    pub shared: u64,
    /// Bytes of files that later layers overwrite or delete: nobody sees them.
    pub wasted: u64,
    /// Lowest first, those that hull adds between them among them.
    pub layers: Vec<LayerCost>,
}

/// One layer of an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LayerCost {
    /// Its DiffId.
    pub id: String,
    /// On the disk, once.
    pub size: u64,
    /// How many images have it.
    pub images: usize,
    /// Of `size`: what later layers of this image hide.
    pub wasted: u64,
    /// The command that made it, by the image's word; of hull's own, that.
    pub created_by: String,
}

impl Engine {
    /// The images of some names, or all, with what they cost.
    pub fn image_costs(&self, words: &[String]) -> Result<Vec<Costs>> {
        self.bury()?;
        let _shared = self.store.share().map_err(from_store)?;
        let images = match words.is_empty() {
            true => self.store.images().map_err(from_store)?,
            false => words
                .iter()
                .map(|word| self.store.resolve(word).map_err(from_store))
                .collect::<Result<_>>()?,
        };
        let usage = self.store.usage().map_err(from_store)?;
        images.iter().map(|image| self.costs(image, &usage)).collect()
    }

    fn costs(&self, image: &Image, usage: &Usage) -> Result<Costs> {
        let tags = self.store.tags().map_err(from_store)?;
        let own = usage.images.iter().find(|one| one.image.id == *image.id());
        let hidden = self.hidden(&image.record.layers)?;
        let made_by = made_by(image)?;
        let layer = |(at, layer): (usize, &DiffId)| {
            let known = usage.layers.iter().find(|one| one.layer == *layer);
            let made_by = made_by.iter().find(|(id, _)| id == layer).map(|(_, command)| command.clone());
            LayerCost {
                id: layer.to_string(),
                size: known.map_or(0, |one| one.bytes),
                images: known.map_or(0, |one| one.images),
                wasted: hidden[at],
                created_by: made_by.unwrap_or_else(|| "what the layer below says of those under it".into()),
            }
        };
        let layers: Vec<_> = image.record.layers.iter().enumerate().map(layer).collect();
        let names = names_of(&tags, image.id())
            .iter()
            .filter(|name| name.tag().is_some())
            .map(oci::Reference::familiar)
            .collect();
        Ok(Costs {
            id: image.id().to_string(),
            names,
            size: own.map_or(0, |own| own.unique + own.shared),
            unique: own.map_or(0, |own| own.unique),
            shared: own.map_or(0, |own| own.shared),
            wasted: hidden.iter().sum(),
            layers,
        })
    }

    /// For each layer, lowest first: bytes of its files that later ones hide.
    fn hidden(&self, layers: &[DiffId]) -> Result<Vec<u64>> {
        let mut above = Above::default();
        let mut hidden = Vec::new();
        for layer in layers.iter().rev() {
            let store::LayerHandle::Dir { path } = self.store.layer_handle(layer) else {
                return Err(Error::new(Kind::Unsupported, format!("layer `{layer}` is no directory")));
            };
            let root = open_directory(self.store.root(), &path)?;
            let mut walk = Walk { above: &above, own: Above::default(), wasted: 0 };
            walk.directory(root.as_fd(), &mut Vec::new(), false).map_err(|errno| {
                Error::new(Kind::Failed, format!("look through layer `{layer}`")).caused_by(errno)
            })?;
            hidden.push(walk.wasted);
            let Above { covered, opaque } = walk.own;
            above.covered.extend(covered);
            above.opaque.extend(opaque);
        }
        hidden.reverse();
        Ok(hidden)
    }
}

/// Layers with the commands that made them.
fn made_by(image: &Image) -> Result<Vec<(DiffId, String)>> {
    let config = image.config().map_err(from_store)?;
    let steps = config.history.iter().filter(|step| !step.empty_layer);
    let mut commands = steps.map(|step| step.created_by.clone().or(step.comment.clone()).unwrap_or_default());
    Ok(config
        .rootfs
        .diff_ids
        .iter()
        .map(|layer| (layer.clone(), commands.next().unwrap_or_default()))
        .collect())
}

/// What is known of the layers above.
#[derive(Default)]
struct Above {
    /// Paths of what is no directory, whiteouts among it: whatever is below has no name any more.
    covered: HashSet<Vec<u8>>,
    /// Directories of which nothing below is seen.
    opaque: HashSet<Vec<u8>>,
}

/// What the kernel answers.
type Sys<T> = std::result::Result<T, Errno>;

struct Walk<'a> {
    above: &'a Above,
    own: Above,
    wasted: u64,
}

impl Walk<'_> {
    fn directory(&mut self, dir: BorrowedFd<'_>, path: &mut Vec<u8>, is_hidden: bool) -> Sys<()> {
        if is_opaque(dir) {
            self.own.opaque.insert(path.clone());
        }
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let length = path.len();
            path.push(b'/');
            path.extend_from_slice(name.to_bytes());
            let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            self.entry(dir, name, &stat, path, is_hidden)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &std::ffi::CStr,
        stat: &Stat,
        path: &mut Vec<u8>,
        is_hidden: bool,
    ) -> Sys<()> {
        let is_covered = is_hidden || self.above.covered.contains(path.as_slice());
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            if is_covered && stat.st_nlink <= 1 {
                self.wasted += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            }
            self.own.covered.insert(path.clone());
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner: OwnedFd = openat(dir, name, flags, Mode::empty())?;
        let is_below_hidden = is_covered || self.above.opaque.contains(path.as_slice());
        self.directory(inner.as_fd(), path, is_below_hidden)
    }
}

/// overlayfs.rst, "whiteouts and opaque directories".
fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0; 1];
    fgetxattr(dir, c"trusted.overlay.opaque", &mut value).is_ok_and(|length| &value[..length] == b"y")
}

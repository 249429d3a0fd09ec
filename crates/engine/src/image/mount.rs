//! Images mounted on the host, read-only, to be looked at: `image mount`.
//!
//! A mount lies in the volatile directory under the image's id, in the mount namespace of who made it. No process keeps it,
//! and a reboot ends it.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use fault::Context;
use oci::ImageId;
use runtime::Overlay;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{UnmountFlags, unmount};
use std::path::{Path, PathBuf};

/// An image that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Which.
    pub id: ImageId,
    /// Its names.
    pub names: Vec<String>,
    /// Where.
    pub path: PathBuf,
}

impl Engine {
    /// Mounts an image; where it is. One that is mounted already stays as it is.
    pub fn mount_image(&self, word: &str) -> Result<PathBuf> {
        let _shared = self.store.share().map_err(from_store)?;
        let image = self.store.resolve(word).map_err(from_store)?;
        let path = self.place_of(image.id());
        if self.is_mounted(&path)? {
            return Ok(path);
        }
        let what = || format!("mount image `{word}`");
        std::fs::create_dir_all(&path).or_err(Kind::Failed, what)?;
        let layers = &image.record.layers;
        let whole = self.layers_of(layers)?;
        let lower = whole.lower.iter().take(layers.len().max(1)).cloned().collect();
        let tree = Overlay { lower, ..whole }.view().map_err(from_runtime)?;
        let tree = match layers.len() {
            0 | 1 => sys::mount::clone_tree(&tree, "", false).or_err(Kind::Failed, what)?,
            _ => tree,
        };
        let attributes =
            sys::mount::Attributes { set: sys::mount::RDONLY, ..sys::mount::Attributes::default() };
        sys::mount::set_attributes(&tree, &attributes, false).or_err(Kind::Failed, what)?;
        let target = openat(CWD, &path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let target = target.or_err(Kind::Failed, what)?;
        sys::mount::attach(&tree, &target).or_err(Kind::Failed, what)?;
        Ok(path)
    }

    /// Ends the mount of an image; its id.
    pub fn unmount_image(&self, word: &str) -> Result<ImageId> {
        let image = self.store.resolve(word).map_err(from_store)?;
        let path = self.place_of(image.id());
        if !self.is_mounted(&path)? {
            return Err(Error::new(Kind::Conflict, format!("image `{word}` is not mounted")));
        }
        unmount(&path, UnmountFlags::empty()).or_err(Kind::Conflict, || format!("unmount image `{word}`"))?;
        // The directory is of no meaning without the mount.
        drop(std::fs::remove_dir(&path));
        Ok(image.id().clone())
    }

    /// The images that are mounted.
    pub fn mounted_images(&self) -> Result<Vec<Mounted>> {
        let tags = self.store.tags().map_err(from_store)?;
        let mut mounted = Vec::new();
        for image in self.store.images().map_err(from_store)? {
            let path = self.place_of(image.id());
            if self.is_mounted(&path)? {
                let names = super::list::names_of(&tags, image.id());
                let names =
                    names.iter().filter(|name| name.tag().is_some()).map(oci::Reference::familiar).collect();
                mounted.push(Mounted { id: image.id().clone(), names, path });
            }
        }
        Ok(mounted)
    }

    /// Refuses what would take the files of a mounted image away.
    pub(super) fn check_unmounted(&self, id: &ImageId) -> Result<()> {
        match self.is_mounted(&self.place_of(id))? {
            true => Err(Error::new(Kind::Conflict, format!("image {} is mounted", id.short()))
                .with_hint(format!("`hull image unmount {}` first", id.short()))),
            false => Ok(()),
        }
    }

    fn place_of(&self, id: &ImageId) -> PathBuf {
        self.store.run().join("images").join(id.hex())
    }

    /// Another file system begins there than in the directory above: statx(2), STATX_ATTR_MOUNT_ROOT.
    fn is_mounted(&self, path: &Path) -> Result<bool> {
        use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
        match statx(CWD, path, AtFlags::NO_AUTOMOUNT, StatxFlags::BASIC_STATS) {
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(false),
            Ok(stat) => Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
            Err(errno) => {
                Err(Error::new(Kind::Failed, format!("look at `{}`", path.display())).caused_by(errno))
            }
        }
    }
}

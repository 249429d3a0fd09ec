//! Files of an image or a container, read without running anything.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime};
use crate::merged::Merged;
use fault::Context;
use oci::DiffId;
use runtime::Overlay;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::io::Read;
use std::path::Path;

/// Larger files of accounts are taken for an attack, bytes.
pub(crate) const LARGEST: u64 = 10 << 20;

/// OVL_MAX_STACK of the kernel.
const LAYERS: usize = 500;

impl Engine {
    /// Layers over the skeleton, read-only; `layers` lowest first, as an image has them. An image of as many layers
    /// as overlay takes goes without the skeleton: mount points it lacks are then made in the container's own layer.
    pub(crate) fn layers_of(&self, layers: &[DiffId]) -> Result<Overlay> {
        if layers.len() > LAYERS {
            let what = format!("the image has {} layers, and overlay takes {LAYERS}", layers.len());
            return Err(Error::new(Kind::Unsupported, what));
        }
        let base = self.store.root().try_clone_to_owned().or_err(Kind::Failed, || "open the store".into())?;
        let skeleton = (layers.len() < LAYERS).then(|| Ok(self.store.skeleton().into()));
        let paths = layers.iter().rev().map(|diff_id| match self.store.layer_handle(diff_id) {
            store::LayerHandle::Dir { path } => Ok(path.into()),
            _ => Err(Error::new(Kind::Unsupported, format!("layer `{diff_id}` is no directory"))),
        });
        let lower = paths.chain(skeleton).collect::<Result<_>>()?;
        Ok(Overlay { base, lower, upper: None, volatile: false })
    }
}

/// A file's bytes; none if it is not there.
pub(crate) fn read(merged: &Merged, path: &Path) -> Result<Option<Vec<u8>>> {
    let what = || format!("read `{}` of the image", path.display());
    let Some(file) = merged.open(path).or_err(Kind::Failed, what)? else { return Ok(None) };
    let file = std::fs::File::from(file);
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).or_err(Kind::Failed, what)?;
    Ok(Some(bytes))
}

/// Gives a tree of the host's an SELinux label (`:z`, `:Z`).
pub(crate) fn relabel(path: &Path, label: &str) -> Result<()> {
    use rustix::fs::{XattrFlags, lsetxattr};
    lsetxattr(path, c"security.selinux", label.as_bytes(), XattrFlags::empty())
        .or_err(Kind::Failed, || format!("label `{}`", path.display()))?;
    let is_dir = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    let Some(entries) = is_dir.then(|| std::fs::read_dir(path).ok()).flatten() else { return Ok(()) };
    entries.flatten().try_for_each(|entry| relabel(&entry.path(), label))
}

/// A directory of the container's own.
pub(crate) fn open_directory(dir: impl AsFd, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
        .map_err(|errno| Error::new(Kind::Failed, format!("open `{name}`")).caused_by(errno))
}

/// Opens the layers below a container, topmost first.
pub(crate) fn open_layers(overlay: &Overlay) -> Result<Vec<OwnedFd>> {
    overlay.open_layers().map_err(from_runtime)
}

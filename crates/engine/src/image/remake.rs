//! A layer's archive, made again from the store.

use super::{Sum, from_io, from_layer};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::rootfs::open_directory;
use oci::DiffId;
use rustix::fd::AsFd;
use std::fs::File;
use std::io::Write;

impl Engine {
    /// Writes the plain tar of a layer, and how many bytes it has. What was written is right only if this returns; files
    /// that were changed in the store are noticed.
    pub(crate) fn remake(&self, diff_id: &DiffId, out: &mut dyn Write) -> Result<u64> {
        let store::LayerHandle::Dir { path } = self.store.layer_handle(diff_id) else {
            return Err(Error::new(Kind::Unsupported, format!("layer `{diff_id}` is no directory")));
        };
        let root = open_directory(self.store.root(), &path)?;
        let mut summed = Summed { out, sum: Sum::default(), failed: None };
        let made = match self.store.layer_recipe(diff_id).map_err(from_store)? {
            Some(recipe) => layer::remake(&File::from(recipe), root.as_fd(), &mut summed),
            // Of one that came before recipes were kept: right where its archive was as hull writes them.
            None => layer::write_diff(root.as_fd(), &mut summed),
        };
        let what = || format!("make the archive of layer `{diff_id}` again");
        match (made, summed.failed) {
            (Err(_), Some(error)) => return Err(from_io(error, what())),
            (Err(error), None) => return Err(from_layer(error, what()).with_hint(HINT)),
            (Ok(()), _) => {}
        }
        let (digest, length) = summed.sum.finish();
        if digest != diff_id.0 {
            let cause = format!("it has digest `{digest}` now");
            return Err(Error::new(Kind::Corrupt, what()).caused_by(cause).with_hint(HINT));
        }
        Ok(length)
    }
}

const HINT: &str = "remove the image and load or pull it again; `{\"blobs\": \"keep\"}` in the store's config.json keeps layers as they come";

/// Counts and hashes what passes, and keeps the receiver's own failure apart.
struct Summed<'a> {
    out: &'a mut dyn Write,
    sum: Sum,
    failed: Option<std::io::Error>,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.out.write(bytes) {
            Ok(length) => self.sum.write(&bytes[..length]),
            Err(error) => {
                let told = std::io::Error::from(error.kind());
                self.failed = Some(error);
                Err(told)
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

//! Lists of manifests that are being put together: `manifest create`, until they are pushed or removed.

use crate::disk;
use crate::error::{At, Result};
use crate::root::Store;
use oci::{Descriptor, Reference};
use serde::{Deserialize, Serialize};

const DIR: &str = "manifests";

/// A list under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestList {
    /// The name it is to have.
    pub name: Reference,
    /// Its entries, each with the name it is fetched by.
    pub entries: Vec<(Reference, Descriptor)>,
}

impl Store {
    /// Keeps a list, in place of one of its name.
    pub fn put_manifest_list(&self, list: &ManifestList) -> Result<()> {
        disk::make_dir(self.root(), DIR, 0o700).at(|| format!("make `{DIR}`"))?;
        let shared = self.share()?;
        self.put_file(&shared, &path_of(&list.name), &disk::to_json(list)?)
    }

    /// The list of a name.
    pub fn manifest_list(&self, name: &Reference) -> Result<Option<ManifestList>> {
        disk::read_record(self.root(), &path_of(name))
    }

    /// Forgets a list. Whether there was one.
    pub fn remove_manifest_list(&self, name: &Reference) -> Result<bool> {
        let path = path_of(name);
        let bytes = disk::unlink_counted(self.root(), &path).at(|| format!("remove `{path}`"))?;
        Ok(bytes > 0)
    }
}

fn path_of(name: &Reference) -> String {
    crate::refs::path_of(name).replacen("refs", DIR, 1)
}

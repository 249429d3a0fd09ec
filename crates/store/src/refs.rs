//! Names of images: one small file each, found by its name alone.

use crate::blob::digest_of;
use crate::disk;
use crate::error::{At, Error, Kind, Result};
use crate::root::{Shared, Store};
use jiff::Timestamp;
use oci::{ImageId, Reference};
use rustix::fd::OwnedFd;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// With a tag, or with a digest (a name an image was pulled by), or with both.
    pub name: Reference,
    /// The image.
    pub image: ImageId,
    /// When it was given.
    pub tagged: Timestamp,
}

impl Store {
    /// Gives an image a name. The image that had the name before, if it was another.
    pub fn tag(&self, image: &ImageId, name: &Reference) -> Result<Option<ImageId>> {
        let shared = self.share()?;
        let _refs = self.lock_refs(FlockOperation::LockShared)?;
        self.image(image)?;
        self.put_tag(&shared, image, name)
    }

    pub(crate) fn put_tag(
        &self,
        shared: &Shared,
        image: &ImageId,
        name: &Reference,
    ) -> Result<Option<ImageId>> {
        if name.tag().is_none() && name.digest().is_none() {
            return Err(Error::new(Kind::Invalid, format!("image name `{name}` has neither tag nor digest")));
        }
        // One that is damaged is replaced.
        let before = self.tag_of(name).ok().flatten().map(|tag| tag.image);
        let tag = Tag { name: name.clone(), image: image.clone(), tagged: Timestamp::now() };
        self.put_file(shared, &path_of(name), &disk::to_json(&tag)?)?;
        sys::step!("store.tag.rename");
        Ok(before.filter(|before| before != image))
    }

    /// The names of images, locked: shared while an image gets names, exclusive while it is decided whether
    /// one without names goes.
    pub(crate) fn lock_refs(&self, lock: FlockOperation) -> Result<OwnedFd> {
        let refs = disk::open_dir(self.root(), "refs").at(|| "open `refs`".into())?;
        disk::wait_lock(&refs, lock).at(|| "lock `refs`".into())?;
        Ok(refs)
    }

    /// Takes a name away. The bytes that frees, if it was there. The image stays, see
    /// [`Store::remove_image`].
    pub fn untag(&self, name: &Reference) -> Result<Option<u64>> {
        let there = self.tag_of(name)?.is_some();
        let path = path_of(name);
        let bytes = disk::unlink_counted(self.root(), &path).at(|| format!("remove the name `{name}`"))?;
        sys::step!("store.tag.unlink");
        Ok(there.then_some(bytes))
    }

    /// What exactly this name stands for. Two names never share a file, but for a collision of SHA-256.
    pub(crate) fn tag_of(&self, name: &Reference) -> Result<Option<Tag>> {
        let tag: Option<Tag> = disk::read_record(self.root(), &path_of(name))?;
        Ok(tag.filter(|tag| tag.name == *name))
    }

    /// All names of all images, sorted.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        let mut tags = self.read_all("refs", |file| self.tag_in(&format!("refs/{file}")))?.whole;
        tags.sort_by_cached_key(|tag| tag.name.canonical());
        Ok(tags)
    }

    /// The name in a file of `refs/`, which is named by it.
    pub(crate) fn tag_in(&self, path: &str) -> Result<Option<Tag>> {
        let tag: Option<Tag> = disk::read_record(self.root(), path)?;
        match tag {
            Some(tag) if path_of(&tag.name) != path => {
                Err(Error::new(Kind::Corrupt, format!("`{path}` holds the name `{}`", tag.name)))
            }
            tag => Ok(tag),
        }
    }
}

/// The file of a name. No reference contains a `%` (distribution/reference grammar), so that it can
/// stand for `/`; one too long for a file name is hashed.
pub(crate) fn path_of(name: &Reference) -> String {
    let canonical = name.canonical();
    if canonical.len() > 255 {
        return format!("refs/%{}", digest_of(canonical.as_bytes()).hex());
    }
    format!("refs/{}", canonical.replace('/', "%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_name_is_one_path_component() {
        let name: Reference = "ghcr.io/a/b/c:v1".parse().unwrap();
        assert_eq!(path_of(&name), "refs/ghcr.io%a%b%c:v1");
        let long: Reference =
            format!("ghcr.io/{}:{}", "a/".repeat(100) + "b", "t".repeat(128)).parse().unwrap();
        assert_eq!(path_of(&long).len(), "refs/%".len() + 64);
    }
}

//! Removing containers and images.

use crate::container::Held;
use crate::disk;
use crate::error::{At, Error, Kind, Result};
use crate::image::{Image, record_path};
use crate::list::{State, Summary};
use crate::root::Store;
use oci::{DiffId, ImageId, Reference};
use rustix::fs::FlockOperation;

/// How an image is removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImageRemoval {
    /// Though stopped containers use it, or it has names in several repositories.
    pub force: bool,
}

/// A line of `docker rmi`, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// The name went.
    Untagged(Reference),
    /// The image went.
    Deleted(ImageId),
    /// A layer that nothing else uses went.
    DeletedLayer(DiffId),
}

/// What the removal of an image did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovedImage {
    /// In order.
    pub removed: Vec<Removed>,
    /// Its layers are still there, because somebody is loading or creating: the next collection takes
    /// them.
    pub deferred: bool,
    /// Bytes given back to the disk.
    pub bytes: u64,
}

impl Store {
    /// Removes a container its caller holds (and whose processes and mounts are gone). It vanishes by one
    /// rename, and is recycled or deleted. The bytes that the disk has again.
    pub fn remove(&self, held: Held) -> Result<u64> {
        let names = self.lock_names(FlockOperation::LockShared)?;
        let name = self.name_now(&held);
        let things = self.retire(held.dir(), &held.path())?;
        sys::step!("store.remove.rename");
        self.drop_name(&names, name.as_str(), &held.0.key).at(|| format!("remove the name `{name}`"))?;
        drop(names);
        sys::step!("store.remove.name");
        if things.is_empty() { Ok(0) } else { self.delete(things) }
    }

    /// Removes a name of an image, and with its last name the image; or, by id, the image with all its
    /// names. The rules and words of conflict are docker's.
    pub fn remove_image(&self, text: &str, how: ImageRemoval) -> Result<RemovedImage> {
        let mut done = RemovedImage::default();
        let refs = self.lock_refs(FlockOperation::LockExclusive)?;
        let (image, name) = self.resolve_name(text)?;
        let users = self.users_of(image.id())?;
        let delete = match name {
            Some(name) => self.remove_by_name(text, &image, &name, &users, how, &mut done)?,
            None => self.remove_by_id(&image, &users, how, &mut done)?,
        };
        if delete {
            self.delete_record(&image, &mut done)?;
            drop(refs);
            self.delete_layers(&image, &mut done)?;
        }
        Ok(done)
    }

    /// Whether the image goes too.
    fn remove_by_name(
        &self,
        text: &str,
        image: &Image,
        name: &Reference,
        users: &[Summary],
        how: ImageRemoval,
        done: &mut RemovedImage,
    ) -> Result<bool> {
        let names = self.names(image.id())?;
        if let ([_], [user, ..], false) = (names.as_slice(), users, how.force) {
            let (user, image) = (user.record.id.short(), image.id().short());
            let by = format!("container {user} is using its referenced image {image}");
            let what =
                format!("conflict: unable to remove repository reference \"{text}\" (must force) - {by}");
            return Err(Error::new(Kind::InUse, what));
        }
        self.untag_for(name, done)?;
        let rest: Vec<_> = names.into_iter().map(|tag| tag.name).filter(|other| other != name).collect();
        // With its last tag of a repository the digests by which it was pulled from there go too.
        let only_digests = rest.iter().all(|other| other.tag().is_none() && other.name() == name.name());
        if !only_digests {
            return Ok(false);
        }
        rest.iter().try_for_each(|other| self.untag_for(other, done))?;
        Ok(users.is_empty())
    }

    fn remove_by_id(
        &self,
        image: &Image,
        users: &[Summary],
        how: ImageRemoval,
        done: &mut RemovedImage,
    ) -> Result<bool> {
        let names = self.names(image.id())?;
        let refuse = |how: &str, why: String| {
            let what = format!("conflict: unable to delete {} ({how}) - image is {why}", image.id().short());
            Err(Error::new(Kind::InUse, what))
        };
        if let Some(user) = users.iter().find(|user| matches!(user.state, State::Running(_))) {
            return refuse(
                "cannot be forced",
                format!("being used by running container {}", user.record.id.short()),
            );
        }
        let repositories = names.iter().any(|tag| tag.name.name() != names[0].name.name());
        if repositories && !how.force {
            return refuse("must be forced", "referenced in multiple repositories".into());
        }
        if let (Some(user), false) = (users.first(), how.force) {
            return refuse(
                "must be forced",
                format!("being used by stopped container {}", user.record.id.short()),
            );
        }
        names.iter().try_for_each(|tag| self.untag_for(&tag.name, done))?;
        Ok(true)
    }

    fn untag_for(&self, name: &Reference, done: &mut RemovedImage) -> Result<()> {
        if let Some(bytes) = self.untag(name)? {
            done.removed.push(Removed::Untagged(name.clone()));
            done.bytes += bytes;
        }
        Ok(())
    }

    /// From then on it is no image.
    fn delete_record(&self, image: &Image, done: &mut RemovedImage) -> Result<()> {
        let what = || format!("remove image `{}`", image.id());
        done.bytes += disk::unlink_counted(self.root(), &record_path(image.id())).at(what)?;
        sys::step!("store.image.unlink");
        disk::sync_dir(self.root(), "images").at(what)?;
        done.removed.push(Removed::Deleted(image.id().clone()));
        Ok(())
    }

    /// What it alone used, if nobody is in between.
    fn delete_layers(&self, image: &Image, done: &mut RemovedImage) -> Result<()> {
        match self.exclude(false)? {
            None => done.deferred = true,
            Some(exclusive) => {
                let (gone, things) = self.put_garbage_aside(&exclusive)?;
                drop(exclusive);
                let layers = image.record.layers.iter().rev();
                let layers = layers.filter(|layer| gone.layers.contains(&crate::layer::dir_of(layer)));
                done.removed.extend(layers.cloned().map(Removed::DeletedLayer));
                done.bytes += self.delete(things)?;
            }
        }
        Ok(())
    }

    /// The containers made from an image.
    pub(crate) fn users_of(&self, image: &ImageId) -> Result<Vec<Summary>> {
        Ok(self.containers()?.into_iter().filter(|summary| summary.record.image == *image).collect())
    }
}

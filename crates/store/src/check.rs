//! Checking a store, and repairing what is only garbage.

use crate::collect::Garbage;
use crate::container::{self, Record};
use crate::disk;
use crate::error::{At, Kind, Result};
use crate::id::Name;
use crate::layer;
use crate::refs::Tag;
use crate::root::Store;
use rustix::fs::FlockOperation;
use std::fmt;

/// Something in the store that should not be there, or should and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A draft of a process that died, relative to the root.
    Draft(String),
    /// Put aside and not deleted yet.
    Trash(String),
    /// A layer nothing names.
    OrphanLayer(String),
    /// A blob no image names.
    OrphanBlob(String),
    /// A name of an image that is absent.
    DanglingTag(String),
    /// A name of a container that is absent.
    DanglingName(String),
    /// A container whose name does not lead to it.
    NamelessContainer(String),
    /// A directory among the containers without a readable record.
    BrokenContainer(String),
    /// An image record that cannot be read, or whose configuration has another digest.
    BrokenImage(String),
    /// An image lacks a layer.
    LackingLayer {
        /// The image.
        image: String,
        /// The layer.
        layer: String,
    },
    /// A slot whose owner died. The engine's to clean up: processes may be left.
    DeadSlot(u32),
    /// A `--rm` container whose owner died. The engine's to clean up.
    LeftContainer(String),
    /// Something in the directory of spares that is none.
    StraySpare(String),
    /// Somebody is loading or creating, so that drafts and orphans could not be told from what is in use.
    Busy,
}

impl Finding {
    /// Whether [`Store::check`] can take it away without losing anything.
    pub fn is_garbage(&self) -> bool {
        use Finding::*;
        !matches!(
            self,
            BrokenContainer(_) | BrokenImage(_) | LackingLayer { .. } | DeadSlot(_) | LeftContainer(_) | Busy
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft(path) => write!(f, "draft of a dead process: `{path}`"),
            Self::Trash(path) => write!(f, "trash: `{path}`"),
            Self::OrphanLayer(path) => write!(f, "layer that nothing uses: `{path}`"),
            Self::OrphanBlob(path) => write!(f, "blob that nothing uses: `{path}`"),
            Self::DanglingTag(name) => write!(f, "name of an absent image: `{name}`"),
            Self::DanglingName(name) => write!(f, "name of an absent container: `{name}`"),
            Self::NamelessContainer(id) => write!(f, "container without its name: `{id}`"),
            Self::BrokenContainer(key) => write!(f, "container without a readable record: `{key}`"),
            Self::BrokenImage(file) => write!(f, "image without a true record: `{file}`"),
            Self::LackingLayer { image, layer } => write!(f, "image `{image}` lacks layer `{layer}`"),
            Self::DeadSlot(number) => write!(f, "slot of a dead owner: {number}"),
            Self::LeftContainer(id) => write!(f, "container of a dead owner that should be removed: `{id}`"),
            Self::StraySpare(path) => write!(f, "not a spare directory: `{path}`"),
            Self::Busy => f.write_str("in use: drafts and orphans were not looked for"),
        }
    }
}

impl Store {
    /// Everything that is wrong. With `repair`, what is garbage goes, and a container gets its name
    /// back where it is free; what remains wrong is for the engine, or for the user.
    pub fn check(&self, repair: bool) -> Result<Vec<Finding>> {
        let mut findings = self.check_garbage()?;
        findings.extend(self.check_images()?);
        findings.extend(self.check_tags(repair)?);
        findings.extend(self.check_names(repair)?);
        findings.extend(self.check_containers(repair)?);
        findings.extend(self.check_spares(repair)?);
        findings.extend(self.dead_slots()?.iter().map(|slot| Finding::DeadSlot(slot.number)));
        if repair {
            self.collect(false)?;
        }
        Ok(findings)
    }

    fn check_garbage(&self) -> Result<Vec<Finding>> {
        let mut findings: Vec<_> =
            disk::sorted_names(self.root(), "trash")?.into_iter().map(Finding::Trash).collect();
        match self.exclude(false)? {
            None => findings.push(Finding::Busy),
            Some(exclusive) => {
                let Garbage { layers, blobs, drafts } = self.garbage(&exclusive)?;
                findings.extend(drafts.into_iter().map(Finding::Draft));
                findings.extend(layers.into_iter().map(Finding::OrphanLayer));
                findings.extend(blobs.into_iter().map(Finding::OrphanBlob));
            }
        }
        Ok(findings)
    }

    fn check_images(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for file in disk::sorted_names(self.root(), "images")? {
            match self.true_image(&file)? {
                None => findings.push(Finding::BrokenImage(file)),
                Some(image) => findings.extend(self.lacking_layers(&image)),
            }
        }
        Ok(findings)
    }

    fn true_image(&self, file: &str) -> Result<Option<crate::ImageRecord>> {
        let record: Option<crate::ImageRecord> =
            readable(disk::read_record(self.root(), &format!("images/{file}")))?;
        let fits = |record: &crate::ImageRecord| {
            file == format!("{}.json", record.id.hex())
                && crate::blob::digest_of(record.config.as_bytes()) == record.id.0
        };
        Ok(record.filter(fits))
    }

    fn lacking_layers(&self, image: &crate::ImageRecord) -> Vec<Finding> {
        let lacks = |layer: &&oci::DiffId| {
            disk::open_dir(self.root(), &format!("{}/fs", layer::dir_of(layer))).is_err()
        };
        let finding = |layer: &oci::DiffId| Finding::LackingLayer {
            image: image.id.to_string(),
            layer: layer.to_string(),
        };
        image.layers.iter().filter(lacks).map(finding).collect()
    }

    /// Under the exclusive lock, so that no name moves meanwhile.
    fn check_tags(&self, repair: bool) -> Result<Vec<Finding>> {
        let _refs = self.lock_refs(FlockOperation::LockExclusive)?;
        let mut findings = Vec::new();
        for file in disk::sorted_names(self.root(), "refs")? {
            let path = format!("refs/{file}");
            let tag: Option<Tag> = readable(disk::read_record(self.root(), &path))?;
            let leads =
                |tag: &Tag| disk::read_file(self.root(), &crate::image::record_path(&tag.image)).is_ok();
            if !tag.as_ref().is_some_and(leads) {
                findings.push(Finding::DanglingTag(tag.map_or(file, |tag| tag.name.to_string())));
                if repair {
                    disk::unlink(self.root(), &path).at(|| format!("remove `{path}`"))?;
                }
            }
        }
        Ok(findings)
    }

    /// Under the exclusive lock, so that no name is on its way.
    fn check_names(&self, repair: bool) -> Result<Vec<Finding>> {
        let names = self.lock_names(FlockOperation::LockExclusive)?;
        let mut findings = Vec::new();
        for name in disk::sorted_names(&names, ".")? {
            let key = name.parse::<Name>().and_then(|name| self.key_of_name(&name)).unwrap_or_default();
            if key.is_empty() || disk::open_dir(self.root(), &container::dir_of(&key)).is_err() {
                if repair {
                    disk::unlink(&names, &name).at(|| format!("remove the name `{name}`"))?;
                }
                findings.push(Finding::DanglingName(name));
            }
        }
        Ok(findings)
    }

    fn check_containers(&self, repair: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for key in disk::sorted_names(self.root(), "containers")? {
            let path = format!("{}/container.json", container::dir_of(&key));
            let record: Option<Record> = readable(disk::read_record(self.root(), &path))?;
            match record.filter(|record| record.id.key() == key) {
                None if disk::open_dir(self.root(), &container::dir_of(&key)).is_err() => {}
                None => findings.push(Finding::BrokenContainer(key)),
                Some(record) => findings.extend(self.check_container(&record, &key, repair)?),
            }
        }
        Ok(findings)
    }

    fn check_container(&self, record: &Record, key: &str, repair: bool) -> Result<Vec<Finding>> {
        let Some(container) = self.container_of_key(key)? else { return Ok(Vec::new()) };
        // One that is held is being made, run or removed: whatever it lacks is on its way.
        let held = match container.hold() {
            Err(error) if matches!(error.kind(), Kind::InUse | Kind::NotFound) => return Ok(Vec::new()),
            other => other?,
        };
        let mut findings = Vec::new();
        if record.remove {
            findings.push(Finding::LeftContainer(record.id.to_string()));
        }
        if self.key_of_name(&record.name).ok().as_deref() != Some(key) {
            findings.push(Finding::NamelessContainer(record.id.to_string()));
            if repair {
                self.take_name(&record.name, key).map(crate::names::TakenName::keep)?;
            }
        }
        drop(held);
        Ok(findings)
    }

    fn check_spares(&self, repair: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for name in disk::sorted_names(self.root(), "spare")? {
            let path = format!("spare/{name}");
            let whole = name.parse::<u32>().is_ok_and(|number| number < crate::recycle::SPARES)
                && ["upper", "work"]
                    .iter()
                    .all(|part| disk::open_dir(self.root(), &format!("{path}/{part}")).is_ok());
            // It may have been taken meanwhile.
            if !whole && disk::open_dir(self.root(), &path).is_ok() {
                if repair {
                    self.discard(&path)?;
                }
                findings.push(Finding::StraySpare(path));
            }
        }
        Ok(findings)
    }
}

/// A record that is not what was written counts as none.
fn readable<T>(record: Result<Option<T>>) -> Result<Option<T>> {
    match record {
        Err(error) if *error.kind() == Kind::Corrupt => Ok(None),
        other => other,
    }
}

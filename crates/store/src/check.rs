//! Checking a store, and repairing what is only garbage.

use crate::collect::Garbage;
use crate::container::{self, Container};
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
    /// A file among the names of images that is none.
    BrokenTag(String),
    /// A name of a container that is absent.
    DanglingName(String),
    /// A container whose name does not lead to it.
    NamelessContainer(String),
    /// A directory among the containers without a readable record.
    BrokenContainer(String),
    /// How a container ended cannot be read.
    BrokenExit(String),
    /// An image record that cannot be read, or whose configuration has another digest.
    BrokenImage(String),
    /// A layer whose record cannot be read. Its files are whole: loading an image with it writes another.
    BrokenLayer(String),
    /// The user's configuration cannot be read.
    BrokenConfig,
    /// An image lacks a layer.
    LackingLayer {
        /// The image.
        image: String,
        /// The layer.
        layer: String,
    },
    /// A slot whose owner died. The engine's to clean up: processes may be left.
    DeadSlot(u32),
    /// A `--rm` container whose owner died.
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
        !matches!(self, BrokenLayer(_) | BrokenConfig | LackingLayer { .. } | DeadSlot(_) | Busy)
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
            Self::BrokenTag(file) => write!(f, "image name that cannot be read: `refs/{file}`"),
            Self::BrokenExit(path) => write!(f, "record of an end that cannot be read: `{path}`"),
            Self::BrokenLayer(layer) => {
                write!(f, "layer without a readable record: `{layer}`; loading its image again mends it")
            }
            Self::BrokenConfig => f.write_str("configuration that cannot be read: `config.json`"),
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
    /// Everything that is wrong. With `repair`, what is garbage goes, what is damaged as well, and a container
    /// gets its name back where it is free; what remains wrong is for the engine, or for the user. Before a
    /// repair the engine has ended what dead owners left.
    pub fn check(&self, repair: bool) -> Result<Vec<Finding>> {
        let mut findings = self.check_images(repair)?;
        findings.extend(self.config().err().map(|_| Finding::BrokenConfig));
        findings.extend(self.check_tags(repair)?);
        findings.extend(self.check_containers(repair)?);
        findings.extend(self.check_names(repair)?);
        findings.extend(self.check_spares(repair)?);
        findings.extend(self.dead_slots()?.iter().map(|slot| Finding::DeadSlot(slot.number)));
        findings.extend(self.check_garbage()?);
        findings.extend(self.check_layers()?);
        if repair {
            self.collect(false)?;
        }
        Ok(findings)
    }

    fn check_garbage(&self) -> Result<Vec<Finding>> {
        let mut findings: Vec<_> = self.left_in_trash()?.into_iter().map(Finding::Trash).collect();
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

    fn check_images(&self, repair: bool) -> Result<Vec<Finding>> {
        let _refs = self.lock_refs(FlockOperation::LockExclusive)?;
        let mut findings = Vec::new();
        for file in disk::sorted_names(self.root(), "images")? {
            match self.true_image(&file)? {
                None => {
                    if repair {
                        self.discard(&format!("images/{file}"))?;
                    }
                    findings.push(Finding::BrokenImage(file));
                }
                Some(image) => findings.extend(self.lacking_layers(&image)),
            }
        }
        Ok(findings)
    }

    fn true_image(&self, file: &str) -> Result<Option<crate::ImageRecord>> {
        let record = readable(self.image_record(file))?;
        let is_true =
            |record: &crate::ImageRecord| crate::blob::digest_of(record.config.as_bytes()) == record.id.0;
        Ok(record.filter(is_true))
    }

    /// Those that something is made of.
    fn check_layers(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for hex in disk::sorted_names(self.root(), "layers")? {
            let algorithm = if hex.len() == 128 { "sha512" } else { "sha256" };
            match format!("{algorithm}:{hex}").parse() {
                Ok(diff_id) if !self.has_meta(&diff_id)? => findings.push(Finding::BrokenLayer(hex)),
                _ => {}
            }
        }
        let used = self.used_paths()?;
        findings.retain(|finding| match (finding, &used) {
            (Finding::BrokenLayer(hex), Some(used)) => used.contains(&format!("layers/{hex}")),
            _ => true,
        });
        Ok(findings)
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
            let tag: Option<Tag> = readable(self.tag_in(&path))?;
            let leads =
                |tag: &Tag| disk::read_file(self.root(), &crate::image::record_path(&tag.image)).is_ok();
            if !tag.as_ref().is_some_and(leads) {
                findings.push(match tag {
                    Some(tag) => Finding::DanglingTag(tag.name.to_string()),
                    None => Finding::BrokenTag(file),
                });
                if repair {
                    self.discard(&path)?;
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
            // One that is damaged has any name.
            let is_its = match self.container_of_key(&key) {
                Ok(found) => found.is_some_and(|found| found.record.name.as_str() == name),
                Err(_) => true,
            };
            if key.is_empty() || !is_its {
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
            match readable(self.container_of_key(&key).map(Some))? {
                Some(None) => {}
                Some(Some(container)) => findings.extend(self.check_container(container, repair)?),
                None => findings.extend(self.check_broken(key, repair)?),
            }
        }
        Ok(findings)
    }

    /// One that is held is being made, run or removed: whatever it lacks is on its way.
    fn check_broken(&self, key: String, repair: bool) -> Result<Option<Finding>> {
        let path = container::dir_of(&key);
        let dir = disk::open_dir(self.root(), &path).ok();
        let lock = |dir| disk::try_lock(dir, FlockOperation::NonBlockingLockExclusive);
        if dir.as_ref().is_some_and(|dir| lock(dir) != Ok(true)) {
            return Ok(None);
        }
        if repair {
            self.discard(&path)?;
        }
        Ok(Some(Finding::BrokenContainer(key)))
    }

    fn check_container(&self, container: Container, repair: bool) -> Result<Vec<Finding>> {
        let held = match container.hold() {
            Err(error) if matches!(error.kind(), Kind::InUse | Kind::NotFound) => return Ok(Vec::new()),
            other => other?,
        };
        let (id, name) = (held.record.id, held.record.name.clone());
        if held.record.remove {
            if repair {
                self.remove(held)?;
            }
            return Ok(vec![Finding::LeftContainer(id.to_string())]);
        }
        let mut findings = Vec::new();
        if readable(held.exit().map(Some))?.is_none() {
            let path = format!("{}/exit.json", held.path());
            if repair {
                self.discard(&path)?;
            }
            findings.push(Finding::BrokenExit(path));
        }
        if self.key_of_name(&name).ok().as_deref() != Some(held.0.key.as_str()) {
            findings.push(Finding::NamelessContainer(id.to_string()));
            if repair {
                self.give_name_back(&name, &held.0.key)?;
            }
        }
        Ok(findings)
    }

    /// Unless another has it by now.
    fn give_name_back(&self, name: &Name, key: &str) -> Result<()> {
        match self.take_name(name, key) {
            Err(error) if *error.kind() == Kind::NameTaken => Ok(()),
            taken => taken.map(crate::names::TakenName::keep),
        }
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

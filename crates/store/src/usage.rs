//! What the store takes on the disk, exactly: blocks, directories included, hard links once.

use crate::container::Record;
use crate::disk::{self, Sys, blocks};
use crate::error::{At, Result};
use crate::image::ImageRecord;
use crate::layer;
use crate::root::Store;
use oci::DiffId;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};

/// What the store takes. All numbers are bytes of blocks on the disk, as du(1) counts.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Everything: the sum of what follows, but that orphans count once.
    pub total: u64,
    /// Each layer, sorted by id.
    pub layers: Vec<LayerUsage>,
    /// Each image: what it has alone and what it shares. The layers of both are in `layers`.
    pub images: Vec<ImageUsage>,
    /// Each container's own.
    pub containers: Vec<ContainerUsage>,
    /// Kept blobs.
    pub blobs: Vec<BlobUsage>,
    /// What no record leads to: drafts, trash, orphaned layers and blobs. Orphans are in `layers` and
    /// `blobs` too.
    pub garbage: u64,
    /// Records, names, spare directories, the skeleton, the directories themselves.
    pub rest: u64,
}

/// A layer on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerUsage {
    /// Which.
    pub layer: DiffId,
    /// Bytes.
    pub bytes: u64,
    /// How many images name it.
    pub images: usize,
    /// Whether a container was made from it, or from an image that has it.
    pub is_used: bool,
    /// Whether no record leads to it.
    pub is_garbage: bool,
}

/// A blob on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobUsage {
    /// The hexadecimal digits of its digest, SHA-256.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Whether no record leads to it.
    pub is_garbage: bool,
}

/// An image on the disk.
#[derive(Debug, Clone)]
pub struct ImageUsage {
    /// Which.
    pub image: ImageRecord,
    /// Bytes of layers that no other image names.
    pub unique: u64,
    /// Bytes of layers that others name too.
    pub shared: u64,
    /// How many containers were made from it.
    pub containers: usize,
}

/// A container on the disk.
#[derive(Debug, Clone)]
pub struct ContainerUsage {
    /// Which.
    pub record: Record,
    /// Bytes of its directory.
    pub bytes: u64,
    /// Bytes of what it wrote into its root: its upper layer.
    pub written: u64,
}

impl Store {
    /// What everything takes. Walks the whole store.
    pub fn usage(&self) -> Result<Usage> {
        if self.is_absent() {
            return Ok(Usage::default());
        }
        let mut seen = HashSet::new();
        let sizes = self.layer_sizes(&mut seen)?;
        let records = self.image_records()?.whole;
        let mut usage = Usage { layers: layer_usage(&sizes, &records), ..Usage::default() };
        usage.containers = self.container_usage(&mut seen)?;
        mark_used(&mut usage, &records);
        usage.images = image_usage(&sizes, records, &usage);
        usage.blobs = self.blob_usage(&mut seen)?;
        usage.garbage = self.sum_below("tmp", &mut seen)? + self.sum_below("trash", &mut seen)?;
        // What was seen is not counted again, so this is all the others.
        usage.rest = self.sum(".", &mut seen)?;
        let parts = [usage.garbage, usage.rest];
        let layers = usage.layers.iter().map(|layer| layer.bytes);
        let blobs = usage.blobs.iter().map(|blob| blob.bytes);
        let containers = usage.containers.iter().map(|container| container.bytes);
        usage.total = layers.chain(containers).chain(blobs).chain(parts).sum();
        self.mark_garbage(&mut usage)?;
        Ok(usage)
    }

    fn mark_garbage(&self, usage: &mut Usage) -> Result<()> {
        // None where a record is damaged: then anything may be named.
        let Some(used) = self.used_paths()? else { return Ok(()) };
        for layer in &mut usage.layers {
            layer.is_garbage = !used.contains(&layer::dir_of(&layer.layer));
        }
        for blob in &mut usage.blobs {
            blob.is_garbage = !used.contains(&format!("blobs/sha256/{}", blob.name));
        }
        let layers = usage.layers.iter().filter(|layer| layer.is_garbage).map(|layer| layer.bytes);
        let blobs = usage.blobs.iter().filter(|blob| blob.is_garbage).map(|blob| blob.bytes);
        usage.garbage += layers.chain(blobs).sum::<u64>();
        Ok(())
    }

    /// Bytes of what a container wrote into its root.
    pub fn written(&self, container: &crate::Container) -> Result<u64> {
        sum_tree(container.dir(), "upper", &mut HashSet::new())
    }

    /// Without the directory itself.
    fn sum_below(&self, path: &str, seen: &mut Seen) -> Result<u64> {
        let dir = disk::open_dir(self.root(), path);
        dir.and_then(|dir| sum_entries(dir.as_fd(), seen)).at(|| format!("measure `{path}`"))
    }

    fn layer_sizes(&self, seen: &mut Seen) -> Result<HashMap<DiffId, u64>> {
        let mut sizes = HashMap::new();
        for hex in disk::sorted_names(self.root(), "layers")? {
            let algorithm = if hex.len() == 128 { "sha512" } else { "sha256" };
            // What has another name is no layer, and is counted with the rest.
            if let Ok(diff_id) = format!("{algorithm}:{hex}").parse() {
                sizes.insert(diff_id, self.sum(&format!("layers/{hex}"), seen)?);
            }
        }
        Ok(sizes)
    }

    fn blob_usage(&self, seen: &mut Seen) -> Result<Vec<BlobUsage>> {
        let dir = disk::open_dir(self.root(), "blobs/sha256").at(|| "measure `blobs`".into())?;
        let mut sizes = Vec::new();
        for name in disk::sorted_names(&dir, ".")? {
            let Ok(file) = CString::new(name.as_str()) else { continue };
            let bytes = sum_entry(dir.as_fd(), &file, seen).at(|| format!("measure blob `{name}`"))?;
            sizes.push(BlobUsage { name, bytes, is_garbage: false });
        }
        Ok(sizes)
    }

    fn container_usage(&self, seen: &mut Seen) -> Result<Vec<ContainerUsage>> {
        let measure = |container: crate::Container| {
            let written = sum_tree(container.dir(), "upper", seen)?;
            let bytes = written + sum_tree(container.dir(), ".", seen)?;
            Ok(ContainerUsage { record: container.record, bytes, written })
        };
        self.all_containers()?.whole.into_iter().map(measure).collect()
    }

    fn sum(&self, path: &str, seen: &mut Seen) -> Result<u64> {
        sum_tree(self.root(), path, seen)
    }
}

fn layer_usage(sizes: &HashMap<DiffId, u64>, records: &[ImageRecord]) -> Vec<LayerUsage> {
    let count = |layer: &DiffId| records.iter().filter(|record| record.layers.contains(layer)).count();
    let usage = |(layer, bytes): (&DiffId, &u64)| LayerUsage {
        layer: layer.clone(),
        bytes: *bytes,
        images: count(layer),
        is_used: false,
        is_garbage: false,
    };
    let mut list: Vec<_> = sizes.iter().map(usage).collect();
    list.sort_by(|a, b| a.layer.cmp(&b.layer));
    list
}

fn mark_used(usage: &mut Usage, records: &[ImageRecord]) {
    let used_images: HashSet<_> = usage.containers.iter().map(|container| &container.record.image).collect();
    let of_images = records.iter().filter(|image| used_images.contains(&image.id)).map(|image| &image.layers);
    let of_containers = usage.containers.iter().map(|container| &container.record.layers);
    let used: HashSet<_> = of_images.chain(of_containers).flatten().collect();
    usage.layers.iter_mut().for_each(|layer| layer.is_used = used.contains(&layer.layer));
}

fn image_usage(sizes: &HashMap<DiffId, u64>, records: Vec<ImageRecord>, usage: &Usage) -> Vec<ImageUsage> {
    let shared: HashSet<_> =
        usage.layers.iter().filter(|layer| layer.images > 1).map(|layer| &layer.layer).collect();
    let measure = |image: ImageRecord| {
        let own: HashSet<_> = image.layers.iter().collect();
        let sum = |common| {
            own.iter()
                .filter(|layer| shared.contains(**layer) == common)
                .filter_map(|layer| sizes.get(*layer))
                .sum()
        };
        let (unique, both) = (sum(false), sum(true));
        let containers =
            usage.containers.iter().filter(|container| container.record.image == image.id).count();
        ImageUsage { image, unique, shared: both, containers }
    };
    records.into_iter().map(measure).collect()
}

/// Inodes counted already: directories and what has several names.
type Seen = HashSet<(u64, u64)>;

/// Bytes of a tree that were not counted before. What vanishes meanwhile counts nothing.
fn sum_tree(at: impl AsFd, path: &str, seen: &mut Seen) -> Result<u64> {
    let what = || format!("measure `{path}`");
    let dir = match disk::open_dir(at, path) {
        Err(Errno::NOENT) => return Ok(0),
        other => other.at(what)?,
    };
    let stat = fstat(&dir).at(what)?;
    if !first(&stat, seen) {
        return Ok(0);
    }
    Ok(blocks(&stat) + sum_entries(dir.as_fd(), seen).at(what)?)
}

fn sum_entries(dir: BorrowedFd<'_>, seen: &mut Seen) -> Sys<u64> {
    let mut bytes = 0;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            bytes += sum_entry(dir, entry.file_name(), seen)?;
        }
    }
    Ok(bytes)
}

fn sum_entry(dir: BorrowedFd<'_>, name: &CStr, seen: &mut Seen) -> Sys<u64> {
    let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(0),
        other => other?,
    };
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if (is_dir || stat.st_nlink > 1) && !first(&stat, seen) {
        return Ok(0);
    }
    if !is_dir {
        return Ok(blocks(&stat));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(blocks(&stat)),
        inner => Ok(blocks(&stat) + sum_entries(inner?.as_fd(), seen)?),
    }
}

/// Whether this inode was not counted before. A directory that was is not entered again.
fn first(stat: &Stat, seen: &mut Seen) -> bool {
    seen.insert((stat.st_dev, stat.st_ino))
}

//! What the store takes on the disk, exactly: blocks, directories included, hard links once.

use crate::container::Record;
use crate::disk::{self, Sys};
use crate::error::{At, Result};
use crate::image::ImageRecord;
use crate::layer;
use crate::root::Store;
use oci::DiffId;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::CStr;

/// What the store takes. All numbers are bytes of blocks on the disk, as du(1) counts.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Everything: the sum of what follows.
    pub total: u64,
    /// Each layer, sorted by id.
    pub layers: Vec<LayerUsage>,
    /// Each image: what it has alone and what it shares. The layers of both are in `layers`.
    pub images: Vec<ImageUsage>,
    /// Each container's own.
    pub containers: Vec<ContainerUsage>,
    /// Kept blobs.
    pub blobs: u64,
    /// What no record leads to: drafts, trash, orphaned layers. Orphans are in `layers` too.
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
        let mut seen = HashSet::new();
        let sizes = self.layer_sizes(&mut seen)?;
        let records = self.image_records()?;
        let mut usage = Usage { layers: layer_usage(&sizes, &records), ..Usage::default() };
        usage.containers = self.container_usage(&mut seen)?;
        usage.images = image_usage(&sizes, records, &usage);
        usage.blobs = self.sum("blobs/sha256", &mut seen)?;
        usage.garbage = self.sum_below("tmp", &mut seen)? + self.sum_below("trash", &mut seen)?;
        // What was seen is not counted again, so this is all the others.
        usage.rest = self.sum(".", &mut seen)?;
        let parts = [usage.blobs, usage.garbage, usage.rest];
        let layers = usage.layers.iter().map(|layer| layer.bytes);
        let containers = usage.containers.iter().map(|container| container.bytes);
        usage.total = layers.chain(containers).chain(parts).sum();
        let used = self.used_paths()?;
        let orphans = usage.layers.iter().filter(|layer| !used.contains(&layer::dir_of(&layer.layer)));
        usage.garbage += orphans.map(|layer| layer.bytes).sum::<u64>();
        Ok(usage)
    }

    /// Bytes of what a container wrote into its root.
    pub fn written(&self, container: &crate::Container) -> Result<u64> {
        sum_tree(container.dir(), "upper", &mut HashSet::new())
    }

    pub(crate) fn bytes_below(&self, path: &str) -> Result<u64> {
        self.sum_below(path, &mut HashSet::new())
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

    fn container_usage(&self, seen: &mut Seen) -> Result<Vec<ContainerUsage>> {
        let measure = |container: crate::Container| {
            let written = sum_tree(container.dir(), "upper", seen)?;
            let bytes = written + sum_tree(container.dir(), ".", seen)?;
            Ok(ContainerUsage { record: container.record, bytes, written })
        };
        self.all_containers()?.into_iter().map(measure).collect()
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
    };
    let mut list: Vec<_> = sizes.iter().map(usage).collect();
    list.sort_by(|a, b| a.layer.cmp(&b.layer));
    list
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

fn blocks(stat: &Stat) -> u64 {
    stat.st_blocks as u64 * 512
}

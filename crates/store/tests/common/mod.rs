//! A store in a directory of its own, and things to put into it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use oci::{DiffId, ImageId, Reference};
use sha2::{Digest as _, Sha256};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use store::*;

/// Removed with everything in it when dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        Self::below("/var/tmp")
    }

    /// On tmpfs: for many files. ext4 without journal does not reuse an inode within a minute of its
    /// deletion, and searches past all of them (recently_deleted() in fs/ext4/ialloc.c).
    pub fn in_memory() -> Self {
        Self::below("/dev/shm")
    }

    fn below(parent: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("{parent}/hull-store-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn open(&self) -> Store {
        Store::open(&self.0, &self.0.join("run")).unwrap()
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn names_in(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn diff_id(text: &str) -> DiffId {
    DiffId::from_sha256(Sha256::digest(text).into())
}

/// A layer with one file, `name`, whose content is `text`.
pub fn put_layer(store: &Store, shared: &Shared, text: &str) -> DiffId {
    let draft = store.draft_layer(shared).unwrap();
    write_in(draft.dir(), "file", text);
    let meta = LayerMeta {
        tar_size: 10240,
        entries: 1,
        file_bytes: text.len() as u64,
        source: None,
        ..LayerMeta::default()
    };
    draft.commit(&diff_id(text), meta).unwrap().diff_id
}

pub fn write_in(dir: impl AsFd, name: &str, text: &str) {
    use rustix::fs::{Mode, OFlags, openat};
    let file = openat(dir, name, OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644)).unwrap();
    rustix::io::write(&file, text.as_bytes()).unwrap();
}

pub fn config_of(layers: &[DiffId], author: &str) -> (ImageId, Vec<u8>) {
    let layers: Vec<_> = layers.iter().map(|layer| format!("\"{layer}\"")).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","author":"{author}","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        layers.join(",")
    );
    (ImageId::from_sha256(Sha256::digest(&config).into()), config.into_bytes())
}

pub fn reference(text: &str) -> Reference {
    text.parse::<Reference>().unwrap().with_default_tag()
}

/// An image of layers with these texts.
pub fn put_image(store: &Store, texts: &[&str], author: &str, names: &[&str]) -> Image {
    let shared = store.share().unwrap();
    let layers: Vec<_> = texts.iter().map(|text| put_layer(store, &shared, text)).collect();
    let (id, config) = config_of(&layers, author);
    let names = names.iter().map(|name| reference(name)).collect();
    store
        .put_image(&shared, NewImage { id, config, layers: None, manifest: None, blobs: Vec::new(), names })
        .unwrap()
}

pub fn record_of(image: Option<&Image>, name: &str, remove: bool) -> Record {
    Record {
        id: ContainerId::random().unwrap(),
        name: name.parse().unwrap(),
        image: image.map_or_else(|| ImageId::from_sha256([1; 32]), |image| image.id().clone()),
        image_name: "bb".into(),
        layers: image.map_or_else(Vec::new, |image| image.record.layers.clone()),
        blocks: Vec::new(),
        created: jiff::Timestamp::now(),
        boot: String::new(),
        command: vec!["sh".into()],
        labels: Default::default(),
        remove,
        spec: None,
        details: None,
        request: None,
        config: None,
    }
}

pub fn new_container(image: Option<&Image>, name: &str, remove: bool) -> NewContainer {
    let etc = EtcFiles { hostname: b"h\n".into(), hosts: b"127.0.0.1 h\n".into(), resolv_conf: b"".into() };
    NewContainer { record: record_of(image, name, remove), any_name: false, etc }
}

pub fn create(store: &Store, image: Option<&Image>, name: &str, remove: bool) -> Held {
    store.create(&store.share().unwrap(), new_container(image, name, remove)).unwrap()
}

pub fn running(container: ContainerId) -> Running {
    Running {
        container,
        monitor: std::process::id() as i32,
        pid: None,
        started: jiff::Timestamp::now(),
        boot: String::new(),
        cgroup: None,
        more: Vec::new(),
        details: None,
    }
}

pub fn exit(code: i32) -> Exit {
    Exit { code, oom: false, started: None, finished: jiff::Timestamp::now(), error: None, restarts: 0 }
}

//! What the tests share: directories of their own, archives by GNU tar and Python, a picture of a tree.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use layer::{Applied, Error, Kind, Limits};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hull-layer-{}-{n}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A new empty directory in it.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn apply(tar: &[u8], root: &Path) -> layer::Result<Applied> {
    apply_with(tar, root, &Limits::default())
}

pub fn apply_with(tar: &[u8], root: &Path, limits: &Limits) -> layer::Result<Applied> {
    let recipe = memory_file();
    let dir = File::open(root).unwrap();
    let applied = layer::apply_noting(tar, dir.as_fd(), limits, Some(recipe.try_clone().unwrap().into()))?;
    assert_remade(tar, &recipe, &dir, &applied);
    Ok(applied)
}

/// A file of no name.
pub fn memory_file() -> File {
    let file = rustix::fs::memfd_create("recipe", rustix::fs::MemfdFlags::CLOEXEC);
    file.unwrap().into()
}

/// Whatever archive is accepted can be made again, byte for byte.
pub fn assert_remade(tar: &[u8], recipe: &File, dir: &File, applied: &Applied) {
    assert!(applied.can_be_remade);
    let mut plain = Vec::new();
    let memory = layer::Memory::of(4 << 30);
    let head = &tar[..tar.len().min(layer::Compression::HEAD)];
    std::io::Read::read_to_end(&mut layer::Decoder::new(tar, head, &memory).unwrap(), &mut plain).unwrap();
    let mut remade = Vec::new();
    layer::remake(recipe, dir.as_fd(), &mut remade).unwrap();
    assert!(remade == plain, "{} bytes were made again of {}", remade.len(), plain.len());
}

/// Applies to a directory of its own that is looked at by `look`.
pub fn applied<T>(tar: &[u8], look: impl FnOnce(&Path, Applied) -> T) -> T {
    let scratch = Scratch::new();
    let applied = apply(tar, &scratch.0).unwrap();
    look(&scratch.0, applied)
}

pub fn refused(tar: &[u8], limits: &Limits) -> Error {
    let scratch = Scratch::new();
    apply_with(tar, &scratch.0, limits).unwrap_err()
}

pub fn assert_refused(tar: &[u8], kind: Kind, word: &str) {
    let error = refused(tar, &Limits::default());
    assert_eq!((*error.kind(), error.to_string().contains(word)), (kind, true), "{error:?}");
}

pub fn run(command: &mut Command) -> Vec<u8> {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

pub fn shell(dir: &Path, script: &str) -> Vec<u8> {
    run(Command::new("sh").args(["-ec", script]).current_dir(dir))
}

/// Python's `tarfile` writes the archive; `body` adds members to `t` with `add(name, **fields)`.
pub fn python(format: &str, body: &str) -> Vec<u8> {
    let script = format!(
        r#"
import tarfile, io, sys
out = io.BytesIO()
t = tarfile.open(fileobj=out, mode='w', format=tarfile.{format}_FORMAT)
def add(name, type=tarfile.REGTYPE, data=b'', **fields):
    i = tarfile.TarInfo(name)
    i.type = type; i.size = len(data)
    for k, v in fields.items(): setattr(i, k, v)
    t.addfile(i, io.BytesIO(data))
DIR, SYM, LNK, CHR, BLK, FIFO = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE
{body}
t.close()
sys.stdout.buffer.write(out.getvalue())
"#
    );
    run(Command::new("python3").args(["-c", &script]))
}

/// What one file is, as far as a layer keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    pub links: u64,
    pub device: u64,
    pub content: Vec<u8>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content = &self.content[..self.content.len().min(80)];
        write!(
            f,
            "{:o} {:?} {:?} links {} device {:x} ",
            self.mode, self.owner, self.mtime, self.links, self.device
        )?;
        write!(f, "{} bytes `{}` {:?}", self.content.len(), content.escape_ascii(), self.xattrs)
    }
}

/// Everything below (and at) `root`, by path.
pub fn picture(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    look(root, Path::new(""), &mut nodes);
    nodes
}

fn look(root: &Path, path: &Path, nodes: &mut BTreeMap<PathBuf, Node>) {
    let whole = root.join(path);
    nodes.insert(path.to_owned(), node(&whole));
    if fs::symlink_metadata(&whole).unwrap().is_dir() {
        for entry in fs::read_dir(&whole).unwrap() {
            look(root, &path.join(entry.unwrap().file_name()), nodes);
        }
    }
}

pub fn node(path: &Path) -> Node {
    let meta = fs::symlink_metadata(path).unwrap();
    let content = match meta.file_type() {
        t if t.is_file() => fs::read(path).unwrap(),
        t if t.is_symlink() => fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec(),
        _ => Vec::new(),
    };
    Node {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        links: if meta.is_dir() { 0 } else { meta.nlink() },
        device: if meta.file_type().is_char_device() || meta.file_type().is_block_device() {
            meta.rdev()
        } else {
            0
        },
        content,
        xattrs: xattrs(path),
    }
}

pub fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = vec![0; 4096];
    let len = rustix::fs::llistxattr(path, &mut list).unwrap();
    let names = list[..len].split(|&b| b == 0).filter(|name| !name.is_empty());
    names.map(|name| (name.to_vec(), xattr(path, OsStr::from_bytes(name)).unwrap())).collect()
}

pub fn xattr(path: &Path, name: &OsStr) -> Option<Vec<u8>> {
    let mut value = vec![0; 65536];
    let len = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.truncate(len);
    Some(value)
}

pub fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_char_device() && meta.rdev() == 0)
}

pub fn is_opaque(path: &Path) -> bool {
    xattr(path, OsStr::new("trusted.overlay.opaque")).as_deref() == Some(b"y")
}

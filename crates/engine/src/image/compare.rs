//! Where two images differ: files, configuration, packages.

use super::mount_view;
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, flistxattr, openat, openat2,
    readlinkat, statat,
};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::File;
use std::io::Read;

/// What is different between two images.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Difference {
    /// Files, by path; below a directory that only one has, nothing is listed.
    pub files: Vec<FileDifference>,
    /// Members of the configuration.
    pub config: Vec<ValueDifference>,
    /// Packages of dpkg, apk and rpm.
    pub packages: Vec<ValueDifference>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FileDifference {
    /// From the root.
    pub path: String,
    /// `added`, `removed`, `changed`
    pub kind: &'static str,
    /// Of one that is changed: in what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<&'static str>,
    /// Bytes more or fewer.
    pub bytes: i64,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ValueDifference {
    /// Of what.
    pub name: String,
    /// In the first image, if there.
    pub from: Option<String>,
    /// In the second.
    pub to: Option<String>,
}

impl Engine {
    /// What the second image has otherwise than the first.
    pub fn image_diff(&self, first: &str, second: &str) -> Result<Difference> {
        let _shared = self.store.share().map_err(from_store)?;
        let images = [first, second].map(|word| self.store.resolve(word).map_err(from_store));
        let [a, b] = images;
        let (a, b) = (a?, b?);
        let (tree_a, tree_b) = (mount_view(self, &a)?, mount_view(self, &b)?);
        let mut difference = Difference::default();
        let mut walk = Walk { found: &mut difference.files, path: Vec::new() };
        walk.directories(tree_a.as_fd(), tree_b.as_fd()).map_err(|errno| {
            Error::new(Kind::Failed, format!("compare `{first}` with `{second}`")).caused_by(errno)
        })?;
        let parse =
            |image: &store::Image| serde_json::from_str::<Value>(&image.record.config).unwrap_or_default();
        difference.config = values(&flat(&parse(&a)), &flat(&parse(&b)));
        let (mut packages_a, mut packages_b) = (BTreeMap::new(), BTreeMap::new());
        for (tree, packages, word) in [(&tree_a, &mut packages_a, first), (&tree_b, &mut packages_b, second)]
        {
            let notes = super::packages::of(tree.as_fd(), packages);
            difference.notes.extend(notes.into_iter().map(|note| format!("{word}: {note}")));
        }
        difference.packages = values(&packages_a, &packages_b);
        Ok(difference)
    }
}

/// Members that say when and how, and not what.
const NOISE: [&str; 3] = ["created", "history", "rootfs"];

/// A configuration as one list.
fn flat(config: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let Some(members) = config.as_object() else { return all };
    for (name, value) in members.iter().filter(|(name, _)| !NOISE.contains(&name.as_str())) {
        match (name.as_str(), value) {
            ("config", Value::Object(inner)) => {
                inner.iter().for_each(|(name, value)| put(&mut all, name, value))
            }
            _ => put(&mut all, name, value),
        }
    }
    all
}

/// Lists of words and maps by their entries; of the environment by its names.
fn put(all: &mut BTreeMap<String, String>, name: &str, value: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Null => {}
        Value::Object(inner) => {
            inner.iter().for_each(|(key, value)| drop(all.insert(format!("{name}.{key}"), text(value))))
        }
        Value::Array(list) if name == "Env" => {
            for entry in list.iter().filter_map(Value::as_str) {
                let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
                all.insert(format!("Env.{key}"), value.to_owned());
            }
        }
        other => drop(all.insert(name.to_owned(), text(other))),
    }
}

fn values(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> Vec<ValueDifference> {
    let names: BTreeSet<_> = from.keys().chain(to.keys()).collect();
    let differing = names.into_iter().filter(|name| from.get(*name) != to.get(*name));
    differing
        .map(|name| ValueDifference {
            name: name.clone(),
            from: from.get(name).cloned(),
            to: to.get(name).cloned(),
        })
        .collect()
}

/// What the kernel answers.
type Sys<T> = std::result::Result<T, Errno>;

struct Walk<'a> {
    found: &'a mut Vec<FileDifference>,
    path: Vec<u8>,
}

impl Walk<'_> {
    fn directories(&mut self, a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Sys<()> {
        let names: BTreeSet<CString> = names(a)?.into_iter().chain(names(b)?).collect();
        for name in names {
            let length = self.path.len();
            self.path.push(b'/');
            self.path.extend_from_slice(name.to_bytes());
            self.entry(a, b, &name)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn entry(&mut self, a: BorrowedFd<'_>, b: BorrowedFd<'_>, name: &CString) -> Sys<()> {
        match (look(a, name)?, look(b, name)?) {
            (None, Some(stat)) => self.put("added", Vec::new(), stat.st_size),
            (Some(stat), None) => self.put("removed", Vec::new(), -stat.st_size),
            (Some(from), Some(to)) => {
                let what = differing(a, b, name, &from, &to)?;
                if !what.is_empty() {
                    self.put("changed", what, to.st_size - from.st_size);
                }
                if [&from, &to].iter().all(|stat| kind(stat) == FileType::Directory) {
                    let (inner_a, inner_b) = (open_directory(a, name)?, open_directory(b, name)?);
                    self.directories(inner_a.as_fd(), inner_b.as_fd())?;
                }
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn put(&mut self, kind: &'static str, what: Vec<&'static str>, bytes: i64) {
        let path = String::from_utf8_lossy(&self.path).into_owned();
        self.found.push(FileDifference { path, kind, what, bytes });
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn look(dir: BorrowedFd<'_>, name: &CString) -> Sys<Option<Stat>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

fn names(dir: BorrowedFd<'_>) -> Sys<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn open_directory(dir: BorrowedFd<'_>, name: &CString) -> Sys<OwnedFd> {
    openat(dir, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// In what two entries of a name differ. A directory's size and time say nothing.
fn differing(
    a: BorrowedFd<'_>,
    b: BorrowedFd<'_>,
    name: &CString,
    from: &Stat,
    to: &Stat,
) -> Sys<Vec<&'static str>> {
    let mut what = Vec::new();
    if kind(from) != kind(to) {
        return Ok(vec!["type"]);
    }
    let mut note = |differs: bool, word| what.extend(differs.then_some(word));
    note(from.st_mode != to.st_mode, "mode");
    note((from.st_uid, from.st_gid) != (to.st_uid, to.st_gid), "owner");
    match kind(from) {
        FileType::RegularFile => {
            note(from.st_size != to.st_size, "size");
            note(from.st_size == to.st_size && !is_same_content(a, b, name, from, to)?, "content");
            note(xattrs(a, name)? != xattrs(b, name)?, "xattrs");
        }
        FileType::Symlink => {
            let target = |dir| readlinkat(dir, name, Vec::new());
            note(target(a)? != target(b)?, "target");
        }
        FileType::CharacterDevice | FileType::BlockDevice => note(from.st_rdev != to.st_rdev, "device"),
        FileType::Directory => note(xattrs(a, name)? != xattrs(b, name)?, "xattrs"),
        _ => {}
    }
    Ok(what)
}

/// Files of the same layer are one inode and are not read.
fn is_same_content(
    a: BorrowedFd<'_>,
    b: BorrowedFd<'_>,
    name: &CString,
    from: &Stat,
    to: &Stat,
) -> Sys<bool> {
    if (from.st_ino, from.st_mtime, from.st_ctime) == (to.st_ino, to.st_mtime, to.st_ctime) {
        return Ok(true);
    }
    let open = |dir| {
        openat(
            dir,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let (mut a, mut b) = (File::from(open(a)?), File::from(open(b)?));
    let (mut first, mut second) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let (read, also) = (fill(&mut a, &mut first)?, fill(&mut b, &mut second)?);
        if first[..read] != second[..also] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> Sys<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }
    Ok(length)
}

/// Overlay's own are no part of an image.
fn xattrs(dir: BorrowedFd<'_>, name: &CString) -> Sys<BTreeMap<Vec<u8>, Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat2(dir, name, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    let mut list = vec![0; 64 << 10];
    let length = match flistxattr(&file, &mut list) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    let mut all = BTreeMap::new();
    let mut value = vec![0; 64 << 10];
    for name in list[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && !name.starts_with(b"trusted.overlay."))
    {
        let length = fgetxattr(&file, name, &mut value)?;
        all.insert(name.to_vec(), value[..length].to_vec());
    }
    Ok(all)
}

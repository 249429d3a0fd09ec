//! The layers of an image as one tree, read without mounting them.
//!
//! A mount of overlay, only to look two small files up, costs a third of a container's start.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, openat2, readlinkat, statat,
};
use rustix::io::{Errno, Result};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// Symbolic links followed in one path, as in path_resolution(7).
const LINKS: usize = 40;

/// A directory of the merged tree: those of the layers that make it up, the topmost first.
type Directory = Rc<Vec<OwnedFd>>;

/// The merged tree.
#[derive(Debug)]
pub(crate) struct Merged {
    root: Directory,
}

/// What a name in a merged directory is.
enum Entry {
    Directory(Vec<OwnedFd>),
    /// Anything else: the layer's directory it is in.
    Other(Stat, usize),
}

impl Merged {
    /// The tree of some layers, the topmost first.
    pub(crate) fn new(layers: Vec<OwnedFd>) -> Self {
        Self { root: Rc::new(layers) }
    }

    /// Opens a regular file for reading; links are followed as if the tree were `/`. None if it is not there, or
    /// something else: opening a device or a fifo of an image's is not harmless.
    pub(crate) fn open(&self, path: &Path) -> Result<Option<OwnedFd>> {
        let mut way = vec![self.root.clone()];
        let mut rest: Vec<PathBuf> = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == Path::new("..") {
                way.truncate(way.len().saturating_sub(1).max(1));
                continue;
            }
            let here = way.last().cloned().unwrap_or_else(|| self.root.clone());
            match look(&here, &part)? {
                None => return Ok(None),
                Some(Entry::Directory(dirs)) => way.push(Rc::new(dirs)),
                Some(Entry::Other(stat, at)) if file_type(&stat) == FileType::Symlink => {
                    links += 1;
                    let target = target(&here[at], &part, links)?;
                    way.truncate(if target.is_absolute() { 1 } else { way.len() });
                    rest.extend(parts(&target));
                }
                Some(Entry::Other(stat, at))
                    if rest.is_empty() && file_type(&stat) == FileType::RegularFile =>
                {
                    return open_with(here[at].as_fd(), &part, OFlags::RDONLY | OFlags::NONBLOCK).map(Some);
                }
                Some(Entry::Other(..)) => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// The components of a path, the last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(named).map(|part| PathBuf::from(part.as_os_str())).rev().collect()
}

fn target(dir: &OwnedFd, name: &Path, links: usize) -> Result<PathBuf> {
    if links > LINKS {
        return Err(Errno::LOOP);
    }
    use std::os::unix::ffi::OsStringExt;
    let target = readlinkat(dir, name, Vec::new())?;
    Ok(std::ffi::OsString::from_vec(target.into_bytes()).into())
}

/// Overlay's own rule: the topmost decides; directories are joined until one is opaque, or a lower name is hidden.
fn look(directory: &[OwnedFd], name: &Path) -> Result<Option<Entry>> {
    let mut joined = Vec::new();
    for (at, dir) in directory.iter().enumerate() {
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        let is_whiteout = file_type(&stat) == FileType::CharacterDevice && stat.st_rdev == 0;
        match file_type(&stat) {
            _ if is_whiteout => break,
            FileType::Directory => {
                let inner = open_directory(dir.as_fd(), name)?;
                let is_last = is_opaque(&inner);
                joined.push(inner);
                if is_last {
                    break;
                }
            }
            _ if joined.is_empty() => return Ok(Some(Entry::Other(stat, at))),
            _ => break,
        }
    }
    Ok((!joined.is_empty()).then_some(Entry::Directory(joined)))
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// overlayfs.rst, "whiteouts and opaque directories"; the form of mounts without `userxattr`.
fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0; 1];
    fgetxattr(dir, c"trusted.overlay.opaque", &mut value).is_ok_and(|length| &value[..length] == b"y")
}

fn open_directory(dir: BorrowedFd<'_>, name: &Path) -> Result<OwnedFd> {
    open_with(dir, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

fn open_with(dir: BorrowedFd<'_>, name: &Path, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(dir, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    /// Layers, the topmost first, each a list of `name=content`, `name/` or `name->target`.
    fn layers(all: &[&[&str]]) -> (PathBuf, Merged) {
        let base = std::env::temp_dir().join(format!(
            "hull-merged-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let _ = fs::remove_dir_all(&base);
        let opened = all.iter().enumerate().map(|(number, entries)| {
            let layer = base.join(number.to_string());
            fs::create_dir_all(&layer).unwrap();
            entries.iter().for_each(|entry| make(&layer, entry));
            OwnedFd::from(fs::File::open(layer).unwrap())
        });
        let merged = Merged::new(opened.collect());
        (base, merged)
    }

    fn make(layer: &Path, entry: &str) {
        fs::create_dir_all(layer.join(entry.split(['=', '-']).next().unwrap()).parent().unwrap()).unwrap();
        if let Some((name, target)) = entry.split_once("->") {
            symlink(target, layer.join(name)).unwrap();
        } else if let Some((name, text)) = entry.split_once('=') {
            fs::write(layer.join(name), text).unwrap();
        } else {
            fs::create_dir_all(layer.join(entry)).unwrap();
        }
    }

    fn read(merged: &Merged, path: &str) -> Option<String> {
        let file = merged.open(Path::new(path)).unwrap()?;
        let mut text = String::new();
        fs::File::from(file).read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn the_topmost_layer_that_has_it_counts() {
        let (base, merged) =
            layers(&[&["etc/x=top"], &["etc/passwd=mid"], &["etc/passwd=low", "etc/group=low"]]);
        assert_eq!(read(&merged, "/etc/passwd").as_deref(), Some("mid"));
        assert_eq!(read(&merged, "etc/group").as_deref(), Some("low"));
        assert_eq!(read(&merged, "etc/none"), None);
        assert_eq!(read(&merged, "etc/x/below"), None);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_file_hides_the_directories_below_it_and_a_directory_the_files() {
        let (base, merged) = layers(&[&["a=file", "b/"], &["a/x=1", "b=file", "b2=x"], &["b/y=2"]]);
        assert_eq!(read(&merged, "a").as_deref(), Some("file"));
        assert_eq!(read(&merged, "a/x"), None);
        assert_eq!(read(&merged, "b/y"), None, "a file between two directories parts them");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn links_lead_through_all_layers_and_never_out() {
        let (base, merged) = layers(&[
            &["etc->usr/etc", "loop->loop", "out->../../../../etc/hostname"],
            &["usr/etc/passwd->/lib/accounts", "etc/passwd=hidden"],
            &["lib/accounts=found", "usr/up->../lib/../lib/accounts"],
        ]);
        assert_eq!(read(&merged, "etc/passwd").as_deref(), Some("found"));
        assert_eq!(read(&merged, "usr/up").as_deref(), Some("found"));
        assert_eq!(read(&merged, "out"), None);
        assert_eq!(merged.open(Path::new("loop")).unwrap_err(), Errno::LOOP);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn whiteouts_and_opaque_directories_hide_what_is_below() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIP: device nodes and trusted attributes need root");
            return;
        }
        let (base, merged) = layers(&[&["etc/", "opt/"], &["etc/passwd=low", "opt/f=low", "opt/g=low"]]);
        let whiteout = base.join("0/etc/passwd");
        let device = FileType::CharacterDevice;
        rustix::fs::mknodat(rustix::fs::CWD, &whiteout, device, Mode::from_raw_mode(0o600), 0).unwrap();
        assert_eq!(read(&merged, "etc/passwd"), None);
        assert_eq!(read(&merged, "opt/f").as_deref(), Some("low"));
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(base.join("0/opt"), c"trusted.overlay.opaque", b"y", flags).unwrap();
        assert_eq!(read(&merged, "opt/f"), None);
        fs::remove_dir_all(base).unwrap();
    }
}

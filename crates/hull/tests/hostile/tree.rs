//! A layer on disk as lines of text, see `testkit::archive::Answer`.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// All below a root, sorted by path.
pub(crate) fn lines(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let own = line(root, root);
    lines.extend((!own.starts_with("755 d .")).then_some(own));
    walk(root, root, &mut lines);
    lines
}

fn walk(root: &Path, dir: &Path, lines: &mut Vec<String>) {
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    for path in all {
        lines.push(line(root, &path));
        if path.symlink_metadata().unwrap().is_dir() {
            walk(root, &path, lines);
        }
    }
}

fn line(root: &Path, path: &Path) -> String {
    let status = path.symlink_metadata().unwrap();
    let name = match path.strip_prefix(root).unwrap() {
        own if own.as_os_str().is_empty() => ".".to_owned(),
        own => own.as_os_str().as_bytes().escape_ascii().to_string(),
    };
    let (major, minor) = (rustix::fs::major(status.rdev()), rustix::fs::minor(status.rdev()));
    let (mode, kind) = (status.mode() & 0o7777, status.file_type());
    let names =
        if status.nlink() > 1 && !kind.is_dir() { format!(" x{}", status.nlink()) } else { String::new() };
    let own = match () {
        () if kind.is_dir() => format!("{mode:o} d{} {name}", if is_opaque(path) { "!" } else { "" }),
        () if kind.is_symlink() => format!("l {name} -> {}", std::fs::read_link(path).unwrap().display()),
        () if kind.is_fifo() => format!("{mode:o} p {name}"),
        () if kind.is_char_device() && (major, minor) == (0, 0) => format!("w {name}"),
        () if kind.is_char_device() => format!("{mode:o} c {name}{names} {major}:{minor}"),
        () if kind.is_block_device() => format!("{mode:o} b {name}{names} {major}:{minor}"),
        () => format!("{mode:o} f {name}{names} {}", content(path)),
    };
    own + &owner(status.uid(), status.gid()) + &attributes(path)
}

fn content(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    if bytes.len() > 32 { format!("#{}", bytes.len()) } else { format!("={}", bytes.escape_ascii()) }
}

fn owner(uid: u32, gid: u32) -> String {
    if (uid, gid) == (0, 0) { String::new() } else { format!(" @{uid}:{gid}") }
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 8];
    rustix::fs::lgetxattr(path, "trusted.overlay.opaque", &mut value) == Ok(1) && value[0] == b'y'
}

/// But for what overlay has of its own.
fn attributes(path: &Path) -> String {
    let mut list = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut list).unwrap_or(0);
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let own = ["trusted.overlay.opaque", "trusted.overlay.origin"];
    let names = names.map(|name| String::from_utf8_lossy(name)).filter(|name| !own.contains(&&**name));
    names.map(|name| format!(" +{name}")).collect()
}

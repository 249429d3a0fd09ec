//! The packages of an image, by the databases of its package managers.
//!
//! dpkg: `var/lib/dpkg/status`, and `status.d/*` where there is no dpkg (distroless); apk: `lib/apk/db/installed`; rpm: a SQLite
//! database since 2020 ([`super::rpm`]), before that one of Berkeley's or its own, which are told and not read.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Dir, Mode, OFlags, ResolveFlags, openat2};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// Larger databases are taken for an attack, bytes.
const LARGEST: u64 = 256 << 20;

/// Names with their versions.
pub(super) type Packages = BTreeMap<String, String>;

/// Where rpm's database is.
const RPM: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];

/// Adds what is installed in a tree; what could not be read.
pub(super) fn of(root: BorrowedFd<'_>, packages: &mut Packages) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(text) = text(root, "var/lib/dpkg/status") {
        debian(&text, packages);
    }
    for name in names(root, "var/lib/dpkg/status.d") {
        if let Some(text) = text(root, &format!("var/lib/dpkg/status.d/{name}")) {
            debian(&text, packages);
        }
    }
    for path in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
        if let Some(text) = text(root, path) {
            alpine(&text, packages);
        }
    }
    for dir in RPM {
        if let Some(bytes) = read(root, &format!("{dir}/rpmdb.sqlite")) {
            match super::rpm::packages(&bytes) {
                Some(found) => packages.extend(found),
                None => {
                    notes.push(format!("`{dir}/rpmdb.sqlite` is not read: it is damaged, or has a journal"))
                }
            }
        }
        for old in ["Packages", "Packages.db"] {
            if read(root, &format!("{dir}/{old}")).is_some() {
                notes.push(format!("`{dir}/{old}` is not read: a database of rpm before 4.16"));
            }
        }
    }
    notes
}

/// deb822(5), of what is installed.
fn debian(text: &str, packages: &mut Packages) {
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            let line = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim)
        };
        let is_installed = field("Status").is_none_or(|status| status.ends_with(" installed"));
        if let (Some(name), Some(version), true) = (field("Package"), field("Version"), is_installed) {
            packages
                .insert(format!("deb {name}{}", of_architecture(field("Architecture"))), version.to_owned());
        }
    }
}

/// Several architectures of one package may be there.
fn of_architecture(architecture: Option<&str>) -> String {
    architecture.filter(|name| *name != "all").map_or_else(String::new, |name| format!(":{name}"))
}

/// apk-package(5), `installed`.
fn alpine(text: &str, packages: &mut Packages) {
    for paragraph in text.split("\n\n") {
        let field = |mark: &str| paragraph.lines().find_map(|line| line.strip_prefix(mark));
        if let (Some(name), Some(version)) = (field("P:"), field("V:")) {
            packages.insert(format!("apk {name}"), version.to_owned());
        }
    }
}

fn text(root: BorrowedFd<'_>, path: &str) -> Option<String> {
    read(root, path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// A file of the tree, whatever links lead to it inside.
fn read(root: BorrowedFd<'_>, path: &str) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
        .ok()?;
    let file = File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn names(root: BorrowedFd<'_>, path: &str) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS);
    let Ok(entries) = dir.and_then(|dir| Dir::read_from(dir.as_fd())) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    // `name.md5sums` says nothing of versions.
    let mut names: Vec<_> =
        names.filter(|name| !name.starts_with('.') && !name.ends_with(".md5sums")).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_read() {
        let mut packages = Packages::new();
        debian(
            "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1-2\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 3\n",
            &mut packages,
        );
        debian("Package: c\nVersion: 4\nArchitecture: all\n", &mut packages);
        alpine("C:Q1x=\nP:musl\nV:1.2.5-r0\n\nP:busybox\nV:1.36\n", &mut packages);
        let all: Vec<_> = packages.iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(all, ["apk busybox 1.36", "apk musl 1.2.5-r0", "deb a:amd64 1-2", "deb c 4"]);
    }
}

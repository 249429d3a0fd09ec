//! The file system on which everything is kept.

use super::{Finding, STORE, Verdict};
use crate::system::file_system;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    CWD, Dir, FileType, Mode, OFlags, StatVfsMountFlags, XattrFlags, fsetxattr, openat, statvfs,
};
use std::path::Path;

/// What a file system tells of its room.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Bytes: all, and those that are free.
    bytes: (u64, u64),
    /// Inodes: likewise; none where there is no fixed number.
    inodes: (u64, u64),
}

pub(super) fn all(store: &Path) -> Vec<Finding> {
    let kind = file_system(store);
    let there = store.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let mut all = vec![kept(&kind, store)];
    let Ok(stat) = statvfs(there) else { return all };
    let room = Room {
        bytes: (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize),
        inodes: (stat.f_files, stat.f_favail),
    };
    all.extend([bytes(room), inodes(room)]);
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        let told = Finding::ok(STORE, "access", "read-only");
        all.push(told.but(
            Verdict::No,
            "nothing can be kept",
            format!("mount -o remount,rw {}", there.display()),
        ));
    } else if let Ok(place) =
        openat(CWD, there, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    {
        all.extend([attributes(&place), types(&place)]);
    }
    all
}

const ELSEWHERE: &str = "keep everything on ext4, xfs or btrfs: hull --root DIR, or HULL_ROOT=DIR";

fn kept(kind: &str, store: &Path) -> Finding {
    let told = Finding::ok(STORE, "file system", format!("{kind}, {}", store.display()));
    match kind {
        "tmpfs" => {
            told.but(Verdict::Warn, "images and containers take memory, and go with a reboot", ELSEWHERE)
        }
        _ => told,
    }
}

fn percent((all, free): (u64, u64)) -> u64 {
    (u128::from(free) * 100).checked_div(u128::from(all)).map_or(100, |percent| percent as u64)
}

const PRUNE: &str = "hull system prune -a";

fn bytes(room: Room) -> Finding {
    let free = room.bytes.1;
    let told =
        Finding::ok(STORE, "room", format!("{:.1} GB free, {} %", free as f64 / 1e9, percent(room.bytes)));
    match (free, percent(room.bytes)) {
        (..100_000_000, _) => {
            told.but(Verdict::No, "images cannot be loaded, and containers cannot write", PRUNE)
        }
        (..2_000_000_000, _) | (_, ..5) => told.but(Verdict::Warn, "there is little room for images", PRUNE),
        _ => told,
    }
}

fn inodes(room: Room) -> Finding {
    let (all, free) = room.inodes;
    let is =
        if all == 0 { "as many as fit".into() } else { format!("{free} free, {} %", percent(room.inodes)) };
    let told = Finding::ok(STORE, "inodes", is);
    match percent(room.inodes) {
        ..2 => told.but(Verdict::No, "images cannot be loaded: they have many files", PRUNE),
        2..10 => told.but(Verdict::Warn, "images have many files", PRUNE),
        _ => told,
    }
}

/// Overlay keeps what was removed, and file capabilities are kept, in attributes; tried on a file without a name.
fn attributes(place: &OwnedFd) -> Finding {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(place, ".", flags, Mode::from_raw_mode(0o600));
    let set = |name: &str| {
        file.as_ref().is_ok_and(|file| fsetxattr(file.as_fd(), name, b"y", XattrFlags::empty()).is_ok())
    };
    let told = |is: &str| Finding::ok(STORE, "attributes", is);
    match set("trusted.overlay.hull") {
        true => told("files keep extended attributes"),
        false => told("files keep no extended attributes of overlay's").but(
            Verdict::No,
            "what a container removes of its image comes back",
            ELSEWHERE,
        ),
    }
}

/// Overlay must know what an entry is without a look at it, see overlayfs.rst.
fn types(place: &OwnedFd) -> Finding {
    let entries = Dir::read_from(place).into_iter().flatten().flatten();
    let unknown = entries.filter(|entry| entry.file_type() == FileType::Unknown).count();
    let told = |is: &str| Finding::ok(STORE, "d_type", is);
    match unknown {
        0 => told("entries tell what they are"),
        _ => told("entries do not tell what they are").but(
            Verdict::No,
            "overlay shows what was removed",
            "mkfs.xfs -n ftype=1, or another file system",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_scarce_by_bytes_and_by_share() {
        let verdict = |all, free| bytes(Room { bytes: (all, free), inodes: (0, 0) }).verdict;
        let giga = 1_000_000_000;
        assert_eq!(verdict(100 * giga, 50 * giga), Verdict::Ok);
        assert_eq!(verdict(100 * giga, 4 * giga), Verdict::Warn);
        assert_eq!(verdict(10 * giga, giga), Verdict::Warn);
        assert_eq!(verdict(10 * giga, 50_000_000), Verdict::No);
    }

    #[test]
    fn a_file_system_without_a_number_of_inodes_has_enough() {
        let verdict = |all, free| inodes(Room { bytes: (0, 0), inodes: (all, free) }).verdict;
        assert_eq!((verdict(0, 0), verdict(100, 50)), (Verdict::Ok, Verdict::Ok));
        assert_eq!((verdict(100, 5), verdict(100, 1)), (Verdict::Warn, Verdict::No));
    }

    #[test]
    fn memory_is_no_place_to_keep_things() {
        assert_eq!(kept("tmpfs", Path::new("/x")).verdict, Verdict::Warn);
        assert_eq!(kept("ext4", Path::new("/x")).verdict, Verdict::Ok);
    }
}

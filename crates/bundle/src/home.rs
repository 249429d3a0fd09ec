//! Where a user's home is, as the container's own `/etc/passwd` has it.

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::path::Path;

/// Longer ones are no `/etc/passwd` of anybody's.
const MOST: u64 = 1 << 20;

/// A container's root, from outside.
pub(crate) fn open(path: &Path) -> Option<OwnedFd> {
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// The home of a user id; `/` where nobody knows.
pub(crate) fn of(root: Option<&OwnedFd>, uid: u32) -> String {
    root.and_then(passwd).and_then(|text| find(&text, uid)).unwrap_or_else(|| "/".into())
}

fn passwd(root: &OwnedFd) -> Option<String> {
    let bytes = sys::file::read_below(root, "etc/passwd", MOST).ok()??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn find(text: &str, uid: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        match fields.as_slice() {
            [_, _, id, _, _, home, ..] if id.parse() == Ok(uid) && !home.is_empty() => {
                Some((*home).to_owned())
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_home_is_found_by_id() {
        let text = "bad line\nroot:x:0:0:root:/root:/bin/sh\nx:x:7:7::/home/x:/bin/sh\ny:x:8:8:::\n";
        assert_eq!(find(text, 0).as_deref(), Some("/root"));
        assert_eq!(find(text, 7).as_deref(), Some("/home/x"));
        assert_eq!(find(text, 8), None);
        assert_eq!(find(text, 9), None);
    }
}

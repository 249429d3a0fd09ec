//! What no archive may reach, by name, link or inode.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use testkit::archive::CANARY;

/// What is seen of the canary's files.
type Seen = Vec<(String, u32, u32, u64, i64, i64, Vec<u8>)>;

/// A directory with files that are looked at before and after.
pub(crate) struct Canary(Seen);

impl Canary {
    /// Made once, for all tests.
    pub(crate) fn new() -> Self {
        let dir = Path::new(CANARY);
        if !dir.join("victim").exists() {
            let draft = dir.with_extension(std::process::id().to_string());
            std::fs::create_dir_all(draft.join("inner")).unwrap();
            std::fs::write(draft.join("victim"), "safe").unwrap();
            std::fs::write(draft.join("inner/victim"), "safe").unwrap();
            if std::fs::rename(&draft, dir).is_err() {
                std::fs::remove_dir_all(&draft).unwrap();
            }
        }
        Self(seen())
    }

    /// Nothing about it is otherwise.
    pub(crate) fn assert_untouched(&self, what: &str) {
        assert_eq!(seen(), self.0, "{what}");
    }
}

fn seen() -> Seen {
    ["", "victim", "inner", "inner/victim"].map(look).into()
}

fn look(name: &str) -> (String, u32, u32, u64, i64, i64, Vec<u8>) {
    let path = Path::new(CANARY).join(name);
    let status = std::fs::symlink_metadata(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap_or_default();
    (name.into(), status.mode(), status.uid(), status.nlink(), status.mtime(), status.ctime(), bytes)
}

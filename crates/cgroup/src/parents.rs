//! Groups on the way to a container's group.
//!
//! Those that were there belong to somebody, empty or not. Those that [`Host::create`] made carry a mark, so that
//! whoever removes the last container below can tell, after a crash as well.

use crate::place::{Place, plain};
use crate::{Host, Result, files};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use std::path::{Path, PathBuf};

/// kernfs keeps trusted attributes in every hierarchy, v1's too.
const MARK: &str = "trusted.hull.made";

/// Marks a group that was made for what is below it. Without the mark it merely stays.
pub(crate) fn mark(group: &Path) {
    let _ = setxattr(group, MARK, b"1", XattrFlags::empty());
}

fn is_marked(group: &Path) -> bool {
    getxattr(group, MARK, &mut [0u8; 1]).is_ok_and(|length| length == 1)
}

impl Host {
    /// Removes the group `path` and those above it, in every hierarchy, as far as [`Host::create`] made them on the
    /// way to a container's and nothing is left in them.
    pub fn remove_made(&self, path: &Path) -> Result<()> {
        plain(path)?;
        let place = Place::of(path)?;
        for hierarchy in self.hierarchies() {
            remove_up(place.old(&hierarchy.name, &hierarchy.path), &hierarchy.path);
        }
        if let Some(root) = self.tree() {
            remove_up(place.tree(&root), &root);
        }
        Ok(())
    }
}

fn remove_up(mut group: PathBuf, root: &Path) {
    while group != root && is_marked(&group) && files::remove_dir(&group).is_ok() && group.pop() {}
}

//! What reads the kernel's files, for the target `kernel` of `fuzz/`.

use crate::{files, own, stats};
use std::path::PathBuf;

/// Each reader, with any text.
pub fn read(text: &str) {
    let _ = (own::parse(text), files::parse(text));
    stats::fuzz(text);
}

/// The path in the cgroup2 tree that a `/proc/PID/cgroup` tells.
pub fn tree(text: &str) -> Option<PathBuf> {
    own::path_of(&own::parse(text), None).map(Into::into)
}

//! Sizes in bytes.

use super::{Kind, Result};

/// See [`oci::size::parse`].
pub fn size(text: &str) -> Result<u64> {
    oci::size::parse(text).map_err(|error| error.map_kind(|_| Kind::Invalid))
}

/// A number of bytes, or -1 for no limit (`--memory-swap`).
pub fn size_or_unlimited(text: &str) -> Result<i64> {
    oci::size::parse_or_unlimited(text).map_err(|error| error.map_kind(|_| Kind::Invalid))
}

//! Journeys over images: in, listed, named, out.
//!
//! ```text
//! tar stream ──ingest──▶ layer in the store ─┐
//! archive ──load──▶ layers, config, names ───┤
//! registry ──pull──▶ layers, config, names ──┼──▶ store::put_image: one commit, then it is there
//! changes, message ──import──▶ config ───────┤
//! container ──commit──▶ one more layer ──────┘
//!
//! layer in the store ──remake──▶ its tar, byte for byte ──save──▶ archive
//!                                              └─compress, push──▶ registry
//! ```
//!
//! Nothing of an image is visible before all of it is verified and flushed. What a failure or a kill leaves are
//! layers that no image names, and the next collection takes them.

mod archive;
mod commit;
mod compare;
mod import;
mod intake;
pub(crate) mod list;
mod lists;
mod load;
mod mount;
mod packages;
mod place;
mod pull;
mod push;
mod remake;
mod rpm;
mod save;
mod seam;
mod source;
mod transfer;
mod tree;
mod view;

pub use commit::Commit;
pub use compare::{Difference, FileDifference, ValueDifference};
pub use import::Import;
pub use layer::Target;
pub use list::{Filter, Row};
pub use lists::Annotate;
pub use load::{Load, Loaded};
pub use mount::Mounted;
pub use place::Place;
pub use pull::{Progress, Pull, Pulled, Silent, Step, from_registry};
pub use push::{Push, Pushed};
pub use save::{Form, Save};
pub use source::Source;
pub use transfer::Copy;
pub use tree::{Costs, LayerCost};
pub use view::{HistoryRow, inspect};

use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use fault::Context;
use oci::{Digest, Platform};
use runtime::Overlay;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, openat};
use sha2::{Digest as _, Sha256};
use std::io::Write;
use store::Image;

/// An image's files as one tree, to be looked at; gone when closed.
fn mount_view(engine: &Engine, image: &Image) -> Result<OwnedFd> {
    let whole = engine.layers_of(&image.record.layers)?;
    let count = image.record.layers.len();
    // A lone layer, and an image of none, have the empty skeleton below them: not seen by who compares two of the same.
    let lower = whole.lower.iter().take(count.max(1)).cloned().collect();
    let view = Overlay { lower, ..whole }.view().map_err(from_runtime)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(&view, ".", flags, Mode::empty())
        .or_err(Kind::Failed, || format!("look at image `{}`", image.id()))
}

impl Engine {
    /// Does an image run on a platform?
    pub(crate) fn check_platform(&self, image: &Image, wanted: &Platform, name: &str) -> Result<()> {
        let has = image.config().map_err(from_store)?.platform();
        match wanted.matches(&has) {
            true => Ok(()),
            false => Err(Error::new(
                Kind::NotFound,
                format!(
                    "image with reference {name} was found but its platform ({has}) does not match the specified platform ({wanted})"
                ),
            )),
        }
    }
}

/// Its kind here.
pub(crate) fn kind_of_layer(kind: &layer::Kind) -> Kind {
    match kind {
        layer::Kind::Corrupt | layer::Kind::Truncated => Kind::Corrupt,
        layer::Kind::Limit => Kind::Limit,
        layer::Kind::Memory => Kind::Memory,
        layer::Kind::NoSpace => Kind::NoSpace,
        layer::Kind::Unsupported => Kind::Unsupported,
        _ => Kind::Failed,
    }
}

/// Takes a layer's error over under the words of what was done with it.
pub(crate) fn from_layer(error: layer::Error, what: String) -> Error {
    with_space_hint(Error::new(kind_of_layer(error.kind()), what).caused_by(error))
}

pub(crate) fn from_io(error: std::io::Error, what: String) -> Error {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    let kind = match error.kind() {
        _ if full => Kind::NoSpace,
        std::io::ErrorKind::NotFound => Kind::NotFound,
        std::io::ErrorKind::PermissionDenied => Kind::Permission,
        std::io::ErrorKind::UnexpectedEof => Kind::Corrupt,
        _ => Kind::Failed,
    };
    with_space_hint(Error::new(kind, what).caused_by(error))
}

fn with_space_hint(error: Error) -> Error {
    match error.kind() {
        Kind::NoSpace => {
            error.with_hint("`hull system prune` removes what nothing uses; `hull system df` tells what does")
        }
        _ => error,
    }
}

/// The sha256 of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

/// A sum of what is written to it, and a count.
#[derive(Default)]
pub(crate) struct Sum {
    hash: Sha256,
    length: u64,
}

impl Sum {
    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest::from_sha256(self.hash.finalize().into()), self.length)
    }
}

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

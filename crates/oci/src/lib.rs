//! Plain data of the OCI specifications and of docker's image formats. No I/O.
//!
//! What a stranger wrote (a name, a digest, a manifest, a configuration) is parsed here once, into
//! types that can only hold valid values; everything above works with those. It is not a registry
//! client, knows no store and opens no file: bytes come in, values go out.
//!
//! ```text
//! Reference ──names──▶ Index ──by Platform──▶ Manifest ──┬─▶ Descriptor of the config ─▶ ImageConfig
//!   (docker.io/library/debian:12)                        └─▶ Descriptors of the layers
//!
//! ImageConfig ┬ architecture, os, variant                  ImageId = sha256 of its bytes
//!             ├ config   what a container starts with ◀──── Changes (`--change`)
//!             ├ rootfs   [DiffId]  sha256 of each plain tar, lowest layer first
//!             └ history
//!
//! docker save:  manifest.json [ArchiveImage], repositories, <id>/json (v1)
//! OCI layout:   oci-layout (Layout), index.json (Index), blobs/sha256/<hex>
//! runtime:      config.json ──spec::read──▶ the runtime-spec `Spec`, whose types are the oci-spec crate's
//! ```
//!
//! Invariants: a [`Digest`] is lower-case hex of its algorithm's length, so it is safe as a file
//! name; a [`Reference`] always has a domain and is docker's normal form; parsing a document that
//! was read and writing it again loses no member hull does not know; nothing here panics on input.

pub mod archive;
pub mod change;
mod config;
mod digest;
pub mod duration;
mod json;
mod manifest;
pub mod media;
mod platform;
mod reference;
pub mod signal;
pub mod size;
pub mod spec;

pub use change::Changes;
pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use digest::{Algorithm, DiffId, Digest, ImageId};
pub use manifest::{Descriptor, Document, Index, Layout, Manifest};
pub use platform::Platform;
pub use reference::Reference;

/// Types of the runtime specification, from the oci-spec crate.
pub mod runtime {
    pub use oci_spec::runtime::*;
}

/// What was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text that is no digest, or one of an algorithm hull does not know.
    Digest,
    /// Text that is no image reference.
    Reference,
    /// Text that is no platform.
    Platform,
    /// Bytes that are not the JSON document they should be.
    Document,
    /// An instruction of `--change`.
    Change,
    /// Text that is no signal.
    Signal,
    /// Text that is no number of bytes.
    Size,
    /// Text that is no duration.
    Duration,
    /// A document of the runtime specification.
    Spec,
}

/// An error of this crate.
pub type Error = fault::Error<Kind>;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

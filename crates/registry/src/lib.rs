//! The distribution client: names become manifests and layers' bytes, and back.
//!
//! Everything of the distribution specification 1.1 that an engine needs, and docker's way to log in. Blocking; whoever
//! wants several transfers at once has threads. It knows no store and no container, prints nothing and reads no
//! environment: what the user has set comes in as [`Settings`], [`Trust`], [`Proxies`] and [`Credentials`].
//!
//! ```text
//! Client ──repository(Reference)──▶ Repository ──manifest(tag | digest)──▶ Fetched (verified)
//!   │ Settings: which endpoints,        │       ──blob(Descriptor, from)──▶ BlobReader (verified, goes on after a cut)
//!   │ mirrors first                     │       ──push_blob, push_manifest, mount, delete, tags, referrers
//!   ▼                                   ▼
//! Site  one per endpoint: what it asked for at `/v2/`, tokens per scope
//!   ▼
//! Http  one request: time limits, back-off, Retry-After, redirects
//!   ▼
//! ureq + rustls, names by `dns` (a static binary must not load another libc's NSS)
//! ```
//!
//! Invariants: bytes that are handed out as of a digest have it, or the reader ends with an error; what a registry
//! sends is bounded (documents [`DOCUMENT_MAX`] bytes, pages, redirects, tries, silence); credentials go to
//! the endpoint they are for and its token service, never to where it redirects.

mod answer;
mod blob;
mod challenge;
mod client;
mod config;
mod credential;
mod dns;
mod error;
mod http;
mod proxy;
mod referrers;
mod repository;
mod settings;
mod site;
mod token;
mod trust;
mod upload;

pub use blob::BlobReader;
pub use client::{Client, Found, Setup};
pub use config::ConfigFiles;
pub use credential::{Credentials, Login, NoCredentials, server_of};
pub use error::{Error, Kind, Result};
pub use http::Patience;
pub use proxy::Proxies;
pub use repository::{DOCUMENT_MAX, Fetched, Repository};
pub use settings::{Endpoint, Settings};
pub use trust::Trust;
pub use upload::{BlobSource, Pushed};

//! Blobs, layers, images, containers: what is kept on disk.
//!
//! The store is a directory of small files and knows nothing else: no processes beyond the locks
//! they hold and the numbers they leave, no mounts, no network, no tar. Whoever opens it sees
//! either the whole of a thing or nothing of it, whatever happened to the processes before.
//!
//! ```text
//! <root>/                        /var/lib/hull, or --root
//! ├── lock                       `hull store 1`: the format. flock: shared to use, exclusive to collect
//! ├── config.json                Config, the user's: {"blobs": "drop" | "keep", "decoder_memory": BYTES}
//! ├── blobs/sha256/HEX           manifests and indexes as they came; layer blobs, where the policy keeps them
//! ├── layers/HEX/                by DiffId, never by chain: any image may share any layer
//! │   ├── fs/                    the files, owned by the plain ids of the tar
//! │   ├── sent.json              blobs it was pushed as
//! │   ├── recipe                 how its tar is made again, see layer::remake
//! │   └── meta.json              LayerMeta: sizes, digests it came as, the boot it was written in
//! ├── images/HEX.json            ImageRecord with the config verbatim; HEX = sha256 of that config
//! ├── refs/NAME                  Tag {name, image, tagged}; `/` is written `%`, long names are hashed
//! ├── containers/KEY/            KEY = the first 32 digits of the container's id
//! │   ├── container.json         Record, written before the directory appears; changed as a whole
//! │   ├── exit.json              Exit, once it has ended (kept containers only)
//! │   ├── begun  stopped         of those with a restart policy: when its last life began; it was ended by hand
//! │   ├── upper/  work/          of its overlay
//! │   └── hostname hosts resolv.conf
//! ├── names/NAME → ../containers/KEY
//! ├── skeleton/                  lowest layer of every container: empty mount points
//! ├── events, events.1            what happened: lines of JSON, appended by anybody, see `journal`
//! ├── spare/0 … spare/3          directories of removed containers, clean, to be used again
//! ├── manifests/NAME             ManifestList, until it is pushed
//! ├── partial/                   what is arriving, see `partial`
//! ├── tmp/                       drafts; all of it is garbage when nobody shares `lock`
//! └── trash/                     garbage, whatever it is
//! <run>/                         /run/hull, or <root>/run
//! └── slots/N                    a running container: Running. N is its range of ids; flock: its owner lives.
//!                                Empty: one more range of a container that has another slot
//! ```
//!
//! # How things appear and vanish
//!
//! ```text
//! layer      tmp/X ──rename──▶ layers/HEX                       garbage until an image names it
//! image      syncfs; tmp/X ──rename──▶ images/HEX.json          this is the commit; refs follow
//! container  names/NAME; spare/N or tmp/KEY ──rename──▶ containers/KEY
//! change     containers/KEY/container.json, by one rename, see `amend`
//! removal    containers/KEY ──rename──▶ spare/N or trash/X; then names/NAME
//! ```
//!
//! # Locks
//!
//! All are flock(2), so they end with their holder, however it ends.
//!
//! | lock | shared | exclusive |
//! |---|---|---|
//! | `lock` | [`Shared`]: from looking something up until a record refers to it | collecting: nobody is in between |
//! | `containers/KEY` | – | [`Held`]: its creator, its monitor, or who removes it |
//! | `refs/` | an image is given names | it is decided whether an image without names goes |
//! | `names/` | a name and its container are being made or removed | replacing a name that leads nowhere; changing a record |
//! | `slots/` | a slot is between its creation and its lock | looking for slots of dead owners |
//! | `partial/HEX` | – | [`Arrival`]: who fetches the blob |
//! | `slots/N` | a glance: does the owner live? | [`Slot`]: the owner |
//!
//! Order, where several are held: `lock`, `partial/HEX`, `refs/`, `slots/`, `slots/N`, `containers/KEY`, `names/`; against
//! it only without waiting.
//!
//! # Invariants
//!
//! - Nothing visible is partial: every record is complete before the rename that shows it.
//! - An image's layers exist as long as its record does, or a container's made from it.
//! - A layer that no image names is trusted only within the boot that wrote it: before an image is
//!   committed everything is flushed, before that nothing is.
//! - The path of a run reads and writes a fixed number of small files, however much there is.
//! - Nothing above may assume that a layer is a directory: [`LayerHandle`] says what it is.
//! - A symbolic link stays below 60 bytes, or ext4 gives it a block, and takes it back slowly.

mod amend;
mod blob;
mod check;
mod collect;
mod container;
mod disk;
mod error;
mod id;
mod image;
mod journal;
mod layer;
mod list;
mod manifests;
mod names;
mod notice;
mod partial;
mod recycle;
mod refs;
mod remove;
mod root;
mod slot;
mod trash;
mod usage;
mod words;

pub use amend::{Change, Drafted};
pub use blob::BlobDraft;
pub use check::Finding;
pub use collect::Collected;
pub use container::{Container, EtcFiles, Exit, Held, NewContainer, Record};
pub use error::{Error, Kind, Result};
pub use id::{ContainerId, Name};
pub use image::{Image, ImageRecord, NewImage};
pub use journal::Journal;
pub use layer::{Layer, LayerDraft, LayerHandle, LayerMeta, LayerSource};
pub use list::{State, Summary};
pub use manifests::ManifestList;
pub use partial::Arrival;
pub use refs::Tag;
pub use remove::{ImageRemoval, Removed, RemovedImage};
pub use root::{BlobPolicy, Config, Shared, Store};
pub use slot::{Abandoned, BLOCKS, DeadSlot, IdRange, Pool, Running, Slot};
pub use usage::{BlobUsage, ContainerUsage, ImageUsage, LayerUsage, Usage};

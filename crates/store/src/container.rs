//! Containers: made complete, shown by one rename, held by a lock on their directory.

use crate::disk::{self, Sys};
use crate::error::{At, Error, Kind, Result, absent};
use crate::id::{ContainerId, Name};
use crate::root::{Shared, Store};
use jiff::Timestamp;
use oci::{DiffId, ImageId};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, fsync};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Deref;

/// What a container is: written before it appears, and changed by [`Store::amend`] only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: Name,
    /// The image it was made from.
    pub image: ImageId,
    /// That image as the user wrote it.
    pub image_name: String,
    /// The image's layers, lowest first. They stay as long as the container does, even when the
    /// image goes.
    pub layers: Vec<DiffId>,
    /// The image's blocks of ids, see [`crate::LayerMeta::blocks`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<u16>,
    /// When it was made.
    pub created: Timestamp,
    /// The boot it was made in; filled by [`Store::create`].
    #[serde(default)]
    pub boot: String,
    /// What it runs: entry point and arguments.
    pub command: Vec<String>,
    /// Its labels, the image's included.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `--rm`: it goes when it ends, so nothing of it is flushed.
    #[serde(default)]
    pub remove: bool,
    /// Its runtime-spec configuration, as it was first made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Box<RawValue>>,
    /// What it is made from at each start: the engine's request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<RawValue>>,
    /// and the image's configuration, for the image may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Box<RawValue>>,
    /// Whatever else the engine shows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<RawValue>>,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, 128 + n for signal n.
    pub code: i32,
    /// Whether the kernel killed it for lack of memory.
    pub oom: bool,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Timestamp,
    /// Why it did not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often its policy had it started again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The bytes of the three files in its /etc that are the host's to write.
#[derive(Debug, Clone, Default)]
pub struct EtcFiles {
    /// /etc/hostname
    pub hostname: Vec<u8>,
    /// /etc/hosts
    pub hosts: Vec<u8>,
    /// /etc/resolv.conf
    pub resolv_conf: Vec<u8>,
}

/// What a container is made from.
#[derive(Debug, Clone)]
pub struct NewContainer {
    /// What it will be.
    pub record: Record,
    /// Take another random name where the record's is taken.
    pub any_name: bool,
    /// Files of its /etc.
    pub etc: EtcFiles,
}

/// A container, seen. It may be removed by another process at any moment.
#[derive(Debug)]
pub struct Container {
    /// What it is.
    pub record: Record,
    pub(crate) dir: OwnedFd,
    pub(crate) key: String,
}

/// A container held: as long as this, or a forked process's copy of it, lives, nobody else starts or
/// removes it.
#[derive(Debug)]
pub struct Held(pub(crate) Container);

impl Deref for Held {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.0
    }
}

impl Container {
    /// Its directory: `upper`, `work`, `hostname`, `hosts`, `resolv.conf`, and what the engine adds.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Its directory, relative to [`Store::root`].
    pub fn path(&self) -> String {
        dir_of(&self.key)
    }

    /// The directory that the container of an id has or will have, relative to [`Store::root`].
    pub fn path_of(id: &ContainerId) -> String {
        dir_of(&id.key())
    }

    /// How it ended, if it has; a container that was started again has an old one until it ends.
    pub fn exit(&self) -> Result<Option<Exit>> {
        disk::read_record(&self.dir, "exit.json")
    }

    /// Was it ended by hand? Kept over the host's end.
    pub fn is_stopped(&self) -> Result<bool> {
        match rustix::fs::statat(&self.dir, STOPPED, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno).at(|| format!("look at container `{}`", self.record.name)),
        }
    }

    /// Says that it was, or forgets it.
    pub fn set_stopped(&self, stopped: bool) -> Result<()> {
        let what = || format!("note that container `{}` is stopped", self.record.name);
        match stopped {
            true => disk::overwrite(self.dir.as_fd(), STOPPED, b"", false).at(what)?,
            false if !self.is_stopped()? => return Ok(()),
            false => disk::unlink(&self.dir, STOPPED).at(what)?,
        }
        fsync(&self.dir).at(what)
    }

    /// When the last of its lives began that a restart policy was to keep up.
    pub fn begun(&self) -> Result<Option<Timestamp>> {
        disk::read_record(&self.dir, BEGUN)
    }

    /// Says that one began, flushed: kept over the host's end.
    pub fn set_begun(&self, moment: Timestamp) -> Result<()> {
        let what = || format!("note that container `{}` has begun", self.record.name);
        disk::overwrite(self.dir.as_fd(), BEGUN, &disk::to_json(&moment)?, true).at(what)?;
        fsync(&self.dir).at(what)
    }

    /// Holds it; an error of kind `InUse` where another process does. Only who holds a directory
    /// moves it: one that is held and still has its name among the containers stays what it is.
    pub fn hold(self) -> Result<Held> {
        let name = &self.record.name;
        let what = || format!("hold container `{name}`");
        if !disk::try_lock(&self.dir, FlockOperation::NonBlockingLockExclusive).at(what)? {
            return Err(Error::new(Kind::InUse, format!("container `{name}` is running or being changed")));
        }
        // Recycled or removed, it has another parent, or no longer this name there.
        if !disk::is_at(&self.dir, &self.dir, &format!("../{}", self.key)).at(what)? {
            return Err(absent(format!("no such container: {}", self.record.id)));
        }
        Ok(Held(self))
    }
}

impl Held {
    /// Forgets of its record what is long, and can be read again ([`Store::record_now`]).
    pub fn lighten(&mut self) {
        let record = &mut self.0.record;
        (record.spec, record.request, record.details) = (None, None, None);
    }

    /// Writes the files of its /etc anew, for another start.
    pub fn refresh(&self, etc: &EtcFiles) -> Result<()> {
        let all = [("hostname", &etc.hostname), ("hosts", &etc.hosts), ("resolv.conf", &etc.resolv_conf)];
        all.into_iter().try_for_each(|(name, bytes)| {
            disk::overwrite(self.dir.as_fd(), name, bytes, false)
                .at(|| format!("write `{name}` of a container"))
        })
    }

    /// Records how it ended. For a container that is kept, flushed; the record of one that is removed
    /// at its end is nobody's to read.
    pub fn record_exit(&self, exit: &Exit) -> Result<()> {
        let what = || format!("record the exit of container `{}`", self.record.name);
        let durable = !self.record.remove;
        disk::unlink(&self.dir, "exit.json.new").at(what)?;
        disk::write_new(&self.dir, "exit.json.new", &disk::to_json(exit)?, durable).at(what)?;
        sys::step!("store.exit.write");
        rustix::fs::renameat(&self.dir, "exit.json.new", &self.dir, "exit.json").at(what)?;
        sys::step!("store.exit.rename");
        if durable { fsync(&self.dir).at(what) } else { Ok(()) }
    }
}

impl Store {
    /// Makes a container. It is complete when it appears, and held.
    pub fn create(&self, _shared: &Shared, new: NewContainer) -> Result<Held> {
        let NewContainer { mut record, any_name, etc } = new;
        let key = record.id.key();
        record.boot = self.boot_id()?;
        let name = loop {
            match self.take_name(&record.name, &key) {
                Err(error) if any_name && *error.kind() == Kind::NameTaken => record.name = Name::random()?,
                other => break other?,
            }
        };
        let fresh = self.fresh_dir(&key)?;
        let what = || format!("create container `{}`", record.name);
        fill(fresh.dir(), &record, &etc)?;
        disk::move_new(self.root(), fresh.path(), self.root(), &dir_of(&key)).at(what)?;
        sys::step!("store.container.rename");
        let dir = fresh.keep();
        name.keep();
        if !record.remove {
            disk::sync_dir(self.root(), "containers")
                .and_then(|()| disk::sync_dir(self.root(), "names"))
                .at(what)?;
        }
        Ok(Held(Container { record, dir, key }))
    }

    /// The container of this key, or `None`; corrupt where its directory has no readable record of its own.
    pub(crate) fn container_of_key(&self, key: &str) -> Result<Option<Container>> {
        let dir = match disk::open_dir(self.root(), &dir_of(key)) {
            Err(Errno::NOENT) => return Ok(None),
            Err(errno @ (Errno::NOTDIR | Errno::LOOP)) => {
                let error = Error::new(Kind::Corrupt, format!("`{}` is no directory", dir_of(key)));
                return Err(error.caused_by(std::io::Error::from(errno)));
            }
            other => other.at(|| format!("open container `{key}`"))?,
        };
        let path = format!("{}/container.json", dir_of(key));
        let record: Result<Option<Record>> = disk::read_record(&dir, "container.json");
        let record = match record {
            Ok(Some(record)) if record.id.key() == key => record,
            Err(error) if *error.kind() != Kind::Corrupt => return Err(error),
            // A directory that is recycled in between holds another's record, or half of one.
            _ if !disk::is_at(&dir, self.root(), &dir_of(key)).at(|| format!("look at `{path}`"))? => {
                return Ok(None);
            }
            Err(error) => return Err(error),
            Ok(None) => return Err(Error::new(Kind::Corrupt, format!("`{path}` is missing"))),
            Ok(Some(record)) => {
                let what = format!("`{path}` is the record of container `{}`", record.id);
                return Err(Error::new(Kind::Corrupt, what));
            }
        };
        Ok(Some(Container { record, dir, key: key.into() }))
    }
}

/// The name of an empty file: the container was ended by hand.
const STOPPED: &str = "stopped";

/// The name of a file with a time.
const BEGUN: &str = "begun";

/// Writes everything a container's directory needs but `upper` and `work`.
fn fill(dir: BorrowedFd<'_>, record: &Record, etc: &EtcFiles) -> Result<()> {
    let durable = !record.remove;
    let record = disk::to_json(record)?;
    let write = |name: &str, bytes: &[u8]| -> Sys<()> { disk::overwrite(dir, name, bytes, durable) };
    let all = [("hostname", &etc.hostname), ("hosts", &etc.hosts), ("resolv.conf", &etc.resolv_conf)];
    for (name, bytes) in all.into_iter().chain([("container.json", &record)]) {
        write(name, bytes).at(|| format!("write `{name}` of a container"))?;
        sys::step!("store.container.fill");
    }
    if durable { fsync(dir).at(|| "flush a container".into()) } else { Ok(()) }
}

/// A container's directory, relative to the root.
pub(crate) fn dir_of(key: &str) -> String {
    format!("containers/{key}")
}

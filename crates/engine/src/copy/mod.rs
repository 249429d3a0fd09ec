//! docker's `cp` and `export`: files into containers and out of them.
//!
//! ```text
//! host  ── Source ─▶ Walk ─▶ Tree ─▶ Plant ─▶ Target   container      copy_in
//! container ────────▶ Walk ─▶ Tree ─▶ Plant ─▶ ──────  host           copy_out
//! container ────────▶ Walk ─▶ Tar                                     copy_out_stream, export
//!                     Reader ─▶ Unpack ─▶ Plant ─────▶ container      copy_in_stream
//! ```
//!
//! Invariants: a path in a container is looked up from a descriptor of its root (`RESOLVE_IN_ROOT`, no magic links);
//! what is found is held, and all below it goes by single names through no link. No device is opened. Whatever the
//! container does meanwhile, nothing of the host's but what the caller named is read or written.

mod ids;
mod inside;
mod into;
mod node;
mod plant;
mod side;
mod stream;
mod tree;

use crate::Engine;
use crate::error::{Error, Kind, Result};
use ids::Ids;
use inside::{For, Inside};
use into::Tar;
use plant::Plant;
use rustix::io::Errno;
use side::{End, Side, Source, Target, Typed};
use std::io::{BufReader, Read, Write};
use stream::Unpack;
use tree::Walk;

/// How files are copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyRequest {
    /// `-a`: owners keep their numbers.
    pub archive: bool,
    /// `-L`: of a link, what it leads to.
    pub follow: bool,
}

/// Whose the copies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owners {
    /// The same numbers'.
    Kept,
    /// Root's, in the container.
    Root,
    /// Whoever's copies.
    Caller,
}

/// Says which operation on which path failed.
trait At<T> {
    fn at(self, operation: &str, path: &[u8]) -> Result<T>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, operation: &str, path: &[u8]) -> Result<T> {
        self.map_err(|errno| {
            let kind = match errno {
                Errno::NOSPC | Errno::DQUOT => Kind::NoSpace,
                Errno::ROFS => Kind::ReadOnly,
                Errno::NOENT => Kind::NotFound,
                _ => Kind::Failed,
            };
            Error::new(kind, format!("{operation} `{}`", shown(path))).caused_by(errno)
        })
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

impl Engine {
    /// Copies a file or a tree of the host's into a container: `from` is absolute. Bytes, as a tar stream would have.
    ///
    /// # Errors
    /// As docker has them: [`Kind::NotFound`], [`Kind::Conflict`] where a directory and something else meet,
    /// [`Kind::ReadOnly`].
    pub fn copy_in(&self, from: &str, container: &str, to: &str, how: CopyRequest) -> Result<u64> {
        apart(|| {
            let inside = self.inside(container, For::Writing)?;
            let (from, to) = (Typed::new(from), Typed::new(to));
            let target = Target::find(&inside.side, &to)?;
            let host = Side::host()?;
            let source = Source::find(&host, &from, how.follow)?;
            let way = Way::of(&source, target, &to)?;
            inside.check_writable(&way.dir)?;
            let owners = if how.archive { Owners::Kept } else { Owners::Root };
            let mut plant = inside.plant(owners);
            inside.act_as_root()?;
            copy(&source, way, &mut plant, &|uid, gid| (uid, gid), None)
                .map_err(|error| inside.told(error))?;
            self.say(container, "extract-to-dir");
            Ok(plant.bytes)
        })
    }

    /// Unpacks a tar stream into a directory of a container, as the stream has it.
    ///
    /// # Errors
    /// As [`copy_in`](Self::copy_in); [`Kind::Corrupt`] for what is no archive.
    pub fn copy_in_stream(&self, mut input: impl Read + Send, container: &str, to: &str) -> Result<()> {
        apart(move || {
            let inside = self.inside(container, For::Writing)?;
            let to = Typed::new(to);
            let dir = match Target::find(&inside.side, &to)? {
                Target::Directory(dir) => dir,
                Target::Name { .. } => {
                    let what = format!("destination \"{container}:{}\" must be a directory", to.shown());
                    return Err(Error::new(Kind::Invalid, what));
                }
            };
            inside.check_writable(&dir)?;
            let mut plant = inside.plant(Owners::Kept);
            inside.act_as_root()?;
            let input = unpacked(&mut input)?;
            let unpack = Unpack::new(&mut plant, &inside.side, &to.path, dir)?;
            unpack.all(input).map_err(|error| inside.told(error))?;
            self.say(container, "extract-to-dir");
            Ok(())
        })
    }

    /// Copies a file or a tree out of a container: `to` is absolute. Bytes, as a tar stream would have.
    ///
    /// # Errors
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_out(&self, container: &str, from: &str, to: &str, how: CopyRequest) -> Result<u64> {
        apart(|| {
            let (from, to) = (Typed::new(from), Typed::new(to));
            let host = Side::host()?;
            let target = Target::find(&host, &to)?;
            let inside = self.inside(container, For::Reading)?;
            let source = Source::find(&inside.side, &from, how.follow)?;
            let way = Way::of(&source, target, &to)?;
            let owners = if how.archive { Owners::Kept } else { Owners::Caller };
            let mut plant = Plant::new(owners, Ids::default());
            let owner = |uid, gid| inside.ids.inside(uid, gid);
            copy(&source, way, &mut plant, &owner, inside.devices())?;
            self.say(container, "archive-path");
            Ok(plant.bytes)
        })
    }

    /// Writes a file or a tree of a container as a tar stream.
    ///
    /// # Errors
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_out_stream(
        &self,
        container: &str,
        from: &str,
        follow: bool,
        out: impl Write + Send,
    ) -> Result<()> {
        apart(|| {
            let inside = self.inside(container, For::Reading)?;
            let source = Source::find(&inside.side, &Typed::new(from), follow)?;
            let base = source.base.clone();
            inside.pack(&source, &base, out)?;
            self.say(container, "archive-path");
            Ok(())
        })
    }

    /// Writes a container's whole root as a tar stream, without what is mounted in it: docker's `export`.
    pub fn export(&self, container: &str, out: impl Write + Send) -> Result<()> {
        apart(|| {
            let inside = self.inside(container, For::Root)?;
            let source = Source::find(&inside.side, &Typed::new("/."), false)?;
            inside.pack(&source, b".", out)?;
            self.say(container, "export");
            Ok(())
        })
    }

    /// An event, in docker's word; of one that is gone already, none.
    fn say(&self, container: &str, action: &str) {
        if let Ok((container, _)) = self.container(container) {
            self.report(self.event_of(&container, action));
        }
    }
}

impl Inside {
    fn plant(&self, owners: Owners) -> Plant {
        Plant::new(owners, self.ids.clone())
    }

    /// What is made from here on is the container's root's.
    fn act_as_root(&self) -> Result<()> {
        let (uid, gid) = self.ids.outside(0, 0).unwrap_or((0, 0));
        crate::run::keep_capabilities()?;
        sys::process::set_fs_ids(uid, gid);
        Ok(())
    }

    /// docker's: only what is mounted in a read-only root may be written.
    fn check_writable(&self, dir: impl rustix::fd::AsFd) -> Result<()> {
        match self.is_sealed && self.side.is_own(dir) {
            true => Err(sealed()),
            false => Ok(()),
        }
    }

    fn told(&self, error: Error) -> Error {
        if *error.kind() == Kind::ReadOnly { sealed().caused_by(error) } else { error }
    }

    fn pack(&self, source: &Source, base: &[u8], out: impl Write) -> Result<()> {
        let mut tar = Tar::new(std::io::BufWriter::with_capacity(128 << 10, out));
        let owner = |uid, gid| self.ids.inside(uid, gid);
        Walk::new(&mut tar, &owner, self.devices()).source(source, base)?;
        tar.end()
    }
}

fn sealed() -> Error {
    Error::new(Kind::ReadOnly, "container rootfs or volume is marked read-only")
}

/// Acts in a thread of its own, whose umask, namespace of mounts and ids for files end with it.
fn apart<T: Send>(act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let act = || {
        sys::umask::own_zero_umask().map_err(|errno| {
            Error::new(Kind::Failed, "make a umask of this thread's own").caused_by(errno)
        })?;
        act()
    };
    std::thread::scope(|scope| {
        scope.spawn(act).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A stream as it is once it is decompressed.
fn unpacked(input: &mut (impl Read + Send)) -> Result<impl std::io::BufRead> {
    let mut head = Vec::new();
    let failed = |error| Error::new(Kind::Failed, "read the archive").caused_by(error);
    let size = layer::Compression::HEAD as u64;
    input.by_ref().take(size).read_to_end(&mut head).map_err(failed)?;
    let whole = BufReader::with_capacity(128 << 10, std::io::Cursor::new(head.clone()).chain(input));
    let memory = layer::Limits::default().memory;
    let decoder = layer::Decoder::new(whole, &head, &memory).map_err(into::from_layer)?;
    Ok(BufReader::with_capacity(128 << 10, decoder))
}

/// Into which directory, and under which name; `.` for what is in the source alone.
struct Way {
    dir: rustix::fd::OwnedFd,
    name: Vec<u8>,
}

impl Way {
    /// docker's rules, `PrepareArchiveCopy`.
    fn of(source: &Source, target: Target, to: &Typed) -> Result<Self> {
        let wants_dir = to.end != End::Plain;
        match target {
            Target::Directory(dir) => Ok(Self { dir, name: source.base.clone() }),
            Target::Name { exists: true, .. } if source.is_dir => {
                Err(Error::new(Kind::Invalid, "cannot copy directory"))
            }
            Target::Name { .. } if wants_dir && !source.is_dir => {
                Err(Error::new(Kind::Invalid, "no such directory"))
            }
            Target::Name { dir, name, .. } => Ok(Self { dir, name }),
        }
    }
}

fn copy(
    source: &Source,
    way: Way,
    plant: &mut Plant,
    owner: &dyn Fn(u32, u32) -> (u32, u32),
    devices: Option<u64>,
) -> Result<()> {
    let mut tree = into::Tree::new(plant, way.dir);
    Walk::new(&mut tree, owner, devices).source(source, &way.name)
}

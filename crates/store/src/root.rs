//! The store itself: opening it, and the lock everything hangs on.

use crate::disk::{self, Sys};
use crate::error::{At, Error, Kind, Result};
use crate::id::unique;
use crate::notice::Notices;
use crate::slot::Pool;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, fchmod, mkdirat, openat, renameat, syncfs};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const FORMAT: &[u8] = b"hull store 1\n";

/// How the root itself is opened.
const TOP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

const DIRECTORIES: [&str; 10] =
    ["blobs", "blobs/sha256", "layers", "images", "refs", "containers", "names", "spare", "tmp", "trash"];

/// Mount points that every root file system has, so that mounting on them writes nothing into the
/// container's own layer. `true` marks a directory; a file is empty.
const SKELETON: [(&str, bool, u32); 13] = [
    ("proc", true, 0o755),
    ("sys", true, 0o755),
    ("dev", true, 0o755),
    ("dev/pts", true, 0o755),
    ("dev/shm", true, 0o755),
    ("dev/mqueue", true, 0o755),
    ("dev/console", false, 0o644),
    ("etc", true, 0o755),
    ("etc/hostname", false, 0o644),
    ("etc/hosts", false, 0o644),
    ("etc/resolv.conf", false, 0o644),
    ("tmp", true, 0o1777),
    ("run", true, 0o755),
];

/// An open store. Cheap to open (three system calls), holds no lock, keeps nothing in memory:
/// any number of processes and threads may have it open.
#[derive(Debug)]
pub struct Store {
    root: OwnedFd,
    root_path: PathBuf,
    run: PathBuf,
    pool: Pool,
    boot: OnceLock<String>,
    absent: bool,
    pub(crate) notices: Notices,
}

/// What becomes of layer blobs once they are unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobPolicy {
    /// They are not kept; the image record still has their digests.
    #[default]
    Drop,
    /// They are kept, so that a push sends the very bytes that came.
    Keep,
}

/// What `config.json` says; whatever it leaves out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What becomes of layer blobs.
    pub blobs: BlobPolicy,
    /// Bytes of memory that all decoders of one command may take together. By default what one layer of `xz -9` or
    /// of `zstd --long=27` needs, for docker takes those; layers that need more together wait for each other.
    pub decoder_memory: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { blobs: BlobPolicy::Drop, decoder_memory: 144 << 20 }
    }
}

/// Nothing is collected while this lives. Held from looking something up until a record refers to
/// it: from resolving an image until the container exists, from the first layer until the image does.
#[derive(Debug)]
pub struct Shared(#[allow(dead_code, reason = "the lock is the descriptor")] OwnedFd);

/// Nobody is between looking up and recording, and nobody starts to.
#[derive(Debug)]
pub(crate) struct Exclusive(#[allow(dead_code, reason = "the lock is the descriptor")] OwnedFd);

impl Store {
    /// Opens the store in `root`, making it if there is none, with `run` for what a reboot ends.
    pub fn open(root: &Path, run: &Path) -> Result<Self> {
        let store = Self::at(top(root)?, root, run);
        if !store.is_made()? {
            store.make()?;
        }
        Ok(store)
    }

    /// Opens the store in `root` for who makes nothing: where there is none, it is one that is empty, in
    /// memory.
    pub fn look(root: &Path, run: &Path) -> Result<Self> {
        match openat(CWD, root, TOP, Mode::empty()) {
            Ok(dir) => {
                let store = Self::at(dir, root, run);
                if store.is_made()? { Ok(store) } else { Self::empty(root, run) }
            }
            Err(Errno::NOENT) => Self::empty(root, run),
            Err(errno) => Err(errno).at(|| format!("open `{}`", root.display())),
        }
    }

    /// On a file system of its own that is mounted nowhere, and gone with the descriptor.
    fn empty(root: &Path, run: &Path) -> Result<Self> {
        let what = || format!("look at store `{}`", root.display());
        let memory = sys::mount::FileSystem::open("tmpfs").and_then(|tmpfs| tmpfs.mount(0)).at(what)?;
        let store = Self { absent: true, ..Self::at(disk::open_dir(&memory, ".").at(what)?, root, run) };
        store.make().map(|()| store)
    }

    fn at(root: OwnedFd, root_path: &Path, run: &Path) -> Self {
        Self {
            root,
            root_path: root_path.into(),
            run: run.into(),
            pool: Pool::default(),
            boot: OnceLock::new(),
            absent: false,
            notices: Notices::default(),
        }
    }

    fn is_made(&self) -> Result<bool> {
        let what = || format!("open store `{}`", self.root_path.display());
        match disk::read_file(&self.root, "lock") {
            Ok(format) if format == FORMAT => Ok(true),
            Ok(_) => Err(Error::new(
                Kind::Invalid,
                format!("store `{}` has another format", self.root_path.display()),
            )
            .with_hint("its file `lock` says which; this hull knows `hull store 1`")),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno).at(what),
        }
    }

    /// Whether there is a store at all, see [`Store::look`].
    pub(crate) fn is_absent(&self) -> bool {
        self.absent
    }

    /// The same store, which tells of what it finds damaged and passes over: a line each, once.
    pub fn with_notices(mut self, tell: fn(&str)) -> Self {
        self.notices = Notices::to(tell);
        self
    }

    /// The same store with another pool of id ranges.
    pub fn with_pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// Where it is, to be named to a user. To reach what is inside, use [`Store::root`].
    pub fn path(&self) -> &Path {
        &self.root_path
    }

    /// Its directory: what [`crate::LayerHandle`]s are relative to.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The lowest layer of every container, relative to [`Store::root`]: empty mount points.
    pub fn skeleton(&self) -> &'static str {
        "skeleton"
    }

    /// The volatile directory. It is made by who claims the first slot.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The volatile directory, made if need be.
    pub(crate) fn make_run(&self) -> Result<OwnedFd> {
        top(&self.run)
    }

    /// Names this boot of the host; random(4), "Kernel parameters". Read once.
    pub fn boot_id(&self) -> Result<String> {
        if let Some(boot) = self.boot.get() {
            return Ok(boot.clone());
        }
        let bytes =
            disk::read_file(CWD, "/proc/sys/kernel/random/boot_id").at(|| "read the boot id".into())?;
        Ok(self.boot.get_or_init(|| String::from_utf8_lossy(&bytes).trim_end().into()).clone())
    }

    pub(crate) fn pool(&self) -> Pool {
        self.pool
    }

    /// Keeps the collector away; waits while it works.
    pub fn share(&self) -> Result<Shared> {
        let lock = self.open_lock()?;
        disk::wait_lock(&lock, FlockOperation::LockShared).at(|| "share the store's lock".into())?;
        Ok(Shared(lock))
    }

    /// The right to collect; `None` while anybody shares, unless told to `wait`.
    pub(crate) fn exclude(&self, wait: bool) -> Result<Option<Exclusive>> {
        let lock = self.open_lock()?;
        let what = || "take the store's lock".into();
        if wait {
            disk::wait_lock(&lock, FlockOperation::LockExclusive).at(what)?;
            return Ok(Some(Exclusive(lock)));
        }
        let taken = disk::try_lock(&lock, FlockOperation::NonBlockingLockExclusive).at(what)?;
        Ok(taken.then_some(Exclusive(lock)))
    }

    /// What the user decided.
    pub fn config(&self) -> Result<Config> {
        let config: Option<Config> = disk::read_record(&self.root, "config.json").map_err(|error| {
            error.with_hint("known are `blobs`, \"drop\" or \"keep\", and `decoder_memory`, in bytes")
        })?;
        Ok(config.unwrap_or_default())
    }

    /// Decides it for what is to come.
    pub fn set_config(&self, config: &Config) -> Result<()> {
        let shared = self.share()?;
        self.put_file(&shared, "config.json", &disk::to_json(config)?)
    }

    /// Makes or replaces a file as one step, flushed.
    pub(crate) fn put_file(&self, shared: &Shared, path: &str, bytes: &[u8]) -> Result<()> {
        let draft = self.draft_file(shared, bytes)?;
        disk::move_durably(self.root(), &draft, path).at(|| format!("write `{path}`"))
    }

    /// A flushed file under `tmp/`. With the lock shared, so that nobody takes it for garbage.
    pub(crate) fn draft_file(&self, _shared: &Shared, bytes: &[u8]) -> Result<String> {
        let draft = format!("tmp/{}", unique()?);
        disk::write_new(&self.root, &draft, bytes, true).at(|| format!("write `{draft}`"))?;
        sys::step!("store.file.draft");
        Ok(draft)
    }

    /// Everything written so far is on the disk when this returns.
    pub(crate) fn flush(&self) -> Result<()> {
        syncfs(&self.root).at(|| format!("flush store `{}`", self.root_path.display()))
    }

    fn open_lock(&self) -> Result<OwnedFd> {
        openat(&self.root, "lock", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .at(|| "open the store's lock".into())
    }

    /// Makes what is missing; the format comes last, so that what has one is whole. Several may do
    /// this at once.
    fn make(&self) -> Result<()> {
        self.make_tree().at(|| format!("make store `{}`", self.root_path.display()))?;
        sys::step!("store.make.tree");
        let draft = format!("tmp/{}", unique()?);
        disk::write_new(&self.root, &draft, FORMAT, true).at(|| format!("write `{draft}`"))?;
        sys::step!("store.make.format");
        match renameat(&self.root, &draft, &self.root, "lock") {
            // Somebody made it meanwhile, and took the draft for garbage.
            Err(Errno::NOENT) if self.is_made()? => Ok(()),
            done => done.at(|| "write `lock`".into()),
        }
    }

    fn make_tree(&self) -> Sys<()> {
        for path in DIRECTORIES {
            disk::make_dir(&self.root, path, 0o700)?;
        }
        disk::make_dir(&self.root, "skeleton", 0o755)?;
        let skeleton = disk::open_dir(&self.root, "skeleton")?;
        for (path, is_dir, mode) in SKELETON {
            if is_dir {
                disk::make_dir(&skeleton, path, mode)?;
                fchmod(disk::open_dir(&skeleton, path)?, Mode::from_raw_mode(mode))?;
            } else {
                disk::overwrite(&skeleton, path, b"", false)?;
            }
        }
        Ok(())
    }
}

/// Opens one of the two top directories, made with its parents where missing. Group and others may
/// pass through and see nothing: a container's root is reached by descriptor.
fn top(path: &Path) -> Result<OwnedFd> {
    match openat(CWD, path, TOP, Mode::empty()) {
        Err(Errno::NOENT) => {}
        other => return other.at(|| format!("open `{}`", path.display())),
    }
    for part in
        path.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|part| !part.as_os_str().is_empty())
    {
        match mkdirat(CWD, part, Mode::from_raw_mode(0o711)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno)
                if rustix::fs::accessat(CWD, part, rustix::fs::Access::EXISTS, AtFlags::empty()).is_err() =>
            {
                return Err(errno).at(|| format!("make `{}`", part.display()));
            }
            Err(_) => {}
        }
    }
    openat(CWD, path, TOP, Mode::empty()).at(|| format!("open `{}`", path.display()))
}

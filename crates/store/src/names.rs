//! Names of containers: symbolic links, so that taking one is a single system call that only one wins.

use crate::disk::{self, Sys};
use crate::error::{At, Error, Kind, Result, absent};
use crate::id::Name;
use crate::root::Store;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, AtFlags, FlockOperation, accessat, readlinkat, symlinkat};
use rustix::io::Errno;

/// A name just taken. Given back when dropped, unless the container it leads to has appeared.
pub(crate) struct TakenName {
    names: OwnedFd,
    name: String,
    kept: bool,
}

impl TakenName {
    /// The directory of names, as it was locked.
    pub(crate) fn names(&self) -> BorrowedFd<'_> {
        self.names.as_fd()
    }

    /// The container is there.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for TakenName {
    fn drop(&mut self) {
        if !self.kept {
            // Left behind, it leads nowhere, and the next one who wants it takes it.
            let _ = disk::unlink(&self.names, &self.name);
        }
    }
}

impl Store {
    /// Takes a name for the container of this key, which is not there yet. A name whose holder is not
    /// there either is taken over: its holder was being made or removed, and the exclusive lock waits
    /// for those who still are.
    pub(crate) fn take_name(&self, name: &Name, key: &str) -> Result<TakenName> {
        let names = self.lock_names(FlockOperation::LockShared)?;
        let taken = match point(names.as_fd(), name, key) {
            Err(Errno::EXIST) if !leads_somewhere(names.as_fd(), name) => {
                drop(names);
                return self.take_over(name, key);
            }
            other => other,
        };
        self.taken(taken, names, name)
    }

    fn take_over(&self, name: &Name, key: &str) -> Result<TakenName> {
        self.take_name_locked(self.lock_names(FlockOperation::LockExclusive)?, name, key)
    }

    /// With the exclusive lock from [`Store::lock_names`].
    pub(crate) fn take_name_locked(&self, names: OwnedFd, name: &Name, key: &str) -> Result<TakenName> {
        if !leads_somewhere(names.as_fd(), name) {
            disk::unlink(&names, name.as_str()).at(|| format!("take over the name `{name}`"))?;
            sys::step!("store.name.take_over");
        }
        let taken = point(names.as_fd(), name, key);
        self.taken(taken, names, name)
    }

    fn taken(&self, taken: Sys<()>, names: OwnedFd, name: &Name) -> Result<TakenName> {
        match taken {
            Err(Errno::EXIST) => Err(self.name_taken(name)),
            Err(errno) => Err(errno).at(|| format!("take the name `{name}`")),
            Ok(()) => {
                sys::step!("store.name.take");
                Ok(TakenName { names, name: name.as_str().into(), kept: false })
            }
        }
    }

    fn name_taken(&self, name: &Name) -> Error {
        let holder = self.container_named(name).map(|holder| holder.record.id.to_string());
        let by = holder.map_or_else(|_| String::new(), |id| format!(" by container \"{id}\""));
        Error::new(Kind::NameTaken, format!("conflict: the container name \"/{name}\" is already in use{by}"))
            .with_hint("remove that container to be able to reuse that name")
    }

    /// Gives up a name, if it still leads to the container of this key. Under a lock from
    /// [`Store::lock_names`].
    pub(crate) fn drop_name(&self, names: impl AsFd, name: &str, key: &str) -> Sys<()> {
        match readlinkat(&names, name, Vec::new()) {
            Ok(target) if target.to_bytes() == target_of(key).as_bytes() => disk::unlink(names, name),
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Takes names away that lead nowhere: their container did not live to appear, or its name to go. While
    /// somebody is between the two it waits, or leaves this to the next one.
    pub fn sweep_names(&self, wait: bool) -> Result<()> {
        let names = disk::open_dir(self.root(), "names").at(|| "open `names`".into())?;
        let what = || "lock `names`".into();
        if wait {
            disk::wait_lock(&names, FlockOperation::LockExclusive).at(what)?;
        } else if !disk::try_lock(&names, FlockOperation::NonBlockingLockExclusive).at(what)? {
            return Ok(());
        }
        for (name, _) in disk::listing(&names).at(|| "list `names`".into())? {
            if accessat(&names, &name, Access::EXISTS, AtFlags::empty()) == Err(Errno::NOENT) {
                disk::unlink(&names, &name).at(|| format!("remove the name `{name}`"))?;
                sys::step!("store.name.sweep");
            }
        }
        Ok(())
    }

    /// The directory of names, locked: shared to add or remove one's own, exclusive to replace another's.
    pub(crate) fn lock_names(&self, lock: FlockOperation) -> Result<OwnedFd> {
        let names = disk::open_dir(self.root(), "names").at(|| "open `names`".into())?;
        disk::wait_lock(&names, lock).at(|| "lock `names`".into())?;
        Ok(names)
    }

    /// The key a name leads to.
    pub(crate) fn key_of_name(&self, name: &Name) -> Result<String> {
        match readlinkat(self.root(), format!("names/{name}"), Vec::new()) {
            Ok(target) => {
                let target = target.to_string_lossy();
                Ok(target.rsplit('/').next().unwrap_or_default().into())
            }
            Err(Errno::NOENT) => Err(absent(format!("no such container: {name}"))),
            Err(Errno::INVAL) => Err(Error::new(Kind::Corrupt, format!("`names/{name}` is no link"))),
            Err(errno) => Err(errno).at(|| format!("read the name `{name}`")),
        }
    }
}

fn point(names: BorrowedFd<'_>, name: &Name, key: &str) -> Sys<()> {
    symlinkat(target_of(key), names, name.as_str())
}

fn leads_somewhere(names: BorrowedFd<'_>, name: &Name) -> bool {
    accessat(names, name.as_str(), Access::EXISTS, AtFlags::empty()).is_ok()
}

/// 46 bytes, see the crate's invariants.
fn target_of(key: &str) -> String {
    format!("../containers/{key}")
}

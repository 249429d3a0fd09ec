//! Records that change while their containers live: another name, other limits.
//!
//! ```text
//! amend    container.json.new ──rename──▶ container.json
//! rename   names/NEW; then as above; then names/OLD goes
//! ```
//!
//! Whoever holds the container, its monitor, has read its record before: what may have changed is asked for with
//! [`Store::name_now`]. Changes are made under the exclusive lock of `names/`, so that there is one at a time, and
//! none of a container that is being removed.

use crate::container::{Container, Record};
use crate::disk;
use crate::error::{At, Result, absent};
use crate::id::Name;
use crate::root::Store;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, fsync, renameat};

impl Store {
    /// Begins to change a container's record, whoever holds it. Until it is done or dropped nobody else changes one.
    pub fn amend<'a>(&self, container: &'a Container) -> Result<Change<'a>> {
        let names = self.lock_names(FlockOperation::LockExclusive)?;
        Ok(Change { record: self.record_now(container)?, container, names })
    }

    /// Gives a container another name. What it was called before.
    ///
    /// # Errors
    /// [`crate::Kind::NameTaken`] by another.
    pub fn rename(&self, container: &Container, name: &Name) -> Result<Name> {
        let Change { mut record, names, .. } = self.amend(container)?;
        let taken = self.take_name_locked(names, name, &container.key)?;
        sys::step!("store.rename.taken");
        let old = std::mem::replace(&mut record.name, name.clone());
        write_draft(container, &record).and_then(|()| show_draft(container, &record))?;
        sys::step!("store.rename.record");
        self.drop_name(taken.names(), old.as_str(), &container.key)
            .at(|| format!("remove the name `{old}`"))?;
        taken.keep();
        disk::sync_dir(self.root(), "names").at(|| "flush `names`".into())?;
        Ok(old)
    }

    /// What a container is called now. Its record was read when it was found, or made.
    pub fn name_now(&self, container: &Container) -> Name {
        let name = &container.record.name;
        if self.key_of_name(name).is_ok_and(|key| key == container.key) {
            return name.clone();
        }
        self.record_now(container).map_or_else(|_| name.clone(), |record| record.name)
    }

    /// Its record as it is now, unless it was removed.
    pub fn record_now(&self, container: &Container) -> Result<Record> {
        let what = || format!("look at container `{}`", container.record.name);
        let record: Option<Record> = disk::read_record(&container.dir, "container.json")?;
        let is_there = disk::is_at(&container.dir, self.root(), &container.path()).at(what)?;
        let record = record.filter(|record| is_there && record.id == container.record.id);
        record.ok_or_else(|| absent(format!("no such container: {}", container.record.id)))
    }
}

/// A record that is being changed.
#[derive(Debug)]
pub struct Change<'a> {
    /// As it is, and then as it is to be.
    pub record: Record,
    container: &'a Container,
    names: OwnedFd,
}

/// A changed record that is on the disk and not yet the container's.
#[derive(Debug)]
pub struct Drafted<'a>(Change<'a>);

impl<'a> Change<'a> {
    /// Writes it: what is left to do needs no room.
    pub fn draft(self) -> Result<Drafted<'a>> {
        write_draft(self.container, &self.record)?;
        Ok(Drafted(self))
    }
}

impl Drafted<'_> {
    /// Makes it the container's.
    pub fn commit(self) -> Result<()> {
        let Change { record, container, .. } = &self.0;
        show_draft(container, record)
    }
}

fn write_draft(container: &Container, record: &Record) -> Result<()> {
    let what = || format!("write the record of container `{}`", record.name);
    disk::unlink(&container.dir, "container.json.new").at(what)?;
    disk::write_new(&container.dir, "container.json.new", &disk::to_json(record)?, !record.remove)
        .at(what)?;
    sys::step!("store.amend.write");
    Ok(())
}

fn show_draft(container: &Container, record: &Record) -> Result<()> {
    let what = || format!("write the record of container `{}`", record.name);
    renameat(&container.dir, "container.json.new", &container.dir, "container.json").at(what)?;
    sys::step!("store.amend.rename");
    if record.remove { Ok(()) } else { fsync(&container.dir).at(what) }
}

//! Slots of running containers: one file is a range of ids, an entry in the list of what runs, and,
//! by its lock, the sign that its owner lives.

use crate::disk::{self, Sys};
use crate::error::{At, Error, Kind, Result, absent};
use crate::id::ContainerId;
use crate::root::Store;
use jiff::Timestamp;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How many ids a slot has.
const RANGE: u32 = 65_536;

/// How many blocks of ids beyond the first a container can have: a stranger's image must not take the whole pool.
pub const BLOCKS: usize = 16;

/// Ids that systemd keeps for trees of foreign ownership, and the end of the signed numbers, where
/// 2147483647 and its like live: systemd's "Users, Groups, UIDs and GIDs", "Special UIDs".
const FOREIGN: IdRange = IdRange { first: 0x7FFE_0000, size: 2 * RANGE };

/// Consecutive ids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The lowest.
    pub first: u32,
    /// How many.
    pub size: u32,
}

impl IdRange {
    /// Whether they have an id in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let end = |range: &Self| u64::from(range.first) + u64::from(range.size);
        u64::from(self.first) < end(other) && u64::from(other.first) < end(self)
    }
}

/// Where the ranges of containers come from: slot N has the ids from `base + 65536 N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// The first id.
    pub base: u32,
    /// How many ranges.
    pub ranges: u32,
}

impl Default for Pool {
    /// From 1879048192 (0x70000000): past all that systemd gives out. Ranges below 2^31 go first, since some
    /// programs take ids above for negative numbers.
    fn default() -> Self {
        Self { base: 1_879_048_192, ranges: 32_768 }
    }
}

impl Pool {
    /// The ids of slot `number`.
    pub fn range(&self, number: u32) -> IdRange {
        IdRange { first: self.base + number * RANGE, size: RANGE }
    }

    /// All slots, in the order a container tries them.
    fn order(&self, id: &ContainerId) -> impl Iterator<Item = u32> + use<> {
        let low = (FOREIGN.first.saturating_sub(self.base) / RANGE).min(self.ranges);
        let start = if low == 0 { 0 } else { id.spread() % low };
        (0..low).map(move |step| (start + step) % low).chain(low..self.ranges)
    }
}

/// What a slot says about its container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// Whose slot it is.
    pub container: ContainerId,
    /// Pid of the owner: the monitor.
    pub monitor: i32,
    /// Pid of the container's first process, once there is one.
    pub pid: Option<i32>,
    /// When it was started.
    pub started: Timestamp,
    /// The boot in which the pids mean something; filled by [`Store::claim`].
    #[serde(default)]
    pub boot: String,
    /// Its control group, in the engine's notation.
    pub cgroup: Option<String>,
    /// The numbers of the slots that it has for its further ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<u32>,
    /// Whatever else the engine needs to clean up after a dead owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<RawValue>>,
}

/// A slot of this process. Dropping it ends the lock (unless a forked process has it too) but leaves the
/// slot, as the owner's death does; [`Slot::release`] gives it back.
#[derive(Debug)]
pub struct Slot {
    number: u32,
    range: IdRange,
    running: Running,
    dir: OwnedFd,
    file: OwnedFd,
    more: Vec<More>,
}

/// A slot that is there only for its ids. Its file is empty, so that nobody takes it for another container.
#[derive(Debug)]
struct More {
    number: u32,
    _file: OwnedFd,
}

impl Slot {
    /// Its number: free for as long as the container runs, e.g. to name a device.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The container's ids on the host.
    pub fn range(&self) -> IdRange {
        self.range
    }

    /// What it says.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Says something else, such as the pid that is known by now.
    pub fn update(&mut self, change: impl FnOnce(&mut Running)) -> Result<()> {
        change(&mut self.running);
        write_running(&self.file, &self.running).at(|| format!("write slot `{}`", self.number))
    }

    /// Gives all its ranges back.
    pub fn release(self) -> Result<()> {
        for number in self.more.iter().map(|more| more.number).chain([self.number]) {
            disk::unlink(&self.dir, &number.to_string()).at(|| format!("release slot `{number}`"))?;
            sys::step!("store.slot.release");
        }
        Ok(())
    }
}

/// A slot whose owner died without giving it back. While this lives, nobody else cleans up after it.
#[derive(Debug)]
pub struct DeadSlot {
    /// Its number.
    pub number: u32,
    /// The ids that may still own something.
    pub range: IdRange,
    /// What it said; `None` where its owner died before it wrote.
    pub running: Option<Running>,
    dir: OwnedFd,
    file: OwnedFd,
}

impl DeadSlot {
    /// Takes it over, with those of `others` that it has for its further ids: what it says goes on.
    pub fn revive(self, others: &mut Vec<Self>) -> Option<Slot> {
        let Self { number, range, running, dir, file } = self;
        let running = running?;
        let mut more = Vec::new();
        for number in &running.more {
            let place = others.iter().position(|other| other.number == *number)?;
            more.push(More { number: *number, _file: others.remove(place).file });
        }
        Some(Slot { number, range, running, dir, file, more })
    }

    /// Gives the range back. After everything that used it is gone.
    pub fn release(self) -> Result<()> {
        disk::unlink(&self.dir, &self.number.to_string()).at(|| format!("release slot `{}`", self.number))?;
        sys::step!("store.slot.release_dead");
        Ok(())
    }
}

/// What [`Store::abandoned_slots`] saw.
#[derive(Debug, Default)]
pub struct Abandoned {
    /// Slots whose owners died.
    pub dead: Vec<DeadSlot>,
    /// Another look, soon, will see more.
    pub dying: bool,
}

impl Store {
    /// Takes a range of ids that no running container has and that does not overlap `reserved` (such as
    /// the ranges of /etc/subuid and /etc/subgid).
    pub fn claim(&self, mut running: Running, reserved: &[IdRange]) -> Result<Slot> {
        running.boot = self.boot_id()?;
        let dir = match self.slots(FlockOperation::LockShared)? {
            Some(dir) => dir,
            None => self.make_slots()?,
        };
        let (number, file) = self.take_free(dir.as_fd(), &running.container, reserved)?;
        let written = write_running(&file, &running).and_then(|()| flock(&dir, FlockOperation::Unlock));
        if let Err(errno) = written {
            // What was refused must not look like a slot whose owner died.
            let _ = disk::unlink(&dir, &number.to_string());
            return Err(errno).at(|| format!("claim slot `{number}`"));
        }
        sys::step!("store.slot.write");
        Ok(Slot { number, range: self.pool().range(number), running, dir, file, more: Vec::new() })
    }

    /// Takes a further range of ids for the container of a slot; it goes back with the slot.
    pub fn widen(&self, slot: &mut Slot, reserved: &[IdRange]) -> Result<IdRange> {
        let lock = || "lock the directory of slots".to_owned();
        disk::wait_lock(&slot.dir, FlockOperation::LockShared).at(lock)?;
        let taken = self.take_free(slot.dir.as_fd(), &slot.running.container, reserved);
        flock(&slot.dir, FlockOperation::Unlock).at(lock)?;
        let (number, file) = taken?;
        slot.more.push(More { number, _file: file });
        slot.running.more.push(number);
        sys::step!("store.slot.widen");
        Ok(self.pool().range(number))
    }

    /// The further ranges of a slot, in the order they were taken.
    pub fn further(&self, slot: &Slot) -> Vec<IdRange> {
        slot.more.iter().map(|more| self.pool().range(more.number)).collect()
    }

    fn take_free(
        &self,
        dir: BorrowedFd<'_>,
        id: &ContainerId,
        reserved: &[IdRange],
    ) -> Result<(u32, OwnedFd)> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for number in self.pool().order(id) {
            let range = self.pool().range(number);
            if FOREIGN.overlaps(&range) || reserved.iter().any(|other| other.overlaps(&range)) {
                continue;
            }
            match openat(dir, number.to_string(), flags, Mode::from_raw_mode(0o600)) {
                Err(Errno::EXIST) => continue,
                file => return own(file).at(|| format!("claim slot `{number}`")).map(|file| (number, file)),
            }
        }
        let what = format!("all {} ranges of user ids are in use or reserved", self.pool().ranges);
        Err(Error::new(Kind::Exhausted, what))
    }

    /// What the container's slot says, if it runs.
    pub fn slot_of(&self, id: &ContainerId) -> Result<Option<Running>> {
        Ok(self.find_slot(id)?.and_then(|(running, alive)| alive.then_some(running)))
    }

    /// Whether it has a slot, if only one that its owner left at its death.
    pub fn has_slot(&self, id: &ContainerId) -> Result<bool> {
        Ok(self.find_slot(id)?.is_some())
    }

    fn find_slot(&self, id: &ContainerId) -> Result<Option<(Running, bool)>> {
        let Some(dir) = self.slots(FlockOperation::LockShared)? else { return Ok(None) };
        // The first choice is right unless two ids collided; then look everywhere.
        let first = self.pool().order(id).next().map(|number| number.to_string());
        let others = || disk::entries(&dir, ".").unwrap_or_default().into_iter().map(|(name, _)| name);
        for name in first.into_iter().chain(std::iter::once_with(others).flatten()) {
            match glance(dir.as_fd(), &name).at(|| format!("read slot `{name}`"))?.running() {
                Some((running, alive)) if running.container == *id => return Ok(Some((running, alive))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// All slots: what they say, and whether their owner lives.
    pub fn slot_list(&self) -> Result<Vec<(Running, bool)>> {
        let Some(dir) = self.slots(FlockOperation::LockShared)? else { return Ok(Vec::new()) };
        let names = disk::sorted_names(&dir, ".")?;
        let all = names.iter().map(|name| glance(dir.as_fd(), name).at(|| format!("read slot `{name}`")));
        all.filter_map(|glance| glance.map(Glance::running).transpose()).collect()
    }

    /// The slots whose owners died. The engine ends what is left of their containers, then releases them.
    pub fn dead_slots(&self) -> Result<Vec<DeadSlot>> {
        Ok(self.abandoned_slots(|_| true)?.dead)
    }

    /// One look at all slots: whose owners died, and whether some owner, gone by `lives`, has left its lock to
    /// a child that is yet to follow.
    pub fn abandoned_slots(&self, lives: impl Fn(&Running) -> bool) -> Result<Abandoned> {
        let mut found = Abandoned::default();
        let Some(dir) = self.open_slots()? else { return Ok(found) };
        let mut free = Vec::new();
        for (name, _) in disk::listing(&dir).at(|| "list the slots".into())? {
            match glance(dir.as_fd(), &name).at(|| format!("read slot `{name}`"))? {
                Glance::Gone => {}
                Glance::Free(_) => free.push(name),
                Glance::Taken(running) => found.dying |= running.is_some_and(|running| !lives(&running)),
            }
        }
        if !free.is_empty() {
            // Some may have been made a moment ago, and are to be locked in the next.
            disk::wait_lock(&dir, FlockOperation::LockExclusive)
                .at(|| "lock the directory of slots".into())?;
            for name in free {
                found.dead.extend(self.dead_slot(dir.as_fd(), &name)?);
            }
            // They share this descriptor, and each has a lock of its own.
            flock(&dir, FlockOperation::Unlock).at(|| "unlock the directory of slots".into())?;
        }
        // A range that says nothing may be a container's further one, which is to be ended first.
        found.dead.sort_by_key(|slot| slot.running.is_none());
        Ok(found)
    }

    fn dead_slot(&self, dir: BorrowedFd<'_>, name: &str) -> Result<Option<DeadSlot>> {
        let what = || format!("read slot `{name}`");
        let Ok(number) = name.parse() else { return Ok(None) };
        let Some(file) = abandoned(dir, name).at(what)? else { return Ok(None) };
        let running = read_running(&file).at(what)?;
        let dir = dir.try_clone_to_owned().map_err(|cause| Error::new(Kind::Io, what()).caused_by(cause))?;
        Ok(Some(DeadSlot { number, range: self.pool().range(number), running, dir, file }))
    }

    fn make_slots(&self) -> Result<OwnedFd> {
        let run = self.make_run()?;
        disk::make_dir(&run, "slots", 0o700).at(|| "make the directory of slots".into())?;
        self.slots(FlockOperation::LockShared)?.ok_or_else(|| absent("no directory of slots"))
    }

    fn open_slots(&self) -> Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(CWD, self.run().join("slots"), flags, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            other => other.at(|| "open the directory of slots".into()).map(Some),
        }
    }

    /// The directory of slots, locked; `None` where nothing ran since the host was started.
    fn slots(&self, lock: FlockOperation) -> Result<Option<OwnedFd>> {
        let Some(dir) = self.open_slots()? else { return Ok(None) };
        disk::wait_lock(&dir, lock).at(|| "lock the directory of slots".into())?;
        Ok(Some(dir))
    }
}

/// Locks a new slot. Waits, if need be, for one who glances at it.
fn own(file: Sys<OwnedFd>) -> Sys<OwnedFd> {
    let file = file?;
    sys::step!("store.slot.create");
    disk::wait_lock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// The open and locked slot, if nobody else holds it.
fn abandoned(dir: BorrowedFd<'_>, name: &str) -> Sys<Option<OwnedFd>> {
    // Writable, for who takes it over.
    let file = match openat(dir, name, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    let free = disk::try_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
    // Released while it was being opened: the name may be another's by now.
    Ok((free && fstat(&file)?.st_nlink > 0).then_some(file))
}

/// What a look at a slot shows; what it says is absent while it is being written first.
enum Glance {
    /// Released.
    Gone,
    /// Nobody holds it.
    Free(Option<Running>),
    /// Its owner lives, or a child of it.
    Taken(Option<Running>),
}

impl Glance {
    /// What it says, and whether its owner lives.
    fn running(self) -> Option<(Running, bool)> {
        match self {
            Self::Gone => None,
            Self::Free(running) => running.map(|running| (running, false)),
            Self::Taken(running) => running.map(|running| (running, true)),
        }
    }
}

fn glance(dir: BorrowedFd<'_>, name: &str) -> Sys<Glance> {
    let file = match openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Glance::Gone),
        other => other?,
    };
    if !disk::try_lock(&file, FlockOperation::NonBlockingLockShared)? {
        return read_running(&file).map(Glance::Taken);
    }
    // Released while it was being opened: its owner did not die.
    if fstat(&file)?.st_nlink == 0 { Ok(Glance::Gone) } else { read_running(&file).map(Glance::Free) }
}

/// Written in place by its owner, in one call, and never shortened: what is no longer needed is blank.
fn write_running(file: impl AsFd, running: &Running) -> Sys<()> {
    let mut bytes = serde_json::to_vec(running).map_err(|_| Errno::INVAL)?;
    bytes.push(b'\n');
    let size = fstat(&file)?.st_size as usize;
    if bytes.len() < size {
        bytes.resize(size, b' ');
    }
    disk::write_at(file, &bytes, 0)
}

/// A reader may meet a writer half way (no lock orders read(2) and write(2)): it looks again. What is
/// never whole was left by an owner killed while it wrote.
fn read_running(file: impl AsFd) -> Sys<Option<Running>> {
    for _ in 0..100 {
        match serde_json::from_slice(&disk::reread(&file)?) {
            Ok(running) => return Ok(Some(running)),
            Err(error) if error.is_eof() && fstat(&file)?.st_size == 0 => return Ok(None),
            Err(_) => std::thread::yield_now(),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_slot_is_tried_once_and_those_below_2_31_first() {
        let order: Vec<u32> = Pool::default().order(&ContainerId::random().unwrap()).collect();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 32_768);
        assert!(order[..4094].iter().all(|number| Pool::default().range(*number).first < 0x7FFE_0000));
    }

    #[test]
    fn no_range_leaves_the_32_bits() {
        let last = Pool::default().range(32_767);
        assert!(last.first.checked_add(last.size - 1).is_some());
    }

    #[test]
    fn a_pool_above_2_31_is_used_as_it_is() {
        let pool = Pool { base: 0xA000_0000, ranges: 3 };
        assert_eq!(pool.order(&ContainerId::random().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn ranges_overlap_only_when_they_share_an_id() {
        let range = |first, size| IdRange { first, size };
        assert!(range(0, 10).overlaps(&range(9, 1)) && range(9, 1).overlaps(&range(0, 10)));
        assert!(!range(0, 10).overlaps(&range(10, 1)) && !range(5, 0).overlaps(&range(5, 0)));
        assert!(range(u32::MAX, 1).overlaps(&range(u32::MAX - 1, 2)));
    }
}

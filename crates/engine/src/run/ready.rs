//! A container that is decided, then on disk: what comes before its processes, and after them.

use super::draft::{Base, Claimed, Draft};
use super::{Ended, Outcome, Tried};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use crate::events::Event;
use crate::life::{Notes, Rest};
use crate::request::RunRequest;
use fault::Context;
use oci::{ContainerConfig, DiffId};
use runtime::{Bond, Caller, Exited, Manner, Overlay, Plan, Rootfs, Running, Start, Stdio};
use std::path::{Path, PathBuf};
use store::{Container, ContainerId, Exit, Held, Image, Shared};

/// Everything is checked, and but for a slot nothing is taken.
pub(crate) struct Decided<'a> {
    engine: &'a Engine,
    shared: Shared,
    image: Image,
    config: ContainerConfig,
    draft: Draft,
    plan: Plan,
    parent: Option<Parent<'a>>,
}

/// A container on disk that is held and has its ids.
pub(crate) struct Owned<'a> {
    engine: &'a Engine,
    made: Made<'a>,
    slot: Claimed,
    parent: Option<Parent<'a>>,
}

/// One whose processes only are missing.
pub(crate) struct Ready<'a> {
    pub(crate) owned: Owned<'a>,
    pub(crate) plan: Plan,
    layers: Vec<DiffId>,
    pub(crate) warnings: Vec<String>,
}

impl Engine {
    /// Decides about a new container.
    pub(crate) fn decide(&self, request: &RunRequest) -> Tried<Decided<'_>> {
        let shared = self.store.share().map_err(from_store)?;
        let image = self.image_to_run(&shared, request)?;
        let config = image.config().map_err(from_store)?.config;
        let id = ContainerId::random().map_err(from_store)?;
        let base = Base { config: &config, layers: &image.record.layers, blocks: &image.record.blocks };
        let mut draft = self.draft(id, request, base, None)?;
        let parent = self.parent_of(draft.cgroup_parent.take());
        let plan = Plan::new(&draft.spec).map_err(from_runtime)?;
        Ok(Decided { engine: self, shared, image, config, draft, plan, parent })
    }

    /// A container that was made before, to be started again from the same request.
    pub(crate) fn ready_again(&self, container: Container, request: &RunRequest) -> Tried<Ready<'_>> {
        let record = container.record.clone();
        let config = parsed(record.config.as_deref(), &record.name)?;
        let held = self.hold_ended(&record.id)?;
        held.set_stopped(false).map_err(from_store)?;
        let base = Base { config: &config, layers: &record.layers, blocks: &record.blocks };
        let mut draft = self.draft(record.id, request, base, None)?;
        let parent = self.parent_of(draft.cgroup_parent.take());
        self.ready_from(draft, self.made(held), parent)
    }

    /// One that has ended, and goes on with its slot. If that fails the end is recorded.
    pub(crate) fn ready_once_more<'a>(&'a self, owned: Owned<'a>, request: &RunRequest) -> Tried<Ready<'a>> {
        let Owned { made, slot, parent, .. } = owned;
        let record = &made.held().record;
        let config = parsed(record.config.as_deref(), &record.name)?;
        let base = Base { config: &config, layers: &record.layers, blocks: &record.blocks };
        let draft = self.draft(record.id, request, base, Some(slot))?;
        self.ready_from(draft, made, parent)
    }

    fn ready_from<'a>(
        &'a self,
        draft: Draft,
        made: Made<'a>,
        parent: Option<Parent<'a>>,
    ) -> Tried<Ready<'a>> {
        let plan = Plan::new(&draft.spec).map_err(from_runtime)?;
        made.held().refresh(&draft.etc).map_err(from_store)?;
        let layers = made.held().record.layers.clone();
        let Draft { slot, warnings, .. } = draft;
        Ok(Ready { owned: Owned { engine: self, made, slot, parent }, plan, layers, warnings })
    }

    /// One that was left by its monitor, with the slot that this had.
    pub(crate) fn taken_over(&self, held: Held, slot: store::Slot, request: &RunRequest) -> Owned<'_> {
        let parent = self.parent_of(super::draft::parent_group(request));
        Owned { engine: self, made: self.made(held), slot: Claimed::of(slot), parent }
    }

    /// The end of a container that its policy had started again, and that did not start.
    pub(crate) fn record_no_start(&self, id: &ContainerId, error: &Error) -> Result<()> {
        let container = self.store.container(&id.to_string()).map_err(from_store)?;
        // By now another command may have it.
        let Ok(held) = container.hold() else { return Ok(()) };
        let exit = Exit {
            code: crate::exit_code(error),
            oom: false,
            started: None,
            finished: jiff::Timestamp::now(),
            error: Some(error.to_string()),
            restarts: 0,
        };
        held.record_exit(&exit).map_err(from_store)
    }

    fn made(&self, held: Held) -> Made<'_> {
        let at_end = held.record.remove;
        Made { engine: self, held: Some(held), at_end, undone: false, untold: Vec::new(), told_oom: false }
    }

    fn parent_of(&self, path: Option<PathBuf>) -> Option<Parent<'_>> {
        path.map(|path| Parent { engine: self, path })
    }
}

/// What a record keeps for the next start.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(
    raw: Option<&serde_json::value::RawValue>,
    name: &store::Name,
) -> Result<T> {
    let raw = raw.or_err(Kind::Unsupported, || {
        format!("container `{name}` was made by a hull that could not start it again")
    })?;
    serde_json::from_str(raw.get())
        .or_err(Kind::Corrupt, || format!("read what container `{name}` is started from"))
}

impl<'a> Decided<'a> {
    /// Makes it appear.
    pub(crate) fn make(self, request: &RunRequest) -> Result<Ready<'a>> {
        let Self { engine, shared, image, config, draft, plan, parent } = self;
        let new = draft.new_container(&image, &config, request)?;
        let held = engine.store.create(&shared, new).map_err(from_store)?;
        drop(shared);
        let untold = vec![Event::of(&held.record, "create")];
        let made =
            Made { engine, held: Some(held), at_end: request.remove, undone: true, untold, told_oom: false };
        sys::step!("engine.run.created");
        let Draft { slot, warnings, .. } = draft;
        let owned = Owned { engine, made, slot, parent };
        Ok(Ready { owned, plan, layers: image.record.layers, warnings })
    }
}

impl<'a> Ready<'a> {
    /// Starts it over an overlay of its layers and its own directory, and says so in its slot.
    pub(crate) fn start(&mut self, stdio: Stdio, bond: Bond) -> Tried<Running> {
        let rootfs = Rootfs::Overlay(self.overlay()?);
        let (cgroups, caller) = (Some(&self.owned.engine.cgroups), Caller::now());
        let manner = Manner { bond, ..Manner::default() };
        let running = self.plan.start(Start { rootfs, stdio, cgroups, manner, caller })?;
        let pid = running.pid().as_raw_nonzero().get();
        self.owned.update(|slot| {
            slot.pid = Some(pid);
            slot.started = jiff::Timestamp::now();
            slot.monitor = rustix::process::getpid().as_raw_nonzero().get();
            Ok(())
        })?;
        Ok(running)
    }

    /// The image's layers over the skeleton, under the container's own directories.
    fn overlay(&self) -> Result<Overlay> {
        let held = self.owned.held();
        let own = |name: &str| Path::new(&held.path()).join(name);
        Ok(Overlay {
            upper: Some((own("upper"), own("work"))),
            volatile: self.owned.made.at_end,
            ..self.owned.engine.layers_of(&self.layers)?
        })
    }

    /// A container that was made stays, as it is.
    pub(crate) fn keep(self) -> Result<ContainerId> {
        let mut owned = self.owned;
        let id = owned.id();
        owned.made.tell();
        drop(owned.made.held.take());
        owned.slot.release()?;
        Ok(id)
    }
}

impl<'a> Owned<'a> {
    pub(crate) fn engine(&self) -> &'a Engine {
        self.engine
    }

    pub(crate) fn id(&self) -> ContainerId {
        self.made.held().record.id
    }

    /// It goes at its end.
    pub(crate) fn is_removed(&self) -> bool {
        self.made.at_end
    }

    /// What its slot says.
    pub(crate) fn running(&mut self) -> &store::Running {
        self.slot.slot().running()
    }

    /// Says something else in its slot.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut store::Running) -> Result<()>) -> Result<()> {
        let mut changed = Ok(());
        self.slot.slot().update(|running| changed = change(running)).map_err(from_store)?;
        changed
    }

    /// Forgets what only a start needs.
    pub(crate) fn lighten(&mut self) {
        self.made.held.iter_mut().for_each(Held::lighten);
    }

    /// Its control group.
    pub(crate) fn group(&mut self) -> Result<Option<cgroup::Cgroup>> {
        let engine = self.engine;
        engine.group_of(self.slot.slot().running())
    }

    /// It has ended and is to be started again after this time.
    pub(crate) fn rest(&mut self, exit: &Exit, rest: std::time::Duration) -> Result<()> {
        let until = exit.finished.checked_add(rest).unwrap_or(jiff::Timestamp::MAX);
        let rest = Rest { until, code: exit.code, ended: exit.finished };
        self.update(|slot| {
            slot.pid = None;
            Notes::of(slot).resting(rest).tell(slot)
        })
    }

    /// One more start by its policy.
    pub(crate) fn counts_restart(&mut self) -> Result<()> {
        self.update(|slot| Notes::of(slot).counted().tell(slot))
    }

    /// Processes of it were killed for want of memory, so many.
    pub(crate) fn ran_out_of_memory(&mut self, count: u64) {
        self.made.told_oom = true;
        (0..count).for_each(|_| self.note("oom"));
        self.made.tell();
    }

    /// Tells what happened to it now.
    pub(crate) fn report(&mut self, action: &str) {
        self.note(action);
        self.made.tell();
    }

    /// Remembers something to be told when the program runs.
    pub(crate) fn note(&mut self, action: &str) {
        let event = Event::of(&self.made.held().record, action);
        self.made.untold.push(event);
    }

    /// The program runs.
    pub(crate) fn begun(&mut self) {
        self.note("start");
        self.made.tell();
    }

    /// The container's directory.
    pub(crate) fn held(&self) -> &Held {
        self.made.held()
    }

    /// Another process has it now.
    pub(crate) fn leave(mut self) {
        self.made.untold.clear();
        drop(self.made.held.take());
        self.slot.leave();
        std::mem::forget(self.parent.take());
    }

    /// Records the end, and removes what the kernel has of it. The container is held still.
    pub(crate) fn end(
        &mut self,
        exited: Exited,
        failure: Option<&Error>,
        lost: Option<&Error>,
    ) -> Result<Exit> {
        let running = self.running();
        let (started, restarts) = (running.started, Notes::of(running).restarts);
        let exit = Exit {
            code: failure.map_or(exited.status.code(), crate::exit_code),
            oom: exited.oom_killed,
            started: failure.is_none().then_some(started),
            finished: jiff::Timestamp::now(),
            error: failure.or(lost).map(ToString::to_string).or_else(|| unseen(&exited)),
            restarts,
        };
        sys::step!("engine.run.exited");
        if failure.is_none() {
            self.made.end(&exit);
        }
        if !self.made.at_end {
            self.made.held().record_exit(&exit).map_err(from_store)?;
            self.made.tell();
        }
        exited.clean_up().map_err(from_runtime)?;
        sys::step!("engine.run.cleaned");
        Ok(exit)
    }

    /// Lets everything go, and removes a container that is not to be kept.
    pub(crate) fn close(self) -> Result<()> {
        self.made.close()?;
        self.slot.release()
    }

    /// The end, and all that follows it.
    pub(crate) fn finish(
        mut self,
        exited: Exited,
        failure: Option<Error>,
        lost: Option<Error>,
    ) -> Result<Outcome> {
        let id = self.id();
        let Exit { code, .. } = self.end(exited, failure.as_ref(), lost.as_ref())?;
        self.close()?;
        failure.map_or(Ok(Outcome { id, code }), Err)
    }
}

fn unseen(exited: &Exited) -> Option<String> {
    let is_unknown = exited.status == runtime::Status::Unknown;
    is_unknown.then(|| "its monitor was killed: how it ended is not known".into())
}

/// `--cgroup-parent`: goes with the last container in it, if it was made for one.
struct Parent<'a> {
    engine: &'a Engine,
    path: PathBuf,
}

impl Drop for Parent<'_> {
    fn drop(&mut self) {
        let _ = self.engine.cgroups.remove_made(&self.path);
    }
}

/// A container on disk, held.
struct Made<'a> {
    engine: &'a Engine,
    held: Option<Held>,
    /// It goes at its end.
    at_end: bool,
    /// It is new, and goes if nothing comes of it.
    undone: bool,
    /// What happened to it and is told together with what comes.
    untold: Vec<Event>,
    /// It was told that its memory ran out.
    told_oom: bool,
}

impl Made<'_> {
    fn held(&self) -> &Held {
        self.held.as_ref().expect("taken only by value")
    }

    fn tell(&mut self) {
        self.engine.report_all(std::mem::take(&mut self.untold));
    }

    fn end(&mut self, exit: &Exit) {
        let untold_oom = exit.oom && !std::mem::take(&mut self.told_oom);
        let event = |action| self.engine.event_of(self.held(), action);
        let oom = untold_oom.then(|| event("oom"));
        let events: Vec<_> = oom.into_iter().chain([event("die").ended(exit)]).collect();
        self.untold.extend(events);
    }

    /// The end: removed with `--rm`, kept otherwise.
    fn close(mut self) -> Result<()> {
        let held = self.held.take();
        if self.at_end { self.remove(held) } else { Ok(()) }
    }

    fn remove(&mut self, held: Option<Held>) -> Result<()> {
        let untold = std::mem::take(&mut self.untold);
        held.map_or(Ok(()), |held| self.engine.discard_after(untold, held).map(drop))
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let held = self.held.take();
        if self.undone {
            let _ = self.remove(held);
        }
    }
}

impl From<Ended> for Error {
    fn from(ended: Ended) -> Self {
        ended.into_error()
    }
}

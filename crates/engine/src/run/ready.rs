//! A container that is decided, then on disk: what comes before its processes, and after them.

use super::draft::{Base, Claimed, Draft};
use super::{Ended, Outcome, Tried};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use crate::events::Event;
use crate::request::RunRequest;
use fault::Context;
use oci::{ContainerConfig, DiffId};
use runtime::{Caller, Exited, Manner, Overlay, Plan, Rootfs, Running, Start, Stdio};
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

/// A container on disk that is held and has its ids: only its processes are missing.
pub(crate) struct Ready<'a> {
    engine: &'a Engine,
    made: Made<'a>,
    slot: Claimed,
    pub(crate) plan: Plan,
    layers: Vec<DiffId>,
    _parent: Option<Parent<'a>>,
    pub(crate) warnings: Vec<String>,
}

impl Engine {
    /// Decides about a new container.
    pub(crate) fn decide(&self, request: &RunRequest) -> Tried<Decided<'_>> {
        let shared = self.store.share().map_err(from_store)?;
        let image = self.image_to_run(&shared, request)?;
        let config = image.config().map_err(from_store)?.config;
        let id = ContainerId::random().map_err(from_store)?;
        let mut draft = self.draft(
            id,
            request,
            Base { config: &config, layers: &image.record.layers, blocks: &image.record.blocks },
        )?;
        let parent = self.parent_of(&mut draft);
        let plan = Plan::new(&draft.spec).map_err(from_runtime)?;
        Ok(Decided { engine: self, shared, image, config, draft, plan, parent })
    }

    /// A container that was made before, to be started again from the same request.
    pub(crate) fn ready_again(&self, container: Container, request: &RunRequest) -> Tried<Ready<'_>> {
        let record = container.record.clone();
        let config = parsed(record.config.as_deref(), &record.name)?;
        let held = container.hold().map_err(from_store)?;
        let mut draft = self.draft(
            record.id,
            request,
            Base { config: &config, layers: &record.layers, blocks: &record.blocks },
        )?;
        let parent = self.parent_of(&mut draft);
        let plan = Plan::new(&draft.spec).map_err(from_runtime)?;
        held.refresh(&draft.etc).map_err(from_store)?;
        let made =
            Made { engine: self, held: Some(held), at_end: record.remove, undone: false, untold: Vec::new() };
        let Draft { slot, warnings, .. } = draft;
        Ok(Ready { engine: self, made, slot, plan, layers: record.layers, _parent: parent, warnings })
    }

    fn parent_of(&self, draft: &mut Draft) -> Option<Parent<'_>> {
        draft.cgroup_parent.take().map(|path| Parent { engine: self, path })
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
        let made = Made { engine, held: Some(held), at_end: request.remove, undone: true, untold };
        sys::step!("engine.run.created");
        let Draft { slot, warnings, .. } = draft;
        Ok(Ready { engine, made, slot, plan, layers: image.record.layers, _parent: parent, warnings })
    }
}

impl Ready<'_> {
    pub(crate) fn id(&self) -> ContainerId {
        self.made.held().record.id
    }

    /// Starts it over an overlay of its layers and its own directory, and says so in its slot.
    pub(crate) fn start(&mut self, stdio: Stdio) -> Tried<Running> {
        let rootfs = Rootfs::Overlay(self.overlay()?);
        let (cgroups, caller) = (Some(&self.engine.cgroups), Caller::now());
        let running = self.plan.start(Start { rootfs, stdio, cgroups, manner: Manner::default(), caller })?;
        let (pid, monitor) = (running.pid(), rustix::process::getpid());
        let told = self.slot.slot().update(|slot| {
            slot.pid = Some(pid.as_raw_nonzero().get());
            slot.monitor = monitor.as_raw_nonzero().get();
            slot.started = jiff::Timestamp::now();
        });
        told.map_err(from_store)?;
        Ok(running)
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

    /// The image's layers over the skeleton, under the container's own directories.
    fn overlay(&self) -> Result<Overlay> {
        let held = self.made.held();
        let own = |name: &str| Path::new(&held.path()).join(name);
        Ok(Overlay {
            upper: Some((own("upper"), own("work"))),
            volatile: self.made.at_end,
            ..self.engine.layers_of(&self.layers)?
        })
    }

    /// The container's directory.
    pub(crate) fn held(&self) -> &Held {
        self.made.held()
    }

    /// A container that was made stays, as it is.
    pub(crate) fn keep(mut self) -> Result<ContainerId> {
        let id = self.id();
        self.made.tell();
        drop(self.made.held.take());
        self.slot.release()?;
        Ok(id)
    }

    /// Another process has it now.
    pub(crate) fn leave(mut self) {
        self.made.untold.clear();
        drop(self.made.held.take());
        self.slot.leave();
        std::mem::forget(self._parent.take());
    }

    /// Records the end, lets everything go, and removes a container that is not to be kept.
    pub(crate) fn finish(
        mut self,
        exited: Exited,
        failure: Option<Error>,
        lost: Option<Error>,
    ) -> Result<Outcome> {
        let id = self.id();
        let code = failure.as_ref().map_or(exited.status.code(), crate::exit_code);
        let oom_killed = exited.oom_killed;
        let exit = Exit {
            code,
            oom: oom_killed,
            started: Some(self.slot.slot().running().started),
            finished: jiff::Timestamp::now(),
            error: failure.as_ref().or(lost.as_ref()).map(ToString::to_string),
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
        self.made.close()?;
        self.slot.release()?;
        match failure {
            Some(error) => Err(error),
            None => Ok(Outcome { id, code, oom_killed }),
        }
    }
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
}

impl Made<'_> {
    fn held(&self) -> &Held {
        self.held.as_ref().expect("taken only by value")
    }

    fn tell(&mut self) {
        self.engine.report_all(std::mem::take(&mut self.untold));
    }

    fn end(&mut self, exit: &Exit) {
        let event = |action| self.engine.event_of(self.held(), action);
        let oom = exit.oom.then(|| event("oom"));
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

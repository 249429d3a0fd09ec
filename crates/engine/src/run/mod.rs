//! `hull run` in the foreground: from what was asked for to the exit code.
//!
//! ```text
//! RunRequest ─▶ Image ─▶ slot (ids) ─▶ Spec ─▶ Plan ─▶ container on disk ─▶ Running ─▶ exit ─▶ gone or kept
//! ```
//!
//! Every check is made before the container appears. Each thing that is made has a guard that unmakes it, so a
//! failure at any line leaves nothing; what a kill leaves, the next command takes ([`crate::cleanup`]).

mod draft;
mod joined;
mod keys;
mod pump;
mod relay;
mod streams;
mod terminal;

pub(crate) use draft::CGROUP_PARENT;

use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use crate::request::{Pull, RunRequest, UserNamespace};
use fault::Context;
use runtime::{Caller, Exited, Manner, Overlay, Plan, Rootfs, Start};
use rustix::fd::BorrowedFd;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use store::{ContainerId, Exit, Held, Image};

/// The caller's standard streams.
#[derive(Debug, Clone, Copy)]
pub struct HostStreams<'a> {
    /// Read from with `-i`.
    pub input: BorrowedFd<'a>,
    /// The container's standard output, or its terminal.
    pub output: BorrowedFd<'a>,
    /// The container's standard error.
    pub error: BorrowedFd<'a>,
}

impl<'a> HostStreams<'a> {
    fn all(&self) -> [BorrowedFd<'a>; 3] {
        [self.input, self.output, self.error]
    }
}

/// The environment variable that tells a sealed program where it lies; unset, it lies where the kernel says.
pub const PROGRAM: &str = "HULL_PROGRAM";

/// Puts the caller's binary out of reach of a container whose root may be the host's, by executing it once more; see
/// [`runtime::seal`]. Root of a range of hull's own cannot write to it anyway. To be called before anything that can
/// be read only once is read.
pub fn seal(
    userns: &UserNamespace,
    privileged: bool,
    program: PathBuf,
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<()> {
    if *userns == UserNamespace::Auto && !privileged {
        return Ok(());
    }
    runtime::seal(args, env.chain([(PROGRAM.into(), program.into())])).map_err(from_runtime)
}

/// How a foreground run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The container.
    pub id: ContainerId,
    /// Exit code as docker counts: the program's, or 128 plus the signal that killed it.
    pub code: i32,
    /// Was a process of the container killed for want of memory?
    pub oom_killed: bool,
}

impl Engine {
    /// Makes a container from an image, runs it with the caller's streams and waits for its end.
    ///
    /// `warn` is told, a line each, what could not be done as asked and what was done instead.
    ///
    /// # Errors
    /// Before the program runs: nothing is left, except that a container without `--rm` whose
    /// program could not be executed stays, as docker keeps it.
    pub fn run(
        &self,
        request: &RunRequest,
        host: HostStreams<'_>,
        warn: &mut dyn FnMut(&str),
    ) -> Result<Outcome> {
        check(request)?;
        self.bury()?;
        match self.try_run(request, host, warn) {
            Err(Ended::NotMappable(error)) if request.isolation.userns == UserNamespace::Auto => {
                warn(&format!("{error}: the container shares the host's user namespace instead"));
                let mut request = request.clone();
                request.isolation.userns = UserNamespace::Host;
                self.try_run(&request, host, warn).map_err(Ended::into_error)
            }
            other => other.map_err(Ended::into_error),
        }
    }

    fn try_run(
        &self,
        request: &RunRequest,
        host: HostStreams<'_>,
        warn: &mut dyn FnMut(&str),
    ) -> Tried<Outcome> {
        let shared = self.store.share().map_err(from_store)?;
        let image = self.image_to_run(&shared, request)?;
        let mut draft = self.draft(request, &image)?;
        let _parent = draft.cgroup_parent.take().map(|path| Parent { engine: self, path });
        let plan = Plan::new(&draft.spec).map_err(from_runtime)?;
        let signals = relay::Signals::block()?;
        keep_capabilities()?;
        let held = self.store.create(&shared, draft.new_container(&image, request)?).map_err(from_store)?;
        drop(shared);
        let made = Made { engine: self, held: Some(held), remove: request.remove };
        sys::step!("engine.run.created");
        write_note(request.cidfile.as_deref(), &draft.id, "container ID")?;
        draft.warnings.iter().for_each(|warning| warn(warning));
        let (running, ends) = self.start(&plan, made.held(), &image, request, host)?;
        running.warnings().iter().for_each(|warning| warn(warning));
        draft
            .slot
            .slot()
            .update(|slot| {
                slot.pid = Some(running.pid().as_raw_nonzero().get());
                slot.started = jiff::Timestamp::now();
            })
            .map_err(from_store)?;
        write_note(request.pidfile.as_deref(), &running.pid().as_raw_nonzero(), "pid")?;
        sys::step!("engine.run.started");
        let (exited, failure) = relay::attend(running, &request.streams, host, ends, &signals, warn)?;
        Ok(self.finish(made, draft.slot, exited, failure, draft.id)?)
    }

    /// Starts the plan over a fresh overlay of the image.
    fn start(
        &self,
        plan: &Plan,
        held: &Held,
        image: &Image,
        request: &RunRequest,
        host: HostStreams<'_>,
    ) -> Tried<(runtime::Running, relay::Ends)> {
        let (stdio, ends) = streams::wire(plan, &request.streams, host)?;
        let rootfs = Rootfs::Overlay(self.overlay(held, image, request.remove)?);
        let running = plan.start(Start {
            rootfs,
            stdio,
            cgroups: Some(&self.cgroups),
            manner: Manner::default(),
            caller: Caller::now(),
        })?;
        Ok((running, ends))
    }

    /// The image's layers over the skeleton, under the container's own directories.
    fn overlay(&self, held: &Held, image: &Image, volatile: bool) -> Result<Overlay> {
        let own = |name: &str| Path::new(&held.path()).join(name);
        Ok(Overlay {
            upper: Some((own("upper"), own("work"))),
            volatile,
            ..self.layers_of(&image.record.layers)?
        })
    }

    fn image_to_run(&self, shared: &store::Shared, request: &RunRequest) -> Result<Image> {
        let hint =
            "`hull load` or `hull import` brings an image; pulling from a registry is not available yet";
        if request.pull == Pull::Always {
            return Err(Error::new(
                Kind::Unsupported,
                format!("pull `{}`: no registry can be asked yet", request.image),
            )
            .with_hint("`--pull missing` uses the image that is here"));
        }
        let found = self.store.resolve(&request.image);
        let embedded = self.embedded_image(shared, &request.image, found.as_ref().ok())?;
        let image = match (embedded, found) {
            (Some(embedded), _) => embedded,
            (None, Err(error)) if *error.kind() == store::Kind::NotFound => {
                check_name(&request.image)?;
                return Err(from_store(error)
                    .with_hint(self.near_image(&request.image).unwrap_or_else(|| hint.into())));
            }
            (None, found) => found.map_err(from_store)?,
        };
        match &request.platform {
            Some(platform) => self.check_platform(&image, platform, &request.image).map(|()| image),
            None => Ok(image),
        }
    }

    /// An image whose name is nearly the one typed.
    fn near_image(&self, typed: &str) -> Option<String> {
        let names = self
            .store
            .tags()
            .ok()?
            .into_iter()
            .flat_map(|tag| [tag.name.familiar(), tag.name.familiar_name()])
            .chain(["hello".to_owned()]);
        let scored = names.map(|name| (strsim::damerau_levenshtein(&name, typed), name));
        let (_, name) = scored.min().filter(|(distance, name)| *distance <= 1 + name.len() / 5)?;
        Some(format!("did you mean `{name}`?"))
    }

    /// Records the end, lets everything go, and removes a container that is not to be kept.
    fn finish(
        &self,
        made: Made<'_>,
        mut slot: draft::Claimed,
        exited: Exited,
        failure: Option<Error>,
        id: ContainerId,
    ) -> Result<Outcome> {
        let code = failure.as_ref().map_or(exited.status.code(), crate::exit_code);
        let oom_killed = exited.oom_killed;
        let exit = Exit {
            code,
            oom: oom_killed,
            started: Some(slot.slot().running().started),
            finished: jiff::Timestamp::now(),
            error: failure.as_ref().map(ToString::to_string),
        };
        sys::step!("engine.run.exited");
        if !made.remove {
            made.held().record_exit(&exit).map_err(from_store)?;
        }
        exited.clean_up().map_err(from_runtime)?;
        sys::step!("engine.run.cleaned");
        made.close()?;
        slot.release()?;
        match failure {
            Some(error) => Err(error),
            None => Ok(Outcome { id, code, oom_killed }),
        }
    }
}

/// How a run came to nothing.
enum Ended {
    /// The same without a user namespace may work.
    NotMappable(Error),
    Otherwise(Error),
}

type Tried<T> = std::result::Result<T, Ended>;

impl Ended {
    fn into_error(self) -> Error {
        match self {
            Self::NotMappable(error) | Self::Otherwise(error) => error,
        }
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

impl From<runtime::Error> for Ended {
    fn from(error: runtime::Error) -> Self {
        match error.kind() {
            runtime::Kind::NotMappable => Self::NotMappable(from_runtime(error)),
            _ => Self::Otherwise(from_runtime(error)),
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

/// A container on disk that goes again unless it is kept.
struct Made<'a> {
    engine: &'a Engine,
    held: Option<Held>,
    remove: bool,
}

impl Made<'_> {
    fn held(&self) -> &Held {
        self.held.as_ref().expect("taken only by value")
    }

    /// The end: removed with `--rm`, kept otherwise.
    fn close(mut self) -> Result<()> {
        let held = self.held.take();
        if self.remove { self.remove(held) } else { Ok(()) }
    }

    fn remove(&self, held: Option<Held>) -> Result<()> {
        held.map_or(Ok(()), |held| self.engine.discard(held))
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let held = self.held.take();
        let _ = self.remove(held);
    }
}

/// What can be refused before anything is looked at.
fn check(request: &RunRequest) -> Result<()> {
    for (path, what) in [(&request.cidfile, "container ID"), (&request.pidfile, "pid")] {
        if let Some(path) = path.as_ref().filter(|path| path.exists()) {
            return Err(Error::new(
                Kind::Conflict,
                format!("{what} file `{}` is there already", path.display()),
            )
            .with_hint("make sure that no other container uses it, then delete it"));
        }
    }
    Ok(())
}

/// What can be no image's name is told as that.
fn check_name(image: &str) -> Result<()> {
    let parsed = image.parse::<oci::Reference>();
    parsed.map(drop).map_err(|error| Error::new(Kind::Invalid, "invalid reference format").caused_by(error))
}

/// Overlay mounts act with the file system ids of who mounts them; changing these must not cost capabilities.
fn keep_capabilities() -> Result<()> {
    use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)
        .or_err(Kind::Permission, || "keep capabilities through changes of id".into())
}

/// `--cidfile`, `--pidfile`: what the caller wants to find in a file.
fn write_note(path: Option<&Path>, note: &dyn std::fmt::Display, what: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, note.to_string())
        .or_err(Kind::Failed, || format!("write the {what} to `{}`", path.display()))
}

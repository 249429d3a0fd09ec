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
mod ready;
mod relay;
mod streams;
mod terminal;
pub(crate) mod waiting;

pub(crate) use draft::{CGROUP_PARENT, bounding_set, from_compose, raw, reserved};
pub(crate) use keys::Keys;
pub(crate) use ready::{Owned, Ready, parsed};
pub(crate) use relay::{Ends, PATIENCE, Signals, attend};
pub(crate) use streams::{attaches, wire};
pub(crate) use terminal::{Raw, size_of};

use crate::Engine;
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use crate::request::{RunRequest, UserNamespace};
use fault::Context;
use rustix::fd::BorrowedFd;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use store::{ContainerId, Image};

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
    pub(crate) fn all(&self) -> [BorrowedFd<'a>; 3] {
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
        check_files(request)?;
        self.bury()?;
        self.mappable(request, warn, |request, warn| match is_alone(request) {
            true => self.try_run(request, host, warn),
            false => self.run_watched(request, host, warn),
        })
    }

    /// Once more with the host's ids where the layers' file system cannot map them.
    pub(crate) fn mappable<T>(
        &self,
        request: &RunRequest,
        warn: &mut dyn FnMut(&str),
        mut act: impl FnMut(&RunRequest, &mut dyn FnMut(&str)) -> Tried<T>,
    ) -> Result<T> {
        match act(request, warn) {
            Err(Ended::NotMappable(error)) if request.isolation.userns == UserNamespace::Auto => {
                warn(&format!("{error}: the container shares the host's user namespace instead"));
                let mut request = request.clone();
                request.isolation.userns = UserNamespace::Host;
                act(&request, warn).map_err(Ended::into_error)
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
        let decided = self.decide(request)?;
        let signals = Signals::block()?;
        keep_capabilities()?;
        let mut ready = decided.make(request)?;
        ready.owned.note("attach");
        write_note(request.cidfile.as_deref(), &ready.owned.id(), "container ID")?;
        ready.warnings.iter().for_each(|warning| warn(warning));
        let log = crate::life::log_in_foreground(ready.owned.held(), request)?;
        let (stdio, mut ends) = match crate::life::own_streams(&request.streams)? {
            Some(own) => (runtime::Stdio::Streams(own), Ends::default()),
            None => wire(&ready.plan, &request.streams, size_of(&host.all()))?,
        };
        ends.log = log;
        let running = ready.start(stdio, runtime::Bond::Maker)?;
        running.warnings().iter().for_each(|warning| warn(warning));
        write_note(request.pidfile.as_deref(), &running.pid().as_raw_nonzero(), "pid")?;
        sys::step!("engine.run.started");
        let begun = &mut || ready.owned.begun();
        let (exited, failure, lost) = attend(running, &request.streams, host, ends, &signals, begun, warn)?;
        Ok(ready.owned.finish(exited, failure, lost)?)
    }

    fn image_to_run(&self, shared: &store::Shared, request: &RunRequest) -> Result<Image> {
        let found = self.store.resolve(&request.image);
        let embedded = self.embedded_image(shared, &request.image, found.as_ref().ok())?;
        let image = match (embedded, found) {
            (Some(embedded), _) => embedded,
            (None, Err(error)) if *error.kind() == store::Kind::NotFound => {
                check_name(&request.image)?;
                let near = self.near_image(&request.image);
                let error = from_store(error);
                return Err(near.into_iter().fold(error, |error, near| error.with_hint(near)));
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
}

/// A container that goes at its end and has no terminal to detach from is nobody's but the caller's: that is its
/// monitor. Any other has one of its own, and outlives the caller.
fn is_alone(request: &RunRequest) -> bool {
    request.remove && !request.streams.tty || request.streams.log.name() == "passthrough"
}

/// How a run came to nothing.
pub(crate) enum Ended {
    /// The same without a user namespace may work.
    NotMappable(Error),
    Otherwise(Error),
}

pub(crate) type Tried<T> = std::result::Result<T, Ended>;

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

/// `--cidfile`, `--pidfile`: what is there already is another container's.
pub(crate) fn check_files(request: &RunRequest) -> Result<()> {
    crate::life::check_log(&request.streams)?;
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
pub(crate) fn keep_capabilities() -> Result<()> {
    use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)
        .or_err(Kind::Permission, || "keep capabilities through changes of id".into())
}

/// `--cidfile`, `--pidfile`: what the caller wants to find in a file.
pub(crate) fn write_note(path: Option<&Path>, note: &dyn std::fmt::Display, what: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, note.to_string())
        .or_err(Kind::Failed, || format!("write the {what} to `{}`", path.display()))
}

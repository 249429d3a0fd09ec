//! What was typed, what it means, what is printed.
//!
//! ```text
//! argv ──flags──▶ Typed ──command──▶ request ──engine──▶ data ──render──▶ stdout
//!                    └──────── Mistake, Error ──edge──▶ stderr, exit code
//! ```
//!
//! The only crate that prints, and with [`Caller`] the only one that reads the environment. It decides nothing
//! of what a container or an image is. No start-up work: the one command's table is all that is touched.

mod command;
mod edge;
mod fit;
mod flags;
mod help;
mod progress;
mod remote;
mod render;
mod sheet;

use engine::Engine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where everything is kept, unless it is moved.
const ROOT: &str = "/var/lib/hull";

/// Who called, and from where.
#[derive(Debug)]
pub(crate) struct Caller {
    root: PathBuf,
    run: PathBuf,
}

impl Caller {
    /// `--root`, or `HULL_ROOT`, moves everything that is kept; what a reboot ends is then below it, too.
    fn new(root: Option<PathBuf>) -> Self {
        let moved =
            root.or_else(|| std::env::var_os("HULL_ROOT").filter(|root| !root.is_empty()).map(PathBuf::from));
        match moved {
            Some(root) => {
                let root = std::path::absolute(&root).unwrap_or(root);
                Self { run: root.join("run"), root }
            }
            None => Self { root: ROOT.into(), run: "/run/hull".into() },
        }
    }

    /// The engine over the caller's root, which is made if it is not there.
    pub(crate) fn engine(&self) -> Result<Engine, edge::Failure> {
        self.check_root()?;
        Ok(Engine::open(&self.root, &self.run)?.with_notices(edge::warn))
    }

    /// The engine for a command that makes nothing: what is not there is not made.
    pub(crate) fn look(&self) -> Result<Engine, edge::Failure> {
        self.check_root()?;
        raise_descriptors();
        Ok(Engine::look(&self.root, &self.run)?.with_notices(edge::warn))
    }

    /// Where everything is kept,
    pub(crate) fn kept(&self) -> &Path {
        &self.root
    }

    /// and the same where it was moved.
    pub(crate) fn moved(&self) -> Option<PathBuf> {
        (self.root != Path::new(ROOT)).then(|| self.root.clone())
    }

    pub(crate) fn check_root(&self) -> Result<(), edge::Failure> {
        if rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let mistake =
            flags::Mistake::new("hull must be run as root for now: it makes namespaces, mounts and cgroups");
        Err(mistake.with_hint("`sudo hull …`; rootless containers are not available yet").into())
    }

    /// A variable of the caller's environment.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// A path as the caller means it.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }
}

/// A container's directories may lie deeper than descriptors are allowed by default, and each is held while what is
/// below it is looked at. Nothing is started by who only looks, so that nobody inherits this.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Runs the command line (without the program's name) and gives the exit code.
pub fn main(args: impl Iterator<Item = OsString>) -> i32 {
    if let Some(step) = std::env::var_os("HULL_KILL_AT") {
        sys::step::kill_at(step.to_string_lossy().into_owned());
    }
    let (code, failure) = command::dispatch(args.collect());
    failure.iter().for_each(edge::tell);
    code
}

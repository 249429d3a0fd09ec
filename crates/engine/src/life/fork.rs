//! A process that outlives its maker, and what it says before they part.

use crate::error::{Error, Kind, Result};
use crate::run::{Ended, Tried};
use fault::Context;
use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use sys::process::{Birth, Clone3, clone3};

/// Which of the two goes on here.
pub(crate) enum Fork {
    /// The new process: no terminal, no streams, a session of its own.
    Monitor(Word),
    /// Who made it.
    Maker(Heard),
}

/// The monitor's way to tell its maker.
pub(crate) struct Word(File);

/// The maker's end of it.
pub(crate) struct Heard(File);

#[derive(Serialize, Deserialize)]
enum Told {
    Warning(String),
    /// The program runs, as this process.
    Runs(i32),
    Failed {
        kind: Kind,
        words: Vec<String>,
        hint: Option<String>,
        mappable: bool,
    },
}

/// Two processes from here on. This one must have a single thread.
pub(crate) fn fork() -> Result<Fork> {
    let failed = || "make a monitor".to_owned();
    let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).or_err(Kind::Failed, failed)?;
    match clone3(&Clone3::default()).or_err(Kind::Failed, failed)? {
        Birth::Parent { .. } => Ok(Fork::Maker(Heard(pipe.0.into()))),
        Birth::Child => {
            drop(pipe.0);
            let word = Word(pipe.1.into());
            match stand_alone() {
                Ok(()) => Ok(Fork::Monitor(word)),
                Err(error) => {
                    word.failed(Ended::Otherwise(error));
                    sys::process::exit_now(1)
                }
            }
        }
    }
}

/// Lets go of the maker's session, streams, directory and of what else it was given.
fn stand_alone() -> Result<()> {
    let part = || -> rustix::io::Result<()> {
        rustix::process::setsid()?;
        rustix::process::chdir(c"/")?;
        let null = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        sys::process::close_inherited()?;
        // Only SIGKILL ends it: to end a container is what `hull stop` is for.
        sys::signal::block_exactly(&sys::signal::Set::full()).map(drop)
    };
    part().or_err(Kind::Failed, || "part from the caller".into())
}

impl Word {
    pub(crate) fn warn(&mut self, text: &str) {
        self.tell(&Told::Warning(text.to_owned()));
    }

    pub(crate) fn runs(mut self, pid: i32) {
        self.tell(&Told::Runs(pid));
    }

    pub(crate) fn failed(mut self, ended: Ended) {
        let mappable = matches!(ended, Ended::NotMappable(_));
        let error: Error = ended.into();
        let hint = error.hint().map(str::to_owned);
        self.tell(&Told::Failed { kind: *error.kind(), words: error.words(), hint, mappable });
    }

    /// Nobody may listen any more, which is nobody's harm.
    fn tell(&mut self, told: &Told) {
        let mut line = serde_json::to_vec(told).unwrap_or_default();
        line.push(b'\n');
        let _ = self.0.write_all(&line);
    }
}

impl Heard {
    /// Waits until the program runs; its pid.
    pub(crate) fn listen(self, warn: &mut dyn FnMut(&str)) -> Tried<i32> {
        for line in BufReader::new(self.0).lines() {
            let line = line.or_err(Kind::Failed, || "hear from the monitor".into())?;
            match serde_json::from_str(&line) {
                Ok(Told::Warning(text)) => warn(&text),
                Ok(Told::Runs(pid)) => return Ok(pid),
                Ok(Told::Failed { kind, words, hint, mappable }) => {
                    let error = chained(kind, words, hint);
                    return Err(if mappable { Ended::NotMappable(error) } else { Ended::Otherwise(error) });
                }
                Err(_) => break,
            }
        }
        Err(Ended::Otherwise(Error::new(
            Kind::Failed,
            "the container's monitor ended before its program ran",
        )))
    }
}

/// An error as it was on the other side.
fn chained(kind: Kind, words: Vec<String>, hint: Option<String>) -> Error {
    let mut words = words.into_iter();
    let what = words.next().unwrap_or_default();
    let cause = words.rev().fold(None, |cause: Option<fault::Error<Kind>>, what| {
        let error = Error::new(kind, what);
        Some(match cause {
            Some(cause) => error.caused_by(cause),
            None => error,
        })
    });
    let error = Error::new(kind, what);
    let error = match cause {
        Some(cause) => error.caused_by(cause),
        None => error,
    };
    hint.into_iter().fold(error, Error::with_hint)
}

//! The writer's end, whoever keeps the log.

use crate::journald::Journal;
use crate::line::{Cutter, Piece};
use crate::loss::Loss;
use crate::option::{Config, Driver};
use crate::remote::Remote;
use crate::syslog::{Address, Syslog};
use crate::{Error, Kind, Lost, Result, Stream, Subject, hull, json, tag};
use fault::Context;
use jiff::Timestamp;
use rustix::fd::BorrowedFd;
use std::time::Instant;

/// Takes what a container writes. Nothing is made before the first byte.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    cutter: Cutter,
}

#[derive(Debug)]
enum Sink {
    Nobody,
    Hull(hull::Writer),
    Json(json::Writer, Loss),
    Remote(Form, Remote),
}

/// How a server is spoken to.
#[derive(Debug)]
enum Form {
    Journald(Journal),
    Syslog(Syslog),
}

impl Form {
    fn message(&mut self, time: Timestamp, piece: Piece<'_>) -> Vec<u8> {
        match self {
            Self::Journald(journal) => journal.message(time, piece),
            Self::Syslog(syslog) => syslog.message(time, piece),
        }
    }
}

impl Log {
    /// Opens it for a container of this directory, to go on where another writer stopped.
    ///
    /// # Errors
    /// [`Kind::Failed`] where a server is not there, or the directory cannot be read.
    pub fn open(container: BorrowedFd<'_>, config: &Config, subject: &Subject) -> Result<Self> {
        let sink = sink(container, config, subject).map_err(|error| {
            let kind = *error.kind();
            Error::new(kind, "failed to initialize logging driver").caused_by(error)
        })?;
        Ok(Self { sink, cutter: Cutter::default() })
    }

    /// One that keeps nothing.
    pub fn nobody() -> Self {
        Self { sink: Sink::Nobody, cutter: Cutter::default() }
    }

    /// Takes what was read at one time.
    ///
    /// # Errors
    /// What could not be kept is lost and counted: the next that is kept tells of it.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
        let cutter = &mut self.cutter;
        let now = Timestamp::now();
        match &mut self.sink {
            Sink::Nobody => Ok(()),
            Sink::Hull(writer) => writer.write(stream, bytes),
            Sink::Json(writer, loss) => {
                let mut rows = Vec::with_capacity(bytes.len() + bytes.len() / 2 + 128);
                let note = loss.note();
                let told = note.as_deref().map(|note| Piece {
                    stream: Stream::Note,
                    text: note.trim_end().as_bytes(),
                    ends: true,
                    part: None,
                });
                told.into_iter().for_each(|piece| writer.row(&mut rows, now, piece));
                cutter.feed(stream, bytes, &mut |piece| writer.row(&mut rows, now, piece));
                keep(writer, loss, &rows, bytes.len())
            }
            Sink::Remote(form, remote) => {
                tell(form, remote, now);
                cutter.feed(stream, bytes, &mut |piece| remote.send(form.message(now, piece)));
                Ok(())
            }
        }
    }

    /// What becomes writable when a server takes more of what waits for it; then, and at the moment that [`Self::due`]
    /// names, [`Self::go_on`].
    pub fn awaited(&self) -> Option<BorrowedFd<'_>> {
        self.remote().and_then(Remote::awaited)
    }

    /// When to go on at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.remote().and_then(Remote::due)
    }

    /// A server is slow, and the container is to be as slow: nothing more is to be brought. That ends by itself after a
    /// few seconds.
    pub fn is_behind(&self) -> bool {
        self.remote().is_some_and(Remote::is_behind)
    }

    /// Gives a server what it takes now.
    pub fn go_on(&mut self) {
        if let Sink::Remote(_, remote) = &mut self.sink {
            remote.flush();
        }
    }

    fn remote(&self) -> Option<&Remote> {
        match &self.sink {
            Sink::Remote(_, remote) => Some(remote),
            _ => None,
        }
    }

    /// Nothing more comes. What a server has not taken yet may still go until [`Self::is_behind`] is over.
    pub fn close(&mut self) {
        let Sink::Remote(form, remote) = &mut self.sink else { return };
        let now = Timestamp::now();
        self.cutter.finish(&mut |piece| remote.send(form.message(now, piece)));
        tell(form, remote, now);
        remote.close();
    }

    /// How far it is, to be asked later, and over a new start, whether it [is past](Self::is_past) that.
    pub fn mark(&self) -> (u64, u64) {
        if let Sink::Hull(writer) = &self.sink { writer.mark() } else { (0, 0) }
    }

    /// Whether something was written since it was there; no where that is not known.
    pub fn is_past(&self, mark: (u64, u64)) -> bool {
        if let Sink::Hull(writer) = &self.sink { writer.is_past(mark) } else { false }
    }

    /// The end: gives what was held back, and says what was lost.
    pub fn finish(&mut self) -> Lost {
        self.close();
        let cutter = &mut self.cutter;
        let now = Timestamp::now();
        match &mut self.sink {
            Sink::Nobody => Lost::default(),
            Sink::Hull(writer) => writer.finish(),
            Sink::Json(writer, loss) => {
                let mut rows = Vec::new();
                cutter.finish(&mut |piece| writer.row(&mut rows, now, piece));
                if !rows.is_empty() {
                    let _ = keep(writer, loss, &rows, rows.len());
                }
                loss.all
            }
            Sink::Remote(_, remote) => {
                remote.finish();
                remote.loss.all
            }
        }
    }
}

/// What a server did not take is told before what it may take now.
fn tell(form: &mut Form, remote: &mut Remote, now: Timestamp) {
    let Some(note) = remote.loss.note() else { return };
    let before = remote.loss.all;
    let text = note.trim_end().as_bytes();
    remote.send(form.message(now, Piece { stream: Stream::Note, text, ends: true, part: None }));
    if remote.loss.all == before {
        remote.loss.told();
    } else {
        // The note itself is no output of the container's.
        remote.loss.uncount(before);
    }
}

fn keep(writer: &mut json::Writer, loss: &mut Loss, rows: &[u8], bytes: usize) -> std::io::Result<()> {
    let kept = writer.write(rows);
    match &kept {
        Ok(()) => loss.told(),
        Err(error) => loss.count(bytes, error.raw_os_error().map(std::io::Error::from_raw_os_error)),
    }
    kept
}

fn sink(container: BorrowedFd<'_>, config: &Config, subject: &Subject) -> Result<Sink> {
    let choice = &config.choice;
    match config.driver {
        Driver::None | Driver::Passthrough => Ok(Sink::Nobody),
        Driver::Hull => {
            let writer = hull::Writer::open(container, config.limits);
            writer.or_err(Kind::Failed, || "open the container's log".into()).map(Sink::Hull)
        }
        Driver::JsonFile => {
            let attributes = tag::details(config, subject)?;
            let writer = json::Writer::new(container, &subject.id, config.limits, attributes);
            let writer = writer.or_err(Kind::Failed, || "open the container's log".into())?;
            Ok(Sink::Json(writer, Loss::default()))
        }
        Driver::Journald => {
            let remote = Remote::open(Journal::place(), config.mode);
            let remote = remote.or_err(Kind::Failed, || "journald is not enabled on this host".into())?;
            Ok(Sink::Remote(Form::Journald(Journal::new(choice, subject)?), remote))
        }
        Driver::Syslog => {
            let address = Address::of(choice)?;
            let syslog = Syslog::new(&address, choice, subject)?;
            let remote = Remote::open(address.place, config.mode);
            let remote = remote.or_err(Kind::Failed, || "reach the syslog server".into())?;
            Ok(Sink::Remote(Form::Syslog(syslog), remote))
        }
    }
}

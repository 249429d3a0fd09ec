//! The reader's end, of what keeps logs on this host's disk.

use crate::option::{Config, Driver};
use crate::segments::Segments;
use crate::{Entry, Error, Kind, Result, json};
use jiff::Timestamp;
use rustix::fd::AsFd;

/// Reads a log: from its beginning, or from where it was set.
pub struct Reader(Kept);

enum Kept {
    Nothing,
    Hull(Segments),
    Json(json::Reader),
}

impl Reader {
    /// Opens the log of the container of this directory; an empty one where nothing was written yet.
    ///
    /// # Errors
    /// [`Kind::NotReadable`] where the driver gives everything away; docker's words.
    pub fn open(container: impl AsFd, config: &Config, id: &str) -> Result<Self> {
        let kept = match config.driver() {
            Driver::Hull => Segments::open(container)?.map(Kept::Hull),
            Driver::JsonFile => json::Reader::open(container, id)?.map(Kept::Json),
            _ => {
                return Err(Error::new(
                    Kind::NotReadable,
                    "configured logging driver does not support reading",
                ));
            }
        };
        Ok(Self(kept.unwrap_or(Kept::Nothing)))
    }

    /// Nothing was written when it was opened.
    pub fn is_nothing(&self) -> bool {
        matches!(self.0, Kept::Nothing)
    }

    /// Goes to what was written at this time or later.
    pub fn since(&mut self, time: Timestamp) -> Result<()> {
        match &mut self.0 {
            Kept::Nothing => Ok(()),
            Kept::Hull(segments) => segments.since(time),
            Kept::Json(reader) => {
                reader.since(time);
                Ok(())
            }
        }
    }

    /// Goes to where the last lines begin.
    pub fn tail(&mut self, lines: u64) -> Result<()> {
        match &mut self.0 {
            Kept::Nothing => Ok(()),
            Kept::Hull(segments) => segments.tail(lines),
            Kept::Json(reader) => reader.tail(lines),
        }
    }

    /// The next of what is there by now; false: no more.
    pub fn next(&mut self, entry: &mut Entry) -> Result<bool> {
        match &mut self.0 {
            Kept::Nothing => Ok(false),
            Kept::Hull(segments) => segments.next(entry),
            Kept::Json(reader) => reader.next(entry),
        }
    }
}

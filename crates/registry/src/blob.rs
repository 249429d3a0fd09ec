//! A blob's bytes as they come, over as many connections as it takes.

use crate::answer::Answer;
use crate::error::{Error, Kind, Result};
use crate::repository::Place;
use oci::Descriptor;
use std::io::Read;
use std::thread::sleep;
use ureq::http::Method;

/// The bytes of a blob, exactly as many as its descriptor says; an error where a registry has fewer or more.
pub struct BlobReader {
    place: Place,
    blob: Descriptor,
    body: ureq::BodyReader<'static>,
    /// How many have been handed out, counted from the blob's beginning.
    at: u64,
    /// Connections that brought nothing, one after another.
    fruitless: u32,
}

/// An error of the registry's, as one of reading.
#[derive(Debug)]
struct Told(Error);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.line())
    }
}

impl std::error::Error for Told {}

/// The error behind a failed read of a [`BlobReader`].
pub(crate) fn error_of(error: std::io::Error, what: String) -> Error {
    let kind = error.get_ref().and_then(|inner| inner.downcast_ref::<Told>()).map(|told| *told.0.kind());
    Error::new(kind.unwrap_or(Kind::Unreachable), what).caused_by(error)
}

impl BlobReader {
    pub(crate) fn open(place: Place, blob: &Descriptor, from: u64) -> Result<Self> {
        let body = fetch(&place, blob, from)?;
        Ok(Self { place, blob: blob.clone(), body, at: from, fruitless: 0 })
    }

    fn what(&self) -> String {
        what(&self.blob)
    }

    /// Another connection, from where the last one broke.
    fn go_on(&mut self, why: std::io::Error) -> std::io::Result<()> {
        self.fruitless += 1;
        let Some(rest) = self.place.site.rest(self.fruitless) else { return Err(why) };
        sleep(rest);
        self.body =
            fetch(&self.place, &self.blob, self.at).map_err(|error| std::io::Error::other(Told(error)))?;
        Ok(())
    }

    fn too_long(&self) -> std::io::Error {
        let what = format!("{}: the registry sends more than {} bytes", self.what(), self.blob.size);
        std::io::Error::new(std::io::ErrorKind::InvalidData, Told(Error::new(Kind::Corrupt, what)))
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.body.read(buffer)?;
        match (length, self.blob.size - self.at) {
            (0, 0) => Ok(0),
            (0, _) => {
                Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection ended early"))
            }
            (length, left) if length as u64 > left => Err(self.too_long()),
            (length, _) => Ok(length),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.read_some(buffer) {
                Ok(length) => {
                    self.at += length as u64;
                    self.fruitless = if length > 0 { 0 } else { self.fruitless };
                    return Ok(length);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(error),
                Err(error) => self.go_on(error)?,
            }
        }
    }
}

fn what(blob: &Descriptor) -> String {
    format!("fetch blob `{}`", blob.digest)
}

/// From an offset on. A registry that cannot do that sends all, and the beginning is passed over.
fn fetch(place: &Place, blob: &Descriptor, from: u64) -> Result<ureq::BodyReader<'static>> {
    let what = what(blob);
    let ask = place.ask(Method::GET, &format!("blobs/{}", blob.digest));
    let ask = if from > 0 { ask.with("range", format!("bytes={from}-")) } else { ask };
    let answer = place.site.ask(&ask, &place.pull(), &what)?;
    let starts = match answer.status {
        200 => 0,
        206 => range_start(&answer).filter(|start| *start == from).ok_or_else(|| {
            Error::new(
                Kind::Corrupt,
                format!("{what}: asked for what follows byte {from}, the registry sends something else"),
            )
        })?,
        416 if from == blob.size => return Ok(empty(answer)),
        _ => return Err(place.site.refused(answer, &what)),
    };
    let promised = blob.size - starts;
    if let Some(length) = answer.length().filter(|length| *length != promised) {
        let what = format!("{what}: {length} bytes where {promised} are promised");
        return Err(Error::new(Kind::Corrupt, what));
    }
    let mut body = answer.reader();
    let passed = std::io::copy(&mut (&mut body).take(from - starts), &mut std::io::sink());
    passed.map_err(|error| Error::new(Kind::Unreachable, what).caused_by(error))?;
    Ok(body)
}

fn empty(answer: Answer) -> ureq::BodyReader<'static> {
    drop(answer);
    ureq::Body::builder().data(Vec::new()).into_reader()
}

/// `Content-Range: bytes 7-99/100`, RFC 9110 section 14.4.
fn range_start(answer: &Answer) -> Option<u64> {
    answer.header("content-range")?.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

//! Pushing blobs: distribution-spec "Pushing Blobs".

use crate::answer::Answer;
use crate::error::{Error, Kind, Result};
use crate::http::{Ask, authority, is_downgrade, resolve_url};
use crate::repository::{Place, Repository};
use crate::site::Scope;
use oci::{Descriptor, Digest, Reference};
use std::io::Read;
use std::thread::sleep;
use ureq::http::Method;

/// Where a blob's bytes come from; opened again from an offset when a connection broke.
pub trait BlobSource {
    /// The bytes from an offset on.
    fn open(&self, from: u64) -> std::io::Result<Box<dyn Read + '_>>;
}

impl BlobSource for [u8] {
    fn open(&self, from: u64) -> std::io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default()))
    }
}

/// How a blob came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Existed,
    /// Taken over from another repository of the registry.
    Mounted,
    /// Sent.
    Sent,
}

/// An upload that was begun.
struct Session<'a> {
    place: &'a Place,
    scope: Scope,
    url: String,
    what: String,
}

impl Repository<'_> {
    /// Puts a blob there, if it is not there yet: taken over from `from`, a repository of the same registry, where that
    /// is allowed, else sent.
    pub fn push_blob(
        &self,
        blob: &Descriptor,
        source: &(impl BlobSource + ?Sized),
        from: Option<&Reference>,
    ) -> Result<Pushed> {
        if self.has_blob(&blob.digest)? {
            return Ok(Pushed::Existed);
        }
        let place = self.own()?;
        let begun =
            Session::begin(&place, &blob.digest, from.filter(|from| from.domain() == self.name().domain()))?;
        let Some(mut session) = begun else { return Ok(Pushed::Mounted) };
        session.send(blob, source)?;
        Ok(Pushed::Sent)
    }

    /// Takes a blob over from another repository of the same registry. Whether that was allowed, and it is there.
    pub fn mount(&self, blob: &Descriptor, from: &Reference) -> Result<bool> {
        if from.domain() != self.name().domain() {
            return Ok(false);
        }
        let place = self.own()?;
        match Session::begin(&place, &blob.digest, Some(from))? {
            None => Ok(true),
            Some(session) => session.cancel().map(|()| false),
        }
    }

    /// Sends a blob whose digest and size are known when its last byte was read: `finish` tells them.
    pub fn push_stream(
        &self,
        body: &mut dyn Read,
        finish: impl FnOnce() -> Result<Descriptor>,
    ) -> Result<Descriptor> {
        let place = self.own()?;
        let what = format!("push a layer to `{}`", self.name().familiar_name());
        let mut session = Session::start(&place, place.push(), what)?;
        let ask = session.ask(Method::PATCH).with("content-type", "application/octet-stream");
        let answer = place.site.send(&ask, &session.scope, body, None, &session.what)?;
        session.go_on(answer)?;
        let blob = finish()?;
        session.finish(&blob.digest)?;
        Ok(blob)
    }
}

impl<'a> Session<'a> {
    /// A session for the blob, or none where the registry took it over from another repository.
    fn begin(place: &'a Place, digest: &Digest, from: Option<&Reference>) -> Result<Option<Self>> {
        let what = format!("push blob `{digest}`");
        let Some(from) = from else { return Self::start(place, place.push(), what).map(Some) };
        let scope = [place.push(), vec![format!("repository:{}:pull", from.path())]].concat();
        let rest = format!("blobs/uploads/?mount={digest}&from={}", crate::token::encode(from.path()));
        let answer = place.site.ask(&place.ask(Method::POST, &rest), &scope, &what)?;
        match answer.status {
            201 => {
                answer.finish();
                Ok(None)
            }
            202 => {
                let mut session = Self { place, scope: place.push(), url: String::new(), what };
                session.go_on(answer).map(|()| Some(session))
            }
            // The other repository is not to be read by this user, or the registry does not know how.
            _ => {
                answer.finish();
                Self::start(place, place.push(), what).map(Some)
            }
        }
    }

    fn start(place: &'a Place, scope: Scope, what: String) -> Result<Self> {
        let answer = place.site.expect(&place.ask(Method::POST, "blobs/uploads/"), &scope, &[202], &what)?;
        let mut session = Self { place, scope, url: String::new(), what };
        session.go_on(answer).map(|()| session)
    }

    /// Nothing will be sent.
    fn cancel(self) -> Result<()> {
        let answer = self.place.site.ask(&self.ask(Method::DELETE), &self.scope, &self.what)?;
        // A registry that keeps it for a while does no harm.
        answer.finish();
        Ok(())
    }

    fn ask(&self, method: Method) -> Ask {
        Ask::new(method, self.url.clone(), self.place.site.insecure)
    }

    /// All bytes in one request; after a break, from where the registry says that it has them.
    fn send(&mut self, blob: &Descriptor, source: &(impl BlobSource + ?Sized)) -> Result<()> {
        let (mut at, mut tried) = (0, 0);
        loop {
            let sent = self.send_from(blob, source, at);
            let Err(error) = sent else { break };
            tried += 1;
            let rest = self.place.site.rest(tried).filter(|_| *error.kind() == Kind::Unreachable);
            let Some(rest) = rest else { return Err(error) };
            sleep(rest);
            let reached = self.reached().map_err(|_| error)?;
            tried = if reached > at { 0 } else { tried };
            at = reached;
        }
        self.finish(&blob.digest)
    }

    fn send_from(&mut self, blob: &Descriptor, source: &(impl BlobSource + ?Sized), at: u64) -> Result<()> {
        if at >= blob.size && blob.size > 0 {
            return Ok(());
        }
        let io = |error: std::io::Error| Error::new(Kind::Io, &*self.what).caused_by(error);
        let mut body = source.open(at).map_err(io)?;
        let ask = self.ask(Method::PATCH).with("content-type", "application/octet-stream");
        let range = format!("{at}-{}", blob.size.saturating_sub(1));
        let ask = if at > 0 { ask.with("content-range", range) } else { ask };
        let answer = self.place.site.send(&ask, &self.scope, &mut body, Some(blob.size - at), &self.what)?;
        self.go_on(answer)
    }

    /// How many bytes the registry has.
    fn reached(&mut self) -> Result<u64> {
        let answer = self.place.site.expect(&self.ask(Method::GET), &self.scope, &[204], &self.what)?;
        let range = answer.header("range").and_then(|range| range.rsplit('-').next()?.parse::<u64>().ok());
        let place = answer.header("location").map(str::to_owned);
        if let Some(place) = place {
            self.url = self.next(&answer.url, &place)?;
        }
        Ok(range.map_or(0, |last| if last == 0 { 0 } else { last + 1 }))
    }

    fn finish(self: &mut Session<'a>, digest: &Digest) -> Result<()> {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}digest={}", self.url, crate::token::encode(digest.as_str()));
        let ask = Ask::new(Method::PUT, url, self.place.site.insecure)
            .with("content-type", "application/octet-stream");
        let answer = self.place.site.expect(&ask, &self.scope, &[201, 204], &self.what)?;
        answer.finish();
        Ok(())
    }

    /// Takes the place of the next request from an answer.
    fn go_on(&mut self, answer: Answer) -> Result<()> {
        if answer.status != 202 {
            let passing = matches!(answer.status, 408 | 429 | 500 | 502 | 503 | 504);
            let error = self.place.site.refused(answer, &self.what);
            return Err(if passing { error.map_kind(|_| Kind::Unreachable) } else { error });
        }
        let place = answer.header("location").map(str::to_owned);
        let base = answer.url.clone();
        answer.finish();
        let place = place.ok_or_else(|| {
            Error::new(Kind::Refused, format!("{}: the registry does not say where to", self.what))
        })?;
        self.url = self.next(&base, &place)?;
        Ok(())
    }

    /// Behind a proxy that ends TLS a registry may name itself without it; nothing else goes there unencrypted.
    fn next(&self, base: &str, place: &str) -> Result<String> {
        let url = resolve_url(base, place, &self.what)?;
        if !is_downgrade(base, &url) {
            return Ok(url);
        }
        let lifted = url.replacen("http:", "https:", 1);
        match authority(&lifted) == authority(base) {
            true => Ok(lifted),
            false => Err(Error::new(
                Kind::Refused,
                format!("{}: sent to `{url}`, which is not encrypted", self.what),
            )),
        }
    }
}

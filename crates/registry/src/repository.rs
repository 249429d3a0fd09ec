//! One repository: manifests, tags, blobs.

use crate::blob::BlobReader;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::http::{Ask, resolve_url};
use crate::settings::Endpoint;
use crate::site::{Scope, Site};
use oci::{Algorithm, Descriptor, Digest, Document, Reference, media};
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};
use std::collections::HashSet;
use std::sync::Arc;
use ureq::http::Method;

/// A manifest, an index or a configuration may have as many bytes; distribution's own bound for manifests.
pub const DOCUMENT_MAX: u64 = 4 * 1024 * 1024;
/// The tags of a repository are read no further.
const TAGS_MAX: usize = 100_000;

/// A repository, by the places where it may be had.
pub struct Repository<'a> {
    client: &'a Client,
    name: Reference,
    endpoints: Vec<Endpoint>,
}

/// A manifest or an index as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Byte for byte.
    pub bytes: Vec<u8>,
    /// What it says it is, or else the registry.
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
}

/// A repository at one place.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) site: Arc<Site>,
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.site.base, self.path)
    }

    pub(crate) fn ask(&self, method: Method, rest: &str) -> Ask {
        Ask::new(method, self.url(rest), self.site.insecure)
    }

    pub(crate) fn pull(&self) -> Scope {
        vec![format!("repository:{}:pull", self.path)]
    }

    pub(crate) fn push(&self) -> Scope {
        vec![format!("repository:{}:pull,push", self.path)]
    }

    pub(crate) fn delete(&self) -> Scope {
        vec![format!("repository:{}:delete,pull,push", self.path)]
    }
}

impl<'a> Repository<'a> {
    pub(crate) fn new(client: &'a Client, name: Reference, endpoints: Vec<Endpoint>) -> Self {
        Self { client, name, endpoints }
    }

    /// The name it was asked for by.
    pub fn name(&self) -> &Reference {
        &self.name
    }

    /// Where it is written to: the place it is named by.
    pub(crate) fn own(&self) -> Result<Place> {
        let own = self.endpoints.last();
        let own = own.ok_or_else(|| Error::new(Kind::Invalid, format!("`{}` is nowhere", self.name)))?;
        self.place(own)
    }

    fn place(&self, endpoint: &Endpoint) -> Result<Place> {
        Ok(Place { site: self.client.site(endpoint)?, path: endpoint.path.clone() })
    }

    /// The first place at which it works; what is told is how the last one failed.
    pub(crate) fn anywhere<T>(&self, act: impl Fn(&Place) -> Result<T>) -> Result<T> {
        let mut last = Err(Error::new(Kind::NotFound, format!("`{}` is nowhere", self.name)));
        for endpoint in &self.endpoints {
            last = self.place(endpoint).and_then(|place| act(&place));
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// The manifest or index of a tag or a digest. Its bytes have the digest that was asked for or that the registry
    /// states; it is one document and no other (CVE-2021-41190), of the media type that the registry says.
    pub fn manifest(&self, tag: &str) -> Result<Fetched> {
        self.anywhere(|place| manifest_at(place, tag, &self.shown(tag)))
    }

    /// What a tag leads to, without fetching it; none if the registry does not say.
    pub fn head(&self, tag: &str) -> Result<Option<Digest>> {
        self.anywhere(|place| {
            let what = format!("look up `{}`", self.shown(tag));
            let ask = accepting(place.ask(Method::HEAD, &format!("manifests/{tag}")));
            let answer = place.site.expect(&ask, &place.pull(), &[200], &what)?;
            Ok(answer.header("docker-content-digest").and_then(|digest| digest.parse().ok()))
        })
    }

    /// All tags, in the registry's order.
    pub fn tags(&self) -> Result<Vec<String>> {
        self.anywhere(|place| {
            let what = format!("list the tags of `{}`", self.name.familiar_name());
            let path = format!("/v2/{}/tags/list?n=1000", place.path);
            pages(&place.site, &path, "tags", &place.pull(), TAGS_MAX, &what)
        })
    }

    /// A blob's bytes from an offset on, as many as its descriptor says. They go on after a broken connection. Whoever
    /// reads them hashes them: here it would be done twice.
    pub fn blob(&self, blob: &Descriptor, from: u64) -> Result<BlobReader> {
        self.anywhere(|place| BlobReader::open(place.clone(), blob, from))
    }

    /// A small blob whole, of the digest that its descriptor says.
    pub fn document(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let what = || format!("fetch blob `{}` of `{}`", blob.digest, self.name.familiar_name());
        if blob.size > DOCUMENT_MAX {
            return Err(Error::new(
                Kind::Limit,
                format!("{}: {} bytes, more than {DOCUMENT_MAX}", what(), blob.size),
            ));
        }
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut self.blob(blob, 0)?, &mut bytes)
            .map_err(|error| crate::blob::error_of(error, what()))?;
        verify(&bytes, &blob.digest, &what())?;
        Ok(bytes)
    }

    /// Whether a blob is there, at the place that is written to.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let place = self.own()?;
        let what = format!("look for blob `{digest}`");
        let answer =
            place.site.ask(&place.ask(Method::HEAD, &format!("blobs/{digest}")), &place.push(), &what)?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(place.site.refused(answer, &what)),
        }
    }

    /// Puts a manifest or an index there; its digest. One that is about another is listed with that one's referrers.
    pub fn push_manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        let place = self.own()?;
        let what = format!("push manifest `{}`", self.shown(tag));
        let mut ask = place.ask(Method::PUT, &format!("manifests/{tag}")).with("content-type", media_type);
        ask.body = bytes.to_vec();
        let answer = place.site.expect(&ask, &place.push(), &[200, 201, 202], &what)?;
        let digest = digest_of(bytes);
        let stated = answer.header("docker-content-digest").map(str::to_owned);
        let lists_referrers = answer.header("oci-subject").is_some();
        answer.finish();
        if stated.is_some_and(|stated| stated != digest.as_str()) {
            return Err(Error::new(
                Kind::Corrupt,
                format!("{what}: the registry has it under another digest"),
            ));
        }
        if !lists_referrers {
            self.list_referrer(media_type, bytes, &digest)?;
        }
        Ok(digest)
    }

    /// Removes a tag, or a manifest with all its tags.
    pub fn delete_manifest(&self, tag: &str) -> Result<()> {
        let place = self.own()?;
        let what = format!("delete manifest `{}`", self.shown(tag));
        let ask = place.ask(Method::DELETE, &format!("manifests/{tag}"));
        place.site.expect(&ask, &place.delete(), &[200, 202, 204], &what).map(crate::answer::Answer::finish)
    }

    /// Removes a blob.
    pub fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let place = self.own()?;
        let what = format!("delete blob `{digest}`");
        let ask = place.ask(Method::DELETE, &format!("blobs/{digest}"));
        place.site.expect(&ask, &place.delete(), &[200, 202, 204], &what).map(crate::answer::Answer::finish)
    }

    pub(crate) fn shown(&self, tag: &str) -> String {
        let mark = if tag.contains(':') { '@' } else { ':' };
        format!("{}{mark}{tag}", self.name.familiar_name())
    }
}

fn accepting(ask: Ask) -> Ask {
    let all = [
        media::MANIFEST,
        media::INDEX,
        media::DOCKER_MANIFEST,
        media::DOCKER_LIST,
        "application/json;q=0.5",
        "*/*;q=0.1",
    ];
    ask.with("accept", all.join(", "))
}

fn manifest_at(place: &Place, tag: &str, shown: &str) -> Result<Fetched> {
    let what = format!("fetch manifest `{shown}`");
    let ask = accepting(place.ask(Method::GET, &format!("manifests/{tag}")));
    let answer = place.site.expect(&ask, &place.pull(), &[200], &what)?;
    let header = |name: &str| answer.header(name).map(str::to_owned);
    let (stated, media_type) = (header("docker-content-digest"), header("content-type"));
    let bytes =
        answer.bytes(DOCUMENT_MAX).map_err(|error| Error::new(Kind::Unreachable, &*what).caused_by(error))?;
    let bytes =
        bytes.ok_or_else(|| Error::new(Kind::Limit, format!("{what}: more than {DOCUMENT_MAX} bytes")))?;
    let asked = tag.parse::<Digest>().ok();
    let stated = stated.and_then(|stated| stated.parse::<Digest>().ok());
    let digest = asked.or(stated).unwrap_or_else(|| digest_of(&bytes));
    verify(&bytes, &digest, &what)?;
    let document = Document::parse(&bytes).map_err(|error| {
        let kind = if error.to_string().contains("schema 1") { Kind::Unsupported } else { Kind::Corrupt };
        Error::new(kind, &*what).caused_by(error)
    })?;
    let media_type = media_type.map(|value| value.split(';').next().unwrap_or_default().trim().to_owned());
    Ok(Fetched { media_type: agreed(&document, media_type, &what)?, bytes, digest })
}

/// The media type that document and registry agree on.
fn agreed(document: &Document, header: Option<String>, what: &str) -> Result<String> {
    let (own, default) = match document {
        Document::Manifest(manifest) => (manifest.media_type.clone(), media::MANIFEST),
        Document::Index(index) => (index.media_type.clone(), media::INDEX),
    };
    let known = header.filter(|header| media::is_manifest(header) || media::is_index(header));
    match (own, known) {
        (Some(own), Some(header)) if own != header => {
            let what = format!(
                "{what}: the registry says `{header}`, the document `{}`",
                crate::answer::shown(&own)
            );
            Err(Error::new(Kind::Corrupt, what))
        }
        (None, Some(header)) if media::is_index(&header) != matches!(document, Document::Index(_)) => {
            Err(Error::new(Kind::Corrupt, format!("{what}: the registry says `{header}`, and it is not")))
        }
        (own, known) => Ok(own.or(known).unwrap_or_else(|| default.to_owned())),
    }
}

/// Bytes have the digest that they were asked for by.
pub(crate) fn verify(bytes: &[u8], digest: &Digest, what: &str) -> Result<()> {
    let is = match digest.algorithm() {
        Algorithm::Sha256 => digest_of(bytes),
        Algorithm::Sha512 => Digest::from_sha512(Sha512::digest(bytes).into()),
    };
    if is == *digest {
        return Ok(());
    }
    Err(Error::new(Kind::Corrupt, format!("{what}: it has digest `{is}`, not `{digest}`")))
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

/// All pages of a list, distribution-spec "Listing Tags": each names the next one in its `Link` header, RFC 8288.
pub(crate) fn pages(
    site: &Site,
    first: &str,
    member: &str,
    scope: &Scope,
    most: usize,
    what: &str,
) -> Result<Vec<String>> {
    let mut url = format!("{}{first}", site.base);
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    loop {
        if !seen.insert(url.clone()) {
            return Err(Error::new(Kind::Refused, format!("{what}: the pages lead back to one before")));
        }
        let answer = site.expect(&Ask::new(Method::GET, url.clone(), site.insecure), scope, &[200], what)?;
        let next = answer.header("link").and_then(next_page).map(str::to_owned);
        let base = answer.url.clone();
        all.extend(page(answer.bytes(DOCUMENT_MAX), member, what)?);
        if all.len() > most {
            return Err(Error::new(Kind::Limit, format!("{what}: more than {most}")));
        }
        let Some(next) = next else { return Ok(all) };
        url = resolve_url(&base, &next, what)?;
        if crate::http::is_downgrade(&base, &url) {
            return Err(Error::new(Kind::Refused, format!("{what}: the next page is not encrypted")));
        }
    }
}

fn page(bytes: std::io::Result<Option<Vec<u8>>>, member: &str, what: &str) -> Result<Vec<String>> {
    let bytes = bytes.map_err(|error| Error::new(Kind::Unreachable, what).caused_by(error))?;
    let bytes = bytes.ok_or_else(|| {
        Error::new(Kind::Limit, format!("{what}: a page of more than {DOCUMENT_MAX} bytes"))
    })?;
    let page: Value =
        serde_json::from_slice(&bytes).map_err(|error| Error::new(Kind::Refused, what).caused_by(error))?;
    let list = page.get(member).and_then(Value::as_array).into_iter().flatten();
    Ok(list.filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

fn next_page(link: &str) -> Option<&str> {
    let (place, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.replace(['"', ' '], "").contains("rel=next").then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        assert_eq!(
            next_page("</v2/a/tags/list?last=x&n=2>; rel=\"next\""),
            Some("/v2/a/tags/list?last=x&n=2")
        );
        assert_eq!(next_page("<x>; rel=prev"), None);
        assert_eq!(next_page("x"), None);
    }
}

//! What is said about a manifest: distribution-spec "Listing Referrers", "Referrers Tag Schema".

use crate::error::{Error, Kind, Result};
use crate::repository::{DOCUMENT_MAX, Place, Repository};
use oci::{Descriptor, Digest, Document, Index, media};
use ureq::http::Method;

impl Repository<'_> {
    /// The manifests that are about another, those of one type where that is asked for.
    pub fn referrers(&self, subject: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        let listed = self.anywhere(|place| match by_api(place, subject, artifact_type)? {
            Some(listed) => Ok(listed),
            None => by_tag(self, subject),
        })?;
        let wanted =
            |d: &Descriptor| artifact_type.is_none_or(|wanted| d.artifact_type.as_deref() == Some(wanted));
        Ok(listed.into_iter().filter(wanted).collect())
    }

    /// A registry that does not list referrers itself has them listed under a tag, by whoever pushes one.
    pub(crate) fn list_referrer(&self, media_type: &str, bytes: &[u8], digest: &Digest) -> Result<()> {
        let Ok(Document::Manifest(manifest)) = Document::parse(bytes) else { return Ok(()) };
        let Some(subject) = &manifest.subject else { return Ok(()) };
        let mut listed = by_tag(self, &subject.digest)?;
        if listed.iter().any(|known| known.digest == *digest) {
            return Ok(());
        }
        let mut entry = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
        entry.artifact_type =
            manifest.artifact_type.clone().or_else(|| Some(manifest.config.media_type.clone()));
        entry.annotations = manifest.annotations.clone();
        listed.push(entry);
        let index = Index {
            schema_version: 2,
            media_type: Some(media::INDEX.into()),
            artifact_type: None,
            manifests: listed,
            annotations: Default::default(),
            extra: Default::default(),
        };
        let bytes = serde_json::to_vec(&index)
            .map_err(|error| Error::new(Kind::Invalid, "write an index").caused_by(error))?;
        self.push_manifest(&tag_of(&subject.digest), media::INDEX, &bytes).map(drop)
    }
}

/// None where the registry does not know how.
fn by_api(place: &Place, subject: &Digest, artifact_type: Option<&str>) -> Result<Option<Vec<Descriptor>>> {
    let what = format!("list the referrers of `{subject}`");
    let filter = artifact_type.map(|wanted| format!("?artifactType={}", crate::token::encode(wanted)));
    let rest = format!("referrers/{subject}{}", filter.unwrap_or_default());
    let answer = place.site.ask(&place.ask(Method::GET, &rest), &place.pull(), &what)?;
    match answer.status {
        200 => {}
        404 | 400 | 405 | 501 => {
            answer.finish();
            return Ok(None);
        }
        _ => return Err(place.site.refused(answer, &what)),
    }
    let bytes =
        answer.bytes(DOCUMENT_MAX).map_err(|error| Error::new(Kind::Unreachable, &*what).caused_by(error))?;
    let bytes =
        bytes.ok_or_else(|| Error::new(Kind::Limit, format!("{what}: more than {DOCUMENT_MAX} bytes")))?;
    listed(&bytes, &what).map(Some)
}

fn by_tag(repository: &Repository<'_>, subject: &Digest) -> Result<Vec<Descriptor>> {
    match repository.manifest(&tag_of(subject)) {
        Ok(fetched) => listed(&fetched.bytes, "list referrers"),
        Err(error) if *error.kind() == Kind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn listed(bytes: &[u8], what: &str) -> Result<Vec<Descriptor>> {
    match Document::parse(bytes) {
        Ok(Document::Index(index)) => Ok(index.manifests),
        _ => Err(Error::new(Kind::Corrupt, format!("{what}: the answer is no index"))),
    }
}

/// `sha256-HEX`.
fn tag_of(subject: &Digest) -> String {
    subject.as_str().replacen(':', "-", 1).chars().take(128).collect()
}

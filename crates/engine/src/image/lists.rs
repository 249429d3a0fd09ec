//! `manifest`: lists of manifests for several platforms, put together here and pushed as one name.

use super::pull::{Progress, from_registry};
use super::transfer::index_of;
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use oci::{Descriptor, Digest, Document, ImageConfig, Platform, Reference};
use registry::{Client, Fetched};
use serde_json::{Value, json};
use store::ManifestList;

/// What `manifest annotate` changes.
#[derive(Debug, Clone, Default)]
pub struct Annotate {
    /// `--arch`
    pub architecture: Option<String>,
    /// `--os`
    pub os: Option<String>,
    /// `--variant`
    pub variant: Option<String>,
    /// `--os-version`
    pub os_version: Option<String>,
    /// `--os-features`
    pub os_features: Vec<String>,
}

impl Annotate {
    /// As it was typed: what is usual may be said, too.
    fn apply(&self, platform: &mut Platform) {
        let set = |to: &mut String, from: &Option<String>| from.iter().for_each(|from| to.clone_from(from));
        set(&mut platform.os, &self.os);
        set(&mut platform.architecture, &self.architecture);
        platform.variant = self.variant.clone().or(platform.variant.take());
        platform.os_version = self.os_version.clone().or(platform.os_version.take());
        if !self.os_features.is_empty() {
            platform.os_features.clone_from(&self.os_features);
        }
    }
}

impl Engine {
    /// Makes a list of manifests that are in registries; with `amend` more of one that is there.
    pub fn create_list(
        &self,
        client: &Client,
        name: &Reference,
        members: &[Reference],
        amend: bool,
    ) -> Result<()> {
        let before = self.store.manifest_list(name).map_err(from_store)?;
        let mut list = match (before, amend) {
            (Some(_), false) => {
                let what = format!(
                    "refusing to amend an existing manifest list `{}` with no --amend flag",
                    name.familiar()
                );
                return Err(Error::new(Kind::Conflict, what));
            }
            (Some(list), true) => list,
            (None, _) => ManifestList { name: name.clone(), entries: Vec::new() },
        };
        for member in members {
            let entries = self.entries_of(client, member)?;
            list.entries.retain(|(_, known)| !entries.iter().any(|new| new.digest == known.digest));
            list.entries.extend(entries.into_iter().map(|entry| (member.clone(), entry)));
        }
        self.store.put_manifest_list(&list).map_err(from_store)
    }

    /// One manifest, or all that an index names.
    fn entries_of(&self, client: &Client, member: &Reference) -> Result<Vec<Descriptor>> {
        let repository = client.repository(member).map_err(from_registry)?;
        let fetched = repository.manifest(&word_of(member)).map_err(from_registry)?;
        match Document::parse(&fetched.bytes).map_err(|error| error.map_kind(|_| Kind::Corrupt))? {
            Document::Index(index) => Ok(index.manifests),
            Document::Manifest(manifest) => {
                let config = repository.document(&manifest.config).map_err(from_registry)?;
                let mut entry =
                    Descriptor::new(&fetched.media_type, fetched.digest, fetched.bytes.len() as u64);
                // An artifact has none.
                entry.platform = ImageConfig::parse(&config).ok().map(|config| config.platform());
                Ok(vec![entry])
            }
        }
    }

    /// Says something else of one entry.
    pub fn annotate_list(&self, name: &Reference, member: &Reference, change: &Annotate) -> Result<()> {
        let mut list = self.list(name)?;
        let is_meant = |(from, entry): &&mut (Reference, Descriptor)| match member.digest() {
            Some(digest) => entry.digest == *digest,
            None => from == member,
        };
        let Some((_, entry)) = list.entries.iter_mut().find(is_meant) else {
            let what = format!(
                "manifest for image {} does not exist in list {}",
                member.familiar(),
                name.familiar()
            );
            return Err(Error::new(Kind::NotFound, what));
        };
        let platform = entry.platform.get_or_insert_with(|| Platform::new("", "", ""));
        change.apply(platform);
        self.store.put_manifest_list(&list).map_err(from_store)
    }

    /// The list as it would be pushed, or, of a name that has none here, the manifest in the registry.
    pub fn inspect_manifest(&self, client: &Client, name: &Reference) -> Result<Value> {
        let bytes = match self.store.manifest_list(name).map_err(from_store)? {
            Some(list) => document_of(&list)?,
            None => fetch(client, name)?.bytes,
        };
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::new(Kind::Corrupt, "read a manifest").caused_by(error))
    }

    /// `--verbose`: each image of it, with its name, its descriptor and its manifest.
    pub fn inspect_manifests(&self, client: &Client, name: &Reference) -> Result<Vec<Value>> {
        let entries = match self.store.manifest_list(name).map_err(from_store)? {
            Some(list) => list.entries,
            None => self.entries_of(client, name)?.into_iter().map(|entry| (name.clone(), entry)).collect(),
        };
        let show = |(from, entry): (Reference, Descriptor)| {
            let pinned = from.clone().without_suffix().with_digest(entry.digest.clone());
            let fetched = fetch(client, &pinned)?;
            let manifest: Value = serde_json::from_slice(&fetched.bytes).unwrap_or_default();
            let kind =
                if oci::media::is_docker(&fetched.media_type) { "SchemaV2Manifest" } else { "OCIManifest" };
            Ok(json!({ "Ref": pinned.canonical(), "Descriptor": entry, kind: manifest }))
        };
        entries.into_iter().map(show).collect()
    }

    /// Pushes a list, and what its images need where that is missing; its digest.
    pub fn push_list(
        &self,
        client: &Client,
        name: &Reference,
        purge: bool,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        let list = self.list(name)?;
        for (from, entry) in &list.entries {
            self.copy_member(client, from, name, &entry.digest, progress)?;
        }
        let repository = client.repository(name).map_err(from_registry)?;
        let document = document_of(&list)?;
        let digest =
            repository.push_manifest(&word_of(name), oci::media::INDEX, &document).map_err(from_registry)?;
        if purge {
            self.store.remove_manifest_list(name).map_err(from_store)?;
        }
        Ok(digest)
    }

    /// Forgets a list.
    pub fn remove_list(&self, name: &Reference) -> Result<()> {
        match self.store.remove_manifest_list(name).map_err(from_store)? {
            true => Ok(()),
            false => Err(no_list(name)),
        }
    }

    fn list(&self, name: &Reference) -> Result<ManifestList> {
        self.store.manifest_list(name).map_err(from_store)?.ok_or_else(|| no_list(name))
    }
}

fn no_list(name: &Reference) -> Error {
    Error::new(Kind::NotFound, format!("No such manifest: {}", name.familiar()))
}

fn document_of(list: &ManifestList) -> Result<Vec<u8>> {
    super::save::json(&index_of(list.entries.iter().map(|(_, entry)| entry.clone()).collect()))
}

fn fetch(client: &Client, name: &Reference) -> Result<Fetched> {
    let repository = client.repository(name).map_err(from_registry)?;
    repository.manifest(&word_of(name)).map_err(from_registry)
}

fn word_of(name: &Reference) -> String {
    name.digest().map_or_else(|| name.tag().unwrap_or("latest").to_owned(), ToString::to_string)
}

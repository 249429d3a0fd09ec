//! Descriptors, manifests, indexes and the layout file: image-spec descriptor.md, manifest.md,
//! image-index.md, image-layout.md, and docker's schema 2 of the same.

use crate::json::{self, Extra};
use crate::media::{self, LayerMedia};
use crate::{Digest, Error, Kind, Platform, Result};
use fault::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const ATTESTATION: &str = "vnd.docker.reference.type";

/// What points at a blob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is, see [`media`].
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub media_type: String,
    /// The blob's digest.
    pub digest: Digest,
    /// The blob's size in bytes.
    pub size: u64,
    /// Where else the blob can be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "json::null_is_default")]
    pub urls: Vec<String>,
    /// In an index: what the manifest was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "json::null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Members hull does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Descriptor {
    /// A descriptor with nothing but the three members that must be.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
            artifact_type: None,
            extra: Extra::new(),
        }
    }

    /// What the media type says of a layer, or nothing if it is no tar layer.
    pub fn layer(&self) -> Option<LayerMedia> {
        LayerMedia::of(&self.media_type)
    }

    /// Whether it is no image but what BuildKit says of one (provenance, SBOM).
    pub fn is_attestation(&self) -> bool {
        self.annotations.get(ATTESTATION).is_some_and(|kind| kind == "attestation-manifest")
            || self.platform.as_ref().is_some_and(Platform::is_unknown)
    }
}

/// An image: its configuration and its layers, lowest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or docker's; absent is OCI's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub media_type: Option<String>,
    /// The type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image's configuration.
    pub config: Descriptor,
    /// The image's layers, lowest first.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub layers: Vec<Descriptor>,
    /// What the manifest is about, when it is not an image itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "json::null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// Members hull does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Manifests to choose one from, by platform or by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or docker's; absent is OCI's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub media_type: Option<String>,
    /// The type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What there is.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// Free words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "json::null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// Members hull does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Index {
    /// The first manifest for a platform: an exact variant before an older one, one that names no
    /// platform last. Attestations are no images.
    pub fn choose(&self, platform: &Platform) -> Option<&Descriptor> {
        let images = || self.manifests.iter().filter(|manifest| !manifest.is_attestation());
        let with =
            |test: &dyn Fn(&Platform) -> bool| images().find(|m| m.platform.as_ref().is_some_and(test));
        let wanted = platform.normalized();
        with(&|offered| {
            let offered = offered.normalized();
            (&offered.os, &offered.architecture, &offered.variant)
                == (&wanted.os, &wanted.architecture, &wanted.variant)
        })
        .or_else(|| with(&|offered| wanted.matches(offered)))
        .or_else(|| images().find(|manifest| manifest.platform.is_none()))
    }
}

/// What a manifest digest or a tag leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// One image.
    Manifest(Box<Manifest>),
    /// Several.
    Index(Index),
}

/// The members that tell documents apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u32>,
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index, told apart by media type and members.
    ///
    /// Bytes that could be both are refused (CVE-2021-41190: two clients would see two images), and
    /// so are schema 1 manifests and media types of something else.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let shape: Shape = read(bytes, "manifest")?;
        if shape.is_schema1() {
            return Err(refuse(
                "docker image manifest schema 1 is not supported; the image must be pushed again by a newer client",
            ));
        }
        if shape.schema_version != Some(2) {
            return Err(refuse("manifest is not of schema version 2"));
        }
        match (shape.looks_like_manifest(), shape.manifests.is_some()) {
            (true, true) => Err(refuse("manifest is also an index")),
            (true, false) if shape.is_of(media::is_manifest) => Ok(Self::Manifest(read(bytes, "manifest")?)),
            (false, _) if shape.is_of(media::is_index) => Ok(Self::Index(read(bytes, "index")?)),
            _ => Err(shape.contradiction()),
        }
    }
}

impl Shape {
    fn is_schema1(&self) -> bool {
        self.schema_version == Some(1)
            || self.fs_layers.is_some()
            || self.media_type.as_deref().is_some_and(media::is_schema1)
    }

    fn looks_like_manifest(&self) -> bool {
        self.config.is_some() || self.layers.is_some()
    }

    /// An absent media type goes by the members alone, as image-spec allows.
    fn is_of(&self, test: impl Fn(&str) -> bool) -> bool {
        self.media_type.as_deref().is_none_or(|media_type| media_type.is_empty() || test(media_type))
    }

    fn contradiction(&self) -> Error {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        refuse(format!("manifest has media type `{media_type}` and members of something else"))
    }
}

/// The file `oci-layout`, image-layout.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// `1.0.0`
    pub image_layout_version: String,
}

impl Layout {
    /// The name of the file.
    pub const FILE: &str = "oci-layout";

    /// The layout hull writes.
    pub fn current() -> Self {
        Self { image_layout_version: "1.0.0".into() }
    }

    /// Reads the file; later major versions are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let layout: Self = read(bytes, "OCI layout")?;
        if !layout.image_layout_version.starts_with("1.") {
            return Err(refuse(format!(
                "OCI layout version `{}` is not supported",
                layout.image_layout_version
            )));
        }
        Ok(layout)
    }
}

pub(crate) fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).or_err(Kind::Document, || format!("parse {what}"))
}

pub(crate) fn refuse(what: impl Into<String>) -> Error {
    Error::new(Kind::Document, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn descriptor(media_type: &str, rest: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{HEX}","size":2{rest}}}"#)
    }

    fn manifest() -> String {
        let config = descriptor(media::DOCKER_CONFIG, "");
        let layer = descriptor(media::DOCKER_LAYER_GZIP, r#","urls":null,"x":1"#);
        let media_type = media::DOCKER_MANIFEST;
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layer}],"y":[2]}}"#
        )
    }

    #[test]
    fn a_manifest_keeps_what_hull_does_not_know() {
        let Document::Manifest(manifest) = Document::parse(manifest().as_bytes()).unwrap() else { panic!() };
        assert_eq!(manifest.layers[0].layer().unwrap().compression, media::Compression::Gzip);
        let again = serde_json::to_value(&manifest).unwrap();
        assert_eq!((&again["layers"][0]["x"], &again["y"][0]), (&1.into(), &2.into()));
        assert_eq!(again["layers"][0].get("urls"), None);
    }

    #[test]
    fn an_index_is_chosen_from_by_platform() {
        let of = |os: &str, arch: &str, variant: &str, rest: &str| {
            descriptor(
                media::MANIFEST,
                &format!(
                    r#","platform":{{"os":"{os}","architecture":"{arch}","variant":"{variant}"}}{rest}"#
                ),
            )
        };
        let attestation = of(
            "linux",
            "amd64",
            "",
            r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#,
        );
        let list = [
            of("unknown", "unknown", "", ""),
            attestation,
            of("linux", "arm", "v6", ""),
            of("linux", "arm", "v7", ""),
            of("linux", "amd64", "", ""),
        ];
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, list.join(","));
        let Document::Index(index) = Document::parse(text.as_bytes()).unwrap() else { panic!() };
        let chosen = |platform: &str| {
            let chosen = index.choose(&platform.parse().unwrap())?;
            index.manifests.iter().position(|manifest| std::ptr::eq(manifest, chosen))
        };
        assert_eq!(chosen("linux/amd64"), Some(4));
        assert_eq!(chosen("linux/arm/v7"), Some(3));
        assert_eq!(chosen("linux/arm/v8"), Some(2));
        assert_eq!(chosen("linux/s390x"), None);
    }

    #[test]
    fn what_could_be_two_things_is_refused() {
        let reason = |text: &str| Document::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(reason(r#"{"schemaVersion":1,"fsLayers":[]}"#).contains("schema 1"));
        assert!(reason(r#"{"schemaVersion":2,"config":{},"manifests":[]}"#).contains("also an index"));
        assert!(reason(r#"{"schemaVersion":3,"manifests":[]}"#).contains("schema version 2"));
        assert!(reason(r#"{"manifests":[]}"#).contains("schema version 2"));
        assert!(reason("[").contains("parse manifest"));
        let lie = manifest().replace(media::DOCKER_MANIFEST, media::INDEX);
        assert!(reason(&lie).contains("members of something else"));
    }

    #[test]
    fn the_layout_file_has_a_version() {
        let text = serde_json::to_vec(&Layout::current()).unwrap();
        assert_eq!(text, br#"{"imageLayoutVersion":"1.0.0"}"#);
        assert_eq!(Layout::parse(&text).unwrap(), Layout::current());
        assert!(Layout::parse(br#"{"imageLayoutVersion":"2.0.0"}"#).is_err());
    }
}

//! What `docker save` writes beside the layers, of any age.
//!
//! ```text
//! since 1.10   manifest.json          [ArchiveImage]
//! before       repositories           {name: {tag: id}}
//!              <id>/json              V1Image, linked by `parent`
//!              <id>/layer.tar
//! since 25     both, and an OCI layout (index.json, blobs/)
//! ```

use crate::json::{self, Extra};
use crate::manifest::read;
use crate::{Descriptor, History, Result, RootFs};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// The name of the list of images.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The name of the older list of tags.
pub const REPOSITORIES_FILE: &str = "repositories";

/// One image of `manifest.json`. Paths are relative to the archive and a stranger's: check them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArchiveImage {
    /// The path of the configuration.
    pub config: String,
    /// `name:tag`; null when the image was saved by id.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// The paths of the layers, lowest first.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub layers: Vec<String>,
    /// The id of the image this was built on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub parent: Option<String>,
    /// By diff id: foreign layers, and since 25 the blob of each layer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "json::null_is_default")]
    pub layer_sources: BTreeMap<String, Descriptor>,
}

impl ArchiveImage {
    /// Reads `manifest.json`.
    pub fn parse(bytes: &[u8]) -> Result<Vec<Self>> {
        read(bytes, "`manifest.json`")
    }
}

/// The older list of tags: `{name: {tag: id}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Repositories(pub BTreeMap<String, BTreeMap<String, String>>);

impl Repositories {
    /// Reads `repositories`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        read(bytes, "`repositories`")
    }
}

/// One layer's `json` of the archives before docker 1.10: an image with its one layer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct V1Image {
    /// 64 hex digits, not a digest of anything.
    pub id: String,
    /// The id of the image below.
    #[serde(default, deserialize_with = "json::empty_is_none")]
    pub parent: Option<String>,
    /// When, RFC 3339.
    #[serde(default, deserialize_with = "json::empty_is_none")]
    created: Option<String>,
    #[serde(default, deserialize_with = "json::empty_is_none")]
    author: Option<String>,
    #[serde(default, deserialize_with = "json::empty_is_none")]
    comment: Option<String>,
    #[serde(default, deserialize_with = "json::null_is_default")]
    container_config: V1Command,
    #[serde(default, deserialize_with = "json::null_is_default")]
    throwaway: bool,
}

/// What was run to make the layer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct V1Command {
    #[serde(default, deserialize_with = "json::words")]
    cmd: Option<Vec<String>>,
}

impl V1Image {
    /// Reads `<id>/json`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        read(bytes, "layer's `json`")
    }

    /// The step of an image's history that this layer is.
    pub fn history(&self) -> History {
        let command = self.container_config.cmd.as_ref().map(|words| words.join(" "));
        History {
            created: self.created.clone(),
            created_by: command.filter(|command| !command.is_empty()),
            author: self.author.clone(),
            comment: self.comment.clone(),
            empty_layer: self.throwaway,
            extra: Extra::new(),
        }
    }
}

/// The configuration bytes of an image from its topmost layer's `json`, as docker migrates them:
/// everything stays but what named the layer; `rootfs` and `history` are of the whole chain.
///
/// Byte for byte what moby's `MakeConfigFromV1Config` gives, so that the image's id is docker's: members
/// are sorted and each keeps its text (the order of inner members, numbers as written), in Go's form.
pub fn config_from_v1(top: &[u8], rootfs: &RootFs, history: &[History]) -> Result<Vec<u8>> {
    let mut members: BTreeMap<String, Box<RawValue>> = read(top, "layer's `json`")?;
    for name in ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"] {
        members.remove(name);
    }
    members.insert("rootfs".into(), raw(rootfs));
    members.insert("history".into(), raw(history));
    let text = serde_json::to_string(&members).expect("maps with string keys always serialize");
    Ok(json::go_form(&text).into())
}

fn raw(value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
    to_raw_value(value).expect("strings and maps with string keys always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DiffId, ImageConfig};

    #[test]
    fn the_list_of_images_is_read_with_and_without_names() {
        let list = ArchiveImage::parse(
            br#"[{"Config":"a.json","RepoTags":null,"Layers":["x/layer.tar"]},
            {"Config":"b.json","RepoTags":["b:1"],"Layers":null,"Parent":"","LayerSources":null}]"#,
        )
        .unwrap();
        assert_eq!(
            (&list[0].repo_tags, list[1].repo_tags.as_deref()),
            (&None, Some(&["b:1".to_string()][..]))
        );
        assert!(list[1].layers.is_empty() && list[1].parent.is_none());
        assert!(ArchiveImage::parse(br#"[{"RepoTags":[]}]"#).is_err());
        let json = serde_json::to_string(&list[0]).unwrap();
        assert_eq!(json, r#"{"Config":"a.json","RepoTags":null,"Layers":["x/layer.tar"]}"#);
    }

    #[test]
    fn old_tags_are_read() {
        let repositories = Repositories::parse(br#"{"busybox":{"latest":"abc"}}"#).unwrap();
        assert_eq!(repositories.0["busybox"]["latest"], "abc");
    }

    #[test]
    fn a_chain_of_v1_layers_becomes_one_configuration() {
        let top = br#"{"id":"b","parent":"a","created":"2015-01-01T00:00:00Z","container_config":{"Cmd":["/bin/sh","-c","x"]},
            "config":{"Cmd":["sh"]},"architecture":"amd64","os":"linux","Size":5,"throwaway":true,"docker_version":"1.6"}"#;
        let layer = V1Image::parse(top).unwrap();
        assert_eq!((layer.id.as_str(), layer.parent.as_deref()), ("b", Some("a")));
        let rootfs = RootFs { diff_ids: vec![DiffId::from_sha256([1; 32])], ..RootFs::default() };
        let bytes = config_from_v1(top, &rootfs, &[layer.history()]).unwrap();
        let image = ImageConfig::parse(&bytes).unwrap();
        assert_eq!(image.history[0].created_by.as_deref(), Some("/bin/sh -c x"));
        assert!(image.history[0].empty_layer && image.rootfs == rootfs);
        assert_eq!(image.config.cmd.as_deref(), Some(&["sh".to_string()][..]));
        let gone = ["id", "parent", "Size", "throwaway"].map(|name| image.extra.contains_key(name));
        assert_eq!((gone, image.extra.contains_key("docker_version")), ([false; 4], true));
    }

    #[test]
    fn a_migrated_configuration_has_the_bytes_that_docker_gives_it() {
        let top = br#"{ "os" : "linux", "id": "b", "z": 1.50, "a<b": null,
            "config": {"Labels": {"z": "<&>", "a": "q\"} \u003c"}, "Cmd": [ "x  y" ]} }"#;
        let history = History { created_by: Some("a && b > c".into()), ..History::default() };
        let bytes = config_from_v1(top, &RootFs::default(), &[history]).unwrap();
        let expected = concat!(
            r#"{"a\u003cb":null,"config":{"Labels":{"z":"\u003c\u0026\u003e","a":"q\"} \u003c"},"Cmd":["x  y"]},"#,
            r#""history":[{"created_by":"a \u0026\u0026 b \u003e c"}],"os":"linux","#,
            r#""rootfs":{"type":"layers","diff_ids":[]},"z":1.50}"#,
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}

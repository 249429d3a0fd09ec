//! An image as docker's `inspect` and `history` show it.

use super::list::{created, names_of};
use crate::Engine;
use crate::error::{Result, from_store};
use jiff::Timestamp;
use oci::Reference;
use serde_json::{Value, json};
use store::Image;

/// A line of `history`, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// The image's id for the last step, none for the others: they are no images.
    pub id: Option<String>,
    /// When.
    pub created: Option<Timestamp>,
    /// By what command.
    pub created_by: String,
    /// Bytes of the step's files.
    pub size: u64,
    /// Free words.
    pub comment: String,
}

/// docker's JSON of an image.
pub fn inspect(engine: &Engine, image: &Image) -> Result<Value> {
    let config = image.config().map_err(from_store)?;
    let tags = engine.store.tags().map_err(from_store)?;
    let names = names_of(&tags, image.id());
    let tagged = tags.iter().filter(|tag| tag.image == *image.id()).map(|tag| tag.tagged).max();
    let by_manifest = image.record.manifest.iter().flat_map(|digest| {
        let bare = names.iter().filter(|name| !names.iter().any(|other| is_pinned(other, name)));
        bare.map(move |name| format!("{}@{digest}", name.familiar_name()))
    });
    let pinned = names.iter().filter(|name| name.tag().is_none()).map(Reference::familiar);
    let mut digests: Vec<_> = pinned.chain(by_manifest).collect();
    digests.sort_unstable();
    digests.dedup();
    Ok(json!({
        "Id": image.id().to_string(),
        "RepoTags": names.iter().filter(|name| name.tag().is_some()).map(|name| name.familiar()).collect::<Vec<_>>(),
        "RepoDigests": digests,
        "Parent": "",
        "Comment": config.comment.clone().unwrap_or_default(),
        "Created": created(image).to_string(),
        "DockerVersion": "",
        "Author": config.author.clone().unwrap_or_default(),
        "Config": config.config,
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "Size": image.record.size,
        "GraphDriver": { "Data": null, "Name": "overlay" },
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>() },
        "Metadata": { "LastTagTime": tagged.map(|time| time.to_string()) },
    }))
}

/// The digest by which a repository's image was pulled.
fn is_pinned(name: &Reference, of: &Reference) -> bool {
    name.tag().is_none() && name.digest().is_some() && name.name() == of.name()
}

impl Engine {
    /// How an image was made, newest step first.
    pub fn history(&self, image: &Image) -> Result<Vec<HistoryRow>> {
        let config = image.config().map_err(from_store)?;
        let mut layers = config.rootfs.diff_ids.iter();
        let mut rows = Vec::new();
        for step in &config.history {
            let layer = if step.empty_layer { None } else { layers.next() };
            let meta = layer.map(|layer| self.store.layer_meta(layer)).transpose().map_err(from_store)?;
            rows.push(HistoryRow {
                id: None,
                created: step.created.as_deref().and_then(|time| time.parse().ok()),
                created_by: step.created_by.clone().unwrap_or_default(),
                size: meta.map_or(0, |meta| meta.file_bytes),
                comment: step.comment.clone().unwrap_or_default(),
            });
        }
        // Layers without a word on how they came.
        for layer in layers {
            let size = self.store.layer_meta(layer).map_err(from_store)?.file_bytes;
            rows.push(HistoryRow {
                id: None,
                created: None,
                created_by: String::new(),
                size,
                comment: String::new(),
            });
        }
        rows.reverse();
        rows.iter_mut().take(1).for_each(|row| row.id = Some(image.id().to_string()));
        Ok(rows)
    }
}

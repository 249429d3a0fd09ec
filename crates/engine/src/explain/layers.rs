//! What a container's files are made of, and who else has it.

use super::value::{Layer, Layers};
use crate::Engine;
use crate::error::{Result, from_store};
use serde_json::Value;
use store::{Container, Image, Summary};

impl Engine {
    pub(super) fn explain_layers(&self, container: &Container, spec: &Value) -> Result<Layers> {
        let images = self.store.images().map_err(from_store)?;
        let named: Vec<_> = images.iter().map(|image| (image, self.image_name(image))).collect();
        let containers = self.store.containers().map_err(from_store)?;
        let is_other = |other: &&Summary| other.record.id != container.record.id;
        let layer = |id: &oci::DiffId| {
            let has = |image: &&(&Image, String)| image.0.record.layers.contains(id);
            let others = containers.iter().filter(is_other).filter(|other| other.record.layers.contains(id));
            Ok(Layer {
                id: id.to_string(),
                bytes: self.store.layer_meta(id).map_err(from_store)?.file_bytes,
                images: named.iter().filter(has).map(|(_, name)| name.clone()).collect(),
                containers: others.map(|other| other.record.name.to_string()).collect(),
            })
        };
        Ok(Layers {
            image: container.record.layers.iter().map(layer).collect::<Result<_>>()?,
            written: self.sizes(container)?.0,
            read_only: spec["root"]["readonly"].as_bool().unwrap_or(false),
        })
    }

    fn image_name(&self, image: &Image) -> String {
        let names = self.store.names(image.id()).unwrap_or_default();
        match names.first() {
            Some(tag) => tag.name.to_string().trim_start_matches("docker.io/library/").to_owned(),
            None => image.id().hex().get(..12).unwrap_or_default().to_owned(),
        }
    }
}

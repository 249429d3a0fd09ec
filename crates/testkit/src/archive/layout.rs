//! OCI layouts and docker's archives whose parts need not fit each other.

use super::tar::Tar;
use serde_json::{Value, json};
use sha2::Digest;

/// Media types.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Likewise.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Likewise.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Likewise.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// `sha256:HEX`
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", sha2::Sha256::digest(bytes))
}

/// Members of an archive, in order.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    members: Vec<(String, Vec<u8>)>,
}

impl Layout {
    /// Nothing but the file `oci-layout`.
    pub fn new() -> Self {
        Self::default().member("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    /// One more member.
    pub fn member(mut self, name: &str, bytes: &[u8]) -> Self {
        self.members.push((name.to_owned(), bytes.to_vec()));
        self
    }

    /// One more blob; its descriptor.
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        let name = format!("blobs/{}", digest.replace(':', "/"));
        self.members.push((name, bytes.to_vec()));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Likewise of a document.
    pub fn document(&mut self, media_type: &str, document: &Value) -> Value {
        self.blob(media_type, document.to_string().as_bytes())
    }

    /// `index.json`, and the archive as a whole.
    pub fn index(self, manifests: &[Value]) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string();
        self.member("index.json", index.as_bytes()).archive()
    }

    /// The archive.
    pub fn archive(&self) -> Vec<u8> {
        let members = self.members.iter();
        let named = |tar: Tar, name: &str| {
            if name.len() > 100 { tar.pax(&[("path", name.as_bytes())]) } else { tar }
        };
        members.fold(Tar::new(), |tar, (name, bytes)| named(tar, name).file(name, bytes)).end()
    }
}

/// A configuration of one layer.
pub fn config(layer: &[u8]) -> Value {
    json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/f"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    })
}

/// The layer of most images here.
pub fn layer() -> Vec<u8> {
    Tar::new().file("f", b"1").end()
}

/// An image in which a part was exchanged for something else: of the layer's descriptor, the configuration, the
/// configuration's descriptor, the manifest, the manifest's descriptor.
#[derive(Debug, Default)]
pub struct Lies {
    /// Of the layer's descriptor.
    pub layer: Option<fn(&mut Value)>,
    /// Of the configuration, as text.
    pub config: Option<fn(String) -> Vec<u8>>,
    /// Of the configuration's descriptor.
    pub config_descriptor: Option<fn(&mut Value)>,
    /// Of the manifest.
    pub manifest: Option<fn(&mut Value)>,
    /// Of the manifest's descriptor.
    pub manifest_descriptor: Option<fn(&mut Value)>,
}

impl Lies {
    /// The image as an OCI archive.
    pub fn oci(&self, bytes: &[u8]) -> Vec<u8> {
        let (layout, descriptor) = self.built(bytes);
        layout.index(&[descriptor])
    }

    /// The image in a layout without `index.json`, and its manifest's descriptor.
    pub fn built(&self, bytes: &[u8]) -> (Layout, Value) {
        let mut layout = Layout::new();
        let mut layer = layout.blob(LAYER, bytes);
        told(self.layer, &mut layer);
        let text = config(bytes).to_string();
        let text = self.config.map_or_else(|| text.clone().into_bytes(), |lie| lie(text.clone()));
        let mut config = layout.blob(CONFIG, &text);
        told(self.config_descriptor, &mut config);
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        told(self.manifest, &mut manifest);
        let mut descriptor = layout.document(MANIFEST, &manifest);
        descriptor["annotations"] = json!({"io.containerd.image.name": "docker.io/library/hostile:1"});
        told(self.manifest_descriptor, &mut descriptor);
        (layout, descriptor)
    }
}

fn told(lie: Option<fn(&mut Value)>, value: &mut Value) {
    if let Some(lie) = lie {
        lie(value);
    }
}

/// An archive of docker's: the configuration under some name, `manifest.json` as given.
pub fn docker(config_name: &str, manifest: &Value) -> Vec<u8> {
    let members = Layout::default().member("l/layer.tar", &layer());
    let members = members.member(config_name, config(&layer()).to_string().as_bytes());
    members.member("manifest.json", manifest.to_string().as_bytes()).archive()
}

//! Media types, and what they say of a layer: image-spec media-types.md, and docker's older names.

/// OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI layer, plain.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// OCI's empty value, `{}`.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// docker manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// docker layer, plain.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// docker layer, gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// docker layer that a registry does not hold, gzip.
pub const DOCKER_FOREIGN_GZIP: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// docker manifest, schema 1: refused, no client writes it since 2016.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// docker manifest, schema 1, signed: refused likewise.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

const LAYER_PREFIXES: [(&str, bool); 4] = [
    (LAYER, false),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar", true),
    (DOCKER_LAYER, false),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar", true),
];

/// How a layer's tar is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Plain tar.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What a media type says of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerMedia {
    /// How its tar is packed. A hint: some writers lie, the bytes decide.
    pub compression: Compression,
    /// Whether it is "foreign" or "non-distributable": to be fetched from its `urls`, not pushed.
    pub foreign: bool,
}

impl LayerMedia {
    /// What this media type says, or nothing if it is no tar layer.
    pub fn of(media_type: &str) -> Option<Self> {
        LAYER_PREFIXES.iter().find_map(|(prefix, foreign)| {
            let suffix = media_type.strip_prefix(prefix)?;
            Some(Self { compression: compression(suffix)?, foreign: *foreign })
        })
    }
}

/// OCI joins with `+`, docker with `.`; containerd wrote docker's with `.zstd`.
fn compression(suffix: &str) -> Option<Compression> {
    match suffix {
        "" => Some(Compression::None),
        "+gzip" | ".gzip" => Some(Compression::Gzip),
        "+zstd" | ".zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

/// Whether it is an image manifest of either kind.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}

/// Whether it is a list of manifests of either kind.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_LIST)
}

/// Whether it is a word of docker's, and not the specification's.
pub fn is_docker(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.")
}

/// Whether it is an image configuration of either kind.
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, CONFIG | DOCKER_CONFIG)
}

/// Whether it is a schema 1 manifest.
pub fn is_schema1(media_type: &str) -> bool {
    matches!(media_type, DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_by_their_media_type() {
        let of = |media| LayerMedia::of(media).map(|layer| (layer.compression, layer.foreign));
        assert_eq!(of(LAYER), Some((Compression::None, false)));
        assert_eq!(of(LAYER_GZIP), Some((Compression::Gzip, false)));
        assert_eq!(of(LAYER_ZSTD), Some((Compression::Zstd, false)));
        assert_eq!(of(DOCKER_LAYER), Some((Compression::None, false)));
        assert_eq!(of(DOCKER_LAYER_GZIP), Some((Compression::Gzip, false)));
        assert_eq!(of("application/vnd.docker.image.rootfs.diff.tar.zstd"), Some((Compression::Zstd, false)));
        assert_eq!(of(DOCKER_FOREIGN_GZIP), Some((Compression::Gzip, true)));
        let oci_foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
        assert_eq!(of(oci_foreign), Some((Compression::Zstd, true)));
        for other in
            [CONFIG, EMPTY, "application/vnd.in-toto+json", "application/vnd.oci.image.layer.v1.tar+br"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}

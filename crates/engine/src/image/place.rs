//! Where an image can be, as skopeo writes it: `docker://NAME`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, `dir:DIR`,
//! `containers-storage:NAME` or just `NAME`: the store.

use crate::error::{Error, Kind, Result};
use oci::Reference;
use std::path::PathBuf;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A registry.
    Registry(Reference),
    /// This store.
    Store(Reference),
    /// An OCI layout, image-spec image-layout.md, and the tag in it.
    Layout(PathBuf, Option<String>),
    /// The same in a tar.
    OciArchive(PathBuf, Option<String>),
    /// What `docker save` writes, and the name in it.
    DockerArchive(PathBuf, Option<Reference>),
    /// skopeo's directory: a manifest, and blobs by the digits of their digests.
    Directory(PathBuf),
}

impl Place {
    /// Understands a word.
    pub fn parse(word: &str) -> Result<Self> {
        let name = |text: &str| -> Result<Reference> {
            let name: Reference =
                text.parse().map_err(|error: oci::Error| error.map_kind(|_| Kind::Invalid))?;
            Ok(name.with_default_tag())
        };
        let Some((kind, rest)) = word.split_once(':') else { return name(word).map(Self::Store) };
        let filled = |text: &str| match text.is_empty() {
            true => Err(Error::new(Kind::Invalid, format!("`{word}` names no file"))),
            false => Ok(PathBuf::from(text)),
        };
        match kind {
            "docker" if rest.starts_with("//") => name(&rest[2..]).map(Self::Registry),
            "containers-storage" => name(rest).map(Self::Store),
            "dir" => filled(rest).map(Self::Directory),
            "oci" | "oci-archive" => {
                let (path, tag) =
                    rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag.to_owned())));
                let path = filled(path)?;
                Ok(if kind == "oci" { Self::Layout(path, tag) } else { Self::OciArchive(path, tag) })
            }
            "docker-archive" => {
                let (path, named) =
                    rest.split_once(':').map_or((rest, None), |(path, named)| (path, Some(named)));
                Ok(Self::DockerArchive(filled(path)?, named.map(name).transpose()?))
            }
            _ => name(word).map(Self::Store),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_skopeos() {
        let name = |text: &str| text.parse::<Reference>().unwrap();
        for (word, place) in [
            ("docker://a.b:5/c:1", Place::Registry(name("a.b:5/c:1"))),
            ("docker://debian", Place::Registry(name("debian:latest"))),
            ("debian:12", Place::Store(name("debian:12"))),
            ("localhost:5000/x", Place::Store(name("localhost:5000/x:latest"))),
            ("containers-storage:x", Place::Store(name("x:latest"))),
            ("oci:/a/b:t", Place::Layout("/a/b".into(), Some("t".into()))),
            ("oci-archive:a.tar", Place::OciArchive("a.tar".into(), None)),
            ("docker-archive:a.tar:x:1", Place::DockerArchive("a.tar".into(), Some(name("x:1")))),
            ("dir:d", Place::Directory("d".into())),
        ] {
            assert_eq!(Place::parse(word).unwrap(), place, "{word}");
        }
        assert!(Place::parse("dir:").is_err() && Place::parse("docker://A").is_err());
    }
}

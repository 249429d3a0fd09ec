//! `import`: a root file system becomes an image of one layer.

use super::intake::Intake;
use super::{Source, digest_of};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use oci::change::Changes;
use oci::{ContainerConfig, History, ImageConfig, ImageId, Platform, Reference};
use store::NewImage;

/// What `import` was asked for.
#[derive(Debug, Default)]
pub struct Import {
    /// The image's name; `latest` when it has neither tag nor digest.
    pub name: Option<Reference>,
    /// `--change`: Dockerfile instructions, in order.
    pub changes: Vec<String>,
    /// `--message`
    pub message: Option<String>,
    /// `--platform`; the host's when absent.
    pub platform: Option<Platform>,
}

impl Engine {
    /// Imports a tar of any compression; the new image's id is returned.
    ///
    /// # Errors
    /// Before anything is read: a change that is no instruction, a name with a digest.
    pub fn import(&self, source: &Source, request: Import) -> Result<ImageId> {
        self.bury()?;
        let mut config = ContainerConfig::default();
        let changes = Changes::parse(&request.changes).map_err(invalid)?;
        changes.apply(&mut config).map_err(invalid)?;
        if request.name.as_ref().is_some_and(|name| name.digest().is_some()) {
            return Err(Error::new(Kind::Invalid, "cannot import digest reference"));
        }
        let imported = self.import_rootfs(source, request, config);
        if imported.is_err() {
            // A layer whose image could not be written is nobody's. The failure that is told is the first one.
            drop(self.store.collect(false));
        }
        imported
    }

    fn import_rootfs(&self, source: &Source, request: Import, config: ContainerConfig) -> Result<ImageId> {
        let shared = self.store.share().map_err(from_store)?;
        let intake = Intake::new(self, &shared)?;
        let applied = intake.ingest(source.open(self.tell)?, &source.named())?;
        if applied.compressed_size == 0 {
            // An empty layer is one; of a root file system it is rather a command before the pipe that failed.
            return Err(Error::new(
                Kind::Corrupt,
                format!("import {}: there is nothing in it", source.named()),
            ));
        }
        intake.seamed(std::slice::from_ref(&applied.diff_id))?;
        let blobs = if intake.keeps_blobs() { vec![applied.digest] } else { Vec::new() };
        let bytes = image_config(&request, source, config, applied.diff_id).to_json();
        let id = ImageId(digest_of(&bytes));
        let name = request.name.as_ref().map(Reference::familiar);
        let names = request.name.map(Reference::with_default_tag).into_iter().collect();
        let new = NewImage { id: id.clone(), config: bytes, layers: None, manifest: None, blobs, names };
        let image = self.store.put_image(&shared, new).map_err(from_store)?;
        let tagged = name.map(|name| Event::of_image(&image, "tag", name));
        self.report_all(tagged.into_iter().chain([Event::of_image(&image, "import", image.id())]));
        Ok(id)
    }
}

fn image_config(
    request: &Import,
    source: &Source,
    config: ContainerConfig,
    diff_id: oci::DiffId,
) -> ImageConfig {
    let platform = request.platform.clone().unwrap_or_else(Platform::host).normalized();
    let created = Some(jiff::Timestamp::now().to_string());
    let comment = request.message.clone().unwrap_or_else(|| format!("Imported from {source}"));
    let mut image = ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        created: created.clone(),
        comment: Some(comment.clone()),
        config,
        history: vec![History { created, comment: Some(comment), ..History::default() }],
        ..ImageConfig::default()
    };
    image.rootfs.diff_ids = vec![diff_id];
    image
}

fn invalid(error: oci::Error) -> Error {
    error.map_kind(|_| Kind::Invalid)
}

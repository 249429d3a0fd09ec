//! `commit`: what a container changed, as one more layer of its image.

use super::intake::Intake;
use super::{digest_of, from_layer};
use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use crate::inspect::details_of;
use crate::rootfs::open_directory;
use fault::Context;
use oci::{Changes, ContainerConfig, History, ImageConfig, ImageId, Reference};
use rustix::fd::AsFd;
use serde_json::Value;
use std::io::{BufWriter, Write};
use store::{Container, NewImage, Record, State};

/// What `commit` was asked for.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The name of the new image.
    pub name: Option<Reference>,
    /// `--author`
    pub author: Option<String>,
    /// `--message`
    pub message: Option<String>,
    /// `--change`: Dockerfile instructions.
    pub changes: Vec<String>,
    /// `--pause`: its processes stand still meanwhile, so that what is taken is of one moment.
    pub pause: bool,
}

impl Default for Commit {
    fn default() -> Self {
        Self { name: None, author: None, message: None, changes: Vec::new(), pause: true }
    }
}

/// What an image can say of a container; the rest of docker's is the container's own.
const OF_IMAGE: [&str; 13] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "OnBuild",
    "Shell",
    "ArgsEscaped",
];

/// Processes that stand still as long as this lives.
struct Frozen(cgroup::Cgroup);

impl Drop for Frozen {
    fn drop(&mut self) {
        // `unpause` is left to whoever sees that this failed.
        let _ = self.0.thaw();
    }
}

impl Engine {
    /// Makes an image of a container, running or not; its id.
    pub fn commit(&self, text: &str, request: Commit) -> Result<ImageId> {
        self.bury()?;
        let changes = Changes::parse(&request.changes).map_err(|error| error.map_kind(|_| Kind::Invalid))?;
        if request.name.as_ref().is_some_and(|name| name.digest().is_some()) {
            return Err(Error::new(Kind::Invalid, "cannot commit to digest reference"));
        }
        let (container, state) = self.container(text)?;
        let made = self.commit_container(&container, &state, request, &changes);
        if made.is_err() {
            // A layer whose image could not be written is nobody's. The failure that is told is the first one.
            drop(self.store.collect(false));
        }
        made
    }

    fn commit_container(
        &self,
        container: &Container,
        state: &State,
        request: Commit,
        changes: &Changes,
    ) -> Result<ImageId> {
        let shared = self.store.share().map_err(from_store)?;
        let base = self.store.image(&container.record.image).map_err(from_store)?;
        let mut config = base.config().map_err(from_store)?;
        let intake = Intake::new(self, &shared)?;
        let frozen = if request.pause { self.freeze(state)? } else { None };
        let applied = self.take_upper(&intake, container)?;
        drop(frozen);
        amend(&mut config, &container.record, &request, changes)?;
        config.rootfs.diff_ids.push(applied.diff_id.clone());
        let layers = intake.seamed(&config.rootfs.diff_ids)?;
        let bytes = config.to_json();
        let id = ImageId(digest_of(&bytes));
        let blobs = if intake.keeps_blobs() { vec![applied.digest] } else { Vec::new() };
        let blobs = [blobs, base.record.blobs.clone()].concat();
        let name = request.name.map(Reference::with_default_tag);
        let names = name.iter().cloned().collect();
        let new =
            NewImage { id: id.clone(), config: bytes, layers: Some(layers), manifest: None, blobs, names };
        sys::step!("engine.commit.layer");
        let image = self.store.put_image(&shared, new).map_err(from_store)?;
        let event = self.event_of(container, "commit").with("comment", request.message.unwrap_or_default());
        let event = event
            .with("imageID", &id)
            .with("imageRef", name.as_ref().map(Reference::familiar).unwrap_or_default());
        let tagged = name.map(|name| Event::of_image(&image, "tag", name.familiar()));
        self.report_all([event].into_iter().chain(tagged));
        Ok(id)
    }

    /// Nothing of one that does not run, or stands still already.
    fn freeze(&self, state: &State) -> Result<Option<Frozen>> {
        let State::Running(running) = state else { return Ok(None) };
        let Some(group) = self.group_of(running)?.filter(|group| !group.frozen()) else { return Ok(None) };
        group.freeze().or_err(Kind::Failed, || "pause the container".into())?;
        Ok(Some(Frozen(group)))
    }

    /// What the container wrote goes through a pipe into a layer, in one pass.
    fn take_upper(&self, intake: &Intake<'_>, container: &Container) -> Result<layer::Applied> {
        let what = format!("what container `{}` changed", container.record.name);
        let upper = open_directory(container.dir(), "upper")?;
        let (reader, writer) = std::io::pipe().or_err(Kind::Failed, || format!("read {what}"))?;
        std::thread::scope(|scope| {
            let write = || {
                let mut writer = BufWriter::with_capacity(256 << 10, writer);
                let written = layer::write_diff(upper.as_fd(), &mut writer);
                written.and_then(|()| {
                    writer
                        .flush()
                        .map_err(|error| layer::Error::new(layer::Kind::Io, "write a layer").caused_by(error))
                })
            };
            let writing = scope.spawn(write);
            let applied = intake.ingest(reader, &what);
            let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (applied, written) {
                // A full disk stops the reader; that the writer's pipe broke follows from it.
                (Err(error), _) if *error.kind() != Kind::Corrupt => Err(error),
                (_, Err(error)) => Err(from_layer(error, format!("read {what}"))),
                (applied, Ok(())) => applied,
            }
        })
    }
}

/// The image's configuration, as the container had it.
fn amend(config: &mut ImageConfig, record: &Record, request: &Commit, changes: &Changes) -> Result<()> {
    config.config = of_container(record)?.unwrap_or_else(|| config.config.clone());
    changes.apply(&mut config.config).map_err(|error| error.map_kind(|_| Kind::Invalid))?;
    let created = Some(jiff::Timestamp::now().to_string());
    config.created.clone_from(&created);
    config.author = request.author.clone().filter(|author| !author.is_empty());
    config.comment = request.message.clone().filter(|message| !message.is_empty());
    // docker's, of another container.
    for member in ["container", "container_config", "id", "parent"] {
        config.extra.remove(member);
    }
    config.history.push(History {
        created,
        created_by: Some(record.command.join(" ")),
        author: config.author.clone(),
        comment: config.comment.clone(),
        ..History::default()
    });
    Ok(())
}

fn of_container(record: &Record) -> Result<Option<ContainerConfig>> {
    let details = details_of(record);
    let Some(shown) = details["Config"].as_object().filter(|shown| !shown.is_empty()) else {
        return Ok(None);
    };
    let kept = shown.iter().filter(|(name, value)| OF_IMAGE.contains(&name.as_str()) && !value.is_null());
    let kept: Value =
        kept.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into();
    serde_json::from_value(kept)
        .map(Some)
        .or_err(Kind::Corrupt, || format!("read the configuration of container `{}`", record.name))
}

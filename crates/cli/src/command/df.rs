//! `hull system df`.

use super::image::cut;
use super::ps::told;
use super::system::{FORMAT, plain};
use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Syntax, Typed, switch};
use crate::render::{List, ago, line, row, short, size};
use engine::Engine;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use store::{State, Summary, Usage};

pub(super) const SYNTAX: Syntax = Syntax {
    flags: &[switch("verbose", "Each image, container and layer").or('v'), FORMAT],
    examples: &["hull system df", "hull system df -v"],
    ..plain("system df", "What is kept, in bytes on the disk; the sum is what du(1) says of the root.")
};

pub(super) fn df(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    // First, since it removes what the dead left.
    let containers = engine.containers()?;
    let usage = engine.usage()?;
    match typed.is_on("verbose") {
        true => verbose(typed.last("format"), &engine, &usage, &containers)?,
        false => summary(&usage, &containers).show(typed.last("format"))?,
    }
    Ok(0)
}

fn summary(usage: &Usage, containers: &[Summary]) -> List<'static> {
    let running = containers.iter().filter(|one| matches!(one.state, State::Running(_)));
    let running: HashSet<_> = running.map(|one| one.record.id).collect();
    let layers = || usage.layers.iter().filter(|layer| !layer.is_garbage);
    let ended = usage.containers.iter().filter(|container| !running.contains(&container.record.id));
    let active = usage.images.iter().filter(|image| image.containers > 0);
    let kept: HashSet<_> =
        active.clone().flat_map(|image| &image.image.blobs).map(oci::Digest::hex).collect();
    let blobs = || usage.blobs.iter().filter(|blob| !blob.is_garbage);
    let lines = [
        Line::new("Images", usage.images.len(), active.count())
            .of(layers().map(|layer| layer.bytes))
            .back(layers().filter(|layer| !layer.is_used).map(|layer| layer.bytes)),
        Line::new("Containers", usage.containers.len(), running.len())
            .of(usage.containers.iter().map(|container| container.bytes))
            .back(ended.map(|container| container.bytes)),
        Line::new("Blobs", blobs().count(), blobs().filter(|blob| kept.contains(blob.name.as_str())).count())
            .of(blobs().map(|blob| blob.bytes))
            .back(blobs().filter(|blob| !kept.contains(blob.name.as_str())).map(|blob| blob.bytes)),
        Line::new("Garbage", 0, 0).of([usage.garbage]).back([usage.garbage]),
        Line::new("Records", 0, 0).of([usage.rest]),
    ];
    let total = Line::new("Total", 0, 0)
        .of(lines.iter().map(|line| line.bytes))
        .back(lines.iter().map(|line| line.back));
    let columns = &[
        ("TYPE", "Type"),
        ("TOTAL", "TotalCount"),
        ("ACTIVE", "Active"),
        ("SIZE", "Size"),
        ("BYTES", "Bytes"),
        ("RECLAIMABLE", "Reclaimable"),
    ];
    List { columns, rows: lines.iter().chain([&total]).map(Line::row).collect() }
}

/// A line of the summary: things of one kind, bytes they take, bytes that a prune of all would give back.
struct Line {
    kind: &'static str,
    count: usize,
    active: usize,
    bytes: u64,
    back: u64,
}

impl Line {
    fn new(kind: &'static str, count: usize, active: usize) -> Self {
        Self { kind, count, active, bytes: 0, back: 0 }
    }

    fn of(self, bytes: impl IntoIterator<Item = u64>) -> Self {
        Self { bytes: bytes.into_iter().sum(), ..self }
    }

    fn back(self, bytes: impl IntoIterator<Item = u64>) -> Self {
        Self { back: bytes.into_iter().sum(), ..self }
    }

    fn row(&self) -> Map<String, Value> {
        let share = (self.back * 100).checked_div(self.bytes);
        let back = size(self.back) + &share.map_or(String::new(), |share| format!(" ({share}%)"));
        row([
            ("Type", self.kind.into()),
            ("TotalCount", self.count.to_string().into()),
            ("Active", self.active.to_string().into()),
            ("Size", size(self.bytes).into()),
            ("Bytes", self.bytes.into()),
            ("Reclaimable", back.into()),
            ("ReclaimableBytes", self.back.into()),
        ])
    }
}

/// docker's lists, and one of layers; as JSON with exact bytes.
fn verbose(
    format: Option<&str>,
    engine: &Engine,
    usage: &Usage,
    containers: &[Summary],
) -> Result<(), Failure> {
    let lists = [
        ("Images", images(engine, usage)?),
        ("Containers", of_containers(engine, usage, containers)),
        ("Layers", layers(usage)),
    ];
    if format == Some("json") {
        let all = lists.into_iter().map(|(kind, list)| (kind.to_owned(), json!(list.rows)));
        return line(&Value::Object(all.collect()).to_string());
    }
    for (number, (kind, list)) in lists.into_iter().enumerate() {
        line(&format!("{}{kind} space usage:\n", if number == 0 { "" } else { "\n" }))?;
        list.show(format)?;
    }
    Ok(())
}

fn images(engine: &Engine, usage: &Usage) -> Result<List<'static>, Failure> {
    let of: HashMap<_, _> = usage.images.iter().map(|image| (&image.image.id, image)).collect();
    let none = || "<none>".to_owned();
    let rows = engine.images(&[])?.into_iter().filter_map(|image| {
        let usage = of.get(image.image.id())?;
        let (name, bytes) = (image.name.as_ref(), usage.unique + usage.shared);
        Some(row([
            ("Repository", name.map_or_else(none, oci::Reference::familiar_name).into()),
            ("Tag", name.and_then(oci::Reference::tag).map_or_else(none, str::to_owned).into()),
            ("ID", short(&image.image.id().to_string()).into()),
            ("CreatedSince", ago(image.created).into()),
            ("Size", size(bytes).into()),
            ("SharedSize", size(usage.shared).into()),
            ("UniqueSize", size(usage.unique).into()),
            ("Bytes", bytes.into()),
            ("SharedBytes", usage.shared.into()),
            ("UniqueBytes", usage.unique.into()),
            ("Containers", usage.containers.into()),
        ]))
    });
    let columns = &[
        ("REPOSITORY", "Repository"),
        ("TAG", "Tag"),
        ("IMAGE ID", "ID"),
        ("CREATED", "CreatedSince"),
        ("SIZE", "Size"),
        ("SHARED SIZE", "SharedSize"),
        ("UNIQUE SIZE", "UniqueSize"),
        ("CONTAINERS", "Containers"),
    ];
    Ok(List { columns, rows: rows.collect() })
}

fn of_containers(engine: &Engine, usage: &Usage, containers: &[Summary]) -> List<'static> {
    let of: HashMap<_, _> = usage.containers.iter().map(|one| (one.record.id, one)).collect();
    let rows = containers.iter().filter_map(|one| {
        let (record, usage) = (&one.record, of.get(&one.record.id)?);
        Some(row([
            ("ID", record.id.short().into()),
            ("Image", record.image_name.clone().into()),
            ("Command", format!("\"{}\"", cut(&record.command.join(" "), 20)).into()),
            ("LocalVolumes", "0".into()),
            ("Size", size(usage.bytes).into()),
            ("Bytes", usage.bytes.into()),
            ("WrittenBytes", usage.written.into()),
            ("CreatedSince", ago(record.created).into()),
            ("Status", told(&one.state, engine.is_paused(&one.state), engine.health_of(one)).into()),
            ("Names", record.name.to_string().into()),
        ]))
    });
    let columns = &[
        ("CONTAINER ID", "ID"),
        ("IMAGE", "Image"),
        ("COMMAND", "Command"),
        ("LOCAL VOLUMES", "LocalVolumes"),
        ("SIZE", "Size"),
        ("CREATED", "CreatedSince"),
        ("STATUS", "Status"),
        ("NAMES", "Names"),
    ];
    List { columns, rows: rows.collect() }
}

fn layers(usage: &Usage) -> List<'static> {
    let rows = usage.layers.iter().map(|layer| {
        row([
            ("ID", short(&layer.layer.to_string()).into()),
            ("Size", size(layer.bytes).into()),
            ("Bytes", layer.bytes.into()),
            ("Images", layer.images.into()),
            ("Used", layer.is_used.into()),
        ])
    });
    let columns = &[("LAYER", "ID"), ("SIZE", "Size"), ("IMAGES", "Images"), ("USED", "Used")];
    List { columns, rows: rows.collect() }
}

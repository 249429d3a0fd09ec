//! `hull system …`, `hull version`.

use super::image::removed_line;
use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch, value};
use crate::render::{self, List, line, row, size};
use engine::system::Prune;
use serde_json::json;
use std::io::Write;

const fn plain(name: &'static str, about: &'static str) -> Syntax {
    Syntax { name, rest: "", about, flags: &[FORMAT], examples: &[], words: (0, 0), stops: false }
}

const FORMAT: crate::flags::Flag = value("format", "FORMAT", "json, or a Go template").or('f');

pub(super) const INFO: Syntax = plain("system info", "What this host can isolate, and what hull keeps here.");

pub(super) fn info(typed: &Typed, caller: &Caller) -> Done {
    let info = caller.engine()?.info()?;
    let features =
        info.features.iter().map(|f| json!({"Name": f.name, "Works": f.works, "Without": f.without}));
    let value = json!({
        "ServerVersion": env!("CARGO_PKG_VERSION"), "KernelVersion": info.kernel, "CgroupVersion": info.cgroups,
        "CgroupControllers": info.controllers, "Features": features.collect::<Vec<_>>(), "HullRootDir": info.root,
        "Driver": "overlay", "BackingFilesystem": info.file_system, "Containers": info.containers.0 + info.containers.1,
        "ContainersRunning": info.containers.0, "ContainersStopped": info.containers.1, "Images": info.images,
        "NCPU": info.cpus, "MemTotal": info.memory,
    });
    if let Some(format) = typed.last("format") {
        return formatted(format, &value);
    }
    let mut text = format!(
        "Kernel:        {}\nControl groups: {} ({})\n",
        info.kernel,
        info.cgroups,
        info.controllers.join(" ")
    );
    text = text.replace("Kernel:        ", "Kernel:         ");
    text += &format!("Host:           {} CPUs, {} memory\n", info.cpus, size(info.memory));
    text += &format!("Kept in:        {} ({})\n", info.root, info.file_system);
    text += &format!(
        "Containers:     {} running, {} ended\nImages:         {}\n\nIsolation:\n",
        info.containers.0, info.containers.1, info.images
    );
    for feature in &info.features {
        let without = if feature.works { String::new() } else { format!("  ({})", feature.without) };
        text += &format!("  {:3}  {}{without}\n", if feature.works { "yes" } else { "no" }, feature.name);
    }
    line(text.trim_end()).map(|()| 0)
}

fn formatted(format: &str, value: &serde_json::Value) -> Done {
    match format {
        "json" => line(&value.to_string())?,
        text => line(&render::render(&render::parse(text)?, value)?)?,
    }
    Ok(0)
}

pub(super) const DF: Syntax = Syntax {
    flags: &[switch("verbose", "Each image and container").or('v'), FORMAT],
    ..plain("system df", "What is kept, in bytes on the disk; the sum is what du(1) says of the root.")
};

pub(super) fn df(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    let usage = engine.usage()?;
    let running = running(&engine)?;
    let layers: u64 = usage.layers.iter().map(|layer| layer.bytes).sum();
    let containers: u64 = usage.containers.iter().map(|container| container.bytes).sum();
    let ended = usage.containers.iter().filter(|container| !running.contains(&container.record.id));
    let ended: u64 = ended.map(|container| container.bytes).sum();
    let unused: u64 =
        usage.images.iter().filter(|image| image.containers == 0).map(|image| image.unique).sum();
    let line_of = |kind: &str, count: usize, active: usize, bytes: u64, back: u64| {
        row([
            ("Type", kind.into()),
            ("TotalCount", count.to_string().into()),
            ("Active", active.to_string().into()),
            ("Size", size(bytes).into()),
            ("Bytes", bytes.into()),
            ("Reclaimable", size(back).into()),
        ])
    };
    let used = usage.images.iter().filter(|image| image.containers > 0).count();
    let rows = vec![
        line_of("Images", usage.images.len(), used, layers, unused),
        line_of("Containers", usage.containers.len(), running.len(), containers, ended),
        line_of("Blobs", 0, 0, usage.blobs, 0),
        line_of("Garbage", 0, 0, usage.garbage, usage.garbage),
        line_of("Records", 0, 0, usage.rest, 0),
        line_of("Total", 0, 0, usage.total, unused + ended + usage.garbage),
    ];
    let columns = [
        ("TYPE", "Type"),
        ("TOTAL", "TotalCount"),
        ("ACTIVE", "Active"),
        ("SIZE", "Size"),
        ("BYTES", "Bytes"),
        ("RECLAIMABLE", "Reclaimable"),
    ];
    List { columns: &columns, rows }.show(typed.last("format"))?;
    if typed.is_on("verbose") {
        verbose(&usage)?;
    }
    Ok(0)
}

/// Whose bytes a prune leaves.
fn running(engine: &engine::Engine) -> Result<Vec<store::ContainerId>, Failure> {
    let containers = engine.containers()?.into_iter();
    let running = containers.filter(|one| matches!(one.state, store::State::Running(_)));
    Ok(running.map(|one| one.record.id).collect())
}

fn verbose(usage: &store::Usage) -> Result<(), Failure> {
    line("")?;
    let images = usage.images.iter().map(|image| {
        row([
            ("Id", render::short(&image.image.id.to_string()).into()),
            ("Own", image.unique.into()),
            ("Shared", image.shared.into()),
            ("Containers", image.containers.into()),
        ])
    });
    List {
        columns: &[
            ("IMAGE ID", "Id"),
            ("OWN BYTES", "Own"),
            ("SHARED BYTES", "Shared"),
            ("CONTAINERS", "Containers"),
        ],
        rows: images.collect(),
    }
    .show(None)?;
    line("")?;
    let containers = usage.containers.iter().map(|container| {
        row([
            ("Name", container.record.name.to_string().into()),
            ("Bytes", container.bytes.into()),
            ("Written", container.written.into()),
        ])
    });
    List {
        columns: &[("CONTAINER", "Name"), ("BYTES", "Bytes"), ("WRITTEN", "Written")],
        rows: containers.collect(),
    }
    .show(None)
}

pub(super) const PRUNE: Syntax = Syntax {
    flags: &[
        switch("all", "All images that no container uses, not only nameless ones").or('a'),
        switch("force", "Do not ask").or('f'),
    ],
    ..plain("system prune", "Remove containers that have ended, images nobody uses, and garbage.")
};

pub(super) fn prune(typed: &Typed, caller: &Caller) -> Done {
    confirm(typed, "This removes all containers that have ended, and images that no container uses.")?;
    let pruned = caller.engine()?.prune(Prune { all: typed.is_on("all") })?;
    if !pruned.containers.is_empty() {
        line(&format!("Deleted Containers:\n{}\n", pruned.containers.join("\n")))?;
    }
    if !pruned.images.is_empty() {
        let lines: Vec<_> = pruned.images.iter().map(removed_line).collect();
        line(&format!("Deleted Images:\n{}\n", lines.join("\n")))?;
    }
    line(&format!("Total reclaimed space: {}", size(pruned.collected.bytes)))?;
    Ok(0)
}

/// Asks, unless `--force` says not to.
pub(super) fn confirm(typed: &Typed, what: &str) -> Result<(), Failure> {
    if typed.is_on("force") {
        return Ok(());
    }
    std::io::stdout()
        .write_all(format!("WARNING! {what}\nAre you sure you want to continue? [y/N] ").as_bytes())?;
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Mistake::new("nothing was removed").into()),
    }
}

pub(super) const CHECK: Syntax = Syntax {
    flags: &[switch("repair", "Remove what is garbage")],
    ..plain("system check", "Look for what a crash left or somebody broke.")
};

/// 0 when all is well, 1 when something was found that is still there.
pub(super) fn check(typed: &Typed, caller: &Caller) -> Done {
    let repair = typed.is_on("repair");
    let found = caller.engine()?.check(repair)?;
    for finding in &found {
        let mended = if repair && finding.is_garbage() { "removed: " } else { "" };
        line(&format!("{mended}{finding}"))?;
    }
    let left = found.iter().filter(|finding| !(repair && finding.is_garbage())).count();
    line(&if left == 0 {
        "nothing left to do".to_owned()
    } else {
        format!("{left} left; `hull system check --repair` removes garbage")
    })?;
    Ok(i32::from(left > 0))
}

pub(super) const VERSION: Syntax = plain("version", "The version of hull.");

pub(super) fn version(typed: &Typed, _caller: &Caller) -> Done {
    let value = json!({"Version": env!("CARGO_PKG_VERSION"), "Os": "linux", "Arch": oci::Platform::host().architecture});
    match typed.last("format") {
        Some(format) => formatted(format, &value),
        None => line(&format!("hull {}", env!("CARGO_PKG_VERSION"))).map(|()| 0),
    }
}

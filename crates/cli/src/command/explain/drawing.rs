//! An explanation drawn: the host, the kernel, the container between its walls, its layers. SVG, coloured by the
//! page's classes.

use super::html::escape;
use super::sections::counted;
use crate::render::size;
use engine::explain::{Explanation, Isolation, Origin, Owner};
use std::fmt::Write;

/// A rectangle with words in it.
fn block(svg: &mut String, class: &str, (x, y, width, height): (usize, usize, usize, usize), words: &str) {
    let _ =
        write!(svg, r#"<g class="{class}"><rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>"#);
    let room = width.saturating_sub(16) * 2 / 13;
    let _ = writeln!(svg, r#"<text x="{}" y="{}">{}</text></g>"#, x + 10, y + 19, escape(&cut(words, room)));
}

/// The first letters, if there is no room for all.
fn cut(words: &str, room: usize) -> String {
    match words.chars().count() > room {
        true => words.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
        false => words.to_owned(),
    }
}

/// All of it.
pub(super) fn svg(it: &Explanation) -> String {
    let mut svg = String::from(
        r#"<svg viewBox="0 0 780 396" role="img" aria-label="host, kernel, container and its layers">"#,
    );
    svg.push('\n');
    block(&mut svg, "host", (1, 1, 778, 394), &format!("host: Linux {}, its root is user 0", it.host.kernel));
    container(&mut svg, it);
    walls(&mut svg, &it.isolation);
    beside(&mut svg, it);
    block(
        &mut svg,
        "kernel",
        (16, 352, 748, 30),
        &format!("kernel: one for all; control groups {}", it.host.cgroups),
    );
    svg + "</svg>\n"
}

fn container(svg: &mut String, it: &Explanation) {
    let is = &it.isolation;
    let class = if is.ids.root == Some(0) { "box bad" } else { "box good" };
    let name = format!("container {}: {}", it.container.name, it.container.status);
    block(svg, class, (16, 36, 500, 236), &name);
    let user = format!("user {} inside is {} outside", is.ids.user.0, is.ids.user.1);
    block(svg, "part", (32, 68, 300, 28), &it.container.command.join(" "));
    block(
        svg,
        "part",
        (342, 68, 158, 28),
        &it.container.pid.map_or("does not run".into(), |pid| format!("process {pid}")),
    );
    block(svg, if is.ids.user.1 == 0 { "chip bad" } else { "chip good" }, (32, 102, 468, 28), &user);
    for (at, one) in is.namespaces.iter().enumerate() {
        let (class, whose) = match one.owner {
            Owner::Own => ("chip good", "own"),
            Owner::Host if one.kind == "time" => ("chip", "host's"),
            Owner::Host => ("chip bad", "host's"),
            Owner::Shared => ("chip warn", "shared"),
        };
        let place = (32 + at % 4 * 118, 138 + at / 4 * 34, 112, 28);
        block(svg, class, place, &format!("{} {whose}", one.kind));
    }
    files(svg, is);
}

/// What comes from the host.
fn files(svg: &mut String, is: &Isolation) {
    let binds: Vec<_> = is.mounts.iter().filter(|mount| mount.origin == Origin::Host).collect();
    let writable = binds.iter().filter(|mount| mount.writable).count();
    let (class, words) = match (binds.len(), writable) {
        (0, _) => ("chip good", "no files of the host".to_owned()),
        (all, 0) => ("chip good", format!("{all} of the host's paths, read-only")),
        (all, some) => ("chip warn", format!("{all} of the host's paths, {some} writable")),
    };
    block(svg, class, (32, 206, 300, 28), &words);
    let (class, words) =
        if is.devices.all { ("chip bad", "all devices") } else { ("chip good", "few devices") };
    block(svg, class, (342, 206, 158, 28), words);
    let reach = format!("reaches {}", is.network.reach);
    let is_hosts = is.namespaces.iter().any(|one| one.kind == "net" && one.owner == Owner::Host);
    block(svg, if is_hosts { "chip bad" } else { "chip good" }, (32, 238, 468, 28), &reach);
}

/// What stands between the container and the kernel.
fn walls(svg: &mut String, is: &Isolation) {
    let filter = &is.seccomp;
    let (class, words) = match filter.mode {
        "off" => ("chip bad", "no filter of system calls".to_owned()),
        _ => ("chip good", format!("filter: {} calls through, {} refused", filter.allowed, filter.refused)),
    };
    block(svg, class, (16, 280, 276, 28), &words);
    let sets = &is.capabilities;
    let (class, over) =
        if sets.over_host { ("chip bad", "over the host") } else { ("chip good", "own only") };
    block(svg, class, (300, 280, 216, 28), &format!("{} capabilities, {over}", sets.bounding.len()));
    let limited = |name: &str| is.limits.resources.iter().find(|one| one.name == name)?.limit.clone();
    let places = [("memory", 16), ("cpu", 186), ("processes", 356)];
    for (name, x) in places {
        let limit = limited(name);
        let words = match &limit {
            Some(limit) if name == "memory" => format!("memory ≤ {}", size(limit.parse().unwrap_or(0))),
            Some(limit) => format!("{name} ≤ {limit}"),
            None => format!("{name}: no limit"),
        };
        let class = if limit.is_some() { "chip good" } else { "chip warn" };
        block(svg, class, (x, 316, 160, 28), &words);
    }
}

/// Layers, and who else is there.
fn beside(svg: &mut String, it: &Explanation) {
    block(svg, "part", (536, 36, 228, 28), &counted(it.host.neighbours, "neighbour"));
    let own = if it.layers.read_only {
        "read-only root".to_owned()
    } else {
        format!("own layer: {}", size(it.layers.written))
    };
    block(svg, "chip good", (536, 80, 228, 28), &own);
    const SHOWN: usize = 6;
    let layers = &it.layers.image;
    for (at, layer) in layers.iter().rev().take(SHOWN).enumerate() {
        let sharers = layer.containers.len() + layer.images.len().saturating_sub(1);
        let shared = if sharers > 0 { format!(", shared by {sharers}") } else { String::new() };
        block(svg, "part", (536, 112 + at * 32, 228, 28), &format!("layer: {}{shared}", size(layer.bytes)));
    }
    if layers.len() > SHOWN {
        block(svg, "part", (536, 112 + SHOWN * 32, 228, 28), &format!("and {} more", layers.len() - SHOWN));
    }
}

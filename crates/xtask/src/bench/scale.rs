//! Does a full store slow a start?

use super::contest::Contender;
use super::{Bench, WORK, hull, hull_at};
use crate::image::{Layers, archive};
use std::path::Path;

/// Other containers and images in the store.
const CONTAINERS: usize = 5000;
const IMAGES: usize = 200;

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    fill(bench)?;
    let contenders = [
        Contender::new(
            &format!(
                "40 layers, {} other containers, {} images",
                bench.crowd(CONTAINERS),
                bench.crowd(IMAGES)
            ),
            hull("full", &["run", "--rm", "many:1", "true"]),
        ),
        Contender::new("1 layer, empty store", hull("store", &["run", "--rm", "bb", "true"])),
    ];
    bench.contest("A full store beside an empty one (aim: ≤ 1.15)", &contenders)
}

fn fill(bench: &Bench) -> Result<(), String> {
    let mut layers = Layers::default();
    layers.add_busybox()?;
    for number in 1..40 {
        layers.add_file(&format!("f{number}"), format!("{number}\n").as_bytes());
    }
    archive(&Path::new(WORK).join("many.tar"), "many:1", &layers.0)?;
    let full = hull_at("full");
    bench.sh(&format!("{full} load -i many.tar && {full} load -i bb-image.tar"))?;
    let images = bench.crowd(IMAGES);
    bench.sh(&format!(
        "set -e; for i in $(seq {images}); do echo $i > one; tar -cf one.tar one; {full} import one.tar one:$i; done"
    ))?;
    // Two at once: making them is not what is measured.
    let half = bench.crowd(CONTAINERS) / 2;
    bench.sh(&format!(
        "fill() {{ for i in $(seq {half}); do {full} run bb true || exit 1; done; }}; fill & fill && wait $!"
    ))
}

//! What a user types, beside the engines that are typed today.

use super::contest::Contender;
use super::peers::{Docker, Podman};
use super::{Bench, hull};

const RUN: [&str; 6] = ["run", "--rm", "--network", "none", "bb", "true"];

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
    let mut contenders = vec![Contender::new("`hull run --rm --network none bb true`", hull("store", &RUN))];
    let mut missing = String::new();
    match &podman {
        Ok(podman) => contenders.push(Contender::new("the same with podman", podman.words(&RUN)).covered()),
        Err(why) => missing += &format!("\n- podman is missing: {why}\n"),
    }
    match &docker {
        Ok(docker) => contenders.push(Contender::new("the same with docker", docker.words(&RUN))),
        Err(why) => missing += &format!("\n- docker is missing: {why}\n"),
    }
    Ok(bench.contest("Beside engines (aim: ≥ 15 × faster, so at most 0.07)", &contenders)? + &missing)
}

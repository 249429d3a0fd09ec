//! `hull rename`, `hull update`.

use super::{each, run};
use crate::Caller;
use crate::edge::{self, Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, value};
use crate::render::line;
use engine::update::UpdateRequest;

pub(super) const RENAME: Syntax = Syntax {
    name: "rename",
    rest: "CONTAINER NEW_NAME",
    about: "Give a container another name.",
    flags: &[],
    examples: &["hull rename web web-before"],
    words: (2, 2),
    stops: false,
};

pub(super) fn rename(typed: &Typed, caller: &Caller) -> Done {
    caller.engine()?.rename(&typed.words[0], &typed.words[1])?;
    Ok(0)
}

pub(super) const UPDATE: Syntax = Syntax {
    name: "update",
    rest: "CONTAINER [CONTAINER…]",
    about: "Change the limits of containers, at once and for later starts.",
    flags: &[
        value("memory", "BYTES", "Memory").or('m'),
        value("memory-swap", "BYTES", "Memory and swap together; -1 unlimited"),
        value("memory-reservation", "BYTES", "Memory kept from reclaim"),
        value("cpus", "N", "CPUs' worth of time, e.g. 1.5"),
        value("cpu-shares", "N", "Weight under contention (1024)").or('c'),
        value("cpu-period", "µS", "Period of the quota"),
        value("cpu-quota", "µS", "CPU time in each period"),
        value("cpu-rt-period", "µS", "Real-time period (cgroup v1)"),
        value("cpu-rt-runtime", "µS", "Real-time share (cgroup v1)"),
        value("cpuset-cpus", "LIST", "CPUs it may run on, e.g. 0-2,7"),
        value("cpuset-mems", "LIST", "Memory nodes it may use"),
        value("pids-limit", "N", "Processes; -1 unlimited"),
        value("blkio-weight", "N", "Weight of block I/O, 10 to 1000"),
        value("restart", "POLICY", "When it is started again after its end"),
    ],
    examples: &["hull update --memory 512m --memory-swap 1g --cpus 1.5 web"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn update(typed: &Typed, caller: &Caller) -> Done {
    if UPDATE.flags.iter().all(|flag| typed.last(flag.long).is_none()) {
        return Err(Mistake::new("you must provide one or more flags when using this command").into());
    }
    let update = UpdateRequest { limits: run::limits(typed)?, restart: typed.parsed("restart", str::parse)? };
    let engine = caller.engine()?;
    each(&typed.words, |name| {
        engine.update(name, &update, &mut edge::warn).map_err(Failure::from).and_then(|()| line(name))
    })
}

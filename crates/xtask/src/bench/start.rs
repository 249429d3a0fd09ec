//! A start, to its end: beside what the kernel itself demands, and beside runtimes with a prepared bundle.

use super::contest::{Contender, Contest, words};
use super::{Bench, WORK, hull};
use crate::shell::{has, quietly, root};
use std::process::Command;
use std::time::Duration;

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    bench.spec("true")?;
    let mut contenders = vec![Contender::new(
        "`hull run --rm --network none bb true`",
        hull("store", &["run", "--rm", "--network", "none", "bb", "true"]),
    )];
    let mut text = String::new();
    match floor() {
        Ok(floor) => contenders.push(floor),
        Err(why) => text = format!("\n- the kernel's floor is missing: {why}\n"),
    }
    for runtime in ["crun", "runc"] {
        let name = format!("`{runtime} run` of a prepared bundle");
        let run = words(&[runtime, "run", "--bundle", "bundle", "bench"]);
        contenders.push(Contender::new(&name, run).covered());
    }
    for (title, pause) in [("Start to end, back to back", 0), ("Start to end, 20 ms pause before each", 20)] {
        let contest = Contest { title, rounds: bench.rounds, pause: Duration::from_millis(pause) };
        text += &contest.hold(WORK, &contenders)?;
    }
    Ok(text)
}

/// The least work that the kernel demands for a container like ours, see its README.
fn floor() -> Result<Contender, String> {
    let source = root().join("../shared/floor/floor.c");
    if !has("cc") || !source.exists() {
        return Err("no C compiler, or no `../shared/floor/floor.c`".into());
    }
    let program = format!("{WORK}/floor");
    quietly(Command::new("cc").args(["-O2", "-static", "-o", &program]).arg(source))?;
    let state = format!("{WORK}/floor-state");
    let line = words(&[&program, "-u", "-n", "own", "-l", "5", "-g", "-s", "--", &state, "/bin/true"]);
    Ok(Contender::new("the kernel's floor (`floor -u -n own -l 5 -g -s`)", line))
}

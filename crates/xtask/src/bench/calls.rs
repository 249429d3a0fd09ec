//! What the filter of system calls costs inside.

use super::contest::Contender;
use super::{Bench, hull};

/// Opens, duplicates and closes a file each time round.
const LOOP: &str = "i=0; while [ $i -lt 100000 ]; do : < /dev/null; i=$((i+1)); done";

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    let with = |option: &str| {
        let line = hull("store", &["run", "--rm", "--security-opt", option, "bb", "sh", "-c", LOOP]);
        Contender::new(option, line)
    };
    let contenders = [with("seccomp=builtin"), with("seccomp=unconfined")];
    bench.contest_of(
        "A loop of system calls, default filter beside none (aim: ≤ 1.05)",
        bench.rounds_of(2),
        &contenders,
    )
}

//! Instructions of a run, user's and kernel's: in an emulated machine whose clock counts them, as few machines of the
//! cloud let theirs be read.

use super::Bench;
use crate::vm;

/// Of a tick of the machine's clock.
const MILLIONS: f64 = 10.0;

pub(super) fn group(_: &Bench) -> Result<String, String> {
    let lines = vm::counts()?;
    let counted: Vec<_> = lines.iter().filter_map(|line| parsed(line)).collect();
    let &(_, first) = counted.first().ok_or("no count could be read")?;
    let rows = counted
        .iter()
        .map(|(name, millions)| format!("| {name} | {millions:.2} | {:.2} |\n", first / millions));
    let title = "Instructions, user and kernel, Linux 6.12 with cgroup v2 (aim: ≤ crun)";
    let text =
        format!("\n### {title}\n\n| | millions | hull / it |\n|---|---|---|\n{}", rows.collect::<String>());
    eprintln!("{text}");
    Ok(text)
}

/// `NAME RUNS TICKS`: the name, and millions of instructions for one run.
fn parsed(line: &str) -> Option<(String, f64)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [name, runs, ticks] = words.as_slice() else { return None };
    let (runs, ticks): (f64, f64) = (runs.parse().ok()?, ticks.parse().ok()?);
    (runs > 0.0 && ticks > 0.0).then(|| ((*name).replace('-', " "), ticks * MILLIONS / runs))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_count_is_millions_for_one_run() {
        assert_eq!(super::parsed("crun-run 60 30"), Some(("crun run".to_owned(), 5.0)));
        assert_eq!(super::parsed("crun-run fails"), None);
        assert_eq!(super::parsed("crun-run 60 0"), None);
    }
}

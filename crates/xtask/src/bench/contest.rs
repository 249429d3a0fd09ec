//! Contenders in turn, round for round, so that whatever else the machine does falls on all of them alike.

use super::timer::{Job, Timer, Words};
use std::fmt::Write as _;
use std::time::Duration;

/// One that is timed.
pub(super) struct Contender {
    pub(super) name: String,
    /// Is it a peer that cannot stand a hybrid tree of groups?
    covered: bool,
    job: Job,
}

impl Contender {
    /// A command on the host.
    pub(super) fn new(name: &str, command: Words) -> Self {
        Self::doing(name, Job { timed: vec![command], ..Job::default() })
    }

    /// More than a command.
    pub(super) fn doing(name: &str, job: Job) -> Self {
        Self { name: name.to_owned(), covered: false, job }
    }

    /// Where cgroup2 of a hybrid host is covered.
    pub(super) fn covered(self) -> Self {
        Self { covered: true, ..self }
    }
}

/// Words of a command line.
pub(super) fn words(line: &[&str]) -> Words {
    line.iter().map(|&word| word.to_owned()).collect()
}

/// A command line of the shell.
pub(super) fn shell(script: &str) -> Words {
    words(&["sh", "-c", script])
}

/// How often, and what it is called.
pub(super) struct Contest<'a> {
    pub(super) title: &'a str,
    pub(super) rounds: usize,
    /// Before each command.
    pub(super) pause: Duration,
}

/// Rounds before the first that counts.
const WARM: usize = 2;

impl Contest<'_> {
    /// A table; ratios are the first contender's median to each other's. One that fails is named with its reason.
    pub(super) fn hold(&self, dir: &str, contenders: &[Contender]) -> Result<String, String> {
        let mut host = Timer::on_host(dir)?;
        let mut covered = Timer::where_crun_works(dir)?;
        let mut times = vec![Ok(Vec::new()); contenders.len()];
        for round in 0..self.rounds + WARM.min(self.rounds) {
            for (contender, times) in contenders.iter().zip(&mut times) {
                let Ok(own) = times else { continue };
                std::thread::sleep(self.pause);
                let timer = if contender.covered { &mut covered } else { &mut host };
                match timer.time(&contender.job) {
                    Ok(time) if round >= WARM.min(self.rounds) => own.push(time),
                    Ok(_) => {}
                    Err(why) => *times = Err(why),
                }
            }
        }
        if let Some(Err(why)) = times.first() {
            return Err(why.clone());
        }
        let table = table(self.title, self.rounds, contenders, times);
        eprint!("{table}");
        Ok(table)
    }
}

fn table(
    title: &str,
    rounds: usize,
    contenders: &[Contender],
    times: Vec<Result<Vec<f64>, String>>,
) -> String {
    let mut table =
        format!("\n### {title}\n\n| {rounds} rounds | median ms | min ms | hull / it |\n|---|---|---|---|\n");
    let mut first = None;
    for (contender, times) in contenders.iter().zip(times) {
        let _ = match times {
            Ok(mut times) => {
                let (median, least) = middle(&mut times);
                let ratio = *first.get_or_insert(median) / median;
                writeln!(table, "| {} | {median:.2} | {least:.2} | {ratio:.2} |", contender.name)
            }
            Err(why) => writeln!(table, "| {} | missing: {} | | |", contender.name, why.replace('|', "/")),
        };
    }
    table
}

/// The median and the least.
pub(super) fn middle(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

//! What a container writes, kept and read back, beside engines and beside a pipe that nobody keeps.

use super::contest::{Contender, shell};
use super::peers::{Docker, Podman};
use super::timer::Job;
use super::{Bench, WORK, hull_at};

/// Lines of 64 bytes.
const LINES: usize = 2_000_000;

/// And those of a log that is read in places.
const MANY: usize = 80_000_000;

/// A round takes seconds.
const SLOW: usize = 20;

/// Who keeps a log: its name, its line of the shell, and the flags that name a driver.
struct Keeper {
    name: &'static str,
    line: String,
    flags: &'static str,
    covered: bool,
}

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
    let own = |name, flags| Keeper { name, line: hull_at("store"), flags, covered: false };
    let mut keepers = vec![own("hull", ""), own("hull, `json-file`", "--log-driver json-file")];
    let mut missing = String::new();
    match docker.as_ref().map(Docker::line) {
        Ok(line) => {
            let keeper = |name, flags| Keeper { name, line: line.clone(), flags, covered: false };
            keepers.push(keeper("docker, `json-file`", "--log-driver json-file"));
            keepers.push(keeper("docker, `local`", "--log-driver local --log-opt max-size=1g"));
        }
        Err(why) => missing += &format!("\n- docker is missing: {why}\n"),
    }
    match podman.as_ref().map(Podman::line) {
        Ok(line) => {
            let flags = "--log-driver k8s-file";
            keepers.push(Keeper { name: "podman, `k8s-file`", line, flags, covered: true });
        }
        Err(why) => missing += &format!("\n- podman is missing: {why}\n"),
    }
    Ok(written(bench, &keepers)? + &read(bench, &keepers)? + &looked_up(bench)? + &missing)
}

/// What writes so many lines, as a word of the shell.
fn script(lines: usize) -> String {
    format!("'busybox yes {} | head -n {lines}'", "x".repeat(63))
}

impl Keeper {
    /// Starts a container that writes, and waits for its end.
    fn fill(&self, name: &str, lines: usize) -> String {
        let Self { line, flags, .. } = self;
        let script = script(lines);
        // A container that nobody has room for keeps all: docker's own limit is none, hull's is 100 MB.
        let size = if flags.is_empty() { "--log-opt max-size=1g" } else { "" };
        format!(
            "{line} run -d --name {name} --network none {flags} {size} bb sh -c {script} && {line} wait {name}"
        )
    }

    fn contender(&self, title: &str, job: Job) -> Contender {
        let contender = Contender::doing(&format!("{}{title}", self.name), job);
        if self.covered { contender.covered() } else { contender }
    }
}

fn written(bench: &Bench, keepers: &[Keeper]) -> Result<String, String> {
    let mut contenders: Vec<_> = keepers
        .iter()
        .map(|keeper| {
            let after = vec![shell(&format!("{} rm -f full", keeper.line))];
            let timed = vec![shell(&keeper.fill("full", LINES))];
            keeper.contender("", Job { timed, after, ..Job::default() })
        })
        .collect();
    let pipe = format!("busybox sh -c {} | cat > /dev/null", script(LINES));
    contenders.push(Contender::new("no container: a pipe to `cat > /dev/null`", shell(&pipe)));
    bench.contest_of(
        "A container that writes 2 million lines of 64 bytes, detached, to its end",
        bench.rounds_of(SLOW),
        &contenders,
    )
}

fn read(bench: &Bench, keepers: &[Keeper]) -> Result<String, String> {
    for keeper in keepers {
        let name = keeper.place();
        // Whoever cannot is named in the table.
        let _ = bench.sh(&keeper.covered(&keeper.fill(&name, LINES)));
    }
    let contest = |title: &str, flags: &str| {
        let contenders: Vec<_> = keepers
            .iter()
            .map(|keeper| {
                let script = format!("{} logs {flags} {} > /dev/null", keeper.line, keeper.place());
                keeper.contender("", Job { timed: vec![shell(&script)], ..Job::default() })
            })
            .collect();
        bench.contest_of(title, bench.rounds_of(SLOW), &contenders)
    };
    Ok(contest("`logs` of these, of which hull and docker's `local` keep the last 100 MB", "")?
        + &contest("`logs --tail 10` of these", "--tail 10")?)
}

impl Keeper {
    /// The name of the container whose log is read.
    fn place(&self) -> String {
        self.name.chars().filter(char::is_ascii_alphanumeric).collect()
    }

    /// A script where podman works.
    fn covered(&self, script: &str) -> String {
        if !self.covered {
            return script.to_owned();
        }
        let quoted = script.replace('\'', "'\\''");
        let cover = "[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified";
        format!("unshare -m sh -c '{cover}; {quoted}'")
    }
}

/// Places of a log of 5 GB beside those of one of 128 MB.
fn looked_up(bench: &Bench) -> Result<String, String> {
    let hull = hull_at("store");
    let big = format!(
        "{hull} run -d --name big --log-opt max-size=1g --log-opt max-file=10 --log-opt compress=false bb \
         sh -c {} && {hull} wait big",
        script(bench.crowd(MANY))
    );
    bench.sh(&big)?;
    bench.sh(&format!(
        "{hull} logs -t --tail 1000000 big 2> /dev/null | head -n 1 | cut -d ' ' -f 1 > middle"
    ))?;
    let of = |name: &str, flags: &str| {
        let script = format!("{hull} logs {flags} {name} > /dev/null");
        Contender::new(&format!("`hull logs {flags} {name}`"), shell(&script))
    };
    let contenders =
        [of("big", "--tail 10"), of("hull", "--tail 10"), of("big", "--since $(cat middle) --tail 10")];
    let title = format!(
        "Places of a log of {} MB (`big`), and of 128 MB (`hull`)",
        bench.crowd(MANY) * 64 / 1_000_000
    );
    let text = bench.contest(&title, &contenders);
    let _ = bench.sh(&format!("{hull} rm -f big; rm -rf {WORK}/middle"));
    text
}

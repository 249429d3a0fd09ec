//! Many clients on many containers for a long time, and a killer among them: commands end in a sensible order, nothing
//! is lost that was acknowledged, and nothing is left.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and says what it did")]

mod support;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::{Sandbox, soon, text};

/// Numbers that are the same for the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// What a client types, to a container of this name.
const VERBS: [&[&str]; 22] = [
    &[
        "run",
        "-d",
        "--name",
        "NAME",
        "bb",
        "sh",
        "-c",
        "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done",
    ],
    &["run", "-d", "--rm", "--name", "NAME", "bb", "sleep", "3"],
    &["run", "-d", "--restart", "always", "--name", "NAME", "bb", "sh", "-c", "sleep 0.$(($$ % 9)); exit 1"],
    &[
        "run",
        "-d",
        "--health-cmd",
        "true",
        "--health-interval",
        "200ms",
        "--name",
        "NAME",
        "bb",
        "sleep",
        "1000",
    ],
    &["run", "--name", "NAME", "bb", "true"],
    &["create", "--name", "NAME", "bb", "sleep", "5"],
    &["start", "NAME"],
    &["stop", "-t", "0", "NAME"],
    &["restart", "-t", "0", "NAME"],
    &["kill", "NAME"],
    &["kill", "-s", "USR1", "NAME"],
    &["pause", "NAME"],
    &["unpause", "NAME"],
    &["exec", "NAME", "true"],
    &["logs", "--tail", "5", "NAME"],
    &["inspect", "NAME"],
    &["ps", "-a"],
    &["rename", "NAME", "OTHER"],
    &["update", "--restart", "no", "NAME"],
    &["rm", "-f", "NAME"],
    &["rm", "NAME"],
    &["wait", "NAME"],
];

/// Runs one; a client that waits too long is killed, as users do.
fn typed(sandbox: &Sandbox, args: &[String], patience: Duration) -> Option<Output> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command: Command = sandbox.command(&words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    loop {
        if child.try_wait().unwrap().is_some() {
            return Some(child.wait_with_output().unwrap());
        }
        if start.elapsed() > patience {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn client(sandbox: &Sandbox, seed: u64, names: usize, until: Instant) -> (usize, Vec<String>) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (mut count, mut wrong) = (0, Vec::new());
    while Instant::now() < until {
        let verb = VERBS[dice.roll(VERBS.len())];
        let (name, other) = (dice.roll(names), dice.roll(names));
        let args: Vec<String> = verb
            .iter()
            .map(|word| match *word {
                "NAME" => format!("soak-{name}"),
                "OTHER" => format!("soak-{other}"),
                word => word.to_owned(),
            })
            .collect();
        // One in twenty is killed at some moment.
        let short = dice.roll(20) == 0;
        let patience = if short {
            Duration::from_millis(dice.roll(60) as u64)
        } else {
            Duration::from_secs(if verb[0] == "wait" { 5 } else { 60 })
        };
        match typed(sandbox, &args, patience) {
            None if !short && verb[0] != "wait" => wrong.push(format!("{args:?} did not end")),
            None => {}
            Some(output) => {
                let told = text(&output.stderr);
                let code = output.status.code();
                // The killer may have met the command itself, which owns its container until the monitor does.
                let is_known = code.is_none_or(|code| [0, 1, 125, 126, 137].contains(&code))
                    && !told.contains("panicked");
                if let (Some(path), false) = (std::env::var_os("HULL_SOAK_ERRORS"), told.is_empty()) {
                    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
                    let line = format!("{} {code:?}: {told}", verb[0]);
                    std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
                }
                if !is_known {
                    wrong.push(format!("{args:?}: {code:?} {told}"));
                }
            }
        }
        count += 1;
    }
    (count, wrong)
}

/// Kills a monitor from time to time.
fn killer(sandbox: &Sandbox, until: Instant) -> usize {
    let (mut dice, mut count) = (Dice(4711), 0);
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(300));
        let slots = std::fs::read_dir(sandbox.root().join("run/slots")).into_iter().flatten().flatten();
        let texts = slots.filter_map(|slot| std::fs::read_to_string(slot.path()).ok());
        let monitors: Vec<i64> = texts
            .filter_map(|text| serde_json::from_str::<serde_json::Value>(&text).ok()?["monitor"].as_i64())
            .collect();
        if monitors.is_empty() {
            continue;
        }
        let pid = rustix::process::Pid::from_raw(monitors[dice.roll(monitors.len())] as i32).unwrap();
        count += usize::from(rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok());
    }
    count
}

fn soak(seconds: u64, names: usize) {
    let sandbox = Sandbox::new();
    let until = Instant::now() + Duration::from_secs(seconds);
    let (counts, killed) = std::thread::scope(|scope| {
        let clients: Vec<_> = (1..=8)
            .map(|seed| {
                scope.spawn({
                    let sandbox = &sandbox;
                    move || client(sandbox, seed, names, until)
                })
            })
            .collect();
        let killer = scope.spawn(|| killer(&sandbox, until));
        (clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>(), killer.join().unwrap())
    });
    let commands: usize = counts.iter().map(|(count, _)| count).sum();
    println!("{commands} commands on {names} names, {killed} monitors killed");
    let wrong: Vec<_> = counts.into_iter().flat_map(|(_, wrong)| wrong).collect();
    assert!(wrong.is_empty(), "{} of {commands}: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    for id in sandbox.ids() {
        sandbox.hull(&["rm", "-f", &id]);
    }
    soon("all is gone", || sandbox.ids().is_empty());
    soon("and all ids are given back", || {
        std::fs::read_dir(sandbox.root().join("run/slots")).map_or(0, Iterator::count) == 0
    });
    let repair = sandbox.hull(&["system", "check", "--repair"]);
    assert!(repair.status.success(), "{}", text(&repair.stdout));
    sandbox.assert_clean();
}

#[test]
fn eight_clients_and_a_killer_on_a_few_containers() {
    soak(15, 6);
}

#[test]
#[ignore = "takes ten minutes"]
fn eight_clients_and_a_killer_on_two_hundred_containers() {
    soak(600, 200);
}

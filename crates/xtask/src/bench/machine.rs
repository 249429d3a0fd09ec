//! What a virtual machine costs for the same busybox, and what a container does.

use super::{Bench, WORK, hull_at};
use crate::shell::sh;
use crate::vm;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What is waited for.
const LINE: &str = "here";

/// A machine takes seconds.
const SLOW: usize = 20;

fn qemu(kernel: &Path, ram: &Path, accelerator: &str) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", accelerator, "-m", "128", "-nographic", "-nic", "none"]);
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(ram);
    qemu.args(["-append", "console=ttyS0 quiet panic=-1"]);
    qemu
}

/// Does a machine come to its line by KVM? A device that is there may still not work.
fn is_accelerated(kernel: &Path, ram: &Path) -> bool {
    let qemu = qemu(kernel, ram, "kvm");
    let mut limited = Command::new("timeout");
    limited.args(["--signal=KILL", "10"]).arg(qemu.get_program()).args(qemu.get_args()).stdin(Stdio::null());
    Path::new("/dev/kvm").exists()
        && limited.output().is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains(LINE))
}

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    let rounds = bench.rounds_of(SLOW);
    let (kernel, ram) = vm::smallest(Path::new(WORK), LINE)?;
    let accelerated = is_accelerated(&kernel, &ram);
    let machine = || qemu(&kernel, &ram, if accelerated { "kvm" } else { "tcg" });
    let script =
        format!("exec {} run --rm --network none bb sh -c 'echo {LINE}; sleep 1000'", hull_at("store"));
    let container = || sh(Path::new(WORK), &script);
    let title = "A machine and a container of the same busybox, to its first line";
    let how = if accelerated { "KVM" } else { "emulation: KVM does not work here" };
    let rows =
        [row(&format!("qemu, {how}"), rounds, machine)?, row("`hull run`", rounds.max(10), container)?];
    let text = format!(
        "\n### {title}\n\n| | median ms | resident KiB, whole tree of processes |\n|---|---|---|\n{}",
        rows.concat()
    );
    eprintln!("{text}");
    Ok(text)
}

fn row(name: &str, rounds: usize, command: impl Fn() -> Command) -> Result<String, String> {
    let mut times = Vec::new();
    let mut memory = 0;
    for _ in 0..rounds {
        let (time, resident) = first_line(command())?;
        times.push(time);
        memory = resident;
    }
    let (median, _) = super::contest::middle(&mut times);
    Ok(format!("| {name} | {median:.1} | {memory} |\n"))
}

/// Milliseconds until it says the line, and what is resident of it then.
fn first_line(mut command: Command) -> Result<(f64, u64), String> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("start {:?}: {error}", command.get_program()))?;
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let heard = lines.map_while(Result::ok).any(|line| line.contains(LINE));
    let time = start.elapsed().as_secs_f64() * 1e3;
    let memory = resident(child.id());
    let _ = child.kill();
    let _ = child.wait();
    if heard {
        Ok((time, memory))
    } else {
        Err(format!("{:?} ended without its line", command.get_program()))
    }
}

/// Of a process and all below it; shared pages are divided (Pss).
fn resident(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let own = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below: u64 = children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(resident).sum();
    own.unwrap_or(0) + below
}

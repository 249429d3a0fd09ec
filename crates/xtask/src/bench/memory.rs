//! Memory: the peak of a load, and all of hull's while a container runs.

use super::load;
use super::{Bench, WORK, hull_at};
use crate::shell::sh;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    load::make(bench)?;
    let mut text = String::from("\n### Memory\n\n| | KiB |\n|---|---|\n");
    let mut row = |name: &str, amount: u64| {
        text += &format!("| {name} | {amount} |\n");
        eprintln!("{name}: {amount} KiB");
    };
    row(
        "peak resident, `hull load` of 300 MB in 8 layers (aim: ≤ 65536)",
        peak_of("load -i archive.tar", "loaded")?,
    );
    row("peak resident, `hull import` of the same (no aim)", peak_of("import whole.tar", "loaded")?);
    let (resident, private) = while_running()?;
    row("peak resident, `hull run`, pages of its binary among them (aim: ≤ 4096)", resident);
    row("private memory of `hull run` while the container runs", private);
    Ok(text)
}

/// The peak can only grow, so the last look tells it; at the very end the file is empty.
fn peak_of(args: &str, store: &str) -> Result<u64, String> {
    let mut command = sh(Path::new(WORK), &format!("exec {} {args}", hull_at(store)));
    let mut child = command.stdout(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    let mut peak = 0;
    loop {
        peak = peak.max(amount(child.id(), "status", "VmHWM:"));
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return if status.success() { Ok(peak) } else { Err(format!("hull {args}: {status}")) };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Resident at most, and private, once the program in the container is there.
fn while_running() -> Result<(u64, u64), String> {
    let script = format!("exec {} run --rm bb sleep 1000", hull_at("store"));
    let mut child = sh(Path::new(WORK), &script).spawn().map_err(|error| error.to_string())?;
    let start = Instant::now();
    while !sleeps(child.id()) && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let amounts = (amount(child.id(), "status", "VmHWM:"), private(child.id()));
    let _ = child.kill(); // a container's first process hears nothing less
    let _ = child.wait();
    if amounts.0 == 0 { Err("`hull run` did not come up".into()) } else { Ok(amounts) }
}

fn sleeps(hull: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{hull}/task/{hull}/children")).unwrap_or_default();
    children.split_whitespace().any(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "sleep")
    })
}

fn private(pid: u32) -> u64 {
    ["Private_Clean:", "Private_Dirty:"].iter().map(|word| amount(pid, "smaps_rollup", word)).sum()
}

/// A line of a file in `/proc`, in KiB.
fn amount(pid: u32, file: &str, word: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

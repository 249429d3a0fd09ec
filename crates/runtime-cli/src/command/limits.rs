//! `update`, `events`, `pause`, `resume`, `ps`

use super::{Caller, Done, Failure};
use crate::flags::{Read, Syntax, Typed, mistake, switch, value};
use bundle::{Oom, Place, Stats};
use oci::runtime::LinuxResources;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use serde_json::{Map, Value, json};
use std::io::{Read as _, Write};
use std::time::{Duration, Instant};

pub(super) const UPDATE: Syntax = Syntax {
    name: "update",
    rest: "CONTAINER-ID",
    about: "change a container's limits",
    flags: &[
        value(
            &["resources", "r"],
            "FILE",
            "the limits as JSON, `-` for standard input; all else is ignored then",
        ),
        value(&["blkio-weight"], "N", "weight of block I/O, 10 to 1000"),
        value(&["cpu-period"], "US", "period of the CPU quota"),
        value(&["cpu-quota"], "US", "CPU time in a period"),
        value(&["cpu-burst"], "US", "CPU time saved up for bursts"),
        value(&["cpu-share"], "N", "relative weight of CPU"),
        value(&["cpu-rt-period"], "US", "period of the real-time quota"),
        value(&["cpu-rt-runtime"], "US", "real-time CPU time in a period"),
        value(&["cpuset-cpus"], "LIST", "CPUs to use"),
        value(&["cpuset-mems"], "LIST", "memory nodes to use"),
        value(&["kernel-memory"], "BYTES", "ignored: the kernel has no such limit any more"),
        value(&["kernel-memory-tcp"], "BYTES", "ignored likewise"),
        value(&["memory"], "BYTES", "memory"),
        value(&["cpu-idle"], "0|1", "run only on idle CPUs"),
        value(&["memory-reservation"], "BYTES", "memory when it is scarce"),
        value(&["memory-swap"], "BYTES", "memory and swap; -1 for no limit"),
        value(&["pids-limit"], "N", "processes and threads"),
        value(&["l3-cache-schema"], "SCHEMA", "Intel RDT: share of the L3 cache"),
        value(&["mem-bw-schema"], "SCHEMA", "Intel RDT: share of memory bandwidth"),
    ],
    words: (1, 1),
    stops_after: usize::MAX,
};

pub(super) const EVENTS: Syntax = Syntax {
    name: "events",
    rest: "CONTAINER-ID",
    about: "print what a container uses, and when its memory runs out, until it ends",
    flags: &[
        value(&["interval"], "DURATION", "how often (default: 5s)"),
        switch(&["stats"], "once, and then end"),
    ],
    words: (1, 1),
    stops_after: usize::MAX,
};

const fn simple(name: &'static str, about: &'static str) -> Syntax {
    Syntax { name, rest: "CONTAINER-ID", about, flags: &[], words: (1, 1), stops_after: usize::MAX }
}

pub(super) const PAUSE: Syntax = simple("pause", "stop all processes of a container for a while");
pub(super) const RESUME: Syntax = simple("resume", "let the processes of a paused container go on");

pub(super) fn pause(typed: &Typed, caller: &Caller) -> Done {
    caller.root.open(&typed.words[0])?.pause()?;
    Ok(0)
}

pub(super) fn resume(typed: &Typed, caller: &Caller) -> Done {
    caller.root.open(&typed.words[0])?.resume()?;
    Ok(0)
}

pub(super) fn update(typed: &Typed, caller: &Caller) -> Done {
    let place = caller.root.open(&typed.words[0])?;
    let schemata: Vec<_> = ["l3-cache-schema", "mem-bw-schema"]
        .iter()
        .filter_map(|name| typed.last(name).filter(|text| !text.is_empty()))
        .collect();
    let resources = resources(typed, caller)?;
    place.update(&resources)?;
    if !schemata.is_empty() {
        place.update_rdt(&schemata)?;
    }
    Ok(0)
}

fn resources(typed: &Typed, caller: &Caller) -> Result<LinuxResources, Failure> {
    let document = match typed.last("resources").filter(|path| !path.is_empty()) {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        Some(path) => std::fs::read_to_string(path)?,
        None => {
            if typed.last("kernel-memory").or(typed.last("kernel-memory-tcp")).is_some() {
                caller.log.warn("Kernel memory settings are ignored and will be removed");
            }
            from_flags(typed)?.to_string()
        }
    };
    match serde_json::from_str(&document) {
        Ok(resources) => Ok(resources),
        Err(error) => Ok(mistake(format!("read the limits: {error}"))?),
    }
}

/// A flag, the controller and member it is, and how it is read.
type Row = (&'static str, &'static str, &'static str, fn(&str) -> Option<Value>);

const ROWS: [Row; 14] = [
    ("blkio-weight", "blockIO", "weight", integer),
    ("cpu-period", "cpu", "period", integer),
    ("cpu-quota", "cpu", "quota", integer),
    ("cpu-burst", "cpu", "burst", integer),
    ("cpu-share", "cpu", "shares", integer),
    ("cpu-rt-period", "cpu", "realtimePeriod", integer),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime", integer),
    ("cpu-idle", "cpu", "idle", integer),
    ("cpuset-cpus", "cpu", "cpus", words),
    ("cpuset-mems", "cpu", "mems", words),
    ("memory", "memory", "limit", bytes),
    ("memory-reservation", "memory", "reservation", bytes),
    ("memory-swap", "memory", "swap", bytes),
    ("pids-limit", "pids", "limit", integer),
];

fn from_flags(typed: &Typed) -> Read<Value> {
    let mut all = Map::new();
    for (flag, controller, member, read) in ROWS {
        let Some(text) = typed.last(flag).filter(|text| !text.is_empty()) else { continue };
        let Some(value) = read(text) else { return mistake(format!("invalid value for {flag}: {text:?}")) };
        all.entry(controller).or_insert_with(|| json!({}))[member] = value;
    }
    Ok(all.into())
}

fn integer(text: &str) -> Option<Value> {
    text.parse::<i64>().ok().map(Value::from)
}

fn words(text: &str) -> Option<Value> {
    Some(text.into())
}

fn bytes(text: &str) -> Option<Value> {
    oci::size::parse_or_unlimited(text).ok().map(Value::from)
}

pub(super) fn events(typed: &Typed, caller: &Caller) -> Done {
    let interval = typed.parsed::<Span>("interval")?.map_or(Duration::from_secs(5), |Span(span)| span);
    if interval.is_zero() {
        return Ok(mistake("duration interval must be greater than 0")?);
    }
    let place = caller.root.open(&typed.words[0])?;
    if typed.is_on("stats") {
        tell_stats(&place, &place.stats()?)?;
        return Ok(0);
    }
    place.stats()?;
    let mut notice = place.oom_notice()?;
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let heard = poll(&mut [PollFd::new(&notice, PollFlags::IN)], Some(&left)).unwrap_or(0) > 0;
        let Ok(stats) = place.stats() else {
            return Ok(0); // the container has ended
        };
        // At every turn: the kernel says that memory ran out before it has killed.
        match notice.look() {
            Oom::Gone => return Ok(0),
            Oom::Killed(count) => (0..count).try_for_each(|_| tell(&place, "oom", None))?,
        }
        if !heard {
            tell_stats(&place, &stats)?;
            next += interval;
        }
    }
}

fn tell_stats(place: &Place, stats: &Stats) -> Result<(), Failure> {
    let mut stats = serde_json::to_value(stats).map_err(std::io::Error::from)?;
    stats["intel_rdt"] = json!({});
    stats["network_interfaces"] = Value::Null;
    tell(place, "stats", Some(stats))
}

fn tell(place: &Place, kind: &str, data: Option<Value>) -> Result<(), Failure> {
    let mut event = json!({"type": kind, "id": place.id()});
    data.into_iter().for_each(|data| event["data"] = data);
    Ok(std::io::stdout().write_all(format!("{event}\n").as_bytes())?)
}

/// Go's duration.
struct Span(Duration);

impl std::str::FromStr for Span {
    type Err = oci::Error;

    fn from_str(text: &str) -> Result<Self, oci::Error> {
        oci::duration::parse(text).map(|nanos| Self(Duration::from_nanos(nanos.max(0) as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let cases =
            [("-1", -1_i64), ("0", 0), ("512", 512), ("1k", 1024), ("1.5m", 1_572_864), ("2GiB", 2 << 30)];
        for (text, size) in cases {
            assert_eq!(bytes(text), Some(size.into()), "{text}");
        }
        for bad in ["", "x", "-2", "1x", "m"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn flags_become_the_specifications_members() {
        let line = ["--memory", "32m", "--cpu-quota", "5000", "--cpuset-cpus", "0", "--pids-limit=-1", "id"];
        let typed = UPDATE.read(line.map(Into::into)).unwrap();
        let expected = json!({
            "cpu": {"quota": 5000, "cpus": "0"}, "memory": {"limit": 33_554_432}, "pids": {"limit": -1},
        });
        assert_eq!(from_flags(&typed).unwrap(), expected);
    }
}

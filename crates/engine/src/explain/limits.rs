//! Limits as a control group's files have them, of v1 and of v2.

use super::value::{Limits, Pressure, Resource};
use cgroup::{Cgroup, Stats};
use serde_json::Value;
use std::path::PathBuf;

/// A file of a controller, if it is there.
type Read<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// What a group holds, and what it has used.
pub(super) fn seen(group: &Cgroup) -> Limits {
    let paths = group.paths();
    let read = |controller: &str, file: &str| read(&paths, controller, file);
    let stats = group.stats();
    let own = [("cpu", stats.cpu.psi), ("memory", stats.memory.psi), ("io", stats.blkio.psi)];
    let of_own = own.iter().filter_map(|(name, psi)| Some(pressure(name, psi.as_ref()?)));
    let own: Vec<_> = of_own.collect();
    Limits {
        resources: resources(&stats, &read),
        oom_kills: group.oom_kills(),
        pressure_of: if own.is_empty() { "host" } else { "container" },
        pressure: if own.is_empty() { of_host() } else { own },
        ..Limits::default()
    }
}

fn read(paths: &[(String, PathBuf)], controller: &str, file: &str) -> Option<String> {
    let (_, path) = paths.iter().find(|(name, _)| name == controller)?;
    Some(std::fs::read_to_string(path.join(file)).ok()?.trim().to_owned())
}

fn pressure(resource: &'static str, psi: &cgroup::stats::Psi) -> Pressure {
    let some = psi.some;
    Pressure { resource, some: [some.avg10, some.avg60, some.avg300] }
}

/// The whole machine's: v1 counts none of groups.
fn of_host() -> Vec<Pressure> {
    let one = |resource: &'static str| {
        let text = std::fs::read_to_string(format!("/proc/pressure/{resource}")).ok()?;
        Some(Pressure { resource, some: averages(&text) })
    };
    ["cpu", "memory", "io"].into_iter().filter_map(one).collect()
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
fn averages(text: &str) -> [f64; 3] {
    let line = text.lines().find(|line| line.starts_with("some ")).unwrap_or_default();
    let value = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)?.parse().ok());
    ["avg10=", "avg60=", "avg300="].map(|key| value(key).unwrap_or(0.0))
}

/// v1 takes LONG_MAX rounded down to a page for no limit (PAGE_COUNTER_MAX), v2 says `max`.
fn bytes(limit: u64) -> Option<String> {
    (limit > 0 && limit < i64::MAX as u64 - 0xffff).then(|| limit.to_string())
}

fn resources(stats: &Stats, read: Read<'_>) -> Vec<Resource> {
    let either = |v2: &str, controller: &str, v1: &str| read(controller, v1).or_else(|| read("", v2));
    let memory = &stats.memory;
    let tasks = stats.pids;
    let seconds = format!("{:.2}", stats.cpu.usage.total as f64 / 1e9);
    let resource = |name, limit, used, unit| Resource { name, limit, used, unit };
    vec![
        resource("memory", bytes(memory.usage.limit), Some(memory.usage.usage.to_string()), "bytes"),
        resource("memory+swap", bytes(memory.swap.limit), Some(memory.swap.usage.to_string()), "bytes"),
        resource("cpu", quota(read), Some(seconds), "cpus"),
        resource("cpu shares", either("cpu.weight", "cpu", "cpu.shares"), None, ""),
        resource(
            "cpus",
            either("cpuset.cpus", "cpuset", "cpuset.cpus").filter(|list| !list.is_empty()),
            None,
            "",
        ),
        resource(
            "processes",
            (tasks.limit > 0).then(|| tasks.limit.to_string()),
            Some(tasks.current.to_string()),
            "processes",
        ),
        resource("disk", disk(read), Some(transferred(stats).to_string()), "bytes"),
    ]
}

/// CPUs: the quota over its period. One file on v2, two on v1.
fn quota(read: Read<'_>) -> Option<String> {
    let v2 = || {
        read("", "cpu.max").and_then(|text| text.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())))
    };
    let v1 = read("cpu", "cpu.cfs_quota_us").zip(read("cpu", "cpu.cfs_period_us"));
    let (quota, period) = v1.or_else(v2)?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| format!("{:.2}", quota / period))
}

/// Lines of throttles; of v2 `8:0 rbps=1 wbps=max …`.
fn disk(read: Read<'_>) -> Option<String> {
    let old = ["read_bps", "write_bps", "read_iops", "write_iops"].map(|what| {
        let text = read("blkio", &format!("blkio.throttle.{what}_device")).unwrap_or_default();
        text.lines().map(|line| format!("{} {line}", what.replace('_', " "))).collect::<Vec<_>>()
    });
    let new = read("", "io.max").unwrap_or_default();
    let all: Vec<_> = old.into_iter().flatten().chain(new.lines().map(str::to_owned)).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn transferred(stats: &Stats) -> u64 {
    let entries = stats.blkio.io_service_bytes_recursive.iter();
    entries.filter(|entry| matches!(entry.op.as_str(), "Read" | "Write")).map(|entry| entry.value).sum()
}

/// What a request's limits come to, for a container that does not run; `request` is its JSON.
pub(super) fn wanted(request: &Value) -> Limits {
    let limits = &request["limits"];
    let number = |name: &str| limits[name].as_i64().filter(|number| *number > 0);
    let memory = number("memory");
    let swap = match limits["memory_swap"].as_i64().filter(|swap| *swap != 0) {
        Some(swap) => Some(swap).filter(|swap| *swap > 0),
        None => memory.map(|bytes| bytes.saturating_mul(2)),
    };
    let nano = number("nano_cpus").map(|nano| nano as f64 / 1e9);
    let ratio = || Some(number("cpu_quota")? as f64 / number("cpu_period").unwrap_or(100_000) as f64);
    let list = limits["cpuset_cpus"].as_str().filter(|list| !list.is_empty()).map(str::to_owned);
    let resource = |name, limit: Option<String>, unit| Resource { name, limit, used: None, unit };
    let resources = vec![
        resource("memory", memory.map(|bytes| bytes.to_string()), "bytes"),
        resource("memory+swap", swap.map(|bytes| bytes.to_string()), "bytes"),
        resource("cpu", nano.or_else(ratio).map(|cpus| format!("{cpus:.2}")), "cpus"),
        resource("cpus", list, ""),
        resource("processes", number("pids").map(|most| most.to_string()), "processes"),
    ];
    Limits { resources, pressure_of: "host", ..Limits::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(stats: &Stats, files: &[(&str, &str, &str)]) -> Vec<(&'static str, Option<String>)> {
        let read = |controller: &str, file: &str| {
            let found = files.iter().find(|(of, name, _)| *of == controller && *name == file);
            found.map(|(.., text)| (*text).to_owned())
        };
        resources(stats, &read).into_iter().map(|one| (one.name, one.limit)).collect()
    }

    fn limit(all: &[(&'static str, Option<String>)], name: &str) -> Option<String> {
        all.iter().find(|(one, _)| *one == name).and_then(|(_, limit)| limit.clone())
    }

    #[test]
    fn v1_and_v2_tell_the_same() {
        let mut stats = Stats::default();
        stats.memory.usage.limit = 64 << 20;
        let v1 = [("cpu", "cpu.cfs_quota_us", "150000"), ("cpu", "cpu.cfs_period_us", "100000")];
        let v2 = [("", "cpu.max", "150000 100000"), ("", "cpuset.cpus", "0-1")];
        assert_eq!(limit(&all(&stats, &v1), "cpu").as_deref(), Some("1.50"));
        assert_eq!(limit(&all(&stats, &v2), "cpu").as_deref(), Some("1.50"));
        assert_eq!(limit(&all(&stats, &v2), "cpus").as_deref(), Some("0-1"));
        assert_eq!(limit(&all(&stats, &v2), "memory").as_deref(), Some("67108864"));
    }

    #[test]
    fn no_limit_has_many_words() {
        let mut stats = Stats::default();
        for none in [u64::MAX, 9_223_372_036_854_771_712] {
            stats.memory.usage.limit = none;
            let files = [("cpu", "cpu.cfs_quota_us", "-1"), ("cpu", "cpu.cfs_period_us", "100000")];
            let all = all(&stats, &files);
            assert_eq!(
                (limit(&all, "memory"), limit(&all, "cpu"), limit(&all, "processes")),
                (None, None, None)
            );
        }
        assert_eq!(limit(&all(&stats, &[("", "cpu.max", "max 100000")]), "cpu"), None);
    }

    #[test]
    fn a_request_is_told_as_it_will_be_set() {
        let request = serde_json::json!({"limits": {"memory": 1048576, "nano_cpus": 500000000, "pids": -1}});
        let told = wanted(&request);
        let of = |name: &str| told.resources.iter().find(|one| one.name == name).unwrap().limit.clone();
        assert_eq!(
            (of("memory").as_deref(), of("memory+swap").as_deref()),
            (Some("1048576"), Some("2097152"))
        );
        assert_eq!((of("cpu").as_deref(), of("processes")), (Some("0.50"), None));
    }
}

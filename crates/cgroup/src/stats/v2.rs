//! From the cgroup2 tree, as runc's fs2 package reads it.

use super::{
    Blkio, BlkioEntry, Hugetlb, MemoryEntry, Pids, Pressure, Psi, Rdma, Stats, Throttling, huge_sizes,
};
use crate::files;
use rustix::fd::OwnedFd;

/// `whole`: not the tree of a hybrid host, which accounts for CPU and pressure without the controllers.
pub(super) fn add(dir: &OwnedFd, whole: bool, stats: &mut Stats) {
    if whole {
        cpu(dir, stats);
        memory(dir, stats);
        stats.pids = pids(dir);
        stats.rdma = rdma(dir);
        stats.blkio = io(&files::get(dir, "io.stat").unwrap_or_default());
    }
    stats.cpu.psi = pressure(dir, "cpu.pressure");
    stats.memory.psi = pressure(dir, "memory.pressure");
    stats.blkio.psi = pressure(dir, "io.pressure");
    hugetlb(dir, stats);
}

fn cpu(dir: &OwnedFd, stats: &mut Stats) {
    let table = files::table(dir, "cpu.stat");
    let value = |key: &str| table.iter().find(|(name, _)| name == key).map_or(0, |(_, value)| *value);
    let usage = &mut stats.cpu.usage;
    usage.total = value("usage_usec") * 1000;
    usage.user = value("user_usec") * 1000;
    usage.kernel = value("system_usec") * 1000;
    stats.cpu.throttling = Throttling {
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled_time: value("throttled_usec") * 1000,
    };
}

fn memory(dir: &OwnedFd, stats: &mut Stats) {
    let memory = &mut stats.memory;
    memory.raw = files::table(dir, "memory.stat").into_iter().collect();
    memory.cache = memory.raw.get("file").copied().unwrap_or(0);
    memory.usage = entry(dir, "memory");
    let swap = entry(dir, "memory.swap");
    // Together, as v1 counts; the peaks of both need not have been at one time.
    let limit =
        if swap.limit == u64::MAX { swap.limit } else { swap.limit.saturating_add(memory.usage.limit) };
    memory.swap = MemoryEntry { limit, usage: swap.usage + memory.usage.usage, max: 0, failcnt: 0 };
}

fn entry(dir: &OwnedFd, name: &str) -> MemoryEntry {
    let value = |what| files::number(dir, &format!("{name}.{what}")).unwrap_or(0);
    MemoryEntry { limit: value("max"), usage: value("current"), max: value("peak"), failcnt: 0 }
}

/// v1 has the same files. No limit is 0, as it was in runc from the start.
pub(super) fn pids(dir: &OwnedFd) -> Pids {
    let value = |file| files::number(dir, file).unwrap_or(0);
    let limit = value("pids.max");
    Pids { current: value("pids.current"), limit: if limit == u64::MAX { 0 } else { limit } }
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`
pub(super) fn io(text: &str) -> Blkio {
    let mut blkio = Blkio::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (to, op) = match key {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                _ => continue,
            };
            let value = value.parse().unwrap_or(0);
            to.push(BlkioEntry { major, minor, op: op.into(), value });
        }
    }
    blkio
}

fn hugetlb(dir: &OwnedFd, stats: &mut Stats) {
    for size in huge_sizes(dir, ".current") {
        let number = |infix| files::number(dir, &format!("hugetlb.{size}{infix}.current"));
        let usage = number(".rsvd").or_else(|| number("")).unwrap_or(0);
        let failcnt = files::keyed(dir, &format!("hugetlb.{size}.events"), "max ").unwrap_or(0);
        stats.hugetlb.insert(size, Hugetlb { usage, max: 0, failcnt });
    }
}

/// `mlx4_0 hca_handle=2 hca_object=max`, which v1 has likewise.
pub(super) fn rdma(dir: &OwnedFd) -> Vec<Rdma> {
    let (now, most) = (files::get(dir, "rdma.current"), files::get(dir, "rdma.max"));
    let (now, most) = (now.unwrap_or_default(), most.unwrap_or_default());
    let value = |line: &str, key: &str| {
        let value = line.split_whitespace().find_map(|word| word.strip_prefix(key));
        value.and_then(files::parse).unwrap_or(0)
    };
    let device = |line: &str| {
        let name = line.split_whitespace().next()?;
        let limit = most.lines().find(|line| line.split_whitespace().next() == Some(name))?;
        let pair = |key| (value(line, key), value(limit, key));
        Some(Rdma { device: name.into(), handles: pair("hca_handle="), objects: pair("hca_object=") })
    };
    now.lines().filter_map(device).collect()
}

/// None without CONFIG_PSI, or where it is turned off for the group.
fn pressure(dir: &OwnedFd, file: &str) -> Option<Psi> {
    files::get(dir, file).ok().map(|text| psi(&text))
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full` likewise.
pub(super) fn psi(text: &str) -> Psi {
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let value = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key));
        let share = |key| value(key).and_then(|value| value.parse().ok()).unwrap_or(0.0);
        let total = value("total=").and_then(|value| value.parse().ok()).unwrap_or(0);
        Pressure { avg10: share("avg10="), avg60: share("avg60="), avg300: share("avg300="), total }
    };
    Psi { some: line("some "), full: line("full ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read_line_by_line() {
        let found = psi(
            "some avg10=1.50 avg60=0.20 avg300=0.03 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
        );
        assert_eq!(found.some, Pressure { avg10: 1.5, avg60: 0.2, avg300: 0.03, total: 77 });
        assert_eq!(found.full.total, 5);
    }

    #[test]
    fn io_becomes_what_v1_calls_it() {
        let found = io("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0\n");
        let one = |op: &str, value| BlkioEntry { major: 8, minor: 0, op: op.into(), value };
        assert_eq!(found.io_service_bytes_recursive, [one("Read", 1), one("Write", 2)]);
        assert_eq!(found.io_serviced_recursive, [one("Read", 3), one("Write", 4)]);
    }
}

//! From v1's controllers, as runc's fs package reads them.

use super::{Blkio, BlkioEntry, Cpuset, Hugetlb, MemoryEntry, Stats, Throttling, huge_sizes};
use crate::files;
use crate::group::Group;
use crate::setting::numbers;
use rustix::fd::OwnedFd;

/// USER_HZ, which is 100 on every architecture hull runs on: `cpuacct.stat` counts in ticks of it.
const TICK: u64 = 1_000_000_000 / 100;

pub(super) fn add(group: &Group, stats: &mut Stats) {
    for controller in group.hierarchy.split(',') {
        match controller {
            "cpu" => throttling(&group.dir, stats),
            "cpuacct" => cpu(&group.dir, stats),
            "cpuset" => stats.cpuset = cpuset(&group.dir),
            "memory" => memory(&group.dir, stats),
            "pids" => stats.pids = super::v2::pids(&group.dir),
            "blkio" => stats.blkio = blkio(&group.dir),
            "rdma" => stats.rdma = super::v2::rdma(&group.dir),
            "hugetlb" => hugetlb(&group.dir, stats),
            _ => {}
        }
    }
}

fn throttling(dir: &OwnedFd, stats: &mut Stats) {
    let value = |key| files::keyed(dir, "cpu.stat", key).unwrap_or(0);
    stats.cpu.throttling = Throttling {
        periods: value("nr_periods "),
        throttled_periods: value("nr_throttled "),
        throttled_time: value("throttled_time "),
    };
}

fn cpu(dir: &OwnedFd, stats: &mut Stats) {
    let ticks = |key| files::keyed(dir, "cpuacct.stat", key).unwrap_or(0) * TICK;
    let usage = &mut stats.cpu.usage;
    usage.total = files::number(dir, "cpuacct.usage").unwrap_or(0);
    (usage.user, usage.kernel) = (ticks("user "), ticks("system "));
    let per = files::get(dir, "cpuacct.usage_percpu").unwrap_or_default();
    usage.percpu = per.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let all = files::get(dir, "cpuacct.usage_all").unwrap_or_default();
    (usage.percpu_user, usage.percpu_kernel) = by_mode(&all);
}

/// `cpu user system`, a line for each CPU.
pub(super) fn by_mode(text: &str) -> (Vec<u64>, Vec<u64>) {
    let line = |line: &str| {
        let mut words = line.split_whitespace().skip(1).map(str::parse::<u64>);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    };
    text.lines().skip(1).filter_map(line).unzip()
}

fn cpuset(dir: &OwnedFd) -> Cpuset {
    let list = |file| files::get(dir, file).ok().and_then(|text| numbers(text.trim())).unwrap_or_default();
    let flag = |file| files::number(dir, file).unwrap_or(0);
    let level = files::get(dir, "cpuset.sched_relax_domain_level").unwrap_or_default();
    Cpuset {
        cpus: list("cpuset.cpus"),
        cpu_exclusive: flag("cpuset.cpu_exclusive"),
        mems: list("cpuset.mems"),
        mem_hardwall: flag("cpuset.mem_hardwall"),
        mem_exclusive: flag("cpuset.mem_exclusive"),
        memory_migrate: flag("cpuset.memory_migrate"),
        memory_spread_page: flag("cpuset.memory_spread_page"),
        memory_spread_slab: flag("cpuset.memory_spread_slab"),
        memory_pressure: flag("cpuset.memory_pressure"),
        sched_load_balance: flag("cpuset.sched_load_balance"),
        sched_relax_domain_level: level.trim().parse().unwrap_or(0),
    }
}

fn memory(dir: &OwnedFd, stats: &mut Stats) {
    let memory = &mut stats.memory;
    memory.raw = files::table(dir, "memory.stat").into_iter().collect();
    memory.cache = memory.raw.get("cache").copied().unwrap_or(0);
    memory.usage = entry(dir, "memory");
    memory.swap = entry(dir, "memory.memsw");
    memory.kernel = entry(dir, "memory.kmem");
    memory.kernel_tcp = entry(dir, "memory.kmem.tcp");
}

fn entry(dir: &OwnedFd, name: &str) -> MemoryEntry {
    let value = |what| files::number(dir, &format!("{name}.{what}")).unwrap_or(0);
    MemoryEntry {
        limit: value("limit_in_bytes"),
        usage: value("usage_in_bytes"),
        max: value("max_usage_in_bytes"),
        failcnt: value("failcnt"),
    }
}

/// Of all that the controller counts the bytes alone.
pub(super) fn service_bytes(dir: &OwnedFd) -> Blkio {
    Blkio { io_service_bytes_recursive: first(dir, "io_service_bytes"), ..Blkio::default() }
}

/// BFQ counts what goes through it; what does not is counted at the throttle. The first that has anything counts:
/// the files are there even where no disk uses the scheduler.
fn first(dir: &OwnedFd, what: &str) -> Vec<BlkioEntry> {
    let read = |name: &String| entries(&files::get(dir, name).unwrap_or_default());
    let names = [
        format!("blkio.bfq.{what}_recursive"),
        format!("blkio.{what}_recursive"),
        format!("blkio.throttle.{what}_recursive"),
        format!("blkio.throttle.{what}"),
    ];
    names.iter().map(read).find(|found| !found.is_empty()).unwrap_or_default()
}

fn blkio(dir: &OwnedFd) -> Blkio {
    let first = |what: &str| first(dir, what);
    Blkio {
        io_service_bytes_recursive: first("io_service_bytes"),
        io_serviced_recursive: first("io_serviced"),
        io_queued_recursive: first("io_queued"),
        io_service_time_recursive: first("io_service_time"),
        io_wait_time_recursive: first("io_wait_time"),
        io_merged_recursive: first("io_merged"),
        io_time_recursive: first("time"),
        sectors_recursive: first("sectors"),
        psi: None,
    }
}

/// `8:0 Read 4096` or `8:0 4096`; the sum at the end belongs to no device.
pub(super) fn entries(text: &str) -> Vec<BlkioEntry> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let rest: Vec<_> = words.collect();
        let (op, value) = match rest.as_slice() {
            [op, value] => (*op, value),
            [value] => ("", value),
            _ => return None,
        };
        let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
        Some(BlkioEntry { major, minor, op: op.into(), value: value.parse().ok()? })
    };
    text.lines().filter_map(line).collect()
}

/// What is reserved, where the kernel counts that (5.7); what is mapped otherwise.
fn hugetlb(dir: &OwnedFd, stats: &mut Stats) {
    for size in huge_sizes(dir, ".usage_in_bytes") {
        let value = |what: &str| {
            let number = |infix| files::number(dir, &format!("hugetlb.{size}{infix}.{what}"));
            number(".rsvd").or_else(|| number("")).unwrap_or(0)
        };
        let one = Hugetlb {
            usage: value("usage_in_bytes"),
            max: value("max_usage_in_bytes"),
            failcnt: value("failcnt"),
        };
        stats.hugetlb.insert(size, one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_line_for_each_operation() {
        let found = entries("8:0 Read 10\n8:0 Write 20\n259:1 7\nTotal 37\n");
        let one = |major, minor, op: &str, value| BlkioEntry { major, minor, op: op.into(), value };
        assert_eq!(found, [one(8, 0, "Read", 10), one(8, 0, "Write", 20), one(259, 1, "", 7)]);
    }

    #[test]
    fn modes_are_told_by_cpu() {
        assert_eq!(by_mode("cpu user system\n0 1 2\n1 3 4\n"), (vec![1, 3], vec![2, 4]));
    }
}

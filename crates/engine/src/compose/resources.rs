//! Limits: from flags to the runtime-spec, with docker's checks and words.

use super::{Error, Facts, Host, Kind, Node, Result, devices, invalid};
use crate::request::{LimitsRequest, RunRequest};
use oci::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice,
    LinuxThrottleDeviceBuilder, LinuxWeightDevice, LinuxWeightDeviceBuilder,
};
use std::path::{Path, PathBuf};

/// Less and a container does not start.
const MEMORY_MIN: u64 = 6 << 20;
/// PID_MAX_LIMIT of linux/threads.h: the kernel counts no more processes, and takes no larger limit.
const PIDS_MAX: i64 = 4 << 20;
/// A hundredth of a CPU: the kernel measures out no less in a period.
const CPUS_MIN: u64 = 10_000_000;
/// Microseconds: the period in which `--cpus` is measured out.
const PERIOD: u64 = 100_000;

pub(super) fn resources(
    request: &RunRequest,
    facts: &Facts<'_>,
    warnings: &mut Vec<String>,
) -> Result<LinuxResources> {
    let limits = &request.limits;
    let mut resources = LinuxResources::default();
    resources.set_devices(Some(devices::rules(request, facts)?));
    resources.set_memory(memory(limits, warnings)?).set_cpu(cpu(limits, facts.host)?);
    resources.set_block_io(block_io(limits, facts.host)?);
    resources.set_pids(pids(limits)?);
    Ok(resources)
}

/// 0 and -1 are no limit, and a new group has none.
pub(super) fn pids(limits: &LimitsRequest) -> Result<Option<LinuxPids>> {
    let Some(most) = limits.pids.filter(|most| *most > 0) else { return Ok(None) };
    if most > PIDS_MAX {
        return invalid(format!("the maximum allowed pids-limit is {PIDS_MAX}, requested: {most}"));
    }
    let mut pids = LinuxPids::default();
    pids.set_limit(most);
    Ok(Some(pids))
}

pub(super) fn memory(limits: &LimitsRequest, warnings: &mut Vec<String>) -> Result<Option<LinuxMemory>> {
    check_memory(limits)?;
    let amount = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let limit = limits.memory.filter(|bytes| *bytes > 0).map(amount);
    let twice = || limit.map(|bytes| bytes.saturating_mul(2));
    let swap = limits.memory_swap.filter(|bytes| *bytes != 0).or_else(twice);
    if limits.oom_kill_disable && limit.is_none() {
        warnings.push(OOM.to_string());
    }
    let mut memory = LinuxMemory::default();
    // -1 is no limit, which a new group has.
    memory.set_limit(limit).set_swap(swap.filter(|bytes| *bytes > 0));
    memory.set_reservation(limits.memory_reservation.filter(|bytes| *bytes > 0).map(amount));
    memory.set_swappiness(limits.memory_swappiness);
    memory.set_disable_oom_killer(limits.oom_kill_disable.then_some(true));
    Ok((memory != LinuxMemory::default()).then_some(memory))
}

const OOM: &str = "OOM killer is disabled for the container, but no memory limit is set, \
    this can result in the system running out of resources.";

fn check_memory(limits: &LimitsRequest) -> Result<()> {
    let memory = limits.memory.unwrap_or(0);
    let swap = limits.memory_swap.unwrap_or(0);
    let reservation = limits.memory_reservation.unwrap_or(0);
    let swappiness = limits.memory_swappiness.unwrap_or(0);
    let is_low = |bytes: u64| bytes > 0 && bytes < MEMORY_MIN;
    let words = match () {
        _ if is_low(memory) => "Minimum memory limit allowed is 6MB",
        _ if memory > 0 && swap > 0 && (swap as u64) < memory => {
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        }
        _ if memory == 0 && swap > 0 => {
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        }
        _ if swap < -1 => return invalid(format!("invalid memory swap limit: {swap}")),
        _ if swappiness > 100 => {
            return invalid(format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100"));
        }
        _ if is_low(reservation) => "Minimum memory reservation allowed is 6MB",
        _ if memory > 0 && memory < reservation => {
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        }
        _ => return Ok(()),
    };
    invalid(words)
}

pub(super) fn cpu(limits: &LimitsRequest, host: &dyn Host) -> Result<Option<LinuxCpu>> {
    check_cpu(limits, host)?;
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(limits.cpu_shares.filter(|shares| *shares > 0));
    cpu.set_period(limits.cpu_period.filter(|period| *period > 0));
    cpu.set_quota(limits.cpu_quota.filter(|quota| *quota != 0));
    if let Some(nano) = limits.nano_cpus.filter(|nano| *nano > 0) {
        // At most the number of CPUs, as checked: far from an overflow.
        cpu.set_period(Some(PERIOD)).set_quota(Some((nano * PERIOD / 1_000_000_000) as i64));
    }
    cpu.set_realtime_period(limits.cpu_rt_period.filter(|period| *period > 0));
    cpu.set_realtime_runtime(limits.cpu_rt_runtime.filter(|runtime| *runtime != 0));
    cpu.set_cpus(limits.cpuset_cpus.clone().filter(|list| !list.is_empty()));
    cpu.set_mems(limits.cpuset_mems.clone().filter(|list| !list.is_empty()));
    Ok((cpu != LinuxCpu::default()).then_some(cpu))
}

fn check_cpu(limits: &LimitsRequest, host: &dyn Host) -> Result<()> {
    let nano = limits.nano_cpus.unwrap_or(0);
    let (period, quota) = (limits.cpu_period.unwrap_or(0), limits.cpu_quota.unwrap_or(0));
    if nano > 0 && period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if nano > 0 && quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    if nano > 0 {
        check_number(nano, host)?;
    }
    if period != 0 && !(1_000..=1_000_000).contains(&period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if quota > 0 && quota < 1_000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    check_shares(limits)?;
    check_lists(limits, host)
}

fn check_number(nano: u64, host: &dyn Host) -> Result<()> {
    let number = host.cpus().map_err(|cause| unknown("count the CPUs", cause))?;
    match (CPUS_MIN..=u64::from(number) * 1_000_000_000).contains(&nano) {
        true => Ok(()),
        false => invalid(format!(
            "range of CPUs is from 0.01 to {number}.00, as there are only {number} CPUs available"
        )),
    }
}

/// The kernel's own bounds, MIN_SHARES and MAX_SHARES of kernel/sched/sched.h: it would clamp silently.
fn check_shares(limits: &LimitsRequest) -> Result<()> {
    match limits.cpu_shares.unwrap_or(0) {
        0 | 2..=262_144 => Ok(()),
        shares @ 1 => invalid(format!("the minimum allowed cpu-shares is 2, requested: {shares}")),
        shares => invalid(format!("the maximum allowed cpu-shares is 262144, requested: {shares}")),
    }
}

fn check_lists(limits: &LimitsRequest, host: &dyn Host) -> Result<()> {
    if let Some(asked) = limits.cpuset_cpus.as_deref().filter(|list| !list.is_empty()) {
        let all = host.cpu_list().map_err(|cause| unknown("list the CPUs", cause))?;
        check_list(asked, &all, "cpus", "CPUs")?;
    }
    if let Some(asked) = limits.cpuset_mems.as_deref().filter(|list| !list.is_empty()) {
        let all = host.memory_nodes().map_err(|cause| unknown("list the memory nodes", cause))?;
        check_list(asked, &all, "mems", "memory nodes")?;
    }
    Ok(())
}

fn check_list(asked: &str, available: &str, short: &str, what: &str) -> Result<()> {
    let all = ranges(available).unwrap_or_default();
    let Some(wanted) = ranges(asked) else {
        return invalid(format!("Invalid value {asked} for cpuset {short}"));
    };
    let is_there = |(first, last): &(u32, u32)| all.iter().any(|(low, high)| low <= first && last <= high);
    // Neighbouring ranges of the host are apart by at least one, so that one range must hold each.
    match wanted.iter().all(is_there) {
        true => Ok(()),
        false => {
            invalid(format!("Requested {what} are not available - requested {asked}, available: {available}"))
        }
    }
}

/// `0-3,7`
fn ranges(list: &str) -> Option<Vec<(u32, u32)>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?)).filter(|(first, last)| first <= last)
    };
    list.split(',').map(range).collect()
}

pub(super) fn block_io(limits: &LimitsRequest, host: &dyn Host) -> Result<Option<LinuxBlockIo>> {
    let weight = limits.blkio_weight.filter(|weight| *weight > 0);
    if weight.is_some_and(|weight| !(10..=1000).contains(&weight)) {
        return invalid("Range of blkio weight is from 10 to 1000");
    }
    let mut io = LinuxBlockIo::default();
    io.set_weight(weight);
    io.set_weight_device(each(&limits.blkio_weight_device, host, weight_device)?);
    io.set_throttle_read_bps_device(each(&limits.read_bps, host, throttle)?);
    io.set_throttle_write_bps_device(each(&limits.write_bps, host, throttle)?);
    io.set_throttle_read_iops_device(each(&limits.read_iops, host, throttle)?);
    io.set_throttle_write_iops_device(each(&limits.write_iops, host, throttle)?);
    Ok((io != LinuxBlockIo::default()).then_some(io))
}

/// A limit per device, by its number; `None` when there is none.
fn each<V: Copy, T>(
    limits: &[(PathBuf, V)],
    host: &dyn Host,
    limit: impl Fn(i64, i64, V) -> T,
) -> Result<Option<Vec<T>>> {
    let one = |(path, value): &(PathBuf, V)| {
        let (major, minor) = block_device(path, host)?;
        Ok(limit(major, minor, *value))
    };
    let limits = limits.iter().map(one).collect::<Result<Vec<T>>>()?;
    Ok((!limits.is_empty()).then_some(limits))
}

fn weight_device(major: i64, minor: i64, weight: u16) -> LinuxWeightDevice {
    let device = LinuxWeightDeviceBuilder::default().major(major).minor(minor).weight(weight);
    device.build().unwrap_or_default() // all members have defaults: it does not fail
}

fn throttle(major: i64, minor: i64, rate: u64) -> LinuxThrottleDevice {
    let device = LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(rate);
    device.build().unwrap_or_default() // likewise
}

fn block_device(path: &Path, host: &dyn Host) -> Result<(i64, i64)> {
    let what = || format!("stat {}", path.display());
    match host.node(path) {
        Ok(Node::Device { kind: 'b', major, minor, .. }) => Ok((major.into(), minor.into())),
        Ok(_) => Err(Error::new(Kind::Invalid, what()).caused_by("not a block device")),
        Err(cause) => Err(Error::new(Kind::NotFound, what()).caused_by(cause)),
    }
}

fn unknown(what: &str, cause: std::io::Error) -> Error {
    Error::new(Kind::Unsupported, what).caused_by(cause)
}

//! Limits of a container that is there already, with docker's checks and words.

use super::resources::{block_io, cpu, memory, pids};
use super::{Error, Host, Kind, Result};
use crate::request::LimitsRequest;
use oci::runtime::{LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

/// Changes what is given, and says what of that is to be written into a group that holds the rest.
///
/// # Errors
/// [`Kind::Invalid`] where the limits do not fit together any more; they are as they were.
pub fn update(
    limits: &mut LimitsRequest,
    change: &LimitsRequest,
    host: &dyn Host,
    warnings: &mut Vec<String>,
) -> Result<LinuxResources> {
    check(limits, change)?;
    let all = merged(limits, change);
    let memory = memory(&all, warnings)?;
    let cpu = cpu(&all, host)?;
    let io = block_io(change, host)?;
    let most = pids(&all)?;
    let mut resources = LinuxResources::default();
    resources.set_memory(changed_memory(&memory.unwrap_or_default(), &all, change));
    resources.set_cpu(changed_cpu(&cpu.unwrap_or_default(), change));
    resources.set_block_io(io);
    if change.pids.is_some() {
        let mut none = LinuxPids::default();
        none.set_limit(-1);
        resources.set_pids(Some(most.unwrap_or(none)));
    }
    *limits = all;
    Ok(resources)
}

/// What is set and what is given, of what docker takes for one and the same.
fn check(old: &LimitsRequest, change: &LimitsRequest) -> Result<()> {
    let is_set = |value: Option<u64>| value.unwrap_or(0) > 0;
    let has_quota = |limits: &LimitsRequest| limits.cpu_quota.unwrap_or(0) != 0;
    let words = match () {
        _ if is_set(change.nano_cpus) && is_set(old.cpu_period) => {
            "Conflicting options: NanoCPUs cannot be updated as CPU Period has already been set"
        }
        _ if is_set(change.nano_cpus) && has_quota(old) => {
            "Conflicting options: NanoCPUs cannot be updated as CPU Quota has already been set"
        }
        _ if is_set(change.cpu_period) && is_set(old.nano_cpus) => {
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set"
        }
        _ if has_quota(change) && is_set(old.nano_cpus) => {
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
        }
        _ if outgrows(old, change) => {
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        }
        _ => return Ok(()),
    };
    Err(Error::new(Kind::Invalid, words))
}

/// Memory and swap together, as set or as the default is.
fn swap(limits: &LimitsRequest) -> Option<i64> {
    let own = limits.memory_swap.filter(|bytes| *bytes != 0);
    let twice = || limits.memory.filter(|bytes| *bytes > 0).map(|bytes| (bytes as i64).saturating_mul(2));
    own.or_else(twice)
}

fn outgrows(old: &LimitsRequest, change: &LimitsRequest) -> bool {
    let has_swap = change.memory_swap.unwrap_or(0) != 0;
    let (wanted, held) = (change.memory.unwrap_or(0), swap(old).filter(|bytes| *bytes > 0));
    !has_swap && held.is_some_and(|held| wanted > held as u64)
}

fn merged(old: &LimitsRequest, change: &LimitsRequest) -> LimitsRequest {
    let list = |new: &Option<String>, old: &Option<String>| {
        new.clone().filter(|list| !list.is_empty()).or_else(|| old.clone())
    };
    // 0 is not given, as docker's client sends it.
    let number = |new: Option<u64>, old: Option<u64>| new.filter(|value| *value > 0).or(old);
    let signed = |new: Option<i64>, old: Option<i64>| new.filter(|value| *value != 0).or(old);
    LimitsRequest {
        memory: number(change.memory, old.memory),
        // What was twice the memory stays what it was.
        memory_swap: signed(
            change.memory_swap,
            if old.memory.is_some() { swap(old) } else { old.memory_swap },
        ),
        memory_reservation: number(change.memory_reservation, old.memory_reservation),
        nano_cpus: number(change.nano_cpus, old.nano_cpus),
        cpu_period: number(change.cpu_period, old.cpu_period),
        cpu_quota: signed(change.cpu_quota, old.cpu_quota),
        cpu_shares: number(change.cpu_shares, old.cpu_shares),
        cpu_rt_period: number(change.cpu_rt_period, old.cpu_rt_period),
        cpu_rt_runtime: signed(change.cpu_rt_runtime, old.cpu_rt_runtime),
        cpuset_cpus: list(&change.cpuset_cpus, &old.cpuset_cpus),
        cpuset_mems: list(&change.cpuset_mems, &old.cpuset_mems),
        pids: change.pids.or(old.pids),
        blkio_weight: change.blkio_weight.filter(|weight| *weight > 0).or(old.blkio_weight),
        ..old.clone()
    }
}

/// Limit and swap go together: on v2 the one counts what the other does.
fn changed_memory(all: &LinuxMemory, limits: &LimitsRequest, change: &LimitsRequest) -> Option<LinuxMemory> {
    let mut memory = LinuxMemory::default();
    if change.memory.is_some_and(|bytes| bytes > 0) || change.memory_swap.is_some_and(|bytes| bytes != 0) {
        memory.set_limit(all.limit()).set_swap(limits.memory_swap.or(all.swap()));
    }
    if change.memory_reservation.is_some() {
        memory.set_reservation(all.reservation());
    }
    (memory != LinuxMemory::default()).then_some(memory)
}

fn changed_cpu(all: &LinuxCpu, change: &LimitsRequest) -> Option<LinuxCpu> {
    let mut cpu = LinuxCpu::default();
    if change.nano_cpus.is_some() || change.cpu_period.is_some() || change.cpu_quota.is_some() {
        cpu.set_period(all.period()).set_quota(all.quota());
    }
    if change.cpu_shares.is_some() {
        cpu.set_shares(all.shares());
    }
    if change.cpu_rt_period.is_some() || change.cpu_rt_runtime.is_some() {
        cpu.set_realtime_period(all.realtime_period()).set_realtime_runtime(all.realtime_runtime());
    }
    if change.cpuset_cpus.is_some() {
        cpu.set_cpus(all.cpus().clone());
    }
    if change.cpuset_mems.is_some() {
        cpu.set_mems(all.mems().clone());
    }
    (cpu != LinuxCpu::default()).then_some(cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::LiveHost;

    fn limits(memory: u64) -> LimitsRequest {
        LimitsRequest { memory: Some(memory), ..LimitsRequest::default() }
    }

    fn updated(old: &mut LimitsRequest, change: &LimitsRequest) -> Result<LinuxResources> {
        update(old, change, &LiveHost, &mut Vec::new())
    }

    #[test]
    fn what_is_not_given_stays() {
        let mut all = limits(64 << 20);
        let resources = updated(&mut all, &LimitsRequest { pids: Some(7), ..Default::default() }).unwrap();
        assert_eq!((all.memory, all.pids), (Some(64 << 20), Some(7)));
        assert_eq!(resources.pids().map(|pids| pids.limit()), Some(7));
        assert!(resources.memory().is_none() && resources.cpu().is_none());
    }

    #[test]
    fn swap_stays_what_it_was_and_memory_below_it() {
        let mut all = limits(64 << 20);
        let error = updated(&mut all, &limits(200 << 20)).unwrap_err();
        assert!(error.to_string().contains("already set memoryswap limit"), "{error}");
        assert_eq!(all, limits(64 << 20), "nothing is changed");
        let resources = updated(&mut all, &limits(100 << 20)).unwrap();
        let memory = resources.memory().unwrap();
        assert_eq!((memory.limit(), memory.swap()), (Some(100 << 20), Some(128 << 20)));
        let free = LimitsRequest { memory_swap: Some(-1), ..limits(300 << 20) };
        let memory = updated(&mut all, &free).unwrap().memory().unwrap();
        assert_eq!((memory.limit(), memory.swap()), (Some(300 << 20), Some(-1)));
    }

    #[test]
    fn one_of_two_ways_to_limit_a_cpu() {
        let mut all = LimitsRequest { cpu_quota: Some(50_000), ..Default::default() };
        let change = LimitsRequest { nano_cpus: Some(500_000_000), ..Default::default() };
        assert!(
            updated(&mut all, &change).unwrap_err().to_string().contains("CPU Quota has already been set")
        );
        let mut all = LimitsRequest::default();
        let cpu = updated(&mut all, &change).unwrap().cpu().clone().unwrap();
        assert_eq!((cpu.period(), cpu.quota()), (Some(100_000), Some(50_000)));
    }

    #[test]
    fn no_limit_of_processes_is_said() {
        let mut all = LimitsRequest { pids: Some(9), ..Default::default() };
        let resources = updated(&mut all, &LimitsRequest { pids: Some(0), ..Default::default() }).unwrap();
        assert_eq!(resources.pids().map(|pids| pids.limit()), Some(-1));
    }
}

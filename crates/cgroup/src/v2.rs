//! The runtime-spec's resources as files of v2, see cgroup-v2.rst of the kernel's documentation.

use crate::limits::{Held, page_size};
use crate::setting::{Setting, Shown};
use crate::{Error, Kind, Result};
use oci::runtime::{LinuxBlockIo, LinuxResources};

/// Controllers a group has whatever the limits.
pub(crate) const ALWAYS: [&str; 3] = ["memory", "cpu", "pids"];

fn unsupported(what: &str) -> Result<()> {
    Err(Error::new(Kind::Unsupported, format!("{what} needs cgroup v1, this host has v2")))
}

pub(crate) fn cpu(resources: &LinuxResources, held: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let Some(cpu) = resources.cpu() else { return Ok(()) };
    if cpu.realtime_runtime().is_some_and(|us| us != 0) || cpu.realtime_period().is_some_and(|us| us != 0) {
        return unsupported("a limit of real-time CPU");
    }
    let idle = |idle: i64| Setting::new("cpu", "cpu.idle", idle, Shown::Same);
    // Weights are refused while a group is idle.
    to.extend(cpu.idle().filter(|value| *value == 0).map(idle));
    let weight = cpu.shares().filter(|shares| *shares != 0).map(weight_of_shares);
    to.extend(weight.map(|weight| Setting::new("cpu", "cpu.weight", weight, Shown::Same)));
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let quota = quota.map(|quota| if quota < 0 { "max".into() } else { quota.to_string() });
    match (quota, cpu.period().filter(|period| *period != 0)) {
        (Some(quota), None) => to.push(Setting::new("cpu", "cpu.max", quota, Shown::First)),
        (quota, Some(period)) => {
            let quota = quota.or_else(|| held.quota.clone()).unwrap_or("max".into());
            to.push(Setting::new("cpu", "cpu.max", format!("{quota} {period}"), Shown::Same));
        }
        (None, None) => {}
    }
    to.extend(cpu.burst().map(|burst| Setting::new("cpu", "cpu.max.burst", burst, Shown::Same)));
    to.extend(cpu.idle().filter(|value| *value != 0).map(idle));
    Ok(())
}

/// 2..262144 to 1..10000 such that 1024 becomes 100, by a parabola over logarithms: runc's
/// ConvertCPUSharesToCgroupV2Value since 1.3.2, crun's since 1.23.
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    let log = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    10f64.powf(exponent).ceil() as u64
}

pub(crate) fn memory(resources: &LinuxResources, held: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let Some(memory) = resources.memory() else { return Ok(()) };
    if memory.kernel().is_some_and(|bytes| bytes > 0) || memory.kernel_tcp().is_some_and(|bytes| bytes > 0) {
        return unsupported("a limit of kernel memory");
    }
    match memory.swappiness().filter(|value| *value != u64::MAX) {
        Some(0..=100) => unsupported("swappiness of a container")?,
        Some(value) => {
            return Err(Error::new(
                Kind::Invalid,
                format!("memory swappiness `{value}` is not within 0 to 100"),
            ));
        }
        None => {}
    }
    if memory.disable_oom_killer() == Some(true) {
        return unsupported("disabling the OOM killer");
    }
    let given = |bytes: Option<i64>| bytes.filter(|bytes| *bytes != 0);
    let set = |file: &str, value| Setting::new("memory", file, bytes(value), Shown::PAGES);
    let limit = given(memory.limit());
    if let Some(swap) = swap_alone(limit, given(memory.swap()), held)? {
        // Without swap, neither a limit of none nor no limit is missed.
        to.push(set("memory.swap.max", swap).if_there(swap <= 0 || !held.update && is_default(memory)));
    }
    to.extend(limit.map(|limit| set("memory.max", limit)));
    to.extend(given(memory.reservation()).map(|low| set("memory.low", low)));
    Ok(())
}

/// As much swap as memory is what docker asks for when nobody said anything.
fn is_default(memory: &oci::runtime::LinuxMemory) -> bool {
    memory.swap().zip(memory.limit()).is_some_and(|(both, limit)| both == limit.saturating_mul(2))
}

fn bytes(bytes: i64) -> String {
    if bytes < 0 { "max".into() } else { bytes.to_string() }
}

/// The specification counts memory and swap together, v2 counts swap alone: runc's
/// ConvertMemorySwapToCgroupV2Value, but a limit of memory that is held already counts as well.
fn swap_alone(limit: Option<i64>, both: Option<i64>, held: &Held) -> Result<Option<i64>> {
    let limit = limit.or_else(|| held.memory.and_then(|bytes| i64::try_from(bytes).ok()));
    match (limit, both) {
        (Some(limit), None) if held.update && limit < 0 => Ok(Some(-1)),
        (_, None) => Ok(None),
        (_, Some(both)) if both < 0 => Ok(Some(-1)),
        (Some(limit), Some(both)) if limit < 0 => Ok(Some(both)),
        (Some(limit), Some(both)) if both >= limit => Ok(Some(both - limit)),
        _ => Err(Error::new(
            Kind::Invalid,
            "a limit of memory and swap together needs a smaller limit of memory",
        )),
    }
}

pub(crate) fn io(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let Some(io) = resources.block_io() else { return Ok(()) };
    let has_leaves =
        io.weight_device().iter().flatten().any(|device| device.leaf_weight().is_some_and(|w| w > 0));
    if has_leaves || io.leaf_weight().is_some_and(|weight| weight > 0) {
        return unsupported("a leaf weight of block I/O");
    }
    weights(io, to);
    for (key, devices) in [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ] {
        for device in devices.iter().flatten() {
            let rate = if device.rate() == 0 { "max".into() } else { device.rate().to_string() };
            let value = format!("{}:{} {key}={rate}", device.major(), device.minor());
            to.push(Setting::new("io", "io.max", value, Shown::Line));
        }
    }
    Ok(())
}

/// BFQ's weights are v1's; those of io.cost are 1..10000 where v1 had 10..1000: runc's
/// ConvertBlkIOToIOWeightValue.
fn weights(io: &LinuxBlockIo, to: &mut Vec<Setting>) {
    let convert = |weight: u16| 1 + u64::from(weight).saturating_sub(10) * 9999 / 990;
    let both = |key: &str, weight: u16| {
        let bfq = Setting::new("io", "io.bfq.weight", format!("{key} {weight}"), Shown::Line);
        bfq.or("io.weight", format!("{key} {}", convert(weight)))
    };
    let given = |weight: Option<u16>| weight.filter(|weight| *weight != 0);
    to.extend(given(io.weight()).map(|weight| both("default", weight)));
    for device in io.weight_device().iter().flatten() {
        let key = format!("{}:{}", device.major(), device.minor());
        to.extend(given(device.weight()).map(|weight| both(&key, weight)));
    }
}

pub(crate) fn hugetlb(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    for huge in resources.hugepage_limits().iter().flatten() {
        let (name, shown) = (huge.page_size(), Shown::Chunks(page_size(huge.page_size())?));
        let set = |file: String| Setting::new("hugetlb", &file, bytes(huge.limit()), shown);
        to.push(set(format!("hugetlb.{name}.max")));
        // What is mapped and what is reserved are counted apart since Linux 5.7.
        to.push(set(format!("hugetlb.{name}.rsvd.max")).if_there(true));
    }
    Ok(())
}

pub(crate) fn network(resources: &LinuxResources, _: &Held, _: &mut Vec<Setting>) -> Result<()> {
    match resources.network() {
        Some(network) if network.class_id().is_some_and(|class| class != 0) => {
            unsupported("the class of network packets")
        }
        Some(network) if network.priorities().iter().flatten().next().is_some() => {
            unsupported("a priority of network interfaces")
        }
        _ => Ok(()),
    }
}

pub(crate) fn nothing(_: &LinuxResources, _: &Held, _: &mut Vec<Setting>) -> Result<()> {
    Ok(())
}

/// A file by its own name. A number is read back; other forms are the kernel's to judge.
pub(crate) fn unified(file: &str, value: &str) -> Setting {
    let controller = ["cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma", "misc", "dmem", "cgroup"];
    let named = |name: &&&str| file.split('.').next() == Some(**name);
    let controller = controller.iter().find(named).copied().unwrap_or("other");
    let shown = match value.trim().parse::<u64>() {
        Ok(_) if file.starts_with("memory.") && !file.ends_with(".group") => Shown::PAGES,
        Ok(_) if file.ends_with(".max") && !file.starts_with("hugetlb.") => Shown::First,
        _ => Shown::Unread,
    };
    Setting::new(controller, file, value.trim(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::runtime::{LinuxCpuBuilder, LinuxMemoryBuilder, LinuxResourcesBuilder};

    fn texts(resources: &LinuxResources, held: &Held) -> Vec<String> {
        let mut settings = Vec::new();
        for write in [cpu, memory, io] {
            write(resources, held, &mut settings).unwrap();
        }
        settings.iter().map(|setting| format!("{}={}", setting.file, setting.value)).collect()
    }

    #[test]
    fn shares_become_weights_as_in_runc_and_crun() {
        assert_eq!([2, 512, 1024, 2048, 262_144].map(weight_of_shares), [1, 59, 100, 174, 10_000]);
    }

    #[test]
    fn swap_is_what_is_left_beyond_memory() {
        let new = Held::default();
        assert_eq!(swap_alone(Some(100), Some(300), &new).unwrap(), Some(200));
        assert_eq!(swap_alone(Some(100), Some(100), &new).unwrap(), Some(0));
        assert_eq!(swap_alone(Some(100), Some(-1), &new).unwrap(), Some(-1));
        assert_eq!(swap_alone(Some(-1), Some(300), &new).unwrap(), Some(300));
        assert!(swap_alone(None, Some(300), &new).is_err());
        assert!(swap_alone(Some(300), Some(200), &new).is_err());
    }

    #[test]
    fn swap_alone_is_counted_from_the_memory_that_is_held() {
        let held = Held { memory: Some(100), update: true, ..Held::default() };
        assert_eq!(swap_alone(None, Some(300), &held).unwrap(), Some(200));
        assert_eq!(swap_alone(Some(-1), None, &held).unwrap(), Some(-1), "all limits are taken away");
        assert_eq!(swap_alone(Some(50), None, &held).unwrap(), None);
    }

    #[test]
    fn a_period_alone_keeps_the_quota_that_is_held() {
        let cpu = LinuxCpuBuilder::default().period(50_000u64).build().unwrap();
        let resources = LinuxResourcesBuilder::default().cpu(cpu).build().unwrap();
        let held = Held { quota: Some("20000".into()), update: true, ..Held::default() };
        assert_eq!(texts(&resources, &held), ["cpu.max=20000 50000"]);
        assert_eq!(texts(&resources, &Held::default()), ["cpu.max=max 50000"]);
    }

    #[test]
    fn what_only_v1_has_is_refused_by_name() {
        let memory = LinuxMemoryBuilder::default().swappiness(10u64).build().unwrap();
        let resources = LinuxResourcesBuilder::default().memory(memory).build().unwrap();
        let error = super::memory(&resources, &Held::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "swappiness of a container needs cgroup v1, this host has v2");
    }
}

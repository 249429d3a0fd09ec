//! The runtime-spec's resources as files of v2, by the conversions of runc and crun.

use crate::setting::{Setting, Shown};
use crate::{Error, Kind, Result};
use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

/// Controllers a group has whatever the limits.
pub(crate) const ALWAYS: [&str; 3] = ["memory", "cpu", "pids"];

/// All values to be written; device rules are a program, not a file.
pub(crate) fn settings(resources: &LinuxResources) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    resources.cpu().iter().try_for_each(|cpu| self::cpu(cpu, &mut settings))?;
    resources.memory().iter().try_for_each(|memory| self::memory(memory, &mut settings))?;
    settings.extend(resources.pids().map(|pids| Setting::pids(pids.limit())));
    resources.block_io().iter().for_each(|io| block_io(io, &mut settings));
    for huge in resources.hugepage_limits().iter().flatten() {
        settings.push(Setting::new(
            "hugetlb",
            &format!("hugetlb.{}.max", huge.page_size()),
            huge.limit(),
            Shown::Same,
        ));
    }
    for (device, limit) in resources.rdma().iter().flatten() {
        let part =
            |key: &str, value: Option<u32>| value.map_or(String::new(), |value| format!(" {key}={value}"));
        let value = format!(
            "{device}{}{}",
            part("hca_handle", limit.hca_handles()),
            part("hca_object", limit.hca_objects())
        );
        settings.push(Setting::new("rdma", "rdma.max", value, Shown::Line));
    }
    for (file, value) in resources.unified().iter().flatten() {
        let controller = file.split('.').next().unwrap_or_default();
        settings.push(Setting::new(controller, file, value, Shown::Unread));
    }
    Ok(settings)
}

fn cpu(cpu: &LinuxCpu, to: &mut Vec<Setting>) -> Result<()> {
    if cpu.realtime_runtime().is_some_and(|us| us != 0) || cpu.realtime_period().is_some_and(|us| us != 0) {
        return Err(Error::new(Kind::Unsupported, "real-time CPU limits need cgroup v1, this host has v2"));
    }
    to.extend(cpu.cpus().clone().map(|list| Setting::new("cpuset", "cpuset.cpus", list, Shown::List)));
    to.extend(cpu.mems().clone().map(|list| Setting::new("cpuset", "cpuset.mems", list, Shown::List)));
    let weight = cpu.shares().filter(|shares| *shares != 0).map(weight_of_shares);
    to.extend(weight.map(|weight| Setting::new("cpu", "cpu.weight", weight, Shown::Same)));
    let quota = cpu.quota().filter(|quota| *quota > 0).map_or("max".into(), |quota| quota.to_string());
    let period = cpu.period().filter(|period| *period != 0);
    if quota != "max" || period.is_some() {
        let value = format!("{quota} {}", period.unwrap_or(100_000));
        to.push(Setting::new("cpu", "cpu.max", value, Shown::Same));
    }
    to.extend(cpu.burst().map(|burst| Setting::new("cpu", "cpu.max.burst", burst, Shown::Same)));
    to.extend(cpu.idle().map(|idle| Setting::new("cpu", "cpu.idle", idle, Shown::Same)));
    Ok(())
}

/// 2..262144 to 1..10000 such that 1024 becomes 100: runc 1.3.2 and crun 1.23, by a parabola over logarithms.
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    let log = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    10f64.powf(exponent).ceil() as u64
}

fn memory(memory: &LinuxMemory, to: &mut Vec<Setting>) -> Result<()> {
    let unsupported =
        |what: &str| Err(Error::new(Kind::Unsupported, format!("{what} needs cgroup v1, this host has v2")));
    if memory.kernel().is_some_and(|bytes| bytes > 0) || memory.kernel_tcp().is_some_and(|bytes| bytes > 0) {
        return Err(Error::new(Kind::Unsupported, "a limit of kernel memory: the kernel dropped it in 5.16"));
    }
    if memory.swappiness().is_some_and(|value| value <= 100) {
        return unsupported("swappiness of a container");
    }
    if memory.disable_oom_killer() == Some(true) {
        return unsupported("disabling the OOM killer");
    }
    let bytes = |bytes: i64| if bytes < 0 { "max".to_owned() } else { bytes.to_string() };
    let limit = memory.limit().filter(|bytes| *bytes != 0);
    to.extend(limit.map(|limit| Setting::new("memory", "memory.max", bytes(limit), Shown::Pages)));
    let swap = memory.swap().filter(|bytes| *bytes != 0);
    if let Some(swap) = swap_alone(limit, swap)? {
        to.push(Setting::new("memory", "memory.swap.max", bytes(swap), Shown::Pages));
    }
    let low = memory.reservation().filter(|bytes| *bytes != 0);
    to.extend(low.map(|low| Setting::new("memory", "memory.low", bytes(low), Shown::Pages)));
    Ok(())
}

/// The specification counts memory and swap together, v2 counts swap alone.
fn swap_alone(limit: Option<i64>, both: Option<i64>) -> Result<Option<i64>> {
    match (limit, both) {
        (_, None) => Ok(None),
        (_, Some(both)) if both < 0 => Ok(Some(-1)),
        (Some(limit), Some(both)) if limit > 0 && both >= limit => Ok(Some(both - limit)),
        _ => Err(Error::new(
            Kind::Invalid,
            "a limit of memory and swap together needs a smaller limit of memory",
        )),
    }
}

fn block_io(io: &LinuxBlockIo, to: &mut Vec<Setting>) {
    // 10..1000 of BFQ on v1 are 1..10000 here, see runc's ConvertBlkIOToIOWeightValue.
    let convert = |weight: u16| 1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990;
    let weight =
        io.weight().filter(|weight| *weight != 0).map(|weight| format!("default {}", convert(weight)));
    to.extend(weight.map(|weight| Setting::new("io", "io.weight", weight, Shown::Line)));
    for device in io.weight_device().iter().flatten() {
        let value =
            format!("{}:{} {}", device.major(), device.minor(), convert(device.weight().unwrap_or(100)));
        to.push(Setting::new("io", "io.weight", value, Shown::Line));
    }
    for (key, devices) in [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ] {
        for device in devices.iter().flatten() {
            let value = format!("{}:{} {key}={}", device.major(), device.minor(), device.rate());
            to.push(Setting::new("io", "io.max", value, Shown::Line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_as_in_runc_and_crun() {
        assert_eq!([2, 1024, 262_144].map(weight_of_shares), [1, 100, 10_000]);
    }

    #[test]
    fn swap_is_what_is_left_beyond_memory() {
        assert_eq!(swap_alone(Some(100), Some(300)).unwrap(), Some(200));
        assert_eq!(swap_alone(Some(100), Some(-1)).unwrap(), Some(-1));
        assert!(swap_alone(None, Some(300)).is_err());
    }
}

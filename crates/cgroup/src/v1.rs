//! The runtime-spec's resources as files of v1's controllers.

use crate::device;
use crate::setting::{Setting, Shown};
use crate::{Error, Kind, Result};
use oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};

/// Controllers a group has whatever the limits: they account, tell of OOM, stop fork bombs and guard devices.
pub(crate) const ALWAYS: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "devices"];

/// All values to be written, in an order the kernel accepts.
pub(crate) fn settings(resources: &LinuxResources) -> Result<Vec<Setting>> {
    if resources.unified().as_ref().is_some_and(|unified| !unified.is_empty()) {
        return Err(Error::new(Kind::Unsupported, "`unified` settings need cgroup v2, this host has v1"));
    }
    let mut settings = Vec::new();
    resources.cpu().iter().for_each(|cpu| self::cpu(cpu, &mut settings));
    resources.memory().iter().try_for_each(|memory| self::memory(memory, &mut settings))?;
    settings.extend(resources.pids().map(|pids| Setting::pids(pids.limit())));
    resources.block_io().iter().for_each(|io| block_io(io, &mut settings));
    for huge in resources.hugepage_limits().iter().flatten() {
        let file = format!("hugetlb.{}.limit_in_bytes", huge.page_size());
        settings.push(Setting::new("hugetlb", &file, huge.limit(), Shown::Same));
    }
    if let Some(class) = resources.network().as_ref().and_then(|network| network.class_id()) {
        settings.push(Setting::new("net_cls", "net_cls.classid", class, Shown::Same));
    }
    settings.extend(device::v1(resources.devices().as_deref().unwrap_or_default()));
    Ok(settings)
}

fn cpu(cpu: &LinuxCpu, to: &mut Vec<Setting>) {
    let mut set = |controller: &str, file: &str, value: Option<String>, shown| {
        to.extend(value.map(|value| Setting::new(controller, file, value, shown)));
    };
    let text = |value: &dyn ToString| value.to_string();
    set("cpuset", "cpuset.cpus", cpu.cpus().clone(), Shown::List);
    set("cpuset", "cpuset.mems", cpu.mems().clone(), Shown::List);
    // The kernel clamps shares to its own range, as it documents.
    let shares = cpu.shares().filter(|shares| *shares != 0).map(|shares| shares.clamp(2, 262_144));
    set("cpu", "cpu.shares", shares.map(|v| text(&v)), Shown::Same);
    let period = cpu.period().filter(|period| *period != 0);
    set("cpu", "cpu.cfs_period_us", period.map(|v| text(&v)), Shown::Same);
    let quota = cpu.quota().filter(|quota| *quota != 0).map(|quota| quota.max(-1));
    set("cpu", "cpu.cfs_quota_us", quota.map(|v| text(&v)), Shown::Same);
    set("cpu", "cpu.cfs_burst_us", cpu.burst().map(|v| text(&v)), Shown::Same);
    set("cpu", "cpu.rt_period_us", cpu.realtime_period().filter(|v| *v != 0).map(|v| text(&v)), Shown::Same);
    set(
        "cpu",
        "cpu.rt_runtime_us",
        cpu.realtime_runtime().filter(|v| *v != 0).map(|v| text(&v)),
        Shown::Same,
    );
    set("cpu", "cpu.idle", cpu.idle().map(|v| text(&v)), Shown::Same);
}

fn memory(memory: &LinuxMemory, to: &mut Vec<Setting>) -> Result<()> {
    if memory.kernel().is_some_and(|bytes| bytes > 0) || memory.kernel_tcp().is_some_and(|bytes| bytes > 0) {
        return Err(Error::new(Kind::Unsupported, "a limit of kernel memory: the kernel dropped it in 5.16"));
    }
    let limit = memory.limit().filter(|bytes| *bytes != 0);
    let swap = memory.swap().filter(|bytes| *bytes != 0);
    to.extend(limit.map(|bytes| Setting::new("memory", "memory.limit_in_bytes", bytes, Shown::Pages)));
    to.extend(swap.map(|bytes| Setting::new("memory", "memory.memsw.limit_in_bytes", bytes, Shown::Pages)));
    let soft = memory.reservation().filter(|bytes| *bytes != 0);
    to.extend(soft.map(|bytes| Setting::new("memory", "memory.soft_limit_in_bytes", bytes, Shown::Pages)));
    let swappiness = memory.swappiness().filter(|value| *value <= 100);
    to.extend(swappiness.map(|value| Setting::new("memory", "memory.swappiness", value, Shown::Same)));
    if memory.disable_oom_killer() == Some(true) {
        to.push(Setting::new("memory", "memory.oom_control", 1, Shown::Unread));
    }
    Ok(())
}

fn block_io(io: &LinuxBlockIo, to: &mut Vec<Setting>) {
    let weight = io.weight().filter(|weight| *weight != 0);
    to.extend(weight.map(|weight| Setting::new("blkio", "blkio.weight", weight, Shown::Same)));
    for device in io.weight_device().iter().flatten() {
        let value = format!("{}:{} {}", device.major(), device.minor(), device.weight().unwrap_or(0));
        to.push(Setting::new("blkio", "blkio.weight_device", value, Shown::Line));
    }
    for (file, devices) in [
        ("blkio.throttle.read_bps_device", io.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", io.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", io.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", io.throttle_write_iops_device()),
    ] {
        to.extend(
            devices.iter().flatten().map(|device| Setting::new("blkio", file, throttle(device), Shown::Line)),
        );
    }
}

fn throttle(device: &LinuxThrottleDevice) -> String {
    format!("{}:{} {}", device.major(), device.minor(), device.rate())
}

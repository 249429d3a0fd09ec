//! The runtime-spec's resources as files of v1's controllers, see cgroup-v1/*.rst of the kernel's documentation.

use crate::limits::{Held, page_size};
use crate::setting::{Setting, Shown};
use crate::{Error, Kind, Result};
use oci::runtime::{LinuxBlockIo, LinuxResources, LinuxThrottleDevice};

/// Controllers a group has whatever the limits: they account, tell of OOM, stop fork bombs and guard devices.
pub(crate) const ALWAYS: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "devices"];

pub(crate) fn cpu(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let Some(cpu) = resources.cpu() else { return Ok(()) };
    let mut set = |file: &str, value: Option<i64>| {
        to.extend(value.map(|value| Setting::new("cpu", file, value, Shown::Same)));
    };
    let number = |value: Option<u64>| value.filter(|value| *value != 0).map(|value| value as i64);
    // Weights are refused while a group is idle.
    set("cpu.idle", cpu.idle().filter(|idle| *idle == 0));
    // The kernel clamps shares to its own range, as it documents.
    set(
        "cpu.shares",
        number(cpu.shares().map(|shares| if shares == 0 { 0 } else { shares.clamp(2, 262_144) })),
    );
    set("cpu.cfs_period_us", number(cpu.period()));
    set("cpu.cfs_quota_us", cpu.quota().filter(|quota| *quota != 0).map(|quota| quota.max(-1)));
    set("cpu.cfs_burst_us", cpu.burst().map(|burst| burst as i64));
    set("cpu.idle", cpu.idle().filter(|idle| *idle != 0));
    set("cpu.rt_period_us", number(cpu.realtime_period()));
    set("cpu.rt_runtime_us", cpu.realtime_runtime().filter(|runtime| *runtime != 0));
    Ok(())
}

pub(crate) fn memory(resources: &LinuxResources, held: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let Some(memory) = resources.memory() else { return Ok(()) };
    let set = |file: &str, bytes: i64| Setting::new("memory", file, bytes.max(-1), Shown::PAGES);
    let given = |bytes: Option<i64>| bytes.filter(|bytes| *bytes != 0);
    let limit = given(memory.limit());
    to.extend(given(memory.kernel()).map(|bytes| set("memory.kmem.limit_in_bytes", bytes)));
    to.extend(given(memory.kernel_tcp()).map(|bytes| set("memory.kmem.tcp.limit_in_bytes", bytes)));
    to.extend(limit.map(|bytes| set("memory.limit_in_bytes", bytes)));
    match given(memory.swap()) {
        // Without swap accounting, docker limits memory and says so; it is an error only where swap was asked for.
        Some(both) => {
            let is_default = limit.is_some_and(|limit| both == limit.saturating_mul(2)) || both < 0;
            to.push(set("memory.memsw.limit_in_bytes", both).if_there(is_default));
        }
        // No limit of memory is none of both, or the kernel would refuse it.
        None if held.update && limit.is_some_and(|limit| limit < 0) => {
            to.push(set("memory.memsw.limit_in_bytes", -1).if_there(true));
        }
        None => {}
    }
    to.extend(given(memory.reservation()).map(|bytes| set("memory.soft_limit_in_bytes", bytes)));
    if let Some(value) = memory.swappiness().filter(|value| *value != u64::MAX) {
        if value > 100 {
            return Err(Error::new(
                Kind::Invalid,
                format!("memory swappiness `{value}` is not within 0 to 100"),
            ));
        }
        to.push(Setting::new("memory", "memory.swappiness", value, Shown::Same));
    }
    let disable = memory.disable_oom_killer().filter(|disable| *disable || held.update);
    to.extend(disable.map(|disable| {
        Setting::new("memory", "memory.oom_control", u8::from(disable), Shown::Key("oom_kill_disable "))
    }));
    Ok(())
}

pub(crate) fn block_io(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let Some(io) = resources.block_io() else { return Ok(()) };
    weights(io, to);
    for (file, devices) in [
        ("blkio.throttle.read_bps_device", io.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", io.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", io.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", io.throttle_write_iops_device()),
    ] {
        let devices = devices.iter().flatten();
        to.extend(devices.map(|device| Setting::new("blkio", file, throttle(device), Shown::Line)));
    }
    Ok(())
}

/// CFQ had them as `blkio.weight`; since Linux 5.0 they are BFQ's. Leaf weights were CFQ's alone.
fn weights(io: &LinuxBlockIo, to: &mut Vec<Setting>) {
    let given = |weight: Option<u16>| weight.filter(|weight| *weight != 0);
    let set = |file: &str, value: String| Setting::new("blkio", file, value, Shown::Line);
    to.extend(
        given(io.weight())
            .map(|weight| set("blkio.weight", weight.to_string()).or("blkio.bfq.weight", weight)),
    );
    to.extend(given(io.leaf_weight()).map(|weight| set("blkio.leaf_weight", weight.to_string())));
    for device in io.weight_device().iter().flatten() {
        let value = |weight: u16| format!("{}:{} {weight}", device.major(), device.minor());
        to.extend(given(device.weight()).map(|weight| {
            set("blkio.weight_device", value(weight)).or("blkio.bfq.weight_device", value(weight))
        }));
        to.extend(given(device.leaf_weight()).map(|weight| set("blkio.leaf_weight_device", value(weight))));
    }
}

fn throttle(device: &LinuxThrottleDevice) -> String {
    format!("{}:{} {}", device.major(), device.minor(), device.rate())
}

pub(crate) fn hugetlb(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    for huge in resources.hugepage_limits().iter().flatten() {
        let shown = Shown::Chunks(page_size(huge.page_size())?);
        let set = |file: String| Setting::new("hugetlb", &file, huge.limit(), shown);
        let name = huge.page_size();
        to.push(set(format!("hugetlb.{name}.limit_in_bytes")));
        // What is mapped and what is reserved are counted apart since Linux 5.7.
        to.push(set(format!("hugetlb.{name}.rsvd.limit_in_bytes")).if_there(true));
    }
    Ok(())
}

pub(crate) fn net_cls(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let class = resources.network().as_ref().and_then(|network| network.class_id());
    to.extend(class.map(|class| Setting::new("net_cls", "net_cls.classid", class, Shown::Same)));
    Ok(())
}

pub(crate) fn net_prio(resources: &LinuxResources, _: &Held, to: &mut Vec<Setting>) -> Result<()> {
    let network = resources.network().as_ref();
    for one in network.and_then(|network| network.priorities().as_ref()).into_iter().flatten() {
        let value = format!("{} {}", one.name(), one.priority());
        to.push(Setting::new("net_prio", "net_prio.ifpriomap", value, Shown::Line));
    }
    Ok(())
}

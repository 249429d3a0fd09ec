//! docker's `HostConfig`: what the request says of this host.

use super::mounts::{binds, mounts, tmpfs};
use super::words;
use crate::compose::user_namespace;
use crate::request::{
    DeviceRule, IpcNamespace, IsolationRequest, LimitsRequest, Namespace, Network, RunRequest, Seccomp,
    UserNamespace,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// docker's `--shm-size` where nothing was said, bytes.
const SHM_SIZE: u64 = 64 << 20;

/// All of `HostConfig` but the two lists of paths, which the `Spec` has.
pub(crate) fn host_config(request: &RunRequest) -> Value {
    let mut host = Map::new();
    for part in [general(request), linux(request), resources(&request.limits), lists(request)] {
        host.extend(part.as_object().cloned().unwrap_or_default());
    }
    Value::Object(host)
}

fn general(request: &RunRequest) -> Value {
    let mut part = json!({
        "Binds": words::some(binds(request)),
        "ContainerIDFile": request.cidfile.as_deref().unwrap_or(Path::new("")).display().to_string(),
        "LogConfig": { "Type": request.streams.log.name(), "Config": request.streams.log.options },
        "NetworkMode": network(&request.isolation.network),
        "PortBindings": {},
        "RestartPolicy": { "Name": request.restart.name(), "MaximumRetryCount": request.restart.max() },
        "AutoRemove": request.remove,
        "VolumeDriver": "",
        "VolumesFrom": null,
        "ConsoleSize": [0, 0],
    });
    if !request.annotations.is_empty() {
        part["Annotations"] = json!(request.annotations);
    }
    part
}

fn linux(request: &RunRequest) -> Value {
    let (files, isolation) = (&request.files, &request.isolation);
    let host = |(name, address): &(String, std::net::IpAddr)| format!("{name}:{address}");
    json!({
        "CapAdd": words::some(isolation.cap_add.iter().map(|name| capability(name)).collect()),
        "CapDrop": words::some(isolation.cap_drop.iter().map(|name| capability(name)).collect()),
        "CgroupnsMode": namespace(&isolation.cgroupns, "private"),
        "Dns": files.dns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "DnsOptions": files.dns_options,
        "DnsSearch": files.dns_search,
        "ExtraHosts": words::some(files.add_hosts.iter().map(host).collect()),
        "GroupAdd": words::some(request.process.groups.clone()),
        "IpcMode": ipc(&isolation.ipc),
        "Cgroup": "",
        "Links": null,
        "OomScoreAdj": request.process.oom_score_adj.unwrap_or(0),
        "PidMode": namespace(&isolation.pid, ""),
        "Privileged": isolation.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": files.read_only,
        "SecurityOpt": words::some(security(isolation)),
        "UTSMode": namespace(&isolation.uts, ""),
        "UsernsMode": user(request),
        "ShmSize": files.shm_size.filter(|size| *size > 0).unwrap_or(SHM_SIZE),
        "Runtime": "hull",
        "Isolation": "",
    })
}

/// docker's names carry the prefix, but for ALL.
fn capability(name: &str) -> String {
    if name == "ALL" { name.to_owned() } else { format!("CAP_{name}") }
}

fn namespace(mode: &Namespace, private: &str) -> String {
    match mode {
        Namespace::Private => private.to_owned(),
        Namespace::Host => "host".to_owned(),
        Namespace::Container(name) => format!("container:{name}"),
    }
}

fn ipc(mode: &IpcNamespace) -> String {
    match mode {
        IpcNamespace::Private => "private".to_owned(),
        IpcNamespace::Shareable => "shareable".to_owned(),
        IpcNamespace::None => "none".to_owned(),
        IpcNamespace::Host => "host".to_owned(),
        IpcNamespace::Container(name) => format!("container:{name}"),
    }
}

/// The network's name as docker has it.
pub(super) fn network(mode: &Network) -> String {
    match mode {
        Network::None => "none".to_owned(),
        Network::Host => "host".to_owned(),
        Network::Container(name) => format!("container:{name}"),
    }
}

/// Empty is hull's default: a namespace of its own.
fn user(request: &RunRequest) -> String {
    match user_namespace(request) {
        UserNamespace::Auto => String::new(),
        UserNamespace::Host => "host".to_owned(),
        UserNamespace::KeepId { uid, gid } => {
            let ids = [("uid", uid), ("gid", gid)].map(|(name, id)| id.map(|id| format!("{name}={id}")));
            let ids: Vec<_> = ids.into_iter().flatten().collect();
            if ids.is_empty() { "keep-id".to_owned() } else { format!("keep-id:{}", ids.join(",")) }
        }
        UserNamespace::Mapped(maps) => {
            let maps = maps.iter().map(|map| format!("{}:{}:{}", map.inside, map.host, map.size));
            format!("private:{}", maps.collect::<Vec<_>>().join(","))
        }
    }
}

/// The options as they could be typed again; a profile is its text, as docker keeps it.
fn security(isolation: &IsolationRequest) -> Vec<String> {
    let profile = match &isolation.seccomp {
        Seccomp::Default => None,
        Seccomp::Unconfined => Some("seccomp=unconfined".to_owned()),
        Seccomp::Profile(text) => Some(format!("seccomp={text}")),
    };
    let paths =
        |name: &str, paths: &[String]| (!paths.is_empty()).then(|| format!("{name}={}", paths.join(":")));
    let fixed = [
        (isolation.no_new_privileges, "no-new-privileges"),
        (isolation.system_paths_unconfined, "systempaths=unconfined"),
        (isolation.writable_cgroups, "writable-cgroups=true"),
    ];
    let fixed = fixed.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.to_owned());
    let labels = isolation.labels.iter().map(|label| format!("label={label}"));
    let apparmor = isolation.apparmor.iter().map(|profile| format!("apparmor={profile}"));
    let lists = [paths("mask", &isolation.mask), paths("unmask", &isolation.unmask)].into_iter().flatten();
    fixed.chain(profile).chain(apparmor).chain(labels).chain(lists).collect()
}

fn resources(limits: &LimitsRequest) -> Value {
    json!({
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "Memory": limits.memory.unwrap_or(0),
        "NanoCpus": limits.nano_cpus.unwrap_or(0),
        "CgroupParent": limits.cgroup_parent.as_deref().unwrap_or(""),
        "BlkioWeight": limits.blkio_weight.unwrap_or(0),
        "BlkioWeightDevice": each(&limits.blkio_weight_device, "Weight"),
        "BlkioDeviceReadBps": each(&limits.read_bps, "Rate"),
        "BlkioDeviceWriteBps": each(&limits.write_bps, "Rate"),
        "BlkioDeviceReadIOps": each(&limits.read_iops, "Rate"),
        "BlkioDeviceWriteIOps": each(&limits.write_iops, "Rate"),
        "CpuPeriod": limits.cpu_period.unwrap_or(0),
        "CpuQuota": limits.cpu_quota.unwrap_or(0),
        "CpuRealtimePeriod": limits.cpu_rt_period.unwrap_or(0),
        "CpuRealtimeRuntime": limits.cpu_rt_runtime.unwrap_or(0),
        "CpusetCpus": limits.cpuset_cpus.as_deref().unwrap_or(""),
        "CpusetMems": limits.cpuset_mems.as_deref().unwrap_or(""),
        "MemoryReservation": limits.memory_reservation.unwrap_or(0),
        "MemorySwap": swap(limits),
        "MemorySwappiness": limits.memory_swappiness,
        "OomKillDisable": limits.oom_kill_disable,
        "PidsLimit": limits.pids,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    })
}

/// Twice the memory where nothing was said of it, as it is set.
fn swap(limits: &LimitsRequest) -> i64 {
    let memory = limits.memory.unwrap_or(0);
    let twice = i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX);
    limits.memory_swap.filter(|swap| *swap != 0).unwrap_or(twice)
}

fn each<V: Copy + Into<u64>>(limits: &[(PathBuf, V)], name: &str) -> Vec<Value> {
    let one =
        |(path, value): &(PathBuf, V)| json!({ "Path": path.display().to_string(), name: (*value).into() });
    limits.iter().map(one).collect()
}

/// What is a list of objects, or there only where something was asked for.
fn lists(request: &RunRequest) -> Value {
    let files = &request.files;
    let devices = files.devices.iter().map(|device| {
        json!({
            "PathOnHost": device.host.display().to_string(),
            "PathInContainer": device.container.display().to_string(),
            "CgroupPermissions": device.access,
        })
    });
    let ulimits = request.process.ulimits.iter().map(|limit| {
        json!({ "Name": limit.name, "Hard": words::limit(limit.hard), "Soft": words::limit(limit.soft) })
    });
    let mut part = json!({
        "Devices": devices.collect::<Vec<_>>(),
        "DeviceCgroupRules": words::some(files.device_rules.iter().map(rule).collect()),
        "DeviceRequests": null,
        "Ulimits": ulimits.collect::<Vec<_>>(),
    });
    let filled = [
        ("Mounts", json!(mounts(request))),
        ("Tmpfs", json!(tmpfs(request))),
        ("Sysctls", json!(request.isolation.sysctls)),
    ];
    for (name, value) in filled {
        if value != json!([]) && value != json!({}) {
            part[name] = value;
        }
    }
    if request.process.init {
        part["Init"] = true.into();
    }
    part
}

fn rule(rule: &DeviceRule) -> String {
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    format!("{} {}:{} {}", rule.kind, number(rule.major), number(rule.minor), rule.access)
}

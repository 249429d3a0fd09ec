//! `hull info`: docker's fields that make sense without a daemon, and what this host can isolate.

use super::system::{formatted, plain};
use crate::Caller;
use crate::edge::Done;
use crate::flags::{Syntax, Typed};
use crate::render::{binary_size, put};
use engine::system::Info;
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) const SYNTAX: Syntax = Syntax {
    examples: &["hull info", "hull info --format '{{.CgroupVersion}}'"],
    ..plain("system info", "What this host can isolate, and what hull keeps here.")
};

/// Those that keep a log.
const DRIVERS: [&str; 4] = ["hull", "journald", "json-file", "syslog"];

pub(super) fn info(typed: &Typed, caller: &Caller) -> Done {
    let info = caller.look()?.info()?;
    match typed.filled("format") {
        Some(format) => formatted(format, &value(&info)),
        None => put(&text(&info)).map(|()| 0),
    }
}

/// docker's words for what confines a container.
fn security(info: &Info) -> Vec<&'static str> {
    let known = [
        ("AppArmor", "name=apparmor"),
        ("seccomp filters", "name=seccomp,profile=builtin"),
        ("user namespaces", "name=userns"),
        ("cgroup namespaces", "name=cgroupns"),
    ];
    let works = |name| info.features.iter().any(|feature| feature.name == name && feature.works);
    known.into_iter().filter(|(name, _)| works(*name)).map(|(_, word)| word).collect()
}

/// docker knows two: on a hybrid host it uses the first.
fn cgroup_version(info: &Info) -> &'static str {
    if info.cgroups == "v2" { "2" } else { "1" }
}

fn value(info: &Info) -> Value {
    let features =
        info.features.iter().map(|f| json!({"Name": f.name, "Works": f.works, "Without": f.without}));
    let mut value = json!({
        "Containers": info.containers.all(), "ContainersRunning": info.containers.running,
        "ContainersPaused": info.containers.paused, "ContainersStopped": info.containers.stopped,
        "Images": info.images, "Driver": "overlay", "DriverStatus": [["Backing Filesystem", info.file_system]],
        "Plugins": {"Log": DRIVERS}, "SystemTime": jiff::Timestamp::now().to_string(),
        "LoggingDriver": "hull", "CgroupDriver": "cgroupfs", "CgroupVersion": cgroup_version(info),
        "CgroupMode": info.cgroups, "CgroupControllers": info.controllers, "KernelVersion": info.kernel,
        "OperatingSystem": info.system.0, "OSVersion": info.system.1, "OSType": "linux",
        "Architecture": info.architecture, "NCPU": info.cpus, "MemTotal": info.memory, "DockerRootDir": info.root,
        "Name": info.name, "Labels": [], "ServerVersion": env!("CARGO_PKG_VERSION"), "Runtimes": {"hull": {}},
        "DefaultRuntime": "hull", "LiveRestoreEnabled": true, "Swarm": {"LocalNodeState": "inactive"},
        "SecurityOptions": security(info), "IPv4Forwarding": info.forwards,
        "Features": features.collect::<Vec<_>>(), "Warnings": null,
        "ClientInfo": {"Version": env!("CARGO_PKG_VERSION"), "Context": "default"},
    });
    let has = |controller| info.controllers.iter().any(|one| one == controller);
    let limits = [
        ("MemoryLimit", "memory"),
        ("CpuCfsPeriod", "cpu"),
        ("CpuCfsQuota", "cpu"),
        ("CPUShares", "cpu"),
        ("CPUSet", "cpuset"),
        ("PidsLimit", "pids"),
    ];
    limits.into_iter().for_each(|(field, controller)| value[field] = has(controller).into());
    value
}

/// docker's lines, and what works of what isolates.
fn text(info: &Info) -> String {
    let count = info.containers;
    let mut text = format!(
        "Containers: {}\n Running: {}\n Paused: {}\n Stopped: {}\nImages: {}\n",
        count.all(),
        count.running,
        count.paused,
        count.stopped,
        info.images
    );
    let options = security(info);
    let options = options.iter().map(|option| option.trim_start_matches("name=").replace(",profile=", ": "));
    let lines = [
        ("Server Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("Storage Driver", "overlay".into()),
        (" Backing Filesystem", info.file_system.clone()),
        ("Logging Driver", "hull".into()),
        ("Log Drivers", DRIVERS.join(" ")),
        ("Cgroup Driver", "cgroupfs".into()),
        ("Cgroup Version", format!("{} ({})", cgroup_version(info), info.cgroups)),
        ("Cgroup Controllers", info.controllers.join(" ")),
        ("Security Options", options.collect::<Vec<_>>().join(", ")),
        ("Kernel Version", info.kernel.clone()),
        ("Operating System", info.system.0.clone()),
        ("OSType", "linux".into()),
        ("Architecture", info.architecture.clone()),
        ("CPUs", info.cpus.to_string()),
        ("Total Memory", binary_size(info.memory)),
        ("Name", info.name.clone()),
        ("Root Dir", info.root.clone()),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "{name}: {value}");
    }
    text += "Isolation:\n";
    for feature in &info.features {
        let without = if feature.works { String::new() } else { format!("  ({})", feature.without) };
        let works = if feature.works { "yes" } else { "no" };
        let _ = writeln!(text, "  {works:3}  {}{without}", feature.name);
    }
    text
}

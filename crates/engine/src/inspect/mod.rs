//! A container as docker's `inspect` shows it.
//!
//! ```text
//! RunRequest + ImageConfig ─▶ Details { Config, HostConfig, Mounts } ─▶ in the record, when it is made
//! record + state ───────────▶ docker's JSON; the runtime-spec's configuration is beside it as `Spec`
//! ```

mod config;
mod host;

mod mounts;
mod words;

pub(crate) use config::labels;

pub(crate) use host::host_config;

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::health::Health;
use crate::life::Restarts;
use crate::request::RunRequest;
use crate::rootfs::open_directory;
use oci::ContainerConfig;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use store::{Container, Record, State};

/// What is kept of a request to show it again.
pub(crate) fn details(request: &RunRequest, image: &ContainerConfig, hostname: &str) -> Value {
    json!({
        "Config": config::config(request, image, hostname),
        "HostConfig": host_config(request),
        "Mounts": mounts::points(request),
    })
}

/// What was kept of the request; empty where nothing was.
pub fn details_of(record: &Record) -> Value {
    let details = record.details.as_ref().and_then(|details| serde_json::from_str(details.get()).ok());
    details.unwrap_or_else(|| json!({ "Config": {}, "HostConfig": {}, "Mounts": [] }))
}

/// docker's word for a state.
pub fn status(state: &State, paused: bool) -> &'static str {
    match state {
        State::Running(_) if paused => "paused",
        State::Created => "created",
        State::Running(running) if Restarts::of(running).rest.is_some() => "restarting",
        State::Running(_) => "running",
        State::Exited(_) => "exited",
        State::Dead => "dead",
    }
}

/// The network a container was given, as docker names it.
pub fn network(details: &Value) -> &str {
    details["HostConfig"]["NetworkMode"].as_str().unwrap_or("none")
}

impl Engine {
    /// docker's JSON of a container.
    pub fn inspect(&self, container: &Container, state: &State) -> Result<Value> {
        let record: &Record = &container.record;
        let spec: Option<Value> = record.spec.as_ref().and_then(|spec| serde_json::from_str(spec.get()).ok());
        let spec = spec.unwrap_or(Value::Null);
        let mut details = details_of(record);
        let linux = &spec["linux"];
        details["HostConfig"]["MaskedPaths"] = linux["maskedPaths"].clone();
        details["HostConfig"]["ReadonlyPaths"] = linux["readonlyPaths"].clone();
        let (path, args) =
            record.command.split_first().map_or(("", &[][..]), |(path, args)| (path.as_str(), args));
        let dir = self.store.path().join(container.path());
        let file = |name: &str| dir.join(name).display().to_string();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(json!({
            "Id": record.id.to_string(),
            "Created": record.created.to_string(),
            "Path": path,
            "Args": args,
            "State": state_view(state, self.is_paused(state), container),
            "Image": record.image.to_string(),
            "ResolvConfPath": file("resolv.conf"),
            "HostnamePath": file("hostname"),
            "HostsPath": file("hosts"),
            "LogPath": log_path(&dir, &record.id.to_string(), &crate::life::choice(container)),
            "LogLost": lost(container),
            "Name": format!("/{}", record.name),
            "RestartCount": restarts(state),
            "Driver": "overlay",
            "Platform": "linux",
            "MountLabel": text(&linux["mountLabel"]),
            "ProcessLabel": text(&spec["process"]["selinuxLabel"]),
            "AppArmorProfile": text(&spec["process"]["apparmorProfile"]),
            "ExecIDs": null,
            "HostConfig": details["HostConfig"].take(),
            "GraphDriver": { "Data": self.graph(container, state)?, "Name": "overlay" },
            "Mounts": details["Mounts"].take(),
            "Config": details["Config"].take(),
            "NetworkSettings": network_settings(&details_of(record), state),
            "RootFS": { "Type": "layers", "Layers": record.layers.iter().map(ToString::to_string).collect::<Vec<_>>() },
            "Spec": spec,
        }))
    }

    /// Where its files are.
    fn graph(&self, container: &Container, state: &State) -> Result<Value> {
        let below = |path: &std::path::Path| self.store.path().join(path).display().to_string();
        let lower = self.layers_of(&container.record.layers)?.lower;
        let own = |name: &str| below(&std::path::Path::new(&container.path()).join(name));
        let merged = match state {
            State::Running(running) => running.pid.map(|pid| format!("/proc/{pid}/root")),
            _ => None,
        };
        Ok(json!({
            "LowerDir": lower.iter().map(|path| below(path)).collect::<Vec<_>>().join(":"),
            "MergedDir": merged,
            "UpperDir": own("upper"),
            "WorkDir": own("work"),
        }))
    }

    /// Bytes of the files that a container wrote, and of those with all of its image's; as docker counts them.
    pub fn sizes(&self, container: &Container) -> Result<(u64, u64)> {
        let what = || format!("measure container `{}`", container.record.name);
        let upper = open_directory(container.dir(), "upper")?;
        let own = bytes_of(&upper, &mut HashSet::new())
            .map_err(|errno| Error::new(Kind::Failed, what()).caused_by(errno))?;
        let layers = container.record.layers.iter().map(|layer| self.store.layer_meta(layer));
        let layers = layers.map(|meta| Ok(meta.map_err(from_store)?.file_bytes)).sum::<Result<u64>>()?;
        Ok((own, own + layers))
    }
}

/// What the container's log is in; empty where that is nothing of hull's.
fn log_path(dir: &std::path::Path, id: &str, choice: &logs::Choice) -> String {
    let dir = dir.join(logs::DIR);
    let path = match choice.name() {
        "hull" | "local" => dir,
        "json-file" => dir.join(format!("{id}-json.log")),
        _ => return String::new(),
    };
    if path.exists() { path.display().to_string() } else { String::new() }
}

/// What is missing in its log.
fn lost(container: &Container) -> Value {
    let logs::Lost { bytes, times } = logs::lost(container.dir());
    json!({ "Bytes": bytes, "Times": times })
}

/// Lengths of all that is no directory, once for each inode.
fn bytes_of(dir: &OwnedFd, seen: &mut HashSet<u64>) -> rustix::io::Result<u64> {
    let mut sum = 0;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue, // a running container removed it meanwhile
            other => other?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(dir.as_fd(), name, flags, Mode::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                inner => sum += bytes_of(&inner?, seen)?,
            }
        } else if seen.insert(stat.st_ino) {
            sum += stat.st_size as u64;
        }
    }
    Ok(sum)
}

/// How often it was started again.
fn restarts(state: &State) -> u32 {
    match state {
        State::Running(running) => Restarts::of(running).count,
        State::Exited(exit) => exit.restarts,
        State::Created | State::Dead => 0,
    }
}

fn state_view(state: &State, paused: bool, container: &Container) -> Value {
    let word = status(state, paused);
    let (pid, started) = match state {
        State::Running(running) => (running.pid.unwrap_or(0), Some(running.started)),
        State::Exited(exit) => (0, exit.started),
        _ => (0, None),
    };
    let exit = match state {
        State::Exited(exit) => Some(exit.clone()),
        // Of one that runs again docker shows the end before, too.
        State::Running(_) => container.exit().ok().flatten(),
        _ => None,
    };
    let exit = exit.as_ref();
    let is_up = ["running", "paused"].contains(&word);
    let health = Health::read(container.dir()).ok().flatten();
    let mut view = json!({
        "Status": word,
        "Running": matches!(state, State::Running(_)),
        "Paused": paused,
        "Restarting": word == "restarting",
        "OOMKilled": !is_up && exit.is_some_and(|exit| exit.oom),
        "Dead": word == "dead",
        "Pid": pid,
        "ExitCode": if is_up { 0 } else { exit.map_or(0, |exit| exit.code) },
        "Error": exit.filter(|_| !is_up).and_then(|exit| exit.error.clone()).unwrap_or_default(),
        "StartedAt": words::moment(started),
        "FinishedAt": words::moment(exit.map(|exit| exit.finished)),
    });
    if let Some(health) = health {
        view["Health"] = json!(health);
    }
    view
}

/// There are no bridge networks yet: one entry, without addresses. A joined network is the other container's to show.
fn network_settings(details: &Value, state: &State) -> Value {
    let key = match state {
        State::Running(running) => running.pid.map(|pid| format!("/proc/{pid}/ns/net")),
        _ => None,
    };
    let name = network(details);
    let endpoint = json!({
        "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "DriverOpts": null,
        "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0,
        "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": null,
    });
    let own = !name.starts_with("container:");
    let networks: Map<_, _> = own.then(|| (name.to_owned(), endpoint)).into_iter().collect();
    json!({
        "Bridge": "", "SandboxID": "", "SandboxKey": key.unwrap_or_default(), "Ports": {}, "HairpinMode": false,
        "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0, "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null, "EndpointID": "", "Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "MacAddress": "",
        "Networks": networks,
    })
}

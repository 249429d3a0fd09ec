//! docker's `Config`: what the request says over what the image says.

use crate::health;
use crate::request::{RunRequest, Stream, StreamsRequest};
use oci::ContainerConfig;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// All of `Config`.
pub(super) fn config(request: &RunRequest, image: &ContainerConfig, hostname: &str) -> Value {
    let (streams, process) = (&request.streams, &request.process);
    let input = attaches(streams, Stream::Stdin);
    let (entrypoint, command) = program(request, image);
    let mut config = json!({
        "Hostname": hostname,
        "Domainname": request.files.domainname.as_deref().unwrap_or(""),
        "User": process.user.as_deref().unwrap_or(&image.user),
        "AttachStdin": input,
        "AttachStdout": attaches(streams, Stream::Stdout),
        "AttachStderr": attaches(streams, Stream::Stderr),
        "Tty": streams.tty,
        "OpenStdin": streams.interactive,
        "StdinOnce": streams.interactive && input,
        "Env": environment(request, image),
        "Cmd": command,
        "Image": request.image,
        "Volumes": keys(&image.volumes).unwrap_or(Value::Null),
        "WorkingDir": process.workdir.as_deref().unwrap_or(&image.working_dir),
        "Entrypoint": entrypoint,
        "OnBuild": null,
        "Labels": labels(request, image),
    });
    let rest = [
        ("ExposedPorts", keys(&image.exposed_ports)),
        (
            "Healthcheck",
            health::merged(request.health.as_ref(), image.healthcheck.as_ref()).map(|check| json!(check)),
        ),
        ("StopSignal", process.stop_signal.clone().or_else(|| image.stop_signal.clone()).map(Value::from)),
        ("StopTimeout", process.stop_timeout.or(image.stop_timeout).map(Value::from)),
        ("Shell", image.shell.clone().map(Value::from)),
    ];
    for (name, value) in rest {
        if let Some(value) = value {
            config[name] = value;
        }
    }
    config
}

/// Go's sets are maps to nothing.
fn keys(set: &std::collections::BTreeSet<String>) -> Option<Value> {
    let map: Map<_, _> = set.iter().map(|key| (key.clone(), json!({}))).collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

fn attaches(streams: &StreamsRequest, stream: Stream) -> bool {
    match (streams.attach.is_empty(), stream) {
        (true, Stream::Stdin) => streams.interactive,
        (true, _) => true,
        (false, stream) => streams.attach.contains(&stream),
    }
}

/// The request's entry point makes the image's command void.
fn program(request: &RunRequest, image: &ContainerConfig) -> (Value, Value) {
    let own = || if request.command.is_empty() { Value::Null } else { request.command.clone().into() };
    match &request.process.entrypoint {
        Some(entry) if entry.is_empty() => (Value::Null, own()),
        Some(entry) => (vec![entry.clone()].into(), own()),
        None if request.command.is_empty() => (json!(image.entrypoint), json!(image.cmd)),
        None => (json!(image.entrypoint), own()),
    }
}

/// The request's, then the image's that it does not name.
fn environment(request: &RunRequest, image: &ContainerConfig) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let asked = &request.process.env;
    let is_asked = |entry: &str| asked.iter().any(|one| name(one) == name(entry));
    let images = image.env.iter().filter(|entry| !is_asked(entry));
    asked.iter().filter(|entry| entry.contains('=')).chain(images).cloned().collect()
}

/// The image's labels under the request's.
pub(crate) fn labels(request: &RunRequest, image: &ContainerConfig) -> BTreeMap<String, String> {
    let mut labels = image.labels.clone();
    labels.extend(request.labels.clone());
    labels
}

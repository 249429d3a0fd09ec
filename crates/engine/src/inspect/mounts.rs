//! Mounts as docker words them: `Binds`, `Tmpfs` and `Mounts` of the request, and what they came to.

use crate::request::{MountRequest, MountSource, Relabel, RunRequest};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `-v`: `source:target[:options]`.
pub(super) fn binds(request: &RunRequest) -> Vec<String> {
    let bind = |mount: &MountRequest| match &mount.source {
        MountSource::Bind { path, create: true, .. } => {
            let mode = mode(mount);
            let mode = if mode.is_empty() { mode } else { format!(":{mode}") };
            Some(format!("{}:{}{mode}", path.display(), mount.target))
        }
        _ => None,
    };
    request.files.mounts.iter().filter_map(bind).collect()
}

/// `--mount type=bind`.
pub(super) fn mounts(request: &RunRequest) -> Vec<Value> {
    let mount = |mount: &MountRequest| match &mount.source {
        MountSource::Bind { path, create: false, propagation, non_recursive, .. } => {
            let mut value = json!({
                "Type": "bind", "Source": path.display().to_string(), "Target": mount.target,
            });
            if mount.read_only {
                value["ReadOnly"] = true.into();
            }
            if propagation.is_some() || *non_recursive {
                value["BindOptions"] = json!({ "Propagation": propagation, "NonRecursive": non_recursive });
            }
            Some(value)
        }
        _ => None,
    };
    request.files.mounts.iter().filter_map(mount).collect()
}

/// `--tmpfs`, and `--mount type=tmpfs`: the options by target.
pub(super) fn tmpfs(request: &RunRequest) -> BTreeMap<&str, String> {
    let tmpfs = |mount: &MountRequest| match &mount.source {
        MountSource::Tmpfs { size, mode, options } => {
            let size = size.map(|size| format!("size={size}"));
            let mode = mode.map(|mode| format!("mode={mode:o}"));
            let read_only = mount.read_only.then(|| "ro".to_owned());
            let words = [size, mode, read_only].into_iter().flatten().chain(options.iter().cloned());
            Some(words.collect::<Vec<_>>().join(","))
        }
        MountSource::Bind { .. } => None,
    };
    let mounts = request.files.mounts.iter();
    mounts.filter_map(|mount| tmpfs(mount).map(|options| (mount.target.as_str(), options))).collect()
}

/// docker's mount points of a container: what was asked for, not what every container has.
pub(super) fn points(request: &RunRequest) -> Vec<Value> {
    let point = |mount: &MountRequest| match &mount.source {
        MountSource::Bind { path, propagation, .. } => json!({
            "Type": "bind", "Source": path.display().to_string(), "Destination": mount.target,
            "Mode": mode(mount), "RW": !mount.read_only,
            "Propagation": propagation.as_deref().unwrap_or("rprivate"),
        }),
        MountSource::Tmpfs { .. } => json!({
            "Type": "tmpfs", "Source": "", "Destination": mount.target, "Mode": "", "RW": !mount.read_only,
            "Propagation": "",
        }),
    };
    request.files.mounts.iter().map(point).collect()
}

/// The options of `-v` as they could be typed again.
fn mode(mount: &MountRequest) -> String {
    let MountSource::Bind { propagation, relabel, non_recursive, create, .. } = &mount.source else {
        return String::new();
    };
    let relabel = match relabel {
        Relabel::Keep => None,
        Relabel::Shared => Some("z"),
        Relabel::Private => Some("Z"),
    };
    let words = [
        mount.read_only.then_some("ro"),
        relabel,
        non_recursive.then_some("bind-nonrecursive"),
        propagation.as_deref(),
    ];
    let words: Vec<_> = words.into_iter().flatten().filter(|_| *create).collect();
    words.join(",")
}

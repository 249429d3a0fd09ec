//! What a container would have: its runtime-spec configuration and its request, in the words of what the kernel says.

use super::process::{inside, outside};
use super::value::{Capabilities, Ids, Isolation, Meaning, Modules, Namespace, Oom, Owner, Range};
use super::{Asked, calls, devices, limits, mounts, network, words};
use serde_json::Value;

pub(super) fn of(asked: &Asked, kept: &str, mode: cgroup::Mode) -> Isolation {
    let Asked { spec, request } = asked;
    let namespaces = namespaces(spec);
    let owner =
        |kind: &str| namespaces.iter().find(|one| one.kind == kind).map_or(Owner::Own, |one| one.owner);
    let has_user = owner("user") != Owner::Host;
    let process = &spec["process"];
    let network_mode = super::network_of(request);
    let enforced = if mode == cgroup::Mode::V2 { "program" } else { "devices.list" };
    Isolation {
        ids: ids(spec, has_user),
        capabilities: capabilities(process, !has_user),
        seccomp: calls::of(spec),
        no_new_privileges: process["noNewPrivileges"].as_bool().unwrap_or(false),
        modules: Modules { label: label(process), ..modules() },
        mounts: mounts::wanted(spec, kept),
        masked: strings(&spec["linux"]["maskedPaths"]),
        devices: devices::wanted(spec, enforced),
        network: network::wanted(owner("net"), network_mode),
        limits: limits::wanted(request),
        oom: Oom { adjust: process["oomScoreAdj"].as_i64().unwrap_or(0) as i32, score: None },
        namespaces,
    }
}

fn namespaces(spec: &Value) -> Vec<Namespace> {
    let list = spec["linux"]["namespaces"].as_array();
    let owner = |kind: &str| {
        let found = list.into_iter().flatten().find(|one| one["type"] == words::of_spec(kind));
        match found.map(|one| one["path"].is_null()) {
            None => Owner::Host,
            Some(true) => Owner::Own,
            Some(false) => Owner::Shared,
        }
    };
    let one =
        |(kind, isolates)| Namespace { kind, isolates, owner: owner(kind), with: Vec::new(), inode: None };
    words::NAMESPACES.map(one).to_vec()
}

fn maps(spec: &Value, name: &str, has_user: bool) -> Vec<Range> {
    if !has_user {
        return vec![Range { inside: 0, host: 0, size: u32::MAX }];
    }
    let number = |value: &Value| value.as_u64().unwrap_or(0) as u32;
    let all = spec["linux"][name].as_array().into_iter().flatten();
    all.map(|one| Range {
        inside: number(&one["containerID"]),
        host: number(&one["hostID"]),
        size: number(&one["size"]),
    })
    .collect()
}

fn ids(spec: &Value, has_user: bool) -> Ids {
    let users = maps(spec, "uidMappings", has_user);
    let user = spec["process"]["user"]["uid"].as_u64().unwrap_or(0) as u32;
    Ids {
        user: (user, outside(&users, user).unwrap_or(user)),
        root: outside(&users, 0),
        groups: maps(spec, "gidMappings", has_user),
        users,
        with: Vec::new(),
    }
}

/// Whoever is not root loses what is permitted at execve(2), but what is ambient.
fn capabilities(process: &Value, over_host: bool) -> Capabilities {
    let sets = &process["capabilities"];
    let is_root = process["user"]["uid"].as_u64().unwrap_or(0) == 0;
    let kept = |name: &str| if is_root { strings(&sets[name]) } else { strings(&sets["ambient"]) };
    let bounding = strings(&sets["bounding"]);
    Capabilities {
        effective: kept("effective"),
        permitted: kept("permitted"),
        inheritable: strings(&sets["inheritable"]),
        ambient: strings(&sets["ambient"]),
        meaning: meaning(&bounding, over_host),
        over_host,
        bounding,
    }
}

/// What each capability allows, and whether it does so here.
pub(super) fn meaning(bounding: &[String], over_host: bool) -> Vec<Meaning> {
    let one = |name: &String| {
        let (allows, is_void) = words::capability(name);
        Meaning { name: name.clone(), allows, is_void: is_void && !over_host }
    };
    bounding.iter().map(one).collect()
}

fn label(process: &Value) -> Option<String> {
    let text = |name: &str| process[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    text("apparmorProfile").or_else(|| text("selinuxLabel"))
}

/// What the kernel has.
pub(super) fn modules() -> Modules {
    let active = std::fs::read_to_string("/sys/kernel/security/lsm").ok();
    Modules {
        active: active.map(|text| text.trim().split(',').map(str::to_owned).collect()),
        label: None,
        landlock: sys::landlock::abi().ok(),
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// The first process's user: inside, and on the host.
pub(super) fn user(users: &[Range], host: u32) -> (u32, u32) {
    (inside(users, host).unwrap_or(host), host)
}

//! Kernel settings: only those that belong to a namespace of the container's own.

use super::{Facts, Result, invalid, namespaces};
use crate::request::RunRequest;
use std::collections::HashMap;

/// Those of an IPC namespace, ipc_namespaces(7).
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Ours, then the user's.
pub(super) fn sysctls(request: &RunRequest, facts: &Facts<'_>) -> Result<Option<HashMap<String, String>>> {
    let mut sysctls = HashMap::new();
    if namespaces::owns_network(request) {
        // Every container may open low ports and, with ICMP sockets, ping without a capability (docker's since 20.10).
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_string(), "0".to_string());
        sysctls.insert("net.ipv4.ping_group_range".to_string(), format!("0 {}", largest_group(facts)));
    }
    for (name, value) in &request.isolation.sysctls {
        let name = dotted(name);
        check(&name, request, facts)?;
        sysctls.insert(name, value.clone());
    }
    Ok((!sysctls.is_empty()).then_some(sysctls))
}

/// The kernel takes no group that the user namespace does not map; docker leaves the range out then.
fn largest_group(facts: &Facts<'_>) -> u32 {
    let first = facts.id_maps.groups.iter().find(|map| map.inside == 0);
    match (facts.id_maps.is_empty(), first) {
        (true, _) => i32::MAX as u32,
        (false, Some(map)) => map.size - 1,
        (false, None) => 0,
    }
}

/// `net/ipv4/conf/eno2.100.rp_filter` to `net.ipv4.conf.eno2/100.rp_filter`, see sysctl.d(5).
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name[first..].starts_with('/') => {
            let swap = |letter| match letter {
                '.' => '/',
                '/' => '.',
                _ => letter,
            };
            name.chars().map(swap).collect()
        }
        _ => name.to_string(),
    }
}

/// runc's rules and words.
fn check(name: &str, request: &RunRequest, facts: &Facts<'_>) -> Result<()> {
    let has_user = !facts.id_maps.is_empty() || facts.joined.user.is_some();
    match name {
        _ if IPC.contains(&name) || name.starts_with("fs.mqueue.") => match namespaces::owns_ipc(request) {
            true => Ok(()),
            false => invalid(format!("sysctl \"{name}\" is not allowed in the hosts ipc namespace")),
        },
        _ if name.starts_with("net.") => match namespaces::owns_network(request) {
            true => Ok(()),
            false => invalid(format!("sysctl \"{name}\" not allowed in host network namespace")),
        },
        "kernel.domainname" if namespaces::owns_uts(request) => Ok(()),
        "kernel.hostname" if namespaces::owns_uts(request) => invalid(
            "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \"hostname\" field",
        ),
        _ if name.starts_with("user.") && has_user => Ok(()),
        _ if name.starts_with("user.") => {
            invalid(format!("setting ucounts without a user namespace not allowed: {name}"))
        }
        _ => invalid(format!("sysctl \"{name}\" is not in a separate kernel namespace")),
    }
}

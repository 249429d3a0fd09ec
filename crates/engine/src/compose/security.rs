//! Capabilities, system call filter, and the labels of AppArmor and SELinux.

use super::{Error, Facts, Kind, Result, invalid};
use crate::request::{IsolationRequest, MountSource, Relabel, RunRequest, Seccomp};
use oci::runtime::{Capabilities as Set, LinuxCapabilities, LinuxSeccomp};
use seccomp::Capabilities;
use std::path::PathBuf;

/// The labels of a container where SELinux is on: `user:role:type:level`.
#[derive(Debug, Clone)]
pub struct Selinux {
    /// Of its processes, with a level of its own.
    pub process: String,
    /// Of its files, with the same level.
    pub files: String,
}

/// The bounding set: docker's default adjusted, or all that the host has.
pub(super) fn capabilities(isolation: &IsolationRequest, facts: &Facts<'_>) -> Result<Capabilities> {
    if isolation.privileged {
        return Ok(facts.capabilities);
    }
    let adjusted = Capabilities::DEFAULT.adjust(&isolation.cap_add, &isolation.cap_drop, facts.capabilities);
    adjusted.map_err(|error| error.map_kind(kind))
}

fn kind(kind: seccomp::Kind) -> Kind {
    match kind {
        seccomp::Kind::Invalid => Kind::Invalid,
        seccomp::Kind::Unsupported => Kind::Unsupported,
    }
}

/// Nothing is inheritable or ambient: docker's since 20.10.14 (CVE-2022-24769).
pub fn sets(capabilities: Capabilities) -> LinuxCapabilities {
    let set: Set = capabilities.iter().map(|one| one.to_runtime()).collect();
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(Some(set.clone())).set_effective(Some(set.clone())).set_permitted(Some(set));
    sets.set_inheritable(None).set_ambient(None);
    sets
}

/// Of a privileged container only a profile that was asked for by name holds.
pub(super) fn seccomp(
    isolation: &IsolationRequest,
    capabilities: Capabilities,
    kernel: (u32, u32),
) -> Result<Option<LinuxSeccomp>> {
    match &isolation.seccomp {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Default if isolation.privileged => Ok(None),
        Seccomp::Default => Ok(Some(seccomp::default_profile(capabilities, kernel))),
        Seccomp::Profile(text) => {
            seccomp::from_docker_json(text, capabilities, kernel).map_err(|error| error.map_kind(kind))
        }
    }
}

pub(super) fn apparmor(isolation: &IsolationRequest, facts: &Facts<'_>) -> Result<Option<String>> {
    const UNCONFINED: &str = "unconfined";
    match (facts.apparmor, isolation.apparmor.as_deref()) {
        (None, None | Some(UNCONFINED)) => Ok(None),
        (None, Some(profile)) => {
            let what = format!("apparmor profile `{profile}`: this host has no AppArmor");
            Err(Error::new(Kind::Unsupported, what))
        }
        (Some(_), Some(profile)) => Ok(Some(profile.to_string())),
        (Some(_), None) if isolation.privileged => Ok(Some(UNCONFINED.to_string())),
        (Some(default), None) => Ok(Some(default.to_string())),
    }
}

pub(super) fn process_label(isolation: &IsolationRequest, facts: &Facts<'_>) -> Result<Option<String>> {
    let Some(selinux) = labels(isolation, facts) else { return Ok(None) };
    relabel(&selinux.process, &isolation.labels, &["user", "role", "type", "level"]).map(Some)
}

/// Of the files only level, and type under a name of its own, follow the options.
pub(super) fn mount_label(isolation: &IsolationRequest, facts: &Facts<'_>) -> Result<Option<String>> {
    let Some(selinux) = labels(isolation, facts) else { return Ok(None) };
    relabel(&selinux.files, &isolation.labels, &["", "", "filetype", "level"]).map(Some)
}

/// Binds whose source gets a label (`z`, `Z`), with it: for all containers, or for this one alone.
pub(super) fn relabels(request: &RunRequest, facts: &Facts<'_>) -> Result<Vec<(PathBuf, String)>> {
    let Some(own) = mount_label(&request.isolation, facts)? else { return Ok(Vec::new()) };
    let shared = || relabel(&own, &["level:s0".to_string()], &["", "", "", "level"]);
    let mut relabels = Vec::new();
    for asked in &request.files.mounts {
        match &asked.source {
            MountSource::Bind { path, relabel: Relabel::Shared, .. } => {
                relabels.push((path.clone(), shared()?))
            }
            MountSource::Bind { path, relabel: Relabel::Private, .. } => {
                relabels.push((path.clone(), own.clone()))
            }
            _ => (),
        }
    }
    Ok(relabels)
}

fn labels<'a>(isolation: &IsolationRequest, facts: &Facts<'a>) -> Option<&'a Selinux> {
    let disabled = isolation.privileged || isolation.labels.iter().any(|label| label == "disable");
    facts.selinux.filter(|_| !disabled)
}

/// A label with the parts that options name replaced; `parts` says what the four are called.
fn relabel(label: &str, options: &[String], parts: &[&str; 4]) -> Result<String> {
    let mut words: Vec<&str> = label.splitn(4, ':').collect();
    for option in options {
        let Some((name, value)) = option.split_once(':') else {
            return invalid(format!("bad label option \"{option}\""));
        };
        if let Some(place) = parts.iter().position(|part| *part == name)
            && let Some(word) = words.get_mut(place)
        {
            *word = value;
        }
    }
    Ok(words.join(":"))
}

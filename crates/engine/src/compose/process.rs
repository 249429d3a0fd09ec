//! What is executed: command, environment, directory, user, rlimits.

use super::{Error, Facts, Kind, Result, invalid, security};
use crate::request::{Namespace, Network, RunRequest, Ulimit};
use oci::ContainerConfig;
use oci::runtime::{PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, User};
use seccomp::Capabilities;

/// docker's, when neither image nor request says otherwise.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where `--init` puts the reaper.
pub(super) const INIT: &str = "/sbin/docker-init";

/// HOST_NAME_MAX of linux/limits.h.
const HOSTNAME_MAX: usize = 64;

pub(super) fn process(
    request: &RunRequest,
    image: &ContainerConfig,
    facts: &Facts<'_>,
    capabilities: Capabilities,
) -> Result<Process> {
    let mut process = Process::default();
    process.set_terminal(Some(request.streams.tty)).set_user(user(facts));
    process.set_args(Some(args(request, image)?)).set_env(Some(environment(request, image, facts)));
    process.set_cwd(directory(request, image)?.into());
    process.set_capabilities(Some(security::sets(capabilities)));
    process.set_rlimits(Some(request.process.ulimits.iter().map(rlimit).collect::<Result<_>>()?));
    process.set_no_new_privileges(Some(request.isolation.no_new_privileges));
    process.set_apparmor_profile(security::apparmor(&request.isolation, facts)?);
    process.set_selinux_label(security::process_label(&request.isolation, facts)?);
    process.set_oom_score_adj(request.process.oom_score_adj);
    Ok(process)
}

/// What is wrong whatever the image.
pub(super) fn check(request: &RunRequest) -> Result<()> {
    let name = request.files.hostname.as_deref().unwrap_or_default();
    if name.len() > HOSTNAME_MAX {
        return invalid(format!("hostname \"{name}\" is too long (maximum {HOSTNAME_MAX} bytes)"));
    }
    match request.process.oom_score_adj {
        Some(score) if !(-1000..=1000).contains(&score) => {
            invalid(format!("Invalid value {score}, range for oom score adj is [-1000, 1000]"))
        }
        _ => Ok(()),
    }
}

/// Entry point and command: the request's entry point makes the image's command void, for it was
/// meant for another program.
fn args(request: &RunRequest, image: &ContainerConfig) -> Result<Vec<String>> {
    let words = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
    let (mut args, command) = match (&request.process.entrypoint, request.command.is_empty()) {
        (Some(entry), _) if entry.is_empty() => (Vec::new(), request.command.clone()),
        (Some(entry), _) => (vec![entry.clone()], request.command.clone()),
        (None, true) => (words(&image.entrypoint), words(&image.cmd)),
        (None, false) => (words(&image.entrypoint), request.command.clone()),
    };
    if args == [""] {
        args.clear();
    }
    args.extend(command);
    match args.is_empty() {
        true => Err(Error::new(Kind::Invalid, "no command specified")
            .with_hint("the image names no program: put one after the image's name")),
        false => Ok(with_init(request, args)),
    }
}

/// Where there is a pid 1 already, a second reaper has nothing to reap.
fn with_init(request: &RunRequest, args: Vec<String>) -> Vec<String> {
    match runs_init(request) {
        true => [INIT, "--"].map(String::from).into_iter().chain(args).collect(),
        false => args,
    }
}

pub(super) fn runs_init(request: &RunRequest) -> bool {
    request.process.init && request.isolation.pid == Namespace::Private
}

/// docker's order: defaults, the request's, then the image's that the request does not name. A name
/// without a value removes.
fn environment(request: &RunRequest, image: &ContainerConfig, facts: &Facts<'_>) -> Vec<String> {
    let asked = &request.process.env;
    let mut environment = Vec::with_capacity(4 + asked.len() + image.env.len());
    environment.push(PATH.to_string());
    environment.push(format!("HOSTNAME={}", hostname(request, facts)));
    if request.streams.tty {
        environment.push("TERM=xterm".to_string());
    }
    let is_asked = |entry: &&String| asked.iter().any(|one| name(one) == name(entry));
    let images = image.env.iter().filter(|entry| !is_asked(entry));
    asked.iter().chain(images).for_each(|entry| set(&mut environment, entry));
    // As runc, which takes an empty one for none.
    let has_home = environment.iter().any(|entry| name(entry) == "HOME" && entry != "HOME=");
    if !has_home {
        set(&mut environment, &format!("HOME={}", facts.user.home));
    }
    environment
}

fn name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

/// Sets a variable, or removes one that is named without a value.
pub fn set(environment: &mut Vec<String>, entry: &str) {
    let place = environment.iter().position(|other| name(other) == name(entry));
    match (place, entry.contains('=')) {
        (Some(place), true) => environment[place] = entry.to_string(),
        (Some(place), false) => drop(environment.remove(place)),
        (None, true) => environment.push(entry.to_string()),
        (None, false) => (),
    }
}

/// The container's name to itself: as asked for, else the host's where it shares the host's or another
/// container's network or UTS namespace, else the short id.
pub fn hostname<'a>(request: &'a RunRequest, facts: &Facts<'a>) -> &'a str {
    let isolation = &request.isolation;
    match &request.files.hostname {
        Some(name) => name,
        None if isolation.network != Network::None || isolation.uts != Namespace::Private => facts.hostname,
        None => &facts.id[..facts.id.len().min(12)],
    }
}

fn directory(request: &RunRequest, image: &ContainerConfig) -> Result<String> {
    let directory = request.process.workdir.as_deref().unwrap_or(&image.working_dir);
    match directory {
        "" => Ok("/".to_string()),
        _ if !directory.starts_with('/') => invalid(format!(
            "the working directory '{directory}' is invalid, it needs to be an absolute path"
        )),
        _ => Ok(clean(directory)),
    }
}

/// An absolute path without `.`, `..` and repeated slashes (Go's `path.Clean`).
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => (),
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn user(facts: &Facts<'_>) -> User {
    let mut user = User::default();
    user.set_uid(facts.user.uid).set_gid(facts.user.gid);
    user.set_additional_gids(Some(facts.user.groups.clone()));
    user
}

fn rlimit(ulimit: &Ulimit) -> Result<PosixRlimit> {
    let name = format!("RLIMIT_{}", ulimit.name.to_ascii_uppercase());
    let kind: PosixRlimitType = serde_json::from_value(name.into())
        .map_err(|_| Error::new(Kind::Invalid, format!("invalid ulimit type: {}", ulimit.name)))?;
    let rlimit = PosixRlimitBuilder::default().typ(kind).soft(ulimit.soft).hard(ulimit.hard);
    Ok(rlimit.build().unwrap_or_default()) // all members have defaults: it does not fail
}

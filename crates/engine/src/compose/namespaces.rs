//! Which namespaces are the container's own, the host's or another container's.

use super::{Facts, Result, invalid};
use crate::request::{IpcNamespace, Namespace, Network, RunRequest, TimeOffsets};
use oci::runtime::{LinuxNamespace, LinuxNamespaceType as Type, LinuxTimeOffset};
use std::collections::HashMap;
use std::path::PathBuf;

/// One namespace: `None` is the host's, `Some(None)` a new one, else one that exists.
type Choice = Option<Option<PathBuf>>;

pub(super) fn namespaces(request: &RunRequest, facts: &Facts<'_>) -> Result<Vec<LinuxNamespace>> {
    let (isolation, joined) = (&request.isolation, facts.joined);
    let choices = [
        (Type::Mount, Some(None)),
        (Type::Network, network(&isolation.network, &joined.network)?),
        (Type::Uts, plain(&isolation.uts, &joined.uts)?),
        (Type::Pid, plain(&isolation.pid, &joined.pid)?),
        (Type::Ipc, ipc(&isolation.ipc, &joined.ipc)?),
        (Type::User, user(facts)),
        (Type::Cgroup, plain(&isolation.cgroupns, &joined.cgroup)?),
        (Type::Time, isolation.time.is_some().then_some(None)),
    ];
    Ok(choices.into_iter().filter_map(|(kind, choice)| choice.map(|path| namespace(kind, path))).collect())
}

fn namespace(kind: Type, path: Option<PathBuf>) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind).set_path(path);
    namespace
}

fn plain(mode: &Namespace, joined: &Option<PathBuf>) -> Result<Choice> {
    match mode {
        Namespace::Private => Ok(Some(None)),
        Namespace::Host => Ok(None),
        Namespace::Container(name) => join(name, joined),
    }
}

fn network(mode: &Network, joined: &Option<PathBuf>) -> Result<Choice> {
    match mode {
        Network::None => Ok(Some(None)),
        Network::Host => Ok(None),
        Network::Container(name) => join(name, joined),
    }
}

fn ipc(mode: &IpcNamespace, joined: &Option<PathBuf>) -> Result<Choice> {
    match mode {
        IpcNamespace::Private | IpcNamespace::Shareable | IpcNamespace::None => Ok(Some(None)),
        IpcNamespace::Host => Ok(None),
        IpcNamespace::Container(name) => join(name, joined),
    }
}

fn user(facts: &Facts<'_>) -> Choice {
    match &facts.joined.user {
        Some(path) => Some(Some(path.clone())),
        None => (!facts.id_maps.is_empty()).then_some(None),
    }
}

fn join(name: &str, path: &Option<PathBuf>) -> Result<Choice> {
    match path {
        Some(path) => Ok(Some(Some(path.clone()))),
        None => invalid(format!("cannot join the namespace of container {name}: it is not running")),
    }
}

/// Only in a namespace of its own can the container have a name of its own.
pub(super) fn owns_uts(request: &RunRequest) -> bool {
    request.isolation.uts == Namespace::Private
}

pub(super) fn owns_network(request: &RunRequest) -> bool {
    request.isolation.network == Network::None
}

pub(super) fn owns_ipc(request: &RunRequest) -> bool {
    !matches!(request.isolation.ipc, IpcNamespace::Host | IpcNamespace::Container(_))
}

/// Half of KTIME_SEC_MAX of linux/ktime.h, nanoseconds: beyond, the kernel refuses a clock, see kernel/time/namespace.c.
const LATEST: i64 = i64::MAX / 2;

/// A clock must not stand before zero, nor beyond what the kernel counts.
pub(super) fn check_time(request: &RunRequest, facts: &Facts<'_>) -> Result<()> {
    let Some(offsets) = &request.isolation.time else { return Ok(()) };
    let (monotonic, boottime) = facts.host.uptime();
    for (clock, now, offset) in
        [("monotonic", monotonic, offsets.monotonic), ("boottime", boottime, offsets.boottime)]
    {
        let hours = |nanoseconds: i64| nanoseconds / 3_600_000_000_000;
        match now.checked_add(offset) {
            Some(then) if then < 0 => {
                return invalid(format!(
                    "the clock `{clock}` cannot stand before 0: it is at {} h here, and {} h are taken off",
                    hours(now),
                    hours(offset).unsigned_abs()
                ));
            }
            Some(then) if then <= LATEST => {}
            _ => {
                return invalid(format!(
                    "the clock `{clock}` cannot stand at more than {} h: {} h are added",
                    hours(LATEST),
                    hours(offset)
                ));
            }
        }
    }
    Ok(())
}

/// Nanoseconds to the runtime-spec's seconds and nanoseconds; the latter are never negative there.
pub(super) fn time_offsets(offsets: &TimeOffsets) -> HashMap<String, LinuxTimeOffset> {
    let offset = |nanoseconds: i64| {
        let mut offset = LinuxTimeOffset::default();
        offset.set_secs(Some(nanoseconds.div_euclid(1_000_000_000)));
        offset.set_nanosecs(Some(nanoseconds.rem_euclid(1_000_000_000) as u32));
        offset
    };
    [("monotonic", offsets.monotonic), ("boottime", offsets.boottime)]
        .map(|(clock, nanoseconds)| (clock.to_string(), offset(nanoseconds)))
        .into()
}

//! Namespaces of other containers: `--pid container:NAME` and its like.

use crate::Engine;
use crate::compose::{self, IdMaps, Joined};
use crate::error::{Error, Kind, Result};
use crate::request::{IdMap, IpcNamespace, Namespace, Network, RunRequest};
use fault::Context;
use oci::runtime::Spec;
use std::path::PathBuf;
use store::State;

/// Where the namespaces are, and the id map of the user namespace that owns them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) paths: Joined,
    pub(super) id_maps: Option<IdMaps>,
}

/// Looks up the containers whose namespaces a request wants to share.
pub(super) fn find(engine: &Engine, request: &RunRequest) -> Result<Found> {
    let isolation = &request.isolation;
    let mut found = Found::default();
    let mut join = |name: &str, namespace: &str| -> Result<PathBuf> {
        let pid = running_pid(engine, name)?;
        found.own_user(pid)?;
        Ok(format!("/proc/{pid}/ns/{namespace}").into())
    };
    let of = |namespace: &Namespace| match namespace {
        Namespace::Container(name) => Some(name.clone()),
        _ => None,
    };
    let pid = of(&isolation.pid).map(|name| join(&name, "pid")).transpose()?;
    let uts = of(&isolation.uts).map(|name| join(&name, "uts")).transpose()?;
    let cgroup = of(&isolation.cgroupns).map(|name| join(&name, "cgroup")).transpose()?;
    let network = match &isolation.network {
        Network::Container(name) => Some(join(name, "net")?),
        _ => None,
    };
    let (ipc, shm) = match &isolation.ipc {
        IpcNamespace::Container(name) => {
            let ipc = join(name, "ipc")?;
            (Some(ipc), Some(format!("/proc/{}/root/dev/shm", running_pid(engine, name)?).into()))
        }
        _ => (None, None),
    };
    let user = found.paths.user.take();
    found.paths = Joined { pid, ipc, network, uts, cgroup, user, shm };
    Ok(found)
}

fn running_pid(engine: &Engine, name: &str) -> Result<i32> {
    match engine.container(name)? {
        (_, State::Running(running)) => {
            let pid = running.pid.and_then(rustix::process::Pid::from_raw);
            let starting = || format!("container `{name}` is starting");
            let pid = pid.or_err(Kind::Conflict, starting)?;
            crate::life::await_first_program(pid).or_err(Kind::Conflict, starting)?;
            Ok(pid.as_raw_nonzero().get())
        }
        _ => Err(Error::new(
            Kind::Conflict,
            format!("cannot join the namespaces of a non running container: {name}"),
        )),
    }
}

impl Found {
    /// Power over the others' namespaces comes from the user namespace that owns them. The host's needs no joining.
    fn own_user(&mut self, pid: i32) -> Result<()> {
        let path = PathBuf::from(format!("/proc/{pid}/ns/user"));
        let failed = || format!("look at the namespaces of process {pid}");
        let (theirs, ours) = (std::fs::read_link(&path), std::fs::read_link("/proc/self/ns/user"));
        if theirs.or_err(Kind::Failed, failed)? == ours.or_err(Kind::Failed, failed)? {
            return Ok(());
        }
        let read = |name: &str| -> Result<Vec<IdMap>> {
            let text = std::fs::read_to_string(format!("/proc/{pid}/{name}")).or_err(Kind::Failed, failed)?;
            Ok(text.lines().filter_map(parse).collect())
        };
        let maps = IdMaps { users: read("uid_map")?, groups: read("gid_map")? };
        match &self.id_maps {
            Some(other) if *other != maps => Err(Error::new(
                Kind::Invalid,
                "namespaces of containers with different user namespaces cannot be joined",
            )),
            _ => {
                (self.paths.user, self.id_maps) = (Some(path), Some(maps));
                Ok(())
            }
        }
    }

    /// The runtime must know whom the container's root is on the host, although it makes no map.
    pub(super) fn tell_map(&self, spec: &mut Spec) {
        let (Some(maps), Some(linux)) = (&self.id_maps, spec.linux_mut()) else { return };
        let lines = |maps: &[IdMap]| Some(maps.iter().map(compose::mapping).collect());
        linux.set_uid_mappings(lines(&maps.users)).set_gid_mappings(lines(&maps.groups));
    }
}

fn parse(line: &str) -> Option<IdMap> {
    let mut numbers = line.split_whitespace().map(str::parse);
    Some(IdMap { inside: numbers.next()?.ok()?, host: numbers.next()?.ok()?, size: numbers.next()?.ok()? })
}

//! A container that is decided and not yet there.

use super::joined;
use crate::compose::{self, Composed, EtcFiles, Facts, IdMaps, LiveHost, User};
use crate::error::{Error, Kind, Result, from_runtime, from_store};
use crate::merged::Merged;
use crate::request::{IdMap, Network, RunRequest, UserNamespace};
use crate::{Engine, inspect, rootfs};
use fault::Context;
use oci::runtime::Spec;
use oci::{ContainerConfig, DiffId};
use seccomp::Capabilities;
use std::path::{Path, PathBuf};
use store::{ContainerId, IdRange, Image, Name, NewContainer, Record, Running, Slot};

/// What is settled before the container appears: its id, its range of user ids, its `Spec`.
pub(super) struct Draft {
    pub(super) id: ContainerId,
    pub(super) slot: Claimed,
    pub(super) spec: Spec,
    pub(super) warnings: Vec<String>,
    /// `--cgroup-parent`.
    pub(super) cgroup_parent: Option<PathBuf>,
    pub(super) etc: store::EtcFiles,
    shown: Shown,
}

/// What of an image a container is made on.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) config: &'a ContainerConfig,
    pub(super) layers: &'a [DiffId],
    /// Blocks of 65,536 ids that files' owners are in, beyond the first.
    pub(super) blocks: &'a [u16],
}

/// What is kept only to be shown.
pub(super) struct Shown {
    labels: std::collections::BTreeMap<String, String>,
    details: serde_json::Value,
}

/// A slot that goes back, whatever happens.
#[derive(Debug)]
pub(super) struct Claimed(Option<Slot>);

impl Claimed {
    pub(super) fn of(slot: Slot) -> Self {
        Self(Some(slot))
    }

    /// The slot.
    pub(super) fn slot(&mut self) -> &mut Slot {
        self.0.as_mut().expect("taken only by value")
    }

    /// Another process has it now.
    pub(super) fn leave(mut self) {
        drop(self.0.take());
    }

    /// Gives it back, and tells if that fails.
    pub(super) fn release(mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), Slot::release).map_err(from_store)
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let _ = self.0.take().map(Slot::release);
    }
}

/// Where hull's groups lie in every hierarchy.
pub(crate) const CGROUP_PARENT: &str = "/hull";

impl Engine {
    /// Decides everything about a container. The slot, the one thing taken, goes back if this fails.
    /// One that is started again may have its slot already.
    pub(super) fn draft(
        &self,
        id: ContainerId,
        request: &RunRequest,
        base: Base<'_>,
        slot: Option<Claimed>,
    ) -> Result<Draft> {
        let Base { config, layers, blocks } = base;
        let user = self.resolve_user(request, config, layers)?;
        let parent = parent_group(request);
        let cgroup = parent.as_deref().unwrap_or(Path::new(CGROUP_PARENT)).join(id.to_string());
        let cgroup = cgroup.display().to_string();
        let mut slot = match slot {
            Some(slot) => slot,
            None => Claimed::of(self.claim(&id, &cgroup)?),
        };
        let joined = joined::find(self, request)?;
        let id_maps = match joined.id_maps.clone() {
            Some(maps) => maps,
            None => self.id_maps(request, slot.slot(), &all_blocks(&user, blocks))?,
        };
        let uname = rustix::system::uname();
        let hostname = uname.nodename().to_string_lossy();
        let etc = self.etc_paths(&id);
        let facts = Facts {
            id: &id.to_string(),
            user: &user,
            id_maps: &id_maps,
            cgroup: &cgroup,
            kernel: kernel_version(&uname.release().to_string_lossy()),
            capabilities: bounding_set(),
            hostname: &hostname,
            etc: &etc,
            init: &request.program,
            apparmor: None,
            selinux: None,
            joined: &joined.paths,
            host: &LiveHost,
        };
        let composed = compose::compose(request, config, &facts).map_err(from_compose)?;
        let etc = etc_files(request, &facts);
        let labels = inspect::labels(request, config);
        let details = inspect::details(request, config, compose::hostname(request, &facts));
        let shown = Shown { labels, details };
        let mut draft = Draft::new(id, slot, composed, etc, shown, &joined)?;
        draft.warnings.extend(self.kept_groups(request, &id_maps).map(str::to_owned));
        draft.warnings.extend(nobodys(blocks, &id_maps).map(str::to_owned));
        Ok(Draft { cgroup_parent: parent, ..draft })
    }

    /// `-u`, or the image's user, by the passwd and group files that the container will see.
    fn resolve_user(
        &self,
        request: &RunRequest,
        config: &ContainerConfig,
        layers: &[DiffId],
    ) -> Result<User> {
        let layers = self.layers_of(layers)?.open_layers().map_err(from_runtime)?;
        let merged = Merged::new(layers);
        let passwd = rootfs::read(&merged, Path::new("etc/passwd"))?;
        let group = rootfs::read(&merged, Path::new("etc/group"))?;
        let spec = request.process.user.clone().or_else(|| kept_user(request));
        let spec = spec.as_deref().unwrap_or(&config.user);
        compose::resolve_user(spec, &request.process.groups, passwd.as_deref(), group.as_deref())
            .map_err(from_compose)
    }

    /// Groups of v1 are not safe in the hands of who is not the host's root, see cgroups(7).
    fn kept_groups(&self, request: &RunRequest, id_maps: &IdMaps) -> Option<&'static str> {
        let asked = request.isolation.writable_cgroups && !id_maps.is_empty();
        let is_old = self.cgroups.mode() != cgroup::Mode::V2;
        (asked && is_old).then_some(
            "writable-cgroups: this host has cgroup v1, whose groups a container with a user namespace of its \
             own cannot write to; `--userns host` can",
        )
    }

    fn claim(&self, id: &ContainerId, cgroup: &str) -> Result<Slot> {
        let running = Running {
            container: *id,
            monitor: rustix::process::getpid().as_raw_nonzero().get(),
            pid: None,
            started: jiff::Timestamp::now(),
            boot: String::new(),
            cgroup: Some(cgroup.to_owned()),
            more: Vec::new(),
            details: None,
        };
        self.store.claim(running, &reserved()).map_err(from_store)
    }

    /// A range of the pool for the first 65,536 ids, and where the container has one of its own, for each further
    /// block that it needs. The caller of `keep-id` is who runs hull: root, for now.
    fn id_maps(&self, request: &RunRequest, slot: &mut Slot, blocks: &[u16]) -> Result<IdMaps> {
        let line = |block: u16, range: IdRange| {
            let inside = u32::from(block) << 16;
            // The last id is none, see user_namespaces(7).
            IdMap { inside, host: range.first, size: range.size.min(u32::MAX - inside) }
        };
        let mut own = vec![line(0, slot.range())];
        if *compose::user_namespace(request) == UserNamespace::Auto {
            let reserved = reserved();
            let mut further = self.store.further(slot).into_iter();
            for &block in blocks {
                let range = further.next().map_or_else(|| self.store.widen(slot, &reserved), Ok);
                own.push(line(block, range.map_err(from_store)?));
            }
        }
        let caller = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Ok(IdMaps::new(request, &own, caller))
    }

    fn etc_paths(&self, id: &ContainerId) -> EtcFiles {
        let dir = self.store.path().join(store::Container::path_of(id));
        EtcFiles { hostname: dir.join("hostname"), hosts: dir.join("hosts"), resolv: dir.join("resolv.conf") }
    }
}

impl Draft {
    fn new(
        id: ContainerId,
        slot: Claimed,
        composed: Composed,
        etc: store::EtcFiles,
        shown: Shown,
        joined: &joined::Found,
    ) -> Result<Self> {
        let Composed { mut spec, create, relabel, warnings } = composed;
        for path in &create {
            std::fs::create_dir_all(path)
                .or_err(Kind::Failed, || format!("make bind source `{}`", path.display()))?;
        }
        for (path, label) in &relabel {
            rootfs::relabel(path, label)?;
        }
        joined.tell_map(&mut spec);
        Ok(Self { id, slot, spec, warnings, cgroup_parent: None, etc, shown })
    }

    /// What the store keeps of it.
    pub(super) fn new_container(
        &self,
        image: &Image,
        config: &ContainerConfig,
        request: &RunRequest,
    ) -> Result<NewContainer> {
        let name =
            request.name.as_ref().map_or_else(Name::random, |name| name.parse()).map_err(from_store)?;
        let args = self.spec.process().as_ref().and_then(|process| process.args().clone());
        let record = Record {
            id: self.id,
            name,
            image: image.id().clone(),
            image_name: request.image.clone(),
            layers: image.record.layers.clone(),
            blocks: image.record.blocks.clone(),
            created: jiff::Timestamp::now(),
            boot: String::new(),
            command: args.unwrap_or_default(),
            labels: self.shown.labels.clone(),
            remove: request.remove,
            spec: Some(raw(&self.spec)?),
            details: Some(raw(&self.shown.details)?),
            request: Some(raw(request)?),
            config: Some(raw(config)?),
        };
        Ok(NewContainer { record, any_name: request.name.is_none(), etc: self.etc.clone() })
    }
}

/// `--cgroup-parent`
pub(super) fn parent_group(request: &RunRequest) -> Option<PathBuf> {
    request.limits.cgroup_parent.as_deref().map(|parent| Path::new("/").join(parent))
}

/// As a record keeps it.
pub(crate) fn raw(value: &impl serde::Serialize) -> Result<Box<serde_json::value::RawValue>> {
    serde_json::value::to_raw_value(value).or_err(Kind::Failed, || "write a container's record".into())
}

fn etc_files(request: &RunRequest, facts: &Facts<'_>) -> store::EtcFiles {
    let hosts = matches!(request.isolation.network, Network::Host)
        .then(|| std::fs::read("/etc/hosts").ok())
        .flatten();
    let resolv = std::fs::read("/etc/resolv.conf").unwrap_or_default();
    store::EtcFiles {
        hostname: compose::hostname_file(compose::hostname(request, facts)).into_bytes(),
        hosts: compose::hosts_file(request, hosts.as_deref()),
        resolv_conf: compose::resolv_file(request, &resolv).into_bytes(),
    }
}

/// Who keeps ids by number wants to be who has them, as podman has it.
fn kept_user(request: &RunRequest) -> Option<String> {
    match compose::user_namespace(request) {
        UserNamespace::KeepId { uid: None, gid: None } => None,
        UserNamespace::KeepId { uid, gid } => Some(format!("{}:{}", uid.unwrap_or(0), gid.unwrap_or(0))),
        _ => None,
    }
}

/// The blocks of 65,536 ids beyond the first in which the user and the owners of the image's files are; the user's
/// first, as there may be more than a container can have.
fn all_blocks(user: &User, of_image: &[u16]) -> Vec<u16> {
    let ids = [user.uid, user.gid].into_iter().chain(user.groups.iter().copied());
    let users = ids.map(|id| (id >> 16) as u16).filter(|block| *block > 0);
    let mut blocks = Vec::new();
    for block in users.chain(of_image.iter().copied()) {
        if !blocks.contains(&block) && blocks.len() < store::BLOCKS {
            blocks.push(block);
        }
    }
    blocks
}

/// Are there owners that no map has room for?
fn nobodys(of_image: &[u16], maps: &IdMaps) -> Option<&'static str> {
    let is_there = |block: &u16| maps.users.iter().any(|map| map.inside == u32::from(*block) << 16);
    let all = maps.is_empty() || of_image.iter().all(is_there);
    (!all).then_some(
        "some of the image's files have owners that the container's map of ids has no room for: they belong to \
         `nobody` in it; `--userns host` has all",
    )
}

/// The ranges that the administrator gave to users: never a container's.
pub(crate) fn reserved() -> Vec<IdRange> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let parse = |line: &str| {
        let mut fields = line.split(':').skip(1);
        Some(IdRange { first: fields.next()?.parse().ok()?, size: fields.next()?.trim().parse().ok()? })
    };
    [read("/etc/subuid"), read("/etc/subgid")]
        .iter()
        .flat_map(|text| text.lines().filter_map(parse).collect::<Vec<_>>())
        .collect()
}

/// Major and minor of a release such as `6.12.41+deb13-amd64`.
fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What this process could give to a container.
pub(crate) fn bounding_set() -> Capabilities {
    // As root all that is permitted; a bounding set smaller than that shows in it after execve.
    sys::process::capabilities().map_or(Capabilities::EMPTY, |sets| Capabilities::from_bits(sets.permitted))
}

pub(crate) fn from_compose(error: compose::Error) -> Error {
    error.map_kind(|kind| match kind {
        compose::Kind::Invalid => Kind::Invalid,
        compose::Kind::NotFound => Kind::NotFound,
        compose::Kind::Unsupported => Kind::Unsupported,
    })
}

//! From a request and an image to a runtime-spec `Spec`: all that docker's daemon decides.
//!
//! ```text
//! RunRequest ─┐            process     command, environment, user, capabilities, rlimits
//! ImageConfig ┼─ compose ─ namespaces  own, the host's, another container's; time offsets
//! Facts ──────┘            mounts      proc, sys, dev …, binds, tmpfs, etc files; masks
//!   (Host: asked only      devices     nodes and rules
//!    if need be)           resources   limits, checked in docker's words
//!                          sysctl      only what is the container's own
//!                             └──▶ Composed { spec, create, warnings }
//! ```
//!
//! It makes nothing and changes nothing. What it must know of the host comes in as [`Facts`]; what only few
//! requests need (a device's number, the CPUs that are online) is asked of a [`Host`] when needed.
//!
//! Where docker's answer rests on its lack of a user namespace, ours differs, and says so at the place.

mod devices;
mod etc;
mod host;
mod ids;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod security;
mod sysctl;
mod update;
mod user;

pub use etc::{hostname_file, hosts_file, resolv_file};
#[cfg(fuzzing)]
pub use host::source_mount;
pub use host::{Host, LiveHost, Node, SourceMount};
pub use ids::{IdMaps, mapping};
pub use process::{hostname, set as set_variable};
pub use security::{Selinux, sets as all_capabilities};
pub use update::update;
pub use user::{User, resolve_user};

use crate::request::{Network, RunRequest, UserNamespace};
use oci::ContainerConfig;
use oci::runtime::{Linux, Root, Spec};
use seccomp::Capabilities;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why a request cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It contradicts itself, or a value is out of its range.
    Invalid,
    /// A user, a file or a device is not there.
    NotFound,
    /// This host can't.
    Unsupported,
}

/// Why a request cannot be met.
pub type Error = fault::Error<Kind>;

/// A result of composing.
pub type Result<T> = std::result::Result<T, Error>;

fn invalid<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::new(Kind::Invalid, what))
}

/// What the caller has found out or decided.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The container's full id.
    pub id: &'a str,
    /// Whom it runs as, see [`resolve_user`].
    pub user: &'a User,
    /// Its maps of ids; empty: no user namespace of its own.
    pub id_maps: &'a IdMaps,
    /// `cgroupsPath`
    pub cgroup: &'a str,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// What the host can give: its bounding set.
    pub capabilities: Capabilities,
    /// The host's name, or that of the container whose network is joined.
    pub hostname: &'a str,
    /// The container's own files for `/etc`.
    pub etc: &'a EtcFiles,
    /// The host's program for `--init`, hull itself.
    pub init: &'a Path,
    /// The profile containers get by default; `None` where the host has no AppArmor.
    pub apparmor: Option<&'a str>,
    /// Labels containers get by default; `None` where the host has no SELinux.
    pub selinux: Option<&'a Selinux>,
    /// Of the containers whose namespaces are joined.
    pub joined: &'a Joined,
    /// Whom to ask for more.
    pub host: &'a dyn Host,
}

/// Files that are bound to `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`.
#[derive(Debug, Clone, Default)]
pub struct EtcFiles {
    /// `/etc/hostname`
    pub hostname: PathBuf,
    /// `/etc/hosts`
    pub hosts: PathBuf,
    /// `/etc/resolv.conf`
    pub resolv: PathBuf,
}

/// Where the namespaces of other containers are: `/proc/PID/ns/…`.
#[derive(Debug, Clone, Default)]
pub struct Joined {
    /// `--pid container:…`
    pub pid: Option<PathBuf>,
    /// `--ipc container:…`
    pub ipc: Option<PathBuf>,
    /// `--network container:…`
    pub network: Option<PathBuf>,
    /// `--uts container:…`
    pub uts: Option<PathBuf>,
    /// `--cgroupns container:…`
    pub cgroup: Option<PathBuf>,
    /// The user namespace that owns the joined ones; joined too, since power over them comes from it.
    pub user: Option<PathBuf>,
    /// `/dev/shm` of the container whose IPC namespace is joined.
    pub shm: Option<PathBuf>,
}

/// What a request comes to.
#[derive(Debug)]
pub struct Composed {
    /// What the runtime is given; `root.path` is empty, the root is handed over as descriptors.
    pub spec: Spec,
    /// Directories that `-v` wants made on the host, before the start.
    pub create: Vec<PathBuf>,
    /// Files that get an SELinux label before the start, with all below them.
    pub relabel: Vec<(PathBuf, String)>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Where a request's user namespace comes from. A privileged container has the host's unless it
/// says otherwise: in a namespace of its own it would have power over nothing of the host's.
pub fn user_namespace(request: &RunRequest) -> &UserNamespace {
    match &request.isolation.userns {
        UserNamespace::Auto if request.isolation.privileged => &UserNamespace::Host,
        chosen => chosen,
    }
}

/// Everything put together: the request, the image's word where the request is silent, docker's
/// defaults where both are.
pub fn compose(request: &RunRequest, image: &ContainerConfig, facts: &Facts<'_>) -> Result<Composed> {
    check(request)?;
    ids::check(facts.user, facts)?;
    namespaces::check_time(request, facts)?;
    let mut warnings = Vec::new();
    let (mounts, create) = mounts::mounts(request, facts)?;
    let capabilities = security::capabilities(&request.isolation, facts)?;
    let name = hostname(request, facts);
    let has_uts = namespaces::owns_uts(request);

    let mut linux = Linux::default();
    linux.set_namespaces(Some(namespaces::namespaces(request, facts)?));
    linux.set_time_offsets(request.isolation.time.as_ref().map(namespaces::time_offsets));
    linux.set_uid_mappings(ids::mappings(&facts.id_maps.users, facts));
    linux.set_gid_mappings(ids::mappings(&facts.id_maps.groups, facts));
    linux.set_cgroups_path(Some(facts.cgroup.into()));
    linux.set_resources(Some(resources::resources(request, facts, &mut warnings)?));
    linux.set_devices(Some(devices::devices(request, facts)?));
    linux.set_sysctl(sysctl::sysctls(request, facts)?);
    linux.set_seccomp(security::seccomp(&request.isolation, capabilities, facts.kernel)?);
    linux.set_masked_paths(Some(mounts::masked(&request.isolation)));
    linux.set_readonly_paths(Some(mounts::read_only(&request.isolation)));
    linux.set_rootfs_propagation(mounts::propagation(request));
    linux.set_mount_label(security::mount_label(&request.isolation, facts)?);

    let mut root = Root::default();
    root.set_path(PathBuf::new()).set_readonly(Some(request.files.read_only));
    let mut spec = Spec::default();
    spec.set_version("1.2.0".into()).set_root(Some(root)).set_mounts(Some(mounts));
    spec.set_process(Some(process::process(request, image, facts, capabilities)?));
    spec.set_hostname(has_uts.then(|| name.to_string()));
    spec.set_domainname(request.files.domainname.clone().filter(|_| has_uts));
    spec.set_annotations(annotations(request)?).set_linux(Some(linux));
    Ok(Composed { spec, create, relabel: security::relabels(request, facts)?, warnings })
}

/// What contradicts itself, in the words of docker's `runconfig`.
fn check(request: &RunRequest) -> Result<()> {
    let (files, isolation) = (&request.files, &request.isolation);
    let joins = matches!(isolation.network, Network::Container(_));
    let hosts_uts = isolation.uts != crate::request::Namespace::Private;
    let asks_dns = !files.dns.is_empty() || !files.dns_search.is_empty() || !files.dns_options.is_empty();
    for (conflict, what) in [
        (joins && files.hostname.is_some(), "hostname and the network mode"),
        (joins && asks_dns, "dns and the network mode"),
        (joins && !files.add_hosts.is_empty(), "custom host-to-IP mapping and the network mode"),
        (hosts_uts && files.hostname.is_some(), "hostname and the UTS mode"),
        (hosts_uts && files.domainname.is_some(), "domainname and the UTS mode"),
    ] {
        if conflict {
            return invalid(format!("conflicting options: {what}"));
        }
    }
    process::check(request)
}

fn annotations(request: &RunRequest) -> Result<Option<HashMap<String, String>>> {
    let annotations = &request.annotations;
    if annotations.contains_key("") {
        return invalid("invalid Annotations: the empty string is not permitted as an annotation key");
    }
    let copy = || annotations.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok((!annotations.is_empty()).then(copy))
}

#[cfg(test)]
mod tests;

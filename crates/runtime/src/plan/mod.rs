//! Everything that will be done, decided before anything is.

mod device;
mod kernel;
mod mounts;
mod namespaces;
mod net;
mod placement;
mod process;
mod rdt;
mod sysctl;

pub use mounts::OPTIONAL_ID_MAP;

pub(crate) use device::{DevicePlan, may_make};
pub(crate) use mounts::{Attach, Bind, Datum, FileSystemPlan, MountIds, MountPlan, Source, no_proc};
pub(crate) use namespaces::{Join, NamespacePlan};
pub(crate) use net::NetDevicePlan;
pub(crate) use placement::MemoryPlan;
pub(crate) use process::{CapabilityPlan, ProcessPlan};
pub(crate) use rdt::RdtPlan;
pub(crate) use sysctl::Sysctl;

use crate::caller::Caller;
use crate::{Error, Kind, Result};
use oci::runtime::{LinuxResources, LinuxSeccomp, LinuxSyscall, Spec};
use placement::Placement;
use std::path::{Path, PathBuf};
use sys::process::Namespaces;

/// A container to be: what [`start`](Plan::start) and the child do, and nothing else.
#[derive(Debug)]
pub struct Plan {
    pub(crate) namespaces: NamespacePlan,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) devices: Vec<DevicePlan>,
    pub(crate) net_devices: Vec<NetDevicePlan>,
    pub(crate) masked: Vec<String>,
    pub(crate) read_only: Vec<String>,
    pub(crate) root_read_only: bool,
    pub(crate) root_propagation: Option<u64>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) process: ProcessPlan,
    pub(crate) placement: Placement,
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) resources: LinuxResources,
    pub(crate) rdt: Option<RdtPlan>,
    pub(crate) mount_label: Option<String>,
    pub(crate) listener: Option<Listener>,
    pub(crate) warnings: Vec<String>,
}

/// Who decides over the calls that a filter hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// A socket on which they listen for the filter's descriptor.
    pub path: PathBuf,
    /// Opaque; goes with the descriptor.
    pub metadata: String,
}

impl Plan {
    /// Checks a `Spec` and decides everything that follows from it. Relative sources of binds are
    /// relative to the working directory of [`start`](Plan::start)'s caller: the bundle.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what contradicts the specification, [`Kind::Unsupported`] for what
    /// this runtime or kernel does not do; the message names the field.
    pub fn new(spec: &Spec) -> Result<Self> {
        let linux = spec.linux().as_ref().ok_or_else(|| invalid("`linux` is missing"))?;
        let process = spec.process().as_ref().ok_or_else(|| invalid("`process` is missing"))?;
        let namespaces = NamespacePlan::new(linux)?;
        let root_propagation = linux.rootfs_propagation().as_deref().filter(|word| !word.is_empty());
        let root_propagation = root_propagation.map(mounts::propagation).transpose()?;
        let inherited = root_propagation.unwrap_or(sys::mount::SLAVE);
        let mounts =
            spec.mounts().iter().flatten().map(|mount| MountPlan::new(mount, &namespaces, inherited));
        let sysctls =
            linux.sysctl().iter().flatten().map(|(name, value)| Sysctl::new(name, value, &namespaces));
        let asked = linux.devices().as_deref().unwrap_or_default();
        Ok(Self {
            mounts: mounts.collect::<Result<_>>()?,
            devices: device::devices(asked, process.terminal().unwrap_or(false))?,
            net_devices: net::net_devices(linux.net_devices().as_ref(), &namespaces)?,
            masked: linux.masked_paths().clone().unwrap_or_default(),
            read_only: linux.readonly_paths().clone().unwrap_or_default(),
            root_read_only: spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false),
            root_propagation,
            hostname: name("hostname", spec.hostname(), &namespaces)?,
            domainname: name("domainname", spec.domainname(), &namespaces)?,
            sysctls: sysctls.collect::<Result<_>>()?,
            process: ProcessPlan::new(process, linux)?,
            placement: Placement::new(process, linux.memory_policy().as_ref())?,
            cgroup: linux.cgroups_path().clone().filter(|path| !path.as_os_str().is_empty()),
            resources: linux.resources().clone().unwrap_or_default(),
            rdt: linux.intel_rdt().as_ref().map(|asked| RdtPlan::new(asked, linux)).transpose()?,
            mount_label: linux.mount_label().clone().filter(|label| !label.is_empty()),
            listener: linux.seccomp().as_ref().map(listener).transpose()?.flatten(),
            warnings: relative_destinations(spec),
            namespaces,
        })
    }

    /// What was understood otherwise than written; a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// To whom the filter's descriptor goes, if a rule notifies; see [`Event::Listener`](crate::Event::Listener).
    pub fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// The first process's user and group, as the host counts them; root's where an id has no line in the map.
    pub fn host_owner(&self) -> (u32, u32) {
        let identity = &self.process.identity;
        self.namespaces.host_ids(identity.uid, identity.gid)
    }

    /// Is there something the parent does once the child is in its groups and namespaces?
    pub(crate) fn is_placed(&self) -> bool {
        let Placement { scheduler, io_priority, .. } = &self.placement;
        scheduler.is_some() || io_priority.is_some() || !self.net_devices.is_empty()
    }

    /// Device nodes that are not in a `/dev` which the parent makes and fills. Whoever binds a `/dev` has said what is
    /// in it.
    pub(crate) fn outer_devices(&self, caller: Caller) -> impl Iterator<Item = &DevicePlan> {
        let fills = self.fills_dev() || self.makes_dev() && !caller.makes_nodes();
        self.devices.iter().filter(move |device| fills || !device.path.starts_with("/dev"))
    }

    /// Is `/dev` the image's, so that nodes and links are made there?
    pub(crate) fn fills_dev(&self) -> bool {
        let is_bound = |mount: &MountPlan| {
            mount.target == Path::new("/dev") && matches!(mount.source, Source::Bind(_) | Source::Dev(_))
        };
        !self.mounts.iter().any(is_bound)
    }

    /// Does the container's root get its group in the cgroup2 tree? config-linux.md, "Cgroup ownership": with a
    /// cgroup namespace and a mount that can be written to.
    pub(crate) fn hands_over_groups(&self) -> bool {
        let is_writable = |mount: &MountPlan| {
            matches!(mount.source, Source::Cgroup) && mount.attach.own.set & sys::mount::RDONLY == 0
        };
        let namespaces = &self.namespaces;
        let own = namespaces.has_user() && !namespaces.is_hosts(Namespaces::CGROUP);
        own && self.mounts.iter().any(is_writable)
    }

    /// Does the parent make `/dev`, that is: does the `Spec` mount a tmpfs there?
    pub(crate) fn makes_dev(&self) -> bool {
        self.mounts.iter().any(|mount| matches!(mount.source, Source::Dev(_)))
    }
}

/// A name can be given only in a namespace that is not the host's.
fn name(field: &str, name: &Option<String>, namespaces: &NamespacePlan) -> Result<Option<String>> {
    match name.as_ref().filter(|name| !name.is_empty()) {
        Some(_) if namespaces.is_hosts(Namespaces::UTS) => {
            Err(invalid(format!("`{field}` without a uts namespace")))
        }
        name => Ok(name.cloned()),
    }
}

/// A filter that notifies needs a listener, and a listener is void without one that does.
fn listener(profile: &LinuxSeccomp) -> Result<Option<Listener>> {
    use oci::runtime::LinuxSeccompAction::ScmpActNotify;
    let actions = profile.syscalls().iter().flatten().map(|call| call.action());
    let notifies = actions.chain([profile.default_action()]).any(|action| action == ScmpActNotify);
    // With sendmsg(2) the child tells who will listen: nobody could answer that one.
    let is_own = |call: &LinuxSyscall| {
        call.action() == ScmpActNotify && call.names().iter().any(|name| name == "sendmsg")
    };
    if profile.default_action() == ScmpActNotify || profile.syscalls().iter().flatten().any(is_own) {
        return Err(unsupported("`linux.seccomp`: SCMP_ACT_NOTIFY by default or for sendmsg"));
    }
    match profile.listener_path().as_ref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) if notifies => {
            let metadata = profile.listener_metadata().clone().unwrap_or_default();
            Ok(Some(Listener { path: path.clone(), metadata }))
        }
        None if notifies => Err(invalid("`linux.seccomp`: SCMP_ACT_NOTIFY without `listenerPath`")),
        None if profile.listener_metadata().as_ref().is_some_and(|metadata| !metadata.is_empty()) => {
            Err(invalid("`linux.seccomp.listenerMetadata` without `listenerPath`"))
        }
        _ => Ok(None),
    }
}

fn relative_destinations(spec: &Spec) -> Vec<String> {
    let destinations = spec.mounts().iter().flatten().map(|mount| mount.destination());
    let warn =
        |path: &PathBuf| format!("`mounts`: `{}` is not absolute: it is taken from `/`", path.display());
    destinations.filter(|path| path.is_relative()).map(warn).collect()
}

pub(crate) fn invalid(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

pub(crate) fn unsupported(what: impl Into<String>) -> Error {
    Error::new(Kind::Unsupported, format!("{} is not supported", what.into()))
}

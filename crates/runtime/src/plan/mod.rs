//! Everything that will be done, decided before anything is.

mod mounts;
mod namespaces;
mod process;

pub(crate) use mounts::{Attach, FileSystemPlan, MountPlan, Source};
pub(crate) use namespaces::{Join, NamespacePlan};
pub(crate) use process::{Label, ProcessPlan};

use crate::{Error, Kind, Result};
use oci::runtime::{LinuxDevice, LinuxResources, Spec};
use std::path::PathBuf;

/// A container to be: what [`start`](Plan::start) and the child do, and nothing else.
#[derive(Debug)]
pub struct Plan {
    pub(crate) namespaces: NamespacePlan,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) devices: Vec<LinuxDevice>,
    pub(crate) masked: Vec<String>,
    pub(crate) read_only: Vec<String>,
    pub(crate) root_read_only: bool,
    pub(crate) root_propagation: Option<u64>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) process: ProcessPlan,
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) resources: LinuxResources,
}

impl Plan {
    /// Checks a `Spec` and decides everything that follows from it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for what contradicts the specification, [`Kind::Unsupported`] for what
    /// this runtime does not do; the message names the field.
    pub fn new(spec: &Spec) -> Result<Self> {
        let linux = spec.linux().as_ref().ok_or_else(|| invalid("`linux` is missing"))?;
        let process = spec.process().as_ref().ok_or_else(|| invalid("`process` is missing"))?;
        refuse_the_unsupported(spec)?;
        let namespaces = NamespacePlan::new(linux)?;
        let mounts = spec.mounts().iter().flatten().map(|mount| MountPlan::new(mount, &namespaces));
        Ok(Self {
            mounts: mounts.collect::<Result<_>>()?,
            namespaces,
            devices: linux.devices().clone().unwrap_or_default(),
            masked: linux.masked_paths().clone().unwrap_or_default(),
            read_only: linux.readonly_paths().clone().unwrap_or_default(),
            root_read_only: spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false),
            root_propagation: linux.rootfs_propagation().as_deref().map(mounts::propagation).transpose()?,
            hostname: spec.hostname().clone(),
            domainname: spec.domainname().clone(),
            sysctls: linux.sysctl().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            process: ProcessPlan::new(process, linux)?,
            cgroup: linux.cgroups_path().clone(),
            resources: linux.resources().clone().unwrap_or_default(),
        })
    }

    /// The first process's user and group, as the host counts them; root's where an id has no line in the map.
    pub fn host_owner(&self) -> (u32, u32) {
        let identity = &self.process.identity;
        self.namespaces.host_ids(identity.uid, identity.gid)
    }

    /// Does the parent make `/dev`, that is: does the `Spec` mount a tmpfs there?
    pub(crate) fn makes_dev(&self) -> bool {
        self.mounts.iter().any(|mount| matches!(mount.source, Source::Dev(_)))
    }
}

/// What belongs to the runtime's command line, which is not there yet, is refused, not skipped.
fn refuse_the_unsupported(spec: &Spec) -> Result<()> {
    let linux = spec.linux().as_ref();
    let present = [
        ("hooks", spec.hooks().is_some()),
        ("linux.intelRdt", linux.is_some_and(|l| l.intel_rdt().is_some())),
        ("linux.memoryPolicy", linux.is_some_and(|l| l.memory_policy().is_some())),
        ("linux.netDevices", linux.is_some_and(|l| l.net_devices().as_ref().is_some_and(|n| !n.is_empty()))),
        ("process.scheduler", spec.process().as_ref().is_some_and(|p| p.scheduler().is_some())),
        ("process.ioPriority", spec.process().as_ref().is_some_and(|p| p.io_priority().is_some())),
    ];
    match present.iter().find(|(_, there)| *there) {
        Some((field, _)) => Err(Error::new(Kind::Unsupported, format!("`{field}` is not supported"))),
        None => Ok(()),
    }
}

pub(crate) fn invalid(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

//! What the `Spec` asks for and this kernel or caller cannot give, found before anything is made.

use super::process::{APPARMOR, SELINUX};
use super::{Plan, invalid};
use crate::{Error, Kind, Result};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use sys::process::{Namespaces, is_in_bounding_set};

impl Plan {
    /// Asks the kernel only about what is asked of it.
    pub(crate) fn check_kernel(&self) -> Result<()> {
        let labels = |file: &str| self.process.labels.iter().any(|label| label.file == file);
        let lacks_selinux = || !Path::new("/sys/fs/selinux/enforce").exists();
        match () {
            () if labels(APPARMOR) && !has_apparmor() => {
                Err(lacking("process.apparmorProfile", "AppArmor is not enabled"))
            }
            () if labels(SELINUX) && lacks_selinux() => {
                Err(lacking("process.selinuxLabel", "SELinux is not enabled"))
            }
            () if self.mount_label.is_some() && lacks_selinux() => {
                Err(lacking("linux.mountLabel", "SELinux is not enabled"))
            }
            () if self.placement.memory.is_some() && !sys::schedule::has_memory_policies() => {
                Err(lacking("linux.memoryPolicy", "the kernel is built without NUMA"))
            }
            () if self.rdt.is_some() && !Path::new(crate::rdt::MOUNT).join("schemata").exists() => {
                Err(lacking("linux.intelRdt", "resctrl is not mounted on `/sys/fs/resctrl`"))
            }
            () => self.check_networks_owner(),
        }
    }

    /// A network namespace joined by path may be the host's.
    fn check_networks_owner(&self) -> Result<()> {
        let Some(sysctl) = self.sysctls.iter().find(|sysctl| sysctl.is_networks()) else { return Ok(()) };
        let id = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
        let mut joins = self.namespaces.joins.iter().filter(|join| join.kind == Namespaces::NET);
        match joins.any(|join| id(&join.path) == id(Path::new("/proc/self/ns/net"))) {
            true => Err(invalid(format!(
                "`linux.sysctl`: `{}` would be set in the host's network namespace",
                sysctl.path
            ))),
            false => Ok(()),
        }
    }

    /// Capabilities that are asked for and cannot be had: of a newer kernel, gone from this process, or ambient without
    /// being permitted and inheritable. A user namespace of
    /// the container's own has all the kernel knows.
    pub(crate) fn missing_capabilities(&self) -> Option<String> {
        let plan = self.process.identity.capabilities?;
        let asked = plan.bounding | plan.sets.permitted | plan.sets.effective | plan.sets.inheritable;
        let is_missing = |number: u32| match is_in_bounding_set(number) {
            Ok(there) => !there && !self.namespaces.has_user(),
            Err(_) => true,
        };
        let is_lost = |number: u8| {
            plan.lost >> number & 1 == 1 || asked >> number & 1 == 1 && is_missing(number.into())
        };
        let lost = seccomp::Capabilities::ALL.iter().filter(|capability| is_lost(capability.number()));
        let names: Vec<_> = lost.map(|capability| format!("CAP_{}", capability.to_runtime())).collect();
        (!names.is_empty()).then(|| format!("`process.capabilities`: {} cannot be granted", names.join(", ")))
    }
}

fn has_apparmor() -> bool {
    sys::proc::reads_as("/sys/module/apparmor/parameters/enabled", "Y")
}

fn lacking(field: &str, what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("`{field}`: {what}"))
}

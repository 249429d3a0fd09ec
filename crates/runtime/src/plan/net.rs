//! Network devices that move into the container.

use super::{NamespacePlan, invalid};
use crate::Result;
use oci::runtime::LinuxNetDevice;
use std::collections::HashMap;
use sys::process::Namespaces;

/// A device of the host's, and its name in the container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NetDevicePlan {
    pub(crate) name: String,
    /// With `%d` the kernel puts a number there.
    pub(crate) inside: String,
}

/// The devices, by the host's names.
pub(super) fn net_devices(
    asked: Option<&HashMap<String, LinuxNetDevice>>,
    namespaces: &NamespacePlan,
) -> Result<Vec<NetDevicePlan>> {
    let mut devices: Vec<_> = asked.into_iter().flatten().map(plan).collect::<Result<_>>()?;
    if !devices.is_empty() && namespaces.is_hosts(Namespaces::NET) {
        return Err(invalid("`linux.netDevices` without a network namespace"));
    }
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(devices)
}

fn plan((name, device): (&String, &LinuxNetDevice)) -> Result<NetDevicePlan> {
    let inside = device.name().as_ref().filter(|name| !name.is_empty()).unwrap_or(name);
    match (is_name(name), is_name(&inside.replacen("%d", "0", 1))) {
        (true, true) => Ok(NetDevicePlan { name: name.clone(), inside: inside.clone() }),
        (false, _) => Err(invalid(format!("`linux.netDevices`: {name:?} is no name of a device"))),
        (_, false) => {
            Err(invalid(format!("`linux.netDevices.{name}.name`: {inside:?} is no name of a device")))
        }
    }
}

/// As `dev_valid_name` of the kernel has it.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| !matches!(c, '/' | ':' | '%' | '\0') && !c.is_whitespace();
    !name.is_empty() && name.len() < 16 && name != "." && name != ".." && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_the_kernels() {
        for good in ["eth0", "a", "veth-0123456789", "br.100"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "0123456789abcdef", "%d"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}

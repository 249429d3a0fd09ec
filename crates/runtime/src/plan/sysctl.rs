//! Settings of the kernel that belong to a namespace; all others are the host's.

use super::{NamespacePlan, invalid};
use crate::Result;
use sys::process::Namespaces;

/// A setting, as a path below `/proc/sys` and a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sysctl {
    pub(crate) path: String,
    pub(crate) value: String,
}

/// Of System V and of the message queues of POSIX, see ipc_namespaces(7).
#[rustfmt::skip]
const IPC: [&str; 8] = [
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
    "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
];

impl Sysctl {
    /// Refuses what is not a namespace's of the container; the rule, and both ways to write a name, are runc's.
    pub(super) fn new(name: &str, value: &str, namespaces: &NamespacePlan) -> Result<Self> {
        let dotted = dotted(name);
        let path = dotted.replace('.', "\0").replace('/', ".").replace('\0', "/");
        let refuse = |why: &str| Err(invalid(format!("`linux.sysctl`: `{name}` {why}")));
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse("is no name of a setting");
        }
        match owner(&dotted) {
            _ if dotted == "kernel.hostname" => refuse("is set by `hostname`"),
            None => refuse("belongs to no namespace"),
            Some((kind, name)) if namespaces.is_hosts(kind) => {
                refuse(&format!("would be set in the host's {name} namespace"))
            }
            Some(_) => Ok(Self { path, value: value.to_owned() }),
        }
    }

    /// Is it one of the network's?
    pub(crate) fn is_networks(&self) -> bool {
        self.path.starts_with("net/")
    }
}

/// The namespace that a setting belongs to, and its name.
fn owner(name: &str) -> Option<(Namespaces, &'static str)> {
    match name {
        _ if IPC.contains(&name) || name.starts_with("fs.mqueue.") => Some((Namespaces::IPC, "ipc")),
        _ if name.starts_with("net.") => Some((Namespaces::NET, "network")),
        "kernel.domainname" => Some((Namespaces::UTS, "uts")),
        _ if name.starts_with("user.") => Some((Namespaces::USER, "user")),
        _ => None,
    }
}

/// With the first separator a slash, dots and slashes have changed places: an interface's name may have a dot,
/// `net/ipv4/conf/eth0.100/forwarding`, see sysctl(8).
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name.as_bytes()[first] == b'/' => name
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::runtime::{Linux, LinuxNamespace, LinuxNamespaceType as Type};

    fn namespaces(kinds: &[Type]) -> NamespacePlan {
        let of = |kind: &Type| {
            let mut namespace = LinuxNamespace::default();
            namespace.set_typ(*kind);
            namespace
        };
        let mut linux = Linux::default();
        linux.set_namespaces(Some(kinds.iter().map(of).collect()));
        NamespacePlan::new(&linux).unwrap()
    }

    #[test]
    fn names_become_paths_in_either_notation() {
        let own = namespaces(&[Type::Mount, Type::Network]);
        let path = |name: &str| Sysctl::new(name, "1", &own).unwrap().path;
        assert_eq!(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/conf/eth0.100/forwarding"), "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!(path("net.ipv4.conf.eth0/100.forwarding"), "net/ipv4/conf/eth0.100/forwarding");
    }

    #[test]
    fn what_is_not_the_containers_is_refused_by_name() {
        let own = namespaces(&[Type::Mount, Type::Network, Type::Uts]);
        for name in [
            "kernel.sem",
            "fs.mqueue.msg_max",
            "kernel.hostname",
            "kernel.panic",
            "vm.swappiness",
            "user.max_user_namespaces",
            "net/../kernel/panic",
            "net...kernel",
            "net.",
            "",
            "net",
        ] {
            let error = Sysctl::new(name, "1", &own).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        assert!(Sysctl::new("kernel.domainname", "x", &own).is_ok());
        assert!(Sysctl::new("kernel.sem", "1", &namespaces(&[Type::Mount, Type::Ipc])).is_ok());
    }
}

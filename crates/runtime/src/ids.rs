//! The id maps of a container's user namespace, see user_namespaces(7).
//!
//! Who has CAP_SETUID and CAP_SETGID over the ids writes them. Anybody else may map the own id alone; ranges are given by
//! newuidmap(1) and newgidmap(1), as far as `/etc/subuid` and `/etc/subgid` grant them.

use crate::caller::Caller;
use crate::plan::{Plan, invalid};
use crate::start::write_proc;
use crate::{Error, Kind, Result, refused};
use rustix::io::Errno;
use rustix::process::{Pid, getegid};
use std::process::{Command, Stdio};
use sys::proc::Procfs;

/// Which of the two maps.
#[derive(Debug, Clone, Copy)]
struct Side {
    file: &'static str,
    tool: &'static str,
    grants: &'static str,
}

const USERS: Side = Side { file: "uid_map", tool: "newuidmap", grants: "/etc/subuid" };
const GROUPS: Side = Side { file: "gid_map", tool: "newgidmap", grants: "/etc/subgid" };

impl Plan {
    /// Maps the ids of a process that was born into a user namespace of its own.
    pub(crate) fn write_id_maps(&self, pid: Pid, caller: Caller) -> Result<()> {
        let Some((uids, gids)) = &self.namespaces.id_maps else { return Ok(()) };
        if caller != Caller::Ordinary {
            write_proc(pid, USERS.file, uids)?;
            return write_proc(pid, GROUPS.file, gids);
        }
        USERS.give(pid, uids)?;
        if self.denies_groups() {
            // Or whoever is kept out of a file by a group would leave the group.
            write_proc(pid, "setgroups", "deny")?;
        }
        GROUPS.give(pid, gids)
    }

    /// What an ordinary caller cannot have.
    pub(crate) fn check_caller(&self, caller: Caller) -> Result<()> {
        match caller {
            Caller::Ordinary if !self.namespaces.has_user() => {
                Err(invalid("a caller without CAP_SYS_ADMIN needs a user namespace for the container")
                    .with_hint("`spec --rootless` writes such a configuration"))
            }
            Caller::Ordinary if self.denies_groups() && !self.process.identity.groups.is_empty() => {
                Err(invalid(
                    "`process.user.additionalGids`: with one group mapped the kernel lets nobody set more",
                )
                .with_hint("map a range, which `/etc/subgid` has to grant"))
            }
            _ => Ok(()),
        }
    }

    fn denies_groups(&self) -> bool {
        self.namespaces.id_maps.as_ref().is_some_and(|(_, gids)| is_only(gids, getegid().as_raw()))
    }
}

/// Is one id mapped, and is it this one?
fn is_only(map: &str, own: u32) -> bool {
    let words: Vec<_> = map.split_whitespace().collect();
    matches!(words[..], [_, host, "1"] if host.parse() == Ok(own))
}

impl Side {
    fn write(self, pid: Pid, map: &str) -> rustix::io::Result<()> {
        Procfs::mounted()?.write(format!("{}/{}", pid.as_raw_nonzero(), self.file), map)
    }

    fn give(self, pid: Pid, map: &str) -> Result<()> {
        match self.write(pid, map) {
            Err(Errno::PERM) => self.ask(pid, map),
            Err(errno) => {
                Err(refused(errno, format!("write `{}` to the container's {}", map.trim_end(), self.file)))
            }
            Ok(()) => Ok(()),
        }
    }

    fn ask(self, pid: Pid, map: &str) -> Result<()> {
        let what = || format!("map the ids `{}` by {}", map.trim_end().replace('\n', ", "), self.tool);
        let mut tool = Command::new(self.tool);
        tool.arg(pid.as_raw_nonzero().to_string()).args(map.split_whitespace()).stdin(Stdio::null());
        let output = tool.output().map_err(|cause| {
            Error::new(Kind::Unsupported, what())
                .caused_by(cause)
                .with_hint(format!("{} is looked for in $PATH; Debian's package is `uidmap`", self.tool))
        })?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::new(Kind::Invalid, what())
                .caused_by(String::from_utf8_lossy(&output.stderr).trim().to_owned())
                .with_hint(format!("`{}` has to grant them, see {}(1)", self.grants, self.tool))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_only;

    #[test]
    fn only_the_own_id_is_mapped_without_help() {
        assert!(is_only("0 1000 1\n", 1000) && is_only("5 1000 1", 1000));
        assert!(!is_only("0 1000 2\n", 1000) && !is_only("0 1001 1\n", 1000));
        assert!(!is_only("0 1000 1\n1 100000 1\n", 1000) && !is_only("", 0));
    }
}

//! A group handed over to a container's root, see cgroup-v2.rst, "Delegation".

use crate::group::kernel;
use crate::{Cgroup, Result};
use rustix::fs::{AtFlags, Uid, chownat, fchown};
use rustix::io::Errno;

/// Which files besides the directory, one a line (Linux 4.15).
const LIST: &str = "/sys/kernel/cgroup/delegate";

/// Those of older kernels, see cgroups(7).
const ALWAYS: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

impl Cgroup {
    /// Gives the group in the cgroup2 tree to an id of the host, so that it can make groups below: what
    /// `cgroup` mounts that are not read-only are for. The limits remain ours. v1 is not safe to hand over.
    ///
    /// # Errors
    /// [`crate::Kind::Denied`] where the caller may not chown.
    pub fn delegate(&self, uid: Uid) -> Result<()> {
        let Some(group) = self.tree() else { return Ok(()) };
        let failed = |errno| kernel(errno, format!("hand over group `{}`", group.path.display()));
        fchown(&group.dir, Some(uid), None).map_err(failed)?;
        let list = std::fs::read_to_string(LIST).unwrap_or_else(|_| ALWAYS.into());
        for file in list.lines() {
            match chownat(&group.dir, file, Some(uid), None, AtFlags::SYMLINK_NOFOLLOW) {
                // Files of controllers that are not on.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(())
    }
}

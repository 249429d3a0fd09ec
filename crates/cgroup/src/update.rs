//! Limits of a group that is there.

use crate::create::absent;
use crate::group::Group;
use crate::limits::{self, Held};
use crate::setting::{self, Before};
use crate::{Cgroup, Error, Host, Kind, Result, files, realtime};
use oci::runtime::LinuxResources;

impl Host {
    /// Changes what is given and leaves the rest; all is read back. On an error all is as before.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where a limit needs a controller in which the container has no group: it cannot be
    /// joined later. [`Kind::Refused`] where a limit of memory would be below what is used.
    pub fn update(&self, cgroup: &Cgroup, resources: &LinuxResources) -> Result<()> {
        let rules = self.rules(resources)?;
        let settings = limits::settings(self, resources, &cgroup.held())?;
        cgroup.check_usage(resources)?;
        realtime::make_room(cgroup, &settings)?;
        let placed = cgroup.placed(&settings)?;
        let before = Before::of(&placed);
        setting::apply_all(&placed)?;
        cgroup.hold_devices(rules, false)?;
        if let Some(driver) = self.driver() {
            driver.update(cgroup, &settings, resources)?;
        }
        before.forget();
        Ok(())
    }
}

impl Cgroup {
    pub(crate) fn held(&self) -> Held {
        let Some(tree) = self.tree() else { return Held { update: true, ..Held::default() } };
        let quota = files::get(&tree.dir, "cpu.max").ok();
        Held {
            memory: files::number(&tree.dir, "memory.max").filter(|bytes| *bytes != u64::MAX),
            quota: quota.and_then(|text| text.split_whitespace().next().map(str::to_owned)),
            update: true,
        }
    }

    /// `checkBeforeUpdate`: v1 refuses a limit below what is used by itself, v2 would kill.
    fn check_usage(&self, resources: &LinuxResources) -> Result<()> {
        let Some(memory) =
            resources.memory().as_ref().filter(|memory| memory.check_before_update() == Some(true))
        else {
            return Ok(());
        };
        let Some(limit) =
            memory.limit().and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0)
        else {
            return Ok(());
        };
        let group = self.group_of("memory").ok_or_else(|| absent("memory"))?;
        match usage(group) {
            Some(used) if used >= limit => Err(Error::new(
                Kind::Refused,
                format!("a limit of memory of {limit} bytes: {used} bytes are used already"),
            )),
            _ => Ok(()),
        }
    }
}

fn usage(group: &Group) -> Option<u64> {
    group.is_v2().then(|| files::number(&group.dir, "memory.current"))?
}

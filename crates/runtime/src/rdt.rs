//! A container's place in resctrl.

use crate::plan::RdtPlan;
use crate::{Error, Kind, Result};
use rustix::process::Pid;
use std::path::{Path, PathBuf};

/// Where the kernel's documentation mounts it.
pub(crate) const MOUNT: &str = "/sys/fs/resctrl";

/// Directories that were made for one container, the innermost first.
#[derive(Debug, Default)]
pub struct Rdt(Vec<PathBuf>);

impl Rdt {
    /// Puts a process, and what it bears from now on, into its class; on an error nothing is left.
    pub(crate) fn enter(plan: &RdtPlan, pid: Pid) -> Result<Self> {
        let mut made = Self::default();
        if let Err(error) = made.make(plan, pid) {
            made.remove();
            return Err(error);
        }
        if plan.is_named {
            made.0.retain(|path| path != &Path::new(MOUNT).join(&plan.group)); // others may use it
        }
        Ok(made)
    }

    fn make(&mut self, plan: &RdtPlan, pid: Pid) -> Result<()> {
        let group = Path::new(MOUNT).join(&plan.group);
        let is_new = !group.exists();
        if is_new && plan.is_named && plan.schemata.is_empty() {
            let what = format!(
                "`linux.intelRdt`: class `{}` is not there, and no schemata say what it is",
                plan.group
            );
            return Err(Error::new(Kind::Invalid, what));
        }
        if is_new {
            self.make_directory(&group)?;
        }
        if !plan.schemata.is_empty() {
            write(&group.join("schemata"), &(plan.schemata.join("\n") + "\n"))?;
        }
        write(&group.join("tasks"), &pid.as_raw_nonzero().to_string())?;
        let Some(monitor) = &plan.monitor else { return Ok(()) };
        let monitor = group.join("mon_groups").join(monitor);
        self.make_directory(&monitor)?;
        write(&monitor.join("tasks"), &pid.as_raw_nonzero().to_string())
    }

    fn make_directory(&mut self, path: &Path) -> Result<()> {
        std::fs::create_dir(path).map_err(|cause| failed("make", path, cause))?;
        self.0.insert(0, path.to_owned());
        Ok(())
    }

    /// What was made for the container; [`remove`](Self::remove) is then the caller's to do at its end.
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// Removes it. What is gone already, is; the container's processes fall back to the default class.
    pub fn remove(self) {
        self.0.iter().for_each(|path| drop(std::fs::remove_dir(path)));
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|cause| failed("write", path, cause))
}

fn failed(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(Kind::Kernel, format!("{what} `{}`", path.display())).caused_by(cause)
}

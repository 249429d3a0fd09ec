//! What is kept of a container beside its configuration.

use cgroup::systemd::Manager;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The state file. Nothing in it changes after `create` but by `update` of the configuration beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The specification's version that the configuration follows.
    pub oci_version: String,
    /// The container's name.
    pub id: String,
    /// Its first process; none while it is being made.
    pub process: Option<Process>,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The root file system's directory, absolute.
    pub rootfs: PathBuf,
    /// When it was created.
    pub created: jiff::Timestamp,
    /// Of the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The control group that was asked for; none: it stays in its maker's.
    pub cgroup: Option<PathBuf>,
    /// The systemd that made them, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd: Option<Manager>,
    /// Its groups' directories by controller, once they are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<(String, PathBuf)>,
    /// Its directories in resctrl, the innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rdt: Vec<PathBuf>,
    /// It has hooks for after its start,
    #[serde(default)]
    pub poststart: bool,
    /// and for after its end.
    #[serde(default)]
    pub poststop: bool,
    /// It has no pid namespace of its own.
    #[serde(default)]
    pub shares_pids: bool,
}

/// A process that cannot be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// In the pid namespace of whoever created the container.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks after boot, see proc_pid_stat(5).
    pub born: u64,
}

//! Who is attacked.

use std::path::PathBuf;
use std::process::Command;

/// Another runtime in hull's place: on one that is vulnerable the test of its attack must fail.
const ORACLE: &str = "HULL_ORACLE";

/// A runtime with runc's command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// hull, or the oracle.
    Tested,
    Runc,
    Crun,
}

/// crun and youki refuse a hybrid host whose cgroup2 tree has controllers.
const PLAIN_HOST: &str = "mount -t tmpfs none /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";

fn oracle() -> Option<PathBuf> {
    std::env::var_os(ORACLE).map(PathBuf::from)
}

/// Is it hull that is attacked? Others are given more time to fall.
pub(crate) fn is_hull() -> bool {
    oracle().is_none()
}

/// The file of the runtime that is tested.
pub(crate) fn binary() -> PathBuf {
    oracle().unwrap_or_else(|| env!("CARGO_BIN_EXE_hull").into())
}

impl Runtime {
    pub(crate) fn is_there(self) -> bool {
        let name = if self == Self::Runc { "runc" } else { "crun" };
        self == Self::Tested || Command::new(name).arg("--version").output().is_ok()
    }

    pub(crate) fn command(self) -> Command {
        match self {
            Self::Tested => tested(&binary()),
            Self::Runc => elsewhere("runc"),
            Self::Crun => elsewhere("crun"),
        }
    }
}

/// The runtime that is tested, from a file that is it or a copy of it.
pub(crate) fn tested(file: &std::path::Path) -> Command {
    if !is_hull() {
        return elsewhere(file.to_str().unwrap());
    }
    let mut hull = Command::new(file);
    hull.arg("runtime");
    hull
}

fn elsewhere(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", PLAIN_HOST, "sh", program]);
    command
}

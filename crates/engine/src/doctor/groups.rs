//! Control groups: which arrangement, which controllers, who counts what.

use super::{Files, Finding, GROUPS, Verdict};
use cgroup::Mode;

use Verdict::{No, Warn};

pub(super) fn all(files: Files<'_>, mode: Mode, controllers: &[String]) -> Vec<Finding> {
    let needed = CONTROLLERS.iter().filter(|one| one.is_of(mode)).map(|one| one.look(mode, controllers));
    let further = [swap(files, mode), delegation(files, mode)];
    [arrangement(mode)]
        .into_iter()
        .chain(needed)
        .chain([pressure(files)])
        .chain(further.into_iter().flatten())
        .collect()
}

const UNIFIED: &str = "boot with systemd.unified_cgroup_hierarchy=1";

fn arrangement(mode: Mode) -> Finding {
    let told = |is: &str| Finding::ok(GROUPS, "version", is);
    let lost =
        "the kernel tells no pressure of single containers, and users can be given no groups of their own";
    match mode {
        Mode::V2 => told("v2"),
        Mode::Hybrid => told("v1, and v2 beside it").but(Warn, lost, UNIFIED),
        Mode::V1 => told("v1").but(Warn, lost, UNIFIED),
    }
}

/// A controller: its name on v1 and on v2, what cannot be had without, and the kernel's parameter that brings it.
struct Controller {
    names: (&'static str, &'static str),
    verdict: Verdict,
    lost: &'static str,
    mend: &'static str,
}

#[rustfmt::skip]
const CONTROLLERS: [Controller; 6] = [
    Controller { names: ("memory", "memory"), verdict: No, lost: "no limit of memory: one container takes all", mend: "boot with cgroup_enable=memory" },
    Controller { names: ("pids", "pids"), verdict: No, lost: "no limit of processes: a fork bomb takes every pid", mend: "boot without cgroup_disable=pids, on a kernel with CONFIG_CGROUP_PIDS=y" },
    Controller { names: ("cpu", "cpu"), verdict: No, lost: "no limit of CPU", mend: "boot without cgroup_disable=cpu, on a kernel with CONFIG_CFS_BANDWIDTH=y" },
    Controller { names: ("devices", ""), verdict: No, lost: "nothing holds a container off the host's devices", mend: "boot without cgroup_disable=devices" },
    Controller { names: ("cpuset", "cpuset"), verdict: Warn, lost: "--cpuset-cpus and --cpuset-mems are refused", mend: "boot without cgroup_disable=cpuset" },
    Controller { names: ("blkio", "io"), verdict: Warn, lost: "no limit of disks, and none of their use is counted", mend: "boot without cgroup_disable=io,blkio" },
];

impl Controller {
    fn name(&self, mode: Mode) -> &'static str {
        if mode == Mode::V2 { self.names.1 } else { self.names.0 }
    }

    /// On v2 devices are a program's, and no controller's.
    fn is_of(&self, mode: Mode) -> bool {
        !self.name(mode).is_empty()
    }

    fn look(&self, mode: Mode, there: &[String]) -> Finding {
        let name = self.name(mode);
        match there.iter().any(|one| one == name) {
            true => Finding::ok(GROUPS, name, "can be limited"),
            false => Finding::ok(GROUPS, name, "not there").but(self.verdict, self.lost, self.mend),
        }
    }
}

fn pressure(files: Files<'_>) -> Finding {
    match files.text("/proc/pressure/memory") {
        Some(_) => Finding::ok(GROUPS, "pressure", "told by the kernel"),
        None => Finding::ok(GROUPS, "pressure", "not told").but(
            Warn,
            "`hull explain` and `hull stats` cannot say who waits for CPU, memory or disk",
            "boot with psi=1",
        ),
    }
}

/// Groups of systemd's that every v2 host with it has: the root has none of the files.
const CHILDREN: [&str; 3] = ["system.slice", "user.slice", "init.scope"];

/// Where there is no swap, and where nothing can be said, nothing is.
fn swap(files: Files<'_>, mode: Mode) -> Option<Finding> {
    let is_on = files.text("/proc/swaps")?.lines().count() > 1;
    let counted = match mode {
        Mode::V2 => {
            let child =
                CHILDREN.iter().find(|child| files.text(&format!("{ROOT}/{child}/memory.max")).is_some())?;
            files.text(&format!("{ROOT}/{child}/memory.swap.max"))
        }
        _ => files.text(&format!("{ROOT}/memory/memory.memsw.limit_in_bytes")),
    };
    let told = |is: &str| Finding::ok(GROUPS, "swap", is);
    is_on.then(|| match counted {
        Some(_) => told("can be limited"),
        None => told("not counted").but(
            Warn,
            "a container at its limit of memory goes on in the host's swap",
            "boot with swapaccount=1",
        ),
    })
}

const ROOT: &str = "/sys/fs/cgroup";

/// What systemd gives to users' own managers; what rootless engines limit by.
fn delegation(files: Files<'_>, mode: Mode) -> Option<Finding> {
    let given =
        files.text(&format!("{ROOT}/user.slice/cgroup.subtree_control")).filter(|_| mode == Mode::V2)?;
    let lacks =
        ["cpu", "memory", "pids"].into_iter().filter(|name| !given.split(' ').any(|one| one == *name));
    let lacks: Vec<_> = lacks.collect();
    let told = |is: String| Finding::ok(GROUPS, "delegation", is);
    Some(match lacks.is_empty() {
        true => told(format!("to users: {given}")),
        false => told(format!("not to users: {}", lacks.join(", "))).but(
            Warn,
            "rootless engines over hull-runtime cannot limit these",
            "systemctl edit user@.service: [Service] Delegate=cpu cpuset io memory pids; then log in again",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{about, with};
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_version_has_names_of_its_own() {
        let v2 = with(&[], |files| all(files, Mode::V2, &names(&["cpu", "memory", "pids", "io"])));
        assert_eq!(about(&v2, "io").verdict, Verdict::Ok);
        assert_eq!((about(&v2, "cpuset").verdict, about(&v2, "version").verdict), (Warn, Verdict::Ok));
        assert!(v2.iter().all(|one| one.what != "devices" && one.what != "blkio"));
        let v1 = with(&[], |files| all(files, Mode::V1, &names(&["cpu"])));
        let told = about(&v1, "memory");
        assert_eq!((told.verdict, told.mend.as_str()), (No, "boot with cgroup_enable=memory"));
        assert_eq!((about(&v1, "devices").verdict, about(&v1, "pressure").verdict), (No, Warn));
    }

    #[test]
    fn swap_matters_where_there_is_some() {
        let none = ("/proc/swaps", "Filename Type\n");
        let some = ("/proc/swaps", "Filename Type\n/dev/vdb partition\n");
        let limit = ("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "1\n");
        let verdict =
            |files: &[(&str, &str)]| with(files, |files| swap(files, Mode::V1)).map(|one| one.verdict);
        assert_eq!((verdict(&[none]), verdict(&[])), (None, None));
        assert_eq!((verdict(&[some]), verdict(&[some, limit])), (Some(Warn), Some(Verdict::Ok)));
        let v2 = [some, ("/sys/fs/cgroup/init.scope/memory.max", "max")];
        assert_eq!(with(&v2, |files| swap(files, Mode::V2)).map(|one| one.verdict), Some(Warn));
    }

    #[test]
    fn what_users_are_not_given_is_told() {
        let told = |given| {
            with(&[("/sys/fs/cgroup/user.slice/cgroup.subtree_control", given)], |files| {
                delegation(files, Mode::V2)
            })
        };
        assert_eq!(told("memory pids\n").map(|one| one.is), Some("not to users: cpu".into()));
        assert_eq!(told("cpuset cpu io memory pids\n").map(|one| one.verdict), Some(Verdict::Ok));
    }
}

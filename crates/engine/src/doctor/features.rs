//! What was tried: which isolation is lost without, and what brings it back.

use super::{CALLS, Files, Finding, GROUPS, NAMESPACES, STORE, Verdict};
use crate::probe::Feature;

use Verdict::{No, Warn};

/// Area, verdict where it does not work, and what mends that, by the probe's names. What is not here is told elsewhere.
#[rustfmt::skip]
const KNOWN: [(&str, &str, Verdict, &str); 10] = [
    ("mount, pid, IPC and UTS namespaces", NAMESPACES, No, "run hull as root of the host; inside another container: docker run --privileged"),
    ("user namespaces", NAMESPACES, No, "a kernel with CONFIG_USER_NS=y: apt-get install linux-image-amd64"),
    ("network namespaces", NAMESPACES, No, "a kernel with CONFIG_NET_NS=y: apt-get install linux-image-amd64"),
    ("cgroup namespaces", NAMESPACES, Warn, "a kernel with CONFIG_CGROUPS=y: apt-get install linux-image-amd64"),
    ("time namespaces", NAMESPACES, Warn, "a kernel with CONFIG_TIME_NS=y: apt-get install linux-image-amd64"),
    ("seccomp filters", CALLS, No, "a kernel with CONFIG_SECCOMP_FILTER=y: apt-get install linux-image-amd64"),
    ("control groups", GROUPS, No, "mount -t cgroup2 none /sys/fs/cgroup"),
    ("overlay", STORE, No, "modprobe overlay"),
    ("id-mapped mounts", STORE, No, "keep everything on ext4, xfs or btrfs: hull --root DIR, or HULL_ROOT=DIR"),
    ("overlay layers by descriptor", STORE, Verdict::Ok, ""),
];

pub(super) fn all(files: Files<'_>, features: &[Feature]) -> Vec<Finding> {
    features.iter().filter_map(|feature| one(files, feature)).collect()
}

fn one(files: Files<'_>, feature: &Feature) -> Option<Finding> {
    let (what, area, verdict, mend) = *KNOWN.iter().find(|known| known.0 == feature.name)?;
    Some(match (feature.works, verdict) {
        (true, _) => Finding::ok(area, what, "works"),
        (false, Verdict::Ok) => Finding::ok(area, what, format!("not here, nor needed: {}", feature.without)),
        (false, _) => {
            let mend = reason(files, what).unwrap_or(mend);
            Finding::ok(area, what, "does not work").but(verdict, feature.without, mend)
        }
    })
}

/// Nothing can be tried where no group can be made.
pub(super) fn no_groups() -> Finding {
    Finding::ok(GROUPS, "control groups", "none are mounted").but(
        No,
        "no container can run",
        "mount -t cgroup2 none /sys/fs/cgroup",
    )
}

/// A setting that forbids what the kernel has.
fn reason(files: Files<'_>, what: &str) -> Option<&'static str> {
    let forbids = |name| files.setting(name) == Some(0);
    match what {
        "user namespaces" if forbids("user.max_user_namespaces") => {
            Some("sysctl -w user.max_user_namespaces=65536")
        }
        "network namespaces" if forbids("user.max_net_namespaces") => {
            Some("sysctl -w user.max_net_namespaces=65536")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{about, with};
    use super::*;

    fn told(name: &'static str, files: &[(&str, &str)]) -> Vec<Finding> {
        let feature = Feature { name, works: false, without: "much" };
        with(files, |files| all(files, &[feature]))
    }

    #[test]
    fn what_forbids_user_namespaces_is_found() {
        let what = "user namespaces";
        let of_setting = told(what, &[("/proc/sys/user/max_user_namespaces", "0\n")]);
        assert_eq!(about(&of_setting, what).mend, "sysctl -w user.max_user_namespaces=65536");
        let of_kernel = told(what, &[("/proc/sys/user/max_user_namespaces", "1000\n")]);
        let told = about(&of_kernel, what);
        assert_eq!((told.verdict, told.lost.as_str()), (No, "much"));
        assert!(told.mend.contains("CONFIG_USER_NS"));
    }

    #[test]
    fn what_has_another_way_is_well() {
        assert_eq!(told("overlay layers by descriptor", &[])[0].verdict, Verdict::Ok);
    }
}

//! The kernel: its version, its calls, its security modules.

use super::{CALLS, Files, Finding, KERNEL, NAMESPACES, Verdict};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use sys::mount::FileSystem;

pub(super) fn all(files: Files<'_>, release: &str) -> Vec<Finding> {
    let mut all = vec![version(release), vulnerabilities(&listed_vulnerabilities())];
    all.extend(calls());
    all.extend([limit(files), unprivileged(files)]);
    all
}

/// Major and minor of e.g. `6.1.0-18-amd64`.
fn number(release: &str) -> Option<(u32, u32)> {
    let mut words = release.split(|c: char| !c.is_ascii_digit());
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn version(release: &str) -> Finding {
    let told = Finding::ok(KERNEL, "version", release);
    let newer = "a newer kernel: apt-get install linux-image-amd64";
    match number(release) {
        None | Some((..=5, _) | (6, 0)) => {
            told.but(Verdict::No, "hull is proven on Linux 6.1 and later only", newer)
        }
        Some((6, 1..=2)) => told.but(
            Verdict::Warn,
            "tmpfs maps no ids before 6.3: kept there, containers share the host's user namespace",
            newer,
        ),
        Some(_) => told,
    }
}

/// Calls that everything is built on.
fn calls() -> Vec<Finding> {
    let in_root = || openat2(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT);
    let found = [
        (
            "pidfd_open",
            pidfd_open(getpid(), PidfdFlags::empty()).is_ok(),
            "processes are not safely told apart",
        ),
        ("openat2", in_root().is_ok(), "paths in a container's root cannot be opened safely"),
        ("fsopen", FileSystem::open("tmpfs").is_ok(), "nothing can be mounted"),
    ];
    found.map(|(call, works, lost)| called(call, works, lost)).to_vec()
}

fn called(call: &'static str, works: bool, lost: &str) -> Finding {
    let mend = "run hull as root, under a filter that lets it through (docker run --security-opt seccomp=unconfined)";
    match works {
        true => Finding::ok(CALLS, call, "works"),
        false => Finding::ok(CALLS, call, "refused").but(Verdict::No, lost, mend),
    }
}

fn limit(files: Files<'_>) -> Finding {
    let name = "user.max_user_namespaces";
    let most = files.setting(name);
    let told = Finding::ok(NAMESPACES, name, most.map_or("unknown".into(), |most| most.to_string()));
    match most {
        Some(..1000) => told.but(
            Verdict::Warn,
            "no more containers than that have a user namespace of their own",
            format!("sysctl -w {name}=65536"),
        ),
        _ => told,
    }
}

/// Settings by which distributions keep user namespaces from ordinary users; and the value that does.
const FORBIDDEN: [(&str, u64, &str); 2] = [
    ("kernel.unprivileged_userns_clone", 0, "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        1,
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

fn unprivileged(files: Files<'_>) -> Finding {
    let forbids = FORBIDDEN.iter().find(|(name, value, _)| files.setting(name) == Some(*value));
    let told = |is: &str| Finding::ok(NAMESPACES, "ordinary users", is);
    match forbids {
        None => told("may make user namespaces"),
        Some((name, value, mend)) => told(&format!("may make no user namespaces: {name} is {value}")).but(
            Verdict::Warn,
            "rootless engines over hull-runtime cannot run; root's can",
            *mend,
        ),
    }
}

const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

/// Holes of the processor by name, with the kernel's word on each.
fn listed_vulnerabilities() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(VULNERABILITIES).into_iter().flatten().flatten();
    let read = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), text))
    };
    entries.filter_map(read).collect()
}

fn vulnerabilities(listed: &[(String, String)]) -> Finding {
    let open = listed.iter().filter(|(_, text)| text.starts_with("Vulnerable"));
    let mut open: Vec<_> = open.map(|(name, _)| name.as_str()).collect();
    open.sort_unstable();
    let told = |is: String| Finding::ok(KERNEL, "processor", is);
    match open.as_slice() {
        [] => told("no hole that the kernel knows and does not close".into()),
        open => told(format!("open to {}", open.join(", "))).but(
            Verdict::Warn,
            "a container may read memory of the kernel and of neighbours through the processor",
            "boot without mitigations=off; apt-get install intel-microcode (or amd64-microcode), then reboot",
        ),
    }
}

/// Security modules.
pub(super) fn modules(files: Files<'_>) -> Vec<Finding> {
    vec![labels(files), landlock(sys::landlock::abi().ok())]
}

fn labels(files: Files<'_>) -> Finding {
    let apparmor =
        files.text("/sys/module/apparmor/parameters/enabled").is_some_and(|text| text.starts_with('Y'));
    let selinux = files.text("/sys/fs/selinux/enforce");
    let told = |is: &str| Finding::ok(KERNEL, "AppArmor, SELinux", is);
    match (apparmor, selinux.as_deref()) {
        (true, _) => told("AppArmor is on"),
        (_, Some("0")) => told("SELinux is on and only warns").but(
            Verdict::Warn,
            "its rules do not hold when all else is broken",
            "setenforce 1",
        ),
        (_, Some(_)) => told("SELinux is on"),
        (false, None) => told("neither is on").but(
            Verdict::Warn,
            "no second wall holds when all else is broken; --security-opt apparmor and label are refused",
            "apt-get install apparmor; boot with lsm=landlock,lockdown,yama,integrity,apparmor,bpf",
        ),
    }
}

fn landlock(version: Option<u32>) -> Finding {
    let told = |is: String| Finding::ok(KERNEL, "Landlock", is);
    match version {
        Some(version) => told(format!("version {version} of its interface")),
        None => told("not on".into()).but(
            Verdict::Warn,
            "programs in containers cannot confine themselves",
            "boot with lsm=landlock,… in front of the modules that are on (cat /sys/kernel/security/lsm)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{about, with};
    use super::*;

    #[test]
    fn versions_are_numbers() {
        for (release, verdict) in [
            ("6.18.44-fc-v857", Verdict::Ok),
            ("6.1.0-18-amd64", Verdict::Warn),
            ("6.3.0", Verdict::Ok),
            ("5.15.0", Verdict::No),
            ("10.0-rc1", Verdict::Ok),
            ("strange", Verdict::No),
        ] {
            assert_eq!(version(release).verdict, verdict, "{release}");
        }
    }

    #[test]
    fn distributions_ways_to_forbid_user_namespaces_are_known() {
        let told = |path: &str, value: &str| with(&[(path, value)], unprivileged);
        assert_eq!(told("/proc/sys/kernel/unprivileged_userns_clone", "1\n").verdict, Verdict::Ok);
        for (path, value) in [
            ("/proc/sys/kernel/unprivileged_userns_clone", "0\n"),
            ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"),
        ] {
            let told = told(path, value);
            assert_eq!((told.verdict, told.mend.starts_with("sysctl -w kernel.")), (Verdict::Warn, true));
        }
    }

    #[test]
    fn open_holes_are_named_and_closed_ones_not() {
        let listed = |text: &str| vulnerabilities(&[("mds".into(), text.into())]);
        assert_eq!(listed("Mitigation: Clear buffers").verdict, Verdict::Ok);
        assert_eq!(listed("Vulnerable: no microcode").is, "open to mds");
    }

    #[test]
    fn one_security_module_is_enough() {
        let on = with(&[("/sys/module/apparmor/parameters/enabled", "Y\n")], modules);
        assert_eq!(about(&on, "AppArmor, SELinux").verdict, Verdict::Ok);
        let permissive = with(&[("/sys/fs/selinux/enforce", "0")], modules);
        assert_eq!(about(&permissive, "AppArmor, SELinux").mend, "setenforce 1");
        assert_eq!(about(&with(&[], modules), "AppArmor, SELinux").verdict, Verdict::Warn);
    }
}

//! What is weaker than it could be: found in what is, named by what was typed.

use super::value::{Isolation, Mount, Origin, Owner, Severity, Weakness};
use seccomp::Capabilities;
use serde_json::Value;

use Severity::{High, Low, Medium};

/// What a check needs.
struct Look<'a> {
    is: &'a Isolation,
    /// The request's JSON.
    asked: &'a Value,
    found: Vec<Weakness>,
}

/// Everything, the worst first.
pub(super) fn of(is: &Isolation, asked: &Value) -> Vec<Weakness> {
    let mut look = Look { is, asked, found: Vec::new() };
    for check in [namespaces, ids, capabilities, filter, paths, mounts, devices, modules, limits, hardening] {
        check(&mut look);
    }
    look.found.sort_by_key(|weakness| weakness.severity);
    look.found
}

impl Look<'_> {
    fn tell(&mut self, severity: Severity, found: impl Into<String>, gains: &str, flag: &str, close: &str) {
        let (gains, flag, close) = (gains.into(), flag.into(), close.into());
        self.found.push(Weakness { severity, found: found.into(), gains, flag, close });
    }

    fn is_privileged(&self) -> bool {
        self.asked["isolation"]["privileged"] == true
    }

    /// `--privileged` opens much at once.
    fn flag<'f>(&self, flag: &'f str) -> &'f str {
        if self.is_privileged() { "--privileged" } else { flag }
    }

    fn owner(&self, kind: &str) -> Owner {
        let found = self.is.namespaces.iter().find(|namespace| namespace.kind == kind);
        found.map_or(Owner::Own, |namespace| namespace.owner)
    }

    fn is_own_root(&self) -> bool {
        self.owner("user") != Owner::Host
    }

    fn may(&self, capability: &str) -> bool {
        self.is.capabilities.bounding.iter().any(|name| name == capability)
    }
}

/// Kind, severity, flag, what is gained where it is the host's.
#[rustfmt::skip]
const SHARED: [(&str, Severity, &str, &str); 5] = [
    ("pid", High, "--pid host", "sees all processes of the host with their arguments, and signals or traces those of its user"),
    ("net", High, "--network host", "reaches services on the host's loopback and abstract sockets, and takes the host's ports"),
    ("ipc", Medium, "--ipc host", "reads and writes the shared memory of the host's programs"),
    ("cgroup", Low, "--cgroupns host", "sees the names of the host's groups, and so what else runs"),
    ("uts", Low, "--uts host", "sees the host's name, and with CAP_SYS_ADMIN over it changes it"),
];

fn namespaces(look: &mut Look<'_>) {
    for (kind, severity, flag, gains) in SHARED {
        if look.owner(kind) == Owner::Host {
            look.tell(
                severity,
                format!("the host's {kind} namespace"),
                gains,
                flag,
                &format!("leave {flag} off"),
            );
        }
    }
    let joined: Vec<_> =
        look.is.namespaces.iter().filter(|one| one.owner == Owner::Shared).cloned().collect();
    for one in joined {
        let found = format!("{} namespace shared with {}", one.kind, one.with.join(", "));
        let gains = "what is apart otherwise is one thing to these containers: who has one has the other's";
        look.tell(Medium, found, gains, "", "start it without `container:NAME`");
    }
}

fn ids(look: &mut Look<'_>) {
    if !look.is_own_root() {
        let gains = "root inside is root outside: one hole in the kernel, or one file of the host within reach, and the host is theirs";
        let flag = look.flag("--userns host");
        return look.tell(
            High,
            "the host's user namespace",
            gains,
            flag,
            &format!("leave {flag} off: its root is then nobody outside"),
        );
    }
    let users = &look.is.ids.users;
    if users.iter().any(|range| range.host == 0) {
        let gains = "one user inside is the host's root to every file that is bound";
        look.tell(
            High,
            "an id inside is root of the host",
            gains,
            "--userns keep-id or private:",
            "leave --userns off",
        );
    } else if users.iter().any(|range| range.host < 65_536) {
        let gains = "some users inside are users of the host to every file and process in reach";
        look.tell(
            Medium,
            "ids inside are users of the host",
            gains,
            "--userns keep-id or private:",
            "leave --userns off",
        );
    }
    let with = look.is.ids.with.join(", ");
    if !with.is_empty() && look.owner("user") != Owner::Shared {
        let gains = "their files and processes have the same owners";
        look.tell(
            Medium,
            format!("some of its ids are those of {with}, too"),
            gains,
            "--userns private:",
            "leave --userns off",
        );
    }
}

/// What the worst capabilities give over the host.
#[rustfmt::skip]
const WORST: [(&str, &str); 12] = [
    ("CAP_SYS_ADMIN", "mounts the host's disks, leaves its namespaces: it is the host's root"),
    ("CAP_SYS_MODULE", "loads code into the kernel"),
    ("CAP_SYS_RAWIO", "writes memory and disks past the kernel"),
    ("CAP_SYS_PTRACE", "takes over processes it sees, with --pid host the host's"),
    ("CAP_DAC_READ_SEARCH", "reads any file of the host's file systems by handle (shocker)"),
    ("CAP_BPF", "loads programs into the kernel"),
    ("CAP_PERFMON", "reads the kernel's memory through its counters"),
    ("CAP_SYS_BOOT", "reboots the host"),
    ("CAP_SYS_TIME", "sets the host's clock: certificates and logs lie"),
    ("CAP_SYSLOG", "reads the kernel's addresses and log"),
    ("CAP_NET_ADMIN", "sets addresses, routes and firewall of its network"),
    ("CAP_SYS_RESOURCE", "passes limits of processes and quotas"),
];

fn capabilities(look: &mut Look<'_>) {
    let default: Vec<_> = Capabilities::DEFAULT.iter().map(|one| one.to_string()).collect();
    let beyond: Vec<_> =
        look.is.capabilities.bounding.iter().filter(|name| !default.contains(name)).cloned().collect();
    if beyond.is_empty() {
        return;
    }
    let flag = look.flag("--cap-add").to_owned();
    if look.is.capabilities.over_host {
        for (name, gains) in WORST.iter().filter(|(name, _)| beyond.iter().any(|one| one == name)) {
            let close = match flag.as_str() {
                "--privileged" => {
                    format!(
                        "leave --privileged off; --cap-add {} is over its own namespaces only",
                        &name[4..]
                    )
                }
                flag => {
                    format!("leave {flag} off, or --userns host: then it is over its own namespaces only")
                }
            };
            look.tell(High, format!("{name}, over the host"), gains, &flag, &close);
        }
    } else {
        let count = beyond.len();
        let what =
            if count > 3 { format!("{count} capabilities beyond the default") } else { beyond.join(", ") };
        let gains = "power over its own namespaces only, but more of the kernel's code in reach: mounts, firewalls, …";
        look.tell(Medium, what, gains, &flag, &format!("leave {flag} off, or name fewer"));
    }
}

fn filter(look: &mut Look<'_>) {
    if look.is.seccomp.mode == "off" {
        let gains = "every system call is open: most holes of the kernel of the last years needed one of those the default refuses";
        let flag = look.flag("--security-opt seccomp=unconfined");
        look.tell(
            High,
            "no filter of system calls",
            gains,
            flag,
            &format!("leave {flag} off; --security-opt seccomp=FILE has more calls than the default"),
        );
    }
}

fn paths(look: &mut Look<'_>) {
    if look.is.masked.is_empty() {
        let gains = "reads what tells of the host (/proc/kcore, /proc/keys, /sys/firmware), and over the host's namespaces writes its settings";
        let flag = look.flag("--security-opt systempaths=unconfined");
        look.tell(
            if look.is_own_root() { Medium } else { High },
            "nothing of /proc and /sys is hidden",
            gains,
            flag,
            &format!("leave {flag} off"),
        );
    }
    if look.is.limits.writable {
        let gains = "lifts its own limits; on v1 over the host, runs a program there (release_agent)";
        let flag = look.flag("--security-opt writable-cgroups");
        let severity = if look.is_own_root() { Low } else { High };
        look.tell(severity, "its control groups are writable", gains, flag, &format!("leave {flag} off"));
    }
}

/// Sockets that are as good as root on the host.
#[rustfmt::skip]
const SOCKETS: [(&str, &str); 8] = [
    ("docker.sock", "docker's"), ("podman.sock", "podman's"), ("containerd.sock", "containerd's"), ("crio.sock", "CRI-O's"),
    ("buildkitd.sock", "BuildKit's"), ("system_bus_socket", "the system bus's"), ("dockershim.sock", "the kubelet's"),
    ("libvirt-sock", "libvirt's"),
];

/// Directories of the host that are the host: with what they lead to.
#[rustfmt::skip]
const DIRECTORIES: [(&str, &str); 16] = [
    ("/", "everything"), ("/etc", "accounts, services, timers"), ("/root", "root's keys and start files"), ("/boot", "the kernel"),
    ("/usr", "the host's programs"), ("/bin", "the host's programs"), ("/sbin", "the host's programs"), ("/lib", "the host's libraries"),
    ("/dev", "devices"), ("/proc", "the kernel's settings"), ("/sys", "the kernel's settings"), ("/run", "sockets of the host's services"),
    ("/var/run", "sockets of the host's services"), ("/var/lib", "what all services keep, and other containers"),
    ("/var/spool/cron", "timers"), ("/home", "users' keys and start files"),
];

fn mounts(look: &mut Look<'_>) {
    let binds: Vec<_> = look.is.mounts.iter().filter(|mount| mount.origin == Origin::Host).cloned().collect();
    for mount in &binds {
        bind(look, mount);
    }
    for mount in binds.iter().filter(|mount| mount.propagates) {
        let gains = "what it mounts there appears on the host";
        look.tell(
            Medium,
            format!("mounts below {} are shared", mount.target),
            gains,
            "bind-propagation=shared",
            "leave it off",
        );
    }
}

fn bind(look: &mut Look<'_>, mount: &Mount) {
    let source = mount.source.as_str();
    let flag = format!("-v {source}:{}", mount.target);
    let name = source.rsplit('/').next().unwrap_or_default();
    if let Some((_, whose)) = SOCKETS.iter().find(|(socket, _)| *socket == name) {
        let gains =
            "asks it for a container with the host's root in it: this is root on the host, :ro or not";
        return look.tell(
            High,
            format!("{source}: {whose} socket"),
            gains,
            &flag,
            "leave it off; a proxy that lets only some requests through",
        );
    }
    let known = DIRECTORIES.iter().find(|(path, _)| *path == source);
    let is_root = mount.mapped || !look.is_own_root();
    match (known, mount.writable) {
        (Some((_, what)), true) => {
            let severity = if is_root { High } else { Medium };
            let whose = if is_root { "as root of the host" } else { "as far as anybody on the host may" };
            let gains = format!("changes {what}, {whose}");
            look.tell(
                severity,
                format!("{source} of the host is writable"),
                &gains,
                &flag,
                &format!("{flag}:ro, or a directory of its own"),
            );
        }
        (Some((_, what)), false) => {
            look.tell(
                Medium,
                format!("{source} of the host is readable"),
                &format!("reads {what}{}", if is_root { ", as root of the host" } else { "" }),
                &flag,
                "bind less",
            );
        }
        (None, true) => {
            let gains = match is_root {
                true => {
                    "changes these files as root of the host, and makes setuid programs there: whoever runs them trusts the container"
                }
                false => {
                    "changes these files of the host: whoever reads or runs them there trusts the container"
                }
            };
            look.tell(
                Low,
                format!("{source} of the host is writable"),
                gains,
                &flag,
                &format!("{flag}:ro if it only reads"),
            );
        }
        (None, false) => {}
    }
}

/// Devices and what they lead to.
#[rustfmt::skip]
const RISKY: [(&str, &str); 7] = [
    ("/dev/mem", "reads and writes the machine's memory"), ("/dev/kmem", "reads and writes the kernel's memory"),
    ("/dev/port", "talks to hardware past the kernel"), ("/dev/kmsg", "reads and forges the kernel's log"),
    ("/dev/kvm", "runs virtual machines: more of the kernel in reach"), ("/dev/fuse", "file systems of its own: more of the kernel in reach"),
    ("/dev/loop-control", "makes block devices of files"),
];

fn devices(look: &mut Look<'_>) {
    if look.is.devices.all {
        let flag = look.flag("--device-cgroup-rule").to_owned();
        let severity = if look.is_own_root() { Medium } else { High };
        let gains = "opens the host's disks and memory: reads and writes every file past all permissions";
        return look.tell(
            severity,
            "all devices",
            gains,
            &flag,
            &format!("leave {flag} off; --device names the ones it needs"),
        );
    }
    let opens = |rule: &&super::value::Rule| rule.access.contains(['r', 'w']);
    let rules: Vec<_> = look.is.devices.rules.iter().filter(opens).cloned().collect();
    for rule in rules {
        let number = |number: Option<u32>| number.map_or("*".into(), |number| number.to_string());
        let name = rule
            .name
            .clone()
            .unwrap_or_else(|| format!("{} {}:{}", rule.kind, number(rule.major), number(rule.minor)));
        let risky = RISKY.iter().find(|(known, _)| *known == name);
        match (rule.kind, risky) {
            ('b', _) => look.tell(
                High,
                format!("block device {name}"),
                "reads and writes the disk past the file system's permissions",
                "--device",
                "bind the files it needs instead",
            ),
            (_, Some((_, gains))) => look.tell(Medium, name, gains, "--device", "leave it off"),
            _ => {}
        }
    }
}

fn modules(look: &mut Look<'_>) {
    let active = look.is.modules.active.clone().unwrap_or_default();
    let is_free =
        |label: &Option<String>| label.as_deref().is_none_or(|label| label.starts_with("unconfined"));
    let has = |name: &str| active.iter().any(|one| one == name);
    if (has("apparmor") || has("selinux")) && is_free(&look.is.modules.label) {
        let gains = "the rules that hold when all else is broken do not hold for it";
        look.tell(
            Medium,
            "no label of AppArmor or SELinux",
            gains,
            look.flag("--security-opt apparmor=unconfined, label=disable"),
            "name a profile, where the host has one",
        );
    }
}

fn limits(look: &mut Look<'_>) {
    let is_open = |look: &Look<'_>, name: &str| {
        !look.is.limits.resources.iter().any(|one| one.name == name && one.limit.is_some())
    };
    for (name, flag, gains) in [
        ("memory", "--memory", "takes all memory: the kernel kills whom it finds, not only here"),
        ("processes", "--pids-limit", "a fork bomb takes every pid of the host"),
        ("cpu", "--cpus", "takes all CPUs: neighbours wait"),
    ] {
        if is_open(look, name) {
            let close = if name == "cpu" {
                "--cpus 2".to_owned()
            } else {
                format!("{flag} {}", if name == "memory" { "512m" } else { "200" })
            };
            look.tell(Low, format!("no limit of {name}"), gains, "", &close);
        }
    }
    if look.is.oom.adjust < 0 {
        let gains = "when memory runs out others are killed in its place";
        look.tell(
            Medium,
            format!("oom score {}", look.is.oom.adjust),
            gains,
            "--oom-score-adj",
            "leave it off",
        );
    }
}

fn hardening(look: &mut Look<'_>) {
    if !look.is.no_new_privileges {
        let gains = "a setuid program inside makes a user of it root inside";
        look.tell(Low, "programs may gain privileges", gains, "", "--security-opt no-new-privileges");
    }
    if look.is.ids.user.0 == 0 && look.may("CAP_DAC_OVERRIDE") {
        let gains = "whoever breaks the program is root inside: changes every file of the container";
        look.tell(
            Low,
            "its program runs as root inside",
            gains,
            "",
            "-u 1000, and --cap-drop ALL if it needs none",
        );
    }
    if look.is.mounts.iter().any(|mount| mount.origin == Origin::Root && mount.writable) {
        let gains = "what was broken into can be changed to stay so until it is removed";
        look.tell(Low, "its root is writable", gains, "", "--read-only, with --tmpfs /tmp");
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::{Capabilities as Sets, Namespace, Rule};
    use super::*;
    use serde_json::json;

    fn plain() -> Isolation {
        let own = |kind| Namespace { kind, isolates: "", owner: Owner::Own, with: Vec::new(), inode: None };
        let mut is =
            Isolation { namespaces: ["user", "pid", "net"].map(own).to_vec(), ..Isolation::default() };
        is.capabilities = Sets { bounding: vec!["CAP_CHOWN".into()], ..Sets::default() };
        is.seccomp.mode = "filter";
        is.masked = vec!["/proc/kcore".into()];
        is.ids.users = vec![super::super::value::Range { inside: 0, host: 1_879_048_192, size: 65_536 }];
        is
    }

    fn worst(change: impl FnOnce(&mut Isolation)) -> Vec<(Severity, String)> {
        let mut is = plain();
        change(&mut is);
        of(&is, &Value::Null)
            .into_iter()
            .map(|one| (one.severity, one.found))
            .filter(|one| one.0 != Low)
            .collect()
    }

    fn bound(source: &str, writable: bool) -> Mount {
        let (target, kind, why) = ("/x".into(), "ext4".into(), String::new());
        let (source, propagates, mapped) = (source.into(), false, false);
        Mount { target, origin: Origin::Host, kind, source, writable, why, propagates, mapped }
    }

    #[test]
    fn what_hull_gives_by_default_is_only_to_be_hardened() {
        assert_eq!(worst(|_| {}), []);
    }

    #[test]
    fn each_door_is_found() {
        let high = |change: &dyn Fn(&mut Isolation), what: &str| {
            let found = worst(change);
            assert!(
                found.iter().any(|(severity, found)| *severity == High && found.contains(what)),
                "{what}: {found:?}"
            );
        };
        high(&|is| is.namespaces[0].owner = Owner::Host, "user namespace");
        high(&|is| is.namespaces[1].owner = Owner::Host, "pid namespace");
        high(&|is| is.seccomp.mode = "off", "no filter");
        high(&|is| is.mounts.push(bound("/run/docker.sock", false)), "docker's socket");
        high(
            &|is| {
                is.devices.rules.push(Rule {
                    kind: 'b',
                    major: Some(8),
                    minor: Some(0),
                    access: "rwm".into(),
                    name: None,
                })
            },
            "block device b 8:0",
        );
        high(&|is| is.ids.users[0].host = 0, "root of the host");
        high(
            &|is| {
                is.capabilities.over_host = true;
                is.capabilities.bounding.push("CAP_SYS_ADMIN".into());
            },
            "CAP_SYS_ADMIN",
        );
    }

    #[test]
    fn a_writable_directory_weighs_by_what_it_is_and_who_root_is() {
        assert_eq!(worst(|is| is.mounts.push(bound("/etc", true)))[0].0, Medium);
        assert_eq!(worst(|is| is.mounts.push(bound("/srv/data", true))), []);
        let mapped = worst(|is| is.mounts.push(Mount { mapped: true, ..bound("/etc", true) }));
        assert_eq!(mapped[0].0, High, "its root is the host's there");
        let both = worst(|is| {
            is.namespaces[0].owner = Owner::Host;
            is.mounts.push(bound("/etc", true));
        });
        assert!(both.iter().all(|(severity, _)| *severity == High), "{both:?}");
    }

    #[test]
    fn the_flag_is_the_one_that_was_typed() {
        let mut is = plain();
        is.seccomp.mode = "off";
        let asked = json!({"isolation": {"privileged": true}});
        assert_eq!(of(&is, &asked)[0].flag, "--privileged");
        assert_eq!(of(&is, &Value::Null)[0].flag, "--security-opt seccomp=unconfined");
    }
}

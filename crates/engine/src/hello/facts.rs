//! What the kernel says about the process that asks.

use std::collections::BTreeMap;

/// Where the texts come from: the kernel, or a captured set of files in tests.
pub(crate) trait Source {
    /// The whole of a file, `None` when it cannot be read.
    fn text(&self, path: &str) -> Option<String>;
    /// The target of a symbolic link, such as `pid:[4026531836]`.
    fn link(&self, path: &str) -> Option<String>;
}

/// The running kernel.
pub(crate) struct Kernel;

impl Source for Kernel {
    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    fn link(&self, path: &str) -> Option<String> {
        Some(std::fs::read_link(path).ok()?.to_string_lossy().into_owned())
    }
}

/// Everything the page tells; `None` stands for "could not be read".
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) pid: Option<u32>,
    pub(crate) hostname: Option<String>,
    /// By name, in the order of [`NAMESPACES`]: is it the process's own, not the host's?
    pub(crate) namespaces: Vec<(&'static str, Option<bool>)>,
    pub(crate) uid: Option<u32>,
    pub(crate) uid_map: Option<Vec<Range>>,
    pub(crate) interfaces: Option<Vec<String>>,
    pub(crate) memory: Limit<u64>,
    /// Thousandths of a CPU.
    pub(crate) cpu: Limit<u64>,
    pub(crate) pids: Limit<u64>,
    pub(crate) root: Option<Root>,
    pub(crate) capabilities: Option<u64>,
    /// Number of the kernel's last capability.
    pub(crate) last_capability: Option<u32>,
    pub(crate) seccomp: Option<u32>,
    pub(crate) no_new_privs: Option<bool>,
}

/// One line of `uid_map`, see user_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) inside: u32,
    pub(crate) host: u32,
    pub(crate) size: u32,
}

/// A limit as a cgroup has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Limit<T> {
    /// No file told.
    #[default]
    Unknown,
    /// `max`, `-1`, or the number that v1 takes for it.
    None,
    /// The limit.
    At(T),
}

/// The mount at `/`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) kind: String,
    /// Lower layers, for an overlay.
    pub(crate) layers: usize,
    pub(crate) writable: bool,
}

/// Names as in `/proc/self/ns`, and the inode number of the host's, fixed in the kernel's
/// `proc_ns.h`; net and mnt have one only since 6.18, so these two are also told by other signs.
const NAMESPACES: [(&str, u64); 8] = [
    ("user", 4026531837),
    ("mnt", 4026531832),
    ("pid", 4026531836),
    ("net", 4026531833),
    ("ipc", 4026531839),
    ("uts", 4026531838),
    ("cgroup", 4026531835),
    ("time", 4026531834),
];

impl Facts {
    /// Asks for everything; never fails, what is missing stays `None`.
    pub(crate) fn read(source: &dyn Source) -> Self {
        let status = source.text("/proc/self/status").unwrap_or_default();
        let field = |name: &str| status_field(&status, name);
        let number = |name: &str| field(name).and_then(|value| value.parse().ok());
        Self {
            pid: number("Pid"),
            hostname: line(source, "/proc/sys/kernel/hostname"),
            namespaces: NAMESPACES.map(|(name, host)| (name, own_namespace(source, name, host))).to_vec(),
            uid: number("Uid"),
            uid_map: source.text("/proc/self/uid_map").map(|text| ranges(&text)),
            interfaces: source.text("/proc/self/net/dev").map(|text| interfaces(&text)),
            root: source.text("/proc/self/mountinfo").and_then(|text| root(&text)),
            capabilities: field("CapEff").and_then(|hex| u64::from_str_radix(hex, 16).ok()),
            last_capability: line(source, "/proc/sys/kernel/cap_last_cap").and_then(|n| n.parse().ok()),
            seccomp: number("Seccomp"),
            no_new_privs: field("NoNewPrivs").map(|value| value == "1"),
            ..limits(source)
        }
    }
}

fn limits(source: &dyn Source) -> Facts {
    let cgroups = Cgroups::read(source);
    Facts {
        memory: bytes(&cgroups, "memory.max", "memory", "memory.limit_in_bytes"),
        cpu: cpu(&cgroups),
        pids: plain(&cgroups, "pids.max", "pids", "pids.max"),
        ..Facts::default()
    }
}

fn line(source: &dyn Source, path: &str) -> Option<String> {
    Some(source.text(path)?.trim().to_owned())
}

/// The first word after `Name:` in `/proc/self/status`.
fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    found.split_whitespace().next()
}

fn own_namespace(source: &dyn Source, name: &str, host: u64) -> Option<bool> {
    let link = source.link(&format!("/proc/self/ns/{name}"))?;
    let inode: u64 = link.split_once('[')?.1.strip_suffix(']')?.parse().ok()?;
    match name {
        // The sysctls of the whole machine are only seen from the first network namespace
        // (net_core_table in net/core/sysctl_net_core.c).
        "net" => Some(inode != host && source.text("/proc/sys/net/core/netdev_budget").is_none()),
        // Before 6.18 the first mount namespace had the first free number, or the one after.
        "mnt" => Some(![host, 4026531840, 4026531841].contains(&inode)),
        _ => Some(inode != host),
    }
}

fn ranges(text: &str) -> Vec<Range> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
            Some(Range { inside: numbers.next()?, host: numbers.next()?, size: numbers.next()? })
        })
        .collect()
}

/// Two header lines, then `name: counters`.
fn interfaces(text: &str) -> Vec<String> {
    text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// The last mount at `/` counts: it lies over the others, see proc_pid_mountinfo(5).
fn root(mountinfo: &str) -> Option<Root> {
    let line = mountinfo.lines().rfind(|line| line.split(' ').nth(4) == Some("/"))?;
    let (mount, fs) = line.split_once(" - ")?;
    let mut fs = fs.split(' ');
    let (kind, _source, options) = (fs.next()?, fs.next()?, fs.next().unwrap_or(""));
    let writable = [mount.split(' ').nth(5)?, options].iter().all(|o| o.split(',').all(|o| o != "ro"));
    Some(Root { kind: kind.to_owned(), layers: layers(options), writable })
}

/// Overlay tells its lower layers as one `lowerdir=a:b:c`, or one `lowerdir+=` each when it was
/// mounted that way; in both a colon of a name is escaped.
fn layers(options: &str) -> usize {
    let one = |option: &str| match (option.strip_prefix("lowerdir="), option.strip_prefix("lowerdir+=")) {
        (Some(list), _) => list.replace("\\\\", "").replace("\\:", "").split(':').count(),
        (_, Some(_)) => 1,
        _ => 0,
    };
    options.split(',').map(one).sum()
}

/// Where this process's limits are to be found, see cgroups(7).
struct Cgroups<'a> {
    source: &'a dyn Source,
    /// Controller (empty for v2) to the path in its hierarchy.
    paths: BTreeMap<String, String>,
}

impl<'a> Cgroups<'a> {
    fn read(source: &'a dyn Source) -> Self {
        let text = source.text("/proc/self/cgroup").unwrap_or_default();
        let paths = text.lines().flat_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (names, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
            names.split(',').map(|name| (name.to_owned(), path.to_owned())).collect::<Vec<_>>()
        });
        Self { source, paths: paths.collect() }
    }

    /// With a cgroup namespace the path is `/`; without, it is the host's, and the mount may show
    /// either the host's tree or only this group's.
    fn file(&self, mount: &str, controller: &str, file: &str) -> Option<String> {
        let path = self.paths.get(controller)?.trim_end_matches('/');
        let at = |path: &str| line(self.source, &format!("/sys/fs/cgroup{mount}{path}/{file}"));
        at(path).or_else(|| at(""))
    }

    fn v2(&self, file: &str) -> Option<String> {
        self.file("", "", file)
    }

    fn v1(&self, controller: &str, file: &str) -> Option<String> {
        self.file(&format!("/{controller}"), controller, file)
    }
}

fn plain(cgroups: &Cgroups, v2: &str, controller: &str, v1: &str) -> Limit<u64> {
    match cgroups.v2(v2).or_else(|| cgroups.v1(controller, v1)) {
        None => Limit::Unknown,
        Some(text) => text.parse().map_or(Limit::None, Limit::At),
    }
}

fn bytes(cgroups: &Cgroups, v2: &str, controller: &str, v1: &str) -> Limit<u64> {
    match plain(cgroups, v2, controller, v1) {
        // v1 knows no `max`: unlimited is LONG_MAX rounded down to a page (PAGE_COUNTER_MAX).
        Limit::At(n) if n >= i64::MAX as u64 - 0xffff => Limit::None,
        limit => limit,
    }
}

/// `cpu.max` holds quota and period in one line, v1 in two files; both in microseconds.
fn cpu(cgroups: &Cgroups) -> Limit<u64> {
    let v1 = |file| cgroups.v1("cpu", file);
    let split = |text: String| text.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let pair = cgroups.v2("cpu.max").and_then(split);
    let Some((quota, period)) = pair.or_else(|| v1("cpu.cfs_quota_us").zip(v1("cpu.cfs_period_us"))) else {
        return Limit::Unknown;
    };
    match (quota.parse::<u64>(), period.parse::<u64>()) {
        (Ok(quota), Ok(period)) if period > 0 => Limit::At(quota * 1000 / period),
        _ => Limit::None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Captured files; `link` entries start with `->`.
    pub(crate) struct Captured(pub(crate) Vec<(&'static str, &'static str)>);

    impl Source for Captured {
        fn text(&self, path: &str) -> Option<String> {
            self.0.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        }

        fn link(&self, path: &str) -> Option<String> {
            Some(self.text(path)?.strip_prefix("->")?.to_owned())
        }
    }

    pub(crate) fn v2() -> Captured {
        Captured(vec![
            (
                "/proc/self/status",
                "Name:\thello\nPid:\t1\nUid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n",
            ),
            ("/proc/sys/kernel/hostname", "3f2a9c0d11be\n"),
            ("/proc/sys/kernel/cap_last_cap", "40\n"),
            ("/proc/self/uid_map", "         0 1879048192      65536\n"),
            ("/proc/self/net/dev", "Inter-|   Receive\n face |bytes\n    lo:       0       0\n"),
            ("/proc/self/ns/user", "->user:[4026532241]"),
            ("/proc/self/ns/mnt", "->mnt:[4026532242]"),
            ("/proc/self/ns/pid", "->pid:[4026532245]"),
            ("/proc/self/ns/net", "->net:[4026532247]"),
            ("/proc/self/ns/ipc", "->ipc:[4026532244]"),
            ("/proc/self/ns/uts", "->uts:[4026532243]"),
            ("/proc/self/ns/cgroup", "->cgroup:[4026532246]"),
            ("/proc/self/ns/time", "->time:[4026531834]"),
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "67108864\n"),
            ("/sys/fs/cgroup/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/pids.max", "max\n"),
            (
                "/proc/self/mountinfo",
                "600 599 0:52 / / rw,relatime - overlay hull rw,lowerdir+=/layers/aa/fs,lowerdir+=/layers/bb/fs,\
                 lowerdir+=/skeleton,upperdir=/c/upper,workdir=/c/work,redirect_dir=off\n\
                 601 600 0:55 / /proc rw,nosuid - proc proc rw\n",
            ),
        ])
    }

    pub(crate) fn v1() -> Captured {
        Captured(vec![
            (
                "/proc/self/status",
                "Pid:\t1\nUid:\t1000\t0\t0\t0\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t0\n",
            ),
            ("/proc/self/uid_map", "         0          0 4294967295\n"),
            ("/proc/self/ns/user", "->user:[4026531837]"),
            ("/proc/self/ns/net", "->net:[4026531840]"),
            ("/proc/sys/net/core/netdev_budget", "300\n"),
            ("/proc/self/cgroup", "5:memory:/hull/abc\n4:cpu,cpuacct:/hull/abc\n1:name=systemd:/\n0::/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/cpu/hull/abc/cpu.cfs_quota_us", "50000\n"),
            ("/sys/fs/cgroup/cpu/hull/abc/cpu.cfs_period_us", "100000\n"),
            (
                "/proc/self/mountinfo",
                "31 1 0:27 / / ro,relatime - overlay overlay ro,lowerdir=/a\\:b:/c:/d\n",
            ),
        ])
    }

    #[test]
    fn v2_limits_are_one_file_each() {
        let facts = Facts::read(&v2());
        assert_eq!(
            (facts.memory, facts.cpu, facts.pids),
            (Limit::At(64 << 20), Limit::At(1500), Limit::None)
        );
    }

    #[test]
    fn v1_limits_are_found_below_their_controller_with_and_without_the_path() {
        let facts = Facts::read(&v1());
        assert_eq!((facts.memory, facts.cpu, facts.pids), (Limit::None, Limit::At(500), Limit::Unknown));
    }

    #[test]
    fn a_namespace_is_own_when_it_is_not_the_hosts() {
        let own = |facts: Facts, name| facts.namespaces.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(own(Facts::read(&v2()), "net"), Some(true));
        assert_eq!(own(Facts::read(&v2()), "time"), Some(false));
        assert_eq!(own(Facts::read(&v1()), "net"), Some(false));
        assert_eq!(own(Facts::read(&v1()), "user"), Some(false));
        assert_eq!(own(Facts::read(&v1()), "ipc"), None);
    }

    #[test]
    fn layers_are_counted_in_both_of_overlays_notations() {
        let root = |source: Captured| Facts::read(&source).root.unwrap();
        assert_eq!(root(v2()), Root { kind: "overlay".into(), layers: 3, writable: true });
        assert_eq!(root(v1()), Root { kind: "overlay".into(), layers: 3, writable: false });
    }

    #[test]
    fn nothing_readable_is_nothing_known() {
        let facts = Facts::read(&Captured(Vec::new()));
        assert_eq!((facts.pid, facts.memory, facts.root), (None, Limit::Unknown, None));
    }

    #[test]
    fn this_very_process_is_told_by_the_kernel() {
        let facts = Facts::read(&Kernel);
        assert_eq!(facts.pid, Some(std::process::id()));
        assert!(facts.root.is_some() && facts.capabilities.is_some());
    }
}

//! The value itself: plain data, which an edge shows as text, JSON or a page.
//!
//! Its JSON is documented in `docs/explain.schema.json`.

use serde::Serialize;

/// What isolates a container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The version of this form, [`super::SCHEMA`].
    pub schema: u32,
    /// Whom it is about.
    pub container: Subject,
    /// Whom it is isolated from.
    pub host: Host,
    /// What isolates it: of one that runs what the kernel says, of another what it would have.
    pub isolation: Isolation,
    /// What its files are made of.
    pub layers: Layers,
    /// What is weaker than it could be, the worst first.
    pub weaknesses: Vec<Weakness>,
    /// Where the kernel says otherwise than was asked for.
    pub differences: Vec<Difference>,
}

/// Whom an explanation is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subject {
    /// The full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image as it was typed.
    pub image: String,
    /// What it runs.
    pub command: Vec<String>,
    /// docker's word for its state.
    pub status: String,
    /// The first process, as the host counts; none if it does not run.
    pub pid: Option<i32>,
}

/// The host, as far as isolation depends on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// e.g. `6.18.44`
    pub kernel: String,
    /// `v1`, `hybrid`, `v2`
    pub cgroups: String,
    /// Other containers that run.
    pub neighbours: usize,
}

/// All that stands between a container, the host and its neighbours.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Isolation {
    /// In the order of [`super::words::NAMESPACES`].
    pub namespaces: Vec<Namespace>,
    /// Users and groups.
    pub ids: Ids,
    /// What its root may do.
    pub capabilities: Capabilities,
    /// Calls that are refused.
    pub seccomp: Seccomp,
    /// No program it starts gains privileges: setuid and file capabilities are void.
    pub no_new_privileges: bool,
    /// Security modules.
    pub modules: Modules,
    /// What is mounted, in the kernel's order.
    pub mounts: Vec<Mount>,
    /// What of /proc and /sys is hidden.
    pub masked: Vec<String>,
    /// Devices that may be opened.
    pub devices: Devices,
    /// What can be reached, and from where it can be.
    pub network: Network,
    /// What it may use, and uses.
    pub limits: Limits,
    /// Who dies first when memory runs out.
    pub oom: Oom,
}

/// Whose a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The container's alone.
    Own,
    /// The host's.
    Host,
    /// Its and other containers'.
    Shared,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// The kernel's word, as in `/proc/PID/ns`.
    pub kind: &'static str,
    /// What it keeps apart.
    pub isolates: &'static str,
    /// Whose it is.
    pub owner: Owner,
    /// Names of other containers in it.
    pub with: Vec<String>,
    /// Its number; none of a container that does not run.
    pub inode: Option<u64>,
}

/// A line of an id map, see user_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first id inside.
    pub inside: u32,
    /// The id that it is on the host.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// Users and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ids {
    /// Of users.
    pub users: Vec<Range>,
    /// Of groups.
    pub groups: Vec<Range>,
    /// The first process's user: inside, and on the host.
    pub user: (u32, u32),
    /// Who root inside is on the host; none where there is no root.
    pub root: Option<u32>,
    /// Containers that have some of these ids on the host, too.
    pub with: Vec<String>,
}

/// The five sets of the first process, see capabilities(7); names as `CAP_CHOWN`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// What the kernel asks for.
    pub effective: Vec<String>,
    /// What may become effective.
    pub permitted: Vec<String>,
    /// What a program with file capabilities may keep.
    pub inheritable: Vec<String>,
    /// The most that any process inside can ever have.
    pub bounding: Vec<String>,
    /// What stays with programs that know nothing of capabilities.
    pub ambient: Vec<String>,
    /// Do they hold over the host, and not only over what the container's own user namespace owns?
    pub over_host: bool,
    /// Each of the bounding set, and what it allows here.
    pub meaning: Vec<Meaning>,
}

/// A capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// As `CAP_CHOWN`.
    pub name: String,
    /// In a line.
    pub allows: &'static str,
    /// It means nothing in a user namespace of the container's own.
    pub is_void: bool,
}

/// The filter of system calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Seccomp {
    /// `off`, `strict`, `filter`, from /proc/PID/status; see proc_pid_status(5).
    pub mode: &'static str,
    /// How many filters are installed; the program may have added its own.
    pub filters: Option<u32>,
    /// Calls of this machine that the profile lets through whatever their arguments.
    pub allowed: usize,
    /// Calls that are refused always,
    pub refused: usize,
    /// or with some arguments.
    pub conditional: usize,
    /// What that means, by what the calls are for.
    pub groups: Vec<Calls>,
}

/// Calls with one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// What they are for.
    pub purpose: &'static str,
    /// Those that are refused,
    pub refused: Vec<&'static str>,
    /// refused with some arguments,
    pub conditional: Vec<&'static str>,
    /// let through.
    pub open: Vec<&'static str>,
}

/// Security modules of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Modules {
    /// Those that are on, from /sys/kernel/security/lsm; none where that cannot be read.
    pub active: Option<Vec<String>>,
    /// The first process's label (AppArmor's profile, SELinux's context), if it has one.
    pub label: Option<String>,
    /// Version of Landlock's interface: programs inside can confine themselves further. The kernel tells nobody
    /// whether they do.
    pub landlock: Option<u32>,
}

/// What a mount shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The image's layers under the container's own.
    Root,
    /// Files of the kernel's: proc, sysfs, cgroup.
    Kernel,
    /// Memory of the container's own.
    Memory,
    /// A file or directory of the host.
    Host,
    /// A file that hull made for this container, such as /etc/hosts.
    Hull,
    /// Nothing: what is below is hidden.
    Mask,
    /// A device of the host.
    Device,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where, inside.
    pub target: String,
    /// What it shows.
    pub origin: Origin,
    /// The file system.
    pub kind: String,
    /// Where it comes from: a path of the host's if it is known, or the kernel's word.
    pub source: String,
    /// May the container write there?
    pub writable: bool,
    /// Why, or why not.
    pub why: String,
    /// Do mounts made inside appear outside?
    pub propagates: bool,
    /// Do ids inside mean the same ids of the host here, by an id-mapped mount? Its root is then root of the host to
    /// these files, whatever its user namespace says.
    pub mapped: bool,
}

/// Devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Devices {
    /// Everything may be opened.
    pub all: bool,
    /// What enforces it: `devices.list`, `program`, or `none`.
    pub enforced: &'static str,
    /// What may be opened or made.
    pub rules: Vec<Rule>,
}

/// A rule that allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// `c` or `b`; `a` for both.
    pub kind: char,
    /// Major number; none is any.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// Of `rwm`: read, write, make a node.
    pub access: String,
    /// What it is, if that is known.
    pub name: Option<String>,
}

/// The network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// In a line.
    pub reach: String,
    /// Interfaces.
    pub interfaces: Vec<String>,
    /// Addresses.
    pub addresses: Vec<String>,
    /// Is there a way out?
    pub has_route: bool,
    /// Ports that somebody listens on, e.g. `tcp 0.0.0.0:80`; of a network of its own only.
    pub listens: Vec<String>,
}

/// What it may use, and uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Limits {
    /// The control group, as /proc/PID/cgroup has it.
    pub group: String,
    /// May the container set its own limits?
    pub writable: bool,
    /// One by one.
    pub resources: Vec<Resource>,
    /// How often a process was killed for want of memory.
    pub oom_kills: u64,
    /// Whose pressure that is: `container`, or `host` where the kernel counts none of groups (v1).
    pub pressure_of: &'static str,
    /// Share of the last ten seconds in which some task waited, percent.
    pub pressure: Vec<Pressure>,
    /// Limits of single processes, getrlimit(2), that matter for others.
    pub processes: Vec<ProcessLimit>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resource {
    /// `memory`, `memory+swap`, `cpu`, `cpu shares`, `processes`, `cpus`, `disk`.
    pub name: &'static str,
    /// The most there may be; none is no limit. A number in `unit`, or a list.
    pub limit: Option<String>,
    /// What there is now, likewise.
    pub used: Option<String>,
    /// `bytes`, `cpus`, `seconds`, `processes`, or empty.
    pub unit: &'static str,
}

/// Pressure stall information of a resource, psi.rst of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pressure {
    /// `cpu`, `memory`, `io`.
    pub resource: &'static str,
    /// Percent of the last 10, 60 and 300 seconds in which some task waited.
    pub some: [f64; 3],
}

/// A limit of each process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessLimit {
    /// As in /proc/PID/limits.
    pub name: String,
    /// What holds.
    pub soft: String,
    /// The most that may be set.
    pub hard: String,
}

/// Who dies first when the host's memory runs out, proc_pid_oom_score_adj(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Oom {
    /// -1000 (never) to 1000 (first).
    pub adjust: i32,
    /// The kernel's own sum now.
    pub score: Option<i32>,
}

/// What its files are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Layers {
    /// The image's, lowest first.
    pub image: Vec<Layer>,
    /// Bytes of files that it wrote itself.
    pub written: u64,
    /// May it write at all?
    pub read_only: bool,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its DiffId.
    pub id: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// Images that have it.
    pub images: Vec<String>,
    /// Other containers that have it.
    pub containers: Vec<String>,
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The host is in reach.
    High,
    /// Others are, or one wall less stands before the host.
    Medium,
    /// It could be stronger.
    Low,
}

/// What is weaker than it could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weakness {
    /// How bad.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What an attacker inside gains.
    pub gains: String,
    /// What made it so, as typed; empty where nothing was.
    pub flag: String,
    /// What closes it.
    pub close: String,
}

/// Two that are not the same: what was asked for and what is, or one container and another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of what.
    pub what: String,
    /// Asked for; of the first.
    pub one: String,
    /// What is; of the second.
    pub other: String,
}

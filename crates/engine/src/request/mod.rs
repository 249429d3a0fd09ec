//! What a user means by `hull run`: nouns with their values already understood.
//!
//! An edge (the command line, later HTTP and CRI) makes a [`RunRequest`]; the engine turns it and
//! an image into a runtime-spec `Spec`. Each field names the flag of `docker run` it stands for.
//! An absent value means the default of docker, and the image's word where it has one.
//!
//! The nouns that have a syntax of their own read it (`FromStr`, or a plain function for a number),
//! in docker's words where they refuse it. They read text alone: files, the environment and the
//! current directory are the edge's.

mod device;
mod duration;
mod limit;
mod mount;
mod namespace;
mod restart;
mod security;
mod size;
#[cfg(test)]
mod tests;
mod word;

pub use duration::duration;
pub use limit::{cpu_list, cpus, device_bytes, device_operations, device_weight, swappiness};
pub use logs::Choice as LogChoice;
pub use restart::Restart;
pub use security::SecurityOption;
pub use size::{size, size_or_unlimited};
pub use word::{detach_keys, dns_search, host_address, label, one_line, pairs, signal};

use oci::{Platform, Reference};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Why a value as typed has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It never has one.
    Invalid,
    /// It has one for docker, and hull does not do it yet.
    NotYet,
}

/// A value as typed that has no meaning.
pub type Error = fault::Error<Kind>;

/// A value, or why it has no meaning.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn invalid<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::new(Kind::Invalid, what))
}

fn later<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Error::new(Kind::NotYet, format!("{what} are not available yet")))
}

/// Everything `hull run` (and later `create`) was asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunRequest {
    /// The image as typed; docker's rules for names, or an id or prefix of one.
    pub image: String,
    /// Arguments after the image; replace the image's `Cmd`.
    pub command: Vec<String>,
    /// `--name`
    pub name: Option<String>,
    /// `--platform`
    pub platform: Option<Platform>,
    /// `--pull`
    pub pull: Pull,
    /// `--rm`
    pub remove: bool,
    /// `--restart`
    #[serde(default, skip_serializing_if = "Restart::is_no")]
    pub restart: Restart,
    /// `--health-*`, `--no-healthcheck`; goes over the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<oci::Healthcheck>,
    /// hull's own program on the host: what `--init` runs.
    pub program: PathBuf,
    /// `--cidfile`: written with the full id once the container exists; must not exist before.
    pub cidfile: Option<PathBuf>,
    /// `--pidfile`: written with the host pid of the first process.
    pub pidfile: Option<PathBuf>,
    /// `--label`, `--label-file`
    pub labels: BTreeMap<String, String>,
    /// `--annotation`
    pub annotations: BTreeMap<String, String>,
    /// What is executed, and how.
    pub process: ProcessRequest,
    /// How its standard streams are wired.
    pub streams: StreamsRequest,
    /// What it sees of files.
    pub files: FilesRequest,
    /// What separates it from the host.
    pub isolation: IsolationRequest,
    /// What it may use.
    pub limits: LimitsRequest,
}

/// `--pull`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pull {
    /// Use what is there, fetch what is not (there is no registry yet: absent is an error).
    #[default]
    Missing,
    /// Use only what is there.
    Never,
    /// Always ask the registry.
    Always,
}

/// What is executed, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProcessRequest {
    /// `--entrypoint`; `Some("")` clears the image's.
    pub entrypoint: Option<String>,
    /// `-e`, `--env-file`, in order: `NAME=value`, or a bare `NAME` that removes the image's. (A bare
    /// `-e NAME` is resolved from the caller's environment by the edge.)
    pub env: Vec<String>,
    /// `-w`
    pub workdir: Option<String>,
    /// `-u`: `user[:group]`, names or numbers, resolved inside the image.
    pub user: Option<String>,
    /// `--group-add`: names or numbers.
    pub groups: Vec<String>,
    /// `--init`: a small reaper as pid 1.
    pub init: bool,
    /// `--stop-signal`, e.g. `SIGTERM` or `15`.
    pub stop_signal: Option<String>,
    /// `--stop-timeout`, in seconds; -1 waits for ever.
    pub stop_timeout: Option<i32>,
    /// `--ulimit name=soft[:hard]`
    pub ulimits: Vec<Ulimit>,
    /// `--oom-score-adj`, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
}

/// One `--ulimit`; -1 in docker's syntax is `u64::MAX` here (RLIM_INFINITY).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Lower case without `RLIMIT_`: `nofile`.
    pub name: String,
    /// In the limit's own unit, see getrlimit(2).
    pub soft: u64,
    /// In the limit's own unit, see getrlimit(2).
    pub hard: u64,
}

/// How the standard streams are wired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamsRequest {
    /// `-t`
    pub tty: bool,
    /// `-i`
    pub interactive: bool,
    /// `-a`; empty means stdout and stderr, and stdin with `-i`.
    pub attach: Vec<Stream>,
    /// `--sig-proxy`
    pub proxy_signals: bool,
    /// `--detach-keys` as bytes; docker's default is Ctrl-P Ctrl-Q.
    pub detach_keys: Vec<u8>,
    /// `--log-driver`, `--log-opt`
    #[serde(default)]
    pub log: logs::Choice,
}

impl Default for StreamsRequest {
    fn default() -> Self {
        Self {
            tty: false,
            interactive: false,
            attach: Vec::new(),
            proxy_signals: true,
            detach_keys: vec![16, 17],
            log: logs::Choice::default(),
        }
    }
}

/// One of a process's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Descriptor 0.
    Stdin,
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// What the container sees of files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FilesRequest {
    /// `--read-only`: the root is mounted read-only.
    pub read_only: bool,
    /// `-v`, `--mount`, `--tmpfs`, in the order typed.
    pub mounts: Vec<MountRequest>,
    /// `--device`
    pub devices: Vec<DeviceRequest>,
    /// `--device-cgroup-rule`, as typed and checked: `c 1:3 rwm`.
    pub device_rules: Vec<DeviceRule>,
    /// `--shm-size`, bytes; 64 MiB when absent.
    pub shm_size: Option<u64>,
    /// `--storage-opt` has no counterpart; left out.
    pub hostname: Option<String>,
    /// `--domainname`
    pub domainname: Option<String>,
    /// `--add-host name:ip`, `/etc/hosts` lines.
    pub add_hosts: Vec<(String, std::net::IpAddr)>,
    /// `--dns`
    pub dns: Vec<std::net::IpAddr>,
    /// `--dns-search`
    pub dns_search: Vec<String>,
    /// `--dns-option`
    pub dns_options: Vec<String>,
}

/// A mount in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Absolute path in the container.
    pub target: String,
    /// Where it comes from.
    pub source: MountSource,
    /// `ro`
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A directory or file of the host.
    Bind {
        /// Absolute; docker's `-v` makes a missing one a directory, `--mount` refuses it.
        path: PathBuf,
        /// Make a missing source directory.
        create: bool,
        /// `rprivate` (default), `private`, `rshared`, `shared`, `rslave`, `slave`.
        propagation: Option<String>,
        /// Not recursive: `bind-recursive=disabled`, or `bind-nonrecursive`.
        non_recursive: bool,
        /// What read-only means for mounts below: `bind-recursive=enabled|writable|readonly`.
        read_only_recursive: ReadOnlyRecursive,
        /// `z`, `Z`: the SELinux label of the source; nothing to do on a host without SELinux.
        relabel: Relabel,
    },
    /// Memory.
    Tmpfs {
        /// Bytes; absent means half of memory, as the kernel has it.
        size: Option<u64>,
        /// Permission bits; 0o1777 when absent.
        mode: Option<u32>,
        /// Further options of `--tmpfs`, e.g. `noexec`, `uid=1000`.
        options: Vec<String>,
    },
}

/// `bind-recursive` of a read-only bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadOnlyRecursive {
    /// Read-only below too where the kernel can (5.12).
    #[default]
    IfPossible,
    /// `writable`: mounts below stay writable.
    Writable,
    /// `readonly`: read-only below too, or fail.
    Required,
}

/// What becomes of the SELinux label of a bind's source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relabel {
    /// It stays.
    #[default]
    Keep,
    /// `z`: containers share it.
    Shared,
    /// `Z`: this container's alone.
    Private,
}

/// `--device host[:container[:rwm]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// On the host: a node, or a directory of nodes.
    pub host: PathBuf,
    /// In the container.
    pub container: PathBuf,
    /// A subset of `rwm`.
    pub access: String,
}

/// `--device-cgroup-rule`: type, numbers (absent is `*`) and a subset of `rwm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `a`, `b` or `c`.
    pub kind: char,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// A subset of `rwm`.
    pub access: String,
}

/// What separates the container from the host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct IsolationRequest {
    /// `--privileged`
    pub privileged: bool,
    /// `--cap-add`: names without `CAP_`, upper case, or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`: likewise.
    pub cap_drop: Vec<String>,
    /// `--security-opt no-new-privileges[=true|false]`
    pub no_new_privileges: bool,
    /// `--security-opt seccomp=…`
    pub seccomp: Seccomp,
    /// `--security-opt apparmor=PROFILE`
    pub apparmor: Option<String>,
    /// `--security-opt label=…`: `disable`, or `user:…`, `role:…`, `type:…`, `level:…`.
    pub labels: Vec<String>,
    /// `--security-opt systempaths=unconfined`: nothing is masked or read-only.
    pub system_paths_unconfined: bool,
    /// `--security-opt writable-cgroups[=true]`
    pub writable_cgroups: bool,
    /// `--security-opt mask=PATH[:PATH…]` (podman's)
    pub mask: Vec<String>,
    /// `--security-opt unmask=ALL|PATH[:PATH…]` (podman's)
    pub unmask: Vec<String>,
    /// `--userns`
    pub userns: UserNamespace,
    /// `--pid`
    pub pid: Namespace,
    /// `--ipc`
    pub ipc: IpcNamespace,
    /// `--uts`
    pub uts: Namespace,
    /// `--cgroupns`
    pub cgroupns: Namespace,
    /// `--network`
    pub network: Network,
    /// `--time OFFSETS`: an own time namespace.
    pub time: Option<TimeOffsets>,
    /// `--sysctl name=value`
    pub sysctls: BTreeMap<String, String>,
}

/// `--security-opt seccomp=`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// docker's default profile.
    #[default]
    Default,
    /// `unconfined`
    Unconfined,
    /// The JSON text of a profile file in docker's format.
    Profile(String),
}

/// `--userns`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNamespace {
    /// `auto`, `private`: 65,536 ids of its own from hull's pool, and as many again for each further block of them in
    /// which its user or an owner of the image's files is.
    #[default]
    Auto,
    /// `host`: no user namespace.
    Host,
    /// `keep-id[:uid=N,gid=N]`: the caller's ids are the same numbers inside, or the given ones.
    KeepId {
        /// Inside; the caller's when absent.
        uid: Option<u32>,
        /// Inside; the caller's when absent.
        gid: Option<u32>,
    },
    /// `private:CONTAINER:HOST:SIZE[,…]`: exactly this map for users and groups.
    Mapped(Vec<IdMap>),
}

/// One line of a `uid_map`, see user_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id on the host.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// A namespace that is either the container's own, the host's or another container's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespace {
    /// `private`, or nothing said.
    #[default]
    Private,
    /// `host`
    Host,
    /// `container:NAME|ID`
    Container(String),
}

/// `--ipc`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpcNamespace {
    /// Own namespace and own `/dev/shm`.
    #[default]
    Private,
    /// As `Private`, and another container may join.
    Shareable,
    /// Own namespace, no `/dev/shm` mount.
    None,
    /// The host's namespace and `/dev/shm`.
    Host,
    /// `container:NAME|ID`
    Container(String),
}

/// `--network`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Own namespace with `lo` alone. The default until bridge networks come.
    #[default]
    None,
    /// The host's.
    Host,
    /// `container:NAME|ID`
    Container(String),
}

/// Offsets of an own time namespace, see time_namespaces(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOffsets {
    /// Added to CLOCK_MONOTONIC, nanoseconds.
    pub monotonic: i64,
    /// Added to CLOCK_BOOTTIME, nanoseconds.
    pub boottime: i64,
}

/// What the container may use. Absent means no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitsRequest {
    /// `--memory`, bytes; at least 6 MiB.
    pub memory: Option<u64>,
    /// `--memory-swap`, bytes of memory and swap together; -1 unlimited. Absent with `memory` set: twice memory.
    pub memory_swap: Option<i64>,
    /// `--memory-reservation`, bytes.
    pub memory_reservation: Option<u64>,
    /// `--memory-swappiness`, 0 to 100 (v1 only).
    pub memory_swappiness: Option<u64>,
    /// `--oom-kill-disable` (v1 only)
    pub oom_kill_disable: bool,
    /// `--cpus`, in billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// `--cpu-period`, microseconds.
    pub cpu_period: Option<u64>,
    /// `--cpu-quota`, microseconds.
    pub cpu_quota: Option<i64>,
    /// `--cpu-shares`, 2 to 262144; 1024 is the norm.
    pub cpu_shares: Option<u64>,
    /// `--cpu-rt-period`, microseconds.
    pub cpu_rt_period: Option<u64>,
    /// `--cpu-rt-runtime`, microseconds.
    pub cpu_rt_runtime: Option<i64>,
    /// `--cpuset-cpus`, e.g. `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`; 0 or -1 is unlimited.
    pub pids: Option<i64>,
    /// `--blkio-weight`, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// `--blkio-weight-device PATH:WEIGHT`
    pub blkio_weight_device: Vec<(PathBuf, u16)>,
    /// `--device-read-bps PATH:BYTES`
    pub read_bps: Vec<(PathBuf, u64)>,
    /// `--device-write-bps`
    pub write_bps: Vec<(PathBuf, u64)>,
    /// `--device-read-iops`
    pub read_iops: Vec<(PathBuf, u64)>,
    /// `--device-write-iops`
    pub write_iops: Vec<(PathBuf, u64)>,
    /// `--cgroup-parent`
    pub cgroup_parent: Option<String>,
}

/// Where an image should go: `hull import`, `hull tag`.
pub type Target = Option<Reference>;

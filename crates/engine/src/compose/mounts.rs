//! What is mounted where, and what of /proc and /sys is hidden.

use super::process::{INIT, clean, runs_init};
use super::{Error, Facts, Kind, Result, invalid};
use crate::request::{
    IpcNamespace, IsolationRequest, MountRequest, MountSource, ReadOnlyRecursive, RunRequest,
};
use oci::runtime::Mount;
use std::path::{Path, PathBuf};

/// docker's `--shm-size`, bytes.
const SHM_SIZE: u64 = 64 << 20;

/// Destination, type, source, options.
type Fixed = (&'static str, &'static str, &'static str, &'static [&'static str]);

const MQUEUE: &[&str] = &["nosuid", "noexec", "nodev"];
const DEFAULT: [Fixed; 7] = [
    ("/proc", "proc", "proc", MQUEUE),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", "mqueue", MQUEUE),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
];

/// What stays writable under `--read-only`: file systems of the container's own.
const WRITABLE: [&str; 5] = ["/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"];

/// All mounts in the order they are made, and the directories that must be made on the host first.
pub(super) fn mounts(request: &RunRequest, facts: &Facts<'_>) -> Result<(Vec<Mount>, Vec<PathBuf>)> {
    let (own, create) = own(request, facts)?;
    let taken = |path: &str| own.iter().any(|mount| mount.destination() == Path::new(path));
    let hides = |path: &str| taken(path) || (taken("/dev") && path.starts_with("/dev/"));
    let defaults = DEFAULT.iter().filter(|fixed| !hides(fixed.0) && wants(fixed.0, request, facts));
    let mut mounts: Vec<Mount> = defaults.map(|fixed| default(fixed, request)).collect();
    if runs_init(request) {
        mounts.push(mount(INIT, "bind", facts.init, strings(&["bind", "ro"])));
    }
    if request.files.read_only {
        mounts.iter_mut().for_each(make_read_only);
    }
    mounts.extend(own);
    Ok((mounts, create))
}

/// With the host's IPC namespace its message queues are bound, if it shows any.
fn wants(path: &str, request: &RunRequest, facts: &Facts<'_>) -> bool {
    match (path, &request.isolation.ipc) {
        ("/dev/shm", IpcNamespace::None) => false,
        ("/dev/mqueue", IpcNamespace::Host) => facts.host.node(Path::new(path)).is_ok(),
        _ => true,
    }
}

fn default((path, kind, source, options): &Fixed, request: &RunRequest) -> Mount {
    let isolation = &request.isolation;
    let mut options = strings(options);
    let writable = match *path {
        "/sys" => isolation.privileged,
        "/sys/fs/cgroup" => isolation.privileged || isolation.writable_cgroups,
        _ => false,
    };
    if writable {
        options.retain(|option| option != "ro");
    }
    if *path == "/dev/shm" {
        options.push(format!("size={}", request.files.shm_size.filter(|size| *size > 0).unwrap_or(SHM_SIZE)));
    }
    mount(path, kind, Path::new(source), options)
}

fn mount(destination: &str, kind: &str, source: &Path, options: Vec<String>) -> Mount {
    let mut mount = Mount::default();
    mount.set_destination(destination.into()).set_typ(Some(kind.to_string()));
    mount.set_source(Some(source.to_path_buf())).set_options(Some(options));
    mount
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

fn make_read_only(mount: &mut Mount) {
    let stays = WRITABLE.iter().any(|path| mount.destination() == Path::new(path));
    let options = mount.options_mut().get_or_insert_default();
    if !stays && !options.iter().any(|option| option == "ro") {
        options.push("ro".to_string());
    }
}

/// The request's mounts and the container's own files, what lies deeper later.
fn own(request: &RunRequest, facts: &Facts<'_>) -> Result<(Vec<Mount>, Vec<PathBuf>)> {
    let (mut own, mut create) = (Vec::new(), Vec::new());
    for asked in &request.files.mounts {
        let target = target(asked)?;
        if own.iter().any(|mount: &Mount| mount.destination() == Path::new(&target)) {
            return invalid(format!("Duplicate mount point: {target}"));
        }
        own.push(asked_mount(asked, &target, facts, &mut create)?);
    }
    let mut more = etc(request, facts);
    more.extend(shm(request, facts)?);
    for mount in more {
        if !own.iter().any(|other| other.destination() == mount.destination()) {
            own.push(mount);
        }
    }
    own.sort_by_key(|mount| mount.destination().components().count());
    Ok((own, create))
}

fn target(asked: &MountRequest) -> Result<String> {
    let words = |what: &str| format!("invalid mount config for type \"{}\": {what}", kind(asked));
    match clean(&asked.target).as_str() {
        _ if !asked.target.starts_with('/') => {
            invalid(words(&format!("invalid mount path: '{}' mount path must be absolute", asked.target)))
        }
        "/" => invalid(words("invalid specification: destination can't be '/'")),
        path => Ok(path.to_string()),
    }
}

fn kind(asked: &MountRequest) -> &'static str {
    match asked.source {
        MountSource::Bind { .. } => "bind",
        MountSource::Tmpfs { .. } => "tmpfs",
    }
}

fn asked_mount(
    asked: &MountRequest,
    target: &str,
    facts: &Facts<'_>,
    create: &mut Vec<PathBuf>,
) -> Result<Mount> {
    match &asked.source {
        MountSource::Tmpfs { size, mode, options } => {
            let asked = tmpfs(*size, *mode, options, asked.read_only)?;
            Ok(mount(target, "tmpfs", Path::new("tmpfs"), asked))
        }
        MountSource::Bind { path, create: makes, propagation, .. } => {
            match facts.host.node(path) {
                Ok(_) => (),
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && *makes => {
                    create.push(path.clone())
                }
                Err(cause) => return Err(no_source(path, cause)),
            }
            check_propagation(propagation.as_deref(), path, facts)?;
            Ok(mount(target, "bind", path, bind_options(asked, facts)))
        }
    }
}

fn no_source(path: &Path, cause: std::io::Error) -> Error {
    let path = path.display();
    match cause.kind() {
        std::io::ErrorKind::NotFound => {
            let what =
                format!("invalid mount config for type \"bind\": bind source path does not exist: {path}");
            Error::new(Kind::NotFound, what).with_hint("`-v` makes a missing directory, `--mount` does not")
        }
        _ => Error::new(Kind::Invalid, format!("stat {path}")).caused_by(cause),
    }
}

/// A bind as docker has it, and its owners the same numbers inside as outside.
fn bind_options(asked: &MountRequest, facts: &Facts<'_>) -> Vec<String> {
    let MountSource::Bind { propagation, non_recursive, read_only_recursive, .. } = &asked.source else {
        return Vec::new();
    };
    let read_only = match (asked.read_only, read_only_recursive) {
        (false, _) => None,
        (true, ReadOnlyRecursive::Writable) => Some("ro"),
        // There is nothing below.
        (true, _) if *non_recursive => Some("ro"),
        (true, _) => Some("rro"),
    };
    let bind = if *non_recursive { "bind" } else { "rbind" };
    let words = [Some(bind), read_only, Some(propagation.as_deref().unwrap_or("rprivate")), id_map(facts)];
    words.into_iter().flatten().map(String::from).collect()
}

fn id_map(facts: &Facts<'_>) -> Option<&'static str> {
    let has_user = !facts.id_maps.is_empty() || facts.joined.user.is_some();
    has_user.then_some(runtime::OPTIONAL_ID_MAP)
}

fn check_propagation(mode: Option<&str>, path: &Path, facts: &Facts<'_>) -> Result<()> {
    let (needs_shared, what) = match mode {
        Some("shared" | "rshared") => (true, "shared"),
        Some("slave" | "rslave") => (false, "shared or slave"),
        None | Some("private" | "rprivate") => return Ok(()),
        Some(other) => {
            return invalid(format!(
                "invalid mount config for type \"bind\": invalid propagation mode: {other}"
            ));
        }
    };
    let source = facts.host.mount_of(path);
    let source = source.map_err(|cause| {
        Error::new(Kind::NotFound, format!("Can't find mount point of {}", path.display())).caused_by(cause)
    })?;
    match source.shared || (!needs_shared && source.slave) {
        true => Ok(()),
        false => invalid(format!(
            "path {} is mounted on {} but it is not a {what} mount",
            path.display(),
            source.point.display()
        )),
    }
}

/// What the root must be for binds to receive mounts from the host or send them there.
pub(super) fn propagation(request: &RunRequest) -> Option<String> {
    let modes = request.files.mounts.iter().filter_map(|asked| match &asked.source {
        MountSource::Bind { propagation, .. } => propagation.as_deref(),
        MountSource::Tmpfs { .. } => None,
    });
    let modes: Vec<&str> = modes.collect();
    let has = |names: [&str; 2]| modes.iter().any(|mode| names.contains(mode));
    match (has(["shared", "rshared"]), has(["slave", "rslave"])) {
        (true, _) => Some("shared".to_string()),
        (false, true) => Some("rslave".to_string()),
        (false, false) => None,
    }
}

/// Flags of a tmpfs, each with what it is the opposite of; a later one replaces an earlier one.
#[rustfmt::skip]
const FLAGS: [(&str, &str); 30] = [
    ("ro", "ro"), ("rw", "ro"), ("suid", "suid"), ("nosuid", "suid"), ("dev", "dev"), ("nodev", "dev"),
    ("exec", "exec"), ("noexec", "exec"), ("sync", "sync"), ("async", "sync"), ("dirsync", "dirsync"),
    ("remount", "remount"), ("mand", "mand"), ("nomand", "mand"), ("atime", "atime"), ("noatime", "atime"),
    ("diratime", "diratime"), ("nodiratime", "diratime"), ("relatime", "relatime"), ("norelatime", "relatime"),
    ("strictatime", "strictatime"), ("nostrictatime", "strictatime"),
    ("private", "propagation"), ("rprivate", "propagation"), ("shared", "propagation"), ("rshared", "propagation"),
    ("slave", "propagation"), ("rslave", "propagation"), ("unbindable", "propagation"),
    ("noswap", "noswap"),
];

/// Data of a tmpfs, tmpfs(5).
const DATA: [&str; 8] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"];

/// Options that only undo an earlier one: the kernel's default, and no word of its new mount API.
const UNDOING: [&str; 3] = ["atime", "norelatime", "nostrictatime"];

/// docker's defaults with the request's options over them; `noswap` and `huge` are ours.
fn tmpfs(size: Option<u64>, mode: Option<u32>, options: &[String], read_only: bool) -> Result<Vec<String>> {
    let mut all = strings(&["noexec", "nosuid", "nodev", "rprivate"]);
    all.extend(read_only.then(|| "ro".to_string()));
    all.extend(size.map(|bytes| format!("size={bytes}")));
    all.extend(mode.map(|bits| format!("mode={bits:o}")));
    all.extend_from_slice(options);
    let mut merged: Vec<String> = Vec::new();
    for option in all.into_iter().filter(|option| option != "defaults") {
        let key = tmpfs_key(&option)?;
        merged.retain(|other| tmpfs_key(other).ok() != Some(key));
        merged.push(option);
    }
    merged.retain(|option| !UNDOING.contains(&option.as_str()));
    Ok(merged)
}

/// What an option decides.
fn tmpfs_key(option: &str) -> Result<&str> {
    let name = option.split_once('=').map(|(name, _)| name);
    let flag = FLAGS.iter().find(|(flag, _)| *flag == option).map(|(_, key)| *key);
    match flag.or(name.filter(|name| DATA.contains(name))) {
        Some(key) => Ok(key),
        None => invalid(format!("invalid tmpfs option \"{}\"", name.unwrap_or(option))),
    }
}

fn etc(request: &RunRequest, facts: &Facts<'_>) -> Vec<Mount> {
    let files = [
        ("/etc/resolv.conf", &facts.etc.resolv),
        ("/etc/hostname", &facts.etc.hostname),
        ("/etc/hosts", &facts.etc.hosts),
    ];
    let options = || {
        let ro = request.files.read_only.then_some("ro");
        [Some("rbind"), ro, Some("rprivate"), id_map(facts)].into_iter().flatten().map(String::from).collect()
    };
    files.map(|(path, source)| mount(path, "bind", source, options())).into()
}

/// The shared memory of the IPC namespace that is joined.
fn shm(request: &RunRequest, facts: &Facts<'_>) -> Result<Option<Mount>> {
    let (source, map) = match &request.isolation.ipc {
        IpcNamespace::Private | IpcNamespace::Shareable | IpcNamespace::None => return Ok(None),
        IpcNamespace::Host => (Path::new("/dev/shm"), id_map(facts)),
        // Made in the user namespace that is joined with it: its owners are right already.
        IpcNamespace::Container(name) => match &facts.joined.shm {
            Some(path) => (path.as_path(), None),
            None => return invalid(format!("cannot join IPC of container {name}: non-shareable IPC")),
        },
    };
    let options = [Some("rbind"), Some("rprivate"), map].into_iter().flatten().map(String::from).collect();
    Ok(Some(mount("/dev/shm", "bind", source, options)))
}

/// What tells of the host or lets it be harmed: hidden. docker 28, with GHSA-6fw5-f8r9-fgfm and GHSA-jq35-85cj-fj4p.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(super) fn masked(isolation: &IsolationRequest) -> Vec<String> {
    let mut paths = covered(&MASKED, isolation);
    let more = isolation.mask.iter().filter(|path| !MASKED.contains(&path.as_str()));
    paths.extend(more.cloned());
    paths
}

pub(super) fn read_only(isolation: &IsolationRequest) -> Vec<String> {
    covered(&READ_ONLY, isolation)
}

fn covered(paths: &[&str], isolation: &IsolationRequest) -> Vec<String> {
    let bare = isolation.privileged || isolation.system_paths_unconfined;
    let is_open = |path: &&&str| isolation.unmask.iter().any(|open| opens(open, path));
    paths.iter().filter(|path| !bare && !is_open(path)).map(|path| path.to_string()).collect()
}

/// podman's `unmask`: `ALL`, a path, or a pattern whose last part is `*`.
fn opens(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(directory) => Path::new(path).parent() == Some(Path::new(directory)),
        None => pattern == "ALL" || Path::new(pattern) == Path::new(path),
    }
}

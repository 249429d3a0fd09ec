//! Mounts: what the kernel lists, in a reader's words.

use super::value::{Mount, Origin};

/// A line of proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    device: String,
    root: String,
    pub(super) target: String,
    options: String,
    is_shared: bool,
    kind: String,
    source: String,
    super_options: String,
}

/// All lines, in the kernel's order: a later one on the same place hides the earlier.
pub(super) fn lines(mountinfo: &str) -> Vec<Line> {
    mountinfo.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Line> {
    let (mount, fs) = line.split_once(" - ")?;
    let words: Vec<_> = mount.split(' ').collect();
    let mut fs = fs.split(' ');
    Some(Line {
        device: (*words.get(2)?).to_owned(),
        root: plain(words.get(3)?),
        target: plain(words.get(4)?),
        options: (*words.get(5)?).to_owned(),
        is_shared: words[6..].iter().any(|word| word.starts_with("shared:")),
        kind: fs.next()?.to_owned(),
        source: plain(fs.next()?),
        super_options: fs.next().unwrap_or_default().to_owned(),
    })
}

/// Blanks and their like are written as `\040`.
fn plain(text: &str) -> String {
    let mut parts = text.split('\\');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.get(..3).and_then(|code| u8::from_str_radix(code, 8).ok()) {
        Some(code) => text + &char::from(code).to_string() + &part[3..],
        None => text + "\\" + part,
    })
}

/// What is mounted in a container: its lines, the host's, where hull keeps the container, and what was asked to be
/// hidden. With the paths that are.
pub(super) fn seen(
    own: &[Line],
    host: &[Line],
    kept: &str,
    asked_masks: &[String],
) -> (Vec<Mount>, Vec<String>) {
    let is_last =
        |(at, line): &(usize, &Line)| !own[at + 1..].iter().any(|later| later.target == line.target);
    let shown = own.iter().enumerate().filter(is_last).map(|(_, line)| line);
    let (masks, mounts): (Vec<_>, Vec<_>) = shown
        .map(|line| seen_one(line, host, kept, asked_masks))
        .partition(|mount| mount.origin == Origin::Mask);
    (mounts, masks.into_iter().map(|mask| mask.target).collect())
}

fn seen_one(line: &Line, host: &[Line], kept: &str, asked_masks: &[String]) -> Mount {
    let path = host_path(line, host);
    let origin = origin(line, path.as_deref(), kept, asked_masks);
    let writable = !is_read_only(line);
    let source = match (origin, path) {
        (Origin::Root, _) => "the image's layers".to_owned(),
        (Origin::Host | Origin::Hull | Origin::Device, Some(path)) => path,
        (Origin::Host | Origin::Hull, None) if line.root != "/" => format!("{}:{}", line.source, line.root),
        _ => line.source.clone(),
    };
    Mount {
        target: line.target.clone(),
        origin,
        kind: line.kind.clone(),
        writable,
        why: why(origin, writable, line).to_owned(),
        propagates: line.is_shared && origin == Origin::Host,
        mapped: line.options.split(',').any(|option| option == "idmapped") && origin == Origin::Host,
        source,
    }
}

fn is_read_only(line: &Line) -> bool {
    let says = |options: &str| options.split(',').any(|option| option == "ro");
    says(&line.options) || says(&line.super_options)
}

/// File systems of the kernel's own.
const KERNEL: [&str; 12] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "bpf",
    "configfs",
    "pstore",
    "selinuxfs",
    "binfmt_misc",
];

/// In memory, and made for the container: one of the host's is found among the host's mounts.
const MEMORY: [&str; 5] = ["tmpfs", "mqueue", "devpts", "ramfs", "hugetlbfs"];

fn origin(line: &Line, path: Option<&str>, kept: &str, asked_masks: &[String]) -> Origin {
    let target = line.target.as_str();
    let covers = path == Some("/dev/null") || line.kind == "tmpfs" && is_read_only(line) && path.is_none();
    match path {
        _ if target == "/" => Origin::Root,
        _ if covers && (asked_masks.iter().any(|mask| mask == target) || target.starts_with("/proc/")) => {
            Origin::Mask
        }
        Some(path) if path.starts_with(kept) => Origin::Hull,
        Some(path) if path.starts_with("/dev/") && target.starts_with("/dev/") => Origin::Device,
        _ if KERNEL.contains(&line.kind.as_str()) => Origin::Kernel,
        None if MEMORY.contains(&line.kind.as_str()) => Origin::Memory,
        _ => Origin::Host,
    }
}

/// The path on the host of what is mounted: below the host's mount of the same file system with the longest root.
fn host_path(line: &Line, host: &[Line]) -> Option<String> {
    let below = |other: &Line| line.root.strip_prefix(other.root.trim_end_matches('/')).map(str::to_owned);
    let same = host.iter().filter(|other| other.device == line.device && fits(&other.root, &line.root));
    let best = same.max_by_key(|other| other.root.len())?;
    let path = format!("{}{}", best.target.trim_end_matches('/'), below(best)?);
    Some(if path.is_empty() || path == "/" { "/".to_owned() } else { path.trim_end_matches('/').to_owned() })
}

fn fits(root: &str, path: &str) -> bool {
    root == "/" || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn why(origin: Origin, writable: bool, line: &Line) -> &'static str {
    match (origin, writable) {
        (Origin::Root, true) => "what it writes goes into a layer of its own",
        (Origin::Root, false) => "--read-only",
        (Origin::Kernel, false) => "it would set what holds for the host",
        (Origin::Kernel, true) if line.kind == "proc" => "what matters in it is read-only or hidden",
        (Origin::Kernel, true) => "its own, or it is privileged",
        (Origin::Memory, true) => "its own memory, gone with it",
        (Origin::Memory, false) => "asked for so",
        (Origin::Hull, true) => "a file of its own",
        (Origin::Hull, false) => "--read-only",
        (Origin::Device, _) => "a device of the host",
        (Origin::Host, true) => "bound without :ro",
        (Origin::Host, false) => "bound with :ro",
        (Origin::Mask, _) => "hidden",
    }
}

/// Mounts of a runtime-spec configuration, for a container that does not run.
pub(super) fn wanted(spec: &serde_json::Value, kept: &str) -> Vec<Mount> {
    let read_only = spec["root"]["readonly"].as_bool().unwrap_or(false);
    let root = Mount {
        target: "/".into(),
        origin: Origin::Root,
        kind: "overlay".into(),
        source: "the image's layers".into(),
        writable: !read_only,
        why: if read_only { "--read-only" } else { "what it writes goes into a layer of its own" }.into(),
        propagates: false,
        mapped: false,
    };
    let mounts = spec["mounts"].as_array().into_iter().flatten();
    std::iter::once(root).chain(mounts.map(|mount| wanted_one(mount, kept))).collect()
}

/// Names what was asked for on a link by where it is now: the kernel's list has no links.
pub(super) fn resolve(wanted: &mut [Mount], seen: &[Mount], resolved: impl Fn(&str) -> Option<String>) {
    let is_seen = |target: &str| seen.iter().any(|mount| mount.target == target);
    for mount in wanted.iter_mut().filter(|mount| !is_seen(&mount.target)) {
        if let Some(target) = resolved(&mount.target).filter(|target| is_seen(target)) {
            mount.target = target;
        }
    }
}

fn wanted_one(mount: &serde_json::Value, kept: &str) -> Mount {
    let text = |name: &str| mount[name].as_str().unwrap_or_default().to_owned();
    let options: Vec<_> =
        mount["options"].as_array().into_iter().flatten().filter_map(|o| o.as_str()).collect();
    let (kind, source) = (text("type"), text("source"));
    let line = Line {
        device: String::new(),
        root: "/".into(),
        target: text("destination"),
        options: if options.iter().any(|o| ["ro", "rro"].contains(o)) { "ro" } else { "rw" }.into(),
        is_shared: options.iter().any(|o| ["shared", "rshared"].contains(o)),
        kind: kind.clone(),
        source: source.clone(),
        super_options: String::new(),
    };
    let path = (kind == "bind").then_some(source.as_str());
    let origin = origin(&line, path, kept, &[]);
    let writable = !is_read_only(&line);
    let why = why(origin, writable, &line).to_owned();
    let propagates = line.is_shared && origin == Origin::Host;
    let mapped = options.contains(&"x-hull.idmap") && origin == Origin::Host;
    Mount { target: line.target, origin, kind, source, writable, why, propagates, mapped }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
22 21 0:5 / /dev rw - devtmpfs udev rw\n\
23 21 254:16 / /srv rw - xfs /dev/vdb rw\n\
24 21 254:16 /deep /srv2 rw - xfs /dev/vdb rw\n";

    const OWN: &str = "\
600 599 0:52 / / rw,relatime - overlay overlay rw,lowerdir+=/a\n\
601 600 0:55 / /proc rw,nosuid - proc proc rw\n\
602 601 0:5 /null /proc/kcore rw - devtmpfs udev rw\n\
603 600 0:60 / /dev rw - tmpfs tmpfs rw\n\
604 603 0:5 /fuse /dev/fuse rw - devtmpfs udev rw\n\
605 600 254:16 /deep/a\\040b /data ro,idmapped shared:9 - xfs /dev/vdb rw\n\
606 600 254:0 /var/lib/hull/containers/k/hosts /etc/hosts rw - ext4 /dev/root rw\n\
607 600 0:61 / /sys/firmware ro - tmpfs tmpfs ro\n\
608 600 0:62 / /sys ro - sysfs sysfs rw\n";

    fn all() -> (Vec<Mount>, Vec<String>) {
        seen(&lines(OWN), &lines(HOST), "/var/lib/hull", &["/sys/firmware".into()])
    }

    fn at(target: &str) -> Mount {
        all().0.into_iter().find(|mount| mount.target == target).unwrap()
    }

    #[test]
    fn each_mount_is_told_by_where_it_comes_from() {
        for (target, origin) in [
            ("/", Origin::Root),
            ("/proc", Origin::Kernel),
            ("/dev", Origin::Memory),
            ("/dev/fuse", Origin::Device),
            ("/data", Origin::Host),
            ("/etc/hosts", Origin::Hull),
            ("/sys", Origin::Kernel),
        ] {
            assert_eq!(at(target).origin, origin, "{target}");
        }
        assert_eq!(all().1, ["/proc/kcore", "/sys/firmware"]);
    }

    #[test]
    fn a_bind_has_its_path_on_the_host() {
        let data = at("/data");
        assert_eq!((data.source.as_str(), data.writable, data.propagates), ("/srv2/a b", false, true));
        assert_eq!((data.mapped, at("/etc/hosts").mapped), (true, false));
        assert_eq!(at("/etc/hosts").source, "/var/lib/hull/containers/k/hosts");
    }

    #[test]
    fn what_is_mounted_over_is_not_told() {
        let twice = format!("{OWN}609 600 0:63 / /data rw - tmpfs tmpfs rw\n");
        let (mounts, _) = seen(&lines(&twice), &lines(HOST), "/var/lib/hull", &[]);
        let data: Vec<_> = mounts.iter().filter(|mount| mount.target == "/data").collect();
        assert_eq!((data.len(), data[0].origin), (1, Origin::Memory));
    }

    #[test]
    fn of_a_stopped_one_the_configuration_is_told() {
        let spec = serde_json::json!({"root": {"readonly": true}, "mounts": [
            {"destination": "/d", "type": "bind", "source": "/srv/d", "options": ["rbind", "rro"]},
            {"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": []},
        ]});
        let mounts = wanted(&spec, "/var/lib/hull");
        let told: Vec<_> =
            mounts.iter().map(|mount| (mount.target.as_str(), mount.origin, mount.writable)).collect();
        assert_eq!(
            told,
            [("/", Origin::Root, false), ("/d", Origin::Host, false), ("/t", Origin::Memory, true)]
        );
    }
}

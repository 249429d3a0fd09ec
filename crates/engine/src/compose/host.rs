//! What only few requests need to know of the host.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file as far as composing cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A block (`b`) or character (`c`) device.
    Device {
        /// `b` or `c`.
        kind: char,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Permission bits.
        mode: u32,
        /// Owner on the host.
        uid: u32,
        /// Group on the host.
        gid: u32,
    },
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// The mount that a path is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// It has peers, see mount_namespaces(7).
    pub shared: bool,
    /// It has a master.
    pub slave: bool,
}

/// Answers about the host. Each costs system calls, and is asked only when a request turns on it.
pub trait Host {
    /// What a path leads to, links followed.
    fn node(&self, path: &Path) -> io::Result<Node>;
    /// The devices below a directory, by path; links are not followed.
    fn devices_below(&self, directory: &Path) -> io::Result<Vec<(PathBuf, Node)>>;
    /// The mount that a path is on, links followed.
    fn mount_of(&self, path: &Path) -> io::Result<SourceMount>;
    /// CLOCK_MONOTONIC and CLOCK_BOOTTIME, nanoseconds.
    fn uptime(&self) -> (i64, i64);
    /// CPUs that this process may use.
    fn cpus(&self) -> io::Result<u32>;
    /// CPUs a group of processes can be given, as `0-3,7`.
    fn cpu_list(&self) -> io::Result<String>;
    /// Memory nodes a group of processes can be given, as `0-1`.
    fn memory_nodes(&self) -> io::Result<String>;
}

/// The host as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct LiveHost;

impl Host for LiveHost {
    fn node(&self, path: &Path) -> io::Result<Node> {
        Ok(node(&fs::metadata(path)?))
    }

    fn devices_below(&self, directory: &Path) -> io::Result<Vec<(PathBuf, Node)>> {
        let (mut devices, mut waiting) = (Vec::new(), vec![directory.to_path_buf()]);
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory)?.flatten() {
                // What goes away meanwhile was not there.
                match entry.metadata().map(|metadata| node(&metadata)) {
                    Ok(Node::Directory) => waiting.push(entry.path()),
                    Ok(device @ Node::Device { .. }) => devices.push((entry.path(), device)),
                    _ => (),
                }
            }
        }
        devices.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(devices)
    }

    fn mount_of(&self, path: &Path) -> io::Result<SourceMount> {
        let path = fs::canonicalize(path)?;
        let text = fs::read_to_string("/proc/self/mountinfo")?;
        let mounts = text.lines().filter_map(mount).filter(|mount| path.starts_with(&mount.point));
        // Of those at one place the last is on top.
        mounts.max_by_key(|mount| mount.point.as_os_str().len()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn uptime(&self) -> (i64, i64) {
        use rustix::time::{ClockId, clock_gettime};
        let now = |clock| {
            let time = clock_gettime(clock);
            time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
        };
        (now(ClockId::Monotonic), now(ClockId::Boottime))
    }

    fn cpus(&self) -> io::Result<u32> {
        Ok(std::thread::available_parallelism()?.get() as u32)
    }

    fn cpu_list(&self) -> io::Result<String> {
        fs::read_to_string("/sys/devices/system/cpu/online").map(|text| text.trim().to_string())
    }

    fn memory_nodes(&self) -> io::Result<String> {
        match fs::read_to_string("/sys/devices/system/node/has_memory") {
            Ok(text) => Ok(text.trim().to_string()),
            // A kernel without NUMA has one node, and no directory for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("0".to_string()),
            Err(error) => Err(error),
        }
    }
}

fn node(metadata: &fs::Metadata) -> Node {
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => return Node::Directory,
        kind if kind.is_block_device() => 'b',
        kind if kind.is_char_device() => 'c',
        _ => return Node::Other,
    };
    let (device, mode) = (metadata.rdev(), metadata.mode() & 0o7777);
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Node::Device { kind, major, minor, mode, uid: metadata.uid(), gid: metadata.gid() }
}

/// What a line of mountinfo tells, for the target `kernel` of `fuzz/`.
#[cfg(fuzzing)]
pub fn source_mount(line: &str) -> Option<SourceMount> {
    mount(line)
}

/// A line of mountinfo, see proc_pid_mountinfo(5).
fn mount(line: &str) -> Option<SourceMount> {
    let mut fields = line.split(' ');
    let point = unescape(fields.nth(4)?);
    let optional: Vec<&str> = fields.skip(1).take_while(|field| *field != "-").collect();
    let has = |tag: &str| optional.iter().any(|field| field.starts_with(tag));
    Some(SourceMount { point: point.into(), shared: has("shared:"), slave: has("master:") })
}

/// Space, tab, newline and backslash are octal there.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_string(), |text, (code, letter)| text.replace(code, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_tell_their_propagation() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:5 - ext3 /dev/root rw";
        let expected = SourceMount { point: "/mnt 2".into(), shared: true, slave: true };
        assert_eq!(mount(line), Some(expected));
        let line = "36 35 98:0 / / rw,noatime - ext3 /dev/root rw,shared:1";
        assert_eq!(mount(line), Some(SourceMount { point: "/".into(), shared: false, slave: false }));
    }

    #[test]
    fn the_live_host_answers() {
        let null = LiveHost.node(Path::new("/dev/null")).unwrap();
        assert!(matches!(null, Node::Device { kind: 'c', major: 1, minor: 3, .. }));
        assert_eq!(LiveHost.node(Path::new("/")).unwrap(), Node::Directory);
        let devices = LiveHost.devices_below(Path::new("/dev")).unwrap();
        assert!(devices.iter().any(|(path, node)| path == Path::new("/dev/null") && *node == null));
        assert_eq!(LiveHost.mount_of(Path::new("/proc/self")).unwrap().point, Path::new("/proc"));
        assert!(LiveHost.cpus().unwrap() > 0);
        assert!(!LiveHost.cpu_list().unwrap().is_empty() && !LiveHost.memory_nodes().unwrap().is_empty());
    }
}

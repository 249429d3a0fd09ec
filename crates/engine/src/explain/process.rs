//! A process as /proc has it, read through one descriptor: a pid that is used again is another process, and says nothing.

use super::value::{ProcessLimit, Range};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use std::fs::File;
use std::io::Read;

/// A process's directory in /proc.
#[derive(Debug)]
pub(super) struct Process(OwnedFd);

impl Process {
    /// The process that has this pid now.
    pub(super) fn open(pid: i32) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, format!("/proc/{pid}"), flags, Mode::empty()).map(Self)
    }

    /// A file's text; empty where it cannot be read.
    pub(super) fn text(&self, path: &str) -> String {
        let mut bytes = Vec::new();
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let _ = file.map(|file| File::from(file).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The number of a namespace.
    pub(super) fn namespace(&self, kind: &str) -> Option<u64> {
        inode(readlinkat(&self.0, format!("ns/{kind}"), Vec::new()).ok()?.to_str().ok()?)
    }

    /// Where a path leads below the process's root: a mount on what is a link is on what that leads to.
    pub(super) fn resolved(&self, path: &str) -> Option<String> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(&self.0, "root", directory, Mode::empty()).ok()?;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let found = openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).ok()?;
        let link = readlinkat(CWD, format!("/proc/self/fd/{}", found.as_raw_fd()), Vec::new()).ok()?;
        link.into_string().ok()
    }

    /// `status`, to be asked for fields.
    pub(super) fn status(&self) -> Status {
        Status(self.text("status"))
    }
}

/// `pid:[4026531836]`
fn inode(link: &str) -> Option<u64> {
    link.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

/// proc_pid_status(5)
#[derive(Debug)]
pub(super) struct Status(pub(super) String);

impl Status {
    /// What stands behind `Name:`.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// A number there.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.field(name)?.split_whitespace().next()?.parse().ok()
    }

    /// A mask in hexadecimal digits.
    pub(super) fn mask(&self, name: &str) -> u64 {
        self.field(name).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0)
    }
}

/// `uid_map`, `gid_map`
pub(super) fn ranges(text: &str) -> Vec<Range> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
        Some(Range { inside: numbers.next()?, host: numbers.next()?, size: numbers.next()? })
    };
    text.lines().filter_map(line).collect()
}

/// Who a user of the host's is inside.
pub(super) fn inside(ranges: &[Range], host: u32) -> Option<u32> {
    let range = ranges.iter().find(|range| host >= range.host && host - range.host < range.size)?;
    Some(range.inside + (host - range.host))
}

/// Who a user inside is on the host.
pub(super) fn outside(ranges: &[Range], inside: u32) -> Option<u32> {
    let range = ranges.iter().find(|range| inside >= range.inside && inside - range.inside < range.size)?;
    Some(range.host + (inside - range.inside))
}

/// Limits of a process that others feel.
const SHOWN: [&str; 4] = ["Max open files", "Max processes", "Max core file size", "Max locked memory"];

/// `limits`: names of several words in columns of fixed width, see fs/proc/base.c.
pub(super) fn limits(text: &str) -> Vec<ProcessLimit> {
    let line = |name: &&str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(*name))?;
        let mut words = rest.split_whitespace();
        let name = name.trim_start_matches("Max ").to_owned();
        Some(ProcessLimit { name, soft: words.next()?.into(), hard: words.next()?.into() })
    };
    SHOWN.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_status_are_words_numbers_and_masks() {
        let status = Status("Uid:\t7\t8\t8\t8\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n".into());
        assert_eq!((status.number("Uid"), status.number("Seccomp")), (Some(7), Some(2)));
        assert_eq!((status.mask("CapEff"), status.field("Cap")), (0xa804_25fb, None));
    }

    #[test]
    fn ids_go_both_ways_through_a_map() {
        let map = ranges("         0 1879048192      65536\n     70000       5000          1\n");
        assert_eq!(
            (outside(&map, 1), outside(&map, 65536), outside(&map, 70000)),
            (Some(1879048193), None, Some(5000))
        );
        assert_eq!(
            (inside(&map, 1879048192), inside(&map, 0), inside(&map, 5000)),
            (Some(0), None, Some(70000))
        );
    }

    #[test]
    fn limits_of_processes_are_found_by_their_long_names() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 1048576              files     \n\
                    Max core file size        unlimited            unlimited            bytes     \n";
        let found = limits(text);
        assert_eq!(
            found[0],
            ProcessLimit { name: "open files".into(), soft: "1024".into(), hard: "1048576".into() }
        );
        assert_eq!(found[1].soft, "unlimited");
    }

    #[test]
    fn a_namespace_is_its_number() {
        assert_eq!((inode("net:[4026531833]"), inode("gone")), (Some(4026531833), None));
    }
}

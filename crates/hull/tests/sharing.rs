//! What containers of one image share, and what not; and block I/O within its rate.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use support::{Sandbox, docker_archive, tar_of, text};

/// Bytes of the file that containers share.
const BIG: usize = 8 << 20;

/// A sandbox with an image of busybox and a large file, and that file's place on the host.
fn with_big_file() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::empty();
    let bytes: Vec<u8> =
        (0..BIG as u32 / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let archive = docker_archive("bb:latest", &[support::busybox(), tar_of(&[("big", &bytes)])]);
    assert!(sandbox.hull_with_input(&["load"], &archive).status.success());
    let layers = std::fs::read_dir(sandbox.root().join("layers")).unwrap().flatten();
    let file = layers.map(|layer| layer.path().join("fs/big")).find(|path| path.exists()).unwrap();
    (sandbox, file)
}

/// A container that says what a script says, and stays until it is dropped.
struct Staying(Child);

impl Staying {
    fn start(sandbox: &Sandbox, script: &str) -> (Self, String) {
        let script = format!("{script}; echo END; cat");
        let mut command = sandbox.command(&["run", "--rm", "-i", "bb", "sh", "-c", &script]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut said, mut byte) = (Vec::new(), [0]);
        while !said.ends_with(b"END\n") {
            child.stdout.as_mut().unwrap().read_exact(&mut byte).expect("it speaks until END");
            said.push(byte[0]);
        }
        (Self(child), text(&said[..said.len() - 4]))
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

/// Bytes of a file in the page cache, by fincore(1).
fn cached(path: &Path) -> usize {
    let output = Command::new("fincore").args(["-b", "-n", "-o", "RES"]).arg(path).output().unwrap();
    text(&output.stdout).trim().parse().unwrap()
}

fn evict(path: &Path) {
    let argument = format!("of={}", path.display());
    let dd = ["oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none", &argument];
    assert!(Command::new("dd").args(dd).status().unwrap().success());
}

/// What the container's group is charged for files, bytes.
const CHARGED: &str = "cat /big > /dev/null; awk '$1 == \"cache\" || $1 == \"file\" {print $2; exit}' \
    /sys/fs/cgroup/memory/memory.stat /sys/fs/cgroup/memory.stat 2>/dev/null";

#[test]
fn a_file_of_the_image_is_in_the_page_cache_once() {
    let (sandbox, file) = with_big_file();
    evict(&file);
    assert!(cached(&file) < BIG / 2, "the file cannot be evicted from the page cache");
    let charged = |said: &str| said.trim().parse::<usize>().unwrap();
    let (first, said) = Staying::start(&sandbox, CHARGED);
    assert!(charged(&said) > BIG / 2, "who reads first is charged: {said}");
    assert!(cached(&file) > BIG / 2, "the pages are those of the layer's file");
    let (second, said) = Staying::start(&sandbox, CHARGED);
    assert!(charged(&said) < BIG / 2, "who reads second has pages of its own: {said}");
    first.end();
    second.end();
    sandbox.assert_clean();
}

#[test]
fn a_file_of_the_image_is_one_inode() {
    let (sandbox, file) = with_big_file();
    let inode = std::fs::metadata(&file).unwrap().ino().to_string();
    let (first, one) = Staying::start(&sandbox, "stat -c %i /big");
    let (second, other) = Staying::start(&sandbox, "stat -c %i /big");
    assert_eq!((one.trim(), other.trim()), (inode.as_str(), inode.as_str()));
    first.end();
    second.end();
}

#[test]
fn who_writes_has_a_whole_copy_that_nobody_else_sees() {
    let (sandbox, file) = with_big_file();
    let before = std::fs::read(&file).unwrap();
    let (first, sum) = Staying::start(&sandbox, "sha256sum < /big");
    sandbox.ok(&[
        "run",
        "--name",
        "writer",
        "bb",
        "sh",
        "-c",
        "printf x | dd of=/big conv=notrunc 2>/dev/null",
    ]);
    let (second, after) = Staying::start(&sandbox, "sha256sum < /big");
    assert_eq!(sum, after, "another container sees the change");
    assert!(std::fs::read(&file).unwrap() == before, "the layer changed");
    let upper = sandbox.ok(&["inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "writer"]);
    let copy = std::fs::read(Path::new(upper.trim()).join("big")).unwrap();
    assert!(copy[0] == b'x' && copy[1..] == before[1..], "the copy is not whole");
    first.end();
    second.end();
}

/// On disk a file has the id it has inside: what root of a container made setuid would make root of whoever executed it
/// on the host (as CVE-2021-41103 did).
#[test]
fn what_containers_write_is_out_of_reach_for_the_hosts_users() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "evil", "bb", "sh", "-c", "cp /bin/busybox /evil && chmod 4755 /evil"]);
    let root = sandbox.root();
    let found =
        Command::new("find").arg(&root).args(["-name", "evil", "-perm", "-4000", "-uid", "0"]).output();
    let found = text(&found.unwrap().stdout);
    let evil: Vec<_> = found.lines().collect();
    assert_eq!(evil.len(), 1, "{found}");
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "test", "-e", evil[0]]);
    assert_eq!(nobody.status().unwrap().code(), Some(1), "{found} is reached");
    sandbox.ok(&["rm", "evil"]);
}

/// The whole disk that a path is on: block I/O is throttled by disk. None for a file system without one.
fn disk_of(path: &Path) -> Option<PathBuf> {
    let device = std::fs::metadata(path).unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let place = std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let place = if place.join("partition").exists() { place.parent()?.to_owned() } else { place };
    Some(Path::new("/dev").join(place.file_name()?)).filter(|device| device.exists())
}

#[test]
fn block_io_is_held_to_its_rate() {
    let sandbox = Sandbox::new();
    let Some(disk) = disk_of(sandbox.path()) else {
        writeln!(std::io::stderr(), "SKIP: the tests' directory is on no disk").unwrap();
        return;
    };
    let has_io = ["blkio", "io"].iter().any(|name| {
        std::fs::read_to_string("/proc/cgroups").unwrap().lines().any(|line| line.starts_with(name))
    });
    assert!(has_io || Path::new("/sys/fs/cgroup/cgroup.controllers").exists());
    let bind = format!("{}:/d", sandbox.path().display());
    let limit = |rate: &str| format!("{}:{rate}", disk.display());
    let write = "dd if=/dev/zero of=/d/out bs=64k count=64 oflag=direct 2>/dev/null";
    let read = "dd if=/d/out of=/dev/null bs=64k iflag=direct 2>/dev/null";
    let seconds = |flags: &[&str], script: &str| {
        let start = Instant::now();
        let flags: Vec<_> = flags.iter().copied().chain(["-v", &bind]).collect();
        sandbox.sh(&flags, script);
        start.elapsed().as_secs_f64()
    };
    seconds(&[], write);
    // Four megabytes, or 64 operations: the least time is what the rate says, whatever else the machine does.
    for (flag, rate, script) in [
        ("--device-write-bps", "2mb", write),
        ("--device-read-bps", "2mb", read),
        ("--device-write-iops", "32", write),
        ("--device-read-iops", "32", read),
    ] {
        let took = seconds(&[flag, &limit(rate)], script);
        assert!(took > 1.5, "{flag}: {took} s instead of 2");
    }
    sandbox.assert_clean();
}

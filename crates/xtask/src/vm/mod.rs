//! hull in emulated machines: pure cgroup v2 and v1, Debian's kernels, and systemd as pid 1, a minute each on a quiet
//! host; and hull's own tests of the runtime, and of engines over it, with both, in minutes.
//!
//! A machine is a kernel out of Debian's package, an initramfs with busybox and the static binary, and a disk with
//! ext4. What runs in it says `ok`, `FAIL` or `SKIP`, a line each, and `DONE` at its end.

mod debian;
mod kernel;
mod machine;
mod tests;

use crate::image::{Layers, archive};
use crate::packages;
use crate::shell::{Done, build_hull, quietly, root, sh};
use machine::{Machine, System};
use std::path::{Path, PathBuf};
use tests::Tests;

/// What booting needs of Debian.
const PACKAGES: [(&str, &str); 6] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("xz", "xz-utils"),
    ("mke2fs", "e2fsprogs"),
    ("modprobe", "kmod"),
    ("mmdebstrap", "mmdebstrap"),
];

/// Every machine: what is above the kernel, and Debian's kernel.
const MATRIX: [(System, &str); 8] = [
    (System::V2, "6.12"),
    (System::V2, "6.1"),
    (System::V1, "6.1"),
    (System::Systemd, "6.12"),
    (System::Systemd, "6.1"),
    (System::Runtime, "6.12"),
    (System::Life, "6.12"),
    (System::Engines, "6.12"),
];

/// `vm-test [v2|v1|systemd|runtime|life|engines] [6.12|6.1]`: all machines that fit the words.
pub(crate) fn run(args: &[String]) -> Done {
    packages::install(&PACKAGES)?;
    build_hull()?;
    let fits =
        |(system, version): &&(System, &str)| args.iter().all(|arg| arg == system.name() || arg == version);
    let wanted: Vec<_> = MATRIX.iter().filter(fits).collect();
    if wanted.is_empty() {
        return Err(
            "vm-test [v2|v1|systemd|runtime|life|engines] [6.12|6.1]: there is no such machine".into()
        );
    }
    let failures: Vec<_> = wanted
        .into_iter()
        .filter_map(|(system, version)| {
            let why = test(*system, version).err()?;
            Some(format!("{} on Linux {version}: {why}", system.name()))
        })
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn test(system: System, version: &str) -> Done {
    let dir = directory()?;
    let kernel = kernel::kernel(&dir, version)?;
    let disk = match system {
        System::Systemd | System::Count => debian::disk(&dir, &[])?,
        System::Runtime | System::Life | System::Engines => debian::disk(&dir, &tools())?,
        System::V1 | System::V2 => empty_disk(&dir)?,
    };
    let many = many_layers(&dir)?;
    let tests = (!system.tests().is_empty()).then(|| Tests::build(system.tests())).transpose()?;
    Machine { dir, kernel, version, system, disk, many, tests }.test()
}

/// For a benchmark: a kernel, and an initramfs that says a line and waits.
pub(crate) fn smallest(dir: &Path, line: &str) -> Result<(PathBuf, PathBuf), String> {
    packages::install(&PACKAGES)?;
    let kernel = kernel::kernel(&directory()?, "6.12")?;
    Ok((kernel.image, machine::smallest(dir, line)?))
}

/// For a benchmark: `NAME RUNS TICKS` of each runtime, a tick being ten million instructions.
pub(crate) fn counts() -> Result<Vec<String>, String> {
    packages::install(&PACKAGES)?;
    let dir = directory()?;
    let (kernel, disk, many) = (kernel::kernel(&dir, "6.12")?, debian::disk(&dir, &[])?, many_layers(&dir)?);
    Machine { dir, kernel, version: "6.12", system: System::Count, disk, many, tests: None }.lines("count")
}

/// What tests run. docker asks ps(1) for what runs in a container, and loads a profile where the kernel has AppArmor.
fn tools() -> Vec<&'static str> {
    let packages = packages::TESTS.iter().chain(&packages::ENGINES).map(|(_, package)| *package);
    packages.chain(["procps", "apparmor"]).collect()
}

/// Where packages, disks and the initramfs lie.
fn directory() -> Result<PathBuf, String> {
    let dir = root().join("target/emulated");
    std::fs::create_dir_all(&dir).map_err(|error| format!("make `{}`: {error}", dir.display()))?;
    Ok(dir)
}

fn empty_disk(dir: &Path) -> Result<PathBuf, String> {
    quietly(&mut sh(dir, "rm -f empty.img && truncate -s 512M empty.img && mke2fs -q -F -t ext4 empty.img"))?;
    Ok(dir.join("empty.img"))
}

/// An image of more layers than an option string would hold by their paths.
fn many_layers(dir: &Path) -> Result<PathBuf, String> {
    let file = dir.join("many.tar");
    let mut layers = Layers::default();
    layers.add_busybox()?;
    for number in 1..150 {
        layers.add_file(&format!("f{number}"), format!("{number}\n").as_bytes());
    }
    archive(&file, "many:1", &layers.0)?;
    Ok(file)
}

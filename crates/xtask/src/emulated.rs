//! hull in an emulated machine: pure cgroup v2 or v1, on Debian's kernels, in a quarter of a minute.
//!
//! The kernel comes out of Debian's package without being installed. Everything else is one initramfs: busybox, the
//! static binary, and a script that says `ok` or `FAIL`, a line each.

use crate::packages;
use crate::shell::{Done, cargo, must, output, release_hull, root};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What booting needs of Debian.
const PACKAGES: [(&str, &str); 3] =
    [("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("xz", "xz-utils")];

/// What is tried inside.
const SCRIPT: &str = include_str!("emulated.sh");

/// The real root is a tmpfs: from the initramfs itself pivot_root(2) is not allowed.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t tmpfs none /new
cp -a /bin /test.sh /overlay.ko /new/
mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/var /new/run /new/etc
exec switch_root /new /bin/sh /test.sh
"#;

/// `vm-test [v2|v1] [6.12|6.1]`
pub(crate) fn run(args: &[String]) -> Done {
    packages::install(&PACKAGES)?;
    let mode = args.iter().find(|arg| arg.starts_with('v')).map_or("v2", String::as_str);
    let version = args.iter().find(|arg| arg.starts_with('6')).map_or("6.12", String::as_str);
    must(&mut cargo(&["build", "--release", "--quiet", "--package", "hull"]))?;
    let dir = root().join("target/emulated");
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let kernel = kernel(&dir, version)?;
    initramfs(&dir, &kernel)?;
    boot(&dir, &kernel.image, mode, version)
}

struct Kernel {
    image: PathBuf,
    overlay: PathBuf,
}

/// Downloads and unpacks the kernel's package, once.
fn kernel(dir: &Path, version: &str) -> Result<Kernel, String> {
    let tree = dir.join(format!("linux-{version}"));
    if !tree.exists() {
        fetch(dir, version)?;
    }
    let find = |pattern: &str| {
        let found = output(Command::new("find").arg(&tree).args(["-name", pattern])).unwrap_or_default();
        found
            .lines()
            .next()
            .map(PathBuf::from)
            .ok_or_else(|| format!("the package of Linux {version} has no {pattern}"))
    };
    Ok(Kernel { image: find("vmlinuz-*")?, overlay: find("overlay.ko*")? })
}

fn fetch(dir: &Path, version: &str) -> Done {
    let meta = if version == "6.1" {
        "linux-image-amd64".to_owned()
    } else {
        format!("linux-image-{version}-amd64")
    };
    let depends = output(Command::new("apt-cache").args(["depends", &meta])).unwrap_or_default();
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.ok_or_else(|| format!("no package of Linux {version}: run `apt-get update`"))?;
    must(Command::new("apt-get").args(["download", "-qq", package]).current_dir(dir))?;
    let script = format!("dpkg-deb -x {package}_*.deb linux-{version} && rm {package}_*.deb");
    must(Command::new("sh").args(["-c", &script]).current_dir(dir))
}

fn initramfs(dir: &Path, kernel: &Kernel) -> Done {
    let write =
        |name: &str, text: &str| std::fs::write(dir.join(name), text).map_err(|error| error.to_string());
    write("test.sh", SCRIPT)?;
    write("init", INIT)?;
    let unpack =
        if kernel.overlay.extension().is_some_and(|extension| extension == "xz") { "xz -dc" } else { "cat" };
    let mut script = String::from("set -e; rm -rf ram; mkdir -p ram/bin ram/proc ram/sys ram/dev ram/new\n");
    let _ = writeln!(
        script,
        "cp /bin/busybox ram/bin/; cp {} ram/bin/hull; cp init test.sh ram/; chmod +x ram/init",
        release_hull().display()
    );
    let _ = writeln!(script, "{unpack} {} > ram/overlay.ko", kernel.overlay.display());
    script.push_str("(cd ram && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > ram.gz");
    must(Command::new("sh").args(["-c", &script]).current_dir(dir))
}

fn boot(dir: &Path, kernel: &Path, mode: &str, version: &str) -> Done {
    let mut qemu = Command::new("timeout");
    qemu.args([
        "300",
        "qemu-system-x86_64",
        "-accel",
        "tcg,thread=multi",
        "-smp",
        "2",
        "-m",
        "2048",
        "-nographic",
    ]);
    qemu.args(["-no-reboot", "-nic", "none", "-cpu", "max", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(dir.join("ram.gz"));
    qemu.args(["-append", &format!("console=ttyS0 quiet panic=-1 hull={mode}")]).stdin(Stdio::null());
    eprintln!("+ booting Linux {version} with cgroup {mode} under emulation");
    let said = qemu.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&said.stdout).replace('\r', "");
    let telling = |line: &&str| ["ok ", "FAIL ", "SKIP ", "DONE"].iter().any(|word| line.starts_with(word));
    let lines: Vec<_> = said.lines().filter(telling).collect();
    eprintln!("{}", lines.join("\n"));
    let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    match (lines.last(), count("ok"), count("FAIL")) {
        (Some(&"DONE"), 1.., 0) => Ok(()),
        (Some(&"DONE"), _, failed) => Err(format!("{failed} failed in the emulated machine")),
        _ => Err(format!("the emulated machine did not come to its end:\n{said}")),
    }
}

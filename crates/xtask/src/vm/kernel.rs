//! Debian's kernels, out of their packages without being installed.

use crate::shell::{must, output, sh};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a machine needs of them, besides what these need.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "overlay"];

/// A kernel that can be booted.
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// In the order in which they can be loaded.
    pub(super) modules: Vec<PathBuf>,
}

/// Downloads and unpacks the kernel's package, once.
pub(super) fn kernel(dir: &Path, version: &str) -> Result<Kernel, String> {
    let tree = dir.join(format!("linux-{version}"));
    if !tree.exists() {
        fetch(dir, version)?;
    }
    let release = only_entry(&tree.join("lib/modules"))?;
    let mut modules = Vec::new();
    for module in MODULES {
        let mut command = Command::new("/sbin/modprobe");
        command.args(["--show-depends", "-S", &release, "-d"]).arg(&tree).arg(module);
        let lines = output(&mut command)
            .ok_or_else(|| format!("module `{module}` of Linux {version} is not found"))?;
        let paths = lines.lines().filter_map(|line| line.strip_prefix("insmod "));
        for path in paths.map(|path| PathBuf::from(path.trim())) {
            if !modules.contains(&path) {
                modules.push(path);
            }
        }
    }
    Ok(Kernel { image: tree.join(format!("boot/vmlinuz-{release}")), modules })
}

fn fetch(dir: &Path, version: &str) -> Result<(), String> {
    let meta = match version {
        "6.1" => "linux-image-amd64".to_owned(),
        _ => format!("linux-image-{version}-amd64"),
    };
    let depends = output(Command::new("apt-cache").args(["depends", &meta])).unwrap_or_default();
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.ok_or_else(|| format!("no package of Linux {version}: run `apt-get update`"))?;
    must(
        Command::new("apt-get")
            .args(["download", "-qq", "-o", "Acquire::Retries=3", package])
            .current_dir(dir),
    )?;
    must(&mut sh(
        dir,
        &format!(
            "rm -rf new && dpkg-deb -x {package}_*.deb new && rm {package}_*.deb \
             && /sbin/depmod -b new $(ls new/lib/modules) && mv new linux-{version}"
        ),
    ))
}

fn only_entry(dir: &Path) -> Result<String, String> {
    let entry = std::fs::read_dir(dir).ok().and_then(|mut entries| entries.next()?.ok());
    let entry = entry.ok_or_else(|| format!("`{}` is empty", dir.display()))?;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

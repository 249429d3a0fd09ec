//! What the tests need of Debian.

use crate::shell::{Done, has, must};
use std::process::Command;

/// (program that tells whether it is there, package)
const TESTS: [(&str, &str); 9] = [
    ("busybox", "busybox-static"),
    ("python3", "python3"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("bzip2", "bzip2"),
    ("zstd", "zstd"),
    ("setfacl", "acl"),
    ("crun", "crun"),
    ("umoci", "umoci"),
];

/// Installs what is missing as root; names it otherwise.
pub(crate) fn install_for_tests() -> Done {
    install(&TESTS)
}

/// Likewise for another list.
pub(crate) fn install(wanted: &[(&str, &str)]) -> Done {
    let missing: Vec<_> =
        wanted.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(format!("missing Debian packages: {}", missing.join(" ")));
    }
    must(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args([
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
    ]);
    must(install.args(missing))
}

//! What the tests need of Debian.

use crate::shell::{Done, has, must};
use std::process::Command;

/// (program that tells whether it is there, package)
pub(crate) const TESTS: [(&str, &str); 12] = [
    ("busybox", "busybox-static"),
    ("python3", "python3"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("bzip2", "bzip2"),
    ("zstd", "zstd"),
    ("setfacl", "acl"),
    ("crun", "crun"),
    ("umoci", "umoci"),
    ("newuidmap", "uidmap"),
    ("docker-registry", "docker-registry"),
    ("skopeo", "skopeo"),
];

/// Engines that run hull-runtime, and what they need for all that is tested with them.
pub(crate) const ENGINES: [(&str, &str); 7] = [
    ("podman", "podman"),
    ("catatonit", "catatonit"),
    ("buildah", "buildah"),
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("docker-compose", "docker-compose"),
    ("/usr/lib/python3/dist-packages/grpc/__init__.py", "python3-grpcio"),
];

/// What is run beside hull in `--long` tests and benchmarks.
const PEERS: [(&str, &str); 5] =
    [("cc", "gcc"), ("crun", "crun"), ("runc", "runc"), ("perf", "linux-perf"), ("valgrind", "valgrind")];

/// Installs the peers that are missing, one by one: what cannot be had is left out.
pub(crate) fn install_peers() -> Done {
    for peer in PEERS.into_iter().chain(ENGINES) {
        if let Err(why) = install(&[peer]) {
            eprintln!("SKIP: {why}");
        }
    }
    Ok(())
}

/// Installs what is missing as root; names it otherwise.
pub(crate) fn install_for_tests() -> Done {
    install(&TESTS)
}

/// Likewise for the engines, where they are wanted.
pub(crate) fn install_engines() -> Done {
    install(&ENGINES)
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
    must(apt_get().args(["update", "-qq"]))?;
    must(apt_get().args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing))
}

/// Mirrors hiccup, and a package manager that is busy gets free.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

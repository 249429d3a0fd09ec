//! A small Debian with systemd, as a disk; with engines or without.

use crate::image::digest;
use crate::shell::{Done, must, sh};
use std::path::{Path, PathBuf};

/// What is in it besides the minimum.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,busybox-static,crun,runc";

/// The checks are the last service, and the machine goes with them.
const SERVICE: &str = "\
[Unit]
Description=What is tried
After=multi-user.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/busybox sh /checks.sh
StandardOutput=file:/dev/ttyS0
StandardError=inherit
Environment=PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin
";

/// Made once; other packages or another service are another disk.
pub(super) fn disk(dir: &Path, more: &[&str]) -> Result<PathBuf, String> {
    let packages = [&[PACKAGES], more].concat().join(",");
    let key = digest(format!("{packages}{SERVICE}").as_bytes());
    let disk = dir.join(format!("debian-{}.img", &key[..12]));
    if !disk.exists() {
        make(dir, &packages, &disk)?;
    }
    Ok(disk)
}

/// Daemons that come with engines do not start by themselves: tests have their own.
fn make(dir: &Path, packages: &str, disk: &Path) -> Done {
    std::fs::write(dir.join("checks.service"), SERVICE).map_err(|error| error.to_string())?;
    must(&mut sh(
        dir,
        &format!(
            "set -e; rm -rf debian; mmdebstrap --quiet --variant=minbase --include={packages} \
               --aptopt='Acquire::Retries \"3\"' bookworm debian
             cp checks.service debian/etc/systemd/system/
             mkdir -p debian/etc/systemd/system/default.target.wants
             ln -s /etc/systemd/system/checks.service debian/etc/systemd/system/default.target.wants/
             ln -sf /lib/systemd/system/multi-user.target debian/etc/systemd/system/default.target
             rm -f debian/etc/systemd/system/*.wants/docker.* debian/etc/systemd/system/*.wants/containerd.* \
               debian/etc/systemd/system/*.wants/podman*
             rm -rf debian/usr/share/doc debian/usr/share/locale debian/var/cache/apt debian/var/lib/apt/lists/*
             truncate -s 3G new.img; mke2fs -q -F -t ext4 -d debian new.img; rm -rf debian; mv new.img '{}'",
            disk.display()
        ),
    ))
}

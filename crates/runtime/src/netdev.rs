//! Moving network devices of the host's into the container.

use crate::plan::NetDevicePlan;
use crate::{Error, Kind, Result, refused};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::Pid;
use sys::netlink::{Address, Netlink};
use sys::process::{Namespaces, join_namespace};

/// Both sides of the move.
struct Move {
    own: OwnedFd,
    theirs: OwnedFd,
    here: Netlink,
    there: Netlink,
}

/// Moves devices into the network namespace of a process: renamed, with their permanent addresses, and up
/// (config-linux.md, Network Devices). They stay there when the container ends: that is the kernel's matter.
pub(crate) fn move_all(devices: &[NetDevicePlan], pid: Pid) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let failed = |errno| refused(errno, "enter the container's network namespace".into());
    let sides = Move::between(pid).map_err(failed)?;
    devices.iter().try_for_each(|device| sides.carry(device))
}

impl Move {
    fn between(pid: Pid) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let own = open(c"/proc/self/ns/net", flags, Mode::empty())?;
        let theirs = open(format!("/proc/{}/ns/net", pid.as_raw_nonzero()), flags, Mode::empty())?;
        let here = Netlink::open()?;
        join_namespace(&theirs, Namespaces::NET)?;
        let there = Netlink::open();
        join_namespace(&own, Namespaces::NET)?;
        Ok(Self { own, theirs, here, there: there? })
    }

    fn carry(&self, device: &NetDevicePlan) -> Result<()> {
        let failed = |errno| refused(errno, format!("move network device `{}`", device.name));
        let index = index(&self.here, &device.name).map_err(failed)?;
        let index = index.ok_or_else(|| {
            Error::new(Kind::Invalid, format!("`linux.netDevices`: there is no device `{}`", device.name))
        })?;
        if self::index(&self.there, &device.inside).map_err(failed)?.is_some() {
            return Err(failed(Errno::EXIST)); // once it has moved, it is late to find out
        }
        self.move_with_addresses(index, device).map_err(failed)
    }

    fn move_with_addresses(&self, index: u32, device: &NetDevicePlan) -> rustix::io::Result<()> {
        let mut addresses = self.here.addresses()?;
        addresses.retain(|address| {
            address.index == index && address.scope == 0 && address.flags & Address::PERMANENT != 0
        });
        let before = self.there.links()?;
        self.here.set_up(index, false)?;
        let moved = self.here.move_link(index, &self.theirs, &device.inside);
        let new = self.there.links()?.into_iter().find(|link| !before.contains(link));
        let Some(new) = new else { return moved.and(Err(Errno::NODEV)) };
        let settled = moved.and_then(|()| self.settle(new.index, &addresses));
        if settled.is_err() {
            // It would end with the namespace.
            let _ = self.there.move_link(new.index, &self.own, &device.name);
        }
        settled
    }

    fn settle(&self, index: u32, addresses: &[Address]) -> rustix::io::Result<()> {
        addresses.iter().try_for_each(|address| self.there.add_address(index, address))?;
        self.there.set_up(index, true)
    }
}

fn index(side: &Netlink, name: &str) -> rustix::io::Result<Option<u32>> {
    Ok(side.links()?.into_iter().find(|link| link.name == name).map(|link| link.index))
}

//! A container's control group: freezing, limits, accounts.

use crate::Error;
use crate::config::Bundle;
use crate::error::{At, from_cgroup, invalid, status};
use crate::record::Process;
use crate::{Place, Record, Result, Status};
use cgroup::systemd::{Driver, Manager, Value, from_annotations};
use cgroup::{Cgroup, Host, OomNotice, Stats};
use oci::runtime::LinuxResources;
use runtime::Caller;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::path::PathBuf;

impl Record {
    /// The group and the host's hierarchies; none where the container has none.
    pub(crate) fn group(&self) -> Result<Option<(Host, Cgroup)>> {
        let Some(path) = &self.cgroup else { return Ok(None) };
        let host = host(self.systemd.as_ref(), Vec::new())?;
        let found = match self.groups.as_slice() {
            [] => host.open(path),
            groups => host.reopen(groups),
        };
        Ok(found.map_err(from_cgroup)?.map(|group| (host, group)))
    }
}

impl Bundle {
    /// The host's control groups, and who makes the container's. None where there are none, and it may do without.
    pub(crate) fn groups(&self, systemd: Option<&Manager>, rootless: Option<bool>) -> Result<Option<Host>> {
        let annotations = self.spec.annotations().iter().flatten();
        let asked = if systemd.is_some() { from_annotations(annotations) } else { Ok(Vec::new()) };
        let optional = rootless.unwrap_or(self.caller != Caller::Root);
        match host(systemd, asked.map_err(from_cgroup)?) {
            Err(_) if optional && systemd.is_none() && !self.asks_limits() => Ok(None),
            host => {
                host.map(|host| Some(for_caller(if optional { host.optional() } else { host }, self.caller)))
            }
        }
    }

    fn asks_limits(&self) -> bool {
        let asked = self.spec.linux().as_ref().and_then(|linux| linux.resources().clone());
        asked.is_some_and(|mut asked| asked.set_devices(None) != &mut LinuxResources::default())
    }
}

fn for_caller(host: Host, caller: Caller) -> Host {
    if caller == Caller::Root { host } else { host.without_devices() }
}

fn host(systemd: Option<&Manager>, properties: Vec<(String, Value)>) -> Result<Host> {
    let host = Host::probe().map_err(from_cgroup)?;
    Ok(match systemd {
        Some(manager) => host.under_systemd(Driver { manager: manager.clone(), properties }),
        None => host,
    })
}

impl Place {
    /// Stops all processes of the container until [`resume`](Self::resume).
    ///
    /// # Errors
    /// [`Status`](crate::Kind::Status) if it does not run.
    pub fn pause(&self) -> Result<()> {
        self.lock()?;
        let state = self.state()?;
        match state.status {
            Status::Running | Status::Created => {
                self.group_of(&state.record)?.1.freeze().map_err(from_cgroup)
            }
            Status::Paused => Err(status("container already paused")),
            other => Err(status(format!("container not running or created: {}", other.word()))),
        }
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`Status`](crate::Kind::Status) if it is not paused.
    pub fn resume(&self) -> Result<()> {
        self.lock()?;
        let state = self.state()?;
        match state.status {
            Status::Paused => self.group_of(&state.record)?.1.thaw().map_err(from_cgroup),
            _ => Err(status("container not paused")),
        }
    }

    /// Changes those of its limits that are given.
    ///
    /// # Errors
    /// [`Cgroup`](crate::Kind::Cgroup): all is as before.
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        self.lock()?;
        let state = self.living("cannot update a stopped container")?;
        let (host, group) = self.group_of(&state)?;
        let failed = |error: Error| {
            Error::new(*error.kind(), format!("update container `{}`", self.id())).caused_by(error)
        };
        for_caller(host, Caller::now()).update(&group, resources).map_err(from_cgroup).map_err(failed)
    }

    /// Changes its share of caches and memory bandwidth, a line of resctrl's `schemata` each.
    ///
    /// # Errors
    /// [`Invalid`](crate::Kind::Invalid) if it has no class of its own.
    pub fn update_rdt(&self, schemata: &[&str]) -> Result<()> {
        let record = self.record()?;
        let is_class = |path: &&PathBuf| !path.iter().any(|part| part == "mon_groups");
        let class =
            record.rdt.iter().find(is_class).ok_or_else(|| {
                invalid(format!("container `{}` has no Intel RDT class of its own", self.id()))
            })?;
        std::fs::write(class.join("schemata"), schemata.join("\n") + "\n")
            .at(|| format!("write `{}/schemata`", class.display()))
    }

    /// What it has used until now.
    pub fn stats(&self) -> Result<Stats> {
        let record = self.living(&format!("container with id {} is not running", self.id()))?;
        Ok(self.group_of(&record)?.1.stats())
    }

    /// Tells when its memory runs out.
    pub fn oom_notice(&self) -> Result<OomNotice> {
        self.group_of(&self.record()?)?.1.oom_notice().map_err(from_cgroup)
    }

    /// Its processes, as the host counts them; those of groups below as well. Of a container without a group, those in its
    /// pid or mount namespace.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let state = self.state()?;
        let mut pids = match (state.record.group()?, state.pid) {
            (Some((_, group)), _) => group.all_procs().iter().map(|pid| pid.as_raw_nonzero().get()).collect(),
            (None, Some(pid)) => sharing(pid, if state.record.shares_pids { "mnt" } else { "pid" }),
            (None, None) => Vec::new(),
        };
        pids.sort_unstable();
        Ok(pids)
    }

    fn living(&self, otherwise: &str) -> Result<Record> {
        let state = self.state()?;
        if state.pid.is_some() { Ok(state.record) } else { Err(status(otherwise)) }
    }

    fn group_of(&self, record: &Record) -> Result<(Host, Cgroup)> {
        record.group()?.ok_or_else(|| status(format!("container `{}` has no cgroup", self.id())))
    }
}

impl Record {
    /// Kills what is beside the first process, where neither a group nor a pid namespace holds it together. As long as the
    /// first lives, its mount namespace is no other container's.
    pub(crate) fn kill_beside(&self) {
        let first =
            self.process.filter(|process| self.shares_pids && self.cgroup.is_none() && process.lives());
        let Some(Process { pid: first, .. }) = first else { return };
        for _ in 0..500 {
            let others: Vec<_> = sharing(first, "mnt").into_iter().filter(|&pid| pid != first).collect();
            if others.is_empty() {
                return;
            }
            others.into_iter().for_each(|pid| kill_sharing(pid, first));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

/// All in the same namespace as a process, as far as the caller may see them.
fn sharing(pid: i32, kind: &str) -> Vec<i32> {
    let Some(wanted) = namespace(pid, kind) else { return vec![pid] };
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok());
    pids.filter(|&one| namespace(one, kind).as_ref() == Some(&wanted)).collect()
}

fn namespace(pid: i32, kind: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()
}

/// Checked after it was opened: the id may be another process's meanwhile.
fn kill_sharing(pid: i32, first: i32) {
    let opened = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    if let Some(Ok(pidfd)) = opened
        && namespace(pid, "mnt").is_some_and(|own| Some(own) == namespace(first, "mnt"))
    {
        let _ = sys::signal::send(&pidfd, Signal::KILL.as_raw());
    }
}

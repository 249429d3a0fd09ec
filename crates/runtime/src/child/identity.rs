//! From root of the namespace to the user of the process.

use super::{During, Result};
use crate::channel::{Channel, Tag};
use crate::failure::{Failure, Step};
use crate::plan::{CapabilityPlan, Plan, ProcessPlan};
use crate::start::{Bond, Manner};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Rlimit, Signal, set_parent_process_death_signal, setrlimit, umask};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use sys::proc::Procfs;
use sys::process::{CapabilitySets, drop_from_bounding_set, raise_ambient, set_capabilities};

/// Takes on the ids 0:0 of the user namespace just mapped.
pub(super) fn become_root() -> Result<()> {
    set_groups(&[])
        .and_then(|()| set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT))
        .and_then(|()| set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT))
        .during(Step::BecomeRoot, "0:0")
}

/// Where `/proc/PID/setgroups` says `deny` nobody can, and who has no groups to set need not; see user_namespaces(7).
fn set_groups(groups: &[Gid]) -> rustix::io::Result<()> {
    match set_thread_groups(groups) {
        Err(Errno::PERM) if groups.is_empty() && is_denied() => Ok(()),
        set => set,
    }
}

fn is_denied() -> bool {
    Procfs::mounted().and_then(|proc| proc.open("self/setgroups", OFlags::RDONLY)).is_ok_and(|file| {
        let mut word = [0; 4];
        rustix::io::read(file, &mut word).is_ok() && &word == b"deny"
    })
}

/// Takes on the user's ids and capabilities, the filter and the last few settings; in the one order that works:
/// the filter needs CAP_SYS_ADMIN or no_new_privs, the ids need CAP_SETUID, and both go with the capabilities.
pub(super) fn become_user(plan: &Plan, channel: &Channel, manner: &Manner) -> Result<()> {
    let process = &plan.process;
    umask(Mode::from_raw_mode(process.identity.umask));
    sys::process::close_on_exec_from(3 + i32::from(manner.kept)).during(Step::Streams, "close-on-exec")?;
    sys::signal::reset();
    limit(process)?;
    if !process.no_new_privileges {
        install_filter(plan, channel)?;
    }
    set_ids_and_capabilities(process)?;
    // Cleared by the kernel with any change of ids, so it is set after them.
    if matches!(manner.bond, Bond::Maker) {
        set_parent_process_death_signal(Some(Signal::KILL)).during(Step::Identity, "parent-death signal")?;
        // One that died before gives no signal any more: it is heard as the end of the channel.
        if channel.is_abandoned() {
            sys::process::exit_now(125)
        }
    }
    enter_workdir(&process.cwd)?;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).during(Step::Capabilities, "no_new_privs")?;
    }
    match &plan.listener {
        Some(_) if process.no_new_privileges => install_filter(plan, channel),
        _ => Ok(()),
    }
}

/// Sets the limits of setrlimit(2); the maker has raised what needs raising. What is done after this opens nothing.
fn limit(process: &ProcessPlan) -> Result<()> {
    let finite = |limit| (limit != u64::MAX).then_some(limit);
    process.rlimits.iter().try_for_each(|&(resource, soft, hard)| {
        setrlimit(resource, Rlimit { current: finite(soft), maximum: finite(hard) })
            .during(Step::Limit, format!("{resource:?} to {soft}:{hard}"))
    })
}

/// As the user, who must be allowed to. What procfs leads to may be outside of the root: CVE-2024-21626.
fn enter_workdir(path: &str) -> Result<()> {
    rustix::process::chdir(path).during(Step::WorkDir, path)?;
    match rustix::process::getcwd(Vec::new()) {
        Ok(cwd) if cwd.to_bytes().starts_with(b"/") => Ok(()),
        Ok(_) => Err(Failure::new(Step::WorkDir, Errno::XDEV, path)),
        Err(errno) => Err(Failure::new(Step::WorkDir, errno, path)),
    }
}

/// Where no capability is needed for it, the filter is the very last: it need not allow what comes before. One with a
/// listener is there already, as its maker has to hand that over.
pub(super) fn install_last_filter(plan: &Plan, channel: &Channel) -> Result<()> {
    match plan.process.no_new_privileges && plan.listener.is_none() {
        true => install_filter(plan, channel),
        false => Ok(()),
    }
}

fn install_filter(plan: &Plan, channel: &Channel) -> Result<()> {
    let Some(program) = &plan.process.seccomp else { return Ok(()) };
    let listener = sys::seccomp::install(&program.instructions, program.flags).during(Step::Seccomp, "")?;
    match listener {
        Some(listener) => {
            channel.send_with(Tag::Listener, &[], &[listener.as_fd()]).during(Step::Seccomp, "its listener")
        }
        None => Ok(()),
    }
}

fn set_ids_and_capabilities(process: &ProcessPlan) -> Result<()> {
    let identity = &process.identity;
    if let Some(plan) = identity.capabilities {
        // Until EINVAL: the kernel's last capability was passed.
        for capability in (0..64).filter(|capability| plan.bounding >> capability & 1 == 0) {
            if drop_from_bounding_set(capability).is_err() {
                break;
            }
        }
        rustix::thread::set_keep_capabilities(true).during(Step::Capabilities, "keep")?;
    }
    let groups: Vec<_> = identity.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_groups(&groups)
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .during(Step::Identity, format!("{}:{}", identity.uid, identity.gid))?;
    let Some(plan) = identity.capabilities else { return Ok(()) };
    let plan = available(plan)?;
    set_capabilities(plan.sets).during(Step::Capabilities, format!("{:#x}", plan.sets.effective))?;
    for capability in (0..64).filter(|capability| plan.ambient >> capability & 1 == 1) {
        raise_ambient(capability).during(Step::Capabilities, format!("ambient {capability}"))?;
    }
    Ok(())
}

/// What is not there to be had was warned of.
fn available(plan: CapabilityPlan) -> Result<CapabilityPlan> {
    let there = sys::process::capabilities().during(Step::Capabilities, "those at hand")?.permitted;
    let CapabilitySets { effective, permitted, inheritable } = plan.sets;
    let sets = CapabilitySets {
        effective: effective & there,
        permitted: permitted & there,
        inheritable: inheritable & there,
    };
    Ok(CapabilityPlan { sets, ambient: plan.ambient & there, ..plan })
}

//! From root of the namespace to the user of the process.

use super::{During, Result};
use crate::failure::Step;
use crate::plan::{Label, ProcessPlan};
use crate::start::{Bond, Manner};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Rlimit, Signal, set_parent_process_death_signal, setrlimit, umask};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use sys::process::{drop_from_bounding_set, raise_ambient, set_capabilities};

/// Takes on the ids 0:0 of the user namespace just mapped.
pub(super) fn become_root() -> Result<()> {
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT))
        .and_then(|()| set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT))
        .during(Step::BecomeRoot, "0:0")
}

/// Opens the file of a security label while `/proc` can still be trusted to be the kernel's.
pub(super) fn open_label<'a>(root: &OwnedFd, label: &'a Label) -> Result<(OwnedFd, &'a Label)> {
    let path = format!("proc/thread-self/attr/{}", label.file);
    openat(root, path.as_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map(|file| (file, label))
        .during(Step::Label, &label.text)
}

/// Sets the limits of setrlimit(2). What is done after this opens nothing.
pub(super) fn limit(process: &ProcessPlan) -> Result<()> {
    let finite = |limit| (limit != u64::MAX).then_some(limit);
    process.rlimits.iter().try_for_each(|&(resource, soft, hard)| {
        setrlimit(resource, Rlimit { current: finite(soft), maximum: finite(hard) })
            .during(Step::Limit, format!("{resource:?} to {soft}:{hard}"))
    })
}

/// Takes on the user's ids and capabilities, the filter and the last few settings; in the one order that works:
/// the filter needs CAP_SYS_ADMIN or no_new_privs, the ids need CAP_SETUID, and both go with the capabilities.
pub(super) fn become_user(
    process: &ProcessPlan,
    label: Option<(OwnedFd, &Label)>,
    manner: &Manner,
) -> Result<()> {
    let identity = &process.identity;
    umask(Mode::from_raw_mode(identity.umask));
    if let Some((file, label)) = label {
        rustix::io::write(file, label.text.as_bytes()).map(drop).during(Step::Label, &label.text)?;
    }
    if !process.no_new_privileges {
        install_filter(process)?;
    }
    set_ids_and_capabilities(process)?;
    // Cleared by the kernel with any change of ids, so it is set after them.
    if matches!(manner.bond, Bond::Maker) {
        set_parent_process_death_signal(Some(Signal::KILL)).during(Step::Identity, "parent-death signal")?;
    }
    rustix::process::chdir(process.cwd.as_str()).during(Step::WorkDir, &process.cwd)?;
    sys::process::close_on_exec_from(3 + i32::from(manner.kept)).during(Step::Streams, "close-on-exec")?;
    sys::signal::reset();
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).during(Step::Capabilities, "no_new_privs")?;
    }
    Ok(())
}

/// Where no capability is needed for it, the filter is the very last: it need not allow what comes before.
pub(super) fn install_last_filter(process: &ProcessPlan) -> Result<()> {
    if process.no_new_privileges { install_filter(process) } else { Ok(()) }
}

fn install_filter(process: &ProcessPlan) -> Result<()> {
    let Some(program) = &process.seccomp else { return Ok(()) };
    sys::seccomp::install(&program.instructions, program.flags).map(drop).during(Step::Seccomp, "")
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
    set_thread_groups(&groups)
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .during(Step::Identity, format!("{}:{}", identity.uid, identity.gid))?;
    let Some(plan) = identity.capabilities else { return Ok(()) };
    set_capabilities(plan.sets).during(Step::Capabilities, format!("{:#x}", plan.sets.effective))?;
    for capability in (0..64).filter(|capability| plan.ambient >> capability & 1 == 1) {
        raise_ambient(capability).during(Step::Capabilities, format!("ambient {capability}"))?;
    }
    Ok(())
}

//! The first process: its program, identity and limits.

use super::placement::bits;
use super::{invalid, unsupported};
use crate::Result;
use oci::runtime::{Capabilities, Linux, LinuxPersonality, LinuxPersonalityDomain, PosixRlimit, Process};
use rustix::process::Resource;
use rustix::thread::CpuSet;
use std::ffi::CString;
use sys::process::{CapabilitySets, Vectors};
use sys::tty::Winsize;

/// The container's first process.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    /// As typed; looked up in `path` when it has no slash.
    pub(crate) program: String,
    /// The candidates for execve, in order.
    pub(crate) candidates: Vec<CString>,
    pub(crate) vectors: Vectors,
    pub(crate) cwd: String,
    pub(crate) terminal: bool,
    pub(crate) identity: Identity,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Option<seccomp::Program>,
    pub(crate) rlimits: Vec<(Resource, u64, u64)>,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) labels: Vec<Label>,
    pub(crate) personality: Option<u64>,
    pub(crate) console_size: Option<Winsize>,
    pub(crate) affinity: Affinity,
}

/// The CPUs of a process that enters a container: until it is in the container's group, and from then on.
#[derive(Debug, Default)]
pub(crate) struct Affinity {
    pub(crate) initial: Option<CpuSet>,
    pub(crate) last: Option<CpuSet>,
}

/// A security module's label for the program.
#[derive(Debug)]
pub(crate) struct Label {
    /// In procfs.
    pub(crate) file: &'static str,
    pub(crate) text: String,
}

/// Where AppArmor takes the profile of the next program, and SELinux its label.
pub(super) const APPARMOR: &str = "thread-self/attr/apparmor/exec";
pub(super) const SELINUX: &str = "thread-self/attr/exec";

/// Who the process is.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) umask: u32,
    /// None: the `Spec` says nothing, and capabilities stay as they are.
    pub(crate) capabilities: Option<CapabilityPlan>,
}

/// The five sets as bit masks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CapabilityPlan {
    pub(crate) bounding: u64,
    pub(crate) ambient: u64,
    /// Asked for in the ambient set, and not to be had there.
    pub(crate) lost: u64,
    pub(crate) sets: CapabilitySets,
}

impl ProcessPlan {
    pub(super) fn new(process: &Process, linux: &Linux) -> Result<Self> {
        let args = process.args().as_deref().unwrap_or_default();
        let env = process.env().as_deref().unwrap_or_default();
        let program = args.first().ok_or_else(|| invalid("`process.args` is empty"))?.clone();
        let cwd = process.cwd().display().to_string();
        if !cwd.starts_with('/') {
            return Err(invalid(format!("`process.cwd` `{cwd}` is not absolute")));
        }
        Ok(Self {
            candidates: candidates(&program, env)?,
            program,
            vectors: Vectors::new(c_strings(args)?, c_strings(env)?),
            cwd,
            terminal: process.terminal().unwrap_or(false),
            identity: Identity::new(process),
            no_new_privileges: process.no_new_privileges().unwrap_or(false),
            seccomp: compile(linux)?,
            rlimits: rlimits(process.rlimits().as_deref().unwrap_or_default())?,
            oom_score_adj: process.oom_score_adj(),
            labels: labels(process),
            personality: linux.personality().as_ref().map(personality).transpose()?,
            console_size: process.console_size().as_ref().map(console_size).transpose()?,
            affinity: process.exec_cpu_affinity().as_ref().map(affinity).transpose()?.unwrap_or_default(),
        })
    }
}

fn affinity(asked: &oci::runtime::ExecCPUAffinity) -> Result<Affinity> {
    Ok(Affinity {
        initial: cpus(asked.initial(), "process.execCPUAffinity.initial")?,
        last: cpus(asked.cpu_affinity_final(), "process.execCPUAffinity.final")?,
    })
}

fn cpus(list: &Option<String>, field: &str) -> Result<Option<CpuSet>> {
    let mask = bits(list.as_deref().unwrap_or_default(), field)?;
    if mask.len() * 64 > CpuSet::MAX_CPU {
        return Err(invalid(format!("`{field}`: no CPU has a number above {}", CpuSet::MAX_CPU - 1)));
    }
    let mut cpus = CpuSet::new();
    (0..mask.len() * 64).filter(|cpu| mask[cpu / 64] >> (cpu % 64) & 1 == 1).for_each(|cpu| cpus.set(cpu));
    Ok((!mask.is_empty()).then_some(cpus))
}

/// Numbers of linux/personality.h.
fn personality(asked: &LinuxPersonality) -> Result<u64> {
    if let Some(flag) = asked.flags().iter().flatten().next() {
        return Err(unsupported(format!("`linux.personality.flags` {flag:?}")));
    }
    Ok(match asked.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

fn console_size(size: &oci::runtime::Box) -> Result<Winsize> {
    let cells = |count: u64, member: &str| {
        u16::try_from(count)
            .map_err(|_| invalid(format!("`process.consoleSize.{member}` {count} is too large")))
    };
    let (ws_row, ws_col) = (cells(size.height(), "height")?, cells(size.width(), "width")?);
    Ok(Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 })
}

fn compile(linux: &Linux) -> Result<Option<seccomp::Program>> {
    let Some(profile) = linux.seccomp() else { return Ok(None) };
    seccomp::compile(profile).map(Some).map_err(|cause| invalid("compile `linux.seccomp`").caused_by(cause))
}

/// A program with a slash is what it is; another is looked for in PATH, where an empty entry is the
/// working directory, as execvp(3) has it.
fn candidates(program: &str, env: &[String]) -> Result<Vec<CString>> {
    if program.contains('/') {
        return c_strings(std::slice::from_ref(&program.to_owned()));
    }
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or("/bin:/usr/bin");
    let join = |dir: &str| if dir.is_empty() { program.to_owned() } else { format!("{dir}/{program}") };
    c_strings(&path.split(':').map(join).collect::<Vec<_>>())
}

fn c_strings(strings: &[String]) -> Result<Vec<CString>> {
    let convert =
        |s: &String| CString::new(s.as_bytes()).map_err(|_| invalid(format!("{s:?} has a NUL byte")));
    strings.iter().map(convert).collect()
}

impl Identity {
    fn new(process: &Process) -> Self {
        let user = process.user();
        Self {
            uid: user.uid(),
            gid: user.gid(),
            groups: user.additional_gids().clone().unwrap_or_default(),
            umask: user.umask().unwrap_or(0o022),
            capabilities: process.capabilities().as_ref().map(CapabilityPlan::new),
        }
    }
}

impl CapabilityPlan {
    /// An ambient capability must be permitted and inheritable, see capabilities(7); one that is not is left
    /// out, as runc does.
    fn new(named: &oci::runtime::LinuxCapabilities) -> Self {
        let sets = CapabilitySets {
            effective: mask(named.effective()),
            permitted: mask(named.permitted()),
            inheritable: mask(named.inheritable()),
        };
        let asked = mask(named.ambient());
        let ambient = asked & sets.permitted & sets.inheritable;
        Self { bounding: mask(named.bounding()), ambient, lost: asked & !ambient, sets }
    }
}

/// oci-spec numbers capabilities by the alphabet, the kernel by age.
fn mask(set: &Option<Capabilities>) -> u64 {
    let Some(set) = set else { return 0 };
    let known = seccomp::Capabilities::ALL.iter().filter(|capability| set.contains(&capability.to_runtime()));
    known.fold(0, |mask, capability| mask | 1 << capability.number())
}

fn labels(process: &Process) -> Vec<Label> {
    let label = |file, prefix: &str, text: &Option<String>| {
        let text = text.as_ref().filter(|text| !text.is_empty())?;
        Some(Label { file, text: format!("{prefix}{text}") })
    };
    let apparmor = label(APPARMOR, "exec ", process.apparmor_profile());
    apparmor.into_iter().chain(label(SELINUX, "", process.selinux_label())).collect()
}

fn rlimits(asked: &[PosixRlimit]) -> Result<Vec<(Resource, u64, u64)>> {
    let mut limits: Vec<(Resource, u64, u64)> = Vec::with_capacity(asked.len());
    for limit in asked {
        let limit @ (resource, ..) = rlimit(limit)?;
        if limits.iter().any(|(other, ..)| *other == resource) {
            return Err(invalid(format!("`process.rlimits`: {resource:?} twice")));
        }
        limits.push(limit);
    }
    Ok(limits)
}

fn rlimit(limit: &PosixRlimit) -> Result<(Resource, u64, u64)> {
    use oci::runtime::PosixRlimitType as Type;
    if limit.soft() > limit.hard() {
        return Err(invalid(format!(
            "rlimit {}: soft {} is above hard {}",
            limit.typ(),
            limit.soft(),
            limit.hard()
        )));
    }
    let resource = match limit.typ() {
        Type::RlimitAs => Resource::As,
        Type::RlimitCore => Resource::Core,
        Type::RlimitCpu => Resource::Cpu,
        Type::RlimitData => Resource::Data,
        Type::RlimitFsize => Resource::Fsize,
        Type::RlimitLocks => Resource::Locks,
        Type::RlimitMemlock => Resource::Memlock,
        Type::RlimitMsgqueue => Resource::Msgqueue,
        Type::RlimitNice => Resource::Nice,
        Type::RlimitNofile => Resource::Nofile,
        Type::RlimitNproc => Resource::Nproc,
        Type::RlimitRss => Resource::Rss,
        Type::RlimitRtprio => Resource::Rtprio,
        Type::RlimitRttime => Resource::Rttime,
        Type::RlimitSigpending => Resource::Sigpending,
        Type::RlimitStack => Resource::Stack,
    };
    Ok((resource, limit.soft(), limit.hard()))
}

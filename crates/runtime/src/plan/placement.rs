//! Where and when the first process runs.

use super::{invalid, unsupported};
use crate::Result;
use oci::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxSchedulerFlag as Flag,
    LinuxSchedulerPolicy as Policy, MemoryPolicyFlagType, MemoryPolicyModeType as Mode, Process,
};
use sys::schedule::Scheduler;

/// Scheduler, priority of disk access and memory nodes; none: as the runtime's own.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    pub(crate) scheduler: Option<Scheduler>,
    /// Class and level, as ioprio_set(2) has them.
    pub(crate) io_priority: Option<(u16, u16)>,
    pub(crate) memory: Option<MemoryPlan>,
}

/// A mode with its flags, and a mask of nodes, as set_mempolicy(2) has them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MemoryPlan {
    pub(crate) mode: u32,
    pub(crate) nodes: Vec<u64>,
}

impl Placement {
    pub(super) fn new(process: &Process, memory: Option<&LinuxMemoryPolicy>) -> Result<Self> {
        Ok(Self {
            scheduler: process.scheduler().as_ref().map(scheduler).transpose()?,
            io_priority: process.io_priority().as_ref().map(io_priority).transpose()?,
            memory: memory.map(memory_plan).transpose()?,
        })
    }
}

/// Numbers of linux/sched.h. What sched_setattr(2) would silently pass over is refused.
fn scheduler(asked: &oci::runtime::Scheduler) -> Result<Scheduler> {
    let refuse = |member: &str| {
        Err(invalid(format!("`process.scheduler.{member}` makes no sense with {}", asked.policy())))
    };
    let policy = asked.policy();
    let (real_time, deadline) =
        (matches!(policy, Policy::SchedFifo | Policy::SchedRr), *policy == Policy::SchedDeadline);
    let (nice, priority) = (asked.nice().unwrap_or(0), asked.priority().unwrap_or(0));
    let times = [asked.runtime(), asked.deadline(), asked.period()].map(|time| time.unwrap_or(0));
    let ordinary = matches!(policy, Policy::SchedOther | Policy::SchedBatch);
    match () {
        () if *policy == Policy::SchedIso => {
            return Err(unsupported("`process.scheduler.policy` SCHED_ISO: Linux has none"));
        }
        () if ordinary && !(-20..=19).contains(&nice) => return refuse(&format!("nice` {nice} `")),
        () if !ordinary && nice != 0 => return refuse("nice"),
        () if priority < 0 || (priority != 0 && !real_time) => return refuse("priority"),
        () if !deadline && times != [0; 3] => return refuse("runtime`, `deadline` or `period"),
        () => {}
    }
    let flags = asked.flags().iter().flatten().fold(0, |flags, flag| flags | flag_bit(*flag));
    let mut scheduler = Scheduler::new(number(*policy));
    (scheduler.flags, scheduler.nice, scheduler.priority) = (flags, nice, priority as u32);
    [scheduler.runtime, scheduler.deadline, scheduler.period] = times;
    Ok(scheduler)
}

fn number(policy: Policy) -> u32 {
    match policy {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIso => 4,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    }
}

fn flag_bit(flag: Flag) -> u64 {
    match flag {
        Flag::SchedResetOnFork => 1,
        Flag::SchedFlagReclaim => 2,
        Flag::SchedFlagDLOverrun => 4,
        Flag::SchedFlagKeepPolicy => 8,
        Flag::SchedFlagKeepParams => 0x10,
        Flag::SchedFlagUtilClampMin => 0x20,
        Flag::SchedFlagUtilClampMax => 0x40,
    }
}

/// Numbers of linux/ioprio.h.
fn io_priority(asked: &LinuxIOPriority) -> Result<(u16, u16)> {
    let class = match asked.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    match u16::try_from(asked.priority()) {
        Ok(level) if level < 8 => Ok((class, level)),
        _ => Err(invalid(format!("`process.ioPriority.priority` {} is not 0 to 7", asked.priority()))),
    }
}

/// Numbers of linux/mempolicy.h.
fn memory_plan(asked: &LinuxMemoryPolicy) -> Result<MemoryPlan> {
    let (mode, wants) = match asked.mode() {
        Mode::MpolDefault => (0, Some(false)),
        Mode::MpolPreferred => (1, None),
        Mode::MpolBind => (2, Some(true)),
        Mode::MpolInterleave => (3, Some(true)),
        Mode::MpolLocal => (4, Some(false)),
        Mode::MpolPreferredMany => (5, Some(true)),
        Mode::MpolWeightedInterleave => (6, Some(true)),
    };
    let bit = |flag: &MemoryPolicyFlagType| match flag {
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
    };
    let nodes = bits(asked.nodes().as_deref().unwrap_or_default(), "linux.memoryPolicy.nodes")?;
    match wants {
        Some(false) if !nodes.is_empty() => {
            Err(invalid(format!("`linux.memoryPolicy`: {} takes no nodes", asked.mode())))
        }
        Some(true) if nodes.is_empty() => {
            Err(invalid(format!("`linux.memoryPolicy`: {} needs nodes", asked.mode())))
        }
        _ => Ok(MemoryPlan {
            mode: asked.flags().iter().flatten().map(bit).fold(mode, |mode, bit| mode | bit),
            nodes,
        }),
    }
}

/// More CPUs or nodes than any kernel is built for.
const MOST: usize = 8192;

/// The mask of a list such as `0-3,7`, lowest numbers first; `field` is whose it is.
pub(super) fn bits(list: &str, field: &str) -> Result<Vec<u64>> {
    let wrong = || invalid(format!("`{field}`: `{list}` is no list of numbers below {MOST}"));
    let mut mask = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| wrong())?;
        let last: usize = last.trim().parse().map_err(|_| wrong())?;
        if first > last || last >= MOST {
            return Err(wrong());
        }
        mask.resize(mask.len().max(last / 64 + 1), 0);
        (first..=last).for_each(|bit| mask[bit / 64] |= 1 << (bit % 64));
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(json: &str) -> Result<Placement> {
        let text = format!(r#"{{"user": {{"uid": 0, "gid": 0}}, "cwd": "/", {json}}}"#);
        let process = oci::spec::read_process(text.as_bytes()).unwrap().value;
        Placement::new(&process, None)
    }

    #[test]
    fn lists_of_numbers_become_masks() {
        assert_eq!(bits("0-3,7", "x").unwrap(), [0b1000_1111]);
        assert_eq!(bits("64, 1", "x").unwrap(), [2, 1]);
        assert!(bits("", "x").unwrap().is_empty());
        for wrong in ["3-1", "a", "1-", "-1", "9000", "1-2-3"] {
            assert!(bits(wrong, "x").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scheduler_has_the_kernels_numbers() {
        let text =
            r#""scheduler": {"policy": "SCHED_RR", "priority": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}"#;
        let scheduler = place(text).unwrap().scheduler.unwrap();
        assert_eq!((scheduler.policy, scheduler.priority, scheduler.flags), (2, 7, 1));
    }

    #[test]
    fn what_a_policy_would_pass_over_is_refused() {
        for wrong in [
            r#""scheduler": {"policy": "SCHED_OTHER", "priority": 1}"#,
            r#""scheduler": {"policy": "SCHED_OTHER", "nice": 20}"#,
            r#""scheduler": {"policy": "SCHED_FIFO", "nice": 1}"#,
            r#""scheduler": {"policy": "SCHED_FIFO", "runtime": 1}"#,
            r#""scheduler": {"policy": "SCHED_ISO"}"#,
            r#""ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}"#,
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_priority_of_disk_access_has_class_and_level() {
        let text = r#""ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 3}"#;
        assert_eq!(place(text).unwrap().io_priority, Some((3, 3)));
    }

    #[test]
    fn a_memory_policy_wants_nodes_or_none() {
        let plan = |json: &str| memory_plan(&serde_json::from_str(json).unwrap());
        let bound =
            plan(r#"{"mode": "MPOL_BIND", "nodes": "0,2", "flags": ["MPOL_F_STATIC_NODES"]}"#).unwrap();
        assert_eq!(bound, MemoryPlan { mode: 2 | 1 << 15, nodes: vec![5] });
        assert!(plan(r#"{"mode": "MPOL_BIND"}"#).is_err());
        assert!(plan(r#"{"mode": "MPOL_LOCAL", "nodes": "0"}"#).is_err());
        assert!(plan(r#"{"mode": "MPOL_PREFERRED"}"#).is_ok());
    }
}

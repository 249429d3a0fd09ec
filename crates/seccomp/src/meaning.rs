//! What a profile means: a verdict for every call.
//!
//! The rules are runc's and libseccomp's, so that a profile written for docker does here what it
//! does there: names that nobody knows are passed over; a rule with the default's own action says nothing; a rule
//! without conditions beats those with; of rules with conditions the first that holds counts; conditions
//! that name one argument twice are alternatives, otherwise all must hold.

use crate::number::{ROWS, number_of, row};
use crate::{Abi, Error, Kind, Result};
use oci::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg as Argument, LinuxSeccompArgBuilder,
    LinuxSeccompOperator as Operator, LinuxSyscall,
};

/// What happens to a call: the first case that holds, or what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) cases: Vec<Case>,
    /// `SECCOMP_RET_*` with its data.
    pub(crate) otherwise: u32,
}

/// An action under conditions, all of which must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) conditions: Vec<Argument>,
    pub(crate) action: u32,
}

/// Verdicts of all calls.
pub(crate) struct Meaning {
    /// The first is the default.
    pub(crate) verdicts: Vec<Verdict>,
    /// For each row of the number table an index into `verdicts`.
    pub(crate) rows: Vec<u16>,
    /// The rows that the profile names, whatever it says of them.
    pub(crate) named: Vec<bool>,
}

impl Meaning {
    pub(crate) fn of(profile: &LinuxSeccomp) -> Result<Self> {
        if profile.default_action() == Action::ScmpActNotify {
            return Err(Error::new(Kind::Invalid, "SCMP_ACT_NOTIFY cannot be used as default action"));
        }
        let mut meaning = Self::new(ret(profile.default_action(), profile.default_errno_ret())?);
        for rule in profile.syscalls().iter().flatten() {
            meaning.add(rule)?;
        }
        Ok(meaning)
    }

    pub(crate) fn new(default: u32) -> Self {
        let verdicts = vec![Verdict { cases: Vec::new(), otherwise: default }];
        Self { verdicts, rows: vec![0; ROWS], named: vec![false; ROWS] }
    }

    pub(crate) fn default(&self) -> u32 {
        self.verdicts[0].otherwise
    }

    fn add(&mut self, rule: &LinuxSyscall) -> Result<()> {
        let action = ret(rule.action(), rule.errno_ret())?;
        let cases = cases(rule.args().as_deref().unwrap_or_default(), action)?;
        for name in rule.names() {
            check_name(name, rule.action())?;
            if let Some(row) = row(name) {
                self.say(row, action, &cases);
            }
        }
        Ok(())
    }

    /// What one rule says of one call; without cases it says it whatever the arguments.
    pub(crate) fn say(&mut self, row: usize, action: u32, cases: &[Case]) {
        self.named[row] = true;
        let now = self.rows[row];
        let is_settled = now != 0 && self.verdicts[usize::from(now)].cases.is_empty();
        if is_settled || action == self.default() {
            return;
        }
        match (cases.is_empty(), now) {
            (true, _) => self.rows[row] = self.simple(action),
            (false, 0) => {
                self.rows[row] = self.push(Verdict { cases: cases.to_vec(), otherwise: self.default() })
            }
            (false, now) => self.verdicts[usize::from(now)].cases.extend_from_slice(cases),
        }
    }

    /// The verdict that is this action whatever the arguments.
    pub(crate) fn simple(&mut self, action: u32) -> u16 {
        let same = |verdict: &Verdict| verdict.cases.is_empty() && verdict.otherwise == action;
        match self.verdicts.iter().position(same) {
            Some(index) => index as u16,
            None => self.push(Verdict { cases: Vec::new(), otherwise: action }),
        }
    }

    /// There are at most as many verdicts as calls and simple actions together, far below 65,536.
    pub(crate) fn push(&mut self, verdict: Verdict) -> u16 {
        self.verdicts.push(verdict);
        (self.verdicts.len() - 1) as u16
    }

    /// The calls of an ABI that have a verdict of their own.
    pub(crate) fn decided(&self, abi: Abi) -> impl Iterator<Item = (u32, u16)> {
        let rows = self.rows.iter().enumerate().filter(|(_, verdict)| **verdict != 0);
        rows.filter_map(move |(row, verdict)| Some((number_of(row, abi)?, *verdict)))
    }

    /// The highest number below `limit` that the profile names.
    pub(crate) fn highest(&self, abi: Abi, limit: u32) -> Option<u32> {
        let named = self.named.iter().enumerate().filter(|(_, named)| **named);
        named.filter_map(|(row, _)| number_of(row, abi)).filter(|number| *number < limit).max()
    }
}

/// A stopped process could not tell its listener that it is one: runc's rule.
fn check_name(name: &str, action: Action) -> Result<()> {
    match name {
        "" => Err(Error::new(Kind::Invalid, "empty string is not a valid syscall")),
        "write" if action == Action::ScmpActNotify => {
            Err(Error::new(Kind::Invalid, "SCMP_ACT_NOTIFY cannot be used for the write syscall"))
        }
        _ => Ok(()),
    }
}

/// A comparison of an argument; `second` is what `MASKED_EQ` compares with, below the mask `value`.
pub(crate) fn condition(index: usize, operator: Operator, value: u64, second: u64) -> Argument {
    let mut argument = LinuxSeccompArgBuilder::default().index(index).op(operator).value(value);
    if second != 0 {
        argument = argument.value_two(second); // absent is 0, and docker leaves it out
    }
    // Every member has a default, so that there is nothing to fail.
    argument.build().unwrap_or_default()
}

fn cases(arguments: &[Argument], action: u32) -> Result<Vec<Case>> {
    let mut seen = [0u8; 6];
    for argument in arguments {
        let Some(count) = seen.get_mut(argument.index()) else {
            let words = format!("seccomp argument {}: a call has arguments 0 to 5", argument.index());
            return Err(Error::new(Kind::Invalid, words));
        };
        *count = count.saturating_add(1);
    }
    let case = |conditions: &[Argument]| Case { conditions: conditions.to_vec(), action };
    Ok(match (arguments.is_empty(), seen.iter().any(|count| *count > 1)) {
        (true, _) => Vec::new(),
        (false, false) => vec![case(arguments)],
        (false, true) => arguments.chunks(1).map(case).collect(),
    })
}

/// Largest errno, MAX_ERRNO of linux/err.h.
const MAX_ERRNO: u32 = 4095;
const EPERM: u32 = 1;

/// `SECCOMP_RET_*` of linux/seccomp.h with its data.
fn ret(action: Action, errno: Option<u32>) -> Result<u32> {
    let (base, largest) = match action {
        Action::ScmpActKill | Action::ScmpActKillThread => (KILL_THREAD, 0),
        Action::ScmpActKillProcess => (0x8000_0000, 0),
        Action::ScmpActTrap => (0x0003_0000, 0),
        Action::ScmpActErrno => (ERRNO, MAX_ERRNO),
        Action::ScmpActNotify => (NOTIFY, 0),
        Action::ScmpActTrace => (TRACE, 0xffff),
        Action::ScmpActLog => (LOG, 0),
        Action::ScmpActAllow => (ALLOW, 0),
    };
    match errno {
        None if largest == 0 => Ok(base),
        None => Ok(base | EPERM),
        Some(_) if largest == 0 => Err(Error::new(Kind::Invalid, format!("`{action}` takes no errno"))),
        Some(errno) if errno > largest => {
            Err(Error::new(Kind::Invalid, format!("errno {errno} is above {largest}")))
        }
        Some(errno) => Ok(base | errno),
    }
}

pub(crate) const KILL_THREAD: u32 = 0;
pub(crate) const ERRNO: u32 = 0x0005_0000;
pub(crate) const NOTIFY: u32 = 0x7fc0_0000;
pub(crate) const TRACE: u32 = 0x7ff0_0000;
pub(crate) const LOG: u32 = 0x7ffc_0000;
pub(crate) const ALLOW: u32 = 0x7fff_0000;

/// The call is made: with a note, or with a tracer's leave.
pub(crate) fn is_permissive(ret: u32) -> bool {
    matches!(ret & 0xffff_0000, ALLOW | LOG | TRACE)
}

/// i386's calls that carry others, with the number each has there: socketcall(2) and ipc(2).
#[rustfmt::skip]
const CARRIERS: [(&str, &[(&str, u64)]); 2] = [
    ("socketcall", &[
        ("socket", 1), ("bind", 2), ("connect", 3), ("listen", 4), ("accept", 5), ("getsockname", 6),
        ("getpeername", 7), ("socketpair", 8), ("send", 9), ("recv", 10), ("sendto", 11), ("recvfrom", 12),
        ("shutdown", 13), ("setsockopt", 14), ("getsockopt", 15), ("sendmsg", 16), ("recvmsg", 17), ("accept4", 18),
        ("recvmmsg", 19), ("sendmmsg", 20),
    ]),
    ("ipc", &[
        ("semop", 1), ("semget", 2), ("semctl", 3), ("semtimedop", 4), ("msgsnd", 11), ("msgrcv", 12),
        ("msgget", 13), ("msgctl", 14), ("shmat", 21), ("shmdt", 22), ("shmget", 23), ("shmctl", 24),
    ]),
];

impl Meaning {
    /// On i386 a rule for `socket` holds for `socketcall(SYS_SOCKET)` too, unless the profile speaks of
    /// `socketcall` itself without conditions; likewise `ipc`. Arguments are in memory there, so that
    /// conditions can't be checked: what is refused under a condition is then refused always, what is
    /// allowed under one is not allowed this way.
    pub(crate) fn carriers(&mut self) -> Vec<(u32, u16)> {
        CARRIERS.iter().filter_map(|(carrier, carried)| self.carrier(carrier, carried)).collect()
    }

    fn carrier(&mut self, carrier: &str, carried: &[(&str, u64)]) -> Option<(u32, u16)> {
        let row = row(carrier)?;
        let mut verdict = self.verdicts[usize::from(self.rows[row])].clone();
        if self.rows[row] != 0 && verdict.cases.is_empty() {
            return None;
        }
        verdict.cases.extend(carried.iter().filter_map(|(name, number)| self.carried(name, *number)));
        Some((number_of(row, Abi::I386)?, self.push(verdict)))
    }

    fn carried(&self, name: &str, number: u64) -> Option<Case> {
        let verdict = &self.verdicts[usize::from(*self.rows.get(row(name)?)?)];
        let action = match verdict.cases.iter().find(|case| !is_permissive(case.action)) {
            Some(refusal) => refusal.action,
            None => verdict.otherwise,
        };
        // The upper half of ipc's number is a version, see ipc/syscall.c.
        let is_it = condition(0, Operator::ScmpCmpMaskedEq, 0xffff, number);
        (action != self.default()).then(|| Case { conditions: vec![is_it], action })
    }
}

//! Which devices a group may use: an allowlist, see config-linux.md, "Device allowlist".
//!
//! Each of reading, writing and making a node is decided by the last rule that speaks of it. What no rule speaks
//! of is refused, and [`always`] comes last, as in runc: a container without `/dev/null` is none.

mod list;
mod program;

use crate::systemd::Value;
use crate::{Error, Kind, Result, files};
use list::List;
use oci::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use rustix::fd::OwnedFd;
use rustix::io::write;

/// Making a node, reading and writing: BPF_DEVCG_ACC_*.
const ALL: u32 = 7;
const LETTERS: [(char, u32); 3] = [('m', 1), ('r', 2), ('w', 4)];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Block,
    Char,
}

/// One rule. An absent part is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    allow: bool,
    node: Option<Node>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

impl Rule {
    const fn allow(node: Node, major: Option<u32>, minor: Option<u32>, access: u32) -> Self {
        Self { allow: true, node: Some(node), major, minor, access }
    }

    fn read(rule: &LinuxDeviceCgroup) -> Result<Self> {
        let invalid = |why: &str| Error::new(Kind::Invalid, format!("device rule `{}`: {why}", text(rule)));
        let node = match rule.typ().unwrap_or(LinuxDeviceType::A) {
            LinuxDeviceType::A => None,
            LinuxDeviceType::B => Some(Node::Block),
            LinuxDeviceType::C | LinuxDeviceType::U => Some(Node::Char),
            LinuxDeviceType::P => return Err(invalid("a FIFO is no device")),
        };
        let number = |number: Option<i64>| match number.filter(|number| *number >= 0).map(u32::try_from) {
            Some(Err(_)) => Err(invalid("a number is too large")),
            Some(Ok(number)) => Ok(Some(number)),
            None => Ok(None),
        };
        let letters = rule.access().as_deref().filter(|text| !text.is_empty()).unwrap_or("rwm");
        let access = access(letters).ok_or_else(|| invalid("access is made of `r`, `w` and `m`"))?;
        let (major, minor) = (number(rule.major())?, number(rule.minor())?);
        Ok(Self { allow: rule.allow(), node, major, minor, access })
    }
}

fn access(letters: &str) -> Option<u32> {
    let bit = |letter| LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, bit)| *bit);
    letters.chars().try_fold(0, |access, letter| Some(access | bit(letter)?))
}

/// As v1 writes it, e.g. `c 1:3 rwm`.
fn text(rule: &LinuxDeviceCgroup) -> String {
    let number = |number: Option<i64>| number.filter(|n| *n >= 0).map_or("*".into(), |n| n.to_string());
    let kind = rule.typ().unwrap_or_default();
    let access = rule.access().as_deref().unwrap_or("rwm");
    format!("{} {}:{} {access}", kind.as_str(), number(rule.major()), number(rule.minor()))
}

/// What every container may use: null, zero, full, random, urandom, tty, console, ptmx, its terminals; and it may
/// make any node, which is of no use without a right to open it.
const fn always() -> [Rule; 11] {
    const fn char(major: u32, minor: u32) -> Rule {
        Rule::allow(Node::Char, Some(major), Some(minor), ALL)
    }
    [
        Rule::allow(Node::Char, None, None, 1),
        Rule::allow(Node::Block, None, None, 1),
        char(1, 3),
        char(1, 5),
        char(1, 7),
        char(1, 8),
        char(1, 9),
        char(5, 0),
        char(5, 1),
        char(5, 2),
        Rule::allow(Node::Char, Some(136), None, ALL),
    ]
}

/// The rules with what is before and after them.
fn whole(rules: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>> {
    let none = Rule { allow: false, node: None, major: None, minor: None, access: ALL };
    let rules = rules.iter().map(Rule::read).collect::<Result<Vec<_>>>()?;
    Ok([none].into_iter().chain(rules).chain(always()).collect())
}

/// Refuses what cannot be held, before anything is made.
pub(crate) fn check(rules: &[LinuxDeviceCgroup], is_v1: bool) -> Result<()> {
    let rules = whole(rules)?;
    if is_v1 { List::of(&rules).map(drop) } else { Ok(()) }
}

/// Holds the rules in a group; none change nothing.
pub(crate) fn hold(dir: &OwnedFd, rules: &[LinuxDeviceCgroup], is_v1: bool, is_new: bool) -> Result<()> {
    let hold = if is_v1 { hold_v1 } else { hold_v2 };
    match rules {
        [] => Ok(()),
        rules => match hold(dir, rules, is_new) {
            Err(error) if *error.kind() == Kind::Denied && is_unprivileged() => Ok(()),
            other => other,
        },
    }
}

/// As properties for systemd. What it cannot say (allowing all but some, or a minor number alone) is held by what is
/// written besides.
pub(crate) fn properties(rules: &[LinuxDeviceCgroup]) -> Result<Vec<(String, Value)>> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let list = List::of(&whole(rules)?).ok().map(|list| list.for_systemd());
    let (policy, allowed) = list.unwrap_or(("strict", Vec::new()));
    // An empty list first takes away what an earlier update allowed.
    let clear = ("DeviceAllow".to_owned(), Value::Pairs(Vec::new()));
    let policy = ("DevicePolicy".to_owned(), Value::Text(policy.to_owned()));
    let allow = (!allowed.is_empty()).then(|| ("DeviceAllow".to_owned(), Value::Pairs(allowed)));
    Ok([clear, policy].into_iter().chain(allow).collect())
}

/// Writes the list that the rules come to, and reads it back.
fn hold_v1(dir: &OwnedFd, rules: &[LinuxDeviceCgroup], is_new: bool) -> Result<()> {
    let refused = |errno| Error::new(Kind::of(errno), "set the device rules of a group").caused_by(errno);
    let target = List::of(&whole(rules)?)?;
    let now = |dir| files::get(dir, "devices.list").map(|text| List::parse(&text)).map_err(refused);
    let before = if is_new { None } else { Some(now(dir)?) };
    for change in target.changes(before.as_ref()).chunk_by(|(one, _), (next, _)| one == next) {
        let file = change[0].0;
        let failed = |line: &str, errno| {
            Error::new(Kind::of(errno), format!("write device rule `{line}` to `{file}`")).caused_by(errno)
        };
        let open = files::open_to_write(dir, file).map_err(|errno| failed(&change[0].1, errno))?;
        for (_, line) in change {
            write(&open, line.as_bytes()).map_err(|errno| failed(line, errno))?;
        }
    }
    match target.is_shown_as(&now(dir)?) {
        true => Ok(()),
        false => Err(Error::new(Kind::NotHeld, "set the device rules of a group: the kernel holds others")),
    }
}

/// Compiles the rules to a program and attaches it in place of those that are there.
fn hold_v2(dir: &OwnedFd, rules: &[LinuxDeviceCgroup], is_new: bool) -> Result<()> {
    let program = program::compile(&whole(rules)?);
    let attach = || {
        let before = if is_new { Vec::new() } else { sys::bpf::device_programs(dir)? };
        sys::bpf::attach_device_program(dir, &program)?;
        before.iter().try_for_each(|old| sys::bpf::detach_device_program(dir, old))
    };
    attach().map_err(|errno: rustix::io::Errno| {
        Error::new(Kind::of(errno), "attach the device rules to the group").caused_by(errno)
    })
}

/// Who is not root of the host may set no rule, and needs none: nodes it makes cannot be opened, and those of the
/// host are guarded by their permissions.
fn is_unprivileged() -> bool {
    let map = || std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !rustix::process::geteuid().is_root() || map().split_whitespace().ne(["0", "0", "4294967295"])
}

//! Which devices a group may use.

use crate::setting::{Setting, Shown};
use oci::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

/// v1: the file that a rule goes to, and its text. Rules are written in order, the kernel keeps the sum.
pub(crate) fn v1(rules: &[LinuxDeviceCgroup]) -> impl Iterator<Item = Setting> + '_ {
    rules.iter().map(|rule| {
        let file = if rule.allow() { "devices.allow" } else { "devices.deny" };
        Setting::new("devices", file, text(rule), Shown::Unread)
    })
}

/// A rule as v1 writes it, e.g. `c 1:3 rwm`. `a` stands for everything, numbers and access as well.
fn text(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::B => 'b',
        LinuxDeviceType::C | LinuxDeviceType::U => 'c',
        LinuxDeviceType::A | LinuxDeviceType::P => return "a".into(),
    };
    let number = |number: Option<i64>| number.filter(|n| *n >= 0).map_or("*".into(), |n| n.to_string());
    let access = rule.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major()), number(rule.minor()))
}

/// v2: compiles the rules to a program of the kind BPF_PROG_TYPE_CGROUP_DEVICE and attaches it to the group.
pub(crate) fn attach_v2(group: &rustix::fd::OwnedFd, rules: &[LinuxDeviceCgroup]) -> crate::Result<()> {
    let program = crate::program::compile(rules);
    sys::bpf::attach_device_program(group, &program).map_err(|errno| {
        crate::Error::new(crate::Kind::Kernel, "attach the device rules to the group").caused_by(errno)
    })
}

//! Capabilities: names, sets, and docker's way of adding and dropping them.

use crate::number::same;
use crate::{Error, Kind, Result};
use oci::runtime::Capability as Name;
use std::fmt;
use std::str::FromStr;

/// Names without `CAP_` by number, see linux/capability.h and capabilities(7).
#[rustfmt::skip]
const NAMES: [(&str, Name); 41] = [
    ("CHOWN", Name::Chown), ("DAC_OVERRIDE", Name::DacOverride), ("DAC_READ_SEARCH", Name::DacReadSearch),
    ("FOWNER", Name::Fowner), ("FSETID", Name::Fsetid), ("KILL", Name::Kill), ("SETGID", Name::Setgid),
    ("SETUID", Name::Setuid), ("SETPCAP", Name::Setpcap), ("LINUX_IMMUTABLE", Name::LinuxImmutable),
    ("NET_BIND_SERVICE", Name::NetBindService), ("NET_BROADCAST", Name::NetBroadcast),
    ("NET_ADMIN", Name::NetAdmin), ("NET_RAW", Name::NetRaw), ("IPC_LOCK", Name::IpcLock),
    ("IPC_OWNER", Name::IpcOwner), ("SYS_MODULE", Name::SysModule), ("SYS_RAWIO", Name::SysRawio),
    ("SYS_CHROOT", Name::SysChroot), ("SYS_PTRACE", Name::SysPtrace), ("SYS_PACCT", Name::SysPacct),
    ("SYS_ADMIN", Name::SysAdmin), ("SYS_BOOT", Name::SysBoot), ("SYS_NICE", Name::SysNice),
    ("SYS_RESOURCE", Name::SysResource), ("SYS_TIME", Name::SysTime), ("SYS_TTY_CONFIG", Name::SysTtyConfig),
    ("MKNOD", Name::Mknod), ("LEASE", Name::Lease), ("AUDIT_WRITE", Name::AuditWrite),
    ("AUDIT_CONTROL", Name::AuditControl), ("SETFCAP", Name::Setfcap), ("MAC_OVERRIDE", Name::MacOverride),
    ("MAC_ADMIN", Name::MacAdmin), ("SYSLOG", Name::Syslog), ("WAKE_ALARM", Name::WakeAlarm),
    ("BLOCK_SUSPEND", Name::BlockSuspend), ("AUDIT_READ", Name::AuditRead), ("PERFMON", Name::Perfmon),
    ("BPF", Name::Bpf), ("CHECKPOINT_RESTORE", Name::CheckpointRestore),
];

/// One capability.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

impl Capability {
    /// Its number, as in linux/capability.h.
    pub fn number(self) -> u8 {
        self.0
    }

    /// One that is written in this crate, without `CAP_`; a wrong name does not compile.
    pub(crate) const fn known(name: &str) -> Self {
        let mut number = 0;
        while !same(NAMES[number].0.as_bytes(), name.as_bytes()) {
            number += 1;
        }
        Self(number as u8)
    }

    /// The same in the words of the runtime-spec.
    pub fn to_runtime(self) -> Name {
        NAMES[usize::from(self.0)].1
    }
}

impl FromStr for Capability {
    type Err = Error;

    /// `CAP_NET_ADMIN`, `NET_ADMIN`, `net_admin`.
    fn from_str(text: &str) -> Result<Self> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        match NAMES.iter().position(|(known, _)| *known == name) {
            Some(number) => Ok(Self(number as u8)),
            None => Err(Error::new(Kind::Invalid, format!("unknown capability: \"CAP_{name}\""))),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", NAMES[usize::from(self.0)].0)
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of capabilities: bit n is capability n, as in `/proc/PID/status`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(u64);

impl Capabilities {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// All that are known here, up to CAP_CHECKPOINT_RESTORE (Linux 5.9).
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// What docker gives a container: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP,
    /// NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
    pub const DEFAULT: Self = Self(0xa804_25fb);

    /// The set of a mask as `/proc/PID/status` has it; bits not known here are dropped.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// As a mask.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether the capability is in it.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }

    /// Those in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those not in the other.
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// One by one, by number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..NAMES.len() as u8).map(Capability).filter(move |one| self.contains(*one))
    }

    /// docker's `--cap-add` and `--cap-drop` applied to this set.
    ///
    /// `available` is what the host can give: its bounding set. `ALL` added means all of these
    /// except the dropped; `ALL` dropped means only the added. A capability both added and dropped
    /// by name is there.
    pub fn adjust(self, add: &[String], drop: &[String], available: Self) -> Result<Self> {
        let (add, add_all) = parse(add, available)?;
        let (drop, drop_all) = parse(drop, available)?;
        Ok(match (add_all, drop_all) {
            (true, _) => available.difference(drop),
            (false, true) => add,
            (false, false) => self.difference(drop).union(add),
        })
    }
}

/// The named capabilities, and whether `ALL` is among the names.
fn parse(names: &[String], available: Capabilities) -> Result<(Capabilities, bool)> {
    let (mut set, mut all) = (Capabilities::EMPTY, false);
    for name in names {
        match name.eq_ignore_ascii_case("ALL") {
            true => all = true,
            false => set = set.union([check(name.parse()?, available)?].into_iter().collect()),
        }
    }
    Ok((set, all))
}

fn check(capability: Capability, available: Capabilities) -> Result<Capability> {
    let words = "capability not supported by your kernel or not available in the current environment";
    match available.contains(capability) {
        true => Ok(capability),
        false => Err(Error::new(Kind::Unsupported, format!("{words}: \"{capability}\""))),
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().fold(0, |bits, one| bits | 1 << one.0))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> Capabilities {
        names.split_whitespace().map(|name| name.parse::<Capability>().unwrap()).collect()
    }

    fn adjust(add: &str, drop: &str) -> Result<Capabilities> {
        let list = |names: &str| names.split_whitespace().map(String::from).collect::<Vec<_>>();
        let available = Capabilities::ALL.difference(set("bpf"));
        Capabilities::DEFAULT.adjust(&list(add), &list(drop), available)
    }

    #[test]
    fn names_are_read_in_any_case_and_with_or_without_prefix() {
        for text in ["CAP_NET_ADMIN", "NET_ADMIN", "net_admin", "cap_Net_Admin"] {
            let capability: Capability = text.parse().unwrap();
            assert_eq!((capability.number(), capability.to_string().as_str()), (12, "CAP_NET_ADMIN"));
        }
        let error = "flying".parse::<Capability>().unwrap_err();
        assert_eq!(error.to_string(), "unknown capability: \"CAP_FLYING\"");
    }

    #[test]
    fn names_agree_with_the_runtime_specs() {
        for capability in Capabilities::ALL.iter() {
            let json = serde_json::to_value(capability.to_runtime()).unwrap();
            assert_eq!(json, capability.to_string());
        }
    }

    #[test]
    fn docker_gives_fourteen() {
        let names = "chown dac_override fsetid fowner mknod net_raw setgid setuid setfcap setpcap \
            net_bind_service sys_chroot kill audit_write";
        assert_eq!(Capabilities::DEFAULT, set(names));
        assert_eq!(Capabilities::DEFAULT.iter().count(), 14);
    }

    #[test]
    fn adding_and_dropping_follow_dockers_rules() {
        let default = Capabilities::DEFAULT;
        let most = Capabilities::ALL.difference(set("bpf"));
        for (add, drop, result) in [
            ("", "", default),
            ("net_admin", "", default.union(set("net_admin"))),
            ("", "chown", default.difference(set("chown"))),
            ("chown", "chown", default),
            ("ALL", "", most),
            ("all", "sys_admin", most.difference(set("sys_admin"))),
            ("ALL", "ALL", most),
            ("net_admin", "ALL", set("net_admin")),
            ("", "ALL", Capabilities::EMPTY),
        ] {
            assert_eq!(adjust(add, drop).unwrap(), result, "+{add} -{drop}");
        }
    }

    #[test]
    fn what_the_host_lacks_is_refused() {
        let words = adjust("bpf", "").unwrap_err().to_string();
        assert!(words.starts_with("capability not supported by your kernel"), "{words}");
        assert!(words.ends_with(": \"CAP_BPF\""), "{words}");
        assert!(adjust("", "CAP_NOPE").is_err());
    }
}

//! The system call interfaces whose numbers are known.

use crate::{Error, Kind, Result};
use oci::runtime::Arch;

/// One set of call numbers. Two of them, x86-64 and x32, share an audit architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// 64-bit x86.
    X86_64 = 0,
    /// 32-bit pointers on 64-bit x86; its numbers carry [`X32_BIT`].
    X32 = 1,
    /// 32-bit x86.
    I386 = 2,
    /// 64-bit ARM.
    Aarch64 = 3,
    /// 32-bit ARM, EABI.
    Arm = 4,
}

/// `__X32_SYSCALL_BIT`: x32 is x86-64 to `seccomp_data.arch` and differs by this bit of the number.
pub const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// All of them, in the order of the number table.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::X32, Self::I386, Self::Aarch64, Self::Arm];

    /// What this machine runs first.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// `AUDIT_ARCH_*` of linux/audit.h, what the kernel puts in `seccomp_data.arch`.
    pub fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// What is added to a number of the table to get the kernel's.
    pub fn base(self) -> u32 {
        if self == Self::X32 { X32_BIT } else { 0 }
    }

    /// Registers are 64 bits wide. True of x32 too, whose calls mostly are x86-64's own: a
    /// comparison of the lower half alone could be passed with rubbish in the upper.
    pub fn is_wide(self) -> bool {
        !matches!(self, Self::I386 | Self::Arm)
    }

    /// The ABI of a runtime-spec architecture; `None` for those of other machines: no process
    /// here can make their calls.
    pub fn of(arch: Arch) -> Option<Self> {
        match arch {
            Arch::ScmpArchNative => Some(Self::NATIVE),
            Arch::ScmpArchX86_64 => Some(Self::X86_64),
            Arch::ScmpArchX32 => Some(Self::X32),
            Arch::ScmpArchX86 => Some(Self::I386),
            Arch::ScmpArchAarch64 => Some(Self::Aarch64),
            Arch::ScmpArchArm => Some(Self::Arm),
            _ => None,
        }
    }
}

/// An architecture by the name that profiles use.
pub(crate) fn arch(name: &str) -> Result<Arch> {
    name.parse().map_err(|_| Error::new(Kind::Invalid, format!("unknown seccomp architecture `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_read_by_their_profile_names() {
        for (name, abi) in [
            ("SCMP_ARCH_X86_64", Some(Abi::X86_64)),
            ("SCMP_ARCH_X86", Some(Abi::I386)),
            ("SCMP_ARCH_X32", Some(Abi::X32)),
            ("SCMP_ARCH_AARCH64", Some(Abi::Aarch64)),
            ("SCMP_ARCH_ARM", Some(Abi::Arm)),
            ("SCMP_ARCH_NATIVE", Some(Abi::NATIVE)),
            ("SCMP_ARCH_MIPSEL64N32", None),
            ("SCMP_ARCH_S390X", None),
            ("SCMP_ARCH_RISCV64", None),
            ("SCMP_ARCH_LOONGARCH64", None),
        ] {
            assert_eq!(Abi::of(arch(name).unwrap()), abi, "{name}");
        }
        assert!(arch("SCMP_ARCH_VAX").is_err());
    }
}

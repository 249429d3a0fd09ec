//! Who starts a container, and so what has to be done otherwise.

use rustix::fs::stat;
use sys::process::capabilities;

/// Who starts a container, by what the kernel allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The host's root: may mount, and make device nodes.
    Root,
    /// Root of a user namespace that somebody made for it: may mount; devices are the host's, bound.
    Inside,
    /// Anybody: may mount only in the user namespace of the container that it makes.
    Ordinary,
}

/// CAP_SYS_ADMIN of capabilities(7)
const SYS_ADMIN: u64 = 1 << 21;

/// PROC_USER_INIT_INO of linux/proc_ns.h: the user namespace that was there first.
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

impl Caller {
    /// The caller of this process. Where `/proc` does not tell, whoever has the capability is taken for root.
    pub fn now() -> Self {
        let held = capabilities().map_or(0, |sets| sets.effective);
        match held & SYS_ADMIN != 0 {
            false => Self::Ordinary,
            true if is_first() => Self::Root,
            true => Self::Inside,
        }
    }

    /// Does it make device nodes, and not bind the host's?
    pub(crate) fn makes_nodes(self) -> bool {
        self == Self::Root
    }
}

fn is_first() -> bool {
    stat(c"/proc/self/ns/user").map_or(true, |namespace| namespace.st_ino == FIRST_USER_NAMESPACE)
}

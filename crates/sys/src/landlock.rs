//! Landlock, see landlock(7): only whether it is there. hull does not use it; programs may.

use crate::check;
use rustix::io::Result;

/// The version of its interface; ENOSYS or EOPNOTSUPP where there is none.
pub fn abi() -> Result<u32> {
    const VERSION: u32 = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with LANDLOCK_CREATE_RULESET_VERSION the attributes must be null and of no size, and nothing is made.
    let version = check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) })?;
    Ok(u32::try_from(version).unwrap_or(0))
}

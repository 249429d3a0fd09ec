//! A file mode creation mask of one thread's own.

use rustix::fs::Mode;
use rustix::io::Result;
use rustix::thread::UnshareFlags;

/// Gives the calling thread its own umask, root and working directory, and sets that umask to 0, so
/// that files are created with exactly the mode asked for. Other threads keep theirs (umask(2) is
/// per process only because threads share `fs_struct`; unshare(2), CLONE_FS). No privilege needed.
pub fn own_zero_umask() -> Result<()> {
    // SAFETY: unshare is unsafe for CLONE_FILES only, where descriptors of other threads would mean
    // different files. CLONE_FS touches no descriptor.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS)? };
    rustix::process::umask(Mode::empty());
    Ok(())
}

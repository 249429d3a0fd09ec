//! The runtime's own binary, out of reach of containers.
//!
//! A process that enters a container can be seen there, and so can its program: through `/proc/PID/exe` the
//! container's root, where it is the host's root as well, could write to it, and the next run would run what was
//! written (CVE-2019-5736). So before anything is entered, the program is executed once more from a read-only
//! mount of itself that belongs to no namespace. Who may not make one has it made in a user namespace that is gone at
//! once; and where there is none of these, it is executed from a sealed copy in memory.
//!
//! Whose root is the container's alone cannot write to the host's files anyway, and needs no seal.

use crate::aside::aside_in;
use crate::{Error, Kind, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals, fcntl_get_seals, fstat,
    memfd_create, open, readlink, sendfile, stat, statvfs,
};
use rustix::io::{Errno, Result as Sys};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use sys::mount::{self, Attributes};
use sys::process::{Namespaces, Vectors};

const SELF: &str = "/proc/self/exe";

/// Executes the program once more, with its arguments and environment, unless it is out of reach already.
///
/// # Errors
/// Where neither way is open. On success it returns only in a program that is out of reach.
pub fn seal(
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<()> {
    if is_sealed() {
        return Ok(());
    }
    let inside = Namespaces::USER | Namespaces::MOUNT;
    let program = read_only(CWD, SELF).or_else(|_| aside_in(inside, found_anew)).or_else(|_| copy());
    let errno = match program {
        Ok(program) => vectors(args, env).exec_file(&program),
        Err(errno) => errno,
    };
    Err(Error::new(Kind::Kernel, "put the runtime's binary out of reach of containers").caused_by(errno))
}

/// A mount of this kind cannot be made writable from within a container: it is in no namespace.
fn is_sealed() -> bool {
    statvfs(SELF).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
        || open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(fcntl_get_seals)
            .is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

/// In another mount namespace the program is another mount's, so it is looked up by its name, and must be the same.
fn found_anew() -> Sys<OwnedFd> {
    let name = readlink(SELF, Vec::new())?;
    let (own, found) = (stat(SELF)?, open(name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let other = fstat(&found)?;
    match (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino) {
        true => read_only(&found, ""),
        false => Err(Errno::STALE),
    }
}

fn read_only(directory: impl AsFd, path: &str) -> Sys<OwnedFd> {
    let tree = mount::clone_tree(directory, path, false)?;
    mount::set_attributes(&tree, &Attributes { set: mount::RDONLY, ..Attributes::default() }, false)?;
    Ok(tree)
}

fn copy() -> Sys<OwnedFd> {
    let own = open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Before Linux 6.3 every one can be executed, and the flag is unknown.
    let memory = match memfd_create(c"hull", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(c"hull", flags)?,
        other => other?,
    };
    let mut left = fstat(&own)?.st_size as usize;
    while left > 0 {
        match sendfile(&memory, &own, None, left)? {
            0 => return Err(Errno::IO),
            sent => left -= sent,
        }
    }
    fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(memory)
}

fn vectors(args: impl Iterator<Item = OsString>, env: impl Iterator<Item = (OsString, OsString)>) -> Vectors {
    let entry = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        name
    };
    let strings = |all: &mut dyn Iterator<Item = OsString>| -> Vec<CString> {
        all.filter_map(|one| CString::new(one.into_vec()).ok()).collect()
    };
    Vectors::new(strings(&mut args.into_iter()), strings(&mut env.map(entry)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_in_memory_cannot_be_written_to() {
        let memory = copy().unwrap();
        assert_eq!(rustix::io::write(&memory, b"x"), Err(Errno::PERM));
        assert_eq!(fstat(&memory).unwrap().st_size, std::fs::metadata(SELF).unwrap().len() as i64);
    }

    #[test]
    fn a_read_only_mount_is_what_it_says() {
        let path =
            format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&read_only(CWD, SELF).unwrap()));
        assert!(open(path, OFlags::WRONLY, Mode::empty()).is_err());
    }
}

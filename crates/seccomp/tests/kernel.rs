//! Filters in the kernel: programs of a few bytes make one call and exit with its errno.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use oci::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompFilterFlag as Flag, LinuxSyscall,
};
use seccomp::{Abi, Capabilities, compile, default_profile};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
const SIGSYS: i32 = 31;

/// A file that goes when dropped.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// An x86-64 ELF file of one segment with this code.
fn executable(code: &[u8]) -> File {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("hull-seccomp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    let (base, length) = (0x40_0000u64, 120 + code.len() as u64);
    elf.extend([base + 120, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(b"\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0");
    elf.extend(b"\x01\0\0\0\x05\0\0\0");
    elf.extend([0, base, base, length, length, 0x1000].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(code);
    fs::write(&path, &elf).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    File(path)
}

/// Calls `number` with a first argument and exits with the errno, 0 after a success.
fn probe(abi: Abi, number: u32, first: u32) -> Vec<u8> {
    let enter: &[u8] = if abi == Abi::I386 { b"\xcd\x80" } else { b"\x0f\x05" };
    // xor edx, edx; xor esi, esi; mov eax, number; mov edi, first; mov ebx, first; xor ecx, ecx
    let mut code = b"\x31\xd2\x31\xf6\xb8".to_vec();
    code.extend((number + abi.base()).to_le_bytes());
    code.extend(
        [b"\xbf".as_slice(), &first.to_le_bytes(), b"\xbb", &first.to_le_bytes(), b"\x31\xc9", enter]
            .concat(),
    );
    // neg eax; jns +2; xor eax, eax; mov edi, eax; mov eax, 60 (exit); syscall
    code.extend(b"\xf7\xd8\x79\x02\x31\xc0\x89\xc7\xb8\x3c\0\0\0\x0f\x05");
    code
}

/// Runs code under a filter. A filter belongs to a thread and passes on to its children.
fn run(profile: &LinuxSeccomp, code: &[u8]) -> ExitStatus {
    let (file, program) = (executable(code), compile(profile).unwrap());
    let filtered = thread::spawn(move || {
        sys::seccomp::install(&program.instructions, program.flags).unwrap();
        Command::new(&file.0).status().unwrap()
    });
    filtered.join().unwrap()
}

fn errno(profile: &LinuxSeccomp, abi: Abi, name: &str, first: u32) -> i32 {
    let number = seccomp::number(name, abi).unwrap();
    run(profile, &probe(abi, number, first)).code().unwrap()
}

fn is_x86() -> bool {
    if Abi::NATIVE != Abi::X86_64 {
        eprintln!("SKIP: the programs are x86-64 code");
    }
    Abi::NATIVE == Abi::X86_64
}

fn runs_i386() -> bool {
    let works = {
        let file = executable(&probe(Abi::I386, 20, 0));
        Command::new(&file.0).status().unwrap().code() == Some(0)
    };
    if !works {
        eprintln!("SKIP: this kernel runs no i386 calls");
    }
    works
}

#[test]
fn the_default_profile_refuses_in_the_kernel() {
    if !is_x86() {
        return;
    }
    let profile = default_profile(Capabilities::DEFAULT, (6, 18));
    for (name, first, expected) in [
        ("mount", 0, EPERM),
        ("unshare", 0x1000_0000, EPERM),
        ("clone3", 0, ENOSYS),
        ("file_setattr", 0, ENOSYS),
        ("personality", 0xffff_ffff, 0),
        ("personality", 0x4_0000, EPERM),
        ("socket", 38, EPERM),
        ("socket", 40, EPERM),
        ("getpid", 0, 0),
        // Allowed, so that the kernel's own errors come: no such type of socket, bad address.
        ("socket", 1, 94),
        ("pipe2", 0, 14),
    ] {
        assert_eq!(errno(&profile, Abi::X86_64, name, first), expected, "{name}({first:#x})");
    }
    assert_eq!(run(&profile, &probe(Abi::X86_64, 600, 0)).code(), Some(ENOSYS));
    assert_eq!(errno(&profile, Abi::X32, "mount", 0), EPERM);
}

#[test]
fn the_default_profile_covers_i386() {
    if !is_x86() || !runs_i386() {
        return;
    }
    let profile = default_profile(Capabilities::DEFAULT, (6, 18));
    assert_eq!(errno(&profile, Abi::I386, "mount", 0), EPERM);
    assert_eq!(errno(&profile, Abi::I386, "clone3", 0), ENOSYS);
    assert_eq!(errno(&profile, Abi::I386, "getpid", 0), 0);
    assert_eq!(run(&profile, &probe(Abi::I386, 600, 0)).code(), Some(ENOSYS));
}

#[test]
fn a_capability_opens_its_calls() {
    if !is_x86() {
        return;
    }
    let profile = default_profile(Capabilities::ALL, (6, 18));
    assert_eq!(errno(&profile, Abi::X86_64, "mount", 0), 14, "the kernel's own EFAULT");
}

fn one(action: Action, errno: Option<u32>) -> LinuxSeccomp {
    let (mut rule, mut profile) = (LinuxSyscall::default(), LinuxSeccomp::default());
    rule.set_names(vec!["sync".to_string()]).set_action(action).set_errno_ret(errno);
    profile.set_default_action(Action::ScmpActAllow).set_syscalls(Some(vec![rule]));
    profile.set_architectures(Some(vec![Arch::ScmpArchNative]));
    profile
}

#[test]
fn actions_are_what_they_are_called() {
    if !is_x86() {
        return;
    }
    let result = |action, number| run(&one(action, number), &probe(Abi::X86_64, 162, 0));
    assert_eq!(result(Action::ScmpActErrno, Some(22)).code(), Some(22));
    assert_eq!(result(Action::ScmpActTrace, None).code(), Some(ENOSYS), "there is no tracer");
    assert_eq!(result(Action::ScmpActLog, None).code(), Some(0));
    for action in
        [Action::ScmpActKill, Action::ScmpActKillThread, Action::ScmpActKillProcess, Action::ScmpActTrap]
    {
        assert_eq!(result(action, None).signal(), Some(SIGSYS), "{action}");
    }
}

#[test]
fn an_abi_that_is_not_listed_is_killed() {
    if !is_x86() || !runs_i386() {
        return;
    }
    let profile = one(Action::ScmpActErrno, None);
    assert_eq!(run(&profile, &probe(Abi::I386, 20, 0)).signal(), Some(SIGSYS));
    assert_eq!(run(&profile, &probe(Abi::X32, 39, 0)).signal(), Some(SIGSYS));
}

#[test]
fn the_kernel_takes_every_flag() {
    let flags = [
        Flag::SeccompFilterFlagLog,
        Flag::SeccompFilterFlagTsync,
        Flag::SeccompFilterFlagSpecAllow,
        Flag::SeccompFilterFlagWaitKillableRecv,
    ];
    // Under nextest the process is this test's alone; a filter that only notes `sync` harms no other either.
    for list in [Vec::new(), flags.to_vec()] {
        let mut profile = one(Action::ScmpActLog, None);
        profile.set_flags(Some(list));
        let program = compile(&profile).unwrap();
        thread::spawn(move || sys::seccomp::install(&program.instructions, program.flags).unwrap())
            .join()
            .unwrap();
    }
}

#[test]
fn a_rule_that_notifies_has_a_listener() {
    let mut profile = one(Action::ScmpActNotify, None);
    profile.set_flags(Some(vec![Flag::SeccompFilterFlagWaitKillableRecv]));
    let program = compile(&profile).unwrap();
    let listener =
        thread::spawn(move || sys::seccomp::install(&program.instructions, program.flags).unwrap());
    let listener = listener.join().unwrap().expect("a descriptor");
    assert!(rustix::io::fcntl_getfd(&listener).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
}

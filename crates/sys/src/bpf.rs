//! Device programs of control groups, see bpf(2).

use crate::check;
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Result;

/// One instruction of eBPF, see instruction-set.rst of the kernel's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    value: u32,
}

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const COPY: u8 = 0xbc;
const SET: u8 = 0xb4;
const UNLESS_EQUAL: u8 = 0x56;
const IF_EQUAL: u8 = 0x16;
const EXIT: u8 = 0x95;

impl Instruction {
    const fn new(code: u8, to: u8, from: u8, offset: i16, value: u32) -> Self {
        Self { code, registers: to | from << 4, offset, value }
    }

    /// `to` = the 32-bit word at `from` + `offset`.
    pub const fn load(to: u8, from: u8, offset: i16) -> Self {
        Self::new(LOAD_WORD, to, from, offset, 0)
    }

    /// `to` &= `value`
    pub const fn and(to: u8, value: u32) -> Self {
        Self::new(AND, to, 0, 0, value)
    }

    /// `to` >>= `bits`
    pub const fn shift_right(to: u8, bits: u32) -> Self {
        Self::new(SHIFT_RIGHT, to, 0, 0, bits)
    }

    /// `to` = `from`
    pub const fn copy(to: u8, from: u8) -> Self {
        Self::new(COPY, to, from, 0, 0)
    }

    /// Jumps past so many instructions unless `register` == `value`.
    pub const fn jump_unless_equal(register: u8, value: u32, past: i16) -> Self {
        Self::new(UNLESS_EQUAL, register, 0, past, value)
    }

    /// Jumps past so many instructions if `register` == `value`.
    pub const fn jump_if_equal(register: u8, value: u32, past: i16) -> Self {
        Self::new(IF_EQUAL, register, 0, past, value)
    }

    /// Ends with a result.
    pub const fn finish(result: u32) -> [Self; 2] {
        [Self::new(SET, 0, 0, 0, result), Self::new(EXIT, 0, 0, 0, 0)]
    }
}

const ATTACH_CGROUP_DEVICE: u64 = 6;

/// Loads a program of the kind BPF_PROG_TYPE_CGROUP_DEVICE and attaches it to a cgroup (v2).
///
/// # Errors
/// EPERM without CAP_BPF or CAP_SYS_ADMIN, EINVAL where the verifier refuses it or `cgroup` is none of v2.
pub fn attach_device_program(cgroup: impl AsFd, program: &[Instruction]) -> Result<()> {
    const PROG_LOAD: u32 = 5;
    const PROG_ATTACH: u32 = 8;
    const TYPE_CGROUP_DEVICE: u64 = 15;
    const ALLOW_MULTI: u64 = 2;
    let license = c"Apache-2.0";
    let count = program.len() as u64;
    // union bpf_attr: prog_type and insn_cnt, insns, license; then the log, unused.
    let load =
        [TYPE_CGROUP_DEVICE | count << 32, program.as_ptr() as u64, license.as_ptr() as u64, 0, 0, 0, 0, 0];
    let loaded = call(PROG_LOAD, &load)?;
    // SAFETY: on success the kernel returned a new descriptor.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded as RawFd) };
    let target = cgroup.as_fd().as_raw_fd() as u64;
    // target_fd and attach_bpf_fd, attach_type and attach_flags.
    let attach = [
        target | (loaded.as_raw_fd() as u64) << 32,
        ATTACH_CGROUP_DEVICE | ALLOW_MULTI << 32,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    call(PROG_ATTACH, &attach).map(drop)
}

/// The device programs that are attached to a cgroup itself, at most 64 as the kernel has it.
///
/// # Errors
/// As [`attach_device_program`].
pub fn device_programs(cgroup: impl AsFd) -> Result<Vec<OwnedFd>> {
    const PROG_GET_FD_BY_ID: u32 = 13;
    const PROG_QUERY: u32 = 16;
    let mut ids = [0u32; 64];
    let target = cgroup.as_fd().as_raw_fd() as u64;
    // target_fd and attach_type, flags, prog_ids, prog_cnt.
    let mut query =
        [target | ATTACH_CGROUP_DEVICE << 32, 0, ids.as_mut_ptr() as u64, ids.len() as u64, 0, 0, 0, 0];
    call_mut(PROG_QUERY, &mut query)?;
    let count = (query[3] as u32 as usize).min(ids.len());
    let open = |id: &u32| {
        let opened = call(PROG_GET_FD_BY_ID, &[u64::from(*id), 0, 0, 0, 0, 0, 0, 0])?;
        // SAFETY: on success the kernel returned a new descriptor.
        Ok(unsafe { OwnedFd::from_raw_fd(opened as RawFd) })
    };
    ids[..count].iter().map(open).collect()
}

/// Takes one program away from a cgroup.
///
/// # Errors
/// ENOENT where it is not attached.
pub fn detach_device_program(cgroup: impl AsFd, program: impl AsFd) -> Result<()> {
    const PROG_DETACH: u32 = 9;
    let target = cgroup.as_fd().as_raw_fd() as u64;
    let program = program.as_fd().as_raw_fd() as u64;
    call(PROG_DETACH, &[target | program << 32, ATTACH_CGROUP_DEVICE, 0, 0, 0, 0, 0, 0]).map(drop)
}

fn call(command: u32, attributes: &[u64; 8]) -> Result<libc::c_long> {
    let mut attributes = *attributes;
    call_mut(command, &mut attributes)
}

fn call_mut(command: u32, attributes: &mut [u64; 8]) -> Result<libc::c_long> {
    let size = size_of_val(attributes);
    // SAFETY: the attributes and what they point to outlive the call, and their true size is given.
    check(unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size) })
}

/// Runs a program over a context of words as the kernel does; for tests of those who write programs.
pub fn interpret(program: &[Instruction], context: &[u32]) -> u32 {
    let mut registers = [0u32; 11];
    let mut next = 0usize;
    while let Some(Instruction { code, registers: pair, offset, value }) = program.get(next) {
        let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
        next += 1;
        match *code {
            LOAD_WORD => registers[to] = context[*offset as usize / 4],
            AND => registers[to] &= value,
            SHIFT_RIGHT => registers[to] >>= value,
            COPY => registers[to] = registers[from],
            SET => registers[to] = *value,
            UNLESS_EQUAL if registers[to] != *value => next += *offset as usize,
            IF_EQUAL if registers[to] == *value => next += *offset as usize,
            UNLESS_EQUAL | IF_EQUAL => {}
            _ => break,
        }
    }
    registers[0]
}

//! A profile compiled to BPF.

use crate::assemble::{Assembler, Range, Section};
use crate::meaning::{ERRNO, KILL_THREAD, Meaning, NOTIFY, is_permissive};
use crate::number::PRIVATE;
use crate::{Abi, Capabilities, Error, Kind, Result, X32_BIT, profile};
use oci::runtime::{Arch, LinuxSeccomp, LinuxSeccompFilterFlag as Flag};
use sys::seccomp::{Flags, Instruction};

/// A filter, ready for [`sys::seccomp::install`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// At most 4096 (BPF_MAXINSNS).
    pub instructions: Vec<Instruction>,
    /// How to install it. `NEW_LISTENER` is among them when a rule notifies.
    pub flags: Flags,
}

const ENOSYS: u32 = 38;
/// BPF_MAXINSNS of linux/bpf_common.h
const LONGEST: usize = 4096;

/// Compiles a profile for this machine.
///
/// Architectures of other machines, and call names that this machine does not know, are without effect.
/// The machine's own ABI is always included. Calls of an ABI that is not listed kill the thread, as
/// libseccomp has it. Unless the profile allows by default, a call newer than all that it names
/// gets ENOSYS, so that programs fall back to an older one.
pub fn compile(profile: &LinuxSeccomp) -> Result<Program> {
    compile_for(Abi::NATIVE, profile)
}

/// [`compile`] for the machine whose own ABI is `native`: x86-64 or aarch64.
pub fn compile_for(native: Abi, profile: &LinuxSeccomp) -> Result<Program> {
    let mut meaning = Meaning::of(profile)?;
    let abis = abis(native, profile.architectures().as_deref().unwrap_or_default());
    let flags = flags(profile, &meaning);
    let program = Program { instructions: assemble(&mut meaning, &abis), flags };
    match program.instructions.len() <= LONGEST {
        true => Ok(program),
        false => Err(Error::new(Kind::Unsupported, too_long(program.instructions.len()))),
    }
}

/// The program of [`default_profile`](crate::default_profile), from the table without the detour by names.
pub fn default_program(caps: Capabilities, kernel: (u32, u32)) -> Program {
    let mut meaning = profile::meaning(caps, kernel);
    let abis = abis(Abi::NATIVE, profile::ARCHITECTURES);
    Program { instructions: assemble(&mut meaning, &abis), flags: Flags::SPEC_ALLOW }
}

fn assemble(meaning: &mut Meaning, abis: &[Abi]) -> Vec<Instruction> {
    let sections = sections(meaning, abis);
    Assembler::new(&meaning.verdicts).program(&sections, KILL_THREAD)
}

fn too_long(length: usize) -> String {
    format!("seccomp profile compiles to {length} instructions, the kernel takes {LONGEST}")
}

/// The ABIs to filter, this machine's own first.
fn abis(native: Abi, architectures: &[Arch]) -> Vec<Abi> {
    let runs_here = |abi: &Abi| match native {
        Abi::Aarch64 => *abi == Abi::Arm,
        _ => matches!(abi, Abi::X32 | Abi::I386),
    };
    let mut abis = vec![native];
    for abi in architectures.iter().filter_map(|arch| Abi::of(*arch)).filter(runs_here) {
        if !abis.contains(&abi) {
            abis.push(abi);
        }
    }
    abis
}

fn sections(meaning: &mut Meaning, abis: &[Abi]) -> Vec<Section> {
    let mut sections = vec![native(meaning, abis[0], abis.contains(&Abi::X32))];
    for abi in abis.iter().filter(|abi| abi.audit() != abis[0].audit()) {
        let more = if *abi == Abi::I386 { meaning.carriers() } else { Vec::new() };
        let mut ranges = Vec::with_capacity(128);
        extend(&mut ranges, meaning, *abi, &more);
        sections.push(Section { audit: abi.audit(), ranges, wide: abi.is_wide() });
    }
    sections
}

/// x32 is a part of x86-64, above a bit.
fn native(meaning: &mut Meaning, native: Abi, x32: bool) -> Section {
    let mut ranges = Vec::with_capacity(256);
    extend(&mut ranges, meaning, native, &[]);
    match native {
        Abi::X86_64 if x32 => extend(&mut ranges, meaning, Abi::X32, &[]),
        // runc's and libseccomp's: too new where things are refused by default, else a foreign ABI.
        Abi::X86_64 if is_permissive(meaning.default()) => {
            let foreign = meaning.simple(KILL_THREAD);
            append(&mut ranges, (X32_BIT, foreign));
        }
        _ => (),
    }
    Section { audit: native.audit(), ranges, wide: true }
}

/// Appends the ranges of one ABI; `more` are verdicts that replace its own.
fn extend(ranges: &mut Vec<Range>, meaning: &mut Meaning, abi: Abi, more: &[(u32, u16)]) {
    let end = meaning.highest(abi, PRIVATE).map_or(0, |highest| highest + 1);
    let beyond = beyond(meaning, end);
    let mut verdicts = vec![0; end as usize];
    let mut private = Vec::new();
    for (number, verdict) in meaning.decided(abi).chain(more.iter().copied()) {
        match verdicts.get_mut(number as usize) {
            Some(slot) => *slot = verdict,
            None => private.push((number, verdict)),
        }
    }
    let ordinary = verdicts.into_iter().enumerate().map(|(number, verdict)| (number as u32, verdict));
    ordinary.for_each(|(number, verdict)| append(ranges, (abi.base() + number, verdict)));
    append(ranges, (abi.base() + end, beyond));
    if abi == Abi::Arm {
        append(ranges, (PRIVATE, 0)); // no age can be told from their numbers
    }
    private.sort_unstable();
    for (number, verdict) in private {
        append(ranges, (number, verdict));
        append(ranges, (number + 1, 0));
    }
}

/// What becomes of calls newer than all named. A profile that names none says nothing of age.
fn beyond(meaning: &mut Meaning, end: u32) -> u16 {
    if end == 0 || is_permissive(meaning.default()) { 0 } else { meaning.simple(ERRNO | ENOSYS) }
}

/// Adds a range, or lets the last go on; a range that begins where the last did replaces it.
fn append(ranges: &mut Vec<Range>, range: Range) {
    if ranges.last().is_some_and(|last| last.0 == range.0) {
        ranges.pop();
    }
    if ranges.last().is_none_or(|last| last.1 != range.1) {
        ranges.push(range);
    }
}

fn flags(profile: &LinuxSeccomp, meaning: &Meaning) -> Flags {
    // runc's default: the mitigation costs far more than a filter gains by it.
    let mut flags = match profile.flags() {
        None => Flags::SPEC_ALLOW,
        Some(list) => list.iter().map(flag).collect(),
    };
    let used = |verdict: &u16| &meaning.verdicts[usize::from(*verdict)];
    let notifies = |ret: u32| ret & 0xffff_0000 == NOTIFY;
    let mut verdicts = meaning.rows.iter().map(used);
    match verdicts.any(|one| notifies(one.otherwise) || one.cases.iter().any(|case| notifies(case.action))) {
        true => flags |= Flags::NEW_LISTENER,
        // The kernel refuses it without a listener, whom alone it concerns.
        false => flags -= Flags::WAIT_KILLABLE_RECV,
    }
    flags
}

fn flag(flag: &Flag) -> Flags {
    match flag {
        Flag::SeccompFilterFlagLog => Flags::LOG,
        Flag::SeccompFilterFlagTsync => Flags::TSYNC,
        Flag::SeccompFilterFlagSpecAllow => Flags::SPEC_ALLOW,
        Flag::SeccompFilterFlagWaitKillableRecv => Flags::WAIT_KILLABLE_RECV,
    }
}

//! From verdicts to instructions: a binary search over ranges of call numbers.
//!
//! Jumps of classic BPF go forward only, so the program is written from its end: whatever an
//! instruction can jump to is there before it, and one ending serves all who share it.

use crate::meaning::Verdict;
use oci::runtime::{LinuxSeccompArg as Argument, LinuxSeccompOperator as Operator};
use sys::seccomp::Instruction;

// Classes, sizes and operations of linux/filter.h, linux/bpf_common.h.
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const ALWAYS: u16 = 0x05; // BPF_JMP | BPF_JA
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const ABOVE: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const FROM: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// `struct seccomp_data` of linux/seccomp.h.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// An instruction's distance from the end of the program.
type Label = usize;

/// Calls from a number on, up to the next range.
pub(crate) type Range = (u32, u16);

/// The calls of one audit architecture.
pub(crate) struct Section {
    pub(crate) audit: u32,
    /// Sorted; the first begins at 0.
    pub(crate) ranges: Vec<Range>,
    /// Arguments are 64 bits wide.
    pub(crate) wide: bool,
}

/// The leaves of the search: ranges of one verdict together with single calls in between that have another.
/// A single call costs one comparison for equality there, and two as a range of its own.
fn leaves(ranges: &[Range]) -> Vec<&[Range]> {
    let mut leaves = Vec::with_capacity(ranges.len());
    let mut rest = ranges;
    while !rest.is_empty() {
        let (leaf, after) = rest.split_at(1 + 2 * singles(rest));
        leaves.push(leaf);
        rest = after;
    }
    leaves
}

/// How many single calls interrupt the first range, up to a few: they are compared one by one.
fn singles(ranges: &[Range]) -> usize {
    let interrupts = |at: &usize| match ranges.get(2 * at + 1..2 * at + 3) {
        Some([single, back]) => back.0 == single.0 + 1 && back.1 == ranges[0].1,
        _ => false,
    };
    (0..3).take_while(interrupts).count()
}

/// A program as it is written, last instruction first.
pub(crate) struct Assembler<'a> {
    verdicts: &'a [Verdict],
    reversed: Vec<Instruction>,
    /// Where each action was last returned.
    returns: Vec<(u32, Label)>,
    /// Where the verdicts of this section are.
    placed: Vec<Option<Label>>,
}

impl<'a> Assembler<'a> {
    pub(crate) fn new(verdicts: &'a [Verdict]) -> Self {
        let placed = vec![None; verdicts.len()];
        Self { verdicts, reversed: Vec::with_capacity(256), returns: Vec::new(), placed }
    }

    /// The whole: which architecture, then its calls; `foreign` for all others.
    pub(crate) fn program(mut self, sections: &[Section], foreign: u32) -> Vec<Instruction> {
        let mut next = self.ret(foreign);
        for section in sections.iter().rev() {
            self.placed.fill(None);
            let tree = self.tree(&leaves(&section.ranges), section.wide);
            self.follow(tree);
            let load = self.push(LOAD, NUMBER);
            next = self.jump(EQUAL, section.audit, load, next);
        }
        self.push(LOAD, ARCH);
        self.reversed.reverse();
        self.reversed
    }

    fn tree(&mut self, leaves: &[&[Range]], wide: bool) -> Label {
        if let [leaf] = leaves {
            return self.leaf(leaf, wide);
        }
        let (low, high) = leaves.split_at(leaves.len() / 2);
        let (above, below) = (self.tree(high, wide), self.tree(low, wide));
        self.jump(FROM, high[0][0].0, above, below)
    }

    /// One verdict, with single calls that differ.
    fn leaf(&mut self, ranges: &[Range], wide: bool) -> Label {
        let around = self.verdict(ranges[0].1, wide);
        ranges.iter().skip(1).step_by(2).rev().fold(around, |next, (number, verdict)| {
            let inside = self.verdict(*verdict, wide);
            self.jump(EQUAL, *number, inside, next)
        })
    }

    fn verdict(&mut self, index: u16, wide: bool) -> Label {
        let verdict = &self.verdicts[usize::from(index)];
        if verdict.cases.is_empty() {
            return self.ret(verdict.otherwise);
        }
        if let Some(label) = self.placed[usize::from(index)] {
            return label;
        }
        let mut next = self.ret(verdict.otherwise);
        for case in verdict.cases.iter().rev() {
            let mut holds = self.ret(case.action);
            for condition in case.conditions.iter().rev() {
                holds = self.condition(condition, wide, holds, next);
            }
            next = holds;
        }
        self.placed[usize::from(index)] = Some(next);
        next
    }

    fn condition(&mut self, condition: &Argument, wide: bool, yes: Label, no: Label) -> Label {
        let at = ARGUMENTS + 8 * condition.index() as u32;
        let value = Value { at, value: condition.value(), wide };
        match condition.op() {
            Operator::ScmpCmpEq => self.equal(value, yes, no),
            Operator::ScmpCmpNe => self.equal(value, no, yes),
            Operator::ScmpCmpGt => self.order(ABOVE, value, yes, no),
            Operator::ScmpCmpGe => self.order(FROM, value, yes, no),
            Operator::ScmpCmpLt => self.order(FROM, value, no, yes),
            Operator::ScmpCmpLe => self.order(ABOVE, value, no, yes),
            Operator::ScmpCmpMaskedEq => self.masked(value, condition.value_two().unwrap_or(0), yes, no),
        }
    }

    fn equal(&mut self, value: Value, yes: Label, no: Label) -> Label {
        let lower = self.half(EQUAL, value.at, value.low(), yes, no);
        if value.wide { self.half(EQUAL, value.at + 4, value.high(), lower, no) } else { lower }
    }

    fn order(&mut self, operation: u16, value: Value, yes: Label, no: Label) -> Label {
        if !value.wide && value.high() != 0 {
            return no; // no 32-bit register gets there
        }
        let lower = self.half(operation, value.at, value.low(), yes, no);
        if !value.wide {
            return lower;
        }
        let same = self.jump(EQUAL, value.high(), lower, no);
        self.half(ABOVE, value.at + 4, value.high(), yes, same)
    }

    fn masked(&mut self, mask: Value, value: u64, yes: Label, no: Label) -> Label {
        let value = Value { value, ..mask };
        let lower = self.masked_half(mask.at, mask.low(), value.low(), yes, no);
        match mask.wide && (mask.high(), value.high()) != (0, 0) {
            true => self.masked_half(mask.at + 4, mask.high(), value.high(), lower, no),
            false => lower,
        }
    }

    fn half(&mut self, operation: u16, at: u32, value: u32, yes: Label, no: Label) -> Label {
        self.jump(operation, value, yes, no);
        self.push(LOAD, at)
    }

    fn masked_half(&mut self, at: u32, mask: u32, value: u32, yes: Label, no: Label) -> Label {
        self.jump(EQUAL, value, yes, no);
        self.push(AND, mask);
        self.push(LOAD, at)
    }

    /// An end; one close enough is used again.
    fn ret(&mut self, action: u32) -> Label {
        let here = self.reversed.len();
        let near = self.returns.iter().find(|(other, label)| *other == action && here - label < 240);
        if let Some((_, label)) = near {
            return *label;
        }
        self.returns.retain(|(other, _)| *other != action);
        self.returns.push((action, here));
        self.push(RETURN, action)
    }

    fn jump(&mut self, operation: u16, k: u32, yes: Label, no: Label) -> Label {
        let (yes, no) = (self.near(yes), self.near(no));
        let skip = |label: Label| (self.reversed.len() - label - 1) as u8;
        let (jt, jf) = (skip(yes), skip(no));
        self.reversed.push(Instruction { code: operation, jt, jf, k });
        self.reversed.len() - 1
    }

    /// A conditional jump skips 255 instructions at most: what is further is reached by way of an
    /// unconditional one. Two are left of room for those that the other target needs.
    fn near(&mut self, label: Label) -> Label {
        let distance = self.reversed.len() - label - 1;
        if distance < 254 { label } else { self.push(ALWAYS, distance as u32) }
    }

    /// Makes sure that what is pushed next goes on at `label`.
    fn follow(&mut self, label: Label) {
        let distance = self.reversed.len() - label - 1;
        if distance > 0 {
            self.push(ALWAYS, distance as u32);
        }
    }

    fn push(&mut self, code: u16, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt: 0, jf: 0, k });
        self.reversed.len() - 1
    }
}

/// What an argument is compared with.
#[derive(Clone, Copy)]
struct Value {
    /// Offset of its lower half. All machines of the number table are little-endian.
    at: u32,
    value: u64,
    wide: bool,
}

impl Value {
    fn low(self) -> u32 {
        self.value as u32
    }

    fn high(self) -> u32 {
        (self.value >> 32) as u32
    }
}

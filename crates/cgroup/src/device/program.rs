//! Device rules as a program for v2, see cgroup-v2.rst, "Device controller", and `struct bpf_cgroup_dev_ctx`.

use super::{ALL, Node, Rule};
use sys::bpf::Instruction;

// Registers: the context, then what the program takes from it.
const CONTEXT: u8 = 1;
const ACCESS: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// The program: 1 allows, 0 refuses. The last rule that speaks of an access decides, so they are tried from the
/// last on: one that allows takes its part out of what is asked, and what is left goes on to the rule before.
pub(super) fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        Instruction::load(ACCESS, CONTEXT, 0),
        Instruction::load(MAJOR, CONTEXT, 4),
        Instruction::load(MINOR, CONTEXT, 8),
        Instruction::copy(KIND, ACCESS),
        Instruction::and(KIND, 0xFFFF),
        Instruction::shift_right(ACCESS, 16),
    ];
    for rule in rules.iter().rev() {
        let block = block(rule);
        let always = block.len() == Instruction::finish(0).len();
        program.extend(block);
        if always {
            return program; // the verifier refuses what is never reached
        }
    }
    program.extend(Instruction::finish(0));
    program
}

/// One rule: conditions that jump past it, and its verdict.
fn block(rule: &Rule) -> Vec<Instruction> {
    let verdict = verdict(rule);
    let numbers = [(MAJOR, rule.major), (MINOR, rule.minor)];
    let numbers = numbers.into_iter().filter_map(|(register, number)| Some((register, number?)));
    let node = rule.node.map(|node| (KIND, if node == Node::Block { 1 } else { 2 }));
    let tests: Vec<_> = node.into_iter().chain(numbers).collect();
    let left = |test: usize| (tests.len() - 1 - test + verdict.len()) as i16;
    let jump = |(index, (register, number)): (usize, &(u8, u32))| {
        Instruction::jump_unless_equal(*register, *number, left(index))
    };
    tests.iter().enumerate().map(jump).chain(verdict.iter().copied()).collect()
}

fn verdict(rule: &Rule) -> Vec<Instruction> {
    let finish = Instruction::finish(u32::from(rule.allow));
    let part = match (rule.access, rule.allow) {
        (ALL, _) => vec![],
        (access, true) => {
            vec![Instruction::and(ACCESS, ALL & !access), Instruction::jump_unless_equal(ACCESS, 0, 2)]
        }
        (access, false) => vec![
            Instruction::copy(SCRATCH, ACCESS),
            Instruction::and(SCRATCH, access),
            Instruction::jump_if_equal(SCRATCH, 0, 2),
        ],
    };
    part.into_iter().chain(finish).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs a program as the kernel would: (kind, access, major, minor) to a verdict.
    fn verdict(rules: &[Rule], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
        sys::bpf::interpret(&compile(rules), &[access << 16 | kind, major, minor])
    }

    /// Each of mknod, read and write is decided by the last rule that speaks of it.
    fn model(rules: &[Rule], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
        let speaks = |rule: &&Rule, bit: u32| {
            let node = rule.node.is_none_or(|node| (node == Node::Block) == (kind == 1));
            let number = |asked: Option<u32>, is: u32| asked.is_none_or(|asked| asked == is);
            node && number(rule.major, major) && number(rule.minor, minor) && rule.access & bit != 0
        };
        let allowed = |bit| rules.iter().rev().find(|rule| speaks(rule, bit)).is_some_and(|rule| rule.allow);
        u32::from([1, 2, 4].into_iter().filter(|bit| access & bit != 0).all(allowed))
    }

    fn rules() -> impl Strategy<Value = Vec<Rule>> {
        let node = prop_oneof![Just(None), Just(Some(Node::Block)), Just(Some(Node::Char))];
        let number = || prop_oneof![Just(None), (0u32..3).prop_map(Some)];
        let rule = (any::<bool>(), node, number(), number(), 1u32..8)
            .prop_map(|(allow, node, major, minor, access)| Rule { allow, node, major, minor, access });
        proptest::collection::vec(rule, 0..8)
    }

    proptest! {
        #[test]
        fn the_program_says_what_the_rules_say(
            rules in rules(), kind in 1u32..3, access in 1u32..8, major in 0u32..3, minor in 0u32..3
        ) {
            let said = verdict(&rules, kind, access, major, minor);
            prop_assert_eq!(said, model(&rules, kind, access, major, minor));
        }
    }

    #[test]
    fn reading_and_writing_allowed_apart_are_allowed_together() {
        let one = |access| Rule::allow(Node::Char, Some(1), Some(3), access);
        assert_eq!(verdict(&[one(2), one(4)], 2, 6, 1, 3), 1);
        assert_eq!(verdict(&[one(2), one(4)], 2, 7, 1, 3), 0);
        assert_eq!(verdict(&[], 1, 2, 8, 0), 0, "what no rule speaks of is refused");
    }

    /// Where a cgroup2 tree is mounted, e.g. beside v1 on a hybrid host.
    #[test]
    fn the_kernels_verifier_takes_it_and_one_replaces_the_other() {
        let Some(group) = crate::tests::tree_group("program") else { return };
        let take = Rule { allow: false, ..Rule::allow(Node::Char, Some(1), Some(3), 4) };
        let rules =
            [Rule::allow(Node::Char, Some(1), Some(3), ALL), Rule::allow(Node::Block, None, None, 1), take];
        sys::bpf::attach_device_program(&group.dir, &compile(&rules)).unwrap();
        assert_eq!(sys::bpf::device_programs(&group.dir).unwrap().len(), 1);
        super::super::hold_v2(&group.dir, &[], false).unwrap();
        assert_eq!(sys::bpf::device_programs(&group.dir).unwrap().len(), 1);
    }
}

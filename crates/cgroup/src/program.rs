//! Device rules as a program for v2, see cgroup-v2.rst, "Device controller", and `struct bpf_cgroup_dev_ctx`.

use oci::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use sys::bpf::Instruction;

// Registers: the context, then what the program takes from it.
const CONTEXT: u8 = 1;
const ACCESS: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// mknod, read and write: all that can be asked for.
const ALL: u32 = 7;

/// The program: 1 allows, 0 refuses. The last rule that applies decides, so they are tried from the last on;
/// what none speaks of is allowed, as on v1.
pub(crate) fn compile(rules: &[LinuxDeviceCgroup]) -> Vec<Instruction> {
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
    program.extend(Instruction::finish(1));
    program
}

/// One rule: conditions that jump past its verdict, and the verdict.
fn block(rule: &LinuxDeviceCgroup) -> Vec<Instruction> {
    let mut tests = Vec::new();
    match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::B => tests.push((vec![], Test::Differs(KIND, 1))),
        LinuxDeviceType::C | LinuxDeviceType::U => tests.push((vec![], Test::Differs(KIND, 2))),
        LinuxDeviceType::A | LinuxDeviceType::P => {}
    }
    for (register, number) in [(MAJOR, rule.major()), (MINOR, rule.minor())] {
        let number = number.filter(|number| *number >= 0).and_then(|number| u32::try_from(number).ok());
        tests.extend(number.map(|number| (vec![], Test::Differs(register, number))));
    }
    let access = access(rule);
    if access != ALL {
        tests.push(access_test(rule.allow(), access));
    }
    join(tests, u32::from(rule.allow()))
}

/// When a rule does not apply.
enum Test {
    Differs(u8, u32),
    Is(u8, u32),
}

/// Allowing covers an access only whole; refusing takes any part of it.
fn access_test(allow: bool, access: u32) -> (Vec<Instruction>, Test) {
    let mask = if allow { ALL & !access } else { access };
    let taken = vec![Instruction::copy(SCRATCH, ACCESS), Instruction::and(SCRATCH, mask)];
    (taken, if allow { Test::Differs(SCRATCH, 0) } else { Test::Is(SCRATCH, 0) })
}

fn join(tests: Vec<(Vec<Instruction>, Test)>, verdict: u32) -> Vec<Instruction> {
    let verdict = Instruction::finish(verdict);
    let mut left: usize = tests.iter().map(|(before, _)| before.len() + 1).sum::<usize>() + verdict.len();
    let mut block = Vec::with_capacity(left);
    for (before, test) in tests {
        left -= before.len() + 1;
        block.extend(before);
        let past = left as i16;
        block.push(match test {
            Test::Differs(register, number) => Instruction::jump_unless_equal(register, number, past),
            Test::Is(register, number) => Instruction::jump_if_equal(register, number, past),
        });
    }
    block.extend(verdict);
    block
}

/// BPF_DEVCG_ACC_*.
fn access(rule: &LinuxDeviceCgroup) -> u32 {
    let text = rule.access().as_deref().filter(|text| !text.is_empty()).unwrap_or("rwm");
    [('m', 1), ('r', 2), ('w', 4)]
        .into_iter()
        .filter(|(letter, _)| text.contains(*letter))
        .map(|(_, bit)| bit)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::runtime::LinuxDeviceCgroupBuilder;

    fn rule(
        allow: bool,
        kind: LinuxDeviceType,
        major: Option<i64>,
        minor: Option<i64>,
        access: &str,
    ) -> LinuxDeviceCgroup {
        let mut rule =
            LinuxDeviceCgroupBuilder::default().allow(allow).typ(kind).access(access).build().unwrap();
        rule.set_major(major).set_minor(minor);
        rule
    }

    /// Runs a program as the kernel would: (kind, access, major, minor) to a verdict.
    fn verdict(rules: &[LinuxDeviceCgroup], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
        sys::bpf::interpret(&compile(rules), &[access << 16 | kind, major, minor])
    }

    #[test]
    fn the_last_rule_that_applies_decides() {
        use LinuxDeviceType::{A, C};
        let rules = [
            rule(false, A, None, None, "rwm"),
            rule(true, C, Some(1), Some(3), "rwm"),
            rule(true, C, Some(136), None, "rw"),
            rule(false, C, Some(1), Some(3), "w"),
        ];
        assert_eq!(verdict(&rules, 2, 2, 1, 3), 1, "reading null");
        assert_eq!(verdict(&rules, 2, 4, 1, 3), 0, "writing null was taken back");
        assert_eq!(verdict(&rules, 2, 6, 136, 9), 1, "a terminal");
        assert_eq!(verdict(&rules, 2, 1, 136, 9), 0, "making a terminal");
        assert_eq!(verdict(&rules, 1, 2, 1, 3), 0, "a block device of the same number");
        assert_eq!(verdict(&rules, 1, 2, 8, 0), 0, "a disk");
    }

    /// Where a cgroup2 tree is mounted, e.g. beside v1 on a hybrid host.
    #[test]
    fn the_kernels_verifier_takes_it() {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(std::path::Path::new);
        let Some(root) = root.into_iter().find(|root| root.join("cgroup.controllers").exists()) else {
            eprintln!("SKIP: no cgroup2 is mounted");
            return;
        };
        let path = root.join(format!("hull-test-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let group = crate::files::open_dir(&path).unwrap();
        let rules = [
            rule(false, LinuxDeviceType::A, None, None, "rwm"),
            rule(true, LinuxDeviceType::C, Some(1), Some(3), "rwm"),
            rule(true, LinuxDeviceType::B, None, None, "m"),
            rule(false, LinuxDeviceType::C, Some(1), Some(3), "w"),
        ];
        let attached = sys::bpf::attach_device_program(&group, &compile(&rules));
        std::fs::remove_dir(&path).unwrap();
        attached.unwrap();
    }

    #[test]
    fn nothing_said_is_allowed() {
        assert_eq!(verdict(&[], 1, 7, 8, 0), 1);
    }
}

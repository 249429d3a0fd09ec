//! Programs against the rules that they come from, in an interpreter of classic BPF.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use oci::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg as Argument, LinuxSeccompArgBuilder,
    LinuxSeccompOperator as Operator, LinuxSyscall,
};
use proptest::prelude::*;
use seccomp::{
    Abi, Capabilities, Program, X32_BIT, compile_for, default_profile, default_program, from_docker_json,
    number, numbers,
};
use sys::seccomp::Instruction;

const KILL: u32 = 0;
const ENOSYS: u32 = 0x0005_0000 | 38;
const EPERM: u32 = 0x0005_0000 | 1;
const ALLOW: u32 = 0x7fff_0000;

/// `struct seccomp_data`
#[derive(Debug, Clone, Copy)]
struct Data {
    audit: u32,
    number: u32,
    arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.audit,
            16..64 => (self.arguments[(offset as usize - 16) / 8] >> (offset % 8 * 8)) as u32,
            _ => panic!("load of {offset}"),
        }
    }
}

/// What the program returns, and after how many steps.
fn run(program: &[Instruction], data: &Data) -> (u32, usize) {
    let (mut at, mut accumulator, mut steps) = (0, 0u32, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        steps += 1;
        at += 1;
        match code {
            0x20 => accumulator = data.word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return (k, steps),
            _ => panic!("instruction {code:#x}"),
        }
    }
}

fn ret(action: Action, errno: Option<u32>) -> u32 {
    let data =
        if matches!(action, Action::ScmpActErrno | Action::ScmpActTrace) { errno.unwrap_or(1) } else { 0 };
    match action {
        Action::ScmpActKill | Action::ScmpActKillThread => 0,
        Action::ScmpActKillProcess => 0x8000_0000,
        Action::ScmpActTrap => 0x0003_0000,
        Action::ScmpActErrno => 0x0005_0000 | data,
        Action::ScmpActNotify => 0x7fc0_0000,
        Action::ScmpActTrace => 0x7ff0_0000 | data,
        Action::ScmpActLog => 0x7ffc_0000,
        Action::ScmpActAllow => ALLOW,
    }
}

fn is_permissive(action: Action) -> bool {
    matches!(action, Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace)
}

fn holds(argument: &Argument, data: &Data, wide: bool) -> bool {
    let is = data.arguments[argument.index()];
    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let (value, second) = (argument.value(), argument.value_two().unwrap_or(0));
    match argument.op() {
        Operator::ScmpCmpEq => is == cut(value),
        Operator::ScmpCmpNe => is != cut(value),
        Operator::ScmpCmpLt => is < value,
        Operator::ScmpCmpLe => is <= value,
        Operator::ScmpCmpGt => is > value,
        Operator::ScmpCmpGe => is >= value,
        Operator::ScmpCmpMaskedEq => is & cut(value) == cut(second),
    }
}

/// All conditions, or any one when two are about the same argument.
fn matches(arguments: &[Argument], data: &Data, wide: bool) -> bool {
    let twice = (0..6).any(|index| arguments.iter().filter(|one| one.index() == index).count() > 1);
    let mut results = arguments.iter().map(|argument| holds(argument, data, wide));
    if twice { results.any(|one| one) } else { results.all(|one| one) }
}

struct Reading<'a> {
    profile: &'a LinuxSeccomp,
    native: Abi,
}

impl Reading<'_> {
    fn rules(&self) -> impl Iterator<Item = &LinuxSyscall> {
        self.profile.syscalls().iter().flatten()
    }

    fn default(&self) -> u32 {
        ret(self.profile.default_action(), self.profile.default_errno_ret())
    }

    fn abis(&self) -> Vec<Abi> {
        let listed = self.profile.architectures().iter().flatten().filter_map(|arch| Abi::of(*arch));
        listed.chain([self.native]).collect()
    }

    fn highest(&self, abi: Abi) -> Option<u32> {
        let named = self.rules().flat_map(|rule| rule.names()).filter_map(|name| number(name, abi));
        named.filter(|number| *number < 0xf0000).max()
    }

    fn of(&self, abi: Abi, data: &Data) -> u32 {
        let default = self.profile.default_action();
        if !self.abis().contains(&abi) {
            let foreign = abi != Abi::X32 || is_permissive(default);
            let silent = self.highest(self.native).is_none();
            return if foreign {
                KILL
            } else if silent {
                self.default()
            } else {
                ENOSYS
            };
        }
        let call = data.number - abi.base();
        let is_new = !is_permissive(default) && self.highest(abi).is_some_and(|highest| call > highest);
        let is_private = abi == Abi::Arm && call >= 0xf0000;
        let beyond = if is_new && !is_private { ENOSYS } else { self.default() };
        self.decided(abi, call, data).unwrap_or(beyond)
    }

    fn decided(&self, abi: Abi, call: u32, data: &Data) -> Option<u32> {
        let is_named = |rule: &&LinuxSyscall| rule.names().iter().any(|name| number(name, abi) == Some(call));
        let action = |rule: &LinuxSyscall| ret(rule.action(), rule.errno_ret());
        let said = || self.rules().filter(is_named).filter(|rule| action(rule) != self.default());
        let plain = said().find(|rule| rule.args().as_ref().is_none_or(Vec::is_empty));
        let fits =
            |rule: &&LinuxSyscall| matches(rule.args().as_deref().unwrap_or_default(), data, abi.is_wide());
        plain.or_else(|| said().find(fits)).map(action)
    }
}

/// i386's socketcall and ipc have rules of their own, tested below.
const CARRIERS: [u32; 2] = [102, 117];

fn check(native: Abi, profile: &LinuxSeccomp, argument_sets: &[[u64; 6]]) {
    let program = compile_for(native, profile).unwrap();
    let reading = Reading { profile, native };
    let family = if native == Abi::Aarch64 {
        &[Abi::Aarch64, Abi::Arm][..]
    } else {
        &[Abi::X86_64, Abi::X32, Abi::I386]
    };
    for abi in family {
        let all =
            (0..600).chain(0xf0000..0xf0008).filter(|call| *abi != Abi::I386 || !CARRIERS.contains(call));
        for call in all {
            for set in argument_sets {
                let arguments = set.map(|one| if abi.is_wide() { one } else { one & 0xffff_ffff });
                let data = Data { audit: abi.audit(), number: call + abi.base(), arguments };
                let (is, _) = run(&program.instructions, &data);
                assert_eq!(is, reading.of(*abi, &data), "{abi:?} {call} {arguments:x?} {profile:#?}");
            }
        }
    }
    let stranger = Data { audit: 0x8000_0016, number: 1, arguments: [0; 6] };
    assert_eq!(run(&program.instructions, &stranger).0, KILL);
}

fn argument(index: usize, op: Operator, value: u64, second: Option<u64>) -> Argument {
    let argument = LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
    match second {
        Some(second) => argument.value_two(second).build().unwrap(),
        None => argument.build().unwrap(),
    }
}

fn rule(names: &[&str], action: Action, arguments: Vec<Argument>) -> LinuxSyscall {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut rule = LinuxSyscall::default();
    rule.set_names(names).set_action(action).set_args((!arguments.is_empty()).then_some(arguments));
    rule
}

fn profile(default: Action, architectures: &[Arch], rules: Vec<LinuxSyscall>) -> LinuxSeccomp {
    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(default)
        .set_architectures(Some(architectures.to_vec()))
        .set_syscalls(Some(rules));
    profile
}

const VALUES: [u64; 9] = [0, 1, 2, 39, 40, 0x7e02_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001];

const X86: [Arch; 3] = [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32];

/// Values of members, right and wrong.
const FRAGMENTS: [&str; 9] = [
    "null",
    "\"SCMP_ACT_ALLOW\"",
    "\"SCMP_ACT_ERRNO\"",
    "[\"SCMP_ARCH_X86\"]",
    "[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":null}]",
    "[{\"names\":[\"read\",\"\"],\"action\":\"SCMP_ACT_TRAP\"}]",
    "[{\"name\":\"socket\",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":99999,\"args\":[]}]",
    "[{\"names\":[\"bpf\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":9,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]",
    "[\"SECCOMP_FILTER_FLAG_LOG\"]",
];

fn any_action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![
        Action::ScmpActAllow,
        Action::ScmpActErrno,
        Action::ScmpActKillThread,
        Action::ScmpActKillProcess,
        Action::ScmpActTrap,
        Action::ScmpActTrace,
        Action::ScmpActLog,
    ])
}

fn any_argument() -> impl Strategy<Value = Argument> {
    let op = prop::sample::select(vec![
        Operator::ScmpCmpNe,
        Operator::ScmpCmpLt,
        Operator::ScmpCmpLe,
        Operator::ScmpCmpEq,
        Operator::ScmpCmpGe,
        Operator::ScmpCmpGt,
        Operator::ScmpCmpMaskedEq,
    ]);
    let value = prop::sample::select(VALUES.to_vec());
    (0..3usize, op, value.clone(), prop::option::of(value))
        .prop_map(|(index, op, value, second)| argument(index, op, value, second))
}

fn any_rule() -> impl Strategy<Value = LinuxSyscall> {
    let mut names: Vec<&str> = numbers(Abi::X86_64).chain(numbers(Abi::Arm)).map(|(name, _)| name).collect();
    // Names that everybody has make rules meet; nobody knows the last.
    names.extend(["read", "socket", "clone", "no_such_call"].repeat(60));
    let names = prop::collection::vec(prop::sample::select(names), 1..12);
    let arguments = prop_oneof![
        2 => Just(Vec::new()),
        3 => prop::collection::vec(any_argument(), 1..4),
    ];
    (names, any_action(), arguments, prop::option::of(prop::sample::select(vec![1u32, 22, 38]))).prop_map(
        |(names, action, arguments, errno)| {
            let mut rule = rule(&names, action, arguments);
            let takes = matches!(action, Action::ScmpActErrno | Action::ScmpActTrace);
            rule.set_errno_ret(errno.filter(|_| takes));
            rule
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_program_does_what_its_rules_say(
        default in any_action(),
        archs in prop::sample::subsequence(
            [&X86[..], &[Arch::ScmpArchAarch64, Arch::ScmpArchArm, Arch::ScmpArchS390x]].concat(), 0..=6),
        rules in prop::collection::vec(any_rule(), 0..20),
        native in prop::sample::select(vec![Abi::X86_64, Abi::Aarch64]),
        sets in prop::collection::vec(prop::array::uniform6(prop::sample::select(VALUES.to_vec())), 4),
    ) {
        check(native, &profile(default, &archs, rules), &sets);
    }

    #[test]
    fn no_file_makes_the_reader_panic(
        members in prop::collection::vec(("[a-zA-Z]{0,12}", prop::sample::select(FRAGMENTS.to_vec())), 0..6),
        text in ".{0,40}",
    ) {
        let known = ["defaultAction", "syscalls", "archMap", "architectures", "flags"];
        let members = members.iter().enumerate().map(|(at, (name, value))| {
            let name = known.get(at).copied().unwrap_or(name);
            format!("\"{name}\":{value}")
        });
        let object = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        for text in [object, text] {
            if let Ok(Some(profile)) = from_docker_json(&text, Capabilities::DEFAULT, (6, 18)) {
                let _ = compile_for(Abi::X86_64, &profile);
            }
        }
    }
}

fn all_of(value: u64) -> [u64; 6] {
    [value; 6]
}

#[test]
fn the_default_profile_does_what_its_rules_say() {
    let sets: Vec<[u64; 6]> =
        VALUES.into_iter().chain([8, 37, 38, 41, 0x20000, 0x20008, 0x1000]).map(all_of).collect();
    for caps in [Capabilities::EMPTY, Capabilities::DEFAULT, Capabilities::ALL] {
        check(Abi::NATIVE, &default_profile(caps, (6, 18)), &sets);
    }
}

/// Every combination of one capability, on kernels around the one condition that the profile has.
fn circumstances() -> impl Iterator<Item = (Capabilities, (u32, u32))> {
    let single = (0..41).map(|number| 1 << number);
    let bits = [0, Capabilities::DEFAULT.bits(), Capabilities::ALL.bits()].into_iter().chain(single);
    bits.flat_map(|bits| [(4, 7), (4, 8), (6, 18)].map(|kernel| (Capabilities::from_bits(bits), kernel)))
}

#[test]
fn the_short_way_gives_the_same_program() {
    for (caps, kernel) in circumstances() {
        let program = compile_for(Abi::NATIVE, &default_profile(caps, kernel)).unwrap();
        assert_eq!(default_program(caps, kernel), program, "{caps:?} {kernel:?}");
    }
}

/// The table was compared, rule by rule and under all these circumstances, with `default.json` of moby/profiles as
/// of June 2026 (commit cd3bed8) when this number was taken. Whoever changes the table compares anew.
#[test]
fn the_table_is_the_one_compared_with_dockers() {
    if Abi::NATIVE != Abi::X86_64 {
        return eprintln!("SKIP: the number is that of the rules for x86-64");
    }
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = circumstances().fold(0xcbf2_9ce4_8422_2325, |hash, (caps, kernel)| {
        let text = serde_json::to_string(&default_profile(caps, kernel)).unwrap();
        text.as_bytes().iter().fold(hash, fold)
    });
    assert_eq!(hash, 0xe88f_2fd1_9b40_6586, "{hash:#x}");
}

/// A profile read from a file is what it says, with the conditions resolved.
#[test]
fn the_profile_survives_the_way_through_a_file() {
    for (caps, kernel) in circumstances() {
        let profile = default_profile(caps, kernel);
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(from_docker_json(&text, caps, kernel).unwrap().unwrap(), profile, "{caps:?} {kernel:?}");
    }
}

fn call(program: &Program, abi: Abi, name: &str, arguments: [u64; 6]) -> u32 {
    let number = number(name, abi).unwrap() + abi.base();
    run(&program.instructions, &Data { audit: abi.audit(), number, arguments }).0
}

#[test]
fn the_default_profile_refuses_what_docker_refuses() {
    let program = compile_for(Abi::X86_64, &default_profile(Capabilities::DEFAULT, (6, 18))).unwrap();
    for abi in [Abi::X86_64, Abi::X32, Abi::I386] {
        let call = |name, first| call(&program, abi, name, [first, 0, 0, 0, 0, 0]);
        for name in [
            "mount",
            "bpf",
            "unshare",
            "setns",
            "keyctl",
            "add_key",
            "kexec_load",
            "io_uring_setup",
            "userfaultfd",
        ] {
            assert_eq!(call(name, 0), EPERM, "{abi:?} {name}");
        }
        for name in ["read", "openat", "execve", "chroot", "ptrace", "futex", "mknod"] {
            assert_eq!(call(name, 0), ALLOW, "{abi:?} {name}");
        }
        assert_eq!(call("clone3", 0), ENOSYS);
        assert_eq!((call("clone", 0x11), call("clone", 0x1000_0000)), (ALLOW, EPERM));
        assert_eq!(
            [1, 38, 39, 40, 41].map(|family| call("socket", family)),
            [ALLOW, EPERM, ALLOW, EPERM, ALLOW]
        );
        assert_eq!(
            [0, 8, 0xffff_ffff, 0x40000].map(|value| call("personality", value)),
            [ALLOW, ALLOW, ALLOW, EPERM]
        );
        // On x32 nothing is newer than its own calls from 512 on.
        let newer = if abi == Abi::X32 { EPERM } else { ENOSYS };
        assert_eq!(call("file_setattr", 0), newer, "newer than all that docker names");
    }
    let admin = "SYS_ADMIN".parse().into_iter().collect();
    let program =
        compile_for(Abi::X86_64, &default_profile(Capabilities::DEFAULT.union(admin), (6, 18))).unwrap();
    for name in ["mount", "clone3", "unshare", "bpf"] {
        assert_eq!(call(&program, Abi::X86_64, name, [0; 6]), ALLOW, "{name}");
    }
}

#[test]
fn rules_for_sockets_hold_for_socketcall() {
    let allow = |names: &[&str]| rule(names, Action::ScmpActAllow, Vec::new());
    let list = profile(Action::ScmpActErrno, &X86, vec![allow(&["connect", "shmget"])]);
    let program = compile_for(Abi::X86_64, &list).unwrap();
    let carried =
        |program: &Program, carrier, number| call(program, Abi::I386, carrier, [number, 0, 0, 0, 0, 0]);
    assert_eq!([1, 3].map(|number| carried(&program, "socketcall", number)), [EPERM, ALLOW]);
    assert_eq!([22, 23, 0x1_0017].map(|number| carried(&program, "ipc", number)), [EPERM, ALLOW, ALLOW]);

    let vsock = argument(0, Operator::ScmpCmpEq, 40, None);
    let deny = vec![rule(&["socket"], Action::ScmpActErrno, vec![vsock])];
    let program = compile_for(Abi::X86_64, &profile(Action::ScmpActAllow, &X86, deny)).unwrap();
    assert_eq!([1, 3].map(|number| carried(&program, "socketcall", number)), [EPERM, ALLOW]);

    let both = vec![allow(&["socketcall"]), rule(&["socket"], Action::ScmpActTrap, Vec::new())];
    let program = compile_for(Abi::X86_64, &profile(Action::ScmpActErrno, &X86, both)).unwrap();
    assert_eq!(carried(&program, "socketcall", 1), ALLOW, "the profile speaks of socketcall itself");
}

#[test]
fn the_default_program_is_short_and_shallow() {
    let program = compile_for(Abi::X86_64, &default_profile(Capabilities::DEFAULT, (6, 18))).unwrap();
    let steps = |abi: Abi, number: u32| {
        run(&program.instructions, &Data { audit: abi.audit(), number, arguments: [0; 6] }).1
    };
    let most = (0..600)
        .flat_map(|call| [steps(Abi::X86_64, call), steps(Abi::I386, call), steps(Abi::X32, call + X32_BIT)]);
    let (most, length) = (most.max().unwrap(), program.instructions.len());
    eprintln!("{length} instructions, at most {most} steps");
    assert!(length <= 300, "{length} instructions");
    assert!(most <= 40, "{most} steps");
}

#[test]
fn long_profiles_reach_all_of_their_ends() {
    let names: Vec<&str> = numbers(Abi::X86_64).map(|(name, _)| name).collect();
    let rules = names.iter().enumerate().map(|(at, name)| {
        let mut rule =
            rule(&[name], Action::ScmpActErrno, vec![argument(1, Operator::ScmpCmpGt, at as u64, None)]);
        rule.set_errno_ret(Some(at as u32 + 1));
        rule
    });
    check(
        Abi::X86_64,
        &profile(Action::ScmpActAllow, &[Arch::ScmpArchX86_64], rules.collect()),
        &[all_of(0), all_of(1000)],
    );
}

#[test]
fn what_no_kernel_would_take_is_refused() {
    let one = |action, errno: Option<u32>, index| {
        let mut rule = rule(&["read"], action, vec![argument(index, Operator::ScmpCmpEq, 0, None)]);
        rule.set_errno_ret(errno);
        compile_for(Abi::X86_64, &profile(Action::ScmpActErrno, &X86, vec![rule]))
            .map_err(|error| error.to_string())
    };
    for (result, words) in [
        (one(Action::ScmpActAllow, None, 6), "arguments 0 to 5"),
        (one(Action::ScmpActErrno, Some(4096), 0), "above 4095"),
        (one(Action::ScmpActAllow, Some(1), 0), "takes no errno"),
    ] {
        assert!(result.unwrap_err().contains(words));
    }
    let notify =
        profile(Action::ScmpActErrno, &X86, vec![rule(&["write"], Action::ScmpActNotify, Vec::new())]);
    assert!(compile_for(Abi::X86_64, &notify).is_err());
    assert!(compile_for(Abi::X86_64, &profile(Action::ScmpActNotify, &X86, Vec::new())).is_err());
    let many =
        (0..6).flat_map(|first| (0..40).map(move |value| argument(first, Operator::ScmpCmpGt, value, None)));
    let names: Vec<&str> = numbers(Abi::X86_64).map(|(name, _)| name).collect();
    let long = profile(Action::ScmpActAllow, &X86, vec![rule(&names, Action::ScmpActErrno, many.collect())]);
    assert!(compile_for(Abi::X86_64, &long).unwrap_err().to_string().contains("the kernel takes 4096"));
}

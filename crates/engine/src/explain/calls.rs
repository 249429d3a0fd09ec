//! The filter of system calls, by what the calls are for.

use super::value::{Calls, Seccomp};
use super::words::PURPOSES;
use oci::runtime::LinuxSeccomp;
use seccomp::Answer;
use serde_json::Value;

/// What the profile of a configuration means; everything is open without one.
pub(super) fn of(spec: &Value) -> Seccomp {
    let profile = &spec["linux"]["seccomp"];
    let profile: Option<LinuxSeccomp> = serde_json::from_value(profile.clone()).ok();
    match profile.and_then(|profile| seccomp::answers(&profile).ok()) {
        Some(answers) => told("filter", &answers),
        None => told(
            "off",
            &seccomp::numbers(seccomp::Abi::NATIVE)
                .map(|(call, _)| (call, Answer::Allowed))
                .collect::<Vec<_>>(),
        ),
    }
}

fn told(mode: &'static str, answers: &[(&'static str, Answer)]) -> Seccomp {
    let count = |answer| answers.iter().filter(|(_, one)| *one == answer).count();
    let groups = PURPOSES.iter().map(|(purpose, calls)| group(purpose, calls, answers));
    Seccomp {
        mode,
        filters: None,
        allowed: count(Answer::Allowed),
        refused: count(Answer::Refused),
        conditional: count(Answer::Conditional),
        groups: groups.filter(|group| !is_empty(group)).collect(),
    }
}

fn group(purpose: &'static str, calls: &[&str], answers: &[(&'static str, Answer)]) -> Calls {
    let which = |wanted: Answer| {
        let all = answers.iter().filter(|(call, answer)| calls.contains(call) && *answer == wanted);
        all.map(|(call, _)| *call).collect()
    };
    Calls {
        purpose,
        refused: which(Answer::Refused),
        conditional: which(Answer::Conditional),
        open: which(Answer::Allowed),
    }
}

fn is_empty(group: &Calls) -> bool {
    group.refused.is_empty() && group.conditional.is_empty() && group.open.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seccomp::{Capabilities, default_profile};

    #[test]
    fn the_default_profile_closes_the_kernel_and_not_the_container() {
        let profile = default_profile(Capabilities::DEFAULT, (6, 1));
        let told = of(&serde_json::json!({"linux": {"seccomp": profile}}));
        let group = |purpose: &str| told.groups.iter().find(|group| group.purpose == purpose).unwrap();
        assert!(group("mount file systems").open.is_empty());
        assert_eq!(group("make or enter namespaces").conditional, ["clone"]);
        assert!(told.allowed > 200 && told.refused > 40, "{} {}", told.allowed, told.refused);
    }

    #[test]
    fn without_a_profile_everything_is_open() {
        let told = of(&serde_json::json!({"linux": {"seccomp": null}}));
        assert_eq!((told.mode, told.refused, told.conditional), ("off", 0, 0));
    }

    #[test]
    fn every_call_that_is_named_is_one() {
        let known = |call: &str| seccomp::Abi::ALL.iter().any(|abi| seccomp::number(call, *abi).is_some());
        for call in PURPOSES.iter().flat_map(|(_, calls)| *calls) {
            assert!(known(call), "{call}");
        }
    }
}

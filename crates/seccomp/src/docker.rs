//! docker's profile files: the runtime-spec's form with conditions on capabilities, machine and kernel.
//!
//! The format is that of moby/profiles `seccomp.go`. Members it does not name (`comment` and what
//! other engines add) are passed over, as docker does.

use crate::abi::arch;
use crate::{Abi, Capabilities, Error, Kind, Result};
use oci::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    default_action: Option<String>,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<Family>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<PathBuf>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<Rule>>,
}

/// An architecture and those of older programs that the same machine runs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    /// The form before docker 1.13.
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    includes: Option<Filter>,
    excludes: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What the conditions of a profile are about.
struct Facts {
    caps: Vec<String>,
    kernel: (u32, u32),
}

/// A profile file in docker's format, for a container whose bounding set is `caps` on a kernel of
/// this version. `None` when it has neither a default action nor calls: docker takes that as "no filter".
pub fn from_docker_json(text: &str, caps: Capabilities, kernel: (u32, u32)) -> Result<Option<LinuxSeccomp>> {
    let file: File = serde_json::from_str(text).map_err(undecoded)?;
    let rules = file.syscalls.unwrap_or_default();
    let default = file.default_action.unwrap_or_default();
    if default.is_empty() && rules.is_empty() {
        return Ok(None);
    }
    let facts = Facts { caps: caps.iter().map(|one| one.to_string()).collect(), kernel };
    let rules =
        rules.into_iter().filter_map(|rule| rule.select(&facts).transpose()).collect::<Result<Vec<_>>>()?;
    let mut profile = LinuxSeccomp::default();
    profile.set_default_action(action(&default)?).set_default_errno_ret(file.default_errno_ret);
    profile.set_architectures(architectures(file.architectures, file.arch_map)?).set_flags(file.flags);
    profile.set_listener_path(file.listener_path).set_listener_metadata(file.listener_metadata);
    profile.set_syscalls(Some(rules));
    Ok(Some(profile))
}

fn undecoded(cause: serde_json::Error) -> Error {
    Error::new(Kind::Invalid, "decoding seccomp profile failed").caused_by(cause)
}

fn action(name: &str) -> Result<LinuxSeccompAction> {
    name.parse().map_err(|_| Error::new(Kind::Invalid, format!("unknown seccomp action `{name}`")))
}

fn architectures(list: Option<Vec<String>>, families: Option<Vec<Family>>) -> Result<Option<Vec<Arch>>> {
    let (list, families) = (list.unwrap_or_default(), families.unwrap_or_default());
    if !list.is_empty() && !families.is_empty() {
        return either("architectures", "archMap");
    }
    let is_ours =
        |family: &Family| arch(&family.architecture).is_ok_and(|arch| Abi::of(arch) == Some(Abi::NATIVE));
    let names = match families.into_iter().find(is_ours) {
        Some(family) => [vec![family.architecture], family.sub_architectures.unwrap_or_default()].concat(),
        None => list,
    };
    let list = names.iter().map(|name| arch(name)).collect::<Result<Vec<_>>>()?;
    Ok((!list.is_empty()).then_some(list))
}

fn either<T>(one: &str, other: &str) -> Result<T> {
    let words = format!("both '{one}' and '{other}' are specified in the seccomp profile");
    Err(Error::new(Kind::Invalid, format!("{words}, use either '{one}' or '{other}'")))
}

impl Rule {
    /// The rule as the runtime-spec has it, if it applies.
    fn select(self, facts: &Facts) -> Result<Option<LinuxSyscall>> {
        let names = match (self.name.filter(|name| !name.is_empty()), self.names.unwrap_or_default()) {
            (Some(_), names) if !names.is_empty() => return either("name", "names"),
            (Some(name), _) => vec![name],
            (None, names) => names,
        };
        let excluded = self.excludes.map_or(Ok(false), |filter| filter.excludes(facts))?;
        let included = self.includes.map_or(Ok(true), |filter| filter.includes(facts))?;
        let mut rule = LinuxSyscall::default();
        rule.set_names(names).set_action(self.action).set_errno_ret(self.errno_ret);
        rule.set_args(self.args.filter(|args| !args.is_empty()));
        Ok((included && !excluded).then_some(rule))
    }
}

impl Filter {
    /// Any one condition excludes.
    fn excludes(&self, facts: &Facts) -> Result<bool> {
        let has = |name: &String| facts.caps.contains(name);
        let caps = self.caps.iter().flatten().any(has);
        let arch = self.arches.iter().flatten().any(|name| name == machine());
        Ok(caps || arch || self.is_since(facts)?.unwrap_or(false))
    }

    /// Every condition must hold.
    fn includes(&self, facts: &Facts) -> Result<bool> {
        let has = |name: &String| facts.caps.contains(name);
        let caps = self.caps.iter().flatten().all(has);
        let arches = self.arches.as_deref().unwrap_or_default();
        let arch = arches.is_empty() || arches.iter().any(|name| name == machine());
        Ok(caps && arch && self.is_since(facts)?.unwrap_or(true))
    }

    fn is_since(&self, facts: &Facts) -> Result<Option<bool>> {
        self.min_kernel.as_deref().map(|text| version(text).map(|least| facts.kernel >= least)).transpose()
    }
}

/// This machine, as profiles call it (libseccomp's names).
fn machine() -> &'static str {
    if Abi::NATIVE == Abi::Aarch64 { "arm64" } else { "amd64" }
}

/// `4.8`
fn version(text: &str) -> Result<(u32, u32)> {
    let parts =
        text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let words = || format!("invalid kernel version: \"{text}\", expected \"<kernel>.<major>\"");
    parts.filter(|version| *version != (0, 0)).ok_or_else(|| Error::new(Kind::Invalid, words()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: (u32, u32) = (6, 18);

    fn read(text: &str) -> Result<Option<LinuxSeccomp>> {
        from_docker_json(text, Capabilities::DEFAULT, KERNEL)
    }

    fn rules(conditions: &str) -> usize {
        let rule = format!(r#"{{"names":["read"],"action":"SCMP_ACT_ALLOW",{conditions}}}"#);
        let text = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{rule}]}}"#);
        read(&text).unwrap().unwrap().syscalls().as_ref().unwrap().len()
    }

    #[test]
    fn a_rule_applies_by_capability_machine_and_kernel() {
        let (mine, other) =
            if cfg!(target_arch = "aarch64") { ("arm64", "amd64") } else { ("amd64", "arm64") };
        for (conditions, count) in [
            (r#""includes":{}"#.to_string(), 1),
            (r#""includes":{"caps":["CAP_CHOWN"]}"#.to_string(), 1),
            (r#""includes":{"caps":["CAP_CHOWN","CAP_SYS_ADMIN"]}"#.to_string(), 0),
            (r#""excludes":{"caps":["CAP_CHOWN","CAP_SYS_ADMIN"]}"#.to_string(), 0),
            (r#""excludes":{"caps":["CAP_SYS_ADMIN"]}"#.to_string(), 1),
            (format!(r#""includes":{{"arches":["{mine}","x"]}}"#), 1),
            (format!(r#""includes":{{"arches":["{other}"]}}"#), 0),
            (format!(r#""excludes":{{"arches":["{mine}"]}}"#), 0),
            (r#""includes":{"minKernel":"4.8"}"#.to_string(), 1),
            (r#""includes":{"minKernel":"6.19"}"#.to_string(), 0),
            (r#""excludes":{"minKernel":"4.8"}"#.to_string(), 0),
            (r#""excludes":{"minKernel":"7.0"}"#.to_string(), 1),
            (r#""includes":null,"excludes":null,"args":null,"comment":"x""#.to_string(), 1),
        ] {
            assert_eq!(rules(&conditions), count, "{conditions}");
        }
    }

    #[test]
    fn architectures_are_those_of_this_machines_family() {
        let map = r#"[{"architecture":"SCMP_ARCH_S390X","subArchitectures":["SCMP_ARCH_S390"]},
            {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},
            {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":null}]"#;
        let text = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","archMap":{map},"syscalls":[]}}"#);
        let profile = read(&text).unwrap().unwrap();
        let expected = match Abi::NATIVE {
            Abi::Aarch64 => vec![Arch::ScmpArchAarch64],
            _ => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86],
        };
        assert_eq!(profile.architectures(), &Some(expected));
    }

    #[test]
    fn old_names_are_read_and_emptiness_is_no_filter() {
        let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],
            "syscalls":[{"name":"accept","action":"SCMP_ACT_ALLOW","args":[]}]}"#;
        let profile = read(text).unwrap().unwrap();
        assert_eq!(profile.syscalls().as_ref().unwrap()[0].names(), &["accept"]);
        assert_eq!(read("{}").unwrap(), None);
    }

    #[test]
    fn what_docker_refuses_is_refused_in_its_words() {
        let rule = |more: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{{more}}}]}}"#);
        for (text, words) in [
            ("{".to_string(), "decoding seccomp profile failed"),
            (
                rule(r#""name":"a","names":["b"],"action":"SCMP_ACT_ALLOW""#),
                "both 'name' and 'names' are specified",
            ),
            (rule(r#""names":["b"],"action":"SCMP_ACT_MAYBE""#), "decoding seccomp profile failed"),
            (
                rule(r#""names":["b"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4"}"#),
                "invalid kernel version: \"4\"",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],
                    "archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}"#
                    .to_string(),
                "both 'architectures' and 'archMap' are specified",
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_VAX"],"syscalls":[]}"#
                    .to_string(),
                "unknown seccomp architecture `SCMP_ARCH_VAX`",
            ),
            (r#"{"defaultAction":"ALLOW"}"#.to_string(), "unknown seccomp action `ALLOW`"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }
}

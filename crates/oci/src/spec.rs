//! Reading the runtime-spec's documents: `config.json` of a bundle, and the `process.json` of an exec.
//!
//! The types are oci-spec's. Here is what its reading lacks: the field that is wrong is named, what the
//! specification wants tolerated is (`null` for an absent member, capabilities nobody knows), and names that
//! oci-spec spells otherwise than the specification are understood. A document without any of this, which is nearly
//! every one, is parsed once and straight into the types.

use crate::runtime::{Capability, Process, Spec};
use crate::{Error, Kind, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// A document, and what of it is ignored.
#[derive(Debug, Clone)]
pub struct Read<T> {
    /// What was read.
    pub value: T,
    /// A line each, naming the field; the specification wants them logged (runtime.md, Warnings).
    pub warnings: Vec<String>,
}

/// Reads a `config.json`.
///
/// # Errors
/// [`Kind::Spec`] for what is no JSON, for a member of the wrong type or value (its path is in the cause), and for an
/// `ociVersion` that is no version or of another major version than 1 (config.md, Specification version).
pub fn read(bytes: &[u8]) -> Result<Read<Spec>> {
    let read: Read<Spec> = parse(bytes, "/process")?;
    check_version(read.value.version())?;
    Ok(read)
}

/// Reads a `process.json`: what `process` is in a `config.json`.
///
/// # Errors
/// As [`read`], without the version.
pub fn read_process(bytes: &[u8]) -> Result<Read<Process>> {
    parse(bytes, "")
}

/// `process` points (RFC 6901) to the process in the document.
fn parse<T: DeserializeOwned>(bytes: &[u8], process: &str) -> Result<Read<T>> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(Read { value, warnings: Vec::new() });
    }
    let invalid = || Error::new(Kind::Spec, "read configuration");
    let mut document: Value = serde_json::from_slice(bytes).map_err(|cause| invalid().caused_by(cause))?;
    drop_nulls(&mut document);
    let mut warnings = Vec::new();
    fill_arguments(&mut document);
    if let Some(process) = document.pointer_mut(process) {
        fill_user(process);
        respell_scheduler_flags(process);
        take_unknown_capabilities(process, &mut warnings);
    }
    match serde_path_to_error::deserialize(document) {
        Ok(value) => Ok(Read { value, warnings }),
        Err(cause) => Err(invalid().caused_by(cause)),
    }
}

/// Go, in which every engine's configuration is written, takes `null` for an absent member.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Required, and to runc and crun 0 where it is absent.
fn fill_user(process: &mut Value) {
    if let Some(members) = process.as_object_mut() {
        members.entry("user").or_insert_with(|| serde_json::json!({ "uid": 0, "gid": 0 }));
    }
}

/// Likewise, of what a system call's arguments are compared with.
fn fill_arguments(document: &mut Value) {
    let calls = document.pointer_mut("/linux/seccomp/syscalls").and_then(Value::as_array_mut);
    let calls = calls.into_iter().flatten().filter_map(|call| call["args"].as_array_mut());
    for argument in calls.flatten().filter_map(Value::as_object_mut) {
        for name in ["index", "value"] {
            argument.entry(name).or_insert_with(|| 0.into());
        }
    }
}

/// What the specification calls it, and what oci-spec 0.10 does.
const SCHEDULER_FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

fn respell_scheduler_flags(process: &mut Value) {
    let flags = process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        if let Some((_, ours)) = SCHEDULER_FLAGS.iter().find(|(theirs, _)| flag == theirs) {
            *flag = Value::from(*ours);
        }
    }
}

/// A capability that no kernel interface knows is a warning (config.md, `capabilities`).
fn take_unknown_capabilities(process: &mut Value, warnings: &mut Vec<String>) {
    let sets = process.pointer_mut("/capabilities").and_then(Value::as_object_mut);
    let mut unknown = BTreeSet::new();
    for set in sets.into_iter().flat_map(|sets| sets.values_mut()).filter_map(Value::as_array_mut) {
        for name in set.extract_if(.., |name| name.is_string() && !is_capability(name)) {
            unknown.insert(name.to_string());
        }
    }
    warnings.extend(
        unknown.iter().map(|name| format!("`process.capabilities`: unknown capability {name} is ignored")),
    );
}

fn is_capability(name: &Value) -> bool {
    serde::Deserialize::deserialize(name).is_ok_and(|_: Capability| true)
}

/// SemVer 2.0.0 of the major version this is written for; minor versions add, and may be newer than this.
fn check_version(version: &str) -> Result<()> {
    let invalid = |why: &str| Error::new(Kind::Spec, format!("`ociVersion` `{version}` {why}"));
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |n: &&str| {
        !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && (n.len() == 1 || !n.starts_with('0'))
    };
    match numbers.as_slice() {
        ["1", ..] if numbers.len() == 3 && numbers.iter().all(is_number) => Ok(()),
        _ if numbers.len() == 3 && numbers.iter().all(is_number) => {
            Err(invalid("is not supported: 1.x.y is"))
        }
        _ => Err(invalid("is no version")),
    }
}

/// The paths of the members that a document has and its reading knows nothing of, as `process.colour`. The
/// specification wants them ignored (config.md, Extensibility): this is for whoever looks for a typing error.
pub fn unknown(bytes: &[u8], spec: &Spec) -> Vec<String> {
    let mut paths = Vec::new();
    if let (Ok(mut given), Ok(known)) = (serde_json::from_slice(bytes), serde_json::to_value(spec)) {
        drop_nulls(&mut given);
        compare(&given, &known, "", &mut paths);
    }
    paths
}

fn compare(given: &Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (name, value) in given {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match known.get(name) {
                    Some(known) => compare(value, known, &path, unknown),
                    None if is_empty(value) => {}
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) if given.len() == known.len() => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                compare(given, known, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

/// Left out when it is written again, so it may well be known.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::LinuxSchedulerFlag;
    use std::error::Error as _;

    fn document(process: &str) -> String {
        format!(
            r#"{{"ociVersion": "1.3.0", "process": {{"user": {{"uid": 0, "gid": 0}}, "cwd": "/"{process}}}}}"#
        )
    }

    fn refusal(text: &str) -> String {
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(*error.kind(), Kind::Spec);
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let limit = r#", "rlimits": [{"type": "RLIMIT_BEER", "hard": 1, "soft": 1}]"#;
        assert!(
            refusal(&document(limit)).starts_with("process.rlimits[0].type: unknown variant `RLIMIT_BEER`")
        );
        assert!(refusal(&document(r#", "args": "sh""#)).starts_with("process.args: invalid type"));
        let linux = r#"{"ociVersion": "1.0.0", "linux": {"seccomp": {"defaultAction": "SCMP_ACT_DANCE"}}}"#;
        assert!(refusal(linux).starts_with("linux.seccomp.defaultAction: unknown variant"));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        assert!(refusal("{\"ociVersion\": \"1.0.0\",\n x").contains("line 2"));
    }

    #[test]
    fn null_is_an_absent_member() {
        let text =
            document(r#", "args": ["sh"], "rlimits": null, "noNewPrivileges": null, "oomScoreAdj": null"#);
        let spec = read(text.replace("\"gid\": 0", "\"gid\": null").as_bytes()).unwrap().value;
        assert_eq!(spec.process().as_ref().unwrap().rlimits(), &None);
    }

    #[test]
    fn what_every_runtime_takes_for_zero_may_be_absent() {
        let text = r#"{"ociVersion": "1.0.0", "process": {"cwd": "/", "args": ["id"]}, "linux": {"seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "args": [{"op": "SCMP_CMP_EQ"}]}, {"names": ["sync"], "action": "SCMP_ACT_LOG"}]}}}"#;
        let spec = read(text.as_bytes()).unwrap().value;
        let user = spec.process().as_ref().unwrap().user().clone();
        assert_eq!((user.uid(), user.gid()), (0, 0));
        let seccomp = spec.linux().as_ref().unwrap().seccomp().clone().unwrap();
        let calls = seccomp.syscalls().clone().unwrap();
        let argument = &calls[0].args().as_ref().unwrap()[0];
        assert_eq!((argument.index(), argument.value()), (0, 0));
        assert!(read_process(br#"{"cwd": "/", "args": ["id"]}"#).is_ok());
        assert!(
            refusal(r#"{"ociVersion": "1.0.0", "process": {"args": ["id"]}}"#)
                .contains("missing field `cwd`")
        );
    }

    #[test]
    fn an_unknown_capability_is_a_warning() {
        let text =
            document(r#", "capabilities": {"bounding": ["CAP_CHOWN", "CAP_FLY"], "effective": ["CAP_FLY"]}"#);
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(read.warnings, ["`process.capabilities`: unknown capability \"CAP_FLY\" is ignored"]);
        let process = read.value.process().clone().unwrap();
        assert_eq!(process.capabilities().as_ref().unwrap().bounding().as_ref().unwrap().len(), 1);
    }

    #[test]
    fn flags_of_the_scheduler_are_read_as_the_specification_spells_them() {
        let text = document(
            r#", "scheduler": {"policy": "SCHED_FIFO", "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"]}"#,
        );
        let process = read(text.as_bytes()).unwrap().value.process().clone().unwrap();
        let flags = process.scheduler().as_ref().unwrap().flags().clone().unwrap();
        assert_eq!(flags, [LinuxSchedulerFlag::SchedResetOnFork, LinuxSchedulerFlag::SchedFlagDLOverrun]);
    }

    #[test]
    fn versions_of_the_first_major_are_read() {
        for version in ["1.0.0", "1.3.0", "1.0.2-dev", "1.0.0-rc1+x", "1.99.0"] {
            assert!(check_version(version).is_ok(), "{version}");
        }
        for version in ["", "1", "1.0", "one", "1.0.x", "2.0.0", "0.5.0", "1.02.0", "-1.0.0"] {
            assert!(check_version(version).is_err(), "{version}");
        }
    }

    #[test]
    fn a_process_is_read_alone() {
        let read = read_process(br#"{"user": {"uid": 1, "gid": 2}, "cwd": "/", "args": ["id"]}"#).unwrap();
        assert_eq!(read.value.args().as_deref(), Some(["id".to_owned()].as_slice()));
        let error = read_process(br#"{"user": {"uid": -1, "gid": 2}, "cwd": "/"}"#).unwrap_err();
        assert!(error.source().unwrap().to_string().starts_with("user.uid: "));
    }

    #[test]
    fn members_nobody_knows_are_ignored_and_can_be_listed() {
        let text = document(r#", "colour": "red", "env": [], "args": []"#);
        let spec = read(text.as_bytes()).unwrap().value;
        assert_eq!(unknown(text.as_bytes(), &spec), ["process.colour"]);
    }
}

//! `--security-opt`.

use super::{IsolationRequest, Result, Seccomp, invalid};
use std::io;

/// One `--security-opt`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOption {
    /// `no-new-privileges[=true|false]`
    NoNewPrivileges(bool),
    /// `seccomp=FILE|unconfined|builtin`
    Seccomp(Seccomp),
    /// `apparmor=PROFILE`
    AppArmor(String),
    /// `label=disable|user:…|role:…|type:…|level:…`
    Label(String),
    /// `systempaths=unconfined`
    SystemPathsUnconfined,
    /// `writable-cgroups[=true|false]`
    WritableCgroups(bool),
    /// `mask=PATH[:PATH…]`
    Mask(Vec<String>),
    /// `unmask=ALL|PATH[:PATH…]`
    Unmask(Vec<String>),
}

impl SecurityOption {
    /// Reads `NAME=VALUE`, or docker's old `NAME:VALUE`. A profile's file is read by `read`, the
    /// edge's: its text travels with the request.
    pub fn parse(text: &str, read: impl FnOnce(&str) -> io::Result<String>) -> Result<Self> {
        let (name, value) = text.split_once('=').or_else(|| text.split_once(':')).unwrap_or((text, ""));
        match (name, value) {
            ("no-new-privileges", _) => flag(text, value).map(Self::NoNewPrivileges),
            ("writable-cgroups", _) => flag(text, value).map(Self::WritableCgroups),
            (_, "") => invalid(format!("Invalid --security-opt: {text:?}")),
            ("seccomp", _) => seccomp(value, read).map(Self::Seccomp),
            ("apparmor", _) => Ok(Self::AppArmor(value.into())),
            ("label", _) => label(value).map(Self::Label),
            ("systempaths", "unconfined") => Ok(Self::SystemPathsUnconfined),
            ("mask", _) => paths(text, value).map(Self::Mask),
            ("unmask", "ALL" | "all") => Ok(Self::Unmask(vec!["ALL".into()])),
            ("unmask", _) => paths(text, value).map(Self::Unmask),
            _ => invalid(format!("Invalid --security-opt: {text:?}")),
        }
    }
}

impl IsolationRequest {
    /// Adds one option; a later one wins where there can be only one.
    pub fn secure(&mut self, option: SecurityOption) {
        match option {
            SecurityOption::NoNewPrivileges(on) => self.no_new_privileges = on,
            SecurityOption::Seccomp(seccomp) => self.seccomp = seccomp,
            SecurityOption::AppArmor(profile) => self.apparmor = Some(profile),
            SecurityOption::Label(label) => self.labels.push(label),
            SecurityOption::SystemPathsUnconfined => self.system_paths_unconfined = true,
            SecurityOption::WritableCgroups(on) => self.writable_cgroups = on,
            SecurityOption::Mask(paths) => self.mask.extend(paths),
            SecurityOption::Unmask(paths) => self.unmask.extend(paths),
        }
    }
}

fn flag(text: &str, value: &str) -> Result<bool> {
    match value {
        "" if !text.contains(['=', ':']) => Ok(true),
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => invalid(format!("Invalid --security-opt: {text:?}")),
    }
}

fn seccomp(value: &str, read: impl FnOnce(&str) -> io::Result<String>) -> Result<Seccomp> {
    use fault::Context;
    match value {
        "unconfined" => Ok(Seccomp::Unconfined),
        "builtin" => Ok(Seccomp::Default),
        path => read(path)
            .or_err(super::Kind::Invalid, || format!("opening seccomp profile ({path}) failed"))
            .map(Seccomp::Profile),
    }
}

/// The forms of selinux's `label` that docker takes.
fn label(value: &str) -> Result<String> {
    let (name, rest) = value.split_once(':').unwrap_or((value, ""));
    let fine = match name {
        "disable" => rest.is_empty(),
        "user" | "role" | "type" | "level" | "filetype" => !rest.is_empty(),
        _ => false,
    };
    match fine {
        true => Ok(value.into()),
        false => invalid(format!(
            "bad label option {value:?}, valid options 'disable' or 'user, role, level, type, filetype' followed by ':' and a value"
        )),
    }
}

fn paths(text: &str, value: &str) -> Result<Vec<String>> {
    match value.split(':').all(|path| path.starts_with('/')) {
        true => Ok(value.split(':').map(String::from).collect()),
        false => invalid(format!("Invalid --security-opt: {text:?}: paths must be absolute")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SecurityOption> {
        SecurityOption::parse(text, |path| match path {
            "profile.json" => Ok("{}".into()),
            _ => Err(io::Error::from_raw_os_error(2)),
        })
    }

    #[test]
    fn options_are_read_in_all_forms() {
        use SecurityOption::*;
        for (text, option) in [
            ("no-new-privileges", NoNewPrivileges(true)),
            ("no-new-privileges=false", NoNewPrivileges(false)),
            ("no-new-privileges:true", NoNewPrivileges(true)),
            ("seccomp=unconfined", Seccomp(super::Seccomp::Unconfined)),
            ("seccomp:unconfined", Seccomp(super::Seccomp::Unconfined)),
            ("seccomp=builtin", Seccomp(super::Seccomp::Default)),
            ("seccomp=profile.json", Seccomp(super::Seccomp::Profile("{}".into()))),
            ("apparmor=unconfined", AppArmor("unconfined".into())),
            ("label=disable", Label("disable".into())),
            ("label=level:s0:c1,c2", Label("level:s0:c1,c2".into())),
            ("label:type:x_t", Label("type:x_t".into())),
            ("systempaths=unconfined", SystemPathsUnconfined),
            ("writable-cgroups", WritableCgroups(true)),
            ("writable-cgroups=false", WritableCgroups(false)),
            ("mask=/a:/b", Mask(vec!["/a".into(), "/b".into()])),
            ("unmask=ALL", Unmask(vec!["ALL".into()])),
            ("unmask=/proc/kcore", Unmask(vec!["/proc/kcore".into()])),
        ] {
            assert_eq!(parse(text).unwrap(), option, "{text}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for text in [
            "",
            "seccomp",
            "seccomp=",
            "apparmor",
            "systempaths=x",
            "foo=bar",
            "label=x",
            "label=user",
            "label=user:",
            "no-new-privileges=maybe",
            "no-new-privileges=",
            "mask=a",
            "unmask=/a:b",
            "seccomp=absent.json",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_later_option_wins_or_is_added() {
        let mut isolation = IsolationRequest::default();
        for text in ["seccomp=unconfined", "seccomp=builtin", "mask=/a", "mask=/b", "label=disable"] {
            isolation.secure(parse(text).unwrap());
        }
        assert_eq!(isolation.seccomp, Seccomp::Default);
        assert_eq!((isolation.mask.len(), isolation.labels.len()), (2, 1));
    }
}

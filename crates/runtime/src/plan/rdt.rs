//! Shares of caches and of memory bandwidth (Intel RDT).

use super::invalid;
use crate::Result;
use oci::runtime::{Linux, LinuxIntelRdt};

/// A class of service and what it may use, see resctrl.rst of the kernel's documentation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RdtPlan {
    /// A directory below the mount of resctrl; empty: the mount itself, the default class.
    pub(crate) group: String,
    /// Was the group named? Then it may be there already, and stays.
    pub(crate) is_named: bool,
    /// Lines of `schemata`.
    pub(crate) schemata: Vec<String>,
    /// A directory below `mon_groups` of the group.
    pub(crate) monitor: Option<String>,
}

impl RdtPlan {
    pub(super) fn new(asked: &LinuxIntelRdt, linux: &Linux) -> Result<Self> {
        // The container's own name is not the plan's to know: its cgroup has it.
        let own =
            linux.cgroups_path().as_ref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
        let own = own.map(|name| name.rsplit(':').next().unwrap_or(name).to_owned());
        let named = asked.clos_id().as_deref().filter(|id| !id.is_empty());
        let group = match named {
            Some("." | "..") => return Err(invalid("`linux.intelRdt.closID` is no name")),
            Some("/") => String::new(),
            Some(id) if id.contains('/') => {
                return Err(invalid(format!("`linux.intelRdt.closID` `{id}` is no name")));
            }
            Some(id) => id.to_owned(),
            None => own
                .clone()
                .ok_or_else(|| invalid("`linux.intelRdt` without `closID` or `linux.cgroupsPath`"))?,
        };
        let monitor =
            asked.enable_monitoring().unwrap_or(false).then_some(own.unwrap_or_else(|| group.clone()));
        Ok(Self { group, is_named: named.is_some(), schemata: schemata(asked), monitor })
    }
}

/// The older members first: `schemata` may say it otherwise, and the last word counts.
fn schemata(asked: &LinuxIntelRdt) -> Vec<String> {
    let older = [asked.l3_cache_schema(), asked.mem_bw_schema()].into_iter().flatten();
    let lines = older.flat_map(|text| text.lines()).map(str::to_owned);
    lines.chain(asked.schemata().iter().flatten().cloned()).filter(|line| !line.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<RdtPlan> {
        let mut linux = Linux::default();
        linux.set_cgroups_path(Some("/machine/box".into()));
        RdtPlan::new(&serde_json::from_str(json).unwrap(), &linux)
    }

    #[test]
    fn a_class_has_a_name_or_the_containers() {
        let own = plan(r#"{"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20"}"#).unwrap();
        assert_eq!((own.group.as_str(), own.is_named), ("box", false));
        assert_eq!(own.schemata, ["L3:0=f", "MB:0=20"]);
        let named = plan(r#"{"closID": "gold", "schemata": ["L2:0=3"], "enableMonitoring": true}"#).unwrap();
        assert_eq!((named.group.as_str(), named.is_named), ("gold", true));
        assert_eq!(named.monitor.as_deref(), Some("box"));
        assert_eq!(plan(r#"{"closID": "/"}"#).unwrap().group, "");
    }

    #[test]
    fn a_class_is_one_directory() {
        for wrong in [r#"{"closID": "a/b"}"#, r#"{"closID": ".."}"#] {
            assert!(plan(wrong).is_err(), "{wrong}");
        }
    }
}

//! The configuration of an image: image-spec config.md, with what docker adds.

use crate::json::{self, Extra};
use crate::manifest::{read, refuse};
use crate::{DiffId, Platform, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an image is; the sha256 of its bytes is the image's id, so keep the bytes as they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// GOARCH: `amd64`.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub architecture: String,
    /// GOOS: `linux`. Absent in docker's oldest images, and means that.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub os: String,
    /// The architecture's variant, `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub variant: Option<String>,
    /// When, RFC 3339, as written.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub created: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub author: Option<String>,
    /// The message of `import` or `commit` (docker's own).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub comment: Option<String>,
    /// What a container of this image starts with.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub config: ContainerConfig,
    /// The layers.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub rootfs: RootFs,
    /// How it was made, oldest step first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "json::null_is_default")]
    pub history: Vec<History>,
    /// Members hull does not know, docker's `container`, `docker_version`, … among them.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ImageConfig {
    /// Reads a configuration; one of another thing, or with other than layers below, is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let config: Self = read(bytes, "image configuration")?;
        if config.rootfs.kind != RootFs::LAYERS {
            return Err(refuse(format!(
                "image configuration has a root file system of type `{}`",
                config.rootfs.kind
            )));
        }
        Ok(config)
    }

    /// The bytes to store and to take the image's id from. Deterministic: equal values, equal bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and maps with string keys always serialize")
    }

    /// What the image was made for, in normal form.
    pub fn platform(&self) -> Platform {
        let os = if self.os.is_empty() { "linux" } else { &self.os };
        Platform::new(os, &self.architecture, self.variant.as_deref().unwrap_or_default())
    }
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`
    #[serde(default = "RootFs::layers", rename = "type")]
    pub kind: String,
    /// Lowest first.
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub diff_ids: Vec<DiffId>,
}

impl RootFs {
    const LAYERS: &str = "layers";

    fn layers() -> String {
        Self::LAYERS.into()
    }
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: Self::layers(), diff_ids: Vec::new() }
    }
}

/// One step of how an image was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339, as written.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub created: Option<String>,
    /// By what command.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub author: Option<String>,
    /// Free words.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "json::is_default", deserialize_with = "json::null_is_default")]
    pub empty_layer: bool,
    /// Members hull does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a container of an image starts with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user[:group]`, names or numbers; empty is root.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "json::null_is_default")]
    pub user: String,
    /// `80/tcp`; documentation, nothing is published by it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", with = "json::set")]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=value`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "json::null_is_default")]
    pub env: Vec<String>,
    /// What is always executed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::words")]
    pub entrypoint: Option<Vec<String>>,
    /// What is executed, or the entry point's arguments, unless the user says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::words")]
    pub cmd: Option<Vec<String>>,
    /// Paths that get a volume each.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", with = "json::set")]
    pub volumes: BTreeSet<String>,
    /// Where the process starts; empty is `/`.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "json::null_is_default")]
    pub working_dir: String,
    /// Free words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "json::null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// `SIGQUIT`; absent is `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::empty_is_none")]
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and SIGKILL; -1 waits for ever (docker's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i32>,
    /// How to see whether the container works (docker's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// What runs the shell form of commands; absent is `/bin/sh -c` (docker's own).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::words")]
    pub shell: Option<Vec<String>>,
    /// Instructions for a build on top of this image (docker's own).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "json::null_is_default")]
    pub on_build: Vec<String>,
    /// Windows alone: the command is one escaped line already.
    #[serde(default, skip_serializing_if = "json::is_default", deserialize_with = "json::null_is_default")]
    pub args_escaped: bool,
    /// Members hull does not know, docker's `Hostname`, `Tty`, … among them.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How to see whether a container works, docker's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`; empty inherits.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::null_is_default")]
    pub test: Vec<String>,
    /// Nanoseconds between checks; 0 inherits.
    #[serde(skip_serializing_if = "json::is_default")]
    pub interval: i64,
    /// Nanoseconds a check may take; 0 inherits.
    #[serde(skip_serializing_if = "json::is_default")]
    pub timeout: i64,
    /// Nanoseconds at the start in which failures do not count; 0 inherits.
    #[serde(skip_serializing_if = "json::is_default")]
    pub start_period: i64,
    /// Nanoseconds between checks in the start period; 0 inherits.
    #[serde(skip_serializing_if = "json::is_default")]
    pub start_interval: i64,
    /// Failures in a row until unhealthy; 0 inherits.
    #[serde(skip_serializing_if = "json::is_default")]
    pub retries: i32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> ImageConfig {
        ImageConfig::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn nulls_and_absent_members_are_zeros() {
        let empty = parse("{}");
        assert_eq!(empty, ImageConfig::default());
        let nulls = parse(
            r#"{"architecture":null,"os":null,"variant":null,"created":null,"config":null,"rootfs":null,"history":null}"#,
        );
        assert_eq!(nulls, empty);
        let config = parse(
            r#"{"config":{"User":null,"ExposedPorts":null,"Env":null,"Entrypoint":null,"Cmd":null,"Volumes":null,
                "WorkingDir":null,"Labels":null,"StopSignal":null,"StopTimeout":null,"Healthcheck":null,"Shell":null,
                "OnBuild":null,"ArgsEscaped":null},"rootfs":{"type":"layers","diff_ids":null},
                "history":[{"created":null,"created_by":null,"empty_layer":null}]}"#,
        );
        assert_eq!((&config.config, config.history.len()), (&ContainerConfig::default(), 1));
        assert_eq!(empty.platform().os, "linux");
    }

    #[test]
    fn a_configuration_by_docker_is_understood_and_kept() {
        let text = format!(
            r#"{{"architecture":"arm","variant":"v7","os":"linux","docker_version":"20.10","container":"c0ffee",
            "config":{{"Hostname":"h","User":"1:2","ExposedPorts":{{"80/tcp":{{}}}},"Env":["A=b"],"Cmd":["a","b"],
            "Entrypoint":"one","Volumes":{{"/v":{{}}}},"WorkingDir":"/w","Labels":{{"k":"v"}},"StopSignal":"SIGQUIT",
            "Healthcheck":{{"Test":["CMD","x"],"Interval":5000000000,"Retries":3}},"OnBuild":["RUN x"]}},
            "rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}},"history":[{{"created_by":"x","empty_layer":true}}]}}"#,
            "b".repeat(64)
        );
        let image = parse(&text);
        let config = &image.config;
        assert_eq!(config.entrypoint.as_deref(), Some(&["one".to_string()][..]));
        assert!(config.exposed_ports.contains("80/tcp") && config.volumes.contains("/v"));
        assert_eq!(config.healthcheck.as_ref().unwrap().interval, 5_000_000_000);
        assert_eq!(image.platform().to_string(), "linux/arm/v7");
        assert_eq!(image.rootfs.diff_ids[0].short(), "bbbbbbbbbbbb");
        let again: serde_json::Value = serde_json::from_slice(&image.to_json()).unwrap();
        assert_eq!((&again["container"], &again["config"]["Hostname"]), (&"c0ffee".into(), &"h".into()));
        assert_eq!(again["config"]["ExposedPorts"].to_string(), r#"{"80/tcp":{}}"#);
        assert_eq!(ImageConfig::parse(&image.to_json()).unwrap(), image);
    }

    #[test]
    fn an_empty_command_is_not_an_absent_one() {
        let config = parse(r#"{"config":{"Cmd":[],"Entrypoint":null}}"#).config;
        assert_eq!((config.cmd, config.entrypoint), (Some(vec![]), None));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in [
            "",
            "[]",
            "{",
            r#"{"rootfs":{"type":"zip"}}"#,
            r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#,
            r#"{"config":{"Env":"x"}}"#,
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        let key = prop::sample::select(vec![
            "config",
            "rootfs",
            "history",
            "Env",
            "Cmd",
            "Labels",
            "type",
            "diff_ids",
            "os",
            "x",
            "Healthcheck",
            "Volumes",
        ]);
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..6)
                    .prop_map(|members| members.into_iter().map(|(k, v)| (k.to_string(), v)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_answered_and_what_is_read_is_stable(value in any_json()) {
            if let Ok(image) = ImageConfig::parse(value.to_string().as_bytes()) {
                let bytes = image.to_json();
                let again = ImageConfig::parse(&bytes).unwrap();
                prop_assert_eq!(again.to_json(), bytes);
                prop_assert_eq!(again, image);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = ImageConfig::parse(&bytes);
            let _ = crate::Document::parse(&bytes);
        }
    }
}

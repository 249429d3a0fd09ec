//! Operating system and architecture, in containerd's normal form (github.com/containerd/platforms).

use crate::{Error, Kind, Result, json};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an image was made for, image-spec image-index.md "platform". Names are Go's (GOOS, GOARCH).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub os: String,
    /// `amd64`, `arm64`, `arm`, …
    #[serde(default, deserialize_with = "json::null_is_default")]
    pub architecture: String,
    /// `v7` of `arm`, `v3` of `amd64`; absent means the architecture's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Windows alone: `10.0.14393.1066`.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Windows alone: `win32k`.
    #[serde(
        default,
        rename = "os.features",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "json::null_is_default"
    )]
    pub os_features: Vec<String>,
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Platform {
    /// A platform in normal form: `x86_64` is `amd64`, `aarch64` is `arm64`, `armhf` is `arm/v7`.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = normal_architecture(architecture, variant);
        let variant = (!variant.is_empty()).then_some(variant);
        Self { os: normal_os(os), architecture, variant, ..Self::default() }
    }

    /// The platform this program was compiled for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86" => "386",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            name => name,
        };
        Self::new(std::env::consts::OS, architecture, "")
    }

    /// The same platform in normal form, as documents write it in many ways.
    pub fn normalized(&self) -> Self {
        let normal = Self::new(&self.os, &self.architecture, self.variant.as_deref().unwrap_or_default());
        Self { os: normal.os, architecture: normal.architecture, variant: normal.variant, ..self.clone() }
    }

    /// Whether an image made for `image` runs where `self` is asked for: the same system and
    /// architecture, and no later variant of it.
    pub fn matches(&self, image: &Self) -> bool {
        let (asked, image) = (self.normalized(), image.normalized());
        asked.os == image.os
            && asked.architecture == image.architecture
            && (asked.variant == image.variant || image.level() <= asked.level())
    }

    /// Whether this is a placeholder, as build attestations carry it in an index.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// The number of the variant; unknown ones are later than all.
    fn level(&self) -> u32 {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None) => 8,
            ("arm", None) => 7,
            (_, None) => 1,
            (_, Some(variant)) => variant.strip_prefix('v').and_then(|v| v.parse().ok()).unwrap_or(u32::MAX),
        }
    }
}

fn normal_os(os: &str) -> String {
    match os.to_lowercase().as_str() {
        "" => std::env::consts::OS.into(),
        "macos" => "darwin".into(),
        os => os.into(),
    }
}

fn normal_architecture(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (architecture.to_lowercase(), variant.to_lowercase());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", variant @ ("5" | "6" | "8")) => return ("arm".into(), format!("v{variant}")),
        other => other,
    };
    (architecture.into(), variant.into())
}

impl FromStr for Platform {
    type Err = Error;

    /// `os`, `architecture`, `os/architecture` or `os/architecture/variant`.
    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        if let Some(part) = parts.iter().find(|part| !is_component(part)) {
            return Err(refuse(format!(
                "`{part}` is an invalid component of `{text}`: platform specifier component must match `^[A-Za-z0-9_.-]+$`"
            )));
        }
        match parts[..] {
            [one] => single(one),
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(refuse(format!("`{text}`: cannot parse platform specifier"))),
        }
    }
}

fn is_component(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// A system with this host's architecture, or an architecture with this host's system.
fn single(text: &str) -> Result<Platform> {
    let os = normal_os(text);
    if SYSTEMS.contains(&os.as_str()) {
        return Ok(Platform { os, ..Platform::host() });
    }
    let platform = Platform::new("", text, "");
    if ARCHITECTURES.contains(&platform.architecture.as_str()) {
        return Ok(platform);
    }
    Err(refuse(format!("`{text}`: unknown operating system or architecture")))
}

fn refuse(what: String) -> Error {
    Error::new(Kind::Platform, what)
}

impl fmt::Display for Platform {
    /// `os/architecture[/variant]`; the variant that the architecture means anyway is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_have_one_normal_form() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
            ("aarch64", "linux/arm64"),
            ("riscv64", "linux/riscv64"),
        ] {
            assert_eq!(platform(text).to_string(), normal);
        }
        assert_eq!(platform("linux"), Platform::host());
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux/", "linux/*", "a/b/c/d", "fnord", "linux amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
        let error = "fnord".parse::<Platform>().unwrap_err();
        assert_eq!(error.to_string(), "`fnord`: unknown operating system or architecture");
    }

    #[test]
    fn an_older_variant_runs_and_a_later_one_does_not() {
        assert!(platform("linux/arm/v7").matches(&platform("linux/arm/v6")));
        assert!(!platform("linux/arm/v6").matches(&platform("linux/arm/v7")));
        assert!(platform("linux/amd64/v3").matches(&platform("linux/amd64")));
        assert!(!platform("linux/amd64").matches(&platform("linux/amd64/v3")));
        assert!(platform("linux/amd64").matches(&Platform {
            architecture: "x86_64".into(),
            os: "linux".into(),
            ..Platform::default()
        }));
        assert!(!platform("linux/amd64").matches(&platform("linux/arm64")));
        assert!(!platform("linux/arm64").matches(&platform("windows/arm64")));
    }

    #[test]
    fn json_of_an_index_is_read() {
        let read: Platform =
            serde_json::from_str(r#"{"architecture":"arm","os":"linux","variant":"v7","os.features":null}"#)
                .unwrap();
        assert_eq!(read, platform("linux/arm/v7"));
        assert!(Platform::new("unknown", "unknown", "").is_unknown());
    }
}

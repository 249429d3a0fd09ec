//! `registries.toml`: which registry a name means, and how it is reached.
//!
//! ```toml
//! default = "registry.example"          # where short names lead; docker.io when absent
//!
//! [aliases]                             # short names that mean another one
//! debian = "registry.example/base/debian"
//!
//! [[registry]]
//! prefix = "docker.io/library"          # of names; `*.example.com` means every host below; the longest one decides
//! location = "mirror.example/hub"       # what is asked instead; the prefix itself when absent
//! insecure = true                       # no proof of identity, and plain HTTP where TLS is not spoken
//! blocked = true
//!
//! [[registry.mirror]]                   # asked before, in this order
//! location = "10.0.0.5:5000/cache"
//! insecure = true
//! only = "digests"                      # or "tags"; both when absent
//! ```

use crate::error::{Error, Kind, Result};
use oci::Reference;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the user has set of registries.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The registry of names that name none; docker.io when absent.
    #[serde(default)]
    pub default: Option<String>,
    /// Short names and what they mean.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    #[serde(default, rename = "registry")]
    registries: Vec<Registry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    prefix: String,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default, rename = "mirror")]
    mirrors: Vec<Mirror>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    only: Option<Only>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Only {
    Digests,
    Tags,
}

/// One place where a repository may be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port, as in a URL.
    pub host: String,
    /// The repository's path there.
    pub path: String,
    /// Whether it need not prove who it is.
    pub insecure: bool,
    /// Whether it only stands in for another.
    pub is_mirror: bool,
}

/// The host that serves docker.io.
const HUB_HOST: &str = "registry-1.docker.io";

impl Settings {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        let settings: Self =
            toml::from_str(text).map_err(|error| invalid("parse registries.toml").caused_by(error))?;
        settings
            .registries
            .iter()
            .flat_map(Registry::places)
            .try_for_each(|place| split_place(place).map(drop))?;
        Ok(settings)
    }

    /// These, and of another file what these do not say.
    pub fn over(mut self, below: Self) -> Self {
        self.default = self.default.or(below.default);
        for (short, name) in below.aliases {
            self.aliases.entry(short).or_insert(name);
        }
        let is_new = |registry: &Registry| !self.registries.iter().any(|own| own.prefix == registry.prefix);
        let added: Vec<_> = below.registries.into_iter().filter(is_new).collect();
        self.registries.extend(added);
        self
    }

    /// The same, but that a registry need not prove who it is.
    pub fn trusting(mut self, host: &str) -> Self {
        let is_of_host = |registry: &&mut Registry| {
            registry.covers(host).is_some() || registry.prefix.starts_with(&format!("{host}/"))
        };
        self.registries.iter_mut().filter(is_of_host).for_each(|registry| registry.insecure = true);
        if self.registry_of(host).is_none() {
            let (prefix, mirrors) = (host.to_owned(), Vec::new());
            self.registries.push(Registry {
                prefix,
                location: None,
                insecure: true,
                blocked: false,
                mirrors,
            });
        }
        self
    }

    /// What a typed name means: an alias, a name of the default registry, or just itself.
    pub fn expand(&self, typed: &str) -> Result<Reference> {
        let parse = |text: &str| text.parse::<Reference>().map_err(|error| error.map_kind(|_| Kind::Invalid));
        let plain = parse(typed)?;
        let end = typed.find('@').unwrap_or(typed.len());
        let end = typed[..end].rfind(':').filter(|colon| !typed[*colon..end].contains('/')).unwrap_or(end);
        let (short, suffix) = typed.split_at(end);
        if let Some(name) = self.aliases.get(short) {
            return parse(&format!("{name}{suffix}"));
        }
        match &self.default {
            Some(host) if is_short(short) => parse(&format!("{host}/{typed}")),
            _ => Ok(plain),
        }
    }

    /// Where a name's repository may be had, in the order to be asked; the last is the one it is named by.
    pub fn endpoints(&self, name: &Reference) -> Result<Vec<Endpoint>> {
        let whole = name.name();
        let Some((registry, rest)) = self.registry_of(&whole) else {
            return Ok(vec![endpoint(&whole, false, false)?]);
        };
        if registry.blocked {
            let what = format!("registry `{}` is blocked by registries.toml", registry.prefix);
            return Err(Error::new(Kind::Blocked, what));
        }
        let wants = |mirror: &&Mirror| match mirror.only {
            Some(Only::Digests) => name.digest().is_some(),
            Some(Only::Tags) => name.digest().is_none(),
            None => true,
        };
        let mirrors = registry.mirrors.iter().filter(wants);
        let mirrors =
            mirrors.map(|mirror| endpoint(&(mirror.location.clone() + rest), mirror.insecure, true));
        let own = match &registry.location {
            Some(location) => endpoint(&(location.clone() + rest), registry.insecure, false),
            None => endpoint(&whole, registry.insecure, false),
        };
        mirrors.chain([own]).collect()
    }

    /// Whether a host need not prove who it is: one that is set so, and, as docker has it, this host.
    pub fn is_insecure(&self, host: &str) -> bool {
        is_loopback(host)
            || self.registries.iter().any(|registry| registry.insecure && registry.covers(host).is_some())
    }

    fn registry_of<'a>(&'a self, name: &'a str) -> Option<(&'a Registry, &'a str)> {
        let covering = self.registries.iter().filter_map(|registry| Some((registry, registry.covers(name)?)));
        covering.max_by_key(|(registry, _)| registry.prefix.len())
    }
}

impl Registry {
    fn places(&self) -> impl Iterator<Item = &str> {
        let own = [self.prefix.trim_start_matches("*.")].into_iter().chain(self.location.as_deref());
        own.chain(self.mirrors.iter().map(|mirror| mirror.location.as_str()))
    }

    /// What follows the prefix in a name, if the name has it, up to the end of a component.
    fn covers<'a>(&self, name: &'a str) -> Option<&'a str> {
        let Some(domain) = self.prefix.strip_prefix("*.") else {
            let rest = name.strip_prefix(self.prefix.as_str())?;
            return (rest.is_empty() || rest.starts_with('/')).then_some(rest);
        };
        let (host, _) = name.split_once('/').unwrap_or((name, ""));
        host.strip_suffix(domain)?.ends_with('.').then(|| &name[host.len()..])
    }
}

/// Nothing in it says which registry is meant.
fn is_short(name: &str) -> bool {
    match name.split_once('/') {
        Some((first, _)) => {
            first != "localhost" && !first.contains(['.', ':']) && first == first.to_lowercase()
        }
        None => true,
    }
}

/// docker's 127.0.0.0/8, `localhost` and ::1.
fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn endpoint(place: &str, insecure: bool, is_mirror: bool) -> Result<Endpoint> {
    let (host, path) = split_place(place)?;
    let insecure = insecure || is_loopback(host);
    let host = if host == "docker.io" { HUB_HOST } else { host };
    Ok(Endpoint { host: host.to_owned(), path: path.to_owned(), insecure, is_mirror })
}

fn split_place(place: &str) -> Result<(&str, &str)> {
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let is_mark = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_mark) || path.ends_with('/') || path.starts_with('/') {
        let what = format!("`{place}` in registries.toml is no registry, HOST[:PORT][/PATH]");
        return Err(invalid(what));
    }
    Ok((host, path))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(settings: &Settings, name: &str) -> Vec<String> {
        let name: Reference = name.parse().unwrap();
        let said =
            |e: Endpoint| format!("{}/{}{}", e.host, e.path, if e.insecure { " insecure" } else { "" });
        settings.endpoints(&name).unwrap().into_iter().map(said).collect()
    }

    const TEXT: &str = r#"
        default = "reg.example:5000"
        [aliases]
        debian = "base.example/os/debian"
        [[registry]]
        prefix = "docker.io"
        [[registry.mirror]]
        location = "10.0.0.5:5000/cache"
        insecure = true
        [[registry.mirror]]
        location = "digests.example"
        only = "digests"
        [[registry]]
        prefix = "docker.io/library/secret"
        blocked = true
        [[registry]]
        prefix = "*.corp.example"
        location = "proxy.example/corp"
    "#;

    #[test]
    fn mirrors_come_first_and_the_longest_prefix_decides() {
        let settings = Settings::parse(TEXT).unwrap();
        assert_eq!(
            asked(&settings, "busybox:1"),
            ["10.0.0.5:5000/cache/library/busybox insecure", "registry-1.docker.io/library/busybox"]
        );
        let pinned = format!("a/b@sha256:{}", "a".repeat(64));
        assert_eq!(asked(&settings, &pinned)[1], "digests.example/a/b");
        assert_eq!(asked(&settings, "x.corp.example/a/b"), ["proxy.example/corp/a/b"]);
        assert_eq!(asked(&settings, "xcorp.example/a"), ["xcorp.example/a"]);
        let blocked = settings.endpoints(&"secret:1".parse().unwrap()).unwrap_err();
        assert_eq!(*blocked.kind(), Kind::Blocked);
        assert_eq!(asked(&settings, "secrets").len(), 2);
    }

    #[test]
    fn short_names_are_expanded_and_others_are_not() {
        let settings = Settings::parse(TEXT).unwrap();
        let expand = |typed: &str| settings.expand(typed).unwrap().canonical();
        assert_eq!(expand("debian:12"), "base.example/os/debian:12");
        assert_eq!(expand("busybox"), "reg.example:5000/busybox");
        assert_eq!(expand("a/b:1"), "reg.example:5000/a/b:1");
        assert_eq!(expand("docker.io/a/b"), "docker.io/a/b");
        assert_eq!(expand("localhost/a"), "localhost/a");
        assert_eq!(Settings::default().expand("a").unwrap().canonical(), "docker.io/library/a");
    }

    #[test]
    fn this_host_is_insecure_as_docker_has_it() {
        let settings = Settings::default();
        assert_eq!(asked(&settings, "127.0.0.1:5000/a"), ["127.0.0.1:5000/a insecure"]);
        assert!(settings.is_insecure("[::1]:5000") && settings.is_insecure("localhost"));
        assert!(!settings.is_insecure("10.0.0.1:5000"));
    }

    #[test]
    fn a_registry_can_be_trusted_for_once() {
        let settings = Settings::parse(TEXT).unwrap().trusting("reg.other:5000").trusting("docker.io");
        assert_eq!(asked(&settings, "reg.other:5000/a"), ["reg.other:5000/a insecure"]);
        assert_eq!(
            asked(&settings, "busybox").last().unwrap(),
            "registry-1.docker.io/library/busybox insecure"
        );
        assert_eq!(asked(&settings, "reg.third/a"), ["reg.third/a"]);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let reason = |text: &str| Settings::parse(text).unwrap_err().line();
        assert!(reason("defualt = 'x'").contains("defualt"), "{}", reason("defualt = 'x'"));
        assert!(reason("[[registry]]\nprefix='a'\nlocation='https://x'").contains("`https://x`"));
    }

    #[test]
    fn a_users_file_is_laid_over_the_hosts() {
        let user = Settings::parse("default='u.example'").unwrap();
        let both = user.over(Settings::parse(TEXT).unwrap());
        assert_eq!((both.default.as_deref(), both.aliases.len()), (Some("u.example"), 1));
    }
}

//! Names of images, in docker's grammar and normal form (github.com/distribution/reference).
//!
//! ```text
//! reference := name [":" tag] ["@" digest]
//! name      := [domain "/"] component ("/" component)*      path at most 255 bytes
//! domain    := (host | "[" ipv6 "]") [":" port]
//! component := [a-z0-9]+ (("." | "_" | "__" | "-"+) [a-z0-9]+)*
//! tag       := [A-Za-z0-9_] [A-Za-z0-9_.-]{0,127}
//! ```

use crate::digest::is_hex;
use crate::{Digest, Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const HUB: &str = "docker.io";
const HUB_BEFORE: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const PATH_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A name of an image, with its domain always spelled out.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository in the registry: `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path: `docker.io/library/debian`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Domain and path as short as docker prints them: `debian`.
    ///
    /// As in docker, the rare `docker.io/localhost/x` becomes `localhost/x`, which names another image.
    pub fn familiar_name(&self) -> String {
        if self.domain != HUB {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(rest) if !rest.contains('/') => rest.into(),
            _ => self.path.clone(),
        }
    }

    /// The short form that `docker images` prints: `debian:12`.
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }

    /// The full form: `docker.io/library/debian:12`.
    pub fn canonical(&self) -> String {
        self.name() + &self.suffix()
    }

    /// With the tag `latest` if there is neither tag nor digest.
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.into());
        }
        self
    }

    /// With this tag in place of its own. Fails with docker's `invalid tag format`.
    pub fn with_tag(mut self, tag: &str) -> Result<Self> {
        if !is_tag(tag) {
            return Err(Error::new(Kind::Reference, format!("invalid tag format: `{tag}`")));
        }
        self.tag = Some(tag.into());
        Ok(self)
    }

    /// With this digest in place of its own.
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Without tag and digest.
    pub fn without_suffix(mut self) -> Self {
        (self.tag, self.digest) = (None, None);
        self
    }

    fn suffix(&self) -> String {
        let mut suffix = String::new();
        if let Some(tag) = &self.tag {
            suffix += &format!(":{tag}");
        }
        if let Some(digest) = &self.digest {
            suffix += &format!("@{digest}");
        }
        suffix
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // `docker run <64 hex>` means an id: a repository must not be able to shadow one.
        if text.len() == 64 && is_hex(text) {
            return Err(refuse(format!(
                "invalid repository name (`{text}`), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (domain, remainder) = split_domain(text);
        let remote = remainder.split(':').next().unwrap_or_default();
        if has_uppercase(remote) {
            return Err(refuse(format!(
                "invalid reference format: repository name (`{remote}`) must be lowercase"
            )));
        }
        parse(text, domain, &remainder)
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.canonical()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.canonical())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

fn refuse(what: impl Into<String>) -> Error {
    Error::new(Kind::Reference, what)
}

/// Domain and the rest, both in normal form. What comes before the first slash is a domain when it
/// cannot be a component (`.`, `:`, upper case) or is `localhost`.
fn split_domain(text: &str) -> (&str, String) {
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest)) if first == HUB || first == HUB_BEFORE => (HUB, rest),
        Some((first, rest)) if is_domain_like(first) => (first, rest),
        _ => (HUB, text),
    };
    if domain == HUB && !rest.contains('/') {
        return (domain, format!("{OFFICIAL}{rest}"));
    }
    (domain, rest.into())
}

fn is_domain_like(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || has_uppercase(first)
}

/// What Go's `strings.ToLower` would change.
fn has_uppercase(text: &str) -> bool {
    text.chars().any(|c| !c.to_lowercase().eq([c]))
}

fn parse(text: &str, domain: &str, remainder: &str) -> Result<Reference> {
    let invalid = || refuse(format!("invalid reference format: `{text}`"));
    let (rest, digest) = match remainder.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (remainder, None),
    };
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    if !is_domain(domain) || !path.split('/').all(is_component) || !tag.is_none_or(is_tag) {
        return Err(invalid());
    }
    if digest.is_some_and(|digest| !is_digest_like(digest)) {
        return Err(invalid());
    }
    if path.len() > PATH_MAX {
        return Err(refuse(format!("repository name must not be more than {PATH_MAX} characters")));
    }
    let digest = digest.map(str::parse).transpose()?;
    Ok(Reference { domain: domain.into(), path: path.into(), tag: tag.map(Into::into), digest })
}

fn is_domain(domain: &str) -> bool {
    if let Some(rest) = domain.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(ip, port)| {
            !ip.is_empty() && ip.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') && is_port(port)
        });
    }
    let (host, port) = domain.split_at(domain.find(':').unwrap_or(domain.len()));
    host.split('.').all(is_label) && is_port(port)
}

/// Nothing, or a colon and digits.
fn is_port(port: &str) -> bool {
    port.is_empty()
        || port.strip_prefix(':').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    let starts_and_ends = component.starts_with(is_alphanumeric) && component.ends_with(is_alphanumeric);
    starts_and_ends && component.split(is_alphanumeric).all(is_separator)
}

/// What may stand between two runs of letters and digits.
fn is_separator(separator: &str) -> bool {
    matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

/// The grammar of a digest, before its algorithm is looked at: the difference decides the message.
fn is_digest_like(digest: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.split(['-', '_', '+', '.']).all(is_part)
            && hex.len() >= 32
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        text.parse::<Reference>().unwrap().canonical()
    }

    fn reason(text: &str) -> String {
        text.parse::<Reference>().unwrap_err().to_string()
    }

    /// Cases of distribution/reference's own normalisation test, by behaviour.
    #[test]
    fn names_are_normalised_as_docker_does() {
        for (short, full, familiar) in [
            ("debian", "docker.io/library/debian", "debian"),
            ("debian:12", "docker.io/library/debian:12", "debian:12"),
            ("fnord:5000", "docker.io/library/fnord:5000", "fnord:5000"),
            ("a/b", "docker.io/a/b", "a/b"),
            ("a/b/c:t", "docker.io/a/b/c:t", "a/b/c:t"),
            ("docker.io/debian", "docker.io/library/debian", "debian"),
            ("docker.io/library/debian", "docker.io/library/debian", "debian"),
            ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
            ("index.docker.io/debian", "docker.io/library/debian", "debian"),
            ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
            ("localhost/x", "localhost/x", "localhost/x"),
            ("localhost:5000/x", "localhost:5000/x", "localhost:5000/x"),
            ("127.0.0.1:8000/a/b", "127.0.0.1:8000/a/b", "127.0.0.1:8000/a/b"),
            ("[fc00::1]:5000/docker:tag", "[fc00::1]:5000/docker:tag", "[fc00::1]:5000/docker:tag"),
            ("Foo/bar", "Foo/bar", "Foo/bar"),
            ("quay.io/x/y-z__q.r", "quay.io/x/y-z__q.r", "quay.io/x/y-z__q.r"),
            ("a---b", "docker.io/library/a---b", "a---b"),
            ("xn--n3h.com/app", "xn--n3h.com/app", "xn--n3h.com/app"),
            ("docker/docker", "docker.io/docker/docker", "docker/docker"),
        ] {
            let reference: Reference = short.parse().unwrap();
            assert_eq!((reference.canonical().as_str(), reference.familiar().as_str()), (full, familiar));
        }
    }

    #[test]
    fn tag_and_digest_may_stand_together() {
        let hex = "a".repeat(64);
        let text = format!("x:1@sha256:{hex}");
        let reference: Reference = text.parse().unwrap();
        assert_eq!((reference.tag(), reference.digest().unwrap().hex()), (Some("1"), hex.as_str()));
        assert_eq!(reference.familiar(), text);
        assert_eq!(reference.with_default_tag().without_suffix().with_default_tag().familiar(), "x:latest");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a._b",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:-t",
            "a b",
            "a@",
            "a@sha256",
            "a@sha256:aa",
            "docker///docker",
            "-.com/a",
            "a.-b.com/c",
            ":5000/a",
            "a.com:/b",
            "a.com:x/b",
            "[::1/a",
            "[]/a",
            "[fe80::1%eth0]/a",
            "https://github.com/docker/docker",
            "a:t:u",
            "héllo",
            ".",
            "..",
            "a.com/..",
            "a/../b",
            "_a",
            "a.com",
        ] {
            // `a.com` is fine: without a slash it is a repository of the hub.
            assert_eq!(text.parse::<Reference>().is_ok(), text == "a.com", "{text}");
        }
        assert_eq!(reason("a b"), "invalid reference format: `a b`");
    }

    #[test]
    fn uppercase_is_named_as_the_reason() {
        assert_eq!(
            reason("Debian"),
            "invalid reference format: repository name (`library/Debian`) must be lowercase"
        );
        assert_eq!(reason("a/B:t"), "invalid reference format: repository name (`a/B`) must be lowercase");
        assert_eq!(canonical("debian:Bookworm"), "docker.io/library/debian:Bookworm");
    }

    #[test]
    fn sixty_four_hex_digits_are_an_id_not_a_name() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(reason(&hex).ends_with("cannot specify 64-byte hexadecimal strings"));
        assert!(canonical(&hex[1..]).ends_with(&hex[1..]));
        assert!(canonical(&format!("docker.io/{hex}")).ends_with(&hex));
    }

    #[test]
    fn lengths_have_their_limits() {
        assert_eq!(canonical(&format!("a:{}", "t".repeat(128))).len(), "docker.io/library/a:".len() + 128);
        assert_eq!(
            reason(&format!("a:{}", "t".repeat(129))),
            format!("invalid reference format: `a:{}`", "t".repeat(129))
        );
        canonical(&format!("x.io/{}", "a".repeat(255)));
        let reason = reason(&format!("x.io/{}", "a".repeat(256)));
        assert_eq!(reason, "repository name must not be more than 255 characters");
    }

    #[test]
    fn a_digest_of_another_algorithm_is_named() {
        assert!(reason(&format!("a@md5:{}", "0".repeat(32))).starts_with("unsupported digest algorithm"));
        assert!(
            reason(&format!("a@sha256:{}", "0".repeat(32))).starts_with("invalid checksum digest length")
        );
    }

    #[test]
    fn a_tag_is_replaced_if_it_is_one() {
        let reference: Reference = "a:1".parse().unwrap();
        assert_eq!(reference.clone().with_tag("2").unwrap().tag(), Some("2"));
        assert!(reference.with_tag("a/b").unwrap_err().to_string().starts_with("invalid tag format"));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_parses_round_trips(text in "[a-zA-Z0-9:/@._\\[\\]é -]{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.canonical().parse::<Reference>().unwrap(), &reference);
                let json = serde_json::to_string(&reference).unwrap();
                prop_assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
            }
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = text.parse::<Reference>();
        }

        #[test]
        fn the_familiar_form_means_the_same(
            name in "([a-z][a-z0-9]{0,8}\\.io(:[0-9]{1,5})?/)?[a-z0-9]{1,9}([._-][a-z0-9]{1,5})?(/[a-z0-9]{1,9})?",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        ) {
            // Skips only the form that docker itself makes ambiguous, see `familiar_name`.
            prop_assume!(!name.starts_with("docker.io/"));
            let text = tag.map_or(name.clone(), |tag| format!("{name}:{tag}"));
            let reference: Reference = text.parse().unwrap();
            prop_assert_eq!(reference.familiar().parse::<Reference>().unwrap(), reference);
        }
    }
}

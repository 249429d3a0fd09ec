//! Devices and the rules of the device cgroup.

use super::{DeviceRequest, DeviceRule, Error, Result, invalid, later};
use std::str::FromStr;

impl FromStr for DeviceRequest {
    type Err = Error;

    /// `HOST[:CONTAINER][:ACCESS]`, access a subset of `rwm`.
    fn from_str(text: &str) -> Result<Self> {
        let (host, rest) = text.split_once(':').unwrap_or((text, ""));
        let (container, access) = match rest.split_once(':') {
            Some((container, access)) if is_access(access) => (container, access),
            Some((_, access)) if !access.contains(':') => {
                return invalid(format!("bad mode specified: {access}"));
            }
            Some(_) => return invalid(format!("invalid device specification: {text}")),
            None if is_access(rest) => (host, rest),
            None if rest.is_empty() => (host, "rwm"),
            None => (rest, "rwm"),
        };
        check_paths(text, host, container)?;
        Ok(Self { host: host.into(), container: container.into(), access: access.into() })
    }
}

fn check_paths(text: &str, host: &str, container: &str) -> Result<()> {
    if !host.starts_with('/') && host.contains('=') {
        return later(format!("devices by CDI name (`{text}`)"));
    }
    match [host, container].into_iter().find(|path| !path.starts_with('/')) {
        None => Ok(()),
        Some(path) => invalid(format!("{path} is not an absolute path")),
    }
}

/// At least one of `rwm`, each at most once.
fn is_access(text: &str) -> bool {
    let fresh = |(at, letter): (usize, char)| "rwm".contains(letter) && !text[..at].contains(letter);
    !text.is_empty() && text.char_indices().all(fresh)
}

impl FromStr for DeviceRule {
    type Err = Error;

    /// `c 1:3 rwm`, with `*` for any number.
    fn from_str(text: &str) -> Result<Self> {
        rule(text).map_or_else(|| invalid(format!("invalid device cgroup format '{text}'")), Ok)
    }
}

fn rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split(' ');
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let fine = words.next().is_none() && matches!(kind, "a" | "b" | "c") && is_access(access);
    let rule = DeviceRule {
        kind: kind.chars().next()?,
        major: number(major)?,
        minor: number(minor)?,
        access: access.into(),
    };
    fine.then_some(rule)
}

fn number(text: &str) -> Option<Option<u32>> {
    match text {
        "*" => Some(None),
        // `u32::from_str` takes a plus sign, the kernel does not.
        _ if text.starts_with('+') => None,
        _ => text.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_place_inside_and_an_access() {
        for (text, host, container, access) in [
            ("/dev/snd", "/dev/snd", "/dev/snd", "rwm"),
            ("/dev/snd:rw", "/dev/snd", "/dev/snd", "rw"),
            ("/dev/snd:/something", "/dev/snd", "/something", "rwm"),
            ("/dev/snd:/something:rw", "/dev/snd", "/something", "rw"),
            ("/dev/snd:", "/dev/snd", "/dev/snd", "rwm"),
        ] {
            let device =
                DeviceRequest { host: host.into(), container: container.into(), access: access.into() };
            assert_eq!(text.parse::<DeviceRequest>().unwrap(), device, "{text}");
        }
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for (text, words) in [
            ("/dev/snd:/x:rwx", "bad mode specified: rwx"),
            ("/dev/snd:/x:rr", "bad mode specified: rr"),
            ("/a:/b:rw:x", "invalid device specification"),
            ("/dev/snd::r", " is not an absolute path"),
            ("dev/snd", "is not an absolute path"),
            ("", "is not an absolute path"),
            ("/dev/snd:x", "is not an absolute path"),
            ("vendor.com/gpu=0", "not available yet"),
        ] {
            assert!(text.parse::<DeviceRequest>().unwrap_err().to_string().contains(words), "{text}");
        }
    }

    #[test]
    fn rules_have_a_kind_numbers_and_an_access() {
        let rule = DeviceRule { kind: 'c', major: Some(7), minor: None, access: "rwm".into() };
        assert_eq!("c 7:* rwm".parse::<DeviceRule>().unwrap(), rule);
        for text in [
            "",
            "c",
            "c 7:*",
            "x 7:0 r",
            "c 7 r",
            "c 7:0 rwx",
            "c 7:0 r r",
            "c -1:0 r",
            "c +1:0 r",
            "c  7:0 r",
        ] {
            let words = text.parse::<DeviceRule>().unwrap_err().to_string();
            assert_eq!(words, format!("invalid device cgroup format '{text}'"));
        }
    }
}

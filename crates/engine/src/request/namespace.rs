//! Namespaces: the container's own, the host's or another container's.

use super::{Error, IdMap, IpcNamespace, Kind, Namespace, Network, Result, UserNamespace, invalid};
use std::str::FromStr;

impl FromStr for Namespace {
    type Err = Error;

    /// `private` or nothing, `host`, `container:NAME|ID`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            _ => container(text).map(Self::Container),
        }
    }
}

impl FromStr for IpcNamespace {
    type Err = Error;

    /// `private` or nothing, `shareable`, `none`, `host`, `container:NAME|ID`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "private" => Ok(Self::Private),
            "shareable" => Ok(Self::Shareable),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ => container(text).map(Self::Container),
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    /// `none` or nothing or `default`, `host`, `container:NAME|ID`; other networks come later.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "none" | "default" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ if text.starts_with("container:") => container(text).map(Self::Container),
            _ => {
                let words = format!("networks are not available yet: `{text}`");
                Err(Error::new(Kind::NotYet, words).with_hint("`none`, `host` and `container:NAME` are"))
            }
        }
    }
}

fn container(text: &str) -> Result<String> {
    match text.strip_prefix("container:") {
        Some("") => invalid("container name or id expected after `container:`"),
        Some(name) => Ok(name.into()),
        None => invalid(format!("invalid mode `{text}`")),
    }
}

impl FromStr for UserNamespace {
    type Err = Error;

    /// `auto`, `private` or nothing; `host`; `keep-id[:uid=N,gid=N]`; `private:CONTAINER:HOST:SIZE[,…]`.
    fn from_str(text: &str) -> Result<Self> {
        let (mode, rest) = text.split_once(':').unwrap_or((text, ""));
        let wrong = || invalid(format!("invalid USER mode `{text}`"));
        match (mode, text.contains(':')) {
            ("" | "auto" | "private", false) => Ok(Self::Auto),
            ("host", false) => Ok(Self::Host),
            ("keep-id", colon) => keep_id(rest, colon).map_or_else(wrong, Ok),
            ("private", true) => {
                id_maps(rest).map_or_else(wrong, |maps| check_maps(&maps).map(|()| Self::Mapped(maps)))
            }
            _ => wrong(),
        }
    }
}

fn keep_id(text: &str, some: bool) -> Option<UserNamespace> {
    let (mut uid, mut gid) = (None, None);
    for part in text.split(',').filter(|_| some) {
        match part.split_once('=')? {
            ("uid", id) => uid = Some(id.parse().ok()?),
            ("gid", id) => gid = Some(id.parse().ok()?),
            _ => return None,
        }
    }
    Some(UserNamespace::KeepId { uid, gid })
}

fn id_maps(text: &str) -> Option<Vec<IdMap>> {
    text.split(',').map(id_map).collect()
}

fn id_map(text: &str) -> Option<IdMap> {
    let mut numbers = text.split(':').map(|part| part.parse().ok());
    let map = IdMap { inside: numbers.next()??, host: numbers.next()??, size: numbers.next()?? };
    numbers.next().is_none().then_some(map)
}

/// The kernel's rules of a `uid_map`, user_namespaces(7): no empty line, no overlap, at most 340 lines.
fn check_maps(maps: &[IdMap]) -> Result<()> {
    let fits = |first: u32, size: u32| size > 0 && first.checked_add(size).is_some();
    if !maps.iter().all(|map| fits(map.inside, map.size) && fits(map.host, map.size)) {
        return invalid("a map of ids is empty or goes beyond 4294967295");
    }
    let apart = |one: u32, other: u32, (size, len): (u32, u32)| one + size <= other || other + len <= one;
    let clash = |at: usize, map: &IdMap| {
        maps[..at].iter().any(|other| {
            let sizes = (map.size, other.size);
            !apart(map.inside, other.inside, sizes) || !apart(map.host, other.host, sizes)
        })
    };
    match maps.len() > 340 || maps.iter().enumerate().any(|(at, map)| clash(at, map)) {
        true => invalid("maps of ids overlap, or are more than 340"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_own_or_joined() {
        assert_eq!("".parse::<Namespace>().unwrap(), Namespace::Private);
        assert_eq!("host".parse::<Namespace>().unwrap(), Namespace::Host);
        assert_eq!("container:web".parse::<Namespace>().unwrap(), Namespace::Container("web".into()));
        assert!("container:".parse::<Namespace>().is_err() && "x".parse::<Namespace>().is_err());
        assert_eq!("shareable".parse::<IpcNamespace>().unwrap(), IpcNamespace::Shareable);
        assert_eq!("none".parse::<IpcNamespace>().unwrap(), IpcNamespace::None);
        assert!("x".parse::<IpcNamespace>().is_err());
    }

    #[test]
    fn named_networks_come_later() {
        assert_eq!("container:web".parse::<Network>().unwrap(), Network::Container("web".into()));
        assert_eq!("none".parse::<Network>().unwrap(), Network::None);
        let error = "bridge".parse::<Network>().unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("`bridge`")), (&Kind::NotYet, true));
    }

    #[test]
    fn user_namespaces_have_ranges() {
        let parse = |text: &str| text.parse::<UserNamespace>();
        assert_eq!(parse("auto").unwrap(), UserNamespace::Auto);
        assert_eq!(parse("private").unwrap(), UserNamespace::Auto);
        assert_eq!(parse("keep-id").unwrap(), UserNamespace::KeepId { uid: None, gid: None });
        assert_eq!(
            parse("keep-id:uid=5,gid=6").unwrap(),
            UserNamespace::KeepId { uid: Some(5), gid: Some(6) }
        );
        let maps =
            vec![IdMap { inside: 0, host: 1000, size: 1 }, IdMap { inside: 1, host: 100_000, size: 65_535 }];
        assert_eq!(parse("private:0:1000:1,1:100000:65535").unwrap(), UserNamespace::Mapped(maps));
    }

    #[test]
    fn what_is_no_user_namespace_is_refused() {
        let all = [
            "x",
            "host:1",
            "auto:1",
            "keep-id:",
            "keep-id:uid",
            "keep-id:uid=x",
            "private:",
            "private:0:1",
            "private:0:1:0",
            "private:0:1:2:3",
            "private:0:4294967295:2",
            "private:0:1:5,4:9:1",
            "private:0:1:5,9:5:1",
        ];
        for text in all {
            assert!(text.parse::<UserNamespace>().is_err(), "{text}");
        }
    }
}

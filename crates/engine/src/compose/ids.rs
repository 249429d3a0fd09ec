//! Which ids of the host a container's are.

use super::{Facts, Result, User, invalid, user_namespace};
use crate::request::{IdMap, RunRequest, UserNamespace};
use oci::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};

/// Lines of `uid_map` and `gid_map`, see user_namespaces(7); both empty where the host's ids are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMaps {
    /// Of users.
    pub users: Vec<IdMap>,
    /// Of groups.
    pub groups: Vec<IdMap>,
}

impl IdMaps {
    /// The map for `--userns`, with `own` for what is the container's own: the ids from 0 on, and further ones.
    /// `caller` is the user and group whom `keep-id` keeps.
    pub fn new(request: &RunRequest, own: &[IdMap], caller: (u32, u32)) -> Self {
        let (first, size) = own.first().map_or((0, 0), |map| (map.host, map.size));
        let same = |map: Vec<IdMap>| Self { users: map.clone(), groups: map };
        match user_namespace(request) {
            UserNamespace::Host => Self::default(),
            UserNamespace::Auto => same(own.to_vec()),
            UserNamespace::KeepId { uid, gid } => Self {
                users: around(uid.unwrap_or(caller.0), caller.0, first, size),
                groups: around(gid.unwrap_or(caller.1), caller.1, first, size),
            },
            UserNamespace::Mapped(maps) => same(maps.clone()),
        }
    }

    /// There is no map: the ids are the host's.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// The range, with one id in it that is another's; outside of the range it is one more.
fn around(kept: u32, host: u32, first: u32, size: u32) -> Vec<IdMap> {
    let below = IdMap { inside: 0, host: first, size: size.min(kept) };
    let own = IdMap { inside: kept, host, size: 1 };
    let next = kept.saturating_add(1);
    let above = IdMap { inside: next, host: first.saturating_add(next), size: size.saturating_sub(next) };
    [below, own, above].into_iter().filter(|map| map.size > 0).collect()
}

/// An id that has no place in the map cannot be taken on.
pub(super) fn check(user: &User, facts: &Facts<'_>) -> Result<()> {
    if facts.id_maps.is_empty() {
        return Ok(());
    }
    let has = |maps: &[IdMap], id: u32| maps.iter().any(|map| id >= map.inside && id - map.inside < map.size);
    let missing = |what: &str, id: u32, maps: &[IdMap]| {
        let map: Vec<_> = maps.iter().map(|m| format!("{}-{}", m.inside, m.inside + (m.size - 1))).collect();
        let words = format!("{what} {id} is outside of the container's map of ids ({})", map.join(", "));
        let hint = "`--userns private:CONTAINER:HOST:SIZE[,…]` maps more, `--userns host` has all";
        invalid(words).map_err(|error| error.with_hint(hint))
    };
    if !has(&facts.id_maps.users, user.uid) {
        return missing("user", user.uid, &facts.id_maps.users);
    }
    let groups = std::iter::once(&user.gid).chain(&user.groups);
    match groups.copied().find(|&gid| !has(&facts.id_maps.groups, gid)) {
        Some(gid) => missing("group", gid, &facts.id_maps.groups),
        None => Ok(()),
    }
}

/// As the runtime-spec has it; none where another container's user namespace is joined.
pub(super) fn mappings(maps: &[IdMap], facts: &Facts<'_>) -> Option<Vec<LinuxIdMapping>> {
    let own = !maps.is_empty() && facts.joined.user.is_none();
    own.then(|| maps.iter().map(mapping).collect())
}

/// One line as the runtime-spec has it.
pub fn mapping(map: &IdMap) -> LinuxIdMapping {
    let line = LinuxIdMappingBuilder::default().container_id(map.inside).host_id(map.host).size(map.size);
    line.build().unwrap_or_default() // all members have defaults: it does not fail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(maps: &[IdMap]) -> Vec<(u32, u32, u32)> {
        maps.iter().map(|map| (map.inside, map.host, map.size)).collect()
    }

    #[test]
    fn keep_id_keeps_user_and_group_apart() {
        let mut request = RunRequest::default();
        request.isolation.userns = UserNamespace::KeepId { uid: Some(1000), gid: Some(0) };
        let own = [IdMap { inside: 0, host: 100_000, size: 65_536 }];
        let maps = IdMaps::new(&request, &own, (7, 8));
        assert_eq!(lines(&maps.users), [(0, 100_000, 1000), (1000, 7, 1), (1001, 101_001, 64_535)]);
        assert_eq!(lines(&maps.groups), [(0, 8, 1), (1, 100_001, 65_535)]);
    }

    #[test]
    fn an_id_kept_outside_of_the_range_takes_none_of_anothers() {
        assert_eq!(lines(&around(70_000, 0, 100_000, 65_536)), [(0, 100_000, 65_536), (70_000, 0, 1)]);
        assert_eq!(lines(&around(u32::MAX, 0, 100_000, 10)), [(0, 100_000, 10), (u32::MAX, 0, 1)]);
        assert_eq!(lines(&around(65_535, 0, 100_000, 65_536)), [(0, 100_000, 65_535), (65_535, 0, 1)]);
    }
}

//! Numbers of owners inside a container and outside.

use crate::error::Result;
use crate::request::IdMap;
use fault::Context;

/// Who owns what cannot be told: kernel.overflowuid's default.
const NOBODY: u32 = 65_534;

/// A container's maps; each line as in user_namespaces(7).
#[derive(Debug, Clone)]
pub(super) struct Ids {
    users: Vec<IdMap>,
    groups: Vec<IdMap>,
}

/// The numbers are what they are.
const SAME: IdMap = IdMap { inside: 0, host: 0, size: u32::MAX };

impl Default for Ids {
    fn default() -> Self {
        Self { users: vec![SAME], groups: vec![SAME] }
    }
}

impl Ids {
    /// Those of a process's user namespace.
    pub(super) fn of(pid: i32) -> Result<Self> {
        Ok(Self { users: read(pid, "uid_map")?, groups: read(pid, "gid_map")? })
    }

    /// What a container calls a user and a group of the host's.
    pub(super) fn inside(&self, uid: u32, gid: u32) -> (u32, u32) {
        (inside(&self.users, uid), inside(&self.groups, gid))
    }

    /// Whom a container's user and group are on the host; none where it has no such.
    pub(super) fn outside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        Some((outside(&self.users, uid)?, outside(&self.groups, gid)?))
    }
}

fn read(pid: i32, name: &str) -> Result<Vec<IdMap>> {
    let path = format!("/proc/{pid}/{name}");
    let text = std::fs::read_to_string(&path).or_err(crate::Kind::Failed, || format!("read `{path}`"))?;
    Ok(text.lines().filter_map(line).collect())
}

fn line(line: &str) -> Option<IdMap> {
    let mut numbers = line.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(IdMap { inside: next()?, host: next()?, size: next()? })
}

fn inside(maps: &[IdMap], id: u32) -> u32 {
    let found = maps.iter().find(|map| id >= map.host && id - map.host < map.size);
    found.map_or(NOBODY, |map| map.inside + (id - map.host))
}

fn outside(maps: &[IdMap], id: u32) -> Option<u32> {
    let found = maps.iter().find(|map| id >= map.inside && id - map.inside < map.size)?;
    Some(found.host + (id - found.inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_place_or_none() {
        let maps = [IdMap { inside: 0, host: 100_000, size: 1000 }, IdMap { inside: 1000, host: 7, size: 1 }];
        for (id, host) in [(0, Some(100_000)), (999, Some(100_999)), (1000, Some(7)), (1001, None)] {
            assert_eq!(outside(&maps, id), host, "{id}");
            assert!(host.is_none_or(|host| inside(&maps, host) == id), "{id}");
        }
        assert_eq!(inside(&maps, 101_000), NOBODY);
        assert_eq!(Ids::default().outside(5, u32::MAX - 1), Some((5, u32::MAX - 1)));
    }
}

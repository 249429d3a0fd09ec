//! Where a process is: `/proc/PID/cgroup`, see cgroups(7).

use crate::{Error, Kind, Result};
use std::path::{Path, PathBuf};

/// One line: a hierarchy's controllers, none for the cgroup2 tree, and the path below its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) controllers: Vec<String>,
    pub(crate) path: PathBuf,
}

/// The groups of a process, or of the caller.
pub(crate) fn of(pid: Option<rustix::process::Pid>) -> Result<Vec<Membership>> {
    let who = pid.map_or("self".into(), |pid| pid.as_raw_nonzero().to_string());
    let file = format!("/proc/{who}/cgroup");
    let text = std::fs::read_to_string(&file)
        .map_err(|cause| Error::new(Kind::Kernel, format!("read `{file}`")).caused_by(cause))?;
    Ok(parse(&text))
}

/// The paths are absolute; what is no line of three parts is left out.
pub(crate) fn parse(text: &str) -> Vec<Membership> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        let controllers = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        path.starts_with('/').then(|| Membership { controllers, path: path.into() })
    };
    text.lines().filter_map(line).collect()
}

/// The path in the hierarchy of a controller; none names the cgroup2 tree.
pub(crate) fn path_of<'a>(all: &'a [Membership], controller: Option<&str>) -> Option<&'a Path> {
    let is_it = |one: &&Membership| match controller {
        Some(name) => one.controllers.iter().any(|known| known == name),
        None => one.controllers.is_empty(),
    };
    all.iter().find(is_it).map(|one| one.path.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_hierarchy() {
        let all = parse("9:name=systemd:/\n4:cpu,cpuacct:/a:b\n0::/x\nrubbish\n1:cpuset:relative\n");
        assert_eq!(path_of(&all, Some("cpuacct")), Some(Path::new("/a:b")));
        assert_eq!(path_of(&all, None), Some(Path::new("/x")));
        assert_eq!(path_of(&all, Some("memory")), None);
        assert_eq!(all.len(), 3);
    }
}

//! v1's real-time CPU: a group can have only what the groups above leave it, and new ones have none. See
//! scheduler/sched-rt-group.rst of the kernel's documentation.

use crate::setting::Setting;
use crate::{Cgroup, Error, Kind, Result, files};
use rustix::fd::OwnedFd;
use std::path::Path;

const RUNTIME: &str = "cpu.rt_runtime_us";
const PERIOD: &str = "cpu.rt_period_us";

/// Raises what the groups above have, up to the hierarchy's root, where it does not suffice.
pub(crate) fn make_room(cgroup: &Cgroup, settings: &[Setting]) -> Result<()> {
    let value = |file: &str| {
        let setting = settings.iter().find(|setting| setting.file == file)?;
        setting.value.parse::<u64>().ok().filter(|value| *value > 0)
    };
    let (Some(runtime), Some(group)) = (value(RUNTIME), cgroup.groups.iter().find(|group| group.has("cpu")))
    else {
        return Ok(());
    };
    let period = value(PERIOD).or_else(|| files::number(&group.dir, PERIOD)).unwrap_or(1_000_000);
    // The root has no shares.
    let above: Vec<_> =
        group.path.ancestors().skip(1).take_while(|path| path.join("cpu.shares").exists()).collect();
    let mut child = group.path.as_path();
    let mut wanted = Vec::new();
    let mut share = runtime as f64 / period as f64;
    for path in above {
        share += of_others(path, child);
        wanted.push((path, share));
        child = path;
    }
    wanted.into_iter().rev().try_for_each(|(path, share)| raise(path, share))
}

/// What a group's children have but for one, in CPUs.
fn of_others(path: &Path, child: &Path) -> f64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let others = groups.map(|entry| entry.path()).filter(|path| path != child);
    others.filter_map(|path| files::open_dir(&path).ok()).map(|dir| share_of(&dir)).sum()
}

fn share_of(dir: &OwnedFd) -> f64 {
    let runtime = files::number(dir, RUNTIME).filter(|value| *value != u64::MAX).unwrap_or(0);
    runtime as f64 / files::number(dir, PERIOD).filter(|period| *period > 0).unwrap_or(1_000_000) as f64
}

fn raise(path: &Path, share: f64) -> Result<()> {
    let raise = || {
        let dir = files::open_dir(path)?;
        let period = files::number(&dir, PERIOD).unwrap_or(1_000_000);
        let needed = (share * period as f64).ceil() as u64;
        match files::number(&dir, RUNTIME) {
            Some(runtime) if runtime >= needed => Ok(()),
            _ => files::put(&dir, RUNTIME, &needed.to_string()),
        }
    };
    raise().map_err(|errno: rustix::io::Errno| {
        let what =
            format!("the groups above leave no real-time CPU: raise `{RUNTIME}` of `{}`", path.display());
        Error::new(Kind::of(errno), what).caused_by(errno)
    })
}

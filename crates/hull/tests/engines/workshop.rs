//! Where an engine works: a directory with the runtime under its name and an image's archive, and its daemon.

use crate::support::{HULL, Sandbox, busybox, docker_archive};
use crate::{becomes, text};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A directory for one engine.
pub(crate) struct Workshop {
    sandbox: Sandbox,
}

impl Workshop {
    /// None, and said, where one of the programs is not installed.
    pub(crate) fn of(programs: &[&str]) -> Option<Self> {
        if let Some(missing) = programs.iter().find(|program| !installed(program)) {
            eprintln!("SKIP: {missing} is not installed");
            return None;
        }
        let sandbox = Sandbox::empty();
        std::os::unix::fs::symlink(HULL, sandbox.path().join("hull-runtime")).unwrap();
        std::fs::write(sandbox.path().join("bb.tar"), docker_archive("bb:1", &[busybox()])).unwrap();
        Some(Self { sandbox })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.sandbox.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn word(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.word(name)
    }

    /// A name that nobody else on this host has.
    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{}-{name}", self.dir().file_name().unwrap().display())
    }
}

/// A test that fails leaves monitors that were started with the directory's name, what runs below them, and mounts.
impl Drop for Workshop {
    fn drop(&mut self) {
        let dir = self.dir().to_owned();
        becomes(Duration::from_secs(20), || {
            let left = processes_of(&dir);
            left.iter().filter_map(|pid| Pid::from_raw(*pid)).for_each(|pid| {
                let _ = kill_process(pid, Signal::KILL);
            });
            left.is_empty()
        });
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let paths = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        for path in paths.filter(|path| Path::new(path).starts_with(&dir)) {
            let _ = rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

/// Processes whose command line has a directory's name, and all below them, but for those that have ended.
fn processes_of(dir: &Path) -> Vec<i32> {
    let name = dir.display().to_string();
    let mut of = HashMap::new();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().display().to_string().parse::<i32>() else { continue };
        let line = text(&std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<i32>().ok());
        of.insert(pid, (parent, line.is_empty()));
        if line.contains(&name) {
            found.push(pid);
        }
    }
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let below = of.iter().filter(|(_, (of, ended))| *of == Some(parent) && !ended);
        let new: Vec<_> = below.map(|(pid, _)| *pid).filter(|pid| !found.contains(pid)).collect();
        found.extend(new);
        next += 1;
    }
    found
}

fn installed(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// A daemon of our own; ended with this.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts it and waits until it answers; what it says goes into a file.
    pub(crate) fn start(mut command: Command, log: &Path, answers: impl FnMut() -> bool) -> Self {
        let file = std::fs::File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let daemon = Self(command.spawn().unwrap());
        let answers = becomes(Duration::from_secs(120), answers);
        assert!(answers, "the daemon does not answer: {}", std::fs::read_to_string(log).unwrap());
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        if !becomes(Duration::from_secs(30), || self.0.try_wait().is_ok_and(|ended| ended.is_some())) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

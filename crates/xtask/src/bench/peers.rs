//! Bundles for runtimes, and engines started by hand with state of their own.

use super::contest::words;
use super::timer::Words;
use super::{Bench, WORK};
use crate::shell::{Done, has, sh};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

impl Bench {
    /// `bundle/config.json` as `crun spec` writes it, for one command without terminal.
    pub(super) fn spec(&self, command: &str) -> Done {
        self.sh(&format!(
            "cd bundle && rm -f config.json && crun spec && python3 - <<'E'\n\
             import json; c=json.load(open('config.json')); p=c['process']\n\
             p['terminal']=False; p['args']={command:?}.split(); p['env']=['PATH=/bin']; p.pop('rlimits',None)\n\
             json.dump(c,open('config.json','w'))\nE"
        ))
    }
}

/// Both want to raise limits for files, which a container without CAP_SYS_RESOURCE may not.
const CONTAINERS_CONF: &str = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=20000:20000\"]\n\
    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"runc\"\n";

/// podman with a store of its own. Its default runtime cannot stand a hybrid host, so it is told runc.
pub(super) struct Podman {
    place: String,
}

impl Podman {
    /// Its state is in a directory below [`WORK`].
    pub(super) fn prepare(bench: &Bench, place: &str) -> Result<Self, String> {
        if !has("podman") {
            return Err("podman is not installed".into());
        }
        std::fs::write(format!("{WORK}/containers.conf"), CONTAINERS_CONF)
            .map_err(|error| error.to_string())?;
        let podman = Self { place: format!("{WORK}/{place}") };
        bench.sh(&format!("{} load -i bb-image.tar", podman.line()))?;
        Ok(podman)
    }

    /// As a line of the shell.
    pub(super) fn line(&self) -> String {
        self.words(&[]).join(" ")
    }

    pub(super) fn words(&self, args: &[&str]) -> Words {
        let conf = format!("CONTAINERS_CONF={WORK}/containers.conf");
        let (root, run) = (format!("{}/podman", self.place), format!("{}/podman-run", self.place));
        let mut line = words(&["env", &conf, "podman", "--root", &root, "--runroot", &run]);
        line.extend(words(args));
        line
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let (line, place) = (self.line(), &self.place);
        let script = format!("{line} rm -af; {line} rmi -af; umount {place}/podman/overlay");
        let _ = sh(Path::new(WORK), &script).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// dockerd with state of its own, no bridge and no rules in the host's firewall; it ends with this.
pub(super) struct Docker {
    daemon: Child,
    place: String,
}

impl Docker {
    /// Its state is in a directory below [`WORK`].
    pub(super) fn start(bench: &Bench, place: &str) -> Result<Self, String> {
        if !has("dockerd") || !has("docker") {
            return Err("docker is not installed".into());
        }
        let place = format!("{WORK}/{place}");
        let script = format!(
            "exec dockerd --data-root {place}/docker --exec-root {place}/docker-run --pidfile {place}/docker.pid \
             -H unix://{place}/docker.sock --bridge none --iptables=false --ip6tables=false > {place}/docker.log 2>&1"
        );
        let daemon =
            sh(Path::new(WORK), &script).spawn().map_err(|error| format!("start dockerd: {error}"))?;
        let docker = Self { daemon, place };
        let start = Instant::now();
        while bench.sh(&format!("{} version", docker.line())).is_err() {
            if start.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(format!("{}/docker.log", docker.place)).unwrap_or_default();
                return Err(format!("dockerd does not answer: {}", log.lines().last().unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bench.sh(&format!("{} load -i bb-image.tar", docker.line()))?;
        Ok(docker)
    }

    pub(super) fn line(&self) -> String {
        self.words(&[]).join(" ")
    }

    pub(super) fn words(&self, args: &[&str]) -> Words {
        let mut line = words(&["docker", "-H", &format!("unix://{}/docker.sock", self.place)]);
        line.extend(words(args));
        line
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.daemon.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.daemon.wait();
        let _ = sh(Path::new(&self.place), "umount docker-run/netns/* 2>/dev/null").status();
    }
}

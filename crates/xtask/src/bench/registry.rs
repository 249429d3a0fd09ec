//! Images from and to a registry on loopback, saved and committed, beside the engines: 300 MB in 20,000 files and 8 layers.

use super::contest::{Contender, shell};
use super::peers::{Docker, Podman};
use super::timer::Job;
use super::{Bench, WORK, hull_at};
use std::process::{Child, Stdio};

/// Where the registry listens.
const PORT: u16 = 5067;
/// A round takes seconds.
const SLOW: usize = 12;

/// docker-registry with data of its own; it ends with this.
struct Registry(Child);

impl Registry {
    fn start(bench: &Bench) -> Result<Self, String> {
        crate::packages::install(&[("docker-registry", "docker-registry")])?;
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {WORK}/registry}}}}\nhttp: {{addr: 127.0.0.1:{PORT}}}\n"
        );
        std::fs::write(format!("{WORK}/registry.yml"), config).map_err(|error| error.to_string())?;
        let mut command = std::process::Command::new("docker-registry");
        command.args(["serve", &format!("{WORK}/registry.yml")]).env("OTEL_TRACES_EXPORTER", "none");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Self(child.map_err(|error| format!("start docker-registry: {error}"))?);
        bench.sh(&format!("for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:{PORT}/v2/ && exit; sleep 0.1; done; exit 1"))?;
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn image(tag: &str) -> String {
    format!("127.0.0.1:{PORT}/big:{tag}")
}

/// The image in the registry, compressed by docker's own client where there is one, for nobody's advantage.
fn prepare(bench: &Bench) -> Result<Registry, String> {
    super::load::make(bench)?;
    let registry = Registry::start(bench)?;
    bench.sh(&format!(
        "skopeo copy -q --dest-tls-verify=false --dest-compress-format gzip docker-archive:archive.tar docker://{}",
        image("1")
    ))?;
    Ok(registry)
}

pub(super) fn pulls(bench: &Bench) -> Result<String, String> {
    let _registry = prepare(bench)?;
    let hull = hull_at("fresh");
    let blobs = format!(
        "curl -s -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' -H 'Accept: application/vnd.oci.image.manifest.v1+json' http://127.0.0.1:{PORT}/v2/big/manifests/1 | python3 -c 'import json,sys; [print(l[\"digest\"]) for l in json.load(sys.stdin)[\"layers\"]]' > blobs"
    );
    bench.sh(&blobs)?;
    let floor = format!(
        "xargs -P 2 -I D sh -c 'mkdir -p fresh/D && curl -s http://127.0.0.1:{PORT}/v2/big/blobs/D | gzip -dc | tar -C fresh/D -x' < blobs && sync -f fresh"
    );
    let fresh = |name: &str, script: &str| {
        Contender::doing(
            name,
            Job {
                before: vec![shell("rm -rf fresh; sync -f .")],
                timed: vec![shell(script)],
                ..Job::default()
            },
        )
    };
    let mut contenders = vec![
        fresh("`hull pull` into an empty store, flushed", &format!("{hull} pull -q {}", image("1"))),
        fresh("curl, gunzip and tar of each layer, two at a time, and sync", &floor),
        fresh(
            "`skopeo copy` to a directory, nothing unpacked",
            &format!("skopeo copy -q --src-tls-verify=false docker://{} dir:fresh", image("1")),
        ),
    ];
    let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
    let again = |name: &str, line: &str, flags: &str| {
        let job = Job {
            before: vec![shell("sync -f .")],
            timed: vec![shell(&format!("{line} pull -q {flags} {} && sync -f .", image("1")))],
            after: vec![shell(&format!("{line} rmi -f {}", image("1")))],
            ..Job::default()
        };
        Contender::doing(name, job)
    };
    let mut missing = String::new();
    match podman.as_ref().map(Podman::line) {
        Ok(line) => contenders.push(again("`podman pull`, and sync", &line, "--tls-verify=false").covered()),
        Err(why) => missing += &format!("\n- podman is missing: {why}\n"),
    }
    match docker.as_ref().map(Docker::line) {
        Ok(line) => contenders.push(again("`docker pull`, and sync", &line, "")),
        Err(why) => missing += &format!("\n- docker is missing: {why}\n"),
    }
    let title = "Pull of 300 MB, 20,000 files, 8 layers, gzip, from loopback (aim: ≤ 1.2 × the floor, ≥ 2.5 × faster than each engine)";
    let first = bench.contest_of(title, bench.rounds_of(SLOW), &contenders)?;
    let (podman, docker) = (podman.as_ref().ok(), docker.as_ref().ok());
    Ok(first + "\n" + &of_what_is_there(bench, podman, docker)? + &missing)
}

/// With every layer here; and what memory a pull takes.
fn of_what_is_there(
    bench: &Bench,
    podman: Option<&Podman>,
    docker: Option<&Docker>,
) -> Result<String, String> {
    bench.sh(&format!("{} pull -q {}", hull_at("there"), image("1")))?;
    let mut contenders = vec![Contender::new(
        "`hull pull` of what is here",
        shell(&format!("{} pull -q {}", hull_at("there"), image("1"))),
    )];
    if let Some(podman) = podman {
        bench.sh(&format!("{} pull -q --tls-verify=false {}", podman.line(), image("1")))?;
        contenders.push(
            Contender::new(
                "`podman pull`",
                shell(&format!("{} pull -q --tls-verify=false {}", podman.line(), image("1"))),
            )
            .covered(),
        );
    }
    if let Some(docker) = docker {
        bench.sh(&format!("{} pull -q {}", docker.line(), image("1")))?;
        contenders.push(Contender::new(
            "`docker pull`",
            shell(&format!("{} pull -q {}", docker.line(), image("1"))),
        ));
    }
    let second = bench.contest_of(
        "Pull with every layer here (aim: ≥ 10 × faster)",
        bench.rounds_of(3),
        &contenders,
    )?;
    let peak = format!("/usr/bin/time -f %M -o peak {} pull -q {}", hull_at("peak"), image("1"));
    let peak = bench.sh(&peak).ok().and_then(|()| std::fs::read_to_string(format!("{WORK}/peak")).ok());
    let peak = peak.map_or(String::new(), |kib| {
        format!("\nPeak memory of the pull: {} KiB resident (aim: ≤ 65,536).\n", kib.trim())
    });
    Ok(second + &peak)
}

pub(super) fn pushes(bench: &Bench) -> Result<String, String> {
    let _registry = prepare(bench)?;
    let (hull, kept) = (hull_at("store"), hull_at("kept"));
    bench.sh(&format!("{hull} load -i archive.tar && {hull} tag big:1 {}", image("2")))?;
    bench.sh(&format!("mkdir -p kept && {kept} images && {kept} run --rm hello >/dev/null; echo '{{\"blobs\":\"keep\"}}' > kept/config.json; {kept} pull -q {0} && {kept} tag {0} {1}", image("1"), image("2")))?;
    // Everything that was pushed before goes: an upload is one again.
    let empty = || vec![shell("rm -rf registry/docker; sync -f .")];
    let push = |name: &str, script: &str| {
        Contender::doing(name, Job { before: empty(), timed: vec![shell(script)], ..Job::default() })
    };
    let mut contenders = vec![
        push(
            "`hull push`, layers made again, gzip",
            &format!("rm -f store/layers/*/sent.json; {hull} push -q {}", image("2")),
        ),
        push(
            "`hull push --compression zstd`",
            &format!("rm -f store/layers/*/sent.json; {hull} push -q --compression zstd {}", image("2")),
        ),
        push("`hull push`, blobs kept", &format!("{kept} push -q {}", image("2"))),
    ];
    let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
    for (name, line, flags, is_covered) in [
        ("`podman push`", podman.as_ref().map(Podman::line).ok(), "--tls-verify=false", true),
        ("`docker push`", docker.as_ref().map(Docker::line).ok(), "", false),
    ] {
        let Some(line) = line else { continue };
        bench.sh(&format!(
            "{line} load -i archive.tar && ({line} tag big:1 {0} || {line} tag localhost/big:1 {0})",
            image("2")
        ))?;
        let one = push(name, &format!("{line} push -q {flags} {}", image("2")));
        contenders.push(if is_covered { one.covered() } else { one });
    }
    bench.contest_of(
        "Push of the same to an empty registry (aim: kept ≥ 5 ×, made again ≥ 1.5 × faster)",
        bench.rounds_of(SLOW),
        &contenders,
    )
}

pub(super) fn saves(bench: &Bench) -> Result<String, String> {
    super::load::make(bench)?;
    let hull = hull_at("store");
    bench.sh(&format!("{hull} load -i archive.tar"))?;
    let save = |name: &str, line: &str| {
        Contender::doing(
            name,
            Job {
                before: vec![shell("rm -f saved.tar; sync -f .")],
                timed: vec![shell(&format!("{line} save -o saved.tar big:1"))],
                ..Job::default()
            },
        )
    };
    let mut contenders = vec![save("`hull save`", &hull)];
    let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
    if let Ok(podman) = &podman {
        bench.sh(&format!("{} load -i archive.tar", podman.line()))?;
        contenders.push(save("`podman save`", &podman.line()).covered());
    }
    if let Ok(docker) = &docker {
        bench.sh(&format!("{} load -i archive.tar", docker.line()))?;
        contenders.push(save("`docker save`", &docker.line()));
    }
    bench.contest_of("Save of the same (aim: ≥ 1.5 × faster)", bench.rounds_of(SLOW), &contenders)
}

/// What a container changes: 10 MB of an image of 1 GB.
const CHANGE: &str = "for i in 1 2 3 4 5 6 7 8 9 10; do head -c 1000000 /dev/urandom > /data/$i; done";

pub(super) fn commits(bench: &Bench) -> Result<String, String> {
    let hull = hull_at("store");
    bench.sh("mkdir -p gb/data gb/bin && tar -C gb -xf bb.tar && for i in $(seq 1000); do head -c 1000000 /dev/urandom > gb/data/$i; done && tar -C gb -cf gb.tar . && rm -rf gb")?;
    bench.sh(&format!("{hull} import gb.tar gb:1 && {hull} run --name one gb:1 sh -c '{CHANGE}'"))?;
    bench.sh(
        "mkdir change && for i in 1 2 3 4 5 6 7 8 9 10; do head -c 1000000 /dev/urandom > change/$i; done",
    )?;
    let commit = |name: &str, line: &str| {
        let (timed, after) = (
            shell(&format!("{line} commit one new:1")),
            shell(&format!("{line} rmi new:1 || {line} rmi localhost/new:1")),
        );
        Contender::doing(
            name,
            Job {
                before: vec![shell("sync -f .")],
                timed: vec![timed],
                after: vec![after],
                ..Job::default()
            },
        )
    };
    let mut contenders = vec![
        commit("`hull commit`, flushed", &hull),
        Contender::doing(
            "tar of the change, unpacked again, and sync",
            Job {
                before: vec![shell("rm -rf copy; sync -f .")],
                timed: vec![shell("mkdir copy && tar -C change -c . | tar -C copy -x && sync -f .")],
                ..Job::default()
            },
        ),
    ];
    let (podman, docker) = (Podman::prepare(bench, "."), Docker::start(bench, "."));
    for (name, line, is_covered) in [
        ("`podman commit`", podman.as_ref().map(Podman::line).ok(), true),
        ("`docker commit`", docker.as_ref().map(Docker::line).ok(), false),
    ] {
        let Some(line) = line else { continue };
        let cover = "[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified";
        bench.sh(&format!("{line} import gb.tar gb:1 && unshare -m sh -c \"{cover}; {line} run --network none --name one gb:1 sh -c '{CHANGE}'\""))?;
        let one = commit(name, &line);
        contenders.push(if is_covered { one.covered() } else { one });
    }
    bench.contest_of(
        "Commit of 1 GB with 1 % changed (aim: ≤ 1.5 × tar, ≥ 5 × faster)",
        bench.rounds_of(4),
        &contenders,
    )
}

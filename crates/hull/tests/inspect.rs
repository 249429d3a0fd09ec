//! What is told of containers: `ps`, `inspect`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use support::Sandbox;

/// docker's members of `HostConfig` that are always there, API 1.48.
const HOST_CONFIG: &str = "Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove \
    VolumeDriver VolumesFrom ConsoleSize CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd \
    IpcMode Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt UTSMode \
    UsernsMode ShmSize Runtime Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice \
    BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota \
    CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests \
    MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount CpuPercent \
    IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths";

const CONFIG: &str = "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd \
    Image Volumes WorkingDir Entrypoint OnBuild Labels";

const TOP: &str = "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount \
    Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config \
    NetworkSettings";

const STATE: &str = "Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt";

fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    let all: Value = serde_json::from_str(&sandbox.ok(&["inspect", "-s", name])).unwrap();
    all[0].clone()
}

fn assert_has(value: &Value, members: &str) {
    for member in members.split_whitespace() {
        assert!(value.get(member).is_some(), "{member} is missing in {value}");
    }
}

#[test]
fn a_container_is_told_in_dockers_members() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "plain", "bb", "true"]);
    let told = inspect(&sandbox, "plain");
    assert_has(&told, TOP);
    assert_has(&told["State"], STATE);
    assert_has(&told["HostConfig"], HOST_CONFIG);
    assert_has(&told["Config"], CONFIG);
    assert_has(&told["GraphDriver"]["Data"], "LowerDir MergedDir UpperDir WorkDir");
    assert_has(&told["NetworkSettings"], "SandboxKey Ports Networks");
    assert!(told["NetworkSettings"]["Networks"]["none"].is_object());
    assert!(told["Spec"]["ociVersion"].is_string());
    for file in ["ResolvConfPath", "HostnamePath", "HostsPath"] {
        assert!(std::path::Path::new(told[file].as_str().unwrap()).is_file(), "{file}");
    }
    assert!(std::path::Path::new(told["GraphDriver"]["Data"]["UpperDir"].as_str().unwrap()).is_dir());
}

#[test]
fn what_was_asked_for_is_told_again() {
    let sandbox = Sandbox::new();
    let data = sandbox.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let (data, bind) = (data.display().to_string(), format!("{}:/v:ro", data.display()));
    let mount = format!("type=bind,source={data},target=/m");
    #[rustfmt::skip]
    let flags = [
        "run", "--name", "asked", "-v", &bind, "--mount", &mount, "--tmpfs", "/t:size=1m", "-e", "A=1", "-l", "x=y",
        "-m", "64m", "--memory-swap", "-1", "--memory-reservation", "32m", "--cpus", "0.5", "--pids-limit", "50",
        "--cpuset-cpus", "0", "--ulimit", "nofile=100:200", "--cap-add", "net_admin", "--cap-drop", "chown",
        "--security-opt", "no-new-privileges", "--sysctl", "net.ipv4.ip_forward=1", "--hostname", "h", "-u", "1000",
        "-w", "/w", "--group-add", "7", "--add-host", "db:1.2.3.4", "--dns", "1.1.1.1", "--device", "/dev/null:/dev/n:r",
        "--device-cgroup-rule", "c 7:* r", "--oom-score-adj", "5", "--read-only", "--init", "--shm-size", "1m",
        "--stop-signal", "INT", "--stop-timeout", "3", "--annotation", "k=v", "--userns", "host", "--entrypoint", "sh",
        "bb", "-c", "exit 3",
    ];
    assert_eq!(sandbox.hull(&flags).status.code(), Some(3));
    let told = inspect(&sandbox, "asked");
    for (pointer, value) in [
        ("/State/ExitCode", json!(3)),
        ("/HostConfig/Binds", json!([bind])),
        ("/HostConfig/Mounts", json!([{ "Type": "bind", "Source": data, "Target": "/m" }])),
        ("/HostConfig/Tmpfs", json!({ "/t": "size=1048576" })),
        ("/HostConfig/Memory", json!(64 << 20)),
        ("/HostConfig/MemorySwap", json!(-1)),
        ("/HostConfig/MemoryReservation", json!(32 << 20)),
        ("/HostConfig/NanoCpus", json!(500_000_000)),
        ("/HostConfig/PidsLimit", json!(50)),
        ("/HostConfig/CpusetCpus", json!("0")),
        ("/HostConfig/Ulimits", json!([{ "Name": "nofile", "Hard": 200, "Soft": 100 }])),
        ("/HostConfig/CapAdd", json!(["CAP_NET_ADMIN"])),
        ("/HostConfig/CapDrop", json!(["CAP_CHOWN"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges"])),
        ("/HostConfig/Sysctls", json!({ "net.ipv4.ip_forward": "1" })),
        ("/HostConfig/GroupAdd", json!(["7"])),
        ("/HostConfig/ExtraHosts", json!(["db:1.2.3.4"])),
        ("/HostConfig/Dns", json!(["1.1.1.1"])),
        ("/HostConfig/Devices/0/PathInContainer", json!("/dev/n")),
        ("/HostConfig/DeviceCgroupRules", json!(["c 7:* r"])),
        ("/HostConfig/OomScoreAdj", json!(5)),
        ("/HostConfig/ReadonlyRootfs", json!(true)),
        ("/HostConfig/Init", json!(true)),
        ("/HostConfig/ShmSize", json!(1 << 20)),
        ("/HostConfig/UsernsMode", json!("host")),
        ("/HostConfig/Annotations", json!({ "k": "v" })),
        ("/Config/Hostname", json!("h")),
        ("/Config/User", json!("1000")),
        ("/Config/WorkingDir", json!("/w")),
        ("/Config/Env", json!(["A=1", "PATH=/bin"])),
        ("/Config/Labels", json!({ "x": "y" })),
        ("/Config/Entrypoint", json!(["sh"])),
        ("/Config/Cmd", json!(["-c", "exit 3"])),
        ("/Config/StopSignal", json!("INT")),
        ("/Config/StopTimeout", json!(3)),
        ("/Mounts/0/RW", json!(false)),
        ("/Mounts/1/Destination", json!("/m")),
    ] {
        assert_eq!(told.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[test]
fn a_container_is_made_before_it_starts_and_starts_before_it_ends() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "one", "bb", "true"]);
    let told = inspect(&sandbox, "one");
    // Without the `Z`, which is more than the point of a fraction, they sort as they are.
    let moment =
        |pointer: &str| told.pointer(pointer).unwrap().as_str().unwrap().trim_end_matches('Z').to_owned();
    let moments = ["/Created", "/State/StartedAt", "/State/FinishedAt"].map(moment);
    assert!(moments.is_sorted(), "{moments:?}");
}

#[test]
fn the_images_stop_signal_is_the_containers_unless_it_has_its_own() {
    let sandbox = Sandbox::empty();
    let import = ["import", "-c", "STOPSIGNAL SIGQUIT", "-c", "CMD [\"/bin/true\"]", "-", "bb"];
    assert!(sandbox.hull_with_input(&import, &support::busybox()).status.success());
    for (name, flags, signal) in [
        ("images", &[][..], "SIGQUIT"),
        ("own", &["--stop-signal", "RTMIN+3"], "RTMIN+3"),
        ("none", &["--stop-signal="], "SIGQUIT"),
    ] {
        let args: Vec<_> = ["run", "--name", name].iter().chain(flags).chain(&["bb"]).copied().collect();
        sandbox.ok(&args);
        assert_eq!(inspect(&sandbox, name)["Config"]["StopSignal"], signal, "{name}");
    }
}

#[test]
fn sizes_are_the_bytes_of_files() {
    let sandbox = Sandbox::new();
    let script = "mkdir -p /a/b /c; head -c 1000 /dev/zero > /a/f; ln /a/f /c/g; ln -s 12345 /s";
    sandbox.ok(&["run", "--name", "sized", "bb", "sh", "-c", script]);
    let told = inspect(&sandbox, "sized");
    assert_eq!(told["SizeRw"], 1005, "a hard link counts once, a directory not");
    let image: u64 = sandbox.ok(&["image", "inspect", "-f", "{{.Size}}", "bb"]).trim().parse().unwrap();
    assert_eq!(told["SizeRootFs"], image + 1005);
    let shown = sandbox.ok(&["ps", "-a", "--format", "{{.Size}}"]);
    assert!(shown.starts_with("1kB (virtual ") || shown.starts_with("1.0"), "{shown}");
    assert_eq!(sandbox.ok(&["inspect", "-f", "{{.SizeRw}}", "-s", "sized"]), "1005\n");
}

#[test]
fn directories_of_any_depth_are_looked_at() {
    let sandbox = Sandbox::new();
    let script = "i=0; while [ $i -lt 600 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done; echo x > f";
    sandbox.ok(&["run", "--name", "deep", "bb", "sh", "-c", script]);
    for args in [&["diff", "deep"][..], &["inspect", "-s", "-f", "{{.SizeRw}}", "deep"], &["rm", "deep"]] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "ulimit -Sn 100; exec \"$@\"", "sh", support::HULL]).args(args);
        let output = command.env("HULL_ROOT", sandbox.root()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        let lines = support::text(&output.stdout).lines().count();
        assert_eq!(lines, if args[0] == "diff" { 601 } else { 1 }, "{args:?}");
    }
    sandbox.assert_clean();
}

#[test]
fn lists_have_dockers_fields_and_filters() {
    let sandbox = Sandbox::new();
    let data = format!("{}:/data", sandbox.path().display());
    sandbox.ok(&["run", "--name", "web-1", "-l", "tier=front", "-l", "x", "-v", &data, "bb", "true"]);
    assert_eq!(
        sandbox.hull(&["run", "--name", "db", "--network", "host", "bb", "false"]).status.code(),
        Some(1)
    );
    let names = |filters: &[&str]| {
        let mut args = vec!["ps", "-a", "--format", "{{.Names}}"];
        filters.iter().for_each(|filter| args.extend(["-f", filter]));
        sandbox.ok(&args).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (filters, found) in [
        (&[][..], &["db", "web-1"][..]),
        (&["name=web"], &["web-1"]),
        (&["name=^eb"], &[]),
        (&["label=tier=front", "label=x"], &["web-1"]),
        (&["label=tier=front", "label=y"], &[]),
        (&["exited=1"], &["db"]),
        (&["exited=1", "exited=0"], &["db", "web-1"]),
        (&["status=exited"], &["db", "web-1"]),
        (&["status=running"], &[]),
        (&["ancestor=bb"], &["db", "web-1"]),
        (&["ancestor=hello"], &[]),
        (&["network=host"], &["db"]),
        (&["volume=/data"], &["web-1"]),
        (&["before=db"], &["web-1"]),
        (&["since=web-1"], &["db"]),
        (&["health=none"], &["db", "web-1"]),
    ] {
        assert_eq!(names(filters), found, "{filters:?}");
    }
    for (filter, code) in [("status=gone", 1), ("exited=x", 1), ("colour=red", 1), ("name", 125)] {
        assert_eq!(sandbox.fails(&["ps", "-f", filter]).0, code, "{filter}");
    }
    assert_eq!(names(&[" Name = db "]), ["db"]);
    assert_eq!(names(&[""]), ["db", "web-1"]);
    let all = "{{.ID}}{{.Image}}{{.Command}}{{.CreatedAt}}{{.RunningFor}}{{.Ports}}{{.State}}{{.Status}}{{.Size}}\
        {{.Names}}{{.Labels}}{{.Label \"tier\"}}{{.Mounts}}{{.LocalVolumes}}{{.Networks}}";
    assert!(sandbox.ok(&["ps", "-a", "--format", all]).contains("front"));
    let heading = sandbox.ok(&["ps", "--format", "table {{.Mounts}}\\t{{.LocalVolumes}}\\t{{.Networks}}"]);
    assert_eq!(heading, "MOUNTS    LOCAL VOLUMES   NETWORKS\n");
    let labelled = sandbox.ok(&["ps", "-a", "--format", "table {{.Names}}\\t{{.Label \"tier\"}}"]);
    assert_eq!(labelled, "NAMES     tier\ndb\nweb-1     front\n");
    assert!(sandbox.ok(&["ps", "-a", "--format", "raw"]).contains("container_id: "));
    assert!(sandbox.fails(&["ps", "-a", "--format", "{{.Nope}}"]).1.contains("Nope"));
}

#[test]
fn a_name_may_be_a_container_or_an_image() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "bb", "bb", "true"]);
    let id = |args: &[&str]| sandbox.ok(&[&["inspect", "-f", "{{.Id}}"], args].concat());
    assert!(!id(&["bb"]).starts_with("sha256:"), "the container comes first");
    assert!(id(&["--type", "image", "bb"]).starts_with("sha256:"));
    assert_eq!(id(&["--type", "container", "bb"]), id(&["bb"]));
    assert!(sandbox.fails(&["inspect", "nope"]).1.contains("no such object: nope"));
    assert!(sandbox.fails(&["inspect", "--type", "volume", "bb"]).1.contains("volume"));
}

//! `hull run`: what was typed, as a [`RunRequest`].

use crate::flags::{Mistake, Read, Typed, bad, integer};
use crate::{Caller, edge};
use engine::request::{
    self, FilesRequest, IsolationRequest, LimitsRequest, MountRequest, MountSource, ProcessRequest,
    RunRequest, SecurityOption, StreamsRequest, pairs,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Runs a container in the foreground; the exit code is its program's.
pub(crate) fn run(typed: &Typed, caller: &Caller) -> edge::Done {
    let request = request_of(typed, caller)?;
    let engine = caller.engine()?;
    with_image(typed, caller, &engine, request, |request| begin(typed, &engine, request))
}

/// Does what needs the image; one that is not here is brought first, if it is to be.
pub(super) fn with_image<T>(
    typed: &Typed,
    caller: &Caller,
    engine: &engine::Engine,
    mut request: RunRequest,
    act: impl Fn(&RunRequest) -> Result<T, edge::Failure>,
) -> Result<T, edge::Failure> {
    if request.pull == request::Pull::Always {
        request.image = super::registry::pull_for_run(typed, caller, engine, &request.image)?;
        return act(&request);
    }
    match act(&request) {
        Err(edge::Failure::Engine(error))
            if request.pull == request::Pull::Missing
                && *error.kind() == engine::Kind::NotFound
                && !engine.has_image(&request.image) =>
        {
            request.image = super::registry::pull_for_run(typed, caller, engine, &request.image)
                .map_err(|failure| with_hint_of(failure, &error))?;
            act(&request)
        }
        other => other,
    }
}

/// A name that is nearly another's is told even if a registry was asked in vain.
fn with_hint_of(failure: edge::Failure, missing: &engine::Error) -> edge::Failure {
    match (failure, missing.hint()) {
        (edge::Failure::Engine(error), Some(hint)) => edge::Failure::Engine(error.with_hint(hint)),
        (failure, _) => failure,
    }
}

fn begin(typed: &Typed, engine: &engine::Engine, request: &RunRequest) -> edge::Done {
    if typed.is_on("detach") {
        if !request.streams.attach.is_empty() {
            return Err(Mistake::new("conflicting options: cannot specify both --attach and --detach").into());
        }
        let id = engine.run_detached(request, &mut edge::warn)?;
        return crate::render::line(&id.to_string()).map(|()| 0);
    }
    let host = streams_of_host();
    check_terminal(&request.streams, host.input)?;
    Ok(engine.run(request, host, &mut edge::warn)?.code)
}

/// The request, from a program that no container can reach.
pub(super) fn request_of(typed: &Typed, caller: &Caller) -> Result<RunRequest, edge::Failure> {
    let program = program();
    let (args, env) = (std::env::args_os(), std::env::vars_os());
    engine::run::seal(&userns(typed)?, typed.is_on("privileged"), program.clone(), args, env)?;
    Ok(RunRequest { program, ..request(typed, caller)? })
}

/// The caller's streams.
pub(super) fn streams_of_host() -> engine::run::HostStreams<'static> {
    engine::run::HostStreams {
        input: rustix::stdio::stdin(),
        output: rustix::stdio::stdout(),
        error: rustix::stdio::stderr(),
    }
}

/// A terminal inside, of a user who has none.
pub(super) fn check_terminal(streams: &StreamsRequest, input: rustix::fd::BorrowedFd<'_>) -> Read<()> {
    if streams.tty && streams.interactive && !rustix::termios::isatty(input) {
        let hint = "leave `-t` out where standard input is not a terminal";
        return Err(Mistake::new("the input device is not a TTY").with_hint(hint));
    }
    Ok(())
}

/// Where hull lies; a sealed one was told.
pub(super) fn program() -> PathBuf {
    let told = std::env::var_os(engine::run::PROGRAM).map(PathBuf::from);
    told.or_else(|| std::env::current_exe().ok()).unwrap_or_default()
}

fn userns(typed: &Typed) -> Read<request::UserNamespace> {
    Ok(typed.parsed("userns", str::parse)?.unwrap_or_default())
}

/// What the words mean.
pub(crate) fn request(typed: &Typed, caller: &Caller) -> Read<RunRequest> {
    let (image, command) = typed.words.split_first().ok_or_else(|| Mistake::new("an image is missing"))?;
    Ok(RunRequest {
        image: image.clone(),
        command: command.to_vec(),
        name: typed.filled("name").map(str::to_owned),
        program: PathBuf::new(),
        platform: typed.parsed_filled("platform", str::parse)?,
        pull: typed.parsed("pull", str::parse)?.unwrap_or_default(),
        remove: typed.is_on("rm"),
        restart: restart(typed)?,
        health: health(typed)?,
        cidfile: typed.filled("cidfile").map(PathBuf::from),
        pidfile: typed.filled("pidfile").map(PathBuf::from),
        labels: labels(typed)?,
        annotations: typed.all("annotation").map(key_value).collect(),
        process: process(typed, caller)?,
        streams: streams(typed)?,
        files: files(typed, caller)?,
        isolation: isolation(typed)?,
        limits: limits(typed)?,
    })
}

fn health(typed: &Typed) -> Read<Option<oci::Healthcheck>> {
    const FLAGS: [&str; 6] = [
        "health-cmd",
        "health-interval",
        "health-timeout",
        "health-retries",
        "health-start-period",
        "health-start-interval",
    ];
    let is_asked = FLAGS.iter().any(|flag| typed.last(flag).is_some());
    if typed.is_on("no-healthcheck") {
        let none = oci::Healthcheck { test: vec!["NONE".into()], ..Default::default() };
        return match is_asked {
            true => Err(Mistake::new("--no-healthcheck conflicts with --health-* options").of_flag()),
            false => Ok(Some(none)),
        };
    }
    let span = |flag: &str| -> Read<i64> {
        let span = typed.parsed(flag, request::duration)?.unwrap_or(0);
        let wrong = |why: &str| Err(Mistake::new(format!("--{flag} cannot be {why}")).of_flag());
        match (span < 0, span == 0 || span >= 1_000_000) {
            (true, _) => wrong("negative"),
            (false, false) => wrong("less than 1ms"),
            (false, true) => Ok(span),
        }
    };
    let retries = typed.parsed("health-retries", integer::<i32>)?.unwrap_or(0);
    if retries < 0 {
        return Err(Mistake::new("--health-retries cannot be negative").of_flag());
    }
    let command = typed.filled("health-cmd");
    let check = oci::Healthcheck {
        test: command.map(|command| vec!["CMD-SHELL".to_owned(), command.to_owned()]).unwrap_or_default(),
        interval: span("health-interval")?,
        timeout: span("health-timeout")?,
        start_period: span("health-start-period")?,
        start_interval: span("health-start-interval")?,
        retries,
    };
    Ok(is_asked.then_some(check))
}

fn restart(typed: &Typed) -> Read<request::Restart> {
    let restart: request::Restart = typed.parsed("restart", str::parse)?.unwrap_or_default();
    match typed.is_on("rm") && !restart.is_no() {
        true => Err(Mistake::new("conflicting options: cannot specify both --restart and --rm").of_flag()),
        false => Ok(restart),
    }
}

fn key_value(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

fn sysctl(text: &str) -> Result<(String, String), String> {
    match text.contains('=') {
        true => Ok(key_value(text)),
        false => Err(format!("sysctl '{text}' is not allowed")),
    }
}

fn read_file(long: &str, path: &str) -> Read<Vec<u8>> {
    std::fs::read(path).map_err(|error| bad(long, path, &error))
}

fn labels(typed: &Typed) -> Read<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for path in typed.all("label-file") {
        let bytes = read_file("label-file", path)?;
        let pairs = pairs(path, &bytes).map_err(|error| bad("label-file", path, &error))?;
        labels.extend(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.unwrap_or("").to_owned())));
    }
    labels.extend(typed.each("label", request::label)?);
    Ok(labels)
}

/// Files first, then flags. A bare name takes the caller's value; one the caller has not is left out.
pub(super) fn env(typed: &Typed, caller: &Caller) -> Read<Vec<String>> {
    let mut env = Vec::new();
    for path in typed.all("env-file") {
        let bytes = read_file("env-file", path)?;
        let pairs = pairs(path, &bytes).map_err(|error| bad("env-file", path, &error))?;
        env.extend(pairs.into_iter().filter_map(|(name, value)| variable(name, value, caller)));
    }
    for text in typed.all("env") {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            return Err(bad("env", text, &format!("invalid environment variable: {text}")));
        }
        // A bare name the caller has not removes the image's.
        env.push(variable(name, value, caller).unwrap_or_else(|| name.to_owned()));
    }
    Ok(env)
}

fn variable(name: &str, value: Option<&str>, caller: &Caller) -> Option<String> {
    let value = value.map(str::to_owned).or_else(|| caller.variable(name))?;
    Some(format!("{name}={value}"))
}

fn process(typed: &Typed, caller: &Caller) -> Read<ProcessRequest> {
    Ok(ProcessRequest {
        entrypoint: typed.last("entrypoint").map(str::to_owned),
        env: env(typed, caller)?,
        workdir: typed.filled("workdir").map(str::to_owned),
        user: typed.filled("user").map(str::to_owned),
        groups: typed.all("group-add").map(str::to_owned).collect(),
        init: typed.is_on("init"),
        stop_signal: typed
            .parsed_filled("stop-signal", |text| request::signal(text).map(|_| text.to_owned()))?,
        stop_timeout: typed.parsed("stop-timeout", integer)?,
        ulimits: typed.each("ulimit", str::parse)?,
        oom_score_adj: typed.parsed("oom-score-adj", integer)?,
    })
}

fn streams(typed: &Typed) -> Read<StreamsRequest> {
    let default = StreamsRequest::default();
    Ok(StreamsRequest {
        tty: typed.is_on("tty"),
        interactive: typed.is_on("interactive"),
        attach: typed.each("attach", str::parse)?,
        proxy_signals: typed.switch("sig-proxy").unwrap_or(default.proxy_signals),
        detach_keys: typed.parsed("detach-keys", request::detach_keys)?.unwrap_or(default.detach_keys),
        log: request::LogChoice::new(
            typed.filled("log-driver").unwrap_or_default(),
            typed.all("log-opt").map(key_value),
        ),
    })
}

fn files(typed: &Typed, caller: &Caller) -> Read<FilesRequest> {
    Ok(FilesRequest {
        read_only: typed.is_on("read-only"),
        mounts: mounts(typed, caller)?,
        devices: typed.each("device", str::parse)?,
        device_rules: typed.each("device-cgroup-rule", str::parse)?,
        shm_size: typed.parsed("shm-size", request::size)?,
        hostname: typed.parsed_filled("hostname", request::one_line)?,
        domainname: typed.parsed_filled("domainname", request::one_line)?,
        add_hosts: typed.each("add-host", request::host_address)?,
        dns: typed.each("dns", str::parse)?,
        dns_search: typed.each("dns-search", request::dns_search)?,
        dns_options: typed.each_filled("dns-option", request::one_line)?,
    })
}

/// A source `./x` is the caller's, so it is made absolute here. As docker has it, a volume typed twice is one, and of
/// the tmpfs of a target the last counts.
fn mounts(typed: &Typed, caller: &Caller) -> Read<Vec<MountRequest>> {
    let parse = |(long, text): (&'static str, &str)| {
        let parsed = match long {
            "volume" => MountRequest::from_volume(text),
            "tmpfs" => MountRequest::from_tmpfs(text),
            _ => MountRequest::from_mount(text),
        };
        let mut mount = parsed.map_err(|error| bad(long, text, &error))?;
        if let MountSource::Bind { path, .. } = &mut mount.source {
            *path = caller.absolute(path);
        }
        Ok(mount)
    };
    let words: Vec<_> = typed.any(&["volume", "mount", "tmpfs"]).collect();
    let target = |text: &str| text.split(':').next().map(str::to_owned);
    let is_again = |at: usize, (long, text): (&str, &str)| match long {
        "volume" => words[..at].contains(&("volume", text)),
        "tmpfs" => {
            words[at + 1..].iter().any(|(other, later)| *other == "tmpfs" && target(later) == target(text))
        }
        _ => false,
    };
    words
        .iter()
        .enumerate()
        .filter(|(at, word)| !is_again(*at, **word))
        .map(|(_, word)| parse(*word))
        .collect()
}

fn isolation(typed: &Typed) -> Read<IsolationRequest> {
    let list = |long: &str| {
        let words = typed.all(long).map(|cap| cap.to_ascii_uppercase());
        let bare =
            |cap: &str| cap.strip_prefix("CAP_").filter(|cap| !cap.starts_with("CAP_")).map(str::to_owned);
        words.map(|cap| bare(&cap).unwrap_or(cap)).collect()
    };
    let mut isolation = IsolationRequest {
        privileged: typed.is_on("privileged"),
        cap_add: list("cap-add"),
        cap_drop: list("cap-drop"),
        userns: userns(typed)?,
        pid: typed.parsed("pid", str::parse)?.unwrap_or_default(),
        ipc: typed.parsed("ipc", str::parse)?.unwrap_or_default(),
        uts: typed.parsed("uts", str::parse)?.unwrap_or_default(),
        cgroupns: typed.parsed("cgroupns", str::parse)?.unwrap_or_default(),
        network: typed.parsed("network", str::parse)?.unwrap_or_default(),
        time: typed.parsed("time", str::parse)?,
        sysctls: typed.each("sysctl", sysctl)?.into_iter().collect(),
        ..IsolationRequest::default()
    };
    let read = |path: &str| std::fs::read_to_string(path);
    for option in typed.each("security-opt", |text| SecurityOption::parse(text, read))? {
        isolation.secure(option);
    }
    Ok(isolation)
}

pub(super) fn limits(typed: &Typed) -> Read<LimitsRequest> {
    Ok(LimitsRequest {
        memory: typed.parsed("memory", request::size)?,
        memory_swap: typed.parsed("memory-swap", request::size_or_unlimited)?,
        memory_reservation: typed.parsed("memory-reservation", request::size)?,
        memory_swappiness: typed.parsed("memory-swappiness", request::swappiness)?.flatten(),
        oom_kill_disable: typed.is_on("oom-kill-disable"),
        nano_cpus: typed.parsed("cpus", request::cpus)?,
        cpu_period: typed.parsed("cpu-period", integer)?,
        cpu_quota: typed.parsed("cpu-quota", integer)?,
        cpu_shares: typed.parsed("cpu-shares", integer)?,
        cpu_rt_period: typed.parsed("cpu-rt-period", integer)?,
        cpu_rt_runtime: typed.parsed("cpu-rt-runtime", integer)?,
        cpuset_cpus: typed.parsed_filled("cpuset-cpus", request::cpu_list)?,
        cpuset_mems: typed.parsed_filled("cpuset-mems", request::cpu_list)?,
        pids: typed.parsed("pids-limit", integer)?,
        blkio_weight: typed.parsed("blkio-weight", integer)?,
        blkio_weight_device: typed.each("blkio-weight-device", request::device_weight)?,
        read_bps: typed.each("device-read-bps", request::device_bytes)?,
        write_bps: typed.each("device-write-bps", request::device_bytes)?,
        read_iops: typed.each("device-read-iops", request::device_operations)?,
        write_iops: typed.each("device-write-iops", request::device_operations)?,
        cgroup_parent: typed.filled("cgroup-parent").map(str::to_owned),
    })
}

//! `hull ps`, `rm`, `diff`, `inspect`, `container prune`.

use super::each;
use super::image::{cut, show};
use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch, value};
use crate::render::{List, ago, duration, line, moment, row, short, size};
use engine::container::Removal;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use store::{Container, Record, State, Summary};

pub(super) const LIST: Syntax = Syntax {
    name: "ps",
    rest: "",
    about: "List containers: those that run, or with -a all.",
    flags: &[
        switch("all", "Those that have ended, too").or('a'),
        value("filter", "KEY=VALUE", "id, name, label, status, exited, ancestor").or('f'),
        value("format", "FORMAT", "json, a Go template, or 'table TEMPLATE'"),
        switch("latest", "Only the newest").or('l'),
        value("last", "N", "Only the newest N").or('n'),
        switch("quiet", "Only ids").or('q'),
        switch("size", "What each wrote").or('s'),
        switch("no-trunc", "Whole ids and commands"),
    ],
    examples: &["hull ps -a --format '{{.Names}} {{.Status}}'"],
    words: (0, 0),
    stops: false,
};

pub(super) fn list(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    let filters: Vec<_> = typed.all("filter").map(filter).collect::<Result<_, _>>()?;
    let last = if typed.is_on("latest") { Some(1) } else { typed.parsed("last", str::parse::<usize>)? };
    let by_status = filters.iter().any(|(key, _)| matches!(key.as_str(), "status" | "exited"));
    let all = typed.is_on("all") || last.is_some() || by_status;
    let shown: Vec<_> = engine
        .containers()?
        .into_iter()
        .filter(|one| all || matches!(one.state, State::Running(_)))
        .filter(|one| passes(one, &filters))
        .take(last.unwrap_or(usize::MAX))
        .collect();
    let whole = typed.is_on("no-trunc");
    if typed.is_on("quiet") {
        let id = |one: &Summary| if whole { one.record.id.to_string() } else { one.record.id.short() };
        return shown.iter().try_for_each(|one| line(&id(one))).map(|()| 0);
    }
    let mut columns = vec![
        ("CONTAINER ID", "ID"),
        ("IMAGE", "Image"),
        ("COMMAND", "Command"),
        ("CREATED", "RunningFor"),
        ("STATUS", "Status"),
        ("PORTS", "Ports"),
        ("NAMES", "Names"),
    ];
    let with_size = typed.is_on("size");
    if with_size {
        columns.push(("SIZE", "Size"));
    }
    let written = |one: &Summary| -> Result<u64, Failure> {
        if with_size { Ok(engine.written(&one.record.id.to_string())?) } else { Ok(0) }
    };
    let rows = shown.iter().map(|one| Ok(fields(one, whole, written(one)?)));
    List { columns: &columns, rows: rows.collect::<Result<_, Failure>>()? }.show(typed.last("format"))?;
    Ok(0)
}

fn filter(text: &str) -> Result<(String, String), Failure> {
    let known = ["id", "name", "label", "status", "exited", "ancestor"];
    match text.split_once('=') {
        Some((key, value)) if known.contains(&key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Mistake::new(format!("invalid filter '{text}'"))
            .with_hint(format!("known are {}", known.join(", ")))
            .into()),
    }
}

/// Of the same key one must pass, of each key.
fn passes(one: &Summary, filters: &[(String, String)]) -> bool {
    filters.iter().all(|(key, _)| {
        filters.iter().filter(|(other, _)| other == key).any(|(key, value)| passes_one(one, key, value))
    })
}

fn passes_one(one: &Summary, key: &str, value: &str) -> bool {
    let record = &one.record;
    match key {
        "id" => record.id.to_string().starts_with(value),
        "name" => record.name.as_str().contains(value.trim_start_matches('/')),
        "label" => match value.split_once('=') {
            Some((label, value)) => record.labels.get(label).is_some_and(|own| own == value),
            None => record.labels.contains_key(value),
        },
        "status" => status_word(&one.state) == value,
        "exited" => matches!(&one.state, State::Exited(exit) if exit.code.to_string() == value),
        _ => {
            record.image_name == value
                || record.image.to_string().contains(value)
                || record.image_name.split(':').next() == Some(value)
        }
    }
}

/// docker's word for a state.
fn status_word(state: &State) -> &'static str {
    match state {
        State::Created => "created",
        State::Running(_) => "running",
        State::Exited(_) => "exited",
        State::Dead => "dead",
    }
}

fn status(state: &State) -> String {
    match state {
        State::Created => "Created".into(),
        State::Running(running) => {
            format!("Up {}", duration(Timestamp::now().as_second() - running.started.as_second()))
        }
        State::Exited(exit) => format!("Exited ({}) {}", exit.code, ago(exit.finished)),
        State::Dead => "Dead".into(),
    }
}

fn fields(one: &Summary, whole: bool, written: u64) -> Map<String, Value> {
    let record = &one.record;
    let command = record.command.join(" ");
    let labels: Vec<_> = record.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    row([
        ("ID", if whole { record.id.to_string() } else { record.id.short() }.into()),
        ("Image", record.image_name.clone().into()),
        ("Command", format!("\"{}\"", if whole { command } else { cut(&command, 20) }).into()),
        ("CreatedAt", moment(record.created).into()),
        ("RunningFor", ago(record.created).into()),
        ("Status", status(&one.state).into()),
        ("State", status_word(&one.state).into()),
        ("Ports", "".into()),
        ("Names", record.name.to_string().into()),
        ("Labels", labels.join(",").into()),
        ("Size", size(written).into()),
        ("Mounts", "".into()),
        ("Networks", "".into()),
        ("LocalVolumes", "0".into()),
    ])
}

pub(super) const REMOVE: Syntax = Syntax {
    name: "rm",
    rest: "CONTAINER [CONTAINER…]",
    about: "Remove containers, with what they wrote.",
    flags: &[
        switch("force", "End one that runs").or('f'),
        switch("volumes", "Its anonymous volumes, too: it has none yet").or('v'),
    ],
    examples: &[],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn remove(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    let how = Removal { force: typed.is_on("force") };
    each(&typed.words, |name| match engine.remove_container(name, how) {
        // As docker: -f of what is not there is done.
        Err(error) if how.force && *error.kind() == engine::Kind::NotFound => Ok(()),
        other => other.map_err(Failure::from).and_then(|_| line(name)),
    })
}

pub(super) const DIFF: Syntax = Syntax {
    name: "diff",
    rest: "CONTAINER",
    about: "What a container changed in its files: A added, C changed, D deleted.",
    flags: &[],
    examples: &[],
    words: (1, 1),
    stops: false,
};

pub(super) fn diff(typed: &Typed, caller: &Caller) -> Done {
    for change in caller.engine()?.diff(&typed.words[0])? {
        line(&format!("{} /{}", change.kind.letter(), String::from_utf8_lossy(&change.path)))?;
    }
    Ok(0)
}

pub(super) const INSPECT: Syntax = Syntax {
    name: "container inspect",
    rest: "CONTAINER [CONTAINER…]",
    about: "Everything about containers, as JSON.",
    flags: &[
        value("format", "TEMPLATE", "A Go template, or json").or('f'),
        switch("size", "What it wrote").or('s'),
    ],
    examples: &[],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn inspect(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    show(typed, |name| {
        let (container, state) = engine.container(name)?;
        let mut value = view(&container, &state);
        if typed.is_on("size") {
            value["SizeRw"] = engine.written(name)?.into();
        }
        Ok(value)
    })
}

pub(super) const INSPECT_ANY: Syntax = Syntax {
    name: "inspect",
    rest: "NAME [NAME…]",
    about: "Everything about containers or images, as JSON; a container where both have the name.",
    flags: &[
        value("format", "TEMPLATE", "A Go template, or json").or('f'),
        switch("size", "What a container wrote").or('s'),
        value("type", "TYPE", "container or image"),
    ],
    examples: &["hull inspect -f '{{.State.ExitCode}}' NAME"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn inspect_any(typed: &Typed, caller: &Caller) -> Done {
    match typed.last("type") {
        Some("container") => return inspect(typed, caller),
        Some("image") => return super::image::inspect(typed, caller),
        Some(other) => return Err(Mistake::new(format!("{other:?} is not a valid value for --type")).into()),
        None => {}
    }
    let engine = caller.engine()?;
    let missing = |error: &engine::Error| *error.kind() == engine::Kind::NotFound;
    show(typed, |name| match engine.container(name) {
        Ok((container, state)) => Ok(view(&container, &state)),
        Err(error) if missing(&error) => match engine.image(name) {
            Ok(image) => Ok(engine::image::inspect(&engine, &image)?),
            Err(error) if missing(&error) => Err(Mistake::new(format!("no such object: {name}")).into()),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    })
}

/// docker's JSON of a container, as far as its words apply; `Spec` is the runtime-spec it runs by.
fn view(container: &Container, state: &State) -> Value {
    let record: &Record = &container.record;
    let spec: Value =
        record.spec.as_ref().and_then(|spec| serde_json::from_str(spec.get()).ok()).unwrap_or(Value::Null);
    let (path, args) =
        record.command.split_first().map_or(("", &[][..]), |(path, args)| (path.as_str(), args));
    let process = &spec["process"];
    json!({
        "Id": record.id.to_string(), "Created": record.created.to_string(), "Path": path, "Args": args,
        "State": state_view(state), "Image": record.image.to_string(), "Name": format!("/{}", record.name),
        "Platform": "linux", "Driver": "overlay", "RestartCount": 0, "AppArmorProfile": process["apparmorProfile"],
        "Config": {
            "Hostname": spec["hostname"], "Image": record.image_name, "Labels": record.labels, "Env": process["env"],
            "Cmd": record.command, "WorkingDir": process["cwd"], "Tty": process["terminal"].as_bool().unwrap_or(false),
            "User": format!("{}:{}", process["user"]["uid"], process["user"]["gid"]),
        },
        "HostConfig": {
            "AutoRemove": record.remove, "CgroupParent": spec["linux"]["cgroupsPath"],
            "Memory": spec["linux"]["resources"]["memory"]["limit"].as_i64().unwrap_or(0),
            "PidsLimit": spec["linux"]["resources"]["pids"]["limit"], "ReadonlyRootfs": spec["root"]["readonly"],
            "MaskedPaths": spec["linux"]["maskedPaths"], "ReadonlyPaths": spec["linux"]["readonlyPaths"],
        },
        "RootFS": { "Type": "layers", "Layers": record.layers.iter().map(ToString::to_string).collect::<Vec<_>>() },
        "Spec": spec,
    })
}

fn state_view(state: &State) -> Value {
    let word = status_word(state);
    let (pid, started) = match state {
        State::Running(running) => (running.pid.unwrap_or(0), Some(running.started)),
        State::Exited(exit) => (0, exit.started),
        _ => (0, None),
    };
    let exit = if let State::Exited(exit) = state { Some(exit) } else { None };
    let time =
        |time: Option<Timestamp>| time.map_or("0001-01-01T00:00:00Z".to_owned(), |time| time.to_string());
    json!({
        "Status": word, "Running": word == "running", "Paused": false, "Restarting": false, "Dead": word == "dead",
        "OOMKilled": exit.is_some_and(|exit| exit.oom), "Pid": pid, "ExitCode": exit.map_or(0, |exit| exit.code),
        "Error": exit.and_then(|exit| exit.error.clone()).unwrap_or_default(), "StartedAt": time(started),
        "FinishedAt": time(exit.map(|exit| exit.finished)),
    })
}

pub(super) const PRUNE: Syntax = Syntax {
    name: "container prune",
    rest: "",
    about: "Remove all containers that have ended.",
    flags: &[switch("force", "Do not ask").or('f')],
    examples: &[],
    words: (0, 0),
    stops: false,
};

pub(super) fn prune(typed: &Typed, caller: &Caller) -> Done {
    super::system::confirm(typed, "This removes all containers that have ended.")?;
    let engine = caller.engine()?;
    for one in engine.containers()?.iter().filter(|one| !matches!(one.state, State::Running(_))) {
        line(short(&engine.remove_container(&one.record.id.to_string(), Removal::default())?))?;
    }
    Ok(0)
}

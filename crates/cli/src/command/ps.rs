//! `hull ps`.

use super::image::cut;
use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, integer, switch, value};
use crate::render::{List, ago, duration, line, moment, row, size};
use engine::Engine;
use engine::health::Status;
use engine::inspect::{details_of, network, status};
use engine::life::Restarts;
use jiff::Timestamp;
use serde_json::{Map, Value};
use store::{State, Summary};

pub(super) const LIST: Syntax = Syntax {
    name: "ps",
    rest: "",
    about: "List containers: those that run, or with -a all.",
    flags: &[
        switch("all", "Those that have ended, too").or('a'),
        value("filter", "KEY=VALUE", FILTERS).or('f'),
        value("format", "FORMAT", "table, raw, json, a Go template, or 'table TEMPLATE'"),
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

const FILTERS: &str = "id, name, label, status, exited, ancestor, before, since, network, volume, health, publish, expose, \
    is-task, isolation";

const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

const COLUMNS: [(&str, &str); 8] = [
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
    ("NAMES", "Names"),
    ("SIZE", "Size"),
];

/// docker's `--format raw`.
const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n\
    state: {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\n";

pub(super) fn list(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let filters: Vec<_> =
        typed.filters()?.into_iter().map(|(key, value)| filter(key, value)).collect::<Result<_, _>>()?;
    let last = if typed.is_on("latest") { Some(1) } else { last(typed)? };
    let has = |keys: &[&str]| filters.iter().any(|one| keys.contains(&one.key.as_str()));
    let ended = typed.is_on("all") || last.is_some() || has(&["status", "exited"]);
    let all = if ended || has(&["before", "since"]) { engine.containers()? } else { engine.running()? };
    let filters: Vec<_> =
        filters.into_iter().map(|one| one.settle(&engine, &all)).collect::<Result<_, _>>()?;
    let shown = all.iter().filter(|one| ended || matches!(one.state, State::Running(_)));
    let shown = shown.filter(|one| passes(&engine, one, &filters)).take(last.unwrap_or(usize::MAX));
    let whole = typed.is_on("no-trunc");
    let format = typed.last("format");
    if typed.is_on("quiet") && format.is_none_or(|format| format == "table") {
        let id = |one: &Summary| if whole { one.record.id.to_string() } else { one.record.id.short() };
        return shown.map(id).try_for_each(|id| line(&id)).map(|()| 0);
    }
    let with_size = typed.is_on("size") || format.is_some_and(|format| format.contains(".Size"));
    let rows = shown.map(|one| {
        let written = if with_size { written(&engine, one)? } else { "0B".to_owned() };
        Ok(fields(one, whole, written, engine.is_paused(&one.state), engine.health_of(one)))
    });
    let columns = if typed.is_on("size") { &COLUMNS[..] } else { &COLUMNS[..7] };
    let raw = format!("{RAW}{}", if with_size { "size: {{.Size}}\n" } else { "" });
    let format = format.map(|format| if format == "raw" { raw.as_str() } else { format });
    List { columns, rows: rows.collect::<Result<_, Failure>>()? }.show_whole(format, whole)?;
    Ok(0)
}

/// docker's -1 is all.
fn last(typed: &Typed) -> Result<Option<usize>, Mistake> {
    let last = typed.parsed("last", integer::<i64>)?;
    Ok(last.and_then(|count| usize::try_from(count).ok()))
}

/// `2B (virtual 1.2MB)`; nothing of one that is gone meanwhile.
fn written(engine: &Engine, one: &Summary) -> Result<String, Failure> {
    let found = engine.container(&one.record.id.to_string()).and_then(|(found, _)| engine.sizes(&found));
    match found {
        Ok((own, whole)) => Ok(format!("{} (virtual {})", size(own), size(whole))),
        Err(error) if *error.kind() == engine::Kind::NotFound => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// One `--filter`.
#[derive(Debug)]
struct Filter {
    key: String,
    value: String,
    /// Of the container that `before` and `since` name.
    moment: Option<Timestamp>,
    /// Of the image that `ancestor` names: its id, and those of its layers.
    image: Option<(String, Vec<oci::DiffId>)>,
}

fn filter(key: String, value: String) -> Result<Filter, Mistake> {
    if !FILTERS.split(", ").any(|known| known == key) {
        return Err(Mistake::new(format!("invalid filter '{key}'")).with_hint(format!("known are {FILTERS}")));
    }
    let is_wrong = match key.as_str() {
        "status" => !STATES.contains(&value.as_str()),
        "exited" => value.parse::<i32>().is_err(),
        "health" => !["none", "starting", "healthy", "unhealthy"].contains(&value.as_str()),
        "is-task" => !["true", "false", "1", "0"].contains(&value.as_str()),
        "publish" | "expose" => !is_ports(&value),
        _ => false,
    };
    if is_wrong {
        return Err(Mistake::new(format!("invalid filter '{key}={value}'")));
    }
    Ok(Filter { key, value, moment: None, image: None })
}

/// docker's `PORT[-PORT][/PROTOCOL]`.
fn is_ports(text: &str) -> bool {
    let ports = text.split_once('/').map_or(text, |(ports, _)| ports);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    first.parse::<u16>().is_ok_and(|first| last.parse().is_ok_and(|last| first <= last))
}

impl Filter {
    /// Looks up what it names.
    fn settle(mut self, engine: &Engine, all: &[Summary]) -> Result<Self, Failure> {
        match self.key.as_str() {
            "before" | "since" => {
                let named = engine.container(&self.value)?.0.record.id;
                self.moment = all.iter().find(|one| one.record.id == named).map(|one| one.record.created);
            }
            "ancestor" => {
                let image = engine.image(&self.value).ok();
                self.image = image.map(|image| (image.id().to_string(), image.record.layers.clone()));
            }
            _ => {}
        }
        Ok(self)
    }

    fn passes(&self, engine: &Engine, one: &Summary) -> bool {
        let (record, value) = (&one.record, self.value.as_str());
        match self.key.as_str() {
            "id" => record.id.to_string().starts_with(value),
            "name" => is_named(record.name.as_str(), value),
            "label" => match value.split_once('=') {
                Some((label, value)) => record.labels.get(label).is_some_and(|own| own == value),
                None => record.labels.contains_key(value),
            },
            "status" => status(&one.state, engine.is_paused(&one.state)) == value,
            "exited" => matches!(&one.state, State::Exited(exit) if exit.code.to_string() == value),
            "before" => self.moment.is_some_and(|moment| record.created < moment),
            "since" => self.moment.is_some_and(|moment| record.created > moment),
            "network" => network(&details_of(record)) == value,
            "volume" => has_mount(one, value),
            // Tasks are a swarm's; none is here.
            "is-task" => matches!(value, "false" | "0"),
            // No container has ports of the host's, nor are those it exposes kept.
            "publish" | "expose" => false,
            // Windows has several.
            "isolation" => true,
            "health" => engine.health_of(one).map_or("none", Status::name) == value,
            _ => self.descends(one),
        }
    }

    /// An image's own containers, and those of images made on top of it.
    fn descends(&self, one: &Summary) -> bool {
        let record = &one.record;
        match &self.image {
            Some((id, layers)) => record.image.to_string() == *id || record.layers.starts_with(layers),
            None => record.image_name == self.value,
        }
    }
}

/// docker takes a regular expression; of that the ends, and a part of the name.
fn is_named(name: &str, pattern: &str) -> bool {
    let (from_start, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (to_end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    match (from_start, to_end) {
        (true, true) => name == rest,
        (true, false) => name.starts_with(rest),
        (false, true) => name.ends_with(rest),
        (false, false) => name.contains(rest),
    }
}

fn has_mount(one: &Summary, place: &str) -> bool {
    let details = details_of(&one.record);
    let is_at = |mount: &Value| mount["Source"] == place || mount["Destination"] == place;
    details["Mounts"].as_array().is_some_and(|mounts| mounts.iter().any(is_at))
}

/// Of the same key one must pass, of each key; but all labels, as docker has it.
fn passes(engine: &Engine, one: &Summary, filters: &[Filter]) -> bool {
    filters.iter().all(|filter| match filter.key.as_str() {
        "label" => filter.passes(engine, one),
        key => filters.iter().filter(|other| other.key == key).any(|other| other.passes(engine, one)),
    })
}

/// `Up 2 hours`, `Exited (0) 3 minutes ago`.
pub(super) fn told(state: &State, paused: bool, health: Option<Status>) -> String {
    match state {
        State::Created => "Created".into(),
        State::Running(running) => {
            if let Some(rest) = Restarts::of(running).rest {
                return format!("Restarting ({}) {}", rest.code, ago(rest.ended));
            }
            let up = duration(Timestamp::now().as_second() - running.started.as_second());
            let more = match (paused, health) {
                (true, _) => " (Paused)".into(),
                (false, Some(Status::Starting)) => " (health: starting)".into(),
                (false, Some(health)) => format!(" ({})", health.name()),
                (false, None) => String::new(),
            };
            format!("Up {up}{more}")
        }
        State::Exited(exit) => format!("Exited ({}) {}", exit.code, ago(exit.finished)),
        State::Dead => "Dead".into(),
    }
}

/// A word with blanks in it in quotes, as docker shows a command's.
fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

fn fields(
    one: &Summary,
    whole: bool,
    written: String,
    paused: bool,
    health: Option<Status>,
) -> Map<String, Value> {
    let record = &one.record;
    let details = details_of(record);
    let command = record.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let command = if whole { command } else { cut(&command, 20) };
    let labels: Vec<_> = record.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let sources =
        details["Mounts"].as_array().into_iter().flatten().filter_map(|mount| mount["Source"].as_str());
    let sources = sources.filter(|path| !path.is_empty());
    let sources: Vec<_> = sources.map(|path| if whole { path.to_owned() } else { cut(path, 15) }).collect();
    let network = network(&details);
    row([
        ("ID", if whole { record.id.to_string() } else { record.id.short() }.into()),
        ("Image", record.image_name.clone().into()),
        ("Command", format!("{command:?}").into()),
        ("CreatedAt", moment(record.created).into()),
        ("RunningFor", ago(record.created).into()),
        ("Status", told(&one.state, paused, health).into()),
        ("State", status(&one.state, paused).into()),
        ("HealthStatus", health.map_or("", Status::name).into()),
        ("Ports", "".into()),
        ("Names", record.name.to_string().into()),
        ("Labels", labels.join(",").into()),
        ("Size", written.into()),
        ("Mounts", sources.join(",").into()),
        ("Networks", if network.starts_with("container:") { "" } else { network }.into()),
        ("LocalVolumes", "0".into()),
        ("Platform", format!("linux/{}", oci::Platform::host().architecture).into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_with_or_without_ends() {
        for (pattern, is) in
            [("eb", true), ("^we", true), ("^eb", false), ("b$", true), ("^/web$", true), ("x", false)]
        {
            assert_eq!(is_named("web", pattern), is, "{pattern}");
        }
    }

    #[test]
    fn filters_are_known_and_their_values_too() {
        let is_known = |(key, value): (&str, &str)| filter(key.into(), value.into()).is_ok();
        let known = [
            ("status", "exited"),
            ("exited", "0"),
            ("name", "x"),
            ("label", "a=b"),
            ("volume", "/x"),
            ("is-task", "false"),
            ("publish", "80"),
            ("expose", "8000-8080/tcp"),
        ];
        assert!(known.into_iter().all(is_known));
        let others = [
            ("", ""),
            ("status", "gone"),
            ("exited", "x"),
            ("size", "1"),
            ("health", "x"),
            ("is-task", "x"),
            ("publish", "x"),
            ("expose", "90-80"),
        ];
        assert!(!others.into_iter().any(is_known));
    }
}

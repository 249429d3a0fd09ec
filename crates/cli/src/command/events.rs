//! `hull events`.

use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, value};
use crate::render;
use engine::Kind;
use engine::events::{Event, Filter, Query, Subject};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use template::Template;

pub(super) const SYNTAX: Syntax = Syntax {
    name: "events",
    rest: "",
    about: "What happens to containers and images, as it happens.",
    flags: &[
        value("filter", "KEY=VALUE", "type, event, container, image, label, …").or('f'),
        value("format", "FORMAT", "json, or a Go template"),
        value("since", "TIME", "What happened from a time on, too, or a while back: 10m"),
        value("until", "TIME", "Only up to a time"),
    ],
    examples: &["hull events --since 1h --filter event=die --format '{{.Actor.ID}}'"],
    words: (0, 0),
    stops: false,
};

pub(super) fn events(typed: &Typed, caller: &Caller) -> Done {
    let query = Query::new(time(typed, "since")?, time(typed, "until")?, Filter::new(typed.filters()?)?)?;
    let form = Form::new(typed.filled("format"))?;
    let mut failure = None;
    let shown = caller.engine()?.events(&query, &mut |event| {
        form.text(event).and_then(|text| render::line(&text)).map_err(|error| {
            let kind = if matches!(error, Failure::OutputClosed) { Kind::OutputClosed } else { Kind::Failed };
            failure = Some(error);
            engine::Error::new(kind, "show an event")
        })
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(shown.map(|()| 0)?),
    }
}

fn time(typed: &Typed, flag: &str) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = typed.filled(flag) else { return Ok(None) };
    let wrong = |_| Mistake::new(format!("failed to parse value as time or duration: {text:?}"));
    Ok(Some(engine::prune::moment(text).map_err(wrong)?))
}

/// How an event is shown.
enum Form {
    Plain(TimeZone),
    Json,
    Template(Template),
}

impl Form {
    fn new(format: Option<&str>) -> Result<Self, Failure> {
        match format {
            None => Ok(Self::Plain(TimeZone::system())),
            Some("json" | "{{json .}}") => Ok(Self::Json),
            Some(text) => Ok(Self::Template(render::parse(text)?)),
        }
    }

    fn text(&self, event: &Event) -> Result<String, Failure> {
        match self {
            Self::Plain(zone) => Ok(plain(event, zone)),
            Self::Json => Ok(json(event).to_string()),
            Self::Template(template) => render::render(template, &fields(event)),
        }
    }
}

/// docker's line, in local time.
fn plain(event: &Event, zone: &TimeZone) -> String {
    let time = event.time.to_zoned(zone.clone());
    let offset = if time.offset().is_zero() { "Z".into() } else { time.strftime("%:z").to_string() };
    let time = time.strftime("%Y-%m-%dT%H:%M:%S.%9f");
    let attributes: Vec<_> = event.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let line = format!("{time}{offset} {} {} {}", event.subject.word(), event.action, event.id);
    if attributes.is_empty() { line } else { format!("{line} ({})", attributes.join(", ")) }
}

/// docker's JSON, with the three fields of its first years.
fn json(event: &Event) -> Value {
    let mut value = json!({});
    for (name, old) in old(event) {
        if !old.is_empty() {
            value[name.to_lowercase()] = old.into();
        }
    }
    let nanos = event.time.as_nanosecond() as i64;
    value["Type"] = event.subject.word().into();
    value["Action"] = event.action.as_str().into();
    value["Actor"] = json!({ "ID": event.id, "Attributes": event.attributes });
    value["scope"] = "local".into();
    value["time"] = event.time.as_second().into();
    value["timeNano"] = nanos.into();
    value
}

/// What a template names: the fields of Go's structure.
fn fields(event: &Event) -> Value {
    let json = json(event);
    let mut fields = json!({
        "Type": json["Type"], "Action": json["Action"], "Actor": json["Actor"], "Scope": json["scope"],
        "Time": json["time"], "TimeNano": json["timeNano"],
    });
    old(event).into_iter().for_each(|(name, value)| fields[name] = value.into());
    fields
}

fn old(event: &Event) -> [(&'static str, &str); 3] {
    let image = event.attributes.get("image").map_or("", String::as_str);
    match event.subject {
        Subject::Container => [("Status", &event.action), ("ID", &event.id), ("From", image)],
        Subject::Image => [("Status", &event.action), ("ID", &event.id), ("From", "")],
        _ => [("Status", ""), ("ID", ""), ("From", "")],
    }
}

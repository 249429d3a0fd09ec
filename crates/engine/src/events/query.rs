//! Which events are asked for: docker's `--since`, `--until` and filters.

use super::{Event, Subject};
use crate::error::{Error, Kind, Result};
use jiff::Timestamp;
use rustix::time::Timespec;

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// From this time on; what is past is shown where either is given.
    pub since: Option<Timestamp>,
    /// Up to this time; for ever otherwise.
    pub until: Option<Timestamp>,
    /// Only what passes: of one key any value, of several keys all.
    pub filter: Filter,
}

impl Query {
    /// With its times in order.
    pub fn new(since: Option<Timestamp>, until: Option<Timestamp>, filter: Filter) -> Result<Self> {
        match (since, until) {
            (Some(since), Some(until)) if until < since => Err(Error::new(
                Kind::Invalid,
                format!(
                    "`since` time ({}) cannot be after `until` time ({})",
                    since.as_second(),
                    until.as_second()
                ),
            )),
            _ => Ok(Self { since, until, filter }),
        }
    }

    pub(super) fn wants_past(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    pub(super) fn takes(&self, event: &Event) -> bool {
        self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time <= until)
            && self.filter.takes(event)
    }

    /// How long it goes on: none where it is over, and for ever where nothing is in there.
    pub(super) fn left(&self) -> Option<Option<Timespec>> {
        let Some(until) = self.until else { return Some(None) };
        let left = until.duration_since(Timestamp::now());
        (left.is_positive())
            .then(|| Some(Timespec { tv_sec: left.as_secs(), tv_nsec: left.subsec_nanos().into() }))
    }
}

/// docker's filters of events, `KEY=VALUE`.
#[derive(Debug, Clone, Default)]
pub struct Filter(Vec<(String, String)>);

impl Filter {
    /// As they were typed. docker lets those of unknown keys pass everything; here they are errors.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self> {
        const KNOWN: [&str; 16] = [
            "config",
            "container",
            "daemon",
            "event",
            "id",
            "image",
            "label",
            "network",
            "node",
            "plugin",
            "scope",
            "secret",
            "service",
            "type",
            "volume",
            "action",
        ];
        match pairs.iter().find(|(key, _)| !KNOWN.contains(&key.as_str())) {
            Some((key, _)) => Err(Error::new(Kind::Invalid, format!("invalid filter '{key}'"))
                .with_hint("known are type, event, container, image, label, network, volume, daemon, scope")),
            None => Ok(Self(pairs)),
        }
    }

    fn takes(&self, event: &Event) -> bool {
        let name = || event.attributes.get("name").map_or("", String::as_str);
        let begins = |text: &str, value: &str| text.starts_with(value);
        let mut named =
            ["container", "daemon", "network", "node", "plugin", "secret", "service", "volume", "config"]
                .into_iter();
        self.any("type", |value| event.subject.word() == value)
            && self.any("event", |value| self.is_action(event, value))
            && self.any("action", |value| self.is_action(event, value))
            && self.any("scope", |value| value == "local")
            && self.any("id", |value| begins(&event.id, value))
            && named.all(|key| self.any(key, |value| begins(&event.id, value) || begins(name(), value)))
            && self.any("image", |value| is_image(event, value))
            && self.values("label").all(|value| has_label(event, value))
    }

    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// Is one of these values right, or none given?
    fn any(&self, key: &str, is: impl FnMut(&str) -> bool) -> bool {
        self.values(key).next().is_none() || self.values(key).any(is)
    }

    /// With one of the words that stand before a colon, all words may be beginnings.
    fn is_action(&self, event: &Event, value: &str) -> bool {
        const OPEN: [&str; 3] = ["health_status", "exec_create", "exec_start"];
        let loose = self.values("event").chain(self.values("action")).any(|value| OPEN.contains(&value));
        event.action == value || (loose && event.action.starts_with(value))
    }
}

fn is_image(event: &Event, value: &str) -> bool {
    let attribute = if event.subject == Subject::Image { "name" } else { "image" };
    let name = event.attributes.get(attribute).map_or("", String::as_str);
    [event.id.as_str(), name].into_iter().any(|text| text == value || without_tag(text) == value)
}

/// What stands before the last colon, if that is no port's.
fn without_tag(name: &str) -> &str {
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name)
}

fn has_label(event: &Event, value: &str) -> bool {
    let (key, value) = value.split_once('=').map_or((value, None), |(key, value)| (key, Some(value)));
    event.attributes.get(key).is_some_and(|own| value.is_none_or(|value| own == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(filters: &[(&str, &str)], event: &Event) -> bool {
        let pairs = filters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Filter::new(pairs).unwrap().takes(event)
    }

    #[test]
    fn filters_are_dockers() {
        let event = Event::new(Subject::Container, "exec_create: ls /", "abcdef")
            .with("name", "web")
            .with("image", "localhost:5000/bb:one")
            .with("tier", "front");
        for filters in [
            &[][..],
            &[("type", "container")],
            &[("type", "image"), ("type", "container")],
            &[("container", "abc")],
            &[("container", "we")],
            &[("image", "localhost:5000/bb")],
            &[("image", "localhost:5000/bb:one")],
            &[("label", "tier")],
            &[("label", "tier=front"), ("event", "exec_create")],
            &[("event", "exec_create: ls /"), ("scope", "local")],
        ] {
            assert!(takes(filters, &event), "{filters:?}");
        }
        for filters in [
            &[("type", "image")][..],
            &[("container", "other")],
            &[("image", "bb")],
            &[("label", "tier=back")],
            &[("label", "tier"), ("label", "none")],
            &[("event", "exec"), ("type", "container")],
            &[("scope", "swarm")],
        ] {
            assert!(!takes(filters, &event), "{filters:?}");
        }
        assert!(Filter::new(vec![("colour".into(), "red".into())]).is_err());
    }

    #[test]
    fn times_are_in_order() {
        let now = Timestamp::now();
        let later = Timestamp::from_second(now.as_second() + 5).unwrap();
        assert!(Query::new(Some(later), Some(now), Filter::default()).is_err());
        assert!(Query::new(Some(now), Some(later), Filter::default()).is_ok());
    }
}

//! Pruning: what has ended or has no name goes, unless it is used or a filter spares it.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::{Event, Subject};
use crate::image::list::created;
pub use crate::image::list::moment;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashSet};
use store::{Container, State, Summary};

/// What a prune is to take.
#[derive(Debug, Clone, Default)]
pub struct Prune {
    /// All images that no container uses, not only those without a name.
    pub all: bool,
    /// Only what passes.
    pub filters: Filters,
}

/// `--filter`, understood; docker's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// `until=TIME`: only what was made before.
    pub until: Option<Timestamp>,
    /// `label=KEY[=VALUE]`: only what has all of these.
    pub labels: Vec<(String, Option<String>)>,
    /// `label!=KEY[=VALUE]`: nothing that has all of these.
    pub spared: Vec<(String, Option<String>)>,
}

impl Filters {
    /// Understands the names and values of `--filter`.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut filters = Self::default();
        pairs.into_iter().try_for_each(|(key, value)| filters.take(key, value)).map(|()| filters)
    }

    fn take(&mut self, key: &str, text: &str) -> Result<()> {
        let invalid = |what: String| {
            Err(Error::new(Kind::Invalid, what).with_hint("known are until=, label= and label!="))
        };
        match key {
            "label" => self.labels.push(label(text)),
            "label!" => self.spared.push(label(text)),
            "until" if self.until.is_some() => {
                return invalid("more than one until filter specified".into());
            }
            "until" => self.until = Some(moment(text)?),
            _ => return invalid(format!("invalid filter '{key}'")),
        }
        Ok(())
    }

    /// Whether something made at this time, with these labels, is to go.
    fn pass(&self, made: Timestamp, labels: &BTreeMap<String, String>) -> bool {
        let has = |(key, value): &(String, Option<String>)| {
            labels.get(key).is_some_and(|own| value.as_ref().is_none_or(|value| value == own))
        };
        let is_spared = !self.spared.is_empty() && self.spared.iter().all(has);
        self.until.is_none_or(|until| made < until) && self.labels.iter().all(has) && !is_spared
    }
}

fn label(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((key, value)) => (key.into(), Some(value.into())),
        None => (text.into(), None),
    }
}

/// What a prune took.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Ids of containers.
    pub containers: Vec<String>,
    /// docker's lines on images.
    pub images: Vec<store::Removed>,
    /// Bytes that the disk has again by this prune, whatever others remove meanwhile.
    pub bytes: u64,
}

impl Engine {
    /// Removes containers that have ended, images nobody uses and everything that nothing leads to.
    pub fn prune(&self, what: &Prune) -> Result<Pruned> {
        let containers = self.prune_containers(&what.filters)?;
        let images = self.prune_images(what)?;
        Ok(Pruned { containers: containers.containers, bytes: containers.bytes + images.bytes, ..images })
    }

    /// Removes containers that have ended.
    pub fn prune_containers(&self, filters: &Filters) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let has_ended = |one: &Summary| !matches!(one.state, State::Running(_));
        for one in self.containers()?.iter().filter(|one| has_ended(one)) {
            let id = one.record.id.to_string();
            if filters.pass(one.record.created, &one.record.labels) {
                let held = self.store.container(&id).and_then(Container::hold);
                let removed = held.map_err(from_store).and_then(|held| self.discard(held));
                let bytes = unless_overtaken(removed)?;
                pruned.bytes += bytes.unwrap_or(0);
                pruned.containers.extend(bytes.map(|_| id));
            }
        }
        self.report(Event::pruned(Subject::Container, pruned.bytes));
        Ok(pruned)
    }

    /// Removes images without a name, or with `all` every image, that no container uses, and what nothing leads to.
    pub fn prune_images(&self, what: &Prune) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let containers = self.containers()?;
        let used: HashSet<_> = containers.iter().map(|one| &one.record.image).collect();
        for row in self.images(&[])? {
            let labels = || row.image.config().map(|config| config.config.labels).unwrap_or_default();
            let goes = (what.all || row.name.is_none()) && !used.contains(row.image.id());
            if goes && what.filters.pass(created(&row.image), &labels()) {
                let name =
                    row.name.as_ref().map_or_else(|| row.image.id().to_string(), oci::Reference::canonical);
                let removed = unless_overtaken(self.remove_image(&name, false))?.unwrap_or_default();
                pruned.images.extend(removed.removed);
                pruned.bytes += removed.bytes;
            }
        }
        pruned.bytes += self.store.collect(true).map_err(from_store)?.bytes;
        self.report(Event::pruned(Subject::Image, pruned.bytes));
        Ok(pruned)
    }
}

/// What is gone since it was listed, or used, is not for a prune any more: no failure.
fn unless_overtaken<T>(removed: Result<T>) -> Result<Option<T>> {
    match removed {
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Conflict) => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(words: &[&str], labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let made: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        parse(words).unwrap().pass(made, &labels)
    }

    fn parse(words: &[&str]) -> Result<Filters> {
        Filters::new(words.iter().map(|word| word.split_once('=').unwrap()))
    }

    #[test]
    fn filters_are_dockers() {
        let both = [("a", "1"), ("b", "2")];
        assert!(passes(&[], &[]) && passes(&["label=a"], &both) && passes(&["label=a=1", "label=b"], &both));
        assert!(!passes(&["label=a=2"], &both) && !passes(&["label=a", "label=c"], &both));
        assert!(
            !passes(&["label!=a"], &both) && passes(&["label!=a=2"], &both) && passes(&["label!=a"], &[])
        );
        assert!(passes(&["label!=a", "label!=c"], &both), "what has both is spared");
        assert!(passes(&["until=2024-01-02T00:00:00Z"], &[]) && passes(&["until=24h"], &[]));
        assert!(!passes(&["until=2024-01-01T00:00:00Z"], &[]));
        for words in [&["until=1h", "until=2h"][..], &["until=x"], &["dangling=true"], &["="]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}

//! What happens to containers and images, told to whoever listens: docker's events.
//!
//! ```text
//! any process ──report──▶ journal in the store ──▶ events(query) ──▶ who asks
//! ```
//!
//! There is no daemon that could forget: the journal is a file, so that what happened before is asked for like what
//! comes. Telling costs one open and one write, and never fails a command: a journal that cannot be written is told
//! of once.

mod query;

pub use query::{Filter, Query};

use crate::Engine;
use crate::error::{Result, from_store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use store::{Container, Record};

/// What it happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// What docker's daemon is; here all that is kept in one root.
    Daemon,
}

impl Subject {
    /// docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Daemon => "daemon",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in nanoseconds.
    pub time: Timestamp,
    /// To what.
    #[serde(rename = "type")]
    pub subject: Subject,
    /// docker's word for it, e.g. `start`, `exec_create: ls /`.
    pub action: String,
    /// Id or name of what it happened to; none of a prune.
    #[serde(default)]
    pub id: String,
    /// docker's attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// Something that happens now.
    pub fn new(subject: Subject, action: impl Into<String>, id: impl ToString) -> Self {
        let (action, id) = (action.into(), id.to_string());
        Self { time: Timestamp::now(), subject, action, id, attributes: BTreeMap::new() }
    }

    /// To a container: with its labels, its name and its image's.
    pub fn of(record: &Record, action: impl Into<String>) -> Self {
        let mut event = Self::new(Subject::Container, action, record.id);
        event.attributes.clone_from(&record.labels);
        event.with("image", &record.image_name).with("name", &record.name)
    }

    /// With one more attribute.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.insert(name.to_owned(), value.to_string());
        self
    }

    /// To an image: with its labels.
    pub(crate) fn of_image(image: &store::Image, action: &str, name: impl ToString) -> Self {
        let mut event = Self::new(Subject::Image, action, image.id());
        event.attributes = image.config().map(|config| config.config.labels).unwrap_or_default();
        event.with("name", name)
    }

    /// Of docker's `die`: how, and after how long.
    pub(crate) fn ended(self, exit: &store::Exit) -> Self {
        let began = exit.started.unwrap_or(exit.finished);
        let seconds = exit.finished.duration_since(began).as_secs().max(0);
        self.with("execDuration", seconds).with("exitCode", exit.code)
    }

    /// After a prune: how much it gave back.
    pub(crate) fn pruned(subject: Subject, bytes: u64) -> Self {
        Self::new(subject, "prune", "").with("reclaimed", bytes)
    }
}

impl Engine {
    /// Tells that something happened. It never fails what happened.
    pub fn report(&self, event: Event) {
        self.report_all([event]);
    }

    /// Something that happens to a container, by the name that it has now.
    pub fn event_of(&self, container: &Container, action: impl Into<String>) -> Event {
        Event::of(&container.record, action).with("name", self.store.name_now(container))
    }

    /// Tells of several things in one write, in this order.
    pub fn report_all(&self, events: impl IntoIterator<Item = Event>) {
        let lines: Vec<_> = events.into_iter().filter_map(|event| serde_json::to_vec(&event).ok()).collect();
        if let Err(error) = self.store.append_events(&lines) {
            self.tell_lost(&error);
        }
    }

    /// Once. Where nothing can be written at all, nothing happened that anybody kept.
    fn tell_lost(&self, error: &store::Error) {
        if *error.kind() != store::Kind::ReadOnly && !self.lost_events.swap(true, Ordering::Relaxed) {
            let cause = std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"));
            (self.tell)(&format!("events are lost: {error}{cause}"));
        }
    }

    /// Shows what happened, and goes on with what happens, until the query's end.
    pub fn events(&self, query: &Query, show: &mut dyn FnMut(&Event) -> Result<()>) -> Result<()> {
        let mut journal = self.store.events().map_err(from_store)?;
        let mut past = parsed(journal.read().map_err(from_store)?);
        // Of several processes, who tells later may have been there earlier.
        past.sort_by_key(|event| event.time);
        if query.wants_past() {
            past.iter().filter(|event| query.takes(event)).try_for_each(&mut *show)?;
        }
        while let Some(left) = query.left() {
            journal.wait(left.as_ref()).map_err(from_store)?;
            let fresh = parsed(journal.read().map_err(from_store)?);
            fresh.iter().filter(|event| query.takes(event)).try_for_each(&mut *show)?;
        }
        Ok(())
    }
}

/// What a full disk cut off is no event.
fn parsed(records: Vec<Vec<u8>>) -> Vec<Event> {
    records.iter().filter_map(|record| serde_json::from_slice(record).ok()).collect()
}

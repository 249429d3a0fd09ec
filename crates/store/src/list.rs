//! Finding containers, and what they are doing.

use crate::container::{Container, Exit, Record, dir_of};
use crate::disk;
use crate::error::{Error, Kind, Result, absent};
use crate::id::{ContainerId, Name, is_hex};
use crate::notice::Read;
use crate::root::Store;
use crate::slot::Running;
use std::cmp::Reverse;
use std::collections::HashMap;

/// What a container is doing.
#[derive(Debug, Clone)]
pub enum State {
    /// It never ran.
    Created,
    /// It runs, or is about to.
    Running(Running),
    /// It ended, and this is how.
    Exited(Exit),
    /// Its owner died, or the host did, before it could say how it ended.
    Dead,
}

/// A container in a list.
#[derive(Debug, Clone)]
pub struct Summary {
    /// What it is.
    pub record: Record,
    /// What it is doing.
    pub state: State,
}

impl Store {
    /// All containers, newest first.
    pub fn containers(&self) -> Result<Vec<Summary>> {
        let slots = self.slot_list()?;
        let slots: HashMap<_, _> = slots.into_iter().map(|slot| (slot.0.container, slot)).collect();
        let mut list = Vec::new();
        for container in self.all_containers()?.whole {
            let state = self.state_of(&container, slots.get(&container.record.id).cloned())?;
            list.push(Summary { record: container.record, state });
        }
        Ok(newest_first(list))
    }

    /// The containers that run, newest first. However many others there are, they are not looked at.
    pub fn running(&self) -> Result<Vec<Summary>> {
        let mut list = Vec::new();
        for (running, _) in self.slot_list()?.into_iter().filter(|(_, alive)| *alive) {
            let container = self.read_container(&running.container.key());
            list.extend(
                container?
                    .map(|container| Summary { record: container.record, state: State::Running(running) }),
            );
        }
        Ok(newest_first(list))
    }

    /// The container of a name, an id, or the beginning of an id, in this order as docker does.
    pub fn container(&self, text: &str) -> Result<Container> {
        if let Ok(id) = text.parse::<ContainerId>() {
            let container = self.container_of_key(&id.key())?.filter(|found| found.record.id == id);
            return container.ok_or_else(|| absent(format!("no such container: {text}")));
        }
        match text.parse::<Name>().map(|name| self.container_named(&name)) {
            Ok(Ok(container)) => Ok(container),
            Ok(Err(error)) if *error.kind() != Kind::NotFound => Err(error),
            _ => self.container_with_prefix(text),
        }
    }

    /// What the container is doing.
    pub fn state(&self, container: &Container) -> Result<State> {
        let slots = self.slot_list()?;
        self.state_of(container, slots.into_iter().find(|slot| slot.0.container == container.record.id))
    }

    pub(crate) fn container_named(&self, name: &Name) -> Result<Container> {
        let container = self.container_of_key(&self.key_of_name(name)?)?;
        container.ok_or_else(|| absent(format!("no such container: {name}")))
    }

    /// All that are there; one that goes meanwhile is left out, one that is damaged passed over.
    pub(crate) fn all_containers(&self) -> Result<Read<Container>> {
        self.read_all("containers", |key| self.container_of_key(key))
    }

    /// Likewise one.
    fn read_container(&self, key: &str) -> Result<Option<Container>> {
        match self.container_of_key(key) {
            Err(error) if *error.kind() == Kind::Corrupt => {
                self.notices.damaged(&dir_of(key));
                Ok(None)
            }
            other => other,
        }
    }

    fn container_with_prefix(&self, text: &str) -> Result<Container> {
        let missing = || absent(format!("no such container: {text}"));
        if text.is_empty() || !is_hex(text) {
            return Err(missing());
        }
        let mut keys = disk::sorted_names(self.root(), "containers")?;
        keys.retain(|key| key.starts_with(text) || text.starts_with(key.as_str()));
        match keys.as_slice() {
            [] => Err(missing()),
            [key] => {
                let found = self.container_of_key(key)?;
                found.filter(|found| found.record.id.to_string().starts_with(text)).ok_or_else(missing)
            }
            _ => Err(Error::new(
                Kind::Ambiguous,
                format!("multiple containers have an id beginning with `{text}`"),
            )),
        }
    }

    fn state_of(&self, container: &Container, slot: Option<(Running, bool)>) -> Result<State> {
        let exit = match container.exit() {
            Err(error) if *error.kind() == Kind::Corrupt => {
                self.notices.damaged(&format!("{}/exit.json", container.path()));
                return Ok(slot
                    .filter(|(_, alive)| *alive)
                    .map_or(State::Dead, |(running, _)| State::Running(running)));
            }
            exit => exit?,
        };
        match (slot, exit) {
            (Some((running, true)), _) => Ok(State::Running(running)),
            (Some((_, false)), _) => Ok(State::Dead),
            (None, Some(exit)) => Ok(State::Exited(exit)),
            (None, None) if container.record.boot == self.boot_id()? => Ok(State::Created),
            (None, None) => Ok(State::Dead),
        }
    }
}

fn newest_first(mut list: Vec<Summary>) -> Vec<Summary> {
    list.sort_by_key(|summary| Reverse((summary.record.created, summary.record.id)));
    list
}

//! Containers: list, inspect, remove, diff.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::rootfs::{self, open_directory};
use rustix::fd::AsFd;
use store::{Container, State, Summary};

/// What [`Engine::remove_container`] may do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Removal {
    /// `-f`: end it first if it runs.
    pub force: bool,
}

impl Engine {
    /// All containers, newest first. Those of `--rm` that outlived the host's last boot go.
    pub fn containers(&self) -> Result<Vec<Summary>> {
        self.bury()?;
        let mut all = self.store.containers().map_err(from_store)?;
        all.retain(|one| !(one.record.remove && matches!(one.state, State::Dead) && self.remove_left(one)));
        Ok(all)
    }

    /// Whether it is gone.
    fn remove_left(&self, one: &Summary) -> bool {
        let held = self.store.container(&one.record.id.to_string()).and_then(Container::hold);
        held.is_ok_and(|held| self.discard(held).is_ok())
    }

    /// Those that run, newest first: the others are not even looked at.
    pub fn running(&self) -> Result<Vec<Summary>> {
        self.bury()?;
        self.store.running().map_err(from_store)
    }

    /// A container by name, id, or beginning of an id, with its state.
    pub fn container(&self, text: &str) -> Result<(Container, State)> {
        self.bury()?;
        let container = self.store.container(text).map_err(from_store)?;
        let state = self.store.state(&container).map_err(from_store)?;
        Ok((container, state))
    }

    /// Removes a container. Its full id is returned.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it runs and `force` is not set.
    pub fn remove_container(&self, text: &str, how: Removal) -> Result<String> {
        let (container, state) = self.container(text)?;
        let id = container.record.id.to_string();
        if let State::Running(running) = &state {
            if !how.force {
                let what = format!("container \"{id}\" is running");
                return Err(Error::new(Kind::Conflict, what).with_hint("`hull rm -f` ends it first"));
            }
            self.end(&container, running)?;
            // Of one that is just being started there is nothing to end yet.
            std::thread::sleep(std::time::Duration::from_millis(2));
            return self.remove_ended(text, id);
        }
        let held = self.hold_ended(&container.record.id)?;
        self.discard(held).map(|_| id)
    }

    /// With `--rm` its keeper has removed it; somebody may have started it again just now.
    fn remove_ended(&self, text: &str, id: String) -> Result<String> {
        match self.remove_container(text, Removal { force: true }) {
            Err(error) if *error.kind() == Kind::NotFound => Ok(id),
            other => other,
        }
    }

    /// Bytes that a container wrote into its root.
    pub fn written(&self, text: &str) -> Result<u64> {
        let container = self.store.container(text).map_err(from_store)?;
        self.store.written(&container).map_err(from_store)
    }

    /// What a container changed in its image's files; docker's `diff`.
    pub fn diff(&self, text: &str) -> Result<Vec<layer::Change>> {
        let (container, _) = self.container(text)?;
        let upper = open_directory(container.dir(), "upper")?;
        let layers = rootfs::open_layers(&self.layers_of(&container.record.layers)?)?;
        let lower = layer::Stack(layers.iter().map(AsFd::as_fd).collect());
        layer::changes(upper.as_fd(), &lower).map_err(|error| {
            Error::new(Kind::Failed, format!("compare container `{text}` with its image")).caused_by(error)
        })
    }
}

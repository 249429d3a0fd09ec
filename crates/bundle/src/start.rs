//! `start`: the program of a created container.

use crate::error::{from_runtime, status};
use crate::notify::Notify;
use crate::{Place, Result, State, Status};
use runtime::{Gate, Moment};
use std::path::Path;

impl Place {
    /// Lets the program of a created container run. With the caller's sd_notify socket, also waits until it is ready.
    ///
    /// # Errors
    /// [`Status`](crate::Kind::Status) if it does not wait for that; [`Start`](crate::Kind::Start) if its program
    /// cannot be executed: the container is stopped then.
    pub fn start(&self, notify: Option<&Path>, warn: &mut dyn FnMut(&str)) -> Result<()> {
        self.lock()?;
        let state = self.state()?;
        match state.status {
            Status::Created => {
                let notify = notify.map(|host| Notify::bind(self, host)).transpose()?;
                Gate::open(self.dir()).map_err(from_runtime)?;
                self.tell_hooks(&state, warn)?;
                notify.zip(state.record.process).map_or(Ok(()), |(notify, process)| notify.forward(process))
            }
            Status::Stopped => Err(status("cannot start a container that has stopped")),
            Status::Running | Status::Paused => Err(status("cannot start an already running container")),
            Status::Creating => Err(status("cannot start a container in the creating state")),
        }
    }

    fn tell_hooks(&self, state: &State, warn: &mut dyn FnMut(&str)) -> Result<()> {
        let hooks = if state.record.poststart { self.hooks(&state.record)? } else { None };
        let failures = hooks.iter().flat_map(|hooks| hooks.run_all(Moment::Poststart, state.pid));
        failures.for_each(|failure| warn(&failure.to_string()));
        Ok(())
    }
}

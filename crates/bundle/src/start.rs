//! `start`: the program of a created container.

use crate::error::{from_runtime, status};
use crate::{Place, Result, Status};
use runtime::Gate;

impl Place {
    /// Lets the program of a created container run.
    ///
    /// # Errors
    /// [`Status`](crate::Kind::Status) if it does not wait for that; [`Start`](crate::Kind::Start) if its program
    /// cannot be executed: the container is stopped then.
    pub fn start(&self) -> Result<()> {
        self.lock()?;
        match self.state()?.status {
            Status::Created => Gate::open(self.dir()).map_err(from_runtime),
            Status::Stopped => Err(status("cannot start a container that has stopped")),
            Status::Running | Status::Paused => Err(status("cannot start an already running container")),
            Status::Creating => Err(status("cannot start a container in the creating state")),
        }
    }
}

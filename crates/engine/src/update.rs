//! Other limits for a container that is there: written into its groups if it runs, and kept for later starts.

use crate::Engine;
use crate::compose::{self, LiveHost};
use crate::error::{Error, Kind, Result, from_store};
use crate::inspect::{details_of, host_config};
use crate::request::{LimitsRequest, Restart, RunRequest};
use crate::run::{from_compose, parsed, raw};
use fault::Context;
use oci::runtime::LinuxResources;
use store::{Container, Record, State};

/// What is to be another way; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct UpdateRequest {
    /// Of the limits those that docker's update has.
    pub limits: LimitsRequest,
    /// `--restart`
    pub restart: Option<Restart>,
}

impl Engine {
    /// Changes a container's limits, all or none. What could not be taken as meant is told.
    ///
    /// # Errors
    /// [`Kind::Invalid`] where they make no sense, [`Kind::Failed`] where the kernel does not take them.
    pub fn update(&self, text: &str, update: &UpdateRequest, warn: &mut dyn FnMut(&str)) -> Result<()> {
        let (container, _) = self.container(text)?;
        let mut warnings = Vec::new();
        let mut change = self.store.amend(&container).map_err(from_store)?;
        let resources = amend(&mut change.record, update, &mut warnings)?;
        let drafted = change.draft().map_err(from_store)?;
        self.hold(&container, &resources)?;
        drafted.commit().map_err(from_store)?;
        if update.restart.is_some() {
            // One that waits to be started again may not be to.
            self.bid_look(&container);
            self.keeps_up(&container)?;
        }
        warnings.iter().for_each(|warning| warn(warning));
        self.report(self.event_of(&container, "update"));
        Ok(())
    }

    /// From now on the host's end is not that of a container that runs.
    fn keeps_up(&self, container: &Container) -> Result<()> {
        match self.store.state(container).map_err(from_store)? {
            State::Running(running) if running.pid.is_some() => {
                container.set_begun(running.started).map_err(from_store)
            }
            _ => Ok(()),
        }
    }

    /// Writes limits into the groups of a container that runs. It is asked now whether it does: its record is locked.
    fn hold(&self, container: &Container, resources: &LinuxResources) -> Result<()> {
        let State::Running(running) = self.store.state(container).map_err(from_store)? else { return Ok(()) };
        let what = || format!("update container `{}`", container.record.name);
        match self.group_of(&running)? {
            Some(group) => self.cgroups.update(&group, resources).or_err(Kind::Failed, what),
            None => Ok(()),
        }
    }
}

/// What it is started from, and what is shown of it; what is to be written into its groups.
fn amend(record: &mut Record, update: &UpdateRequest, warnings: &mut Vec<String>) -> Result<LinuxResources> {
    let mut request: RunRequest = parsed(record.request.as_deref(), &record.name)?;
    if let Some(restart) = update.restart {
        if request.remove && !restart.is_no() {
            let what = "Restart policy cannot be updated because AutoRemove is enabled for the container";
            return Err(Error::new(Kind::Invalid, what));
        }
        request.restart = restart;
    }
    let resources = compose::update(&mut request.limits, &update.limits, &LiveHost, warnings);
    let resources = resources.map_err(from_compose)?;
    record.request = Some(raw(&request)?);
    let mut details = details_of(record);
    details["HostConfig"] = host_config(&request);
    record.details = Some(raw(&details)?);
    Ok(resources)
}

//! What is started when the host was: docker's rules (moby, `daemon.restore` and `ShouldRestart`).

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::request::{Restart, RunRequest};
use crate::run::parsed;
use jiff::Timestamp;
use store::{Container, Exit, Name, State, Summary};

/// What is known of a container's last life.
#[derive(Debug)]
struct Past {
    /// When it began, where a policy was to be kept.
    begun: Option<Timestamp>,
    /// The last end that was recorded, of that life or one before.
    exit: Option<Exit>,
    /// It was ended by hand.
    by_hand: bool,
}

impl Engine {
    /// Starts what should run and does not, in the order in which it was made, and tells what came of each. What runs is
    /// left alone; containers of `--rm` that outlived the host's last boot go.
    pub fn boot(&self, warn: &mut dyn FnMut(&str), told: &mut dyn FnMut(&Name, Result<()>)) -> Result<()> {
        for one in self.containers()?.iter().rev() {
            match self.starts_at_boot(one) {
                Ok(false) => {}
                Ok(true) => self.start_at_boot(one, warn, told),
                Err(error) => told(&one.record.name, Err(error)),
            }
        }
        Ok(())
    }

    fn starts_at_boot(&self, one: &Summary) -> Result<bool> {
        if matches!(one.state, State::Running(_)) || one.record.request.is_none() {
            return Ok(false);
        }
        let request: RunRequest = parsed(one.record.request.as_deref(), &one.record.name)?;
        if request.restart.is_no() {
            return Ok(false);
        }
        match self.store.container(&one.record.id.to_string()) {
            Err(error) if *error.kind() == store::Kind::NotFound => Ok(false),
            container => Ok(wants(request.restart, &past(&container.map_err(from_store)?)?)),
        }
    }

    fn start_at_boot(
        &self,
        one: &Summary,
        warn: &mut dyn FnMut(&str),
        told: &mut dyn FnMut(&Name, Result<()>),
    ) {
        let name = &one.record.name;
        match self.start(&one.record.id.to_string(), warn) {
            Err(error) if *error.kind() == Kind::Conflict && self.is_held(one) => {}
            Err(error) => {
                let what = format!("start container `{name}`");
                told(name, Err(Error::new(*error.kind(), what).caused_by(error)));
            }
            Ok(()) => told(name, Ok(())),
        }
    }

    /// Another command starts or removes it at this moment.
    fn is_held(&self, one: &Summary) -> bool {
        let held = self.store.container(&one.record.id.to_string()).and_then(Container::hold);
        held.is_err_and(|error| matches!(error.kind(), store::Kind::InUse | store::Kind::NotFound))
    }
}

fn past(container: &Container) -> Result<Past> {
    Ok(Past {
        begun: container.begun().map_err(from_store)?,
        exit: container.exit().map_err(from_store)?,
        by_hand: container.is_stopped().map_err(from_store)?,
    })
}

fn wants(policy: Restart, past: &Past) -> bool {
    past.has_run()
        && match policy {
            Restart::No => false,
            Restart::OnFailure { max } => !past.by_hand && past.failed(max),
            Restart::Always => true,
            Restart::UnlessStopped => !past.by_hand,
        }
}

impl Past {
    /// As docker: what never ran does not begin by itself.
    fn has_run(&self) -> bool {
        self.begun.is_some() || self.exit.as_ref().is_some_and(|exit| exit.started.is_some())
    }

    /// An end that nobody saw was the host's.
    fn failed(&self, max: Option<u32>) -> bool {
        let seen = self.exit.as_ref().filter(|exit| self.begun.is_none() || exit.started == self.begun);
        seen.is_none_or(|exit| exit.code != 0 && max.is_none_or(|max| exit.restarts < max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Restart = Restart::OnFailure { max: None };

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(second).unwrap())
    }

    /// Of a life that began at one second, and an end of one that began at another.
    fn past(begun: Option<Timestamp>, exit: Option<(i32, Option<Timestamp>)>, by_hand: bool) -> Past {
        let exit = exit.map(|(code, started)| Exit {
            code,
            oom: false,
            started,
            finished: Timestamp::from_second(9).unwrap(),
            error: None,
            restarts: 2,
        });
        Past { begun, exit, by_hand }
    }

    #[test]
    fn what_ran_when_the_host_ended_runs_again_under_any_policy() {
        for (exit, policy) in [None, Some((0, at(1)))].into_iter().zip([ANY; 2]) {
            let past = past(at(5), exit, false);
            assert!(wants(policy, &past) && wants(Restart::Always, &past));
            assert!(wants(Restart::UnlessStopped, &past) && !wants(Restart::No, &past));
        }
    }

    #[test]
    fn what_was_stopped_by_hand_runs_again_under_always_only() {
        let past = past(at(5), Some((143, at(5))), true);
        let all = [Restart::Always, Restart::UnlessStopped, ANY].map(|policy| wants(policy, &past));
        assert_eq!(all, [true, false, false]);
    }

    #[test]
    fn on_failure_looks_at_the_last_end_and_counts() {
        assert!(!wants(ANY, &past(at(5), Some((0, at(5))), false)));
        let failed = past(at(5), Some((3, at(5))), false);
        let most = |max| wants(Restart::OnFailure { max: Some(max) }, &failed);
        assert!(wants(ANY, &failed) && most(3) && !most(2));
    }

    #[test]
    fn what_never_ran_does_not_begin_by_itself() {
        assert!(!wants(Restart::Always, &past(None, None, false)));
        assert!(!wants(Restart::Always, &past(None, Some((127, None)), false)));
        // Its policy came later than its last life.
        assert!(wants(Restart::Always, &past(None, Some((0, at(5))), false)));
    }
}

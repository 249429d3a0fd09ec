//! Who keeps a scope alive until the container's first process is in it.
//!
//! systemd starts no scope without a process, and drops one that is empty. The container's first process is to be
//! born into its group, so somebody must be there before it: a process that does nothing.

use crate::setting::Setting;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Result;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use sys::process::{Birth, Clone3, clone3};

/// The process, until dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(super) pid: Pid,
    pidfd: OwnedFd,
    /// The limit of processes, which has room for this one as long as it is there.
    pub(crate) pids: Option<Setting>,
}

impl Seat {
    pub(super) fn take() -> Result<Self> {
        match clone3(&Clone3::default())? {
            Birth::Parent { pid, pidfd } => Ok(Self { pid, pidfd, pids: None }),
            Birth::Child => idle(),
        }
    }
}

/// Goes when its parent goes.
fn idle() -> ! {
    let bound = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    while bound.is_ok() && rustix::event::poll(&mut [], None).is_err() {}
    sys::process::exit_now(1)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

/// One more than was asked for, while the seat is taken.
pub(super) fn with_room(settings: &[Setting]) -> (Vec<Setting>, Option<Setting>) {
    let is_pids = |setting: &&Setting| setting.file == "pids.max";
    let asked = settings.iter().find(is_pids).cloned();
    let widened = settings.iter().map(|setting| match setting.value.parse::<u64>() {
        Ok(most) if is_pids(&setting) => Setting { value: (most + 1).to_string(), ..setting.clone() },
        _ => setting.clone(),
    });
    (widened.collect(), asked.filter(|setting| setting.value.parse::<u64>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Shown;

    #[test]
    fn the_seat_is_not_counted() {
        let set = |file: &str, value: &str| Setting::new("x", file, value, Shown::Same);
        let (widened, after) = with_room(&[set("pids.max", "1"), set("cpu.max", "5")]);
        assert_eq!(widened, [set("pids.max", "2"), set("cpu.max", "5")]);
        assert_eq!(after, Some(set("pids.max", "1")));
        assert_eq!(with_room(&[set("pids.max", "max")]).1, None);
    }
}

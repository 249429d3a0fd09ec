//! Telling whoever decides over a filter's calls whose they are.

use crate::create::VERSION;
use crate::error::from_runtime;
use crate::{Record, Result, Status};
use rustix::fd::OwnedFd;

/// Hands a filter's listener over, with the container process state (runtime.md, Container Process State).
pub(crate) fn hand_over(
    to: &runtime::Listener,
    listener: &OwnedFd,
    (record, status): (&Record, Status),
    pid: i32,
) -> Result<()> {
    let state = serde_json::json!({
        "ociVersion": VERSION,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": to.metadata,
        "state": {
            "ociVersion": VERSION,
            "id": record.id,
            "status": status.word(),
            "pid": record.process.map_or(pid, |process| process.pid),
            "bundle": record.bundle,
            "annotations": record.annotations,
        },
    });
    runtime::hand_over(to, listener, &state.to_string()).map_err(from_runtime)
}

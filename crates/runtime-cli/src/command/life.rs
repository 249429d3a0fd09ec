//! `start`, `kill`, `delete`

use super::{Caller, Done};
use crate::flags::{Syntax, Typed, mistake, switch};

pub(super) const START: Syntax = Syntax {
    name: "start",
    rest: "CONTAINER-ID",
    about: "execute the program of a created container",
    flags: &[],
    words: (1, 1),
    stops_after: usize::MAX,
};

pub(super) const KILL: Syntax = Syntax {
    name: "kill",
    rest: "CONTAINER-ID [SIGNAL]",
    about: "send a signal (default: SIGTERM) to a container's first process",
    flags: &[switch(&["all", "a"], "to all of its processes; one that has ended is no error")],
    words: (1, 2),
    stops_after: usize::MAX,
};

pub(super) const DELETE: Syntax = Syntax {
    name: "delete",
    rest: "CONTAINER-ID",
    about: "delete a container that has stopped",
    flags: &[switch(&["force", "f"], "kill it first if it runs; absent is fine")],
    words: (1, 1),
    stops_after: usize::MAX,
};

pub(super) fn start(typed: &Typed, caller: &Caller) -> Done {
    let notify = super::create::notify();
    let place = caller.root.open(&typed.words[0])?;
    place.start(notify.as_deref(), &mut |line| caller.log.warn(line))?;
    Ok(0)
}

pub(super) fn kill(typed: &Typed, caller: &Caller) -> Done {
    let place = caller.root.open(&typed.words[0])?;
    let signal = typed.words.get(1).map_or("SIGTERM", String::as_str);
    let Some(number) = number(signal) else {
        return Ok(mistake(format!("unknown signal {signal:?}"))?);
    };
    if typed.is_on("all") {
        place.kill_all(number.into())?
    } else {
        place.kill(number.into())?
    }
    Ok(0)
}

/// 0 as well, which asks whether the process is there: kill(2).
fn number(signal: &str) -> Option<u8> {
    if signal == "0" { Some(0) } else { oci::signal::parse(signal).ok() }
}

pub(super) fn delete(typed: &Typed, caller: &Caller) -> Done {
    caller.root.delete(&typed.words[0], typed.is_on("force"), &mut |line| caller.log.warn(line))?;
    Ok(0)
}

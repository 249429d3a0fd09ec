//! `create` and `run`

use super::{Caller, Done};
use crate::flags::{Flag, Read, Syntax, Typed, mistake, switch, value};
use bundle::{Create, Made};

const BUNDLE: Flag = value(&["bundle", "b"], "PATH", "the bundle's directory (default: the current one)");
const CONSOLE: Flag = value(&["console-socket"], "PATH", "socket that receives the terminal's master");
const PIDFD: Flag = value(&["pidfd-socket"], "PATH", "socket that receives a pidfd of the first process");
const PID_FILE: Flag = value(&["pid-file"], "FILE", "file that is to hold the first process's id");
const NO_PIVOT: Flag = switch(&["no-pivot"], "no pivot_root: for a root file system on a ramdisk");
const NO_KEYRING: Flag = switch(&["no-new-keyring"], "keep the caller's session keyring");
const PRESERVE: Flag = value(&["preserve-fds"], "N", "pass on N descriptors from 3 (behind $LISTEN_FDS)");

pub(super) const CREATE: Syntax = Syntax {
    name: "create",
    rest: "CONTAINER-ID",
    about: "create a container",
    flags: &[BUNDLE, CONSOLE, PIDFD, PID_FILE, NO_PIVOT, NO_KEYRING, PRESERVE],
    words: (1, 1),
    stops_after: usize::MAX,
};

pub(super) const RUN: Syntax = Syntax {
    name: "run",
    rest: "CONTAINER-ID",
    about: "create and run a container",
    flags: &[
        BUNDLE,
        CONSOLE,
        PIDFD,
        switch(&["detach", "d"], "leave as soon as the program runs"),
        switch(&["keep"], "keep the container when its program has ended"),
        PID_FILE,
        switch(&["no-subreaper"], "accepted: what outlives the program is ended by its group"),
        NO_PIVOT,
        NO_KEYRING,
        PRESERVE,
    ],
    words: (1, 1),
    stops_after: usize::MAX,
};

pub(super) fn create(typed: &Typed, caller: &Caller) -> Done {
    caller.root.create(&request(typed, caller)?, &mut |line| caller.log.warn(line))?;
    Ok(0)
}

pub(super) fn run(typed: &Typed, caller: &Caller) -> Done {
    match caller.root.run(&request(typed, caller)?, &mut |line| caller.log.warn(line))? {
        Made::Running => Ok(0),
        Made::Ended(code) => Ok(code),
    }
}

fn request(typed: &Typed, caller: &Caller) -> Read<Create> {
    let listened = listened();
    let kept = kept(typed, listened)?;
    Ok(Create {
        id: typed.words[0].clone(),
        bundle: typed.path("bundle").unwrap_or_else(|| std::env::current_dir().unwrap_or_default()),
        console_socket: typed.path("console-socket"),
        pidfd_socket: typed.path("pidfd-socket"),
        pid_file: typed.path("pid-file"),
        kept,
        listened,
        no_pivot: typed.is_on("no-pivot"),
        keeps_keyring: typed.is_on("no-new-keyring"),
        detach: typed.is_on("detach"),
        keep: typed.is_on("keep"),
        systemd: caller.systemd.clone(),
        rootless: caller.rootless,
        notify: notify(),
    })
}

/// How many descriptors from 3 on are passed on: sockets to listen on, and those of `--preserve-fds`.
pub(super) fn kept(typed: &Typed, listened: u16) -> Read<u16> {
    let preserved: u16 = typed.parsed("preserve-fds")?.unwrap_or(0);
    let kept = listened.saturating_add(preserved);
    match (3 + listened..3 + kept).find(|fd| !is_open(*fd)) {
        Some(missing) => {
            mistake(format!("unable to stat preserved-fd {} (of {preserved})", missing - 3 - listened))
        }
        None => Ok(kept),
    }
}

fn is_open(fd: u16) -> bool {
    std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok()
}

/// How many sockets we were given to pass on, see sd_listen_fds(3).
fn listened() -> u16 {
    let variable = |name| std::env::var(name).ok();
    let ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    variable("LISTEN_FDS").filter(|_| ours).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The socket on which our caller is told that the program is ready, see sd_notify(3).
pub(super) fn notify() -> Option<std::path::PathBuf> {
    std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).map(Into::into)
}

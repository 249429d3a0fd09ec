//! `--init`: the first process of a container that starts the program, passes signals on and reaps orphans.
//!
//! It is this binary under the name `docker-init`, bound read-only into the container, so that
//! through `/proc/1/exe` nobody can write to the one on the host.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use sys::signal::Set;

/// Where it is found in the container, as docker has it.
pub const PATH: &str = "/sbin/docker-init";

/// Runs `docker-init -- PROGRAM ARG…` and gives the program's exit code; 128 plus the signal that killed it.
pub fn main(args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let args: Vec<_> = args.skip_while(|arg| arg == "--").collect();
    match start(&args) {
        Ok(never) => match never {},
        Err(code) => ExitCode::from(code),
    }
}

fn start(args: &[std::ffi::OsString]) -> Result<Infallible, u8> {
    let (program, rest) = args.split_first().ok_or(125)?;
    let set = Set::full();
    let signals = sys::signal::descriptor(&set).map_err(|_| 125)?;
    sys::signal::block_exactly(&set).map_err(|_| 125)?;
    let mut command = Command::new(program);
    command.args(rest).process_group(0);
    let child = sys::process::spawn_with_default_signals(command).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => 127,
        _ => 126,
    })?;
    let main = Pid::from_child(&child);
    give_terminal_to(main);
    loop {
        if let Some(code) = reap(main) {
            return Err(code);
        }
        pass_signals(&signals, main);
    }
}

/// The program is its own process group, so that a job-controlling shell finds what it expects.
fn give_terminal_to(group: Pid) {
    let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), group);
}

/// Takes the dead, ours and the orphans'. The program's exit code, once it is among them.
fn reap(main: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == main {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            code = status.exit_status().or(signal).map(|code| code as u8);
        }
    }
    code
}

fn pass_signals(signals: &rustix::fd::OwnedFd, main: Pid) {
    let mut waited = [rustix::event::PollFd::new(signals, rustix::event::PollFlags::IN)];
    let _ = rustix::event::poll(&mut waited, None);
    while let Ok(Some(signal)) = sys::signal::next(signals) {
        match Signal::from_named_raw(signal) {
            Some(Signal::CHILD) | None => {}
            Some(signal) => {
                let _ = kill_process(main, signal);
            }
        }
    }
}

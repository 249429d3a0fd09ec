//! `exec`

use super::{Caller, Done, Failure};
use crate::flags::{Read, Syntax, Typed, boolean, mistake, switch, value};
use bundle::{Changes, Exec, Made};
use std::path::PathBuf;

pub(super) const EXEC: Syntax = Syntax {
    name: "exec",
    rest: "CONTAINER-ID COMMAND [ARG...]  |  -p process.json CONTAINER-ID",
    about: "execute another process in a container",
    flags: &[
        value(&["console-socket"], "PATH", "socket that receives the terminal's master"),
        value(&["pidfd-socket"], "PATH", "socket that receives a pidfd of the process"),
        value(&["cwd"], "PATH", "working directory in the container"),
        value(&["env", "e"], "KEY=VALUE", "more of the environment"),
        switch(&["tty", "t"], "allocate a terminal"),
        value(&["user", "u"], "UID[:GID]", "the user, by number"),
        value(&["additional-gids", "g"], "GID", "more groups"),
        value(&["process", "p"], "FILE", "all of the process, a process.json"),
        switch(&["detach", "d"], "leave as soon as the program runs"),
        value(&["pid-file"], "FILE", "file that is to hold the process's id"),
        value(&["process-label"], "LABEL", "SELinux's label of the process"),
        value(&["apparmor"], "PROFILE", "AppArmor's profile of the process"),
        switch(&["no-new-privs"], "the process and its children gain no privileges"),
        value(&["cap", "c"], "CAP", "more capabilities"),
        value(&["preserve-fds"], "N", "pass on N descriptors from 3"),
        value(&["cgroup"], "[CONTROLLER:]PATH", "groups below the container's own to be in"),
        switch(&["ignore-paused"], "go on although the container is paused"),
    ],
    words: (1, usize::MAX),
    stops_after: 1,
};

/// runc's exit code of an exec that did not come to its program's own.
const FAILED: i32 = 255;

pub(super) fn exec(typed: &Typed, caller: &Caller) -> Done {
    match try_exec(typed, caller) {
        Ok(code) => Ok(code),
        Err(failure) => {
            caller.log.error(&format!("exec failed: {}", failure.line()));
            Ok(FAILED)
        }
    }
}

fn try_exec(typed: &Typed, caller: &Caller) -> Result<i32, Failure> {
    let exec = request(typed)?;
    match caller.root.open(&typed.words[0])?.exec(&exec, &mut |line| caller.log.warn(line))? {
        Made::Running => Ok(0),
        Made::Ended(code) => Ok(code),
    }
}

fn request(typed: &Typed) -> Result<Exec, Failure> {
    let process = typed.path("process").map(std::fs::read).transpose()?;
    Ok(Exec {
        process,
        changes: changes(typed)?,
        console_socket: typed.path("console-socket"),
        pidfd_socket: typed.path("pidfd-socket"),
        pid_file: typed.path("pid-file"),
        kept: super::create::kept(typed, 0)?,
        detach: typed.is_on("detach"),
        ignore_paused: typed.is_on("ignore-paused"),
        groups: groups(typed.all("cgroup"))?,
    })
}

fn changes(typed: &Typed) -> Read<Changes> {
    let text = |name| typed.last(name).filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Changes {
        args: typed.words[1..].to_vec(),
        cwd: text("cwd"),
        env: typed.all("env").map(str::to_owned).collect(),
        terminal: typed.is_on("tty"),
        user: text("user").as_deref().map(user).transpose()?,
        groups: typed
            .all("additional-gids")
            .map(|gid| number(gid, "additional-gids"))
            .collect::<Read<_>>()?,
        capabilities: typed.all("cap").map(str::to_owned).collect(),
        apparmor: text("apparmor"),
        label: text("process-label"),
        no_new_privileges: typed.last("no-new-privs").and_then(boolean),
    })
}

fn user(text: &str) -> Read<(u32, Option<u32>)> {
    match text.split_once(':') {
        Some((uid, gid)) => Ok((number(uid, "uid")?, Some(number(gid, "gid")?))),
        None => Ok((number(text, "uid")?, None)),
    }
}

fn number(text: &str, what: &str) -> Read<u32> {
    text.parse().or_else(|_| mistake(format!("bad {what}: {text:?}")))
}

/// `PATH`, or any number of `CONTROLLER[,CONTROLLER]:PATH`, each controller once.
fn groups<'a>(all: impl Iterator<Item = &'a str>) -> Read<Vec<(Vec<String>, PathBuf)>> {
    let mut groups: Vec<(Vec<String>, PathBuf)> = Vec::new();
    for one in all {
        let (names, path) = match one.split_once(':') {
            Some((names, path)) => (names.split(',').map(str::to_owned).collect(), path),
            None => (Vec::new(), one),
        };
        let used = |name: &String| groups.iter().any(|(others, _)| others.contains(name));
        if names.iter().any(String::is_empty) {
            return mistake(format!("invalid --cgroup argument: {one} (empty <controller> prefix)"));
        }
        if let Some(name) = names.iter().find(|name| used(name)) {
            return mistake(format!(
                "invalid --cgroup argument(s): controller {name} specified multiple times"
            ));
        }
        groups.push((names, path.trim_start_matches('/').into()));
    }
    match groups.len() > 1 && groups.iter().any(|(names, _)| names.is_empty()) {
        true => mistake("invalid --cgroup argument: missing <controller>: prefix"),
        false => Ok(groups),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_apart_by_controllers() {
        let read = |words: &[&str]| groups(words.iter().copied());
        assert_eq!(read(&["sub"]).unwrap(), [(vec![], "sub".into())]);
        let two = read(&["cpu,cpuacct:a", "memory:/b"]).unwrap();
        assert_eq!(two[0], (vec!["cpu".to_owned(), "cpuacct".to_owned()], "a".into()));
        assert_eq!(two[1].1, PathBuf::from("b"));
        for bad in [&["a", "b"][..], &["cpu:a", "cpu:b"], &[":a"], &["cpu:a", "b"]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn users_are_numbers() {
        assert_eq!(user("7").unwrap(), (7, None));
        assert_eq!(user("7:8").unwrap(), (7, Some(8)));
        assert!(user("root").is_err() && user("1:").is_err() && user("-1").is_err());
    }
}

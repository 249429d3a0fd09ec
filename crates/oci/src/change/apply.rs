//! What each instruction does to a configuration, as docker's classic builder dispatches it.

use super::word::{expand, split};
use super::{Command, Instruction, port};
use crate::{ContainerConfig, Result, signal};

const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The configuration after all instructions.
pub(super) fn all(instructions: &[Instruction], mut config: ContainerConfig) -> Result<ContainerConfig> {
    // A new entry point makes the image's command meaningless, but not one given along with it.
    let mut command_given = false;
    for instruction in instructions {
        match instruction {
            Instruction::Cmd(command) => {
                config.cmd = Some(line(command, &config));
                command_given = true;
            }
            Instruction::Entrypoint(command) => {
                config.entrypoint = entrypoint(command, &config);
                config.cmd = config.cmd.filter(|_| command_given);
            }
            other => one(other, &mut config)?,
        }
    }
    Ok(config)
}

fn one(instruction: &Instruction, config: &mut ContainerConfig) -> Result<()> {
    match instruction {
        Instruction::Env(pairs) => set_env(pairs, config)?,
        Instruction::Label(pairs) => config.labels.extend(expand_pairs(pairs, &config.env)?),
        Instruction::Expose(words) => expose(words, config)?,
        Instruction::Volume(words) => add_volumes(words, config)?,
        Instruction::Workdir(path) => {
            config.working_dir = join(&config.working_dir, &expand(path, &config.env)?)
        }
        Instruction::User(user) => config.user = expand(user, &config.env)?,
        Instruction::StopSignal(name) => config.stop_signal = Some(stop_signal(name, config)?),
        Instruction::OnBuild(trigger) => config.on_build.push(trigger.clone()),
        Instruction::Healthcheck(check) => config.healthcheck = Some(check.clone()),
        Instruction::Cmd(_) | Instruction::Entrypoint(_) => unreachable!("`all` keeps these two"),
    }
    Ok(())
}

/// The argument list of a command; the shell form goes to the configuration's shell. A bare `CMD` is the
/// shell without a line, as docker has it (moby's `resolveCmdLine`).
fn line(command: &Command, config: &ContainerConfig) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(text) => {
            let mut words = config.shell.clone().unwrap_or_else(|| SHELL.map(String::from).into());
            words.extend(Some(text.clone()).filter(|text| !text.is_empty()));
            words
        }
    }
}

/// The argument list of an entry point; a bare `ENTRYPOINT` and an empty list clear it.
fn entrypoint(command: &Command, config: &ContainerConfig) -> Option<Vec<String>> {
    match command {
        Command::Shell(text) if text.is_empty() => None,
        command => Some(line(command, config)).filter(|words| !words.is_empty()),
    }
}

fn expand_pairs(pairs: &[(String, String)], env: &[String]) -> Result<Vec<(String, String)>> {
    pairs.iter().map(|(key, value)| Ok((expand(key, env)?, expand(value, env)?))).collect()
}

/// Replaces a variable where it stands, so that the order of the image stays.
fn set_env(pairs: &[(String, String)], config: &mut ContainerConfig) -> Result<()> {
    for (key, value) in expand_pairs(pairs, &config.env)? {
        let entry = format!("{key}={value}");
        match config.env.iter_mut().find(|old| old.split('=').next() == Some(&key)) {
            Some(old) => *old = entry,
            None => config.env.push(entry),
        }
    }
    Ok(())
}

fn expose(words: &[String], config: &mut ContainerConfig) -> Result<()> {
    for word in words {
        for text in split(word, &config.env)? {
            config.exposed_ports.extend(port::parse(&text)?);
        }
    }
    Ok(())
}

fn add_volumes(words: &[String], config: &mut ContainerConfig) -> Result<()> {
    for word in words {
        let path = expand(word, &config.env)?;
        config.volumes.insert(path);
    }
    Ok(())
}

fn stop_signal(name: &str, config: &ContainerConfig) -> Result<String> {
    let name = expand(name, &config.env)?;
    signal::parse(&name).map(|_| name)
}

/// A working directory below the one before, unless it is absolute.
fn join(current: &str, path: &str) -> String {
    if path.starts_with('/') { path.into() } else { clean(&format!("{current}/{path}")) }
}

/// Go's `path.Clean` of an absolute path.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

//! One file for each group of commands: its syntax, and what it does.

mod boot;
mod change;
mod complete;
mod container;
mod costs;
mod cp;
mod df;
mod doctor;
mod events;
mod explain;
mod export;
mod image;
mod info;
mod life;
mod logs;
mod look;
mod man;
mod manifest;
mod overview;
mod prune;
mod ps;
mod registry;
mod run;
mod run_flags;
mod stats;
mod system;
#[cfg(test)]
mod tests;
mod version;

use crate::edge::{self, Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, nearest, switch, value};
use crate::{Caller, help, render};
use std::ffi::OsString;

/// A command: all its names, what can be typed, and what is done.
struct Command {
    /// docker's one-word form first where there is one.
    names: &'static [&'static str],
    syntax: &'static Syntax,
    act: fn(&Typed, &Caller) -> Done,
}

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { names: &["run", "container run"], syntax: &run_flags::SYNTAX, act: run::run },
    Command { names: &["create", "container create"], syntax: &life::CREATE, act: life::create },
    Command { names: &["start", "container start"], syntax: &life::START, act: life::start },
    Command { names: &["stop", "container stop"], syntax: &life::STOP, act: life::stop },
    Command { names: &["restart", "container restart"], syntax: &life::RESTART, act: life::restart },
    Command { names: &["kill", "container kill"], syntax: &life::KILL, act: life::kill },
    Command { names: &["pause", "container pause"], syntax: &life::PAUSE, act: life::pause },
    Command { names: &["unpause", "container unpause"], syntax: &life::UNPAUSE, act: life::unpause },
    Command { names: &["wait", "container wait"], syntax: &life::WAIT, act: life::wait },
    Command { names: &["attach", "container attach"], syntax: &life::ATTACH, act: life::attach },
    Command { names: &["exec", "container exec"], syntax: &life::EXEC, act: life::exec },
    Command { names: &["logs", "container logs"], syntax: &logs::LOGS, act: logs::logs },
    Command { names: &["rename", "container rename"], syntax: &change::RENAME, act: change::rename },
    Command { names: &["update", "container update"], syntax: &change::UPDATE, act: change::update },
    Command { names: &["top", "container top"], syntax: &look::TOP, act: look::top },
    Command { names: &["stats", "container stats"], syntax: &stats::SYNTAX, act: stats::stats },
    Command { names: &["port", "container port"], syntax: &look::PORT, act: look::port },
    Command { names: &["ps", "container ls", "container list", "container ps"], syntax: &ps::LIST, act: ps::list },
    Command { names: &["rm", "container rm", "container remove"], syntax: &container::REMOVE, act: container::remove },
    Command { names: &["cp", "container cp"], syntax: &cp::SYNTAX, act: cp::copy },
    Command { names: &["export", "container export"], syntax: &export::SYNTAX, act: export::export },
    Command { names: &["diff", "container diff"], syntax: &container::DIFF, act: container::diff },
    Command { names: &["inspect"], syntax: &container::INSPECT_ANY, act: container::inspect_any },
    Command { names: &["container inspect"], syntax: &container::INSPECT, act: container::inspect },
    Command { names: &["container prune"], syntax: &container::PRUNE, act: container::prune },
    Command { names: &["explain", "container explain"], syntax: &explain::SYNTAX, act: explain::explain },
    Command { names: &["images", "image ls", "image list"], syntax: &image::LIST, act: image::list },
    Command { names: &["import", "image import"], syntax: &image::IMPORT, act: image::import },
    Command { names: &["load", "image load"], syntax: &image::LOAD, act: image::load },
    Command { names: &["pull", "image pull"], syntax: &registry::PULL, act: registry::pull },
    Command { names: &["push", "image push"], syntax: &registry::PUSH, act: registry::push },
    Command { names: &["save", "image save"], syntax: &image::SAVE, act: image::save },
    Command { names: &["commit", "container commit"], syntax: &image::COMMIT, act: image::commit },
    Command { names: &["login"], syntax: &registry::LOGIN, act: registry::login },
    Command { names: &["logout"], syntax: &registry::LOGOUT, act: registry::logout },
    Command { names: &["search"], syntax: &registry::SEARCH, act: registry::search },
    Command { names: &["tag", "image tag"], syntax: &image::TAG, act: image::tag },
    Command { names: &["history", "image history"], syntax: &image::HISTORY, act: image::history },
    Command { names: &["rmi", "image rm", "image remove"], syntax: &image::REMOVE, act: image::remove },
    Command { names: &["image inspect"], syntax: &image::INSPECT, act: image::inspect },
    Command { names: &["image tree"], syntax: &costs::TREE, act: costs::tree },
    Command { names: &["image diff"], syntax: &costs::DIFF, act: costs::diff },
    Command { names: &["image mount"], syntax: &costs::MOUNT, act: costs::mount },
    Command { names: &["image unmount", "image umount"], syntax: &costs::UNMOUNT, act: costs::unmount },
    Command { names: &["image copy"], syntax: &manifest::COPY, act: manifest::copy },
    Command { names: &["manifest create"], syntax: &manifest::CREATE, act: manifest::create },
    Command { names: &["manifest annotate"], syntax: &manifest::ANNOTATE, act: manifest::annotate },
    Command { names: &["manifest inspect"], syntax: &manifest::INSPECT, act: manifest::inspect },
    Command { names: &["manifest push"], syntax: &manifest::PUSH, act: manifest::push },
    Command { names: &["manifest rm"], syntax: &manifest::REMOVE, act: manifest::remove },
    Command { names: &["image prune"], syntax: &image::PRUNE, act: image::prune },
    Command { names: &["doctor", "system doctor"], syntax: &doctor::SYNTAX, act: doctor::doctor },
    Command { names: &["info", "system info"], syntax: &info::SYNTAX, act: info::info },
    Command { names: &["system df"], syntax: &df::SYNTAX, act: df::df },
    Command { names: &["system prune"], syntax: &system::PRUNE, act: system::prune },
    Command { names: &["system check"], syntax: &system::CHECK, act: system::check },
    Command { names: &["system boot"], syntax: &boot::BOOT, act: boot::boot },
    Command { names: &["system install"], syntax: &boot::INSTALL, act: boot::install },
    Command { names: &["system man"], syntax: &man::SYNTAX, act: man::man },
    Command { names: &["events", "system events"], syntax: &events::SYNTAX, act: events::events },
    Command { names: &["completion"], syntax: &complete::SYNTAX, act: complete::completion },
    Command { names: &["version"], syntax: &version::SYNTAX, act: version::version },
];

/// The first words of docker's two-word forms.
const GROUPS: [&str; 4] = ["container", "image", "manifest", "system"];

#[rustfmt::skip]
/// Commands of docker's, alone or after a group's name, that come with later capabilities.
const LATER: [&str; 15] = [
    "build", "builder", "buildx", "compose", "config", "context", "network", "node", "plugin", "secret", "service", "stack", "swarm", "trust", "volume",
];

/// What was typed of a command's name: a word, or two after a group's.
fn path(first: &str, second: Option<&str>) -> String {
    match second.filter(|_| GROUPS.contains(&first)) {
        Some(second) => format!("{first} {second}"),
        None => first.to_owned(),
    }
}

/// The command of a name, and how many words it is.
fn find(path: &str) -> Option<(&'static Command, usize)> {
    let command = COMMANDS.iter().find(|command| command.names.contains(&path))?;
    Some((command, path.split(' ').count()))
}

/// What may stand before the command.
const GLOBAL: Syntax = Syntax {
    name: "",
    rest: "COMMAND",
    about: "",
    flags: &[
        value("root", "DIR", "Keep everything below DIR"),
        switch("version", "Show the version").or('v'),
    ],
    examples: &[],
    words: (0, usize::MAX),
    stops: true,
};

/// Finds the command, reads its flags and does it.
pub(crate) fn dispatch(args: Vec<OsString>) -> (i32, Option<Failure>) {
    let is_run = std::cell::Cell::new(false);
    match act(args, &is_run) {
        Ok(code) => (code, None),
        Err(failure) => (edge::code_of(&failure, is_run.get()), Some(failure)),
    }
}

fn act(args: Vec<OsString>, is_run: &std::cell::Cell<bool>) -> Done {
    let global = GLOBAL.read(args)?;
    let caller = Caller::new(global.last("root").map(Into::into));
    if global.is_on("version") {
        return version::short();
    }
    if global.words.first().is_some_and(|first| first == complete::ASK) {
        return complete::answer(&global.words[1..]);
    }
    let mut words = global.words.iter().map(String::as_str);
    let (first, second) = (words.next(), words.next());
    let asks = global.help || matches!(first, None | Some("help"));
    let (first, second) = if first == Some("help") { (second, words.next()) } else { (first, second) };
    let Some(first) = first else { return say(overview::TEXT) };
    let Some((command, length)) = find(&path(first, second)) else { return without(first, second, asks) };
    if asks {
        return say(&help::command(command.syntax));
    }
    is_run.set(command.syntax.name == "run");
    let typed = command.syntax.read(global.words[length..].iter().map(Into::into).collect())?;
    if typed.help { say(&help::command(command.syntax)) } else { (command.act)(&typed, &caller) }
}

/// A group alone shows what is in it; anything else is a word mistyped.
fn without(first: &str, second: Option<&str>, asks: bool) -> Done {
    if GROUPS.contains(&first) && (asks || second.is_none_or(|word| matches!(word, "--help" | "-h"))) {
        return say(&group(first));
    }
    let typed = path(first, second);
    let names = COMMANDS.iter().flat_map(|command| command.names).copied().chain(GROUPS);
    let is_later = typed.split(' ').next_back().is_some_and(|word| LATER.contains(&word));
    let hint = match nearest(&typed, names) {
        _ if is_later => "this command of docker's is not available yet".to_owned(),
        Some(near) => format!("did you mean `hull {near}`?"),
        None => "`hull help` lists the commands".to_owned(),
    };
    Err(Mistake::new(format!("'{typed}' is not a hull command")).with_hint(hint).into())
}

/// A group's commands, each by its first name there.
fn group(first: &str) -> String {
    let mut text = format!("Usage: hull {first} COMMAND\n\n");
    for command in COMMANDS {
        let name = command.names.iter().find_map(|name| name.strip_prefix(first)?.strip_prefix(' '));
        let rows = name.map(|name| help::entry(name, command.syntax.about));
        text.extend(rows);
    }
    text + &format!("\n`hull {first} COMMAND --help` tells more.\n")
}

fn say(text: &str) -> Done {
    render::line(text.trim_end()).map(|()| 0)
}

/// What is told and does not matter.
fn told(error: engine::Error) -> Result<(), Failure> {
    edge::tell(&error.into());
    Ok(())
}

/// Acts on each of several things: a line each, the first failure's code at the end.
fn each(words: &[String], mut act: impl FnMut(&str) -> Result<(), Failure>) -> Done {
    let mut code = 0;
    for word in words {
        if let Err(failure) = act(word) {
            edge::tell(&failure);
            code = 1;
        }
    }
    Ok(code)
}

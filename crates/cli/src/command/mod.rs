//! One file for each group of commands: its syntax, and what it does.

mod container;
mod image;
mod overview;
mod run;
mod run_flags;
mod system;

use crate::edge::{self, Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, nearest, switch, value};
use crate::{Caller, help, render};
use std::ffi::OsString;

/// A command: what can be typed, and what is done.
struct Command {
    syntax: &'static Syntax,
    act: fn(&Typed, &Caller) -> Done,
}

/// Every command by all its names; docker's one-word forms and its two-word forms.
fn find(first: &str, second: Option<&str>) -> Option<(Command, usize)> {
    let (words, path) = match (first, second) {
        ("image" | "container" | "system", Some(second)) => (2, format!("{first} {second}")),
        _ => (1, first.to_owned()),
    };
    let command = |syntax, act| Some((Command { syntax, act }, words));
    match path.as_str() {
        "run" | "container run" => command(&run::RUN, run::run),
        "images" | "image ls" | "image list" => command(&image::LIST, image::list),
        "rmi" | "image rm" | "image remove" => command(&image::REMOVE, image::remove),
        "tag" | "image tag" => command(&image::TAG, image::tag),
        "history" | "image history" => command(&image::HISTORY, image::history),
        "import" | "image import" => command(&image::IMPORT, image::import),
        "load" | "image load" => command(&image::LOAD, image::load),
        "image inspect" => command(&image::INSPECT, image::inspect),
        "image prune" => command(&image::PRUNE, image::prune),
        "ps" | "container ls" | "container list" | "container ps" => {
            command(&container::LIST, container::list)
        }
        "rm" | "container rm" | "container remove" => command(&container::REMOVE, container::remove),
        "diff" | "container diff" => command(&container::DIFF, container::diff),
        "inspect" => command(&container::INSPECT_ANY, container::inspect_any),
        "container inspect" => command(&container::INSPECT, container::inspect),
        "container prune" => command(&container::PRUNE, container::prune),
        "info" | "system info" => command(&system::INFO, system::info),
        "system df" => command(&system::DF, system::df),
        "system prune" => command(&system::PRUNE, system::prune),
        "system check" => command(&system::CHECK, system::check),
        "version" => command(&system::VERSION, system::version),
        _ => None,
    }
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
        return system::version(&Typed::default(), &caller);
    }
    let mut words = global.words.iter().map(String::as_str);
    let (first, second) = (words.next(), words.next());
    let asks = global.help || matches!(first, None | Some("help"));
    let (first, second) = if first == Some("help") { (second, words.next()) } else { (first, second) };
    let Some(first) = first else { return say(overview::TEXT) };
    let Some((command, length)) = find(first, second) else { return without(first, second, asks) };
    if asks {
        return say(&help::command(command.syntax));
    }
    is_run.set(command.syntax.name == "run");
    let typed = command.syntax.read(global.words[length..].iter().map(Into::into).collect())?;
    if typed.help { say(&help::command(command.syntax)) } else { (command.act)(&typed, &caller) }
}

/// A group alone shows what is in it; anything else is a word mistyped.
fn without(first: &str, second: Option<&str>, asks: bool) -> Done {
    let names = overview::TEXT.lines().filter_map(|line| line.strip_prefix("  hull ")?.split("  ").next());
    if matches!(first, "image" | "container" | "system")
        && (asks || second.is_none_or(|word| word == "--help"))
    {
        let lines = overview::TEXT.lines().filter(|line| line.starts_with(&format!("  hull {first} ")));
        return say(&format!("Usage: hull {first} COMMAND\n\n{}\n", lines.collect::<Vec<_>>().join("\n")));
    }
    let typed = second
        .filter(|_| matches!(first, "image" | "container" | "system"))
        .map_or(first.to_owned(), |second| format!("{first} {second}"));
    let mistake = Mistake::new(format!("'{typed}' is not a hull command"));
    let hint = nearest(&typed, names)
        .map_or("`hull help` lists the commands".to_owned(), |near| format!("did you mean `hull {near}`?"));
    Err(mistake.with_hint(hint).into())
}

fn say(text: &str) -> Done {
    render::line(text.trim_end()).map(|()| 0)
}

/// Acts on each of several things: a line each, the first failure's code at the end.
fn each(words: &[String], act: impl Fn(&str) -> Result<(), Failure>) -> Done {
    let mut code = 0;
    for word in words {
        if let Err(failure) = act(word) {
            edge::tell(&failure);
            code = 1;
        }
    }
    Ok(code)
}

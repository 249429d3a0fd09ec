//! What may stand for a flag's value or a command's word: by what the tables call it.

use super::{Answer, Then};
use crate::Caller;
use crate::flags::{Flag, Syntax};
use engine::Engine;
use engine::inspect::status;
use store::Summary;

/// Words of flags that take one of a few.
#[rustfmt::skip]
const CHOICES: [(&str, &[&str]); 15] = [
    ("attach", &["stdin", "stdout", "stderr"]),
    ("cgroupns", &["private", "host"]),
    ("ipc", &["private", "shareable", "none", "host", "container:"]),
    ("log-driver", &["hull", "local", "json-file", "journald", "syslog", "none", "passthrough"]),
    ("network", &["none", "host", "container:"]),
    ("pid", &["private", "host", "container:"]),
    ("pull", &["missing", "never", "always"]),
    ("restart", &["no", "on-failure", "always", "unless-stopped"]),
    ("condition", &["not-running", "next-exit", "removed"]),
    ("security-opt", &["no-new-privileges", "seccomp=unconfined", "apparmor=", "label=", "systempaths=unconfined", "writable-cgroups", "mask=", "unmask=ALL"]),
    ("signal", SIGNALS),
    ("stop-signal", SIGNALS),
    ("type", &["container", "image"]),
    ("userns", &["auto", "host", "keep-id", "private:"]),
    ("uts", &["private", "host", "container:"]),
];

const SIGNALS: &[&str] =
    &["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "STOP", "CONT", "WINCH", "ABRT", "ALRM"];

/// What a flag's value may be.
pub(super) fn of(flag: &Flag, typed: &str, caller: &Caller) -> Answer {
    let choices = CHOICES.iter().find(|(name, _)| *name == flag.long).map(|(_, words)| *words);
    match (choices, flag.long, flag.value) {
        (Some(_), ..) if typed.starts_with("container:") => {
            containers(caller, "container:", |state| state == "running")
        }
        (Some(words), ..) => plain(words.iter().map(|word| (*word).to_owned())),
        (_, "cap-add" | "cap-drop", _) => {
            plain(std::iter::once("ALL".to_owned()).chain(engine::explain::capability_names()))
        }
        (_, "filter", _) => plain(keys(flag.help).map(|key| key + "=")),
        (_, "format", _) => plain(
            ["json", "table"].iter().filter(|word| flag.help.contains(**word)).map(|word| (*word).to_owned()),
        ),
        // Paths inside are nothing that can be seen from here.
        (_, "workdir" | "tmpfs", _) => Answer::default(),
        (_, "volume", _) if typed.contains(':') => Answer::default(),
        (_, "volume" | "device", _) => files(Then::Files),
        (_, _, value) if value.starts_with("FILE") => files(Then::Files),
        (_, _, "DIR") => files(Then::Directories),
        _ => Answer::default(),
    }
}

/// What a command's next word may be, by its place in `CONTAINER [COMMAND…]`.
pub(super) fn word(syntax: &Syntax, before: &[String], typed: &str, caller: &Caller) -> Answer {
    let mut answer = match kind(syntax.rest, before.len()) {
        kind if kind.contains('|') && kind.starts_with(|c: char| c.is_lowercase()) => {
            plain(kind.split('|').map(str::to_owned))
        }
        "CONTAINER" => containers_for(syntax.name, typed, caller),
        "IMAGE" | "NAME[:TAG]" | "REPOSITORY[:TAG]" => images(caller),
        "NAME" => {
            let mut both = containers_for(syntax.name, typed, caller);
            both.words.extend(images(caller).words);
            both
        }
        // Either side is a path here, or one of a container's.
        _ if syntax.name == "cp" => {
            let mut places = containers(caller, "", |_| true);
            places.words.iter_mut().for_each(|(word, _)| word.push(':'));
            Answer { then: Then::Files, ..places }
        }
        kind if kind.starts_with("FILE") => files(Then::Files),
        "DIR" => files(Then::Directories),
        _ => Answer::default(),
    };
    answer.words.retain(|(word, _)| !before.contains(word));
    answer
}

/// What the table calls the word at a place; what is called `NAME…` stands there again and again.
fn kind(rest: &str, at: usize) -> &str {
    let words: Vec<_> = rest.split(' ').collect();
    let last = words.last().filter(|last| last.contains('…'));
    let word = words.get(at).or(last).map_or("", |word| word.trim_matches(['[', ']', '…']));
    // The bracket belongs to the word itself: `NAME[:TAG]`.
    let whole = words.get(at).and_then(|full| full.find(word).map(|start| &full[start..]));
    match whole.and_then(|whole| whole.find(']').map(|end| &whole[..=end])) {
        Some(optional) if optional.contains('[') => optional,
        _ => word,
    }
}

fn plain(words: impl Iterator<Item = String>) -> Answer {
    Answer { words: words.map(|word| (word, String::new())).collect(), then: Then::Words }
}

fn files(then: Then) -> Answer {
    Answer { words: Vec::new(), then }
}

/// `Only some: until=TIME, label=L, …`: the keys of a filter, by what its help says of it.
fn keys(help: &str) -> impl Iterator<Item = String> {
    let list = help.rsplit(": ").next().unwrap_or(help);
    let key =
        |word: &str| word.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect::<String>();
    list.split(", ").map(key).filter(|key| !key.is_empty())
}

/// Those a command can do something with.
fn containers_for(command: &str, typed: &str, caller: &Caller) -> Answer {
    let is_fit = |state: &str| match command {
        "start" => !matches!(state, "running" | "paused"),
        "unpause" => state == "paused",
        "pause" => state == "running",
        "stop" | "kill" | "exec" | "attach" | "top" | "port" | "wait" => {
            matches!(state, "running" | "paused")
        }
        _ => true,
    };
    let named = containers(caller, "", is_fit);
    let is_name = typed.is_empty() || named.words.iter().any(|(name, _)| name.starts_with(typed));
    if is_name { named } else { by_id(caller, is_fit) }
}

fn containers(caller: &Caller, lead: &str, is_fit: impl Fn(&str) -> bool) -> Answer {
    each(caller, is_fit, |one| format!("{lead}{}", one.record.name))
}

fn by_id(caller: &Caller, is_fit: impl Fn(&str) -> bool) -> Answer {
    each(caller, is_fit, |one| one.record.id.short())
}

fn each(caller: &Caller, is_fit: impl Fn(&str) -> bool, word: impl Fn(&Summary) -> String) -> Answer {
    let Some(engine) = look(caller) else { return Answer::default() };
    let all = engine.containers().unwrap_or_default();
    let state = |one: &Summary| status(&one.state, engine.is_paused(&one.state));
    let fit = all.iter().map(|one| (one, state(one))).filter(|(_, state)| is_fit(state));
    let words = fit.map(|(one, state)| (word(one), format!("{state}, {}", one.record.image_name)));
    Answer { words: words.collect(), then: Then::Words }
}

fn images(caller: &Caller) -> Answer {
    let Some(engine) = look(caller) else { return Answer::default() };
    let named = engine.images(&[]).unwrap_or_default().into_iter().filter_map(|image| {
        let name = image.name.as_ref()?;
        let tag = name.tag().map_or(String::new(), |tag| format!(":{tag}"));
        Some((name.familiar_name() + &tag, crate::render::size(image.image.record.size)))
    });
    Answer { words: named.collect(), then: Then::Words }
}

/// Nothing is told on the way: a shell would show it among what is typed.
fn look(caller: &Caller) -> Option<Engine> {
    Engine::look(&caller.root, &caller.run).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_the_table() {
        assert_eq!(kind("CONTAINER [CONTAINER…]", 0), "CONTAINER");
        assert_eq!(kind("CONTAINER [CONTAINER…]", 5), "CONTAINER");
        assert_eq!(kind("IMAGE NAME[:TAG]", 1), "NAME[:TAG]");
        assert_eq!(kind("[REPOSITORY[:TAG]]", 0), "REPOSITORY[:TAG]");
        assert_eq!(kind("FILE|URL|- [REPOSITORY[:TAG]]", 0), "FILE|URL|-");
        assert_eq!(kind("CONTAINER NEW_NAME", 2), "");
        assert_eq!(kind("IMAGE [COMMAND [ARG…]]", 1), "COMMAND");
        assert_eq!(kind("", 0), "");
    }

    #[test]
    fn keys_of_filters_are_those_of_the_help() {
        let keys = |help| keys(help).collect::<Vec<_>>();
        assert_eq!(keys("Only some: until=TIME, label=L, label!=L"), ["until", "label", "label"]);
        assert_eq!(keys("type, event, …"), ["type", "event"]);
    }
}

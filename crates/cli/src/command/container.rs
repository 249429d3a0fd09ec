//! `hull rm`, `diff`, `inspect`, `container prune`.

use super::image::show;
use super::life::at_once;
use super::prune::{FILTER, confirm, tell_pruned, wanted};
use super::{each, told};
use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch, value};
use crate::render::line;
use engine::Engine;
use engine::container::Removal;
use serde_json::Value;

pub(super) const REMOVE: Syntax = Syntax {
    name: "rm",
    rest: "CONTAINER [CONTAINER…]",
    about: "Remove containers, with what they wrote.",
    flags: &[
        switch("force", "End one that runs").or('f'),
        switch("volumes", "Its anonymous volumes, too: it has none yet").or('v'),
        switch("link", "A link to it, not itself: it has none").or('l'),
    ],
    examples: &["hull rm web", "hull rm -f $(hull ps -aq --filter label=test)"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn remove(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let how = Removal { force: typed.is_on("force") };
    if typed.is_on("link") {
        return each(&typed.words, |name| no_link(&engine, name));
    }
    at_once(
        &typed.words,
        |name| match engine.remove_container(name, how) {
            // As docker: -f of what is not there is done.
            Err(error) if how.force && *error.kind() == engine::Kind::NotFound => told(error).map(|()| false),
            other => other.map_err(Failure::from).map(|_| true),
        },
        |name, is_gone| if is_gone { line(name) } else { Ok(()) },
    )
}

/// docker's answer where nothing is linked: the container itself is not removed.
fn no_link(engine: &Engine, name: &str) -> Result<(), Failure> {
    engine.container(name)?;
    Err(Mistake::new("conflict, cannot remove the default link name of the container").into())
}

pub(super) const DIFF: Syntax = Syntax {
    name: "diff",
    rest: "CONTAINER",
    about: "What a container changed in its files: A added, C changed, D deleted.",
    flags: &[],
    examples: &["hull diff web"],
    words: (1, 1),
    stops: false,
};

pub(super) fn diff(typed: &Typed, caller: &Caller) -> Done {
    for change in caller.look()?.diff(&typed.words[0])? {
        line(&format!("{} /{}", change.kind.letter(), String::from_utf8_lossy(&change.path)))?;
    }
    Ok(0)
}

pub(super) const INSPECT: Syntax = Syntax {
    name: "container inspect",
    rest: "CONTAINER [CONTAINER…]",
    about: "Everything about containers, as JSON.",
    flags: &[
        value("format", "TEMPLATE", "A Go template, or json").or('f'),
        switch("size", "What it wrote").or('s'),
    ],
    examples: &["hull container inspect -f '{{.State.Pid}}' web"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn inspect(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    show(typed, |name| view(&engine, name, typed.is_on("size")))
}

/// docker's JSON of a container; `-s` has sizes besides.
fn view(engine: &Engine, name: &str, with_sizes: bool) -> Result<Value, Failure> {
    let (container, state) = engine.container(name)?;
    let mut value = engine.inspect(&container, &state)?;
    if with_sizes {
        let (own, whole) = engine.sizes(&container)?;
        value["SizeRw"] = own.into();
        value["SizeRootFs"] = whole.into();
    }
    Ok(value)
}

pub(super) const INSPECT_ANY: Syntax = Syntax {
    name: "inspect",
    rest: "NAME [NAME…]",
    about: "Everything about containers or images, as JSON; a container where both have the name.",
    flags: &[
        value("format", "TEMPLATE", "A Go template, or json").or('f'),
        switch("size", "What a container wrote").or('s'),
        value("type", "TYPE", "container or image"),
    ],
    examples: &["hull inspect -f '{{.State.ExitCode}}' NAME"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn inspect_any(typed: &Typed, caller: &Caller) -> Done {
    match typed.last("type") {
        Some("container") => return inspect(typed, caller),
        Some("image") => return super::image::inspect(typed, caller),
        Some(other) => return Err(Mistake::new(format!("{other:?} is not a valid value for --type")).into()),
        None => {}
    }
    let engine = caller.look()?;
    let is_missing = |failure: &Failure| matches!(failure, Failure::Engine(error) if *error.kind() == engine::Kind::NotFound);
    show(typed, |name| match view(&engine, name, typed.is_on("size")) {
        Err(failure) if is_missing(&failure) => match image_view(&engine, name) {
            Err(failure) if is_missing(&failure) => {
                Err(Mistake::new(format!("no such object: {name}")).into())
            }
            other => other,
        },
        other => other,
    })
}

fn image_view(engine: &Engine, name: &str) -> Result<Value, Failure> {
    Ok(engine::image::inspect(engine, &engine.image(name)?)?)
}

pub(super) const PRUNE: Syntax = Syntax {
    name: "container prune",
    rest: "",
    about: "Remove all containers that have ended.",
    flags: &[FILTER, switch("force", "Do not ask").or('f')],
    examples: &["hull container prune --filter label=test"],
    words: (0, 0),
    stops: false,
};

pub(super) fn prune(typed: &Typed, caller: &Caller) -> Done {
    let what = wanted(typed)?;
    confirm(typed, "This will remove all stopped containers.")?;
    tell_pruned(&caller.look()?.prune_containers(&what.filters)?)
}

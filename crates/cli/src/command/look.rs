//! `hull top`, `hull port`.

use crate::Caller;
use crate::edge::Done;
use crate::flags::{Mistake, Syntax, Typed};
use crate::render::put;

pub(super) const TOP: Syntax = Syntax {
    name: "top",
    rest: "CONTAINER [PS OPTIONS]",
    about: "The processes of a container, by the host's pids.",
    flags: &[],
    examples: &["hull top web", "hull top web -o pid,user,etime,args", "hull top web aux"],
    words: (1, usize::MAX),
    stops: true,
};

pub(super) fn top(typed: &Typed, caller: &Caller) -> Done {
    let top = caller.look()?.top(&typed.words[0], &typed.words[1..])?;
    let rows: Vec<_> = std::iter::once(top.titles).chain(top.rows).collect();
    put(&template::table::table(&rows, 20)).map(|()| 0)
}

pub(super) const PORT: Syntax = Syntax {
    name: "port",
    rest: "CONTAINER [PORT[/PROTOCOL]]",
    about: "The ports of the host that lead to a container: none yet.",
    flags: &[],
    examples: &["hull port web"],
    words: (1, 2),
    stops: false,
};

pub(super) fn port(typed: &Typed, caller: &Caller) -> Done {
    let (container, _) = caller.look()?.container(&typed.words[0])?;
    match typed.words.get(1) {
        Some(port) => {
            let name = &container.record.name;
            Err(Mistake::new(format!("no public port '{port}' published for {name}")).into())
        }
        None => Ok(0),
    }
}

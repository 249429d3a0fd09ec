//! `hull cp`.

use crate::Caller;
use crate::edge::Done;
use crate::flags::{Mistake, Syntax, Typed, switch};
use crate::render::size;
use engine::Engine;
use engine::copy::CopyRequest;
use std::path::Path;

pub(super) const SYNTAX: Syntax = Syntax {
    name: "cp",
    rest: "CONTAINER:SRC DEST|- , or SRC|- CONTAINER:DEST",
    about: "Copy files out of a container or into it, whether it runs or not; - is a tar stream.",
    flags: &[
        switch("archive", "Keep the numbers of owners; otherwise copies are root's inside, yours outside")
            .or('a'),
        switch("follow-link", "Of a link, copy what it leads to").or('L'),
        switch("quiet", "Do not say what was copied").or('q'),
    ],
    examples: &["hull cp NAME:/etc/hosts .", "tar c src | hull cp - NAME:/build"],
    words: (2, 2),
    stops: false,
};

/// What was typed for one side.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Stream,
    Host(&'a str),
    Container(&'a str, &'a str),
}

/// docker's: what is absolute, or has nothing but dots before the colon, is the host's.
fn place(text: &str) -> Place<'_> {
    match text.split_once(':') {
        _ if text == "-" => Place::Stream,
        Some((container, path)) if !text.starts_with('/') && !container.starts_with('.') => {
            Place::Container(container, path)
        }
        _ => Place::Host(text),
    }
}

pub(super) fn copy(typed: &Typed, caller: &Caller) -> Done {
    let (from, to) = (typed.words[0].as_str(), typed.words[1].as_str());
    for (text, what) in [(from, "source"), (to, "destination")] {
        if text.is_empty() {
            return Err(Mistake::new(format!("{what} can not be empty")).into());
        }
    }
    let how = CopyRequest { archive: typed.is_on("archive"), follow: typed.is_on("follow-link") };
    let engine = caller.look()?;
    let bytes = match (place(from), place(to)) {
        (Place::Container(..), Place::Container(..)) => {
            return Err(Mistake::new("copying between containers is not supported").into());
        }
        (Place::Container(container, path), to) => out_of(&engine, container, path, &to, how)?,
        (from, Place::Container(container, path)) => into(&engine, &from, container, path, how)?,
        _ => return Err(Mistake::new("must specify at least one container source").into()),
    };
    let quiet = typed.switch("quiet").unwrap_or(!rustix::termios::isatty(rustix::stdio::stdout()));
    if let Some(bytes) = bytes.filter(|_| !quiet) {
        crate::edge::say(&format!("Successfully copied {} to {to}", size(bytes)));
    }
    Ok(0)
}

type Copied = Result<Option<u64>, engine::Error>;

fn out_of(engine: &Engine, container: &str, path: &str, to: &Place<'_>, how: CopyRequest) -> Copied {
    match to {
        Place::Host(to) => engine.copy_out(container, path, &absolute(to), how).map(Some),
        _ => engine.copy_out_stream(container, path, how.follow, std::io::stdout()).map(|()| None),
    }
}

fn into(engine: &Engine, from: &Place<'_>, container: &str, path: &str, how: CopyRequest) -> Copied {
    match from {
        Place::Host(from) => engine.copy_in(&absolute(from), container, path, how).map(Some),
        _ => engine.copy_in_stream(std::io::stdin(), container, path).map(|()| None),
    }
}

/// From the root, and with the end that was typed: `/` and `/.` mean something there.
fn absolute(text: &str) -> String {
    if text.starts_with('/') {
        return text.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_else(|_| Path::new("/").to_owned());
    format!("{}/{text}", here.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_parts_a_container_from_its_path() {
        for (text, is) in [
            ("web:/etc", Place::Container("web", "/etc")),
            ("web:", Place::Container("web", "")),
            ("web:a:b", Place::Container("web", "a:b")),
            ("/web:/etc", Place::Host("/web:/etc")),
            ("./web:/etc", Place::Host("./web:/etc")),
            ("../web:x", Place::Host("../web:x")),
            ("web", Place::Host("web")),
            ("-", Place::Stream),
        ] {
            assert_eq!(place(text), is, "{text}");
        }
    }
}

//! `spec`, `features`, and what is refused

use super::{Caller, Done};
use crate::flags::{Syntax, Typed, mistake, switch, value};
use serde_json::Value;
use std::io::Write;

pub(super) const SPEC: Syntax = Syntax {
    name: "spec",
    rest: "",
    about: "write a config.json to begin with",
    flags: &[
        value(&["bundle", "b"], "PATH", "the bundle's directory (default: the current one)"),
        switch(&["rootless"], "for a caller who is not root"),
    ],
    words: (0, 0),
    stops_after: usize::MAX,
};

pub(super) const FEATURES: Syntax = Syntax {
    name: "features",
    rest: "",
    about: "print what this runtime can do",
    flags: &[],
    words: (0, 0),
    stops_after: usize::MAX,
};

const fn refused(name: &'static str) -> Syntax {
    let about = "refused: containers are not checkpointed";
    Syntax { name, rest: "CONTAINER-ID", about, flags: &[], words: (0, usize::MAX), stops_after: 0 }
}

pub(super) const CHECKPOINT: Syntax = refused("checkpoint");
pub(super) const RESTORE: Syntax = refused("restore");

/// Whatever its flags.
pub(super) fn refuse(_: &Typed, _: &Caller) -> Done {
    Ok(mistake("checkpoint and restore are not supported: hull-runtime does not use CRIU")?)
}

pub(super) fn spec(typed: &Typed, _: &Caller) -> Done {
    let path = typed.path("bundle").unwrap_or_default().join("config.json");
    let text = tabbed(&bundle::example(typed.is_on("rootless")), b"\t")?;
    match std::fs::File::create_new(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Ok(mistake(format!("File {} exists. Remove it first", path.display()))?)
        }
        other => {
            other?.write_all(&text)?;
            Ok(0)
        }
    }
}

pub(super) fn features(_: &Typed, _: &Caller) -> Done {
    let mut text = tabbed(&bundle::features(), b"    ")?;
    text.push(b'\n');
    std::io::stdout().write_all(&text)?;
    Ok(0)
}

fn tabbed(value: &Value, indent: &[u8]) -> std::io::Result<Vec<u8>> {
    use serde::Serialize;
    let mut bytes = Vec::new();
    let form = serde_json::ser::PrettyFormatter::with_indent(indent);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, form))?;
    Ok(bytes)
}

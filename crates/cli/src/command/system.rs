//! `hull system …`.

use super::prune::{FILTER, confirm, tell_pruned, wanted};
use crate::Caller;
use crate::edge::Done;
use crate::flags::{Syntax, Typed, switch, value};
use crate::render::{self, line};

pub(super) const fn plain(name: &'static str, about: &'static str) -> Syntax {
    Syntax { name, rest: "", about, flags: &[FORMAT], examples: &[], words: (0, 0), stops: false }
}

pub(super) const FORMAT: crate::flags::Flag = value("format", "FORMAT", "json, or a Go template").or('f');

/// One value as `--format` says.
pub(super) fn formatted(format: &str, value: &serde_json::Value) -> Done {
    match format {
        "json" => line(&value.to_string())?,
        text => line(&render::render(&render::parse(text)?, value)?)?,
    }
    Ok(0)
}

pub(super) const PRUNE: Syntax = Syntax {
    flags: &[
        switch("all", "All images that no container uses, not only nameless ones").or('a'),
        FILTER,
        switch("force", "Do not ask").or('f'),
    ],
    examples: &["hull system prune -a --filter until=24h"],
    ..plain("system prune", "Remove containers that have ended, images nobody uses, and garbage.")
};

pub(super) fn prune(typed: &Typed, caller: &Caller) -> Done {
    let what = wanted(typed)?;
    let images = match what.all {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    };
    let garbage = "what a crash left, and layers that nothing uses";
    let list = format!("This will remove:\n  - all stopped containers\n  - {images}\n  - {garbage}\n");
    confirm(typed, &list)?;
    tell_pruned(&caller.look()?.prune(&what)?)
}

pub(super) const CHECK: Syntax = Syntax {
    flags: &[switch("repair", "Remove what is garbage")],
    examples: &["hull system check", "hull system check --repair"],
    ..plain("system check", "Look for what a crash left or somebody broke.")
};

/// 0 when all is well, 1 when something was found that is still there.
pub(super) fn check(typed: &Typed, caller: &Caller) -> Done {
    let repair = typed.is_on("repair");
    let found = caller.look()?.check(repair)?;
    for finding in &found {
        let mended = if repair && finding.is_garbage() { "removed: " } else { "" };
        line(&format!("{mended}{finding}"))?;
    }
    let left = found.iter().filter(|finding| !(repair && finding.is_garbage())).count();
    line(&if left == 0 {
        "nothing left to do".to_owned()
    } else {
        format!("{left} left; `hull system check --repair` removes garbage")
    })?;
    Ok(i32::from(left > 0))
}

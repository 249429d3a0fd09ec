//! What the three prunes have in common: their filter, their question, their words at the end.

use crate::edge::{Done, Failure};
use crate::flags::{Flag, Mistake, Typed, value};
use crate::render::{line, put, size};
use engine::prune::{Filters, Prune, Pruned};
use store::Removed;

pub(super) const FILTER: Flag = value("filter", "KEY=VALUE", "Only some: until=TIME, label=L, label!=L");

/// What is to be taken.
pub(super) fn wanted(typed: &Typed) -> Result<Prune, Failure> {
    let filters = typed.filters()?;
    let pairs = filters.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Ok(Prune { all: typed.is_on("all"), filters: Filters::new(pairs)? })
}

/// Asks, unless `--force` says not to.
pub(super) fn confirm(typed: &Typed, what: &str) -> Result<(), Failure> {
    if typed.is_on("force") {
        return Ok(());
    }
    let filters: String = typed.all("filter").map(|filter| format!("  - {filter}\n")).collect();
    let filters = match filters.is_empty() {
        true => String::new(),
        false => format!("\n  Items to be pruned will be filtered with:\n{filters}"),
    };
    let what = what.trim_end();
    put(&format!("WARNING! {what}\n{filters}Are you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim().eq_ignore_ascii_case("y") || answer.trim().eq_ignore_ascii_case("yes") {
        true => Ok(()),
        false => Err(Mistake::new("nothing was removed").into()),
    }
}

/// In docker's words.
pub(super) fn tell_pruned(pruned: &Pruned) -> Done {
    if !pruned.containers.is_empty() {
        line(&format!("Deleted Containers:\n{}\n", pruned.containers.join("\n")))?;
    }
    if !pruned.images.is_empty() {
        let lines: Vec<_> = pruned.images.iter().map(removed_line).collect();
        line(&format!("Deleted Images:\n{}\n", lines.join("\n")))?;
    }
    line(&format!("Total reclaimed space: {}", size(pruned.bytes))).map(|()| 0)
}

/// A prune's lines are small where those of `rmi` are not.
fn removed_line(removed: &Removed) -> String {
    match removed {
        Removed::Untagged(name) => format!("untagged: {}", name.familiar()),
        Removed::Deleted(id) => format!("deleted: {id}"),
        Removed::DeletedLayer(id) => format!("deleted: {id}"),
    }
}

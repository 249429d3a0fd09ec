//! `state`, `list`

use super::{Caller, Done};
use crate::flags::{Syntax, Typed, mistake, switch, value};
use bundle::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

pub(super) const STATE: Syntax = Syntax {
    name: "state",
    rest: "CONTAINER-ID",
    about: "print the state of a container",
    flags: &[],
    words: (1, 1),
    stops_after: usize::MAX,
};

pub(super) const LIST: Syntax = Syntax {
    name: "list",
    rest: "",
    about: "list the containers of the root directory",
    flags: &[
        value(&["format", "f"], "FORMAT", "table or json (default: table)"),
        switch(&["quiet", "q"], "only their ids"),
    ],
    words: (0, 0),
    stops_after: usize::MAX,
};

/// A state as runc prints it, its members in runc's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: &'a str,
    bundle: &'a str,
    rootfs: &'a str,
    created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner: String,
}

fn printed(state: &State, owner: String) -> Printed<'_> {
    let record = &state.record;
    Printed {
        oci_version: &record.oci_version,
        id: &record.id,
        pid: state.pid.unwrap_or(0),
        status: state.status.word(),
        bundle: record.bundle.to_str().unwrap_or_default(),
        rootfs: record.rootfs.to_str().unwrap_or_default(),
        created: record.created.to_string(),
        annotations: &record.annotations,
        owner,
    }
}

pub(super) fn state(typed: &Typed, caller: &Caller) -> Done {
    let state = caller.root.open(&typed.words[0])?.state()?;
    let text = serde_json::to_string_pretty(&printed(&state, String::new())).map_err(std::io::Error::from)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

pub(super) fn list(typed: &Typed, caller: &Caller) -> Done {
    let states = states(caller)?;
    let mut text = String::new();
    match (typed.is_on("quiet"), typed.last("format").unwrap_or("table")) {
        (true, _) => states.iter().for_each(|(state, _)| text += &format!("{}\n", state.record.id)),
        (_, "table") => text = table(&states),
        (_, "json") => {
            let all: Vec<_> = states.iter().map(|(state, owner)| printed(state, owner.clone())).collect();
            text = serde_json::to_string(&all).map_err(std::io::Error::from)? + "\n";
        }
        _ => return Ok(mistake("invalid format option")?),
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// Each container, and the name of its owner. One that goes meanwhile is left out.
fn states(caller: &Caller) -> Result<Vec<(State, String)>, bundle::Error> {
    let mut names = BTreeMap::new();
    let mut states = Vec::new();
    for id in caller.root.ids()? {
        let Ok(place) = caller.root.open(&id) else { continue };
        match place.state() {
            Ok(state) => {
                let uid = place.owner();
                let owner = names.entry(uid).or_insert_with(|| user_name(uid)).clone();
                states.push((state, owner));
            }
            Err(error) if *error.kind() == bundle::Kind::NotFound => {}
            Err(error) => caller.log.error(&format!("load container {id}: {error}")),
        }
    }
    Ok(states)
}

fn user_name(uid: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("#{uid}"))
}

/// As runc prints it: columns 12 wide at least.
fn table(states: &[(State, String)]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned).to_vec();
    let row = |(state, owner): &(State, String)| {
        let record = &state.record;
        vec![
            record.id.clone(),
            state.pid.unwrap_or(0).to_string(),
            state.status.word().to_owned(),
            record.bundle.display().to_string(),
            record.created.to_string(),
            owner.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(states.iter().map(row)).collect();
    template::table::table(&rows, 12)
}

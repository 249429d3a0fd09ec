//! `hull version`: in docker's form, though one program is client and server.

use super::system::{formatted, plain};
use crate::Caller;
use crate::edge::Done;
use crate::flags::{Syntax, Typed};
use crate::render::{line, put};
use serde_json::{Value, json};

pub(super) const SYNTAX: Syntax = Syntax {
    examples: &["hull version", "hull version --format '{{.Server.Version}}'"],
    ..plain("version", "The version of hull.")
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `hull --version`
pub(super) fn short() -> Done {
    line(&format!("hull {VERSION}")).map(|()| 0)
}

pub(super) fn version(typed: &Typed, _caller: &Caller) -> Done {
    let value = value();
    match typed.filled("format") {
        Some(format) => formatted(format, &value),
        None => put(&text(&value)).map(|()| 0),
    }
}

fn value() -> Value {
    let architecture = oci::Platform::host().architecture;
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let details = json!({"Arch": architecture, "KernelVersion": kernel, "Os": "linux"});
    json!({
        "Client": {"Version": VERSION, "Os": "linux", "Arch": architecture, "Context": "default"},
        "Server": {
            "Platform": {"Name": "hull"},
            "Components": [{"Name": "Engine", "Version": VERSION, "Details": details}],
            "Version": VERSION, "Os": "linux", "Arch": architecture, "KernelVersion": kernel,
        },
    })
}

fn text(value: &Value) -> String {
    let of = |side: &str, name: &str| value[side][name].as_str().unwrap_or_default().to_owned();
    let platform = |side| format!("{}/{}", of(side, "Os"), of(side, "Arch"));
    format!(
        "Client:\n Version:           {}\n OS/Arch:           {}\n\nServer:\n Engine:\n  Version:          {}\n  \
         OS/Arch:          {}\n  Kernel:           {}\n",
        of("Client", "Version"),
        platform("Client"),
        of("Server", "Version"),
        platform("Server"),
        of("Server", "KernelVersion"),
    )
}

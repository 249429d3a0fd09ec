//! One file for each group of commands: its syntax, and what it does.

mod about;
mod create;
mod exec;
mod life;
mod limits;
mod ps;
mod show;

use crate::flags::{self, Mistake, Syntax, Typed, mistake, switch, value};
use crate::log::{Format, Log};
use bundle::{Manager, Root};
use std::ffi::OsString;
use std::io::Write;

/// Why a command ended without its own exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Typed wrong.
    Mistake(Mistake),
    /// Went wrong.
    Bundle(bundle::Error),
    /// Standard output refused.
    Output(std::io::Error),
}

/// The exit code of a command that did its work.
pub(crate) type Done = Result<i32, Failure>;

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

impl From<bundle::Error> for Failure {
    fn from(error: bundle::Error) -> Self {
        Self::Bundle(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// In one line, the causes behind colons, as engines look for them.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Mistake(Mistake(what)) => what.clone(),
            Self::Output(error) => format!("write the output: {error}"),
            Self::Bundle(error) => {
                let line = error.line();
                error.hint().map_or(line.clone(), |hint| format!("{line} ({hint})"))
            }
        }
    }
}

/// What was said before the command.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) root: Root,
    pub(crate) log: Log,
    /// Who makes control groups, if it is systemd.
    pub(crate) systemd: Option<Manager>,
    /// May containers go without groups that are refused? None: whoever is not root may.
    pub(crate) rootless: Option<bool>,
}

/// A command: its syntax, and what is done.
struct Command {
    syntax: &'static Syntax,
    act: fn(&Typed, &Caller) -> Done,
}

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { syntax: &create::CREATE, act: create::create },
    Command { syntax: &create::RUN, act: create::run },
    Command { syntax: &life::START, act: life::start },
    Command { syntax: &life::KILL, act: life::kill },
    Command { syntax: &life::DELETE, act: life::delete },
    Command { syntax: &exec::EXEC, act: exec::exec },
    Command { syntax: &show::STATE, act: show::state },
    Command { syntax: &show::LIST, act: show::list },
    Command { syntax: &ps::PS, act: ps::ps },
    Command { syntax: &limits::PAUSE, act: limits::pause },
    Command { syntax: &limits::RESUME, act: limits::resume },
    Command { syntax: &limits::UPDATE, act: limits::update },
    Command { syntax: &limits::EVENTS, act: limits::events },
    Command { syntax: &about::FEATURES, act: about::features },
    Command { syntax: &about::SPEC, act: about::spec },
    Command { syntax: &about::CHECKPOINT, act: about::refuse },
    Command { syntax: &about::RESTORE, act: about::refuse },
];

/// The commands of which a process gets into a container.
const ENTERING: [&str; 3] = ["create", "run", "exec"];

/// What may stand before the command. `--criu` and crun's `--cgroup-manager` are taken for those who pass them.
const GLOBAL: Syntax = Syntax {
    name: "",
    rest: "COMMAND",
    about: "",
    flags: &[
        switch(&["debug"], "enable debug logging"),
        value(&["log"], "FILE", "where errors are written, besides standard error"),
        value(&["log-format"], "FORMAT", "text or json (default: text)"),
        value(
            &["root"],
            "DIR",
            "where containers are kept; on a tmpfs (default: /run/hull-runtime, or $XDG_RUNTIME_DIR/hull-runtime)",
        ),
        value(&["criu"], "PATH", "accepted: containers are not checkpointed"),
        switch(&["systemd-cgroup"], "cgroups by systemd; cgroupsPath is \"slice:prefix:name\""),
        value(
            &["rootless"],
            "BOOL",
            "go without cgroups that are refused: true, false or auto (default: auto)",
        ),
        switch(&["version", "v"], "print the version"),
    ],
    words: (0, usize::MAX),
    stops_after: 1,
};

/// Finds the command, reads its flags and does it.
pub(crate) fn dispatch(args: Vec<OsString>) -> i32 {
    let plain = Log::default();
    let global = match GLOBAL.read(args) {
        Ok(global) => global,
        Err(Mistake(what)) => return refuse(&plain, &what),
    };
    if global.is_on("version") {
        return print(&version());
    }
    let mut words = global.words.iter();
    let Some(name) = words.next().filter(|name| !global.help && *name != "help") else {
        return print(&overview());
    };
    let caller = match caller(&global) {
        Ok(caller) => caller,
        Err(Mistake(what)) => return refuse(&plain, &what),
    };
    let Some(command) = COMMANDS.iter().find(|command| command.syntax.name == name) else {
        return refuse(&caller.log, &format!("no command {name:?}: `hull-runtime help` lists them"));
    };
    caller.log.debug(&format!("{name}: {:?}", global.words));
    match act(command, words.map(OsString::from), &caller) {
        Ok(code) => code,
        Err(failure) => {
            caller.log.error(&failure.line());
            1
        }
    }
}

fn act(command: &Command, args: impl Iterator<Item = OsString>, caller: &Caller) -> Done {
    let typed = command.syntax.read(args)?;
    if typed.help {
        return Ok(print(&command.syntax.help()));
    }
    if ENTERING.contains(&command.syntax.name) {
        bundle::seal(std::env::args_os(), std::env::vars_os())?;
    }
    (command.act)(&typed, caller)
}

fn caller(global: &Typed) -> flags::Read<Caller> {
    let format = match global.last("log-format") {
        None | Some("" | "text") => Format::Text,
        Some("json") => Format::Json,
        Some(other) => return mistake(format!("invalid log-format: {other}")),
    };
    let file = match global.path("log") {
        None => None,
        Some(path) => match std::fs::File::options().create(true).append(true).open(&path) {
            Ok(file) => Some(file),
            Err(error) => return mistake(format!("open log `{}`: {error}", path.display())),
        },
    };
    let log = Log { file, format, debug: global.is_on("debug") };
    let systemd = global.is_on("systemd-cgroup").then(manager);
    let rootless = match global.last("rootless") {
        None | Some("" | "auto") => None,
        Some(word) => match flags::boolean(word) {
            None => return mistake(format!("invalid value {word:?} for -rootless: true, false or auto")),
            said => said,
        },
    };
    Ok(Caller { root: root(global)?, log, systemd, rootless })
}

/// Root has the system's, others their own; so has who is root only in a user namespace.
fn manager() -> Manager {
    match is_hosts_root() {
        true => Manager::System,
        false => Manager::User {
            runtime: variable("XDG_RUNTIME_DIR").map(Into::into),
            address: variable("DBUS_SESSION_BUS_ADDRESS"),
        },
    }
}

fn is_hosts_root() -> bool {
    rustix::process::geteuid().is_root() && bundle::Caller::now() == bundle::Caller::Root
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// As runc: whoever is not root keeps them in `$XDG_RUNTIME_DIR`, and who is root of a user namespace, unless it calls
/// itself so.
fn own_root() -> std::path::PathBuf {
    const ROOTS: &str = "/run/hull-runtime";
    let Some(directory) = variable("XDG_RUNTIME_DIR") else { return ROOTS.into() };
    match rustix::process::geteuid().is_root() {
        true if is_hosts_root() || variable("USER").as_deref() == Some("root") => ROOTS.into(),
        _ => std::path::Path::new(&directory).join("hull-runtime"),
    }
}

fn root(global: &Typed) -> flags::Read<Root> {
    match global.path("root") {
        None => Ok(Root::new(own_root())),
        Some(path) if path == std::path::Path::new("/") => mistake("option --root should not be set to /"),
        Some(path) => Ok(Root::new(path)),
    }
}

fn refuse(log: &Log, what: &str) -> i32 {
    log.error(what);
    1
}

/// Engines look for `commit` and `spec` in it.
fn version() -> String {
    format!("hull-runtime version {}\nspec: {}\n", env!("CARGO_PKG_VERSION"), bundle::VERSION)
}

fn overview() -> String {
    let mut text = "\
NAME:
   hull-runtime - runs containers from OCI bundles

USAGE:
   hull-runtime [global options] COMMAND [command options] [arguments...]

COMMANDS:
"
    .to_owned();
    for Command { syntax, .. } in COMMANDS {
        text += &format!("   {:<12} {}\n", syntax.name, syntax.about);
    }
    text += "\nGLOBAL OPTIONS:\n";
    GLOBAL.flags.iter().for_each(|flag| text += &flag.help_line());
    text
}

/// Whoever closed standard output is not told.
fn print(text: &str) -> i32 {
    let _ = std::io::stdout().write_all(text.as_bytes());
    0
}

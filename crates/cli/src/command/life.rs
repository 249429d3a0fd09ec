//! The life of a container: `create`, `start`, `stop`, `kill`, `restart`, `pause`, `unpause`, `wait`, `attach`.

use super::{each, run, run_flags};
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, integer, switch, value};
use crate::render::line;
use crate::{Caller, edge};
use engine::Kind;
use engine::life::{Attaching, ExecRequest, Parted, StopRequest};
use engine::request;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub(super) const CREATE: Syntax = Syntax {
    name: "create",
    rest: "IMAGE [COMMAND [ARG…]]",
    about: "Make a container and leave it to `hull start`.",
    flags: run_flags::CREATE,
    examples: &["hull create --name web -m 256m debian:bookworm sleep 1000"],
    words: (1, usize::MAX),
    stops: true,
};

pub(super) fn create(typed: &Typed, caller: &Caller) -> Done {
    let request = run::request_of(typed, caller)?;
    let engine = caller.engine()?;
    let create = |request: &request::RunRequest| Ok(engine.create(request, &mut edge::warn)?);
    let id = run::with_image(typed, caller, &engine, request, create)?;
    line(&id.to_string()).map(|()| 0)
}

pub(super) const START: Syntax = Syntax {
    name: "start",
    rest: "CONTAINER [CONTAINER…]",
    about: "Start containers that were created or have ended.",
    flags: &[
        switch("attach", "Show its output, and pass signals on").or('a'),
        switch("interactive", "Send it standard input").or('i'),
        value("detach-keys", "KEYS", "Keys that detach from a terminal (ctrl-p,ctrl-q)"),
    ],
    examples: &["hull start -ai NAME"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn start(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    let (attach, input) = (typed.is_on("attach"), typed.is_on("interactive"));
    if !attach && !input {
        return each(&typed.words, |name| {
            engine.start(name, &mut edge::warn)?;
            line(name)
        });
    }
    let [name] = typed.words.as_slice() else {
        return Err(Mistake::new("you cannot start and attach multiple containers at once").into());
    };
    let how = Attaching { input, output: attach || input, error: attach || input, ..attaching(typed)? };
    over(engine.start_attached(name, input, &how, run::streams_of_host(), &mut edge::warn)?)
}

/// docker's detach ends with 0.
fn over(parted: Parted) -> Done {
    match parted {
        Parted::Ended(code) => Ok(code),
        Parted::Detached => Ok(0),
    }
}

fn attaching(typed: &Typed) -> Result<Attaching, Failure> {
    let default = request::StreamsRequest::default();
    let keys = typed.parsed("detach-keys", request::detach_keys)?;
    Ok(Attaching {
        input: true,
        output: true,
        error: true,
        proxy_signals: typed.switch("sig-proxy").unwrap_or(true),
        orders: false,
        detach_keys: keys.unwrap_or(default.detach_keys),
    })
}

pub(super) const ATTACH: Syntax = Syntax {
    name: "attach",
    rest: "CONTAINER",
    about: "The terminal's input and output at a container that runs.",
    flags: &[
        switch("no-stdin", "Send it no input"),
        switch("sig-proxy", "Pass signals on to the process (default true)"),
        value("detach-keys", "KEYS", "Keys that detach from a terminal (ctrl-p,ctrl-q)"),
    ],
    examples: &["hull attach web", "hull attach --no-stdin web"],
    words: (1, 1),
    stops: false,
};

pub(super) fn attach(typed: &Typed, caller: &Caller) -> Done {
    let how = Attaching { input: !typed.is_on("no-stdin"), ..attaching(typed)? };
    over(caller.engine()?.attach(&typed.words[0], &how, run::streams_of_host())?)
}

pub(super) const EXEC: Syntax = Syntax {
    name: "exec",
    rest: "CONTAINER COMMAND [ARG…]",
    about: "Run one more process in a container that runs.",
    flags: &[
        switch("interactive", "Keep standard input open").or('i'),
        switch("tty", "Give it a terminal").or('t'),
        switch("detach", "Leave it alone once it runs").or('d'),
        value("detach-keys", "KEYS", "Keys reserved for detaching (ctrl-p,ctrl-q)"),
        value("env", "NAME[=VALUE]", "Set a variable, or pass the caller's on").or('e'),
        value("env-file", "FILE", "Read variables from a file of lines"),
        value("workdir", "DIR", "Working directory").or('w'),
        value("user", "USER[:GROUP]", "Names in the container, or numbers").or('u'),
        switch("privileged", "All capabilities, and no filter of calls"),
    ],
    examples: &["hull exec -it NAME sh"],
    words: (2, usize::MAX),
    stops: true,
};

pub(super) fn exec(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let name = &typed.words[0];
    engine.seal_for(name, run::program(), std::env::args_os(), std::env::vars_os())?;
    let default = request::StreamsRequest::default();
    let request = ExecRequest {
        command: typed.words[1..].to_vec(),
        env: run::env(typed, caller)?,
        workdir: typed.filled("workdir").map(str::to_owned),
        user: typed.filled("user").map(str::to_owned),
        privileged: typed.is_on("privileged"),
        streams: request::StreamsRequest {
            tty: typed.is_on("tty"),
            interactive: typed.is_on("interactive"),
            detach_keys: typed
                .parsed("detach-keys", request::detach_keys)?
                .unwrap_or(default.detach_keys.clone()),
            ..default
        },
        detach: typed.is_on("detach"),
    };
    let host = run::streams_of_host();
    if !request.detach {
        run::check_terminal(&request.streams, host.input)?;
    }
    match engine.exec(name, &request, host, &mut edge::warn) {
        // docker's: 126 for all that keeps a process out of a container that runs.
        Err(error) if *error.kind() != Kind::Conflict => {
            let code = if engine::exit_code(&error) == 125 { 126 } else { engine::exit_code(&error) };
            edge::tell(&error.into());
            Ok(code)
        }
        other => Ok(other?),
    }
}

pub(super) const STOP: Syntax = Syntax {
    name: "stop",
    rest: "CONTAINER [CONTAINER…]",
    about: "Ask containers to end, and kill those that do not in time.",
    flags: &[
        value("signal", "SIGNAL", "What asks it; its own stop signal otherwise").or('s'),
        value("timeout", "SECONDS", "Until it is killed (10); -1 for ever").or('t'),
        value("time", "SECONDS", "The same, as older docker has it"),
    ],
    examples: &["hull stop -t 2 NAME"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn stop(typed: &Typed, caller: &Caller) -> Done {
    let (engine, how) = (caller.engine()?, way(typed)?);
    at_once(&typed.words, |name| engine.stop(name, how).map_err(Failure::from), |name, ()| line(name))
}

/// A wrong one is no flag's mistake: docker asks its daemon, and ends with 1.
fn signal(typed: &Typed) -> Result<Option<i32>, Mistake> {
    let signal = typed.filled("signal").map(request::signal).transpose();
    signal.map_err(|error| Mistake::new(error.to_string()))
}

fn way(typed: &Typed) -> Result<StopRequest, Failure> {
    let long = if typed.last("timeout").is_some() { "timeout" } else { "time" };
    Ok(StopRequest { signal: signal(typed)?, timeout: typed.parsed(long, integer)? })
}

pub(super) const RESTART: Syntax = Syntax {
    name: "restart",
    rest: "CONTAINER [CONTAINER…]",
    about: "Stop containers, and start them again.",
    flags: STOP.flags,
    examples: &["hull restart -t 2 web"],
    words: (1, usize::MAX),
    stops: false,
};

/// They end at once, and start one after another: a monitor is forked where there is one thread.
pub(super) fn restart(typed: &Typed, caller: &Caller) -> Done {
    let (engine, how) = (caller.engine()?, way(typed)?);
    at_once(
        &typed.words,
        |name| engine.stop(name, how).map_err(Failure::from),
        |name, ()| {
            engine.start_over(name, &mut edge::warn)?;
            line(name)
        },
    )
}

pub(super) const KILL: Syntax = Syntax {
    name: "kill",
    rest: "CONTAINER [CONTAINER…]",
    about: "Send containers a signal: SIGKILL.",
    flags: &[value("signal", "SIGNAL", "Another one").or('s')],
    examples: &["hull kill -s HUP NAME"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn kill(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    let signal = signal(typed)?.unwrap_or(9);
    at_once(&typed.words, |name| engine.kill(name, signal).map_err(Failure::from), |name, ()| line(name))
}

pub(super) const WAIT: Syntax = Syntax {
    name: "wait",
    rest: "CONTAINER [CONTAINER…]",
    about: "Wait until containers have ended, and show their exit codes.",
    flags: &[value("condition", "CONDITION", "not-running (default), next-exit, removed")],
    examples: &["hull wait web", "hull wait --condition removed web"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn wait(typed: &Typed, caller: &Caller) -> Done {
    let (engine, condition) = (caller.engine()?, typed.parsed("condition", str::parse)?.unwrap_or_default());
    at_once(
        &typed.words,
        |name| engine.wait(name, condition).map_err(Failure::from),
        |_, code| line(&code.to_string()),
    )
}

pub(super) const PAUSE: Syntax = Syntax {
    name: "pause",
    rest: "CONTAINER [CONTAINER…]",
    about: "Freeze all processes of containers.",
    flags: &[],
    examples: &["hull pause web"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn pause(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    at_once(&typed.words, |name| engine.pause(name).map_err(Failure::from), |name, ()| line(name))
}

pub(super) const UNPAUSE: Syntax = Syntax {
    name: "unpause",
    about: "Let the processes of frozen containers go on.",
    examples: &["hull unpause web"],
    ..PAUSE
};

pub(super) fn unpause(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.engine()?;
    at_once(&typed.words, |name| engine.unpause(name).map_err(Failure::from), |name, ()| line(name))
}

/// So many things are acted on at once.
const AT_ONCE: usize = 32;

/// Acts on all at once, and then tells of each in the order it was typed.
pub(super) fn at_once<T: Send>(
    words: &[String],
    act: impl Fn(&str) -> Result<T, Failure> + Sync,
    tell: impl Fn(&str, T) -> Result<(), Failure>,
) -> Done {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Result<T, Failure>>>> = words.iter().map(|_| Mutex::default()).collect();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(word) = words.get(at) else { return };
            *done[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(act(word));
        }
    };
    std::thread::scope(|scope| {
        (1..words.len().min(AT_ONCE)).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let mut done =
        done.into_iter().filter_map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
    each(words, |word| done.next().map_or(Ok(()), |done| done.and_then(|what| tell(word, what))))
}

//! `hull pull`, `push`, `login`, `logout`, `search`.

use crate::Caller;
use crate::edge::{self, Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, integer, switch, value};
use crate::progress::{Channel, PULL as WORDS, PUSH as PUSHED, Style, Teller};
use crate::render::{List, line, row};
use engine::Engine;
use engine::image::{Pull, Pulled, Push, Target};
use oci::Reference;
use registry::{Client, Login, server_of};
use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};
use std::io::Read as _;

pub(super) const PULL: Syntax = Syntax {
    name: "pull",
    rest: "NAME[:TAG|@DIGEST]",
    about: "Fetch an image from a registry.",
    flags: &[
        switch("all-tags", "Every tag of the repository").or('a'),
        value("platform", "OS/ARCH[/VARIANT]", "Which image of several, if not this host's"),
        value("progress", "HOW", "auto, tty (bars), plain (lines), json"),
        switch("quiet", "Only the name").or('q'),
        switch("disable-content-trust", "Accepted for docker's sake: hull checks no signatures"),
    ],
    examples: &["hull pull debian:bookworm", "hull pull --platform linux/arm64 127.0.0.1:5000/app@sha256:…"],
    words: (1, 1),
    stops: false,
};

pub(super) fn pull(typed: &Typed, caller: &Caller) -> Done {
    let quiet = typed.is_on("quiet");
    let style = Style::of(typed.last("progress"), quiet, Channel::Output)?;
    let request = Pull { platform: typed.parsed_filled("platform", str::parse)? };
    let (engine, client) = (caller.engine()?, caller.client()?);
    let word = &typed.words[0];
    let name = expanded(&client, word)?;
    let teller = Teller::new(style, Channel::Output, &WORDS);
    let names = match typed.is_on("all-tags") {
        true => all_tags(&client, &name)?,
        false => vec![with_tag(name, &teller)],
    };
    for name in names {
        let pulled = fetch(&engine, &client, &name, &request, &teller)?;
        if style != Style::Json {
            line(&pulled.name.canonical())?;
        }
    }
    Ok(0)
}

/// What was typed, by the settings.
fn expanded(client: &Client, word: &str) -> Result<Reference, Failure> {
    client.settings().expand(word).map_err(|error| Mistake::new(error.line()).into())
}

fn with_tag(name: Reference, teller: &Teller) -> Reference {
    if name.tag().is_none() && name.digest().is_none() {
        teller.say(None, "Using default tag: latest");
    }
    name.with_default_tag()
}

fn all_tags(client: &Client, name: &Reference) -> Result<Vec<Reference>, Failure> {
    if name.tag().is_some() || name.digest().is_some() {
        return Err(Mistake::new("tag can't be used with --all-tags/-a").into());
    }
    let tags = client.repository(name).and_then(|repository| repository.tags()).map_err(failure)?;
    let named = tags.iter().map(|tag| name.clone().with_tag(tag));
    named.collect::<Result<_, _>>().map_err(|error| Mistake::new(error.line()).into())
}

fn failure(error: registry::Error) -> Failure {
    engine::image::from_registry(error).into()
}

/// docker's words around what the layers have to say.
fn fetch(
    engine: &Engine,
    client: &Client,
    name: &Reference,
    request: &Pull,
    teller: &Teller,
) -> Result<Pulled, Failure> {
    let tag = name.digest().map_or_else(|| name.tag().unwrap_or("latest").to_owned(), ToString::to_string);
    let path = if name.domain() == "docker.io" { name.path().to_owned() } else { name.name() };
    teller.head(&tag, format!("Pulling from {path}"));
    let pulled = engine.pull(client, name, request, teller);
    teller.finish();
    let pulled = pulled?;
    teller.say(None, &format!("Digest: {}", pulled.digest));
    let shown = pulled.name.familiar();
    teller.say(
        None,
        &match pulled.is_new {
            true => format!("Status: Downloaded newer image for {shown}"),
            false => format!("Status: Image is up to date for {shown}"),
        },
    );
    Ok(pulled)
}

/// Brings the image of a run that is not here, or, where that was asked for, whatever is here. The name by which it is here.
pub(super) fn pull_for_run(
    typed: &Typed,
    caller: &Caller,
    engine: &Engine,
    name: &str,
) -> Result<String, Failure> {
    let style = Style::of(None, typed.is_on("quiet"), Channel::Error)?;
    let client = caller.client()?;
    let reference = expanded(&client, name)?;
    if reference.canonical() != canonical(name) && engine.has_image(&reference.canonical()) {
        return Ok(reference.canonical());
    }
    let teller = Teller::new(style, Channel::Error, &WORDS);
    if !engine.has_image(name) {
        let shown = reference.clone().with_default_tag().familiar();
        teller.say(None, &format!("Unable to find image '{shown}' locally"));
    }
    let request = Pull { platform: typed.parsed_filled("platform", str::parse)? };
    let pulled = fetch(engine, &client, &reference.with_default_tag(), &request, &teller)?;
    Ok(pulled.name.canonical())
}

fn canonical(name: &str) -> String {
    name.parse::<Reference>().map(|name| name.canonical()).unwrap_or_default()
}

pub(super) const PUSH: Syntax = Syntax {
    name: "push",
    rest: "NAME[:TAG]",
    about: "Send an image to the registry of its name.",
    flags: &[
        switch("all-tags", "Every tag of the repository that is here").or('a'),
        value(
            "compression",
            "HOW",
            "gzip[:LEVEL], zstd[:LEVEL] or none; as the layers came when absent, else gzip",
        ),
        value("platform", "OS/ARCH[/VARIANT]", "The image must be for this platform"),
        value("progress", "HOW", "auto, tty (bars), plain (lines), json"),
        switch("quiet", "Only the name").or('q'),
        switch("disable-content-trust", "Accepted for docker's sake: hull makes no signatures"),
    ],
    examples: &["hull push 127.0.0.1:5000/app:1", "hull push --compression zstd:19 -a registry.example/app"],
    words: (1, 1),
    stops: false,
};

pub(super) fn push(typed: &Typed, caller: &Caller) -> Done {
    let quiet = typed.is_on("quiet");
    let style = Style::of(typed.last("progress"), quiet, Channel::Output)?;
    let request = Push {
        compression: typed.parsed_filled("compression", compression)?,
        platform: typed.parsed_filled("platform", str::parse)?,
    };
    let (engine, client) = (caller.engine()?, caller.client()?);
    let name = expanded(&client, &typed.words[0])?;
    let teller = Teller::new(style, Channel::Output, &PUSHED);
    let names = match typed.is_on("all-tags") {
        true if name.tag().is_some() => {
            return Err(Mistake::new("tag can't be used with --all-tags/-a").into());
        }
        true => engine.tags_of(&name)?,
        false => vec![with_tag(name, &teller)],
    };
    for name in names {
        teller.say(None, &format!("The push refers to repository [{}]", name.name()));
        let pushed = engine.push(&client, &name, &request, &teller);
        teller.finish();
        let pushed = pushed?;
        let (digest, size) = (pushed.digest, pushed.size);
        teller.say(None, &format!("{}: digest: {digest} size: {size}", name.tag().unwrap_or_default()));
        if quiet {
            line(&pushed.name.canonical())?;
        }
    }
    Ok(0)
}

/// `gzip[:1-9]`, `zstd[:1-19]`, `none`
fn compression(word: &str) -> Result<Target, String> {
    let (name, level) = word.split_once(':').map_or((word, None), |(name, level)| (name, Some(level)));
    let level = level.map(str::parse::<i32>).transpose().map_err(|_| format!("`{word}`: no level"))?;
    let within = |most: i32, usual: i32| match level.unwrap_or(usual) {
        level if (1..=most).contains(&level) => Ok(level),
        _ => Err(format!("`{word}`: levels are 1 to {most}")),
    };
    match name {
        "gzip" => Ok(Target::Gzip(within(9, 6)? as u32)),
        "zstd" => within(19, 3).map(Target::Zstd),
        "none" if level.is_none() => Ok(Target::None),
        _ => Err(format!("`{word}`: known are gzip, zstd and none")),
    }
}

pub(super) const LOGIN: Syntax = Syntax {
    name: "login",
    rest: "[SERVER]",
    about: "Log in to a registry; docker.io if none is named. The login is kept where docker keeps it.",
    flags: &[
        value("username", "NAME", "The user's name").or('u'),
        value("password", "TEXT", "The password, or a token; seen by everybody on this host").or('p'),
        switch("password-stdin", "Read the password from standard input"),
    ],
    examples: &["pass registry | hull login -u me --password-stdin registry.example:5000"],
    words: (0, 1),
    stops: false,
};

pub(super) fn login(typed: &Typed, caller: &Caller) -> Done {
    let host = host_of(typed.words.first());
    let (client, files) = (caller.client()?, caller.logins());
    let server = server_of(&host);
    let login = match typed_login(typed)? {
        Some(login) => login,
        None => match registry::Credentials::of(&files, &server).map_err(failure)? {
            Some(login) => {
                line("Authenticating with existing credentials...")?;
                login
            }
            None => asked_login(typed, &server)?,
        },
    };
    let better = client.log_in(&host, login.clone()).map_err(failure)?;
    if files.keep(&server, &better.unwrap_or(login)).map_err(failure)? {
        let path = files.first().map_err(failure)?;
        edge::say(&format!("WARNING! Your credentials are stored unencrypted in '{}'.", path.display()));
        edge::say("Configure a credential helper to remove this warning.");
    }
    line("Login Succeeded").map(|()| 0)
}

/// docker's words for docker.io, and a URL's host.
fn host_of(word: Option<&String>) -> String {
    let word = word.map_or("docker.io", String::as_str);
    let bare = word.trim_start_matches("https://").trim_start_matches("http://");
    match bare.split('/').next().unwrap_or(bare) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

fn typed_login(typed: &Typed) -> Result<Option<Login>, Failure> {
    let user = typed.filled("username");
    let password = match (typed.last("password"), typed.is_on("password-stdin")) {
        (Some(_), true) => {
            return Err(Mistake::new("--password and --password-stdin are mutually exclusive").into());
        }
        (Some(password), false) => {
            edge::say("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
            password.to_owned()
        }
        (None, true) if user.is_none() => {
            return Err(Mistake::new("must provide --username with --password-stdin").into());
        }
        (None, true) => from_input()?,
        (None, false) => return Ok(None),
    };
    match user {
        Some(user) => Ok(Some(Login::Password { user: user.to_owned(), password })),
        None => Ok(Some(Login::Password { user: ask("Username: ", true)?, password })),
    }
}

fn from_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Mistake::new(format!("read the password: {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn asked_login(typed: &Typed, server: &str) -> Result<Login, Failure> {
    if !isatty(rustix::stdio::stdin()) {
        return Err(Mistake::new("cannot perform an interactive login from a non TTY device").into());
    }
    line(&format!("Log in to {server}"))?;
    let user = match typed.filled("username") {
        Some(user) => user.to_owned(),
        None => ask("Username: ", true)?,
    };
    Ok(Login::Password { user, password: ask("Password: ", false)? })
}

/// A line of the terminal's, shown as it is typed or not.
fn ask(what: &str, shown: bool) -> Result<String, Failure> {
    if !isatty(rustix::stdio::stdin()) {
        return Err(Mistake::new("cannot perform an interactive login from a non TTY device").into());
    }
    crate::render::put(what)?;
    let before = tcgetattr(rustix::stdio::stdin()).map_err(std::io::Error::from)?;
    if !shown {
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &hidden).map_err(std::io::Error::from)?;
    }
    let mut text = String::new();
    let read = std::io::stdin().read_line(&mut text);
    if !shown {
        line("")?;
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before).map_err(std::io::Error::from)?;
    }
    read?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(Mistake::new("username and password must not be empty").into()),
        text => Ok(text.to_owned()),
    }
}

pub(super) const LOGOUT: Syntax = Syntax {
    name: "logout",
    rest: "[SERVER]",
    about: "Forget the login of a registry; docker.io's if none is named.",
    flags: &[],
    examples: &["hull logout registry.example:5000"],
    words: (0, 1),
    stops: false,
};

pub(super) fn logout(typed: &Typed, caller: &Caller) -> Done {
    let server = server_of(&host_of(typed.words.first()));
    match caller.logins().forget(&server).map_err(failure)? {
        true => line(&format!("Removing login credentials for {server}"))?,
        false => line(&format!("Not logged in to {server}"))?,
    }
    Ok(0)
}

pub(super) const SEARCH: Syntax = Syntax {
    name: "search",
    rest: "[REGISTRY/]TERM",
    about: "Look for repositories: in docker.io's search, or in a registry's catalogue.",
    flags: &[
        value("filter", "KEY=VALUE", "is-official=true|false, stars=N").or('f'),
        value("format", "FORMAT", "json, a Go template, or 'table TEMPLATE'"),
        value("limit", "N", "At most so many (25)"),
        switch("no-trunc", "Whole descriptions"),
    ],
    examples: &["hull search 127.0.0.1:5000/app"],
    words: (1, 1),
    stops: false,
};

pub(super) fn search(typed: &Typed, caller: &Caller) -> Done {
    let limit = typed.parsed("limit", integer::<usize>)?.unwrap_or(25);
    if !(1..=100).contains(&limit) {
        return Err(Mistake::new(format!("limit {limit} is outside the range of [1, 100]")).of_flag().into());
    }
    let filters = typed.filters()?;
    let word = typed.words[0].as_str();
    let (host, term) = match word.split_once('/') {
        Some((host, term)) if host.contains(['.', ':']) || host == "localhost" => (host, term),
        _ => ("docker.io", word),
    };
    let mut found = caller.client()?.search(host, term, limit).map_err(failure)?;
    for (key, value) in &filters {
        keep(&mut found, key, value)?;
    }
    let whole = typed.is_on("no-trunc");
    let fields = |hit: &registry::Found| {
        let name = if host == "docker.io" { hit.name.clone() } else { format!("{host}/{}", hit.name) };
        row([
            ("Name", name.into()),
            ("Description", super::image::cut(&hit.description, if whole { usize::MAX } else { 45 }).into()),
            ("StarCount", hit.star_count.to_string().into()),
            ("IsOfficial", if hit.is_official { "[OK]" } else { "" }.into()),
            ("IsAutomated", if hit.is_automated { "[OK]" } else { "" }.into()),
        ])
    };
    let columns = [
        ("NAME", "Name"),
        ("DESCRIPTION", "Description"),
        ("STARS", "StarCount"),
        ("OFFICIAL", "IsOfficial"),
    ];
    List { columns: &columns, rows: found.iter().map(fields).collect() }
        .show_whole(typed.last("format"), whole)?;
    Ok(0)
}

fn keep(found: &mut Vec<registry::Found>, key: &str, value: &str) -> Result<(), Failure> {
    let invalid = || {
        Mistake::new(format!("invalid filter '{key}={value}'"))
            .with_hint("known are is-official, is-automated, stars")
    };
    match key {
        "stars" => {
            let least: u64 = value.parse().map_err(|_| invalid())?;
            found.retain(|hit| hit.star_count >= least);
        }
        "is-official" | "is-automated" => {
            let wanted: bool = value.parse().map_err(|_| invalid())?;
            found.retain(|hit| {
                wanted == if key == "is-official" { hit.is_official } else { hit.is_automated }
            });
        }
        _ => return Err(invalid().into()),
    }
    Ok(())
}

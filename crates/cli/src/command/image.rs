//! `hull images`, `import`, `load`, `save`, `commit`, `tag`, `rmi`, `history`, `image inspect`, `image prune`.

use super::prune::{FILTER, confirm, tell_pruned, wanted};
use super::{each, told};
use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch, value};
use crate::render::{self, List, ago, line, row, short, size};
use engine::image::{Commit, Filter, Form, Import, Load, Row, Save, Source, inspect as view};
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) const LIST: Syntax = Syntax {
    name: "images",
    rest: "[REPOSITORY[:TAG]]",
    about: "List images.",
    flags: &[
        switch("all", "Accepted for docker's sake: hull keeps no images between").or('a'),
        value("filter", "KEY=VALUE", "dangling, label, before, since, until, reference").or('f'),
        value("format", "FORMAT", "json, a Go template, or 'table TEMPLATE'"),
        switch("quiet", "Only ids").or('q'),
        switch("digests", "Show digests"),
        switch("no-trunc", "Whole ids"),
    ],
    examples: &["hull images --format '{{.Repository}}:{{.Tag}} {{.Size}}'"],
    words: (0, 1),
    stops: false,
};

pub(super) fn list(typed: &Typed, caller: &Caller) -> Done {
    let filters = typed.filters()?;
    let mut filters: Vec<_> =
        filters.iter().map(|(key, value)| Filter::new(key, value)).collect::<Result<_, _>>()?;
    filters.extend(typed.words.iter().map(|pattern| Filter::Reference(pattern.clone())));
    let rows = caller.look()?.images(&filters)?;
    let whole = typed.is_on("no-trunc");
    if typed.is_on("quiet") {
        let mut ids: Vec<_> = rows.iter().map(|row| shown_id(row, whole)).collect();
        ids.dedup();
        return ids.iter().try_for_each(|id| line(id)).map(|()| 0);
    }
    let mut columns = vec![
        ("REPOSITORY", "Repository"),
        ("TAG", "Tag"),
        ("IMAGE ID", "ID"),
        ("CREATED", "CreatedSince"),
        ("SIZE", "Size"),
    ];
    if typed.is_on("digests") {
        columns.insert(2, ("DIGEST", "Digest"));
    }
    List { columns: &columns, rows: rows.iter().map(|row| fields(row, whole)).collect() }
        .show_whole(typed.last("format"), whole)?;
    Ok(0)
}

fn shown_id(row: &Row, whole: bool) -> String {
    let id = row.image.id().to_string();
    if whole { id } else { short(&id).to_owned() }
}

fn fields(image: &Row, whole: bool) -> Map<String, Value> {
    let none = || "<none>".to_owned();
    let name = image.name.as_ref();
    row([
        ("Containers", "N/A".into()),
        ("CreatedAt", render::moment(image.created).into()),
        ("CreatedSince", ago(image.created).into()),
        ("Digest", image.image.record.manifest.as_ref().map_or_else(none, ToString::to_string).into()),
        ("ID", shown_id(image, whole).into()),
        ("Repository", name.map_or_else(none, oci::Reference::familiar_name).into()),
        ("SharedSize", "N/A".into()),
        ("Size", size(image.image.record.size).into()),
        ("Tag", name.and_then(oci::Reference::tag).map_or_else(none, str::to_owned).into()),
        ("UniqueSize", "N/A".into()),
        ("VirtualSize", size(image.image.record.size).into()),
    ])
}

pub(super) const IMPORT: Syntax = Syntax {
    name: "import",
    rest: "FILE|URL|- [REPOSITORY[:TAG]]",
    about: "Make an image of one layer from the tar of a root file system, of any compression.",
    flags: &[
        value("change", "INSTRUCTION", "Apply a Dockerfile instruction, e.g. 'CMD [\"sh\"]'").or('c'),
        value("message", "TEXT", "Say something about the image").or('m'),
        value("platform", "OS/ARCH", "What it is for, if not this host"),
    ],
    examples: &["mmdebstrap --variant=minbase bookworm - | hull import - debian:bookworm"],
    words: (1, 2),
    stops: false,
};

pub(super) fn import(typed: &Typed, caller: &Caller) -> Done {
    let name = typed.words.get(1).map(|name| name.parse()).transpose();
    let request = Import {
        name: name.map_err(|error: oci::Error| Mistake::new(error.to_string()))?,
        changes: typed.all("change").map(str::to_owned).collect(),
        message: typed.last("message").map(str::to_owned),
        platform: typed.parsed("platform", str::parse)?,
    };
    let source = Source::parse(&typed.words[0]);
    refuse_terminal(&source)?;
    line(&caller.engine()?.import(&source, request)?.to_string())?;
    Ok(0)
}

/// Nobody types an archive.
fn refuse_terminal(source: &Source) -> Result<(), Failure> {
    match *source == Source::Stdin && rustix::termios::isatty(rustix::stdio::stdin()) {
        true => Err(Mistake::new("an archive is expected on standard input, which is a terminal").into()),
        false => Ok(()),
    }
}

pub(super) const LOAD: Syntax = Syntax {
    name: "load",
    rest: "",
    about: "Load images: docker's archives of any age, OCI archives, OCI layout directories, compressed or not.",
    flags: &[
        value("input", "FILE|DIR|-", "Read from there, not from standard input").or('i'),
        value("platform", "OS/ARCH", "Which image of several, if not this host's"),
        switch("quiet", "Accepted for docker's sake: there is no noise").or('q'),
    ],
    examples: &["docker save alpine | hull load", "hull load -i images.tar"],
    words: (0, 0),
    stops: false,
};

pub(super) fn load(typed: &Typed, caller: &Caller) -> Done {
    let source = typed
        .last("input")
        .map_or(Source::Stdin, |word| if word == "-" { Source::Stdin } else { Source::File(word.into()) });
    refuse_terminal(&source)?;
    let request = Load { platform: typed.parsed("platform", str::parse)? };
    for loaded in caller.engine()?.load(&source, &request)? {
        for name in &loaded.names {
            line(&format!("Loaded image: {name}"))?;
        }
        if loaded.names.is_empty() {
            line(&format!("Loaded image ID: {}", loaded.id))?;
        }
    }
    Ok(0)
}

pub(super) const SAVE: Syntax = Syntax {
    name: "save",
    rest: "IMAGE [IMAGE…]",
    about: "Write images into one archive that docker, podman and every reader of OCI layouts load.",
    flags: &[
        value("output", "FILE", "Write there, not to standard output").or('o'),
        value("format", "KIND", "docker-archive (which is an OCI layout, too) or oci-archive"),
        value("platform", "OS/ARCH[/VARIANT]", "The images must be for this platform"),
    ],
    examples: &["hull save debian:bookworm | ssh HOST hull load", "hull save -o images.tar app:1 app:2"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn save(typed: &Typed, caller: &Caller) -> Done {
    let form = match typed.filled("format").unwrap_or("docker-archive") {
        "docker-archive" | "docker" => Form::Docker,
        "oci-archive" | "oci" => Form::Oci,
        other => {
            let what = format!("--format `{other}`: known are docker-archive and oci-archive");
            return Err(Mistake::new(what).of_flag().into());
        }
    };
    let request = Save { form, platform: typed.parsed_filled("platform", str::parse)? };
    let Some(path) = typed.filled("output") else {
        if rustix::termios::isatty(rustix::stdio::stdout()) {
            let what = "cowardly refusing to save to a terminal. Use the -o flag or redirect";
            return Err(Mistake::new(what).into());
        }
        caller.engine()?.save(&typed.words, &request, &mut std::io::stdout().lock())?;
        return Ok(0);
    };
    let engine = caller.engine()?;
    write_whole(std::path::Path::new(path), |out| Ok(engine.save(&typed.words, &request, out)?)).map(|()| 0)
}

/// A file that is there whole or not at all; one that is no regular file is written as it is.
fn write_whole(
    path: &std::path::Path,
    write: impl FnOnce(&mut dyn std::io::Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Mistake::new(format!("write `{}`: {error}", path.display()));
    let special = path.metadata().is_ok_and(|metadata| !metadata.is_file());
    if special {
        let mut file = std::fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
        return write(&mut file);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let file = std::fs::File::create(&draft).map_err(failed)?;
    let mut out = std::io::BufWriter::with_capacity(256 << 10, file);
    let done = write(&mut out).and_then(|()| Ok(std::fs::rename(&draft, path).map_err(failed)?));
    if done.is_err() {
        // Half an archive is none; the failure that is told is the first one.
        drop(std::fs::remove_file(&draft));
    }
    done
}

pub(super) const COMMIT: Syntax = Syntax {
    name: "commit",
    rest: "CONTAINER [REPOSITORY[:TAG]]",
    about: "Make an image of what a container changed.",
    flags: &[
        value("author", "TEXT", "Who made it").or('a'),
        value("change", "INSTRUCTION", "Apply a Dockerfile instruction, e.g. 'CMD [\"sh\"]'").or('c'),
        value("message", "TEXT", "Say something about the image").or('m'),
        switch("pause", "Its processes stand still meanwhile (default true)").or('p'),
    ],
    examples: &["hull commit -m 'with curl' -c 'CMD [\"curl\"]' NAME app:2"],
    words: (1, 2),
    stops: false,
};

pub(super) fn commit(typed: &Typed, caller: &Caller) -> Done {
    let name = typed.words.get(1).map(|name| name.parse()).transpose();
    let request = Commit {
        name: name.map_err(|error: oci::Error| Mistake::new(error.to_string()))?,
        author: typed.last("author").map(str::to_owned),
        message: typed.last("message").map(str::to_owned),
        changes: typed.all("change").map(str::to_owned).collect(),
        pause: typed.switch("pause").unwrap_or(true),
    };
    line(&caller.engine()?.commit(&typed.words[0], request)?.to_string())?;
    Ok(0)
}

pub(super) const TAG: Syntax = Syntax {
    name: "tag",
    rest: "IMAGE NAME[:TAG]",
    about: "Give an image a further name.",
    flags: &[],
    examples: &["hull tag debian:bookworm registry.example/base:1"],
    words: (2, 2),
    stops: false,
};

pub(super) fn tag(typed: &Typed, caller: &Caller) -> Done {
    caller.look()?.tag(&typed.words[0], &typed.words[1])?;
    Ok(0)
}

pub(super) const REMOVE: Syntax = Syntax {
    name: "rmi",
    rest: "IMAGE [IMAGE…]",
    about: "Remove names of images, and images without a name left.",
    flags: &[
        switch("force", "Though ended containers use it, or it has several names").or('f'),
        switch("no-prune", "Accepted for docker's sake: there are no parents"),
    ],
    examples: &["hull rmi debian:bookworm"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn remove(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let force = typed.is_on("force");
    each(&typed.words, |image| match engine.remove_image(image, force) {
        // As docker: -f of what is not there is done.
        Err(error) if force && *error.kind() == engine::Kind::NotFound => told(error),
        Err(error) => Err(error.into()),
        Ok(removed) => removed.removed.iter().try_for_each(|removed| line(&removed_line(removed))),
    })
}

/// docker's words.
pub(super) fn removed_line(removed: &store::Removed) -> String {
    match removed {
        store::Removed::Untagged(name) => format!("Untagged: {}", name.familiar()),
        store::Removed::Deleted(id) => format!("Deleted: {id}"),
        store::Removed::DeletedLayer(id) => format!("Deleted: {id}"),
    }
}

pub(super) const HISTORY: Syntax = Syntax {
    name: "history",
    rest: "IMAGE",
    about: "How an image was made, the newest step first.",
    flags: &[
        value("format", "FORMAT", "json, a Go template, or 'table TEMPLATE'"),
        switch("human", "Sizes and times in words (default true)").or('H'),
        switch("quiet", "Only ids").or('q'),
        switch("no-trunc", "Whole ids and commands"),
    ],
    examples: &["hull history --no-trunc debian:bookworm"],
    words: (1, 1),
    stops: false,
};

pub(super) fn history(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let image = engine.image(&typed.words[0])?;
    let (whole, human) = (typed.is_on("no-trunc"), typed.switch("human").unwrap_or(true));
    let steps = engine.history(&image)?;
    let id = |id: &Option<String>| {
        id.as_deref().map_or("<missing>".to_owned(), |id| if whole { id.into() } else { short(id).into() })
    };
    if typed.is_on("quiet") {
        return steps.iter().try_for_each(|step| line(&id(&step.id))).map(|()| 0);
    }
    let rows = steps.iter().map(|step| {
        let since = step.created.map_or("N/A".to_owned(), ago);
        let at =
            step.created.map_or("N/A".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        row([
            ("ID", id(&step.id).into()),
            ("CreatedSince", if human { since } else { at.clone() }.into()),
            ("CreatedAt", at.into()),
            ("CreatedBy", cut(&step.created_by, if whole { usize::MAX } else { 45 }).into()),
            ("Size", if human { size(step.size) } else { step.size.to_string() }.into()),
            ("Comment", step.comment.clone().into()),
        ])
    });
    let columns = [
        ("IMAGE", "ID"),
        (if human { "CREATED" } else { "CREATED AT" }, "CreatedSince"),
        ("CREATED BY", "CreatedBy"),
        ("SIZE", "Size"),
        ("COMMENT", "Comment"),
    ];
    List { columns: &columns, rows: rows.collect() }.show_whole(typed.last("format"), whole)?;
    Ok(0)
}

/// At most so many characters, the last an ellipsis where some are missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

pub(super) const INSPECT: Syntax = Syntax {
    name: "image inspect",
    rest: "IMAGE [IMAGE…]",
    about: "Everything about images, as JSON.",
    flags: &[value("format", "TEMPLATE", "A Go template, or json").or('f')],
    examples: &["hull image inspect -f '{{json .Config.Env}}' hello"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn inspect(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    show(typed, |name| Ok(view(&engine, &engine.image(name)?)?))
}

/// Shows things as an array of JSON, or each by a template. One that is missing is told, the others are shown.
pub(super) fn show(typed: &Typed, look: impl Fn(&str) -> Result<Value, Failure>) -> Done {
    // Not shown at once: standard output must stay one array.
    let found = std::cell::RefCell::new(Vec::new());
    let code = each(&typed.words, |word| {
        found.borrow_mut().push(look(word)?);
        Ok(())
    })?;
    let found = found.into_inner();
    match typed.last("format") {
        None | Some("") => line(&indented(&found))?,
        Some("json") => found.iter().try_for_each(|value| line(&value.to_string()))?,
        Some(text) => {
            let template = render::parse(text)?;
            found.iter().try_for_each(|value| line(&render::render(&template, value)?))?;
        }
    }
    Ok(code)
}

/// By four, as docker's.
fn indented(found: &[Value]) -> String {
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    // To memory, of what has only text for keys: it does not fail.
    let _ = found.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, format));
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) const PRUNE: Syntax = Syntax {
    name: "image prune",
    rest: "",
    about: "Remove images without a name that no container uses.",
    flags: &[switch("all", "Those with a name, too").or('a'), FILTER, switch("force", "Do not ask").or('f')],
    examples: &["hull image prune -a --filter until=24h"],
    words: (0, 0),
    stops: false,
};

pub(super) fn prune(typed: &Typed, caller: &Caller) -> Done {
    let what = wanted(typed)?;
    let warning = match what.all {
        true => "This will remove all images without at least one container associated to them.",
        false => "This will remove all dangling images.",
    };
    confirm(typed, warning)?;
    tell_pruned(&caller.look()?.prune_images(&what)?)
}

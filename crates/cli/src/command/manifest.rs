//! `hull image copy`, and `hull manifest`: images and lists of them between registries, archives, directories and the store.

use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch, value};
use crate::progress::{Channel, PUSH as WORDS, Style, Teller};
use crate::render::line;
use engine::image::{Annotate, Copy, Place, Silent};
use oci::Reference;
use registry::Client;

pub(super) const COPY: Syntax = Syntax {
    name: "image copy",
    rest: "SOURCE DESTINATION",
    about: "Copy an image, digests and all: docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], dir:DIR, or a NAME of the store.",
    flags: &[
        switch("all", "Every image of an index, and the index").or('a'),
        value("platform", "OS/ARCH[/VARIANT]", "Which image of several, if not this host's"),
        value("progress", "HOW", "auto, tty (bars), plain (lines), json"),
        switch("quiet", "Tell nothing but the digest").or('q'),
        switch("preserve-digests", "Accepted for skopeo's sake: bytes stay as they are"),
        switch("src-tls-verify", "The source proves who it is (default true)"),
        switch("dest-tls-verify", "The destination proves who it is (default true)"),
    ],
    examples: &[
        "hull image copy --all docker://registry.example/app:1 oci:app",
        "hull image copy app:1 docker-archive:app.tar:app:1",
    ],
    words: (2, 2),
    stops: false,
};

pub(super) fn copy(typed: &Typed, caller: &Caller) -> Done {
    let style = Style::of(typed.last("progress"), typed.is_on("quiet"), Channel::Error)?;
    let (from, to) = (Place::parse(&typed.words[0])?, Place::parse(&typed.words[1])?);
    let request = Copy { all: typed.is_on("all"), platform: typed.parsed_filled("platform", str::parse)? };
    let mut loose = Vec::new();
    for (place, flag) in [(&from, "src-tls-verify"), (&to, "dest-tls-verify")] {
        if let (Place::Registry(name), Some(false)) = (place, typed.switch(flag)) {
            loose.push(name.domain().to_owned());
        }
    }
    let client = caller.client_trusting(&loose)?;
    let teller = Teller::new(style, Channel::Error, &WORDS);
    let copied = caller.engine()?.copy_image(&client, &from, &to, &request, &teller);
    teller.finish();
    line(copied?.as_str()).map(|()| 0)
}

const INSECURE: crate::flags::Flag = switch("insecure", "Registries need not prove who they are");

pub(super) const CREATE: Syntax = Syntax {
    name: "manifest create",
    rest: "LIST MANIFEST [MANIFEST…]",
    about: "Put a list together of images that are in registries: one name for several platforms.",
    flags: &[switch("amend", "Add to a list that is there").or('a'), INSECURE],
    examples: &["hull manifest create x.io/app:1 x.io/app:amd64 x.io/app:arm64"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn create(typed: &Typed, caller: &Caller) -> Done {
    let names = names(&typed.words)?;
    let (list, members) = names.split_first().ok_or_else(|| Mistake::new("a list is missing"))?;
    let client = client(typed, caller, &names)?;
    caller.engine()?.create_list(&client, list, members, typed.is_on("amend"))?;
    line(&format!("Created manifest list {}", list.canonical())).map(|()| 0)
}

pub(super) const ANNOTATE: Syntax = Syntax {
    name: "manifest annotate",
    rest: "LIST MANIFEST",
    about: "Say what an image of a list is for.",
    flags: &[
        value("arch", "ARCH", "Architecture, as amd64"),
        value("os", "OS", "Operating system, as linux"),
        value("variant", "VARIANT", "Variant of the architecture, as v7"),
        value("os-version", "VERSION", "Version of the operating system"),
        value("os-features", "FEATURE", "A feature of the operating system"),
    ],
    examples: &["hull manifest annotate --arch arm --variant v7 x.io/app:1 x.io/app:arm"],
    words: (2, 2),
    stops: false,
};

pub(super) fn annotate(typed: &Typed, caller: &Caller) -> Done {
    let names = names(&typed.words)?;
    let own = |flag: &str| typed.filled(flag).map(str::to_owned);
    let change = Annotate {
        architecture: own("arch"),
        os: own("os"),
        variant: own("variant"),
        os_version: own("os-version"),
        os_features: typed.all("os-features").map(str::to_owned).collect(),
    };
    caller.engine()?.annotate_list(&names[0], &names[1], &change)?;
    Ok(0)
}

pub(super) const INSPECT: Syntax = Syntax {
    name: "manifest inspect",
    rest: "[LIST] MANIFEST",
    about: "A list that is being put together, or a manifest in its registry.",
    flags: &[switch("verbose", "Each image of it, with its manifest").or('v'), INSECURE],
    examples: &["hull manifest inspect debian:bookworm"],
    words: (1, 2),
    stops: false,
};

pub(super) fn inspect(typed: &Typed, caller: &Caller) -> Done {
    let names = names(&typed.words)?;
    let client = client(typed, caller, &names)?;
    let engine = caller.look()?;
    let Some(name) = names.last() else { return Ok(0) };
    let shown = match typed.is_on("verbose") {
        false => engine.inspect_manifest(&client, name)?,
        true => {
            let mut all = engine.inspect_manifests(&client, name)?;
            if all.len() == 1 { all.remove(0) } else { all.into() }
        }
    };
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    // To memory, of what has only text for keys: it does not fail.
    let _ =
        serde::Serialize::serialize(&shown, &mut serde_json::Serializer::with_formatter(&mut bytes, format));
    line(&String::from_utf8_lossy(&bytes)).map(|()| 0)
}

pub(super) const PUSH: Syntax = Syntax {
    name: "manifest push",
    rest: "LIST",
    about: "Push a list, and what its images lack in its repository.",
    flags: &[switch("purge", "Forget the list then").or('p'), INSECURE],
    examples: &["hull manifest push --purge registry.example/app:1"],
    words: (1, 1),
    stops: false,
};

pub(super) fn push(typed: &Typed, caller: &Caller) -> Done {
    let names = names(&typed.words)?;
    let client = client(typed, caller, &names)?;
    let digest = caller.engine()?.push_list(&client, &names[0], typed.is_on("purge"), &Silent)?;
    line(digest.as_str()).map(|()| 0)
}

pub(super) const REMOVE: Syntax = Syntax {
    name: "manifest rm",
    rest: "LIST [LIST…]",
    about: "Forget lists that are being put together.",
    flags: &[],
    examples: &["hull manifest rm registry.example/app:1"],
    words: (1, usize::MAX),
    stops: false,
};

pub(super) fn remove(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    super::each(&typed.words, |word| {
        let name = names(std::slice::from_ref(&word.to_owned()))?;
        Ok(engine.remove_list(&name[0])?)
    })
}

fn names(words: &[String]) -> Result<Vec<Reference>, Failure> {
    let name = |word: &String| {
        let name: Result<Reference, oci::Error> = word.parse();
        name.map(Reference::with_default_tag).map_err(|error| Mistake::new(error.to_string()).into())
    };
    words.iter().map(name).collect()
}

fn client(typed: &Typed, caller: &Caller, names: &[Reference]) -> Result<Client, Failure> {
    let loose: Vec<_> =
        names.iter().map(|name| name.domain().to_owned()).filter(|_| typed.is_on("insecure")).collect();
    caller.client_trusting(&loose)
}

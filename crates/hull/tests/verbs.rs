//! What all verbs on containers have in common: how a container is named, and how an error names it.

mod support;

use support::{Sandbox, text};

/// Verbs on a container that runs, as they are typed around its name; each leaves it running.
const VERBS: [(&[&str], &[&str]); 19] = [
    (&["inspect"], &[]),
    (&["container", "inspect"], &[]),
    (&["logs"], &[]),
    (&["diff"], &[]),
    (&["top"], &[]),
    (&["port"], &[]),
    (&["stats", "--no-stream"], &[]),
    (&["pause"], &[]),
    (&["unpause"], &[]),
    (&["exec"], &["true"]),
    (&["kill", "-s", "CONT"], &[]),
    (&["update", "--pids-limit", "100"], &[]),
    (&["rename"], &["other"]),
    (&["export", "-o", "/dev/null"], &[]),
    (&["restart", "-t", "0"], &[]),
    (&["stop", "-t", "0"], &[]),
    (&["wait"], &[]),
    (&["start"], &[]),
    (&["rm", "-f"], &[]),
];

fn line<'a>((before, after): (&[&'a str], &[&'a str]), name: &'a str) -> Vec<&'a str> {
    [before, &[name], after].concat()
}

#[test]
fn a_container_is_known_by_name_id_and_what_an_id_begins_with() {
    for form in ["name", "id", "short", "prefix"] {
        let sandbox = Sandbox::new();
        let id = sandbox.ok(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]).trim().to_owned();
        let named = match form {
            "name" => "web",
            "id" => id.as_str(),
            "short" => &id[..12],
            _ => &id[..3],
        };
        for verb in VERBS {
            // One has another name from here on.
            let named = if named == "web" && is_after_rename(verb.0) { "other" } else { named };
            sandbox.ok(&line(verb, named));
        }
        assert!(sandbox.ids().is_empty(), "{form}");
    }
}

fn is_after_rename(verb: &[&str]) -> bool {
    let at = |verb: &[&str]| VERBS.iter().position(|(one, _)| *one == verb);
    at(verb) > at(&["rename"])
}

#[test]
fn who_is_missing_is_named_as_typed() {
    let sandbox = Sandbox::new();
    for verb in VERBS {
        let done = sandbox.hull(&line(verb, "nobody"));
        // docker's -f of what is not there is done.
        assert_eq!(done.status.code(), Some(i32::from(verb.0 != ["rm", "-f"])), "{verb:?}");
        let error = text(&done.stderr);
        assert!(
            error.contains("no such container: nobody") || error.contains("no such object: nobody"),
            "{error}"
        );
    }
}

#[test]
fn of_several_the_others_are_done_too() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        sandbox.ok(&["run", "-d", "--name", name, "bb", "sleep", "1000"]);
    }
    for verb in
        [&["pause"][..], &["unpause"], &["restart", "-t", "0"], &["kill"], &["start"], &["stop", "-t", "0"]]
    {
        let done = sandbox.hull(&[verb, &["one", "nobody", "two"]].concat());
        assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(1), "one\ntwo\n"), "{verb:?}");
        assert_eq!(text(&done.stderr).matches("no such container: nobody").count(), 1, "{verb:?}");
    }
    sandbox.ok(&["rm", "one", "two"]);
}

#[test]
fn exit_codes_are_dockers() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]);
    for (args, code, words) in [
        (&["exec", "-w", "/nosuch", "web", "true"][..], 126, "/nosuch"),
        (&["exec", "-u", "nobody", "web", "true"], 126, "unable to find user nobody"),
        (&["exec", "-u", "2000000000", "web", "true"], 126, "uid 2000000000 is none of the container's"),
        (&["exec", "web", "/nosuch"], 127, "no such file"),
        (&["exec", "nobody", "true"], 1, "no such container"),
        (&["kill", "-s", "FOO", "web"], 1, "invalid signal: FOO"),
        (&["stop", "-s", "FOO", "web"], 1, "invalid signal: FOO"),
        (&["stop", "-t", "x", "web"], 125, "invalid"),
        (&["rm", "-v", "web"], 1, "is running"),
        (&["rm", "-l", "web"], 1, "cannot remove the default link name"),
        (&["rm", "-l", "web/db"], 1, "no such container: web/db"),
        (&["ps", "-f", "publish=x"], 1, "invalid filter"),
    ] {
        let (is, error) = sandbox.fails(args);
        assert!(is == code && error.contains(words), "{args:?}: {is}: {error}");
    }
    for filter in ["publish=80", "expose=80/tcp", "is-task=true", "volume=/nosuch"] {
        assert_eq!(sandbox.ok(&["ps", "-q", "-f", filter]), "", "{filter}");
    }
    assert_eq!(sandbox.ok(&["ps", "-q", "-f", "is-task=false"]).lines().count(), 1);
    sandbox.ok(&["rm", "-v", "-f", "web"]);
}

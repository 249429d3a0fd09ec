//! `hull explain`: each thing it says, beside what the kernel says to somebody else.

mod support;

use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use support::{Sandbox, Terminal, busybox, docker_archive};

/// What stands in `--json`.
fn explained(sandbox: &Sandbox, name: &str) -> Value {
    serde_json::from_str(&sandbox.ok(&["explain", "--json", name])).expect("JSON")
}

/// A container that waits.
fn start(sandbox: &Sandbox, name: &str, flags: &[&str]) {
    sandbox.ok(&[&["run", "-d", "--name", name], flags, &["bb", "sleep", "1000"]].concat());
}

fn pid(it: &Value) -> u64 {
    it["container"]["pid"].as_u64().expect("it runs")
}

fn namespace<'a>(it: &'a Value, kind: &str) -> &'a Value {
    let all = it["isolation"]["namespaces"].as_array().expect("a list");
    all.iter().find(|one| one["kind"] == kind).expect("a namespace")
}

/// The number of a namespace, by stat(2) and not by what its link says.
fn inode(pid: &str, kind: &str) -> u64 {
    std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).expect("a namespace").ino()
}

/// All that was found of one severity; but for AppArmor and SELinux, which are the host's matter.
fn found(it: &Value, severity: &str) -> Vec<String> {
    let all = it["weaknesses"].as_array().expect("a list").iter().filter(|one| one["severity"] == severity);
    let words = all.map(|one| one["found"].as_str().expect("words").to_owned());
    words.filter(|found| !found.starts_with("no label of ")).collect()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|one| one.as_str().expect("a word")).collect()
}

fn resource<'a>(it: &'a Value, name: &str) -> &'a Value {
    let all = it["isolation"]["limits"]["resources"].as_array().expect("a list");
    all.iter().find(|one| one["name"] == name).unwrap_or(&Value::Null)
}

const KINDS: [&str; 8] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"];

#[test]
fn namespaces_are_those_of_the_kernel_and_shared_ones_are_told() {
    let sandbox = Sandbox::new();
    start(&sandbox, "one", &[]);
    start(&sandbox, "two", &["--network", "container:one", "--ipc", "container:one"]);
    let it = explained(&sandbox, "two");
    for kind in KINDS {
        assert_eq!(namespace(&it, kind)["inode"], inode(&pid(&it).to_string(), kind), "{kind}");
        let is_hosts = namespace(&it, kind)["inode"] == inode("self", kind);
        assert_eq!(namespace(&it, kind)["owner"] == "host", is_hosts, "{kind}");
    }
    assert_eq!(names(&namespace(&it, "net")["with"]), ["one"]);
    assert_eq!(
        (&namespace(&it, "net")["owner"], &namespace(&it, "pid")["owner"]),
        (&"shared".into(), &"own".into())
    );
    let other = explained(&sandbox, "one");
    assert_eq!(names(&namespace(&other, "ipc")["with"]), ["two"]);
    assert_eq!(other["host"]["neighbours"], 1);
    assert!(found(&it, "medium").iter().any(|found| found == "net namespace shared with one"), "{it}");
    sandbox.ok(&["rm", "-f", "one", "two"]);
    sandbox.assert_clean();
}

#[test]
fn what_hull_gives_by_default_is_found_in_the_kernel_and_nothing_differs() {
    let sandbox = Sandbox::new();
    start(&sandbox, "plain", &["-m", "64m", "--pids-limit", "50", "--cpus", "1.5"]);
    let it = explained(&sandbox, "plain");
    let is = &it["isolation"];
    let map = std::fs::read_to_string(format!("/proc/{}/uid_map", pid(&it))).unwrap();
    let line: Vec<u64> = map.lines().next().unwrap().split_whitespace().map(|n| n.parse().unwrap()).collect();
    let first = &is["ids"]["users"][0];
    for (at, field) in ["inside", "host", "size"].iter().enumerate() {
        assert_eq!(first[field], line[at], "{field}");
    }
    assert_eq!((&is["ids"]["root"], &is["capabilities"]["over_host"]), (&line[1].into(), &false.into()));
    let limit = |name: &str| resource(&it, name)["limit"].as_str().unwrap_or("none").to_owned();
    assert_eq!([limit("memory"), limit("processes"), limit("cpu")], ["67108864", "50", "1.50"]);
    let used: u64 = resource(&it, "memory")["used"].as_str().unwrap().parse().unwrap();
    assert!(used > 0 && used < 64 << 20, "{used}");
    assert_eq!(resource(&it, "processes")["used"], "1");
    assert_eq!((&is["seccomp"]["mode"], &is["network"]["interfaces"][0]), (&"filter".into(), &"lo".into()));
    assert_eq!(
        (found(&it, "high"), found(&it, "medium"), &it["differences"]),
        (vec![], vec![], &Value::Array(vec![]))
    );
    sandbox.ok(&["rm", "-f", "plain"]);
    sandbox.assert_clean();
}

/// A set of `/proc/PID/status`.
fn mask(pid: u64, set: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let hex = status.lines().find_map(|line| line.strip_prefix(set)).expect("a set");
    u64::from_str_radix(hex.trim_start_matches(':').trim(), 16).expect("it is there")
}

#[test]
fn the_sets_of_capabilities_are_those_of_the_process() {
    let sandbox = Sandbox::new();
    start(&sandbox, "more", &["--cap-add", "SYS_ADMIN", "--cap-drop", "CHOWN"]);
    start(&sandbox, "user", &["-u", "1000"]);
    let (more, user) = (explained(&sandbox, "more"), explained(&sandbox, "user"));
    for it in [&more, &user] {
        let sets = &it["isolation"]["capabilities"];
        for (name, set) in [
            ("effective", "CapEff"),
            ("permitted", "CapPrm"),
            ("inheritable", "CapInh"),
            ("bounding", "CapBnd"),
            ("ambient", "CapAmb"),
        ] {
            assert_eq!(names(&sets[name]).len(), mask(pid(it), set).count_ones() as usize, "{name}");
        }
        assert_eq!(it["differences"], Value::Array(vec![]));
    }
    let bounding = names(&more["isolation"]["capabilities"]["bounding"]);
    assert!(bounding.contains(&"CAP_SYS_ADMIN") && !bounding.contains(&"CAP_CHOWN"), "{bounding:?}");
    assert_eq!(found(&more, "medium"), ["CAP_SYS_ADMIN"]);
    assert_eq!(user["isolation"]["ids"]["user"][0], 1000);
    sandbox.ok(&["rm", "-f", "more", "user"]);
    sandbox.assert_clean();
}

#[test]
fn each_door_to_the_host_is_found() {
    let sandbox = Sandbox::new();
    let socket = sandbox.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bind");
    let bind = format!("{}:/run/d.sock:ro", socket.display());
    for (name, flags, door) in [
        ("privileged", &["--privileged"][..], "the host's user namespace"),
        ("pid", &["--pid", "host"], "the host's pid namespace"),
        ("net", &["--network", "host"], "the host's net namespace"),
        ("userns", &["--userns", "host", "--cap-add", "SYS_PTRACE"], "CAP_SYS_PTRACE, over the host"),
        ("seccomp", &["--security-opt", "seccomp=unconfined"], "no filter of system calls"),
        ("socket", &["-v", &bind], "docker.sock: docker's socket"),
        ("files", &["-v", "/etc:/x"], "/etc of the host is writable"),
    ] {
        start(&sandbox, name, flags);
        let it = explained(&sandbox, name);
        let high = found(&it, "high");
        assert!(high.iter().any(|found| found.ends_with(door)), "{name}: {high:?}");
        assert_eq!(it["differences"], Value::Array(vec![]), "{name}");
        for weakness in it["weaknesses"].as_array().unwrap() {
            assert!(weakness["gains"] != "" && weakness["close"] != "", "{weakness}");
        }
        sandbox.ok(&["rm", "-f", name]);
    }
    sandbox.assert_clean();
}

/// A layer with one link.
fn link_layer(name: &str, to: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, name, to).expect("a link");
    tar.into_inner().expect("finish the tar")
}

#[test]
fn a_mount_on_a_link_is_found_where_the_link_leads() {
    let sandbox = Sandbox::empty();
    let archive = docker_archive("linked:1", &[busybox(), link_layer("link", "tmp")]);
    assert!(sandbox.hull_with_input(&["load"], &archive).status.success());
    let bind = format!("{}:/link/deep:ro", sandbox.path().display());
    sandbox.ok(&["run", "-d", "--name", "linked", "-v", &bind, "linked:1", "/bin/sleep", "1000"]);
    let it = explained(&sandbox, "linked");
    let mounts = it["isolation"]["mounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["target"] == "/tmp/deep").expect("the mount");
    assert_eq!((&mount["origin"], &mount["writable"]), (&"host".into(), &false.into()));
    assert_eq!(
        (&mount["source"], &it["differences"]),
        (&sandbox.path().to_str().into(), &Value::Array(vec![]))
    );
    sandbox.ok(&["rm", "-f", "linked"]);
    sandbox.assert_clean();
}

#[test]
fn who_root_is_to_a_file_of_the_host_is_told_and_so() {
    use std::os::unix::fs::MetadataExt;
    let sandbox = Sandbox::new();
    let files = sandbox.path().join("files");
    std::fs::create_dir(&files).expect("make a directory");
    let bind = format!("{}:/files", files.display());
    start(&sandbox, "writer", &["-v", &bind]);
    sandbox.ok(&["exec", "writer", "sh", "-c", "echo > /files/made"]);
    let it = explained(&sandbox, "writer");
    let mounts = it["isolation"]["mounts"].as_array().expect("a list");
    let mount = mounts.iter().find(|mount| mount["target"] == "/files").expect("the mount");
    let owner = std::fs::metadata(files.join("made")).expect("it was made").uid();
    assert_eq!(mount["mapped"], owner == 0, "owned by {owner}");
    assert_ne!(it["isolation"]["ids"]["root"], 0);
    let page = sandbox.ok(&["explain", "writer"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(page.contains("nobody there, but to files that are bound"), owner == 0, "{page}");
    sandbox.ok(&["rm", "-f", "writer"]);
    sandbox.assert_clean();
}

/// The group's directory of the controller `pids`, on v1 or v2.
fn pids_group(id: &str) -> std::path::PathBuf {
    let mut groups = support::groups_of(id).into_iter();
    groups.find(|path| path.join("pids.max").exists()).expect("a group that counts processes")
}

#[test]
fn what_somebody_changed_meanwhile_is_told() {
    let sandbox = Sandbox::new();
    start(&sandbox, "web", &["--pids-limit", "50"]);
    let id = explained(&sandbox, "web")["container"]["id"].as_str().unwrap().to_owned();
    std::fs::write(pids_group(&id).join("pids.max"), "77").expect("set a limit");
    let it = explained(&sandbox, "web");
    let told = serde_json::json!([{"what": "limit of processes", "one": "50", "other": "77"}]);
    assert_eq!((&it["differences"], &resource(&it, "processes")["limit"]), (&told, &"77".into()));
    assert!(sandbox.ok(&["explain", "web"]).contains("Not as asked for"));
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
fn of_a_stopped_one_what_it_would_have_is_told() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--name", "later", "--read-only", "-m", "64m", "--pid", "host", "bb", "sh"]);
    let it = explained(&sandbox, "later");
    assert_eq!((&it["container"]["pid"], &it["container"]["status"]), (&Value::Null, &"created".into()));
    assert_eq!(
        (&namespace(&it, "pid")["owner"], &namespace(&it, "user")["owner"]),
        (&"host".into(), &"own".into())
    );
    assert_eq!(resource(&it, "memory")["limit"], "67108864");
    assert_eq!(
        (&it["layers"]["read_only"], &it["isolation"]["mounts"][0]["writable"]),
        (&true.into(), &false.into())
    );
    assert_eq!(found(&it, "high"), ["the host's pid namespace"]);
    let (code, error) = sandbox.fails(&["explain", "nobody"]);
    assert_eq!((code, error.contains("nobody")), (1, true), "{error}");
    sandbox.ok(&["rm", "later"]);
    sandbox.assert_clean();
}

#[test]
fn layers_tell_who_else_has_them_and_what_was_written() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["tag", "bb", "again"]);
    sandbox.ok(&["run", "--name", "writer", "bb", "sh", "-c", "head -c 5000 /dev/zero > /file"]);
    sandbox.ok(&["create", "--name", "other", "bb"]);
    let it = explained(&sandbox, "writer");
    assert_eq!(
        (&it["layers"]["written"], names(&it["layers"]["image"][0]["containers"])),
        (&5000.into(), vec!["other"])
    );
    assert!(it["layers"]["image"][0]["bytes"].as_u64().unwrap() > 500_000, "{it}");
    sandbox.ok(&["rm", "writer", "other"]);
    sandbox.assert_clean();
}

#[test]
fn two_are_compared() {
    let sandbox = Sandbox::new();
    start(&sandbox, "first", &[]);
    start(&sandbox, "second", &[]);
    start(&sandbox, "third", &["--cap-drop", "ALL", "--network", "host"]);
    assert_eq!(sandbox.ok(&["explain", "--diff", "--json", "first", "second"]).trim(), "[]");
    let told: Value =
        serde_json::from_str(&sandbox.ok(&["explain", "--diff", "--json", "first", "third"])).unwrap();
    let what: Vec<_> = told.as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert!(what.contains(&"net namespace") && what.contains(&"bounding capabilities"), "{what:?}");
    assert!(!what.contains(&"pid namespace"), "{what:?}");
    assert!(
        sandbox.ok(&["explain", "--diff", "first", "second"]).contains("first and second are isolated alike")
    );
    for wrong in [
        &["explain", "--diff", "first"][..],
        &["explain", "first", "second"],
        &["explain", "--json", "--html", "first"],
    ] {
        sandbox.fails(wrong);
    }
    sandbox.ok(&["rm", "-f", "first", "second", "third"]);
    sandbox.assert_clean();
}

#[test]
fn the_page_stands_alone_and_a_strangers_names_stay_text() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--name", "evil", "bb", "sh", "-c", "<script>alert(1)</script><img src=//x>"]);
    let page = sandbox.ok(&["explain", "--html", "evil"]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    // What stands in tags and in the style; between them is text.
    let tags: String = page.split('<').filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag).collect();
    let style = page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
    for outside in ["script", "img ", "link", "iframe", "http", "src=", "href=", "url(", "@import", " on"] {
        assert!(!tags.contains(outside) && !style.contains(outside), "{outside}");
    }
    assert!(page.contains("&lt;script&gt;"), "{page}");
    assert!(page.contains("<svg") && style.contains("prefers-color-scheme:dark"));
    for tag in ["svg", "table", "section", "style", "text", "g"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    sandbox.ok(&["rm", "evil"]);
    sandbox.assert_clean();
}

#[test]
fn a_terminal_has_colours_and_nobody_else() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--name", "seen", "bb"]);
    let plain = sandbox.ok(&["explain", "seen"]);
    assert!(!plain.contains('\u{1b}') && plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
    let on_terminal = |no_color: &str| {
        let mut command = sandbox.command(&["explain", "seen"]);
        command.env("TERM", "xterm").env("NO_COLOR", no_color);
        let mut terminal = Terminal::start(command);
        let seen = terminal.expect("Layers");
        assert_eq!(terminal.wait(), 0);
        seen.contains("\u{1b}[")
    };
    assert_eq!((on_terminal(""), on_terminal("1")), (true, false));
    sandbox.ok(&["rm", "seen"]);
    sandbox.assert_clean();
}

/// The part of JSON Schema 2020-12 that `docs/explain.schema.json` is written in, read strictly: an unknown keyword
/// is a failure, too.
struct Schema(Value);

impl Schema {
    fn check(&self, schema: &Value, value: &Value, at: &str) {
        for (keyword, what) in schema.as_object().expect("a schema") {
            match keyword.as_str() {
                "$ref" => {
                    let pointer = what.as_str().expect("of its type").trim_start_matches('#');
                    self.check(self.0.pointer(pointer).expect("a definition"), value, at)
                }
                "type" => assert!(types(what).any(|kind| is(kind, value)), "{at}: {value} is no {what}"),
                "enum" => {
                    assert!(
                        what.as_array().expect("of its type").contains(value),
                        "{at}: {value} is none of {what}"
                    )
                }
                "const" => assert_eq!(what, value, "{at}"),
                "minimum" => {
                    assert!(
                        value.as_f64().is_none_or(|n| n >= what.as_f64().expect("of its type")),
                        "{at}: {value}"
                    )
                }
                "maximum" => {
                    assert!(
                        value.as_f64().is_none_or(|n| n <= what.as_f64().expect("of its type")),
                        "{at}: {value}"
                    )
                }
                "minItems" => assert!(length(value) >= what.as_u64().expect("of its type"), "{at}: {value}"),
                "maxItems" => assert!(length(value) <= what.as_u64().expect("of its type"), "{at}: {value}"),
                "items" => {
                    let items = value.as_array().into_iter().flatten().enumerate();
                    items.for_each(|(index, item)| self.check(what, item, &format!("{at}[{index}]")))
                }
                "properties" => {
                    let members = value.as_object().expect("an object").iter();
                    members
                        .for_each(|(name, member)| self.check(&what[name], member, &format!("{at}.{name}")))
                }
                "required" => {
                    names(what).iter().for_each(|name| assert!(value.get(name).is_some(), "{at}.{name}"))
                }
                "additionalProperties" => {
                    let known = &schema["properties"];
                    value
                        .as_object()
                        .expect("of its type")
                        .keys()
                        .for_each(|name| assert!(known.get(name).is_some(), "{at}.{name}"))
                }
                "description" | "title" | "$schema" | "$defs" => {}
                other => panic!("the keyword {other} is not known here"),
            }
        }
    }
}

fn types(what: &Value) -> impl Iterator<Item = &str> {
    what.as_array().map_or(std::slice::from_ref(what), Vec::as_slice).iter().filter_map(Value::as_str)
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type: {other}"),
    }
}

fn length(value: &Value) -> u64 {
    value.as_array().map_or(0, Vec::len) as u64
}

#[test]
fn the_json_is_what_its_schema_says() {
    let schema =
        Schema(serde_json::from_str(include_str!("../../../docs/explain.schema.json")).expect("JSON"));
    let sandbox = Sandbox::new();
    start(&sandbox, "one", &["--privileged", "-v", "/etc:/x"]);
    start(&sandbox, "two", &["--network", "container:one", "-u", "5", "--cpus", "1", "--pids-limit", "9"]);
    sandbox.ok(&["create", "--name", "three", "--device", "/dev/fuse", "bb"]);
    for name in ["one", "two", "three"] {
        schema.check(&schema.0, &explained(&sandbox, name), name);
    }
    sandbox.ok(&["rm", "-f", "one", "two", "three"]);
    sandbox.assert_clean();
}

//! Root file systems imported, images listed, named and pruned; archives of others' tools.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod place;

use engine::image::{Filter, Import, Load, Source};
use engine::prune::Prune;
use engine::{Engine, Kind};
use place::Place;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

impl Place {
    fn import(&self, name: &str, bytes: &[u8], changes: &[&str]) -> engine::Result<oci::ImageId> {
        let path = self.dir.join("rootfs.tar");
        std::fs::write(&path, bytes).unwrap();
        let changes = changes.iter().map(|change| (*change).to_owned()).collect();
        let request = Import { name: Some(name.parse().unwrap()), changes, ..Import::default() };
        self.engine.import(&Source::File(path), request)
    }

    fn listed(&self, filters: &[&str]) -> Vec<String> {
        let filters: Vec<Filter> = filters
            .iter()
            .map(|filter| filter.split_once('=').unwrap())
            .map(|(key, value)| Filter::new(key, value).unwrap())
            .collect();
        let rows = self.engine.images(&filters).unwrap();
        rows.iter().map(|row| row.name.as_ref().map_or("<none>".into(), |name| name.familiar())).collect()
    }
}

fn rootfs(text: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    builder.append_data(&mut header, "etc/issue", text.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

/// Answers one request with a status and a body of a stated length; gives its address.
fn serve(status: &'static str, body: Vec<u8>, stated: usize) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {stated}\r\nConnection: close\r\n\r\n");
        peer.write_all(head.as_bytes()).unwrap();
        peer.write_all(&body).unwrap();
    });
    (format!("http://{address}/rootfs.tar"), thread)
}

#[test]
fn a_root_file_system_comes_by_http_and_an_answer_that_is_none_is_an_error() {
    let place = Place::new("http");
    let tar = rootfs("by http");
    let fetch = |status, body: &[u8], stated| {
        let (url, server) = serve(status, body.to_vec(), stated);
        let done = place.engine.import(&Source::parse(&url), Import::default());
        server.join().unwrap();
        done
    };
    fetch("404 Not Found", b"no", 2).unwrap_err();
    fetch("200 OK", &tar[..600], tar.len()).unwrap_err();
    place.assert_clean(0);
    let id = fetch("200 OK", &tar, tar.len()).unwrap();
    assert_eq!(place.engine.image(&id.to_string()).unwrap().record.size, 7);
    place.assert_clean(1);
    let nobody = place.engine.import(&Source::parse("http://127.0.0.1:1/x"), Import::default()).unwrap_err();
    assert!(format!("{nobody}").contains("http://127.0.0.1:1/x"), "{nobody:?}");
}

#[test]
fn a_change_that_is_none_is_refused_before_anything_is_read() {
    let place = Place::new("change");
    let error = place.import("a", &rootfs("a"), &["FROM scratch"]).unwrap_err();
    assert_eq!(*error.kind(), Kind::Invalid, "{error:?}");
    let error = place.import("a", &rootfs(&"a".repeat(100))[..560], &[]).unwrap_err();
    assert_eq!(*error.kind(), Kind::Corrupt, "{error:?}");
    place.assert_clean(0);
}

#[test]
fn lists_are_narrowed_as_docker_does() {
    let place = Place::new("list");
    place.import("first", &rootfs("1"), &["LABEL tier=low"]).unwrap();
    place.import("org/second:v2", &rootfs("2"), &["LABEL tier=high"]).unwrap();
    place.import("first", &rootfs("3"), &[]).unwrap();
    assert_eq!(place.listed(&[]), ["first:latest", "org/second:v2", "<none>"], "newest first");
    assert_eq!(place.listed(&["dangling=true"]), ["<none>"]);
    assert_eq!(place.listed(&["label=tier"]), ["org/second:v2", "<none>"]);
    assert_eq!(place.listed(&["label=tier=high"]), ["org/second:v2"]);
    assert_eq!(place.listed(&["since=org/second:v2"]), ["first:latest"]);
    assert_eq!(place.listed(&["before=org/second:v2"]), ["<none>"]);
    assert_eq!(place.listed(&["reference=org/*:v?"]), ["org/second:v2"]);
    assert!(place.listed(&["until=1h"]).is_empty());
    assert_eq!(
        place.engine.prune_images(&Prune::default()).unwrap().images.len(),
        2,
        "the image and its layer"
    );
    place.assert_clean(2);
    place.engine.prune_images(&Prune { all: true, ..Prune::default() }).unwrap();
    place.assert_clean(0);
}

#[test]
fn who_prunes_beside_another_is_not_told_of_what_is_gone() {
    let place = Place::new("prune");
    for n in 0..20 {
        place.import(&format!("image{n}"), &rootfs(&n.to_string()), &[]).unwrap();
    }
    let removed = std::thread::scope(|scope| {
        let prune = || {
            let engine = Engine::open(&place.dir.join("root"), &place.dir.join("run")).unwrap();
            // A layer goes with the last image or, when another is at work, with the collection.
            let told = engine.prune_images(&Prune { all: true, ..Prune::default() }).unwrap().images;
            told.iter().filter(|removed| !matches!(removed, store::Removed::DeletedLayer(_))).count()
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(prune)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
    });
    assert_eq!(removed, 20 * 2, "name and image of each, told once");
    place.assert_clean(0);
}

#[test]
fn inspect_and_history_are_dockers() {
    let place = Place::new("inspect");
    let id = place.import("app", &rootfs("x"), &["CMD [\"/x\"]", "EXPOSE 80"]).unwrap();
    let image = place.engine.image("app").unwrap();
    let shown = engine::image::inspect(&place.engine, &image).unwrap();
    assert_eq!(
        (shown["Id"].as_str(), &shown["RepoTags"]),
        (Some(id.as_str()), &serde_json::json!(["app:latest"]))
    );
    assert_eq!(shown["Config"]["Cmd"], serde_json::json!(["/x"]));
    assert_eq!(shown["Config"]["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
    assert_eq!(shown["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    let history = place.engine.history(&image).unwrap();
    assert!(
        history.len() == 1 && history[0].size == 1 && history[0].comment.contains("Imported from"),
        "{history:?}"
    );
}

/// Made by buildah's relative skopeo out of a layout of umoci's: what others write, not what we think they write.
#[test]
fn archives_of_skopeo_are_loaded() {
    let place = Place::new("skopeo");
    let run =
        |program: &str, args: &[&str]| Command::new(program).args(args).current_dir(&place.dir).output();
    let (Ok(_), Ok(_)) = (run("skopeo", &["--version"]), run("umoci", &["--version"])) else {
        return eprintln!("SKIP: no skopeo or no umoci");
    };
    let ok = |program: &str, args: &[&str]| {
        let done = run(program, args).unwrap();
        assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::write(place.dir.join("motd"), "hello").unwrap();
    ok("umoci", &["init", "--layout", "layout"]);
    ok("umoci", &["new", "--image", "layout:v1"]);
    ok("umoci", &["insert", "--image", "layout:v1", "motd", "/etc/motd"]);
    ok("umoci", &["insert", "--image", "layout:v1", "motd", "/etc/issue"]);
    ok("skopeo", &["copy", "oci:layout:v1", "docker-archive:docker.tar:app:1"]);
    ok("skopeo", &["copy", "oci:layout:v1", "oci-archive:oci.tar:v1"]);
    let load = |name: &str| {
        place
            .engine
            .load(&Source::File(place.dir.join(name)), &Load::default())
            .unwrap_or_else(|e| panic!("{name}: {e:?}"))
    };
    let (layout, oci, docker) = (load("layout"), load("oci.tar"), load("docker.tar"));
    assert_eq!((layout[0].id.clone(), layout.len()), (oci[0].id.clone(), 1), "a tag alone names nothing");
    assert_eq!(docker[0].names, ["app:1"]);
    place.assert_clean(2); // docker's form holds the same two layers, unpacked
}

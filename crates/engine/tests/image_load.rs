//! Archives of every age, whole, damaged and lying, into a store on the real kernel.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod place;

use engine::image::{Load, Loaded, Source};
use engine::{Engine, Kind};
use place::Place;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

impl Place {
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn load(&self, path: &Path) -> engine::Result<Vec<Loaded>> {
        self.engine.load(&Source::File(path.to_owned()), &Load::default())
    }

    /// Through a named pipe: one pass, no seeking.
    fn load_stream(&self, bytes: &[u8]) -> engine::Result<Vec<Loaded>> {
        let pipe = self.dir.join("pipe");
        if !pipe.exists() {
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        }
        std::thread::scope(|scope| {
            // A reader that gives up early breaks the pipe; that is its right.
            let writer = scope.spawn(|| std::fs::write(&pipe, bytes));
            let loaded = self.load(&pipe);
            drop(writer.join());
            loaded
        })
    }

    fn layer_file(&self, diff_id: &str, path: &str) -> Vec<u8> {
        let hex = diff_id.strip_prefix("sha256:").unwrap();
        std::fs::read(self.dir.join(format!("root/layers/{hex}/fs/{path}"))).unwrap()
    }
}

fn sha(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An archive of files; a name that ends in `->target` is a symbolic link.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some((name, target)) = name.split_once("->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, name, target).unwrap();
        } else {
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", sha(layer))).collect();
    json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}})
        .to_string()
        .into_bytes()
}

/// docker 1.10 to 24: manifest.json, `HEX.json`, `HEX/layer.tar`; the last layer is a link to the first.
fn docker_archive(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let names: Vec<_> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let config_name = format!("{}.json", sha(config));
    let list = json!([{"Config": config_name, "RepoTags": ["app:1"], "Layers": names}]).to_string();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(layers.iter().copied()).collect();
    files.extend([(config_name.as_str(), config), ("manifest.json", list.as_bytes())]);
    tar(&files)
}

/// docker before 1.10: `repositories`, and per layer a directory with VERSION, json and layer.tar.
fn v1_archive(layers: &[&[u8]]) -> Vec<u8> {
    let id = |n: usize| format!("{n:064x}");
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (n, layer) in layers.iter().enumerate() {
        let parent = n.checked_sub(1).map(id);
        let about = json!({"id": id(n), "parent": parent, "os": "linux", "architecture": "amd64",
            "created": "2015-01-01T00:00:00Z", "config": {"Cmd": ["/a"]},
            "container_config": {"Cmd": ["/bin/sh", "-c", format!("step {n}")]}});
        files.push((format!("{}/VERSION", id(n)), b"1.0".to_vec()));
        files.push((format!("{}/json", id(n)), about.to_string().into_bytes()));
        files.push((format!("{}/layer.tar", id(n)), layer.to_vec()));
    }
    let list = json!({"old": {"1.9": id(layers.len() - 1)}});
    files.push(("repositories".into(), list.to_string().into_bytes()));
    tar(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>())
}

/// Architecture, configuration and layers of an image.
type Parts<'a> = (&'a str, Vec<u8>, Vec<&'a [u8]>);

/// The blobs of an OCI layout, and index.json last.
fn oci_files(images: &[Parts<'_>], nested: bool) -> Vec<(String, Vec<u8>)> {
    let blob = |bytes: &[u8]| (format!("blobs/sha256/{}", sha(bytes)), bytes.to_vec());
    let about = |media: &str, bytes: &[u8]| {
        json!({"mediaType": format!("application/vnd.oci.image.{media}"), "digest": format!("sha256:{}", sha(bytes)),
            "size": bytes.len()})
    };
    let (mut files, mut listed) = (Vec::new(), Vec::new());
    for (architecture, config, layers) in images {
        let entries: Vec<_> = layers.iter().map(|layer| about("layer.v1.tar", layer)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": about("config.v1+json", config), "layers": entries});
        let manifest = manifest.to_string().into_bytes();
        let mut entry = about("manifest.v1+json", &manifest);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        listed.push(entry);
        files.extend(layers.iter().map(|layer| blob(layer)));
        files.extend([blob(config), blob(&manifest)]);
    }
    let name = json!({"io.containerd.image.name": "docker.io/library/oci:1"});
    let top = if nested {
        let inner = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": listed});
        let inner = inner.to_string().into_bytes();
        files.push(blob(&inner));
        about("index.v1+json", &inner)
    } else {
        listed.remove(0)
    };
    let mut top = top;
    top["annotations"] = name;
    let index = json!({"schemaVersion": 2, "manifests": [top]}).to_string().into_bytes();
    files.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    files.push(("index.json".into(), index));
    files
}

fn oci_archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    tar(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>())
}

fn packed(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let path = format!("/var/tmp/hull-image-packed-{program}-{}-{}", std::process::id(), sha(bytes));
    std::fs::write(&path, bytes).unwrap();
    let done = Command::new(program).args(["-c", &path]).output();
    std::fs::remove_file(&path).unwrap();
    match done {
        Ok(done) if done.status.success() => Some(done.stdout),
        _ => {
            eprintln!("SKIP: no working `{program}`");
            None
        }
    }
}

fn names(loaded: &[Loaded]) -> Vec<&str> {
    loaded.iter().flat_map(|image| image.names.iter().map(String::as_str)).collect()
}

fn diff_id(layer: &[u8]) -> String {
    format!("sha256:{}", sha(layer))
}

#[test]
fn a_docker_archive_gives_the_same_image_from_a_file_and_from_a_stream() {
    let place = Place::new("docker");
    let (one, two) = (tar(&[("a", b"one")]), tar(&[("b", b"two")]));
    let config = config(&[&one, &two]);
    let archive = docker_archive(&config, &[&one, &two]);
    let loaded = place.load(&place.file("app.tar", &archive)).unwrap();
    assert_eq!(
        (names(&loaded), loaded[0].id.to_string()),
        (vec!["app:1"], format!("sha256:{}", sha(&config)))
    );
    assert_eq!(place.layer_file(&diff_id(&two), "b"), b"two");
    place.engine.remove_image("app:1", false).unwrap();
    place.assert_clean(0);
    assert_eq!(place.load_stream(&archive).unwrap(), loaded);
    assert_eq!(place.layer_file(&diff_id(&one), "a"), b"one");
    place.assert_clean(2);
}

#[test]
fn an_archive_of_docker_1_9_gets_the_configuration_it_lacks() {
    let place = Place::new("v1");
    let (one, two) = (tar(&[("a", b"one")]), tar(&[("b", b"two")]));
    let archive = v1_archive(&[&one, &two]);
    let loaded = place.load(&place.file("old.tar", &archive)).unwrap();
    assert_eq!(names(&loaded), ["old:1.9"]);
    let config = place.engine.image("old:1.9").unwrap().config().unwrap();
    assert_eq!(
        config.rootfs.diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [diff_id(&one), diff_id(&two)]
    );
    assert_eq!(config.config.cmd, Some(vec!["/a".into()]));
    assert_eq!(config.history[0].created_by.as_deref(), Some("/bin/sh -c step 0"));
    assert_eq!(place.load_stream(&archive).unwrap(), loaded, "a stream gives the same image");
    place.assert_clean(2);
}

#[test]
fn a_layer_named_by_a_link_is_the_one_it_leads_to() {
    let place = Place::new("link");
    let one = tar(&[("a", b"one")]);
    let config = config(&[&one, &one]);
    let list = json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["0/layer.tar", "1/layer.tar"]}]);
    let archive = tar(&[
        ("1/layer.tar->../0/layer.tar", b""),
        ("0/layer.tar", &one),
        ("c.json", &config),
        ("manifest.json", list.to_string().as_bytes()),
    ]);
    assert_eq!(names(&place.load_stream(&archive).unwrap()), ["app:1"]);
    assert_eq!(names(&place.load(&place.file("a.tar", &archive)).unwrap()), ["app:1"]);
    place.assert_clean(1);
}

#[test]
fn an_index_in_an_index_gives_the_platform_that_was_asked_for_and_nothing_more() {
    let place = Place::new("oci");
    let (one, two) = (tar(&[("a", b"amd64")]), tar(&[("a", b"s390x")]));
    let other = String::from_utf8(config(&[&two])).unwrap().replace("amd64", "s390x").into_bytes();
    let files =
        oci_files(&[("amd64", config(&[&one]), vec![&one]), ("s390x", other.clone(), vec![&two])], true);
    let archive = place.file("oci.tar", &oci_archive(&files));
    let request = Load { platform: Some("linux/s390x".parse().unwrap()) };
    let loaded = place.engine.load(&Source::File(archive.clone()), &request).unwrap();
    assert_eq!(
        (names(&loaded), loaded[0].id.to_string()),
        (vec!["oci:1"], format!("sha256:{}", sha(&other)))
    );
    place.assert_clean(1);
    let request = Load { platform: Some("linux/riscv64".parse().unwrap()) };
    let error = place.engine.load(&Source::File(archive), &request).unwrap_err();
    assert_eq!(*error.kind(), Kind::NotFound, "{error:?}");
    place.engine.remove_image("oci:1", false).unwrap();
    if cfg!(target_arch = "x86_64") {
        place.load_stream(&oci_archive(&files)).unwrap();
        place.assert_clean(1); // the other platform's layer passed, was unpacked, and is gone
    }
}

#[test]
fn a_layout_directory_is_loaded_in_place() {
    let place = Place::new("layout");
    let one = tar(&[("a", b"one")]);
    let layout = place.dir.join("layout");
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    for (name, bytes) in oci_files(&[("amd64", config(&[&one]), vec![&one])], false) {
        std::fs::write(layout.join(name), bytes).unwrap();
    }
    assert_eq!(names(&place.load(&layout).unwrap()), ["oci:1"]);
    assert_eq!(place.layer_file(&diff_id(&one), "a"), b"one");
    place.assert_clean(1);
}

#[test]
fn layers_and_whole_archives_come_compressed_in_every_way() {
    let place = Place::new("packed");
    for (n, program) in ["gzip", "zstd", "bzip2", "xz"].into_iter().enumerate() {
        let layer = tar(&[("a", program.as_bytes())]);
        let Some(compressed) = packed(program, &layer) else { continue };
        let archive = docker_archive(&config(&[&layer]), &[&compressed]);
        let Some(whole) = packed(program, &archive) else { continue };
        let from_file = place.load(&place.file("a.tar", &archive)).unwrap();
        assert_eq!(place.layer_file(&diff_id(&layer), "a"), program.as_bytes());
        assert_eq!(place.load(&place.file("a.packed", &whole)).unwrap(), from_file);
        assert_eq!(place.load_stream(&whole).unwrap(), from_file);
        place.assert_clean(n + 1);
        place.engine.tag("app:1", program).unwrap();
    }
}

/// Fails from a file and from a stream, with these words somewhere in the chain, and leaves nothing.
fn refused(test: &str, archive: &[u8], kind: Kind, words: &str) {
    let place = Place::new(test);
    let errors = [place.load(&place.file("bad.tar", archive)), place.load_stream(archive)];
    for error in errors.map(Result::unwrap_err) {
        let chain = format!("{error:?}");
        assert!(*error.kind() == kind && chain.contains(words), "{kind:?}, `{words}`: {chain}");
        place.assert_clean(0);
    }
}

#[test]
fn a_layer_that_lies_about_its_digest_is_named() {
    let (good, lie) = (tar(&[("a", b"good")]), tar(&[("a", b"evil")]));
    let other = tar(&[("b", b"good")]);
    let archive = docker_archive(&config(&[&good, &other]), &[&good, &lie]);
    refused("lie-docker", &archive, Kind::Corrupt, "layer `1/layer.tar` has digest");
    let mut files = oci_files(&[("amd64", config(&[&good]), vec![&good])], false);
    files[0].1.clone_from(&lie);
    refused("lie-oci", &oci_archive(&files), Kind::Corrupt, "has digest");
}

#[test]
fn a_configuration_or_manifest_that_lies_is_named() {
    let layer = tar(&[("a", b"1")]);
    for (at, test) in [(1, "lie-config"), (2, "lie-manifest")] {
        let mut files = oci_files(&[("amd64", config(&[&layer]), vec![&layer])], false);
        files[at].1.push(b' ');
        refused(test, &oci_archive(&files), Kind::Corrupt, "has digest");
    }
}

#[test]
fn a_member_that_is_absent_is_named() {
    let layer = tar(&[("a", b"1")]);
    for (at, test) in [(0, "no-layer"), (1, "no-config"), (2, "no-manifest")] {
        let mut files = oci_files(&[("amd64", config(&[&layer]), vec![&layer])], false);
        let (name, _) = files.remove(at);
        refused(test, &oci_archive(&files), Kind::Corrupt, &format!("`{name}`"));
    }
}

#[test]
fn an_archive_cut_anywhere_is_refused_or_whole() {
    let layer = tar(&[("a", &[7; 3000])]);
    let archive = docker_archive(&config(&[&layer]), &[&layer]);
    let place = Place::new("cut");
    // The last two blocks are the end mark: a reader may do without.
    let needed = archive.len() - 1024 - 511;
    for length in (1..needed - 511).step_by(509) {
        for loaded in
            [place.load(&place.file("cut.tar", &archive[..length])), place.load_stream(&archive[..length])]
        {
            let error = loaded.expect_err(&format!("{length} of {}", archive.len()));
            assert_eq!(*error.kind(), Kind::Corrupt, "{length}: {error:?}");
        }
        place.assert_clean(0);
    }
}

#[test]
fn what_is_no_image_archive_is_refused_with_a_hint() {
    let place = Place::new("none");
    let rootfs = tar(&[("etc/passwd", b"root")]);
    let error = place.load(&place.file("rootfs.tar", &rootfs)).unwrap_err();
    assert!(error.hint().unwrap().contains("hull import"), "{error:?}");
    for (name, bytes) in [("text", b"hello, this is no archive at all".as_slice()), ("empty", b"")] {
        let error = place.load(&place.file(name, bytes)).unwrap_err();
        assert_eq!(*error.kind(), Kind::Corrupt, "{name}: {error:?}");
    }
    let error = place.load(&place.dir.join("absent.tar")).unwrap_err();
    assert_eq!(*error.kind(), Kind::NotFound, "{error:?}");
    place.assert_clean(0);
}

#[test]
fn a_bomb_is_refused() {
    let layer = tar(&[("a", &vec![0; 300 << 20])]);
    let Some(compressed) = packed("bzip2", &layer) else { return };
    refused("bomb", &docker_archive(&config(&[&layer]), &[&compressed]), Kind::Limit, "0/layer.tar");
}

#[test]
fn hostile_documents_are_refused() {
    let layer = tar(&[("a", b"1")]);
    let manifest = |text: &str| tar(&[("0/layer.tar", &layer), ("manifest.json", text.as_bytes())]);
    for (n, text) in
        ["{", "[{}]", "[{\"Config\":\"../../etc/passwd\",\"Layers\":[]}]", "null", "[]"].iter().enumerate()
    {
        let place = Place::new(&format!("document-{n}"));
        match place.load(&place.file("a.tar", &manifest(text))) {
            Err(error) => {
                assert!(matches!(error.kind(), Kind::Corrupt | Kind::NotFound), "{text}: {error:?}")
            }
            Ok(loaded) => assert!(loaded.is_empty() && ["null", "[]"].contains(text), "{text}: {loaded:?}"),
        }
        place.assert_clean(0);
    }
}

#[test]
fn a_layer_without_padding_and_end_mark_is_whole() {
    let place = Place::new("unpadded");
    let layer = &tar(&[("a", b"one")])[..512 + 3]; // as umoci's insert writes it
    let archive = docker_archive(&config(&[layer]), &[layer]);
    place.load(&place.file("a.tar", &archive)).unwrap();
    assert_eq!(place.layer_file(&diff_id(layer), "a"), b"one");
    place.assert_clean(1);
}

#[test]
fn a_name_without_end_is_refused_before_it_fills_the_memory() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(100 << 20);
    header.set_cksum();
    let bomb = [header.as_bytes().to_vec(), vec![b'a'; 100 << 20], tar(&[("x", b"1")])].concat();
    refused("long-name", &bomb, Kind::Limit, "the headers of a member");
}

#[test]
fn members_without_number_are_refused() {
    let mut bytes = Vec::new();
    for n in 0..400_000 {
        let mut header = tar::Header::new_gnu();
        header.set_path(format!("f{n}")).unwrap();
        header.set_size(0);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
    }
    refused("members", &bytes, Kind::Memory, "the archive's members");
}

#[test]
fn a_chain_of_parents_that_leads_back_to_itself_is_refused() {
    let (layer, id) = (tar(&[("a", b"1")]), |n: usize| format!("{n:064x}"));
    let about = |n: usize| json!({"id": id(n), "parent": id(1 - n), "config": {}}).to_string().into_bytes();
    let list = json!({"round": {"1": id(0)}}).to_string().into_bytes();
    let mut files: Vec<_> = (0..2).map(|n| (format!("{}/json", id(n)), about(n))).collect();
    files.extend((0..2).map(|n| (format!("{}/layer.tar", id(n)), layer.clone())));
    files.push(("repositories".into(), list));
    refused("cycle", &oci_archive(&files), Kind::Limit, "ancestors");
}

#[test]
fn a_large_stranger_is_no_harm_and_is_named_when_needed() {
    let place = Place::new("stranger");
    let (layer, large) = (tar(&[("a", b"1")]), [b"{".to_vec(), vec![b' '; 9 << 20]].concat());
    let config = config(&[&layer]);
    let list = |config: &str| {
        json!([{"Config": config, "RepoTags": ["app:1"], "Layers": ["0/layer.tar"]}]).to_string()
    };
    let archive = |list: String| {
        tar(&[
            ("sbom.json", &large),
            ("0/layer.tar", &layer),
            ("c.json", &config),
            ("manifest.json", list.as_bytes()),
        ])
    };
    refused("large-config", &archive(list("sbom.json")), Kind::Limit, "`sbom.json` is larger than");
    let good = archive(list("c.json"));
    assert_eq!(names(&place.load_stream(&good).unwrap()), ["app:1"]);
    assert_eq!(names(&place.load(&place.file("a.tar", &good)).unwrap()), ["app:1"]);
    place.assert_clean(1);
}

#[test]
fn whoever_writes_into_the_pipe_gets_rid_of_all() {
    let place = Place::new("padded");
    let layer = tar(&[("a", b"1")]);
    let archive = [docker_archive(&config(&[&layer]), &[&layer]), vec![0; 4 << 20]].concat();
    let pipe = place.dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| std::fs::write(&pipe, &archive));
        place.load(&pipe).unwrap();
        writer.join().unwrap().expect("the pipe did not break");
    });
}

#[test]
fn a_platform_that_dockers_list_lacks_is_looked_for_in_the_index_beside_it() {
    let place = Place::new("both");
    let (one, two) = (tar(&[("a", b"amd64")]), tar(&[("a", b"s390x")]));
    let mine = config(&[&one]);
    let other = String::from_utf8(config(&[&two])).unwrap().replace("amd64", "s390x").into_bytes();
    let mut files =
        oci_files(&[("amd64", mine.clone(), vec![&one]), ("s390x", other.clone(), vec![&two])], true);
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha(bytes));
    let list = json!([{"Config": blob(&mine), "RepoTags": ["both:1"], "Layers": [blob(&one)]}]);
    files.push(("manifest.json".into(), list.to_string().into_bytes()));
    let archive = Source::File(place.file("both.tar", &oci_archive(&files)));
    for (platform, config) in [("linux/amd64", &mine), ("linux/s390x", &other)] {
        let request = Load { platform: Some(platform.parse().unwrap()) };
        let loaded = place.engine.load(&archive, &request).unwrap();
        assert_eq!(loaded[0].id.to_string(), format!("sha256:{}", sha(config)), "{platform}");
    }
    place.assert_clean(2);
}

/// Set for the process that works on a small disk of its own.
const SMALL: &str = "HULL_IMAGE_SMALL_DISK";

#[test]
fn a_load_that_fills_the_disk_is_told_and_leaves_nothing() {
    let test = "a_load_that_fills_the_disk_is_told_and_leaves_nothing";
    let layers = [tar(&[("a", &vec![1; 1 << 20])]), tar(&[("b", &vec![2; 8 << 20])])];
    let Some(dir) = std::env::var_os(SMALL).map(PathBuf::from) else {
        let place = Place::new("full");
        let archive = docker_archive(&config(&[&layers[0], &layers[1]]), &[&layers[0], &layers[1]]);
        place.file("a.tar", &archive);
        std::fs::create_dir(place.dir.join("disk")).unwrap();
        let script = r#"mount -t tmpfs -o size=4m none "$1/disk" && exec "$0" --exact --nocapture "$2""#;
        let exe = std::env::current_exe().unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(exe).arg(&place.dir).arg(test);
        let output = command.env(SMALL, &place.dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    };
    let disk = dir.join("disk");
    let engine = Engine::open(&disk.join("root"), &disk.join("run")).unwrap();
    let archive = std::fs::read(dir.join("a.tar")).unwrap();
    let pipe = dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let load = |path: &Path| engine.load(&Source::File(path.to_owned()), &Load::default());
    let streamed = std::thread::scope(|scope| {
        let writer = scope.spawn(|| std::fs::write(&pipe, &archive));
        let streamed = load(&pipe);
        drop(writer.join());
        streamed
    });
    for error in [load(&dir.join("a.tar")), streamed].map(Result::unwrap_err) {
        assert_eq!(*error.kind(), Kind::NoSpace, "{error:?}");
        assert!(error.hint().unwrap().contains("prune"), "{error:?}");
    }
    assert_eq!(engine.check(false).unwrap(), []);
    assert_eq!(std::fs::read_dir(disk.join("root/layers")).unwrap().count(), 0);
    let small = docker_archive(&config(&[&layers[0]]), &[&layers[0]]);
    std::fs::write(dir.join("small.tar"), small).unwrap();
    assert_eq!(names(&load(&dir.join("small.tar")).unwrap()), ["app:1"], "there is room again");
}

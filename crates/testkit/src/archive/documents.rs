//! Images whose documents lie: about digests, sizes, kinds, each other.

use super::layout::{CONFIG, INDEX, LAYER, Layout, Lies, MANIFEST, config, digest, docker, layer};
use super::tar::{Header, SIZE, Tar};
use super::{CANARY, Case};
use serde_json::{Value, json};

fn oci(lies: Lies) -> Vec<u8> {
    lies.oci(&layer())
}

fn with_layer(lie: fn(&mut Value)) -> Vec<u8> {
    oci(Lies { layer: Some(lie), ..Lies::default() })
}

fn with_config(lie: fn(String) -> Vec<u8>) -> Vec<u8> {
    oci(Lies { config: Some(lie), ..Lies::default() })
}

fn with_config_descriptor(lie: fn(&mut Value)) -> Vec<u8> {
    oci(Lies { config_descriptor: Some(lie), ..Lies::default() })
}

fn with_manifest(lie: fn(&mut Value)) -> Vec<u8> {
    oci(Lies { manifest: Some(lie), ..Lies::default() })
}

fn with_manifest_descriptor(lie: fn(&mut Value)) -> Vec<u8> {
    oci(Lies { manifest_descriptor: Some(lie), ..Lies::default() })
}

/// An index around an index around … an image.
fn nested(depth: usize) -> Vec<u8> {
    let (mut layout, mut inner) = Lies::default().built(&layer());
    for _ in 0..depth {
        inner =
            layout.document(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}));
    }
    layout.index(&[inner])
}

fn listed(image: Value) -> Vec<u8> {
    docker("c.json", &json!([image]))
}

fn tagged(name: &str) -> Vec<u8> {
    listed(json!({"Config": "c.json", "RepoTags": [name], "Layers": ["l/layer.tar"]}))
}

/// docker's archive with members of one's own before it.
fn beside(more: Tar, layers: &[&str]) -> Vec<u8> {
    let list = json!([{"Config": "c.json", "RepoTags": ["hostile:1"], "Layers": layers}]).to_string();
    let all = more.file("c.json", config(&layer()).to_string().as_bytes());
    all.file("l/layer.tar", &layer()).file("manifest.json", list.as_bytes()).end()
}

/// An archive from before docker 1.10.
fn old(documents: &[(&str, Value)], top: &str) -> Vec<u8> {
    let members = documents.iter().fold(Layout::default(), |layout, (id, json)| {
        let layout = layout.member(&format!("{id}/json"), json.to_string().as_bytes());
        layout.member(&format!("{id}/layer.tar"), &layer())
    });
    members.member("repositories", json!({"hostile": {"1": top}}).to_string().as_bytes()).archive()
}

fn packed(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 1).expect("memory takes all")
}

fn other() -> String {
    digest(b"something else")
}

pub(super) const CASES: &[Case] = &[
    Case::taken("an image in which nothing lies", || oci(Lies::default())),
    // Digests and sizes.
    Case::refused("the layer's digest is another", "lacks layer", || {
        with_layer(|d| d["digest"] = other().into())
    }),
    Case::refused("the layer has not the digest of its name", "has digest", || {
        let name = format!("blobs/{}", digest(&layer()).replace(':', "/"));
        let (layout, descriptor) = Lies::default().built(&layer());
        layout.member(&name, &Tar::new().file("g", b"2").end()).index(&[descriptor])
    }),
    Case::refused("the layer is longer than said", "bytes", || with_layer(|d| d["size"] = 100.into())),
    Case::refused("the layer is shorter than said", "bytes", || with_layer(|d| d["size"] = 1_000_000.into())),
    Case::refused("the layer has less than no bytes", "parse manifest", || {
        with_layer(|d| d["size"] = (-1).into())
    }),
    Case::refused("the size is text", "parse manifest", || with_layer(|d| d["size"] = "1536".into())),
    Case::refused("the size is beyond all numbers", "parse manifest", || {
        with_layer(|d| d["size"] = json!(1e300))
    }),
    Case::refused("the digest leads out", "parse manifest", || {
        with_layer(|d| d["digest"] = format!("sha256:../../../../..{CANARY}/victim").into())
    }),
    Case::refused("a digest of a broken function", "parse manifest", || {
        with_layer(|d| d["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e".into())
    }),
    Case::refused("a digest in capitals", "parse manifest", || {
        with_layer(|d| d["digest"] = d["digest"].as_str().expect("text").to_uppercase().into())
    }),
    Case::refused("a digest too short", "parse manifest", || {
        with_layer(|d| d["digest"] = "sha256:00".into())
    }),
    Case::refused("no digest", "parse manifest", || {
        with_layer(|d| *d = json!({"mediaType": LAYER, "size": 1536}))
    }),
    Case::refused("the configuration's digest is another", "lacks", || {
        with_config_descriptor(|d| d["digest"] = other().into())
    }),
    Case::refused("the configuration has not the digest of its name", "has digest", || {
        let name = format!("blobs/{}", digest(config(&layer()).to_string().as_bytes()).replace(':', "/"));
        let (layout, descriptor) = Lies::default().built(&layer());
        layout.member(&name, br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#).index(&[descriptor])
    }),
    Case::refused("the configuration is longer than said", "bytes", || {
        with_config_descriptor(|d| d["size"] = 1.into())
    }),
    Case::refused("the manifest's digest is another", "lacks", || {
        with_manifest_descriptor(|d| d["digest"] = other().into())
    }),
    Case::refused("the manifest is shorter than said", "bytes", || {
        with_manifest_descriptor(|d| d["size"] = 1_000_000.into())
    }),
    Case::refused("a configuration whose SHA-512 is another", "has digest", || {
        let text = config(&layer()).to_string();
        let wrong = "0".repeat(128);
        let mut layout = Layout::new().member(&format!("blobs/sha512/{wrong}"), text.as_bytes());
        let config = json!({"mediaType": CONFIG, "digest": format!("sha512:{wrong}"), "size": text.len()});
        let layer = layout.blob(LAYER, &layer());
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let manifest = layout.document(MANIFEST, &manifest);
        layout.index(&[manifest])
    }),
    Case::refused("a manifest whose SHA-512 is another", "has digest", || {
        let (layout, inner) = Lies::default().built(&layer());
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).to_string();
        let wrong = "0".repeat(128);
        let outer = json!({"mediaType": INDEX, "digest": format!("sha512:{wrong}"), "size": index.len()});
        layout.member(&format!("blobs/sha512/{wrong}"), index.as_bytes()).index(&[outer])
    }),
    Case::refused("the layer's DiffId is another's", "not `sha256:", || {
        with_config(|text| text.replace(&digest(&layer()), &other()).into_bytes())
    }),
    // What a document is.
    Case::refused("CVE-2021-41190: a manifest that is an index as well", "also an index", || {
        with_manifest(|m| m["manifests"] = json!([]))
    }),
    Case::refused("CVE-2021-41190: an index that says it is a manifest", "members of something else", || {
        with_manifest(|m| m["mediaType"] = INDEX.into())
    }),
    Case::refused("CVE-2021-41190: what is pointed at as an index is a manifest", "not an index", || {
        with_manifest_descriptor(|d| d["mediaType"] = INDEX.into())
    }),
    Case::refused("CVE-2021-41190: what is pointed at as a manifest is an index", "not a manifest", || {
        let (mut layout, inner) = Lies::default().built(&layer());
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]});
        let outer = layout.document(MANIFEST, &index);
        layout.index(&[outer])
    }),
    Case::refused("a manifest of schema 1", "schema 1", || with_manifest(|m| m["schemaVersion"] = 1.into())),
    Case::refused("a manifest of schema 3", "schema version 2", || {
        with_manifest(|m| m["schemaVersion"] = 3.into())
    }),
    Case::refused("a manifest of no schema", "schema version 2", || {
        with_manifest(|m| m["schemaVersion"] = Value::Null)
    }),
    Case::refused("an index that contains itself, by a digest that lies", "has digest", || {
        let lie = other();
        let own = json!({"mediaType": INDEX, "digest": lie, "size": 1});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [own]}).to_string();
        Layout::new().member(&format!("blobs/{}", lie.replace(':', "/")), index.as_bytes()).index(&[own])
    }),
    Case::taken("an index in an index", || nested(1)),
    Case::refused("indexes thousands deep", "deep", || nested(20_000)),
    Case::refused("an index of nothing", "no image", || Layout::new().index(&[])),
    Case::refused("a layer that is none", "is no layer of an image", || {
        with_layer(|d| d["mediaType"] = "application/vnd.cncf.helm.chart.content.v1.tar+gzip".into())
    }),
    Case::refused("CVE-2020-15157: a layer that is elsewhere", "lacks layer", || {
        with_layer(|d| {
            d["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
            d["digest"] = other().into();
            d["urls"] = json!(["http://127.0.0.1:1/stolen"]);
        })
    }),
    Case::refused("a layout of tomorrow", "OCI layout version", || {
        let (layout, descriptor) = Lies::default().built(&layer());
        layout.member("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#).index(&[descriptor])
    }),
    // Configurations.
    Case::refused("more layers than the manifest has", "names 2 layers", || {
        with_config(|text| {
            text.replace("\"diff_ids\":[", &format!("\"diff_ids\":[\"{}\",", other())).into_bytes()
        })
    }),
    Case::refused("fewer layers than the manifest has", "names 0 layers", || {
        with_config(|text| text.replace(&format!("\"{}\"", digest(&layer())), "").into_bytes())
    }),
    Case::refused("a root file system of another kind", "type `squashfs`", || {
        with_config(|text| text.replace("\"layers\"", "\"squashfs\"").into_bytes())
    }),
    Case::refused("a key twice", "duplicate field", || {
        with_config(|text| text.replacen('{', "{\"os\":\"windows\",", 1).into_bytes())
    }),
    Case::refused("text that is none", "parse image configuration", || {
        with_config(|text| text.into_bytes().iter().map(|&b| if b == b'f' { 0xff } else { b }).collect())
    }),
    Case::refused("a value ten thousand deep", "recursion limit", || {
        with_config(|text| {
            let deep = format!("{{\"x\":{}1{},", "[".repeat(10_000), "]".repeat(10_000));
            text.replacen('{', &deep, 1).into_bytes()
        })
    }),
    Case::refused("a configuration of ten megabytes", "larger than", || {
        with_config(|text| {
            text.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(10 << 20)), 1).into_bytes()
        })
    }),
    Case::refused("a million variables", "more than", || {
        with_config(|text| {
            text.replace("\"Cmd\"", &format!("\"Env\":[{}\"A=b\"],\"Cmd\"", "\"A=b\",".repeat(1_000_000)))
                .into_bytes()
        })
    }),
    Case::refused("a configuration that is a list", "parse image configuration", || {
        with_config(|_| b"[]".to_vec())
    }),
    Case::refused("a configuration of nothing", "parse image configuration", || with_config(|_| Vec::new())),
    // docker's archives.
    Case::taken("an archive of docker's in which nothing lies", || tagged("hostile:1")),
    Case::refused("CVE-2021-29136: a configuration above the archive", "lacks", || {
        listed(json!({"Config": format!("../../../../..{CANARY}/victim"), "Layers": []}))
    }),
    Case::refused("a configuration by an absolute name", "lacks", || {
        listed(json!({"Config": format!("{CANARY}/victim"), "Layers": []}))
    }),
    Case::refused("a layer above the archive", "lacks layer", || {
        listed(json!({"Config": "c.json", "Layers": [format!("../../../../..{CANARY}/victim")]}))
    }),
    Case::refused("a layer that is not there", "lacks layer", || {
        listed(json!({"Config": "c.json", "Layers": ["m"]}))
    }),
    Case::refused("a layer that is a document", "lacks layer", || {
        listed(json!({"Config": "c.json", "Layers": ["c.json"]}))
    }),
    Case::refused("a layer that is a link out", "lacks layer", || {
        beside(Tar::new().symlink("x.tar", format!("{CANARY}/victim")), &["x.tar"])
    }),
    Case::refused("a layer that is a hard link out", "lacks layer", || {
        beside(Tar::new().hard("x.tar", format!("../..{CANARY}/victim")), &["x.tar"])
    }),
    Case::refused("a layer that is a circle of links", "lacks layer", || {
        beside(Tar::new().symlink("x.tar", "y.tar").symlink("y.tar", "x.tar"), &["x.tar"])
    }),
    Case::refused("a layer that is a device", "lacks layer", || {
        beside(Tar::new().member(Header::new(b'4', "x.tar"), b""), &["x.tar"])
    }),
    Case::refused("the list is a link out", "holds no image", || {
        Tar::new().symlink("manifest.json", format!("{CANARY}/victim")).end()
    }),
    Case::refused("docker's configuration has not the digest of its name", "has digest", || {
        let name = format!("{}.json", "0".repeat(64));
        docker(&name, &json!([{"Config": name, "Layers": ["l/layer.tar"]}]))
    }),
    Case::refused("a name of the image that leads out", "invalid reference", || {
        tagged("../../../etc/passwd:1")
    }),
    Case::refused("a name of the image in capitals", "lowercase", || tagged("HOSTILE:1")),
    Case::refused("a name of the image that draws", "invalid reference", || tagged("\x1b[2J:1")),
    Case::refused("a name of the image of 5000 bytes", "", || tagged(&"a".repeat(5000))),
    Case::refused("a list of null", "parse", || docker("c.json", &Value::Null)),
    Case::refused("a list of an image of null", "parse", || docker("c.json", &json!([null]))),
    Case::refused("a hundred thousand images", "", || {
        docker("c.json", &Value::from(vec![json!({"Config": "c.json", "Layers": ["l/layer.tar"]}); 100_000]))
    }),
    Case::refused("a layer a thousand times, for one DiffId", "names 1 layers", || {
        listed(json!({"Config": "c.json", "Layers": vec!["l/layer.tar"; 1000]}))
    }),
    Case::refused("an old image that is its own parent", "its own", || {
        old(&[("a", json!({"id": "a", "parent": "a"}))], "a")
    }),
    Case::refused("old images that are each other's parents", "its own", || {
        old(&[("a", json!({"id": "a", "parent": "b"})), ("b", json!({"id": "b", "parent": "a"}))], "a")
    }),
    Case::refused("an old image above the archive", "lacks", || {
        old(&[("a", json!({"id": "a"}))], &format!("../../../../..{CANARY}"))
    }),
    Case::refused("an old image without a parent that it names", "lacks", || {
        old(&[("a", json!({"id": "a", "parent": "gone"}))], "a")
    }),
    // The archive around it.
    Case::refused("an archive of nothing", "no image", || Tar::new().end()),
    Case::refused("no archive", "no tar archive", || b"this is no archive at all ".repeat(100)),
    Case::refused("six hundred thousand members", "decoder_memory", || {
        let member = |n: usize| Header::new(b'0', format!("d/{n}")).summed();
        Tar::new().raw(&(0..600_000).flat_map(member).collect::<Vec<_>>()).end()
    }),
    Case::refused("a name of two megabytes", "headers of a member are longer", || {
        Tar::new().long(b'L', &b"a/".repeat(1 << 20)).file("x", b"1").end()
    }),
    Case::refused("a name of two megabytes in records", "headers of a member are longer", || {
        Tar::new().pax(&[("path", &b"a/".repeat(1 << 20))]).file("x", b"1").end()
    }),
    Case::refused("a member longer than the archive", "", || {
        Tar::new().member(Header::new(b'0', "l").binary(SIZE, 1 << 40), &[b'x'; 5000]).open()
    }),
    Case::refused("a member of less than no bytes", "", || {
        Tar::new().member(Header::new(b'0', "l").binary(SIZE, -512), b"").end()
    }),
    Case::refused(
        "CVE-2025-62518: a list within a member whose size is in records",
        "holds no image",
        || {
            let inner = Tar::new().file("manifest.json", b"[]").open();
            let size = inner.len().to_string();
            Tar::new().pax(&[("size", size.as_bytes())]).member(Header::new(b'0', "f").size(0), &inner).end()
        },
    ),
    Case::refused("an archive that swells a thousandfold", "ratio", || {
        let size = 150_usize << 20;
        let mut tar = Tar::new().member(Header::new(b'0', "zeros").size(size as u64), b"").open();
        tar.resize(tar.len() + size + 1024, 0);
        packed(&tar)
    }),
    Case::refused("an archive packed twice", "", || packed(&packed(&tagged("hostile:1")))),
];

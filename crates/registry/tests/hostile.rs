//! Registries that are slow, lie, never end, lead astray or ask for ever: a clear line each, in bounded time.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code, reason = "a test may panic")]

mod server;

use oci::{Descriptor, Digest};
use registry::{Client, Credentials, Error, Kind, Login, Patience, Settings, Setup};
use server::{Asked, Server, cut, head, reply, stall};
use sha2::{Digest as _, Sha256};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(2),
        silence: Duration::from_millis(400),
        tries: 3,
        rest: Duration::from_millis(10),
        longest_rest: Duration::from_millis(200),
        whole: Duration::from_secs(10),
    }
}

/// Logged in everywhere as `me`.
struct Everywhere;

impl Credentials for Everywhere {
    fn of(&self, _: &str) -> registry::Result<Option<Login>> {
        Ok(Some(Login::Password { user: "me".into(), password: "secret".into() }))
    }
}

fn client() -> Client {
    Client::new(Setup { patience: patience(), credentials: Box::new(Everywhere), ..Setup::default() })
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::new("application/octet-stream", digest(bytes), bytes.len() as u64)
}

fn manifest() -> Vec<u8> {
    let config = digest(b"{}");
    format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#).into_bytes()
}

/// A registry without a challenge, of which the rest is the test's.
fn open(answer: impl Fn(&Asked, usize, &mut TcpStream) + Send + Sync + 'static) -> Server {
    Server::start(move |asked, before, stream| match asked.path.as_str() {
        "/v2/" => reply(stream, "200 OK", &[], b"{}"),
        _ => answer(asked, before, stream),
    })
}

fn manifest_of(server: &Server) -> Result<registry::Fetched, Error> {
    let name = format!("{}/x:1", server.host).parse().unwrap();
    client().repository(&name)?.manifest("1")
}

fn blob_of(server: &Server, blob: &Descriptor) -> Result<Vec<u8>, String> {
    let name = format!("{}/x", server.host).parse().unwrap();
    let client = client();
    let repository = client.repository(&name).map_err(|error| error.line())?;
    let mut bytes = Vec::new();
    let mut reader = repository.blob(blob, 0).map_err(|error| error.line())?;
    reader.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn refused(result: Result<impl std::fmt::Debug, Error>, kind: Kind, words: &str) {
    let error = result.unwrap_err();
    assert!(*error.kind() == kind && error.line().contains(words), "{:?}: {}", error.kind(), error.line());
}

/// It ends soon, whatever the registry does.
fn soon<T>(act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = act();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    done
}

#[test]
fn a_manifest_of_another_digest_is_refused() {
    let server = open(|_, _, stream| {
        reply(
            stream,
            "200 OK",
            &[("Content-Type", MANIFEST), ("Docker-Content-Digest", digest(b"x").as_str())],
            &manifest(),
        );
    });
    refused(manifest_of(&server), Kind::Corrupt, "it has digest");
    let server = open(|_, _, stream| reply(stream, "200 OK", &[("Content-Type", MANIFEST)], &manifest()));
    let name = format!("{}/x@{}", server.host, digest(b"other")).parse().unwrap();
    refused(
        client().repository(&name).unwrap().manifest(digest(b"other").as_str()),
        Kind::Corrupt,
        "it has digest",
    );
    assert_eq!(manifest_of(&server).unwrap().digest, digest(&manifest()));
}

#[test]
fn a_manifest_that_is_two_things_or_another_than_is_said_is_refused() {
    for (media_type, body, kind, words) in [
        ("application/vnd.oci.image.index.v1+json", manifest(), Kind::Corrupt, "the registry says"),
        (
            MANIFEST,
            br#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#.to_vec(),
            Kind::Corrupt,
            "also an index",
        ),
        (MANIFEST, br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec(), Kind::Unsupported, "schema 1"),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            br#"{"schemaVersion":1}"#.to_vec(),
            Kind::Unsupported,
            "schema 1",
        ),
        (MANIFEST, b"<html>".to_vec(), Kind::Corrupt, "parse manifest"),
        (MANIFEST, Vec::new(), Kind::Corrupt, "parse manifest"),
        (MANIFEST, "[".repeat(100_000).into_bytes(), Kind::Corrupt, "parse manifest"),
    ] {
        let server =
            open(move |_, _, stream| reply(stream, "200 OK", &[("Content-Type", media_type)], &body));
        refused(manifest_of(&server), kind, words);
    }
}

#[test]
fn an_endless_manifest_is_not_read_to_its_end() {
    let server = open(|_, _, stream| {
        head(stream, "200 OK", &[("Content-Type", MANIFEST)], None);
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    soon(|| refused(manifest_of(&server), Kind::Limit, "more than 4194304 bytes"));
    let server = open(|_, _, stream| head(stream, "200 OK", &[("Content-Type", MANIFEST)], Some(1 << 40)));
    soon(|| refused(manifest_of(&server), Kind::Limit, "more than 4194304 bytes"));
}

#[test]
fn endless_headers_are_refused() {
    let server = open(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(&[b"X-A: ".as_slice(), &[b'a'; 4096], b"\r\n"].concat()).is_ok() {}
    });
    soon(|| assert!(manifest_of(&server).is_err()));
}

#[test]
fn a_registry_that_stalls_is_left() {
    let silent = open(|_, _, _| stall());
    soon(|| refused(manifest_of(&silent), Kind::Unreachable, "no answer in time"));
    assert_eq!(silent.count("GET", "/v2/x/manifests/1"), 3);
    let halfway = open(|_, _, stream| {
        head(stream, "200 OK", &[("Content-Type", MANIFEST)], Some(500));
        let _ = stream.write_all(b"{");
        stall();
    });
    soon(|| refused(manifest_of(&halfway), Kind::Unreachable, "fetch manifest"));
    let bytes = vec![7; 100_000];
    let wanted = blob(&bytes);
    let blobs = open(|_, _, stream| {
        head(stream, "200 OK", &[], Some(100_000));
        stall();
    });
    soon(|| assert!(blob_of(&blobs, &wanted).is_err()));
}

#[test]
fn a_blob_goes_on_after_each_cut_by_range_or_from_the_beginning() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| at as u8).collect();
    for takes_ranges in [true, false] {
        let all = bytes.clone();
        let server = open(move |asked, before, stream| {
            let from = asked.header("range").filter(|_| takes_ranges);
            let from = from
                .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
                .unwrap_or(0);
            let range = format!("bytes {from}-{}/{}", all.len() - 1, all.len());
            match from {
                0 => head(stream, "200 OK", &[], Some(all.len())),
                _ => {
                    head(stream, "206 Partial Content", &[("Content-Range", &range)], Some(all.len() - from))
                }
            }
            // A little more each time, so that it ends.
            let until = if before < 4 { (from + 30_000 * (before + 1)).min(all.len()) } else { all.len() };
            let _ = stream.write_all(&all[from..until]);
            if until < all.len() {
                cut(stream);
            }
        });
        assert!(soon(|| blob_of(&server, &blob(&bytes))).unwrap() == bytes, "ranges: {takes_ranges}");
        assert!(server.count("GET", "/v2/x/blobs/") > 1);
    }
}

#[test]
fn a_blob_of_another_length_or_range_is_refused() {
    let wanted = blob(&[1; 1000]);
    let long = open(|_, _, stream| reply(stream, "200 OK", &[], &[1; 1001]));
    assert!(blob_of(&long, &wanted).unwrap_err().contains("1001 bytes where 1000 are promised"));
    let chunked = open(|_, _, stream| {
        head(stream, "200 OK", &[("Transfer-Encoding", "chunked")], None);
        while stream
            .write_all(b"200\r\n")
            .and_then(|()| stream.write_all(&[1; 512]))
            .and_then(|()| stream.write_all(b"\r\n"))
            .is_ok()
        {}
    });
    soon(|| assert!(blob_of(&chunked, &wanted).unwrap_err().contains("more than 1000 bytes")));
    let liar = open(|_, before, stream| match before {
        0 => {
            head(stream, "200 OK", &[], Some(1000));
            let _ = stream.write_all(&[1; 500]);
            cut(stream);
        }
        _ => reply(stream, "206 Partial Content", &[("Content-Range", "bytes 0-499/1000")], &[1; 500]),
    });
    assert!(blob_of(&liar, &wanted).unwrap_err().contains("the registry sends something else"));
}

#[test]
fn a_document_of_another_digest_is_refused() {
    let server = open(|_, _, stream| reply(stream, "200 OK", &[], b"{}!"));
    let name = format!("{}/x", server.host).parse().unwrap();
    let client = client();
    let repository = client.repository(&name).unwrap();
    let lie = Descriptor::new("x", digest(b"abc"), 3);
    refused(repository.document(&lie), Kind::Corrupt, "it has digest");
    refused(
        repository.document(&Descriptor::new("x", digest(b"abc"), 1 << 40)),
        Kind::Limit,
        "more than 4194304",
    );
}

#[test]
fn redirects_end_keep_credentials_at_home_and_lead_nowhere_odd() {
    let other = open(|_, _, stream| reply(stream, "200 OK", &[("Content-Type", MANIFEST)], &manifest()));
    let to = format!("http://{}/v2/x/manifests/1", other.host);
    let astray =
        Server::start(move |asked, _, stream| match (asked.path.as_str(), asked.header("authorization")) {
            (_, None) => reply(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=x")], b""),
            ("/v2/", _) => reply(stream, "200 OK", &[], b""),
            _ => reply(stream, "307 Temporary Redirect", &[("Location", &to)], b""),
        });
    assert!(manifest_of(&astray).is_ok());
    assert!(astray.asked().iter().any(|asked| asked.header("authorization") == Some("Basic bWU6c2VjcmV0")));
    let told = other.asked();
    assert!(!told.is_empty() && told.iter().all(|asked| asked.header("authorization").is_none()), "{told:?}");
    let round = open(|_, _, stream| reply(stream, "302 Found", &[("Location", "/v2/x/manifests/1")], b""));
    soon(|| refused(manifest_of(&round), Kind::Limit, "more than 10 redirects"));
    for place in ["file:///etc/passwd", "ftp://x/", "http://", "http://a:b@127.0.0.1/", "gopher://x"] {
        let odd = open(move |_, _, stream| reply(stream, "302 Found", &[("Location", place)], b""));
        refused(manifest_of(&odd), Kind::Refused, "the registry points to");
    }
}

#[test]
fn a_registry_that_asks_for_credentials_for_ever_is_asked_twice() {
    let server = Server::start(|_, _, stream| {
        reply(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=x")], b"")
    });
    soon(|| refused(manifest_of(&server), Kind::Denied, "fetch manifest"));
    assert!(server.count("GET", "/v2/x/manifests/1") <= 2);
    let host = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let own = host.clone();
    let server = Server::start(move |asked, _, stream| match asked.path.starts_with("/token") {
        true => reply(stream, "200 OK", &[], br#"{"token":"t"}"#),
        false => {
            let challenge = format!(
                "Bearer realm=\"http://{}/token\",service=\"s\",scope=\"repository:x:pull\"",
                own.lock().unwrap()
            );
            reply(
                stream,
                "401 Unauthorized",
                &[("WWW-Authenticate", &challenge)],
                br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
            );
        }
    });
    host.lock().unwrap().clone_from(&server.host);
    soon(|| refused(manifest_of(&server), Kind::Denied, "authentication required"));
    assert!(server.count("GET", "/token") <= 3);
}

#[test]
fn tokens_are_asked_for_with_the_scope_once_and_used() {
    let host = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let own = host.clone();
    let server = Server::start(move |asked, _, stream| {
        match (asked.path.split('?').next().unwrap(), asked.header("authorization")) {
            ("/token", Some("Basic bWU6c2VjcmV0")) => {
                reply(stream, "200 OK", &[], br#"{"access_token":"good","expires_in":300}"#)
            }
            ("/token", _) => reply(stream, "403 Forbidden", &[], b""),
            (_, Some("Bearer good")) => reply(stream, "200 OK", &[("Content-Type", MANIFEST)], &manifest()),
            _ => {
                let challenge =
                    format!("Bearer realm=\"http://{}/token\",service=\"s\"", own.lock().unwrap());
                reply(stream, "401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
            }
        }
    });
    host.lock().unwrap().clone_from(&server.host);
    let client = client();
    let repository_name = format!("{}/a/x:1", server.host).parse().unwrap();
    let repository = client.repository(&repository_name).unwrap();
    assert!(repository.manifest("1").is_ok() && repository.manifest("2").is_ok());
    let tokens: Vec<_> =
        server.asked().into_iter().filter(|asked| asked.path.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert!(
        tokens[0].path.contains("scope=repository%3Aa%2Fx%3Apull") && tokens[0].path.contains("service=s")
    );
}

#[test]
fn a_token_service_that_lies_or_never_ends_is_left() {
    for body in [
        b"[]".to_vec(),
        br#"{"token":""}"#.to_vec(),
        br#"{"token":"a\r\nX: y"}"#.to_vec(),
        vec![b' '; 2 << 20],
    ] {
        let host = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let own = host.clone();
        let server = Server::start(move |asked, _, stream| match asked.path.starts_with("/token") {
            true => reply(stream, "200 OK", &[], &body),
            false => {
                let challenge = format!("Bearer realm=\"http://{}/token\"", own.lock().unwrap());
                reply(stream, "401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
            }
        });
        host.lock().unwrap().clone_from(&server.host);
        let error = soon(|| manifest_of(&server)).unwrap_err();
        assert!(error.line().contains("get a token from"), "{}", error.line());
    }
}

#[test]
fn what_passes_is_waited_for_and_what_does_not_is_told() {
    for status in
        ["429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable"]
    {
        let busy = open(move |_, before, stream| match before {
            0 | 1 => reply(stream, status, &[("Retry-After", "0")], b""),
            _ => reply(stream, "200 OK", &[("Content-Type", MANIFEST)], &manifest()),
        });
        assert!(soon(|| manifest_of(&busy)).is_ok(), "{status}");
        let for_ever = open(move |_, _, stream| {
            reply(
                stream,
                status,
                &[("Retry-After", "100000")],
                br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u001b[2J down"}]}"#,
            );
        });
        let error = soon(|| manifest_of(&for_ever)).unwrap_err();
        assert!(error.line().ends_with("slow [2J down"), "{}", error.line());
        assert_eq!(for_ever.count("GET", "/v2/x/manifests/1"), 3);
    }
    let cut_off = open(|_, before, stream| match before {
        0 => cut(stream),
        _ => reply(stream, "200 OK", &[("Content-Type", MANIFEST)], &manifest()),
    });
    assert!(soon(|| manifest_of(&cut_off)).is_ok());
    let gone = open(|_, _, stream| {
        reply(
            stream,
            "404 Not Found",
            &[],
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        );
    });
    refused(manifest_of(&gone), Kind::NotFound, "manifest unknown");
}

#[test]
fn pages_are_followed_and_loops_and_floods_end() {
    let server = open(|asked, _, stream| match asked.path.contains("last=") {
        true => reply(stream, "200 OK", &[], br#"{"tags":["c"]}"#),
        false => reply(
            stream,
            "200 OK",
            &[("Link", "</v2/x/tags/list?n=2&last=b>; rel=\"next\"")],
            br#"{"tags":["a","b"]}"#,
        ),
    });
    let tags = |server: &Server| {
        let name = format!("{}/x", server.host).parse().unwrap();
        client().repository(&name).and_then(|repository| repository.tags())
    };
    assert_eq!(tags(&server).unwrap(), ["a", "b", "c"]);
    let round = open(|_, _, stream| {
        reply(stream, "200 OK", &[("Link", "</v2/x/tags/list?n=1000>; rel=next")], br#"{"tags":["a"]}"#)
    });
    soon(|| refused(tags(&round), Kind::Refused, "lead back"));
    let flood = open(|_, before, stream| {
        let page = format!("{{\"tags\":[{}\"x\"]}}", "\"x\",".repeat(50_000));
        let _ = before;
        let next = format!("</v2/x/tags/list?n={:?}>; rel=next", Instant::now());
        reply(stream, "200 OK", &[("Link", &next.replace([' ', '{', '}'], ""))], page.as_bytes());
    });
    soon(|| refused(tags(&flood), Kind::Limit, "more than 100000"));
}

#[test]
fn an_upload_goes_on_after_a_cut_and_ends_at_the_digest() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at / 3) as u8).collect();
    let server = Server::start({
        let total = bytes.len();
        move |asked, before, stream| match (asked.method.as_str(), asked.path.split('?').next().unwrap()) {
            ("HEAD", _) => head(stream, "404 Not Found", &[], Some(0)),
            ("POST", _) => reply(stream, "202 Accepted", &[("Location", "/v2/x/blobs/uploads/1?s=a")], b""),
            ("PATCH", _) if before == 0 => cut(stream),
            ("PATCH", _) if asked.body.len() == total - 1000 => {
                reply(stream, "202 Accepted", &[("Location", "/v2/x/blobs/uploads/1?s=b")], b"");
            }
            ("GET", "/v2/x/blobs/uploads/1") => {
                reply(
                    stream,
                    "204 No Content",
                    &[("Location", "/v2/x/blobs/uploads/1?s=a"), ("Range", "0-999")],
                    b"",
                );
            }
            ("PUT", _) => reply(stream, "201 Created", &[], b""),
            ("GET", "/v2/") => reply(stream, "200 OK", &[], b""),
            _ => reply(stream, "400 Bad Request", &[], b""),
        }
    });
    let name = format!("{}/x", server.host).parse().unwrap();
    let client = client();
    let repository = client.repository(&name).unwrap();
    repository.push_blob(&blob(&bytes), bytes.as_slice(), None).unwrap();
    let patches: Vec<_> = server.asked().into_iter().filter(|asked| asked.method == "PATCH").collect();
    assert_eq!(patches.last().unwrap().header("content-range"), Some("1000-299999"));
    assert!(patches.last().unwrap().body == bytes[1000..]);
    let put = server.asked().into_iter().find(|asked| asked.method == "PUT").unwrap();
    assert!(put.path.starts_with("/v2/x/blobs/uploads/1?s=b&digest=sha256%3A"), "{}", put.path);
}

#[test]
fn referrers_are_listed_by_the_registry_or_under_a_tag() {
    let subject = digest(b"subject");
    let tag = format!("/v2/x/manifests/{}", subject.as_str().replace(':', "-"));
    let store: std::sync::Arc<std::sync::Mutex<std::collections::HashMap<String, Vec<u8>>>> =
        Default::default();
    let server = open({
        let store = store.clone();
        move |asked, _, stream| match asked.method.as_str() {
            "PUT" => {
                store.lock().unwrap().insert(asked.path.clone(), asked.body.clone());
                reply(stream, "201 Created", &[], b"");
            }
            _ => match store.lock().unwrap().get(&asked.path) {
                Some(bytes) => reply(stream, "200 OK", &[], bytes),
                None => reply(stream, "404 Not Found", &[], b""),
            },
        }
    });
    let name = format!("{}/x", server.host).parse().unwrap();
    let client = client();
    let repository = client.repository(&name).unwrap();
    for kind in ["application/a", "application/b"] {
        let about = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","artifactType":"{kind}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":2}},"layers":[],"subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":7}}}}"#,
            digest(b"{}")
        );
        let digest = digest(about.as_bytes());
        repository.push_manifest(digest.as_str(), MANIFEST, about.as_bytes()).unwrap();
    }
    assert!(store.lock().unwrap().contains_key(&tag));
    assert_eq!(repository.referrers(&subject, None).unwrap().len(), 2);
    let only = repository.referrers(&subject, Some("application/b")).unwrap();
    assert!(only.len() == 1 && only[0].artifact_type.as_deref() == Some("application/b"), "{only:?}");
}

#[test]
fn nobody_there_is_told_at_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let name = format!("{closed}/x:1").parse().unwrap();
    let error = soon(|| client().repository(&name).unwrap().manifest("1")).unwrap_err();
    assert!(
        *error.kind() == Kind::Unreachable && error.line().contains("Connection refused"),
        "{}",
        error.line()
    );
}

#[test]
fn a_mirror_that_fails_is_passed_over_and_a_blocked_registry_is_not_asked() {
    let broken = open(|_, _, stream| reply(stream, "404 Not Found", &[], b""));
    let own = open(|_, _, stream| reply(stream, "200 OK", &[("Content-Type", MANIFEST)], &manifest()));
    let settings = format!(
        "[[registry]]\nprefix = \"reg.test\"\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n[[registry]]\nprefix = \"bad.test\"\nblocked = true\n",
        own.host, broken.host
    );
    let settings = Settings::parse(&settings).unwrap();
    let client = Client::new(Setup { settings, patience: patience(), ..Setup::default() });
    assert!(client.repository(&"reg.test/x:1".parse().unwrap()).unwrap().manifest("1").is_ok());
    assert_eq!((broken.count("GET", "/v2/x/manifests/1"), own.count("GET", "/v2/x/manifests/1")), (1, 1));
    refused(client.repository(&"bad.test/x".parse().unwrap()).map(drop), Kind::Blocked, "bad.test");
}

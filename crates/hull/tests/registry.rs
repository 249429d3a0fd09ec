//! Images to and from a real registry, Debian's docker-registry, with and without TLS, logins and other clients beside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::Value;
use std::process::{Command, Stdio};
use support::{Registry, Sandbox, busybox, docker_archive, tar_of, text};

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn skopeo(args: &[&str]) -> String {
    run(Command::new("skopeo").args(args))
}

fn digest_of(sandbox: &Sandbox, name: &str) -> String {
    let shown = sandbox.ok(&["image", "inspect", "-f", "{{json .RepoDigests}}", name]);
    let digests: Vec<String> = serde_json::from_str(&shown).unwrap();
    let repository = name.rsplit_once(':').unwrap().0;
    let own =
        digests.iter().find_map(|digest| digest.strip_prefix(&format!("{repository}@"))).map(str::to_owned);
    own.unwrap_or_else(|| panic!("{digests:?} of {name}"))
}

/// A second host's store.
fn elsewhere(registry: &Registry) -> Sandbox {
    let sandbox = Sandbox::empty();
    registry.known_to(&sandbox);
    sandbox
}

#[test]
fn an_image_goes_to_another_host_and_runs_there() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    here.ok(&["run", "--name", "made", "bb", "sh", "-c", "echo by hand > /note; rm /etc/passwd"]);
    let id = here.ok(&["commit", "-c", "CMD [\"cat\", \"/note\"]", "made", "reg.test/team/app:1"]);
    let said = here.ok(&["push", "reg.test/team/app:1"]);
    assert!(
        said.starts_with("The push refers to repository [reg.test/team/app]\n")
            && said.contains(": Pushed\n"),
        "{said}"
    );
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("1: digest: sha256:") && last.contains(" size: "), "{said}");
    let there = elsewhere(&registry);
    let output = there.hull(&["run", "--rm", "reg.test/team/app:1"]);
    let told = text(&output.stderr);
    assert_eq!(text(&output.stdout), "by hand\n", "{told}");
    assert!(
        told.starts_with(
            "Unable to find image 'reg.test/team/app:1' locally\n1: Pulling from reg.test/team/app\n"
        ),
        "{told}"
    );
    assert!(
        told.contains(": Pull complete\n")
            && told.contains("Status: Downloaded newer image for reg.test/team/app:1")
    );
    assert_eq!(there.ok(&["image", "inspect", "-f", "{{.Id}}", "reg.test/team/app:1"]), id);
    assert_eq!(digest_of(&there, "reg.test/team/app:1"), digest_of(&here, "reg.test/team/app:1"));
    assert_eq!(there.fails(&["run", "--rm", "reg.test/team/app:1", "cat", "/etc/passwd"]).0, 1);
    let again = there.ok(&["pull", "reg.test/team/app:1"]);
    assert!(
        again.contains(": Already exists\n") && again.contains("Status: Image is up to date for"),
        "{again}"
    );
    assert!(again.ends_with("\nreg.test/team/app:1\n"), "{again}");
    here.assert_clean();
    there.assert_clean();
}

#[test]
fn what_is_there_is_neither_sent_nor_fetched_again() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    here.ok(&["tag", "bb", "reg.test/one:1"]);
    here.ok(&["push", "-q", "reg.test/one:1"]);
    let uploads = || registry.count("PATCH ");
    assert_eq!(uploads(), 2, "a layer and a configuration");
    let again = here.ok(&["push", "reg.test/one:1"]);
    assert!(again.contains("Layer already exists") && uploads() == 2, "{again}");
    here.ok(&["tag", "bb", "reg.test/two:1"]);
    let mounted = here.ok(&["push", "reg.test/two:1"]);
    assert!(mounted.contains("Mounted from another repository"), "{mounted}");
    assert_eq!(uploads(), 3, "the configuration alone");
    let there = elsewhere(&registry);
    there.ok(&["pull", "-q", "reg.test/one:1"]);
    let fetched = || registry.count("GET /v2/one/blobs/") + registry.count("GET /v2/two/blobs/");
    assert_eq!(fetched(), 2);
    there.ok(&["pull", "-q", "reg.test/two:1"]);
    assert_eq!(fetched(), 3, "the layer is here, of another repository; the configuration is asked for");
    there.assert_clean();
}

#[test]
fn a_pulled_image_goes_back_under_its_own_digest_though_no_blob_is_kept() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    here.hull_with_input(
        &["load"],
        &docker_archive("reg.test/x:1", &[busybox(), tar_of(&[("f", &[1; 100_000])])]),
    );
    for compression in ["gzip:9", "zstd", "none"] {
        let tag = format!("reg.test/x:{}", compression.replace(':', "-"));
        here.ok(&["tag", "reg.test/x:1", &tag]);
        here.ok(&["push", "-q", "--compression", compression, &tag]);
        let there = elsewhere(&registry);
        there.ok(&["pull", "-q", &tag]);
        let came = digest_of(&there, &tag);
        there.ok(&["tag", &tag, "reg.test/back:1"]);
        let blobs = std::fs::read_dir(there.root().join("blobs/sha256")).unwrap().count();
        assert_eq!(blobs, 1, "the manifest");
        let said = there.ok(&["push", "reg.test/back:1"]);
        assert!(said.contains(&came), "{compression}: {came} went back as {said}");
    }
    let list = here.ok(&["search", "reg.test/x", "--format", "{{.Name}}"]);
    assert_eq!(list, "reg.test/x\n");
}

/// As in `docker save`, `skopeo copy` and everybody's: what is fetched by others is what was made here.
#[test]
fn other_clients_read_what_was_pushed_and_the_other_way_round() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    here.ok(&["tag", "bb", "reg.test/bb:1"]);
    here.ok(&["push", "-q", "--compression", "zstd:5", "reg.test/bb:1"]);
    let url = format!("docker://{}:1", registry.name("bb"));
    let inspected: Value = serde_json::from_str(&skopeo(&["inspect", "--tls-verify=false", &url])).unwrap();
    assert_eq!(inspected["Digest"].as_str().unwrap(), digest_of(&here, "reg.test/bb:1"));
    let layout = here.path().join("layout").display().to_string();
    skopeo(&["copy", "--quiet", "--src-tls-verify=false", &url, &format!("oci:{layout}:zstd")]);
    here.ok(&["push", "-q", "--compression", "gzip", "reg.test/bb:1"]);
    skopeo(&["copy", "--quiet", "--src-tls-verify=false", &url, &format!("oci:{layout}:1")]);
    for (format, tag) in [("v2s2", "2"), ("oci", "3")] {
        let url = format!("docker://{}:{tag}", registry.name("bb"));
        let from = format!("oci:{layout}:1");
        skopeo(&[
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
            "--dest-compress-format=gzip",
            "--format",
            format,
            &from,
            &url,
        ]);
        let there = elsewhere(&registry);
        let name = format!("reg.test/bb:{tag}");
        assert_eq!(there.ok(&["run", "--rm", "-q", &name, "echo", "fine"]), "fine\n");
        let inspected: Value =
            serde_json::from_str(&skopeo(&["inspect", "--tls-verify=false", &url])).unwrap();
        assert_eq!(inspected["Digest"].as_str().unwrap(), digest_of(&there, &name), "{format}");
    }
}

#[test]
fn an_index_gives_the_image_of_the_platform_and_its_digest() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    let mut entries = Vec::new();
    for arch in ["arm64", "amd64"] {
        let name = format!("reg.test/multi:{arch}");
        let platform = format!("linux/{arch}");
        here.hull_with_input(
            &["import", "--platform", &platform, "-c", "CMD [\"sh\"]", "-", &name],
            &busybox(),
        );
        here.ok(&["push", "-q", &name]);
        let bytes = registry.get(&format!("/v2/multi/manifests/{arch}"));
        let size = bytes.split("\r\n\r\n").nth(1).unwrap().len();
        let digest = digest_of(&here, &name);
        entries.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{arch}"}}}}"#
        ));
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        entries.join(",")
    );
    put(&registry, "/v2/multi/manifests/all", "application/vnd.oci.image.index.v1+json", index.as_bytes());
    let there = elsewhere(&registry);
    let said = there.ok(&["pull", "reg.test/multi:all"]);
    let digest = said.lines().find_map(|line| line.strip_prefix("Digest: ")).unwrap().to_owned();
    assert_eq!(there.ok(&["image", "inspect", "-f", "{{.Architecture}}", "reg.test/multi:all"]), "amd64\n");
    there.ok(&["pull", "-q", "--platform", "linux/arm64", &format!("reg.test/multi@{digest}")]);
    let pinned = format!("reg.test/multi@{digest}");
    assert_eq!(there.ok(&["image", "inspect", "-f", "{{.Architecture}}", &pinned]), "arm64\n");
    let (code, told) = there.fails(&["pull", "--platform", "linux/s390x", "reg.test/multi:all"]);
    assert!(code == 1 && told.contains("no matching manifest for linux/s390x"), "{told}");
    let tags = there.ok(&["pull", "-a", "reg.test/multi"]);
    assert!(["multi:all", "multi:amd64", "multi:arm64"].iter().all(|tag| tags.contains(tag)), "{tags}");
    there.assert_clean();
}

fn put(registry: &Registry, path: &str, media_type: &str, bytes: &[u8]) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", registry.port)).unwrap();
    let length = bytes.len();
    let head = format!(
        "PUT {path} HTTP/1.0\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), bytes].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("201 Created"), "{answer}");
}

/// htpasswd's bcrypt of `secret`.
const USERS: &str = "me:$2y$05$Iahxuq4Go/EZB6Ruk/Sbyer4Wq0ByCyvaj1x1qzpFvH9cx5zcSoyS\n";

#[test]
fn a_login_opens_what_is_closed_and_a_logout_closes_it() {
    let here = Sandbox::new();
    let users = here.path().join("users");
    let made = Command::new("htpasswd").args(["-bnB", "me", "secret"]).output();
    let made = made.map_or_else(|_| USERS.to_owned(), |output| text(&output.stdout));
    std::fs::write(&users, made).unwrap();
    let auth = format!("auth:\n  htpasswd:\n    realm: closed\n    path: {}\n", users.display());
    let registry = Registry::with(&here, &auth);
    let server = format!("127.0.0.1:{}", registry.port);
    let name = registry.name("bb:1");
    here.ok(&["tag", "bb", &name]);
    let (code, told) = here.fails(&["push", &name]);
    assert!(code == 1 && told.contains(&format!("hint: `hull login {server}` may help")), "{told}");
    let wrong = here.hull_with_input(&["login", "-u", "me", "--password-stdin", &server], b"wrong\n");
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("log in to"), "{wrong:?}");
    assert!(!here.path().join("docker/config.json").exists(), "a login that is none is not kept");
    let right = here.hull_with_input(&["login", "-u", "me", "--password-stdin", &server], b"secret\n");
    assert_eq!(text(&right.stdout), "Login Succeeded\n");
    assert!(text(&right.stderr).contains("stored unencrypted"), "{right:?}");
    here.ok(&["push", "-q", &name]);
    let kept = std::fs::read_to_string(here.path().join("docker/config.json")).unwrap();
    assert!(kept.contains(&server) && !kept.contains("secret"), "{kept}");
    let docker = Command::new("docker")
        .args(["--config", &here.path().join("docker").display().to_string(), "logout", &server])
        .output();
    if docker.is_ok_and(|docker| text(&docker.stdout).contains("Removing login credentials")) {
        let again = here.hull_with_input(&["login", "-u", "me", "--password-stdin", &server], b"secret");
        assert!(again.status.success());
    }
    assert_eq!(here.ok(&["logout", &server]), format!("Removing login credentials for {server}\n"));
    assert_eq!(here.ok(&["logout", &server]), format!("Not logged in to {server}\n"));
    assert_eq!(here.fails(&["push", &name]).0, 1);
}

#[test]
fn credential_helpers_keep_what_is_theirs() {
    use std::os::unix::fs::PermissionsExt;
    let here = Sandbox::new();
    let users = here.path().join("users");
    std::fs::write(
        &users,
        text(&Command::new("htpasswd").args(["-bnB", "me", "secret"]).output().unwrap().stdout),
    )
    .unwrap();
    let registry =
        Registry::with(&here, &format!("auth:\n  htpasswd:\n    realm: x\n    path: {}\n", users.display()));
    let server = format!("127.0.0.1:{}", registry.port);
    let dir = here.path().join("bin");
    std::fs::create_dir(&dir).unwrap();
    let helper = dir.join("docker-credential-test");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {0}/kept;;\nget) [ -f {0}/kept ] || {{ echo credentials not found in native keychain; exit 1; }}; cat {0}/kept;;\nerase) rm {0}/kept;;\nesac\n",
        dir.display()
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(here.path().join("docker")).unwrap();
    let config = here.path().join("docker/config.json");
    std::fs::write(&config, format!(r#"{{"credHelpers":{{"{server}":"test"}},"psFormat":"x"}}"#)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let hull = |args: &[&str]| here.command(args).env("PATH", &path).output().unwrap();
    let login = hull(&["login", "-u", "me", "-p", "secret", &server]);
    assert!(login.status.success(), "{login:?}");
    let kept: Value = serde_json::from_slice(&std::fs::read(dir.join("kept")).unwrap()).unwrap();
    assert_eq!((&kept["Username"], &kept["Secret"]), (&"me".into(), &"secret".into()));
    let text_of_config = std::fs::read_to_string(&config).unwrap();
    assert!(text_of_config.contains("psFormat") && !text_of_config.contains("secret"), "{text_of_config}");
    here.ok(&["tag", "bb", &registry.name("bb:1")]);
    assert!(hull(&["push", "-q", &registry.name("bb:1")]).status.success());
    assert!(hull(&["logout", &server]).status.success() && !dir.join("kept").exists());
}

fn openssl(dir: &std::path::Path, script: &str) {
    run(Command::new("sh").args(["-ec", script]).current_dir(dir));
}

#[test]
fn tls_is_believed_by_its_authority_and_not_otherwise() {
    let here = Sandbox::new();
    let dir = here.path();
    openssl(
        dir,
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=ca 2>/dev/null
         openssl req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=reg.internal 2>/dev/null
         printf 'subjectAltName=DNS:reg.internal\\nbasicConstraints=CA:FALSE' > ext
         openssl x509 -req -in own.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out own.crt -days 2 -extfile ext 2>/dev/null",
    );
    let tls = format!("  tls:\n    certificate: {0}/own.crt\n    key: {0}/own.key\n", dir.display());
    let registry = Registry::with(&here, &tls);
    // Whatever name it is reached by, it must be the one in its certificate: 127.0.0.1 is not to prove anything.
    let insecure = registry.name("bb:1");
    here.ok(&["tag", "bb", &insecure]);
    here.ok(&["push", "-q", &insecure]);
    let host = format!("reg.internal:{}", registry.port);
    let name = format!("{host}/bb:1");
    // A network of its own, in which the name is this host's.
    let hull = |args: &[&str], trusted: bool| {
        let hosts = dir.join("hosts");
        std::fs::write(&hosts, "127.0.0.1 reg.internal wrong.internal\n").unwrap();
        let mut words = vec![support::HULL.to_owned()];
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let script = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-ec", &script, "sh"]).args(words);
        command.env("HULL_ROOT", here.root()).env("HULL_REGISTRIES", here.registries());
        command.env("XDG_CONFIG_HOME", if trusted { dir.join("config") } else { dir.join("none") });
        command.output().unwrap()
    };
    let refused = hull(&["pull", &name], false);
    let told = text(&refused.stderr);
    assert!(
        !refused.status.success()
            && told.contains("UnknownIssuer")
            && told.contains("hint: put the registry's"),
        "{told}"
    );
    let certs = dir.join("config/hull/certs.d").join(&host);
    std::fs::create_dir_all(&certs).unwrap();
    std::fs::copy(dir.join("ca.crt"), certs.join("ca.crt")).unwrap();
    let believed = hull(&["pull", "-q", &name], true);
    assert!(believed.status.success(), "{}", text(&believed.stderr));
    let other = format!("wrong.internal:{}", registry.port);
    let certs = dir.join("config/hull/certs.d").join(&other);
    std::fs::create_dir_all(&certs).unwrap();
    std::fs::copy(dir.join("ca.crt"), certs.join("ca.crt")).unwrap();
    let wrong = hull(&["pull", &format!("{other}/bb:1")], true);
    let told = text(&wrong.stderr);
    assert!(!wrong.status.success() && told.contains("certificate not valid for name"), "{told}");
}

#[test]
fn mirrors_aliases_and_the_default_registry_are_followed() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    here.ok(&["tag", "bb", "reg.test/cache/library/tool:1"]);
    here.ok(&["push", "-q", "reg.test/cache/library/tool:1"]);
    let own = format!("127.0.0.1:{}", registry.port);
    let there = Sandbox::empty();
    there.set_registries(&format!(
        "[[registry]]\nprefix = \"docker.io\"\n[[registry.mirror]]\nlocation = \"{own}/cache\"\n"
    ));
    assert_eq!(there.ok(&["run", "--rm", "-q", "tool:1", "echo", "by the mirror"]), "by the mirror\n");
    assert!(there.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).contains("tool:1"));
    let third = Sandbox::empty();
    third.set_registries(&format!("default = \"{own}\"\n[aliases]\nt = \"{own}/cache/library/tool\"\n"));
    assert_eq!(third.ok(&["run", "--rm", "-q", "t:1", "echo", "by its alias"]), "by its alias\n");
    assert_eq!(third.ok(&["run", "--rm", "-q", "t:1", "echo", "again"]), "again\n");
    assert_eq!(third.ok(&["pull", "-q", "cache/library/tool:1"]), format!("{own}/cache/library/tool:1\n"));
    let (code, told) = third.fails(&["pull", "-q", "nowhere:1"]);
    assert!(code == 1 && told.contains("nowhere:1"), "{told}");
    third.set_registries("defualt = 1\n");
    let (code, told) = third.fails(&["pull", "x"]);
    assert!(code == 1 && told.contains("registries.toml") && told.contains("defualt"), "{told}");
}

/// The registry's log has each blob once, though two processes wanted it.
#[test]
fn two_at_once_fetch_a_layer_once() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    let random: Vec<u8> =
        (0..20_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    here.hull_with_input(
        &["load"],
        &docker_archive("reg.test/big:1", &[busybox(), tar_of(&[("f", &random)])]),
    );
    here.ok(&["push", "-q", "--compression", "none", "reg.test/big:1"]);
    here.ok(&["tag", "reg.test/big:1", "reg.test/big:2"]);
    here.ok(&["push", "-q", "--compression", "none", "reg.test/big:2"]);
    let there = elsewhere(&registry);
    let children: Vec<_> = ["reg.test/big:1", "reg.test/big:2"]
        .map(|name| there.command(&["pull", "-q", name]).stderr(Stdio::piped()).spawn().unwrap())
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    assert!(children.iter().all(|child| child.status.success()), "{children:?}");
    let layers = registry.count("GET /v2/big/blobs/");
    assert!((3..=4).contains(&layers), "two layers once each, and a configuration: {layers}");
    assert_eq!(std::fs::read_dir(there.root().join("partial")).unwrap().count(), 0);
    there.assert_clean();
}

#[test]
fn a_pull_that_was_killed_goes_on_where_it_stopped() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    let random: Vec<u8> =
        (0..60_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    here.hull_with_input(&["load"], &docker_archive("reg.test/big:1", &[tar_of(&[("f", &random)])]));
    here.ok(&["push", "-q", "--compression", "none", "reg.test/big:1"]);
    let there = elsewhere(&registry);
    let mut child = there.command(&["pull", "-q", "reg.test/big:1"]).spawn().unwrap();
    let arrived = || {
        let dir = std::fs::read_dir(there.root().join("partial")).into_iter().flatten().flatten();
        dir.filter_map(|entry| Some(entry.metadata().ok()?.len())).max().unwrap_or(0)
    };
    while arrived() < 4_000_000 {
        assert!(child.try_wait().unwrap().is_none(), "it was too fast to be killed");
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let had = arrived();
    assert_eq!(there.ok(&["images", "-q"]), "", "nothing is visible");
    there.ok(&["pull", "-q", "reg.test/big:1"]);
    let log = registry.log();
    let partial =
        log.lines().filter(|line| line.contains("GET /v2/big/blobs/") && line.contains(" 206 ")).count();
    assert_eq!(partial, 1, "it was asked for what follows byte {had}: {log}");
    assert_eq!(there.ok(&["system", "df", "--format", "{{.Type}}"]).lines().count(), 6);
    there.assert_clean();
}

/// Round all places, and back under the same digest.
#[test]
fn an_image_is_copied_between_all_places_with_its_digest() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    here.hull_with_input(
        &["load"],
        &docker_archive("reg.test/x:1", &[busybox(), tar_of(&[("f", &[1; 100_000])])]),
    );
    here.ok(&["push", "-q", "reg.test/x:1"]);
    let digest = digest_of(&here, "reg.test/x:1");
    let dir = here.path().display().to_string();
    let steps = [
        ("docker://reg.test/x:1", format!("oci:{dir}/layout:a")),
        (&*format!("oci:{dir}/layout:a"), format!("oci-archive:{dir}/l.tar:b")),
        (&*format!("oci-archive:{dir}/l.tar:b"), format!("dir:{dir}/dir")),
        (&*format!("dir:{dir}/dir"), "docker://reg.test/back:1".to_owned()),
        ("docker://reg.test/back:1", "docker://reg.test/again:2".to_owned()),
    ];
    for (from, to) in steps {
        let copied = here.ok(&["image", "copy", "-q", from, &to]);
        assert_eq!(copied.trim_end(), digest, "{from} to {to}");
    }
    assert_eq!(skopeo_digest(&format!("oci-archive:{dir}/l.tar:b")), digest);
    assert_eq!(skopeo_digest(&format!("dir:{dir}/dir")), digest);
    let there = elsewhere(&registry);
    there.ok(&["image", "copy", "-q", "docker://reg.test/again:2", "mine:1"]);
    assert_eq!(there.ok(&["run", "--rm", "mine:1", "echo", "copied"]), "copied\n");
    assert_eq!(there.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "mine:1\n");
    there.ok(&["image", "copy", "-q", "mine:1", &format!("docker-archive:{dir}/d.tar:named:7")]);
    assert_eq!(
        skopeo(&["inspect", "--format", "{{.Name}}", &format!("docker-archive:{dir}/d.tar:named:7")])
            .trim_end(),
        "docker.io/library/named"
    );
    there.ok(&[
        "image",
        "copy",
        "-q",
        &format!("docker-archive:{dir}/d.tar"),
        &format!("dir:{dir}/from-docker"),
    ]);
    there.ok(&["image", "copy", "-q", &format!("dir:{dir}/from-docker"), "round:1"]);
    assert_eq!(
        there.ok(&["image", "inspect", "-f", "{{.Id}}", "round:1"]),
        there.ok(&["image", "inspect", "-f", "{{.Id}}", "mine:1"])
    );
    let (code, told) = there.fails(&["image", "copy", &format!("oci:{dir}/layout:nope"), "x:1"]);
    assert_ne!((code, told.is_empty()), (0, true));
    there.assert_clean();
    here.assert_clean();
}

fn skopeo_digest(place: &str) -> String {
    let shown: Value = serde_json::from_str(&skopeo(&["inspect", place])).unwrap();
    shown["Digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_list_is_put_together_annotated_pushed_and_pulled() {
    let here = Sandbox::new();
    let registry = Registry::start(&here);
    registry.known_to(&here);
    for arch in ["amd64", "arm64"] {
        let name = format!("reg.test/built-{arch}:1");
        let platform = format!("linux/{arch}");
        here.hull_with_input(
            &["import", "--platform", &platform, "-c", "CMD [\"sh\"]", "-", &name],
            &busybox(),
        );
        here.ok(&["push", "-q", &name]);
    }
    let list = "reg.test/app:1";
    here.ok(&["manifest", "create", list, "reg.test/built-amd64:1"]);
    let (code, told) = here.fails(&["manifest", "create", list, "reg.test/built-arm64:1"]);
    assert!(code == 1 && told.contains("--amend"), "{told}");
    here.ok(&["manifest", "create", "--amend", list, "reg.test/built-arm64:1"]);
    here.ok(&["manifest", "annotate", "--variant", "v8", list, "reg.test/built-arm64:1"]);
    let shown: Value = serde_json::from_str(&here.ok(&["manifest", "inspect", list])).unwrap();
    assert_eq!(shown["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(shown["manifests"][1]["platform"]["variant"], "v8");
    let digest = here.ok(&["manifest", "push", "--purge", list]);
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert_eq!(here.fails(&["manifest", "push", list]).0, 1);
    let there = elsewhere(&registry);
    assert_eq!(there.ok(&["run", "--rm", "-q", list, "echo", "from a list"]), "from a list\n");
    assert_eq!(digest_of(&there, list), digest.trim_end());
    let verbose: Value = serde_json::from_str(&there.ok(&["manifest", "inspect", "-v", list])).unwrap();
    assert_eq!(verbose.as_array().unwrap().len(), 2);
    there.ok(&[
        "image",
        "copy",
        "-q",
        "--all",
        &format!("docker://{list}"),
        &format!("oci:{}/all", there.path().display()),
    ]);
    let blobs = std::fs::read_dir(there.path().join("all/blobs/sha256")).unwrap().count();
    assert!(blobs >= 6, "an index, two manifests, two configurations, a layer: {blobs}");
    here.assert_clean();
    there.assert_clean();
}

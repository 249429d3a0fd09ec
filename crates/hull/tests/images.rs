//! Images in, listed, named and out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::{Sandbox, busybox, docker_archive, tar_of, text};

fn compress(program: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut command = std::process::Command::new(program);
    let mut child = command
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output.stdout
}

#[test]
fn import_takes_every_compression_and_change() {
    let sandbox = Sandbox::empty();
    let tar = busybox();
    for program in ["gzip", "zstd", "bzip2", "xz"] {
        let packed = compress(program, &tar);
        let done = sandbox.hull_with_input(
            &[
                "import",
                "-m",
                "hi",
                "-c",
                "ENV PATH=/bin A=b",
                "-c",
                "ENTRYPOINT [\"sh\", \"-c\"]",
                "-c",
                "CMD echo $A",
                "-",
                program,
            ],
            &packed,
        );
        assert!(done.status.success(), "{program}: {}", text(&done.stderr));
    }
    assert_eq!(
        sandbox.ok(&["images", "-q", "--no-trunc"]).lines().count(),
        4,
        "four names of images with the same layer"
    );
    assert_eq!(
        std::fs::read_dir(sandbox.root().join("layers")).unwrap().count(),
        1,
        "the layer is kept once"
    );
    assert_eq!(
        sandbox.ok(&["image", "inspect", "-f", "{{.Comment}} {{json .Config.Env}}", "xz"]),
        "hi [\"PATH=/bin\",\"A=b\"]\n"
    );
    sandbox.assert_clean();
}

#[test]
fn archives_are_loaded_from_files_streams_and_directories() {
    let sandbox = Sandbox::empty();
    let layers = [busybox(), tar_of(&[("a", b"1")])];
    let archive = docker_archive("app:1", &layers);
    let file = sandbox.path().join("app.tar");
    std::fs::write(&file, &archive).unwrap();
    assert_eq!(sandbox.ok(&["load", "-i", file.to_str().unwrap()]), "Loaded image: app:1\n");
    assert_eq!(sandbox.ok(&["run", "--rm", "app:1", "cat", "/a"]), "1");
    sandbox.ok(&["rmi", "app:1"]);
    let packed = compress("gzip", &archive);
    assert_eq!(text(&sandbox.hull_with_input(&["load"], &packed).stdout), "Loaded image: app:1\n");
    assert_eq!(sandbox.ok(&["run", "--rm", "app:1", "cat", "/a"]), "1");
    sandbox.assert_clean();
}

#[test]
fn an_oci_layout_of_umoci_runs() {
    let sandbox = Sandbox::empty();
    let layout = sandbox.path().join("layout");
    let umoci = |args: &[&str]| {
        let done = std::process::Command::new("umoci").args(args).output().expect("umoci is installed");
        assert!(done.status.success(), "{}", text(&done.stderr));
    };
    let image = format!("{}:tag", layout.display());
    umoci(&["init", "--layout", layout.to_str().unwrap()]);
    umoci(&["new", "--image", &image]);
    let bundle = sandbox.path().join("bundle");
    umoci(&["unpack", "--image", &image, bundle.to_str().unwrap()]);
    std::fs::create_dir(bundle.join("rootfs/bin")).unwrap();
    std::fs::copy("/bin/busybox", bundle.join("rootfs/bin/busybox")).unwrap();
    umoci(&["repack", "--image", &image, bundle.to_str().unwrap()]);
    let said = sandbox.ok(&["load", "-i", layout.to_str().unwrap()]);
    let id = said.trim().strip_prefix("Loaded image ID: ").expect(&said).to_owned();
    assert_eq!(sandbox.ok(&["run", "--rm", &id, "/bin/busybox", "echo", "hi"]), "hi\n");
    sandbox.assert_clean();
}

#[test]
fn names_come_and_go() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["tag", "bb", "other:v2"]);
    let list = sandbox.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(list.contains("bb:latest\n") && list.contains("other:v2\n"), "{list}");
    assert_eq!(sandbox.ok(&["images", "-q", "other"]).lines().count(), 1);
    assert_eq!(sandbox.ok(&["rmi", "bb"]), "Untagged: bb:latest\n");
    assert!(sandbox.ok(&["rmi", "other:v2"]).contains("Deleted: sha256:"));
    assert_eq!(sandbox.ok(&["images", "-q"]), "");
    let (code, told) = sandbox.fails(&["rmi", "other:v2"]);
    assert!(code == 1 && told.contains("no such image"), "{told}");
    sandbox.assert_clean();
}

#[test]
fn bad_archives_leave_nothing() {
    let sandbox = Sandbox::empty();
    let good = docker_archive("x:1", &[busybox(), tar_of(&[("a", b"1")])]);
    let lying = String::from_utf8_lossy(&good).find("\"diff_ids\":[\"sha256:").unwrap() + 21;
    let _ = lying;
    let mut corrupt = good.clone();
    let at = corrupt.windows(2).position(|pair| pair == b"a\0").unwrap();
    corrupt[at] = b'b'; // a header's sum is wrong then
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("no archive", b"this is no tar at all".repeat(100)),
        ("no image", tar_of(&[("hello", b"x")])),
        ("cut off", good[..good.len() / 2].to_vec()),
        ("corrupt", corrupt),
        ("not gzip", [b"\x1f\x8b\x08\0".to_vec(), vec![7; 4000]].concat()),
    ] {
        let output = sandbox.hull_with_input(&["load"], &bytes);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", text(&output.stdout));
        let told = text(&output.stderr);
        assert!(
            told.starts_with("error: ")
                && told.lines().filter(|line| line.starts_with("error:")).count() == 1,
            "{what}: {told}"
        );
    }
    let told = text(&sandbox.hull_with_input(&["load"], b"x\n").stderr);
    assert!(told.starts_with("error: read standard input\ncaused by: it is no tar archive"), "{told}");
    assert_eq!(sandbox.ok(&["images", "-q"]), "");
    sandbox.ok(&["system", "check", "--repair"]);
    sandbox.assert_clean();
}

#[test]
fn a_full_disk_is_told_and_nothing_is_left() {
    let sandbox = Sandbox::empty();
    let script = "mount -t tmpfs -o size=3m none \"$HULL_ROOT\" && \"$0\" import - big; code=$?; \"$0\" images -q; \"$0\" system check --repair; exit $code";
    std::fs::create_dir_all(sandbox.root()).unwrap();
    let big = tar_of(&[("big", &vec![1; 8 << 20])]);
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script, support::HULL]).env("HULL_ROOT", sandbox.root());
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &big)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let told = text(&output.stderr);
    assert!(
        output.status.code() == Some(1) && told.contains("No space left") && told.contains("hint:"),
        "{told}"
    );
    assert_eq!(text(&output.stdout), "nothing left to do\n");
}

#[test]
fn an_image_of_as_many_layers_as_overlay_takes_runs_and_one_of_more_is_refused() {
    let sandbox = Sandbox::empty();
    let mut layers = vec![busybox()];
    layers.extend((1..501).map(|number| tar_of(&[(&format!("f{number}"), number.to_string().as_bytes())])));
    for count in [40, 499, 500] {
        let name = format!("many:{count}");
        let done = sandbox.hull_with_input(&["load"], &docker_archive(&name, &layers[..count]));
        assert!(done.status.success(), "{}", text(&done.stderr));
        let last = format!("/f{}", count - 1);
        let script = format!("cat /f1 {last}; test -c /dev/null && test -d /proc/1 && ls / | grep -c ^f");
        let said = sandbox.ok(&["run", "--rm", &name, "/bin/sh", "-c", &script]);
        assert_eq!(said, format!("1{}{}\n", count - 1, count - 1));
    }
    sandbox.hull_with_input(&["load"], &docker_archive("many:501", &layers));
    let (code, told) = sandbox.fails(&["run", "--rm", "many:501", "/bin/true"]);
    assert!(code == 125 && told.contains("501 layers, and overlay takes 500"), "{told}");
    sandbox.assert_clean();
}

/// A layer by Python's tarfile: lines that `add(name, data=…, **fields of TarInfo)`.
fn python_tar(sandbox: &Sandbox, body: &str) -> Vec<u8> {
    let script = format!(
        "import tarfile, io, sys\nfrom tarfile import DIRTYPE as DIR, LNKTYPE as LINK, SYMTYPE as SYM\n\
         b = io.BytesIO()\nt = tarfile.open(fileobj=b, mode='w', format=tarfile.PAX_FORMAT)\n\
         def add(name, data=b'', **fields):\n    i = tarfile.TarInfo(name)\n    i.size = len(data)\n    \
         [setattr(i, k, v) for k, v in fields.items()]\n    t.addfile(i, io.BytesIO(data))\n{body}\nt.close()\nsys.stdout.buffer.write(b.getvalue())"
    );
    let file = sandbox.path().join("script.py");
    std::fs::write(&file, script).unwrap();
    let done = std::process::Command::new("python3").arg(file).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    done.stdout
}

#[test]
fn a_layer_keeps_what_lower_layers_say_of_directories_it_only_implies() {
    let sandbox = Sandbox::empty();
    let base = "add('tmp', type=DIR, mode=0o1777)\nadd('home', type=DIR, mode=0o755)\n\
         add('home/user', type=DIR, mode=0o750, uid=1000, gid=1000, mtime=5)\nadd('opt', type=DIR, mode=0o700)\n\
         add('var', type=DIR, mode=0o711)\nadd('var/lib', type=DIR, mode=0o2775, gid=7)";
    let top = "add('tmp/x', b'1')\nadd('home/user/.profile', b'2', uid=1000)\nadd('opt/.wh..wh..opq')\n\
         add('opt/y', b'3')\nadd('var/lib/z', b'4')\nadd('new/w', b'5')";
    let layers = [busybox(), python_tar(&sandbox, base), python_tar(&sandbox, top)];
    let done = sandbox.hull_with_input(&["load"], &docker_archive("seam:1", &layers));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let look = "stat -c '%n %a %u:%g' /tmp /home /home/user /opt /var /var/lib /new; cat /tmp/x /home/user/.profile /opt/y /var/lib/z /new/w";
    let said = sandbox.ok(&["run", "--rm", "seam:1", "/bin/sh", "-c", look]);
    let expected = "/tmp 1777 0:0\n/home 755 0:0\n/home/user 750 1000:1000\n/opt 755 0:0\n/var 711 0:0\n\
         /var/lib 2775 0:7\n/new 755 0:0\n12345";
    assert_eq!(said, expected);
    let inspected = sandbox.ok(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", "seam:1"]);
    assert_eq!(inspected, "3\n", "a seam is no layer of the image's");
    assert_eq!(sandbox.ok(&["history", "-q", "seam:1"]).lines().count(), 3);
    sandbox.assert_clean();
    sandbox.ok(&["rmi", "seam:1"]);
    assert_eq!(std::fs::read_dir(sandbox.root().join("layers")).unwrap().count(), 0);
}

#[test]
fn owners_of_any_number_are_the_same_inside() {
    let sandbox = Sandbox::empty();
    let top = "add('etc/passwd', b'far:x:1000700000:1000700000::/far:/bin/sh', uid=0)\n\
        add('far', type=DIR, mode=0o700, uid=1000700000, gid=1000700000)\nadd('near', b'x', uid=65536, gid=65535)";
    let layers = [busybox(), python_tar(&sandbox, top)];
    assert!(sandbox.hull_with_input(&["load"], &docker_archive("far:1", &layers)).status.success());
    let script = "stat -c '%n %u:%g' /far /near; chown 65540:1000700001 /near && stat -c %u:%g /near; \
        chown 200000 /near 2>/dev/null || echo no such id";
    assert_eq!(
        sandbox.ok(&["run", "--rm", "far:1", "/bin/sh", "-c", script]),
        "/far 1000700000:1000700000\n/near 65536:65535\n65540:1000700001\nno such id\n"
    );
    let said = sandbox.ok(&[
        "run",
        "--name",
        "kept",
        "-u",
        "far",
        "far:1",
        "/bin/sh",
        "-c",
        "id -u; touch /far/own",
    ]);
    assert_eq!(said, "1000700000\n");
    let upper = sandbox.ok(&["inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "kept"]);
    let own = std::fs::metadata(std::path::Path::new(upper.trim()).join("far/own")).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&own),
        1_000_700_000,
        "on disk it is what a layer would have"
    );
    sandbox.assert_clean();
}

#[test]
fn owners_of_more_ranges_than_a_container_can_have_are_told() {
    let sandbox = Sandbox::empty();
    let top = "[add(f'f{n}', uid=n << 16) for n in range(1, 30)]";
    let layers = [busybox(), python_tar(&sandbox, top)];
    assert!(sandbox.hull_with_input(&["load"], &docker_archive("wide:1", &layers)).status.success());
    let look = "stat -c %u /f1 /f16 /f17; wc -l < /proc/self/uid_map";
    let output = sandbox.hull(&["run", "--rm", "wide:1", "/bin/sh", "-c", look]);
    assert_eq!(text(&output.stdout), "65536\n1048576\n65534\n17\n");
    assert!(text(&output.stderr).contains("belong to `nobody`"), "{}", text(&output.stderr));
    sandbox.assert_clean();
}

#[test]
fn a_hard_link_to_a_lower_layers_file_is_that_file() {
    let sandbox = Sandbox::empty();
    let base = "add('d', type=DIR, mode=0o750)\nadd('d/file', b'one', mode=0o4711, uid=7, mtime=9)\nadd('gone', b'two')";
    let top = "add('e', type=DIR, mode=0o711)\nadd('e/link', type=LINK, linkname='d/file')\n\
         add('e/again', type=LINK, linkname='e/link')\nadd('moved', type=LINK, linkname='gone')\nadd('.wh.gone')";
    let layers = [busybox(), python_tar(&sandbox, base), python_tar(&sandbox, top)];
    let done = sandbox.hull_with_input(&["load"], &docker_archive("link:1", &layers));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let look = "cat /e/link /e/again /moved; echo; stat -c '%n %a %u %Y' /d /e /e/link; test ! -e /gone";
    let said = sandbox.ok(&["run", "--rm", "link:1", "/bin/sh", "-c", look]);
    assert_eq!(said, "oneonetwo\n/d 750 0 0\n/e 711 0 0\n/e/link 4711 7 9\n");
    // The layer itself is what it was, whatever lies below it.
    let other = [busybox(), python_tar(&sandbox, &base.replace("b'one'", "b'eno'")), layers[2].clone()];
    sandbox.hull_with_input(&["load"], &docker_archive("link:2", &other));
    assert_eq!(sandbox.ok(&["run", "--rm", "link:2", "/bin/cat", "/e/link"]), "eno");
    for (name, layers) in
        [("nowhere:1", [busybox(), layers[2].clone()]), ("first:1", [layers[2].clone(), busybox()])]
    {
        let done = sandbox.hull_with_input(&["load"], &docker_archive(name, &layers));
        let told = text(&done.stderr);
        assert!(
            !done.status.success() && told.contains("its target `") && told.contains("is in no layer"),
            "{told}"
        );
    }
    let done = sandbox.hull_with_input(&["import", "-", "alone"], &layers[2]);
    assert!(text(&done.stderr).contains("is in no layer"), "{}", text(&done.stderr));
    sandbox.assert_clean();
}

//! Archives: what they may ask of memory, what is kept of them, what is no archive.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::Value;
use std::process::{Command, Output};
use support::{HULL, Sandbox, docker_archive, tar_of, text};

/// Runs hull, and says how much memory it had at most, in bytes: `ru_maxrss` of wait4(2), by Python.
fn measured(sandbox: &Sandbox, args: &[&str]) -> (Output, u64) {
    let script = "import os, sys\n\
        pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n\
        _, status, usage = os.wait4(pid, 0)\n\
        open(os.environ['PEAK'], 'w').write(str(usage.ru_maxrss * 1024))\n\
        sys.exit(os.waitstatus_to_exitcode(status))";
    let peak = sandbox.path().join("peak");
    let mut command = Command::new("python3");
    command.args(["-c", script, HULL]).args(args).env("HULL_ROOT", sandbox.root()).env("PEAK", &peak);
    let output = command.output().unwrap();
    (output, std::fs::read_to_string(peak).unwrap().parse().unwrap())
}

/// What is promised of a load where decoders have 48 MiB.
const PEAK: u64 = 64 << 20;
const FRUGAL: &str = "{\"decoder_memory\": 50331648}";

/// A sandbox whose store grants decoders 48 MiB.
fn frugal() -> Sandbox {
    let sandbox = Sandbox::empty();
    std::fs::create_dir_all(sandbox.root()).unwrap();
    std::fs::write(sandbox.root().join("config.json"), FRUGAL).unwrap();
    sandbox
}

/// A tar whose every byte wants a place in a decoder's window.
fn large(megabytes: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut block = Vec::with_capacity(1 << 20);
    while block.len() < 1 << 20 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block.extend_from_slice(&state.to_le_bytes());
    }
    tar_of(&[("large", &block.repeat(megabytes))])
}

fn packed(sandbox: &Sandbox, tar: &[u8], command: &str) -> Vec<u8> {
    let file = sandbox.path().join("layer.tar");
    std::fs::write(&file, tar).unwrap();
    let done = Command::new("sh").args(["-c", command]).current_dir(sandbox.path()).output().unwrap();
    assert!(done.status.success(), "{command}: {}", text(&done.stderr));
    done.stdout
}

#[test]
fn a_window_that_is_not_granted_is_refused_with_the_name_of_the_setting() {
    let sandbox = frugal();
    let tar = large(72, 0);
    let file = sandbox.path().join("packed");
    for command in ["xz -T1 --lzma2=preset=0,dict=64MiB -c layer.tar", "zstd -q --fast --long=27 < layer.tar"]
    {
        std::fs::write(&file, packed(&sandbox, &tar, command)).unwrap();
        let import = ["import", file.to_str().unwrap(), "large"];
        let (done, peak) = measured(&sandbox, &import);
        let told = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{command}");
        assert!(told.contains("decoder_memory") && told.contains("config.json"), "{told}");
        assert!(peak <= PEAK, "{command}: {peak}");
        let config = sandbox.root().join("config.json");
        std::fs::remove_file(&config).unwrap();
        let (done, peak) = measured(&sandbox, &import);
        assert!(done.status.success(), "{command}: {}", text(&done.stderr));
        assert!(peak > PEAK, "{command}: {peak}: the window was needed");
        std::fs::write(config, FRUGAL).unwrap();
        sandbox.ok(&["rmi", "large"]);
    }
    sandbox.assert_clean();
}

#[test]
fn layers_wait_for_their_share_of_the_memory() {
    let sandbox = frugal();
    let pack = |seed: u8, command: &str| packed(&sandbox, &large(36, seed), command);
    let xz = "xz -T1 --lzma2=preset=0,dict=32MiB -c layer.tar";
    let zstd = "zstd -q --fast --long=25 < layer.tar";
    let layers: Vec<_> = (0..4).map(|n| pack(n, if n % 2 == 0 { xz } else { zstd })).collect();
    let plain: Vec<_> = (0..4).map(|n| large(36, n)).collect();
    let archive = sandbox.path().join("four.tar");
    std::fs::write(&archive, support::docker_archive_of("four:1", &plain, &layers)).unwrap();
    let (done, peak) = measured(&sandbox, &["load", "-i", archive.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(peak <= PEAK, "{peak}");
    sandbox.assert_clean();
}

#[test]
fn documents_made_to_swell_do_not() {
    let sandbox = frugal();
    let layer = tar_of(&[("a", b"1")]);
    let history = format!("{{\"history\":[{}{{}}]}}", "{},".repeat(2_500_000));
    let list = r#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["l.tar"]}]"#;
    let members: [(&str, &[u8]); 3] =
        [("l.tar", &layer), ("c.json", history.as_bytes()), ("manifest.json", list.as_bytes())];
    let archive = sandbox.path().join("swell.tar");
    std::fs::write(&archive, tar_of(&members)).unwrap();
    let (done, peak) = measured(&sandbox, &["load", "-i", archive.to_str().unwrap()]);
    assert!(text(&done.stderr).contains("`c.json` is larger than"), "{}", text(&done.stderr));
    assert!(peak <= PEAK, "{peak}");
    sandbox.assert_clean();
}

/// By sha256sum(1).
fn sum_of(path: &std::path::Path) -> String {
    text(&Command::new("sha256sum").arg(path).output().unwrap().stdout)[..64].to_owned()
}

#[test]
fn blobs_are_kept_as_they_came_where_the_store_is_told_so() {
    let sandbox = Sandbox::empty();
    std::fs::create_dir_all(sandbox.root()).unwrap();
    std::fs::write(sandbox.root().join("config.json"), "{\"blobs\": \"keep\"}").unwrap();
    let layers = [large(1, 1), large(1, 2)];
    let came: Vec<_> = layers.iter().map(|layer| packed(&sandbox, layer, "gzip -nc layer.tar")).collect();
    let archive = support::docker_archive_of("kept:1", &layers, &came);
    for round in ["new", "again"] {
        let done = sandbox.hull_with_input(&["load"], &archive);
        assert!(done.status.success(), "{round}: {}", text(&done.stderr));
        let blobs: Vec<_> =
            std::fs::read_dir(sandbox.root().join("blobs/sha256")).unwrap().flatten().collect();
        assert_eq!(blobs.len(), 2, "{round}");
        for blob in &blobs {
            assert_eq!(sum_of(&blob.path()), blob.file_name().to_str().unwrap(), "its name is its digest");
            assert!(came.contains(&std::fs::read(blob.path()).unwrap()), "the very bytes that came");
        }
        sandbox.assert_clean();
    }
    let line = |kind: &str| {
        let lines = sandbox.ok(&["system", "df", "--format", "json"]);
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.into_iter().find(|line| line["Type"] == kind).unwrap()
    };
    assert_eq!(line("Blobs")["TotalCount"], "2");
    assert!(line("Blobs")["Bytes"].as_u64().unwrap() >= 2 << 20);
    assert_eq!(line("Blobs")["ReclaimableBytes"], line("Blobs")["Bytes"]);
    let told = sandbox.ok(&["system", "prune", "-af"]);
    assert!(
        told.contains("Total reclaimed space: 4."),
        "two layers and two blobs of a megabyte each: {told}"
    );
    assert_eq!(std::fs::read_dir(sandbox.root().join("blobs/sha256")).unwrap().count(), 0);
    // An image that was loaded before gets its blobs when it comes again.
    std::fs::write(sandbox.root().join("config.json"), "{\"blobs\": \"drop\"}").unwrap();
    sandbox.hull_with_input(&["load"], &archive);
    assert_eq!(std::fs::read_dir(sandbox.root().join("blobs/sha256")).unwrap().count(), 0);
    std::fs::write(sandbox.root().join("config.json"), "{\"blobs\": \"keep\"}").unwrap();
    let file = sandbox.path().join("kept.tar");
    std::fs::write(&file, &archive).unwrap();
    sandbox.ok(&["load", "-i", file.to_str().unwrap()]);
    assert_eq!(std::fs::read_dir(sandbox.root().join("blobs/sha256")).unwrap().count(), 2);
    sandbox.assert_clean();
}

#[test]
fn a_layer_of_no_bytes_is_an_empty_one() {
    let sandbox = Sandbox::empty();
    let archive = docker_archive("x:1", &[support::busybox(), Vec::new()]);
    let file = sandbox.path().join("x.tar");
    std::fs::write(&file, &archive).unwrap();
    assert_eq!(sandbox.ok(&["load", "-i", file.to_str().unwrap()]), "Loaded image: x:1\n");
    assert_eq!(sandbox.ok(&["run", "--rm", "x:1", "/bin/echo", "hi"]), "hi\n");
    sandbox.ok(&["rmi", "x:1"]);
    assert_eq!(text(&sandbox.hull_with_input(&["load"], &archive).stdout), "Loaded image: x:1\n");
    let done = sandbox.hull_with_input(&["import", "-", "nothing"], b"");
    assert!(text(&done.stderr).contains("there is nothing in it"), "{}", text(&done.stderr));
    sandbox.assert_clean();
}

#[test]
fn what_waits_says_so_and_what_never_ends_is_refused() {
    let sandbox = Sandbox::empty();
    let fifo = sandbox.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut command = sandbox.command(&["import", fifo.to_str().unwrap(), "x"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.starts_with("warning: waiting for somebody to write into the fifo"), "{line}");
    std::fs::write(&fifo, tar_of(&[("a", b"1")])).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(sandbox.ok(&["images", "-q"]).lines().count(), 1);
    let root = sandbox.path().to_str().unwrap();
    for args in [["import", "/dev/zero"], ["import", root]] {
        let (_, told) = sandbox.fails(&args);
        assert!(told.contains("no archive") && told.contains("hint:"), "{told}");
    }
    let (_, told) = sandbox.fails(&["load", "-i", "/dev/zero"]);
    assert!(told.contains("is a device and no archive"), "{told}");
    sandbox.assert_clean();
}

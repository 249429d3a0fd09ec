//! Images made on the spot.

use std::io::Write;
use std::path::Path;

/// The tar of a root with Debian's static busybox under all its names.
pub fn busybox() -> Vec<u8> {
    let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let names = std::process::Command::new("/bin/busybox").arg("--list").output().expect("run busybox");
    let names = String::from_utf8_lossy(&names.stdout).into_owned();
    let mut tar = tar::Builder::new(Vec::new());
    directory(&mut tar, "bin/");
    file(&mut tar, "bin/busybox", 0o755, &program);
    for name in names.lines().filter(|name| *name != "busybox") {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox").expect("write");
    }
    directory(&mut tar, "etc/");
    file(&mut tar, "etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n");
    file(&mut tar, "etc/group", 0o644, b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\n");
    directory(&mut tar, "home/");
    tar.into_inner().expect("finish the tar")
}

/// A tar of some files.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        file(&mut tar, name, 0o644, bytes);
    }
    tar.into_inner().expect("finish the tar")
}

/// An archive as `docker save` of versions 1.10 to 24 writes it.
pub fn docker_archive(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    docker_archive_of(name, layers, layers)
}

/// Likewise of layers that are packed in some way.
pub fn docker_archive_of(name: &str, layers: &[Vec<u8>], packed: &[Vec<u8>]) -> Vec<u8> {
    archive(name, &["sh"], layers, packed)
}

/// Likewise of what runs something else than a shell.
pub fn docker_archive_running(name: &str, command: &[&str], layers: &[Vec<u8>]) -> Vec<u8> {
    archive(name, command, layers, layers)
}

fn archive(name: &str, command: &[&str], layers: &[Vec<u8>], packed: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let names: Vec<_> = (0..layers.len()).map(|number| format!("{number:064x}/layer.tar")).collect();
    let manifest =
        serde_json::json!([{"Config": config_name, "RepoTags": [name], "Layers": names}]).to_string();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, layer) in names.iter().zip(packed) {
        file(&mut tar, name, 0o644, layer);
    }
    file(&mut tar, &config_name, 0o644, config.as_bytes());
    file(&mut tar, "manifest.json", 0o644, manifest.as_bytes());
    tar.into_inner().expect("finish the tar")
}

/// By sha256sum(1): a second opinion on hull's own sums.
fn sha256(bytes: &[u8]) -> String {
    let mut command = std::process::Command::new("sha256sum");
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("run sha256sum");
    child.stdin.take().expect("piped").write_all(bytes).expect("feed sha256sum");
    let output = child.wait_with_output().expect("wait for sha256sum");
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().expect("a sum").to_owned()
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

fn directory(tar: &mut tar::Builder<Vec<u8>>, name: &str) {
    let mut header = header(tar::EntryType::Directory, 0o755, 0);
    tar.append_data(&mut header, Path::new(name), std::io::empty()).expect("write");
}

fn file(tar: &mut tar::Builder<Vec<u8>>, name: &str, mode: u32, bytes: &[u8]) {
    let mut header = header(tar::EntryType::Regular, mode, bytes.len() as u64);
    tar.append_data(&mut header, Path::new(name), bytes).expect("write");
}

//! Images for machines and benchmarks, as docker archives.

use crate::shell::Done;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Programs of busybox that are there under their names.
const APPLETS: [&str; 16] = [
    "cat", "chmod", "echo", "grep", "head", "id", "ls", "mkdir", "mknod", "mount", "sed", "sh", "sleep",
    "stat", "tail", "true",
];

/// Layers as tar archives, the lowest first.
#[derive(Default)]
pub(crate) struct Layers(pub(crate) Vec<Vec<u8>>);

impl Layers {
    /// A layer with busybox.
    pub(crate) fn add_busybox(&mut self) -> Done {
        let program = std::fs::read("/bin/busybox").map_err(|error| format!("read /bin/busybox: {error}"))?;
        let mut layer = Layer::default();
        layer.directory("bin");
        layer.file("bin/busybox", &program);
        for name in APPLETS {
            layer.link(&format!("bin/{name}"), "busybox");
        }
        self.0.push(layer.end());
        Ok(())
    }

    /// A layer with one file.
    pub(crate) fn add_file(&mut self, name: &str, content: &[u8]) {
        let mut layer = Layer::default();
        layer.file(name, content);
        self.0.push(layer.end());
    }

    /// A layer of many files of `size` bytes that do not compress, fifty in each directory below `top`.
    pub(crate) fn add_tree(&mut self, top: &str, files: usize, size: usize) {
        let mut layer = Layer::default();
        let mut noise = Noise(self.0.len() as u64 + 1);
        for number in 0..files {
            if number % 50 == 0 {
                layer.directory(&format!("{top}/{}", number / 50));
            }
            layer.file(&format!("{top}/{}/f{number}", number / 50), &noise.bytes(size));
        }
        self.0.push(layer.end());
    }
}

/// xorshift64: nothing depends on how random it is.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.to_ne_bytes()
        });
        words.flatten().take(count).collect()
    }
}

struct Layer(Builder<Vec<u8>>);

impl Default for Layer {
    fn default() -> Self {
        Self(Builder::new(Vec::new()))
    }
}

/// Into memory, where nothing fails.
impl Layer {
    fn directory(&mut self, name: &str) {
        let mut header = header(EntryType::Directory, 0o755, 0);
        self.0.append_data(&mut header, format!("{name}/"), std::io::empty()).expect("memory takes all");
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        let mut header = header(EntryType::Regular, 0o755, content.len());
        self.0.append_data(&mut header, name, content).expect("memory takes all");
    }

    fn link(&mut self, name: &str, target: &str) {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.0.append_link(&mut header, name, target).expect("memory takes all");
    }

    fn end(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes all")
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header
}

/// Writes an archive as `docker save` does.
pub(crate) fn archive(file: &Path, name: &str, layers: &[Vec<u8>]) -> Done {
    write_archive(file, name, layers).map_err(|error| format!("write `{}`: {error}", file.display()))
}

fn write_archive(file: &Path, name: &str, layers: &[Vec<u8>]) -> std::io::Result<()> {
    let digests: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", digest(layer))).collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": { "Env": ["PATH=/bin"], "Cmd": ["sh"] },
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let config = config.to_string();
    let names: Vec<_> = (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    let config_name = format!("{}.json", digest(config.as_bytes()));
    let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": names }]).to_string();
    let mut archive = Builder::new(File::create(file)?);
    let mut add = |name: &str, content: &[u8]| {
        archive.append_data(&mut header(EntryType::Regular, 0o644, content.len()), name, content)
    };
    for (name, layer) in names.iter().zip(layers) {
        add(name, layer)?;
    }
    add(&config_name, config.as_bytes())?;
    add("manifest.json", manifest.as_bytes())?;
    archive.into_inner().map(drop)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

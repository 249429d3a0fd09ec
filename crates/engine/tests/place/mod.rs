//! A store of its own for a test.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test fails by panicking, and uses a part"
)]

use engine::Engine;
use std::path::PathBuf;

/// A store of its own that grants 48 MiB of memory, gone with it.
pub struct Place {
    pub dir: PathBuf,
    pub engine: Engine,
}

impl Place {
    pub fn new(test: &str) -> Self {
        let dir = PathBuf::from(format!("/var/tmp/hull-engine-{test}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("root")).unwrap();
        std::fs::write(dir.join("root/config.json"), "{\"decoder_memory\": 50331648}").unwrap();
        let engine = Engine::open(&dir.join("root"), &dir.join("run")).unwrap();
        Self { dir, engine }
    }

    /// Neither garbage nor layers without an image.
    pub fn assert_clean(&self, layers: usize) {
        assert_eq!(self.engine.check(false).unwrap(), []);
        assert_eq!(std::fs::read_dir(self.dir.join("root/layers")).unwrap().count(), layers);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

//! A caller who is not root, and to whom ids are granted: known in a mount namespace of each command's own, so that
//! nothing of the host's changes.

use super::HULL;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The caller's id, and the first of those that are granted to it.
pub const OWN: u32 = 64_711;
pub const GRANTED: u32 = 700_000;

/// Runs the rest of the line as the caller, with what it finds on the host replaced.
const BECOME: &str = r#"
mount --bind "$HULL" "$PLACE/bin/hull-runtime"
mount --bind "$PLACE/shm" /dev/shm # podman has a file of locks there for each user
for file in passwd group subuid subgid; do [ -e /etc/$file ] && mount --bind "$PLACE/$file" /etc/$file; done
ulimit -c 0
exec setpriv --reuid $OWN --regid $OWN --clear-groups \
    env -i PATH="$PLACE/bin:$BEHIND" HOME="$PLACE/home" USER=caller XDG_RUNTIME_DIR="$PLACE/run" "$@"
"#;

/// The caller.
#[derive(Debug)]
pub struct Caller {
    place: PathBuf,
    /// `$PATH` behind the runtime's own directory.
    pub path: String,
}

impl Caller {
    /// One whose directories are made in a place.
    pub fn new(place: &Path) -> Self {
        for directory in ["bin", "run", "home", "shm"] {
            let path = place.join(directory);
            std::fs::create_dir(&path).expect("make a directory");
            chown(path, Some(OWN), Some(OWN)).expect("give it away");
        }
        let files = [
            ("bin/hull-runtime", String::new()),
            ("passwd", format!("root:x:0:0::/root:/bin/sh\ncaller:x:{OWN}:{OWN}::/:/bin/sh\n")),
            ("group", format!("root:x:0:\ncaller:x:{OWN}:\n")),
            ("subuid", format!("caller:{GRANTED}:65536\n")),
            ("subgid", format!("caller:{GRANTED}:65536\n")),
        ];
        files
            .into_iter()
            .for_each(|(name, text)| std::fs::write(place.join(name), text).expect("write a file"));
        Self { place: place.to_owned(), path: "/usr/bin:/bin:/usr/sbin:/sbin".into() }
    }

    /// Where `$XDG_RUNTIME_DIR` is.
    pub fn run(&self) -> PathBuf {
        self.place.join("run")
    }

    /// Any command of the caller's.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", BECOME, "sh"]).args(words).stdin(Stdio::null());
        command.envs([
            ("HULL", HULL),
            ("PLACE", self.place.to_str().expect("a path in words")),
            ("BEHIND", &self.path),
        ]);
        command.env("OWN", OWN.to_string());
        command
    }
}

//! The kernel's files tell of names that a container chose: of its groups, mounts and processes. With any name
//! they are read for what they say, and no name moves another field; any other text is read, too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    cgroup::fuzz::read(&text);
    let _ = (engine::compose::source_mount(&text), bundle::born(bytes));

    // What separates cannot be in a path of /proc/PID/cgroup, where nothing is escaped.
    let group = format!("/{}", text.replace(['\n', '\r'], ""));
    let told = cgroup::fuzz::tree(&format!("7:cpu,cpuacct:/0::/\n0::{group}\n"));
    assert_eq!(told.as_deref(), Some(Path::new(&group)));

    let point = format!("/{}", text.replace('\0', ""));
    let line = format!("36 35 98:0 / {} rw,shared:1 master:1 - ext4 /dev/sda rw", escaped(&point));
    let mount = engine::compose::source_mount(&line).expect("a line is read");
    assert_eq!((mount.point.as_path(), mount.shared, mount.slave), (Path::new(&point), false, true));

    let name = &bytes[..bytes.len().min(15)];
    let fields = b") S 1 2 3 4 5 4194560 7 8 9 10 11 12 13 14 15 16 17 18 4711 20\n";
    assert_eq!(bundle::born(&[b"12 (", name, fields].concat()), Some(4711));
});

/// As seq_path(9) does for mountinfo.
fn escaped(path: &str) -> String {
    let letter = |letter: char| match letter {
        ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", letter as u32),
        other => other.to_string(),
    };
    path.chars().map(letter).collect()
}

//! `bench/RESULTS.md`: a heading, and a part for each group, the latest of each.

use crate::shell::{Done, output, root};
use std::process::Command;

/// Puts a group's part in its place.
pub(super) fn write(group: &str, part: &str) -> Done {
    let file = root().join("bench/RESULTS.md");
    let old = std::fs::read_to_string(&file).unwrap_or_default();
    let new = replaced(&old, &heading(), group, part);
    std::fs::write(&file, new).map_err(|error| format!("write `{}`: {error}", file.display()))
}

/// The parts stay in their order; a new one comes last.
fn replaced(old: &str, heading: &str, group: &str, part: &str) -> String {
    let part = format!("{group}\n{}\n", part.trim_end());
    let mut parts: Vec<String> =
        old.split("\n## ").skip(1).map(|part| format!("{}\n", part.trim_end())).collect();
    match parts.iter_mut().find(|old| old.lines().next() == Some(group)) {
        Some(old) => *old = part,
        None => parts.push(part),
    }
    parts.iter().fold(heading.to_owned(), |text, part| text + "\n## " + part)
}

fn heading() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("?").to_owned();
    let peers: Vec<_> =
        ["crun", "runc", "podman", "dockerd", "containerd", "qemu-system-x86_64", "tar"].map(version).into();
    format!(
        "# Results\n\nMade by `cargo xtask bench`; never edited by hand. {cpu}, {} CPUs, Linux {}; state on {}.\nPeers: {}.\n\
         Medians of interleaved runs, in milliseconds of wall time from fork to end.\n",
        std::thread::available_parallelism().map_or(0, usize::from),
        first_line(Command::new("uname").arg("-r")),
        first_line(Command::new("stat").args(["-f", "-c", "%T", "/var/tmp"])),
        peers.join("; "),
    )
}

fn version(program: &str) -> String {
    match first_line(Command::new(program).arg("--version")) {
        line if line.is_empty() => format!("{program} absent"),
        line => line,
    }
}

fn first_line(command: &mut Command) -> String {
    output(command).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_the_place_of_its_like() {
        let old = "# Old\n\n## run\nfast\n\n## load\nslow\n";
        assert_eq!(replaced(old, "# New\n", "run", "faster\n"), "# New\n\n## run\nfaster\n\n## load\nslow\n");
        assert_eq!(replaced("", "# New\n", "run", "x"), "# New\n\n## run\nx\n");
        assert!(replaced(old, "# New\n", "oci", "x").ends_with("## load\nslow\n\n## oci\nx\n"));
    }
}

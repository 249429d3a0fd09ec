//! One machine: put together, booted, and heard.

use super::kernel::Kernel;
use super::tests::Tests;
use crate::shell::{Done, quietly, release_hull, sh};
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is above the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    /// busybox, every controller on the one hierarchy.
    V2,
    /// busybox, a hierarchy for each controller.
    V1,
    /// Debian's systemd, and v2 as it sets it up.
    Systemd,
    /// The same with hull's tests of the runtime.
    Runtime,
    /// Debian as well, with the tests of what containers do from their start to their end.
    Life,
    /// The same with engines, and hull's tests of those.
    Engines,
    /// Debian without systemd, on a processor whose clock counts instructions.
    Count,
}

impl System {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V1 => "v1",
            Self::Systemd => "systemd",
            Self::Runtime => "runtime",
            Self::Life => "life",
            Self::Engines => "engines",
            Self::Count => "count",
        }
    }

    /// Seconds until a machine counts as hung. On a quiet one a minute is plenty for the checks.
    fn patience(self) -> u32 {
        match self {
            Self::Runtime | Self::Life | Self::Engines => 2400,
            _ => 600,
        }
    }

    /// Of `crates/hull/tests`, which are run in it.
    pub(super) fn tests(self) -> &'static [&'static str] {
        match self {
            Self::Runtime => &["attacks", "oci"],
            Self::Life => {
                &["adopt", "change", "events", "health", "life", "limits", "logs", "restart", "stats"]
            }
            Self::Engines => &["engines"],
            _ => &[],
        }
    }
}

/// What a machine runs.
const SCRIPTS: [(&str, &str); 5] = [
    // The initramfs loads modules and leaves: from itself pivot_root(2) is not allowed.
    ("init", include_str!("init.sh")),
    // Whatever the system, and under systemd besides.
    ("checks.sh", include_str!("checks.sh")),
    ("systemd.sh", include_str!("systemd.sh")),
    // Instead, where instructions are counted, and where hull's tests are run.
    ("count.sh", include_str!("count.sh")),
    ("tests.sh", include_str!("tests.sh")),
];

pub(super) struct Machine<'a> {
    pub(super) dir: PathBuf,
    pub(super) kernel: Kernel,
    pub(super) version: &'a str,
    pub(super) system: System,
    pub(super) disk: PathBuf,
    /// An image of many layers.
    pub(super) many: PathBuf,
    pub(super) tests: Option<Tests>,
}

impl Machine<'_> {
    /// Boots it and judges what it says.
    pub(super) fn test(&self) -> Done {
        eprintln!("+ booting Linux {} with {} under emulation", self.version, self.system.name());
        let start = std::time::Instant::now();
        let said = self.boot()?;
        let (took, patience) = (start.elapsed().as_secs(), self.system.patience());
        eprintln!(
            "+ its end after {took} s, of {patience} s at most; all it said is in `{}`",
            self.log().display()
        );
        judge(&said)
    }

    /// The lines it says that begin with a word, without it.
    pub(super) fn lines(&self, word: &str) -> Result<Vec<String>, String> {
        let said = self.boot()?;
        let lines: Vec<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix(word))
            .map(|rest| rest.trim().to_owned())
            .collect();
        if lines.is_empty() { Err(format!("the machine said no `{word}`:\n{said}")) } else { Ok(lines) }
    }

    /// Tests of the runtime stop it at steps that a release has not.
    fn hull(&self) -> PathBuf {
        match &self.tests {
            Some(tests) if matches!(self.system, System::Runtime | System::Life) => tests.hull.clone(),
            _ => release_hull(),
        }
    }

    fn initramfs(&self) -> Done {
        for (name, text) in SCRIPTS {
            std::fs::write(self.dir.join(name), text).map_err(|error| format!("write `{name}`: {error}"))?;
        }
        let mut script = String::from(
            "set -e; rm -rf ram; mkdir -p ram/bin ram/proc ram/sys ram/dev ram/new ram/modules\n\
             cp init *.sh ram/; chmod +x ram/init; cp /bin/busybox ram/bin/\n",
        );
        let _ = writeln!(script, "cp {} ram/bin/hull", self.hull().display());
        let _ = writeln!(script, "cp {} ram/many.tar", self.many.display());
        if let Some(tests) = &self.tests {
            let _ = writeln!(script, "mkdir ram/tests; echo {} > ram/hull-path", tests.hull.display());
            for (name, program) in &tests.programs {
                let _ = writeln!(script, "cp {} ram/tests/{name}", program.display());
            }
        }
        for (number, module) in self.kernel.modules.iter().enumerate() {
            let unpack = if module.extension().is_some_and(|kind| kind == "xz") { "xz -dc" } else { "cat" };
            let _ = writeln!(script, "{unpack} {} > ram/modules/{number:02}.ko", module.display());
        }
        script.push_str("(cd ram && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > ram.gz");
        quietly(&mut sh(&self.dir, &script))
    }

    /// What it writes to its serial line, which can be read as it comes in the log. The disk stays as it was.
    fn boot(&self) -> Result<String, String> {
        self.initramfs()?;
        let mut qemu = Command::new("timeout");
        qemu.arg(self.system.patience().to_string()).arg("qemu-system-x86_64");
        qemu.args(match self.system {
            System::Count => ["-accel", "tcg", "-icount", "shift=0,sleep=off"],
            _ => ["-accel", "tcg,thread=multi", "-smp", "2"],
        });
        qemu.args(["-cpu", "max", "-m", "2048"]);
        qemu.args(["-nographic", "-no-reboot", "-nic", "none", "-snapshot"]);
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio", self.disk.display()));
        qemu.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(self.dir.join("ram.gz"));
        // Without udev nobody would tell systemd that the terminal is there, and it would wait.
        let options = format!(
            "console=ttyS0 quiet panic=-1 hull={} systemd.mask=serial-getty@ttyS0.service systemd.show_status=0",
            self.system.name()
        );
        qemu.args(["-append", &options]).stdin(Stdio::null());
        let log = self.log();
        let file = File::create(&log).map_err(|error| format!("make `{}`: {error}", log.display()))?;
        qemu.stdout(file).status().map_err(|error| format!("run qemu: {error}"))?;
        let said = std::fs::read(&log).map_err(|error| format!("read `{}`: {error}", log.display()))?;
        Ok(String::from_utf8_lossy(&said).replace('\r', ""))
    }

    fn log(&self) -> PathBuf {
        self.dir.join(format!("{}-{}.log", self.system.name(), self.version))
    }
}

fn judge(said: &str) -> Done {
    let telling = |line: &&str| ["ok ", "FAIL ", "SKIP ", "DONE"].iter().any(|word| line.starts_with(word));
    let lines: Vec<_> = said.lines().filter(telling).collect();
    eprintln!("{}", lines.join("\n"));
    let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    match (lines.last(), count("ok"), count("FAIL")) {
        (Some(&"DONE"), 1.., 0) => Ok(()),
        (Some(&"DONE"), _, failed) => Err(format!("{failed} checks failed")),
        _ => Err(format!("it did not come to its end:\n{said}")),
    }
}

/// The least that says a line: an initramfs of busybox alone, in the given directory.
pub(super) fn smallest(dir: &Path, line: &str) -> Result<PathBuf, String> {
    let script = format!(
        "rm -rf least && mkdir -p least/bin && cp /bin/busybox least/bin/ && \
         printf '#!/bin/busybox sh\\necho {line}\\nexec /bin/busybox sleep 1000\\n' > least/init && chmod +x least/init && \
         (cd least && find . | busybox cpio -o -H newc 2>/dev/null) > least.ram"
    );
    quietly(&mut sh(dir, &script))?;
    Ok(dir.join("least.ram"))
}

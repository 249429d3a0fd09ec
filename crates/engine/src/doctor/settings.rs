//! Settings of the kernel's that containers run into.

use super::{Files, Finding, SETTINGS, Verdict};

/// A setting that is too low below a value, what that costs, and a value that is plenty.
#[rustfmt::skip]
const LEAST: [(&str, u64, &str, u64); 4] = [
    ("net.ipv4.ip_forward", 1, "networks that are bridged reach no further than this host", 1),
    ("fs.inotify.max_user_instances", 512, "programs that watch files fail: \"too many open files\"", 8192),
    ("fs.inotify.max_user_watches", 65_536, "programs that watch files fail: \"no space left on device\"", 524_288),
    ("kernel.pid_max", 65_536, "the host has few pids, and containers share them", 4_194_304),
];

pub(super) fn all(files: Files<'_>) -> Vec<Finding> {
    let least = LEAST.iter().filter_map(|(name, least, lost, plenty)| {
        let value = files.setting(name)?;
        let told = Finding::ok(SETTINGS, name, value.to_string());
        let mend = || format!("sysctl -w {name}={plenty}");
        Some(if value < *least { told.but(Verdict::Warn, *lost, mend()) } else { told })
    });
    least.chain(bpf(files)).chain(open_files(files)).collect()
}

/// Programs in the kernel by anybody: most holes of BPF need no more.
fn bpf(files: Files<'_>) -> Option<Finding> {
    let name = "kernel.unprivileged_bpf_disabled";
    let value = files.setting(name)?;
    let told = Finding::ok(SETTINGS, name, value.to_string());
    Some(match value {
        0 => told.but(
            Verdict::Warn,
            "who has no filter of system calls loads programs into the kernel without any capability",
            format!("sysctl -w {name}=2"),
        ),
        _ => told,
    })
}

/// How many files hull itself, and so each container, may have open.
fn open_files(files: Files<'_>) -> Option<Finding> {
    let text = files.text("/proc/self/limits")?;
    let line = text.lines().find(|line| line.starts_with("Max open files"))?;
    let most = line.split_whitespace().nth(4)?;
    let told = Finding::ok(SETTINGS, "open files", format!("at most {most} of each process"));
    Some(match most.parse::<u64>() {
        Ok(..4096) => told.but(
            Verdict::Warn,
            "servers with many connections fail",
            "ulimit -Hn 1048576 (LimitNOFILE= of the unit that starts hull)",
        ),
        _ => told,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{about, with};
    use super::*;

    #[test]
    fn what_is_too_low_is_told_with_the_command() {
        let watches = |value| [("/proc/sys/fs/inotify/max_user_watches", value)];
        let low = with(&watches("8192\n"), all);
        assert_eq!(
            about(&low, "fs.inotify.max_user_watches").mend,
            "sysctl -w fs.inotify.max_user_watches=524288"
        );
        assert_eq!(with(&watches("65536\n"), all)[0].verdict, Verdict::Ok);
    }

    #[test]
    fn what_the_kernel_has_no_setting_for_is_not_told() {
        assert_eq!(with(&[], all), []);
    }

    #[test]
    fn the_limit_of_open_files_is_the_hard_one() {
        let limits = |hard: &str| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  {hard}  files\n")
        };
        let verdict = |hard: &str| with(&[("/proc/self/limits", &limits(hard))], all)[0].verdict;
        assert_eq!(
            (verdict("1024"), verdict("524288"), verdict("unlimited")),
            (Verdict::Warn, Verdict::Ok, Verdict::Ok)
        );
    }
}

//! config.md, Process and what config-linux.md adds to it.

use super::spec_bundle::{Bundle, is_oracle};
use serde_json::json;
use std::path::Path;

fn status(bundle: &mut Bundle, field: &str) -> String {
    bundle.ok(&format!("sed -n 's/^{field}:[[:space:]]*//p' /proc/self/status"))
}

#[test]
fn user_groups_and_umask_are_the_processes() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["user"] =
        json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 7000], "umask": 0o077});
    assert_eq!(bundle.ok("id -u; id -g; id -G; umask"), "1000\n1001\n1001 5 7000\n0077");
    bundle.config["process"]["user"] = json!({"uid": 0, "gid": 0});
    assert_eq!(bundle.ok("umask"), "0022");
    // The specification requires it; runc and crun take an absent one for root.
    bundle.config["process"].as_object_mut().unwrap().remove("user");
    assert_eq!(bundle.ok("id -u; id -G"), "0\n0");
}

#[test]
fn arguments_and_environment_are_as_given() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["env"] = json!(["PATH=/bin", "A=1", "B=a b"]);
    assert_eq!(
        bundle.ok("echo $A; echo \"$B\"; cat /proc/1/cmdline | tr '\\0' ' ' | cut -c1-5"),
        "1\na b\nsh -c"
    );
    bundle.config["process"]["env"] = json!(["PATH=/nowhere"]);
    bundle.refuses(&["executable file not found in $PATH"]);
}

#[test]
fn the_working_directory_is_made_and_stays_in_the_root() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["cwd"] = json!("/made/on/the/way");
    assert_eq!(bundle.ok("pwd"), "/made/on/the/way");
    std::os::unix::fs::symlink("/etc", bundle.rootfs().join("link")).unwrap();
    bundle.config["process"]["cwd"] = json!("/link/made");
    assert_eq!(bundle.ok("pwd -P"), "/etc/made");
    assert!(!Path::new("/etc/made").exists(), "it was made on the host");
    bundle.config["process"]["cwd"] = json!("relative");
    bundle.refuses(&["process.cwd"]);
}

#[test]
fn no_descriptor_leads_the_working_directory_out() {
    let mut bundle = Bundle::new();
    for number in 3..12 {
        bundle.config["process"]["cwd"] = json!(format!("/proc/self/fd/{number}"));
        let said = bundle.refusal();
        assert!(is_oracle() || said.contains(&format!("/proc/self/fd/{number}")), "{said}");
    }
}

#[test]
fn capabilities_of_all_five_sets_are_set() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_KILL"],
        "ambient": ["CAP_KILL"],
    });
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    for (field, mask) in
        [("CapBnd", 0xa1), ("CapPrm", 0x20), ("CapEff", 0x20), ("CapInh", 0x20), ("CapAmb", 0x20)]
    {
        assert_eq!(status(&mut bundle, field), format!("{mask:016x}"), "{field}");
    }
}

#[test]
fn capabilities_that_cannot_be_had_are_warned_of() {
    let mut bundle = Bundle::new();
    let sets = json!({"bounding": ["CAP_CHOWN", "CAP_FLY"], "permitted": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"],
        "ambient": ["CAP_KILL"]});
    bundle.config["process"]["capabilities"] = sets;
    let output = bundle.run("true");
    let said = super::support::text(&output.stderr);
    assert!(output.status.success() && said.contains("CAP_FLY") && said.contains("CAP_KILL"), "{said}");
}

#[test]
fn limits_are_those_of_the_configuration_each_once() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "soft": 40, "hard": 50}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
        {"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152}
    ]);
    assert_eq!(bundle.ok("ulimit -n; ulimit -Hn; ulimit -c; ulimit -s; ulimit -Hs"), "40\n50\n0\n1024\n2048");
    bundle.config["process"]["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}, {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}
    ]);
    bundle.refuses(&["rlimits", "Nofile", "twice"]);
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_BEER", "soft": 1, "hard": 2}]);
    bundle.refuses(&["process.rlimits[0].type", "RLIMIT_BEER"]);
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 3, "hard": 2}]);
    bundle.refuses(&["RLIMIT_NOFILE", "soft 3 is above hard 2"]);
}

#[test]
fn few_descriptors_for_the_program_are_enough_for_many_mounts() {
    if is_oracle() {
        return; // others are bound by the limit themselves
    }
    let mut bundle = Bundle::new();
    for number in 0..12 {
        bundle.mount(&format!("/m/{number}"), "bind", "/etc", &["rbind", "ro"]);
    }
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 4, "hard": 4}]);
    assert_eq!(bundle.ok("ulimit -n"), "4");
}

#[test]
fn no_new_privileges_and_the_oom_score_are_set_when_asked_for() {
    let mut bundle = Bundle::new();
    assert_eq!(status(&mut bundle, "NoNewPrivs"), "0");
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(bundle.ok("cat /proc/self/oom_score_adj"), own.trim());
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    bundle.config["process"]["oomScoreAdj"] = json!(321);
    assert_eq!(status(&mut bundle, "NoNewPrivs"), "1");
    assert_eq!(bundle.ok("cat /proc/self/oom_score_adj"), "321");
}

#[test]
fn labels_of_security_modules_the_kernel_lacks_are_refused() {
    let has_apparmor =
        std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|on| on.trim() == "Y");
    for (pointer, field, lacks) in [
        ("/process/apparmorProfile", "process.apparmorProfile", !has_apparmor),
        ("/process/selinuxLabel", "process.selinuxLabel", !Path::new("/sys/fs/selinux/enforce").exists()),
        ("/linux/mountLabel", "linux.mountLabel", !Path::new("/sys/fs/selinux/enforce").exists()),
    ] {
        let mut bundle = Bundle::new();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        bundle.config.pointer_mut(parent).unwrap()[name] = json!("a-label");
        match lacks {
            true => bundle.refuses_strictly(&[field, "is not enabled"]),
            false => eprintln!("SKIP: {field}: this kernel has it"),
        }
        bundle.config.pointer_mut(parent).unwrap()[name] = json!("");
        assert!(is_oracle() || bundle.ok("true").is_empty(), "an empty one is none");
    }
}

/// Nice value, real-time priority and policy, see proc_pid_stat(5).
const STAT: &str = "awk '{print $19, $40, $41}' /proc/self/stat; true";

#[test]
fn scheduling_is_as_asked() {
    let mut bundle = Bundle::new();
    let policy = |bundle: &mut Bundle, scheduler| {
        bundle.config["process"]["scheduler"] = scheduler;
        bundle.ok(STAT)
    };
    assert_eq!(policy(&mut bundle, json!({"policy": "SCHED_OTHER", "nice": 7})), "7 0 0");
    assert_eq!(policy(&mut bundle, json!({"policy": "SCHED_BATCH", "nice": -3})), "-3 0 3");
    assert!(policy(&mut bundle, json!({"policy": "SCHED_IDLE"})).ends_with(" 0 5"));
    for (name, priority, number) in [("SCHED_FIFO", 3, 1), ("SCHED_RR", 9, 2)] {
        bundle.config["process"]["scheduler"] = json!({"policy": name, "priority": priority});
        // Its group has no real-time share where the kernel gives these to groups (CONFIG_RT_GROUP_SCHED).
        match Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists() {
            true => bundle.refuses(&["process.scheduler"]),
            false => assert!(bundle.ok(STAT).ends_with(&format!(" {priority} {number}"))),
        }
    }
    let reset = json!({"policy": "SCHED_BATCH", "nice": -5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    assert_eq!(policy(&mut bundle, reset), "0 0 3", "what reads is a child of the shell");
    for wrong in [
        json!({"policy": "SCHED_OTHER", "priority": 3}),
        json!({"policy": "SCHED_ISO"}),
        json!({"policy": "SCHED_FIFO", "priority": 3, "period": 7}),
        json!({"policy": "SCHED_FOO"}),
    ] {
        bundle.config["process"]["scheduler"] = wrong;
        bundle.refuses(&["process.scheduler"]);
    }
}

#[test]
fn a_deadline_is_promised_or_refused() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["scheduler"] = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 100_000_000, "period": 100_000_000,
               "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let output = bundle.run("awk '{print $41}' /proc/1/stat");
    match output.status.success() {
        true => assert_eq!(super::support::text(&output.stdout).trim(), "6"),
        false => assert!(super::support::text(&output.stderr).contains("process.scheduler")),
    }
}

#[test]
fn priority_of_disk_access_is_as_asked() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 6});
    assert_eq!(bundle.ok("ionice -p $$"), "best-effort: prio 6");
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
    assert!(bundle.ok("ionice -p $$").starts_with("idle"));
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 9});
    bundle.refuses_strictly(&["process.ioPriority.priority"]);
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_LUNCH", "priority": 0});
    bundle.refuses(&["process.ioPriority.class", "IOPRIO_CLASS_LUNCH"]);
}

#[test]
fn the_console_has_the_size_that_is_asked_for() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 33, "width": 111});
    bundle.config["process"]["args"] =
        json!(["sh", "-c", "stty size; ls -lL /dev/console; tty; test -t 2 && echo sized"]);
    let mut terminal = super::support::Terminal::start(bundle.command());
    let seen = terminal.expect("sized");
    assert!(seen.contains("crw--w----"), "{seen}");
    assert_eq!(terminal.wait(), 0);
    bundle.config["process"]["consoleSize"] = json!({"height": 70000, "width": 1});
    bundle.refuses(&["consoleSize.height"]);
}

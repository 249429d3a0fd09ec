//! Every command's help, every flag that was promised, and what mistyped words are answered with.

use super::*;

/// The flags of docker's `run` that concern the process, the files, isolation and limits.
const PROMISED: &str = "detach interactive tty attach rm restart health-cmd health-interval health-timeout health-retries health-start-period health-start-interval no-healthcheck name cidfile pidfile env env-file workdir user group-add entrypoint \
    hostname domainname init read-only tmpfs volume mount device device-cgroup-rule cap-add cap-drop privileged \
    security-opt userns pid ipc uts cgroupns time shm-size sysctl ulimit oom-score-adj oom-kill-disable memory \
    memory-swap memory-reservation memory-swappiness cpus cpu-period cpu-quota cpu-shares cpu-rt-period \
    cpu-rt-runtime cpuset-cpus cpuset-mems pids-limit blkio-weight blkio-weight-device device-read-bps \
    device-write-bps device-read-iops device-write-iops cgroup-parent label label-file annotation stop-timeout \
    stop-signal sig-proxy detach-keys log-driver log-opt platform pull quiet network add-host dns dns-search dns-option";

fn typed(line: &str) -> Result<(Typed, &'static Command), Failure> {
    let (command, length) = find("run").unwrap();
    let words = line.split_whitespace().skip(length).map(OsString::from).collect();
    Ok((command.syntax.read(words)?, command))
}

fn hint(line: &str) -> (String, String) {
    let args = line.split_whitespace().map(OsString::from).collect();
    match dispatch(args).1 {
        Some(Failure::Mistake(mistake)) => (mistake.what, mistake.hint.unwrap_or_default()),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn all_help_fits_80_columns() {
    let groups = GROUPS.iter().map(|name| group(name));
    let commands = COMMANDS.iter().map(|command| help::command(command.syntax));
    for text in groups.chain(commands).chain([overview::TEXT.to_owned()]) {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line.trim_end(), line, "blanks at the end");
        }
    }
}

/// The words of a shell's line, as far as examples have them: blanks part them, single quotes keep them.
fn split(line: &str) -> Vec<OsString> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).map(OsString::from).collect()
}

#[test]
fn every_command_has_an_example_that_can_be_typed() {
    for command in COMMANDS {
        let syntax = command.syntax;
        let mut shown = false;
        for part in syntax.examples.iter().flat_map(|example| example.split(['|', ';', '<', '>', '('])) {
            let Some(name) =
                command.names.iter().find(|name| part.trim().starts_with(&format!("hull {name}")))
            else {
                continue;
            };
            let words = split(part.trim().trim_end_matches(')')).split_off(1 + name.split(' ').count());
            let read = syntax.read(words);
            assert!(read.is_ok(), "{part}: {read:?}");
            shown = true;
        }
        assert!(shown, "{} has no example", syntax.name);
    }
}

#[test]
fn run_has_every_flag_that_was_promised_and_none_of_later() {
    let flags: Vec<_> = run_flags::SYNTAX.flags.iter().map(|flag| flag.long).collect();
    for name in PROMISED.split_whitespace() {
        assert!(flags.contains(&name), "--{name}");
    }
    assert_eq!(flags.len(), PROMISED.split_whitespace().count());
    for name in ["publish", "volumes-from", "gpus"] {
        let (what, hint) = hint(&format!("run --{name} x hello"));
        assert_eq!(what, format!("unknown flag: --{name}"));
        assert!(hint.contains("not available yet"));
    }
    assert!(hint("run --kernel-memory 1m hello").0.starts_with("--kernel-memory is not supported"));
}

#[test]
fn no_name_letter_or_flag_is_there_twice() {
    let mut names: Vec<_> = COMMANDS.iter().flat_map(|command| command.names).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    for command in COMMANDS {
        let flags = command.syntax.flags;
        let once =
            |same: &dyn Fn(&crate::flags::Flag) -> bool| flags.iter().filter(|flag| same(flag)).count() == 1;
        for flag in flags {
            assert!(once(&|other| other.long == flag.long), "--{}", flag.long);
            assert!(flag.short.is_none() || once(&|other| other.short == flag.short), "--{}", flag.long);
        }
    }
}

#[test]
fn mistyped_words_are_answered_with_what_is_near() {
    for (line, what, near) in [
        ("imagse", "'imagse' is not a hull command", "`hull images`"),
        ("image lss", "'image lss' is not a hull command", "`hull image ls`"),
        ("contianer", "'contianer' is not a hull command", "`hull container`"),
        ("frobnicate", "'frobnicate' is not a hull command", "`hull help`"),
        ("build x", "'build' is not a hull command", "not available yet"),
        ("volume", "'volume' is not a hull command", "not available yet"),
        ("image build x", "'image build' is not a hull command", "not available yet"),
        ("run --read-onyl hello", "unknown flag: --read-onyl", "`--read-only`"),
        ("--rot x ps", "unknown flag: --rot", "`--root`"),
    ] {
        let (told, hint) = hint(line);
        assert_eq!(told, what);
        assert!(hint.contains(near), "{line}: {hint}");
    }
}

#[test]
fn codes_are_dockers() {
    let code = |line: &str| dispatch(line.split_whitespace().map(OsString::from).collect()).0;
    for line in
        ["run --nope", "run --memory x hello", "images --nope", "images -q=x", "images -f x", "ps -f x"]
    {
        assert_eq!(code(line), 125, "{line}");
    }
    for line in ["nope", "rmi", "ps x", "image nope", "run", "container run"] {
        assert_eq!(code(line), 1, "{line}");
    }
}

#[test]
fn a_group_lists_its_own() {
    let text = group("image");
    for name in ["ls", "rm", "inspect", "history", "tag", "import", "load", "prune"] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(name)), "{name}");
    }
    assert!(!text.contains("exec"));
}

#[test]
fn a_run_is_understood() {
    let line = "run -it --rm --net=host -m 1g --cpus=.5 -e A=1 -l a=b -v /x:/y:ro img sh -c ls";
    let (typed, _) = typed(line).unwrap();
    let request = run::request(&typed, &Caller::new(None)).unwrap();
    assert_eq!((request.image.as_str(), request.command.len(), request.remove), ("img", 3, true));
    assert_eq!(request.isolation.network, engine::request::Network::Host);
    assert_eq!((request.limits.memory, request.limits.nano_cpus), (Some(1 << 30), Some(500_000_000)));
    assert_eq!(request.process.env, ["A=1"]);
    assert_eq!((request.labels["a"].as_str(), request.files.mounts.len()), ("b", 1));
}

#[test]
fn nothing_wrong_is_passed_over() {
    for flag in [
        "--memory-swappiness=-5",
        "--memory-swappiness=101",
        "--label==x",
        "--label=",
        "--network=foo",
        "--pull=x",
        "--ulimit=x",
        "--cpus=x",
        "--device=x",
        "--userns=x",
        "--stop-signal=x",
        "--attach=x",
        "--platform=/",
        "--shm-size=x",
        "--pids-limit=x",
        "--sig-proxy=x",
        "--volume=data:/x",
        "--detach-keys=ctrl-",
        "--time=x=1s",
    ] {
        let read = typed(&format!("run {flag} img"))
            .and_then(|(typed, _)| run::request(&typed, &Caller::new(None)).map_err(Failure::from));
        assert!(read.is_err(), "{flag}");
    }
}

//! Wrong words on `hull run`: one row each, with the exit code and what is said.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use support::{Sandbox, text};

/// What is typed after `hull run --rm`, the exit code, and words of the error line.
#[rustfmt::skip]
const ROWS: &[(&str, i32, &str)] = &[
    ("--nope bb true", 125, "unknown flag: --nope"),
    ("--read-onyl bb true", 125, "unknown flag: --read-onyl"),
    ("-Z bb true", 125, "unknown shorthand flag: 'Z' in -Z"),
    ("--detach -a stdout bb true", 1, "conflicting options: cannot specify both --attach and --detach"),
    ("-p 80:80 bb true", 125, "unknown shorthand flag: 'p' in -p"),
    ("--restart sometimes bb true", 125, "unknown policy 'sometimes'"),
    ("--restart always:3 bb true", 125, "maximum retry count cannot be used with restart policy 'always'"),
    ("--restart always --rm bb true", 125, "cannot specify both --restart and --rm"),
    ("--health-cmd x --no-healthcheck bb true", 125, "--no-healthcheck conflicts with --health-* options"),
    ("--health-interval -1s bb true", 125, "--health-interval cannot be negative"),
    ("--health-timeout 1us bb true", 125, "--health-timeout cannot be less than 1ms"),
    ("--health-retries -1 bb true", 125, "--health-retries cannot be negative"),
    ("--health-start-period x bb true", 125, "invalid duration"),
    ("--health-start-interval 5 bb true", 125, "invalid duration"),
    ("--log-driver nobody bb true", 125, "logger: no log driver named 'nobody' is registered"),
    ("--log-opt x=1 bb true", 125, "unknown log opt 'x' for hull log driver"),
    ("--log-driver none --log-opt max-size=1m bb true", 125, "invalid logging opts for driver none"),
    ("--log-opt mode=maybe bb true", 125, "logger: logging mode not supported: maybe"),
    ("-t --log-driver passthrough bb true", 125, "passthrough gives a container the caller's own streams"),
    ("--volumes-from x bb true", 125, "unknown flag: --volumes-from"),
    ("--gpus all bb true", 125, "unknown flag: --gpus"),
    ("--kernel-memory 50m bb true", 125, "--kernel-memory is not supported: the kernel dropped limits of it"),
    ("--name", 125, "flag needs an argument: --name"),
    ("--rm=maybe bb true", 125, "not a boolean"),
    ("--name=-bad bb true", 125, "invalid container name (-bad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ("--name=a/b bb true", 125, "invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ("--cidfile /etc/passwd bb true", 125, "container ID file `/etc/passwd` is there already"),
    ("--pidfile /etc/passwd bb true", 125, "pid file `/etc/passwd` is there already"),
    ("--cidfile /nope/x bb true", 125, "write the container ID to `/nope/x`"),
    ("--pull sometimes bb true", 125, "invalid pull option: 'sometimes': must be one of \"always\", \"missi"),
    ("-q --pull always bb true", 125, "registry `docker.io` is blocked by registries.toml"),
    ("--platform linux/arm64 bb true", 125, "image with reference bb was found but its platform (linux/amd6"),
    ("--platform / bb true", 125, "`` is an invalid component of `/`: platform specifier component must mat"),
    ("--label =x bb true", 125, "invalid label '=x': empty name"),
    ("--label-file /nope bb true", 125, "No such file or directory (os error 2)"),
    ("--env-file /nope bb true", 125, "No such file or directory (os error 2)"),
    ("--env =x bb true", 125, "invalid environment variable: =x"),
    ("-it bb true", 1, "the input device is not a TTY"),
    ("", 1, "'hull run' requires at least 1 argument"),
    ("--annotation =x bb true", 125, "invalid Annotations: the empty string is not permitted as an annotati"),
    ("-a stdfoo bb true", 125, "valid streams are STDIN, STDOUT and STDERR"),
    ("--detach-keys ctrl-! bb true", 125, "Unknown character: 'ctrl-!'"),
    ("-w relative bb true", 125, "the working directory 'relative' is invalid, it needs to be an absolute p"),
    ("-w /etc/passwd bb true", 125, "change to working directory `/etc/passwd`"),
    ("-u nobody-here bb true", 125, "unable to find user nobody-here: no matching entries in passwd file"),
    ("-u root:nogroup-here bb true", 125, "unable to find group nogroup-here: no matching entries in group"),
    ("-u 2147483648 bb true", 125, "`2147483648`: uids and gids must be in range 0-2147483647"),
    ("-u -1 bb true", 125, "`-1`: uids and gids must be in range 0-2147483647"),
    ("--group-add nope bb true", 125, "unable to find group nope: no matching entries in group file"),
    ("--userns keep-id -u 70000 bb true", 125, "user 70000 is outside of the container's map of ids (0-0, 1-65535)"),
    ("--userns private:0:500000:9 -u 0:10 bb true", 125, "group 10 is outside of the container's map of ids (0-8)"),
    ("--userns private:0:500000:9 --group-add 70000 bb true", 125, "group 70000 is outside of the container's map"),
    ("--stop-signal SIGFOO bb true", 125, "invalid signal: SIGFOO"),
    ("--stop-signal 0 bb true", 125, "invalid signal: 0"),
    ("--stop-timeout x bb true", 125, "invalid syntax"),
    ("--stop-timeout 99999999999 bb true", 125, "value out of range"),
    ("--ulimit nofile bb true", 125, "invalid ulimit argument: nofile"),
    ("--ulimit foo=1 bb true", 125, "invalid ulimit type: foo"),
    ("--ulimit nofile=10:5 bb true", 125, "ulimit soft limit must be less than or equal to hard limit: 10 >"),
    ("--ulimit nofile=x bb true", 125, "invalid ulimit value: `x`"),
    ("--ulimit nofile=1:2:3 bb true", 125, "too many limit value arguments - 1:2:3, can only have up to two"),
    ("--ulimit as=1 bb true", 125, "invalid ulimit type: as"),
    ("--oom-score-adj 1001 bb true", 125, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
    ("--oom-score-adj x bb true", 125, "invalid syntax"),
    ("-v /x bb true", 125, "anonymous volumes are not available yet"),
    ("-v data:/x bb true", 125, "named volumes are not available yet: `data`"),
    ("-v /a:/b:zz bb true", 125, "invalid mode: zz"),
    ("-v /a:rel bb true", 125, "invalid mount path: 'rel' mount path must be absolute"),
    ("-v /a:/ bb true", 125, "invalid specification: destination can't be '/'"),
    ("-v /tmp:/a -v /etc:/a bb true", 125, "Duplicate mount point: /a"),
    ("--mount type=bind,source=/nope,target=/x bb true", 125, "invalid mount config for type \"bind\": bind"),
    ("--mount type=volume,target=/x bb true", 125, "mounts of type `volume` are not available yet"),
    ("--mount type=bind,target=/x bb true", 125, "invalid mount config for type \"bind\": field Source must"),
    ("--mount type=tmpfs bb true", 125, "target is required"),
    ("--mount foo=bar bb true", 125, "unexpected key 'foo' in 'foo=bar'"),
    ("--mount type=bind,source=/tmp,target=/x,bind-propagation=odd bb true", 125, "invalid value for bind-p"),
    ("--tmpfs rel bb true", 125, "invalid mount path: 'rel' mount path must be absolute"),
    ("--tmpfs /t:size=x bb true", 125, "invalid size: 'x'"),
    ("--tmpfs /t:nope bb true", 125, "invalid tmpfs option [\"nope\"]"),
    ("--tmpfs / bb true", 125, "invalid specification: destination can't be '/'"),
    ("--shm-size x bb true", 125, "invalid size: 'x'"),
    ("--device /dev/nope bb true", 125, "error gathering device information while adding custom device \"/d"),
    ("--device /dev/null:/dev/x:rwz bb true", 125, "bad mode specified: rwz"),
    ("--device rel bb true", 125, ": rel is not an absolute path"),
    ("--device /dev/null:rel bb true", 125, ": rel is not an absolute path"),
    ("--device /dev/null::r bb true", 125, ":  is not an absolute path"),
    ("--device /etc/passwd bb true", 125, "error gathering device information while adding custom device \""),
    ("--device vendor.com/gpu=0 bb true", 125, "devices by CDI name (`vendor.com/gpu=0`) are not available"),
    ("--device-cgroup-rule x bb true", 125, "invalid device cgroup format 'x'"),
    ("--hostname aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bb true", 125, "is too long (maximum"),
    ("--add-host db bb true", 125, "bad format for add-host: \"db\""),
    ("--add-host db:1.2.3 bb true", 125, "invalid IP address in add-host: \"1.2.3\""),
    ("--dns x bb true", 125, "invalid IP address syntax"),
    ("--dns-search a..b bb true", 125, "a..b is not a valid domain"),
    ("--dns-search= bb true", 125, " is not a valid domain"),
    ("--cap-add NOPE bb true", 125, "unknown capability: \"CAP_NOPE\""),
    ("--cap-add CAP_CAP_CHOWN bb true", 125, "unknown capability: \"CAP_CAP_CHOWN\""),
    ("--cap-drop NOPE bb true", 125, "unknown capability: \"CAP_NOPE\""),
    ("--security-opt foo bb true", 125, "Invalid --security-opt: \"foo\""),
    ("--security-opt no-new-privileges=maybe bb true", 125, "Invalid --security-opt: \"no-new-privileges=ma"),
    ("--security-opt seccomp=/nope bb true", 125, "opening seccomp profile (/nope) failed"),
    ("--security-opt seccomp=/etc/passwd bb true", 125, "decoding seccomp profile failed"),
    ("--security-opt mask=rel bb true", 125, "Invalid --security-opt: \"mask=rel\": paths must be absolute"),
    ("--userns foo bb true", 125, "invalid USER mode `foo`"),
    ("--userns private:0:0:0 bb true", 125, "a map of ids is empty or goes beyond 4294967295"),
    ("--userns private:0:1:5,3:9:9 bb true", 125, "maps of ids overlap, or are more than 340"),
    ("--pid foo bb true", 125, "invalid mode `foo`"),
    ("--pid container:nope bb true", 125, "no such container: nope"),
    ("--ipc foo bb true", 125, "invalid mode `foo`"),
    ("--uts foo bb true", 125, "invalid mode `foo`"),
    ("--cgroupns foo bb true", 125, "invalid mode `foo`"),
    ("--network foo bb true", 125, "networks are not available yet: `foo`"),
    ("--network container:nope bb true", 125, "no such container: nope"),
    ("--network host --sysctl net.ipv4.ip_forward=1 bb true", 125, "sysctl \"net.ipv4.ip_forward\" not allo"),
    ("--uts host --hostname x bb true", 125, "conflicting options: hostname and the UTS mode"),
    ("--time x=1s bb true", 125, "unknown clock `x`: a time namespace has `monotonic` and `boottime`"),
    ("--time boottime=-999999h bb true", 125, "the clock `boottime` cannot stand before 0"),
    ("--time monotonic=2000000h bb true", 125, "the clock `monotonic` cannot stand"),
    ("--sysctl kernel.shmmax bb true", 125, "sysctl 'kernel.shmmax' is not allowed"),
    ("--sysctl kernel.pid_max=1 bb true", 125, "sysctl \"kernel.pid_max\" is not in a separate kernel names"),
    ("--sysctl kernel.hostname=x bb true", 125, "sysctl \"kernel.hostname\" is not allowed as it conflicts"),
    ("--sysctl net.ipv4.nope=1 bb true", 125, "set sysctl `net"),
    ("-m x bb true", 125, "invalid size: 'x'"),
    ("-m 1k bb true", 125, "Minimum memory limit allowed is 6MB"),
    ("-m 64m --memory-swap 32m bb true", 125, "Minimum memoryswap limit should be larger than memory limit,"),
    ("--memory-swap 64m bb true", 125, "You should always set the Memory limit when using Memoryswap limit,"),
    ("--memory-swap -2 bb true", 125, "invalid size: '-2'"),
    ("-m 64m --memory-reservation 128m bb true", 125, "Minimum memory limit can not be less than memory res"),
    ("--memory-reservation 1k bb true", 125, "Minimum memory reservation allowed is 6MB"),
    ("--memory-swappiness 101 bb true", 125, "invalid value: 101. Valid memory swappiness range is 0-100"),
    ("--cpus 0.0001 bb true", 125, "range of CPUs is from 0.01 to"),
    ("--cpus 1000 bb true", 125, "range of CPUs is from 0.01 to"),
    ("--cpus x bb true", 125, "failed to parse x as a rational number"),
    ("--cpus 1 --cpu-quota 50000 bb true", 125, "Conflicting options: Nano CPUs and CPU Quota cannot both b"),
    ("--cpus 1 --cpu-period 50000 bb true", 125, "Conflicting options: Nano CPUs and CPU Period cannot both"),
    ("--cpu-shares 1 bb true", 125, "the minimum allowed cpu-shares is 2, requested: 1"),
    ("--cpu-shares 300000 bb true", 125, "the maximum allowed cpu-shares is 262144, requested: 300000"),
    ("--cpu-period 10 bb true", 125, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s"),
    ("--cpu-quota 10 bb true", 125, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    ("--cpuset-cpus 4096 bb true", 125, "Requested CPUs are not available - requested 4096"),
    ("--cpuset-cpus x bb true", 125, "invalid list `x`: expected numbers and ranges as `0-3,7`"),
    ("--cpuset-mems 7 bb true", 125, "Requested memory nodes are not available - requested 7"),
    ("--pids-limit x bb true", 125, "invalid syntax"),
    ("--pids-limit 99999999999 bb true", 125, "the maximum allowed pids-limit is 4194304, requested: 999999"),
    ("--blkio-weight 5 bb true", 125, "Range of blkio weight is from 10 to 1000"),
    ("--blkio-weight-device /dev/null:100 bb true", 125, "stat /dev/null"),
    ("--blkio-weight-device /dev/nope:5 bb true", 125, "invalid weight for device: /dev/nope:5"),
    ("--device-read-bps /dev/nope:1mb bb true", 125, "stat /dev/nope"),
    ("--device-read-bps x bb true", 125, "bad format: x"),
    ("--device-write-iops /dev/null:1 bb true", 125, "stat /dev/null"),
    ("--device-write-bps /dev/null:fast bb true", 125, "invalid rate for device: /dev/null:fast"),
    ("--device-read-iops /dev/null:1kb bb true", 125, "invalid rate for device: /dev/null:1kb"),
    ("--device-write-iops sda:1 bb true", 125, "bad format for device path: sda:1"),
    ("--cgroup-parent ../x bb true", 125, "is no path of a group"),
    ("bb nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH"),
    ("bb /nosuch", 127, "exec: \"/nosuch\": no such file or directory"),
    ("bb /bin", 126, "exec: \"/bin\": is a directory"),
    ("bb /etc/passwd", 126, "exec: \"/etc/passwd\": permission denied"),
    ("BB true", 125, "invalid reference format"),
    ("--pull never nosuchimage true", 125, "no such image: nosuchimage"),
    ("-q nosuchimage true", 125, "registry `docker.io` is blocked by registries.toml"),
    ("--pull never bb:nope true", 125, "no such image: bb:nope"),
    ("--quiet reg.nowhere:1/x true", 125, "reach registry `reg.nowhere:1`"),
];

#[test]
fn each_wrong_word_is_told_in_a_line_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    for (typed, code, words) in ROWS {
        let args: Vec<_> = ["run", "--rm"].into_iter().chain(typed.split_whitespace()).collect();
        let output = sandbox.hull(&args);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{typed}: {told}");
        assert!(told.starts_with("error: ") && told.contains(words), "{typed}: {told}");
        let errors = told.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!((errors, text(&output.stdout).as_str()), (1, ""), "{typed}: {told}");
        let plain = |line: &&str| !line.starts_with("caused by: ") && !line.starts_with("hint: ");
        assert_eq!(told.lines().skip(1).find(plain), None, "{typed}");
    }
    assert_eq!(sandbox.ok(&["ps", "-aq"]), "");
    assert_eq!(std::fs::read_dir(sandbox.root().join("names")).unwrap().count(), 0, "a name is left");
    sandbox.assert_clean();
}

#[test]
fn every_flag_with_a_syntax_of_its_own_has_a_row() {
    let free = "name rm entrypoint env workdir hostname domainname init read-only privileged interactive tty \
        sig-proxy oom-kill-disable dns-option cgroup-parent annotation pidfile cpu-rt-period cpu-rt-runtime";
    let typed: BTreeSet<_> = ROWS.iter().flat_map(|(typed, ..)| typed.split(['=', ' '])).collect();
    let short = [("-a", "attach"), ("-w", "workdir"), ("-u", "user"), ("-v", "volume"), ("-m", "memory")];
    let help = Sandbox::empty().ok(&["run", "--help"]);
    let flags = help.lines().filter_map(|line| line.split("--").nth(1)?.split_whitespace().next());
    for flag in flags.filter(|flag| line_of(&help, flag).is_some_and(|line| line.starts_with("  "))) {
        let by_letter = short.iter().any(|(letter, long)| *long == flag && typed.contains(letter));
        let is_free = free.split_whitespace().any(|one| one == flag);
        assert!(is_free || by_letter || typed.contains(format!("--{flag}").as_str()), "--{flag} has no row");
    }
}

fn line_of<'a>(help: &'a str, flag: &str) -> Option<&'a str> {
    help.lines().find(|line| line.contains(&format!("--{flag} ")))
}

/// An argument with control characters in it: nothing of it becomes a line of its own, in a file or in an error.
#[test]
fn no_word_adds_a_line() {
    let sandbox = Sandbox::new();
    for (flag, value, words) in [
        ("--add-host", "a\nb:1.2.3.4", "bad format for add-host: \"a\\nb:1.2.3.4\""),
        ("--add-host", "a b:1.2.3.4", "bad format for add-host: \"a b:1.2.3.4\""),
        ("--add-host", "a:1.2.3.4\n6.6.6.6 b", "invalid IP address in add-host"),
        ("--hostname", "a\n6.6.6.6 b", "it contains control characters"),
        ("--hostname", "a\u{1b}[2J", "it contains control characters"),
        ("--domainname", "a\nb", "it contains control characters"),
        ("--dns-search", "a\nnameserver 6.6.6.6", "is not a valid domain"),
        ("--dns-option", "a\nnameserver 6.6.6.6", "it contains control characters"),
        ("--name", "a\nb", "invalid container name (a\\nb)"),
        ("--user", "ro\not", "unable to find user ro\\not"),
        ("--label", "a\nb=c", "contains whitespaces"),
        ("--cgroup-parent", "/a\nb", "Invalid argument"),
        ("--entrypoint", "a\u{1b}b", "exec: \"a\\u{1b}b\""),
    ] {
        let (code, told) = sandbox.fails(&["run", "--rm", flag, value, "bb", "true"]);
        assert!(code >= 125 && told.contains(words), "{flag} {value:?}: {told}");
        let known =
            |line: &str| ["error: ", "caused by: ", "hint: "].iter().any(|word| line.starts_with(word));
        assert!(told.lines().all(known) && !told.contains('\u{1b}'), "{flag} {value:?}: {told:?}");
    }
    let said = sandbox.ok(&["run", "--rm", "-e", "A=b\nc", "-l", "a=b\nc", "bb", "printf", "%s", "x\ny"]);
    assert_eq!(said, "x\ny", "a program's own words are its own");
    sandbox.assert_clean();
}

#[test]
fn what_cannot_be_mounted_says_what_and_where() {
    let sandbox = Sandbox::new();
    for (volume, words) in [
        ("/tmp:/proc", "mount on `/proc`: what is to be mounted there is not of type proc"),
        ("/tmp:/proc/sys", "mount on `/proc/sys`: it is inside `/proc`"),
        ("/etc/passwd:/etc", "hint: a directory is mounted on a directory, a file on a file"),
        ("/tmp:/etc/passwd", "hint: a directory is mounted on a directory, a file on a file"),
        ("some/dir:/x", "\"some/dir\" includes invalid characters for a volume name"),
        ("dir:/x", "hint: for a directory of this host write `./dir`"),
    ] {
        let (code, told) = sandbox.fails(&["run", "--rm", "-v", volume, "bb", "true"]);
        assert!(code == 125 && told.contains(words), "{volume}: {told}");
    }
    sandbox.assert_clean();
}

#[test]
fn a_name_in_use_is_told() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "--name", "taken", "bb", "true"]);
    let (code, told) = sandbox.fails(&["run", "--name", "taken", "bb", "true"]);
    assert!(code == 125 && told.contains("\"/taken\" is already in use") || told.contains("taken"), "{told}");
    sandbox.assert_clean();
}

#[test]
fn what_is_not_utf_8_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["run", "--rm", "bb", "echo"]);
    let output = command.arg(std::ffi::OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).starts_with("error: argument \"\\xFF\\xFE\" is not UTF-8"));
}

#[test]
fn near_names_are_suggested() {
    let sandbox = Sandbox::new();
    for (args, hint) in [
        (&["run", "hllo"][..], "did you mean `hello`?"),
        (&["run", "bbb", "true"], "did you mean `bb`?"),
        (&["run", "--read-onyl", "bb"], "did you mean `--read-only`?"),
        (&["rnu", "bb"], "did you mean `hull run`?"),
    ] {
        let told = sandbox.fails(args).1;
        assert!(told.contains(&format!("hint: {hint}")), "{args:?}: {told}");
    }
}

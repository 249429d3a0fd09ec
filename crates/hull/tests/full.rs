//! Disks without room, quotas without rest, file systems that cannot be written.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic")]

mod support;

use std::process::{Command, Output};
use support::{HULL, Sandbox, busybox, docker_archive, tar_of, text};

/// Runs a script with the sandbox's root on a tmpfs of its own, mounted where only the script sees it. `$hull` is
/// the binary, the tars of two images lie in `$dir`: `bb.tar` to be imported, `large.tar` to be loaded.
fn on(sandbox: &Sandbox, options: &str, script: &str) -> Output {
    std::fs::create_dir_all(sandbox.root()).unwrap();
    std::fs::write(sandbox.path().join("bb.tar"), busybox()).unwrap();
    let large =
        docker_archive("large:1", &[tar_of(&[("a", &[1; 100_000])]), tar_of(&[("b", &[2; 8 << 20])])]);
    std::fs::write(sandbox.path().join("large.tar"), large).unwrap();
    let whole = format!("mount -t tmpfs -o {options} none \"$HULL_ROOT\" || exit 99\n{script}");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-euc", &whole]).env("HULL_ROOT", sandbox.root());
    command.env("hull", HULL).env("dir", sandbox.path()).output().unwrap()
}

/// The script's own checks passed.
fn assert_done(output: &Output) {
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.ends_with("done\n"), "{said}\n{told}");
}

/// `refused CODE WORDS COMMAND…`: it fails with this code and one error that has these words and a hint.
const REFUSED: &str = r#"refused() {
    code=$1 words=$2; shift 2; is=0
    "$@" > "$dir/said" 2> "$dir/told" < /dev/null || is=$?
    [ $is = $code ] && [ $(grep -c ^error: "$dir/told") = 1 ] && grep -q "$words" "$dir/told" && grep -q ^hint: "$dir/told" ||
        { echo "$* ended with $is:"; cat "$dir/told"; exit 1; }
}
"#;

const FULL: &str = r#"
refused 1 "$words" $hull load -i $dir/large.tar
refused 1 "$words" $hull import $dir/large.tar large
[ -z "$($hull images -q)" ]; $hull system check
$hull import $dir/bb.tar bb > /dev/null
! cat /dev/zero > "$HULL_ROOT/filler" 2> /dev/null
refused 125 "$words" $hull run --rm bb /bin/true
refused 125 "$words" $hull run --name kept bb /bin/true
refused 1 "$words" $hull tag bb other
rm "$HULL_ROOT/filler"
[ -z "$($hull ps -aq)" ]; $hull system check
[ "$($hull run --rm bb /bin/echo fine)" = fine ]
echo done
"#;

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let sandbox = Sandbox::empty();
    let script = format!("words='No space left on device'\n{REFUSED}{FULL}");
    assert_done(&on(&sandbox, "size=6m", &script));
}

#[test]
fn a_used_up_quota_is_told_and_leaves_nothing() {
    let sandbox = Sandbox::empty();
    let script = format!("words='[qQ]uota exceeded'\n{REFUSED}{FULL}");
    let output = on(&sandbox, "size=40m,usrquota,usrquota_block_hardlimit=6m", &script);
    if output.status.code() == Some(99) {
        eprintln!("SKIP: this kernel's tmpfs has no quotas: {}", text(&output.stderr));
        return;
    }
    assert_done(&output);
}

#[test]
fn a_disk_without_inodes_is_full_too() {
    let sandbox = Sandbox::empty();
    let script = format!(
        "{REFUSED}refused 1 'No space left' $hull import $dir/bb.tar bb\n\
         [ -z \"$($hull images -q)\" ]; $hull system check; echo done"
    );
    assert_done(&on(&sandbox, "nr_inodes=80", &script));
}

#[test]
fn a_store_that_cannot_be_written_is_looked_at_and_says_so_otherwise() {
    let sandbox = Sandbox::empty();
    let script = format!(
        r#"{REFUSED}
$hull import $dir/bb.tar bb > /dev/null
$hull run --name kept bb /bin/true
mount -o remount,ro "$HULL_ROOT"
[ $($hull images -q | wc -l) = 1 ]; [ "$($hull ps -a --format '{{{{.Names}}}}')" = kept ]
$hull inspect kept > /dev/null; $hull history bb > /dev/null; $hull diff kept
$hull system df > /dev/null; $hull system info > /dev/null; $hull system check
words='Read-only file system'
refused 125 "$words" $hull run --rm bb /bin/true
refused 1 "$words" $hull import $dir/bb.tar other
refused 1 "$words" $hull load -i $dir/large.tar
refused 1 "$words" $hull tag bb other
refused 1 "$words" $hull rmi -f bb
refused 1 "$words" $hull rm kept
echo done"#
    );
    assert_done(&on(&sandbox, "size=20m", &script));
}

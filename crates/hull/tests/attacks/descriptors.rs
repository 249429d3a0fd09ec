//! Ways back to the host that a runtime leaves open: its descriptors, and itself.

use crate::bundle::Bundle;
use crate::runtime::{Runtime, binary, is_hull, tested};
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn cve_2024_21626_no_working_directory_leads_to_the_host() {
    let mut bundle = Bundle::new();
    let secret = bundle.host("secret");
    bundle.script(&format!("cat .{0} ./../../../../../../../..{0} 2>/dev/null; echo RAN", secret.display()));
    for number in 3..32 {
        bundle.config["process"]["cwd"] = format!("/proc/self/fd/{number}").into();
        let said = bundle.run(Runtime::Tested);
        assert!(!said.has("the host's secret"), "FALLEN: descriptor {number}: {said:?}");
    }
}

#[test]
fn cve_2024_21626_nor_one_of_exec() {
    let mut bundle = Bundle::new();
    let script =
        format!("cat ./../../../../../../../..{} 2>/dev/null; echo RAN", bundle.host("secret").display());
    bundle.script("sleep 1000");
    assert_eq!(bundle.start(Runtime::Tested).code, 0);
    for number in 3..32 {
        let cwd = format!("/proc/self/fd/{number}");
        let said = bundle.exec(Runtime::Tested, &["--cwd", &cwd], &["/bin/sh", "-c", &script]);
        assert!(!said.has("the host's secret"), "FALLEN: descriptor {number}: {said:?}");
    }
    bundle.delete(Runtime::Tested);
}

#[test]
fn cve_2024_21626_a_program_has_its_streams_and_no_more() {
    let mut bundle = Bundle::new();
    // The fourth is the shell's own, of the directory.
    let look = "for fd in /proc/self/fd/*; do echo \"$fd $(readlink $fd)\"; done";
    bundle.script(look);
    let open = |text: &str| text.lines().filter(|line| line.starts_with("/proc/self/fd/")).count();
    let said = bundle.run(Runtime::Tested);
    assert!((3..=4).contains(&open(&said.text)), "{said:?}");
    bundle.script("sleep 1000");
    assert_eq!(bundle.start(Runtime::Tested).code, 0);
    let said = bundle.exec(Runtime::Tested, &[], &["/bin/sh", "-c", look]);
    assert!((3..=4).contains(&open(&said.text)), "{said:?}");
    bundle.delete(Runtime::Tested);
}

/// What waits in the container for the runtime to come by: it takes hold of whatever is not busybox, and writes to it
/// once nobody runs it.
const AMBUSH: &str = "
while :; do
    for p in /proc/[0-9]*; do
        case $(readlink $p/exe) in
        ''|*busybox*) ;;
        *) exec 9<$p/exe && echo caught > /caught
           while :; do echo pwned 2>/dev/null > /proc/self/fd/9 && echo written > /written; done ;;
        esac
    done
done";

/// The image's program is the runtime itself, by `/proc/self/exe`: so it can be met inside.
#[test]
fn cve_2019_5736_the_runtime_cannot_be_overwritten_from_inside() {
    let mut bundle = Bundle::new();
    let runtime = bundle.host("runtime");
    std::fs::copy(binary(), &runtime).unwrap();
    let before = std::fs::read(&runtime).unwrap();
    let act = |bundle: &Bundle, args: &[&str]| bundle.tell_by(tested(&runtime), args);
    bundle.script(AMBUSH);
    bundle.config["process"]["noNewPrivileges"] = false.into();
    let id = bundle.dir.file_name().unwrap().to_str().unwrap().to_owned();
    let dir = bundle.dir.to_str().unwrap().to_owned();
    assert_eq!(act(&bundle, &["run", "--detach", "--bundle", &dir, &id]).code, 0);
    let end = Instant::now() + Duration::from_secs(if is_hull() { 4 } else { 60 });
    while Instant::now() < end && bundle.read("caught").is_empty() {
        act(&bundle, &["exec", &id, "/proc/self/exe", "features"]);
        act(&bundle, &["exec", &id, "/bin/sh", "-c", "exit"]);
    }
    if !bundle.read("caught").is_empty() {
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(std::fs::read(&runtime).unwrap() == before, "FALLEN: the host's binary was written to");
    assert_eq!(bundle.read("written"), "");
    act(&bundle, &["delete", "--force", &id]);
}

/// In a pod with one pid namespace the ambush waits for the other containers' beginnings.
#[test]
fn a_container_beside_cannot_overwrite_the_runtime() {
    let mut ambush = Bundle::new();
    let runtime = ambush.host("runtime");
    std::fs::copy(binary(), &runtime).unwrap();
    let before = std::fs::read(&runtime).unwrap();
    ambush.script(AMBUSH);
    let start = ambush.words("run");
    let start = [&start[..1], &["--detach"], &start[1..]].concat();
    assert_eq!(ambush.tell_by(tested(&runtime), &start).code, 0);
    let mut beside = Bundle::new();
    let pid = format!("/proc/{}/ns/pid", ambush.pid(Runtime::Tested));
    beside.config["linux"]["namespaces"][0] = json!({"type": "pid", "path": pid});
    for program in ["/proc/self/exe", "/bin/id"].repeat(15) {
        beside.config["process"]["args"] = json!([program, "features"]);
        beside.tell_by(tested(&runtime), &beside.words("run"));
        beside.tell_by(tested(&runtime), &["delete", "--force", beside.words("")[3]]);
    }
    if !ambush.read("caught").is_empty() {
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(std::fs::read(&runtime).unwrap() == before, "FALLEN: the host's binary was written to");
    ambush.delete(Runtime::Tested);
}

/// What waits for processes that enter, and looks at the host through them: root, working directory, descriptors, memory.
const SPY: &str = "
while :; do
    for p in /proc/[0-9]*; do
        for way in root cwd fd/3 fd/4 fd/5 fd/6 fd/7 fd/8 fd/9; do
            cat $p/$way/SECRET $p/$way/../../../../../../../SECRET 2>/dev/null >> /spied
        done
        case $(readlink $p/root) in ''|/) ;; *) echo $p sees $(readlink $p/root) >> /spied ;; esac
        [ $p = /proc/1 ] || [ $p = /proc/self ] || cat $p/environ 2>/dev/null | grep -a HOST_TOKEN >> /spied
    done
done";

/// In a user namespace it has every capability there; outside it is root as the host's, with the same few capabilities.
#[test]
fn cve_2016_9962_whoever_enters_a_container_is_not_looked_into() {
    for user in [false, true] {
        let mut bundle = Bundle::new();
        if user {
            let all =
                ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_KILL"];
            bundle.with_user_namespace(&all);
        } else {
            bundle.without_capability("CAP_SYS_ADMIN"); // on younger kernels it may read every environment
        }
        let secret = bundle.host("secret");
        bundle.script(&SPY.replace("SECRET", secret.to_str().unwrap().trim_start_matches('/')));
        let started = bundle.start(Runtime::Tested);
        assert_eq!(started.code, 0, "{started:?}");
        let id = bundle.words("")[3];
        for number in 0..if is_hull() { 40 } else { 400 } {
            let mut command = Runtime::Tested.command();
            command.env("HOST_TOKEN", "the host's secret");
            let said = bundle.tell_by(command, &["exec", id, "/bin/id", "-u"]);
            assert_eq!(said.text, "0\n", "{number}");
        }
        assert_eq!(bundle.read("spied"), "", "FALLEN: user namespace: {user}");
        bundle.delete(Runtime::Tested);
    }
}

#[test]
fn a_pipe_of_the_hosts_is_no_way_back() {
    // The runtime's own descriptors, as its caller left them open.
    let mut bundle = Bundle::new();
    bundle.script(&format!("for n in 3 4 5 6 7 8 9; do cat /proc/self/fd/$n/secret 2>/dev/null; done; cat {} 2>/dev/null; echo RAN", bundle.host("secret").display()));
    let mut leaking = Command::new("sh");
    let open = format!("exec 3<{0} 4<{0} 5<{0}; exec \"$@\"", bundle.host("").display());
    leaking.args(["-c", &open, "sh", env!("CARGO_BIN_EXE_hull"), "runtime"]);
    let id = bundle.dir.file_name().unwrap().to_str().unwrap();
    let said = bundle.tell_by(leaking, &["run", "--bundle", bundle.dir.to_str().unwrap(), id]);
    assert!(said.has("RAN") && !said.has("the host's secret"), "{said:?}");
}

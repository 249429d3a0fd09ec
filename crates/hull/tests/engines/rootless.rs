//! podman and buildah of a user who is not root: the runtime is called as root of their user namespace.

use crate::support::{Caller, OWN, text};
use crate::workshop::Workshop;
use crate::{ok, run};
use std::process::Command;

/// The user's engines; what they leave running ends with this.
struct User {
    shop: Workshop,
    caller: Caller,
}

impl User {
    fn new() -> Option<Self> {
        let shop = Workshop::of(&["podman", "buildah"])?;
        let _ = std::fs::remove_file(shop.path("hull-runtime"));
        let caller = Caller::new(shop.dir());
        let user = Self { shop, caller };
        ok(&mut user.podman(&["load", "-q", "-i", &user.shop.word("bb.tar")]));
        Some(user)
    }

    fn runtime(&self) -> String {
        self.shop.word("bin/hull-runtime")
    }

    fn podman(&self, args: &[&str]) -> Command {
        let runtime = self.runtime();
        let flags =
            ["podman", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", &runtime];
        self.caller.command(&[&flags[..], args].concat())
    }

    fn podman_run(&self, flags: &[&str], args: &[&str]) -> Command {
        self.podman(&[&["run", "--net", "none", "--log-driver", "k8s-file"], flags, &["bb:1"], args].concat())
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = run(&mut self.podman(&["rm", "-fa", "-t", "0"]));
        // Ends the process that keeps podman's user namespace.
        let _ = run(&mut self.podman(&["system", "migrate"]));
    }
}

#[test]
#[ignore = "needs podman: cargo xtask test --long"]
fn an_ordinary_users_podman_leads_a_container_through_its_life() {
    let Some(user) = User::new() else { return };
    let map = ok(&mut user.podman_run(&["--rm"], &["cat", "/proc/self/uid_map"]));
    assert!(map.split_whitespace().nth(1) == Some(&OWN.to_string()), "{map}");
    assert_eq!(run(&mut user.podman_run(&["--rm"], &["sh", "-c", "exit 7"])).0, 7);
    for (program, code) in [("nosuch", 127), ("/etc", 126)] {
        let (got, said) = run(&mut user.podman_run(&["--rm"], &[program]));
        assert_eq!(got, code, "{said}");
    }
    ok(&mut user.podman_run(&["-d", "--name", "one"], &["sh", "-c", "echo started; exec sleep 1000"]));
    assert_eq!(ok(&mut user.podman(&["exec", "-u", "1000", "one", "id", "-u"])), "1000");
    assert_eq!(run(&mut user.podman(&["exec", "one", "sh", "-c", "exit 9"])).0, 9);
    assert_eq!(ok(&mut user.podman(&["logs", "one"])), "started");
    assert_eq!(ok(&mut user.podman(&["inspect", "-f", "{{.State.Status}}", "one"])), "running");
    assert!(ok(&mut user.podman(&["top", "one"])).contains("sleep"));
    ok(&mut user.podman(&["stop", "-t", "0", "one"]));
    ok(&mut user.podman(&["rm", "one"]));
    assert_eq!(ok(&mut user.podman(&["ps", "-aq"])), "");
}

#[test]
#[ignore = "needs podman: cargo xtask test --long"]
fn an_ordinary_users_container_may_share_and_map_otherwise() {
    let Some(user) = User::new() else { return };
    let own = OWN.to_string();
    // A user namespace below podman's.
    assert_eq!(ok(&mut user.podman_run(&["--rm", "--userns", "keep-id"], &["id", "-u"])), own);
    let map = ok(&mut user
        .podman_run(&["--rm", "--uidmap", "0:1:500", "--gidmap", "0:1:500"], &["cat", "/proc/self/uid_map"]));
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "1", "500"]);
    // Namespaces of the host's, whose file systems only its root may mount.
    let interfaces = ok(&mut user.podman(&["run", "--rm", "--net", "host", "bb:1", "ls", "/sys/class/net"]));
    let hosts = std::fs::read_dir("/sys/class/net").unwrap().flatten().map(|entry| entry.file_name());
    assert_eq!(interfaces.lines().count(), hosts.count());
    ok(&mut user.podman_run(
        &["--rm", "--pid", "host"],
        &["test", "-e", &format!("/proc/{}/stat", std::process::id())],
    ));
    let device = ok(&mut user
        .podman_run(&["--rm", "--device", "/dev/zero:/dev/own"], &["stat", "-c", "%t %T", "/dev/own"]));
    assert_eq!(device, "1 5");
    let (code, _) = run(&mut user
        .podman_run(&["--rm", "--read-only", "--tmpfs", "/t"], &["sh", "-c", "touch /t/x && ! touch /x"]));
    assert_eq!(code, 0);
}

#[test]
#[ignore = "needs buildah: cargo xtask test --long"]
fn an_ordinary_users_buildah_runs_its_steps() {
    let Some(user) = User::new() else { return };
    let context = user.caller.run().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM localhost/bb:1\nRUN echo made > /made && id -u\n")
        .unwrap();
    let context = context.display().to_string();
    let runtime = user.runtime();
    for isolation in ["oci", "rootless"] {
        let flags = ["--runtime", &runtime, "--isolation", isolation, "--network", "none"];
        let buildah = |args: &[&[&str]]| {
            user.caller.command(&[&["buildah", "--storage-driver", "vfs"], &args.concat()[..]].concat())
        };
        ok(&mut buildah(&[&["bud", "--no-cache"], &flags, &["-t", "new", &context]]));
        let name = ok(&mut buildah(&[&["from", "new"]]));
        // On standard error the runtime tells which capabilities cannot be had, as the specification wants it.
        let made = buildah(&[&["run"], &flags, &[&name, "cat", "/made"]]).output().unwrap();
        assert_eq!(text(&made.stdout).trim(), "made", "{}", text(&made.stderr));
        ok(&mut buildah(&[&["rm", "-a"]]));
    }
}

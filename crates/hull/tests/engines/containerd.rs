//! containerd's `ctr`, with the shim of runc and another binary.

use super::{Daemon, Workshop, ok, run};
use std::process::{Command, Stdio};

impl Workshop {
    fn ctr(&self, args: &[&str]) -> Command {
        let mut ctr = Command::new("ctr");
        ctr.args(["-a", &self.word("containerd.sock")]).args(args);
        ctr
    }

    fn containerd(&self) -> Daemon {
        let config = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{}\"\n",
            self.word("containerd"),
            self.word("containerd-run"),
            self.word("containerd.sock"),
        );
        std::fs::write(self.path("containerd.toml"), config).unwrap();
        let mut daemon = Command::new("containerd");
        daemon.args(["-c", &self.word("containerd.toml")]).stdout(Stdio::null()).stderr(Stdio::null());
        Daemon::start(daemon, || self.ctr(&["version"]).output().is_ok_and(|output| output.status.success()))
    }

    fn ctr_run(&self, flags: &[&str], args: &[&str]) -> Command {
        let runtime = self.word("hull-runtime");
        let fixed = ["run", "--snapshotter", "native", "--runc-binary", &runtime];
        let all: Vec<_> =
            fixed.iter().chain(flags).chain(&["docker.io/library/bb:1"]).chain(args).copied().collect();
        self.ctr(&all)
    }
}

#[test]
#[ignore = "needs containerd: cargo xtask test --long"]
fn containerd_leads_a_task_through_its_life() {
    let shop = Workshop::new();
    let daemon = shop.containerd();
    ok(&mut shop.ctr(&["images", "import", "--snapshotter", "native", &shop.word("bb.tar")]));
    assert_eq!(ok(&mut shop.ctr_run(&["--rm"], &["first", "echo", "hello"])), "hello");
    assert_eq!(run(&mut shop.ctr_run(&["--rm"], &["second", "sh", "-c", "exit 7"])).0, 7);
    let (code, said) = run(&mut shop.ctr_run(&["--rm"], &["third", "nosuch"]));
    assert!(code != 0 && said.contains("executable file not found in $PATH"), "{said}");
    ok(&mut shop.ctr_run(&["-d"], &["one", "sleep", "1000"]));
    assert!(ok(&mut shop.ctr(&["task", "ls"])).contains("RUNNING"));
    assert_eq!(ok(&mut shop.ctr(&["task", "exec", "--exec-id", "e", "one", "echo", "inside"])), "inside");
    ok(&mut shop.ctr(&["task", "pause", "one"]));
    assert!(ok(&mut shop.ctr(&["task", "ls"])).contains("PAUSED"));
    ok(&mut shop.ctr(&["task", "resume", "one"]));
    ok(&mut shop.ctr(&["task", "metrics", "one"]));
    ok(&mut shop.ctr(&["task", "kill", "-s", "SIGKILL", "one"]));
    ok(&mut shop.ctr(&["task", "delete", "one"]));
    ok(&mut shop.ctr(&["container", "delete", "one"]));
    drop(daemon);
}

//! What is told of the host and of hull, in docker's fields; beside the kernel's own words.

mod support;

use serde_json::Value;
use support::{Sandbox, soon};

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_str(&sandbox.ok(args)).expect("JSON")
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = std::process::Command::new(program).args(args).output().expect("run it");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn info_counts_what_there_is_and_says_where() {
    let sandbox = Sandbox::new();
    for name in ["runs", "freezes", "stops"] {
        sandbox.ok(&["run", "-d", "--name", name, "bb", "sleep", "1000"]);
    }
    sandbox.ok(&["pause", "freezes"]);
    sandbox.ok(&["stop", "-t", "0", "stops"]);
    sandbox.ok(&["create", "bb", "true"]);
    let info = json(&sandbox, &["info", "--format", "json"]);
    let counts = ["Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images"];
    assert_eq!(counts.map(|name| info[name].as_u64().expect(name)), [4, 1, 1, 2, 1], "{info}");
    assert_eq!(info["KernelVersion"], first_line("uname", &["-r"]));
    assert_eq!(info["Architecture"], first_line("uname", &["-m"]));
    assert_eq!(info["Name"], first_line("uname", &["-n"]));
    assert_eq!(info["NCPU"].to_string(), first_line("nproc", &[]));
    assert_eq!(info["DockerRootDir"], sandbox.root().display().to_string());
    let is_v2 = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    assert_eq!(info["CgroupVersion"], if is_v2 { "2" } else { "1" });
    assert_eq!(info["MemoryLimit"], true, "{info}");
    let options: Vec<_> = info["SecurityOptions"].as_array().expect("a list").iter().collect();
    assert!(options.contains(&&"name=seccomp,profile=builtin".into()), "{options:?}");
    let template = "{{.ContainersPaused}} {{.Swarm.LocalNodeState}} {{.LoggingDriver}}";
    assert_eq!(sandbox.ok(&["info", "-f", template]), "1 inactive hull\n");
    let text = sandbox.ok(&["info"]);
    for line in ["Containers: 4", " Running: 1", " Paused: 1", " Stopped: 2", "Images: 1", "Isolation:"] {
        assert!(text.lines().any(|each| each == line), "{line}: {text}");
    }
    let (_, error) = sandbox.fails(&["info", "-f", "{{.Nothing}}"]);
    assert!(error.contains("Nothing"), "{error}");
    sandbox.ok(&["unpause", "freezes"]);
    soon("it runs again", || sandbox.ok(&["info", "-f", "{{.ContainersRunning}}"]) == "2\n");
    let ids = sandbox.ids();
    ids.iter().for_each(|id| drop(sandbox.ok(&["rm", "-f", id])));
    sandbox.assert_clean();
}

#[test]
fn version_is_told_as_docker_tells_it() {
    let sandbox = Sandbox::empty();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        sandbox.ok(&["version", "--format", "{{.Client.Version}} {{.Server.Version}}"]),
        format!("{version} {version}\n")
    );
    let told = json(&sandbox, &["version", "-f", "json"]);
    assert_eq!(told["Server"]["KernelVersion"], first_line("uname", &["-r"]));
    assert_eq!(told["Server"]["Components"][0]["Version"], version);
    assert_eq!(
        (&told["Client"]["Os"], &told["Client"]["Arch"]),
        (&told["Server"]["Os"], &told["Server"]["Arch"])
    );
    let text = sandbox.ok(&["version"]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = text.lines().map(words).collect();
    assert_eq!((lines[0].as_str(), lines[1].as_str()), ("Client:", format!("Version: {version}").as_str()));
    assert!(lines.contains(&"Server:".into()) && lines.contains(&"Engine:".into()), "{text}");
    assert_eq!(sandbox.ok(&["--version"]), format!("hull {version}\n"));
    assert!(sandbox.fails(&["version", "-f", "{{.Nothing}}"]).1.contains("Nothing"));
}

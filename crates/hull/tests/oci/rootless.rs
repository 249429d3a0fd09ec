//! Containers of a caller who is not root.

use super::container::{Container, await_that, lives};
use super::support::{Caller, GRANTED, HULL, OWN, text};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A container of the caller's.
struct Rootless {
    container: Container,
    caller: Caller,
}

impl Rootless {
    /// One id is mapped; the script is its program.
    fn new(script: &str) -> Self {
        let mut container = Container::new(script);
        let place = container.bundle.path().to_owned();
        container.bundle.add_namespace("user");
        container.bundle.config["linux"].as_object_mut().unwrap().remove("resources");
        container.bundle.config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
        let owner = format!("{OWN}:{OWN}");
        let chown = Command::new("chown").args(["-hR", &owner]).arg(place.join("rootfs")).status();
        assert!(chown.unwrap().success());
        let mut rootless = Self { container, caller: Caller::new(&place) };
        rootless.map(&[(0, OWN, 1)]);
        rootless
    }

    /// All ids that are granted are mapped, the own one to root.
    fn with_ranges(script: &str) -> Self {
        let mut rootless = Self::new(script);
        rootless.map(&[(0, OWN, 1), (1, GRANTED, 65536)]);
        rootless
    }

    fn map(&mut self, lines: &[(u32, u32, u32)]) {
        let line = |&(inside, host, size): &(u32, u32, u32)| json!({"containerID": inside, "hostID": host, "size": size});
        let map: Vec<_> = lines.iter().map(line).collect();
        self.config()["linux"]["uidMappings"] = map.clone().into();
        self.config()["linux"]["gidMappings"] = map.into();
    }

    fn config(&mut self) -> &mut Value {
        &mut self.container.bundle.config
    }

    fn place(&self) -> &Path {
        self.container.bundle.path()
    }

    fn id(&self) -> &str {
        &self.container.id
    }

    /// Any command of the caller's.
    fn as_caller(&self, words: &[&str]) -> Command {
        self.caller.command(words)
    }

    fn command(&self, args: &[&str]) -> Command {
        std::fs::write(self.place().join("config.json"), self.container.bundle.config.to_string()).unwrap();
        self.as_caller(&[&["hull-runtime"], args].concat())
    }

    fn call(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(output.status.success(), "{args:?}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    fn fails(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(!output.status.success(), "{args:?} succeeded: {}", text(&output.stdout));
        text(&output.stderr)
    }

    fn bundle(&self) -> String {
        self.place().display().to_string()
    }

    /// What its program says.
    fn run(&self) -> String {
        self.ok(&["run", "--bundle", &self.bundle(), self.id()])
    }

    fn run_fails(&self) -> String {
        self.fails(&["run", "--bundle", &self.bundle(), self.id()])
    }

    /// The streams are no pipes of ours: a container that lives on would keep them open.
    fn create(&self, flags: &[&str]) {
        let log = self.place().join("create.log");
        let file = std::fs::File::create(&log).unwrap();
        let bundle = self.bundle();
        let all = [flags, &["create", "--bundle", &bundle, self.id()]].concat();
        let status = self.command(&all).stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(log).unwrap());
    }

    fn exec(&self, script: &str) -> String {
        self.ok(&["exec", self.id(), "sh", "-c", script])
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.ok(&["state", self.id()])).unwrap()
    }

    fn owner_of(&self, name: &str) -> (u32, u32) {
        let stat = std::fs::symlink_metadata(self.container.file(name)).unwrap();
        (stat.uid(), stat.gid())
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        let _ = self.call(&["delete", "--force", self.id()]);
    }
}

#[test]
fn one_id_is_mapped_without_help() {
    let mut rootless =
        Rootless::new("id -u; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; touch /x");
    rootless.caller.path = "/nowhere:/bin".into();
    let said = rootless.run();
    let words: Vec<_> = said.split_whitespace().collect();
    let own = OWN.to_string();
    assert_eq!(words, ["0", "0", &own, "1", "0", &own, "1", "deny"]);
    assert_eq!(rootless.owner_of("x"), (OWN, OWN));
}

#[test]
fn ranges_are_mapped_as_far_as_they_are_granted() {
    let mut rootless = Rootless::with_ranges("id -G; touch /x; chown 5:6 /x");
    rootless.config()["process"]["user"]["additionalGids"] = json!([7, 8]);
    assert_eq!(rootless.run(), "0 7 8");
    assert_eq!(rootless.owner_of("x"), (GRANTED + 4, GRANTED + 5));

    // The caller's own id is nobody's in there.
    rootless.map(&[(0, GRANTED, 65536)]);
    rootless.config()["process"]["args"] =
        json!(["sh", "-c", "stat -c %u /; touch /dev/shm/y; stat -c %u /dev/shm/y"]);
    rootless.container.bundle.mount("/dev/shm", "tmpfs", "tmpfs", &["mode=1777"]);
    assert_eq!(rootless.run(), "65534\n0");

    rootless.map(&[(0, GRANTED + 65536, 10)]);
    let said = rootless.run_fails();
    assert!(said.contains("newuidmap") && said.contains("/etc/subuid"), "{said}");
    rootless.caller.path = "/nowhere".into();
    assert!(rootless.run_fails().contains("newuidmap is looked for in $PATH"));
}

#[test]
fn a_container_is_led_through_its_life() {
    let rootless = Rootless::new("echo ran > /ran; exec sleep 1000");
    rootless.create(&[]);
    let state = rootless.state();
    assert_eq!(state["status"], "created");
    let pid = state["pid"].as_i64().unwrap();
    // Its hooks and engines look at it as the same user.
    let network = format!("/proc/{pid}/ns/net");
    assert!(rootless.as_caller(&["readlink", &network]).output().unwrap().status.success());
    assert_eq!(rootless.exec("cat /proc/1/uid_map | wc -l"), "1");
    assert!(!rootless.container.file("ran").exists());
    rootless.ok(&["start", rootless.id()]);
    assert_eq!(rootless.container.read("ran"), "ran");
    assert_eq!(rootless.exec("id -u; cat /proc/1/comm"), "0\nsleep");
    assert_eq!(rootless.ok(&["ps", "--format", "json", rootless.id()]), format!("[{pid}]"));
    assert_eq!(rootless.ok(&["list", "-q"]), rootless.id());
    for verb in ["pause", "resume"] {
        let said = rootless.fails(&[verb, rootless.id()]);
        assert!(said.contains("no cgroup") || said.contains("not paused"), "{said}");
    }
    rootless.ok(&["kill", rootless.id(), "KILL"]);
    await_that("it ends", || rootless.state()["status"] == "stopped");
    rootless.ok(&["delete", rootless.id()]);
    assert!(!lives(pid));
    let root = rootless.place().join("run/hull-runtime");
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "nothing is left");
    assert_eq!(std::fs::metadata(root).unwrap().mode() & 0o7777, 0o1700, "nobody tidies it up");
}

#[test]
fn without_group_and_pid_namespace_all_of_it_ends_with_it() {
    for end in [&["kill", "ID", "KILL"][..], &["delete", "--force", "ID"]] {
        let mut rootless = Rootless::new("sleep 999 & echo $! > /second; exec sleep 1000");
        rootless.container.bundle.drop_namespace("pid");
        rootless.create(&[]);
        let first = rootless.state()["pid"].as_i64().unwrap();
        assert_eq!(rootless.exec(&format!("test -e /proc/{first}/stat; id -u")), "0");
        rootless.ok(&["start", rootless.id()]);
        let second: i64 = rootless.container.read("second").parse().unwrap();
        assert!(rootless.ok(&["ps", "--format", "json", rootless.id()]).contains(&second.to_string()));
        let words: Vec<_> = end.iter().map(|&word| if word == "ID" { rootless.id() } else { word }).collect();
        rootless.ok(&words);
        await_that("both end", || !lives(first) && !lives(second));
    }
}

#[test]
fn namespaces_of_another_container_are_joined() {
    let first = Rootless::with_ranges("exec sleep 1000");
    first.create(&[]);
    first.ok(&["start", first.id()]);
    let pid = first.state()["pid"].as_i64().unwrap();
    let mut second = Rootless::with_ranges("readlink /proc/self/ns/net; cat /proc/1/comm; id -u; touch /x");
    for (kind, name) in [("network", "net"), ("pid", "pid"), ("user", "user")] {
        second.container.bundle.join_namespace(kind, &format!("/proc/{pid}/ns/{name}"));
    }
    let linux = second.config()["linux"].as_object_mut().unwrap();
    ["uidMappings", "gidMappings"].iter().for_each(|name| drop(linux.remove(*name)));
    let network = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(second.run(), format!("{}\nsleep\n0", network.display()));
    assert_eq!(second.owner_of("x"), (OWN, OWN));
}

#[test]
fn hooks_are_the_callers_and_see_the_container() {
    let mut rootless = Rootless::new("true");
    let said = rootless.place().join("run/said");
    let script = "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); id -u; readlink /proc/$pid/ns/net /proc/self/ns/user";
    let script = format!("({script}) > {} 2>&1", said.display());
    rootless.config()["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]});
    rootless.run();
    let said = std::fs::read_to_string(said).unwrap();
    let words: Vec<_> = said.split_whitespace().collect();
    let own = |name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    assert_eq!((words[0], words[2]), (&*OWN.to_string(), &*own("user")), "{said}");
    assert!(words[1].starts_with("net:") && words[1] != own("net"), "{said}");
}

#[test]
fn the_examples_configuration_runs() {
    let rootless = Rootless::new("");
    let caller = |script: &str| {
        let output = rootless.as_caller(&["sh", "-ec", script]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let place = rootless.bundle();
    let said = caller(&format!(
        "cd {place}/run; ln -s ../rootfs rootfs; hull-runtime spec --rootless
         sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"sh\", \"-c\", \"hostname; ls \\/sys\\/class\\/net\"/' config.json
         hull-runtime run example"
    ));
    assert!(said.starts_with("hull\n") && said.contains("lo"), "{said}");
}

#[test]
fn no_group_of_the_hosts_can_be_written_to() {
    // CVE-2023-25809: the groups that were handed over to the caller lie below `/sys`, and in the cgroup mount.
    let mut rootless =
        Rootless::new("grep -E ' /(sys|dev/groups)[/ ]' /proc/self/mounts | grep -vc ' ro,' || true");
    rootless.container.bundle.drop_namespace("cgroup");
    rootless.container.bundle.drop_namespace("network");
    rootless.container.bundle.mount("/sys", "sysfs", "sysfs", &["ro"]);
    rootless.container.bundle.mount("/dev/groups", "cgroup", "cgroup", &[]);
    assert_eq!(rootless.run(), "0");
}

#[test]
fn devices_are_the_hosts_and_work() {
    let mut rootless = Rootless::new(
        "echo x > /dev/null; head -c 1 /dev/zero | wc -c; stat -c '%t %T' /dev/null /dev/urandom /dev/zero; \
         stat -c %F /dev/fifo; ls -l /dev/fd; [ -c /dev/pts/ptmx ] && echo pts",
    );
    rootless.config()["linux"]["devices"] = json!([{"type": "p", "path": "/dev/fifo"}]);
    let said = rootless.run();
    assert!(said.starts_with("1\n1 3\n1 9\n1 5\nfifo\n") && said.ends_with("pts"), "{said}");
    rootless.config()["linux"]["devices"] =
        json!([{"type": "c", "path": "/dev/none", "major": 1, "minor": 3}]);
    let said = rootless.run_fails();
    assert!(said.contains("bind the host's `/dev/none`"), "{said}");
}

#[test]
fn what_an_ordinary_caller_cannot_have_is_said() {
    let mut without = Rootless::new("true");
    without.container.bundle.drop_namespace("user");
    without.config()["linux"].as_object_mut().unwrap().remove("uidMappings");
    without.config()["linux"].as_object_mut().unwrap().remove("gidMappings");
    assert!(without.run_fails().contains("needs a user namespace"));

    type Change = fn(&mut Value);
    let cases: [(Change, &str); 5] = [
        (|config| config["process"]["user"]["additionalGids"] = json!([5]), "additionalGids"),
        (|config| config["process"]["oomScoreAdj"] = json!(-999), "oom_score_adj"),
        (
            |config| {
                config["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 1, "hard": u64::MAX}])
            },
            "raise limit `core`",
        ),
        (
            |config| {
                let pts = json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                    "options": ["newinstance", "gid=5"]});
                config["mounts"].as_array_mut().unwrap().push(pts);
            },
            "`gid=5` on `/dev/pts` is in no id mapping",
        ),
        (|config| config["linux"]["resources"] = json!({"pids": {"limit": 5}}), "Permission denied"),
    ];
    for (change, words) in cases {
        let mut rootless = Rootless::new("true");
        change(rootless.config());
        let said = rootless.run_fails();
        assert!(said.contains(words), "{words}: {said}");
        assert!(rootless.ok(&["list", "-q"]).is_empty(), "nothing is left");
    }
}

/// A group in each hierarchy of v1, handed over to the caller; gone with this.
struct Given {
    name: String,
    groups: Vec<PathBuf>,
}

impl Given {
    /// None where the host has no v1: `cargo xtask vm-test systemd` tries v2's.
    fn new(controllers: &[&str]) -> Option<Self> {
        let name = format!("hull-given-{}", std::process::id());
        let groups: Vec<_> = controllers
            .iter()
            .map(|controller| Path::new("/sys/fs/cgroup").join(controller).join(&name))
            .collect();
        if groups.iter().any(|group| !group.parent().unwrap().join("tasks").exists()) {
            eprintln!("SKIP: no v1 hierarchies of {controllers:?}");
            return None;
        }
        for group in &groups {
            std::fs::create_dir(group).unwrap();
            std::os::unix::fs::chown(group, Some(OWN), None).unwrap();
        }
        Some(Self { name, groups })
    }

    fn read(&self, id: &str, file: &str) -> String {
        let paths = self.groups.iter().map(|group| group.join(id).join(file));
        paths.filter_map(|path| std::fs::read_to_string(path).ok()).collect::<String>().trim().to_owned()
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.groups.iter().for_each(|group| drop(std::fs::remove_dir(group)));
    }
}

#[test]
fn groups_that_were_handed_over_hold_limits() {
    let Some(given) = Given::new(&["memory", "pids", "freezer"]) else { return };
    let mut rootless = Rootless::new("exec sleep 1000");
    let id = rootless.id().to_owned();
    rootless.config()["linux"]["cgroupsPath"] = format!("/{}/{id}", given.name).into();
    let rules = json!([{"allow": false, "access": "rwm"}]);
    rootless.config()["linux"]["resources"] =
        json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "devices": rules});
    rootless.create(&[]);
    rootless.ok(&["start", &id]);
    assert_eq!(given.read(&id, "memory.limit_in_bytes"), "67108864");
    assert_eq!(given.read(&id, "pids.max"), "20");
    rootless.ok(&["update", "--pids-limit", "30", &id]);
    assert_eq!(given.read(&id, "pids.max"), "30");
    assert_eq!(rootless.exec("echo $$").lines().count(), 1);
    rootless.ok(&["pause", &id]);
    assert_eq!(rootless.state()["status"], "paused");
    rootless.ok(&["resume", &id]);
    let stats: Value = serde_json::from_str(&rootless.ok(&["events", "--stats", &id])).unwrap();
    assert_eq!(stats["data"]["pids"]["limit"], 30);
    rootless.ok(&["delete", "--force", &id]);
    assert!(given.groups.iter().all(|group| !group.join(&id).exists()), "groups are left");

    // One that was not.
    rootless.config()["linux"]["resources"]["blockIO"] = json!({"weight": 100});
    let said = rootless.run_fails();
    assert!(said.contains("blkio") && said.contains("handed over"), "{said}");
    assert!(given.groups.iter().all(|group| !group.join(&id).exists()), "groups are left");
}

#[test]
fn without_limits_groups_may_be_refused_unless_it_is_said_otherwise() {
    let mut rootless = Rootless::new("echo ran");
    rootless.config()["linux"]["cgroupsPath"] = "/hull-refused/x".into();
    let bundle = rootless.bundle();
    let run = |word| rootless.call(&["--rootless", word, "run", "--bundle", &bundle, rootless.id()]);
    for word in ["auto", "true"] {
        let output = run(word);
        assert_eq!(text(&output.stdout), "ran\n");
        assert!(text(&output.stderr).contains("`/hull-refused/x` is refused"), "{output:?}");
    }
    assert!(text(&run("false").stderr).contains("make cgroup `/hull-refused/x`"));
    assert!(text(&run("maybe").stderr).contains("true, false or auto"));
}

#[test]
fn a_terminal_is_the_containers_own() {
    let mut rootless = Rootless::new("tty; stat -c %u /dev/console; [ -c /dev/console ] && echo yes");
    rootless.config()["process"]["terminal"] = true.into();
    rootless.container.bundle.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
    let said = rootless.run().replace('\r', "");
    assert_eq!(said, "/dev/pts/0\n0\nyes");
}

#[test]
fn the_runtimes_own_file_is_out_of_reach_although_it_is_the_callers() {
    let rootless = Rootless::new("exec sleep 1000");
    let own = rootless.place().join("run/own/hull-runtime");
    std::fs::create_dir(own.parent().unwrap()).unwrap();
    std::fs::copy(HULL, &own).unwrap();
    std::os::unix::fs::chown(&own, Some(OWN), None).unwrap();
    let before = std::fs::metadata(&own).unwrap();
    rootless.command(&[]);
    let bundle = rootless.bundle();
    let mut create =
        rootless.as_caller(&[own.to_str().unwrap(), "create", "--bundle", &bundle, rootless.id()]);
    assert!(create.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    // The container's first process is still the runtime, and the container's root is the owner of its file.
    rootless.exec("test -e /proc/1/exe && ! (echo x >> /proc/1/exe) 2>/dev/null");
    let exe = format!("/proc/{}/exe", rootless.state()["pid"]);
    let exe = text(&rootless.as_caller(&["readlink", &exe]).output().unwrap().stdout);
    assert!(!exe.is_empty() && !exe.contains("memfd"), "{exe}: no copy was needed");
    let after = std::fs::metadata(&own).unwrap();
    assert_eq!((before.len(), before.mtime_nsec()), (after.len(), after.mtime_nsec()));
}

#[test]
fn root_of_a_user_namespace_makes_containers_in_it_and_below_it() {
    // As an engine does that is not root: it is 0 in a namespace, and what it starts as well.
    let mut rootless =
        Rootless::new("cat /proc/self/uid_map; echo x > /dev/null; stat -c '%t %T' /dev/zero; touch /x");
    rootless.container.bundle.drop_namespace("user");
    let linux = rootless.config()["linux"].as_object_mut().unwrap();
    let maps = ["uidMappings", "gidMappings"].map(|name| linux.remove(name).unwrap());
    let bundle = rootless.bundle();
    let run = |rootless: &Rootless| {
        rootless.command(&[]);
        let inside = ["unshare", "--user", "--map-root-user", "--mount", "hull-runtime", "run"];
        let words = [&inside[..], &["--bundle", &bundle, rootless.id()]].concat();
        let output = rootless.as_caller(&words).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(run(&rootless), format!("0 {OWN} 1 1 5"));
    assert_eq!(rootless.owner_of("x"), (OWN, OWN));

    rootless.container.bundle.add_namespace("user");
    let [uids, gids] = maps;
    rootless.config()["linux"]["uidMappings"] = uids;
    rootless.config()["linux"]["gidMappings"] = gids;
    rootless.map(&[(0, 0, 1)]);
    assert_eq!(run(&rootless), "0 0 1 1 5");
}
